//! Checks whether the daemon with these settings is alive. The health check of a container runs it, because an image
//! may have no HTTP client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::settings::{Address, HttpSettings};
use crate::tls::client::for_certificate;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests `GET /healthz` from the first address.
///
/// # Errors
/// A sentence that says why the daemon is not healthy.
pub async fn check(http: &HttpSettings) -> Result<(), String> {
    let Some(address) = http.addresses.first() else { return Err("there is no address".to_owned()) };
    let asking = async {
        match address {
            Address::Unix(path) => ask(UnixStream::connect(path).await?).await,
            Address::Tcp(host, port) => {
                // A server that listens on all addresses listens on the loopback address too.
                let host = match host.as_str() {
                    "0.0.0.0" => "127.0.0.1",
                    "::" => "::1",
                    host => host,
                };
                let stream = TcpStream::connect((host, *port)).await?;
                match &http.tls {
                    None => ask(stream).await,
                    Some(tls) => {
                        let config = for_certificate(tls.certificates.expose()).map_err(io::Error::other)?;
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
