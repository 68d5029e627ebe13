//! The tools that report on the statements of this server.

pub(super) mod performance_summary;
pub(super) mod slow_queries;
