//! A `.env` in the working folder that nobody has named: what it may set, what it may not, and that it stops nothing.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use mcp_server_postgres::settings::{
    self, ChannelBinding, Class, IgnoredLine, KEYS, PasswordSource, Settings, SslMode,
};

use crate::settings::{Given, NOTHING, Place, loaded, origin, password, problems, sample, sample_files};

/// What such a file may set; every other setting protects something.
const CONNECTS: &[&str] = &[
    "DATABASE_URL",
    "POSTGRES_HOST",
    "POSTGRES_PORT",
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "POSTGRES_APPLICATION_NAME",
    "POSTGRES_OPTIONS",
    "POSTGRES_TARGET_SESSION_ATTRS",
    "POSTGRES_POOLER",
    "POSTGRES_HOSTADDR",
    "POSTGRES_LOAD_BALANCE_HOSTS",
    "POSTGRES_KEEPALIVES",
    "POSTGRES_KEEPALIVES_IDLE",
    "POSTGRES_KEEPALIVES_INTERVAL",
    "POSTGRES_KEEPALIVES_COUNT",
    "POSTGRES_TCP_USER_TIMEOUT",
];
const LIMITS: &[&str] = &[
    "POSTGRES_POOL_SIZE",
    "POSTGRES_POOL_MIN_SIZE",
    "POSTGRES_CONNECT_TIMEOUT",
    "POSTGRES_COMMAND_TIMEOUT",
    "POSTGRES_POOL_WAIT_TIMEOUT",
    "MCP_MAX_ROWS",
    "MCP_MAX_BYTES",
    "MCP_MAX_ROWS_CEILING",
    "MCP_MAX_BYTES_CEILING",
    "MCP_MAX_IN_FLIGHT",
    "MCP_MAX_WAITING",
    "MCP_MAX_CURSORS",
    "MCP_CURSOR_LIFETIME",
    "MCP_MAX_LINE_BYTES",
    "MCP_METRICS_HISTORY",
    "MCP_SLOW_QUERY_THRESHOLD_MS",
    "MCP_LOG_LEVEL",
];

const PROTECTS: &str = "a file that nobody has named cannot set what protects";
const NAME_IT: &str = "if it is for this server, name it by --env-file";

fn defaults() -> Settings {
    loaded("defaults", &NOTHING).settings
}

/// The names and lines that are not used, with the reason.
fn ignored(given: &Given) -> Vec<(String, usize, String)> {
    let ignored = loaded(given.found, given).ignored;
    ignored.into_iter().map(|IgnoredLine { name, line, why }| (name, line, why)).collect()
}

#[test]
fn a_setting_protects_unless_it_is_listed_here_as_one_of_a_connection_or_a_limit() {
    for key in KEYS {
        let expected = match key.name {
            name if CONNECTS.contains(&name) => Class::Connects,
            name if LIMITS.contains(&name) => Class::Limits,
            _ => Class::Protects,
        };
        assert_eq!(key.class, expected, "{}", key.name);
    }
}

#[test]
fn a_file_that_nobody_has_named_sets_what_it_may_and_nothing_that_protects() {
    // Of these it may ask for more than the default.
    const STRICTER: [&str; 3] = ["POSTGRES_SSL_MODE", "POSTGRES_CHANNEL_BINDING", "POSTGRES_SSL_NEGOTIATION"];
    for key in KEYS.iter().filter(|key| !STRICTER.contains(&key.name)) {
        let found = format!("\n{}={}\n", key.name, sample(key, 1));
        let given = Given { found: &found, files: sample_files(), ..NOTHING };
        let loaded = loaded(key.name, &given);
        if key.class == Class::Protects {
            assert_eq!(loaded.settings, defaults(), "{}", key.name);
            let expected = IgnoredLine { name: key.name.to_owned(), line: 2, why: PROTECTS.to_owned() };
            assert_eq!(loaded.ignored, [expected]);
            let name = key.name;
            assert_eq!(
                loaded.warnings,
                [format!(
                    "of .env, which nobody has named, this is not used: {name} (line 2), since {PROTECTS}; {NAME_IT}"
                )]
            );
        } else {
            assert_ne!(loaded.settings, defaults(), "{}", key.name);
            assert_eq!((loaded.ignored, loaded.warnings), (Vec::new(), Vec::new()), "{}", key.name);
        }
    }
}

