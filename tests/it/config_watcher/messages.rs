//! The watcher with a scripted disk, by messages alone. Time is paused: it goes on when everybody waits for it, and
//! stands still while a load runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use mcp_server_postgres::actors::config_watcher::{ConfigWatcher, FilesTouched};
use mcp_server_postgres::messages::events::{ReloadFinished, ReloadOutcome, SettingsChanged};
use mcp_server_postgres::settings::{Effective, Loaded, SettingsError, WatchedFile};
use slog::Level;
use tokio::sync::{Mutex as Gate, mpsc};
use tokio::time::{Instant, advance, pause, sleep};

use crate::common::heard::{Lines, heard};
use crate::common::scripted::{Script, scripted};
use crate::common::settings_with;

const NOT_RELOADED: &str = "settings not reloaded, the old ones stay; why=";

/// As in `common::settings`.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// What loading `text` gives. It sets `limits.rows_max`: `20`, or `20 # with a comment`.
fn load(text: Option<&str>) -> Result<Loaded, SettingsError> {
    let word = text.and_then(|text| text.split_whitespace().next());
    assert_ne!(word, Some("panic"), "as a bug would");
    let rows_max = word.map_or(Ok(1000), str::parse).map_err(|_| SettingsError {
        problems: vec!["MCP_MAX_ROWS is \"many\" (in app/.env, line 1): it must be a whole number".to_owned()],
        files: vec![PathBuf::from("app/.env")],
    })?;
    Ok(Loaded {
        settings: settings_with(|settings| settings.limits.rows_max = rows_max),
        warnings: text.filter(|text| text.contains("odd")).map(|_| "that is odd".to_owned()).into_iter().collect(),
        origins: vec![Effective {
            key: "MCP_MAX_ROWS".to_owned(),
            value: rows_max.to_string(),
            source: text.map_or("default", |_| "app/.env line 1").to_owned(),
        }],
        files: vec![WatchedFile { path: PathBuf::from("app/.env"), text: text.map(str::to_owned), is_named: true }],
        not_taken: Vec::new(),
    })
}

/// A watcher whose disk and whose listeners are the test.
struct World {
    watcher: Addr<ConfigWatcher>,
    disk: Arc<Mutex<Option<String>>>,
    loads: mpsc::UnboundedReceiver<Instant>,
    /// Whoever holds it keeps a load from ending.
    gate: Arc<Gate<()>>,
    listeners: Vec<Script<SettingsChanged>>,
    outcomes: Script<ReloadFinished>,
    lines: Lines,
}

impl World {
    fn new(text: Option<&str>) -> Self {
        let disk = Arc::new(Mutex::new(text.map(str::to_owned)));
        let (tell, loads) = mpsc::unbounded_channel();
        let gate = Arc::new(Gate::new(()));
        let (read, pass) = (disk.clone(), gate.clone());
        let loading = Arc::new(move || {
            let text = read.lock().unwrap().clone();
            tell.send(Instant::now()).unwrap();
            drop(pass.blocking_lock());
            load(text.as_deref())
        });
        let (recipients, listeners): (Vec<_>, _) = (0..3).map(|_| scripted()).unzip();
        let (finished, outcomes) = scripted();
        let (log, lines) = heard();
        let watcher = ConfigWatcher::new(
            &load(text).unwrap(),
            loading,
            recipients.into_iter().collect(),
            finished.into(),
            None,
            &log,
        )
        .without_file_system();
        Self { watcher: watcher.start(), disk, loads, gate, listeners, outcomes, lines }
    }

    fn write(&self, text: Option<&str>) {
        *self.disk.lock().unwrap() = text.map(str::to_owned);
    }

    async fn touch(&self) {
        self.watcher.send(FilesTouched).await.unwrap();
    }

    /// The next load, at any time.
    async fn assert_loads(&mut self) -> Instant {
        self.loads.recv().await.unwrap()
    }

    /// The next load, and that it came then; tokio's timers keep whole milliseconds.
    async fn assert_loads_at(&mut self, expected: Instant) {
        let loaded = self.assert_loads().await;
        assert!(expected <= loaded && loaded <= expected + Duration::from_millis(2), "{loaded:?}, not {expected:?}");
    }

