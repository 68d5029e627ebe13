//! The guard checks every statement before it runs. In read-only mode it accepts only statements that read. In
//! read-write mode it accepts every statement, and finds out which ones only read.
//!
//! The guard is not the security boundary. PostgreSQL is, with the extended protocol, a READ ONLY transaction, ROLLBACK
//! and the rights of the role. The guard refuses what a READ ONLY transaction allows: functions with effects outside of
//! the transaction, settings, locks, secrets. It parses a statement with PostgreSQL's own parser and checks its kind.
//! Then it judges each name by the facts about the database, and the SQL texts of user-defined objects in the same way.
//! It caches the judgement for a while, with the text of the statement as the key.
//!
//! In read-write mode, a statement that only reads runs in a READ ONLY transaction too. So it can be sent again after a
//! lost connection, and it leaves its connection clean. If PostgreSQL then refuses it because it writes, the judgement
//! is replaced and the statement runs again as a write.
//!
//! The types make sure that no statement is missed: a statement is [`Reviewed`] before it gets a connection, and
//! [`Cleared`] on that connection before it is bound. Only the guard can make these types, and the functions that bind
//! take a [`Cleared`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{Client, Error};

use crate::facts::{Facts, FactsCache, SessionFacts, TEXT_CHARS_MAX, Text, secrets, sql_texts};
use crate::parser::{Parser, SQL_BYTES_MAX, Unreadable};
use crate::policy::{self, ACCEPTED, Known, Policy};
use crate::reach::{Place, Reach, has_unknown_name, may_hold_secrets, needs_facts};
use crate::refusal::{Refusal, Rule};
use crate::secrets::SecretSource;
use crate::statement::{AccessMode, Statement};
use crate::syntax::Syntax;

mod judgements;

use judgements::{Judgement, Judgements};

/// How many SQL texts of user-defined objects are checked for one statement. A view can use other views.
const TEXTS_MAX: usize = 200;

/// The policy in read-write mode. It finds out whether a statement only reads; secrets do not matter for that.
const READ_WRITE_POLICY: Policy = Policy { allow: Vec::new(), deny: Vec::new(), sensitive: true };

/// With more names than this a statement is judged on another thread. Fewer take less than a millisecond.
const NAMES_JUDGED_AT_ONCE: usize = 500;

/// How long it may take there. The largest statement takes a hundredth of this.
const JUDGING_TIMEOUT: Duration = Duration::from_secs(10);

/// The guard with the policy of the settings.
pub struct Guard {
    parser: Arc<Parser>,
    facts: FactsCache,
    read_only: Judge,
    read_write: Judge,
}

/// The policy of one access mode, with the cache of its judgements.
struct Judge {
    policy: Arc<Policy>,
    judgements: Judgements,
}

/// A statement whose syntax is accepted. Its names are looked up on its connection.
pub struct Reviewed {
    guard: Arc<Guard>,
    statement: Statement,
    access: AccessMode,
    stage: Stage,
}

enum Stage {
    /// The judgement is cached, or none is needed.
    Known(Clearance),
    /// Its names must be looked up.
    Parsed(Arc<Syntax>),
    /// The parser of the guard could not read it, for this reason. If PostgreSQL cannot read it either, its error is
    /// the better one.
    Unparsed(String),
}

/// Why a statement is not cleared.
#[derive(Debug)]
pub enum NotCleared {
    /// It is refused.
    Refused(Refusal),
    /// The catalogs could not be queried.
    LookupFailed(Error),
}

/// A statement that may run.
#[derive(Clone, Copy)]
pub struct Cleared<'a> {
    statement: &'a Statement,
    clearance: Clearance,
}

/// How a statement may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clearance {
    /// The access mode.
    pub access: AccessMode,
    /// It only reads: it runs in a READ ONLY transaction and may be sent again.
    pub only_reads: bool,
    /// It leaves no session state on its connection.
    pub leaves_no_state: bool,
}

