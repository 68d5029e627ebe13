//! Finds the programs of PostgreSQL and runs them as the right user.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::error::{ClusterError, at, last_lines};

/// The name of the superuser and of the database that every new cluster has.
pub(crate) const SUPERUSER: &str = "postgres";

/// Folders with one PostgreSQL for each version: the folder, and the prefix of the version.
const INSTALLED_IN: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""), // Debian
    ("/usr", "pgsql-"),          // the RPMs of postgresql.org
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// The PostgreSQL installation of this machine. It is searched once in a process.
pub(crate) struct Installation {
    binaries: PathBuf,
    /// The user that PostgreSQL runs as if this process is root, because PostgreSQL refuses to run as root.
    pub(crate) owner: Option<Owner>,
}

#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Installation {
    pub(crate) fn find() -> Result<&'static Self, ClusterError> {
        static FOUND: OnceLock<Installation> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found);
        }
        let owner = if rustix::process::geteuid().is_root() { Some(unprivileged()?) } else { None };
        let found = Self { binaries: binaries()?, owner };
        Ok(FOUND.get_or_init(|| found))
    }

    /// A command for one of the programs of PostgreSQL. It has a process group of its own, so that Ctrl-C in a terminal
    /// does not end it. It ends after its parent.
    pub(crate) fn program(&self, name: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command
            .current_dir(folder) // the owner may have no right to enter the current folder
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .process_group(0);
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }
}

/// The user that runs PostgreSQL: `postgres`, which the package of Debian creates, or `nobody`, which every system has.
fn unprivileged() -> Result<Owner, ClusterError> {
    let owner = |name| -> Result<Owner, ClusterError> { Ok(Owner { uid: id("-u", name)?, gid: id("-g", name)? }) };
    owner("postgres").or_else(|_| owner("nobody"))
}

/// The number that `id` prints for the user with this name.
fn id(which: &str, name: &str) -> Result<u32, ClusterError> {
    let mut command = Command::new("id");
    command.args([which, name]);
    let output = run(command, "id")?;
    let number = String::from_utf8_lossy(&output.stdout).trim().parse::<i64>();
    // macOS prints the id 4294967294 of nobody as -2.
    number.map(|number| number as u32).map_err(|error| at("read the number that id printed")(io::Error::other(error)))
}

/// The folder with PostgreSQL's programs. If `PG_BIN_DIR` is set, only that folder is searched.
fn binaries() -> Result<PathBuf, ClusterError> {
    let looked_in = match env::var_os("PG_BIN_DIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => {
            let mut folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
            if let Ok(output) = run(pg_config_bindir(), "pg_config") {
                folders.push(String::from_utf8_lossy(&output.stdout).trim_end().into());
            }
            folders.extend(INSTALLED_IN.iter().flat_map(|(parent, prefix)| newest_first(parent.as_ref(), prefix)));
            folders
        }
    };
    first_with_server(looked_in)
}

fn pg_config_bindir() -> Command {
    let mut command = Command::new("pg_config");
    command.arg("--bindir");
    command
}

/// The first folder with both programs. A link to `initdb`, as in /usr/local/bin, is followed, because `initdb` looks
/// for `postgres` in its real folder.
fn first_with_server(looked_in: Vec<PathBuf>) -> Result<PathBuf, ClusterError> {
    let real = |folder: &PathBuf| Some(fs::canonicalize(folder.join("initdb")).ok()?.parent()?.to_owned());
    match looked_in.iter().filter_map(real).find(|folder| folder.join("postgres").is_file()) {
        Some(folder) => Ok(folder),
        None => Err(ClusterError::NotInstalled { looked_in }),
    }
}

/// The `bin` folders of those folders in `parent` whose names are `prefix` and a version, the newest version first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let version = |name: OsString| -> Option<Vec<u32>> {
        let version = name.to_str()?.strip_prefix(prefix)?;
        version.split('.').map(|part| part.parse().ok()).collect()
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(entry.file_name())?, entry.path().join("bin"))))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, folder)| folder).collect()
}

pub(crate) fn run(mut command: Command, program: &'static str) -> Result<Output, ClusterError> {
    let output = command.stdin(Stdio::null()).output().map_err(at("run a program"))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = [output.stdout, output.stderr].concat();
    Err(ClusterError::Failed { program, status: output.status, output: last_lines(&String::from_utf8_lossy(&text)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_tried_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pg@9.6", "pg@15", "pg@16", "pg@16.2", "pg@", "pg@old", "16"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = newest_first(parent.path(), "pg@");
        let expected = ["pg@16.2", "pg@16", "pg@15", "pg@9.6"];
        assert_eq!(found, expected.map(|name| parent.path().join(name).join("bin")));
        assert_eq!(newest_first(&parent.path().join("absent"), ""), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_error_for_a_missing_server_says_how_to_install_it() {
        let empty = tempfile::tempdir().unwrap();
        let error = first_with_server(vec![empty.path().into()]).unwrap_err().to_string();
        for needed in ["apt-get install postgresql", "brew install postgresql", "PG_BIN_DIR"] {
            assert!(error.contains(needed), "{error}");
        }
        assert!(error.contains(&empty.path().display().to_string()), "{error}");
    }
}
