//! TLS to a PgBouncer, and logins at it.

use mcp_server_postgres::settings::{ChannelBinding, Secret, SslMode};
use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::executor::tls::Authority;

/// An executor behind a PgBouncer that has a certificate for 127.0.0.1, with these further settings.
pub(super) async fn behind_tls(further: &str, change: impl FnOnce(&mut Settings)) -> Option<(World, PgBouncer)> {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours.pem");
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority.issuer).unwrap().pem();
    let files =
        [("certificate", certificate.as_str()), ("key", &key.serialize_pem()), ("users", "\"postgres\" \"secret\"\n")];
    let further = format!(
        "client_tls_cert_file = {{folder}}/certificate\nclient_tls_key_file = {{folder}}/key\n\
         client_tls_sslmode = require\n{further}"
    );
    let root = authority.file.clone();
    behind_with("transaction", &files, &further, |settings| {
        settings.postgres.target.ssl_root_cert = Some(root);
        change(settings);
    })
    .await
}

#[actix_rt::test]
async fn a_pooler_with_tls_is_found_and_used_in_every_mode_that_encrypts() {
    for mode in [SslMode::Allow, SslMode::Prefer, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let Some((world, _bouncer)) = behind_tls("", |settings| settings.postgres.target.ssl_mode = mode).await else {
            return;
        };
        for (sql, expected) in READS {
            assert_eq!(world.rows(sql).await, *expected, "{mode:?}: {sql}");
        }
        assert_eq!(world.log.of("there is a pooler").len(), 1, "{mode:?}");
        let ours = actix_rt::spawn(world.ask("select pg_sleep(1000)", json!([])));
        world.until_asleep(1).await;
        ours.abort();
        world.until_asleep(0).await;
    }
    let Some((world, _bouncer)) = behind_tls("", |settings| settings.postgres.target.ssl_mode = SslMode::Disable).await
    else {
        return;
    };
    let refused = world.refusal("select 1").await;
    assert!(refused.contains("TLS") || refused.contains("SSL"), "{refused}");
}

#[actix_rt::test]
async fn a_login_by_scram_is_bound_to_tls_if_the_pooler_can_and_refused_if_it_must_be_and_cannot() {
    for (binding, works) in
        [(ChannelBinding::Disable, true), (ChannelBinding::Prefer, true), (ChannelBinding::Require, false)]
    {
        let Some((world, _bouncer)) = behind_tls("auth_type = scram-sha-256", |settings| {
            let target = &mut settings.postgres.target;
            target.ssl_mode = SslMode::VerifyFull;
            target.password = Some(Secret::new("secret"));
            target.channel_binding = binding;
        })
        .await
        else {
            return;
        };
        match world.query("select 1").await {
            Ok(answer) => assert!(works && answer.answer.page.json == "[1]", "{binding:?}"),
            Err(error) => {
                // PgBouncer 1.18 has SCRAM without channel binding.
                let why = error.for_model();
                assert!(!works && why.contains("channel binding is required (POSTGRES_CHANNEL_BINDING)"), "{why}");
                assert!(why.contains("a pooler such as PgBouncer does not offer it"), "{why}");
            }
        }
    }
}

#[actix_rt::test]
async fn channel_binding_is_used_without_named_statements_too() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours.pem");
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority.issuer).unwrap().pem();
    let options = Options::new().password("right").setting("ssl", "on");
    let options = options.file("server.crt", certificate).file("server.key", key.serialize_pem());
    let world = World::with(options, |settings| {
        let target = &mut settings.postgres.target;
        target.pooler = Pooler::Transaction;
        target.password = Some(Secret::new("right"));
        target.ssl_mode = SslMode::VerifyFull;
        target.ssl_root_cert = Some(authority.file.clone());
        target.channel_binding = ChannelBinding::Require;
    })
    .await;
    assert_eq!(world.rows("select 7").await, "[[7]]");
}

#[actix_rt::test]
async fn a_certificate_of_a_pooler_that_is_for_another_name_or_by_somebody_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = Authority::new(folder.path(), "theirs.pem");
    for (host, root) in [("localhost", None), ("127.0.0.1", Some(theirs.file))] {
        let Some((world, _bouncer)) = behind_tls("", |settings| {
            let target = &mut settings.postgres.target;
            target.ssl_mode = SslMode::VerifyFull;
            target.hosts = vec![host.to_owned()];
            target.ssl_root_cert = root.or(target.ssl_root_cert.take());
        })
        .await
        else {
            return;
        };
        let refused = world.refusal("select 1").await;
        assert!(refused.contains("certificate"), "{host}: {refused}");
    }
}