impl Guard {
    /// A guard that accepts what it knows to be harmless, and what `policy` allows.
    pub fn new(parser: Arc<Parser>, policy: Policy) -> Self {
        let facts = FactsCache::new(policy.function_names());
        Self { parser, facts, read_only: Judge::new(policy), read_write: Judge::new(READ_WRITE_POLICY) }
    }

    /// A guard with an empty cache, for other settings or another database.
    #[must_use]
    pub fn renewed(&self, policy: Policy) -> Self {
        Self::new(self.parser.clone(), policy)
    }

    /// The policy in read-only mode.
    pub fn policy(&self) -> &Policy {
        &self.read_only.policy
    }

    /// Reviews the syntax of a statement. In read-write mode nothing is refused.
    ///
    /// # Errors
    /// What is refused, and what would be accepted.
    pub async fn review(self: &Arc<Self>, statement: Statement, access: AccessMode) -> Result<Reviewed, Refusal> {
        let stage = match self.judge(access).judgements.get(statement.sql(), self.facts.believed().as_ref()) {
            Some(judgement) => Stage::Known(cleared(access, judgement)?),
            None if access == AccessMode::ReadWrite && !statement.operation().may_only_read() => {
                Stage::Known(Clearance::of(access))
            }
            // Boxed: rare path; keeps the hot future small.
            None => Box::pin(self.read(statement.sql(), access)).await?,
        };
        Ok(Reviewed { guard: self.clone(), statement, access, stage })
    }

    /// Accepts a statement in read-write mode without a review. It is handled as a write.
    pub fn without_review(self: &Arc<Self>, statement: Statement) -> Reviewed {
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
                    Ok(()) if needs_facts(&syntax) => return Ok(Stage::Parsed(Arc::new(syntax))),
                    Ok(()) => {
                        let no_facts = Facts::for_no_names();
                        let reach = Reach::of(&syntax, &no_facts, Place::default());
                        policy::names(&syntax, &reach, &[], policy, false).map(|(known, _)| known)
                    }
                    Err(why) => Err(why),
                };
                judgements.remember(sql, judgement.clone(), None);
                Ok(Stage::Known(cleared(access, judgement)?))
            }
            Err(Unreadable::Syntax(why)) if access == AccessMode::ReadOnly => Ok(Stage::Unparsed(why)),
            Err(unreadable) => Ok(Stage::Known(cleared(access, Err(unreadable_refusal(&unreadable)))?)),
        }
    }

    /// Decides on all names of a statement, and on the SQL texts of the user-defined objects among them. Returns the
    /// facts that it has decided by.
    async fn decide(
        &self,
        client: &Client,
        session: &SessionFacts,
        syntax: &Arc<Syntax>,
        access: AccessMode,
    ) -> Result<(Judgement, Arc<Facts>), Error> {
        let policy = &self.judge(access).policy;
        let mut facts = self.facts.get(client, session, false).await?;
        if has_unknown_name(syntax, &facts) {
            facts = self.facts.get(client, session, true).await?;
        }
        let secrets = if may_hold_secrets(syntax) { secrets(client).await? } else { Vec::new() };
        let place = Place::default();
        let judgement = match judge_names(syntax, &facts, secrets, policy, place).await {
            Ok((known, texts)) => self.decide_on_texts(client, &facts, texts, access).await?.map(|()| known),
            Err(why) => Err(why),
        };
        Ok((judgement, facts))
    }

    /// Decides on SQL texts, and on those of the objects that they name.
    async fn decide_on_texts(
        &self,
        client: &Client,
        facts: &Arc<Facts>,
        mut texts: Vec<Text>,
        access: AccessMode,
    ) -> Result<Result<(), Refusal>, Error> {
        let policy = &self.judge(access).policy;
        // Whether there are secrets to read is no fact: it is asked each time.
        let mut depends_on_secrets = false;
        let mut seen = HashSet::new();
        while let Some(text) = texts.pop() {
            if facts.accepted().contains(&(access, text.clone())) || !seen.insert(text.clone()) {
                continue;
            }
            let Text { name: object, any_schema, .. } = &text;
            let in_object = |refusal: Refusal| {
                Ok(Err(refusal.reworded(|why| format!("{object} cannot be used: of what stands behind it, {why}"))))
            };
            if seen.len() > TEXTS_MAX {
                let why = format!("there are more than {TEXTS_MAX} texts.");
                return in_object(Refusal::new(Rule::TooMuchBehind, object.as_str(), why));
            }
            for sql in sql_texts(client, &text).await? {
                if sql.chars().nth(TEXT_CHARS_MAX).is_some() {
                    let why = format!("a text has more than {TEXT_CHARS_MAX} characters, so it cannot be checked.");
                    return in_object(Refusal::new(Rule::TooMuchBehind, object.as_str(), why));
                }
                let syntax = match self.parser.parse(&sql).await {
                    Ok(syntax) => Arc::new(syntax),
                    Err(unreadable) => return in_object(unreadable_refusal(&unreadable)),
                };
                if let Err(why) = policy::kinds_in_text(&syntax) {
                    return in_object(why);
                }
                let may_hold_secrets = may_hold_secrets(&syntax);
                depends_on_secrets |= may_hold_secrets;
                let secrets = if may_hold_secrets { secrets(client).await? } else { Vec::new() };
                let place = Place { is_behind: true, any_schema: *any_schema, is_policy: text.is_policy() };
                match judge_names(&syntax, facts, secrets, policy, place).await {
                    Ok((_, further)) => texts.extend(further),
                    Err(why) => return in_object(why),
                }
            }
        }
        if !depends_on_secrets {
            facts.accepted().extend(seen.into_iter().map(|text| (access, text)));
        }
        Ok(Ok(()))
    }
}

