//! Reads the facts from the system catalogs, in one round trip.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::future::{try_join, try_join4};
use tokio::sync::OnceCell;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::function_settings::is_harmless_setting;
use super::queries::{BUILTIN_NAMES, COLUMN_TYPES, COLUMNS, FINGERPRINT, FUNCTIONS, RELATIONS, SESSION, TYPES, WIRES};
use super::{Cast, FIRST_USER_OID, Facts, Function, Oid, Relation, RelationKind, UserType, Wires};
use crate::known;

/// What the guard asks once on each connection.
#[derive(Debug, Default)]
pub struct SessionFacts(OnceCell<Session>);

/// How the session of a connection reads names.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) is_utf8: bool,
    pub(super) version: u32,
    /// The schemas whose objects can be named without their schema.
    pub(super) path: Vec<String>,
}

impl SessionFacts {
    pub(super) async fn get(&self, client: &Client) -> Result<&Session, Error> {
        let ask = async || {
            let row = client.query_typed(SESSION, &[]).await?.into_iter().next();
            let Some(row) = row else { return Ok(Session { is_utf8: false, version: 0, path: Vec::new() }) };
            let version: i32 = row.try_get(1)?;
            let version = u32::try_from(version / 10_000).unwrap_or_default();
            Ok(Session { is_utf8: row.try_get(0)?, version, path: row.try_get(2)? })
        };
        self.0.get_or_try_init(ask).await
    }
}

/// A number that changes with the facts.
pub(super) async fn fingerprint(client: &Client) -> Result<Option<String>, Error> {
    let rows = client.query_typed(FINGERPRINT, &[]).await?;
    rows.first().map_or(Ok(None), |row| row.try_get(0))
}

/// Reads the facts, for a session whose names are looked up in `path`. Of PostgreSQL's own functions those with a name in
/// `with_overloads` are read with their argument types.
pub(super) async fn load(
    client: &Client,
    session: &Session,
    path: Vec<String>,
    with_overloads: &[String],
) -> Result<Facts, Error> {
    let facts = Facts { is_utf8: session.is_utf8, version: session.version, path, ..Facts::default() };
    let reading = RefCell::new(Reading { facts, ..Reading::default() });
    // Joined futures are sent without waiting for each other. Rows are read one by one, because all of them together
    // would take more memory than the facts.
    let each = async |query, add: fn(&mut Reading, &Row) -> Result<(), Error>| {
        let parameters = if query == FUNCTIONS { &[(with_overloads, Type::TEXT_ARRAY)][..] } else { &[] };
        let mut rows = pin!(client.query_typed_raw(query, parameters.iter().cloned()).await?);
        while let Some(row) = rows.try_next().await? {
            add(&mut reading.borrow_mut(), &row)?;
        }
        Ok::<_, Error>(())
    };
    try_join4(
        try_join(each(TYPES, Reading::add_type), each(FUNCTIONS, Reading::add_function)),
        try_join(each(WIRES, Reading::add_wire), each(BUILTIN_NAMES, Reading::add_builtin_names)),
        each(RELATIONS, Reading::add_relation),
        try_join(each(COLUMN_TYPES, Reading::add_column_type), each(COLUMNS, Reading::add_column)),
    )
    .await?;
    Ok(reading.into_inner().finish())
}

/// The facts while they are read.
#[derive(Default)]
struct Reading {
    /// Each word once: many objects share a schema, a language or argument types.
    words: HashSet<Arc<str>>,
    type_names: HashMap<Oid, Arc<str>>,
    /// The types that a whole row can have.
    rows: HashSet<Oid>,
    /// The functions; what follows from the types of their arguments is added at the end.
    functions: HashMap<Oid, Function>,
    facts: Facts,
}

