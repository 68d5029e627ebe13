//! A private PostgreSQL server, for tests and for demonstrations.
//!
//! It lives in a temporary folder and listens on 127.0.0.1 and on a socket in that folder. When its [`PrivateCluster`]
//! is dropped, or the process that made it ends in whatever way, the server and its folder are gone.
//! Blocking code without a runtime and without a client library. Nothing that the server holds is durable
//! (`fsync=off`).
//!
//! - [`Options`]: what a cluster is started with.
//! - [`PrivateCluster`]: a server that runs, or that is stopped and can start again.
//! - [`ClusterError`]: why there is none.
//!
//! Inside: `template` makes a data folder once in a process, of which each cluster gets a copy; `folder` makes temporary
//! folders that go away with the process; `programs` finds PostgreSQL and runs its programs.

#![warn(missing_docs)]

mod cluster;
mod error;
mod folder;
mod options;
mod programs;
mod template;

pub use cluster::PrivateCluster;
pub use error::ClusterError;
pub use options::Options;

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
