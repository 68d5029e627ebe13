//! TLS to servers that are old, that only half work, or that want to know who the client is.

use mcp_server_postgres::settings::{ChannelBinding, ClientCertificate, SslMode, SslNegotiation, TargetSettings};
use rcgen::{CertificateParams, DnType, KeyPair};
use slog::Level;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::tls::{Authority, outcome_of};
use super::*;
use crate::common::openssl::{OldCertificate, old_certificate};

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const EC: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// Those of a server with this certificate, which takes TLS.
fn encrypted(certificate: &str, key: &str) -> Options {
    Options::new().file("server.crt", certificate).file("server.key", key).setting("ssl", "on")
}

/// A server that takes nothing but TLS.
fn only_encrypted(OldCertificate { certificate, key }: &OldCertificate) -> Options {
    encrypted(certificate, key).hba("hostnossl all all 127.0.0.1/32 reject")
}

/// Checks each outcome; a part of the error where there is one.
async fn check(
    what: &str,
    cluster: &PrivateCluster,
    rows: &[(SslMode, Option<&std::path::PathBuf>, Result<bool, &str>)],
) {
    for (mode, root, expected) in rows {
        let target = |target: &mut TargetSettings| {
            target.ssl_mode = *mode;
            target.ssl_root_cert = root.cloned();
        };
        let (outcome, _) = outcome_of(cluster, target).await;
        let is_expected = match (&outcome, expected) {
            (Ok(outcome), Ok(expected)) => outcome == expected,
            (Err(why), Err(part)) => why.contains(part),
            _ => false,
        };
        assert!(is_expected, "{what} {mode:?} {root:?}: {outcome:?}, expected {expected:?}");
    }
}

#[actix_rt::test]
async fn a_certificate_of_x509_version_1_is_taken_where_openssl_would_take_it() {
    use SslMode::{Allow, Prefer, Require, VerifyCa, VerifyFull};
    let folder = tempfile::tempdir().unwrap();
    let theirs = Authority::new(folder.path(), "theirs.pem");
    for (nth, (key_type, version, name)) in [
        (RSA, "TLSv1.3", "127.0.0.1"),
        (RSA, "TLSv1.2", "127.0.0.1"),
        (EC, "TLSv1.2", "127.0.0.1"),
        (EC, "TLSv1.3", "db.test"),
    ]
    .into_iter()
    .enumerate()
    {
        let Some(old) = old_certificate(key_type, name, None) else { return };
        let file = folder.path().join(format!("{nth}.pem"));
        std::fs::write(&file, &old.certificate).unwrap();
        let cluster = only_encrypted(&old).setting("ssl_max_protocol_version", version).start().unwrap();
        let is_named = match name {
            "127.0.0.1" => Ok(true),
            _ => Err("not valid for the host's name"),
        };
        let (own, theirs) = (Some(&file), Some(&theirs.file));
        check(
            &format!("{name} {version}"),
            &cluster,
            &[
                (Require, None, Ok(true)),
                (Prefer, None, Ok(true)),
                (Allow, None, Ok(true)),
                (Require, own, Ok(true)),
                (VerifyCa, own, Ok(true)),
                (VerifyFull, own, is_named),
                (Require, theirs, Err("signed by none of those")),
                (VerifyCa, theirs, Err("signed by none of those")),
            ],
        )
        .await;
    }
}

#[actix_rt::test]
async fn a_certificate_of_version_1_that_a_given_root_has_signed_is_taken_as_postgresqls_manual_makes_it() {
    use SslMode::{VerifyCa, VerifyFull};
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(folder.path(), "ours.pem"), Authority::new(folder.path(), "theirs.pem"));
    let authority = (ours.issuer.pem(), ours.issuer.key().serialize_pem());
    let Some(old) = old_certificate(RSA, "127.0.0.1", Some((&authority.0, &authority.1))) else { return };
    let cluster = only_encrypted(&old).start().unwrap();
    check(
        "signed",
        &cluster,
        &[
            (VerifyCa, Some(&ours.file), Ok(true)),
            (VerifyFull, Some(&ours.file), Ok(true)),
            // Both authorities have the same name, and another key.
            (VerifyCa, Some(&theirs.file), Err("signed by none of those")),
        ],
    )
    .await;
}

