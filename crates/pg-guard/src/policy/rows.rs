//! Names after a dot: `o.f` is a column of the rows named `o`, or the function `f` that is called with such a row.
//!
//! PostgreSQL prefers the column. A name counts as a column only if that is certain: if all rows with the name before the dot are
//! those of tables, and each of these tables has the column under its own name.

use std::collections::{HashMap, HashSet};

use crate::facts::{Facts, Oid};
use crate::reach::Reach;
use crate::syntax::{Attribute, Relation, Syntax};

/// What a name after a dot can be besides a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CouldBe {
    /// It is a column of the relation before the dot.
    ColumnOnly,
    /// A function that takes the row before the dot.
    FunctionOfRow,
    /// A function that takes the value of the expression before the dot.
    AnyFunction,
}

/// The rows of a statement by their names.
pub(super) struct Rows<'a> {
    by_name: HashMap<&'a str, Named<'a>>,
    /// The relations with a name.
    found: HashMap<&'a str, Vec<Oid>>,
    facts: &'a Facts,
}

/// The rows that have one name.
#[derive(Default)]
struct Named<'a> {
    /// The tables whose rows they are.
    tables: Vec<&'a str>,
    /// Some are not rows of a table, or have other names for their columns.
    has_others: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn of(syntax: &'a Syntax, reach: &'a Reach<'a>) -> Self {
        let mut by_name = HashMap::<&str, Named<'_>>::new();
        let mut aliases = HashMap::<&str, usize>::new();
        let with: HashSet<&String> = syntax.with.iter().collect();
        for relation @ Relation { name, alias, renames_columns } in &syntax.relations {
            let named = by_name.entry(relation.alias_or_name()).or_default();
            named.tables.push(&name.name);
            named.has_others |= *renames_columns || with.contains(&name.name);
            if let Some(alias) = alias {
                *aliases.entry(alias).or_default() += 1;
            }
        }
        for alias in &syntax.aliases {
            // Each alias of a table was counted above. Others are of subqueries, functions and joins.
            match aliases.get_mut(alias.as_str()) {
                Some(count) if *count > 0 => *count -= 1,
                _ => by_name.entry(alias).or_default().has_others = true,
            }
        }
        for call in &syntax.calls {
            // The rows of a function in FROM have its name.
            by_name.entry(&call.function.name).or_default().has_others = true;
        }
        let mut found = HashMap::<&str, Vec<Oid>>::new();
        for relation in &reach.relations {
            found.entry(&relation.name).or_default().push(relation.oid);
        }
        Self { by_name, found, facts: reach.facts }
    }

    pub(super) fn could_be_function(&self, attribute: &Attribute) -> CouldBe {
        let Some(qualifier) = &attribute.qualifier else { return CouldBe::AnyFunction };
        let has_column = |table: &&str| {
            // Relations of several schemas can have one name.
            self.found
                .get(*table)
                .is_some_and(|found| found.iter().all(|oid| self.facts.has_column(*oid, &attribute.name)))
        };
        match self.by_name.get(qualifier.as_str()) {
            Some(named) if !named.has_others && named.tables.iter().all(has_column) => CouldBe::ColumnOnly,
            _ => CouldBe::FunctionOfRow,
        }
    }
}
