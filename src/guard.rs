//! The guard: no statement runs that it has not cleared. In read-only mode it clears what only reads; in read-write mode
//! everything, and says of what only reads that it does.
//!
//! PostgreSQL is the boundary: the extended protocol, a READ ONLY transaction, ROLLBACK, the role's own rights. The
//! guard stops before that what a READ ONLY transaction lets through: functions with effects outside of it, settings,
//! locks, secrets. It reads a statement by PostgreSQL's own parser, decides on its kind, looks up each name in this
//! database, reads on what stands behind the names, and remembers the verdict for a while by the statement's text.
//!
//! In read-write mode nothing is refused by it. What it finds to read only runs in a READ ONLY transaction all the same,
//! so it may be sent again, leave its connection as it was (`run.rs`); if PostgreSQL then says that it
//! writes, the verdict is taken back and it runs as what writes.
//!
//! The one way to PostgreSQL is by types: a statement is [`Reviewed`] before it gets a connection, and [`Cleared`] on
//! that connection before it is bound; only the guard makes these, and only a cleared one can be bound (`run.rs`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::postgres::connection::Connection;
use crate::postgres::error::{Phase, QueryError};
use crate::postgres::run::Statement;
use crate::postgres::sql::Operation;
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

/// What is decided by in read-write mode: whether a statement only reads, whatever it shows.
const FOR_KNOWLEDGE: Policy = Policy { allow: Vec::new(), deny: Vec::new(), sensitive: true };

/// The guard for one set of settings.
pub struct Guard {
    parser: Arc<Parser>,
    read_only: Judge,
    read_write: Judge,
}

/// What one mode lets through, or knows.
struct Judge {
    policy: Policy,
    verdicts: Verdicts,
}

/// Verdicts, remembered by the text.
#[derive(Default)]
struct Verdicts(Mutex<HashMap<Arc<str>, Remembered>>);

struct Remembered {
    until: Instant,
    verdict: Verdict,
}

/// What is known of a statement that only reads, or why it does not.
type Verdict = Result<Known, String>;

/// A statement whose syntax may run. Whether all that it names may, is decided on its connection.
pub struct Reviewed {
    guard: Arc<Guard>,
    statement: Statement,
    access: AccessMode,
    stage: Stage,
}

enum Stage {
    /// Decided on before, or not to be decided on.
    Known(Clearance),
    /// To be looked up.
    Read(Box<Syntax>),
    /// The parser could not read it, for this reason. If PostgreSQL cannot either, its error says more.
    Unread(String),
}

/// A statement that may run.
#[derive(Clone, Copy)]
pub struct Cleared<'a> {
    statement: &'a Statement,
    clearance: Clearance,
}

/// What a statement may run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clearance {
    /// In this mode.
    pub access: AccessMode,
    /// In a READ ONLY transaction, and more than once.
    pub only_reads: bool,
    /// It leaves nothing on a connection that was not there before it.
    pub leaves_nothing: bool,
}

impl Guard {
    /// A guard that lets through what it knows as harmless, and what `policy` says.
    pub fn new(parser: Arc<Parser>, policy: Policy) -> Self {
        Self { parser, read_only: Judge::new(policy), read_write: Judge::new(FOR_KNOWLEDGE) }
    }

    /// The guard for other settings, or another database. It remembers nothing.
    #[must_use]
    pub fn renewed(&self, policy: Policy) -> Self {
        Self::new(self.parser.clone(), policy)
    }

    /// What it lets through in read-only mode.
    pub fn policy(&self) -> &Policy {
        &self.read_only.policy
    }

    /// Review a statement's syntax. In read-write mode nothing is refused.
    ///
    /// # Errors
    /// [`QueryError::Refused`], with what is accepted.
    pub async fn review(self: &Arc<Self>, statement: Statement, access: AccessMode) -> Result<Reviewed, QueryError> {
        let stage = match self.judge(access).verdicts.get(&statement.sql) {
            Some(verdict) => Stage::Known(cleared(access, verdict)?),
            None if access == AccessMode::ReadWrite && !Operation::of(&statement.sql).may_only_read() => {
                Stage::Known(Clearance::of(access))
            }
            // Boxed, for it is seldom, and whoever awaits this would have room for it.
            None => Box::pin(self.read(&statement.sql, access)).await?,
        };
        Ok(Reviewed { guard: self.clone(), statement, access, stage })
    }

    /// Take a statement as what it may be at most in read-write mode, without a look at it.
    pub fn unjudged(self: &Arc<Self>, statement: Statement) -> Reviewed {
        let access = AccessMode::ReadWrite;
        Reviewed { guard: self.clone(), statement, access, stage: Stage::Known(Clearance::of(access)) }
    }

    fn judge(&self, access: AccessMode) -> &Judge {
        match access {
            AccessMode::ReadOnly => &self.read_only,
            AccessMode::ReadWrite => &self.read_write,
        }
    }

    async fn read(&self, sql: &Arc<str>, access: AccessMode) -> Result<Stage, QueryError> {
        let Judge { policy, verdicts } = self.judge(access);
        match self.parser.parse(sql).await {
            Ok(syntax) => {
                let verdict = match policy::kinds(&syntax) {
                    Ok(()) if Catalog::is_needed(&syntax) => return Ok(Stage::Read(Box::new(syntax))),
                    Ok(()) => policy::names(&syntax, Catalog::default(), policy).map(|(known, _)| known),
                    Err(why) => Err(why),
                };
                verdicts.remember(sql, verdict.clone());
                Ok(Stage::Known(cleared(access, verdict)?))
            }
            Err(Unreadable::Syntax(why)) if access == AccessMode::ReadOnly => Ok(Stage::Unread(why)),
            Err(unreadable) => Ok(Stage::Known(cleared(access, Err(unread(&unreadable)))?)),
        }
    }

