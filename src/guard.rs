//! The guard of the read-only mode: no statement runs that it has not cleared.
//!
//! PostgreSQL is the boundary: the extended protocol, a READ ONLY transaction, ROLLBACK, the role's own rights. The
//! guard stops before that what a READ ONLY transaction lets through: functions with effects outside of it, settings,
//! locks, secrets. It reads a statement by PostgreSQL's own parser, decides on its kind, looks up each name in this
//! database, reads on what stands behind the names, and remembers the verdict for a while by the statement's text.
//!
//! The one way to PostgreSQL is by types: a statement is [`Reviewed`] before it gets a connection, and [`Cleared`] on
//! that connection before it is bound; only the guard makes these, and only a cleared one can be bound (`run.rs`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::postgres::connection::Connection;
use crate::postgres::error::{Phase, QueryError};
use crate::postgres::run::Statement;
use crate::settings::AccessMode;

mod catalog;
pub mod parser;
mod policy;
mod secrets;
pub mod syntax;
mod walk;

pub use catalog::Questions;
use catalog::{Catalog, Text};
use parser::{Parser, SQL_BYTES_MAX, Unreadable};
pub use policy::Policy;
use policy::{ACCEPTED, Known};
use syntax::{Name, Syntax};

/// How long a verdict holds. What a name stands for may change meanwhile, and the engine's READ ONLY then stands alone.
const VERDICT_LIFETIME: Duration = Duration::from_secs(30);

/// How many verdicts are remembered, of texts up to so many bytes.
const VERDICTS_MAX: usize = 1024;
const VERDICT_SQL_BYTES_MAX: usize = 8 << 10;

/// How many texts behind a statement's names are read; a view may stand on views.
const TEXTS_MAX: usize = 200;

/// The guard for one set of settings.
pub struct Guard {
    parser: Arc<Parser>,
    policy: Policy,
    verdicts: Mutex<HashMap<Arc<str>, Remembered>>,
}

struct Remembered {
    until: Instant,
    verdict: Result<Known, String>,
}

/// A statement whose syntax may run. Whether all that it names may, is decided on its connection.
pub struct Reviewed {
    guard: Arc<Guard>,
    statement: Statement,
    stage: Stage,
}

enum Stage {
    /// Decided on before, or not to be decided on.
    Known(Known),
    /// To be looked up.
    Read(Box<Syntax>),
    /// The parser could not read it, for this reason. If PostgreSQL cannot either, its error says more.
    Unread(String),
}

/// A statement that may run.
#[derive(Clone, Copy)]
pub struct Cleared<'a> {
    statement: &'a Statement,
    known: Known,
}

impl Guard {
    /// A guard that lets through what it knows as harmless, and what `policy` says.
    pub fn new(parser: Arc<Parser>, policy: Policy) -> Self {
        Self { parser, policy, verdicts: Mutex::default() }
    }

    /// The guard for other settings, or another database. It remembers nothing.
    #[must_use]
    pub fn renewed(&self, policy: Policy) -> Self {
        Self::new(self.parser.clone(), policy)
    }

    /// What it lets through.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Review a statement's syntax. In read-write mode there is nothing to review.
    ///
    /// # Errors
    /// [`QueryError::Refused`], with what is accepted.
    pub async fn review(self: &Arc<Self>, statement: Statement, access: AccessMode) -> Result<Reviewed, QueryError> {
        let stage = match access {
            AccessMode::ReadWrite => Stage::Known(Known { leaves_nothing: false }),
            AccessMode::ReadOnly => match self.remembered(&statement.sql) {
                Some(verdict) => Stage::Known(verdict.map_err(refused)?),
                // Boxed, for it is seldom, and whoever awaits this would have room for it.
                None => Box::pin(self.read(&statement.sql)).await?,
            },
        };
        Ok(Reviewed { guard: self.clone(), statement, stage })
    }

    async fn read(&self, sql: &Arc<str>) -> Result<Stage, QueryError> {
        match self.parser.parse(sql).await {
            Ok(syntax) => {
                let verdict = match policy::kinds(&syntax) {
                    Ok(()) if Catalog::is_needed(&syntax) => return Ok(Stage::Read(Box::new(syntax))),
                    Ok(()) => policy::names(&syntax, Catalog::default(), &self.policy).map(|(known, _)| known),
                    Err(why) => Err(why),
                };
                self.remember(sql, verdict.clone());
                Ok(Stage::Known(verdict.map_err(refused)?))
            }
            Err(Unreadable::Syntax(why)) => Ok(Stage::Unread(why)),
            Err(unreadable) => Err(refused(unread(&unreadable))),
        }
    }

