//! What is written in two places is the same in both.

use std::fs;
use std::path::{Path, PathBuf};

use mcp_server_postgres::settings::{self, Inputs, KEYS, Key, Kind};
use mcp_server_postgres::tools::TOOLS;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compare a file with what it should be; write it instead where that is asked for.
fn is_up_to_date(name: &str, expected: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(path(name), expected).unwrap();
    }
    assert!(read(name) == expected, "{name} is not what the code says: run this with UPDATE_SNAPSHOTS=1");
}

/// What a value may be, where its default does not show it.
fn range(key: &Key) -> String {
    match key.kind {
        Kind::Whole(..) | Kind::Seconds(..) | Kind::Milliseconds(..) | Kind::Choice(_) | Kind::Switch => {
            format!("; {}", key.kind.right())
        }
        _ => String::new(),
    }
}

#[test]
fn the_readme_has_every_setting_with_its_default() {
    let mut table = "| setting | default | what it is |\n|---|---|---|\n".to_owned();
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        table.push_str(&format!("| `{}` | {default} | {}{} |\n", key.name, key.what, range(key)));
    }
    let readme = read("README.md");
    let (before, rest) = readme.split_once("<!-- settings: ").unwrap();
    let (comment, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /settings -->").unwrap();
    is_up_to_date("README.md", &format!("{before}<!-- settings: {comment}-->\n{table}<!-- /settings -->{after}"));
}

#[test]
fn the_example_env_file_has_every_setting_once_and_loads_as_the_defaults() {
    let mut example = "# Every setting, with its default. What is commented out has none.\n".to_owned();
    for key in KEYS {
        let sign = if key.default.is_empty() { "#" } else { "" };
        example.push_str(&format!("\n# {}{}\n{sign}{}={}\n", key.what, range(key), key.name, key.default));
    }
    is_up_to_date(".env.example", &example);

    let folder = path("");
    let loaded = settings::load(&Inputs { env_file: Some(path(".env.example")), ..Inputs::default() }).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let defaults = settings::load(&Inputs { folder: folder.join("src"), ..Inputs::default() }).unwrap();
    assert_eq!(loaded.settings, defaults.settings);
}

#[test]
fn the_readme_names_every_tool() {
    let readme = read("README.md");
    for tool in TOOLS {
        assert!(readme.contains(&format!("| `{}` |", tool.name)), "{}", tool.name);
    }
}

#[test]
fn every_handler_has_its_row_in_actors_md() {
    let map = read("actors.md");
    let mut handlers = 0;
    let entries = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries(path("src/actors")).partition(|entry| entry.is_dir());
    files.extend(folders.into_iter().flat_map(entries));
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let Some(rest) = line.strip_prefix("impl Handler<") else { continue };
            let (message, actor) = rest.trim_end_matches(" {").split_once("> for ").unwrap();
            let row = |line: &&str| line.starts_with(&format!("| `{message}`")) && line.contains(actor);
            assert!(map.lines().any(|line| row(&line)), "no row of {message} to {actor}");
            handlers += 1;
        }
    }
    assert!(handlers >= 15, "the search finds nothing any more: {handlers}");
}

#[test]
fn the_map_in_lib_rs_names_every_module() {
    let map = read("src/lib.rs");
    for line in map.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = line.trim_end_matches(';');
        let named = map.lines().any(|line| line.starts_with("//!") && line.contains(&format!("[`{module}")));
        assert!(named, "{module}");
    }
}
