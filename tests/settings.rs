//! Where settings come from, which of them holds, and what is said of one that cannot.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

use std::fs;
use std::process::Command;

use mcp_server_postgres::settings::{self, AccessMode, Inputs, KEYS, Kind, Loaded, Settings, SettingsError, SslMode};
use tempfile::TempDir;

/// The layers that a test sets, in a folder of its own.
#[derive(Default)]
struct Layers<'a> {
    toml: Option<&'a str>,
    env: Option<&'a str>,
    environment: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
}

impl Layers<'_> {
    fn load(&self) -> (TempDir, Result<Loaded, SettingsError>) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(toml) = self.toml {
            fs::write(folder.path().join("settings.toml"), toml).unwrap();
        }
        if let Some(env) = self.env {
            fs::write(folder.path().join(".env"), env).unwrap();
        }
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let loaded = settings::load(&Inputs {
            config_file: self.toml.map(|_| folder.path().join("settings.toml")),
            env_file: None,
            environment: owned(self.environment),
            flags: owned(self.flags),
            folder: folder.path().to_owned(),
        });
        (folder, loaded)
    }

    fn loaded(&self) -> Loaded {
        self.load().1.unwrap_or_else(|error| panic!("{error}"))
    }

    fn problem(&self) -> String {
        self.load().1.unwrap_err().to_string()
    }
}

fn env(text: &str) -> Loaded {
    Layers { env: Some(text), ..Layers::default() }.loaded()
}

/// The value of a key, as `check-config` shows it, and where it came from.
fn effective(loaded: &Loaded, key: &str) -> (String, String) {
    let found = loaded.origins.iter().find(|origin| origin.key == key).unwrap();
    (found.value.clone(), found.source.clone())
}

#[test]
fn of_several_layers_the_higher_one_holds() {
    let toml = Some("[mcp]\nmax_rows = 2\n");
    let env = Some("MCP_MAX_ROWS=3");
    let environment = &[("MCP_MAX_ROWS", "4")][..];
    let flags = &[("MCP_MAX_ROWS", "5")][..];
    let none = Layers::default;
    for (layers, rows, source) in [
        (none(), 1000, "default"),
        (Layers { toml, ..none() }, 2, "settings.toml"),
        (Layers { toml, env, ..none() }, 3, "line 1"),
        (Layers { toml, env, environment, ..none() }, 4, "environment"),
        (Layers { toml, env, environment, flags }, 5, "flag"),
        (Layers { toml, flags, ..none() }, 5, "flag"),
    ] {
        let loaded = layers.loaded();
        assert_eq!(loaded.settings.limits.rows_max, rows);
        let (value, said) = effective(&loaded, "MCP_MAX_ROWS");
        assert!(value == rows.to_string() && said.contains(source), "{rows}: {value} {said}");
    }
}

#[test]
fn a_file_that_sets_what_the_environment_or_a_flag_sets_is_told_that_it_has_no_effect() {
    for (environment, flags) in [(&[("MCP_MAX_ROWS", "4")][..], &[][..]), (&[], &[("MCP_MAX_ROWS", "4")])] {
        let layers = Layers { env: Some("# rows\nMCP_MAX_ROWS=3"), environment, flags, ..Layers::default() };
        let warnings = layers.loaded().warnings.concat();
        assert!(warnings.contains("MCP_MAX_ROWS") && warnings.contains("line 2"), "{warnings}");
        assert!(warnings.contains("has no effect"), "{warnings}");
    }
}

#[test]
fn every_key_can_be_set_in_every_layer_and_a_secret_not_by_a_flag() {
    for key in KEYS.iter().filter(|key| key.name != "DATABASE_URL") {
        let value = match key.kind {
            Kind::Whole(min, _) | Kind::Milliseconds(min, _) => (min + 1).to_string(),
            Kind::Seconds(min, _) => (min + 1.0).to_string(),
            Kind::Choice(words) => words[words.len() - 1].to_owned(),
            Kind::Switch => "true".to_owned(),
            Kind::Ports => "5433".to_owned(),
            // A file that is not read at once.
            Kind::Path if key.name == "POSTGRES_PASSWORD_FILE" => continue,
            Kind::Path | Kind::Text | Kind::Secret => "anything".to_owned(),
        };
        let (table, name) = key.name.split_once('_').unwrap();
        let toml = format!("[{}]\n{} = \"{value}\"\n", table.to_lowercase(), name.to_lowercase());
        let line = format!("{}={value}", key.name);
        let pair = [(key.name, value.as_str())];
        let none = Layers::default;
        let mut layers = vec![
            Layers { toml: Some(&toml), ..none() },
            Layers { env: Some(&line), ..none() },
            Layers { environment: &pair, ..none() },
        ];
        let is_flag = settings::flags().iter().any(|flag| flag.get_id() == key.name);
        assert_eq!(is_flag, key.kind != Kind::Secret, "{}", key.name);
        if is_flag {
            layers.push(Layers { flags: &pair, ..none() });
        }
        for layers in layers {
            let (_, source) = effective(&layers.loaded(), key.name);
            assert!(!source.contains("default"), "{}: {source}", key.name);
        }
    }
}

