//! The values that texts are parsed into, and what each kind of value refuses.

use std::net::IpAddr;
use std::time::Duration;

use mcp_server_postgres::settings::{AccessMode, KEYS, Kind, LogFileMode, Settings, SslMode, TargetSessionAttrs};

use crate::settings::{Given, NOTHING, loaded, password, problems};

#[test]
fn a_text_becomes_its_value() {
    type Holds = fn(&Settings) -> bool;
    let rows: &[(&str, &str, Holds)] = &[
        ("POSTGRES_HOST", "a, b ,/run/postgresql", |all| all.postgres.target.hosts == ["a", "b", "/run/postgresql"]),
        ("POSTGRES_HOST", "[::1]", |all| all.postgres.target.hosts == ["::1"]),
        ("POSTGRES_HOST", "fe80::2%eth0, [2001:db8::1]", |all| {
            all.postgres.target.hosts == ["fe80::2%eth0", "2001:db8::1"]
        }),
        ("POSTGRES_HOST", "\"db.example\"\n", |all| all.postgres.target.hosts == ["db.example"]),
        ("POSTGRES_PORT", "'5433'", |all| all.postgres.target.ports == [5433]),
        ("POSTGRES_DB", "shop\n", |all| all.postgres.target.database == "shop"),
        ("POSTGRES_SSL_MODE", "verify_full", |all| all.postgres.target.ssl_mode == SslMode::VerifyFull),
        ("POSTGRES_SSL_MODE", "no-verify", |all| all.postgres.target.ssl_mode == SslMode::Require),
        ("POSTGRES_HOSTADDR", "127.0.0.1", |all| {
            all.postgres.target.addresses == ["127.0.0.1".parse::<IpAddr>().unwrap()]
        }),
        ("POSTGRES_LOAD_BALANCE_HOSTS", "random", |all| all.postgres.target.has_random_order),
        ("POSTGRES_KEEPALIVES", "off", |all| !all.postgres.target.tcp.keepalives),
        ("POSTGRES_KEEPALIVES_IDLE", "7", |all| all.postgres.target.tcp.idle == Duration::from_secs(7)),
        ("POSTGRES_KEEPALIVES_COUNT", "7", |all| all.postgres.target.tcp.count == Some(7)),
        ("POSTGRES_TCP_USER_TIMEOUT", "7", |all| {
            all.postgres.target.tcp.user_timeout == Some(Duration::from_millis(7))
        }),
        ("MCP_ACCESS_MODE", "read_write", |all| all.access == AccessMode::ReadWrite),
        ("MCP_LOG_LEVEL", "warn", |all| all.log.level == slog::Level::Warning),
        ("MCP_LOG_LEVEL", "ERR", |all| all.log.level == slog::Level::Error),
        ("MCP_LOG_LEVEL", "fatal", |all| all.log.level == slog::Level::Critical),
        ("MCP_LOG_LEVEL", "trace", |all| all.log.level == slog::Level::Debug),
        ("MCP_LOG_PARAMETERS", "yes", |all| all.log.parameters),
        ("MCP_LOG_PARAMETERS", "1", |all| all.log.parameters),
        ("POSTGRES_PORT", " 5433 ", |all| all.postgres.target.ports == [5433]),
        ("POSTGRES_PORT", "65535", |all| all.postgres.target.ports == [65535]),
        ("POSTGRES_USER", "alice", |all| {
            all.postgres.target.user == "alice" && all.postgres.target.database == "alice"
        }),
        ("POSTGRES_DB", "shop", |all| all.postgres.target.user == "postgres" && all.postgres.target.database == "shop"),
        ("POSTGRES_SSL_MODE", "Verify-FULL", |all| all.postgres.target.ssl_mode == SslMode::VerifyFull),
        ("POSTGRES_SSL_MODE", "verify-ca", |all| all.postgres.target.ssl_mode == SslMode::VerifyCa),
        ("POSTGRES_SSL_MODE", "disable", |all| all.postgres.target.ssl_mode == SslMode::Disable),
        ("POSTGRES_SSL_MODE", "require", |all| all.postgres.target.ssl_mode == SslMode::Require),
        ("POSTGRES_SSL_MODE", "prefer", |all| all.postgres.target.ssl_mode == SslMode::Prefer),
        ("POSTGRES_SSL_ROOT_CERT", "system", |all| all.postgres.target.ssl_root_cert == Some("system".into())),
        ("POSTGRES_SSL_ROOT_CERT", "/etc/root.pem", |all| {
            all.postgres.target.ssl_root_cert == Some("/etc/root.pem".into())
        }),
        ("POSTGRES_TARGET_SESSION_ATTRS", "read-write", |all| {
            all.postgres.target.target_session_attrs == TargetSessionAttrs::ReadWrite
        }),
        ("POSTGRES_COMMAND_TIMEOUT", "0.25", |all| all.postgres.clocks.command_timeout == Duration::from_millis(250)),
        ("POSTGRES_CONNECT_TIMEOUT", "86400", |all| all.postgres.clocks.connect_timeout == Duration::from_secs(86_400)),
        ("POSTGRES_POOL_WAIT_TIMEOUT", "0.1", |all| {
            all.postgres.clocks.pool_wait_timeout == Duration::from_millis(100)
        }),
        ("POSTGRES_POOL_MIN_SIZE", "0", |all| all.postgres.pool.min_size == 0),
        ("MCP_ACCESS_MODE", "READ-WRITE", |all| all.access == AccessMode::ReadWrite),
        ("MCP_STRUCTURED", "ON", |all| all.structured && all.answers_are_structured()),
        ("MCP_MAX_ROWS", "1000000", |all| all.limits.rows_max == 1_000_000),
        ("MCP_SLOW_QUERY_THRESHOLD_MS", "0", |all| all.metrics.slow_query_threshold == Duration::ZERO),
        ("MCP_LOG_LEVEL", "warning", |all| all.log.level == slog::Level::Warning),
        ("MCP_LOG_LEVEL", "critical", |all| all.log.level == slog::Level::Critical),
        ("MCP_LOG_FILE", "/var/log/mcp.log", |all| all.log.file == Some("/var/log/mcp.log".into())),
        ("MCP_LOG_FILE_MODE", "Group", |all| all.log.file_mode == LogFileMode::Group),
        ("MCP_ALLOWED_HOSTS", "https://A.example, b.example:443,", |all| {
            all.http.allowed_hosts == ["a.example", "b.example"]
        }),
        ("MCP_ALLOWED_ORIGINS", "https://app.example/", |all| all.http.allowed_origins == ["https://app.example"]),
        ("MCP_LOG_PARAMETERS", "True", |all| all.log.parameters),
        ("MCP_RELOAD_DEBOUNCE_MS", "60000", |all| all.reload.debounce == Duration::from_secs(60)),
    ];
    for (key, text, holds) in rows {
        let settings = loaded(key, &Given { environment: &[(key, text)], ..NOTHING }).settings;
        assert!(holds(&settings), "{key}={text}: {settings:?}");
    }
}

