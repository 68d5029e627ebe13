//! The tools that say how the statements of this server have gone.

pub(super) mod performance_summary;
pub(super) mod slow_queries;
