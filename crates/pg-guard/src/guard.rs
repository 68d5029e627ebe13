//! The guard: no statement runs that it has not cleared. In read-only mode it clears what only reads; in read-write mode
//! everything, and says of what only reads that it does.
//!
//! PostgreSQL is the boundary: the extended protocol, a READ ONLY transaction, ROLLBACK, the role's own rights. The
//! guard stops before that what a READ ONLY transaction lets through: functions with effects outside of it, settings,
//! locks, secrets. It reads a statement by PostgreSQL's own parser, decides on its kind, looks up each name in this
//! database, reads on what stands behind the names, and remembers the judgement for a while by the statement's text.
//!
//! In read-write mode nothing is refused by it. What it finds to read only runs in a READ ONLY transaction all the same,
//! so it may be sent again, and leaves its connection as it was; if PostgreSQL then says that it writes, the judgement is
//! taken back and it runs as what writes.
//!
//! The one way to PostgreSQL is by types: a statement is [`Reviewed`] before it gets a connection, and [`Cleared`] on
//! that connection before it is bound; only the guard makes these, so a function that binds takes a cleared one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error};

use crate::catalog::{Catalog, Questions, Text};
use crate::parser::{Parser, SQL_BYTES_MAX, Unreadable};
use crate::policy::{self, ACCEPTED, Known, Policy};
use crate::refusal::{Refusal, Rule};
use crate::statement::{AccessMode, Statement};
use crate::syntax::{Name, Syntax};

/// How long a judgement holds. What a name stands for may change meanwhile, and the engine's READ ONLY then stands alone.
const JUDGEMENT_LIFETIME: Duration = Duration::from_secs(30);

/// How many judgements are remembered, of texts up to so many bytes.
const JUDGEMENTS_MAX: usize = 1024;
const JUDGEMENT_SQL_BYTES_MAX: usize = 8 << 10;

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
    judgements: Judgements,
}

/// Judgements, remembered by the text.
#[derive(Default)]
struct Judgements(Mutex<HashMap<Arc<str>, Remembered>>);

struct Remembered {
    until: Instant,
    judgement: Judgement,
}

/// What is known of a statement that only reads, or why it does not.
type Judgement = Result<Known, Refusal>;

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

