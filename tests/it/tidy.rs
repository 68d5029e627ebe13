//! Tidy checks: what is written in two places is equal, and files follow the rules of the house.

use std::fs;
use std::path::{Path, PathBuf};

use mcp_server_postgres::settings::{self, Inputs, KEYS, Key, Kind};
use mcp_server_postgres::tools::TOOLS;
use pg_guard::Rule;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares a file with its expected text. With UPDATE_SNAPSHOTS=1 it writes the file instead.
fn is_up_to_date(name: &str, expected: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(path(name), expected).unwrap();
    }
    assert!(read(name) == expected, "{name} is not what the code says: run this with UPDATE_SNAPSHOTS=1");
}

/// The allowed values, if the default does not show them.
fn range(key: &Key) -> String {
    match key.kind {
        Kind::Whole(..) | Kind::Seconds(..) | Kind::Milliseconds(..) | Kind::Choice(_) | Kind::Switch => {
            format!("; {}", key.kind.requirement())
        }
        _ => String::new(),
    }
}

#[test]
fn the_page_of_settings_has_every_setting_with_its_default() {
    let mut table = "| setting | default | what it is |\n|---|---|---|\n".to_owned();
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        table.push_str(&format!("| `{}` | {default} | {}{} |\n", key.name, key.what, range(key)));
    }
    let name = "docs/configuration.md";
    let page = read(name);
    let (before, rest) = page.split_once("<!-- settings: ").unwrap();
    let (comment, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /settings -->").unwrap();
    is_up_to_date(name, &format!("{before}<!-- settings: {comment}-->\n{table}<!-- /settings -->{after}"));
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
    let mut defaults = settings::load(&Inputs { folder: folder.join("src"), ..Inputs::default() }).unwrap();
    // What is written there is somebody's choice, though it is the default.
    assert!(
        defaults.settings.postgres.target.advice.take().is_some() && loaded.settings.postgres.target.advice.is_none()
    );
    assert_eq!(loaded.settings, defaults.settings);
}

#[test]
fn the_readme_and_the_page_of_tools_name_every_tool() {
    let (readme, page) = (read("README.md"), read("docs/tools.md"));
    for tool in TOOLS {
        assert!(page.contains(&format!("| `{}` |", tool.name)), "{}", tool.name);
        assert!(readme.contains(&format!("\n```\n{} {{", tool.name)), "no answer of {} in README.md", tool.name);
    }
}

#[test]
fn the_page_of_errors_names_every_rule_of_the_guard() {
    let page = read("docs/errors.md");
    for rule in Rule::ALL {
        assert!(page.contains(&format!("\n| `{rule}` | ")), "{rule}");
    }
}

/// The files in a folder whose names end in this way, with their paths from the top folder.
fn files(folder: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path(folder)).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&name, end));
        } else if name.ends_with(end) {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// The documents.
fn documents() -> Vec<String> {
    let mut documents: Vec<String> = ["README.md", "actors.md", "CHANGELOG.md"].map(str::to_owned).into();
    documents.extend(files("docs", ".md"));
    documents.extend(files("crates", ".md"));
    documents
}

#[test]
fn the_readme_and_actors_md_are_short() {
    for name in ["README.md", "actors.md"] {
        let lines = read(name).lines().count();
        assert!(lines <= 150, "{name} has {lines} lines");
    }
}

/// The lines of a document without code blocks and without text in backticks.
fn prose(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line.split('`').step_by(2).collect());
        }
    }
    lines
}

/// The targets of the links in a document.
fn links(text: &str) -> Vec<String> {
    let targets = |line: String| -> Vec<String> {
        let ends = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        ends.map(|(target, _)| target.to_owned()).collect()
    };
    prose(text).into_iter().flat_map(targets).collect()
}

/// The name of a heading in links: lower case letters, digits, `-` and `_`; spaces become `-`.
fn anchors(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let Some((_, heading)) = line.split_once("# ").filter(|(signs, _)| !is_code && signs.chars().all(|c| c == '#'))
        else {
            continue;
        };
        let small = heading.to_lowercase().replace(' ', "-");
        anchors.push(small.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect());
    }
    anchors
}

