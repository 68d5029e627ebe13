//! The connections to one database: opened, given to one call at a time in a fair order, cleaned and closed.
//!
//! A [`Generation`] is made for one target and never changes it; its size and its clocks may change. Who may have a
//! connection is decided in `fair_queue`, before the pool is asked; `connect` opens one, and a [`Lease`] is one in the
//! hands of a call. [`health`] knows whether the database can be reached.

mod connect;
mod fair_queue;
mod generation;
pub mod health;
mod lease;
mod live;
mod shared;

pub use fair_queue::Admission;
pub use generation::Generation;
pub use lease::{Lease, OURSELVES};
pub use shared::{Draining, PoolStatus};
