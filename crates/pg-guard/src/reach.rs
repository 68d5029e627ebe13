//! What a statement reaches in a database: the functions that its names can mean, the functions that run without being
//! named, the relations, and the SQL texts of their objects.
//!
//! Each name stands for everything that it can mean. The types that values of the statement can have are those of the
//! columns, arguments, results and casts in it, and whatever these contain.

use std::collections::HashSet;
use std::sync::Arc;

use crate::facts::{Facts, Function, Object, Oid, Path, Relation, Text};
use crate::syntax::{Attribute, Name, Syntax};
use names::Names;

mod names;

/// What a statement, or the text of an object, reaches.
pub(crate) struct Reach<'a> {
    pub(crate) facts: &'a Facts,
    /// How its names are looked up.
    pub(crate) path: Path<'a>,
    /// The functions that run without being named, each with what runs it.
    pub(crate) nameless: Vec<(Arc<Function>, String)>,
    pub(crate) relations: Vec<&'a Relation>,
    /// The SQL texts that run with it, besides those of functions.
    pub(crate) texts: Vec<Text>,
    /// A name that this server may read otherwise than the guard does.
    pub(crate) doubtful_name: Option<String>,
    /// It reads from PostgreSQL's own types, and from plain tables or views of PostgreSQL.
    pub(crate) is_plain: bool,
}

/// Whether the statement has names that are looked up in a database.
pub(crate) fn needs_facts(syntax: &Syntax) -> bool {
    !Names::of(syntax).is_empty()
}

/// Whether the statement reads something that may contain secrets, so that the catalogs must be asked.
pub(crate) fn may_hold_secrets(syntax: &Syntax) -> bool {
    Names::of(syntax).may_hold_secrets
}

/// Whether a name in a statement means nothing, as far as the facts say. It may be new.
pub(crate) fn has_unknown_name(syntax: &Syntax, facts: &Facts) -> bool {
    let (names, path) = (Names::of(syntax), Path::Of(facts));
    let with: HashSet<&String> = syntax.with.iter().collect();
    let relations: HashSet<&Name> = syntax.relations.iter().map(|relation| &relation.name).collect();
    let is_known = |name: &&Name| with.contains(&name.name) || facts.relations_named(name, path).next().is_some();
    !names.functions_called.iter().all(|name| facts.knows_callable(name))
        || !names.types_written.iter().all(|name| facts.knows_type(name))
        || !relations.iter().all(is_known)
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// It is the text of an object that a statement uses.
    pub(crate) is_behind: bool,
    /// Its names are looked up in all schemas.
    pub(crate) any_schema: bool,
    /// It is the condition of a policy.
    pub(crate) is_policy: bool,
}

impl<'a> Reach<'a> {
    /// What a statement reaches, or the text of an object.
    pub(crate) fn of(syntax: &'a Syntax, facts: &'a Facts, place: Place) -> Self {
        let Place { is_behind, any_schema, .. } = place;
        let names = Names::of(syntax);
        let path = if any_schema { Path::Any } else { Path::Of(facts) };
        let doubtful_name = if facts.is_utf8 { None } else { names.doubtful().cloned() };
        let mut reach = Self {
            facts,
            path,
            nameless: Vec::new(),
            relations: Vec::new(),
            texts: Vec::new(),
            doubtful_name,
            is_plain: true,
        };
        let mut types = Types { facts, reached: HashSet::new() };
        reach.add_relations(syntax, &mut types, (is_behind || !syntax.inner.is_empty(), any_schema));
        for name in &names.types {
            for oid in facts.types_named(name) {
                types.add(*oid);
                reach.is_plain = false;
            }
        }
        for function in reach.called(syntax).collect::<Vec<_>>() {
            function.all_types().for_each(|oid| types.add(oid));
            for part in facts.support_functions(function.oid) {
                reach.nameless.push((part.clone(), function.name.to_string()));
            }
        }
        for name in &names.operators {
            let of_operator = facts.functions_of_operator(name);
            reach.nameless.extend(of_operator.map(|function| (function.clone(), name.clone())));
        }
        let casts: HashSet<&str> = names.casts.iter().map(String::as_str).collect();
        let reached = &types.reached;
        let of_casts = facts.casts(|oid| reached.contains(&oid), |target| casts.contains(target));
        reach.nameless.extend(of_casts.map(|(function, target)| (function.clone(), target.to_owned())));
        for oid in reached {
            let of_type = facts.functions_of_type(*oid);
            reach.nameless.extend(of_type.map(|(function, name)| (function.clone(), name.to_owned())));
        }
        reach
            .nameless
            .extend(facts.functions_of_builtin_types().map(|(function, name)| (function.clone(), name.to_owned())));
        // The name of an operator or a cast does not say which of them is meant, so of the types of their arguments only
        // domains count, whose checks run for a value of any type.
        let domains = reach.nameless.iter().flat_map(|(function, _)| facts.domains_of(function)).collect::<Vec<_>>();
        domains.into_iter().for_each(|oid| types.add(oid));
        for (oid, name) in types.reached.iter().filter_map(|oid| Some((*oid, facts.domain_with_checks(*oid)?))) {
            reach.texts.push(Text { object: Object::Domain(oid), name: name.to_owned(), any_schema });
        }
        reach
    }

