//! `mcp-server-postgres doctor`: whether this server can do its work, from the settings to the role, and how to mend what
//! is in the way. For a person at a terminal; it changes nothing.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_postgres::Client;
use tokio_util::task::TaskTracker;

use crate::postgres::catalog;
use crate::postgres::catalog::role::{self, RoleRights};
use crate::postgres::pool::{Admission, Generation};
use crate::settings::{AccessMode, Loaded, PostgresSettings, Settings, SslMode};

/// A host that does not answer is given up after this long, or the operator's own time for a connection if that is less.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What is said of extensions and languages that are installed.
const EXTENSIONS: &[(&str, bool, &str)] = &[
    ("pg_stat_statements", true, "statistics of statements can be read (without their texts)"),
    ("hypopg", true, "indexes can be tried without being made"),
    ("dblink", false, "its functions reach other databases; the guard refuses them in read-only mode"),
    ("postgres_fdw", false, "foreign tables reach other servers, which is not bounded by this one's read-only mode"),
    ("file_fdw", false, "foreign tables read files, and can run programs, of the database server"),
    ("adminpack", false, "its functions write files of the database server; the guard refuses them in read-only mode"),
    (
        "plpython3u",
        false,
        "functions in it can do anything on the database server; the guard refuses them in read-only mode",
    ),
    (
        "plperlu",
        false,
        "functions in it can do anything on the database server; the guard refuses them in read-only mode",
    ),
];

/// What was found, in the order in which it was looked for.
#[derive(Debug, Default)]
pub struct Report {
    text: String,
    /// Something keeps the server from its work.
    pub has_failed: bool,
}

impl Report {
    fn line(&mut self, verdict: &str, what: &str, said: &str) {
        let _ = writeln!(self.text, "{verdict:8} {what:10} {said}");
    }

    fn ok(&mut self, what: &str, said: impl AsRef<str>) {
        self.line("ok", what, said.as_ref());
    }

    fn warning(&mut self, what: &str, said: impl AsRef<str>) {
        self.line("warning", what, said.as_ref());
    }

    fn failed(&mut self, what: &str, said: impl AsRef<str>) {
        self.has_failed = true;
        self.line("failed", what, said.as_ref());
    }