    /// Decide on everything that a statement names, and on what stands behind the names.
    async fn decide(
        &self,
        connection: &Connection,
        syntax: &Syntax,
    ) -> Result<Result<Known, String>, tokio_postgres::Error> {
        let questions = connection.questions(Questions::prepare).await?;
        let client = connection.client();
        let catalog = Catalog::look_up(client, questions, syntax, false).await?;
        let (known, mut texts) = match policy::names(syntax, catalog, &self.policy) {
            Ok(known) => known,
            Err(why) => return Ok(Err(why)),
        };
        let mut seen = HashSet::new();
        while let Some(text) = texts.pop() {
            if !seen.insert(text.clone()) {
                continue;
            }
            let Text { of, sql, is_elsewhere } = text;
            let behind = |why: String| Ok(Err(format!("{of} cannot be used: of what stands behind it, {why}")));
            if seen.len() > TEXTS_MAX {
                return behind(format!("there are more than {TEXTS_MAX} texts."));
            }
            let syntax = match self.parser.parse(&sql).await {
                Ok(syntax) => syntax,
                Err(unreadable) => return behind(unread(&unreadable)),
            };
            if let Err(why) = policy::kinds_behind(&syntax) {
                return behind(why);
            }
            if !Catalog::is_needed(&syntax) {
                continue;
            }
            let catalog = Catalog::look_up(client, questions, &syntax, is_elsewhere).await?;
            match policy::names(&syntax, catalog, &self.policy) {
                Ok((_, further)) => texts.extend(further),
                Err(why) => return behind(why),
            }
        }
        Ok(Ok(known))
    }

    fn remembered(&self, sql: &Arc<str>) -> Option<Result<Known, String>> {
        let verdicts = self.verdicts();
        let remembered = verdicts.get(sql)?;
        (remembered.until > Instant::now()).then(|| remembered.verdict.clone())
    }

    fn remember(&self, sql: &Arc<str>, verdict: Result<Known, String>) {
        if sql.len() > VERDICT_SQL_BYTES_MAX {
            return;
        }
        let now = Instant::now();
        let mut verdicts = self.verdicts();
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.retain(|_, remembered| remembered.until > now);
            if verdicts.len() >= VERDICTS_MAX {
                verdicts.clear();
            }
        }
        verdicts.insert(sql.clone(), Remembered { until: now + VERDICT_LIFETIME, verdict });
    }

    fn verdicts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Remembered>> {
        // Nothing panics while it is held.
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reviewed {
    /// Its text.
    pub fn sql(&self) -> &Arc<str> {
        &self.statement.sql
    }

    /// Whether it was cleared before, and leaves nothing on a connection that was not there before it.
    pub fn leaves_nothing(&self) -> bool {
        matches!(self.stage, Stage::Known(known) if known.leaves_nothing)
    }

    /// Whether it must be cleared before PostgreSQL parses it: that reads the literals in it as what they are of, and of
    /// an array, a row or a range over a user's domain it runs the domain's checks.
    pub fn must_be_cleared_first(&self) -> bool {
        let is_builtin = |name: &Name| name.schema.as_deref() == Some("pg_catalog");
        matches!(&self.stage, Stage::Read(syntax) if !syntax.types.iter().all(is_builtin))
    }

    /// Clear it for a connection, on which a READ ONLY transaction has begun. PostgreSQL must have parsed it meanwhile:
    /// what the guard's parser cannot read is left to PostgreSQL's error, and refused if there is none.
    ///
    /// # Errors
    /// [`QueryError::Refused`], with what is accepted; or the catalogs cannot be asked.
    pub async fn clear(&self, connection: &Connection, target: &str) -> Result<Cleared<'_>, QueryError> {
        let known = match &self.stage {
            Stage::Known(known) => *known,
            Stage::Unread(why) => return Err(refused(unread(&Unreadable::Syntax(why.clone())))),
            Stage::Read(syntax) => {
                let decided = self.guard.decide(connection, syntax).await;
                let verdict = decided.map_err(|error| QueryError::of(&error, "", Phase::Begin, target))?;
                self.guard.remember(&self.statement.sql, verdict.clone());
                verdict.map_err(refused)?
            }
        };
        Ok(Cleared { statement: &self.statement, known })
    }

    /// The same without a connection, if that was done before.
    pub fn cleared(&self) -> Option<Cleared<'_>> {
        match self.stage {
            Stage::Known(known) => Some(Cleared { statement: &self.statement, known }),
            Stage::Read(_) | Stage::Unread(_) => None,
        }
    }
}

impl<'a> Cleared<'a> {
    /// The statement.
    pub fn statement(self) -> &'a Statement {
        self.statement
    }

    /// Whether it leaves nothing on a connection that was not there before it.
    pub fn leaves_nothing(self) -> bool {
        self.known.leaves_nothing
    }
}

fn refused(why: String) -> QueryError {
    QueryError::Refused { why }
}

fn unread(unreadable: &Unreadable) -> String {
    match unreadable {
        Unreadable::Syntax(why) => {
            format!("The statement cannot be checked for read-only mode, so it does not run: {why}. {ACCEPTED}.")
        }
        Unreadable::TooLong(bytes) => format!(
            "The statement has {bytes} bytes; in read-only mode, where each is checked, {SQL_BYTES_MAX} are accepted. \
             Give long lists of values as one array in parameters: … = ANY($1)."
        ),
        Unreadable::Crashed => {
            "The statement cannot be checked for read-only mode, so it does not run: the parser ended \
                                over it. Write it with less nesting."
                .to_owned()
        }
        Unreadable::TimedOut => {
            "The statement cannot be checked for read-only mode, so it does not run: the parser took \
                                 too long. Write it shorter."
                .to_owned()
        }
    }
}
