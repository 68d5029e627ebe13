//! The layers: imports go down only, and there are no circles.
//!
//! [`FLOORS`] is the architecture. A folder of `src` (a module of the crate, with all that is below it) imports folders of
//! lower floors only. Besides, in every folder the modules directly in it do not import each other in a circle; a module
//! and its own children count as one. What is only compiled for tests is not looked at.
//!
//! Read from the sources: `use` declarations, and paths that begin with `crate`, `self` or `super`. A name that a module
//! has imported itself is followed to where it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The folders of `src`, and on which floor each stands.
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

/// The crates, and which of ours each may use.
const CRATES: &[(&str, &[&str])] =
    &[("pg-guard", &["pg_guard_sys"]), ("pg-guard-sys", &[]), ("pg-private", &[]), ("pg-render", &[])];

/// Circles that are the nature of the matter: (crate, modules).
const RECURSIONS: &[(&str, &[&str])] = &[
    // A type is made of types, and so is how it is written.
    ("pg-render", &["anonymous", "nested", "rule"]),
];

/// Circles that are still to be opened; there is to be none.
const STILL_OPEN: &[&[&str]] = &[];

/// The name by which the program's own file uses the library.
const LIBRARY: &str = "mcp_server_postgres";

type ModulePath = Vec<String>;

/// The modules of a crate, by their paths; the root's is empty.
#[derive(Default)]
struct Modules(BTreeMap<ModulePath, Module>);

#[derive(Default)]
struct Module {
    /// Paths that the source has, from the crate's root.
    paths: Vec<ModulePath>,
    /// Names that it has imported, and from where.
    names: BTreeMap<String, ModulePath>,
}