    /// Each listener hears this next, and the same.
    async fn assert_changed(&mut self, old: usize, new: usize) {
        for listener in &mut self.listeners {
            let change = listener.next().await.message;
            assert_eq!((change.old.limits.rows_max, change.new.limits.rows_max), (old, new));
        }
    }

    /// However long one waits, nothing more is loaded or told.
    async fn assert_still(&mut self) {
        sleep(DEBOUNCE * 100).await;
        assert!(self.loads.is_empty());
        assert!(self.listeners.iter_mut().all(Script::is_silent));
    }
}

#[actix_rt::test]
async fn a_burst_of_changes_is_one_load_when_it_is_over() {
    pause();
    let mut world = World::new(Some("10"));
    for rows in 11..=20 {
        world.write(Some(&rows.to_string()));
        world.touch().await;
        sleep(DEBOUNCE / 2).await;
    }
    let last_touch = Instant::now() - DEBOUNCE / 2;
    world.assert_loads_at(last_touch + DEBOUNCE).await;
    world.assert_changed(10, 20).await;
    world.assert_still().await;
}

#[actix_rt::test]
async fn a_file_that_is_never_quiet_is_loaded_after_ten_times_the_debounce() {
    pause();
    let mut world = World::new(Some("10"));
    let mut first_touch = Instant::now();
    for (old, new) in [(10, 20), (20, 30)] {
        world.write(Some(&new.to_string()));
        while world.loads.is_empty() {
            world.touch().await;
            sleep(DEBOUNCE * 3 / 10).await;
        }
        world.assert_loads_at(first_touch + DEBOUNCE * 10).await;
        first_touch = Instant::now();
        world.assert_changed(old, new).await;
    }
    world.assert_still().await;
}

#[actix_rt::test]
async fn a_touch_after_a_quiet_time_is_a_load_of_its_own() {
    pause();
    let mut world = World::new(Some("10"));
    for (old, new) in [(10, 20), (20, 30), (30, 10)] {
        world.write(Some(&new.to_string()));
        let touch = Instant::now();
        world.touch().await;
        world.assert_loads_at(touch + DEBOUNCE).await;
        world.assert_changed(old, new).await;
        world.assert_still().await;
    }
}

#[actix_rt::test]
async fn what_changes_while_a_load_is_under_way_is_loaded_after_it_and_never_before() {
    pause();
    let mut world = World::new(Some("10"));
    let gate = world.gate.clone().lock_owned().await;
    world.write(Some("20"));
    world.touch().await;
    world.assert_loads().await;
    // The load has read the disk, and does not come back.
    world.write(Some("30"));
    for _ in 0..20 {
        world.touch().await;
        advance(DEBOUNCE).await;
    }
    world.touch().await;
    assert!(world.loads.is_empty());
    drop(gate);
    world.assert_changed(10, 20).await;
    world.assert_changed(20, 30).await;
}

#[actix_rt::test]
async fn a_text_that_is_the_same_or_means_the_same_is_told_to_nobody() {
    pause();
    let mut world = World::new(Some("10"));
    for text in ["10", "10 # a comment", " 10 ", "10"] {
        world.write(Some(text));
        world.touch().await;
        world.assert_loads().await;
        world.assert_still().await;
    }
    world.write(Some("20"));
    world.touch().await;
    world.assert_changed(10, 20).await;
}

#[actix_rt::test]
async fn what_does_not_load_changes_nothing_and_the_log_says_why() {
    pause();
    let mut world = World::new(Some("10"));
    world.write(Some("many"));
    for _ in 0..2 {
        world.touch().await;
        world.assert_loads().await;
        let line = world.lines.next(NOT_RELOADED).await;
        assert_eq!(line.level, Level::Error);
        let why = "MCP_MAX_ROWS is \"many\" (in app/.env, line 1): it must be a whole number";
        assert_eq!(line.text, format!("{NOT_RELOADED}{why}"));
        world.assert_still().await;
    }
    world.write(Some("20"));
    world.touch().await;
    world.assert_changed(10, 20).await;
    assert_eq!(world.lines.next("settings reloaded").await.text, "settings reloaded; pool=kept");

    // Back to the text that is in force: nothing was to be undone.
    world.write(Some("many"));
    world.touch().await;
    world.lines.next(NOT_RELOADED).await;
    world.assert_loads().await;
    world.write(Some("20"));
    world.touch().await;
    world.assert_loads().await;
    world.assert_loads().await;
    world.assert_still().await;
}

