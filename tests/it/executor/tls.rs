//! TLS to PostgreSQL, with the meanings of sslmode in libpq (PostgreSQL manual, section 34.19).

use std::path::PathBuf;

use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::settings::{SslMode, TargetSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;

/// A certificate authority, its certificate in a file.
pub(super) struct Authority {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) file: PathBuf,
}

impl Authority {
    pub(super) fn new(folder: &std::path::Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// A cluster that accepts only TLS, with a certificate for `host`.
    fn cluster(&self, host: &str) -> PrivateCluster {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        encrypted_cluster(&certificate.pem(), &key)
    }
}

fn encrypted_cluster(certificate: &str, key: &KeyPair) -> PrivateCluster {
    Options::new()
        .file("server.crt", certificate)
        .file("server.key", key.serialize_pem())
        .setting("ssl", "on")
        .hba("hostnossl all all 127.0.0.1/32 reject")
        .start()
        .unwrap()
}

async fn outcome(cluster: &PrivateCluster, mode: SslMode, root: Option<&PathBuf>) -> Result<bool, String> {
    let target = |target: &mut TargetSettings| {
        target.ssl_mode = mode;
        target.ssl_root_cert = root.cloned();
    };
    outcome_of(cluster, target).await.0
}

/// Whether the connection is encrypted, or why there is none; and the log.
pub(super) async fn outcome_of(
    cluster: &PrivateCluster,
    change: impl FnOnce(&mut TargetSettings),
) -> (Result<bool, String>, Lines) {
    let settings = settings_of(cluster, |settings| {
        settings.postgres.pool.min_size = 0;
        change(&mut settings.postgres.target);
    });
    let (executor, _finished, log) = start(&settings);
    let statement = statement("select ssl from pg_stat_ssl where pid = pg_backend_pid()", json!([]));
    let limits = Limits { rows_max: 1, bytes_max: 1000 };
    let query = Query {
        call: CallContext::new("a test", Caller::stdio()),
        statement,
        reading: Reading { limits, format: Format::Table, cell_offset: 0 },
    };
    let outcome = match executor.send(query).await.unwrap() {
        Ok(answered) => Ok(answered.answer.page.json == "[true]"),
        Err(error) => Err(error.for_model()),
    };
    (outcome, log)
}

#[actix_rt::test]
async fn each_sslmode_connects_exactly_where_libpq_does() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours.pem");
    let theirs = Authority::new(folder.path(), "theirs.pem");
    let plain = PrivateCluster::start().unwrap();
    let right = ours.cluster("127.0.0.1");
    let named = ours.cluster("other.example");
    // A certificate that is its own authority, as `openssl req -x509` makes it.
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own_certificate = params.self_signed(&key).unwrap().pem();
    let own = encrypted_cluster(&own_certificate, &key);
    let own_file = folder.path().join("own.pem");
    std::fs::write(&own_file, own_certificate).unwrap();
    let (ours, theirs) = (Some(&ours.file), Some(&theirs.file));
    use SslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
    for (server, cluster, mode, root, expected) in [
        ("plain", &plain, Disable, None, Ok(false)),
        ("plain", &plain, Prefer, None, Ok(false)),
        ("plain", &plain, Allow, None, Ok(false)),
        ("plain", &plain, Require, None, Err("server does not support TLS")),
        ("plain", &plain, VerifyCa, ours, Err("server does not support TLS")),
        ("plain", &plain, VerifyFull, ours, Err("server does not support TLS")),
        ("right", &right, Disable, None, Err("FATAL 28000")),
        ("right", &right, Prefer, None, Ok(true)),
        ("right", &right, Prefer, theirs, Ok(true)),
        // Refused without TLS, it asks for it.
        ("right", &right, Allow, None, Ok(true)),
        ("right", &right, Require, None, Ok(true)),
        // As in libpq, `require` with a root certificate verifies like verify-ca.
        ("right", &right, Require, theirs, Err("certificate")),
        ("right", &right, VerifyCa, ours, Ok(true)),
        ("right", &right, VerifyFull, ours, Ok(true)),
        ("right", &right, VerifyCa, theirs, Err("certificate")),
        ("right", &right, VerifyFull, theirs, Err("certificate")),
        ("named", &named, Require, ours, Ok(true)),
        ("named", &named, VerifyCa, ours, Ok(true)),
        ("named", &named, VerifyFull, ours, Err("not valid for name")),
        ("own", &own, VerifyFull, Some(&own_file), Ok(true)),
        ("own", &own, VerifyCa, ours, Err("certificate")),
    ] {
        let outcome = outcome(cluster, mode, root).await;
        let as_expected = match (&outcome, expected) {
            (Ok(encrypted), Ok(expected)) => *encrypted == expected,
            (Err(why), Err(part)) => why.contains(part),
            _ => false,
        };
        assert!(as_expected, "{server} {mode:?} {root:?}: {outcome:?}, expected {expected:?}");
    }
}

#[actix_rt::test]
async fn a_statement_over_tls_is_cancelled_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours.pem");
    let cluster = authority.cluster("127.0.0.1");
    let settings = settings_of(&cluster, |settings| {
        settings.postgres.target.ssl_mode = SslMode::VerifyFull;
        settings.postgres.target.ssl_root_cert = Some(authority.file.clone());
    });
    let (executor, _finished, log) = start(&settings);
    let reading = Reading { limits: Limits { rows_max: 1, bytes_max: 1000 }, format: Format::Table, cell_offset: 0 };
    let query = |sql: &str| {
        executor.send(Query {
            call: CallContext::new("a test", Caller::stdio()),
            statement: statement(sql, json!([])),
            reading,
        })
    };
    let sleeping = actix_rt::spawn(query("select pg_sleep(60)"));
    let active = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and state = 'active'";
    until("it runs", async || query(active).await.unwrap().unwrap().answer.page.json == "[1]").await;
    sleeping.abort();
    until("it is cancelled", async || query(active).await.unwrap().unwrap().answer.page.json == "[0]").await;
    until("the log says so", async || log.of("statement cancelled").concat().contains("idle=true")).await;
}