impl Modules {
    /// From sources, each with its file's path in `src`.
    fn of<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut modules = Self::default();
        let mut sources: Vec<(ModulePath, Vec<Token>)> = sources
            .into_iter()
            .map(|(file, source)| (module_path(file), without_tests(tokens(source))))
            .filter(|(path, _)| !path.iter().any(|part| part == "tests"))
            .collect();
        for (path, _) in &sources {
            for depth in 0..=path.len() {
                modules.0.entry(path[..depth].to_vec()).or_default();
            }
        }
        for (path, tokens) in &mut sources {
            let module = modules.read(path, tokens);
            modules.0.insert(path.clone(), module);
        }
        modules
    }

    fn read(&self, path: &ModulePath, tokens: &[Token]) -> Module {
        let mut module = Module::default();
        let mut at = 0;
        while at < tokens.len() {
            let follows_path = at > 0 && tokens[at - 1] == Token::Colons;
            match &tokens[at] {
                Token::Word(word) if word == "use" => {
                    let mut imported = Vec::new();
                    at = use_tree(tokens, at + 1, &[], &mut imported);
                    for (name, segments) in imported {
                        if let Some(target) = self.absolute(path, &segments) {
                            module.names.insert(name, target.clone());
                            module.paths.push(target);
                        }
                    }
                }
                Token::Word(word) if is_start(word) && !follows_path && tokens.get(at + 1) == Some(&Token::Colons) => {
                    let mut segments = vec![word.clone()];
                    at += 1;
                    while let (Some(Token::Colons), Some(Token::Word(next))) = (tokens.get(at), tokens.get(at + 1)) {
                        segments.push(next.clone());
                        at += 2;
                    }
                    module.paths.extend(self.absolute(path, &segments));
                }
                _ => at += 1,
            }
        }
        module
    }

    /// A path as it is written in a module, from the crate's root; none if it leads to another crate.
    fn absolute(&self, module: &ModulePath, segments: &[String]) -> Option<ModulePath> {
        let (first, rest) = segments.split_first()?;
        let mut from = match first.as_str() {
            "crate" | LIBRARY => Vec::new(),
            "self" | "super" => module.clone(),
            child => {
                let is_child = self.0.contains_key(&[&module[..], &[child.to_owned()]].concat());
                if !is_child {
                    return None;
                }
                return Some([&module[..], segments].concat());
            }
        };
        if first == "super" {
            from.pop();
        }
        for segment in rest {
            match segment.as_str() {
                "super" => drop(from.pop()),
                "self" => {}
                segment => from.push(segment.to_owned()),
            }
        }
        Some(from)
    }

    /// The module in which the last of a path is.
    fn target(&self, path: &[String], depth: usize) -> ModulePath {
        let mut module = ModulePath::new();
        for (at, segment) in path.iter().enumerate() {
            let child = [&module[..], std::slice::from_ref(segment)].concat();
            if self.0.contains_key(&child) {
                module = child;
                continue;
            }
            return match self.0.get(&module).and_then(|module| module.names.get(segment)) {
                Some(target) if depth > 0 => self.target(&[target, &path[at + 1..]].concat(), depth - 1),
                _ => module,
            };
        }
        module
    }

    /// Who imports whom.
    fn imports(&self) -> impl Iterator<Item = (&ModulePath, ModulePath)> {
        const REEXPORTS_MAX: usize = 8;
        self.0
            .iter()
            .flat_map(move |(path, module)| module.paths.iter().map(move |to| (path, self.target(to, REEXPORTS_MAX))))
    }

    /// What is wrong with the floors.
    fn climbs(&self, floors: &[(&str, usize)]) -> BTreeSet<String> {
        let floor = |module: &[String]| {
            let folder = module.first()?;
            floors.iter().find(|(name, _)| name == folder).map(|(_, floor)| *floor)
        };
        let mut wrong: BTreeSet<String> = self
            .0
            .keys()
            .filter(|path| !path.is_empty() && floor(path).is_none())
            .map(|path| format!("{} has no floor", path[0]))
            .collect();
        for (from, to) in self.imports() {
            if from.first() != to.first()
                && let (Some(below), Some(above)) = (floor(&to), floor(from))
                && below >= above
            {
                let (from, to) = (from.join("::"), to.join("::"));
                wrong.insert(format!("{from} (floor {above}) imports {to} (floor {below})"));
            }
        }
        wrong
    }

    /// The circles among the modules that are directly in one folder, but for those.
    fn circles(&self, allowed: &[&[&str]]) -> BTreeSet<String> {
        // By the folder: which of its modules imports which, and by what.
        let mut folders: BTreeMap<&[String], BTreeMap<(&String, String), String>> = BTreeMap::new();
        let imports: Vec<_> = self.imports().collect();
        for (from, to) in &imports {
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if common < from.len() && common < to.len() {
                let example = format!("{} → {}", from.join("::"), to.join("::"));
                let edge = (&from[common], to[common].clone());
                folders.entry(&from[..common]).or_default().entry(edge).or_insert(example);
            }
        }
        let mut circles = BTreeSet::new();
        for (folder, edges) in folders {
            let mut reaches: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (from, to) in edges.keys() {
                reaches.entry(from).or_default().insert(to);
            }
            while let Some((from, more)) = reaches.iter().find_map(|(from, to)| {
                let further = to.iter().filter_map(|to| reaches.get(to)).flatten().copied();
                let more: Vec<_> = further.filter(|further| !to.contains(further)).collect();
                (!more.is_empty()).then_some((*from, more))
            }) {
                reaches.entry(from).or_default().extend(more);
            }
            for ((from, to), example) in &edges {
                let is_circle = reaches.get(to.as_str()).is_some_and(|reached| reached.contains(from.as_str()));
                let is_allowed =
                    allowed.iter().any(|allowed| allowed.contains(&from.as_str()) && allowed.contains(&to.as_str()));
                if is_circle && !is_allowed {
                    circles.insert(format!(
                        "in {}: {from} ⇄ {to} ({example})",
                        [&["src".to_owned()], folder].concat().join("/")
                    ));
                }
            }
        }
        circles
    }
}

/// The module that a file is.
fn module_path(file: &str) -> ModulePath {
    let parts = file.strip_suffix(".rs").unwrap_or(file).split('/').map(str::to_owned);
    parts.filter(|part| part != "lib" && part != "mod").collect()
}

fn is_start(word: &str) -> bool {
    matches!(word, "crate" | "self" | "super" | LIBRARY)
}

