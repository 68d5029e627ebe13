//! What `doctor` says in the situations that people are in: half a configuration, a pooler, certificates.

use pg_private::{Options, PrivateCluster};
use rcgen::{CertificateParams, KeyPair};

use super::doctor;
use crate::common::pgbouncer::PgBouncer;

/// The line about `what`, such as "ok login …".
fn line(said: &str, what: &str) -> String {
    let line = said.lines().find(|line| line.split_whitespace().nth(1) == Some(what));
    let line = line.unwrap_or_else(|| panic!("nothing is said of {what}: {said}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_missing_or_not_filled_in_is_named() {
    let cluster = Options::new().password("right").start().unwrap();
    let (url, port) = (cluster.url(), cluster.port().to_string());
    let without_password = url.replace(":right@", "@");
    assert_ne!(url, without_password);
    for (environment, what, part) in [
        (
            vec![("DATABASE_URL", "${DATABASE_URL}")],
            "settings",
            "failed settings DATABASE_URL (in the environment): ${DATABASE_URL} looks like a placeholder",
        ),
        (
            vec![("DATABASE_URL", "postgres://u:${PW}@127.0.0.1/d")],
            "settings",
            "${PW} looks like a placeholder that the host has not filled in",
        ),
        (vec![("DATABASE_URL", &*without_password)], "login", "POSTGRES_PASSWORD"),
        (
            vec![("POSTGRES_PORT", "1")],
            "address",
            "localhost:1: Connection refused (os error 111). POSTGRES_HOST is not set",
        ),
        (vec![("POSTGRES_PORT", &*port), ("POSTGRES_USER", "nobody")], "login", "failed login"),
    ] {
        let (status, said) = doctor(&environment);
        let line = line(&said, what);
        assert!(status == 1 && line.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_pooler_is_named_with_what_it_means_and_its_setting_is_obeyed() {
    let cluster = PrivateCluster::start().unwrap();
    for mode in ["transaction", "session"] {
        let Some(bouncer) = PgBouncer::start(&cluster, mode).await else { return };
        let url = bouncer.url();
        let found = "ok pooler there is one (such as PgBouncer): each call runs in a transaction that makes all its settings. \
                     This is right in transaction mode and in session mode. If the pooler is in session mode, \
                     POSTGRES_POOLER=none is faster";
        let set = "ok pooler each call runs in a transaction that makes all its settings (POSTGRES_POOLER=transaction)";
        let marked = format!("{url}?pgbouncer=true");
        for (environment, expected) in [
            (vec![("DATABASE_URL", &*url)], found),
            (vec![("DATABASE_URL", &*marked)], set),
            (vec![("DATABASE_URL", &*url), ("POSTGRES_POOLER", "transaction")], set),
        ] {
            let (status, said) = doctor(&environment);
            assert_eq!((status, line(&said, "pooler").as_str()), (0, expected), "{mode}: {said}");
        }
    }
    // With POSTGRES_POOLER=none nothing protects this server from what others set in transaction mode.
    let Some(bouncer) = PgBouncer::start(&cluster, "session").await else { return };
    let (status, said) = doctor(&[("DATABASE_URL", &bouncer.url()), ("POSTGRES_POOLER", "none")]);
    let warned = "warning pooler there is one (such as PgBouncer), and POSTGRES_POOLER=none is right only if";
    assert!(status == 0 && line(&said, "pooler").starts_with(warned), "{said}");
    // On PostgreSQL itself.
    let (status, said) = doctor(&[("DATABASE_URL", &cluster.url()), ("POSTGRES_POOLER", "none")]);
    assert!(status == 0 && !said.contains(" pooler "), "{said}");
    let url = cluster.url();
    let (status, said) = doctor(&[("DATABASE_URL", &url)]);
    let none = "ok pooler none: each connection is a backend of PostgreSQL";
    assert_eq!((status, line(&said, "pooler").as_str()), (0, none));
    let marked = format!("{url}?pgbouncer=true");
    let (status, said) = doctor(&[("DATABASE_URL", &marked), ("POSTGRES_POOLER", "none")]);
    assert!(status == 0 && line(&said, "pooler").contains("(POSTGRES_POOLER=transaction)"), "{said}");
    let overruled = "POSTGRES_POOLER in the environment has no effect: it is set by DATABASE_URL in the environment";
    assert!(said.contains(overruled), "{said}");
}

#[test]
fn what_is_wrong_with_tls_is_named() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["db.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let encrypted = Options::new()
        .file("server.crt", certificate.pem())
        .file("server.key", key.serialize_pem())
        .setting("ssl", "on")
        .start()
        .unwrap();
    let plain = PrivateCluster::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, certificate.pem()).unwrap();
    let root = root.to_str().unwrap();
    let (encrypted, plain) = (encrypted.url(), plain.url());
    let not_checked = "but the certificate was not checked. POSTGRES_SSL_MODE=verify-full checks it";
    for (url, mode, root, what, part) in [
        (&encrypted, "prefer", "", "TLS", not_checked),
        (&encrypted, "require", "", "TLS", not_checked),
        (&encrypted, "verify-ca", root, "TLS", "the certificate is verified, its name is not"),
        (&encrypted, "verify-full", root, "login", "certificate not valid for name \"127.0.0.1\""),
        (&encrypted, "verify-full", "/nowhere/root.pem", "TLS", "POSTGRES_SSL_ROOT_CERT /nowhere/root.pem"),
        (&encrypted, "disable", "", "TLS", "none, and none is needed on one machine"),
        (&plain, "prefer", "", "TLS", "the server offers no TLS (its setting ssl is off)"),
        (&plain, "require", "", "login", "does not support TLS. If it is about TLS, check POSTGRES_SSL_MODE"),
        (&plain, "verify-full", root, "login", "does not support TLS"),
    ] {
        let mut environment = vec![("DATABASE_URL", url.as_str()), ("POSTGRES_SSL_MODE", mode)];
        environment.extend((!root.is_empty()).then_some(("POSTGRES_SSL_ROOT_CERT", root)));
        let (_, said) = doctor(&environment);
        let line = said.lines().find(|line| line.split_whitespace().nth(1) == Some(what)).unwrap_or_default();
        assert!(line.contains(part), "{mode} {root}: {part}: {said}");
    }
}

#[tokio::test]
async fn tls_through_a_pooler_is_that_of_the_connection_to_the_pooler() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let cluster = PrivateCluster::start().unwrap();
    let files = [("certificate", certificate.as_str()), ("key", &key.serialize_pem())];
    let further = "client_tls_cert_file = {folder}/certificate\nclient_tls_key_file = {folder}/key\n\
                   client_tls_sslmode = require";
    let Some(bouncer) = PgBouncer::start_with(&cluster, "transaction", &files, further).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, certificate).unwrap();
    let root = root.to_str().unwrap();
    let url = bouncer.url();
    for (mode, root, what, part) in [
        ("verify-full", root, "TLS", "ok TLS encrypted as far as the pooler, the certificate is verified"),
        ("prefer", "", "TLS", "warning TLS encrypted as far as the pooler, but the certificate was not checked"),
        ("disable", "", "login", "failed login FATAL 08P01"),
    ] {
        let mut environment = vec![("DATABASE_URL", url.as_str()), ("POSTGRES_SSL_MODE", mode)];
        environment.extend((!root.is_empty()).then_some(("POSTGRES_SSL_ROOT_CERT", root)));
        let (_, said) = doctor(&environment);
        assert!(line(&said, what).starts_with(part), "{mode}: {said}");
    }
}
