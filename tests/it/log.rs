//! The root logger and its file. A process has one root logger, which the libraries use too, so each test runs in a
//! process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::prelude::*;
use mcp_server_postgres::actors::session::Session;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::log::{LogControl, LogGuard, root};
use mcp_server_postgres::messages::RawArguments;
use mcp_server_postgres::messages::ask::CannotAsk;
use mcp_server_postgres::messages::call::Call;
use mcp_server_postgres::messages::database::{ClientDatabases, Database, DatabaseSummary};
use mcp_server_postgres::messages::events::Events;
use mcp_server_postgres::messages::metrics::MetricsHandle;
use mcp_server_postgres::progress::Progress;
use mcp_server_postgres::settings::{LogFileMode, LogSettings, MAIN_DATABASE};
use serde_json::{Value, json};
use slog::{Level, Logger, o};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::common::databases::set_of;
use crate::common::own_process::in_own_process;
use crate::common::scripted::scripted;
use crate::common::settings_with;

mod file;

/// A root logger that writes to a file in a new folder.
struct World {
    log: Logger,
    control: LogControl,
    guard: LogGuard,
    folder: TempDir,
}

impl World {
    fn new(level: Level) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (log, control, guard) = root(&to(level, folder.path().join("server.log"))).unwrap();
        Self { log, control, guard, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends the logging and returns the lines of these files.
    fn end<const N: usize>(self, names: [&str; N]) -> [Vec<Value>; N] {
        drop(self.guard);
        names.map(|name| lines(&self.folder.path().join(name)))
    }
}

fn to(level: Level, file: PathBuf) -> LogSettings {
    LogSettings { level, file: Some(file), file_mode: LogFileMode::Private, parameters: false }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "a line without an end: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The current second in UTC, as the beginning of an RFC 3339 time.
fn now() -> String {
    let mut now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    now.truncate("2025-10-11T12:13:14".len());
    now
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

#[test]
fn a_line_is_an_object_with_a_fixed_order_of_members() {
    in_own_process!();
    let world = World::new(Level::Info);
    let part = world.log.new(o!("logger" => "part", "session" => 7));
    let before = now();
    slog::warn!(part, "it was {}", "odd"; "function" => "part::look", "rows" => 12_u64, "why" => "a \"quote\"\nand é");
    let here = line!() - 1;
    let [lines] = world.end(["server.log"]);
    let [Value::Object(line)] = lines.as_slice() else { panic!("{lines:?}") };
    let names: Vec<&String> = line.keys().collect();
    assert_eq!(names, ["timestamp", "level", "logger", "message", "module", "function", "line", "context"]);
    assert_eq!(line["level"], "WARNING");
    assert_eq!(line["logger"], "part");
    assert_eq!(line["message"], "it was odd");
    assert_eq!(line["module"], "it::log");
    assert_eq!(line["function"], "part::look");
    assert_eq!(line["line"], here);
    assert_eq!(line["context"], json!({"why": "a \"quote\"\nand é", "rows": 12, "session": 7}));

    let timestamp = line["timestamp"].as_str().unwrap();
    let (seconds, fraction) = timestamp.split_at(before.len());
    assert!(*before <= *seconds && *seconds <= *now(), "{timestamp}");
    let digits = fraction.strip_prefix('.').and_then(|rest| rest.strip_suffix('Z')).unwrap();
    assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "{timestamp}");
}

#[test]
fn facts_keep_their_types_and_of_two_with_one_name_the_nearer_counts() {
    in_own_process!();
    let world = World::new(Level::Info);
    let part = world.log.new(o!("logger" => "outer", "id" => 1)).new(o!("logger" => "inner"));
    slog::info!(part, "facts"; "id" => 2, "yes" => true, "below" => -3_i64, "half" => 0.5, "none" => None::<u64>,
        "some" => Some("text"), "shown" => %Level::Info, "debug" => ?["a"], "nested" => slog::Serde(json!({"a": [1]})));
    slog::info!(world.log, "none");
    let [lines] = world.end(["server.log"]);
    assert_eq!(lines[0]["logger"], "inner");
    let context = json!({
        "id": 2, "yes": true, "below": -3, "half": 0.5, "some": "text", "shown": "INFO", "debug": "[\"a\"]",
        "nested": {"a": [1]},
    });
    assert_eq!(lines[0]["context"], context);
    assert_eq!(
        (&lines[1]["logger"], &lines[1]["function"], &lines[1]["context"]),
        (&json!(""), &json!(""), &json!({}))
    );
}

#[actix_rt::test]
async fn a_line_of_an_actor_names_the_actor_and_the_function() {
    in_own_process!();
    let world = World::new(Level::Info);
    let settings = settings_with(|settings| settings.limits.in_flight_max = 0);
    let (query, batch) = (scripted().0, scripted().0);
    let (_show, summary) = tokio::sync::watch::channel(DatabaseSummary {
        access: settings.access,
        is_structured: settings.answers_are_structured(),
    });
    let (fetch, close_cursors) = (scripted().0, scripted().0);
    let database =
        Database { name: MAIN_DATABASE.into(), query, fetch, batch, inspect: scripted().0, close_cursors, summary };
    let set = set_of([database]);
    let metrics = MetricsHandle { summary: scripted().0, slow_queries: scripted().0 };
    let session = Session::new(
        &settings,
        Caller::stdio(),
        ClientDatabases::all(set.subscribe()),
        metrics,
        Events::default(),
        &world.log,
    )
    .start();
    let call = Call {
        tool: "performance_summary".to_owned(),
        arguments: RawArguments::default(),
        progress: Progress::default(),
        trace: None,
        permit: None,
        client: Arc::new(CannotAsk::NoClient),
    };
    assert!(session.send(call).await.unwrap().is_err());
    let [lines] = world.end(["server.log"]);
    let line = &lines[0];
    assert_eq!(line["level"], "WARNING");
    assert_eq!(line["logger"], "session");
    assert_eq!(line["message"], "call refused: too many in flight");
    assert_eq!(line["module"], "mcp_server_postgres::actors::session");
    let function = line["function"].as_str().unwrap();
    assert!(function.contains("session::Session") && function.ends_with("::handle"), "{function}");
    assert_eq!(line["context"], json!({"in_flight_max": 0, "tool": "performance_summary", "client": "stdio"}));
}

#[test]
fn a_changed_level_applies_from_the_next_line_on() {
    in_own_process!();
    let world = World::new(Level::Info);
    let levels = [
        (Level::Info, vec!["critical", "error", "warning", "info"]),
        (Level::Debug, vec!["critical", "error", "warning", "info", "debug"]),
        (Level::Critical, vec!["critical"]),
        (Level::Error, vec!["critical", "error"]),
        (Level::Warning, vec!["critical", "error", "warning"]),
    ];
    let mut expected = Vec::new();
    for (level, written) in levels {
        world.control.apply(&to(level, world.path("server.log"))).unwrap();
        slog::crit!(world.log, "critical");
        slog::error!(world.log, "error");
        slog::warn!(world.log, "warning");
        slog::info!(world.log, "info");
        slog::debug!(world.log, "debug");
        expected.extend(written);
    }
    let [lines] = world.end(["server.log"]);
    assert_eq!(messages(&lines), expected);
}

#[test]
fn a_file_is_appended_to() {
    in_own_process!();
    let world = World::new(Level::Info);
    fs::write(world.path("server.log"), "{\"message\":\"before\"}\n").unwrap();
    slog::info!(world.log, "after");
    let [lines] = world.end(["server.log"]);
    assert_eq!(messages(&lines), ["before", "after"]);
}

#[test]
fn the_file_can_be_changed_or_removed() {
    in_own_process!();
    let world = World::new(Level::Info);
    let second = to(Level::Info, world.path("second.log"));
    world.control.apply(&second).unwrap();
    assert!(world.path("second.log").exists());
    world.control.apply(&LogSettings { file: None, ..second.clone() }).unwrap();
    slog::info!(world.log, "to stderr alone");
    world.control.apply(&second).unwrap();
    slog::info!(world.log, "to the second");
    // A line waits in a queue. It goes to the file that is in use when it is written.
    let [first, second] = world.end(["server.log", "second.log"]);
    assert!(first.is_empty());
    assert_eq!(messages(&second).last(), Some(&"to the second"));
}

#[test]
fn a_file_that_cannot_be_opened_is_named_and_the_old_file_stays_in_use() {
    in_own_process!();
    let nowhere = tempfile::tempdir().unwrap().path().join("not there/server.log");
    let expected = format!("MCP_LOG_FILE {}: No such file or directory", nowhere.display());
    let why = root(&to(Level::Info, nowhere.clone())).err().unwrap();
    assert!(why.starts_with(&expected), "{why}");

    let world = World::new(Level::Info);
    let folder = world.folder.path().to_owned();
    for (file, reason) in [(nowhere, "No such file"), (folder, "Is a directory")] {
        let why = world.control.apply(&to(Level::Error, file.clone())).unwrap_err();
        assert!(why.starts_with(&format!("MCP_LOG_FILE {}: {reason}", file.display())), "{why}");
    }
    slog::info!(world.log, "not at this level");
    slog::error!(world.log, "still here");
    let [lines] = world.end(["server.log"]);
    assert_eq!(messages(&lines), ["still here"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_lines_of_the_file_and_nothing_else() {
    in_own_process!();
    let world = World::new(Level::Info);
    world.control.apply(&to(Level::Info, PathBuf::from("/dev/full"))).unwrap();
    for _ in 0..1000 {
        slog::info!(world.log, "into the void");
        std::thread::yield_now();
    }
    world.control.apply(&to(Level::Info, world.path("server.log"))).unwrap();
    slog::info!(world.log, "there is room again");
    let [lines] = world.end(["server.log"]);
    assert_eq!(messages(&lines).last(), Some(&"there is room again"));
}

#[test]
fn logging_after_the_end_does_no_harm() {
    in_own_process!();
    let world = World::new(Level::Info);
    let late = world.log.clone();
    let [lines] = world.end(["server.log"]);
    slog::error!(late, "too late");
    assert!(lines.is_empty());
}

#[test]
fn libraries_log_under_their_names_at_info_and_above() {
    in_own_process!();
    let world = World::new(Level::Debug);
    log::error!(target: "a_library::part", "by log: {}", 1);
    log::info!(target: "a_library", "by log: 2");
    log::debug!(target: "a_library", "SQL and parameters");
    tracing::warn!(target: "another_library", rows = 3, "by tracing");
    tracing::debug!(target: "another_library", "requests and rows");
    world.control.apply(&to(Level::Error, world.path("server.log"))).unwrap();
    log::warn!(target: "a_library", "below the level");
    log::error!(target: "a_library", "by log: 3");
    let [lines] = world.end(["server.log"]);
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            (line["level"].as_str().unwrap(), line["logger"].as_str().unwrap(), line["message"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("ERROR", "a_library", "by log: 1"),
            ("INFO", "a_library", "by log: 2"),
            ("WARNING", "another_library", "by tracing rows=3"),
            ("ERROR", "a_library", "by log: 3"),
        ]
    );
}

#[test]
fn the_last_lines_can_be_read_without_the_values_of_statements() {
    in_own_process!();
    let world = World::new(Level::Info);
    for number in 0..250 {
        slog::info!(world.log, "line {}", number);
    }
    let part = world.log.new(o!("logger" => "executor"));
    slog::info!(part, "query failed"; "sql" => "select 'secret'", "why" => "not an integer: \"secret\"", "rows" => 0,
        "parameters" => slog::Serde(json!(["secret"])));
    slog::warn!(part, "pool not rebuilt"; "why" => "no such host");
    let control = world.control.clone();
    let [lines] = world.end(["server.log"]);
    let recent = control.recent();
    assert_eq!(recent.len(), 200, "the newest");
    assert_eq!(messages(&recent)[..3], ["pool not rebuilt", "query failed", "line 249"]);
    assert_eq!(messages(&recent)[199], "line 52");
    assert_eq!(recent[0]["context"], json!({"why": "no such host"}));
    let Value::Object(line) = &recent[1] else { panic!("{recent:?}") };
    assert_eq!(line.keys().collect::<Vec<_>>(), ["timestamp", "level", "logger", "message", "context"]);
    assert_eq!(line["context"], json!({"sql": "select ?", "rows": 0}));
    assert_eq!(lines[250]["context"]["sql"], "select 'secret'", "whoever may read the log reads all");
}
