//! Values of the catalogs, as the guard needs them.

/// The name of a schema, without the quotes that `regnamespace` writes.
pub(super) fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// The major version, from the setting `server_version_num`.
pub(super) fn major(version: i32) -> u32 {
    u32::try_from(version / 10_000).unwrap_or_default()
}

/// The names in `pg_type` of these types, joined by commas. `shown` has them as PostgreSQL shows them, with a comma and a
/// space between them: `public.raster, integer, text[]` becomes `raster,int4,_text`.
pub(super) fn type_names(shown: &str) -> String {
    let name = |shown: &str| {
        let (element, array) = shown.strip_suffix("[]").map_or((shown, ""), |element| (element, "_"));
        let name = match element {
            "bigint" => "int8",
            "bit varying" => "varbit",
            "boolean" => "bool",
            "character varying" => "varchar",
            "character" => "bpchar",
            "double precision" => "float8",
            "integer" => "int4",
            "real" => "float4",
            "smallint" => "int2",
            "time with time zone" => "timetz",
            "time without time zone" => "time",
            "timestamp with time zone" => "timestamptz",
            "timestamp without time zone" => "timestamp",
            other => other.rsplit('.').next().unwrap_or(other).trim_matches('"'),
        };
        format!("{array}{name}")
    };
    shown.split(", ").map(name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_names_of_the_catalog() {
        for (shown, names) in [
            ("", ""),
            ("tsquery, text", "tsquery,text"),
            ("text, time with time zone", "text,timetz"),
            ("public.raster, integer, text[], double precision[]", "raster,int4,_text,_float8"),
            ("\"any\", internal", "any,internal"),
        ] {
            assert_eq!(type_names(shown), names);
        }
    }
}
