//! Who is let in, and what the others are answered; as docs/daemon.md says it.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::daemon::token;
use super::*;

#[actix_rt::test]
async fn a_token_that_is_taken_away_while_it_runs_ends_what_its_bearer_does_and_nothing_else() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let (alice, bob) = (token("alice", "read-only", false), token("bob", "read-only", false));
    let both = format!("{}\n{}", alice.table, bob.table);
    let env = "MCP_TOKENS_FILE=tokens.toml\n";
    let daemon = Daemon::with(&cluster, env, &[("tokens.toml", &both)], &[]).await;
    let mut alices = daemon.peer().await.bearing(&alice.token);
    let mut bobs = daemon.peer().await.bearing(&bob.token);
    alices.say(query(1, ENDLESS)).await;
    bobs.say(query(1, ENDLESS)).await;
    until_active(&observer, 2).await;
    daemon.write("tokens.toml", &bob.table);
    daemon.until_logged("client turned out: its token was taken away or changed", 1).await;
    until_active(&observer, 1).await;
    let mut again = daemon.peer().await.bearing(&alice.token);
    let refused = again.ask(query(2, "select 1")).await;
    assert_eq!((refused.status, &*refused.why()), (401, "The token is not known, or no longer."));
    assert_eq!(first(&daemon.peer().await.bearing(&bob.token).ask(query(2, "select 1")).await), 1);
    // A file that cannot be read leaves everything as it was.
    daemon.write("tokens.toml", "[tokens");
    daemon.until_logged("settings not reloaded, the old ones stay", 1).await;
    assert_eq!(first(&daemon.peer().await.bearing(&bob.token).ask(query(3, "select 1")).await), 1);
    drop(bobs);
    until_active(&observer, 0).await;
    for token in [&alice.token, &bob.token] {
        assert!(!daemon.log().contains(token.as_str()), "a token was logged");
    }
}

#[actix_rt::test]
async fn a_bearer_does_no_more_than_its_token_says() {
    let cluster = PrivateCluster::start().unwrap();
    let (reader, writer) = (token("reader", "read-only", false), token("writer", "read-write", false));
    let both = format!("{}\n{}", reader.table, writer.table);
    let env = "MCP_TOKENS_FILE=tokens.toml\nMCP_ACCESS_MODE=read-write\n";
    let daemon = Daemon::with(&cluster, env, &[("tokens.toml", &both)], &[]).await;
    let mut readers = daemon.peer().await.bearing(&reader.token);
    let mut writers = daemon.peer().await.bearing(&writer.token);
    let create = "create table t (n int)";
    assert!(failure(&readers.ask(query(1, create)).await).contains("CREATE is not accepted in read-only mode"));
    assert_eq!(writers.ask(query(1, create)).await.message()["result"]["isError"], false);
    for (peer, is_read_only) in [(&mut readers, true), (&mut writers, false)] {
        let tools = peer.ask(request(2, "tools/list", json!({}))).await.message();
        assert_eq!(tools["result"]["tools"][0]["annotations"]["readOnlyHint"], is_read_only);
    }
}

#[actix_rt::test]
async fn a_session_is_its_owners_alone() {
    let cluster = PrivateCluster::start().unwrap();
    let (alice, bob) = (token("alice", "read-only", false), token("bob", "read-only", false));
    let both = format!("{}\n{}", alice.table, bob.table);
    let daemon = Daemon::with(&cluster, "MCP_TOKENS_FILE=tokens.toml\n", &[("tokens.toml", &both)], &[]).await;
    let mut alices = daemon.peer().await.bearing(&alice.token);
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello});
    let session = alices.ask((Vec::new(), hello)).await.header("mcp-session-id").unwrap().to_owned();
    let headers = vec![("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25".to_owned())];
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let mut bobs = daemon.peer().await.bearing(&bob.token);
    assert_eq!(bobs.ask((headers.clone(), ping.clone())).await.status, 404);
    let given: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    bobs.send("DELETE", "/mcp", &given, b"").await;
    bobs.answer().await;
    assert_eq!(bobs.get("/mcp", &[&given[..], &[("Accept", "text/event-stream")]].concat()).await.status, 404);
    assert_eq!(alices.ask((headers, ping)).await.status, 200, "it is still there for its owner");
}