    /// A line each: `ok`, `warning` or `failed`, what was looked at, what is the matter and how to mend it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Look at everything. What follows from a failure is not looked at.
pub async fn examine(loaded: Result<Loaded, String>) -> Report {
    let mut report = Report::default();
    let settings = match loaded {
        Ok(Loaded { settings, warnings, .. }) => {
            warnings.iter().for_each(|warning| report.warning("settings", warning));
            settings
        }
        Err(why) => {
            report.failed("settings", why);
            return report;
        }
    };
    report.ok("settings", format!("{} mode; see check-config for the rest", settings.access));
    if address(&mut report, &settings.postgres).await {
        database(&mut report, &settings).await;
    }
    report
}

/// Whether anything listens where the database should be. One of several hosts will do.
async fn address(report: &mut Report, settings: &PostgresSettings) -> bool {
    let wait = settings.clocks.connect_timeout.min(CONNECT_MAX);
    let (mut answer, mut silent) = (Vec::new(), Vec::new());
    for (at, host) in settings.target.hosts.iter().enumerate() {
        let port = settings.target.ports.get(at).or(settings.target.ports.first()).copied().unwrap_or(5432);
        let place = match host.starts_with('/') {
            true => format!("{host}/.s.PGSQL.{port}"),
            false => format!("{host}:{port}"),
        };
        let knock = async {
            if host.starts_with('/') {
                return UnixStream::connect(&place).await.map(drop).map_err(|error| error.to_string());
            }
            let addresses = lookup_host((host.as_str(), port)).await;
            let addresses = addresses.map_err(|error| format!("the name is not known ({error})"))?.collect::<Vec<_>>();
            TcpStream::connect(&*addresses).await.map(drop).map_err(|error| error.to_string())
        };
        match tokio::time::timeout(wait, knock).await {
            Ok(Ok(())) => answer.push(format!("{place} answers")),
            Ok(Err(why)) => {
                silent
                    .push(format!("{place}: {why}. Is PostgreSQL there (POSTGRES_HOST, POSTGRES_PORT), and running?"));
            }
            Err(_) => {
                silent.push(format!("{place} does not answer within {wait:?}: a firewall, or a wrong address"));
            }
        }
    }
    answer.iter().for_each(|said| report.ok("address", said));
    for said in silent {
        if answer.is_empty() { report.failed("address", said) } else { report.warning("address", said) }
    }
    !answer.is_empty()
}

/// What is to be seen once there is a connection.
async fn database(report: &mut Report, settings: &Settings) {
    let mut postgres = settings.postgres.clone();
    postgres.clocks.connect_timeout = postgres.clocks.connect_timeout.min(CONNECT_MAX);
    postgres.pool.size = 1;
    let no_log = slog::Logger::root(slog::Discard, slog::o!());
    let generation = match Generation::new(1, &postgres, settings.access, TaskTracker::new(), &no_log) {
        Ok(generation) => generation,
        Err(why) => return report.failed("TLS", why),
    };
    let lease = match generation.lease(&"doctor".into(), 0, Admission::Normal).await {
        Ok(lease) => lease,
        Err(error) => {
            let mend = match error.sqlstate() {
                Some("28P01") => " Check POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE.",
                Some("28000") => " Check POSTGRES_USER, and what pg_hba.conf lets it do from here.",
                Some("3D000") => " Check POSTGRES_DB.",
                _ => " Check POSTGRES_SSL_MODE and POSTGRES_SSL_ROOT_CERT if it is about TLS.",
            };
            return report.failed("login", format!("{}.{mend}", error.to_string().replace('\n', " ")));
        }
    };
    report.ok("login", format!("as {}", generation.target_name()));
    if let Err(error) = inside(report, lease.connection().client(), settings).await {
        report.failed("database", error.to_string());
    }
}

async fn inside(report: &mut Report, client: &Client, settings: &Settings) -> Result<(), tokio_postgres::Error> {
    let sql = "SELECT ssl, version, cipher FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";
    let tls = client.query_typed(sql, &[]).await?;
    let is_loopback = |host: &str| host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_here = settings
        .postgres
        .target
        .hosts
        .iter()
        .all(|host| host.starts_with('/') || host == "localhost" || is_loopback(host));
    match tls.first() {
        Some(row) if row.try_get(0)? => {
            let (version, cipher): (Option<String>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
            let said = format!("{} {}", version.unwrap_or_default(), cipher.unwrap_or_default());
            match settings.postgres.target.ssl_mode {
                SslMode::VerifyFull => report.ok("TLS", format!("{said}, the certificate is verified")),
                SslMode::VerifyCa => report.ok("TLS", format!("{said}, the certificate is verified, its name is not")),
                _ => report.warning(
                    "TLS",
                    format!("{said}, but whose certificate it is was not checked: POSTGRES_SSL_MODE=verify-full"),
                ),
            }
        }
        _ if is_here => report.ok("TLS", "none, and none is needed on one machine"),
        _ => report
            .warning("TLS", "the connection is not encrypted: POSTGRES_SSL_MODE=verify-full, where the server can"),
    }
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::int4, pg_catalog.current_setting('server_version'), \
               pg_catalog.pg_is_in_recovery(), pg_catalog.current_database()::text";
    let Some(row) = client.query_typed(sql, &[]).await?.into_iter().next() else { return Ok(()) };
    let (number, version): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    match number {
        130_000.. => report.ok("version", format!("PostgreSQL {version}")),
        _ => report
            .warning("version", format!("PostgreSQL {version} is older than what this server is tested with (13)")),
    }
    if row.try_get(2)? {
        report.ok("standby", "it can only be read");
        if settings.access == AccessMode::ReadWrite {
            report.warning(
                "standby",
                "and the mode is read-write: connect to the primary, or leave MCP_ACCESS_MODE at read-only",
            );
        }
    }
    let rights = catalog::ask(client, &RoleRights { access: settings.access }).await?;
    let findings = rights.first().map(role::findings).unwrap_or_default();
    for finding in &findings {
        report.warning("role", finding.to_string());
    }
    match findings.is_empty() {
        true => report.ok("role", "it can do nothing that a reader need not"),
        false => {
            let database: String = row.try_get(3)?;
            report.warning("role", "one that is made for it:");
            role::suggested(&database).lines().for_each(|line| report.line("", "", line));
        }
    }
    let names: Vec<&str> = EXTENSIONS.iter().map(|(name, ..)| *name).collect();
    let sql = "SELECT extname::text FROM pg_catalog.pg_extension WHERE extname = ANY ($1) ORDER BY 1";
    let there = client.query_typed(sql, &[(&names, tokio_postgres::types::Type::TEXT_ARRAY)]).await?;
    for row in there {
        let name: String = row.try_get(0)?;
        if let Some((name, is_good, what)) = EXTENSIONS.iter().find(|(known, ..)| *known == name) {
            let said = format!("{name}: {what}");
            if *is_good { report.ok("extension", said) } else { report.warning("extension", said) }
        }
    }
    Ok(())
}
