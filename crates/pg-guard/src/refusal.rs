//! Why a statement is not let run: a rule, what it is about, and a sentence for whoever wrote the statement.

use std::fmt;

/// A statement that may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refuses it.
    pub rule: Rule,
    /// What in the statement the rule is about: a command, a function, a relation, a setting. May be empty.
    pub subject: String,
    /// What is wrong and what would be accepted, in whole sentences.
    pub why: String,
}

/// The rules. Their names do not change: a log or a program may go by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// There is no statement in the text.
    NoStatement,
    /// The text holds the character U+0000.
    NulCharacter,
    /// The statement acts on the connection, which the next call may have: BEGIN, PREPARE, COPY, LISTEN.
    ConnectionState,
    /// What the statement does ends with its call: SET, LOCK, DECLARE.
    EndsWithTheCall,
    /// The text holds several statements.
    SeveralStatements,
    /// The statement, or one inside it, is of a kind that does not only read.
    StatementKind,
    /// SELECT INTO makes a table.
    SelectInto,
    /// FOR UPDATE and its like lock rows.
    RowLock,
    /// The operator has excluded the function.
    FunctionExcluded,
    /// The function shows secrets.
    FunctionSecret,
    /// The function runs with the rights of its owner.
    FunctionDefiner,
    /// The function is written in a language that can do anything on the server.
    FunctionLanguage,
    /// The function is known to have effects that no transaction undoes.
    FunctionHarmful,
    /// The function is volatile, and nobody has found it harmless.
    FunctionVolatile,
    /// The relation's columns hold secrets.
    SecretRelation,
    /// The setting is a secret, or one of all the settings is.
    SecretSetting,
    /// There is too much SQL behind the statement's names.
    TooMuchBehind,
    /// The parser cannot read it.
    Syntax,
    /// It is too long to be parsed.
    TooLong,
    /// The parser ended over it.
    ParserCrashed,
    /// The parser took too long.
    ParserTimedOut,
}

impl Rule {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoStatement => "no-statement",
            Self::NulCharacter => "nul-character",
            Self::ConnectionState => "connection-state",
            Self::EndsWithTheCall => "ends-with-the-call",
            Self::SeveralStatements => "several-statements",
            Self::StatementKind => "statement-kind",
            Self::SelectInto => "select-into",
            Self::RowLock => "row-lock",
            Self::FunctionExcluded => "function-excluded",
            Self::FunctionSecret => "function-secret",
            Self::FunctionDefiner => "function-definer",
            Self::FunctionLanguage => "function-language",
            Self::FunctionHarmful => "function-harmful",
            Self::FunctionVolatile => "function-volatile",
            Self::SecretRelation => "secret-relation",
            Self::SecretSetting => "secret-setting",
            Self::TooMuchBehind => "too-much-behind",
            Self::Syntax => "syntax",
            Self::TooLong => "too-long",
            Self::ParserCrashed => "parser-crashed",
            Self::ParserTimedOut => "parser-timed-out",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Refusal {
    pub(crate) fn new(rule: Rule, subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self { rule, subject: subject.into(), why: why.into() }
    }

    /// The same refusal in other words.
    pub(crate) fn reworded(self, words: impl FnOnce(&str) -> String) -> Self {
        Self { why: words(&self.why), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refusal {}
