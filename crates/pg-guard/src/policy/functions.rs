//! The known functions of extensions, by name.

/// Volatile functions that change nothing, of the extensions that come with PostgreSQL.
pub(super) const HARMLESS_OF_EXTENSIONS: &[(&str, &[&str])] = &[
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

/// Harmful functions, by the reason. For functions of extensions it also holds if they are not declared volatile.
pub(super) const HARMFUL: &[(&str, &[&str])] = &[
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

/// Functions of extensions that are not declared volatile and are harmful nevertheless.
pub(super) const HARMFUL_ALTHOUGH_NOT_VOLATILE: &[&str] =
    &["connectby*", "crosstab*", "dblink*", "isn_weak", "xpath_table"];

/// Functions that return secrets.
pub(super) const SENSITIVE_FUNCTIONS: &[(&str, &[&str])] = &[
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

/// The volatile functions among those that return secrets.
pub(super) const SENSITIVE_NAMES: &[&str] = &["pg_hba_file_rules", "pg_show_all_file_settings", "pg_stat_statements"];

/// Whether a list contains a name. An entry that ends in `*` matches every name with this prefix.
pub(super) fn has(names: &[&str], name: &str) -> bool {
    names.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => *entry == name,
    })
}
