//! The message that asks the catalogs of a database, in SQL of our own. Its rows have types.

use actix::prelude::*;

use super::call::CallContext;
use super::statements::Answered;
use crate::postgres::catalog::{self, BoundQuery, CatalogQuery, CatalogRows};
use crate::postgres::error::QueryError;
use crate::postgres::statement::Limits;

/// Asks PostgreSQL's catalogs a question of our own. It is a call of its client like a [`Query`](super::statements::Query): it
/// waits for a connection in the same queue, runs in a READ ONLY transaction within the same time limits, is counted, and is
/// cancelled when nobody waits for it. Sent by the executor to itself for the rights of its role, and by the tools that need
/// to know what there is in a database.
#[derive(Debug, Message)]
#[rtype(result = "Result<Answered<CatalogRows>, QueryError>")]
pub struct Inspect {
    /// Its call.
    pub call: CallContext,
    /// The question.
    pub asked: BoundQuery,
    /// The limits of the answer. Bytes are counted as PostgreSQL sends them.
    pub limits: Limits,
}

impl Inspect {
    /// This question, for this call.
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
