//! The layers: imports go down only, and there are no circles.
//!
//! [`FLOORS`] is the architecture. A folder of `src` (a module of the crate with all modules in it) may only import
//! folders of lower floors. In each folder, the modules directly in it must not import each other in a circle; a module
//! and its children count as one. Code that is compiled only for tests is not checked.
//!
//! The imports are read from the sources: `use` declarations, and paths that begin with `crate`, `self` or `super`. A
//! name that a module has itself imported is followed to its origin.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use modules::{LIBRARY, Modules};
use source::{Token, tokens};

mod modules;
mod source;

/// The folders of `src`, by floor.
const FLOORS: &[(&str, usize)] = &[
    ("random", 0),
    ("tls", 0),
    ("units", 0),
    ("settings", 1),
    ("log", 2),
    ("caller", 3),
    ("progress", 3),
    ("postgres", 4),
    ("messages", 5),
    ("tools", 6),
    ("actors", 7),
    ("http", 8),
    ("mcp", 9),
    ("app", 10),
    ("cli", 11),
    ("main", 12),
];

/// The crates of the workspace, and which of them each may use.
const CRATES: &[(&str, &[&str])] =
    &[("pg-guard", &["pg_guard_sys"]), ("pg-guard-sys", &[]), ("pg-private", &[]), ("pg-render", &[])];

/// Allowed circles, which are natural recursion: (crate, modules).
const RECURSIONS: &[(&str, &[&str])] = &[
    // A type consists of types, so writing it is recursive.
    ("pg-render", &["anonymous", "nested", "rule"]),
];

/// Circles that still have to be removed. The list must stay empty.
const STILL_OPEN: &[&[&str]] = &[];

/// The sources in a folder, with their paths in it.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let name = entry.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
                sources.push((name, fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    sources
}

fn modules_in(folder: &Path) -> Modules {
    let sources = sources(folder);
    Modules::of(sources.iter().map(|(file, source)| (&**file, &**source)))
}

fn told(wrong: &BTreeSet<String>) -> String {
    wrong.iter().map(|line| format!("\n  {line}")).collect()
}

#[test]
fn imports_go_down_only_and_in_no_circle() {
    let modules = modules_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(modules.imports().count() > 500, "the sources are read");
    let mut wrong = modules.climbs(FLOORS);
    wrong.extend(modules.circles(STILL_OPEN));
    assert!(wrong.is_empty(), "{}", told(&wrong));
}

#[test]
fn crates_import_only_lower_crates_and_have_no_circle() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let ours: Vec<String> = CRATES.iter().map(|(name, _)| name.replace('-', "_")).collect();
    for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        let Some((_, may_use)) = CRATES.iter().find(|(known, _)| *known == name) else {
            panic!("crates/{name} is not in the table");
        };
        let sources = sources(&entry.path().join("src"));
        for (file, source) in &sources {
            let used = tokens(source).into_iter().find(|token| {
                let Token::Word(word) = token else { return false };
                let is_ours = word == LIBRARY || ours.contains(word);
                is_ours && *word != name.replace('-', "_") && !may_use.contains(&&**word)
            });
            assert_eq!(used, None, "crates/{name}/src/{file}");
        }
        let recursions: Vec<&[&str]> =
            RECURSIONS.iter().filter(|(of, _)| *of == name).map(|(_, modules)| *modules).collect();
        let circles = Modules::of(sources.iter().map(|(file, source)| (&**file, &**source))).circles(&recursions);
        assert!(circles.is_empty(), "crates/{name}:{}", told(&circles));
    }
}

/// The result of the check for invented sources, where `low` is on a lower floor than `high`.
fn wrong_with(sources: &[(&str, &str)]) -> Vec<String> {
    let modules = Modules::of(sources.iter().copied());
    let mut wrong = modules.climbs(&[("low", 0), ("beside", 0), ("high", 1)]);
    wrong.extend(modules.circles(&[]));
    wrong.into_iter().collect()
}

