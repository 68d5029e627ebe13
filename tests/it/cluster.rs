//! The private PostgreSQL of the demo and of the tests: it starts, stops, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mcp_server_postgres::demo::cluster::{ClusterError, Options, PrivateCluster};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::common::own_process;

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The first column of the first row.
async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(client: &Client, sql: &str) -> T {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

fn is_alive(pid: u32) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -0 $0", &pid.to_string()]).stderr(Stdio::null());
    shell.status().unwrap().success()
}

#[tokio::test]
async fn a_cluster_answers_stops_and_starts_again_on_its_port_with_its_data() {
    let mut cluster = Options::new().setting("work_mem", "1234kB").start().unwrap();
    let port = cluster.port();
    let client = connect(&cluster.url()).await.unwrap();
    assert_eq!(one::<i32>(&client, "select 1").await, 1);
    assert_eq!(one::<String>(&client, "show work_mem").await, "1234kB");
    client.batch_execute("create table kept as select 7 as n").await.unwrap();

    cluster.stop().unwrap();
    assert_eq!(cluster.pid(), None);
    let error = connect(&cluster.url()).await.err().unwrap();
    assert!(error.as_db_error().is_none(), "refused by the system, not by PostgreSQL: {error:?}");
    cluster.stop().unwrap();

    cluster.start_again().unwrap();
    assert_eq!(cluster.port(), port);
    let client = connect(&cluster.url()).await.unwrap();
    assert_eq!(one::<i32>(&client, "select n from kept").await, 7);

    let before = cluster.pid();
    cluster.restart().unwrap();
    assert_ne!(cluster.pid(), before);
    let by_socket = format!("host={} port={port} user=postgres", cluster.socket_folder().display());
    let client = connect(&by_socket).await.unwrap();
    assert_eq!(one::<i32>(&client, "select n from kept").await, 7);
}

#[tokio::test]
async fn a_dropped_cluster_leaves_neither_process_nor_folder_though_a_session_is_open() {
    let cluster = PrivateCluster::start().unwrap();
    let (pid, folder) = (cluster.pid().unwrap(), cluster.socket_folder().to_owned());
    let client = connect(&cluster.url()).await.unwrap();
    client.batch_execute("begin; create table half_done (n int)").await.unwrap();
    assert!(is_alive(pid) && folder.exists());
    drop(cluster);
    assert!(!is_alive(pid) && !folder.exists());
}

#[test]
fn a_killed_parent_takes_its_cluster_with_it() {
    if own_process::is_own() {
        let cluster = PrivateCluster::start().unwrap();
        eprintln!("victim {} {}", cluster.pid().unwrap(), cluster.socket_folder().display());
        loop {
            thread::park();
        }
    }
    let mut victim = own_process::command("cluster::a_killed_parent_takes_its_cluster_with_it")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().strip_prefix("victim ").map(str::to_owned)).unwrap();
    let (pid, folder) = line.split_once(' ').unwrap();
    let (pid, folder): (u32, PathBuf) = (pid.parse().unwrap(), folder.into());
    assert!(is_alive(pid) && folder.exists());

    victim.kill().unwrap();
    victim.wait().unwrap();
    // A dead parent tells nobody that its heirs are done: ask until it is so.
    let asked = Instant::now();
    while is_alive(pid) || folder.exists() {
        assert!(asked.elapsed() < Duration::from_secs(20), "still there: {line}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_own_lines_of_pg_hba_come_first() {
    let cluster = Options::new().password("p@ss/wörd").hba("host template1 all 127.0.0.1/32 reject").start().unwrap();
    let client = connect(&cluster.url()).await.unwrap();
    let method = "select auth_method from pg_hba_file_rules where 'all' = any(database) and type = 'local'";
    assert_eq!(one::<String>(&client, method).await, "scram-sha-256");

    let (port, url) = (cluster.port(), cluster.url());
    for (url, refusal) in [
        (format!("postgres://postgres:wrong@127.0.0.1:{port}/postgres"), SqlState::INVALID_PASSWORD),
        (format!("{}template1", url.trim_end_matches("postgres")), SqlState::INVALID_AUTHORIZATION_SPECIFICATION),
    ] {
        let error = connect(&url).await.err().unwrap();
        assert_eq!(error.code(), Some(&refusal), "{url}: {error:?}");
    }
    assert!(!format!("{cluster:?}").contains("p@ss"));
}

#[test]
fn a_server_that_cannot_start_is_reported_with_what_it_said() {
    let error = Options::new().setting("work_mem", "much").start().unwrap_err();
    assert!(matches!(error, ClusterError::Failed { program: "postgres", .. }), "{error:?}");
    assert!(error.to_string().contains(r#"invalid value for parameter "work_mem": "much""#), "{error}");
}

#[tokio::test]
async fn the_demo_data_are_the_same_on_each_load() {
    let cluster = Options::new().file("readable", "by the server").start().unwrap();
    let client = connect(&cluster.url()).await.unwrap();
    assert_eq!(one::<String>(&client, "select pg_read_file('readable')").await, "by the server");

    client.batch_execute(include_str!("../../src/demo/data.sql")).await.unwrap();
    for (table, expected) in [
        ("customers", 200),
        ("products", 40),
        ("promotions", 6),
        ("orders", 2_000),
        ("order_items", 5_000),
        ("order_totals", 2_000),
        ("logins", 1_000),
    ] {
        let rows: i64 = one(&client, &format!("select count(*) from {table}")).await;
        assert_eq!(rows, expected, "{table}");
    }
    for (sql, expected) in [
        ("select sum(total)::text from order_totals", "387287.33"),
        ("select sum(quantity)::text from order_items", "8000"),
        ("select count(distinct customer_id)::text from orders", "175"),
        ("select max(address)::text from logins", "2001:db8::3e8:3e8/128"),
        ("select nextval(pg_get_serial_sequence('orders', 'id'))::text", "2001"),
    ] {
        assert_eq!(one::<String>(&client, sql).await, expected, "{sql}");
    }
}
