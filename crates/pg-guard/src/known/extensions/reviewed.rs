//! What was decided by hand about functions of extensions. An entry is the name of a function, or `name(types)` for one
//! of its overloads, which counts more.

use crate::known::Class;

/// An extension, and functions of it.
type Functions = (&'static str, &'static [&'static str]);

/// Functions that change nothing, by extension, although they are volatile or run with the rights of their owner.
const HARMLESS: &[Functions] = &[
    ("hypopg", &["hypopg", "hypopg_get_indexdef", "hypopg_hidden_indexes", "hypopg_relation_size"]),
    (
        "icu_ext",
        &[
            "icu_character_boundaries",
            "icu_collation_attributes",
            "icu_default_locale",
            "icu_line_boundaries",
            "icu_locales_list",
            "icu_sentence_boundaries",
            "icu_transform",
            "icu_transforms_list",
            "icu_unicode_version",
            "icu_version",
            "icu_word_boundaries",
        ],
    ),
    ("old_snapshot", &["pg_old_snapshot_time_mapping"]),
    (
        "orafce",
        &["days_inmonth", "dump", "isleapyear", "regexp_count", "regexp_like", "regexp_substr", "unistr", "version"],
    ),
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
    ("pg_rational", &["tuple_to_rational"]),
    ("pg_stat_kcache", &["pg_stat_kcache"]),
    ("pg_stat_statements", &["pg_stat_statements_info"]),
    (
        "pg_visibility",
        &["pg_check_frozen", "pg_check_visible", "pg_visibility", "pg_visibility_map", "pg_visibility_map_summary"],
    ),
    (
        "pg_wait_sampling",
        &["pg_wait_sampling_get_current", "pg_wait_sampling_get_history", "pg_wait_sampling_get_profile"],
    ),
    (
        "pgcrypto",
        &[
            "fips_mode",
            "gen_random_bytes",
            "gen_random_uuid",
            "gen_salt",
            "pgp_pub_encrypt",
            "pgp_pub_encrypt_bytea",
            "pgp_sym_encrypt",
            "pgp_sym_encrypt_bytea",
        ],
    ),
    ("pgrowlocks", &["pgrowlocks"]),
    (
        "pgrouting",
        &[
            "_pgr_array_reverse",
            "_pgr_boost_version",
            "_pgr_build_type",
            "_pgr_compilation_date",
            "_pgr_compiler_version",
            "_pgr_endpoint",
            "_pgr_git_hash",
            "_pgr_lib_version",
            "_pgr_operating_system",
            "_pgr_pgsql_version",
            "_pgr_startpoint",
            "pgr_alphashape(geometry,float8)",
            "pgr_full_version",
            "pgr_version",
        ],
    ),
    (
        "pgstattuple",
        &["pg_relpages", "pgstatginindex", "pgstathashindex", "pgstatindex", "pgstattuple", "pgstattuple_approx"],
    ),
    (
        "pointcloud",
        &[
            "pcpatch_agg_final_array",
            "pcpatch_agg_final_pcpatch",
            "pcpatch_agg_transfn",
            "pcpoint_agg_final_array",
            "pcpoint_agg_final_pcpatch",
            "pcpoint_agg_transfn",
        ],
    ),
    (
        "pointcloud_postgis",
        &["geometry", "pc_boundingdiagonalgeometry", "pc_envelopegeometry", "pc_intersection", "pc_intersects"],
    ),
    (
        "postgis",
        &[
            "_postgis_join_selectivity",
            "_postgis_selectivity",
            "_postgis_stats",
            "longtransactionsenabled",
            "st_clusterkmeans",
            "st_estimatedextent",
            "st_generatepoints",
            "st_symmetricdifference",
        ],
    ),
    (
        "postgis_raster",
        &["st_rotation", "st_setbandnodatavalue(raster,float8)", "st_setvalue(raster,int4,int4,float8)"],
    ),
    ("postgis_tiger_geocoder", &["location_extract_countysub_fuzzy"]),
    ("postgis_topology", &["findlayer", "findtopology", "geometry", "st_simplify", "st_srid"]),
    ("postgres_fdw", &["postgres_fdw_get_connections"]),
    ("prefix", &["pr_penalty"]),
    ("q3c", &["q3c_ipixcenter"]),
    (
        "sslinfo",
        &[
            "ssl_cipher",
            "ssl_client_cert_present",
            "ssl_client_dn",
            "ssl_client_dn_field",
            "ssl_client_serial",
            "ssl_extension_info",
            "ssl_is_used",
            "ssl_issuer_dn",
            "ssl_issuer_field",
            "ssl_version",
        ],
    ),
    ("tablefunc", &["normal_rand"]),
    (
        "timescaledb",
        &[
            "approximate_row_count",
            "chunks_detailed_size",
            "chunks_local_size",
            "generate_uuidv7",
            "get_approx_row_count",
            "hypertable_approximate_detailed_size",
            "hypertable_approximate_size",
            "hypertable_detailed_size",
            "hypertable_index_size",
            "hypertable_local_size",
            "hypertable_size",
            "interpolate",
            "locf",
            "relation_approximate_size",
            "relation_size",
            "show_policies",
            "show_tablespaces",
            "time_bucket_gapfill",
            "time_to_internal",
            "to_uuidv7",
        ],
    ),
    ("uuid-ossp", &["uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"]),
];

/// Functions that do harm, by the reason and the extension, whether they are volatile or not.
const LIVE: &[(&str, &[Functions])] = &[
    (
        "it reads or writes files of the database server",
        &[
            ("adminpack", &["pg_file_rename", "pg_file_sync", "pg_file_unlink", "pg_file_write", "pg_logdir_ls"]),
            (
                "postgis_raster",
                &[
                    "st_addband(raster,int4,text,_int4,float8)",
                    "st_addband(raster,text,_int4,int4,float8)",
                    "st_bandfilesize",
                    "st_bandfiletimestamp",
                    "st_fromgdalraster",
                    "st_setbandindex",
                    "st_setbandpath",
                ],
            ),
        ],
    ),
    (
        "it runs SQL that is given to it as text, which nobody has looked at",
        &[
            ("address_standardizer", &["standardize_address"]),
            ("postgis", &["st_findextent", "st_fromflatgeobuftotable"]),
            ("postgis_raster", &["_st_valuecount(text,text,int4,bool,_float8,float8)", "st_retile"]),
            ("tablefunc", &["connectby", "crosstab", "crosstab2", "crosstab3", "crosstab4"]),
            ("xml2", &["xpath_table"]),
        ],
    ),
    (
        "it runs an expression or a function that is given to it as text or by number, which nobody has looked at",
        &[(
            "postgis_raster",
            &["_st_mapalgebra", "st_mapalgebra", "st_mapalgebraexpr", "st_mapalgebrafct", "st_mapalgebrafctngb"],
        )],
    ),
    (
        "it changes settings of the session",
        &[
            ("icu_ext", &["icu_set_default_locale"]),
            ("isn", &["isn_weak(bool)"]),
            ("orafce", &["initialize", "seed", "set_nls_sort", "terminate"]),
            ("pg_trgm", &["set_limit"]),
        ],
    ),
    (
        "it controls the server, its replication or its statistics",
        &[
            ("pg_buffercache", &["pg_buffercache_evict", "pg_buffercache_evict_all", "pg_buffercache_evict_relation"]),
            ("pg_prewarm", &["autoprewarm_dump_now", "autoprewarm_start_worker", "pg_prewarm"]),
            ("pg_stat_kcache", &["pg_stat_kcache_reset"]),
            ("pg_stat_statements", &["pg_stat_statements_reset"]),
            ("pg_surgery", &["heap_force_freeze", "heap_force_kill"]),
            ("pg_visibility", &["pg_truncate_visibility_map"]),
        ],
    ),
];

/// Functions that do harm, by the beginning of their name. They are too many to name each.
const LIVE_BY_PREFIX: &[(&str, &str, &[&str])] = &[
    ("it reaches other databases and servers", "dblink", &["dblink"]),
    ("it reaches other databases and servers", "postgres_fdw", &["postgres_fdw_disconnect"]),
    ("it runs SQL that is given to it as text, which nobody has looked at", "pgrouting", &["pgr_", "_pgr_"]),
    // The overloads for the values of a coverage: a table and a column as text.
    (
        "it runs SQL that is given to it as text, which nobody has looked at",
        "postgis_raster",
        &["st_valuecount(text,", "st_valuepercent(text,"],
    ),
];

/// Functions that return secrets and do no other harm.
const SECRET: &[(&str, &[Functions])] = &[
    (
        "it shows other sessions' SQL",
        &[
            (
                "pg_qualstats",
                &["pg_qualstats", "pg_qualstats_example_queries", "pg_qualstats_example_query", "pg_qualstats_names"],
            ),
            ("pg_stat_statements", &["pg_stat_statements"]),
        ],
    ),
    (
        "it reads tables past their rights",
        &[
            (
                "pageinspect",
                &[
                    "bt_page_items",
                    "brin_page_items",
                    "get_raw_page",
                    "gin_leafpage_items",
                    "gist_page_items",
                    "gist_page_items_bytea",
                    "hash_page_items",
                    "heap_page_item_attrs",
                    "heap_page_items",
                    "tuple_data_split",
                ],
            ),
            ("pg_walinspect", &["pg_get_wal_block_info"]),
        ],
    ),
];

/// Each decision: the extension, the function, its class.
pub(super) fn all() -> impl Iterator<Item = ((&'static str, &'static str), Class)> {
    let with = |class: fn(&'static str) -> Class| {
        move |(why, extensions): &(&'static str, &'static [Functions])| of(extensions, class(why))
    };
    of(HARMLESS, Class::Harmless)
        .chain(LIVE.iter().flat_map(with(Class::Live)))
        .chain(SECRET.iter().flat_map(with(Class::Secret)))
}

fn of(extensions: &'static [Functions], class: Class) -> impl Iterator<Item = ((&'static str, &'static str), Class)> {
    extensions.iter().flat_map(move |(of, functions)| functions.iter().map(move |function| ((*of, *function), class)))
}

/// What the beginning of a name, or of `name(types)`, says.
pub(super) fn by_prefix(extension: &str, overload: &str) -> Option<Class> {
    LIVE_BY_PREFIX.iter().find_map(|(why, of, prefixes)| {
        let fits = *of == extension && prefixes.iter().any(|prefix| overload.starts_with(prefix));
        fits.then_some(Class::Live(why))
    })
}
