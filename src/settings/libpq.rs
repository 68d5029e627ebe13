//! The files of libpq: the password file, the service file, and the files in the home folder that libpq reads by
//! default.

use std::path::{Path, PathBuf};

use super::read::NamedBy;

pub mod passfile;
pub(super) mod service;
pub(super) mod variables;

/// The places where libpq looks for its files, from the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// The home folder.
    home: Option<PathBuf>,
    /// The value of PGSERVICEFILE.
    service_file: Option<PathBuf>,
    /// The value of PGSYSCONFDIR.
    system_folder: Option<PathBuf>,
}

/// The folders in which packages of libpq look for the service file of all users: Debian's, and the one of PostgreSQL's own
/// RPMs.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

impl Places {
    /// `variable` returns the value of an environment variable. Relative paths start from `folder`.
    pub(super) fn new(folder: &Path, variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| variable(name).filter(|text| !text.is_empty()).map(|text| folder.join(text));
        Self { home: path("HOME"), service_file: path("PGSERVICEFILE"), system_folder: path("PGSYSCONFDIR") }
    }

    /// The values from the files of the home folder, for keys that no source has set.
    pub(super) fn defaults(&self) -> Vec<(&'static str, String)> {
        let Some(home) = &self.home else { return Vec::new() };
        // It is read when a connection is opened, so it may be created later.
        let mut defaults = vec![("POSTGRES_PASSFILE", home.join(".pgpass"))];
        let tls = home.join(".postgresql");
        let own = [("POSTGRES_SSL_CERT", tls.join("postgresql.crt")), ("POSTGRES_SSL_KEY", tls.join("postgresql.key"))];
        let root = ("POSTGRES_SSL_ROOT_CERT", tls.join("root.crt"));
        if own[0].1.exists() {
            defaults.extend(own);
        }
        if root.1.exists() {
            defaults.push(root);
        }
        defaults.into_iter().map(|(key, path)| (key, path.display().to_string())).collect()
    }

    /// The service files in the order in which they are searched, and who has named each.
    fn service_files(&self) -> Vec<(PathBuf, NamedBy)> {
        let own = match (&self.service_file, &self.home) {
            (Some(file), _) => Some((file.clone(), NamedBy::Setting)),
            (None, Some(home)) => Some((home.join(".pg_service.conf"), NamedBy::Nobody)),
            (None, None) => None,
        };
        let system = match &self.system_folder {
            Some(folder) => vec![folder.clone()],
            None => SYSTEM_FOLDERS.map(PathBuf::from).to_vec(),
        };
        own.into_iter()
            .chain(system.into_iter().map(|folder| (folder.join("pg_service.conf"), NamedBy::Nobody)))
            .collect()
    }
}
