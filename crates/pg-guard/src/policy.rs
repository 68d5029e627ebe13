//! What is let through: the tables of what is known, and how one name is decided on.
//!
//! A function that is not volatile (manual, section 38.7) promises to change nothing, and stays usable; a volatile one
//! must be known as harmless. So a function that a later PostgreSQL or an extension brings is refused until somebody
//! has looked at it, unless it promises. Those that promise and break it are listed.

use crate::catalog::{Catalog, Function, Text};
use crate::refusal::{Refusal, Rule};
use crate::secrets::check_no_secret_is_read;
use crate::syntax::{Attribute, Name, Syntax};

/// What the operator wants otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Functions that may run all the same, by name or by schema and name.
    pub allow: Vec<String>,
    /// Functions that may not run, likewise.
    pub deny: Vec<String>,
    /// Password hashes, other sessions' statements and the like may be read.
    pub sensitive: bool,
}

/// What is known of a statement that may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// It calls nothing, and reads nothing, that could leave anything on its connection.
    pub(crate) leaves_nothing: bool,
}

/// PostgreSQL's volatile functions that change nothing.
const HARMLESS: &[&str] = &[
    "bernoulli",
    "clock_timestamp",
    "current_query",
    "currval",
    "gen_random_uuid",
    "lastval",
    "lo_get",
    "pg_blocking_pids",
    "pg_collation_actual_version",
    "pg_control_checkpoint",
    "pg_control_init",
    "pg_control_recovery",
    "pg_control_system",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_collation_actual_version",
    "pg_database_size",
    "pg_get_backend_memory_contexts",
    "pg_get_multixact_members",
    "pg_get_shmem_allocations",
    "pg_get_wal_replay_pause_state",
    "pg_get_wal_resource_managers",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_jit_available",
    "pg_last_committed_xact",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_lock_status",
    "pg_notification_queue_usage",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_prepared_xact",
    "pg_relation_size",
    "pg_safe_snapshot_blocking_pids",
    "pg_sequence_last_value",
    "pg_show_replication_origin_status",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_get_xact_*",
    "pg_stat_have_stats",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_xact_commit_timestamp",
    "pg_xact_commit_timestamp_origin",
    "pg_xact_status",
    "random",
    "random_normal",
    "system",
    "timeofday",
    "txid_status",
    "uuidv4",
    "uuidv7",
];

/// The same of the extensions that come with PostgreSQL.
const HARMLESS_OF_EXTENSIONS: &[(&str, &[&str])] = &[
    (
        "pg_buffercache",
        &[
            "pg_buffercache_numa_pages",
            "pg_buffercache_os_pages",
            "pg_buffercache_pages",
            "pg_buffercache_summary",
            "pg_buffercache_usage_counts",
        ],
    ),
    ("pg_freespacemap", &["pg_freespace"]),
    ("pg_stat_statements", &["pg_stat_statements_info"]),
    ("pg_visibility", &["pg_visibility", "pg_visibility_map", "pg_visibility_map_summary"]),
    ("pgcrypto", &["gen_random_bytes", "gen_random_uuid", "gen_salt", "pgp_pub_encrypt*", "pgp_sym_encrypt*"]),
    ("pgstattuple", &["pg_relpages", "pgstat*"]),
    ("pgrowlocks", &["pgrowlocks"]),
    ("tablefunc", &["normal_rand"]),
    ("tsm_system_rows", &["system_rows"]),
    ("tsm_system_time", &["system_time"]),
    ("uuid-ossp", &["uuid_generate_*"]),
];

/// What is wrong with a function, by its name; of an extension also where it says that it is not volatile.
const HARMFUL: &[(&str, &[&str])] = &[
    (
        "it reads or writes files of the database server",
        &[
            "lo_export",
            "lo_import",
            "pg_current_logfile",
            "pg_file_*",
            "pg_logdir_ls",
            "pg_ls_*",
            "pg_read_binary_file",
            "pg_read_file*",
            "pg_stat_file",
        ],
    ),
    ("it writes large objects", &["lo_*", "loread", "lowrite"]),
    ("it reaches other databases and servers", &["dblink*", "postgres_fdw_*"]),
    (
        "it runs SQL that is given to it as text, which nobody has looked at",
        &["connectby*", "crosstab*", "cursor_to_xml*", "query_to_xml*", "ts_rewrite", "ts_stat", "xpath_table"],
    ),
    ("it acts on other sessions", &["pg_cancel_backend", "pg_log_backend_memory_contexts", "pg_terminate_backend"]),
    ("it takes locks that last beyond the call", &["pg_advisory_*", "pg_try_advisory_*"]),
    ("it changes settings of the session", &["isn_weak", "set_config", "set_limit", "setseed"]),
    ("it does nothing but wait", &["pg_sleep*"]),
    ("it sends notifications", &["pg_notify"]),
    ("it moves a sequence", &["nextval", "setval"]),
    (
        "it controls the server, its replication or its statistics",
        &[
            "binary_upgrade_*",
            "brin_*",
            "gin_clean_pending_list",
            "heap_force_*",
            "pg_backup_*",
            "pg_clear_*",
            "pg_copy_*",
            "pg_create_*",
            "pg_drop_*",
            "pg_export_snapshot",
            "pg_import_*",
            "pg_logical_*",
            "pg_prewarm",
            "pg_promote",
            "pg_reload_conf",
            "pg_replication_*",
            "pg_restore_*",
            "pg_rotate_logfile*",
            "pg_stat_reset*",
            "pg_stat_statements_reset",
            "pg_switch_wal",
            "pg_sync_replication_slots",
            "pg_truncate_visibility_map",
            "pg_wal_*",
        ],
    ),
];

