//! What asks a database's catalogs, in SQL of our own, and is answered in rows that have a type.

use actix::prelude::*;

use super::call::CallContext;
use super::statements::Answered;
use crate::postgres::catalog::{self, BoundQuery, CatalogQuery, CatalogRows};
use crate::postgres::error::QueryError;
use crate::postgres::statement::Limits;

/// Asks PostgreSQL's catalogs a question of ours. It is a call of its client like a [`Query`](super::statements::Query):
/// it waits for a connection in the same queue, runs in a READ ONLY transaction within the same clocks, is counted, and is
/// cancelled when nobody waits for it. Sent by the executor to itself for its role's rights, and by whoever needs to know
/// what there is in a database.
#[derive(Debug, Message)]
#[rtype(result = "Result<Answered<CatalogRows>, QueryError>")]
pub struct Inspect {
    /// The call that it is a part of.
    pub call: CallContext,
    /// What is asked.
    pub asked: BoundQuery,
    /// What the answer may hold; its bytes are those that PostgreSQL sends.
    pub limits: Limits,
}

impl Inspect {
    /// That question, as a part of that call.
    pub fn new<Q: CatalogQuery>(call: CallContext, question: &Q, limits: Limits) -> Self {
        Self { call, asked: BoundQuery::of(question), limits }
    }
}

impl Answered<CatalogRows> {
    /// The same with the rows of that question.
    ///
    /// # Errors
    /// A row is not what the question promises.
    pub fn typed<Q: CatalogQuery>(self) -> Result<Answered<Vec<Q::Row>>, QueryError> {
        let Self { answer, took, generation, cursor } = self;
        Ok(Answered { answer: catalog::rows::<Q>(&answer.rows)?, took, generation, cursor })
    }
}