/// Why a statement is not cleared.
#[derive(Debug)]
pub enum NotCleared {
    /// It may not run.
    Refused(Refusal),
    /// The catalogs could not be asked.
    Unasked(Error),
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
    /// What is refused, and what is accepted.
    pub async fn review(self: &Arc<Self>, statement: Statement, access: AccessMode) -> Result<Reviewed, Refusal> {
        let stage = match self.judge(access).judgements.get(statement.sql()) {
            Some(judgement) => Stage::Known(cleared(access, judgement)?),
            None if access == AccessMode::ReadWrite && !statement.operation().may_only_read() => {
                Stage::Known(Clearance::of(access))
            }
            // Boxed: rare path; keeps the hot future small.
            None => Box::pin(self.read(statement.sql(), access)).await?,
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

    async fn read(&self, sql: &Arc<str>, access: AccessMode) -> Result<Stage, Refusal> {
        let Judge { policy, judgements } = self.judge(access);
        match self.parser.parse(sql).await {
            Ok(syntax) => {
                let judgement = match policy::kinds(&syntax) {
                    Ok(()) if Catalog::is_needed(&syntax) => return Ok(Stage::Read(Box::new(syntax))),
                    Ok(()) => policy::names(&syntax, Catalog::default(), policy).map(|(known, _)| known),
                    Err(why) => Err(why),
                };
                judgements.remember(sql, judgement.clone());
                Ok(Stage::Known(cleared(access, judgement)?))
            }
            Err(Unreadable::Syntax(why)) if access == AccessMode::ReadOnly => Ok(Stage::Unread(why)),
            Err(unreadable) => Ok(Stage::Known(cleared(access, Err(unread(&unreadable)))?)),
        }
    }

    /// Decide on everything that a statement names, and on what stands behind the names.
    async fn decide(
        &self,
        client: &Client,
        questions: &Questions,
        syntax: &Syntax,
        policy: &Policy,
    ) -> Result<Judgement, Error> {
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
            let Text { of, sql, any_schema } = text;
            let behind = |refusal: Refusal| {
                Ok(Err(refusal.reworded(|why| format!("{of} cannot be used: of what stands behind it, {why}"))))
            };
            if seen.len() > TEXTS_MAX {
                let why = format!("there are more than {TEXTS_MAX} texts.");
                return behind(Refusal::new(Rule::TooMuchBehind, of.as_str(), why));
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
            let catalog = Catalog::look_up(client, questions, &syntax, any_schema).await?;
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
        Self { policy, judgements: Judgements::default() }
    }
}

impl Judgements {
    fn get(&self, sql: &str) -> Option<Judgement> {
        let judgements = self.all();
        let remembered = judgements.get(sql)?;
        (remembered.until > Instant::now()).then(|| remembered.judgement.clone())
    }

    fn remember(&self, sql: &Arc<str>, judgement: Judgement) {
        if sql.len() > JUDGEMENT_SQL_BYTES_MAX {
            return;
        }
        let now = Instant::now();
        let mut judgements = self.all();
        if judgements.len() >= JUDGEMENTS_MAX {
            judgements.retain(|_, remembered| remembered.until > now);
            if judgements.len() >= JUDGEMENTS_MAX {
                judgements.clear();
            }
        }
        judgements.insert(sql.clone(), Remembered { until: now + JUDGEMENT_LIFETIME, judgement });
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Remembered>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reviewed {
    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
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
    /// what the guard's parser cannot read is left to PostgreSQL's error, and refused if there is none. `questions` are
    /// the connection's.
    ///
    /// # Errors
    /// It is refused, or the catalogs cannot be asked.
    pub async fn clear(&self, client: &Client, questions: &Questions) -> Result<Cleared<'_>, NotCleared> {
        let clearance = match &self.stage {
            Stage::Known(clearance) => *clearance,
            Stage::Unread(why) => return Err(NotCleared::Refused(unread(&Unreadable::Syntax(why.clone())))),
            Stage::Read(syntax) => {
                let Judge { policy, judgements } = self.guard.judge(self.access);
                match self.guard.decide(client, questions, syntax, policy).await {
                    Ok(judgement) => {
                        judgements.remember(self.statement.sql(), judgement.clone());
                        cleared(self.access, judgement).map_err(NotCleared::Refused)?
                    }
                    // What the role may not ask it may run all the same.
                    Err(error) if self.access == AccessMode::ReadWrite && error.as_db_error().is_some() => {
                        Clearance::of(self.access)
                    }
                    Err(error) => return Err(NotCleared::Unasked(error)),
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
        let why = "PostgreSQL has refused it in a READ ONLY transaction";
        let refusal = Refusal::new(Rule::StatementKind, self.statement.operation().as_str(), why);
        self.guard.read_write.judgements.remember(self.statement.sql(), Err(refusal));
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

    /// What a question of the caller's own is in that mode: it only reads.
    pub fn to_ask(access: AccessMode) -> Self {
        Self { access, only_reads: true, leaves_nothing: true }
    }

    /// What its transaction is.
    pub fn transaction(self) -> AccessMode {
        if self.only_reads { AccessMode::ReadOnly } else { AccessMode::ReadWrite }
    }
}

/// What a judgement makes of a statement in that mode.
fn cleared(access: AccessMode, judgement: Judgement) -> Result<Clearance, Refusal> {
    match (judgement, access) {
        (Ok(Known { leaves_nothing }), _) => Ok(Clearance { access, only_reads: true, leaves_nothing }),
        (Err(refusal), AccessMode::ReadOnly) => Err(refusal),
        (Err(_), AccessMode::ReadWrite) => Ok(Clearance::of(access)),
    }
}

fn unread(unreadable: &Unreadable) -> Refusal {
    const UNCHECKED: &str = "The statement cannot be checked for read-only mode, so it does not run";
    let (rule, why) = match unreadable {
        Unreadable::Syntax(why) => (Rule::Syntax, format!("{UNCHECKED}: {why}. {ACCEPTED}.")),
        Unreadable::TooLong(bytes) => {
            let why = format!(
                "The statement has {bytes} bytes; in read-only mode, where each is checked, {SQL_BYTES_MAX} are accepted. \
                 Give long lists of values as one array in parameters: … = ANY($1)."
            );
            (Rule::TooLong, why)
        }
        Unreadable::Crashed => {
            (Rule::ParserCrashed, format!("{UNCHECKED}: the parser ended over it. Write it with less nesting."))
        }
        Unreadable::TimedOut => {
            (Rule::ParserTimedOut, format!("{UNCHECKED}: the parser took too long. Write it shorter."))
        }
    };
    Refusal::new(rule, "", why)
}
