//! The login with the password as it is when the connection is opened: libpq's password file, a file, a command.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mcp_server_postgres::settings::{PasswordCommand, PasswordSource};

use super::*;

/// Writes a file that only its owner can read.
fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The program of a shell script.
fn shell(script: &str, arguments: &[&Path]) -> PasswordSource {
    let arguments = arguments.iter().map(|path| path.display().to_string());
    PasswordSource::Command(PasswordCommand {
        program: "sh".to_owned(),
        arguments: ["-c".to_owned(), script.to_owned(), "sh".to_owned()].into_iter().chain(arguments).collect(),
    })
}

/// A cluster whose password is `right`, and an executor that has it from `source` alone.
async fn world(source: PasswordSource) -> World {
    World::with(Options::new().password("right"), |settings| {
        settings.postgres.pool.min_size = 0;
        settings.postgres.target.password_source = source;
    })
    .await
}

fn in_folder(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

#[actix_rt::test]
async fn libpqs_password_file_is_read_for_each_connection_and_only_if_nobody_else_could_read_it() {
    let (_folder, path) = in_folder(".pgpass");
    let world = world(PasswordSource::PassFile(path.clone())).await;
    let missing = "PostgreSQL asks for a password, and there is none: set POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or \
                   POSTGRES_PASSWORD_COMMAND, or add a line to libpq's password file (.pgpass)";
    let port = world.cluster.port();
    for (text, detail) in [
        (None, format!("POSTGRES_PASSFILE: {} has no line for 127.0.0.1:{port}:postgres:postgres", path.display())),
        (Some("*:1:*:*:wrong"), format!("has no line for 127.0.0.1:{port}:postgres:postgres")),
    ] {
        text.into_iter().for_each(|text| write_private(&path, text));
        let error = world.query("select 1").await.map(|_| ()).unwrap_err();
        let told = format!("This server cannot log in to the database: {missing}. The operator has to mend that.");
        assert_eq!((error.for_model(), error.is_retryable()), (told, false));
        assert!(error.to_string().contains(&detail), "{error}");
    }
    write_private(&path, &format!("*:1:*:*:wrong\n127.0.0.1:{port}:*:postgres:right\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = world.query("select 1").await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("has mode 0644, and others could read it: chmod 0600"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(world.rows("select 1").await, "[[1]]");
}

#[actix_rt::test]
async fn each_of_several_hosts_has_its_own_line_in_the_password_file() {
    let (_folder, path) = in_folder(".pgpass");
    let mut one = Options::new().password("one").start().unwrap();
    let two = Options::new().password("two").start().unwrap();
    write_private(&path, &format!("*:{}:*:*:one\n*:{}:*:*:two\n", one.port(), two.port()));
    let settings = settings_of(&two, |settings| {
        settings.postgres.pool.min_size = 0;
        settings.postgres.target.hosts = vec!["127.0.0.1".to_owned(); 2];
        settings.postgres.target.ports = vec![one.port(), two.port()];
        settings.postgres.target.password_source = PasswordSource::PassFile(path);
    });
    let port = async |executor: &Addr<Executor>| {
        let limits = Limits { rows_max: 1, bytes_max: 1000 };
        let reading = Reading { limits, format: Format::Table, cell_offset: 0 };
        let statement = statement("select current_setting('port')::int", json!([]));
        let call = CallContext::new("a test", Caller::stdio());
        executor.send(Query { call, statement, reading }).await.unwrap().unwrap().answer.page.json.clone()
    };
    let (executor, _finished, _log) = start(&settings);
    assert_eq!(port(&executor).await, format!("[{}]", one.port()));
    one.stop().unwrap();
    let (executor, _finished, _log) = start(&settings);
    assert_eq!(port(&executor).await, format!("[{}]", two.port()));
}

#[actix_rt::test]
async fn a_password_that_was_changed_in_its_file_is_used_by_the_next_connection() {
    let (_folder, path) = in_folder("password");
    fs::write(&path, "right\n").unwrap();
    let world = world(PasswordSource::File(path.clone())).await;
    let busy = actix_rt::spawn(world.ask("select pg_sleep(60)", json!([])));
    world.until_asleep(1).await;
    world.prepare("alter role postgres password 'rotated'").await;
    fs::write(&path, "rotated\n").unwrap();
    assert_eq!(world.rows("select 1").await, "[[1]]", "on a connection of its own, without a reload");
    busy.abort();
}

#[actix_rt::test]
async fn a_refused_login_is_tried_once_more_if_there_is_another_password_by_then() {
    // The first run gives a token that has expired.
    let (_folder, path) = in_folder("runs");
    let script = "echo run >> \"$1\"; if [ $(wc -l < \"$1\") = 1 ]; then echo expired; else echo right; fi";
    let world = world(shell(script, &[&path])).await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    assert_eq!(world.log.of("login refused, and tried once more").len(), 1);

    let (_folder, path) = in_folder("runs");
    let world = self::world(shell("echo run >> \"$1\"; echo wrong", &[&path])).await;
    let error = world.refusal("select 1").await;
    assert!(error.starts_with("FATAL 28P01"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2, "the same one again is not sent again");
    assert!(!world.log.of("").concat().contains("wrong"), "{:?}", world.log.of(""));
}

#[actix_rt::test]
async fn a_command_that_gives_no_password_is_told_without_what_it_printed() {
    for (script, for_model, in_log) in [
        ("echo not logged in >&2; exit 3", "it ended with exit status: 3", Some("it says: not logged in")),
        ("echo s3cret; echo s3cret >&2; exit 3", "it ended with exit status: 3", None),
        ("exit 0", "it printed an empty line, or nothing", None),
        ("exec sleep 60", "it did not end within 500ms (POSTGRES_CONNECT_TIMEOUT)", None),
        ("yes s3cret", "it did not end within 500ms", None),
    ] {
        let world = World::with(Options::new().password("right"), |settings| {
            settings.postgres.pool.min_size = 0;
            settings.postgres.clocks.connect_timeout = Duration::from_millis(500);
            settings.postgres.target.password_source = shell(script, &[]);
        })
        .await;
        let error = world.query("select 1").await.map(|_| ()).unwrap_err();
        assert!(error.is_retryable(), "{script}");
        let (told, logged) = (error.for_model(), error.to_string());
        assert!(
            told.contains(&format!("POSTGRES_PASSWORD_COMMAND gives no password: {for_model}")),
            "{script}: {told}"
        );
        assert!(!told.contains("not logged in"), "{script}: {told}");
        assert!(in_log.is_none_or(|part| logged.contains(part)), "{script}: {logged}");
        assert!(!format!("{logged}{}", world.log.of("").concat()).contains("s3cret"), "{script}: {logged}");
    }
}

#[actix_rt::test]
async fn connections_that_are_opened_at_once_share_a_run_of_the_command_and_no_two_runs_overlap() {
    let (_folder, path) = in_folder("runs");
    let script = "mkdir \"$1.lock\" || exit 9; echo run >> \"$1\"; rmdir \"$1.lock\"; echo right";
    let world = World::with(Options::new().password("right"), |settings| {
        settings.postgres.pool.size = 8;
        settings.postgres.pool.min_size = 8;
        settings.postgres.target.password_source = shell(script, &[&path]);
    })
    .await;
    world.until_backends("%", 0).await;
    let calls = (0..8).map(|_| world.ask("select pg_sleep(0.05)", json!([])));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap().unwrap();
    }
    let runs = fs::read_to_string(&path).unwrap().lines().count();
    assert!((1..=8).contains(&runs), "{runs}");
}
