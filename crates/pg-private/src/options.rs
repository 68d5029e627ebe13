//! The options for a cluster.

/// The options for a cluster. By default everyone who can connect to 127.0.0.1 can log in without a password.
#[derive(Clone, Default)]
pub struct Options {
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) hba: Vec<String>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) password: Option<String>,
}

impl Options {
    /// No settings, no password.
    pub fn new() -> Self {
        Self::default()
    }

    /// A setting, as `-c name=value`. It overrides the settings that this crate chooses.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// A line of `pg_hba.conf`. The lines keep this order and come before those of initdb; the first match counts.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.into());
        self
    }

    /// A file in the data folder that only the server can read. `ssl_cert_file` and similar settings find it there.
    pub fn file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), contents.into()));
        self
    }

    /// The password of the superuser. All roles then log in with SCRAM.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }
}
