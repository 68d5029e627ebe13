//! The checks that need a connection to the database: TLS, the version, the role, the extensions.

use pg_guard::{LiveWire, Survey};
use tokio_postgres::Error;
use tokio_util::task::TaskTracker;

use super::CONNECT_MAX;
use super::report::Report;
use crate::postgres::catalog;
use crate::postgres::catalog::extensions::Extensions;
use crate::postgres::catalog::role::{self, RoleRights};
use crate::postgres::catalog::server::{ConnectionTls, ConnectionTlsRow, Server, ServerRow};
use crate::postgres::connection::Connection;
use crate::postgres::error::{QueryError, causes};
use crate::postgres::login::Plain;
use crate::postgres::pool::{Admission, Generation};
use crate::settings::{AccessMode, Pooler, Settings, SslMode, TargetSettings, is_this_machine};

/// The extensions and languages that the report mentions if they are installed: the name, whether it is recommended,
/// and what it means for this server.
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

/// The oldest version of PostgreSQL on which this server is tested.
const VERSION_MIN: i32 = 14;

/// Connects, and runs the checks that need a connection.
pub(super) async fn check(report: &mut Report, settings: &Settings) {
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
            let source = settings.postgres.target.password_source.key();
            let mend = match error.sqlstate() {
                Some("28P01") => format!(" Check the password, which is that of {source}."),
                Some("28000") => " Check POSTGRES_USER, and what pg_hba.conf lets it do from here.".to_owned(),
                Some("3D000") => " Check POSTGRES_DB.".to_owned(),
                _ if matches!(error, QueryError::NoLogin { .. }) => String::new(),
                _ => " If it is about TLS, check POSTGRES_SSL_MODE and POSTGRES_SSL_ROOT_CERT.".to_owned(),
            };
            return report.failed("login", format!("{}.{mend}", error.to_string().replace('\n', " ")));
        }
    };
    report.ok("login", format!("as {}", generation.target_name()));
    let connection = lease.connection();
    let asked = async {
        // A pooler lends the backend only for this transaction.
        connection.begin(AccessMode::ReadOnly).await?;
        connected(report, connection, settings, &generation).await
    };
    if let Err(error) = asked.await {
        report.failed("database", causes(&error));
    }
}

async fn connected(
    report: &mut Report,
    connection: &Connection,
    settings: &Settings,
    generation: &Generation,
) -> Result<(), Error> {
    let (client, target) = (connection.client(), &settings.postgres.target);
    let backend = catalog::ask(client, &ConnectionTls).await?.into_iter().next();
    // A pooler has given the connection another process ID.
    let startup_pid = connection.pid().await;
    let own = backend.filter(|backend| startup_pid == Some(backend.pid));
    check_pooler(report, own.is_none(), target.pooler);
    match generation.is_encrypted() {
        true => check_encrypted(report, own.as_ref(), target.ssl_mode),
        false => check_plain(report, target, generation.plain()),
    }
    let Some(server) = catalog::ask(client, &Server).await?.into_iter().next() else { return Ok(()) };
    check_server(report, &server, settings.access);
    check_connections(report, &server, settings.postgres.pool.size);
    let rights = catalog::ask(client, &RoleRights { access: settings.access }).await?;
    let findings = rights.first().map(role::findings).unwrap_or_default();
    for finding in &findings {
        report.warning("role", finding.to_string());
    }
    match findings.is_empty() {
        true => report.ok("role", "it has no more rights than a reader needs"),
        false => {
            report.warning("role", "This SQL creates a role that has only the rights it needs:");
            role::suggested(&server.database).lines().for_each(|line| report.line("", "", line));
        }
    }
    let names = EXTENSIONS.iter().map(|(name, ..)| *name).collect();
    for installed in catalog::ask(client, &Extensions { names }).await? {
        if let Some((name, is_good, what)) = EXTENSIONS.iter().find(|(known, ..)| *known == installed.name) {
            let said = format!("{name}: {what}");
            if *is_good { report.ok("extension", said) } else { report.warning("extension", said) }
        }
    }
    if settings.access == AccessMode::ReadOnly {
        let found = Survey::of(client, &settings.policy).await?;
        check_guard(report, &found);
    }
    Ok(())
}

