//! The secrets in the system catalogs: password hashes, passwords, the SQL of other sessions.

use std::collections::HashSet;

use crate::refusal::{Refusal, Rule};
use crate::syntax::Syntax;

/// Where secrets may be. The catalogs are queried whether they are really there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// Settings of the server.
    Settings,
    /// Settings of roles and databases.
    RoleSettings,
    /// Statistics that ANALYZE has stored about a column with secrets.
    Statistics,
    /// Options of foreign servers, of their tables and columns, and of foreign-data wrappers.
    ServerOptions,
}

/// Tables and views with secrets: the columns, what the secret is, and the source if the secret is not always there.
const SENSITIVE: &[(&str, &[&str], &str, Option<SecretSource>)] = &[
    ("pg_authid", &["rolpassword"], "password hashes", None),
    ("pg_shadow", &["passwd"], "password hashes", None),
    ("pg_user_mapping", &["umoptions"], "passwords of foreign servers", None),
    ("pg_user_mappings", &["umoptions"], "passwords of foreign servers", None),
    ("user_mapping_options", &["option_value"], "passwords of foreign servers", None),
    ("_pg_user_mappings", &["umoptions"], "passwords of foreign servers", None),
    ("pg_subscription", &["subconninfo"], "connection strings with passwords", None),
    ("pg_stat_wal_receiver", &["conninfo"], "connection strings with passwords", None),
    ("pg_stat_activity", &["query"], "other sessions' SQL", None),
    ("pg_stat_statements", &["query"], "other sessions' SQL", None),
    ("pg_prepared_statements", &["statement"], "other calls' SQL", None),
    ("pg_cursors", &["statement"], "other calls' SQL", None),
    ("pg_backend_memory_contexts", &["ident"], "other calls' SQL", None),
    // Long values of these columns are stored apart, in tables that have the number of their catalog in their name.
    ("pg_toast_1260", &["chunk_data"], "password hashes", None),
    ("pg_toast_1418", &["chunk_data"], "passwords of foreign servers", None),
    ("pg_toast_6100", &["chunk_data"], "connection strings with passwords", None),
    ("pg_toast_2328", &["chunk_data"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("pg_toast_1417", &["chunk_data"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("pg_toast_3118", &["chunk_data"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("pg_toast_2964", &["chunk_data"], "passwords", Some(SecretSource::RoleSettings)),
    ("pg_toast_2619", &["chunk_data"], "secrets, of which there are statistics", Some(SecretSource::Statistics)),
    ("pg_file_settings", &["setting"], "settings with passwords perhaps", None),
    ("pg_hba_file_rules", &["options"], "passwords of directory servers", None),
    ("pg_foreign_server", &["srvoptions"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("_pg_foreign_servers", &["srvoptions"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("foreign_server_options", &["option_value"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("pg_foreign_data_wrapper", &["fdwoptions"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("_pg_foreign_data_wrappers", &["fdwoptions"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    (
        "foreign_data_wrapper_options",
        &["option_value"],
        "a password of a foreign server",
        Some(SecretSource::ServerOptions),
    ),
    ("pg_foreign_table", &["ftoptions"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("_pg_foreign_tables", &["ftoptions"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("foreign_table_options", &["option_value"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("pg_attribute", &["attfdwoptions"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    (
        "_pg_foreign_table_columns",
        &["attfdwoptions"],
        "a password of a foreign server",
        Some(SecretSource::ServerOptions),
    ),
    ("column_options", &["option_value"], "a password of a foreign server", Some(SecretSource::ServerOptions)),
    ("pg_settings", &["setting", "reset_val", "boot_val"], "passwords", Some(SecretSource::Settings)),
    ("pg_db_role_setting", &["setconfig"], "passwords", Some(SecretSource::RoleSettings)),
    ("pg_roles", &["rolconfig"], "passwords", Some(SecretSource::RoleSettings)),
    ("pg_shadow", &["useconfig"], "passwords", Some(SecretSource::RoleSettings)),
    ("pg_user", &["useconfig"], "passwords", Some(SecretSource::RoleSettings)),
    (
        "pg_stats",
        &["most_common_vals", "most_common_elems", "histogram_bounds"],
        "secrets, of which there are statistics",
        Some(SecretSource::Statistics),
    ),
    (
        "pg_statistic",
        &["stavalues1", "stavalues2", "stavalues3", "stavalues4", "stavalues5"],
        "secrets, of which there are statistics",
        Some(SecretSource::Statistics),
    ),
];

/// The endings of the names of user-defined settings that are secrets, such as `app.jwt_secret`.
const SECRET_ENDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "passphrase",
    "credential",
    "credentials",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
];

/// Whether a relation with this name may contain secrets, so that the catalogs must be queried.
pub(crate) fn holds_secrets(relation: &str) -> bool {
    SENSITIVE.iter().any(|(sensitive, .., source)| *sensitive == relation && source.is_some())
}

/// Checks that a statement reads no secret. A column is found by its name alone, anywhere in the statement. So some
/// statements are refused that would not show the secret.
///
/// `is_found` says whether there is a relation with this name. `secrets` are the sources that contain secrets; for
/// settings, with the name of the setting.
///
/// # Errors
/// Which relation or setting contains which secret.
pub(crate) fn check_secrets(
    syntax: &Syntax,
    is_found: impl Fn(&str) -> bool,
    secrets: &[(SecretSource, String)],
) -> Result<(), Refusal> {
    let refused = |rule, what: &str, of: &str, subject: &str, instead: &str| {
        let why = format!(
            "{of} holds {what}: not to be read. {instead}The operator can allow it by MCP_SENSITIVE_CATALOGS=allow."
        );
        Err(Refusal::new(rule, subject, why))
    };
    let has = |source: SecretSource| secrets.iter().any(|(found, _)| *found == source);
    let aliases: HashSet<&String> = syntax.aliases.iter().collect();
    let mut seen = HashSet::new();
    for relation in &syntax.relations {
        let name = &relation.name.name;
        if !is_found(name) || !seen.insert((name, relation.renames_columns)) {
            continue;
        }
        let of_it = SENSITIVE.iter().filter(|(sensitive, _, _, source)| sensitive == name && source.is_none_or(has));
        for (_, columns, what, _) in of_it {
            // A whole row, by the name or the alias of its table: row_to_json(a).
            let is_row = |row: &String| row == name || aliases.contains(row);
            let shows_all = syntax.has_star || relation.renames_columns || syntax.rows.iter().any(is_row);
            if shows_all || syntax.columns.iter().any(|column| columns.contains(&&**column)) {
                let but = columns.join(", ");
                return refused(
                    Rule::SecretRelation,
                    what,
                    name,
                    name,
                    &format!("Name the columns that are wanted, all but {but}, without * or whole rows. "),
                );
            }
        }
    }
    let is_secret = |setting: &str| {
        let setting = setting.to_lowercase();
        secrets.iter().any(|(_, secret)| *secret == setting)
            || setting.contains('.') && SECRET_ENDS.iter().any(|end| setting.ends_with(end))
    };
    let all = "Ask for single settings by SHOW. ";
    let setting =
        |what: &str, of: &str, subject: &str, instead: &str| refused(Rule::SecretSetting, what, of, subject, instead);
    let some = has(SecretSource::Settings) || has(SecretSource::RoleSettings);
    if let Some(shown) = &syntax.show {
        if is_secret(shown) {
            return setting("a password", shown, shown, "");
        }
        if shown == "all" && has(SecretSource::Settings) {
            return setting("passwords", "One of the settings", "all", all);
        }
    }
    for call in syntax.calls.iter().filter(|call| call.reads_settings()) {
        match &call.first {
            Some(name) if call.function.name == "current_setting" && is_secret(name) => {
                return setting("a password", name, name, "");
            }
            Some(_) if call.function.name == "current_setting" => {}
            _ if some => return setting("passwords", "One of the settings", "all", all),
            _ => {}
        }
    }
    Ok(())
}