#[test]
fn a_value_in_toml_can_have_its_own_type_or_be_a_text() {
    for (one, other) in [
        ("[postgres]\npool_size = 7", "[postgres]\npool_size = \"7\""),
        ("[postgres]\nport = 6432", "[postgres]\nport = '6432'"),
        ("[postgres]\nconnect_timeout = 2.5", "[postgres]\nconnect_timeout = \"2.5\""),
        ("[mcp]\nlog_parameters = true", "[mcp]\nlog_parameters = \"true\""),
        ("[mcp]\nmax_rows = 1_000", "[mcp]\nmax_rows = \"1000\""),
        ("postgres.host = \"h\"", "postgres_host = \"h\""),
    ] {
        let as_it_is = loaded(one, &Given { toml: one, ..NOTHING }).settings;
        assert_eq!(as_it_is, loaded(other, &Given { toml: other, ..NOTHING }).settings, "{one}");
    }
}

#[test]
fn a_relative_path_starts_from_the_folder() {
    let place = crate::settings::Place::of(&NOTHING);
    let environment = &[("MCP_LOG_FILE", "a.log"), ("MCP_LOG_FILE_MODE", "Group"), ("POSTGRES_SSL_ROOT_CERT", "b.pem")];
    let given = Given { environment, ..NOTHING };
    let settings = mcp_server_postgres::settings::load(&place.inputs(&given)).unwrap().settings;
    assert_eq!(settings.log.file, Some(place.path().join("a.log")));
    assert_eq!(settings.postgres.target.ssl_root_cert, Some(place.path().join("b.pem")));
}

