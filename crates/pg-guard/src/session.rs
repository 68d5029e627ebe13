//! Statements that need a session of their own, beyond the transaction that they run in.
//!
//! A pooler in transaction mode lends a session for one transaction. What such a statement sets, takes or leaves there
//! would meet whoever has that session next; and what it looks for, another may have left. It is told by the words of the
//! statement itself: what a function does inside is not seen.

use crate::refusal::{Refusal, Rule};
use crate::sql::{Operation, Token, Tokens};

/// Functions that set, take or read what belongs to a session.
const FUNCTIONS: &[&str] = &[
    "currval",
    "lastval",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_listening_channels",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "setseed",
];

/// Whether `sql` can run where a session is lent for one transaction.
///
/// # Errors
/// What in it needs a session, and what to do instead.
pub(crate) fn needs_session(sql: &str, operation: Operation) -> Result<(), Refusal> {
    let tokens: Vec<_> = Tokens::new(sql).skip_while(|token| matches!(token, Token::Symbol("(" | ";"))).collect();
    let subject = by_kind(&tokens, operation).or_else(|| by_function(&tokens));
    match subject {
        None => Ok(()),
        Some(subject) => Err(Refusal::new(
            Rule::NeedsSession,
            subject.clone(),
            format!(
                "{subject} needs a session, and this database is reached through a pooler that lends one for a single \
                 transaction. The operator can connect this server to the pooler's session port or to PostgreSQL directly."
            ),
        )),
    }
}

fn word(token: Option<&Token<'_>>) -> String {
    match token {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    }
}

fn by_kind(tokens: &[Token<'_>], operation: Operation) -> Option<String> {
    let at = |index: usize| word(tokens.get(index));
    let has = |wanted: &str| tokens.iter().any(|token| word(Some(token)) == wanted);
    let named = |name: &str| Some(name.to_owned());
    match operation.as_str() {
        "SET" if matches!(&*at(1), "LOCAL" | "TRANSACTION" | "CONSTRAINTS") => None,
        kind
        @ ("SET" | "RESET" | "DISCARD" | "LISTEN" | "UNLISTEN" | "LOAD" | "PREPARE" | "EXECUTE" | "DEALLOCATE") => {
            named(kind)
        }
        "DECLARE" if has("HOLD") && !has("WITHOUT") => named("DECLARE … WITH HOLD"),
        "CLOSE" if at(1) == "ALL" => named("CLOSE ALL"),
        "CREATE" => {
            let replaces = if at(1) == "OR" { 2 } else { 0 };
            let first = match &*at(1 + replaces) {
                "LOCAL" | "GLOBAL" => at(2 + replaces),
                first => first.to_owned(),
            };
            let is_temporary = matches!(&*first, "TEMP" | "TEMPORARY") || is_in_pg_temp(tokens);
            let is_dropped = tokens
                .windows(3)
                .any(|three| [word(three.first()), word(three.get(1)), word(three.get(2))] == ["ON", "COMMIT", "DROP"]);
            (is_temporary && !is_dropped).then(|| "CREATE TEMPORARY".to_owned())
        }
        "SELECT" | "WITH" | "TABLE" | "VALUES" => {
            let into = tokens.iter().position(|token| word(Some(token)) == "INTO")?;
            let is_temporary = |word: String| matches!(&*word, "TEMP" | "TEMPORARY");
            (is_temporary(at(into + 1)) || is_temporary(at(into + 2)) && matches!(&*at(into + 1), "LOCAL" | "GLOBAL"))
                .then(|| "SELECT INTO TEMPORARY".to_owned())
        }
        _ => None,
    }
}

/// Whether something is named in the schema of temporary objects.
fn is_in_pg_temp(tokens: &[Token<'_>]) -> bool {
    tokens.windows(2).any(|two| word(two.first()) == "PG_TEMP" && two.get(1) == Some(&Token::Symbol(".")))
}

fn by_function(tokens: &[Token<'_>]) -> Option<String> {
    for (at, token) in tokens.iter().enumerate() {
        let name = match token {
            Token::Word(name) => name.to_lowercase(),
            Token::Quoted(name) => name.trim_matches('"').to_owned(),
            Token::Literal | Token::Symbol(_) => continue,
        };
        if tokens.get(at + 1) != Some(&Token::Symbol("(")) {
            continue;
        }
        let is_found =
            FUNCTIONS.contains(&&*name) || name == "set_config" && !is_for_the_transaction(&tokens[at + 2..]);
        if is_found {
            return Some(format!("{name}()"));
        }
    }
    None
}

/// Whether the arguments of `set_config` that begin here end with a plain `true`.
fn is_for_the_transaction(arguments: &[Token<'_>]) -> bool {
    let mut depth = 0;
    for (at, token) in arguments.iter().enumerate() {
        match token {
            Token::Symbol("(") => depth += 1,
            Token::Symbol(")") if depth == 0 => {
                return at > 1 && word(arguments.get(at - 1)) == "TRUE" && arguments[at - 2] == Token::Symbol(",");
            }
            Token::Symbol(")") => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(sql: &str) -> Option<String> {
        needs_session(sql, Operation::of(sql)).err().map(|refusal| refusal.subject)
    }

    #[test]
    fn what_needs_a_session_is_told_by_its_words() {
        for (sql, expected) in [
            ("set work_mem = '1MB'", "SET"),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET"),
            ("reset all", "RESET"),
            ("discard temp", "DISCARD"),
            ("listen x", "LISTEN"),
            ("unlisten *", "UNLISTEN"),
            ("load 'x'", "LOAD"),
            ("declare c cursor with hold for select 1", "DECLARE … WITH HOLD"),
            ("close all", "CLOSE ALL"),
            ("create temp table t (n int)", "CREATE TEMPORARY"),
            ("create or replace local temporary view t as select 1", "CREATE TEMPORARY"),
            ("create table pg_temp.t (n int)", "CREATE TEMPORARY"),
            ("select 1 into temp t", "SELECT INTO TEMPORARY"),
            ("(select 1 into local temporary t)", "SELECT INTO TEMPORARY"),
            ("select pg_advisory_lock(1)", "pg_advisory_lock()"),
            ("select pg_catalog.\"pg_try_advisory_lock\" (1)", "pg_try_advisory_lock()"),
            ("select lastval()", "lastval()"),
            ("select set_config('a.b', '1', false)", "set_config()"),
            ("select set_config('a.b', f(1), x = true)", "set_config()"),
            ("insert into t values (setseed(1))", "setseed()"),
        ] {
            assert_eq!(subject(sql).as_deref(), Some(expected), "{sql}");
        }
        for sql in [
            "set local work_mem = '1MB'",
            "set transaction read only",
            "set constraints all deferred",
            "declare c cursor for select 1",
            "declare c cursor without hold for select 1",
            "fetch 1 from c",
            "create temp table t on commit drop as select 1",
            "create table temp (n int)",
            "select temp from t",
            "insert into temp values (1)",
            "select pg_advisory_xact_lock(1), nextval('s')",
            "select set_config('a.b', f(1, 2), true)",
            "select 'set_config(1)', lastval from t",
        ] {
            assert_eq!(subject(sql), None, "{sql}");
        }
    }
}