impl Reading {
    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let new: Arc<str> = word.into();
        self.words.insert(new.clone());
        new
    }

    fn add_builtin_names(&mut self, row: &Row) -> Result<(), Error> {
        let is_unknown = |name: &&str| known::builtin_functions(self.facts.version, name).next().is_none();
        let names: Vec<&str> = row.try_get(0)?;
        self.facts.unknown_builtins = names.into_iter().filter(is_unknown).map(str::to_owned).collect();
        Ok(())
    }

    fn add_relation(&mut self, row: &Row) -> Result<(), Error> {
        let kind = match row.try_get(3)? {
            "v" => RelationKind::View,
            "f" => RelationKind::Foreign,
            _ => RelationKind::Table,
        };
        let (name, schema) = (self.word(row.try_get(1)?), self.word(row.try_get(2)?));
        let (oid, has_policies, is_of_extension) = (row.try_get(0)?, row.try_get(4)?, row.try_get(5)?);
        let relation = Relation { oid, name: name.clone(), schema, kind, has_policies, is_of_extension };
        self.facts.relations.entry(name).or_default().push(relation);
        Ok(())
    }

    fn add_type(&mut self, row: &Row) -> Result<(), Error> {
        let (oid, name, kind): (Oid, _, &str) = (row.try_get(0)?, self.word(row.try_get(1)?), row.try_get(2)?);
        if matches!(kind, "c" | "d" | "p") {
            self.rows.insert(oid);
        }
        if oid >= FIRST_USER_OID {
            let contained = [row.try_get(3)?, row.try_get(4)?, row.try_get(6)?];
            let (fields, has_checks) = (row.try_get(5)?, row.try_get(7)?);
            let of_user = UserType { name: name.clone(), is_domain: kind == "d", has_checks, contained, fields };
            self.facts.types.insert(oid, of_user);
            self.facts.types_by_name.entry(name.clone()).or_default().push(oid);
        } else {
            self.facts.builtin_types.insert(name.clone());
        }
        self.type_names.insert(oid, name);
        Ok(())
    }

    fn add_column_type(&mut self, row: &Row) -> Result<(), Error> {
        self.facts.column_types.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
        Ok(())
    }

    fn add_column(&mut self, row: &Row) -> Result<(), Error> {
        let name = self.word(row.try_get(1)?);
        self.facts.columns.entry(row.try_get(0)?).or_default().insert(name);
        Ok(())
    }

    /// The names of types, joined by commas.
    fn names_of(&mut self, types: &[Oid]) -> Arc<str> {
        let names: Vec<&str> = types.iter().map(|oid| self.type_names.get(oid).map_or("?", |name| name)).collect();
        let names = names.join(",");
        self.word(&names)
    }

    fn add_function(&mut self, row: &Row) -> Result<(), Error> {
        let count = |at| Ok::<_, Error>(usize::try_from(row.try_get::<_, i32>(at)?).unwrap_or_default());
        let (oid, name) = (row.try_get(0)?, self.word(row.try_get(1)?));
        let (argument_types, settings): (Box<[Oid]>, Vec<String>) = (row.try_get(10)?, row.try_get(13)?);
        let settings: Vec<String> =
            settings.iter().map(|setting| setting.split('=').next().unwrap_or_default().to_lowercase()).collect();
        let function = Function {
            oid,
            schema: self.word(row.try_get(2)?),
            is_volatile: row.try_get(3)?,
            is_definer: row.try_get(4)?,
            language: self.word(row.try_get(5)?),
            is_trusted: row.try_get::<_, bool>(6)? || oid < FIRST_USER_OID,
            extension: row.try_get::<_, Option<&str>>(7)?.map(|name| self.word(name)),
            is_builtin: oid < FIRST_USER_OID,
            has_text: row.try_get::<_, bool>(12)? && oid >= FIRST_USER_OID,
            has_search_path: settings.iter().any(|setting| setting == "search_path"),
            setting: settings.into_iter().find(|setting| !is_harmless_setting(setting)),
            arguments_min: count(8)?,
            arguments_max: count(9)?,
            argument_types,
            result_types: row.try_get(11)?,
            name: name.clone(),
            ..Function::default()
        };
        self.facts.functions_by_name.entry(name).or_default().push(oid);
        self.functions.insert(oid, function);
        Ok(())
    }

    fn add_wire(&mut self, row: &Row) -> Result<(), Error> {
        let (way, object, name, other): (i32, Oid, _, Oid) =
            (row.try_get(0)?, row.try_get(1)?, self.word(row.try_get(2)?), row.try_get(3)?);
        let function: Oid = row.try_get(4)?;
        if let (Some(of), Some(argument_types)) = (row.try_get::<_, Option<&str>>(5)?, row.try_get(6)?) {
            let (schema, of) = (self.word("pg_catalog"), self.word(of));
            let (is_builtin, is_trusted) = (true, true);
            let of_postgresql = Function {
                oid: function,
                schema,
                name: of,
                argument_types,
                is_builtin,
                is_trusted,
                ..Function::default()
            };
            self.functions.entry(function).or_insert(of_postgresql);
        }
        let Wires { operators, casts, of_types, of_builtin_types, aggregates, relations } = &mut self.facts.wires;
        match way {
            1 => operators.entry(name).or_default().push(function),
            2 | 3 if function != 0 => {
                casts.push(Cast { source: object, target: other, target_name: name, is_implicit: way == 2, function });
            }
            4 | 5 if object >= FIRST_USER_OID => of_types.entry(object).or_default().push(function),
            5 => of_builtin_types.push((name, function)),
            6 => aggregates.entry(object).or_default().push(function),
            7 => relations.entry(object).or_default().push(function),
            _ => {}
        }
        Ok(())
    }

    /// Adds what follows from the types of arguments, and gives back the memory that growing tables have in reserve.
    fn finish(mut self) -> Facts {
        for (oid, mut function) in std::mem::take(&mut self.functions) {
            function.arguments = self.names_of(&function.argument_types);
            function.takes_row = function.argument_types.first().is_some_and(|first| self.rows.contains(first));
            let Function { is_builtin, extension, name, arguments, .. } = &function;
            function.class = known::class(self.facts.version, *is_builtin, extension.as_deref(), name, arguments);
            self.facts.functions.insert(oid, Arc::new(function));
        }
        let mut facts = self.facts;
        facts.functions.shrink_to_fit();
        facts.functions_by_name.values_mut().for_each(Vec::shrink_to_fit);
        facts.functions_by_name.shrink_to_fit();
        facts.types.shrink_to_fit();
        facts.types_by_name.values_mut().for_each(Vec::shrink_to_fit);
        facts.types_by_name.shrink_to_fit();
        facts.relations.values_mut().for_each(Vec::shrink_to_fit);
        facts.relations.shrink_to_fit();
        facts.column_types.values_mut().for_each(Vec::shrink_to_fit);
        facts
    }
}
