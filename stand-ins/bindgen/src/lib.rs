//! Stands in for bindgen in the build of `pg_query`, which has no other user here.
//!
//! bindgen reads a C header by libclang, a library of some 100 MB that whoever builds this program would have to
//! install. The header is the same for everybody, so what is needed of it is written down once, in
//! `src/pg_query.rs`. A header of another version than that was written for is refused, and breaks the build.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The bindings.
const BINDINGS: &str = include_str!("pg_query.rs");

/// The line of the header by which its version is known. With another version of `pg_query`, compare its header with
/// `src/pg_query.rs` and change both.
const VERSION: &str = "#define PG_VERSION_NUM 180006";

/// As much of bindgen's builder as is called.
#[derive(Debug, Default)]
pub struct Builder {
    header: PathBuf,
}

impl Builder {
    /// The header to read.
    #[must_use]
    pub fn header(self, header: impl Into<String>) -> Self {
        Self { header: header.into().into() }
    }

    /// Read it.
    ///
    /// # Errors
    /// It cannot be read, or is of another version.
    pub fn generate(self) -> Result<Bindings, String> {
        let text = fs::read_to_string(&self.header).map_err(|error| format!("{}: {error}", self.header.display()))?;
        if !text.lines().any(|line| line == VERSION) {
            return Err(format!("{}: no line {VERSION:?}; see stand-ins/bindgen", self.header.display()));
        }
        Ok(Bindings)
    }
}

/// Bindings for Rust.
#[derive(Debug)]
pub struct Bindings;

impl Bindings {
    /// Write them to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_to_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, BINDINGS)
    }
}
