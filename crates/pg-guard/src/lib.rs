//! Decides whether an SQL statement only reads, so that it may run in read-only mode.
//!
//! A text becomes a [`Statement`]. The [`Guard`] parses it with PostgreSQL's own parser, which runs in a separate
//! process ([`parser`]), and returns a [`Reviewed`] statement. On a connection its names are judged by the facts about the
//! database, and it becomes [`Cleared`]. A program that binds only cleared statements runs no other. A statement that may not run
//! leads to a [`Refusal`]: it has the [`Rule`] and a sentence for the author of the statement.
//!
//! - [`statement`](Statement): a text, its first keyword, its parameters. `unsupported` knows what no call can run,
//!   `session` what cannot run through a pooler.
//! - [`sql`]: what can be said of a text without a parser: its keyword, its names, its form without literals.
//! - [`parser`], [`syntax`]: PostgreSQL's parser, and what is taken from its tree, which `walk` goes through.
//! - `facts`: what a database has, and what runs in it without a name. `reach`: what of it a statement reaches.
//!   `secrets`: what is not to be read there.
//! - `known`: lists of the functions of PostgreSQL and of extensions. `policy`: the decision on each name.
//! - `guard`: all of it together, and the memory of what was decided. `survey`: a report about a database.
//!
//! The guard is not the security boundary: PostgreSQL's READ ONLY transaction and the rights of the role are. The guard
//! refuses what those allow: functions with effects outside of the transaction, locks, settings, secrets.

#![warn(missing_docs)]

mod facts;
mod guard;
mod known;
pub mod parser;
mod policy;
mod reach;
mod refusal;
mod secrets;
mod session;
pub mod sql;
mod statement;
mod survey;
pub mod syntax;
mod unsupported;
mod walk;

pub use facts::SessionFacts;
pub use guard::{Clearance, Cleared, Guard, NotCleared, Reviewed};
pub use policy::Policy;
pub use refusal::{Refusal, Rule};
pub use statement::{AccessMode, Statement};
pub use survey::{LiveWire, Survey};
pub use unsupported::Transaction;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