#[test]
fn a_password_is_always_a_text() {
    for text in
        ["007", "1e3", "true", "0x1F", "null", "[a]", "pa$$word", "a${HOME}", "$HOME", "a#b", "ü", "a=b", "a\"b'c"]
    {
        let given = Given { environment: &[("POSTGRES_PASSWORD", text)], ..NOTHING };
        assert_eq!(password(&loaded(text, &given)), Some(text), "in the environment");
        let toml = format!("[postgres]\npassword = {text:?}\n");
        assert_eq!(password(&loaded(text, &Given { toml: &toml, ..NOTHING })), Some(text), "in TOML");
    }
}

/// Texts just outside of the range of a kind, and the end of the error, which says what is valid.
fn wrong(kind: Kind) -> Option<(Vec<String>, String)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Some(match kind {
        Kind::Text | Kind::Secret | Kind::Path => return None,
        Kind::Servers => {
            (texts(&["a,,b", "h:5432", "[::1]:5432", "[h]", "a b", "a/b", "u@h", ":5432"]), kind.requirement())
        }
        Kind::Ports => (
            texts(&["0", "65536", "-1", "http", "5432,", "5432;5433", "1.5"]),
            "a port from 1 to 65535, or several separated by commas".to_owned(),
        ),
        Kind::Whole(min, max) => {
            let mut all = texts(&["-1", "1.5", "1e3", "ten", "99999999999999999999999"]);
            all.push((max + 1).to_string());
            all.extend(min.checked_sub(1).map(|below| below.to_string()));
            (all, format!("a whole number from {min} to {max}"))
        }
        Kind::Milliseconds(min, max) => {
            let mut all = texts(&["-1", "1.5", "1s", "soon"]);
            all.push((max + 1).to_string());
            all.extend(min.checked_sub(1).map(|below| below.to_string()));
            (all, format!("whole milliseconds from {min} to {max}"))
        }
        Kind::Seconds(min, max) => (
            [texts(&["0", "-1", "inf", "NaN", "1e99", "10s"]), vec![(min / 2.0).to_string(), (max + 1.0).to_string()]]
                .concat(),
            format!("seconds from {min} to {max}"),
        ),
        Kind::Choice(words) => (texts(&["no-such-word", "1"]), format!("one of {}", words.join(", "))),
        Kind::Switch => (texts(&["2", "perhaps", "-"]), "true or false".to_owned()),
        Kind::Hosts => {
            (texts(&["*.example", "a.example,*", "https://a.example/mcp", "büro.example"]), kind.requirement())
        }
        Kind::Origins => (texts(&["app.example", "*", "https://*.example", "https://a.example/b"]), kind.requirement()),
        Kind::Addresses => {
            (texts(&["8808", "localhost:http", "::1:80", "unix:", "127.0.0.1:8808,"]), kind.requirement())
        }
    })
}

#[test]
fn a_value_out_of_range_is_reported_with_its_place_and_the_valid_range() {
    for key in KEYS {
        let Some((texts, right)) = wrong(key.kind) else { continue };
        for text in texts {
            let env = format!("# a comment\n{}='{text}'\n", key.name);
            let expected = format!("{} is \"{text}\" (in .env, line 2): it must be {right}", key.name);
            assert_eq!(problems(&text, &Given { env: &env, ..NOTHING }), [expected]);
        }
    }
}

