//! `mcp-server-postgres doctor`, run as a program.

use std::process::Command;

use pg_private::{Options, PrivateCluster};

mod situations;

/// The exit status and the output.
fn doctor(environment: &[(&str, &str)]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"));
    command.arg("doctor").current_dir(folder.path()).env_clear().envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn all_checks_run_and_the_result_for_the_role_says_what_to_do() {
    let cluster = PrivateCluster::start().unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("create extension dblink; create table seen (n int); insert into seen values (7)")
        .await
        .unwrap();
    let (status, said) = doctor(&[("DATABASE_URL", &cluster.url())]);
    assert_eq!(status, 0, "{said}");
    let whats: Vec<_> = said.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(whats[..7], ["settings", "address", "login", "pooler", "TLS", "version", "role"], "{said}");
    for part in [
        "warning  role       The role postgres is a superuser",
        "CREATE ROLE agent LOGIN",
        "warning  extension  dblink: ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The role of docs/safety.md, which the doctor prints too.
    let page = include_str!("../../docs/safety.md");
    let (_, sql) = page.split_once("```sql\nCREATE ROLE agent").unwrap();
    let sql = format!("CREATE ROLE agent{}", sql.split_once("\n```").unwrap().0).replace("\"shop\"", "\"postgres\"");
    assert!(sql.lines().all(|line| said.contains(line)), "{sql}\n{said}");
    client.batch_execute(&sql).await.unwrap();
    client.batch_execute("create table made_later (n int); insert into made_later values (8)").await.unwrap();
    let url = cluster.url().replace("postgres@", "agent@");
    let (status, said) = doctor(&[("DATABASE_URL", &url)]);
    assert!(status == 0 && said.contains("ok       role       it has no more rights than a reader needs"), "{said}");
    assert!(!said.contains("role       The role"), "{said}");
    let (agent, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let rows = agent.query("table seen union all table made_later", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [7, 8]);
    let error = agent.execute("select rolpassword from pg_authid", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
}

#[tokio::test]
async fn what_runs_without_being_named_is_listed_and_so_is_an_entry_that_means_nothing() {
    let cluster = PrivateCluster::start().unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let url = cluster.url();
    let (_, said) = doctor(&[("DATABASE_URL", &url)]);
    assert!(said.contains("ok       guard      no function that it refuses runs without being named"), "{said}");
    client
        .batch_execute(
            "create extension hstore; create extension citext;
             create function sly(boolean) returns inet volatile language plpgsql as $$ begin return '::1'; end $$;
             create cast (boolean as inet) with function sly(boolean) as implicit;
             create function noisy(int, int) returns bool volatile language plpgsql as 'begin return true; end';
             create operator =-= (leftarg = int, rightarg = int, function = noisy)",
        )
        .await
        .unwrap();
    let allow = "sly, nowhere.*, public.noisy(text), lower";
    let (_, said) = doctor(&[("DATABASE_URL", &url), ("MCP_FUNCTIONS_ALLOW", allow)]);
    let of_guard: Vec<_> = said.lines().filter(|line| line.contains(" guard ")).collect();
    assert_eq!(of_guard.len(), 3, "{said}");
    for (line, part) in of_guard.iter().zip([
        "the operator =-= runs public.noisy(int4,int4), so a statement with it is refused. The function public.noisy is not",
        "nowhere.* in MCP_FUNCTIONS_ALLOW or MCP_FUNCTIONS_DENY means no function of this database",
        "public.noisy(text) in MCP_FUNCTIONS_ALLOW",
    ]) {
        assert!(line.contains(part), "{part}: {line}");
    }
    let (_, said) = doctor(&[("DATABASE_URL", &url)]);
    assert!(said.contains("an implicit cast to inet runs public.sly(bool)"), "{said}");
}

#[test]
fn a_failed_check_is_named_with_what_to_do_and_without_the_password() {
    let cluster = Options::new().password("right").start().unwrap();
    let (url, port) = (cluster.url(), cluster.port().to_string());
    let at = |password: &str, database: &str| format!("postgres://postgres:{password}@127.0.0.1:{port}/{database}");
    let (wrong, missing) = (at("hunter2", "postgres"), at("right", "nowhere"));
    for (environment, part) in [
        (
            vec![("DATABASE_URL", &*wrong)],
            "failed   login      FATAL 28P01: password authentication failed for user \"postgres\"",
        ),
        (vec![("DATABASE_URL", &*missing)], "failed   login      FATAL 3D000: database \"nowhere\" does not exist"),
        (vec![("DATABASE_URL", "postgres://x:hunter2@127.0.0.1:1/x")], "failed   address    127.0.0.1:1: "),
        (
            vec![("DATABASE_URL", "postgres://x:hunter2@name.invalid/x")],
            "failed   address    name.invalid:5432: the name is not known",
        ),
        (vec![("POSTGRES_HOST", "/nowhere")], "failed   address    /nowhere/.s.PGSQL.5432: "),
        (vec![("POSTGRES_POOL_SIZE", "none")], "failed   settings   "),
        (vec![("DATABASE_URL", &*url), ("POSTGRES_SSL_MODE", "require")], "failed   login      "),
    ] {
        let (status, said) = doctor(&environment);
        assert!(status == 1 && said.contains(part), "{part}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("right"), "{said}");
    }
}