#[test]
fn every_link_of_a_document_leads_to_an_existing_file_and_heading() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let folder = Path::new(&document).parent().unwrap();
        for link in links(&read(&document)) {
            if link.contains("://") {
                continue;
            }
            checked += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { PathBuf::from(&document) } else { folder.join(file) };
            let target = path(target.to_str().unwrap());
            let has_anchor = || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|name| name == anchor);
            if !target.exists() || (!anchor.is_empty() && !has_anchor()) {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(checked >= 60, "the search finds nothing any more: {checked}");
}

#[test]
fn the_lines_of_a_framework_are_those_of_a_program_that_make_clients_runs() {
    let page = read("docs/frameworks.md");
    let mut blocks = 0;
    for part in page.split("<!-- tests/clients/").skip(1) {
        let (name, rest) = part.split_once(" -->\n```").unwrap();
        let program = read(&format!("tests/clients/{name}"));
        let mut lines = program.lines().map(str::trim);
        for line in rest.split("```").next().unwrap().lines().skip(1).map(str::trim).filter(|line| !line.is_empty()) {
            assert!(lines.any(|of_program| of_program == line), "{name} has no such line, or not there: {line}");
        }
        blocks += 1;
    }
    assert_eq!(blocks, page.matches("\n```").count() / 2, "a block says from which program it is");
}

#[test]
fn the_readme_leads_to_every_page_and_the_list_of_decisions_to_every_decision() {
    for (from, folder) in [("README.md", "docs"), ("docs/decisions/README.md", "docs/decisions")] {
        let links = links(&read(from));
        let above = Path::new(from).parent().unwrap();
        for page in files(folder, ".md") {
            let is_of_the_folder = Path::new(&page).parent() == Some(Path::new(folder));
            let is_linked = || links.iter().any(|link| above.join(link) == Path::new(&page));
            assert!(!is_of_the_folder || page == from || is_linked(), "{from} does not lead to {page}");
        }
    }
}

/// All source files.
fn sources() -> Vec<String> {
    [files("src", ".rs"), files("crates", ".rs")].concat().into_iter().map(|name| read(&name)).collect()
}

#[test]
fn every_type_of_the_glossary_is_in_the_source() {
    let sources = sources();
    let glossary = read("docs/glossary.md");
    let rows: Vec<&str> = glossary.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!((20..=30).contains(&rows.len()), "some twenty words, not {}", rows.len());
    for row in rows {
        let (_, types) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let types: Vec<&str> = types.split('`').skip(1).step_by(2).collect();
        assert!(!types.is_empty(), "no type: {row}");
        for name in types {
            let is_made = |line: &str| {
                let line = line.trim_start();
                ["struct ", "enum ", "trait ", "type "].iter().any(|kind| {
                    let public = line
                        .strip_prefix("pub")
                        .map(|rest| rest.trim_start_matches("(super)").trim_start_matches("(crate)"));
                    let rest = public
                        .map_or(line, str::trim_start)
                        .strip_prefix(kind)
                        .and_then(|rest| rest.strip_prefix(name));
                    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
                })
            };
            assert!(sources.iter().any(|text| text.lines().any(is_made)), "there is no type {name}");
        }
    }
}

#[test]
fn every_path_in_the_code_maps_exists() {
    for map in ["actors.md", "docs/architecture.md"] {
        let text = read(map);
        let named = text.split('`').skip(1).step_by(2);
        let tops = ["src/", "crates/", "tests/", "benches/", "docs/", "packaging/", "scripts/"];
        for name in named.filter(|name| tops.iter().any(|top| name.starts_with(top))) {
            assert!(path(name).exists(), "{map}: {name}");
        }
    }
}

#[test]
fn every_handler_has_its_row_in_actors_md() {
    let map = read("actors.md");
    let mut handlers = 0;
    let (mut folders, mut files) = (vec![path("src/actors")], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (inner, sources): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.is_dir());
        folders.extend(inner);
        files.extend(sources);
    }
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

/// The files of hosts that the documents show are files that these can read.
#[test]
fn every_file_of_a_host_that_is_shown_has_the_syntax_of_its_kind() {
    let page = read("docs/hosts.md");
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("json\n"));
    let mut count = 0;
    for text in blocks {
        let file: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"));
        assert!(file.to_string().contains("\"postgres\":{"), "{text}");
        count += 1;
    }
    assert_eq!(count, 11);
}
