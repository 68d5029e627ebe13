//! What is known of statements that have run before, by their text: how much they gave.
//!
//! A statement that gave little is run to its end at once (`run.rs`). That it gives more this time costs it a second run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::statement::Limits;

/// So many texts are remembered beside those that are prepared on a connection.
const TEXTS_MAX: usize = 1024;

/// What gave more than this is never run to its end at once.
const SMALL_ROWS_MAX: usize = 1000;

/// The statements that have run on the connections of a pool.
#[derive(Default)]
pub struct History(Mutex<HashMap<Arc<str>, Arc<Past>>>);

/// How much a statement gave when it was last read to its end; nothing is known before.
#[derive(Default)]
pub struct Past(Mutex<Option<Size>>);

/// The size of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
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

    fn texts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Past>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// Remember how much it gave, `None` if that is not known.
    pub fn remember(&self, size: Option<Size>) {
        *self.last() = size;
    }

    /// Whether it gave much less than its answer may hold now.
    pub fn is_small(&self, limits: Limits) -> bool {
        self.last()
            .is_some_and(|size| size.rows <= limits.rows_max.min(SMALL_ROWS_MAX) && size.bytes <= limits.bytes_max / 2)
    }

    fn last(&self) -> MutexGuard<'_, Option<Size>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rows_max: 100, bytes_max: 10_000 };

    const SMALL: Option<Size> = Some(Size { rows: 1, bytes: 10 });

    #[test]
    fn what_gave_much_less_than_there_is_room_for_is_small() {
        for (rows, bytes, is_small) in
            [(0, 0, true), (100, 5000, true), (101, 10, false), (1, 5001, false), (1001, 10, false)]
        {
            let past = Past::default();
            assert!(!past.is_small(LIMITS), "nothing is known");
            past.remember(Some(Size { rows, bytes }));
            assert_eq!(past.is_small(LIMITS), is_small, "{rows} rows, {bytes} bytes");
        }
    }

    #[test]
    fn texts_that_are_prepared_nowhere_are_forgotten_when_there_are_many() {
        let history = History::default();
        let held = history.of(&"held".into());
        held.remember(SMALL);
        for number in 0..3 * TEXTS_MAX {
            history.of(&format!("select {number}").into()).remember(SMALL);
        }
        assert!(history.texts().len() <= TEXTS_MAX);
        assert!(history.of(&"held".into()).is_small(LIMITS));
    }
}
