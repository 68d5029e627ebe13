//! The root logger: writes one JSON object a line to stderr and, if there is one, to the log file. It never writes to
//! stdout, which belongs to the protocol.
//!
//! A line has `timestamp` (RFC 3339, UTC), `level`, `logger` (the part of the server), `message`, `module`, `function`,
//! `line` and `context` (the facts of the event). slog-json writes the line; this module puts the facts into `context`, and
//! forwards what libraries log (by `log`, and rmcp by `tracing`). Log with this module's macros: they add the name of the
//! function.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pg_guard::sql::normalised;
use serde::Serialize;
use serde_json::{Map, Number, Value, json};
use slog::{Drain, KV, Key, Level, Logger, Never, OwnedKVList, Record, Serializer, o};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::settings::LogSettings;

mod file;
mod lines;

use file::LogFile;
use lines::{Lines, Report};

macro_rules! events {
    ($d:tt $($level:ident as $name:ident)*) => {$(
        macro_rules! $name {
            ($d log:expr, $d message:literal $d(, $d part:expr)*) => {
                slog::$level!($d log, $d message $d(, $d part)*; "function" => $crate::log::function!())
            };
            ($d log:expr, $d message:literal $d(, $d part:expr)*; $d($d facts:tt)*) => {
                slog::$level!($d log, $d message $d(, $d part)*; "function" => $crate::log::function!(), $d($d facts)*)
            };
        }
        pub(crate) use $name as $level;
    )*};
}
// Each macro has a second name: a macro named `warn` would conflict with the attribute.
events!($ debug as event_debug info as event_info warn as event_warn error as event_error);

/// The path of the function in which this is used.
macro_rules! function {
    () => {{
        fn here() {}
        $crate::log::without_closures(std::any::type_name_of_val(&here))
    }};
}
pub(crate) use function;

/// The path of a function from the name of a type that is defined inside it.
pub(crate) fn without_closures(name: &'static str) -> &'static str {
    let mut path = name.strip_suffix("::here").unwrap_or(name);
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    path
}

/// The longest statement in a recent line, in characters.
const RECENT_SQL_CHARS_MAX: usize = 1000;

/// Changes the log while it runs, and reads its recent lines.
#[derive(Clone)]
pub struct LogControl {
    level: Arc<AtomicUsize>,
    lines: Lines,
}

impl LogControl {
    /// Applies the level and the file of `settings`.
    ///
    /// # Errors
    /// A sentence about the file that could not be opened. The level is applied nevertheless.
    pub fn apply(&self, settings: &LogSettings) -> Result<(), String> {
        self.level.store(settings.level.as_usize(), Ordering::Relaxed);
        self.lines.use_file(LogFile::of(settings))
    }

    /// Opens the log file anew if its path leads to another file by now, as after a rotation. Every line looks for that; this
    /// is for a rotation that waits for the old file to be let go.
    pub fn follow_file(&self) {
        self.lines.follow_file();
    }

    /// The last 200 lines, or as many as fit into 256 KiB, the newest first: `timestamp`, `level`, `logger`, `message`,
    /// `context`. Operators can see them who may not read the log file. So a statement has no literals and no parameters,
    /// and PostgreSQL's message about it, which can quote them, is removed.
    pub fn recent(&self) -> Vec<Value> {
        self.lines.recent().iter().filter_map(|line| without_literals(line)).collect()
    }
}

/// A line without the literals and the parameters of its statement.
fn without_literals(line: &[u8]) -> Option<Value> {
    let mut line: Map<String, Value> = serde_json::from_slice(line).ok()?;
    line.retain(|name, _| !matches!(name.as_str(), "module" | "function" | "line"));
    if let Some(Value::Object(facts)) = line.get_mut("context")
        && let Some(Value::String(sql)) = facts.get("sql")
    {
        let sql = normalised(sql, RECENT_SQL_CHARS_MAX);
        facts.insert("sql".to_owned(), sql.into());
        facts.retain(|name, _| !matches!(name.as_str(), "parameters" | "why"));
    }
    Some(Value::Object(line))
}

/// When it is dropped, the lines that still wait are written.
pub struct LogGuard {
    lines: Lines,
    _libraries: slog_scope::GlobalLoggerGuard,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.lines.end();
    }
}

