//! What a database has: the functions, types and relations of its users and extensions, and every way in which a
//! function runs without being named.
//!
//! The facts are read once from the system catalogs (PostgreSQL manual, chapter 53) and are shared by all connections to
//! a database. A statement is judged by them without a question. `cache` notices that the catalogs have changed. SQL
//! texts of views, functions, domains and policies are asked for when a statement first reaches them (`texts`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::known::{Class, builtin_functions, is_builtin_name};
use crate::statement::AccessMode;
use crate::syntax::Name;

mod cache;
mod function_settings;
mod load;
mod queries;
mod texts;
mod type_names;

pub(crate) use cache::FactsCache;
pub use load::SessionFacts;
pub(crate) use texts::{Object, TEXT_CHARS_MAX, Text, secrets, sql_texts};
pub(crate) use type_names::same_types;

/// An object identifier.
pub(crate) type Oid = u32;

/// The first OID of objects that are not part of PostgreSQL itself (FirstNormalObjectId in access/transam.h).
const FIRST_USER_OID: Oid = 16384;

/// The facts about a database.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The encoding of the database is UTF-8.
    pub(crate) is_utf8: bool,
    /// The major version of the server.
    pub(crate) version: u32,
    /// The schemas whose objects can be named without their schema.
    path: Vec<String>,
    functions: HashMap<Oid, Arc<Function>>,
    functions_by_name: HashMap<Arc<str>, Vec<Oid>>,
    /// Functions of PostgreSQL itself that are in no list.
    unknown_builtins: HashSet<String>,
    types: HashMap<Oid, UserType>,
    types_by_name: HashMap<Arc<str>, Vec<Oid>>,
    builtin_types: HashSet<Arc<str>>,
    relations: HashMap<Arc<str>, Vec<Relation>>,
    /// The user-defined types of the columns of a relation, and of the fields of a row type.
    column_types: HashMap<Oid, Vec<Oid>>,
    /// The columns of a relation that have the name of a function.
    columns: HashMap<Oid, HashSet<Arc<str>>>,
    wires: Wires,
    /// The texts that were judged and accepted, with all that they use, in an access mode.
    accepted: Mutex<HashSet<(AccessMode, Text)>>,
}

/// A function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) oid: Oid,
    pub(crate) schema: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) is_volatile: bool,
    pub(crate) language: Arc<str>,
    pub(crate) is_trusted: bool,
    pub(crate) is_definer: bool,
    pub(crate) extension: Option<Arc<str>>,
    /// It is part of PostgreSQL itself.
    pub(crate) is_builtin: bool,
    /// The names of its argument types, joined by commas.
    pub(crate) arguments: Arc<str>,
    /// What the lists say about it.
    pub(crate) class: Class,
    /// Its body or its argument defaults are a text in SQL.
    pub(crate) has_text: bool,
    /// It sets a search path for itself.
    pub(crate) has_search_path: bool,
    /// A setting that it sets for itself, and that may change how its text is read.
    pub(crate) setting: Option<String>,
    /// Its first argument can be a whole row.
    pub(crate) takes_row: bool,
    pub(crate) arguments_min: usize,
    pub(crate) arguments_max: usize,
    /// The types of its arguments.
    pub(crate) argument_types: Box<[Oid]>,
    /// The types of its results.
    pub(crate) result_types: Box<[Oid]>,
}

/// What can be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) oid: Oid,
    pub(crate) name: Arc<str>,
    schema: Arc<str>,
    kind: RelationKind,
    has_policies: bool,
    is_of_extension: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RelationKind {
    Table,
    View,
    Foreign,
}

/// A type of a user or an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UserType {
    name: Arc<str>,
    is_domain: bool,
    has_checks: bool,
    /// The element, base or bound; of each kind of type at most one is not 0.
    contained: [Oid; 3],
    /// The relation or row type that has its fields; 0 if it is no row.
    fields: Oid,
}