#[test]
fn a_text_in_env_is_taken_as_it_stands() {
    for (line, password) in [
        ("POSTGRES_PASSWORD=007", "007"),
        ("POSTGRES_PASSWORD=true", "true"),
        ("POSTGRES_PASSWORD=1e3", "1e3"),
        ("POSTGRES_PASSWORD=pa$HOME$$", "pa$HOME$$"),
        ("POSTGRES_PASSWORD='a b # c'", "a b # c"),
        ("POSTGRES_PASSWORD=\"a\\\"b\"", "a\"b"),
        ("export POSTGRES_PASSWORD=swordfish", "swordfish"),
        ("POSTGRES_PASSWORD=pässwörd", "pässwörd"),
    ] {
        let loaded = env(line);
        assert_eq!(loaded.settings.postgres.password.as_ref().unwrap().expose(), password, "{line}");
        assert!(!format!("{:?}", loaded.settings).contains(password), "{line}");
    }
    // What a host or a compose file passes where it has no value.
    let loaded = env("POSTGRES_HOST=\nMCP_MAX_ROWS=\nPOSTGRES_PASSWORD=");
    assert_eq!(loaded.settings, Layers::default().loaded().settings);
}

#[test]
fn a_database_url_stands_for_several_keys() {
    let shown = |settings: &Settings| {
        let postgres = &settings.postgres;
        let password = postgres.password.as_ref().map_or("-", |secret| secret.expose());
        let ports: Vec<String> = postgres.ports.iter().map(u16::to_string).collect();
        format!(
            "{}:{password}@{}:{}/{} {:?}",
            postgres.user,
            postgres.hosts.join(","),
            ports.join(","),
            postgres.database,
            postgres.ssl_mode
        )
    };
    for (url, expected) in [
        ("postgres://u:p@h:5433/d?sslmode=require", "u:p@h:5433/d Require"),
        ("postgresql://u@h", "u:-@h:5432/u Prefer"),
        ("postgres://u%40x:p%2Fw%3A%25@h/d%20b", "u@x:p/w:%@h:5432/d b Prefer"),
        ("postgres://u@h1:1,h2:2/d", "u:-@h1,h2:1,2/d Prefer"),
        ("postgres://u@[::1]:5433/d", "u:-@::1:5433/d Prefer"),
        ("postgres:///d?host=/run/postgresql&user=u", "u:-@/run/postgresql:5432/d Prefer"),
    ] {
        assert_eq!(shown(&env(&format!("DATABASE_URL={url}")).settings), expected, "{url}");
    }
    // It stands above the other keys of its layer, and below those of a higher one.
    let loaded = env("POSTGRES_HOST=other\nDATABASE_URL=postgres://u@h/d");
    assert_eq!(loaded.settings.postgres.hosts, ["h"]);
    assert!(loaded.warnings.concat().contains("POSTGRES_HOST"), "{:?}", loaded.warnings);
    let environment = &[("POSTGRES_HOST", "other")];
    let layers = Layers { env: Some("DATABASE_URL=postgres://u@h/d"), environment, ..Layers::default() };
    assert_eq!(layers.loaded().settings.postgres.hosts, ["other"]);
}

