//! A logger whose lines the test can read.

use std::fmt::{Arguments, Write as _};
use std::sync::{Arc, Mutex};

use slog::{Drain, KV, Key, Logger, Never, OwnedKVList, Record, Serializer};

/// What has been logged, an event a line: `level message key=value …`.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// A logger, and what is heard of it.
    pub fn new() -> (Logger, Self) {
        let heard = Self::default();
        (Logger::root(heard.clone(), slog::o!()), heard)
    }

    /// The lines so far that hold this text.
    pub fn of(&self, text: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
    }
}

impl Drain for Heard {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let mut line = Line(format!("{} {}", record.level().as_str(), record.msg()));
        record.kv().serialize(record, &mut line).unwrap();
        values.serialize(record, &mut line).unwrap();
        self.0.lock().unwrap().push(line.0);
        Ok(())
    }
}

struct Line(String);

impl Serializer for Line {
    fn emit_arguments(&mut self, key: Key, value: &Arguments<'_>) -> slog::Result {
        write!(self.0, " {}={value}", AsRef::<str>::as_ref(&key))?;
        Ok(())
    }
}
