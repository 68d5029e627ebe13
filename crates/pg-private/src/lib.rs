//! A private PostgreSQL server for tests and demonstrations.
//!
//! It runs in a temporary folder and listens on 127.0.0.1 and on a socket in that folder. When its [`PrivateCluster`]
//! is dropped, or when the process that made it ends in any way, the server ends and its folder is removed. The
//! functions block; no async runtime and no client library are needed. The data is not durable (`fsync=off`).
//!
//! - [`Options`]: the options for a cluster.
//! - [`PrivateCluster`]: a server that runs, or that is stopped and can start again.
//! - [`ClusterError`]: why a cluster could not be made, started or stopped.
//!
//! The private modules: `template` makes a data folder once in a process, and each cluster gets a copy of it. `folder`
//! makes temporary folders that are removed with the process. `programs` finds PostgreSQL and runs its programs.

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
