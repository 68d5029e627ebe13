//! The messages between the actors, with their replies, and the events.
//!
//! Every part above may import these, and they import no actor. A tool sends messages and a session runs tools, so with the
//! messages in the files of the actors each would need the other.

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
