//! What a tool gets with its arguments: the call, the databases and metrics that it can ask, and the limits of its answer.

use std::sync::Arc;

use super::argument_types::Count;
use crate::messages::call::CallContext;
use crate::messages::database::{ClientDatabases, Database};
use crate::messages::metrics::MetricsHandle;
use crate::postgres::statement::Limits;
use crate::settings::{AccessMode, Settings};

/// The call that a tool works for, and what the tool can send messages to.
#[derive(Clone)]
pub struct ToolContext {
    pub call: CallContext,
    /// The database that the call is for.
    pub database: Arc<Database>,
    /// Whether the call may name its database. Then the argument with the name is no argument of the tool.
    pub may_name_database: bool,
    /// All databases that the client may use.
    pub databases: Arc<ClientDatabases>,
    pub metrics: Arc<MetricsHandle>,
}

impl ToolContext {
    /// The access mode of the call's statements: that of the database, or that of the caller if it is stricter.
    pub(super) fn access(&self) -> AccessMode {
        let of_database = self.database.summary.borrow().access;
        if self.call.caller.access == AccessMode::ReadOnly { AccessMode::ReadOnly } else { of_database }
    }

    /// The names of the databases that the client may use. It must learn nothing of others.
    pub(super) fn names(&self) -> Arc<[Arc<str>]> {
        self.databases.names()
    }
}

/// The limits that the operator has set for answers.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// The limits of a call that asks for none.
    pub limits: Limits,
    /// The most that a call may ask for.
    pub ceilings: Limits,
}

impl Defaults {
    /// The limits in these settings.
    pub fn of(settings: &Settings) -> Self {
        let limits = &settings.limits;
        Self {
            limits: Limits { rows_max: limits.rows_max, bytes_max: limits.bytes_max },
            ceilings: Limits {
                rows_max: limits.rows_ceiling.max(limits.rows_max),
                bytes_max: limits.bytes_ceiling.max(limits.bytes_max),
            },
        }
    }

    /// The limits of a call that asks for these.
    pub(super) fn limits(&self, max_rows: Option<Count>, max_bytes: Option<Count>) -> Limits {
        let within = |asked: Option<Count>, default, ceiling| asked.map_or(default, |Count(asked)| asked.min(ceiling));
        Limits {
            rows_max: within(max_rows, self.limits.rows_max, self.ceilings.rows_max),
            bytes_max: within(max_bytes, self.limits.bytes_max, self.ceilings.bytes_max),
        }
    }
}
