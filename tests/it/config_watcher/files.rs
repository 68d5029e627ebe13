//! The watcher with real files, changed in the ways in which editors, programs and Kubernetes change files. A test
//! waits until the file system has reported a change.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::prelude::*;
use mcp_server_postgres::actors::config_watcher::ConfigWatcher;
use mcp_server_postgres::messages::events::{SettingsChanged, Subscribers};
use mcp_server_postgres::settings::{self, AccessMode, Inputs, Secret};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::common::heard::{Lines, heard};
use crate::common::scripted::{Script, scripted};

/// A folder and a watcher of its files.
struct World {
    folder: TempDir,
    changes: Script<SettingsChanged>,
    lines: Lines,
    _watcher: Addr<ConfigWatcher>,
}

impl World {
    /// `prepare` fills the folder. The watcher loads the settings from it with `inputs`.
    async fn new(prepare: impl FnOnce(&Path), inputs: Inputs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let environment = vec![("MCP_RELOAD_DEBOUNCE_MS".to_owned(), "10".to_owned())];
        let inputs = Inputs { folder: folder.path().to_owned(), environment, ..inputs };
        let loaded = settings::load(&inputs).unwrap();
        let (sender, mut loads) = mpsc::unbounded_channel();
        // Every load writes a log file into the folder.
        let log_file = folder.path().join("server.log");
        let load = Arc::new(move || {
            append(&log_file, "loading");
            let loaded = settings::load(&inputs);
            let _ = sender.send(());
            loaded
        });
        let (recipient, changes) = scripted();
        let (log, lines) = heard();
        let watcher = ConfigWatcher::new(&loaded, load, recipient.into(), Subscribers::default(), None, &log).start();
        loads.recv().await.unwrap();
        Self { folder, changes, lines, _watcher: watcher }
    }

