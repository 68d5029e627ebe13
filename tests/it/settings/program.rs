//! The real program: its flags, the output of `check-config`, and the exit status.

use std::process::{Command, Output};

use mcp_server_postgres::settings::{KEYS, Key, Kind};

use crate::settings::{Given, NOTHING, Place, sample, sample_files};

/// The exit status for invalid settings (EX_CONFIG of sysexits.h).
const EXIT_CONFIG: i32 = 78;

/// Runs the program in the folder of `given`, without other environment variables.
fn run(place: &Place, given: &Given, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"));
    command.args(arguments).args(if given.env.is_empty() { &[][..] } else { &["--env-file", ".env"] });
    command.current_dir(place.path()).env_clear().envs(given.environment.iter().copied());
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stderr, b"");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The value and the source of `key` in a report.
fn reported<'a>(report: &'a str, key: &str) -> (&'a str, &'a str) {
    let line = report.lines().find(|line| line.split("  ").next() == Some(key)).unwrap();
    let rest = line[key.len()..].trim();
    let (value, source) = rest.rsplit_once("  ").unwrap_or(("", rest));
    (value.trim(), source)
}

#[test]
fn every_flag_sets_its_key() {
    let given = Given { files: sample_files(), environment: &[("PGSERVICEFILE", "services")], ..NOTHING };
    // A password has one source, and the samples name two; the weak mode of TLS among them is none for this negotiation.
    let apart = ["POSTGRES_PASSWORD_COMMAND", "POSTGRES_SSL_NEGOTIATION"];
    let has_flag = |key: &&Key| key.kind != Kind::Secret && !apart.contains(&key.name);
    let keys: Vec<_> = KEYS.iter().filter(has_flag).collect();
    let flags = keys.iter().flat_map(|key| {
        let long = key.name.strip_prefix("MCP_").unwrap_or(key.name).to_ascii_lowercase().replace('_', "-");
        [format!("--{long}"), sample(key, 1)]
    });
    let flags: Vec<String> = flags.collect();
    let arguments: Vec<&str> = ["check-config"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    // One process for all of them. The minimum of 2 connections is also the size of the pool.
    let report = stdout(&run(&Place::of(&given), &given, &arguments));
    for key in keys {
        assert_eq!(reported(&report, key.name), (sample(key, 1).as_str(), "by its flag"), "{}", key.name);
    }
}

#[test]
fn no_flag_takes_a_secret() {
    let place = Place::of(&NOTHING);
    for arguments in
        [&["--postgres-password", "s3cret"][..], &["--postgres-password=s3cret"], &["--password", "s3cret"]]
    {
        let output = run(&place, &NOTHING, &[&["check-config"], arguments].concat());
        // Two is the command line's own status: these flags are not there.
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
}

#[test]
fn options_for_the_backend_can_begin_with_a_hyphen() {
    let place = Place::of(&NOTHING);
    for arguments in [&["--postgres-options", "-c search_path=app"][..], &["--postgres-options=-c search_path=app"]] {
        let report = stdout(&run(&place, &NOTHING, &[&["check-config"], arguments].concat()));
        assert_eq!(reported(&report, "POSTGRES_OPTIONS"), ("-c search_path=app", "by its flag"));
    }
}

#[test]
fn the_report_names_each_source_the_watched_files_and_the_warnings_and_masks_secrets() {
    let given = Given {
        toml: "[postgres]\nport = 6432\npool_size = 7\n",
        env: "POSTGRES_HOST=from-env-file\nPOSTGRES_PASSWORD='s3cret word'\n",
        environment: &[("PGUSER", "alice"), ("POSTGRES_POOL_SIZE", "8"), ("POSTGRES_INITDB_ARGS", "s3cret")],
        ..NOTHING
    };
    let place = Place::of(&given);
    let arguments = ["check-config", "--config", "config.toml", "--access-mode", "read-write"];
    let report = place.plain(&stdout(&run(&place, &given, &arguments)));
    for (key, value, source) in [
        ("POSTGRES_HOST", "from-env-file", "in .env, line 1"),
        ("POSTGRES_PORT", "6432", "in config.toml as [postgres] port"),
        ("POSTGRES_USER", "alice", "as PGUSER in the environment"),
        ("POSTGRES_PASSWORD", "********", "in .env, line 2"),
        ("POSTGRES_PASSWORD_FILE", "", "not set"),
        ("POSTGRES_POOL_SIZE", "8", "in the environment"),
        ("POSTGRES_POOL_MIN_SIZE", "1", "default"),
        ("MCP_ACCESS_MODE", "read-write", "by its flag"),
    ] {
        assert_eq!(reported(&report, key), (value, source), "{key}\n{report}");
    }
    let (_, rest) = report.split_once("\n\n").unwrap();
    assert_eq!(
        rest,
        "Watched files:\n  config.toml\n  .env\n\
         warning: POSTGRES_INITDB_ARGS (in the environment) is no setting of this server\n\
         warning: POSTGRES_POOL_SIZE in config.toml as [postgres] pool_size has no effect: \
         it is set in the environment\n"
    );
    assert!(!report.contains("s3cret"), "{report}");
}

#[test]
fn the_report_lists_the_ignored_lines_of_a_file_that_nobody_has_named_and_shows_no_value_of_them() {
    let given = Given {
        found: "APP_NAME=My App\nMCP_ACCESS_MODE=s3cret\nMCP_MAX_ROWS=7\nPOSTGRES_HOST=s3cret\nPOSTGRES_PASSWORD=s3cret\n\
                MCP_LOG_FILE=/s3cret\nMCP_MAX_BYTES=s3cret\nPOSTGRES_SSL_MODE=disable\nMCP_SLOW_QUERY_THRESHOLD_MS='s3cret\n",
        environment: &[("DATABASE_URL", "postgres://u@named/d")],
        ..NOTHING
    };
    let place = Place::of(&given);
    let report = place.plain(&stdout(&run(&place, &given, &["check-config"])));
    assert_eq!(reported(&report, "MCP_MAX_ROWS"), ("7", "in .env, line 3"));
    assert_eq!(reported(&report, "POSTGRES_SSL_MODE"), ("prefer", "default"));
    let (_, ignored) = report.split_once("\nIgnored lines of the .env file that nobody has named:\n").unwrap();
    let named = "a connection is named already, by POSTGRES_HOST (by DATABASE_URL in the environment)";
    let protects = "a file that nobody has named cannot set what protects";
    let expected = format!(
        "  line 2, MCP_ACCESS_MODE: {protects}\n  line 4, POSTGRES_HOST: {named}\n  line 5, POSTGRES_PASSWORD: {named}\n  \
           line 6, MCP_LOG_FILE: {protects}\n  line 7, MCP_MAX_BYTES: it must be a whole number from 1000 to 100000000\n  \
           line 8, POSTGRES_SSL_MODE: it asks for less protection than the default\n  \
           line 9, MCP_SLOW_QUERY_THRESHOLD_MS: it cannot be read: "
    );
    assert!(ignored.starts_with(&expected), "{ignored}");
    assert!(!report.contains("s3cret"), "{report}");
}

#[test]
fn a_named_file_is_relative_to_the_current_folder_and_must_exist() {
    let given = Given { files: &[("other.env", "POSTGRES_HOST=other\n")], ..NOTHING };
    let place = Place::of(&given);
    let report = stdout(&run(&place, &given, &["check-config", "--env-file", "other.env"]));
    assert_eq!(reported(&place.plain(&report), "POSTGRES_HOST"), ("other", "in other.env, line 1"));
    for flag in ["--env-file", "--config"] {
        let output = run(&place, &given, &["check-config", flag, "missing"]);
        assert_eq!(output.status.code(), Some(EXIT_CONFIG), "{flag}");
        let told = place.plain(&String::from_utf8(output.stderr).unwrap());
        assert_eq!(told, "mcp-server-postgres: missing cannot be read: No such file or directory (os error 2)\n");
    }
}

#[test]
fn invalid_settings_are_all_reported_on_stderr_and_the_status_is_78() {
    let given = Given {
        env: "POSTGRES_POOOL_SIZE=3\nMCP_MAX_ROWS=0\n",
        environment: &[("DATABASE_URL", "postgres://u:s3c@ret@h/d")],
        ..NOTHING
    };
    let place = Place::of(&given);
    // The server itself also ends before it writes to stdout.
    for arguments in [&["check-config"][..], &["stdio"], &[]] {
        let output = run(&place, &given, arguments);
        assert_eq!(output.status.code(), Some(EXIT_CONFIG), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert_eq!(
            place.plain(&String::from_utf8(output.stderr).unwrap()),
            "mcp-server-postgres: 3 settings cannot be used:\n  \
             - POSTGRES_POOOL_SIZE (in .env, line 1) is no setting of this server: did you mean POSTGRES_POOL_SIZE?\n  \
             - DATABASE_URL (in the environment) cannot be used: it is ambiguous: @ is written %40 and / is written %2F \
             in the user, the password and the database; it must be like postgres://user:password@host:port/database\n  \
             - MCP_MAX_ROWS is \"0\" (in .env, line 2): it must be a whole number from 1 to 1000000\n",
            "{arguments:?}"
        );
    }
}

#[test]
fn a_url_is_taken_as_an_argument_or_by_its_flag_before_and_after_the_subcommand() {
    let given = Given { files: &[("named", "MCP_MAX_ROWS=7\n")], ..NOTHING };
    let place = Place::of(&given);
    for arguments in [
        &["check-config", "postgres://u@h:1/d"][..],
        &["postgres://u@h:1/d", "check-config"],
        &["check-config", "--database-url", "postgres://u@h:1/d"],
        &["--database-url=postgres://u@h:1/d", "check-config"],
        &["--env-file", "named", "check-config", "postgres://u@h:1/d"],
        &["check-config", "host=h port=1 user=u dbname=d"],
    ] {
        let report = stdout(&run(&place, &given, arguments));
        assert_eq!(reported(&report, "POSTGRES_HOST"), ("h", "by DATABASE_URL by its flag"), "{arguments:?}");
        let rows = if arguments.contains(&"named") { "7" } else { "1000" };
        assert_eq!(reported(&report, "MCP_MAX_ROWS").0, rows, "{arguments:?}");
        assert!(!report.contains("warning"), "{report}");
    }
    let with_password = run(&place, &given, &["check-config", "postgres://u:s3cret@h/d"]);
    let report = stdout(&with_password);
    assert!(report.contains("warning: DATABASE_URL (by its flag) has a password, which every user"), "{report}");
    assert!(!report.contains("s3cret"), "{report}");
}

#[test]
fn no_subcommand_shows_an_argument_that_may_be_a_password() {
    let place = Place::of(&NOTHING);
    let refused: &[&[&str]] = &[
        &["s3cret-word"],
        &["postgres://u:s3cret@h:port/d"],
        &["mysql://u:s3cret@h/d"],
        &["postgres://u:s3cret@h/d?sslcrl=x"],
        &["postgres://u:s3cret@h/d", "postgres://u:s3cret@h2/d"],
        &["--database-url=mysql://u:s3cret@h/d"],
        &["--databse-url=postgres://u:s3cret@h/d"],
        &["--databse-url", "postgres://u:s3cret@h/d"],
        &["--postgres-host", "postgres://u:s3cret@h/d"],
        &["--postgres-port", "postgres://u:s3cret@h/d"],
        &["--postgres-password", "s3cret"],
        &["--postgres-password=s3cret"],
        &["--env-file", "postgres://u:s3cret@h/d"],
        &["--config=postgres://u:s3cret@h/d"],
        &["--access-mode", "postgres://u:s3cret@h/d"],
        &["-p", "s3cret"],
        &["-ps3cret"],
    ];
    for subcommand in [None, Some("check-config"), Some("stdio"), Some("serve"), Some("doctor"), Some("healthcheck")] {
        for arguments in refused {
            let all: Vec<&str> = subcommand.into_iter().chain(arguments.iter().copied()).collect();
            let output = run(&place, &NOTHING, &all);
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8_lossy(&told);
            assert!(output.status.code().is_some_and(|status| status > 0) && !told.is_empty(), "{all:?}: {told}");
            assert!(!told.contains("s3cret"), "{all:?}: {told}");
        }
    }
    for arguments in [
        &["token", "postgres://u:s3cret@h/d"][..],
        &["token", "alice", "--mode", "s3cret-mode"],
        &["token", "alice", "postgres://u:s3cret@h/d"],
        &["demo", "postgres://u:s3cret@h/d"],
        &["postgres://u:s3cret@h/d", "token", "alice"],
        &["--postgres-host", "h", "demo"],
    ] {
        let output = run(&place, &NOTHING, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code().is_some_and(|status| status > 0) && !told.contains("s3cret"),
            "{arguments:?}: {told}"
        );
    }
}
