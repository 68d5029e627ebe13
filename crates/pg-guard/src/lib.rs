//! Whether a SQL statement only reads, and may run where only reading is wanted.
//!
//! A text becomes a [`Statement`]; the [`Guard`] reviews it by PostgreSQL's own parser, which runs in a process of its own
//! ([`parser`]), and makes it a [`Reviewed`]; that is cleared on a connection, by what its names stand for there, and
//! becomes a [`Cleared`]. Whoever binds nothing else runs nothing that was not cleared. What may not run is a [`Refusal`],
//! with the [`Rule`] that refuses it and a sentence for whoever wrote the statement.
//!
//! - [`statement`](Statement): a text, its first keyword, its parameters. `unsupported` knows what no call can run,
//!   `session` what cannot run through a pooler.
//! - [`sql`]: what can be said of a text without a parser: its keyword, its names, its form without literals.
//! - [`parser`], [`syntax`]: PostgreSQL's parser, and what is taken from its tree, which `walk` goes through.
//! - `catalog`: what the names are in a database. `secrets`: what is not to be read there.
//! - `policy`: the tables of what is known, and the decision on each name.
//! - `guard`: all of it together, and the memory of what was decided.
//!
//! This guards nothing by itself: PostgreSQL's READ ONLY transaction and the rights of the role do. It refuses what those
//! let through: functions with effects outside of the transaction, locks, settings, secrets.

#![warn(missing_docs)]

mod catalog;
mod guard;
pub mod parser;
mod policy;
mod refusal;
mod secrets;
mod session;
pub mod sql;
mod statement;
pub mod syntax;
mod unsupported;
mod walk;

pub use catalog::Questions;
pub use guard::{Clearance, Cleared, Guard, NotCleared, Reviewed};
pub use policy::Policy;
pub use refusal::{Refusal, Rule};
pub use statement::{AccessMode, Statement};
pub use unsupported::Transaction;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
