//! Syntax of other databases and their clients that PostgreSQL does not know, with what to write instead. Models have
//! learnt it from all of them. Only statements that PostgreSQL has rejected are checked.

use pg_guard::sql::{self, Token, Tokens};
use tokio_postgres::error::SqlState;

use Part::{End, Symbol, Word};

/// A part of a pattern.
enum Part {
    /// One of these words, separated by spaces, in upper case.
    Word(&'static str),
    Symbol(&'static str),
    /// Any token.
    Any,
    /// There is nothing after it.
    End,
}

const COLUMNS: &str =
    "For the columns of a table: SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't'.";
const TABLES: &str = "For the tables: SELECT table_schema, table_name FROM information_schema.tables \
                      WHERE table_schema NOT IN ('pg_catalog', 'information_schema').";
const SCHEMAS: &str = "For the schemas: SELECT schema_name FROM information_schema.schemata.";
const DATABASES: &str = "For the databases: SELECT datname FROM pg_database.";
const INDEXES: &str = "For the indexes: SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 't'.";
const ROLES: &str = "For the roles: SELECT rolname FROM pg_roles.";
const VIEWS: &str = "For the views: SELECT table_schema, table_name FROM information_schema.views.";
const FUNCTIONS: &str =
    "For the functions: SELECT routine_schema, routine_name, data_type FROM information_schema.routines.";
const TRIGGERS: &str = "For the triggers: SELECT event_object_table, trigger_name FROM information_schema.triggers.";
const ACTIVITY: &str = "For what runs: SELECT pid, state, query_start FROM pg_stat_activity.";
const SETTINGS: &str = "For the settings: SELECT name, setting FROM pg_settings.";
const RIGHTS: &str =
    "For the rights: SELECT grantee, table_name, privilege_type FROM information_schema.table_privileges.";
const USE: &str = "A call works in one database, which USE and \\c cannot change: where there are several, give the \
                   argument `database`; a table of another schema is written schema.table.";
const UPSERT: &str = "Write INSERT INTO t (…) VALUES (…) ON CONFLICT (key) DO UPDATE SET column = EXCLUDED.column.";
const IDENTITY: &str = "Write: id integer GENERATED ALWAYS AS IDENTITY.";

/// The beginning of a statement.
const BEGINNINGS: &[(&[Part], &str)] = &[
    (&[Word("SHOW"), Word("TABLES TABLE")], TABLES),
    (&[Word("SHOW"), Word("FULL EXTENDED"), Word("TABLES")], TABLES),
    (&[Word("SHOW"), Word("DATABASES")], DATABASES),
    (&[Word("SHOW"), Word("SCHEMAS")], SCHEMAS),
    (&[Word("SHOW"), Word("FULL EXTENDED"), Word("COLUMNS FIELDS")], COLUMNS),
    (&[Word("SHOW"), Word("COLUMNS FIELDS")], COLUMNS),
    (&[Word("SHOW"), Word("INDEX INDEXES KEYS")], INDEXES),
    (&[Word("SHOW"), Word("VIEWS")], VIEWS),
    (&[Word("SHOW"), Word("FUNCTIONS PROCEDURES FUNCTION PROCEDURE")], FUNCTIONS),
    (&[Word("SHOW"), Word("TRIGGERS")], TRIGGERS),
    (&[Word("SHOW"), Word("USERS ROLES")], ROLES),
    (&[Word("SHOW"), Word("GRANTS")], RIGHTS),
    (&[Word("SHOW"), Word("PROCESSLIST STATUS")], ACTIVITY),
    (&[Word("SHOW"), Word("FULL"), Word("PROCESSLIST")], ACTIVITY),
    (&[Word("SHOW"), Word("VARIABLES")], SETTINGS),
    (&[Word("SHOW"), Word("GLOBAL SESSION"), Word("VARIABLES STATUS")], SETTINGS),
    (&[Word("SHOW"), Word("CREATE"), Word("VIEW")], "For a view's text: SELECT pg_get_viewdef('v'::regclass)."),
    (
        &[Word("SHOW"), Word("CREATE")],
        "There is no SHOW CREATE. Look into information_schema.columns, pg_indexes and \
                                       pg_constraint (pg_get_constraintdef(oid)).",
    ),
    (&[Word("DESCRIBE DESC")], COLUMNS),
    (&[Word("EXPLAIN"), Part::Any, End], COLUMNS),
    (&[Word("PRAGMA")], COLUMNS),
    (&[Symbol("."), Word("TABLES")], TABLES),
    (&[Symbol("."), Word("SCHEMA")], COLUMNS),
    (&[Symbol("."), Word("DATABASES")], DATABASES),
    (&[Word("LIST"), Word("TABLES")], TABLES),
    (&[Word("USE")], USE),
    (&[Word("REPLACE"), Word("INTO")], UPSERT),
    (&[Word("INSERT"), Word("OR"), Word("REPLACE")], UPSERT),
    (&[Word("INSERT"), Word("OR"), Word("IGNORE")], "Write INSERT INTO t (…) VALUES (…) ON CONFLICT DO NOTHING."),
    (&[Word("INSERT"), Word("IGNORE")], "Write INSERT INTO t (…) VALUES (…) ON CONFLICT DO NOTHING."),
    (&[Word("EXEC EXECUTE")], "Write SELECT * FROM function(…), or CALL procedure(…)."),
    (&[Word("GO"), End], "GO is no SQL: give the statement without it."),
];

/// psql's commands, by the letters after the backslash.
const BACKSLASH: &[(&str, &str)] = &[
    ("d", COLUMNS),
    ("dt", TABLES),
    ("dv", VIEWS),
    ("dm", "For the materialized views: SELECT schemaname, matviewname FROM pg_matviews."),
    ("di", INDEXES),
    ("dn", SCHEMAS),
    ("df", FUNCTIONS),
    ("sf", "For a function's text: SELECT pg_get_functiondef('f'::regproc)."),
    ("sv", "For a view's text: SELECT pg_get_viewdef('v'::regclass)."),
    ("du", ROLES),
    ("dg", ROLES),
    ("dp", RIGHTS),
    ("z", RIGHTS),
    ("dx", "For the extensions: SELECT extname, extversion FROM pg_extension."),
    ("dy", "For the event triggers: SELECT evtname FROM pg_event_trigger."),
    ("dT", "For the types: SELECT typname, typtype FROM pg_type WHERE typtype IN ('e', 'c', 'd')."),
    ("ds", "For the sequences: SELECT sequence_schema, sequence_name FROM information_schema.sequences."),
    ("l", DATABASES),
    ("c", USE),
    ("connect", USE),
    ("conninfo", "Write SELECT current_database(), current_user, version()."),
    ("copy", "A call carries no stream of data: read with SELECT, write with INSERT."),
];

/// Words at the place where PostgreSQL has found the error, anywhere in a statement.
const ANYWHERE: &[(&[Part], &str)] = &[
    (&[Word("ON"), Word("DUPLICATE"), Word("KEY")], UPSERT),
    (&[Word("AUTO_INCREMENT AUTOINCREMENT")], IDENTITY),
    (&[Word("IDENTITY"), Symbol("(")], IDENTITY),
    (&[Word("RLIKE REGEXP")], "A regular expression is matched by ~, or ~* whatever the case: name ~ 'x'."),
    (&[Word("SELECT"), Word("TOP")], "Write LIMIT n at the end of the statement."),
    (&[Word("AS"), Word("SIGNED UNSIGNED")], "The type is integer or bigint: CAST(x AS bigint)."),
    (&[Word("AS"), Word("DATETIME")], "The type is timestamp: CAST(x AS timestamp)."),
    (&[Word("DATETIME")], "The type is timestamp, or timestamptz with a time zone."),
    (&[Word("FROM"), Word("DUAL")], "Leave FROM DUAL out: SELECT 1."),
    (&[Word("MINUS"), Word("SELECT")], "Write EXCEPT in place of MINUS."),
    (&[Word("WITH"), Symbol("("), Word("NOLOCK")], "Leave WITH (NOLOCK) out: readers wait for no writer."),
    (&[Symbol("="), Symbol("=")], "Equality is one =."),
    (&[Symbol("&"), Symbol("&")], "Write AND in place of && (which is the overlap of arrays and ranges)."),
    (&[Word("START"), Word("WITH")], "Write WITH RECURSIVE in place of START WITH … CONNECT BY."),
    (&[Word("ROWNUM")], "Write LIMIT n, or row_number() OVER (ORDER BY …)."),
    (&[Word("SYSDATE GETDATE")], "Write now(), or CURRENT_DATE."),
    (&[Word("LIMIT"), Part::Any, Symbol(","), Part::Any], "LIMIT takes one number: LIMIT 5, 10 is LIMIT 10 OFFSET 5."),
    (
        &[Word("INTERVAL"), Part::Any, Word("SECOND MINUTE HOUR DAY WEEK MONTH QUARTER YEAR")],
        "An interval is written in quotes: interval '1 day'.",
    ),
    (&[Symbol("`")], "A name is written as it is, or in double quotes: \"name\". Backticks are MySQL's."),
];

/// Functions of other databases.
const FUNCTIONS_INSTEAD: &[(&str, &str)] = &[
    ("ifnull isnull nvl", "COALESCE(a, b)"),
    ("iif if decode nvl2", "CASE WHEN condition THEN a ELSE b END"),
    ("group_concat listagg", "string_agg(x, ',')"),
    ("getdate sysdate getutcdate", "now()"),
    ("curdate", "CURRENT_DATE"),
    ("curtime", "CURRENT_TIME"),
    ("date_format strftime format", "to_char(at, 'YYYY-MM-DD HH24:MI:SS')"),
    ("str_to_date", "to_date('2026-01-31', 'YYYY-MM-DD'), or to_timestamp"),
    ("datediff timestampdiff", "later - earlier, or extract(epoch FROM later - earlier)"),
    ("dateadd date_add adddate", "at + interval '1 day'"),
    ("date_sub subdate", "at - interval '1 day'"),
    ("year month day hour minute second quarter week dayofweek", "extract(year FROM at), or date_trunc('month', at)"),
    ("last_day", "date_trunc('month', at) + interval '1 month - 1 day'"),
    ("unix_timestamp", "extract(epoch FROM at)"),
    ("from_unixtime", "to_timestamp(seconds)"),
    ("len datalength", "length(text)"),
    ("charindex instr locate", "strpos(text, part)"),
    ("substring_index", "split_part(text, ',', 1)"),
    ("rand", "random()"),
    ("json_extract json_value json_unquote", "document ->> 'key', or document #>> '{a,b}'"),
    ("last_insert_id scope_identity last_insert_rowid", "INSERT … RETURNING id"),
    ("uuid newid", "gen_random_uuid()"),
    ("to_number", "x::numeric"),
    ("database", "current_database()"),
    ("total", "sum(x)"),
    ("printf", "format('%s', x)"),
];

/// What to write instead, if the statement was written for another database or client. `character` is where PostgreSQL
/// has found the error, counted from 1.
pub(super) fn hint(sql: &str, sqlstate: &SqlState, character: Option<usize>) -> Option<String> {
    let may_be_foreign = [
        SqlState::SYNTAX_ERROR,
        SqlState::UNDEFINED_OBJECT,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
    ];
    if !may_be_foreign.contains(sqlstate) {
        return None;
    }
    if *sqlstate == SqlState::UNDEFINED_FUNCTION
        && let Some(name) = character.and_then(|at| sql::name_at(sql, at))
    {
        let found = FUNCTIONS_INSTEAD.iter().find(|(names, _)| names.split(' ').any(|known| known == name))?;
        return Some(format!("PostgreSQL has no {name}: write {}.", found.1));
    }
    if let Some(command) = sql.trim_start().strip_prefix('\\') {
        return Some(backslash(command));
    }
    let tokens: Vec<Token<'_>> = Tokens::new(sql).collect();
    let beginning = BEGINNINGS.iter().find(|(pattern, _)| begins(&tokens, pattern));
    // Anything else may be correct in other places, so it is checked only where PostgreSQL has found the error.
    let found = beginning.map(|(_, instead)| *instead).or_else(|| {
        let (before, here) = split(sql, character?);
        placeholder(before, here).or_else(|| near(&tokens, Tokens::new(before).count()))
    });
    found.map(str::to_owned)
}

fn backslash(command: &str) -> String {
    let letters = command.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    let is_named = !command[letters.len()..].trim_matches(['+', 'S', ';', ' ', '\n']).is_empty();
    let known = |letters: &str| BACKSLASH.iter().find(|(known, _)| *known == letters).map(|(_, instead)| *instead);
    let instead = match letters.trim_end_matches('S') {
        "d" if !is_named => TABLES,
        letters => known(letters).unwrap_or("Write SQL."),
    };
    format!("Commands with a backslash are psql's own and no SQL. {instead}")
}

/// The text before this character, counted from 1, and the rest.
fn split(sql: &str, character: usize) -> (&str, &str) {
    let start = sql.char_indices().nth(character.saturating_sub(1)).map_or(sql.len(), |(start, _)| start);
    sql.split_at(start)
}

/// The placeholders of other drivers.
fn placeholder(before: &str, here: &str) -> Option<&'static str> {
    let starts_name = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let mut rest = here.chars();
    let is_placeholder = match rest.next() {
        Some('?' | '{') => true,
        Some('%') => starts_name(rest.as_str()) || rest.as_str().starts_with('('),
        Some(':' | '@') => starts_name(rest.as_str()),
        Some('$') => rest.as_str().starts_with('{'),
        _ => false,
    };
    // PostgreSQL takes a `?` for an operator, and finds the error after it.
    let is_behind = before.trim_end_matches([' ', '\t', '\n', '\r', ';']).ends_with('?');
    (is_placeholder || is_behind)
        .then_some("Values are written $1, $2 … in the query and given in `parameters`: not ?, %s, :name or @name.")
}

/// The tokens around the token with this number, counted from 0.
fn near(tokens: &[Token<'_>], number: usize) -> Option<&'static str> {
    if tokens.get(number) == Some(&Token::Symbol("[")) {
        return Some("A name is written as it is, or in double quotes: \"name\". Brackets are SQL Server's.");
    }
    let is_near = |pattern: &[Part]| {
        // PostgreSQL may find the error one or two words later.
        let first = number.saturating_sub(pattern.len() + 1);
        (first..=number).any(|at| at <= tokens.len() && begins(&tokens[at..], pattern))
    };
    ANYWHERE.iter().find(|(pattern, _)| is_near(pattern)).map(|(_, instead)| *instead)
}

/// Whether the tokens begin like that.
fn begins(tokens: &[Token<'_>], pattern: &[Part]) -> bool {
    let mut tokens = tokens.iter();
    pattern.iter().all(|part| match (part, tokens.next()) {
        (Part::Any, token) => token.is_some(),
        (Word(words), Some(Token::Word(word))) => words.split(' ').any(|one| one.eq_ignore_ascii_case(word)),
        (Symbol(symbol), token) => token == Some(&Token::Symbol(symbol)),
        (End, token) => token.is_none_or(|token| *token == Token::Symbol(";")),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_at(sql: &str, sqlstate: SqlState, found: &str) -> String {
        let at = sql.rfind(found).map(|at| sql[..at].chars().count() + 1);
        hint(sql, &sqlstate, at).unwrap_or_default()
    }

    #[test]
    fn what_is_right_in_postgresql_gets_no_hint_though_something_else_is_wrong() {
        for (sql, sqlstate, found) in [
            ("select datetime, rownum from t where nme = 1", SqlState::UNDEFINED_COLUMN, "nme"),
            ("select a[1] frm t", SqlState::SYNTAX_ERROR, "t"),
            ("select tags && array[1], a from t wher b", SqlState::SYNTAX_ERROR, "b"),
            ("select doc ? 'key', nme from t", SqlState::UNDEFINED_COLUMN, "nme"),
            ("select '`', '?', '%s', ':x' frm t limit 1", SqlState::SYNTAX_ERROR, "t limit"),
            ("select a::int4x from t", SqlState::UNDEFINED_OBJECT, "int4x"),
            ("select f(1)", SqlState::UNDEFINED_FUNCTION, "f("),
            ("show nothing_like_it", SqlState::UNDEFINED_OBJECT, "?"),
            ("select ifnull(1)", SqlState::DIVISION_BY_ZERO, "ifnull"),
            ("select 1 order by desc", SqlState::SYNTAX_ERROR, "desc"),
        ] {
            assert_eq!(hint_at(sql, sqlstate, found), "", "{sql}");
        }
    }

    #[test]
    fn a_text_of_any_form_has_an_answer() {
        for sql in ["", "\\", "\\d", "é", "?", "%", "[", "show", "limit 1,", "$", ";"] {
            for at in [None, Some(0), Some(1), Some(2), Some(9)] {
                let _ = hint(sql, &SqlState::SYNTAX_ERROR, at);
            }
        }
    }
}