#[test]
fn its_connection_counts_as_a_whole_and_only_where_none_is_named() {
    const FOUND: &str = "POSTGRES_HOST=evil\nPGUSER=eve\nMCP_MAX_ROWS=7\n";
    const FILES: &[(&str, &str)] = &[("p", "s3cret\n")];
    let alone = loaded("alone", &Given { found: FOUND, ..NOTHING }).settings;
    assert_eq!((&*alone.postgres.target.hosts[0], &*alone.postgres.target.user), ("evil", "eve"));
    for (given, by) in [
        (
            Given { environment: &[("POSTGRES_PASSWORD", "s3cret")], ..NOTHING },
            "POSTGRES_PASSWORD (in the environment)",
        ),
        (
            Given { environment: &[("PGPASSWORD", "s3cret")], ..NOTHING },
            "POSTGRES_PASSWORD (as PGPASSWORD in the environment)",
        ),
        (
            Given { environment: &[("POSTGRES_PASSWORD_FILE", "p")], ..NOTHING },
            "POSTGRES_PASSWORD_FILE (in the environment)",
        ),
        (
            Given { environment: &[("DATABASE_URL", "postgres://good")], ..NOTHING },
            "POSTGRES_HOST (by DATABASE_URL in the environment)",
        ),
        (
            Given { environment: &[("POSTGRES_SSL_MODE", "verify-full")], ..NOTHING },
            "POSTGRES_SSL_MODE (in the environment)",
        ),
        (Given { flags: &[("POSTGRES_DB", "shop")], ..NOTHING }, "POSTGRES_DB (by its flag)"),
        (
            Given { toml: "[postgres]\npassword = \"s3cret\"\n", ..NOTHING },
            "POSTGRES_PASSWORD (in config.toml as [postgres] password)",
        ),
        // A further database would take the host over, and send it its own password.
        (
            Given { toml: "[databases.stock]\npassword = \"s3cret\"\n", ..NOTHING },
            "POSTGRES_PASSWORD (in config.toml as [databases.stock] password)",
        ),
    ] {
        // In one folder, which is a part of a file's path.
        let place = Place::of(&Given { files: FILES, ..given });
        let load = |given: &Given| settings::load(&place.inputs(given)).unwrap();
        let without = load(&given).settings;
        place.write(".env", FOUND);
        let mut with = load(&given);
        with.warnings.iter_mut().for_each(|warning| *warning = place.plain(warning));
        assert_eq!((with.settings.postgres, with.settings.more_databases), (without.postgres, without.more_databases));
        // The limit is no part of it.
        assert_eq!(with.settings.limits.rows_max, 7, "{by}");
        let why = format!("a connection is named already, by {by}");
        assert_eq!(
            with.warnings,
            [format!(
                "of .env, which nobody has named, this is not used: POSTGRES_HOST (line 1), PGUSER (line 2), since {why}; \
                 {NAME_IT}"
            )]
        );
    }
    // What is no connection does not stand in the way, nor does an empty value.
    for given in [
        Given { environment: &[("POSTGRES_POOL_SIZE", "3"), ("MCP_ACCESS_MODE", "read-write")], ..NOTHING },
        Given { environment: &[("POSTGRES_HOST", "")], toml: "[mcp]\nmax_bytes = 2000\n", ..NOTHING },
    ] {
        assert_eq!(loaded("free", &Given { found: FOUND, ..given }).settings.postgres.target.hosts, ["evil"]);
    }
}

