//! The server's side of TLS: a certificate and its key as rustls takes them.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The configuration of a listener with this chain of certificates and its key, both PEM. It offers TLS 1.2 and 1.3,
/// and HTTP/1.1.
///
/// # Errors
/// What is wrong with the files. It contains nothing of the key.
pub fn config(certificates: &str, key: &str) -> Result<Arc<ServerConfig>, String> {
    let certificates = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("the certificate is no PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("there is no certificate (PEM, BEGIN CERTIFICATE)".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| "there is no private key (PEM, BEGIN PRIVATE KEY)".to_owned())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| format!("the certificate and the key do not go together: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
