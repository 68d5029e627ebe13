//! What the actors say to each other: the messages with their replies, and the events.
//!
//! Everybody above may import this, and it imports no actor: a tool sends messages and a session runs tools, so with the
//! messages in the actors' own files each would need the other.

pub mod admin;
pub mod answer;
mod arguments;
pub mod ask;
pub mod call;
pub mod database;
pub mod events;
pub mod in_flight;
pub mod inspect;
pub mod metrics;
pub mod statements;
pub(crate) mod surrogates;
pub mod trace;

pub use arguments::RawArguments;
