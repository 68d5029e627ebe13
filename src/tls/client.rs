//! The client's side of TLS: which certificate of a server is taken.
//!
//! Towards PostgreSQL with libpq's meanings of `sslmode` (manual, section 34.19): what is encrypted is one question, whom
//! we trust another.
//!
//! | mode | encrypted | certificate checked | name checked |
//! |---|---|---|---|
//! | disable | no | – | – |
//! | prefer | if the server can | no | no |
//! | require | yes | only if a root certificate is given, as in libpq | no |
//! | verify-ca | yes | yes | no |
//! | verify-full | yes | yes | yes |
//!
//! Towards a daemon of our own: its own certificate and no other.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

/// libpq's `sslmode` (manual, section 34.19). Its `allow` is not offered: it is weaker than `prefer` and no faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    /// Encrypted if the server can.
    Prefer,
    Require,
    /// Encrypted, and the certificate is signed by somebody we trust.
    VerifyCa,
    /// As `verify-ca`, and it is the certificate of the host we asked for.
    VerifyFull,
}

/// What goes to PostgreSQL in `mode`, trusting the certificates in `root_cert`, or the system's where there is none.
///
/// # Errors
/// What is wrong with the root certificate, as a sentence that names the file.
pub fn for_postgres(mode: SslMode, root_cert: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = provider();
    let trust = trust(mode, root_cert, &provider)?;
    config(Verifier { trust, provider })
}

/// What takes the first of `certificates` (PEM) and no other, whoever has signed it and whatever names are in it.
///
/// # Errors
/// What is wrong with the certificates.
pub fn for_certificate(certificates: &str) -> Result<ClientConfig, String> {
    let own = CertificateDer::from_pem_slice(certificates.as_bytes()).map_err(|error| error.to_string())?;
    config(Verifier { trust: Trust::Exactly(own), provider: provider() })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(verifier: Verifier) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn trust(mode: SslMode, root_cert: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Trust, String> {
    let root_cert = root_cert.filter(|path| path.as_os_str() != "system");
    Ok(match (mode, root_cert) {
        (SslMode::Disable | SslMode::Prefer, _) | (SslMode::Require, None) => Trust::Anyone,
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
enum Trust {
    Anyone,
    Exactly(CertificateDer<'static>),
    Signed(Authority),
    SignedAndNamed(Authority),
}

/// Whose signature counts.
#[derive(Debug)]
struct Authority {
    verifier: Arc<WebPkiServerVerifier>,
    /// The certificates of POSTGRES_SSL_ROOT_CERT.
    given: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// Whether `error` only says that the server shows the very certificate that we were given as a root: a
    /// self-signed one as `openssl req -x509` makes it, marked as an authority. libpq takes it; webpki does not.
    fn is_the_given_one(&self, end_entity: &CertificateDer<'_>, error: &rustls::Error) -> bool {
        // rustls has no error of its own for it, so it hands on webpki's.
        let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else { return false };
        matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
            && self.given.iter().any(|given| given == end_entity)
    }
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
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
        let checked = |authority: &Authority| {
            authority.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
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
                other => other,
            },
            Trust::Signed(authority) => match checked(authority) {
                // The name is looked at last: this error means that everything else was right.
                Err(rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                Err(error) if authority.is_the_given_one(end_entity, &error) => Ok(ServerCertVerified::assertion()),
                other => other,
            },
        }
    }

    // The handshake's signatures are always checked: without that, "encrypted" would mean nothing.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
