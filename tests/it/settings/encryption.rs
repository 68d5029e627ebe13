//! TLS to PostgreSQL: the client's certificate, what fits together, and libpq's variables that cannot be obeyed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mcp_server_postgres::settings::{self, ChannelBinding, Loaded, SettingsError, SslNegotiation};

use crate::settings::{Given, NOTHING, Place, loaded, problems, sample_files};

/// A place with a home folder in which libpq's certificate, key and root certificate are.
fn home() -> Place {
    let place = Place::of(&NOTHING);
    fs::create_dir_all(place.path().join("home/.postgresql")).unwrap();
    let (_, pem) = sample_files().iter().find(|(name, _)| *name == "pem0").unwrap();
    for name in ["postgresql.crt", "postgresql.key", "root.crt"] {
        place.write_private(&format!("home/.postgresql/{name}"), pem);
    }
    place
}

fn load(place: &Place, environment: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
    settings::load(&place.inputs(&Given { environment, ..NOTHING }))
}

#[test]
fn the_certificates_of_the_home_folder_are_used_as_libpq_uses_them() {
    let place = home();
    let target = |environment: &[(&str, &str)]| load(&place, environment).unwrap().settings.postgres.target;
    let at_home = target(&[("HOME", "home")]);
    assert!(at_home.client_certificate.is_some());
    assert_eq!(at_home.ssl_root_cert, Some(place.path().join("home/.postgresql/root.crt")));
    assert!(target(&[("HOME", "home"), ("PGSSLMODE", "disable")]).client_certificate.is_none());
    assert!(target(&[]).client_certificate.is_none());
    let other = target(&[("HOME", "home"), ("PGSSLROOTCERT", "system")]);
    assert_eq!((other.ssl_root_cert, other.ssl_root_text), (Some("system".into()), None));
    // Nobody has named the file that chooses this server.
    for (found, is_shown) in [("MCP_MAX_ROWS=7\n", true), ("POSTGRES_HOST=evil\n", false), ("PGPORT=6666\n", false)] {
        fs::write(place.path().join(".env"), found).unwrap();
        assert_eq!(target(&[("HOME", "home")]).client_certificate.is_some(), is_shown, "{found}");
    }
}

#[test]
fn a_root_certificate_that_has_changed_changes_the_settings() {
    let place = home();
    let root = place.path().join("ca.pem");
    let environment = [("POSTGRES_SSL_ROOT_CERT", "ca.pem")];
    let loaded = || load(&place, &environment).unwrap();
    let absent = loaded();
    assert!(
        absent.files.iter().any(|file| file.path == root && file.text.is_none()),
        "it is watched before it is there"
    );
    fs::write(&root, "one").unwrap();
    let one = loaded();
    fs::write(&root, "two").unwrap();
    let two = loaded();
    let target = |loaded: &Loaded| loaded.settings.postgres.target.clone();
    assert!(target(&absent) != target(&one) && target(&one) != target(&two) && target(&two) == target(&loaded()));
}