    fn add_relations(&mut self, syntax: &'a Syntax, types: &mut Types<'_>, (any_role, any_schema): (bool, bool)) {
        let mut seen = HashSet::new();
        let named: HashSet<&Name> = syntax.relations.iter().map(|relation| &relation.name).collect();
        for name in named {
            self.relations.extend(self.facts.relations_named(name, self.path));
        }
        self.relations.retain(|relation| seen.insert(relation.oid));
        for relation in &self.relations {
            let text = |object| Text { object, name: relation.name.to_string(), any_schema };
            if relation.has_text() {
                self.texts.push(text(Object::View(relation.oid)));
            }
            if relation.has_policies() {
                self.texts.push(text(Object::Policies { table: relation.oid, any_role }));
            }
            let of_it: Vec<_> = self.facts.functions_of_relation(relation.oid).collect();
            let column_types = self.facts.column_types(relation.oid);
            self.is_plain &= relation.is_plain() && of_it.is_empty() && column_types.is_empty();
            self.nameless.extend(of_it.into_iter().map(|function| (function.clone(), relation.name.to_string())));
            column_types.iter().for_each(|oid| types.add(*oid));
        }
    }

    /// The functions that a call with this number of arguments can mean.
    pub(crate) fn meant(&self, name: &Name, arguments: usize) -> Vec<Arc<Function>> {
        let named: Vec<_> =
            self.facts.functions_named(&name.name).filter(|function| function.matches(name, self.path)).collect();
        let fitting: Vec<_> = named.iter().filter(|function| function.takes(arguments)).cloned().collect();
        // If no function takes this number of arguments, PostgreSQL reports an error, or it counts differently. So all
        // count.
        if fitting.is_empty() { named } else { fitting }
    }

    /// The functions that a name after a dot can mean.
    pub(crate) fn meant_after_dot(&self, attribute: &Attribute) -> Vec<Arc<Function>> {
        let name = Name { schema: None, name: attribute.name.clone() };
        self.facts
            .functions_named(&attribute.name)
            .filter(|function| function.matches(&name, self.path) && function.takes(1))
            .collect()
    }

    /// The functions of users and extensions that the statement can call.
    fn called(&self, syntax: &Syntax) -> impl Iterator<Item = Arc<Function>> {
        let calls: HashSet<_> = syntax.calls.iter().map(|call| (&call.function, call.arguments)).collect();
        let attributes: HashSet<_> = syntax.attributes.iter().collect();
        let calls = calls.into_iter().flat_map(|(name, arguments)| self.meant(name, arguments));
        let after_dots = attributes.into_iter().flat_map(|attribute| self.meant_after_dot(attribute));
        let mut seen = HashSet::new();
        let called: Vec<_> =
            calls.chain(after_dots).filter(|function| !function.is_builtin && seen.insert(function.oid)).collect();
        called.into_iter()
    }
}

/// The user-defined types that values can have.
struct Types<'a> {
    facts: &'a Facts,
    reached: HashSet<Oid>,
}

impl Types<'_> {
    /// Adds a type and all that it contains, unless it is PostgreSQL's own.
    fn add(&mut self, oid: Oid) {
        let mut left = vec![oid];
        while let Some(oid) = left.pop() {
            if let Some(parts) = self.facts.parts_of_type(oid)
                && self.reached.insert(oid)
            {
                left.extend(parts);
            }
        }
    }
}
