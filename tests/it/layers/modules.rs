//! Reads the modules of a crate and their imports from the sources, and finds wrong imports.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Token, tokens, use_tree, without_tests};

/// The name by which the program imports the library.
pub(super) const LIBRARY: &str = "mcp_server_postgres";

pub(super) type ModulePath = Vec<String>;

/// The modules of a crate by their paths. The path of the root is empty.
#[derive(Default)]
pub(super) struct Modules(BTreeMap<ModulePath, Module>);

#[derive(Default)]
struct Module {
    /// The paths in the source, from the root of the crate.
    paths: Vec<ModulePath>,
    /// The imported names with their origins.
    names: BTreeMap<String, ModulePath>,
}

impl Modules {
    /// Reads sources, each with the path of its file in `src`.
    pub(super) fn of<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
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

    /// A path of a module from the root of the crate; `None` if it leads to another crate.
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

    /// The module that has the last name of a path.
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

    /// The imports between modules.
    pub(super) fn imports(&self) -> impl Iterator<Item = (&ModulePath, ModulePath)> {
        const REEXPORTS_MAX: usize = 8;
        self.0
            .iter()
            .flat_map(move |(path, module)| module.paths.iter().map(move |to| (path, self.target(to, REEXPORTS_MAX))))
    }

    /// The imports that break the order of the floors.
    pub(super) fn climbs(&self, floors: &[(&str, usize)]) -> BTreeSet<String> {
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

    /// The circles among the modules directly in one folder, without the allowed ones.
    pub(super) fn circles(&self, allowed: &[&[&str]]) -> BTreeSet<String> {
        // For each folder: which of its modules imports which, and by which path.
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

/// The module of a file.
fn module_path(file: &str) -> ModulePath {
    let parts = file.strip_suffix(".rs").unwrap_or(file).split('/').map(str::to_owned);
    parts.filter(|part| part != "lib" && part != "mod").collect()
}

fn is_start(word: &str) -> bool {
    matches!(word, "crate" | "self" | "super" | LIBRARY)
}
