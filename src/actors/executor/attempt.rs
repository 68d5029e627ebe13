//! Whether a statement is sent to PostgreSQL once more, and how.
//!
//! [`Attempt`] is told what each run came to and says what comes next. It does no input or output and knows no clock:
//! what runs a statement is in `query` and `batch`.

use std::time::Duration;

use crate::postgres::error::QueryError;
use crate::postgres::pool::Admission;
use crate::postgres::run::{FetchMode, RunProgress};
use crate::settings::AccessMode;

/// The runs of one statement, of one batch, or of one question of our own.
#[derive(Debug)]
pub(super) struct Attempt {
    of: Of,
    fetch_mode: FetchMode,
    admission: Admission,
    /// It was lost once after its transaction had begun.
    was_lost: bool,
    /// How many times it was sent again because its connection was lost.
    retries: u32,
}

/// A backend that has ended while it was idle has said so within this time after a statement was sent to it.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Statement(AccessMode),
    Batch,
    Inspection,
}

/// What a run came to that gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// It was to give little, and gave more than the page takes: it has to be read from a portal.
    Outgrown,
    /// It gave an error.
    Failed(Failure),
}

/// What matters of an error, and of how far the statement had come by then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// The connection is gone.
    pub(super) connection_lost: bool,
    /// PostgreSQL has refused a write, because the transaction is READ ONLY.
    pub(super) needs_to_write: bool,
    /// The connection was lost while the transaction was being committed.
    pub(super) outcome_unknown: bool,
    /// An administrator has ended its connection (57P01) while it ran.
    pub(super) terminated: bool,
    /// Its transaction has begun.
    pub(super) begun: bool,
    /// It is known to read only.
    pub(super) only_reads: bool,
    /// Its first row had come.
    pub(super) rows_came: bool,
}

/// What comes after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its error is the answer.
    Fail,
    /// It runs once more, as [`Attempt::fetch_mode`] and [`Attempt::admission`] say.
    RunAgain(Reason),
}

/// Why a statement runs once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It gives more than was expected. What runs of it must be cancelled.
    Outgrown,
    /// It was taken for one that only reads, and writes.
    Writes,
    /// Its connection was lost, and it has changed nothing.
    ConnectionLost,
}

impl Attempt {
    /// One statement, in that mode.
    pub(super) fn of_statement(access: AccessMode) -> Self {
        Self::new(Of::Statement(access))
    }

    /// A batch: all of its statements are sent again, or none.
    pub(super) fn of_batch() -> Self {
        Self::new(Of::Batch)
    }

    /// A question of our own, which only reads, and waits so for its first connection.
    pub(super) fn of_inspection(admission: Admission) -> Self {
        Self { admission, ..Self::new(Of::Inspection) }
    }

    fn new(of: Of) -> Self {
        let fetch_mode = FetchMode::RunToEndIfSmall;
        Self { of, fetch_mode, admission: Admission::Normal, was_lost: false, retries: 0 }
    }

    /// How the rows of the next run are to be fetched.
    pub(super) fn fetch_mode(&self) -> FetchMode {
        self.fetch_mode
    }

    /// How the next run is to wait for its connection.
    pub(super) fn admission(&self) -> Admission {
        self.admission
    }

    /// How many times it was sent again because its connection was lost.
    pub(super) fn retries(&self) -> u32 {
        self.retries
    }

    /// What comes after a run that came to this.
    pub(super) fn after(&mut self, run: Run) -> Next {
        let reason = match run {
            Run::Outgrown => Reason::Outgrown,
            Run::Failed(failure) => match self.reason(failure) {
                Some(reason) => reason,
                None => return Next::Fail,
            },
        };
        if self.admission == Admission::Normal {
            self.admission = Admission::Retry;
        }
        match reason {
            Reason::Outgrown => self.fetch_mode = FetchMode::Portal,
            Reason::Writes => {}
            Reason::ConnectionLost => {
                // From a portal it is known whether it has begun.
                self.fetch_mode = FetchMode::Portal;
                self.retries += 1;
            }
        }
        Next::RunAgain(reason)
    }

    /// Why what has failed so runs once more, if it does.
    fn reason(&mut self, failure: Failure) -> Option<Reason> {
        if self.of == Of::Statement(AccessMode::ReadWrite) && failure.only_reads && failure.needs_to_write {
            return Some(Reason::Writes);
        }
        if !failure.connection_lost || failure.outcome_unknown {
            return None;
        }
        if failure.begun {
            // Of a read nothing is lost but its time. But once only: it may be what the server dies of.
            let may_repeat = self.of != Of::Batch && failure.only_reads && !failure.rows_came && !self.was_lost;
            // Whoever has ended it does not want it to run.
            let may_repeat = may_repeat && !failure.terminated;
            if !may_repeat {
                return None;
            }
            self.was_lost = true;
        }
        Some(Reason::ConnectionLost)
    }
}

impl Failure {
    /// What matters of that error, of a run that came so far.
    pub(super) fn of(error: &QueryError, progress: &RunProgress) -> Self {
        Self {
            connection_lost: error.is_lost_connection(),
            needs_to_write: error.needs_to_write(),
            outcome_unknown: matches!(error, QueryError::Unavailable { outcome_unknown: true, .. }),
            terminated: error.is_termination() && (progress.bound.get() || progress.since.elapsed() > LAST_WORDS_MAX),
            begun: progress.begun.get(),
            only_reads: progress.only_reads.get(),
            rows_came: progress.rows_came.get(),
        }
    }
}

#[cfg(test)]
mod tests;
