//! Certificates that webpki cannot read. Up to OpenSSL 3.1, `openssl x509 -req` without extensions makes a certificate
//! of X.509 version 1, so many PostgreSQL servers have one.
//!
//! If no certificate is verified, only its key matters. Otherwise such a certificate is accepted if it is one of the
//! given roots or is signed by one of them. It cannot say that it may sign others, so there is no chain.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use webpki::RawPublicKeyEntity;
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};

/// The attribute of a subject that is its common name (RFC 4519).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate of version 1 or 2, which has no extensions.
pub(super) struct OldCertificate {
    parsed: Certificate,
    der: CertificateDer<'static>,
}

impl OldCertificate {
    /// `None` if it is of a newer version, or is not a certificate.
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let parsed = Certificate::from_der(der).ok()?;
        (parsed.tbs_certificate.version != Version::V3).then(|| Self { parsed, der: der.clone().into_owned() })
    }

    /// Checks that one of `roots` is this certificate or has signed it, and that it is valid at `now`.
    pub(super) fn verify(
        &self,
        roots: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        if !roots.iter().any(|root| *root == self.der || self.is_signed_by(root, algorithms)) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let validity = &self.parsed.tbs_certificate.validity;
        let now = now.as_secs();
        if now < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }

    fn is_signed_by(&self, root: &CertificateDer<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let is_issuer = Certificate::from_der(root)
            .is_ok_and(|root| root.tbs_certificate.subject == self.parsed.tbs_certificate.issuer);
        let (Ok(key), Ok(signed)) = (key(root), self.parsed.tbs_certificate.to_der()) else { return false };
        let (Ok(key), Some(signature)) = (RawPublicKeyEntity::try_from(&key), self.parsed.signature.as_bytes()) else {
            return false;
        };
        let Ok(algorithm) = self.parsed.signature_algorithm.to_der() else { return false };
        // webpki names an algorithm without the header of the DER sequence: one byte for the tag, and one byte for a
        // length below 128.
        let algorithm = algorithm.get(2..).unwrap_or_default();
        let fitting = algorithms.all.iter().filter(|known| known.signature_alg_id().as_ref() == algorithm);
        is_issuer && fitting.into_iter().any(|known| key.verify_signature(*known, &signed, signature).is_ok())
    }

    /// Whether its common name is `name`. As in libpq, the common name counts if a certificate has no alternative
    /// names.
    pub(super) fn is_named(&self, name: &ServerName<'_>) -> bool {
        let attributes = self.parsed.tbs_certificate.subject.0.iter().flat_map(|set| set.0.iter());
        let common_name =
            attributes.filter(|attribute| attribute.oid == COMMON_NAME).map(|one| one.value.value()).next();
        common_name.is_some_and(|bytes| fits(&String::from_utf8_lossy(bytes), &name.to_str()))
    }
}

/// Whether `name`, the name in a certificate, matches `host`. It may begin with `*.`.
fn fits(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(parent), Some((label, rest))) => !label.is_empty() && parent.eq_ignore_ascii_case(rest),
        (Some(_), None) => false,
        (None, _) => pattern.eq_ignore_ascii_case(host),
    }
}

/// The key in a certificate.
pub(super) fn key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let key = Certificate::from_der(certificate)
        .and_then(|parsed| parsed.tbs_certificate.subject_public_key_info.to_der())
        .map_err(|_| CertificateError::BadEncoding)?;
    Ok(key.into())
}

/// Verifies the signature of a TLS 1.2 handshake with the key alone.
pub(super) fn verify_tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = key(certificate)?;
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    // In TLS 1.2 a scheme does not name the curve, so all algorithms of the scheme are tried.
    let possible = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme).flat_map(|(_, all)| *all);
    match possible.into_iter().any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok()) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (pattern, host, fitting) in [
            ("db.test", "db.test", true),
            ("DB.test", "db.TEST", true),
            ("db.test", "other.test", false),
            ("*.test", "db.test", true),
            ("*.test", "a.db.test", false),
            ("*.test", "test", false),
            ("*.test", ".test", false),
            ("*", "db.test", false),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(fits(pattern, host), fitting, "{pattern} {host}");
        }
    }
}