#[test]
fn a_connection_of_which_a_part_cannot_be_used_is_not_used() {
    for (found, part, why) in [
        ("POSTGRES_HOST=h\nPOSTGRES_PORT=many\n", "POSTGRES_PORT", "it must be a port from 1 to 65535"),
        ("POSTGRES_HOST=h\nPOSTGRES_PASSWORD_FILE=/etc/passwd\n", "POSTGRES_PASSWORD_FILE", PROTECTS),
        (
            "POSTGRES_HOST=h\nPOSTGRES_PASSWORD=two words\n",
            "POSTGRES_PASSWORD",
            "it cannot be read: a value with spaces",
        ),
        ("POSTGRES_HOST=h\nPOSTGRES_SSL_MODE=perhaps\n", "POSTGRES_SSL_MODE", "it must be one of disable"),
        ("POSTGRES_DB=d\nDATABASE_URL=mysql://u:s3cret@h/d\n", "DATABASE_URL", "it cannot be used: mysql:// is MySQL"),
        ("DATABASE_URL='postgres://h/d?sslmode=require&sslrootcert=ca.pem'\n", "DATABASE_URL", PROTECTS),
    ] {
        let given = Given { found, ..NOTHING };
        let loaded = loaded(found, &given);
        assert_eq!(loaded.settings, defaults(), "{found}");
        let told = ignored(&given);
        assert!(told.iter().any(|(name, _, told)| name == part && told.starts_with(why)), "{found}: {told:?}");
        assert!(loaded.warnings.len() == 1 && loaded.warnings[0].ends_with(NAME_IT), "{:?}", loaded.warnings);
        assert!(!format!("{:?}", loaded.warnings).contains("s3cret"));
    }
}

#[test]
fn it_may_ask_for_more_of_tls_than_the_default_and_for_no_less() {
    use {ChannelBinding as Binding, SslMode as Mode};
    for (found, mode, binding, is_ignored) in [
        ("POSTGRES_HOST=h\nPOSTGRES_SSL_MODE=verify-full\n", Mode::VerifyFull, Binding::Prefer, ""),
        ("PGHOST=h\nPGSSLMODE=require\n", Mode::Require, Binding::Prefer, ""),
        ("DATABASE_URL=postgres://h/d?sslmode=verify-full&sslrootcert=system\n", Mode::VerifyFull, Binding::Prefer, ""),
        ("DATABASE_URL=postgres://h/d?sslmode=require&channel_binding=require\n", Mode::Require, Binding::Require, ""),
        ("DATABASE_URL=postgres://h/d?sslmode=prefer\n", Mode::Prefer, Binding::Prefer, ""),
        // The rest of the connection is used.
        (
            "DATABASE_URL=postgres://h/d?sslmode=disable\n",
            Mode::Prefer,
            Binding::Prefer,
            "POSTGRES_SSL_MODE of DATABASE_URL",
        ),
        ("POSTGRES_HOST=h\nPOSTGRES_SSL_MODE=disable\n", Mode::Prefer, Binding::Prefer, "POSTGRES_SSL_MODE"),
        ("POSTGRES_HOST=h\nPGCHANNELBINDING=disable\n", Mode::Prefer, Binding::Prefer, "PGCHANNELBINDING"),
    ] {
        let loaded = loaded(found, &Given { found, ..NOTHING });
        let target = &loaded.settings.postgres.target;
        let got = (target.hosts[0].as_str(), target.ssl_mode, target.channel_binding);
        assert_eq!(got, ("h", mode, binding), "{found}");
        let ignored: Vec<_> = loaded.ignored.iter().map(|line| (line.name.as_str(), line.why.as_str())).collect();
        let expected = (!is_ignored.is_empty()).then_some((is_ignored, "it asks for less protection than the default"));
        assert_eq!(ignored, expected.into_iter().collect::<Vec<_>>(), "{found}");
        assert_eq!(loaded.warnings.len(), ignored.len(), "{found}: {:?}", loaded.warnings);
    }
}

#[test]
fn a_named_source_wins_over_it_libpqs_variables_too() {
    let found = "MCP_MAX_ROWS=7\nPOSTGRES_CONNECT_TIMEOUT=7\n";
    for given in [
        Given { toml: "[mcp]\nmax_rows = 8\n[postgres]\nconnect_timeout = 8\n", ..NOTHING },
        Given { environment: &[("MCP_MAX_ROWS", "8"), ("PGCONNECT_TIMEOUT", "8")], ..NOTHING },
        Given { flags: &[("MCP_MAX_ROWS", "8"), ("POSTGRES_CONNECT_TIMEOUT", "8")], ..NOTHING },
    ] {
        let loaded = loaded("both", &Given { found, ..given });
        assert_eq!(loaded.settings.limits.rows_max, 8);
        assert_eq!(loaded.settings.postgres.clocks.connect_timeout, Duration::from_secs(8));
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }
}

