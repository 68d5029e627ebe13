//! Unknown names, unreadable files, and that all problems are reported at once.

use crate::settings::{Given, NOTHING, loaded, problems};

#[test]
fn a_name_that_is_nearly_a_key_is_refused_with_the_right_one() {
    for (name, right) in [
        ("POSTGRES_POOOL_SIZE", "POSTGRES_POOL_SIZE"),
        ("POSTGRES_PASWORD", "POSTGRES_PASSWORD"),
        ("POSTGRES_HOSTS", "POSTGRES_HOST"),
        ("POSTGRES_DBNAME", "POSTGRES_DB"),
        ("postgres_host", "POSTGRES_HOST"),
        ("MCP_ACESS_MODE", "MCP_ACCESS_MODE"),
        ("MCP_MAX_ROW", "MCP_MAX_ROWS"),
        ("DATABSE_URL", "DATABASE_URL"),
    ] {
        let env = format!("POSTGRES_USER=u\n\n{name}=s3cret\n");
        assert_eq!(
            problems(name, &Given { env: &env, ..NOTHING }),
            [format!("{name} (in .env, line 3) is no setting of this server: did you mean {right}?")]
        );
        assert_eq!(
            problems(name, &Given { environment: &[(name, "s3cret")], ..NOTHING }),
            [format!("{name} (in the environment) is no setting of this server: did you mean {right}?")]
        );
    }
}