#[test]
fn a_broken_database_url_is_told_without_its_password() {
    for url in [
        "postgres:/u:hunter2@h/d",
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2@h:port/d",
        "postgres://u:hunter2@h:70000/d",
        "postgres://u:hunter2@h/d?sslmode=yes",
        "postgres://u:hunter2@h/d?colour=red",
        "postgres://u:hunter2%ZZ@h/d",
        "postgres://u:hunter2%",
        "postgres://u:p?hunter2=x@h/d",
    ] {
        let line = format!("DATABASE_URL={url}");
        let problem = Layers { env: Some(&line), ..Layers::default() }.problem();
        assert!(problem.contains("DATABASE_URL") && problem.contains("line 1"), "{url}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn libpqs_variables_hold_where_nothing_else_is_said() {
    let environment =
        &[("PGHOST", "h"), ("PGPORT", "5433"), ("PGUSER", "u"), ("PGPASSWORD", "p"), ("PGSSLMODE", "require")];
    let loaded = Layers { environment, ..Layers::default() }.loaded();
    let postgres = &loaded.settings.postgres;
    assert_eq!((&postgres.hosts[0], postgres.ports[0], &postgres.user), (&"h".to_owned(), 5433, &"u".to_owned()));
    assert_eq!(postgres.ssl_mode, SslMode::Require);
    let layers = Layers { environment, toml: Some("[postgres]\nhost = \"ours\"\n"), ..Layers::default() };
    assert_eq!(layers.loaded().settings.postgres.hosts, ["ours"]);
}

#[test]
fn a_value_that_cannot_be_is_named_with_its_place_and_what_would_be_right() {
    for (line, parts) in [
        ("POSTGRES_POOL_SIZE=0", &["POSTGRES_POOL_SIZE", "line 1", "a whole number from 1 to 500"][..]),
        ("POSTGRES_POOL_SIZE=five", &["POSTGRES_POOL_SIZE", "five", "a whole number"]),
        ("POSTGRES_POOL_SIZE=-1", &["POSTGRES_POOL_SIZE", "-1"]),
        ("POSTGRES_POOL_SIZE=99999999999999999999", &["POSTGRES_POOL_SIZE"]),
        ("POSTGRES_POOL_SIZE=2\nPOSTGRES_POOL_MIN_SIZE=3", &["POSTGRES_POOL_MIN_SIZE", "POSTGRES_POOL_SIZE"]),
        ("POSTGRES_PORT=70000", &["POSTGRES_PORT", "1 to 65535"]),
        ("POSTGRES_CONNECT_TIMEOUT=soon", &["POSTGRES_CONNECT_TIMEOUT", "seconds from 0.1"]),
        ("POSTGRES_CONNECT_TIMEOUT=NaN", &["POSTGRES_CONNECT_TIMEOUT"]),
        ("POSTGRES_SSL_MODE=on", &["POSTGRES_SSL_MODE", "verify-full"]),
        ("MCP_ACCESS_MODE=write", &["MCP_ACCESS_MODE", "read-only, read-write"]),
        ("MCP_LOG_LEVEL=loud", &["MCP_LOG_LEVEL", "debug"]),
        ("MCP_LOG_PARAMETERS=perhaps", &["MCP_LOG_PARAMETERS", "true or false"]),
        ("POSTGRES_POOOL_SIZE=3", &["POSTGRES_POOOL_SIZE", "line 1", "did you mean POSTGRES_POOL_SIZE"]),
        ("\n\nMCP_ACESS_MODE=read-only", &["MCP_ACESS_MODE", "line 3", "MCP_ACCESS_MODE"]),
        ("POSTGRES_HOST=h\nthis is no line", &[".env", "line 2"]),
        ("POSTGRES_PASSWORD_FILE=missing", &["POSTGRES_PASSWORD_FILE", "missing"]),
    ] {
        let problem = Layers { env: Some(line), ..Layers::default() }.problem();
        for part in parts {
            assert!(problem.contains(part), "{line}: {part}: {problem}");
        }
    }
    for (toml, part) in [
        ("[postgres]\npool_sise = 3\n", "pool_sise"),
        ("[postgress]\npool_size = 3\n", "postgress"),
        ("pool_size = 3\n", "pool_size"),
        ("[postgres\n", "settings.toml"),
        ("[postgres]\npassword = \"hunter2\n", "settings.toml"),
    ] {
        let problem = Layers { toml: Some(toml), ..Layers::default() }.problem();
        assert!(problem.contains(part) && !problem.contains("hunter2"), "{toml}: {problem}");
    }
    let environment = &[("POSTGRES_POOOL_SIZE", "3")];
    let problem = Layers { environment, ..Layers::default() }.problem();
    assert!(problem.contains("environment") && problem.contains("POSTGRES_POOL_SIZE"), "{problem}");
}

#[test]
fn every_problem_is_told_at_once() {
    let problem = Layers {
        toml: Some("[mcp]\nmax_rowz = 1\n"),
        env: Some("POSTGRES_POOL_SIZE=none\nPOSTGRES_PROT=1\n"),
        environment: &[("MCP_MAX_BYTES", "few")],
        ..Layers::default()
    }
    .problem();
    for part in ["4 settings", "max_rowz", "POSTGRES_POOL_SIZE", "POSTGRES_PROT", "MCP_MAX_BYTES"] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
}

#[test]
fn a_key_that_may_be_another_programs_is_only_warned_of() {
    let loaded = env("POSTGRES_INITDB_ARGS=x\nMCP_TRANSPORT=y\nOTHER=z");
    let warnings = loaded.warnings.join("\n");
    assert!(warnings.contains("POSTGRES_INITDB_ARGS") && warnings.contains("MCP_TRANSPORT"), "{warnings}");
    assert!(!warnings.contains("OTHER"), "{warnings}");
}

#[test]
fn a_password_file_is_read_without_its_last_newline_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    for (text, password) in
        [("secret\n", "secret"), ("secret\r\n", "secret"), (" se cret ", " se cret "), ("a\nb\n", "a\nb")]
    {
        fs::write(&file, text).unwrap();
        let loaded = env(&format!("POSTGRES_PASSWORD_FILE={}", file.display()));
        assert_eq!(loaded.settings.postgres.password.as_ref().unwrap().expose(), password, "{text:?}");
        assert!(loaded.files.iter().any(|followed| followed.path == file));
        assert!(!format!("{loaded:?}").contains("secret"));
    }
}

#[test]
fn the_files_followed_are_those_that_the_settings_may_come_from() {
    let (folder, loaded) = Layers { toml: Some(""), ..Layers::default() }.load();
    let followed: Vec<_> = loaded.unwrap().files.into_iter().map(|file| (file.path, file.text.is_some())).collect();
    // No `.env` is there, but one may come.
    assert_eq!(followed, [(folder.path().join("settings.toml"), true), (folder.path().join(".env"), false)]);
}

#[test]
fn check_config_shows_each_setting_with_its_source_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "DATABASE_URL=postgres://u:hunter2@h/d\nMCP_ACCESS_MODE=read-write\n")
        .unwrap();
    let run = |arguments: &[&str], variable: (&str, &str)| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"));
        command.arg("check-config").args(arguments).current_dir(folder.path()).env_clear().env(variable.0, variable.1);
        let output = command.output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), out, err)
    };
    let (status, shown, _) = run(&["--pool-min-size", "0", "--postgres-pool-min-size", "0"], ("MCP_MAX_ROWS", "7"));
    assert_ne!((status, shown.is_empty()), (Some(0), false), "there is no such flag");
    let (status, shown, said) = run(&["--postgres-pool-min-size", "0"], ("MCP_MAX_ROWS", "7"));
    assert_eq!((status, said.as_str()), (Some(0), ""), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    for (key, value, source) in [
        ("POSTGRES_USER", "u", "DATABASE_URL"),
        ("POSTGRES_PASSWORD", "********", "DATABASE_URL"),
        ("MCP_ACCESS_MODE", "read-write", "line 2"),
        ("MCP_MAX_ROWS", "7", "environment"),
        ("POSTGRES_POOL_MIN_SIZE", "0", "flag"),
        ("POSTGRES_PORT", "5432", "DATABASE_URL"),
        ("MCP_LOG_LEVEL", "info", "default"),
    ] {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap();
        assert!(line.contains(value) && line.contains(source), "{key}: {line}");
    }
    let (status, shown, said) = run(&[], ("MCP_MAX_ROWS", "many"));
    assert_eq!((status, shown.as_str()), (Some(78), ""));
    assert!(said.contains("MCP_MAX_ROWS") && said.contains("environment"), "{said}");
}

#[test]
fn the_mode_is_read_only_unless_somebody_says_otherwise() {
    assert_eq!(Layers::default().loaded().settings.access, AccessMode::ReadOnly);
    assert_eq!(env("MCP_ACCESS_MODE=READ-WRITE").settings.access, AccessMode::ReadWrite);
}