#[test]
fn of_its_lines_the_last_counts_and_a_name_of_this_server_before_one_of_libpqs() {
    let found = "POSTGRES_HOST=a\nPGHOST=b\nPGUSER=c\nPOSTGRES_USER=d\nPOSTGRES_DB=e\nPOSTGRES_DB=f\n";
    let loaded = loaded(found, &Given { found, ..NOTHING });
    for (key, value, source) in [
        ("POSTGRES_HOST", "a", "in .env, line 1"),
        ("POSTGRES_USER", "d", "in .env, line 4"),
        ("POSTGRES_DB", "f", "in .env, line 6"),
    ] {
        assert_eq!((&*origin(&loaded, key).value, &*origin(&loaded, key).source), (value, source));
    }
    let url = Given { found: "POSTGRES_HOST=a\nexport DATABASE_URL='postgres://u:p@b/d'\n", ..NOTHING };
    let loaded = crate::settings::loaded("a URL", &url);
    assert_eq!((&*origin(&loaded, "POSTGRES_HOST").value, password(&loaded)), ("b", Some("p")));
    assert_eq!(origin(&loaded, "POSTGRES_HOST").source, "by DATABASE_URL in .env, line 2");
}

#[test]
fn what_is_not_ours_costs_nothing() {
    for found in [
        "APP_NAME=My App\n",
        "SERVICE_ACCOUNT={\"type\": \"service_account\", \"key\": \"-----BEGIN\\n\"}\n",
        "HOME_FOLDER=C:\\Users\\x\n",
        "KEY=-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC+/==\nabc=\n-----END PRIVATE KEY-----\n",
        "GREETING=\"it never ends\nOTHER=1\n",
        "GREETING='it's\n",
        "- name: yaml\n  value: \"x\n",
        "POSTGRES_URL=postgres://u:s3cret@h/d\nPOSTGRES_PRISMA_URL=\"postgres://h?pgbouncer=true\"\n",
        "POSTGRES_INITDB_ARGS=--data-checksums\nMCP_TRANSPORT=sse\nPOSTGRES_HSOT=x\nDATABASE_URI=x\n",
        "<<<<<<< HEAD\nA=1\n=======\nB=2\n>>>>>>> other\n",
        "NAME=Ren\u{fffd}\n",
        "set -a\nif true; then\n  X=$(date)\nfi\n",
    ] {
        let given = Given { environment: &[("DATABASE_URL", "postgres://h/d")], ..NOTHING };
        let without = loaded("without", &given).settings;
        let with = loaded(found, &Given { found, ..given });
        assert_eq!((with.settings, with.warnings), (without, Vec::new()), "{found}");
        // What comes after it is read.
        let found = format!("{found}\nMCP_MAX_ROWS=7\n");
        assert_eq!(loaded(&found, &Given { found: &found, ..NOTHING }).settings.limits.rows_max, 7, "{found}");
    }
}

#[test]
fn a_limit_that_cannot_be_used_is_told_with_its_line_and_what_would_be_right() {
    for (found, told) in [
        ("\nMCP_MAX_ROWS=many\n", "MCP_MAX_ROWS (line 2), since it must be a whole number from 1 to 1000000"),
        (
            "MCP_MAX_ROWS=1 000\n",
            "MCP_MAX_ROWS (line 1), since it cannot be read: a value with spaces, quotes, backslashes or # stands in quotes",
        ),
        (
            "MCP_LOG_LEVEL=loud\n",
            "MCP_LOG_LEVEL (line 1), since it must be one of critical, error, warning, info, debug",
        ),
        (
            "POSTGRES_CONNECT_TIMEOUT=0\n",
            "POSTGRES_CONNECT_TIMEOUT (line 1), since it must be seconds from 0.1 to 86400",
        ),
    ] {
        let loaded = loaded(found, &Given { found, ..NOTHING });
        assert_eq!(loaded.settings, defaults(), "{found}");
        let expected = format!("of .env, which nobody has named, this is not used: {told}; {NAME_IT}");
        assert_eq!(loaded.warnings, [expected]);
    }
}

