//! A cancelled call ends in PostgreSQL, through a PgBouncer in session mode too, and by every way to it.

use mcp_server_postgres::settings::SslMode;
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};

use super::tls::behind_tls;
use super::*;

/// Cancels some calls. Each must stop by the cancel request, and not by the end of its connection.
async fn each_call_stops_by_its_request(what: &str, world: &World) {
    let before = world.log.of("statement cancelled").len();
    for calls in before + 1..=before + 5 {
        let sleeping = actix_rt::spawn(world.ask("select pg_sleep(1000)", json!([])));
        world.until_asleep(1).await;
        sleeping.abort();
        world.until_asleep(0).await;
        until("the log says so", async || world.log.of("statement cancelled").len() == calls).await;
    }
    let lines = world.log.of("statement cancelled");
    assert!(lines.iter().all(|line| line.contains("idle=true")), "{what}: {lines:?}");
    assert!(world.log.of("cancel request failed").is_empty(), "{what}");
}

#[actix_rt::test]
async fn a_cancelled_call_stops_in_postgresql_in_session_mode_too() {
    for pooler in [Pooler::Auto, Pooler::None] {
        let pooler = |settings: &mut Settings| settings.postgres.target.pooler = pooler;
        let Some((mut world, bouncer)) = behind("session", pooler).await else { return };
        each_call_stops_by_its_request("by TCP", &world).await;
        let socket = bouncer.folder().to_owned();
        world.change(|settings| settings.postgres.target.hosts = vec![socket]).await;
        each_call_stops_by_its_request("by a socket", &world).await;
        let Some((world, _bouncer)) = behind_tls("pool_mode = session", |settings| {
            pooler(settings);
            settings.postgres.target.ssl_mode = SslMode::VerifyFull;
        })
        .await
        else {
            return;
        };
        each_call_stops_by_its_request("with TLS", &world).await;
    }
}

#[actix_rt::test]
async fn nothing_waits_for_a_server_that_leaves_the_connection_of_a_cancel_request_open() {
    let mut world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, server) = (listener.local_addr().unwrap().port(), world.cluster.port());
    actix_rt::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            actix_rt::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.split(), server.split());
                // The client's side stays open until the client closes it.
                let _ = tokio::join!(copy(&mut from_server, &mut to_client), copy(&mut from_client, &mut to_server));
            });
        }
    });
    world.change(|settings| settings.postgres.target.ports = vec![port]).await;
    let sleeping = actix_rt::spawn(world.ask("select pg_sleep(1000)", json!([])));
    world.until_asleep(1).await;
    sleeping.abort();
    until("the log says so", async || !world.log.of("statement cancelled").is_empty()).await;
    let lines = world.log.of("statement cancelled");
    assert!(lines.concat().contains("idle=true"), "{lines:?}");
}
