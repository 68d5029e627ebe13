//! Decides whether the certificate of a server is accepted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

use super::SslMode;
use super::old::{self, OldCertificate};

pub(super) fn trust(mode: SslMode, root_cert: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Trust, String> {
    let root_cert = root_cert.filter(|path| path.as_os_str() != "system");
    Ok(match (mode, root_cert) {
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer, _) | (SslMode::Require, None) => Trust::Anyone,
        (SslMode::Require | SslMode::VerifyCa, _) => Trust::Signed(authority(root_cert, provider)?),
        (SslMode::VerifyFull, _) => Trust::SignedAndNamed(authority(root_cert, provider)?),
    })
}

fn authority(root_cert: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Authority, String> {
    let mut roots = RootCertStore::empty();
    let mut given = Vec::new();
    match root_cert {
        Some(path) => {
            let wrong = |why: String| format!("POSTGRES_SSL_ROOT_CERT {}: {why}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
                given.push(certificate);
            }
            if roots.is_empty() {
                return Err(wrong("no certificate (PEM, BEGIN CERTIFICATE) in it".to_owned()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("the system has no root certificates; name one with POSTGRES_SSL_ROOT_CERT".to_owned());
            }
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| format!("the root certificates cannot be used: {error}"))?;
    Ok(Authority { verifier, given })
}

#[derive(Debug)]
pub(super) enum Trust {
    Anyone,
    Exactly(CertificateDer<'static>),
    Signed(Authority),
    SignedAndNamed(Authority),
}

/// The authorities that are trusted.
#[derive(Debug)]
pub(super) struct Authority {
    verifier: Arc<WebPkiServerVerifier>,
    /// The certificates of POSTGRES_SSL_ROOT_CERT.
    given: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// Whether `error` only says that the server shows exactly the certificate that was given as a root: a self-signed
    /// certificate as `openssl req -x509` makes it, marked as an authority. libpq accepts it; webpki does not.
    fn is_the_given_one(&self, end_entity: &CertificateDer<'_>, error: &rustls::Error) -> bool {
        // rustls has no error of its own for it, so it passes on the one of webpki.
        let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else { return false };
        matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
            && self.given.iter().any(|given| given == end_entity)
    }
}

#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Trust,
    pub(super) provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// The certificate, if it is a version that webpki cannot read.
    fn old(&self, certificate: &CertificateDer<'_>) -> Option<OldCertificate> {
        EndEntityCert::try_from(certificate).is_err().then(|| OldCertificate::read(certificate)).flatten()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = |authority: &Authority| match self.old(end_entity) {
            Some(old) => old
                .verify(&authority.given, now, &self.provider.signature_verification_algorithms)
                .map(|()| ServerCertVerified::assertion()),
            None => authority.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
        };
        match &self.trust {
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
            Trust::Exactly(own) => match end_entity == own {
                true => Ok(ServerCertVerified::assertion()),
                false => Err(CertificateError::ApplicationVerificationFailure.into()),
            },
            Trust::SignedAndNamed(authority) => match checked(authority) {
                Err(error) if authority.is_the_given_one(end_entity, &error) => {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                    Ok(ServerCertVerified::assertion())
                }
                Ok(_) if self.old(end_entity).is_some_and(|old| !old.is_named(server_name)) => {
                    Err(CertificateError::NotValidForName.into())
                }
                other => other,
            },
            Trust::Signed(authority) => match checked(authority) {
                // The name is checked last, so this error means that everything else is right.
                Err(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                Err(error) if authority.is_the_given_one(end_entity, &error) => Ok(ServerCertVerified::assertion()),
                other => other,
            },
        }
    }

    // The signatures of the handshake are always checked; otherwise an encrypted connection would prove nothing. For a
    // certificate that webpki cannot read, the key alone is used.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match EndEntityCert::try_from(cert) {
            Ok(_) => rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms),
            Err(_) => old::verify_tls12_signature(message, cert, dss, algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match EndEntityCert::try_from(cert) {
            Ok(_) => rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms),
            Err(_) => rustls::crypto::verify_tls13_signature_with_raw_key(message, &old::key(cert)?, dss, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
