//! The watcher with a scripted disk. The test sends it messages. Time is paused: it advances when all tasks wait for
//! it, and not while a load runs.

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

/// The same as in `common::settings`.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// The result of loading `text`, which sets `limits.rows_max`: `20`, or `20 # with a comment`.
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
        ignored: Vec::new(),
    })
}

/// A watcher. The test plays its disk and its listeners.
struct World {
    watcher: Addr<ConfigWatcher>,
    disk: Arc<Mutex<Option<String>>>,
    loads: mpsc::UnboundedReceiver<Instant>,
    /// While it is locked, no load ends.
    gate: Arc<Gate<()>>,
    listeners: Vec<Script<SettingsChanged>>,
    outcomes: Script<ReloadFinished>,
    lines: Lines,
}

impl World {
    fn new(text: Option<&str>) -> Self {
        let disk = Arc::new(Mutex::new(text.map(str::to_owned)));
        let (sender, loads) = mpsc::unbounded_channel();
        let gate = Arc::new(Gate::new(()));
        let (read, pass) = (disk.clone(), gate.clone());
        let loading = Arc::new(move || {
            let text = read.lock().unwrap().clone();
            sender.send(Instant::now()).unwrap();
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

    /// Waits for the next load.
    async fn assert_loads(&mut self) -> Instant {
        self.loads.recv().await.unwrap()
    }

    /// Waits for the next load and checks its time. The timers of tokio have a resolution of one millisecond.
    async fn assert_loads_at(&mut self, expected: Instant) {
        let loaded = self.assert_loads().await;
        assert!(expected <= loaded && loaded <= expected + Duration::from_millis(2), "{loaded:?}, not {expected:?}");
    }

    /// The next message of each listener is this change.
    async fn assert_changed(&mut self, old: usize, new: usize) {
        for listener in &mut self.listeners {
            let change = listener.next().await.message;
            assert_eq!((change.old.limits.rows_max, change.new.limits.rows_max), (old, new));
        }
    }

    /// Nothing more is loaded or sent, however long the test waits.
    async fn assert_quiet(&mut self) {
        sleep(DEBOUNCE * 100).await;
        assert!(self.loads.is_empty());
        assert!(self.listeners.iter_mut().all(Script::is_silent));
    }
}

#[actix_rt::test]
async fn a_burst_of_changes_causes_one_load_after_its_end() {
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
    world.assert_quiet().await;
}

#[actix_rt::test]
async fn a_file_that_changes_all_the_time_is_loaded_after_ten_times_the_debounce() {
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
    world.assert_quiet().await;
}

#[actix_rt::test]
async fn a_touch_after_a_pause_causes_another_load() {
    pause();
    let mut world = World::new(Some("10"));
    for (old, new) in [(10, 20), (20, 30), (30, 10)] {
        world.write(Some(&new.to_string()));
        let touch = Instant::now();
        world.touch().await;
        world.assert_loads_at(touch + DEBOUNCE).await;
        world.assert_changed(old, new).await;
        world.assert_quiet().await;
    }
}

#[actix_rt::test]
async fn a_change_during_a_load_is_loaded_after_it() {
    pause();
    let mut world = World::new(Some("10"));
    let gate = world.gate.clone().lock_owned().await;
    world.write(Some("20"));
    world.touch().await;
    world.assert_loads().await;
    // The load has already read the disk.
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
async fn a_text_with_the_same_settings_is_no_change() {
    pause();
    let mut world = World::new(Some("10"));
    for text in ["10", "10 # a comment", " 10 ", "10"] {
        world.write(Some(text));
        world.touch().await;
        world.assert_loads().await;
        world.assert_quiet().await;
    }
    world.write(Some("20"));
    world.touch().await;
    world.assert_changed(10, 20).await;
}

#[actix_rt::test]
async fn settings_that_cannot_be_loaded_change_nothing_and_the_log_says_why() {
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
        world.assert_quiet().await;
    }
    world.write(Some("20"));
    world.touch().await;
    world.assert_changed(10, 20).await;
    assert_eq!(world.lines.next("settings reloaded").await.text, "settings reloaded; pool=kept");

    // The text that is in force is back, so nothing has to be undone.
    world.write(Some("many"));
    world.touch().await;
    world.lines.next(NOT_RELOADED).await;
    world.assert_loads().await;
    world.write(Some("20"));
    world.touch().await;
    world.assert_loads().await;
    world.assert_loads().await;
    world.assert_quiet().await;
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
async fn a_missing_or_emptied_file_changes_nothing_until_it_has_text() {
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
        world.assert_quiet().await;

        // First with its old text, and then with another one.
        world.write(Some("10"));
        world.touch().await;
        world.assert_loads().await;
        world.assert_quiet().await;
        world.write(Some("20"));
        world.touch().await;
        world.assert_changed(10, 20).await;
    }
}

#[actix_rt::test]
async fn a_file_that_was_missing_or_empty_at_the_start_is_loaded_when_it_has_text() {
    pause();
    for text in [None, Some(""), Some("\n")] {
        let mut world = World::new(text);
        for empty in [Some(""), Some(" ")] {
            world.write(empty);
            world.touch().await;
            world.assert_loads().await;
            world.assert_quiet().await;
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
        // After this event, everything that follows the load has been logged.
        sleep(DEBOUNCE).await;
        assert_eq!(world.lines.count("settings; warning=that is odd"), lines, "{text}");
    }
}

#[actix_rt::test]
async fn the_result_of_each_change_has_its_keys_or_its_reason() {
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
    // A touch that changes nothing is not counted as a reload.
    world.touch().await;
    world.assert_loads().await;
    world.assert_quiet().await;
    assert!(world.outcomes.is_silent());
}