    /// A folder with a named `.env` file that sets 10 rows.
    async fn with_env_file() -> Self {
        let inputs = Inputs { env_file: Some(PathBuf::from(".env")), ..Inputs::default() };
        Self::new(|folder| fs::write(folder.join(".env"), rows(10)).unwrap(), inputs).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next change sets this number of rows.
    async fn assert_rows(&mut self, rows_max: usize) {
        assert_eq!(self.changes.next().await.message.new.limits.rows_max, rows_max);
    }
}

fn rows(rows: usize) -> String {
    format!("MCP_MAX_ROWS={rows}\n")
}

fn append(path: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// Replaces a file as editors do: they rename a new file over it.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[actix_rt::test]
async fn a_file_that_is_written_in_place_is_loaded() {
    let mut world = World::with_env_file().await;
    for rows_max in [20, 30] {
        fs::write(world.path(".env"), rows(rows_max)).unwrap();
        world.assert_rows(rows_max).await;
    }
    append(&world.path(".env"), &rows(40));
    world.assert_rows(40).await;
}

#[actix_rt::test]
async fn a_file_that_another_is_renamed_over_is_loaded() {
    let mut world = World::with_env_file().await;
    for rows_max in [20, 30, 40] {
        replace(&world.path(".env"), &rows(rows_max));
        world.assert_rows(rows_max).await;
    }
}

#[actix_rt::test]
async fn a_file_that_is_created_later_is_loaded() {
    let mut world = World::new(|_| (), Inputs::default()).await;
    fs::write(world.path(".env"), rows(20)).unwrap();
    world.assert_rows(20).await;
}

#[actix_rt::test]
async fn a_file_that_is_removed_and_created_again_is_loaded() {
    let mut world = World::with_env_file().await;
    for rows_max in [20, 30] {
        fs::remove_file(world.path(".env")).unwrap();
        let line = world.lines.next("settings not reloaded").await.text;
        assert!(line.ends_with("/.env cannot be read: No such file or directory (os error 2)"), "{line}");
        fs::write(world.path(".env"), rows(rows_max)).unwrap();
        world.assert_rows(rows_max).await;
    }
}

#[actix_rt::test]
async fn a_file_with_a_mistake_is_named_in_the_log_with_the_key_and_the_next_one_is_loaded() {
    let mut world = World::with_env_file().await;
    replace(&world.path(".env"), "MCP_MAX_ROWS=many\n");
    let line = world.lines.next("settings not reloaded").await.text;
    assert!(line.contains("MCP_MAX_ROWS is \"many\"") && line.contains("/.env, line 1"), "{line}");
    replace(&world.path(".env"), &rows(20));
    world.assert_rows(20).await;
}

#[actix_rt::test]
async fn a_folder_whose_link_kubernetes_replaces_is_loaded() {
    let version = |folder: &Path, number: usize| {
        let version = folder.join(format!("..version_{number}"));
        fs::create_dir(&version).unwrap();
        fs::write(version.join(".env"), rows(number)).unwrap();
        symlink(format!("..version_{number}"), folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    let prepare = |folder: &Path| {
        version(folder, 10);
        symlink("..data/.env", folder.join(".env")).unwrap();
    };
    let mut world = World::new(prepare, Inputs::default()).await;
    for (old, rows_max) in [(10, 20), (20, 30), (30, 40)] {
        version(world.folder.path(), rows_max);
        fs::remove_dir_all(world.path(&format!("..version_{old}"))).unwrap();
        world.assert_rows(rows_max).await;
    }
}

#[actix_rt::test]
async fn a_link_is_followed_to_its_current_target() {
    let link = |folder: &Path, to: &str| {
        symlink(format!("{to}/settings"), folder.join("link.new")).unwrap();
        fs::rename(folder.join("link.new"), folder.join(".env")).unwrap();
    };
    let prepare = |folder: &Path| {
        for (name, rows_max) in [("a", 10), ("b", 20), ("c", 20)] {
            fs::create_dir(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("settings"), rows(rows_max)).unwrap();
        }
        link(folder, "a");
    };
    let mut world = World::new(prepare, Inputs::default()).await;
    // The target has another name than the link.
    fs::write(world.path("a/settings"), rows(15)).unwrap();
    world.assert_rows(15).await;
    link(world.folder.path(), "b");
    world.assert_rows(20).await;
    replace(&world.path("b/settings"), &rows(30));
    world.assert_rows(30).await;
    // The new target has the same text, so there is no change; but later changes of it are noticed.
    replace(&world.path("c/settings"), &rows(30));
    link(world.folder.path(), "c");
    replace(&world.path("c/settings"), &rows(40));
    world.assert_rows(40).await;
    fs::write(world.path("c/settings"), rows(50)).unwrap();
    world.assert_rows(50).await;
}

#[actix_rt::test]
async fn the_password_file_and_the_toml_file_are_followed_in_folders_of_their_own() {
    let prepare = |folder: &Path| {
        for name in ["secrets", "config"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        fs::write(folder.join("secrets/password"), "first\n").unwrap();
        fs::write(folder.join(".env"), "POSTGRES_PASSWORD_FILE=secrets/password\n").unwrap();
        fs::write(folder.join("config/server.toml"), "[mcp]\nmax_rows = 10\n").unwrap();
    };
    let config_file = Some(PathBuf::from("config/server.toml"));
    let env_file = Some(PathBuf::from(".env"));
    let mut world = World::new(prepare, Inputs { config_file, env_file, ..Inputs::default() }).await;

    fs::write(world.path("secrets/password"), "second").unwrap();
    assert_eq!(world.changes.next().await.message.new.postgres.target.password, Some(Secret::new("second")));
    replace(&world.path("secrets/password"), "third\n");
    assert_eq!(world.changes.next().await.message.new.postgres.target.password, Some(Secret::new("third")));
    replace(&world.path("config/server.toml"), "[mcp]\nmax_rows = 20\n");
    world.assert_rows(20).await;

    // A file that the settings name only now is watched from now on.
    fs::create_dir(world.path("other")).unwrap();
    fs::write(world.path("other/password"), "fourth").unwrap();
    replace(&world.path(".env"), "POSTGRES_PASSWORD_FILE=other/password\n");
    assert_eq!(world.changes.next().await.message.new.postgres.target.password, Some(Secret::new("fourth")));
    fs::write(world.path("other/password"), "fifth").unwrap();
    assert_eq!(world.changes.next().await.message.new.postgres.target.password, Some(Secret::new("fifth")));
}

#[actix_rt::test]
async fn changes_of_other_files_in_the_folder_cause_no_reload() {
    let mut world = World::with_env_file().await;
    for round in 0..50 {
        append(&world.path("server.log"), "as a server does");
        fs::write(world.path(&format!("unrelated {round}")), rows(round)).unwrap();
        fs::rename(world.path(&format!("unrelated {round}")), world.path(".env.example")).unwrap();
    }
    // The file is read again, with the same text.
    replace(&world.path(".env"), &rows(10));
    replace(&world.path(".env"), &rows(20));
    let change = world.changes.next().await.message;
    assert_eq!((change.old.limits.rows_max, change.new.limits.rows_max), (10, 20));
    world.lines.next("settings reloaded").await;
    assert_eq!(world.lines.count("settings reloaded"), 0);
    assert!(world.changes.is_silent());
}

#[actix_rt::test]
async fn a_password_file_that_is_created_after_the_setting_that_names_it_is_loaded() {
    let mut world = World::with_env_file().await;
    fs::create_dir(world.path("secrets")).unwrap();
    let password = world.path("secrets").join("password");
    replace(&world.path(".env"), &format!("{}POSTGRES_PASSWORD_FILE={}\n", rows(20), password.display()));
    let line = world.lines.next("settings not reloaded").await.text;
    assert!(line.contains("POSTGRES_PASSWORD_FILE"), "{line}");
    replace(&password, "secret\n");
    world.assert_rows(20).await;
}

#[actix_rt::test]
async fn a_file_that_nobody_has_named_sets_limits_while_it_is_there_and_never_the_access_mode() {
    let mut world = World::new(|_| (), Inputs::default()).await;
    for rows_max in [20, 30] {
        fs::write(world.path(".env"), format!("MCP_ACCESS_MODE=read-write\n{}", rows(rows_max))).unwrap();
        let change = world.changes.next().await.message.new;
        assert_eq!((change.limits.rows_max, change.access), (rows_max, AccessMode::ReadOnly));
        let line = world.lines.next("settings; warning=").await.text;
        assert!(line.contains("MCP_ACCESS_MODE (line 1)") && line.ends_with("name it by --env-file"), "{line}");
        fs::remove_file(world.path(".env")).unwrap();
        let change = world.changes.next().await.message.new;
        assert_eq!((change.limits.rows_max, change.access), (1000, AccessMode::ReadOnly));
    }
}

#[actix_rt::test]
async fn a_pipe_in_the_place_of_a_file_stops_neither_the_watcher_nor_what_comes_after_it() {
    let mut world = World::new(|_| (), Inputs::default()).await;
    let made = std::process::Command::new("mkfifo").arg(world.path(".env")).status().unwrap();
    assert!(made.success());
    let line = world.lines.next("settings; warning=").await.text;
    assert!(line.contains("it is a pipe and no regular file"), "{line}");
    replace(&world.path(".env"), &rows(20));
    world.assert_rows(20).await;
}
