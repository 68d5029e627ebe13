//! What a cluster is started with.

/// What a cluster is started with. The default trusts everybody who can connect to 127.0.0.1.
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

    /// A setting of `postgresql.conf`, as `-c name=value`. It is stronger than the crate's own.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// A line of `pg_hba.conf`. Lines stand in the order given, above initdb's: the first match wins.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.into());
        self
    }

    /// A file in the data folder that only the server can read. `ssl_cert_file` and others are looked for there.
    pub fn file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), contents.into()));
        self
    }

    /// Everybody is asked for a password, by SCRAM, and this is the superuser's.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }
}