#[test]
fn a_name_that_another_program_may_use_is_only_a_warning() {
    for name in ["POSTGRES_INITDB_ARGS", "POSTGRES_HOST_AUTH_METHOD", "MCP_TRANSPORT"] {
        let told = loaded(name, &Given { environment: &[(name, "s3cret")], ..NOTHING }).warnings;
        assert_eq!(told, [format!("{name} (in the environment) is no setting of this server")]);
        let env = format!("{name}=s3cret\n");
        let told = loaded(name, &Given { env: &env, ..NOTHING }).warnings;
        assert_eq!(told, [format!("{name} (in .env, line 1) is no setting of this server")]);
    }
    for name in ["PATH", "PGPOOL", "DATABASE_PASSWORD", "APP_POSTGRES_HOST", "NODE_ENV"] {
        let told = loaded(name, &Given { environment: &[(name, "x")], ..NOTHING }).warnings;
        assert_eq!(told, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_toml_file_may_only_have_settings() {
    const TABLES: &str =
        "the tables are [postgres], [mcp] and [databases.NAME], with .env's names less their prefix, in lower case";
    for (toml, name, advice) in [
        ("[postgres]\npoool_size = 3\n", "[postgres] poool_size", "did you mean [postgres] pool_size?"),
        ("[postgres]\ndatabase = \"d\"\n", "[postgres] database", "did you mean [postgres] db?"),
        (
            "[postgres]\ndatabase_url = \"postgres://u:s3cret@h\"\n",
            "[postgres] database_url",
            "database_url stands at the top of the file, before the first table",
        ),
        (
            "[mcp]\nurl = \"postgres://u:s3cret@h\"\n",
            "[mcp] url",
            "database_url stands at the top of the file, before the first table",
        ),
        ("databse_url = \"s3cret\"\n", "databse_url", "did you mean database_url?"),
        ("[mcp]\ntransport = \"s3cret\"\n", "[mcp] transport", TABLES),
        ("[server]\nhost = \"s3cret\"\n", "[server] host", TABLES),
        ("nonsense = \"s3cret\"\n", "nonsense", TABLES),
    ] {
        let expected = format!("{name} in config.toml is no setting of this server: {advice}");
        assert_eq!(problems(toml, &Given { toml, ..NOTHING }), [expected], "{toml}");
    }
}

#[test]
fn a_setting_in_toml_is_one_value() {
    const PORT: &str = "a port from 1 to 65535, or several separated by commas";
    for (toml, key, name, right) in [
        ("[postgres]\nport = [1, 2]\n", "POSTGRES_PORT", "port", PORT),
        ("[postgres]\npassword = [\"s3cret\"]\n", "POSTGRES_PASSWORD", "password", "a text"),
        ("[postgres.db]\na = \"s3cret\"\n", "POSTGRES_DB", "db", "a text"),
    ] {
        let expected = format!("{key} (in config.toml as [postgres] {name}) must be {right}");
        assert_eq!(problems(toml, &Given { toml, ..NOTHING }), [expected], "{toml}");
    }
}

#[test]
fn invalid_toml_is_reported_by_its_place_and_not_shown() {
    for (toml, line) in [
        ("[postgres]\npassword = s3cret\n", 2),
        ("[postgres]\npassword = \"s3cret\n", 2),
        ("[postgres]\npassword = \"s3cret|s3cret\\q\"\n", 2),
        ("[postgres]\npassword = 's3cret'\npassword = 's3cret'\n", 3),
        ("[postgres]\npassword 's3cret'\n", 2),
        ("password = '''s3cret\ns3cret\n", 2),
        // In TOML a number cannot begin with a zero; in quotes it is a text.
        ("[postgres]\npassword = 007\n", 2),
    ] {
        let told = problems(toml, &Given { toml, ..NOTHING });
        assert_eq!(told.len(), 1, "{toml}: {told:?}");
        let place = format!("config.toml cannot be read: TOML parse error at line {line}, column ");
        assert!(told[0].starts_with(&place), "{toml}: {told:?}");
        assert!(!told[0].contains("s3cret") && !told[0].contains("007"), "{toml}: {told:?}");
    }
}

#[test]
fn an_unreadable_password_file_is_reported() {
    let missing = Given { env: "POSTGRES_PASSWORD_FILE=missing\n", ..NOTHING };
    assert_eq!(
        problems("missing", &missing),
        ["POSTGRES_PASSWORD_FILE is missing (in .env, line 1): it cannot be read: \
          No such file or directory (os error 2)"]
    );
    let folder = Given { environment: &[("POSTGRES_PASSWORD_FILE", "/")], ..NOTHING };
    assert_eq!(
        problems("folder", &folder),
        ["POSTGRES_PASSWORD_FILE is / (in the environment): it cannot be read: it is a folder"]
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let given = Given {
        toml: "[postgres]\npoool_size = 3\nssl_mode = \"perhaps\"\n",
        env: "POSTGRES_HSOT=h\nPOSTGRES_PASSWORD=sec ret\nMCP_MAX_ROWS=0\n",
        environment: &[("DATABASE_URL", "mysql://u:s3cret@h"), ("MCP_LOG_LEVL", "info")],
        flags: &[("MCP_ACCESS_MODE", "sudo")],
        ..NOTHING
    };
    let told = problems("everything", &given);
    for part in [
        "[postgres] poool_size in config.toml",
        "POSTGRES_SSL_MODE is \"perhaps\" (in config.toml as [postgres] ssl_mode)",
        "POSTGRES_HSOT (in .env, line 1)",
        ".env, line 2 cannot be read",
        "MCP_MAX_ROWS is \"0\" (in .env, line 3)",
        "DATABASE_URL (in the environment)",
        "MCP_LOG_LEVL (in the environment)",
        "MCP_ACCESS_MODE is \"sudo\" (by its flag)",
    ] {
        assert_eq!(told.iter().filter(|problem| problem.contains(part)).count(), 1, "{part}: {told:#?}");
    }
    assert_eq!(told.len(), 8, "{told:#?}");
}

#[test]
fn a_problem_that_follows_from_another_one_is_not_reported() {
    // The size was meant to be 20, so the minimum is not wrong.
    let env = "POSTGRES_POOOL_SIZE=20\nPOSTGRES_POOL_MIN_SIZE=10\n";
    assert_eq!(problems(env, &Given { env, ..NOTHING }).len(), 1);
}
