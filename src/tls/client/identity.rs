//! The certificate of the client, which proves its identity to a server.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::{old, provider};

/// A chain of certificates and the key of the first one, both PEM. Unlike the check of rustls, this accepts
/// certificates of X.509 version 1.
///
/// # Errors
/// What is wrong with them. The text follows their names.
pub fn identity(certificates: &str, key: &str) -> Result<Arc<dyn ResolvesClientCert>, String> {
    let chain = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let Some(first) = chain.first() else {
        return Err("there is no certificate (PEM, BEGIN CERTIFICATE)".to_owned());
    };
    let of_certificate = old::key(first).map_err(|error| format!("the certificate cannot be read: {error}"))?;
    if key.contains("ENCRYPTED") {
        return Err("the key is encrypted: decrypt it, for example by openssl pkey".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| format!("the key cannot be read as PEM (BEGIN PRIVATE KEY): {error}"))?;
    let key =
        provider().key_provider.load_private_key(key).map_err(|error| format!("the key cannot be used: {error}"))?;
    if key.public_key().is_some_and(|of_key| of_key != of_certificate) {
        return Err("the key is not that of the certificate".to_owned());
    }
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
}
