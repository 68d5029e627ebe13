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

macro_rules! rules {
    ($($(#[$what:meta])* $rule:ident => $name:literal,)*) => {
        /// The rules. Their names do not change: a log or a program may depend on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$what])* $rule,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$rule => $name,)* }
            }
        }
    };
}

rules! {
    /// There is no statement in the text.
    NoStatement => "no-statement",
    /// The text holds the character U+0000.
    NulCharacter => "nul-character",
    /// The statement acts on the connection, which the next call may have: BEGIN, PREPARE, COPY, LISTEN.
    ConnectionState => "connection-state",
    /// What the statement does ends with its call: SET, LOCK, DECLARE.
    EndsWithTheCall => "ends-with-the-call",
    /// The statement needs a session, and the connection goes through a pooler that lends one for a transaction only.
    NeedsSession => "needs-session",
    /// The text holds several statements.
    SeveralStatements => "several-statements",
    /// The statement, or one inside it, is of a kind that does not only read.
    StatementKind => "statement-kind",
    /// SELECT INTO makes a table.
    SelectInto => "select-into",
    /// FOR UPDATE and its like lock rows.
    RowLock => "row-lock",
    /// The operator has excluded the function.
    FunctionExcluded => "function-excluded",
    /// The function shows secrets.
    FunctionSecret => "function-secret",
    /// The function runs with the rights of its owner.
    FunctionDefiner => "function-definer",
    /// The function is written in a language that can do anything on the server.
    FunctionLanguage => "function-language",
    /// The function is known to have effects that no transaction undoes.
    FunctionHarmful => "function-harmful",
    /// The function is volatile, and nobody has found it harmless.
    FunctionVolatile => "function-volatile",
    /// The relation's columns hold secrets.
    SecretRelation => "secret-relation",
    /// The setting is a secret, or one of all the settings is.
    SecretSetting => "secret-setting",
    /// There is too much SQL behind the statement's names.
    TooMuchBehind => "too-much-behind",
    /// The parser cannot read it.
    Syntax => "syntax",
    /// It is too long to be parsed.
    TooLong => "too-long",
    /// The parser ended over it.
    ParserCrashed => "parser-crashed",
    /// The parser took too long.
    ParserTimedOut => "parser-timed-out",
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
