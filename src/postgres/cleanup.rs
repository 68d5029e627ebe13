//! What has to be undone on a connection when a call is over.

use pg_guard::Clearance;

use crate::settings::AccessMode;

/// What a call may have left on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup {
    /// How its transaction is to end.
    pub transaction: TransactionEnd,
    /// What outlives that.
    pub session: SessionCleanup,
}

/// How a transaction ends that is still open, or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEnd {
    /// There is none.
    None,
    /// It is not wanted, or has done nothing but read.
    Rollback,
    /// What it did has been answered.
    Commit,
}

/// What is left in the session when the transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionCleanup {
    Nothing,
    /// What a ROLLBACK does not undo.
    WhatRollbackLeaves,
    /// Anything.
    Everything,
}

impl Cleanup {
    /// There is nothing to undo.
    pub const NOTHING: Self = Self { transaction: TransactionEnd::None, session: SessionCleanup::Nothing };

    /// What a statement leaves in a transaction that has begun for it, if nothing of it is answered.
    pub fn begun(clearance: Clearance) -> Self {
        Self {
            transaction: TransactionEnd::Rollback,
            session: match clearance {
                Clearance { leaves_nothing: true, .. } => SessionCleanup::Nothing,
                Clearance { access: AccessMode::ReadOnly, .. } => SessionCleanup::WhatRollbackLeaves,
                Clearance { access: AccessMode::ReadWrite, .. } => SessionCleanup::Everything,
            },
        }
    }

    /// The same, when it is answered, or part of it and nobody wants the rest: what it did besides reading, such as
    /// NOTIFY, must last in read-write mode.
    #[must_use]
    pub fn answered(self, access: AccessMode) -> Self {
        match (self.transaction, access) {
            (TransactionEnd::Rollback, AccessMode::ReadWrite) => Self { transaction: TransactionEnd::Commit, ..self },
            _ => self,
        }
    }

    /// The same, when its transaction has ended.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { transaction: TransactionEnd::None, ..self }
    }

    /// Whether it is what a statement leaves that may write.
    pub fn is_of_a_write(self) -> bool {
        self.session == SessionCleanup::Everything
    }
}
