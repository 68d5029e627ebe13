//! A row of the tables of statements that read-only mode must refuse.

use Class::*;

use crate::common::versions::Versions;

/// What kind of attack it is: the names of the survey that the tables were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Dml,
    Ddl,
    Privilege,
    CteDml,
    SelectInto,
    Locking,
    ExplainAnalyze,
    Dynamic,
    Stacked,
    LexerDesync,
    Sequence,
    VolatileFunction,
    Hidden,
    SqlAsText,
    Dblink,
    ServerFile,
    LargeObject,
    ServerAdmin,
    AdvisoryLock,
    Notify,
    Sleep,
    SessionSet,
    SessionObject,
    TransactionControl,
    Copy,
    Params,
    Secrets,
    Spelling,
    Position,
}

/// What a statement must do where nobody stops it, to stand in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// This is not what it was.
    Moves(Fact),
    /// One of its values holds this.
    Shows(&'static str),
    /// It takes as long as it wants: `statement_timeout` must end it.
    Sleeps,
    /// A session that listens is told something.
    Notifies,
    /// More than one statement was run.
    RunsSeveral,
}

/// What a [`Lab`](crate::guard::lab::Lab) looks at before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// Every row of every table, catalogue and sequence.
    Data,
    /// What is waiting in indexes, and how large a visibility map is.
    Indexes,
    /// Names and sizes in the server's data folder.
    Files,
    /// Of the session.
    Settings,
    /// Of the session: who it is.
    Role,
    /// Of the session: all but those that only reading takes.
    Locks,
    /// Of the session: by PREPARE.
    Prepared,
    /// Of the session.
    Cursors,
    /// Of the session: what it listens to.
    Channels,
    /// Of the session: whether one is open.
    Transaction,
    /// Of the session: whether `random()` can be foretold.
    Seed,
    /// Whether the other session is there and at work.
    Victim,
    /// Replication slots and how far they are.
    Slots,
    /// Prepared transactions.
    TwoPhase,
    /// Where the last checkpoint is.
    Checkpoint,
    /// Which file of the write-ahead log is written.
    WalFile,
    /// Messages and restore points in the write-ahead log.
    WalMarks,
    /// When statistics were reset.
    Statistics,
    /// When the configuration was loaded.
    Configuration,
    /// Which file the server logs to.
    LogFile,
}

/// How it is sent to the laboratory. To our server everything goes by the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// By itself.
    Alone,
    /// After BEGIN READ ONLY, and looked at before the transaction ends.
    InReadOnly,
    /// After BEGIN, likewise.
    InTransaction,
}

/// Who must stop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// We do, before PostgreSQL sees it.
    Refused,
    /// We or PostgreSQL's own parser: it takes one statement and no more.
    Engine,
}

/// A statement that must not run in read-only mode.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    pub class: Class,
    pub sql: &'static str,
    pub parameters: &'static [&'static str],
    pub harm: Harm,
    pub sent: Sent,
    pub verdict: Verdict,
    /// Where there is what it uses.
    pub versions: Versions,
}

const fn attack(class: Class, sql: &'static str, harm: Harm) -> Attack {
    let verdict = match class {
        Stacked | LexerDesync => Verdict::Engine,
        _ => Verdict::Refused,
    };
    Attack { class, sql, parameters: &[], harm, sent: Sent::Alone, verdict, versions: Versions::ALL }
}

/// It changes something that lasts.
pub const fn moves(class: Class, fact: Fact, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Moves(fact))
}

/// It tells what nobody may know.
pub const fn shows(class: Class, canary: &'static str, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Shows(canary))
}

/// It waits.
pub const fn sleeps(class: Class, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Sleeps)
}

/// It tells other sessions something.
pub const fn notifies(class: Class, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Notifies)
}

/// It is several.
pub const fn several(class: Class, sql: &'static str) -> Attack {
    attack(class, sql, Harm::RunsSeveral)
}

impl Attack {
    /// The harm is done inside of a read-only transaction, and seen there.
    pub const fn in_read_only(self) -> Self {
        Self { sent: Sent::InReadOnly, ..self }
    }

    /// The harm is seen while its transaction lasts.
    pub const fn in_transaction(self) -> Self {
        Self { sent: Sent::InTransaction, ..self }
    }

    /// Later versions have nothing of this name, or make something harmless of it.
    pub const fn until(self, version: u32) -> Self {
        Self { versions: Versions { until: version, ..self.versions }, ..self }
    }

    /// Earlier versions have nothing of this name.
    pub const fn since(self, version: u32) -> Self {
        Self { versions: Versions { since: version, ..self.versions }, ..self }
    }

    /// `$1 …`, texts all of them.
    pub const fn with(self, parameters: &'static [&'static str]) -> Self {
        Self { parameters, ..self }
    }
}