#[actix_rt::test]
async fn a_bug_in_loading_costs_one_load() {
    pause();
    let mut world = World::new(Some("10"));
    world.write(Some("panic"));
    world.touch().await;
    assert_eq!(world.lines.next("settings not reloaded: a bug").await.level, Level::Error);
    world.write(Some("20"));
    world.touch().await;
    world.assert_changed(10, 20).await;
}

#[actix_rt::test]
async fn a_file_that_is_gone_or_was_emptied_changes_nothing_until_there_is_something_in_it() {
    pause();
    for (text, why) in
        [(None, "app/.env is gone"), (Some(""), "app/.env is empty"), (Some(" \r\n\t\n"), "app/.env is empty")]
    {
        let mut world = World::new(Some("10"));
        world.write(text);
        world.touch().await;
        let line = world.lines.next(NOT_RELOADED).await;
        assert_eq!((line.level, line.text), (Level::Error, format!("{NOT_RELOADED}{why}")));
        world.assert_loads().await;
        world.assert_still().await;

        // It is back as it was, and then with something else.
        world.write(Some("10"));
        world.touch().await;
        world.assert_loads().await;
        world.assert_still().await;
        world.write(Some("20"));
        world.touch().await;
        world.assert_changed(10, 20).await;
    }
}

#[actix_rt::test]
async fn a_file_that_was_not_there_or_was_empty_from_the_start_is_loaded_when_it_has_something_in_it() {
    pause();
    for text in [None, Some(""), Some("\n")] {
        let mut world = World::new(text);
        for empty in [Some(""), Some(" ")] {
            world.write(empty);
            world.touch().await;
            world.assert_loads().await;
            world.assert_still().await;
        }
        assert_eq!(world.lines.count(NOT_RELOADED), 0);
        world.write(Some("20"));
        world.touch().await;
        world.assert_changed(1000, 20).await;
    }
}

#[actix_rt::test]
async fn a_warning_of_a_load_is_logged_once_for_each_text() {
    pause();
    let mut world = World::new(Some("10"));
    for (text, lines) in [("10 odd", 1), ("10 odd", 0), ("20 odd", 1)] {
        world.write(Some(text));
        world.touch().await;
        world.assert_loads().await;
        // Whatever follows the load has been said by then.
        sleep(DEBOUNCE).await;
        assert_eq!(world.lines.count("settings; warning=that is odd"), lines, "{text}");
    }
}

#[actix_rt::test]
async fn what_became_of_each_change_is_told_by_its_keys_or_its_reason() {
    pause();
    let mut world = World::new(Some("10"));
    for (text, outcome, what) in [
        (Some("20"), ReloadOutcome::Applied, "MCP_MAX_ROWS"),
        (Some("20 # a comment"), ReloadOutcome::Unchanged, "files were changed, the settings are the same"),
        (
            Some("many"),
            ReloadOutcome::Rejected,
            "MCP_MAX_ROWS is \"many\" (in app/.env, line 1): it must be a whole number",
        ),
        (Some("panic"), ReloadOutcome::Rejected, "a bug"),
        (None, ReloadOutcome::Rejected, "app/.env is gone"),
        (Some("30"), ReloadOutcome::Applied, "MCP_MAX_ROWS"),
    ] {
        world.write(text);
        world.touch().await;
        world.assert_loads().await;
        let expected = ReloadFinished { outcome, what: what.to_owned() };
        assert_eq!(world.outcomes.next().await.message, expected);
    }
    world.assert_changed(10, 20).await;
    world.assert_changed(20, 30).await;
    // A touch that changes nothing is no reload.
    world.touch().await;
    world.assert_loads().await;
    world.assert_still().await;
    assert!(world.outcomes.is_silent());
}