#[test]
fn what_contradicts_is_left_out_and_told_and_what_the_operator_has_set_wrongly_is_still_refused() {
    let found = "POSTGRES_POOL_MIN_SIZE=20\nMCP_MAX_ROWS=7\n";
    let with = loaded(found, &Given { found, environment: &[("POSTGRES_POOL_SIZE", "3")], ..NOTHING });
    assert_eq!((with.settings.postgres.pool.min_size, with.settings.limits.rows_max), (1, 1000));
    assert_eq!(
        with.warnings,
        [format!(
            "the .env that nobody has named is not used: POSTGRES_POOL_MIN_SIZE is 20 (in .env, line 1): it must not be \
             more than POSTGRES_POOL_SIZE, 3 (in the environment); {NAME_IT}"
        )]
    );
    let told = problems(found, &Given { found, environment: &[("POSTGRES_POOL_SIZE", "0")], ..NOTHING });
    assert_eq!(told, ["POSTGRES_POOL_SIZE is \"0\" (in the environment): it must be a whole number from 1 to 500"]);
}

#[test]
fn what_is_no_file_of_text_stops_nothing_and_is_not_waited_for() {
    let make = |what: &str, place: &Place| {
        let path = place.path().join(".env");
        match what {
            "a folder" => std::fs::create_dir(path).unwrap(),
            "a pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
            "/dev/zero" => symlink("/dev/zero", path).unwrap(),
            "a link to nowhere" => symlink("nowhere", path).unwrap(),
            "UTF-16" => std::fs::write(path, b"\xff\xfeM\0C\0P\0").unwrap(),
            "Latin-1" => std::fs::write(path, b"NAME=Ren\xe9\nMCP_MAX_ROWS=7\nPOSTGRES_PASSWORD=s\xe9cret\n").unwrap(),
            _ => std::fs::write(path, "#".repeat(2 << 20)).unwrap(),
        }
    };
    for (what, rows_max, told) in [
        ("a folder", 1000, None),
        ("a link to nowhere", 1000, None),
        ("a pipe", 1000, Some(".env is not used: it is a pipe and no regular file; only a flag may name a pipe")),
        ("/dev/zero", 1000, Some(".env is not used: it is a device and no regular file; only a flag may name a pipe")),
        ("UTF-16", 1000, Some(".env is not used: it is UTF-16: save it as UTF-8")),
        ("2 MiB", 1000, Some(".env is not used: it has more than 1048576 bytes")),
        (
            "Latin-1",
            7,
            Some(
                "of .env, which nobody has named, this is not used: POSTGRES_PASSWORD (line 3), since it is not UTF-8",
            ),
        ),
    ] {
        let place = Place::of(&NOTHING);
        make(what, &place);
        let began = Instant::now();
        let loaded = settings::load(&place.inputs(&NOTHING)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(began.elapsed() < Duration::from_secs(5), "{what}");
        assert_eq!(loaded.settings.limits.rows_max, rows_max, "{what}");
        let warnings: Vec<_> = loaded.warnings.iter().map(|warning| place.plain(warning)).collect();
        let expected: Vec<_> = told.iter().map(|told| format!("{told}; {NAME_IT}")).collect();
        assert_eq!(warnings, expected, "{what}");
    }
}

#[test]
fn a_pipe_that_a_flag_names_is_read_once_and_one_that_a_setting_names_not_at_all() {
    let place = Place::of(&NOTHING);
    let pipe = place.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut inputs = place.inputs(&NOTHING);
    inputs.env_file = Some("pipe".into());
    let to = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(to, "MCP_MAX_ROWS=7\n").unwrap());
    assert_eq!(settings::load(&inputs).unwrap().settings.limits.rows_max, 7);
    writer.join().unwrap();
    // A reload does not read it again, and does not wait.
    let again = settings::load(&inputs).unwrap();
    assert_eq!((again.settings.limits.rows_max, again.files), (7, Vec::new()));

    let by_setting = Given { environment: &[("POSTGRES_PASSWORD_FILE", pipe.to_str().unwrap())], ..NOTHING };
    let told = problems("a setting", &by_setting);
    assert!(told[0].contains("it cannot be read: it is a pipe and no regular file"), "{told:?}");
}

#[test]
fn the_operators_password_file_is_for_no_host_that_it_names() {
    let given = |found| Given { found, environment: &[("HOME", "home")], ..NOTHING };
    let source = |found| loaded(found, &given(found)).settings.postgres.target.password_source;
    assert!(matches!(source("MCP_MAX_ROWS=7\n"), PasswordSource::PassFile(_)));
    for found in ["POSTGRES_HOST=evil\n", "PGPORT=6666\n", "DATABASE_URL=postgres://evil/d\n"] {
        assert_eq!(source(found), PasswordSource::Settings, "{found}");
    }
}