/// The names of a `use`, with their paths. Gives where it ends.
fn use_tree(tokens: &[Token], mut at: usize, before: &[String], imported: &mut Vec<(String, ModulePath)>) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) if word == "as" => {
                if let Some(Token::Word(name)) = tokens.get(at + 1) {
                    imported.push((name.clone(), path));
                }
                return at + 2;
            }
            Some(Token::Word(word)) => {
                path.push(word.clone());
                at += 1;
                match tokens.get(at) {
                    Some(Token::Colons) => at += 1,
                    Some(Token::Word(word)) if word == "as" => {}
                    _ => {
                        // `{self}` is the path before it.
                        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                            path.pop();
                        }
                        imported.push((path.last().cloned().unwrap_or_default(), path));
                        return at;
                    }
                }
            }
            Some(Token::Symbol('{')) => {
                at += 1;
                while !matches!(tokens.get(at), None | Some(Token::Symbol('}'))) {
                    at = match tokens.get(at) {
                        Some(Token::Symbol(',')) => at + 1,
                        _ => use_tree(tokens, at, &path, imported),
                    };
                }
                return at + 1;
            }
            Some(Token::Symbol('*')) => {
                imported.push(("*".to_owned(), path));
                return at + 1;
            }
            // A path that begins with `::`, or a macro's.
            Some(Token::Colons | Token::Symbol(_)) => return at + 1,
            None => return at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Colons,
    Symbol(char),
}

/// The tokens of a source without comments and literals.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let starts = |at: usize, text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    while at < chars.len() {
        let c = chars[at];
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    (depth, at) = (depth + 1, at + 2);
                } else if starts(at, "*/") {
                    (depth, at) = (depth - 1, at + 2);
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            at = string_end(&chars, at);
        } else if c == '\'' {
            // A character ends in a quote, a lifetime does not.
            let end = if chars.get(at + 1) == Some(&'\\') { at + 3 } else { at + 2 };
            let end = (end..end + 8).find(|&end| chars.get(end) == Some(&'\''));
            let is_char = chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'');
            at = if is_char { end.map_or(at + 1, |end| end + 1) } else { at + 1 };
        } else if is_word(c) {
            let from = at;
            while at < chars.len() && is_word(chars[at]) {
                at += 1;
            }
            let word: String = chars[from..at].iter().collect();
            let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
            if matches!(&*word, "r" | "br" | "cr") && chars.get(at + hashes) == Some(&'"') {
                let close = format!("\"{}", "#".repeat(hashes));
                at += hashes + 1;
                while at < chars.len() && !starts(at, &close) {
                    at += 1;
                }
                at += close.len();
            } else {
                tokens.push(Token::Word(word));
            }
        } else if starts(at, "::") {
            tokens.push(Token::Colons);
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Symbol(c));
            }
            at += 1;
        }
    }
    tokens
}

/// Where the string that begins there has ended.
fn string_end(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Without the items under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let marker: Vec<Token> = self::tokens("#[cfg(test)]");
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].starts_with(&marker) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        // To the item's semicolon, or to the end of its block.
        let mut depth = 0;
        at += marker.len();
        while at < tokens.len() {
            match &tokens[at] {
                Token::Symbol('{') => depth += 1,
                Token::Symbol('}') => depth -= 1,
                _ => {}
            }
            let is_end = match &tokens[at] {
                Token::Symbol(';' | '}') => depth == 0,
                _ => false,
            };
            at += 1;
            if is_end {
                break;
            }
        }
    }
    kept
}

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
fn the_crates_know_nothing_of_what_is_above_them_and_have_no_circle() {
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

/// What the check says of made-up sources, where `low` is below `high`.
fn wrong_with(sources: &[(&str, &str)]) -> Vec<String> {
    let modules = Modules::of(sources.iter().copied());
    let mut wrong = modules.climbs(&[("low", 0), ("beside", 0), ("high", 1)]);
    wrong.extend(modules.circles(&[]));
    wrong.into_iter().collect()
}

#[test]
fn an_import_that_goes_up_is_found_however_it_is_written() {
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
fn a_name_is_followed_to_where_it_comes_from() {
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
fn what_goes_down_or_stays_in_its_folder_is_right() {
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
fn a_circle_is_found_in_the_folder_where_it_closes() {
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
    // By a name that their parent has of one of them.
    let by_parent =
        [("low.rs", "mod a; mod b; pub use b::B;"), ("low/a.rs", "use super::B;"), ("low/b.rs", "use super::a::A;")];
    assert_eq!(wrong_with(&by_parent), circle);
}
