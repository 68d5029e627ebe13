//! Whether the daemon of these settings serves: what a container's health check runs, where there is no other client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::settings::{Address, HttpSettings};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ask `GET /healthz` of the first address.
///
/// # Errors
/// Why it is not well, as a sentence.
pub async fn check(http: &HttpSettings) -> Result<(), String> {
    let Some(address) = http.addresses.first() else { return Err("there is no address".to_owned()) };
    let asking = async {
        match address {
            Address::Unix(path) => ask(UnixStream::connect(path).await?).await,
            Address::Tcp(host, port) => {
                // A listener on every address of this machine is on its loopback as well.
                let host = match host.as_str() {
                    "0.0.0.0" => "127.0.0.1",
                    "::" => "::1",
                    host => host,
                };
                let stream = TcpStream::connect((host, *port)).await?;
                match &http.tls {
                    None => ask(stream).await,
                    Some(tls) => {
                        let config = only(tls.certificates.expose()).map_err(io::Error::other)?;
                        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                        ask(TlsConnector::from(Arc::new(config)).connect(name, stream).await?).await
                    }
                }
            }
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{address} does not serve: {error}")),
        Err(_) => Err(format!("{address} does not answer within {PATIENCE:?}")),
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    match answer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => {
            let line = answer.split(|&byte| byte == b'\r').next().unwrap_or_default();
            Err(io::Error::other(format!("it says {:?}", String::from_utf8_lossy(line))))
        }
    }
}

/// A client's side of TLS that takes the server's own certificate and no other, whoever has signed it and whatever names
/// are in it: the one in the settings.
fn only(certificates: &str) -> Result<ClientConfig, String> {
    let own = CertificateDer::from_pem_slice(certificates.as_bytes()).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Only { own, provider }))
        .with_no_client_auth();
    Ok(config)
}

#[derive(Debug)]
struct Only {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *shown == self.own {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