/// Makes the root logger for `settings`.
///
/// # Errors
/// A sentence about the log file that could not be opened.
pub fn root(settings: &LogSettings) -> Result<(Logger, LogControl, LogGuard), String> {
    let level = Arc::new(AtomicUsize::new(settings.level.as_usize()));
    let lines = Lines::new(report).map_err(|error| format!("the log's thread cannot be started: {error}"))?;
    lines.use_file(LogFile::of(settings))?;
    let out = WholeLines { line: Vec::new(), lines: lines.clone() };
    let json = Mutex::new(slog_json::Json::new(out).set_flush(true).build());
    let enabled = AtLevel { drain: InContext::new(json).ignore_res(), level: level.clone() };
    let root = Logger::root(enabled.fuse(), o!());
    let libraries = slog_scope::set_global_logger(root.new(o!("logger" => "library")));
    // Libraries never log below info: at debug, tokio-postgres logs parameters, and rmcp logs whole requests and results.
    // An error means that there is a logger already, as in tests with several servers in one process.
    let _ = slog_stdlog::init_with_level(log::Level::Info);
    Ok((root, LogControl { level, lines: lines.clone() }, LogGuard { lines, _libraries: libraries }))
}

/// Collects the pieces that slog-json writes, and passes on whole lines.
struct WholeLines {
    line: Vec<u8>,
    lines: Lines,
}

impl Write for WholeLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.put(&self.line);
        self.line.clear();
        Ok(())
    }
}

/// The line for what the queue of the lines has to say itself.
fn report(report: Report) -> Vec<u8> {
    let (message, context) = match report {
        Report::Lost(lines) => ("lines lost: stderr or the log file did not take them", json!({"lines": lines})),
        Report::NotFollowed(why) => {
            ("the log file was moved and cannot be opened anew: the old one goes on being used", json!({"why": why}))
        }
    };
    let line = json!({
        "timestamp": timestamp(),
        "level": Level::Warning.as_str(),
        "logger": "log",
        "message": message,
        "module": module_path!(),
        "function": "",
        "line": line!(),
        "context": context,
    });
    format!("{line}\n").into_bytes()
}

fn timestamp() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// The library that has logged this record. The tag of such a record is the path of a module.
fn library<'a>(record: &'a Record<'_>) -> Option<&'a str> {
    record.tag().split("::").next().filter(|library| !library.is_empty())
}

/// Libraries of which only warnings and errors are logged.
const CHATTER: [&str; 2] = ["rmcp", "tracing"];

/// Passes on records of at least a level, which can change.
struct AtLevel<D> {
    drain: D,
    level: Arc<AtomicUsize>,
}

impl<D: Drain<Ok = (), Err = Never>> Drain for AtLevel<D> {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        // rmcp logs the begin and the end of each request; for what is of use this server has its own lines.
        let is_chatter = record.level() > Level::Warning && CHATTER.contains(&library(record).unwrap_or_default());
        if !is_chatter && self.is_enabled(record.level()) { self.drain.log(record, values) } else { Ok(()) }
    }

    fn is_enabled(&self, level: Level) -> bool {
        level.as_usize() <= self.level.load(Ordering::Relaxed)
    }
}

/// Gives a line its members: the facts of the event in `context`, and beside it the members that every line has.
struct InContext<D> {
    drain: D,
    /// The values of a logger without facts.
    none: OwnedKVList,
}

impl<D> InContext<D> {
    fn new(drain: D) -> Self {
        Self { drain, none: OwnedKVList::from(o!()) }
    }
}