/// A server whose only cipher is none of ours.
fn with_an_old_cipher() -> Options {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    encrypted(&certificate.pem(), &key.serialize_pem())
        .setting("ssl_max_protocol_version", "TLSv1.2")
        .setting("ssl_ciphers", "ECDHE-ECDSA-AES256-SHA384")
}

#[actix_rt::test]
async fn a_connection_that_falls_back_to_plain_text_is_a_warning_with_its_cause() {
    let cluster = with_an_old_cipher().start().unwrap();
    let (outcome, log) = outcome_of(&cluster, |target| target.ssl_mode = SslMode::Prefer).await;
    assert_eq!(outcome, Ok(false));
    let lines = log.all_of("connection is not encrypted");
    assert!(
        lines.len() == 1 && lines[0].level == Level::Warning && lines[0].text.contains("HandshakeFailure"),
        "{lines:?}"
    );
    // On one machine a server without TLS is nothing to be warned of.
    let plain = PrivateCluster::start().unwrap();
    let (outcome, log) = outcome_of(&plain, |target| target.ssl_mode = SslMode::Prefer).await;
    assert_eq!(outcome, Ok(false));
    let lines = log.all_of("connection is not encrypted");
    assert!(lines.len() == 1 && lines[0].level == Level::Info, "{lines:?}");
    assert!(lines[0].text.contains("the server offers no TLS"), "{lines:?}");
}

#[actix_rt::test]
async fn where_a_server_takes_only_tls_the_error_of_tls_stands_beside_the_one_without() {
    let cluster = with_an_old_cipher().hba("hostnossl all all 127.0.0.1/32 reject").start().unwrap();
    let (outcome, _) = outcome_of(&cluster, |target| target.ssl_mode = SslMode::Prefer).await;
    let why = outcome.unwrap_err();
    assert!(
        why.contains("FATAL 28000") && why.contains("DETAIL: With TLS: ") && why.contains("HandshakeFailure"),
        "{why}"
    );
}

#[actix_rt::test]
async fn a_server_that_takes_this_user_only_without_tls_is_asked_so_and_that_is_a_warning() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let options = encrypted(&certificate.pem(), &key.serialize_pem()).hba("hostssl all all 127.0.0.1/32 reject");
    let cluster = options.start().unwrap();
    let (outcome, log) = outcome_of(&cluster, |target| target.ssl_mode = SslMode::Prefer).await;
    assert_eq!(outcome, Ok(false));
    let lines = log.all_of("connection is not encrypted");
    assert!(lines.len() == 1 && lines[0].level == Level::Warning, "{lines:?}");
}

#[actix_rt::test]
async fn a_server_with_tls_1_1_only_is_named_as_such() {
    for answer in [
        // The alert protocol_version.
        &[0x15, 3, 1, 0, 2, 2, 70][..],
        // A ServerHello of TLS 1.1.
        &[&[0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0x00, 0x2f, 0]].concat(),
    ] {
        let answer = answer.to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        actix_rt::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = [0; 4096];
                let _ = stream.read_exact(&mut bytes[..8]).await;
                let _ = stream.write_all(b"S").await;
                let _ = stream.read(&mut bytes).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.read(&mut bytes).await;
            }
        });
        let cluster = PrivateCluster::start().unwrap();
        let target = |target: &mut TargetSettings| {
            target.ports = vec![port];
            target.ssl_mode = SslMode::Require;
        };
        let why = outcome_of(&cluster, target).await.0.unwrap_err();
        assert!(why.contains("the server speaks TLS 1.1 or older, and 1.2 is the oldest here"), "{why}");
    }
}