#[test]
fn an_upward_import_is_found_in_every_syntax() {
    let climbs = ["low (floor 0) imports high (floor 1)"];
    for source in [
        "use crate::high::Thing;",
        "pub use crate::{high, units};",
        "use crate::{other::A, high::{B, C as D}};",
        "use super::high::*;",
        "fn f() { crate::high::f(); }",
        "fn f() -> Option<crate::high::Thing> { None }",
        "fn f() { let quote = '\"'; crate::high::f(); }",
        "fn f<'a>(a: &'a str) { $crate::high::f(); }",
        "fn f() { r#\"a \" quote\"#; super::high::f(); }",
        "use mcp_server_postgres::high::Thing;",
    ] {
        assert_eq!(wrong_with(&[("low.rs", source), ("high.rs", "")]), climbs, "{source}");
    }
    let inner = wrong_with(&[("low.rs", "mod a;"), ("low/a.rs", "use super::super::high::b::B;"), ("high/b.rs", "")]);
    assert_eq!(inner, ["low::a (floor 0) imports high::b (floor 1)"]);
    let equal = wrong_with(&[("low.rs", "use crate::beside::B;"), ("beside.rs", "")]);
    assert_eq!(equal, ["low (floor 0) imports beside (floor 0)"]);
    assert_eq!(wrong_with(&[("attic.rs", "")]), ["attic has no floor"]);
}

#[test]
fn a_name_is_followed_to_its_origin() {
    let sources = [
        ("low.rs", "mod a; use crate::high::Thing;"),
        ("low/a.rs", "use super::Thing;"),
        ("high.rs", "mod b; pub use b::Thing;"),
        ("high/b.rs", ""),
    ];
    let wrong = ["low (floor 0) imports high::b (floor 1)", "low::a (floor 0) imports high::b (floor 1)"];
    assert_eq!(wrong_with(&sources), wrong);
}

#[test]
fn imports_downwards_and_inside_a_folder_are_allowed() {
    for source in [
        "use crate::low::Thing; use std::sync::Arc;",
        "// use crate::above::Thing;\n/* crate::above::f() /* */ */",
        "const A: &str = \"use crate::above::Thing;\";",
        "#[cfg(test)]\nuse crate::above::Thing;",
        "#[cfg(test)] mod tests { use crate::above::Thing; fn f() { { } } }",
        "use above::Thing;",
        "mod inner; use inner::Thing; use self::inner::Other;",
    ] {
        let sources =
            [("high.rs", source), ("high/inner.rs", "use super::Thing; use crate::high::Other;"), ("low.rs", "")];
        let modules =
            Modules::of(sources.into_iter().chain([("above.rs", ""), ("high/tests.rs", "use crate::above::A;")]));
        assert_eq!(modules.climbs(&[("low", 0), ("high", 1), ("above", 2)]), BTreeSet::new(), "{source}");
        assert_eq!(modules.circles(&[]), BTreeSet::new(), "{source}");
    }
}

#[test]
fn a_circle_is_found_in_the_folder_that_contains_it() {
    let pair = [("low.rs", ""), ("low/a.rs", "use super::b::B;"), ("low/b.rs", "use super::a::A;")];
    let circle = ["in src/low: a ⇄ b (low::a → low::b)", "in src/low: b ⇄ a (low::b → low::a)"];
    assert_eq!(wrong_with(&pair), circle);
    assert!(Modules::of(pair).circles(&[&["a", "b"]]).is_empty());
    let three = [
        ("low/a.rs", "use crate::low::b::inner::B;"),
        ("low/b.rs", "mod inner;"),
        ("low/b/inner.rs", "use super::super::c::C;"),
        ("low/c.rs", "use super::a::A;"),
    ];
    assert_eq!(wrong_with(&three).len(), 3);
    // By a name that their parent has imported from one of them.
    let by_parent =
        [("low.rs", "mod a; mod b; pub use b::B;"), ("low/a.rs", "use super::B;"), ("low/b.rs", "use super::a::A;")];
    assert_eq!(wrong_with(&by_parent), circle);
}
