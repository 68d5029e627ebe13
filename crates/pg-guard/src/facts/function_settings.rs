//! The settings that a function in SQL may set for itself without changing how its text is read.

/// The settings that a function in SQL may set for itself (SET in CREATE FUNCTION). None of them changes how its text is
/// read, except `search_path`: then its names are looked up in all schemas.
const SETTINGS_OF_FUNCTIONS: &[&str] = &[
    "search_path",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "work_mem",
    "maintenance_work_mem",
    "hash_mem_multiplier",
    "temp_buffers",
    "effective_cache_size",
    "effective_io_concurrency",
    "plan_cache_mode",
    "from_collapse_limit",
    "join_collapse_limit",
    "constraint_exclusion",
    "row_security",
    "client_min_messages",
    "timezone",
    "datestyle",
    "intervalstyle",
    "extra_float_digits",
    "bytea_output",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "default_text_search_config",
    "max_parallel_workers_per_gather",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "min_parallel_table_scan_size",
    "min_parallel_index_scan_size",
    "random_page_cost",
    "seq_page_cost",
    "cpu_tuple_cost",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
];

/// The beginnings of the names of further such settings.
const SETTINGS_OF_FUNCTIONS_BY_PREFIX: &[&str] =
    &["enable_", "jit", "geqo", "pg_trgm.", "hnsw.", "ivfflat.", "postgis."];

/// Whether a function in SQL may set it for itself.
pub(super) fn is_harmless_setting(name: &str) -> bool {
    SETTINGS_OF_FUNCTIONS.contains(&name)
        || SETTINGS_OF_FUNCTIONS_BY_PREFIX.iter().any(|prefix| name.starts_with(prefix))
}
