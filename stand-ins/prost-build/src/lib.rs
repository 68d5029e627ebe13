//! Stands in for prost-build in the build of `pg_query`, which has no other user here.
//!
//! `pg_query` comes with the code that its protocol buffers give, and makes it anew, in its own sources, where it
//! finds a `protoc`. So the same commit would be another program on another machine; and prost-build is a large tree
//! of crates for something that is there already. This one gives what is there.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// As much of prost-build's configuration as is called.
#[derive(Debug, Default)]
pub struct Config;

impl Config {
    /// A configuration.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// What to add to the types; the code that is there has it.
    pub fn type_attribute(&mut self, _path: impl AsRef<str>, _attribute: impl AsRef<str>) -> &mut Self {
        self
    }

    /// Put the code where the generated code would be.
    ///
    /// # Errors
    /// The code is not where it should be, or cannot be copied.
    pub fn compile_protos(&mut self, _protos: &[impl AsRef<Path>], _includes: &[impl AsRef<Path>]) -> io::Result<()> {
        let folder = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("no {name}")));
        fs::copy(folder("CARGO_MANIFEST_DIR")?.join("src/protobuf.rs"), folder("OUT_DIR")?.join("pg_query.rs"))?;
        Ok(())
    }
}
