//! Certificates as OpenSSL made them before version 3.2: X.509 version 1, without extensions.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A certificate of version 1 and its key, as PEM.
pub struct OldCertificate {
    pub certificate: String,
    pub key: String,
}

/// A certificate of version 1 for `name`, signed by itself or by the certificate and key of an authority (PEM). None where
/// this machine has no openssl that makes one, and then a line says so.
pub fn old_certificate(key_type: &[&str], name: &str, authority: Option<(&str, &str)>) -> Option<OldCertificate> {
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file);
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder.path()).output();
        output.map_err(|error| error.to_string()).and_then(|output| match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        })
    };
    let subject = format!("/CN={name}");
    let made = || {
        run(&[&["genpkey", "-out", "key"], key_type].concat())?;
        run(&["req", "-new", "-key", "key", "-subj", &subject, "-out", "request"])?;
        let request = ["x509", "-req", "-in", "request", "-days", "3650", "-out", "certificate"];
        match authority {
            Some((certificate, key)) => {
                fs::write(path("ca"), certificate).map_err(|error| error.to_string())?;
                fs::write(path("ca-key"), key).map_err(|error| error.to_string())?;
                run(&[&request[..], &["-CA", "ca", "-CAkey", "ca-key", "-set_serial", "7"]].concat())?;
            }
            None => {
                run(&[&request[..], &["-signkey", "key"]].concat())?;
            }
        }
        let text = run(&["x509", "-in", "certificate", "-noout", "-text"])?;
        if text.contains("Version: 1 ") { Ok(()) } else { Err("it makes certificates of version 3".to_owned()) }
    };
    match made() {
        Ok(()) => Some(OldCertificate { certificate: read(&path("certificate")), key: read(&path("key")) }),
        Err(why) => {
            eprintln!("skipped: openssl cannot make a certificate of X.509 version 1: {why}");
            None
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