#[test]
fn contradictory_settings_are_reported() {
    for (what, environment, expected) in [
        (
            "more ports than hosts",
            &[("POSTGRES_HOST", "a,b"), ("POSTGRES_PORT", "1,2,3")][..],
            "POSTGRES_PORT (in the environment) has 3 ports for 2 hosts: it must be one for all, or one for each",
        ),
        (
            "a pool that begins above its end",
            &[("POSTGRES_POOL_MIN_SIZE", "6")][..],
            "POSTGRES_POOL_MIN_SIZE is 6 (in the environment): it must not be more than POSTGRES_POOL_SIZE, 5 (default)",
        ),
        (
            "an empty host among others",
            &[("POSTGRES_HOST", "a,,b")][..],
            "POSTGRES_HOST is \"a,,b\" (in the environment): it must be a host such as db.example, 10.0.0.1, ::1 or \
             /run/postgresql, or several separated by commas; the port is POSTGRES_PORT, and a URL is DATABASE_URL",
        ),
        (
            "more addresses than hosts",
            &[("POSTGRES_HOST", "a"), ("POSTGRES_HOSTADDR", "10.0.0.1,10.0.0.2")],
            "POSTGRES_HOSTADDR (in the environment) has 2 addresses for 1 hosts: it must be one for each",
        ),
        (
            "an address that is a name",
            &[("POSTGRES_HOST", "a"), ("POSTGRES_HOSTADDR", "b")],
            "POSTGRES_HOSTADDR is \"b\" (in the environment): it must be an IP address for each host",
        ),
    ] {
        assert_eq!(problems(what, &Given { environment, ..NOTHING }), [expected], "{what}");
    }
    let fitting = [("POSTGRES_HOST", "a,b"), ("POSTGRES_PORT", "1,2"), ("POSTGRES_POOL_MIN_SIZE", "5")];
    loaded("each has its port, and the pool is as large as it begins", &Given { environment: &fitting, ..NOTHING });
}

#[test]
fn the_password_in_a_file_ends_before_the_line_ends_at_its_end() {
    for (text, expected) in [
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("secret", "secret"),
        (" sec ret \n", " sec ret "),
        ("007\n", "007"),
        ("pa$$word\n", "pa$$word"),
        ("first\nsecond\n", "first\nsecond"),
    ] {
        let given = Given { env: "POSTGRES_PASSWORD_FILE=file\n", files: &[("file", text)], ..NOTHING };
        assert_eq!(password(&loaded(text, &given)), Some(expected), "{text:?}");
    }
}

#[test]
fn of_a_password_and_a_password_file_the_stronger_layer_wins_and_in_one_layer_both_are_an_error() {
    const FILES: &[(&str, &str)] = &[("file", "by file\n")];
    let file = ("POSTGRES_PASSWORD_FILE", "file");
    for (what, given, expected, warning) in [
        (
            "text over file",
            Given { env: "POSTGRES_PASSWORD_FILE=file\n", environment: &[("POSTGRES_PASSWORD", "text")], ..NOTHING },
            "text",
            "POSTGRES_PASSWORD_FILE (in .env, line 1) has no effect: POSTGRES_PASSWORD is set in the environment",
        ),
        (
            "file over text",
            Given { env: "POSTGRES_PASSWORD=text\n", environment: &[file], ..NOTHING },
            "by file",
            "POSTGRES_PASSWORD (in .env, line 1) has no effect: POSTGRES_PASSWORD_FILE is set in the environment",
        ),
        (
            "file over libpq's variable",
            Given { environment: &[("PGPASSWORD", "text"), file], ..NOTHING },
            "by file",
            "POSTGRES_PASSWORD (as PGPASSWORD in the environment) has no effect: \
             POSTGRES_PASSWORD_FILE is set in the environment",
        ),
    ] {
        let loaded = loaded(what, &Given { files: FILES, ..given });
        assert_eq!(password(&loaded), Some(expected), "{what}");
        assert_eq!(loaded.warnings, [warning], "{what}");
    }
    let both = Given { environment: &[("POSTGRES_PASSWORD", "text"), file], files: FILES, ..NOTHING };
    assert_eq!(
        problems("both in one layer", &both),
        ["POSTGRES_PASSWORD (in the environment) and POSTGRES_PASSWORD_FILE (in the environment) are both set: \
          keep one of them"]
    );
}

#[test]
fn structured_content_beside_a_boundary_is_warned_of_and_off() {
    let both = loaded("both", &Given { env: "MCP_STRUCTURED=on\nMCP_DATA_BOUNDARY=true\n", ..NOTHING });
    assert!(!both.settings.answers_are_structured());
    let expected = "MCP_STRUCTURED has no effect: MCP_DATA_BOUNDARY is on, and structured content has no boundary";
    assert_eq!(both.warnings, [expected]);
}