/// Judges the names of a statement, or of the text of an object. A large one is judged on another thread, so that no actor
/// waits for it.
async fn judge_names(
    syntax: &Arc<Syntax>,
    facts: &Arc<Facts>,
    secrets: Vec<(SecretSource, String)>,
    policy: &Arc<Policy>,
    place: Place,
) -> Result<(Known, Vec<Text>), Refusal> {
    if syntax.names() <= NAMES_JUDGED_AT_ONCE {
        return policy::names(syntax, &Reach::of(syntax, facts, place), &secrets, policy, place.is_policy);
    }
    let (syntax, facts, policy) = (syntax.clone(), facts.clone(), policy.clone());
    let elsewhere =
        move || policy::names(&syntax, &Reach::of(&syntax, &facts, place), &secrets, &policy, place.is_policy);
    let judged = tokio::time::timeout(JUDGING_TIMEOUT, tokio::task::spawn_blocking(elsewhere)).await;
    judged
        .map_or(Err(Unreadable::TimedOut), |judged| judged.map_err(|_| Unreadable::Crashed))
        .unwrap_or_else(|why| Err(unreadable_refusal(&why)))
}

impl Judge {
    fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy), judgements: Judgements::default() }
    }
}

impl Reviewed {
    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The clearance that is to be expected, as far as it is known.
    pub fn expected(&self) -> Clearance {
        match self.stage {
            Stage::Known(clearance) => clearance,
            Stage::Parsed(_) | Stage::Unparsed(_) => {
                Clearance { access: self.access, only_reads: true, leaves_no_state: false }
            }
        }
    }