/// PostgreSQL's functions that are not volatile and harm all the same.
const HARMFUL_ALTHOUGH_NOT_VOLATILE: &[&str] = &["connectby*", "crosstab*", "dblink*", "isn_weak", "xpath_table"];

/// Functions that give secrets.
const SENSITIVE_FUNCTIONS: &[(&str, &[&str])] = &[
    (
        "it shows other sessions' SQL",
        &["pg_prepared_statement", "pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_stat_statements"],
    ),
    ("it can show passwords", &["pg_hba_file_rules", "pg_show_all_file_settings", "pg_stat_get_wal_receiver"]),
    (
        "it reads tables that are given to it as text, which nobody has looked at",
        &["database_to_xml*", "schema_to_xml*", "table_to_xml*"],
    ),
    ("it reads tables past their rights", &["get_raw_page", "heap_page_item*"]),
];

/// Kinds of statements that only read.
const READING: &[&str] = &["SelectStmt", "ExplainStmt", "VariableShowStmt"];

/// What an EXPLAIN that does not run it may hold.
const PLANNED: &[&str] = &["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

/// The command that a kind of statement is.
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
            // As the parser's names go: AlterTableStmt, DropStmt, RefreshMatViewStmt.
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

/// What a read-only mode accepts instead.
pub(crate) const ACCEPTED: &str = "Accepted are SELECT, WITH, VALUES, TABLE, SHOW and EXPLAIN of these";

/// Whether the kind of a statement, and of what is in it, only reads.
///
/// # Errors
/// Why not.
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
    if let Some(inner) = syntax.inner.iter().find(|inner| !(only_plans && PLANNED.contains(&inner.as_str()))) {
        let why = if kind == "ExplainStmt" && PLANNED.contains(&inner.as_str()) {
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

/// The same of a text behind a name. A function's may be several statements, or none; or its whole definition, which
/// nobody runs, with statements in it.
///
/// # Errors
/// Why not.
pub(crate) fn kinds_behind(syntax: &Syntax) -> Result<(), Refusal> {
    let mut within = Syntax { statements: 1, ..syntax.clone() };
    within.inner.retain(|kind| kind != "ReturnStmt" && kind != "CreateFunctionStmt");
    match within.kind.as_deref() {
        None => return Ok(()),
        Some("CreateFunctionStmt") => within.kind = Some("SelectStmt".to_owned()),
        Some(_) => {}
    }
    kinds(&within)
}

/// Whether all that a statement names may run.
///
/// # Errors
/// Why not.
pub(crate) fn names(syntax: &Syntax, catalog: Catalog, policy: &Policy) -> Result<(Known, Vec<Text>), Refusal> {
    let mut texts = Vec::new();
    let mut leaves_nothing = syntax.kind.as_deref() == Some("SelectStmt")
        && !catalog.has_own_types
        && catalog.texts.is_empty()
        && catalog.relations.iter().all(|relation| relation.is_plain);
    for call in &syntax.calls {
        let candidates: Vec<_> =
            catalog.functions.iter().filter(|function| function.answers_to(&call.function)).collect();
        let fitting = candidates.iter().filter(|function| function.takes(call.arguments));
        // With none that fits, PostgreSQL will say so; or it counts otherwise than we do.
        let fitting: Vec<_> = if fitting.clone().next().is_none() { candidates } else { fitting.copied().collect() };
        for function in &fitting {
            leaves_nothing &= judge(function, policy, &mut texts)?;
        }
    }
    for attribute in &syntax.attributes {
        let name = Name { schema: None, name: attribute.name.clone() };
        let is_column = is_column(attribute, syntax, &catalog);
        let called = catalog.functions.iter().filter(|function| function.answers_to(&name) && function.takes(1));
        for function in called.filter(|function| function.is_builtin || !is_column) {
            leaves_nothing &= judge(function, policy, &mut texts)?;
        }
    }
    for hidden in catalog.functions.iter().filter(|function| !function.is_called) {
        let judged = judge(hidden, policy, &mut texts);
        judged.map_err(|refusal| {
            refusal.reworded(|why| format!("{} stands for a function. {why}", hidden.requested_name))
        })?;
        leaves_nothing = false;
    }
    if !policy.sensitive {
        let is_found = |name: &str| catalog.relations.iter().any(|found| found.name == name);
        check_no_secret_is_read(syntax, is_found, &catalog.secrets)?;
    }
    texts.extend(catalog.texts);
    Ok((Known { leaves_nothing }, texts))
}

/// Whether a name after a dot is a column, and so no function: of the tables that are called what stands before the dot,
/// or, where that is something else, of any.
fn is_column(attribute: &Attribute, syntax: &Syntax, catalog: &Catalog) -> bool {
    let of: Vec<_> = syntax
        .relations
        .iter()
        .filter(|relation| {
            attribute.of.as_deref() == Some(relation.called()) && !syntax.with.contains(&relation.name.name)
        })
        .collect();
    let mut columns = catalog.columns.iter().filter(|(_, column)| *column == attribute.name);
    match of.is_empty() {
        true => columns.next().is_some(),
        false => of.iter().all(|relation| columns.clone().any(|(table, _)| *table == relation.name.name)),
    }
}

/// Whether a function may run; and then, whether it is one of PostgreSQL's own that leaves nothing on its connection.
/// What it runs is added to `texts`.
fn judge(function: &Function, policy: &Policy, texts: &mut Vec<Text>) -> Result<bool, Refusal> {
    let Function { schema, name, .. } = function;
    let whole = format!("{schema}.{name}");
    let listed = |names: &[String]| names.iter().any(|listed| listed == name || *listed == whole);
    let refused = |rule, why: &str, instead: &str| {
        let why = format!("The function {whole} is not accepted in read-only mode: {why}. {instead}");
        Err(Refusal::new(rule, whole.as_str(), why))
    };
    let allow = format!("The operator can allow it by MCP_FUNCTIONS_ALLOW={whole}.");
    if listed(&policy.deny) {
        return refused(Rule::FunctionExcluded, "the operator has excluded it (MCP_FUNCTIONS_DENY)", "Do without it.");
    }
    if listed(&policy.allow) {
        return Ok(false);
    }
    let extension = function.extension.as_deref();
    let is_known = function.is_builtin || extension.is_some();
    let why_harmful = || HARMFUL.iter().find(|(_, names)| is_known && has(names, name)).map(|(why, _)| *why);
    if is_known
        && !policy.sensitive
        && let Some((why, _)) = SENSITIVE_FUNCTIONS.iter().find(|(_, names)| has(names, name))
    {
        return refused(Rule::FunctionSecret, why, "The operator can allow it by MCP_SENSITIVE_CATALOGS=allow.");
    }
    if function.is_definer {
        return refused(
            Rule::FunctionDefiner,
            "it runs with the rights of its owner, not of this session (SECURITY DEFINER)",
            &allow,
        );
    }
    if !function.is_volatile {
        if extension.is_some() && has(HARMFUL_ALTHOUGH_NOT_VOLATILE, name) {
            return refused(Rule::FunctionHarmful, why_harmful().unwrap_or("it does more than it promises"), &allow);
        }
        // An extension's C is the extension's promise; C by itself has been put there by a superuser, for anything.
        if !function.is_trusted && extension.is_none() && !function.is_builtin {
            let why = format!("it is written in {}, which can do anything on the server", function.language);
            return refused(Rule::FunctionLanguage, &why, &allow);
        }
        texts.extend(function.text.clone());
        return Ok(function.is_builtin);
    }
    let is_harmless = (function.is_builtin && has(HARMLESS, name))
        || (has(SENSITIVE_NAMES, name) && policy.sensitive && is_known)
        || HARMLESS_OF_EXTENSIONS.iter().any(|(of, names)| extension == Some(of) && has(names, name));
    if is_harmless {
        return Ok(function.is_builtin);
    }
    match why_harmful() {
        Some(why) => refused(Rule::FunctionHarmful, why, &allow),
        None => refused(
            Rule::FunctionVolatile,
            "it is volatile, so it may do what no transaction undoes",
            &format!("If it changes nothing, declare it STABLE or IMMUTABLE. {allow}"),
        ),
    }
}

/// The volatile ones among the functions that give secrets.
const SENSITIVE_NAMES: &[&str] = &["pg_hba_file_rules", "pg_show_all_file_settings", "pg_stat_statements"];

/// Whether a list has a name; a `*` at the end of an entry stands for whatever follows.
fn has(names: &[&str], name: &str) -> bool {
    names.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => *entry == name,
    })
}
