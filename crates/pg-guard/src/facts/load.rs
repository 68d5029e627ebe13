//! Reads the facts from the system catalogs, in one round trip.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::{try_join, try_join4};
use tokio::sync::OnceCell;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::function_settings::is_harmless_setting;
use super::queries::{BUILTIN_NAMES, COLUMN_TYPES, COLUMNS, FINGERPRINT, FUNCTIONS, RELATIONS, SESSION, TYPES, WIRES};
use super::{Cast, FIRST_USER_OID, Facts, Function, Oid, Relation, RelationKind, UserType, Wires};
use crate::known::{self, Class};

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
    let ask = |query| client.query_typed(query, &[]);
    // Joined futures are sent without waiting for each other.
    let ((functions, builtin_names, types, relations), (column_types, columns), wires) = {
        let names = [(&with_overloads as _, Type::TEXT_ARRAY)];
        let objects = try_join4(client.query_typed(FUNCTIONS, &names), ask(BUILTIN_NAMES), ask(TYPES), ask(RELATIONS));
        let (objects, (columns, wires)) =
            try_join(objects, try_join(try_join(ask(COLUMN_TYPES), ask(COLUMNS)), ask(WIRES))).await?;
        (objects, columns, wires)
    };
    let mut facts = Facts { is_utf8: session.is_utf8, version: session.version, path, ..Facts::default() };
    let mut reading = Reading { type_names: HashMap::new(), rows: HashSet::new(), facts: &mut facts };
    for row in &types {
        reading.add_type(row)?;
    }
    for row in &functions {
        reading.add_function(row)?;
    }
    for row in &wires {
        reading.add_wire(row)?;
    }
    if let Some(row) = builtin_names.first() {
        let names: Vec<String> = row.try_get(0)?;
        facts.unknown_builtins =
            names.into_iter().filter(|name| known::builtin_functions(session.version, name).next().is_none()).collect();
    }
    for row in &relations {
        facts.add_relation(row)?;
    }
    for row in &column_types {
        facts.column_types.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
    }
    for row in &columns {
        facts.columns.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?);
    }
    Ok(facts)
}

/// The facts while they are read.
struct Reading<'a> {
    type_names: HashMap<Oid, String>,
    /// The types that a whole row can have.
    rows: HashSet<Oid>,
    facts: &'a mut Facts,
}

impl Reading<'_> {
    fn add_type(&mut self, row: &Row) -> Result<(), Error> {
        let (oid, name, kind): (Oid, String, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
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

    /// The names of types, joined by commas.
    fn names_of(&self, types: &[Oid]) -> String {
        let names: Vec<&str> = types.iter().map(|oid| self.type_names.get(oid).map_or("?", String::as_str)).collect();
        names.join(",")
    }

    fn add_function(&mut self, row: &Row) -> Result<(), Error> {
        let count = |at| Ok::<_, Error>(usize::try_from(row.try_get::<_, i32>(at)?).unwrap_or_default());
        let (oid, name): (Oid, String) = (row.try_get(0)?, row.try_get(1)?);
        let (argument_types, settings): (Vec<Oid>, Vec<String>) = (row.try_get(10)?, row.try_get(13)?);
        let settings: Vec<String> =
            settings.iter().map(|setting| setting.split('=').next().unwrap_or_default().to_lowercase()).collect();
        let function = Function {
            oid,
            schema: row.try_get(2)?,
            is_volatile: row.try_get(3)?,
            is_definer: row.try_get(4)?,
            language: row.try_get(5)?,
            is_trusted: row.try_get::<_, bool>(6)? || oid < FIRST_USER_OID,
            extension: row.try_get(7)?,
            is_builtin: oid < FIRST_USER_OID,
            arguments: self.names_of(&argument_types),
            has_text: row.try_get::<_, bool>(12)? && oid >= FIRST_USER_OID,
            has_search_path: settings.iter().any(|setting| setting == "search_path"),
            setting: settings.into_iter().find(|setting| !is_harmless_setting(setting)),
            takes_row: argument_types.first().is_some_and(|first| self.rows.contains(first)),
            arguments_min: count(8)?,
            arguments_max: count(9)?,
            argument_types,
            result_types: row.try_get(11)?,
            class: Class::Unknown,
            name: name.clone(),
        };
        self.facts.functions_by_name.entry(name).or_default().push(oid);
        self.insert(function);
        Ok(())
    }

    fn insert(&mut self, mut function: Function) {
        let Function { is_builtin, extension, name, arguments, .. } = &function;
        function.class = known::class(self.facts.version, *is_builtin, extension.as_deref(), name, arguments);
        self.facts.functions.insert(function.oid, Arc::new(function));
    }

    fn add_wire(&mut self, row: &Row) -> Result<(), Error> {
        let (way, object, name, other): (i32, Oid, String, Oid) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let function: Oid = row.try_get(4)?;
        if let (Some(of), Some(types)) = (row.try_get(5)?, row.try_get::<_, Option<Vec<Oid>>>(6)?)
            && !self.facts.functions.contains_key(&function)
        {
            let (schema, arguments) = ("pg_catalog".to_owned(), self.names_of(&types));
            let (is_builtin, is_trusted) = (true, true);
            let builtin =
                Function { oid: function, schema, name: of, arguments, is_builtin, is_trusted, ..Function::default() };
            self.insert(builtin);
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
}

impl Facts {
    fn add_relation(&mut self, row: &Row) -> Result<(), Error> {
        let name: String = row.try_get(1)?;
        let kind = match row.try_get(3)? {
            "v" => RelationKind::View,
            "f" => RelationKind::Foreign,
            _ => RelationKind::Table,
        };
        let (oid, schema, has_policies, is_of_extension) =
            (row.try_get(0)?, row.try_get(2)?, row.try_get(4)?, row.try_get(5)?);
        let relation = Relation { oid, name: name.clone(), schema, kind, has_policies, is_of_extension };
        self.relations.entry(name).or_default().push(relation);
        Ok(())
    }
}
