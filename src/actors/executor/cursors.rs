//! Cursors: statements with more rows, each of which waits with its connection for the next page. They are the entries
//! of the table in `handles`.

use std::time::Duration;

use pg_guard::Clearance;

use super::handles::{Ended, Handles, Held, Kept, Taken, Unusable};
use super::{fail, settle};
use crate::messages::database::OF_DATABASE;
use crate::messages::statements::Cursor;
use crate::postgres::cleanup::Cleanup;
use crate::postgres::error::QueryError;
use crate::postgres::pool::Lease;
use crate::postgres::run::Reader;
use crate::postgres::statement::Format;
use crate::settings::MAIN_DATABASE;

/// The cursors of an executor.
pub(super) type Cursors = Handles<Open>;

/// A statement whose next rows can be read. The order of the fields matters: the reader must be dropped before the
/// lease.
pub(super) struct Open {
    pub(super) reader: Reader,
    pub(super) lease: Lease,
    pub(super) clearance: Clearance,
    /// The format of its last page.
    pub(super) format: Format,
}

impl Held for Open {
    const NAME: &'static str = "cursor";

    fn lifetime(&self) -> Duration {
        self.lease.clocks().cursor_lifetime
    }

    fn handles_max(&self) -> usize {
        // One connection stays free for the other calls.
        self.lease.others_max()
    }

    fn close(self) {
        let left = Cleanup::begun(self.clearance).answered(self.clearance.access);
        self.settle(left);
    }
}

impl Open {
    /// Nothing of it runs any more, and this is what is left of it on its connection.
    fn settle(self, left: Cleanup) {
        drop(self.reader);
        settle(self.lease, left, None);
    }
}

impl From<Kept> for Cursor {
    fn from(Kept { handle, lifetime }: Kept) -> Self {
        Self { handle, lifetime }
    }
}

impl Taken<Open> {
    /// There are more rows: the cursor waits for the next call.
    pub(super) fn wait(self) -> Option<Cursor> {
        self.keep().map(Cursor::from)
    }

    /// It is read to its end.
    pub(super) fn finish(self, left: Cleanup) {
        self.end(Ended::Finished).settle(left);
    }

    /// Its statement has failed. Returns the error with what is known then.
    pub(super) async fn fail(self, left: Cleanup, error: QueryError) -> QueryError {
        let Open { reader, lease, .. } = self.end(Ended::Failed);
        drop(reader);
        fail(lease, left, error).await
    }
}

/// The prefix of the handles of a database's cursors: its name, or nothing for the main database.
pub(super) fn prefix(database: &str) -> String {
    if database == MAIN_DATABASE { String::new() } else { format!("{database}{OF_DATABASE}") }
}

/// The error for a cursor that cannot be used, as the model reads it.
pub(super) fn refusal(unusable: Unusable) -> QueryError {
    let why = match unusable {
        Unusable::InUse => {
            return QueryError::refused("Another call reads from this cursor: wait for its answer.");
        }
        Unusable::Ended(Ended::Finished) => "This cursor has been read to its end.".to_owned(),
        Unusable::Ended(Ended::Expired(after)) => {
            format!("This cursor has expired: it waited for more than {after:?} (MCP_CURSOR_LIFETIME).")
        }
        Unusable::Ended(Ended::Displaced) => {
            "This cursor was closed: a newer one needed its place (MCP_MAX_CURSORS).".to_owned()
        }
        Unusable::Ended(Ended::Dropped) => "This cursor was closed: a call that read from it was cancelled.".to_owned(),
        Unusable::Ended(Ended::Failed) => "This cursor was closed: its statement has failed.".to_owned(),
        Unusable::Unknown => {
            "There is no such cursor: it was never given to this client, or ended long ago.".to_owned()
        }
    };
    QueryError::refused(format!("{why} Run the query again, with ORDER BY … OFFSET if need be."))
}
