//! How the daemon starts, what it tells of itself, and how it ends.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::daemon::command;
use super::*;

#[actix_rt::test]
async fn at_sigterm_a_call_under_way_is_answered_and_nobody_new_is_let_in() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let mut daemon = Daemon::on(&cluster, "MCP_FUNCTIONS_ALLOW=pg_advisory_lock_shared\n").await;
    observer.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let mut peer = daemon.peer().await;
    peer.say(query(1, "select 'done' from pg_advisory_lock_shared(7)")).await;
    until_active(&observer, 1).await;
    daemon.signal("TERM");
    daemon.until_logged("ending", 1).await;
    until("nobody is let in", async || tokio::net::TcpStream::connect(&daemon.address).await.is_err()).await;
    observer.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(first(&peer.answer().await), "done");
    assert_eq!(daemon.ended().await.code(), Some(0));
}

#[actix_rt::test]
async fn what_outlives_the_deadline_is_cancelled_in_postgres() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let mut daemon = Daemon::on(&cluster, "MCP_DRAIN_TIMEOUT=0.1\n").await;
    let mut peer = daemon.peer().await;
    peer.say(query(1, ENDLESS)).await;
    until_active(&observer, 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
    until_active(&observer, 0).await;
    assert_eq!(daemon.log_of("calls are cancelled: they outlived MCP_DRAIN_TIMEOUT").len(), 1);
}

#[actix_rt::test]
async fn a_second_signal_ends_it_at_once() {
    let cluster = PrivateCluster::start().unwrap();
    let observer = observer(&cluster).await;
    let mut daemon = Daemon::on(&cluster, "MCP_DRAIN_TIMEOUT=600\n").await;
    let mut peer = daemon.peer().await;
    peer.say(query(1, ENDLESS)).await;
    until_active(&observer, 1).await;
    daemon.signal("TERM");
    daemon.until_logged("ending", 1).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
    assert_eq!(daemon.log_of("ended at once").len(), 1);
}

#[actix_rt::test]
async fn sighup_has_the_settings_read_again() {
    let cluster = PrivateCluster::start().unwrap();
    let mut daemon = Daemon::on(&cluster, "").await;
    daemon.signal("HUP");
    daemon.until_logged("SIGHUP: the settings are read again", 1).await;
    assert_eq!(first(&daemon.peer().await.ask(query(1, "select 1")).await), 1);
    daemon.signal("INT");
    assert_eq!(daemon.ended().await.code(), Some(0));
}

#[actix_rt::test]
async fn sighup_lets_go_of_a_log_file_that_was_moved_though_nothing_is_logged() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "MCP_LOG_FILE=server.log\n").await;
    daemon.change_env(|env| format!("{env}MCP_LOG_LEVEL=critical\n"));
    daemon.until_logged("settings reloaded", 1).await;
    std::fs::rename(daemon.path("server.log"), daemon.path("server.log.1")).unwrap();
    daemon.signal("HUP");
    until("there is a new file", async || daemon.path("server.log").exists()).await;
}

#[actix_rt::test]
async fn an_address_that_is_taken_is_told_with_the_status_of_a_wrong_setting() {
    let cluster = PrivateCluster::start().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let folder = tempfile::tempdir().unwrap();
    let mut second = command(folder.path());
    std::fs::write(folder.path().join(".env"), "").unwrap();
    let status = second.env("MCP_HTTP_ADDR", &daemon.address).status().await.unwrap();
    assert_eq!(status.code(), Some(78));
    let told = std::fs::read_to_string(folder.path().join("stderr")).unwrap();
    let expected = format!("mcp-server-postgres: {} (MCP_HTTP_ADDR) cannot be listened on: ", daemon.address);
    assert!(told.contains(&expected), "{told}");
}

#[actix_rt::test]
async fn systemd_is_told_when_it_is_ready_that_it_lives_and_that_it_ends() {
    let cluster = PrivateCluster::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    let mut daemon =
        Daemon::with(&cluster, "", &[], &[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "100000")])
            .await;
    let socket = std::sync::Arc::new(socket);
    let hear = async || {
        let socket = socket.clone();
        let heard = actix_rt::task::spawn_blocking(move || {
            let mut bytes = [0; 256];
            let count = socket.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..count]).trim().to_owned()
        });
        heard.await.unwrap()
    };
    assert_eq!(hear().await, "READY=1");
    assert_eq!([hear().await, hear().await], ["WATCHDOG=1", "WATCHDOG=1"]);
    daemon.signal("TERM");
    while hear().await != "STOPPING=1" {}
    assert!(daemon.ended().await.success());
}

#[actix_rt::test]
async fn it_starts_without_its_database_and_tells_when_that_is_there() {
    let mut cluster = PrivateCluster::start().unwrap();
    cluster.stop().unwrap();
    let daemon = Daemon::on(&cluster, "").await;
    let mut peer = daemon.peer().await;
    assert_eq!(peer.get("/healthz", &[]).await.status, 200);
    until("it is known to be down", async || peer.get("/readyz", &[]).await.status == 503).await;
    let told: Value = serde_json::from_str(&peer.get("/readyz", &[]).await.body).unwrap();
    assert_eq!((&told["state"], &told["databases"][0]["name"]), (&json!("down"), &json!("main")));
    assert!(failure(&peer.ask(query(1, "select 1")).await).contains("The database is not available"));
    cluster.start_again().unwrap();
    // It is tried again by itself.
    tokio::time::timeout(Duration::from_secs(60), async {
        until("it is back", async || peer.get("/readyz", &[]).await.status == 200).await;
    })
    .await
    .unwrap();
    assert_eq!(first(&peer.ask(query(2, "select 1")).await), 1);
}