    /// Decide on everything that a statement names, and on what stands behind the names.
    async fn decide(
        &self,
        connection: &Connection,
        syntax: &Syntax,
        policy: &Policy,
    ) -> Result<Verdict, tokio_postgres::Error> {
        let questions = connection.questions(Questions::prepare).await?;
        let client = connection.client();
        let catalog = Catalog::look_up(client, questions, syntax, false).await?;
        let (known, mut texts) = match policy::names(syntax, catalog, policy) {
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
            match policy::names(&syntax, catalog, policy) {
                Ok((_, further)) => texts.extend(further),
                Err(why) => return behind(why),
            }
        }
        Ok(Ok(known))
    }
}

impl Judge {
    fn new(policy: Policy) -> Self {
        Self { policy, verdicts: Verdicts::default() }
    }
}

impl Verdicts {
    fn get(&self, sql: &str) -> Option<Verdict> {
        let verdicts = self.all();
        let remembered = verdicts.get(sql)?;
        (remembered.until > Instant::now()).then(|| remembered.verdict.clone())
    }

    fn remember(&self, sql: &Arc<str>, verdict: Verdict) {
        if sql.len() > VERDICT_SQL_BYTES_MAX {
            return;
        }
        let now = Instant::now();
        let mut verdicts = self.all();
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.retain(|_, remembered| remembered.until > now);
            if verdicts.len() >= VERDICTS_MAX {
                verdicts.clear();
            }
        }
        verdicts.insert(sql.clone(), Remembered { until: now + VERDICT_LIFETIME, verdict });
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Remembered>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reviewed {
    /// Its text.
    pub fn sql(&self) -> &Arc<str> {
        &self.statement.sql
    }

    /// What it will be cleared for, as far as that is known.
    pub fn expected(&self) -> Clearance {
        match self.stage {
            Stage::Known(clearance) => clearance,
            Stage::Read(_) | Stage::Unread(_) => {
                Clearance { access: self.access, only_reads: true, leaves_nothing: false }
            }
        }
    }

    /// Whether it must be cleared before PostgreSQL parses it: that reads the literals in it as what they are of, and of
    /// an array, a row or a range over a user's domain it runs the domain's checks.
    pub fn must_be_cleared_first(&self) -> bool {
        let is_builtin = |name: &Name| name.schema.as_deref() == Some("pg_catalog");
        let Stage::Read(syntax) = &self.stage else { return false };
        self.access == AccessMode::ReadOnly && !syntax.types.iter().all(is_builtin)
    }

    /// Clear it for a connection, on which a READ ONLY transaction has begun. PostgreSQL must have parsed it meanwhile:
    /// what the guard's parser cannot read is left to PostgreSQL's error, and refused if there is none.
    ///
    /// # Errors
    /// [`QueryError::Refused`], with what is accepted; or the catalogs cannot be asked.
    pub async fn clear(&self, connection: &Connection, target: &str) -> Result<Cleared<'_>, QueryError> {
        let clearance = match &self.stage {
            Stage::Known(clearance) => *clearance,
            Stage::Unread(why) => return Err(refused(unread(&Unreadable::Syntax(why.clone())))),
            Stage::Read(syntax) => {
                let Judge { policy, verdicts } = self.guard.judge(self.access);
                match self.guard.decide(connection, syntax, policy).await {
                    Ok(verdict) => {
                        verdicts.remember(&self.statement.sql, verdict.clone());
                        cleared(self.access, verdict)?
                    }
                    // What the role may not ask it may run all the same.
                    Err(error) if self.access == AccessMode::ReadWrite && error.as_db_error().is_some() => {
                        Clearance::of(self.access)
                    }
                    Err(error) => return Err(QueryError::of(&error, "", Phase::Begin, target)),
                }
            }
        };
        Ok(Cleared { statement: &self.statement, clearance })
    }

    /// The same without a connection, if that was done before.
    pub fn cleared(&self) -> Option<Cleared<'_>> {
        match self.stage {
            Stage::Known(clearance) => Some(Cleared { statement: &self.statement, clearance }),
            Stage::Read(_) | Stage::Unread(_) => None,
        }
    }

    /// In read-write mode: PostgreSQL says that it writes, whatever was found of it.
    pub fn writes(&mut self) {
        self.stage = Stage::Known(Clearance::of(AccessMode::ReadWrite));
        let why = "PostgreSQL has refused it in a READ ONLY transaction".to_owned();
        self.guard.read_write.verdicts.remember(&self.statement.sql, Err(why));
    }
}

impl<'a> Cleared<'a> {
    /// The statement.
    pub fn statement(self) -> &'a Statement {
        self.statement
    }

    /// What it may run as.
    pub fn clearance(self) -> Clearance {
        self.clearance
    }
}

impl Clearance {
    /// What any statement may run as in that mode.
    pub fn of(access: AccessMode) -> Self {
        Self { access, only_reads: access == AccessMode::ReadOnly, leaves_nothing: false }
    }

    /// What its transaction is.
    pub fn transaction(self) -> AccessMode {
        if self.only_reads { AccessMode::ReadOnly } else { AccessMode::ReadWrite }
    }
}

/// What a verdict makes of a statement in that mode.
fn cleared(access: AccessMode, verdict: Verdict) -> Result<Clearance, QueryError> {
    match (verdict, access) {
        (Ok(Known { leaves_nothing }), _) => Ok(Clearance { access, only_reads: true, leaves_nothing }),
        (Err(why), AccessMode::ReadOnly) => Err(refused(why)),
        (Err(_), AccessMode::ReadWrite) => Ok(Clearance::of(access)),
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
