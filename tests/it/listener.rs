//! Connections of the daemon, over real sockets: TLS and the renewal of its certificate, Unix sockets, slow clients,
//! and the end. The router behind the listener belongs to the test.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use mcp_server_postgres::actors::clients::registry::Rules;
use mcp_server_postgres::http::listener::{Listener, Serving};
use mcp_server_postgres::settings::{Address, Secret, Settings, TlsSettings};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::common::{PATIENCE, no_log, settings_with, until};

/// A listener with a router of the test.
struct World {
    address: String,
    rules: watch::Sender<Rules>,
    stopping: CancellationToken,
    connections: TaskTracker,
    /// Notified when a request for `/slow` or `/large` comes.
    asked: Arc<Notify>,
    /// Lets `/slow` send its answer.
    go_on: Arc<Notify>,
}

/// The size of the answer of `/large`, which is more than the buffers of the system take.
const LARGE_BYTES: usize = 64 << 20;

impl World {
    async fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let settings = Arc::new(settings_with(change));
        let address = settings.http.addresses[0].clone();
        let listener = Listener::bind(&address).await.unwrap();
        let is_tls = settings.http.tls.is_some();
        let address = match &address {
            Address::Unix(path) => path.display().to_string(),
            Address::Tcp(..) => listener.url(is_tls).split_once("://").unwrap().1.to_owned(),
        };
        let tls = settings.http.tls.as_ref().map(|tls| tls.server_config().unwrap());
        let places = Arc::new(Semaphore::new(settings.http.connections_max));
        let (rules, seen) = watch::channel(Rules { settings, tls });
        let (stopping, connections) = (CancellationToken::new(), TaskTracker::new());
        let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let notify = (asked.clone(), go_on.clone());
        let slow = move || {
            let (asked, go_on) = notify.clone();
            async move {
                asked.notify_one();
                go_on.notified().await;
                "slow"
            }
        };
        let notify = asked.clone();
        let large = async move || {
            notify.notify_one();
            Body::from(Bytes::from(vec![b'x'; LARGE_BYTES]))
        };
        let router =
            Router::new().route("/", get(async || "quick")).route("/slow", get(slow)).route("/large", get(large));
        let serving = Serving {
            router,
            rules: seen,
            places,
            stopping: stopping.clone(),
            connections: connections.clone(),
            log: no_log(),
        };
        tokio::spawn(serving.accept(listener));
        Self { address, rules, stopping, connections, asked, go_on }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    async fn connect_by_tls(
        &self,
        trusted: &CertificateDer<'static>,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.connect().await).await
    }
}

/// Sends a request and returns the body of the answer. The connection stays open.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    answer(stream).await
}

async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&read);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let length = head.split_once("content-length: ").unwrap().1;
                let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
                if body.len() == length {
                    return body.to_owned();
                }
            }
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the connection has ended");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("no answer")
}

/// Waits until the server has closed the connection.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    // A reset connection is closed too.
    let _ = tokio::time::timeout(PATIENCE, reading).await.expect("the connection stays open");
}

fn pair() -> (TlsSettings, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let settings = TlsSettings { certificates: Secret::new(cert.pem()), key: Secret::new(signing_key.serialize_pem()) };
    (settings, cert.der().clone())
}

#[actix_rt::test]
async fn a_renewed_certificate_is_used_for_new_connections_and_ends_no_open_one() {
    let ((first, old), (second, new)) = (pair(), pair());
    let world = World::new(|settings| settings.http.tls = Some(first)).await;
    let mut before = world.connect_by_tls(&old).await.unwrap();
    assert_eq!(ask(&mut before, "/").await, "quick");
    world.rules.send_modify(|rules| rules.tls = Some(second.server_config().unwrap()));
    assert!(world.connect_by_tls(&old).await.is_err());
    let mut after = world.connect_by_tls(&new).await.unwrap();
    assert_eq!(ask(&mut after, "/").await, "quick");
    assert_eq!(ask(&mut before, "/").await, "quick");
}

#[actix_rt::test]
async fn with_tls_a_client_without_tls_gets_no_answer() {
    let world = World::new(|settings| settings.http.tls = Some(pair().0)).await;
    let mut plain = world.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    let _ = plain.read_to_end(&mut read).await;
    assert!(!String::from_utf8_lossy(&read).contains("quick"));
}

#[actix_rt::test]
async fn a_unix_socket_is_only_for_its_owner_and_is_removed_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mcp.sock");
    let unix = |settings: &mut Settings| settings.http.addresses = vec![Address::Unix(path.clone())];
    let world = World::new(unix).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    assert_eq!(ask(&mut stream, "/").await, "quick");
    // A socket that another listener serves is not replaced.
    let why = Listener::bind(&Address::Unix(path.clone())).await.err().unwrap();
    assert!(why.starts_with(&format!("unix:{} (MCP_HTTP_ADDR) cannot be listened on: ", path.display())), "{why}");
    assert_eq!(ask(&mut stream, "/").await, "quick");
    world.stopping.cancel();
    until("the socket is gone", async || !path.exists()).await;
    // A socket that a killed process has left is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    World::new(unix).await;
    assert_eq!(ask(&mut UnixStream::connect(&path).await.unwrap(), "/").await, "quick");
    // A file that is not a socket is not removed.
    let file = folder.path().join("notes");
    std::fs::write(&file, "kept").unwrap();
    assert!(Listener::bind(&Address::Unix(file.clone())).await.is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

#[actix_rt::test]
async fn a_client_that_does_not_read_its_answer_is_disconnected() {
    let world = World::new(|settings| settings.http.client_timeout = Duration::from_millis(100)).await;
    let socket = TcpSocket::new_v4().unwrap();
    // Otherwise the buffers of the system would take the whole answer.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(world.address.parse().unwrap()).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    world.asked.notified().await;
    until("the connection is let go", async || world.connections.is_empty()).await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE_BYTES);
}

#[actix_rt::test]
async fn a_request_whose_head_is_too_long_is_refused() {
    let world = World::new(|_| {}).await;
    let mut stream = world.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let _ = stream.write_all(head.as_bytes()).await;
    let mut read = vec![0; 1024];
    let count = stream.read(&mut read).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&read[..count]);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    closed(&mut stream).await;
}

#[actix_rt::test]
async fn beyond_the_maximum_of_connections_the_next_one_waits() {
    let world = World::new(|settings| settings.http.connections_max = 1).await;
    let mut first = world.connect().await;
    assert_eq!(ask(&mut first, "/").await, "quick");
    let mut second = world.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(ask(&mut first, "/").await, "quick");
    assert_eq!(world.connections.len(), 1);
    drop(first);
    assert_eq!(answer(&mut second).await, "quick");
}

#[actix_rt::test]
async fn at_the_end_idle_connections_are_closed_and_a_pending_answer_is_still_sent() {
    let world = World::new(|_| {}).await;
    let (mut idle, mut busy) = (world.connect().await, world.connect().await);
    assert_eq!(ask(&mut idle, "/").await, "quick");
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    world.asked.notified().await;
    world.stopping.cancel();
    closed(&mut idle).await;
    until("nobody new is let in", async || TcpStream::connect(&world.address).await.is_err()).await;
    assert_eq!(world.connections.len(), 1);
    world.go_on.notify_one();
    assert_eq!(answer(&mut busy).await, "slow");
    closed(&mut busy).await;
    world.connections.close();
    tokio::time::timeout(PATIENCE, world.connections.wait()).await.unwrap();
}
