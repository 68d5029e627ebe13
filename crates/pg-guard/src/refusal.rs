//! A refusal: the rule, what in the statement it is about, and a sentence for the author of the statement.

use std::fmt;

/// Why a statement may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refuses it.
    pub rule: Rule,
    /// The part of the statement that the rule is about: a command, a function, a relation, a setting. Can be empty.
    pub subject: String,
    /// What is wrong and what would be accepted, in whole sentences.
    pub why: String,
}

macro_rules! rules {
    ($($(#[$what:meta])* $rule:ident => $name:literal,)*) => {
        /// The rules. Their names do not change, because logs and programs may depend on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$what])* $rule,)* }

        impl Rule {
            /// All rules.
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// The name of the rule.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$rule => $name,)* }
            }
        }
    };
}

rules! {
    /// The text has no statement.
    NoStatement => "no-statement",
    /// The text has the character U+0000.
    NulCharacter => "nul-character",
    /// The statement changes the connection, which the next call may use: BEGIN, PREPARE, COPY, LISTEN.
    ConnectionState => "connection-state",
    /// The effect of the statement ends with its call: SET, LOCK, DECLARE.
    EndsWithTheCall => "ends-with-the-call",
    /// The statement needs a session, and the connection goes through a pooler that lends one for a transaction only.
    NeedsSession => "needs-session",
    /// The text holds several statements.
    SeveralStatements => "several-statements",
    /// The statement, or one inside it, is of a kind that does not only read.
    StatementKind => "statement-kind",
    /// SELECT INTO creates a table.
    SelectInto => "select-into",
    /// FOR UPDATE and similar clauses lock rows.
    RowLock => "row-lock",
    /// The operator has excluded the function.
    FunctionExcluded => "function-excluded",
    /// The function returns secrets.
    FunctionSecret => "function-secret",
    /// The function runs with the rights of its owner (SECURITY DEFINER).
    FunctionDefiner => "function-definer",
    /// The function is written in a language that can do anything on the server.
    FunctionLanguage => "function-language",
    /// The function is known to have effects that ROLLBACK does not undo.
    FunctionHarmful => "function-harmful",
    /// The function is volatile and not known to be harmless.
    FunctionVolatile => "function-volatile",
    /// The function is PostgreSQL's own, and it is not in the list of those that are known.
    FunctionUnknown => "function-unknown",
    /// The function is written in SQL and sets a setting for itself that may change how its text is read.
    FunctionSettings => "function-settings",
    /// PostgreSQL may read a name otherwise than the guard, because of the encoding of the database.
    DoubtfulName => "doubtful-name",
    /// The columns of the relation contain secrets.
    SecretRelation => "secret-relation",
    /// The setting is a secret, or all settings are read and one of them is a secret.
    SecretSetting => "secret-setting",
    /// The objects that the statement uses have too many SQL texts.
    TooMuchBehind => "too-much-behind",
    /// The parser cannot read it.
    Syntax => "syntax",
    /// It is too long to be parsed.
    TooLong => "too-long",
    /// The parser crashed on it.
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

    /// The same refusal with another sentence.
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
