//! What is known of statements that have run before, by their text: how much they gave, and how long that took.
//!
//! A statement that gave little is run to its end at once (`run.rs`), and one that was quick besides may share a
//! connection with others of its kind (`turns.rs`). That it gives more or takes longer this time costs it a second run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::page::Limits;

/// So many texts are remembered beside those that are prepared on a connection.
const TEXTS_MAX: usize = 1024;

/// What gave more than this is never run to its end at once.
const SMALL_ROWS_MAX: usize = 1000;

/// What gave more than this, in bytes, or took longer, shares no connection: others would wait for it.
const QUICK_BYTES_MAX: usize = 16 << 10;
const QUICK_MAX: Duration = Duration::from_millis(10);

/// The statements that have run on the connections of a pool.
#[derive(Default)]
pub struct History(Mutex<HashMap<Arc<str>, Arc<Past>>>);

/// How a statement went when it was last read to its end; nothing is known before.
#[derive(Default)]
pub struct Past(Mutex<Known>);

#[derive(Default)]
struct Known {
    last: Option<Size>,
    /// How long it took when it was last alone on its connection, and the time before: the machine holds up a run now and
    /// then, and seldom two.
    took: [Option<Duration>; 2],
}

/// The size of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its rows.
    pub rows: usize,
    /// Their bytes, as JSON.
    pub bytes: usize,
}

impl History {
    /// What is known of a text, now and later.
    pub fn of(&self, sql: &Arc<str>) -> Arc<Past> {
        let mut texts = self.texts();
        if let Some(past) = texts.get(sql) {
            return past.clone();
        }
        if texts.len() >= TEXTS_MAX {
            // Of the others nobody would hear any more.
            texts.retain(|_, past| Arc::strong_count(past) > 1);
        }
        texts.entry(sql.clone()).or_default().clone()
    }

    /// Whether a text may share a connection, if its answer may hold so much.
    pub fn is_quick(&self, sql: &str, limits: Limits) -> bool {
        self.texts().get(sql).is_some_and(|past| past.is_quick(limits))
    }

    fn texts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Past>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// Remember how much it gave, `None` if that is not known; and how long it took, if it was alone on its connection.
    pub fn remember(&self, size: Option<Size>, took: Option<Duration>) {
        let mut known = self.known();
        known.last = size;
        if took.is_some() {
            known.took = [took, known.took[0]];
        }
    }

    /// Whether it gave much less than its answer may hold now.
    pub fn is_small(&self, limits: Limits) -> bool {
        self.known().last.is_some_and(|size| size.is_small(limits))
    }

    fn is_quick(&self, limits: Limits) -> bool {
        let known = self.known();
        known.last.is_some_and(|size| size.is_small(limits) && size.bytes <= QUICK_BYTES_MAX)
            && known.took.iter().flatten().any(|took| *took <= QUICK_MAX)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Size {
    fn is_small(self, limits: Limits) -> bool {
        self.rows <= limits.rows_max.min(SMALL_ROWS_MAX) && self.bytes <= limits.bytes_max / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rows_max: 100, bytes_max: 10_000 };

    const SMALL: Option<Size> = Some(Size { rows: 1, bytes: 10 });

    fn took(milliseconds: u64) -> Option<Duration> {
        Some(Duration::from_millis(milliseconds))
    }

    #[test]
    fn what_gave_much_less_than_there_is_room_for_is_small() {
        for (rows, bytes, is_small) in
            [(0, 0, true), (100, 5000, true), (101, 10, false), (1, 5001, false), (1001, 10, false)]
        {
            let past = Past::default();
            assert!(!past.is_small(LIMITS), "nothing is known");
            past.remember(Some(Size { rows, bytes }), None);
            assert_eq!(past.is_small(LIMITS), is_small, "{rows} rows, {bytes} bytes");
        }
    }

    #[test]
    fn what_is_small_and_took_little_one_of_two_times_alone_is_quick() {
        let history = History::default();
        let sql: Arc<str> = "select 1".into();
        assert!(!history.is_quick(&sql, LIMITS));
        let past = history.of(&sql);
        for (size, took, is_quick) in [
            (SMALL, None, false),
            (SMALL, took(1), true),
            (SMALL, took(1000), true),
            // Among others it may have waited for them.
            (SMALL, None, true),
            (SMALL, took(1000), false),
            (SMALL, took(1), true),
            (Some(Size { rows: 1, bytes: 20_000 }), took(1), false),
            (None, took(1), false),
        ] {
            past.remember(size, took);
            assert_eq!(
                history.is_quick("select 1", Limits { bytes_max: 1 << 20, ..LIMITS }),
                is_quick,
                "{size:?} {took:?}"
            );
        }
    }

    #[test]
    fn texts_that_are_prepared_nowhere_are_forgotten_when_there_are_many() {
        let history = History::default();
        let held = history.of(&"held".into());
        held.remember(SMALL, took(1));
        for number in 0..3 * TEXTS_MAX {
            history.of(&format!("select {number}").into()).remember(SMALL, took(1));
        }
        assert!(history.texts().len() <= TEXTS_MAX);
        assert!(history.is_quick("held", LIMITS));
    }
}
