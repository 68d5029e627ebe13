//! What the guard refuses in a database although no statement names it, and which of the operator's entries mean nothing
//! there: for a report to the operator.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use crate::facts::{Facts, FactsCache, SessionFacts};
use crate::policy::{self, Policy};

/// A function that runs without being named, and that the guard refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveWire {
    /// What runs it, such as `the operator =-=` or `an index, a constraint, statistics or a partition of t`. Several are
    /// joined by commas.
    pub ways: String,
    /// The function, as `schema.name`.
    pub function: String,
    /// Why it is refused, and what can be done.
    pub why: String,
}

/// What the guard finds in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Statements that reach one of these are refused. A usual database has none.
    pub live_wires: Vec<LiveWire>,
    /// The entries of [`Policy::allow`] and [`Policy::deny`] that mean no function of this database.
    pub entries_without_function: Vec<String>,
}

impl Survey {
    /// Looks at a database. The SQL texts of functions are not judged: that takes a statement that reaches them.
    ///
    /// # Errors
    /// The catalogs could not be asked.
    pub async fn of(client: &Client, policy: &Policy) -> Result<Self, Error> {
        let cache = FactsCache::new(policy.function_names());
        let facts = cache.get(client, &SessionFacts::default(), true).await?;
        let entries = policy.allow.iter().chain(&policy.deny);
        Ok(Self {
            live_wires: live_wires(&facts, policy),
            entries_without_function: entries
                .filter(|entry| !policy::means_a_function(entry, &facts))
                .cloned()
                .collect(),
        })
    }
}

/// The refused functions by their names, each with all that runs it.
fn live_wires(facts: &Facts, policy: &Policy) -> Vec<LiveWire> {
    let mut by_function = BTreeMap::<String, LiveWire>::new();
    for (way, function) in facts.wires() {
        let Err(refusal) = policy::judge_alone(function, facts, policy) else { continue };
        let name = format!("{}.{}({})", function.schema, function.name, function.arguments);
        by_function
            .entry(name.clone())
            .and_modify(|wire| {
                if !wire.ways.split(", ").any(|known| known == way) {
                    wire.ways = format!("{}, {way}", wire.ways);
                }
            })
            .or_insert_with(|| LiveWire { ways: way, function: name, why: refusal.to_string() });
    }
    by_function.into_values().collect()
}