#[actix_rt::test]
async fn an_operator_sees_a_call_and_ends_it_and_its_client_is_told() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let (alice, operator) = (token("alice", "read-only", false), token("operator", "read-only", true));
    let both = format!("{}\n{}", alice.table, operator.table);
    let daemon = Daemon::with(&cluster, "MCP_TOKENS_FILE=tokens.toml\n", &[("tokens.toml", &both)], &[]).await;
    let mut alices = daemon.peer().await.bearing(&alice.token);
    alices.say(query(1, ENDLESS)).await;
    until_active(&observer, 1).await;
    let mut operators = daemon.peer().await.bearing(&operator.token);
    let status: Value = serde_json::from_str(&operators.get("/status.json", &[]).await.body).unwrap();
    let call = &status["calls"][0];
    assert_eq!((call["client"].as_str(), call["phase"].as_str()), (Some("alice"), Some("running")), "{status}");
    assert_eq!(call["sql"], "select count(*) from generate_series(?, ?) a, generate_series(?, ?) b");
    assert_eq!(status["databases"][0]["state"], "up");
    let path = format!("/calls/{}/cancel", call["id"]);
    operators.send("POST", &path, &[], b"").await;
    assert_eq!(operators.answer().await.status, 204);
    assert!(failure(&alices.answer().await).contains("operator"));
    until_active(&observer, 0).await;
    operators.send("POST", &path, &[], b"").await;
    assert_eq!(operators.answer().await.status, 404);
    let figures = operators.get("/metrics", &[]).await.body;
    for name in ["statements", "calls"] {
        let is_it = |line: &&str| {
            let labels = ["outcome=\"cancelled\"", "tool=\"async_query_execute\""];
            line.starts_with(&format!("mcp_server_postgres_{name}_total{{"))
                && labels.iter().all(|label| line.contains(label))
        };
        assert!(figures.lines().find(is_it).is_some_and(|line| line.ends_with("} 1")), "{name}: {figures}");
    }
}

