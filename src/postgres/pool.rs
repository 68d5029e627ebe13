//! The connections to one database: they are opened, given to one call at a time in a fair order, cleaned and closed.
//!
//! A [`Generation`] has one target and one access mode for its lifetime; its size and its timeouts may change.
//! `fair_queue` decides which call gets a connection next, before the pool is asked; `connect` opens one, and a
//! [`Lease`] is the use of one by a call. [`health`] knows whether the database can be reached.

mod ceiling;
mod connect;
mod fair_queue;
mod generation;
pub mod health;
mod health_monitor;
mod lease;
mod live;
mod place;
mod shared;

pub use fair_queue::Admission;
pub use generation::Generation;
pub use lease::{DiscardReason, INTERNAL_CLIENT, Lease};
pub use shared::{Draining, PoolStatus};