#[actix_rt::test]
async fn a_server_that_asks_for_a_certificate_is_shown_the_clients() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(folder.path(), "ours.pem"), Authority::new(folder.path(), "theirs.pem"));
    let of = |authority: &Authority, name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let server = of(&ours, "127.0.0.1");
    let cluster = encrypted(&server.0, &server.1)
        .file("root.crt", ours.issuer.pem())
        .setting("ssl_ca_file", "root.crt")
        .hba("hostssl all all 127.0.0.1/32 cert")
        .start()
        .unwrap();
    let certificate = |(certificates, key): (String, String)| {
        Some(ClientCertificate { certificates: Secret::new(certificates), key: Secret::new(key) })
    };
    let mut shown = vec![
        (certificate(of(&ours, "postgres")), Ok(true)),
        (None, Err("FATAL 28000")),
        (certificate(of(&ours, "somebody")), Err("FATAL 28000")),
        (certificate(of(&theirs, "postgres")), Err("could not connect to PostgreSQL")),
    ];
    let authority = (ours.issuer.pem(), ours.issuer.key().serialize_pem());
    if let Some(OldCertificate { certificate: old, key }) =
        old_certificate(EC, "postgres", Some((&authority.0, &authority.1)))
    {
        shown.push((certificate((old, key)), Ok(true)));
    }
    for (nth, (certificate, expected)) in shown.into_iter().enumerate() {
        let target = |target: &mut TargetSettings| {
            target.ssl_mode = SslMode::VerifyFull;
            target.ssl_root_cert = Some(ours.file.clone());
            target.client_certificate = certificate;
        };
        match (outcome_of(&cluster, target).await.0, expected) {
            (Ok(is_encrypted), Ok(expected)) => assert_eq!(is_encrypted, expected, "{nth}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{nth}: {why}"),
            (outcome, expected) => panic!("{nth}: {outcome:?}, expected {expected:?}"),
        }
    }
}

#[actix_rt::test]
async fn required_channel_binding_is_had_or_refused_with_the_reason() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let with_tls = || encrypted(&certificate.pem(), &key.serialize_pem());
    let (scram, trusting) = (with_tls().password("right").start().unwrap(), with_tls().start().unwrap());
    let plain = Options::new().password("right").start().unwrap();
    use ChannelBinding::{Disable, Prefer, Require};
    for (what, cluster, binding, expected) in [
        ("SCRAM", &scram, Require, Ok(true)),
        ("SCRAM", &scram, Prefer, Ok(true)),
        ("SCRAM", &scram, Disable, Ok(true)),
        ("trust", &trusting, Prefer, Ok(true)),
        (
            "trust",
            &trusting,
            Require,
            Err("and the server has not offered it: PostgreSQL offers it for a login by SCRAM"),
        ),
        ("plain", &plain, Prefer, Ok(false)),
        ("plain", &plain, Require, Err("and the connection is not encrypted, without which there is none")),
    ] {
        let target = |target: &mut TargetSettings| {
            target.ssl_mode = SslMode::Prefer;
            target.password = password("right");
            target.channel_binding = binding;
        };
        match (outcome_of(cluster, target).await.0, expected) {
            (Ok(is_encrypted), Ok(expected)) => assert_eq!(is_encrypted, expected, "{what} {binding:?}"),
            (Err(why), Err(part)) => assert!(
                why.contains(&format!("channel binding is required (POSTGRES_CHANNEL_BINDING), {part}")),
                "{what} {binding:?}: {why}"
            ),
            (outcome, expected) => panic!("{what} {binding:?}: {outcome:?}, expected {expected:?}"),
        }
    }
}

#[actix_rt::test]
async fn direct_negotiation_begins_with_tls_and_names_its_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hello = actix_rt::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        bytes.truncate(count);
        bytes
    });
    let cluster = PrivateCluster::start().unwrap();
    let target = |target: &mut TargetSettings| {
        target.ports = vec![port];
        target.ssl_mode = SslMode::Require;
        target.ssl_negotiation = SslNegotiation::Direct;
    };
    outcome_of(&cluster, target).await.0.unwrap_err();
    let hello = hello.await.unwrap();
    assert_eq!(hello[..2], [0x16, 3], "a record of TLS's handshake");
    assert!(hello.windows(10).any(|part| part == b"postgresql"), "by ALPN");
}
