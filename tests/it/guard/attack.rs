//! One row of the tables of statements that read-only mode must refuse.

use Class::*;

use crate::common::versions::Versions;

/// The class of an attack. The names are those of the survey that the tables were made from.
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

/// The harm that a statement must do on a server without a guard. Without it a statement may not be in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// It changes this fact.
    Moves(Fact),
    /// One of its values contains this text.
    Shows(&'static str),
    /// It runs until `statement_timeout` ends it.
    Sleeps,
    /// Another session receives a notification.
    Notifies,
    /// More than one statement runs.
    RunsSeveral,
}

/// What a [`Lab`](crate::guard::lab::Lab) compares before and after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// Every row of all tables, catalogs and sequences.
    Data,
    /// The pending entries of indexes, and the size of a visibility map.
    Indexes,
    /// The names and sizes of the files in the data folder of the server.
    Files,
    /// The settings of the session.
    Settings,
    /// The users of the session.
    Role,
    /// The locks of the session, except for those that a read needs.
    Locks,
    /// The prepared statements of the session.
    Prepared,
    /// The cursors of the session.
    Cursors,
    /// The channels that the session listens to.
    Channels,
    /// Whether the session is in a transaction.
    Transaction,
    /// Whether the next value of `random()` in the session is known.
    Seed,
    /// The state of another session.
    Victim,
    /// The replication slots and their positions.
    Slots,
    /// Prepared transactions.
    TwoPhase,
    /// The position of the last checkpoint.
    Checkpoint,
    /// The current file of the write-ahead log.
    WalFile,
    /// The messages and restore points in the write-ahead log.
    WalMarks,
    /// The time of the last reset of statistics.
    Statistics,
    /// The time when the configuration was loaded.
    Configuration,
    /// The current log file of the server.
    LogFile,
}

/// How a statement is sent to the laboratory. The server under test gets all of them through the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Without an explicit transaction.
    Alone,
    /// After BEGIN READ ONLY. The facts are compared before the transaction ends.
    InReadOnly,
    /// After BEGIN. The facts are compared before the transaction ends.
    InTransaction,
}

/// Who must refuse a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The guard, before PostgreSQL receives it.
    Refused,
    /// The guard, or the parser of PostgreSQL, which accepts only one statement.
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
    /// The versions of PostgreSQL that have what it uses.
    pub versions: Versions,
    /// The extension whose functions it calls, if not every laboratory has it.
    pub extension: Option<&'static str>,
}

const fn attack(class: Class, sql: &'static str, harm: Harm) -> Attack {
    let verdict = match class {
        Stacked | LexerDesync => Verdict::Engine,
        _ => Verdict::Refused,
    };
    Attack { class, sql, parameters: &[], harm, sent: Sent::Alone, verdict, versions: Versions::ALL, extension: None }
}

/// A statement that changes a fact.
pub const fn moves(class: Class, fact: Fact, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Moves(fact))
}

/// A statement that shows a secret.
pub const fn shows(class: Class, canary: &'static str, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Shows(canary))
}

/// A statement that sleeps.
pub const fn sleeps(class: Class, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Sleeps)
}

/// A statement that notifies other sessions.
pub const fn notifies(class: Class, sql: &'static str) -> Attack {
    attack(class, sql, Harm::Notifies)
}

/// A text with several statements.
pub const fn several(class: Class, sql: &'static str) -> Attack {
    attack(class, sql, Harm::RunsSeveral)
}

impl Attack {
    /// The statement does its harm in a READ ONLY transaction, where it is found.
    pub const fn in_read_only(self) -> Self {
        Self { sent: Sent::InReadOnly, ..self }
    }

    /// The harm exists only until the end of its transaction.
    pub const fn in_transaction(self) -> Self {
        Self { sent: Sent::InTransaction, ..self }
    }

    /// Later versions do not have the object, or it is harmless there.
    pub const fn until(self, version: u32) -> Self {
        Self { versions: Versions { until: version, ..self.versions }, ..self }
    }

    /// Earlier versions do not have the object.
    pub const fn since(self, version: u32) -> Self {
        Self { versions: Versions { since: version, ..self.versions }, ..self }
    }

    /// Its functions belong to this extension, which is perhaps not installed. Then the statement is skipped.
    pub const fn of(self, extension: &'static str) -> Self {
        Self { extension: Some(extension), ..self }
    }

    /// The values of `$1 …`, which are all texts.
    pub const fn with(self, parameters: &'static [&'static str]) -> Self {
        Self { parameters, ..self }
    }
}