    /// Whether the guard's parser cannot read it. In read-write mode such a statement is not known.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.stage, Stage::Unparsed(_))
    }

    /// Whether it must be cleared before PostgreSQL parses it. PostgreSQL evaluates a literal while it parses it, and for an
    /// array, a row or a range over a user-defined domain that runs the checks of the domain. The statement need not name
    /// the type: in `coalesce(c, '{5}')` it is that of the column.
    pub fn must_be_cleared_first(&self) -> bool {
        self.access == AccessMode::ReadOnly && matches!(self.stage, Stage::Parsed(_))
    }

    /// Clears it on a connection where a READ ONLY transaction has begun. A statement that the guard cannot parse is
    /// refused; the error of PostgreSQL, if it has one, is the better answer. `session` belongs to the connection.
    ///
    /// # Errors
    /// The statement is refused, or the catalogs cannot be queried.
    pub async fn clear(&self, client: &Client, session: &SessionFacts) -> Result<Cleared<'_>, NotCleared> {
        let clearance = match &self.stage {
            Stage::Known(clearance) => *clearance,
            Stage::Unparsed(why) => {
                return Err(NotCleared::Refused(unreadable_refusal(&Unreadable::Syntax(why.clone()))));
            }
            Stage::Parsed(syntax) => {
                let judgements = &self.guard.judge(self.access).judgements;
                match self.guard.decide(client, session, syntax, self.access).await {
                    Ok((judgement, facts)) => {
                        judgements.remember(self.statement.sql(), judgement.clone(), Some(&facts));
                        cleared(self.access, judgement).map_err(NotCleared::Refused)?
                    }
                    // If the role may not query the catalogs, the statement may still run in read-write mode.
                    Err(error) if self.access == AccessMode::ReadWrite && error.as_db_error().is_some() => {
                        Clearance::of(self.access)
                    }
                    Err(error) => return Err(NotCleared::LookupFailed(error)),
                }
            }
        };
        Ok(Cleared { statement: &self.statement, clearance })
    }

    /// The cleared statement, if no catalog has to be queried for it.
    pub fn cleared(&self) -> Option<Cleared<'_>> {
        match self.stage {
            Stage::Known(clearance) => Some(Cleared { statement: &self.statement, clearance }),
            Stage::Parsed(_) | Stage::Unparsed(_) => None,
        }
    }

    /// It has run as a write. Unless it only changes rows, it may have changed objects, so the catalogs are looked at before
    /// the next statement is judged by the facts.
    pub fn may_have_changed_objects(&self) {
        if !self.statement.operation().changes_rows() {
            self.guard.facts.expire();
        }
    }

    /// Records in read-write mode that PostgreSQL has refused it as a write.
    pub fn mark_as_write(&mut self) {
        self.stage = Stage::Known(Clearance::of(AccessMode::ReadWrite));
        let why = "PostgreSQL has refused it in a READ ONLY transaction";
        let refusal = Refusal::new(Rule::StatementKind, self.statement.operation().as_str(), why);
        self.guard.read_write.judgements.remember(self.statement.sql(), Err(refusal), None);
    }
}

impl<'a> Cleared<'a> {
    /// The statement.
    pub fn statement(self) -> &'a Statement {
        self.statement
    }

    /// How it may run.
    pub fn clearance(self) -> Clearance {
        self.clearance
    }
}

impl Clearance {
    /// The clearance of any statement in this access mode.
    pub fn of(access: AccessMode) -> Self {
        Self { access, only_reads: access == AccessMode::ReadOnly, leaves_no_state: false }
    }

    /// What a question of the caller's own is in that mode: it only reads.
    pub fn to_ask(access: AccessMode) -> Self {
        Self { access, only_reads: true, leaves_no_state: true }
    }

    /// What its transaction is.
    pub fn transaction(self) -> AccessMode {
        if self.only_reads { AccessMode::ReadOnly } else { AccessMode::ReadWrite }
    }
}

/// The clearance of a statement with this judgement.
fn cleared(access: AccessMode, judgement: Judgement) -> Result<Clearance, Refusal> {
    match (judgement, access) {
        (Ok(Known { leaves_no_state }), _) => Ok(Clearance { access, only_reads: true, leaves_no_state }),
        (Err(refusal), AccessMode::ReadOnly) => Err(refusal),
        (Err(_), AccessMode::ReadWrite) => Ok(Clearance::of(access)),
    }
}

fn unreadable_refusal(unreadable: &Unreadable) -> Refusal {
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
