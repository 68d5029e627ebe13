//! The sizes of earlier results, by the text of the statement.
//!
//! A statement with a small earlier result is run to its end at once (`run.rs`). If its result is large this time, it
//! must run a second time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::statement::Limits;

/// How many texts are remembered, besides those that are prepared on a connection.
const TEXTS_MAX: usize = 1024;

/// A statement with more rows than this is never run to its end at once.
const SMALL_ROWS_MAX: usize = 1000;

/// The sizes of the results of a pool's statements.
#[derive(Default)]
pub struct SizeHistory(Mutex<HashMap<Arc<str>, Arc<PastSize>>>);

/// The size of a statement's result when it was last read to its end; none before that.
#[derive(Default)]
pub struct PastSize(Mutex<Option<Size>>);

/// The size of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub rows: usize,
    /// The size of the rows as JSON, in bytes.
    pub bytes: usize,
}

impl SizeHistory {
    /// The record of a text, which later runs update.
    pub fn of(&self, sql: &Arc<str>) -> Arc<PastSize> {
        let mut texts = self.texts();
        if let Some(past) = texts.get(sql) {
            return past.clone();
        }
        if texts.len() >= TEXTS_MAX {
            // The other records are referenced by nothing else.
            texts.retain(|_, past| Arc::strong_count(past) > 1);
        }
        texts.entry(sql.clone()).or_default().clone()
    }

    fn texts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<PastSize>>> {
        // No code panics while it has the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PastSize {
    /// Store the size of the result, or `None` if it is not known.
    pub fn remember(&self, size: Option<Size>) {
        *self.last() = size;
    }

    /// Whether the last result was much smaller than the limits of this answer.
    pub fn is_small(&self, limits: Limits) -> bool {
        self.last()
            .is_some_and(|size| size.rows <= limits.rows_max.min(SMALL_ROWS_MAX) && size.bytes <= limits.bytes_max / 2)
    }

    fn last(&self) -> MutexGuard<'_, Option<Size>> {
        // No code panics while it has the lock.
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
            let past = PastSize::default();
            assert!(!past.is_small(LIMITS), "nothing is known");
            past.remember(Some(Size { rows, bytes }));
            assert_eq!(past.is_small(LIMITS), is_small, "{rows} rows, {bytes} bytes");
        }
    }

    #[test]
    fn texts_that_are_prepared_nowhere_are_forgotten_when_there_are_many() {
        let history = SizeHistory::default();
        let referenced = history.of(&"referenced".into());
        referenced.remember(SMALL);
        for number in 0..3 * TEXTS_MAX {
            history.of(&format!("select {number}").into()).remember(SMALL);
        }
        assert!(history.texts().len() <= TEXTS_MAX);
        assert!(history.of(&"referenced".into()).is_small(LIMITS));
    }
}
