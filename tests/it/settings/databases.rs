//! Several databases: what a database gets from its own table, and what it inherits from the main one.

use mcp_server_postgres::settings::{AccessMode, PostgresSettings};

use crate::settings::{Given, NOTHING, loaded, problems};

const MAIN: &str = "[postgres]\nhost = \"a\"\nuser = \"clerk\"\npassword = \"secret\"\ndb = \"shop\"\npool_size = 7\n";

fn with(what: &str, table: &str) -> (PostgresSettings, AccessMode) {
    let toml = format!("{MAIN}[databases.other]\n{table}");
    let settings = loaded(what, &Given { toml: &toml, ..NOTHING }).settings;
    assert_eq!(settings.databases().collect::<Vec<_>>(), ["main", "other"], "{what}");
    let (postgres, access) = settings.database("other").unwrap();
    (postgres.clone(), access)
}

#[test]
fn a_database_of_the_same_server_inherits_all_values_that_it_does_not_set() {
    let (other, access) = with("same server", "db = \"stock\"\npool_size = 2\naccess_mode = \"read-write\"\n");
    assert_eq!(
        (other.target.hosts, other.target.database, other.target.user),
        (vec!["a".to_owned()], "stock".to_owned(), "clerk".to_owned())
    );
    assert_eq!(other.target.password.unwrap().expose(), "secret");
    assert_eq!((other.pool.size, access), (2, AccessMode::ReadWrite));
}

#[test]
fn another_server_inherits_no_user_and_no_password() {
    for table in ["host = \"b\"\n", "url = \"postgres://b\"\n"] {
        let (other, access) = with(table, table);
        assert_eq!((other.target.hosts, other.target.user.as_str()), (vec!["b".to_owned()], "postgres"), "{table}");
        assert_eq!((other.target.password, other.target.database.as_str()), (None, "postgres"), "{table}");
        // Settings that do not name a server are inherited too.
        assert_eq!((other.pool.size, access), (7, AccessMode::ReadOnly), "{table}");
    }
    let (other, _) = with("a URL", "url = \"postgres://u:p@b:5433/d\"\n");
    assert_eq!(
        (other.target.user.as_str(), other.target.password.unwrap().expose(), other.target.ports),
        ("u", "p", vec![5433])
    );
}

#[test]
fn environment_variables_of_the_main_database_do_not_change_other_databases() {
    let toml = format!("{MAIN}[databases.other]\ndb = \"stock\"\n");
    let environment = &[("POSTGRES_DB", "elsewhere"), ("POSTGRES_POOL_SIZE", "3")];
    let settings = loaded("environment", &Given { toml: &toml, environment, ..NOTHING }).settings;
    assert_eq!(settings.postgres.target.database, "elsewhere");
    let (other, _) = settings.database("other").unwrap();
    assert_eq!((other.target.database.as_str(), other.pool.size), ("stock", 3));
}

#[test]
fn a_problem_in_the_table_of_a_database_is_reported_with_its_place() {
    for (toml, expected) in [
        (
            "[databases.main]\ndb = \"x\"\n",
            "a database's name has lower-case letters, digits, - and _, and is not \"main\", which is the database of [postgres]",
        ),
        ("[databases.\"A b\"]\ndb = \"x\"\n", "a database's name has lower-case letters, digits, - and _"),
        ("[databases]\nother = \"x\"\n", "must be a table, such as [databases.other] url = \"…\""),
        ("[databases.other]\nmax_rows = 5\n", "[databases.other] max_rows in config.toml is no setting of a database"),
        (
            "[databases.other]\npool_size = 0\n",
            "POSTGRES_POOL_SIZE is \"0\" (in config.toml as [databases.other] pool_size): it must be a whole number",
        ),
        ("[databases.other]\nurl = \"mysql://x\"\n", "it must be like postgres://user:password@host:port/database"),
    ] {
        let problems = problems(toml, &Given { toml, ..NOTHING });
        assert!(problems.len() == 1 && problems[0].contains(expected), "{toml}: {problems:?}");
    }
}
