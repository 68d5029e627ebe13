//! Which kinds of statements only read.

use crate::refusal::{Refusal, Rule};
use crate::syntax::Syntax;

/// Kinds of statements that only read.
const READING: &[&str] = &["SelectStmt", "ExplainStmt", "VariableShowStmt"];

/// Kinds of statements that EXPLAIN without ANALYZE may contain, because it does not run them.
const EXPLAINED: &[&str] = &["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

/// The name of the command, for a kind of statement.
pub(crate) fn command(kind: &str) -> String {
    match kind {
        "VariableSetStmt" => "SET or RESET".to_owned(),
        "TransactionStmt" => "transaction control".to_owned(),
        "CreateTableAsStmt" => "CREATE TABLE AS".to_owned(),
        "VacuumStmt" => "VACUUM or ANALYZE".to_owned(),
        "DeclareCursorStmt" => "DECLARE".to_owned(),
        "ClosePortalStmt" => "CLOSE".to_owned(),
        "CheckPointStmt" => "CHECKPOINT".to_owned(),
        "RefreshMatViewStmt" => "REFRESH MATERIALIZED VIEW".to_owned(),
        "SecLabelStmt" => "SECURITY LABEL".to_owned(),
        kind => {
            // The kinds are named like AlterTableStmt, DropStmt, RefreshMatViewStmt.
            let mut words = String::new();
            for letter in kind.strip_suffix("Stmt").unwrap_or(kind).chars() {
                if letter.is_ascii_uppercase() && !words.is_empty() {
                    words.push(' ');
                }
                words.push(letter.to_ascii_uppercase());
            }
            words
        }
    }
}

/// The end of each refusal: what read-only mode accepts.
pub(crate) const ACCEPTED: &str = "Accepted are SELECT, WITH, VALUES, TABLE, SHOW and EXPLAIN of these";

/// Checks that the statement, and each statement inside it, is of a kind that only reads.
///
/// # Errors
/// Why the statement is refused.
pub(crate) fn kinds(syntax: &Syntax) -> Result<(), Refusal> {
    if syntax.statements > 1 {
        let why = format!(
            "The query holds {} statements, and a call runs one: give the others to further calls, or all of them to \
             batch_query_execute.",
            syntax.statements
        );
        return Err(Refusal::new(Rule::SeveralStatements, "", why));
    }
    let Some(kind) = &syntax.kind else {
        return Err(Refusal::new(Rule::NoStatement, "", "The query holds no statement."));
    };
    let refused = |rule, what: &str, why: &str| {
        let why = format!(
            "{what} is not accepted in read-only mode{why}. {ACCEPTED}. The operator can allow writes by \
             MCP_ACCESS_MODE=read-write."
        );
        Err(Refusal::new(rule, what, why))
    };
    if !READING.contains(&kind.as_str()) {
        let why = match kind.as_str() {
            "VariableSetStmt" => {
                ": it could end that mode for the statements after it. A setting holds for one call only; \
                 to read one, use SHOW"
            }
            "DeclareCursorStmt" | "FetchStmt" => ": a long answer has a cursor by itself, for fetch_rows",
            _ => "",
        };
        return refused(Rule::StatementKind, &command(kind), why);
    }
    let only_plans = kind == "ExplainStmt" && !syntax.analyzes;
    if let Some(inner) = syntax.inner.iter().find(|inner| !(only_plans && EXPLAINED.contains(&inner.as_str()))) {
        let why = if kind == "ExplainStmt" && EXPLAINED.contains(&inner.as_str()) {
            " where EXPLAIN runs it; without ANALYZE it is"
        } else {
            ", wherever it stands"
        };
        return refused(Rule::StatementKind, &command(inner), why);
    }
    if syntax.has_into {
        return refused(Rule::SelectInto, "SELECT INTO", ": it makes a table");
    }
    if syntax.has_locking && !only_plans {
        return refused(Rule::RowLock, "FOR UPDATE, FOR SHARE or the like", ": it locks rows");
    }
    Ok(())
}

/// The same check for the SQL text of an object. The text of a function can have several statements or none. If it is
/// the whole definition, the CREATE FUNCTION in it does not run, but the statements inside it do.
///
/// # Errors
/// Why the text is refused.
pub(crate) fn kinds_in_text(syntax: &Syntax) -> Result<(), Refusal> {
    let mut within = Syntax { statements: 1, ..syntax.clone() };
    within.inner.retain(|kind| kind != "ReturnStmt" && kind != "CreateFunctionStmt");
    match within.kind.as_deref() {
        None => return Ok(()),
        Some("CreateFunctionStmt") => within.kind = Some("SelectStmt".to_owned()),
        Some(_) => {}
    }
    kinds(&within)
}