/// The ways in which functions run without their names.
#[derive(Debug, Default)]
struct Wires {
    /// By the name of an operator.
    operators: HashMap<Arc<str>, Vec<Oid>>,
    casts: Vec<Cast>,
    /// By the type: of its values, its ranges, and its comparisons.
    of_types: HashMap<Oid, Vec<Oid>>,
    /// Of operator classes that users have made for PostgreSQL's own types.
    of_builtin_types: Vec<(Arc<str>, Oid)>,
    /// By the aggregate.
    aggregates: HashMap<Oid, Vec<Oid>>,
    /// By the relation.
    relations: HashMap<Oid, Vec<Oid>>,
}

#[derive(Debug)]
struct Cast {
    source: Oid,
    target: Oid,
    target_name: Arc<str>,
    is_implicit: bool,
    function: Oid,
}

impl Function {
    /// Whether `name` can mean this function, if the objects of these schemas need no schema.
    pub(crate) fn matches(&self, name: &Name, path: Path<'_>) -> bool {
        *self.name == *name.name && path.contains(name.schema.as_deref(), &self.schema, self.is_builtin)
    }

    /// A list answers for it: it changes nothing, in the session neither.
    pub(crate) fn is_declared_harmless(&self) -> bool {
        let is_listed = matches!(self.class, Class::Harmless | Class::AsDeclared);
        is_listed && !self.is_definer && (self.is_builtin || !self.is_volatile)
    }

    /// The types of its arguments and results.
    pub(crate) fn all_types(&self) -> impl Iterator<Item = Oid> {
        self.argument_types.iter().chain(&self.result_types).copied()
    }

    /// Whether it can be called with this number of arguments.
    pub(crate) fn takes(&self, arguments: usize) -> bool {
        (self.arguments_min..=self.arguments_max).contains(&arguments)
    }
}

/// The schemas in which a name without a schema is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// All of them: a text runs with a search path of its own.
    Any,
    Of(&'a Facts),
}

impl Path<'_> {
    /// Whether a name with the schema `written`, or without one, can mean an object in `schema`.
    fn contains(self, written: Option<&str>, schema: &str, is_builtin: bool) -> bool {
        match (written, self) {
            // The lists do not say which of PostgreSQL's two schemas a function is in.
            (Some("information_schema" | "pg_catalog"), _) if is_builtin => true,
            (Some(written), _) => written == schema,
            (None, Self::Any) => true,
            (None, Self::Of(facts)) => is_builtin || facts.path.iter().any(|listed| listed == schema),
        }
    }
}

impl Facts {
    /// The facts for a statement that names nothing of a database.
    pub(crate) fn for_no_names() -> Self {
        Self { is_utf8: true, ..Self::default() }
    }

