//! What is said when nobody has chosen a database, only half of it, or by the names that others use; and values that a host
//! has not filled in.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use mcp_server_postgres::settings::{self, Loaded};

use crate::settings::{Given, NOTHING, Place, loaded, origin, problems};

fn advice(given: &Given) -> Option<String> {
    loaded("advice", given).settings.postgres.target.advice
}

#[test]
fn nothing_configured_is_told_with_what_to_set_and_what_others_call_it() {
    let nothing = advice(&NOTHING).unwrap();
    assert!(nothing.starts_with("no database is configured: set DATABASE_URL (postgres://"), "{nothing}");
    assert!(nothing.ends_with("in a file that --env-file names"), "{nothing}");
    for (given, end) in [
        (
            Given { environment: &[("DATABASE_URI", "postgres://u:s3cret@h/d")], ..NOTHING },
            "; DATABASE_URI (in the environment) is called DATABASE_URL here",
        ),
        (
            Given { environment: &[("POSTGRES_CONNECTION_STRING", "postgres://u:s3cret@h/d")], ..NOTHING },
            "; POSTGRES_CONNECTION_STRING (in the environment) is called DATABASE_URL here",
        ),
        (
            Given { found: "\nPOSTGRES_URL=postgres://u:s3cret@h/d\nMCP_MAX_ROWS=7\n", ..NOTHING },
            "; POSTGRES_URL (in .env, line 2) is called DATABASE_URL here",
        ),
        (
            Given { env: "DB_HOST=h\nDB_NAME=d\nDB_PASSWORD=s3cret\nDB_USER=u\n", ..NOTHING },
            "; DB_HOST (in .env, line 1) is called POSTGRES_HOST here; DB_NAME (in .env, line 2) is called POSTGRES_DB here; \
             DB_PASSWORD (in .env, line 3) is called POSTGRES_PASSWORD here",
        ),
    ] {
        let told = advice(&given).unwrap();
        let place = told.find("/.env").map_or(told.clone(), |_| {
            let words = told.split(' ').map(|word| match word.strip_suffix("/.env,") {
                Some(_) => ".env,",
                None => word,
            });
            words.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(place, format!("{nothing}{end}"));
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn what_is_configured_needs_no_advice_and_the_names_of_others_stand_beside_it() {
    const VERCEL: &[(&str, &str)] = &[
        ("POSTGRES_URL", "postgres://u:p@ep.neon.tech/d?sslmode=require"),
        ("POSTGRES_PRISMA_URL", "postgres://u:p@ep.neon.tech/d?pgbouncer=true"),
        ("POSTGRES_URL_NON_POOLING", "postgres://u:p@ep.neon.tech/d"),
        ("POSTGRES_HOST", "ep.neon.tech"),
        ("POSTGRES_USER", "u"),
        ("POSTGRES_PASSWORD", "p"),
        ("POSTGRES_DATABASE", "d"),
    ];
    let vercel = loaded("Vercel", &Given { environment: VERCEL, ..NOTHING });
    assert_eq!(vercel.settings.postgres.target.advice, None);
    assert_eq!(
        vercel.warnings,
        ["POSTGRES_DATABASE (in the environment) is no setting of this server, which calls it POSTGRES_DB"]
    );
    let both =
        [("DATABASE_URL", "postgres://h/d"), ("DATABASE_URI", "x"), ("POSTGRES_DATABASE", "x"), ("DB_HOST", "x")];
    let both = loaded("both", &Given { environment: &both, ..NOTHING });
    assert_eq!((both.settings.postgres.target.advice, both.warnings), (None, Vec::new()));
    let half = Given { environment: &[("POSTGRES_PASSWORD", "p")], ..NOTHING };
    assert_eq!(advice(&half).as_deref(), Some("POSTGRES_HOST is not set, so localhost was taken"));
}

#[test]
fn a_placeholder_is_not_sent_to_a_server() {
    const FILLED: &str = "looks like a placeholder that the host has not filled in";
    for (key, text, found) in [
        ("DATABASE_URL", "${DATABASE_URL}", "${DATABASE_URL}"),
        ("DATABASE_URL", "${input:pg}", "${input:pg}"),
        ("DATABASE_URL", "postgres://u:${PW}@h", "${PW}"),
        (
            "DATABASE_URL",
            "postgresql://postgres.ref:[YOUR-PASSWORD]@aws-0.pooler.supabase.com:6543/postgres",
            "[YOUR-PASSWORD]",
        ),
        ("DATABASE_URL", "$DATABASE_URL", "$DATABASE_URL"),
        ("POSTGRES_HOST", "${env:PGHOST}", "${env:PGHOST}"),
        ("PGHOST", "%PGHOST%", "%PGHOST%"),
        ("MCP_ACCESS_MODE", "${MODE}", "${MODE}"),
    ] {
        let given = Given { environment: &[(key, text)], ..NOTHING };
        let told = problems(text, &given);
        assert!(told.len() == 1 && told[0].ends_with(&format!("{found} {FILLED}")), "{text}: {told:?}");
        // In a file that nobody has named it is a warning.
        let found = format!("{key}={text}\n");
        if key != "MCP_ACCESS_MODE" {
            let warnings = loaded(text, &Given { found: &found, ..NOTHING }).warnings;
            assert!(warnings.len() == 1 && warnings[0].contains("looks like a placeholder"), "{text}: {warnings:?}");
        }
    }
    let password = problems("password", &Given { environment: &[("POSTGRES_PASSWORD", "${input:pg}")], ..NOTHING });
    assert_eq!(
        password,
        [format!(
            "POSTGRES_PASSWORD (in the environment): ${{input:pg}} {FILLED}; if it is the password, put it into \
             POSTGRES_PASSWORD_FILE"
        )]
    );
}

/// Loaded where a server has its socket in the folder `sockets`, and another one on port 1234.
fn beside_a_server(url: &str, environment: &[(&str, &str)]) -> (Loaded, PathBuf) {
    let place = Place::of(&NOTHING);
    let sockets = place.path().join("sockets");
    std::fs::create_dir(&sockets).unwrap();
    let _servers = [5432, 1234].map(|port| UnixListener::bind(sockets.join(format!(".s.PGSQL.{port}"))).unwrap());
    let environment = [&[("DATABASE_URL", url), ("USER", "me")], environment].concat();
    let mut inputs = place.inputs(&Given { environment: &environment, ..NOTHING });
    inputs.socket_folders = vec![place.path().join("nowhere"), sockets.clone()];
    (settings::load(&inputs).unwrap(), sockets)
}

#[test]
fn a_url_without_a_host_means_the_server_of_this_machine() {
    for (url, environment, host, user) in [
        ("postgres:///d", &[][..], None, "me"),
        ("postgresql://", &[], None, "me"),
        ("postgres://u@/d", &[], None, "u"),
        ("postgres:///d?port=1234", &[], None, "me"),
        ("dbname=d", &[], None, "me"),
        // There is no server on that port, and here a host is named.
        ("postgres:///d?port=7", &[], Some("localhost"), "postgres"),
        ("postgres://localhost/d", &[], Some("localhost"), "postgres"),
        ("postgres:///d", &[("PGHOST", "h")], Some("h"), "postgres"),
        ("postgres:///d", &[("PGUSER", "u")], None, "u"),
    ] {
        let (loaded, sockets) = beside_a_server(url, environment);
        let target = &loaded.settings.postgres.target;
        let expected = host.map_or(sockets.display().to_string(), str::to_owned);
        if url == "postgresql://" {
            // It sets nothing at all.
            assert_eq!(target.hosts, ["localhost"], "{url}");
            continue;
        }
        assert_eq!((&target.hosts, target.user.as_str()), (&vec![expected], user), "{url}");
        if host.is_none() {
            assert_eq!(origin(&loaded, "POSTGRES_HOST").source, "default, since a server's socket is there");
        }
    }
    let elsewhere = loaded("no socket", &Given { environment: &[("DATABASE_URL", "postgres:///d")], ..NOTHING });
    assert_eq!(elsewhere.settings.postgres.target.hosts, ["localhost"]);
}
