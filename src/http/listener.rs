//! Connections: where they are accepted, and what they are served by.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use slog::Logger;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Connection;
use super::connection;
use super::names::Arrival;
use crate::actors::clients::registry::Rules;
use crate::log::{debug, warn};
use crate::settings::Address;

/// How long after a failed accept the next is tried: most fail because there are too many files open.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where connections come from.
pub enum Listener {
    Tcp(TcpListener),
    /// A socket of the file system.
    Unix(UnixListener, SocketFile),
}

/// The file of a socket, removed with its listener.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listen there.
    ///
    /// # Errors
    /// Why that cannot be, with the address.
    pub async fn bind(address: &Address) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("{address} (MCP_HTTP_ADDR) cannot be listened on: {error}");
        match address {
            Address::Tcp(host, port) => Ok(Self::Tcp(TcpListener::bind((host.as_str(), *port)).await.map_err(cannot)?)),
            Address::Unix(path) => {
                // One that a killed process has left refuses connections; one that is served is not taken away.
                let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
                if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
                    fs::remove_file(path).map_err(cannot)?;
                }
                let listener = UnixListener::bind(path).map_err(cannot)?;
                let file = SocketFile(path.clone());
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(cannot)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// What clients call it by.
    pub fn url(&self, is_tls: bool) -> String {
        match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr().map_or("?".to_owned(), |address| address.to_string());
                format!("{}://{address}", if is_tls { "https" } else { "http" })
            }
            Self::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }
}

/// What every connection is served by, and how it ends.
#[derive(Clone)]
pub struct Serving {
    pub router: Router,
    /// What holds now.
    pub rules: watch::Receiver<Rules>,
    /// As many connections as there may be.
    pub places: Arc<Semaphore>,
    /// Cancelled when no more is accepted: each connection ends with the answer that is on its way.
    pub stopping: CancellationToken,
    pub connections: TaskTracker,
    pub log: Logger,
}

impl Serving {
    /// Accept connections until it is stopping. Past the most that there may be they wait in the system's queue.
    pub async fn accept(self, listener: Listener) {
        loop {
            let place = tokio::select! {
                () = self.stopping.cancelled() => return,
                place = self.places.clone().acquire_owned() => place,
            };
            let Ok(place) = place else { return };
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                accepted = self.next(&listener, place) => accepted,
            };
            if let Err(error) = accepted {
                warn!(self.log, "connection not accepted"; "why" => error.to_string());
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }

    async fn next(&self, listener: &Listener, place: OwnedSemaphorePermit) -> io::Result<()> {
        match listener {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and somebody waits for them.
                let _ = stream.set_nodelay(true);
                debug!(self.log, "connection accepted"; "peer" => peer.to_string());
                let arrival = stream.local_addr().map_or(Arrival::Unknown, |at| Arrival::Tcp(at.ip().to_canonical()));
                let tls = self.rules.borrow().tls.clone();
                match tls {
                    None => self.spawn(stream, arrival, place),
                    Some(tls) => {
                        let (this, within) = (self.clone(), self.client_timeout());
                        self.connections.spawn(async move {
                            match tokio::time::timeout(within, TlsAcceptor::from(tls).accept(stream)).await {
                                Ok(Ok(stream)) => this.spawn(stream, arrival, place),
                                Ok(Err(error)) => {
                                    debug!(this.log, "no TLS with a client"; "why" => error.to_string());
                                }
                                Err(_) => debug!(this.log, "no TLS with a client"; "why" => "it took too long"),
                            }
                        });
                    }
                }
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                self.spawn(stream, Arrival::Unix, place);
            }
        }
        Ok(())
    }

    fn client_timeout(&self) -> Duration {
        self.rules.borrow().settings.http.client_timeout
    }

    /// Serve a connection in a task of its own.
    fn spawn(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        arrival: Arrival,
        place: OwnedSemaphorePermit,
    ) {
        let mut stream = TimeoutWriter::new(stream);
        // A client that does not take its answers has none in our memory for longer.
        stream.set_timeout(Some(self.client_timeout()));
        // Here, for what a task begins with it has room for until its end.
        let stream = Box::pin(stream);
        let (router, stopping, log) = (self.router.clone(), self.stopping.clone(), self.log.clone());
        self.connections.spawn(async move {
            let _place = place;
            let ended = connection::serve(stream, router, Connection::new(arrival), stopping).await;
            if let Err(why) = ended {
                debug!(log, "connection ended"; "why" => why);
            }
        });
    }
}
