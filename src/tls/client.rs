//! The client's side of TLS: which certificate of a server is taken.
//!
//! Towards PostgreSQL with libpq's meanings of `sslmode` (manual, section 34.19): what is encrypted is one question, whom
//! we trust another.
//!
//! | mode | encrypted | certificate checked | name checked |
//! |---|---|---|---|
//! | disable | no | – | – |
//! | allow | if the server wants it | no | no |
//! | prefer | if the server can | no | no |
//! | require | yes | only if a root certificate is given, as in libpq | no |
//! | verify-ca | yes | yes | no |
//! | verify-full | yes | yes | yes |
//!
//! Towards a daemon of our own: its own certificate and no other.
//!
//! Inside: `verifier` decides whether a certificate is taken, `old` reads the certificates that webpki does not, `identity`
//! is the client's own certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use verifier::{Trust, Verifier};

mod identity;
mod old;
mod verifier;

pub use identity::identity;

/// libpq's `sslmode` (manual, section 34.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    /// Not encrypted, unless the server refuses that.
    Allow,
    /// Encrypted if the server can.
    Prefer,
    Require,
    /// Encrypted, and the certificate is signed by somebody we trust.
    VerifyCa,
    /// As `verify-ca`, and it is the certificate of the host we asked for.
    VerifyFull,
}

/// The name of PostgreSQL's protocol inside of TLS (RFC 7301). A server that is asked for TLS at once insists on it.
const PROTOCOL: &[u8] = b"postgresql";

/// What goes to PostgreSQL in `mode`, trusting the certificates in `root_cert`, or the system's where there is none.
/// `identity` is shown to a server that asks for it.
///
/// # Errors
/// What is wrong with the root certificate, as a sentence that names the file.
pub fn for_postgres(
    mode: SslMode,
    root_cert: Option<&Path>,
    identity: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<ClientConfig, String> {
    let provider = provider();
    let trust = verifier::trust(mode, root_cert, &provider)?;
    let mut config = config(Verifier { trust, provider }, identity)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

/// What takes the first of `certificates` (PEM) and no other, whoever has signed it and whatever names are in it.
///
/// # Errors
/// What is wrong with the certificates.
pub fn for_certificate(certificates: &str) -> Result<ClientConfig, String> {
    let own = CertificateDer::from_pem_slice(certificates.as_bytes()).map_err(|error| error.to_string())?;
    config(Verifier { trust: Trust::Exactly(own), provider: provider() }, None)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(verifier: Verifier, identity: Option<Arc<dyn ResolvesClientCert>>) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match identity {
        Some(identity) => config.with_client_cert_resolver(identity),
        None => config.with_no_client_auth(),
    })
}

#[cfg(test)]
mod tests;