/// What read-only mode refuses here although no statement names it, and entries that mean nothing.
fn check_guard(report: &mut Report, found: &Survey) {
    for LiveWire { ways, function, why } in &found.live_wires {
        report.warning("guard", format!("{ways} runs {function}, so a statement with it is refused. {why}"));
    }
    for entry in &found.entries_without_function {
        let said = format!(
            "{entry} in MCP_FUNCTIONS_ALLOW or MCP_FUNCTIONS_DENY means no function of this database. Its forms are name, \
             schema.name, schema.* and name(argument types)"
        );
        report.warning("guard", said);
    }
    if *found == Survey::default() {
        report.ok("guard", "no function that it refuses runs without being named");
    }
}

fn check_pooler(report: &mut Report, is_pooled: bool, setting: Pooler) {
    let said = match (is_pooled, setting) {
        (false, Pooler::None) => return,
        (true, Pooler::None) => {
            return report.warning(
                "pooler",
                "there is one (such as PgBouncer), and POSTGRES_POOLER=none is right only if it is in session mode. In \
                 transaction mode it is not safe: what others set reaches this server. auto is right in both",
            );
        }
        (false, Pooler::Auto) => "none: each connection is a backend of PostgreSQL",
        (_, Pooler::Transaction) => {
            "each call runs in a transaction that makes all its settings (POSTGRES_POOLER=transaction)"
        }
        (true, Pooler::Auto) => {
            "there is one (such as PgBouncer): each call runs in a transaction that makes all its settings. This is right in \
             transaction mode and in session mode. If the pooler is in session mode, POSTGRES_POOLER=none is faster"
        }
    };
    report.ok("pooler", said);
}

/// `own` is known if the connection leads to PostgreSQL itself.
fn check_encrypted(report: &mut Report, own: Option<&ConnectionTlsRow>, mode: SslMode) {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let said = match own {
        Some(ConnectionTlsRow { version, cipher, .. }) => format!("{} {}", text(version), text(cipher)),
        None => "encrypted as far as the pooler".to_owned(),
    };
    match mode {
        SslMode::VerifyFull => report.ok("TLS", format!("{said}, the certificate is verified")),
        SslMode::VerifyCa => report.ok("TLS", format!("{said}, the certificate is verified, its name is not")),
        _ => report.warning(
            "TLS",
            format!("{said}, but the certificate was not checked. POSTGRES_SSL_MODE=verify-full checks it"),
        ),
    }
}

fn check_plain(report: &mut Report, target: &TargetSettings, plain: Option<Plain>) {
    let is_here = target.hosts.iter().all(|host| is_this_machine(host));
    let cause = plain.as_ref().map(|plain| format!(": {}", plain.why)).unwrap_or_default();
    match is_here && plain.is_none_or(|plain| plain.is_expected) {
        true => report.ok("TLS", format!("none, and none is needed on one machine{cause}")),
        false => report.warning(
            "TLS",
            format!(
                "the connection is not encrypted{cause}. If the server supports TLS, \
                 POSTGRES_SSL_MODE=verify-full requires it and checks the certificate"
            ),
        ),
    }
}

fn check_server(report: &mut Report, server: &ServerRow, access: AccessMode) {
    let ServerRow { version_number, version, is_standby, .. } = server;
    // 140005 means 14.5.
    match version_number / 10_000 {
        VERSION_MIN.. => report.ok("version", format!("PostgreSQL {version}")),
        _ => report.warning(
            "version",
            format!("PostgreSQL {version} is older than what this server is tested with ({VERSION_MIN})"),
        ),
    }
    if *is_standby {
        report.ok("standby", "it can only be read");
        if access == AccessMode::ReadWrite {
            report.warning(
                "standby",
                "and the mode is read-write: connect to the primary, or leave MCP_ACCESS_MODE at read-only",
            );
        }
    }
}

fn check_connections(report: &mut Report, server: &ServerRow, wanted: usize) {
    if let Some(allowed) =
        server.connections_max.filter(|&allowed| usize::try_from(allowed).is_ok_and(|few| few < wanted))
    {
        report.warning(
            "connections",
            format!(
                "the role or the database may have {allowed} (CONNECTION LIMIT), and POSTGRES_POOL_SIZE is {wanted}: calls \
                 wait for those that there are"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_14_are_warned_of() {
        for (version_number, version, verdict) in [(130_022, "13.22", "warning"), (140_000, "14.0", "ok")] {
            let mut report = Report::default();
            let version = version.to_owned();
            let server = ServerRow {
                version_number,
                version,
                is_standby: false,
                database: String::new(),
                connections_max: None,
            };
            check_server(&mut report, &server, AccessMode::ReadOnly);
            assert!(report.text().starts_with(verdict) && report.text().lines().count() == 1, "{}", report.text());
        }
    }
}