#[test]
fn a_key_that_others_could_read_is_refused_where_it_was_named_and_told_where_it_was_found() {
    let place = home();
    let key = place.path().join("home/.postgresql/postgresql.key");
    let named =
        [("POSTGRES_SSL_CERT", "home/.postgresql/postgresql.crt"), ("PGSSLKEY", "home/.postgresql/postgresql.key")];
    for (mode, is_used) in [(0o600, true), (0o400, true), (0o644, false), (0o660, false), (0o604, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let told = format!(
            "POSTGRES_SSL_KEY is home/.postgresql/postgresql.key: it has mode {mode:04o}, and others could \
                            read it: chmod 0600"
        );
        let found = load(&place, &[("HOME", "home")]).unwrap();
        assert_eq!(found.settings.postgres.target.client_certificate.is_some(), is_used, "{mode:o}");
        let warnings: Vec<_> = found.warnings.iter().map(|it| place.plain(it)).collect();
        match load(&place, &named) {
            Ok(loaded) => assert!(is_used && loaded.settings.postgres.target.client_certificate.is_some(), "{mode:o}"),
            Err(error) => {
                assert!(!is_used, "{mode:o}: {error}");
                assert_eq!(place.plain(&error.to_string()), told);
                assert_eq!(warnings, [format!("the certificate of the home folder has no effect: {told}")]);
            }
        }
    }
    // Root's may be read by a group: of a service, say.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let is_roots = std::os::unix::fs::MetadataExt::uid(&key.metadata().unwrap()) == 0;
    assert_eq!(load(&place, &named).is_ok(), is_roots);
}

#[test]
fn a_certificate_and_its_key_belong_together() {
    let both = |certificate, key| [("POSTGRES_SSL_CERT", certificate), ("POSTGRES_SSL_KEY", key)];
    let rcgen::CertifiedKey { signing_key, .. } = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    let other = signing_key.serialize_pem();
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let files = [sample_files(), &[("other", &*other), ("locked", locked), ("empty", "")]].concat();
    let cannot = "POSTGRES_SSL_CERT and POSTGRES_SSL_KEY cannot be used: ";
    for (environment, why) in [
        (
            &[("POSTGRES_SSL_CERT", "pem0")][..],
            "POSTGRES_SSL_CERT is set without POSTGRES_SSL_KEY: the two belong together",
        ),
        (&[("POSTGRES_SSL_KEY", "pem0")], "POSTGRES_SSL_KEY is set without POSTGRES_SSL_CERT: the two belong together"),
        (&both("pem0", "other"), &format!("{cannot}the key is not that of the certificate")),
        (&both("pem0", "locked"), &format!("{cannot}the key is encrypted: decrypt it, for example by openssl pkey")),
        (&both("empty", "pem0"), &format!("{cannot}there is no certificate (PEM, BEGIN CERTIFICATE)")),
        (&both("pem0", "empty"), &format!("{cannot}the key cannot be read as PEM (BEGIN PRIVATE KEY)")),
        (&both("pem0", "nowhere"), "POSTGRES_SSL_KEY is nowhere (in the environment): it cannot be read"),
    ] {
        let told = problems(why, &Given { environment, files: &files, ..NOTHING });
        assert!(told.len() == 1 && told[0].starts_with(why), "{why}: {told:?}");
    }
}

#[test]
fn what_needs_tls_is_refused_where_there_can_be_none() {
    let binding = ("PGCHANNELBINDING", "require");
    let direct = ("PGSSLNEGOTIATION", "direct");
    for (environment, why) in [
        (
            &[binding, ("PGSSLMODE", "disable")][..],
            "POSTGRES_CHANNEL_BINDING is require (as PGCHANNELBINDING in the environment), which needs TLS: POSTGRES_SSL_MODE is disable (as PGSSLMODE in the environment)",
        ),
        (
            &[binding, ("PGHOST", "/run/postgresql")],
            "POSTGRES_CHANNEL_BINDING is require (as PGCHANNELBINDING in the environment), which needs TLS: a Unix socket has none",
        ),
        (
            &[direct],
            "POSTGRES_SSL_NEGOTIATION is direct (as PGSSLNEGOTIATION in the environment), which leaves no way without TLS: POSTGRES_SSL_MODE must be require, verify-ca or verify-full",
        ),
    ] {
        assert_eq!(problems(why, &Given { environment, ..NOTHING }), [why]);
    }
    let url = "postgres://h/d?sslmode=require&channel_binding=require&sslnegotiation=direct";
    let target = loaded(url, &Given { environment: &[("DATABASE_URL", url)], ..NOTHING }).settings.postgres.target;
    assert_eq!((target.channel_binding, target.ssl_negotiation), (ChannelBinding::Require, SslNegotiation::Direct));
}

#[test]
fn a_variable_of_libpq_that_cannot_be_obeyed_is_told_and_refused_where_it_would_protect() {
    for (variable, text) in [
        ("PGREQUIREAUTH", "scram-sha-256"),
        ("PGREQUIREPEER", "postgres"),
        ("PGSSLCRL", "root.crl"),
        ("PGSSLCRLDIR", "crls"),
        ("PGSSLCERTMODE", "require"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
        ("PGGSSENCMODE", "require"),
    ] {
        let told = problems(variable, &Given { environment: &[(variable, text)], ..NOTHING });
        let beginning = format!("{variable} (in the environment) cannot be obeyed: ");
        assert!(told.len() == 1 && told[0].starts_with(&beginning), "{told:?}");
    }
    for (variable, text, is_told) in [
        ("PGTZ", "UTC", true),
        ("PGCLIENTENCODING", "LATIN1", true),
        ("PGCLIENTENCODING", "utf8", false),
        ("PGKRBSRVNAME", "x", true),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.2", false),
        ("PGGSSENCMODE", "prefer", false),
        ("PGREQUIREAUTH", "", false),
        ("PGSSLSNI", "0", true),
    ] {
        let told = loaded(variable, &Given { environment: &[(variable, text)], ..NOTHING }).warnings;
        let beginning = format!("{variable} (in the environment) has no effect: ");
        assert_eq!(told.len(), usize::from(is_told), "{variable}={text}: {told:?}");
        assert!(told.iter().all(|told| told.starts_with(&beginning)), "{told:?}");
    }
}
