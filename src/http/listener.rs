//! Accepts connections and has them served.

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

/// The pause after a failed accept. Most failures mean that too many files are open.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A source of connections.
pub enum Listener {
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket. It is removed together with its listener.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    /// Why that is not possible, with the address.
    pub async fn bind(address: &Address) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("{address} (MCP_HTTP_ADDR) cannot be listened on: {error}");
        match address {
            Address::Tcp(host, port) => Ok(Self::Tcp(TcpListener::bind((host.as_str(), *port)).await.map_err(cannot)?)),
            Address::Unix(path) => {
                // A socket file that a killed process has left refuses connections, so it is replaced. One that is in
                // use is not.
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

    /// The URL for clients.
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

/// What all connections are served with.
#[derive(Clone)]
pub struct Serving {
    pub router: Router,
    /// The current rules.
    pub rules: watch::Receiver<Rules>,
    /// One permit for each connection that may be open.
    pub places: Arc<Semaphore>,
    /// When it is cancelled, no connection is accepted any more, and each connection ends after its current answer.
    pub stopping: CancellationToken,
    pub connections: TaskTracker,
    pub log: Logger,
}

impl Serving {
    /// Accepts connections until `stopping` is cancelled. If the maximum is reached, new connections wait in the queue
    /// of the operating system.
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
                // Answers are small, and somebody waits for them.
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

    /// Serves a connection in a task of its own.
    fn spawn(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        arrival: Arrival,
        place: OwnedSemaphorePermit,
    ) {
        let mut stream = TimeoutWriter::new(stream);
        // A client that does not read its answers must not keep memory for long.
        stream.set_timeout(Some(self.client_timeout()));
        // Done before the task is spawned: a task reserves memory for all its values until it ends.
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
