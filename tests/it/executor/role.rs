//! The check of the role: the rights that it should not have.

use mcp_server_postgres::postgres::catalog;
use mcp_server_postgres::postgres::catalog::role::{self, Finding, RoleRights};
use mcp_server_postgres::settings::RoleCheck;

use super::*;

// Since version 15, PUBLIC has no CREATE right on the schema public. In earlier versions it has to be revoked.
const ROLES: &str = "
    revoke create on schema public from public;
    create table t (n int, m int); create sequence s;
    create function as_owner() returns int security definer language sql as 'select 1';
    revoke execute on function as_owner() from public;
    create role boss superuser login; create role blind bypassrls login;
    create role becomes login noinherit; grant boss to becomes;
    create role files login noinherit; grant pg_read_server_files to files;
    create role programs login; create role between; grant pg_execute_server_program to between; grant between to programs;
    create role maker createdb login;
    create role cell login; grant insert (m) on t to cell;
    create role row_writer login; grant delete on t to row_writer;
    create role counter login; grant usage on sequence s to counter;
    create role builder login; grant create on schema public to builder;
    create role founder login; grant create on database postgres to founder;
    create role delegate login; grant execute on function as_owner() to delegate;
    create role reads_all login noinherit; grant pg_read_all_data to reads_all;
    create role reader login; grant select on t to reader";

async fn findings(client: &Client, access: AccessMode) -> Vec<Finding> {
    role::findings(&catalog::ask(client, &RoleRights { access }).await.unwrap()[0])
}

#[actix_rt::test]
async fn the_rights_of_a_role_are_found_also_if_it_has_them_by_another_role() {
    let world = World::new().await;
    world.prepare(ROLES).await;
    for (name, is_severe, parts) in [
        ("postgres", true, "postgres is a superuser|NOSUPERUSER"),
        ("becomes", true, "can become a superuser by SET ROLE (boss)|REVOKE boss FROM becomes"),
        ("blind", true, "passes row-level security|NOBYPASSRLS"),
        ("files", true, "(pg_read_server_files)|REVOKE pg_read_server_files FROM files"),
        ("programs", true, "(pg_execute_server_program)|REVOKE"),
        ("maker", false, "can make roles or databases"),
        ("cell", false, "can write to tables|(t)"),
        ("row_writer", false, "can write to tables|(t)"),
        ("counter", false, "can move sequences|(s)"),
        ("builder", false, "can make objects in schemas|(public)"),
        ("founder", false, "can make schemas in the database"),
        ("delegate", false, "SECURITY DEFINER: as_owner()"),
        ("reads_all", false, "can read password hashes|REVOKE pg_read_all_data FROM reads_all"),
        ("reader", false, ""),
    ] {
        let client = connect(&world.cluster.url().replace("postgres@", &format!("{name}@"))).await;
        let found = findings(&client, AccessMode::ReadOnly).await;
        let text = found.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n");
        assert!(parts.split('|').all(|part| text.contains(part)), "{name}: {text}");
        assert_eq!(found.iter().any(|finding| finding.is_severe), is_severe, "{name}: {text}");
        assert_eq!(found.is_empty(), parts.is_empty(), "{name}: {text}");
        // In read-write mode the right to write is needed.
        let writes = ["cell", "row_writer", "counter", "builder", "founder"].contains(&name);
        let found = findings(&client, AccessMode::ReadWrite).await;
        assert_eq!(found.is_empty(), writes || parts.is_empty(), "{name}: {found:?}");
    }
}

#[actix_rt::test]
async fn for_the_recommended_role_nothing_is_found() {
    let world = World::new().await;
    // The default since version 15.
    world.prepare("revoke create on schema public from public").await;
    world.prepare(&role::suggested("postgres")).await;
    let client = connect(&world.cluster.url().replace("postgres@", "agent@")).await;
    assert_eq!(findings(&client, AccessMode::ReadOnly).await, []);
}

#[actix_rt::test]
async fn with_an_enforced_check_nothing_runs_until_a_reload_brings_a_better_role() {
    let mut world = World::with(Options::new(), |settings| settings.role_check = RoleCheck::Enforce).await;
    world.prepare(ROLES).await;
    for _ in 0..2 {
        let refusal = world.refusal("select 1").await;
        assert!(refusal.contains("MCP_ROLE_CHECK=enforce") && refusal.contains("superuser"), "{refusal}");
    }
    let error = world.batch(&[("select 1", json!([]))]).await.unwrap_err();
    assert!(error.statement.is_none() && error.error.for_model().contains("superuser"), "{error:?}");
    world
        .change(|settings| {
            settings.role_check = RoleCheck::Enforce;
            settings.postgres.target.user = "cell".to_owned();
        })
        .await;
    until("the pool is new", async || world.status().await.generation == 2).await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    world
        .change(|settings| {
            settings.role_check = RoleCheck::Warn;
            settings.postgres.target.user = "postgres".to_owned();
        })
        .await;
    until("the pool is new", async || world.status().await.generation == 3).await;
    assert_eq!(world.rows("select 1").await, "[[1]]");
    let told = "the role may do more than it should";
    until("it is logged", async || world.log.of(told).iter().any(|line| line.contains("superuser"))).await;
    // The line may be that of the first pool.
    until("the role is checked again", async || !world.health().await.role_findings.is_empty()).await;
    let found = world.health().await.role_findings;
    assert!(found.len() == 1 && found[0].is_severe && found[0].what.contains("superuser"), "{found:?}");
    world
        .change(|settings| {
            settings.role_check = RoleCheck::Off;
            settings.postgres.target.user = "postgres".to_owned();
        })
        .await;
    assert_eq!(*world.health().await.role_findings, []);
}
