//! A log in memory that a test reads.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};

use slog::{Drain, KV, Key, Level, Logger, OwnedKVList, Record, Serializer, o};
use tokio::sync::Notify;

use super::PATIENCE;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    /// `message; key=value key=value …`, without the facts of the logger.
    pub text: String,
}

/// A logger and the lines that are written to it.
pub fn heard() -> (Logger, Lines) {
    let all = Arc::<All>::default();
    (Logger::root(Hearing(all.clone()), o!()), Lines { all, taken: 0 })
}

/// The lines in their order.
pub struct Lines {
    all: Arc<All>,
    /// How many of them [`Lines::next`] and [`Lines::count`] have consumed.
    taken: usize,
}

#[derive(Default)]
struct All {
    lines: Mutex<Vec<Line>>,
    more: Notify,
}

impl Lines {
    /// Waits for the next line with this beginning. The lines before it are skipped.
    pub async fn next(&mut self, beginning: &str) -> Line {
        let all = self.all.clone();
        let search = async {
            loop {
                while let Some(line) = self.take() {
                    if line.text.starts_with(beginning) {
                        return line;
                    }
                }
                all.more.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("nothing was logged like: {beginning}"))
    }

    /// Consumes all lines so far and counts those with this beginning.
    pub fn count(&mut self, beginning: &str) -> usize {
        std::iter::from_fn(|| self.take()).filter(|line| line.text.starts_with(beginning)).count()
    }

    /// All lines so far with this beginning, consumed or not.
    pub fn of(&self, beginning: &str) -> Vec<String> {
        self.all_of(beginning).into_iter().map(|line| line.text).collect()
    }

    /// The same with their levels.
    pub fn all_of(&self, beginning: &str) -> Vec<Line> {
        let lines = self.all.lines.lock().unwrap();
        lines.iter().filter(|line| line.text.starts_with(beginning)).cloned().collect()
    }

    fn take(&mut self) -> Option<Line> {
        let line = self.all.lines.lock().unwrap().get(self.taken)?.clone();
        self.taken += 1;
        Some(line)
    }
}

struct Hearing(Arc<All>);

impl Drain for Hearing {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), slog::Never> {
        let mut text = format!("{};", record.msg());
        let _ = record.kv().serialize(record, &mut Facts(&mut text));
        self.0.lines.lock().unwrap().push(Line { level: record.level(), text });
        self.0.more.notify_one();
        Ok(())
    }
}

struct Facts<'a>(&'a mut String);

impl Serializer for Facts<'_> {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        if AsRef::<str>::as_ref(&key) != "function" {
            write!(self.0, " {}={value}", AsRef::<str>::as_ref(&key))?;
        }
        Ok(())
    }
}