impl<D: Drain> Drain for InContext<D> {
    type Ok = D::Ok;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<D::Ok, D::Err> {
        // If a value cannot be written, only this fact is missing.
        let mut facts = Facts::with_capacity();
        let _ = record.kv().serialize(record, &mut facts);
        // slog gives them in reverse order.
        facts.facts.reverse();
        // Of two facts with the same name the one of the record counts, not that of its logger.
        let _ = values.serialize(record, &mut facts);
        // slog-json writes them in reverse order.
        let kv = slog::b!(
            "context" => slog::Serde(facts.object()),
            "line" => record.line(),
            "function" => facts.function.as_str(),
            "module" => record.module(),
            "message" => record.msg(),
            "logger" => library(record).unwrap_or(&facts.logger),
            "level" => record.level().as_str(),
            "timestamp" => timestamp(),
        );
        let location = slog::RecordLocation { function: "", ..*record.location() };
        let statics = slog::RecordStatic { location: &location, tag: record.tag(), level: record.level() };
        self.drain.log(&Record::new(&statics, record.msg(), kv), &self.none)
    }
}

/// The facts of an event, written as JSON as they come. Each query logs a line, and a tree of values would take longer than
/// the rest of the line.
#[derive(Default)]
struct Facts {
    logger: String,
    function: String,
    /// The name of each, and its range in `json`.
    facts: Vec<(Key, Range<usize>)>,
    json: Vec<u8>,
}

/// Capacity for the facts of most events: their number and their bytes.
const FACTS: usize = 16;
const FACTS_BYTES: usize = 512;

impl Facts {
    fn with_capacity() -> Self {
        let (facts, json) = (Vec::with_capacity(FACTS), Vec::with_capacity(FACTS_BYTES));
        Self { facts, json, ..Self::default() }
    }

    fn put(&mut self, key: Key, value: impl Serialize) -> slog::Result {
        if self.facts.iter().any(|(known, _)| *known == key) {
            return Ok(());
        }
        let before = self.json.len();
        match serde_json::to_writer(&mut self.json, &value) {
            Ok(()) => self.facts.push((key, before..self.json.len())),
            Err(_) => self.json.truncate(before),
        }
        Ok(())
    }

    /// All facts as one value that is written as a JSON object: serde_json writes a number of `arbitrary_precision` as the
    /// text that it contains, and here this text is the object.
    fn object(&self) -> Value {
        let mut object = String::with_capacity(self.json.len() + self.facts.len() * 20);
        for (key, at) in &self.facts {
            object.push_str(if object.is_empty() { "{\"" } else { ",\"" });
            object.push_str(key);
            object.push_str("\":");
            object.push_str(str::from_utf8(&self.json[at.clone()]).unwrap_or("null"));
        }
        object.push_str(if object.is_empty() { "{}" } else { "}" });
        Value::Number(Number::from_string_unchecked(object))
    }
}

impl Serializer for Facts {
    fn emit_arguments(&mut self, key: Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        self.put(key, value)
    }

    fn emit_str(&mut self, key: Key, value: &str) -> slog::Result {
        match key {
            "logger" if self.logger.is_empty() => self.logger.push_str(value),
            "function" if self.function.is_empty() => self.function.push_str(value),
            "logger" | "function" => {}
            _ => self.put(key, value)?,
        }
        Ok(())
    }

    fn emit_bool(&mut self, key: Key, value: bool) -> slog::Result {
        self.put(key, value)
    }

    fn emit_u32(&mut self, key: Key, value: u32) -> slog::Result {
        self.put(key, value)
    }

    fn emit_i32(&mut self, key: Key, value: i32) -> slog::Result {
        self.put(key, value)
    }

    fn emit_u64(&mut self, key: Key, value: u64) -> slog::Result {
        self.put(key, value)
    }

    fn emit_i64(&mut self, key: Key, value: i64) -> slog::Result {
        self.put(key, value)
    }

    fn emit_usize(&mut self, key: Key, value: usize) -> slog::Result {
        self.put(key, value)
    }

    fn emit_f64(&mut self, key: Key, value: f64) -> slog::Result {
        self.put(key, value)
    }

    fn emit_none(&mut self, _: Key) -> slog::Result {
        Ok(())
    }

    fn emit_serde(&mut self, key: Key, value: &dyn slog::SerdeValue) -> slog::Result {
        self.put(key, value.as_serde())
    }
}
