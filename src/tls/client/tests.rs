use std::fs;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};

use super::verifier::trust;
use super::*;

// Made by openssl, valid for a hundred years. Their private keys are not kept.

const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjDCCATGgAwIBAgIUWTHTmIAenfcv3ccpk+o0BLpBsfAwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjMyMTE1MzlaGA8yMTI2MTAzMDIx
MTUzOVowEjEQMA4GA1UEAwwHVGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABI7WL8sdCY+UpoMc4VHRRPjsQmvEn0T3ccGq/G2C3gUuFF3mbaCu3+JirY94
udKK1bZOE/RklZsnGgP0Cc/IzmejYzBhMB0GA1UdDgQWBBQe4bEAyF3Can4010gR
MRFvbYxsJDAfBgNVHSMEGDAWgBQe4bEAyF3Can4010gRMRFvbYxsJDAPBgNVHRMB
Af8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDAKBggqhkjOPQQDAgNJADBGAiEA54Vk
Wkc3YNHgguGOLf9OBxlk5DZaGV8+o51zy9f7IE8CIQDFPKNpiVY8+QYT0Qcd/urd
eX6/nOEYT7WsyBH5gzzU4A==
-----END CERTIFICATE-----
";

/// The certificate of db.test, signed by [`AUTHORITY`].
const SERVER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdzCCARygAwIBAgIBBzAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdUZXN0IENB
MCAXDTI2MTEyMzIxMTUzOVoYDzIxMjYxMDMwMjExNTM5WjASMRAwDgYDVQQDDAdk
Yi50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0TONIonn1Q+S8Rw8q2Pl
NSmxKCfHIxckR0u7gqolszV3RA+85aXeF+OOVQHWWpYdYutomZDe99yntXAi+wMJ
5qNhMF8wEgYDVR0RBAswCYIHZGIudGVzdDAJBgNVHRMEAjAAMB0GA1UdDgQWBBRZ
Uiw1M0rbLz/b9X9KGt4plm6JwzAfBgNVHSMEGDAWgBQe4bEAyF3Can4010gRMRFv
bYxsJDAKBggqhkjOPQQDAgNJADBGAiEA7ZtzL1NkMTfqoiINGUYjN1zW42UxfRP1
pGiZNyUJhRUCIQDj82Gqu0svTM0Ru79o25zt68UB57cCt652KvFm3ZUvNA==
-----END CERTIFICATE-----
";

/// The certificate of self.test. It is self-signed and, as `openssl req -x509` makes it, marked as an authority.
const OWN: &str = "\
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUKmEiAjiWsYAqgptB3WWkEp89FNEwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2VsZi50ZXN0MCAXDTI2MTEyMzIxMTUzOVoYDzIxMjYxMDMw
MjExNTM5WjAUMRIwEAYDVQQDDAlzZWxmLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQF3algncnGT4PdSBEL5n7iQIfcX/dZBHUA6pBhofAn2vTKCykxMw8n
rQX4C94ly/uPWZcQpzA/1ahAg38lHqvJo2kwZzAdBgNVHQ4EFgQUjgLg++3eicz5
1hbqi3PvB9eqKm8wHwYDVR0jBBgwFoAUjgLg++3eicz51hbqi3PvB9eqKm8wDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglzZWxmLnRlc3QwCgYIKoZIzj0EAwID
SAAwRQIgMgIUV9VnRHnBr7rWOx1tbTKJ8SiUAZmwrt7cgpDFFVYCIQCoJEr5dus1
W0KTrnr5QgEvMb3aT1quJ2S3dmbZMzkw/Q==
-----END CERTIFICATE-----
";

const MODES: [SslMode; 5] =
    [SslMode::Disable, SslMode::Prefer, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull];

/// Whether a server with `certificate` is accepted as `name` in `mode`, with `roots` as trusted roots.
fn is_taken(mode: SslMode, roots: Option<&str>, certificate: &str, name: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = roots.map(|text| {
        let path = folder.path().join("root.pem");
        fs::write(&path, text).unwrap();
        path
    });
    let provider = provider();
    let verifier = Verifier { trust: trust(mode, path.as_deref(), &provider).unwrap(), provider };
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    // 2050: the tests work as long as the certificates are valid.
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(2_524_608_000));
    verifier.verify_server_cert(&certificate, &[], &name, &[], now).is_ok()
}

#[test]
fn a_certificate_is_checked_as_libpq_checks_it_in_each_mode() {
    let both = format!("{OWN}{AUTHORITY}");
    let (authority, own, both) = (Some(AUTHORITY), Some(OWN), Some(both.as_str()));
    // Whether it is accepted, in the order of MODES.
    for (what, roots, certificate, name, taken) in [
        ("signed, and named so", authority, SERVER, "db.test", [true, true, true, true, true]),
        ("signed, and named otherwise", authority, SERVER, "other.test", [true, true, true, true, false]),
        ("an address it does not name", authority, SERVER, "127.0.0.1", [true, true, true, true, false]),
        ("signed by somebody else", own, SERVER, "db.test", [true, true, false, false, false]),
        ("one of several roots", both, SERVER, "db.test", [true, true, true, true, true]),
        ("the given one, signed by itself", own, OWN, "self.test", [true, true, true, true, true]),
        ("the given one, named otherwise", own, OWN, "other.test", [true, true, true, true, false]),
        ("signed by itself, and not given", authority, OWN, "self.test", [true, true, false, false, false]),
    ] {
        assert_eq!(MODES.map(|mode| is_taken(mode, roots, certificate, name)), taken, "{what}");
    }
    // Without a root certificate `require` checks nothing, as in libpq.
    assert!(is_taken(SslMode::Require, None, OWN, "other.test"));
}

#[test]
fn a_root_certificate_that_cannot_be_used_is_told_with_its_file_where_one_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, why) in [
        ("missing.pem", None, "No such file or directory"),
        ("empty.pem", Some(""), "no certificate (PEM, BEGIN CERTIFICATE) in it"),
        ("words.pem", Some("not a certificate"), "no certificate (PEM, BEGIN CERTIFICATE) in it"),
        ("half.pem", Some("-----BEGIN CERTIFICATE-----\nMIIB\n"), ""),
        ("other.pem", Some("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), ""),
        ("no-base64.pem", Some("-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n"), ""),
    ] {
        let path = folder.path().join(name);
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
            let told = for_postgres(mode, Some(&path), None).err().unwrap_or_else(|| panic!("{name} is used"));
            assert!(told.starts_with(&format!("POSTGRES_SSL_ROOT_CERT {}: ", path.display())), "{told}");
            assert!(told.contains(why), "{name}: {told}");
        }
        for mode in [SslMode::Disable, SslMode::Prefer] {
            assert!(for_postgres(mode, Some(&path), None).is_ok(), "{mode:?} trusts anyone and reads no {name}");
        }
    }
}

#[test]
fn without_a_root_certificate_only_the_modes_that_need_one_look_for_the_systems() {
    for mode in [SslMode::Disable, SslMode::Prefer, SslMode::Require] {
        for none in [None, Some(Path::new("system"))] {
            let trust = trust(mode, none, &provider()).unwrap();
            assert!(matches!(trust, Trust::Anyone), "{mode:?} {none:?}");
        }
    }
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        // A machine may have none. Then this is reported, and nothing is trusted.
        match trust(mode, Some(Path::new("system")), &provider()) {
            Ok(trust) => assert!(!matches!(trust, Trust::Anyone), "{mode:?}"),
            Err(why) => assert!(why.contains("the system has no root certificates"), "{why}"),
        }
    }
}
