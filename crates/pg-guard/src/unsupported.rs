//! Statements that no call can run, or not this kind of call, with what to do instead.
//!
//! This is not for security. It saves a model from an answer "Done." when the effect of the statement ends with the
//! call.

use crate::refusal::{Refusal, Rule};
use crate::sql::{Operation, Token, Tokens};

/// The kind of transaction that a statement is to run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// It has one statement.
    Own,
    /// It is a batch of several statements.
    Shared,
}

/// Checks whether `sql` can run in this kind of transaction.
///
/// # Errors
/// The statement that cannot, and what to do instead.
pub(crate) fn unsupported(sql: &str, operation: Operation, transaction: Transaction) -> Result<(), Refusal> {
    if operation.is_a_query() {
        return Ok(());
    }
    let words = first_words(sql);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = unsupported_anywhere(&words).map(|found| (Rule::ConnectionState, found));
    let found = found.or_else(|| match transaction {
        Transaction::Own => ends_with_the_call(&words).map(|found| (Rule::EndsWithTheCall, found)),
        Transaction::Shared => None,
    });
    match found {
        Some((rule, (statement, why))) => {
            Err(Refusal::new(rule, statement, format!("{statement} is not accepted: {why}.")))
        }
        None => Ok(()),
    }
}

/// Statements that would change a connection which other calls use, or that wait for data which nobody sends.
fn unsupported_anywhere<'a>(words: &[&'a str]) -> Option<(&'a str, &'static str)> {
    const TWO_PHASES: &str = "no transaction is prepared through this server, for nobody would be sure to end it; every call \
                              commits by itself. Several statements of one transaction go to batch_query_execute, and \
                              what others have prepared is ended by whoever prepared it";
    Some(match *words {
        ["PREPARE", "TRANSACTION", ..] => ("PREPARE TRANSACTION", TWO_PHASES),
        ["COMMIT", "PREPARED", ..] => ("COMMIT PREPARED", TWO_PHASES),
        ["ROLLBACK", "PREPARED", ..] => ("ROLLBACK PREPARED", TWO_PHASES),
        [word @ ("BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE"), ..] => (
            word,
            "every call is a transaction of its own; to run several statements in one transaction, \
             all or nothing, give them to batch_query_execute without BEGIN and COMMIT",
        ),
        [word @ ("PREPARE" | "EXECUTE" | "DEALLOCATE"), ..] => (
            word,
            "a prepared statement would stay behind on a shared connection; \
             run the statement itself and give its values in `parameters`",
        ),
        ["COPY", ..] => (
            "COPY",
            "COPY streams data that a tool call can neither send nor receive; \
             read with SELECT, write with INSERT",
        ),
        [word @ ("LISTEN" | "UNLISTEN"), ..] => (word, "a call ends before a notification could arrive"),
        _ => return None,
    })
}

/// Statements that only affect the statements after them. There are none: the connection is cleaned when a call ends.
fn ends_with_the_call<'a>(words: &[&'a str]) -> Option<(&'a str, &'static str)> {
    let (statement, rest) = words.split_first()?;
    let why = match *statement {
        "SET" => {
            "what it sets is gone when the call ends; put it into batch_query_execute in front of the statements that \
             need it, or ask the operator for POSTGRES_OPTIONS (-c name=value), which holds for every call"
        }
        "RESET" => {
            "every call has the settings of a new connection; what is to be reset between statements goes to \
             batch_query_execute with them"
        }
        "DISCARD" => "there is nothing to discard, for every call has a connection on which no other has left anything",
        "DECLARE" | "FETCH" | "MOVE" | "CLOSE" => {
            "a cursor is gone when the call ends; run its query itself, of which fetch_rows gives one page after another, \
             or put all statements of the cursor into one batch_query_execute"
        }
        "LOCK" => {
            "the lock is gone when the call ends; put it into batch_query_execute in front of the statements that need it"
        }
        "LOAD" => {
            "the next call may have another connection, without that library; put it into batch_query_execute in front of \
             the statements that need it, or ask the operator for POSTGRES_OPTIONS (-c session_preload_libraries=name)"
        }
        "CREATE" if creates_temporary(rest) => {
            return Some((
                "CREATE TEMPORARY",
                "what is temporary is gone when the call ends; put it into batch_query_execute in front of the statements \
                 that need it, or make it without TEMPORARY",
            ));
        }
        _ => return None,
    };
    Some((statement, why))
}

/// Whether the words after CREATE are `[OR REPLACE] [GLOBAL | LOCAL] TEMP …`.
fn creates_temporary(words: &[&str]) -> bool {
    let words = words.strip_prefix(&["OR", "REPLACE"]).unwrap_or(words);
    let words = words.strip_prefix(&["GLOBAL"]).or_else(|| words.strip_prefix(&["LOCAL"])).unwrap_or(words);
    matches!(words.first(), Some(&("TEMP" | "TEMPORARY")))
}

/// How many words are needed to tell these statements apart.
const WORDS_MAX: usize = 5;

/// The first words of `sql`, in upper case.
fn first_words(sql: &str) -> Vec<String> {
    let tokens = Tokens::new(sql).skip_while(|token| matches!(token, Token::Symbol("(" | ";")));
    let words = tokens.map_while(|token| match token {
        Token::Word(word) => Some(word.to_ascii_uppercase()),
        _ => None,
    });
    words.take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests;