#[actix_rt::test]
async fn who_gets_what_is_as_the_page_of_the_daemon_says() {
    let cluster = PrivateCluster::start().unwrap();
    let alice = token("alice", "read-only", false);
    let env = "MCP_TOKENS_FILE=tokens.toml\nMCP_MAX_LINE_BYTES=10000\nMCP_CLIENT_RATE=1\n";
    let daemon = Daemon::with(&cluster, env, &[("tokens.toml", &alice.table)], &[]).await;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/daemon.md")).unwrap();
    let told = |answer: &Answer| {
        let body = answer.why();
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{body}`")));
        let row = row.unwrap_or_else(|| panic!("docs/daemon.md does not have: {body}"));
        assert!(row.contains(&format!("| {}", answer.status)), "{row}");
    };
    let (headers, message) = query(1, "select 1");
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = message.to_string();
    let ask = async |token: Option<&str>, more: &[(&str, &str)], body: &[u8]| {
        let mut peer = daemon.peer().await;
        if let Some(token) = token {
            peer = peer.bearing(token);
        }
        let headers = [
            &headers[..],
            more,
            &[("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")],
        ];
        peer.send("POST", "/mcp", &headers.concat(), body).await;
        peer.answer().await
    };
    let body = body.as_bytes();
    told(&ask(None, &[], body).await);
    told(&ask(Some("guessed"), &[], body).await);
    told(&ask(Some(&alice.token), &[("Host", "evil.example")], body).await);
    told(&ask(Some(&alice.token), &[("Origin", "https://evil.example")], body).await);
    told(&ask(Some(&alice.token), &[], &[b' '; 10_001]).await);
    while ask(Some(&alice.token), &[], body).await.status == 200 {}
    let refused = ask(Some(&alice.token), &[], body).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.why().starts_with("This client has made more than 1 requests a second"));
    let mut peer = daemon.peer().await.bearing(&alice.token);
    told(&peer.get("/metrics", &[]).await);
    assert_eq!(peer.get("/healthz", &[]).await.body, "ok\n");
    told(&peer.get("/sse", &[]).await);
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    told(&peer.get("/mcp", &[]).await);
    told(&peer.get("/mcp", &[("Mcp-Session-Id", "old")]).await);
    peer.send("POST", "/mcp", &[("Accept", "text/html")], body).await;
    told(&peer.answer().await);
}

#[actix_rt::test]
async fn by_tls_and_by_a_socket_of_the_file_system_the_same_is_served() {
    let cluster = PrivateCluster::start().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = format!("{}{}", pair.cert.pem(), pair.signing_key.serialize_pem());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("mcp.sock");
    let env = format!("MCP_TLS_CERT=pair.pem\nMCP_HTTP_ADDR=127.0.0.1:0,unix:{}\n", socket.display());
    let mut daemon = Daemon::with(&cluster, &env, &[("pair.pem", &pem)], &[]).await;
    let mut by_socket = Peer::over(Box::new(UnixStream::connect(&socket).await.unwrap()), "any.name");
    assert_eq!(first(&by_socket.ask(query(1, "select 1")).await), 1);
    let by_tls = async |certificate: &CertificateDer<'static>| {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(&daemon.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let healthcheck = async |address: &str| {
        let mut check = tokio::process::Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"));
        let check = check.arg("healthcheck").env_clear().env("MCP_HTTP_ADDR", address);
        check.env("MCP_TLS_CERT", daemon.path("pair.pem")).status().await.unwrap().code()
    };
    assert_eq!(healthcheck(&daemon.address).await, Some(0));
    assert_eq!(healthcheck(&format!("unix:{}", socket.display())).await, Some(0));
    assert_eq!(healthcheck("127.0.0.1:1").await, Some(1));
    let mut first_peer = Peer::over(Box::new(by_tls(pair.cert.der()).await.unwrap()), "localhost");
    assert_eq!(first(&first_peer.ask(query(1, "select 1")).await), 1);
    let next = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    daemon.write("pair.pem", &format!("{}{}", next.cert.pem(), next.signing_key.serialize_pem()));
    until("the new certificate is shown", async || by_tls(next.cert.der()).await.is_ok()).await;
    assert_eq!(first(&first_peer.ask(query(2, "select 2")).await), 2);
    daemon.signal("TERM");
    assert!(daemon.ended().await.success());
    assert!(!socket.exists());
}

#[actix_rt::test]
async fn the_address_at_which_a_connection_arrives_is_a_name_and_probes_need_none() {
    // Nothing is sent: it is only looked up by which address this machine would go.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(own) = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()) else {
        eprintln!("skipped: this machine has no address but the loopback's");
        return;
    };
    let cluster = PrivateCluster::start().unwrap();
    let alice = token("alice", "read-only", false);
    let env = "MCP_TOKENS_FILE=tokens.toml\nMCP_HTTP_ADDR=0.0.0.0:0\n";
    let daemon = Daemon::with(&cluster, env, &[("tokens.toml", &alice.table)], &[]).await;
    let port = daemon.address.rsplit_once(':').unwrap().1;
    let address = format!("{}:{port}", own.ip());
    let mut peer = Peer::connect(&address).await.bearing(&alice.token);
    assert_eq!(first(&peer.ask(query(1, "select 1")).await), 1);
    for (host, mcp) in [(&*address, 405), ("192.0.2.8", 403), ("pod.example", 403)] {
        assert_eq!(peer.get("/mcp", &[("Host", host)]).await.status, mcp, "{host}");
    }
    for (host, probe) in [("192.0.2.8:8808", 200), ("", 200), ("pod.example", 403)] {
        for path in ["/healthz", "/readyz", "/readyz/main"] {
            assert_eq!(peer.get(path, &[("Host", host)]).await.status, probe, "{path} {host:?}");
        }
    }
}
