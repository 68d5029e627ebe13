//! The files that are watched, and the settings that a changed file cannot change.

use mcp_server_postgres::settings;

use crate::settings::{Given, NOTHING, Place};

#[test]
fn the_files_that_settings_can_come_from_are_watched_even_if_they_do_not_exist() {
    for (what, given, expected) in [
        ("nothing", NOTHING, &[(".env", None)][..]),
        ("a .env file", Given { env: "MCP_MAX_ROWS=7\n", ..NOTHING }, &[(".env", Some("MCP_MAX_ROWS=7\n"))]),
        (
            "a TOML file",
            Given { toml: "[mcp]\nmax_rows = 7\n", ..NOTHING },
            &[("config.toml", Some("[mcp]\nmax_rows = 7\n")), (".env", None)],
        ),
        (
            "a password file",
            Given { environment: &[("POSTGRES_PASSWORD_FILE", "p")], files: &[("p", "s3cret\n")], ..NOTHING },
            &[(".env", None), ("p", Some("s3cret\n"))],
        ),
        (
            "a password file without effect, and files that nothing is read from",
            Given {
                env: "POSTGRES_PASSWORD_FILE=p\n",
                environment: &[("POSTGRES_PASSWORD", "q"), ("MCP_LOG_FILE", "p")],
                files: &[("p", "s3cret\n")],
                ..NOTHING
            },
            &[(".env", Some("POSTGRES_PASSWORD_FILE=p\n"))],
        ),
    ] {
        let place = Place::of(&given);
        let loaded = settings::load(&place.inputs(&given)).unwrap();
        let files: Vec<_> = loaded.files.iter().map(|file| (file.path.clone(), file.text.as_deref())).collect();
        let expected: Vec<_> = expected.iter().map(|(name, text)| (place.path().join(name), *text)).collect();
        assert_eq!(files, expected, "{what}");
        assert!(!format!("{:?}", loaded.files).contains("s3cret"), "{what}: a file's text is not for a log");
    }
}

#[test]
fn a_reload_warns_of_changes_that_a_flag_or_the_environment_overrides() {
    for (what, given, file, text, warning) in [
        (
            "a flag over .env",
            Given { env: "#\n", flags: &[("MCP_ACCESS_MODE", "read-only")], ..NOTHING },
            ".env",
            "# now\nMCP_ACCESS_MODE=read-write\n",
            "MCP_ACCESS_MODE in .env, line 2 has no effect: it is set by its flag",
        ),
        (
            "the environment over .env",
            Given { env: "#\n", environment: &[("POSTGRES_HOST", "a")], ..NOTHING },
            ".env",
            "POSTGRES_HOST=b\n",
            "POSTGRES_HOST in .env, line 1 has no effect: it is set in the environment",
        ),
        (
            "the environment over TOML",
            Given { toml: "[mcp]\n", environment: &[("MCP_MAX_ROWS", "7")], ..NOTHING },
            "config.toml",
            "[mcp]\nmax_rows = 8\n",
            "MCP_MAX_ROWS in config.toml as [mcp] max_rows has no effect: it is set in the environment",
        ),
        (
            "the environment over a URL in .env",
            Given { env: "#\n", environment: &[("POSTGRES_DB", "a")], ..NOTHING },
            ".env",
            "DATABASE_URL=postgres:///b\n",
            "POSTGRES_DB by DATABASE_URL in .env, line 1 has no effect: it is set in the environment",
        ),
    ] {
        let place = Place::of(&given);
        let inputs = place.inputs(&given);
        let before = settings::load(&inputs).unwrap();
        assert_eq!(before.warnings, Vec::<String>::new(), "{what}");
        place.write(file, text);
        let after = settings::load(&inputs).unwrap();
        assert_eq!(after.settings, before.settings, "{what}");
        let warnings: Vec<String> = after.warnings.iter().map(|warning| place.plain(warning)).collect();
        assert_eq!(warnings, [warning], "{what}");
    }
}

#[test]
fn a_file_that_overrides_another_file_causes_no_warning() {
    let given = Given { toml: "[mcp]\nmax_rows = 7\n", env: "MCP_MAX_ROWS=8\n", ..NOTHING };
    let loaded = crate::settings::loaded("both", &given);
    assert_eq!((loaded.settings.limits.rows_max, loaded.warnings), (8, Vec::new()));
}

#[test]
fn a_reload_applies_the_current_files() {
    let given = Given { env: "POSTGRES_PASSWORD_FILE=p\nMCP_MAX_ROWS=7\n", files: &[("p", "old\n")], ..NOTHING };
    let place = Place::of(&given);
    let inputs = place.inputs(&given);
    let before = settings::load(&inputs).unwrap();
    assert_eq!(settings::load(&inputs).unwrap().settings, before.settings, "the same files are the same settings");

    place.write("p", "new\n");
    let after = settings::load(&inputs).unwrap();
    assert_eq!(crate::settings::password(&after), Some("new"));
    assert_ne!(after.files, before.files, "a change is seen in the text");

    place.write(".env", "");
    let without = settings::load(&inputs).unwrap();
    assert_eq!((without.settings.limits.rows_max, crate::settings::password(&without)), (1000, None));
}