    /// The functions with this name: those of users, of extensions, and of PostgreSQL.
    pub(crate) fn functions_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Arc<Function>> + 'a {
        let known = self.functions_by_name.get(name).into_iter().flatten();
        let known: Vec<_> = known.filter_map(|oid| self.functions.get(oid)).cloned().collect();
        let has_builtin = known.iter().any(|function| function.is_builtin);
        let listed = builtin_functions(self.version, name);
        let builtin = listed.map(|(arguments, class)| self.builtin(name, arguments, class));
        let unknown = self.unknown_builtins.contains(name).then(|| self.builtin(name, None, Class::Unknown));
        known.into_iter().chain(builtin.chain(unknown).filter(move |_| !has_builtin).map(Arc::new))
    }

    /// A function of PostgreSQL as the list has it. Without argument types it stands for all overloads.
    fn builtin(&self, name: &str, arguments: Option<&str>, class: Class) -> Function {
        let count = arguments.map(|types| if types.is_empty() { 0 } else { types.split(',').count() });
        Function {
            schema: "pg_catalog".into(),
            name: name.into(),
            is_trusted: true,
            is_builtin: true,
            arguments: arguments.unwrap_or_default().into(),
            class,
            takes_row: true,
            arguments_min: count.unwrap_or(0),
            arguments_max: count.unwrap_or(usize::MAX),
            ..Function::default()
        }
    }

    /// Whether there is a function or a type with this name, so that a call of it can mean something.
    pub(crate) fn knows_callable(&self, name: &str) -> bool {
        self.functions_by_name.contains_key(name)
            || is_builtin_name(name)
            || self.unknown_builtins.contains(name)
            || self.knows_type(name)
    }

    pub(crate) fn knows_type(&self, name: &str) -> bool {
        self.builtin_types.contains(name) || self.types_by_name.contains_key(name)
    }

    /// The relations that a name can mean.
    pub(crate) fn relations_named<'a>(&'a self, name: &'a Name, path: Path<'a>) -> impl Iterator<Item = &'a Relation> {
        let found = self.relations.get(&*name.name).into_iter().flatten();
        found.filter(move |relation| path.contains(name.schema.as_deref(), &relation.schema, false))
    }

    /// Whether a relation has this column; known of the columns that have the name of a function.
    pub(crate) fn has_column(&self, relation: Oid, column: &str) -> bool {
        self.columns.get(&relation).is_some_and(|columns| columns.contains(column))
    }

    /// The user-defined types of the columns of a relation.
    pub(crate) fn column_types(&self, relation: Oid) -> &[Oid] {
        self.column_types.get(&relation).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn types_named(&self, name: &str) -> &[Oid] {
        self.types_by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// What a value of this type contains; `None` if it is PostgreSQL's own.
    pub(crate) fn parts_of_type(&self, oid: Oid) -> Option<impl Iterator<Item = Oid>> {
        let of_user = self.types.get(&oid)?;
        Some(of_user.contained.iter().chain(self.column_types(of_user.fields)).copied())
    }

    /// The name of a type, if it is a domain with checks.
    pub(crate) fn domain_with_checks(&self, oid: Oid) -> Option<&str> {
        self.types.get(&oid).filter(|of_user| of_user.has_checks).map(|of_user| &*of_user.name)
    }

    /// The domains among the argument types of a function.
    pub(crate) fn domains_of(&self, function: &Function) -> impl Iterator<Item = Oid> {
        let is_domain = |oid: &Oid| self.types.get(oid).is_some_and(|of_user| of_user.is_domain);
        function.argument_types.iter().copied().filter(is_domain).collect::<Vec<_>>().into_iter()
    }

    /// The functions of which an aggregate is made.
    pub(crate) fn support_functions(&self, aggregate: Oid) -> impl Iterator<Item = &Arc<Function>> {
        self.wired(self.wires.aggregates.get(&aggregate))
    }

    /// The functions of the user-defined operators with a name.
    pub(crate) fn functions_of_operator(&self, name: &str) -> impl Iterator<Item = &Arc<Function>> {
        self.wired(self.wires.operators.get(name))
    }

    /// The functions behind the indexes, constraints, statistics and partitions of a relation.
    pub(crate) fn functions_of_relation(&self, relation: Oid) -> impl Iterator<Item = &Arc<Function>> {
        self.wired(self.wires.relations.get(&relation))
    }

    /// The functions that run because of a type, with its name.
    pub(crate) fn functions_of_type(&self, oid: Oid) -> impl Iterator<Item = (&Arc<Function>, &str)> {
        let name = self.types.get(&oid).map_or("", |of_user| &of_user.name);
        self.wired(self.wires.of_types.get(&oid)).map(move |function| (function, name))
    }

    /// The functions of operator classes that users have made for PostgreSQL's own types. Any statement can have a value
    /// of such a type.
    pub(crate) fn functions_of_builtin_types(&self) -> impl Iterator<Item = (&Arc<Function>, &str)> {
        let of = self.wires.of_builtin_types.iter();
        of.filter_map(|(name, function)| Some((self.functions.get(function)?, &**name)))
    }

    /// The functions of the user-defined casts that can run, with the names of their targets: a cast is implicit or to a
    /// type that is written, and a value of its source can occur. A value of PostgreSQL's own types always can.
    pub(crate) fn casts(
        &self,
        is_reached: impl Fn(Oid) -> bool,
        is_written: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (&Arc<Function>, &str)> {
        self.wires.casts.iter().filter_map(move |cast| {
            let occurs = cast.source < FIRST_USER_OID || is_reached(cast.source) || is_reached(cast.target);
            let runs = occurs && (cast.is_implicit || is_written(&cast.target_name));
            Some((self.functions.get(&cast.function).filter(|_| runs)?, &*cast.target_name))
        })
    }

    /// Every function that can run without being named, with what runs it.
    pub(crate) fn wires(&self) -> Vec<(String, &Arc<Function>)> {
        let Wires { operators, casts, of_types, of_builtin_types, aggregates, relations } = &self.wires;
        let relation_names: HashMap<Oid, &str> =
            self.relations.values().flatten().map(|relation| (relation.oid, &*relation.name)).collect();
        let type_name = |oid: &Oid| self.types.get(oid).map_or("?", |of_user| &of_user.name);
        let one = |way: String, functions: &[Oid]| -> Vec<_> {
            let found = functions.iter().filter_map(|oid| self.functions.get(oid));
            found.map(|function| (way.clone(), function)).collect()
        };
        let mut all = Vec::new();
        all.extend(operators.iter().flat_map(|(name, of)| one(format!("the operator {name}"), of)));
        all.extend(casts.iter().flat_map(|cast| {
            let kind = if cast.is_implicit { "an implicit cast" } else { "a cast" };
            one(format!("{kind} to {}", cast.target_name), &[cast.function])
        }));
        all.extend(of_types.iter().flat_map(|(oid, of)| one(format!("the type {}", type_name(oid)), of)));
        let of_builtin = of_builtin_types.iter();
        all.extend(of_builtin.flat_map(|(name, of)| one(format!("an operator class for {name}"), &[*of])));
        all.extend(aggregates.iter().flat_map(|(oid, of)| {
            one(format!("the aggregate {}", self.functions.get(oid).map_or("?", |aggregate| &aggregate.name)), of)
        }));
        all.extend(relations.iter().flat_map(|(oid, of)| {
            let name = relation_names.get(oid).copied().unwrap_or("?");
            one(format!("an index, a constraint, statistics or a partition of {name}"), of)
        }));
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Whether a user's function is in this schema.
    pub(crate) fn has_functions_in(&self, schema: &str) -> bool {
        self.functions.values().any(|function| &*function.schema == schema)
    }

    fn wired(&self, functions: Option<&'_ Vec<Oid>>) -> impl Iterator<Item = &Arc<Function>> {
        let functions: Vec<Oid> = functions.cloned().unwrap_or_default();
        functions.into_iter().filter_map(|oid| self.functions.get(&oid))
    }

    /// The texts that were judged and accepted, with all that they use: in the same access mode they need not be judged
    /// again, as long as these facts hold.
    pub(crate) fn accepted(&self) -> MutexGuard<'_, HashSet<(AccessMode, Text)>> {
        // No code panics while it has the lock.
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relation {
    /// It is a user's view: its text runs.
    pub(crate) fn has_text(&self) -> bool {
        self.kind == RelationKind::View && self.oid >= FIRST_USER_OID && !self.is_of_extension
    }

    pub(crate) fn has_policies(&self) -> bool {
        self.has_policies
    }

    /// Reading it runs nothing else, as far as its columns and indexes run nothing: it is a table without policies, or
    /// PostgreSQL's own.
    pub(crate) fn is_plain(&self) -> bool {
        self.oid < FIRST_USER_OID || self.kind == RelationKind::Table && !self.has_policies
    }
}
