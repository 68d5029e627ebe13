//! What a catalogue knows and no reader of it needs: hashes, passwords, other sessions' SQL.

use super::catalog::{Catalog, Hoard, is_about_settings};
use super::syntax::Syntax;

/// Tables and views that hold secrets, in these columns; the last only if there is one.
const SENSITIVE: &[(&str, &[&str], &str, Option<Hoard>)] = &[
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
    ("pg_file_settings", &["setting"], "settings with passwords perhaps", None),
    ("pg_hba_file_rules", &["options"], "passwords of directory servers", None),
    ("pg_foreign_server", &["srvoptions"], "a password of a foreign server", Some(Hoard::ServerOptions)),
    ("_pg_foreign_servers", &["srvoptions"], "a password of a foreign server", Some(Hoard::ServerOptions)),
    ("foreign_server_options", &["option_value"], "a password of a foreign server", Some(Hoard::ServerOptions)),
    ("pg_settings", &["setting", "reset_val", "boot_val"], "passwords", Some(Hoard::Settings)),
    ("pg_db_role_setting", &["setconfig"], "passwords", Some(Hoard::RoleSettings)),
    ("pg_roles", &["rolconfig"], "passwords", Some(Hoard::RoleSettings)),
    ("pg_shadow", &["useconfig"], "passwords", Some(Hoard::RoleSettings)),
    ("pg_user", &["useconfig"], "passwords", Some(Hoard::RoleSettings)),
    (
        "pg_stats",
        &["most_common_vals", "most_common_elems", "histogram_bounds"],
        "password hashes, of which there are statistics",
        Some(Hoard::Statistics),
    ),
    (
        "pg_statistic",
        &["stavalues1", "stavalues2", "stavalues3", "stavalues4", "stavalues5"],
        "password hashes, of which there are statistics",
        Some(Hoard::Statistics),
    ),
];

/// What the names of a user's own settings end with that hold secrets: `app.jwt_secret`.
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

/// Whether it has to be looked if there are secrets in it.
pub(super) fn is_hoard(relation: &str) -> bool {
    SENSITIVE.iter().any(|(sensitive, .., hoard)| *sensitive == relation && hoard.is_some())
}

/// Whether it reads nothing secret. A column is told by its name alone, wherever that stands; so it is refused in some
/// statements that would not show it.
///
/// # Errors
/// What holds which secret.
pub(super) fn none_is_read(syntax: &Syntax, catalog: &Catalog) -> Result<(), String> {
    let refused = |what: &str, of: &str, instead: &str| {
        Err(format!(
            "{of} holds {what}: not to be read. {instead}The operator can allow it by MCP_SENSITIVE_CATALOGS=allow."
        ))
    };
    let has = |hoard: Hoard| catalog.secrets.iter().any(|(found, _)| *found == hoard);
    for relation in &syntax.relations {
        let name = &relation.name.name;
        if !catalog.relations.iter().any(|found| found.name == *name) {
            continue;
        }
        // All of a row by what it is called: row_to_json(a).
        let is_row = |row: &String| row == name || syntax.aliases.contains(row);
        let shows_all = syntax.has_star || relation.renames_columns || syntax.rows.iter().any(is_row);
        let of_it = SENSITIVE.iter().filter(|(sensitive, _, _, hoard)| sensitive == name && hoard.is_none_or(has));
        for (_, columns, what, _) in of_it {
            if shows_all || syntax.columns.iter().any(|column| columns.contains(&&**column)) {
                let but = columns.join(", ");
                return refused(
                    what,
                    name,
                    &format!("Name the columns that are wanted, all but {but}, without * or whole rows. "),
                );
            }
        }
    }
    let is_secret = |setting: &str| {
        let setting = setting.to_lowercase();
        catalog.secrets.iter().any(|(_, secret)| *secret == setting)
            || setting.contains('.') && SECRET_ENDS.iter().any(|end| setting.ends_with(end))
    };
    let all = "Ask for single settings by SHOW. ";
    let some = has(Hoard::Settings) || has(Hoard::RoleSettings);
    if let Some(shown) = &syntax.shown {
        if is_secret(shown) {
            return refused("a password", shown, "");
        }
        if shown == "all" && has(Hoard::Settings) {
            return refused("passwords", "One of the settings", all);
        }
    }
    for call in syntax.calls.iter().filter(|call| is_about_settings(call)) {
        match &call.first {
            Some(setting) if call.function.name == "current_setting" && is_secret(setting) => {
                return refused("a password", setting, "");
            }
            Some(_) if call.function.name == "current_setting" => {}
            _ if some => return refused("passwords", "One of the settings", all),
            _ => {}
        }
    }
    Ok(())
}
