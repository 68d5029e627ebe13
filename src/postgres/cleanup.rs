//! What must be undone on a connection after a call.

use pg_guard::Clearance;

use crate::settings::AccessMode;

/// What a call may have left on its connection, and how to undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup {
    /// How its transaction must end.
    pub transaction: TransactionEnd,
    /// What must be reset after the transaction has ended.
    pub session: SessionCleanup,
}

/// How to end a transaction that is still open or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEnd {
    /// No transaction is open.
    None,
    /// It is not needed, or it has only read.
    Rollback,
    /// Its result was sent to the client.
    Commit,
}

/// What may remain in the session after the transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionCleanup {
    Nothing,
    /// What a ROLLBACK does not undo (session-level advisory locks).
    WhatRollbackLeaves,
    /// Any change of the session.
    Everything,
}

impl Cleanup {
    pub const NOTHING: Self = Self { transaction: TransactionEnd::None, session: SessionCleanup::Nothing };

    /// The cleanup of a statement that has begun in a transaction and has not been answered.
    pub fn begun(clearance: Clearance) -> Self {
        Self {
            transaction: TransactionEnd::Rollback,
            session: match clearance {
                Clearance { leaves_no_state: true, .. } => SessionCleanup::Nothing,
                Clearance { access: AccessMode::ReadOnly, .. } => SessionCleanup::WhatRollbackLeaves,
                Clearance { access: AccessMode::ReadWrite, .. } => SessionCleanup::Everything,
            },
        }
    }

    /// The cleanup after the statement was answered, wholly or in part. In read-write mode the transaction is
    /// committed: what the statement did besides reading, such as NOTIFY, must last.
    #[must_use]
    pub fn answered(self, access: AccessMode) -> Self {
        match (self.transaction, access) {
            (TransactionEnd::Rollback, AccessMode::ReadWrite) => Self { transaction: TransactionEnd::Commit, ..self },
            _ => self,
        }
    }

    /// The cleanup after the transaction has ended.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { transaction: TransactionEnd::None, ..self }
    }

    /// Whether this is the cleanup of a statement that may write.
    pub fn is_of_a_write(self) -> bool {
        self.session == SessionCleanup::Everything
    }
}
