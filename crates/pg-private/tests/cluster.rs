//! A private cluster starts, stops, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use pg_private::{ClusterError, Options, PrivateCluster};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

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
async fn a_cluster_starts_stops_and_starts_again_on_its_port_with_its_data() {
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
async fn a_drop_removes_the_process_and_the_folder_although_a_session_is_open() {
    let cluster = PrivateCluster::start().unwrap();
    let (pid, folder) = (cluster.pid().unwrap(), cluster.socket_folder().to_owned());
    let client = connect(&cluster.url()).await.unwrap();
    client.batch_execute("begin; create table half_done (n int)").await.unwrap();
    assert!(is_alive(pid) && folder.exists());
    drop(cluster);
    assert!(!is_alive(pid) && !folder.exists());
}

#[test]
fn the_cluster_and_the_template_of_a_killed_process_are_removed() {
    const VICTIM: &str = "CLUSTER_TEST_IS_THE_VICTIM";
    if env::var_os(VICTIM).is_some() {
        let cluster = PrivateCluster::start().unwrap();
        eprintln!("victim {} {}", cluster.pid().unwrap(), cluster.socket_folder().display());
        loop {
            thread::park();
        }
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_cluster_and_the_template_of_a_killed_process_are_removed", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().strip_prefix("victim ").map(str::to_owned)).unwrap();
    let (pid, folder) = line.split_once(' ').unwrap();
    let (pid, folder): (u32, PathBuf) = (pid.parse().unwrap(), folder.into());
    assert!(is_alive(pid) && folder.exists());
    let parent = folder.parent().unwrap();
    assert_eq!(folders_of(victim.id(), parent), 2, "the cluster's and the template's");

    victim.kill().unwrap();
    victim.wait().unwrap();
    // Nobody reports the end of the keepers, so the test asks repeatedly.
    let asked = Instant::now();
    while is_alive(pid) || folders_of(victim.id(), parent) > 0 {
        assert!(asked.elapsed() < Duration::from_secs(20), "still there: {line}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The number of folders that a process has made.
fn folders_of(process: u32, parent: &Path) -> usize {
    let of_process = format!("pg-private-{process}-");
    let names = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(&of_process)).count()
}

#[tokio::test]
async fn clusters_share_no_data() {
    for _ in 0..2 {
        let cluster = PrivateCluster::start().unwrap();
        let client = connect(&cluster.url()).await.unwrap();
        for made in ["table made (n int)", "database made", "role made"] {
            client.batch_execute(&format!("create {made}")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_password_is_required_and_given_lines_of_pg_hba_come_first() {
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
fn a_failed_start_is_reported_with_the_output_of_the_server() {
    let error = Options::new().setting("work_mem", "much").start().unwrap_err();
    assert!(matches!(error, ClusterError::Failed { program: "postgres", .. }), "{error:?}");
    // The output is in the language of the server's messages. It names the setting and the value.
    let message = error.to_string();
    assert!(message.contains(r#""work_mem""#) && message.contains(r#""much""#), "{message}");
}

#[tokio::test]
async fn the_server_can_read_a_given_file() {
    let cluster = Options::new().file("readable", "by the server").start().unwrap();
    let client = connect(&cluster.url()).await.unwrap();
    assert_eq!(one::<String>(&client, "select pg_read_file('readable')").await, "by the server");
}
