//! The names of types: as an operator of the server writes them, and as the catalogs have them.

/// The names in `pg_type` of these types, joined by commas. `shown` has them as PostgreSQL shows them, with a comma and a
/// space between them: `public.raster, integer, text[]` becomes `raster,int4,_text`.
fn type_names(shown: &str) -> String {
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

/// Whether `written`, as an operator writes it, means the argument types `names` of [`type_names`].
pub(crate) fn same_types(written: &str, names: &str) -> bool {
    let name = |name: &str| match &*name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase() {
        "int" => "integer".to_owned(),
        "decimal" => "numeric".to_owned(),
        "float" => "double precision".to_owned(),
        other => other.to_owned(),
    };
    type_names(&written.split(',').map(name).collect::<Vec<_>>().join(", ")) == names
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

    #[test]
    fn an_operator_writes_types_in_any_spelling() {
        for (written, names, is_same) in [
            ("int, TEXT", "int4,text", true),
            (" integer ,text[]", "int4,_text", true),
            ("timestamp  with time zone", "timestamptz", true),
            ("decimal", "numeric", true),
            ("", "", true),
            ("int", "int4,int4", false),
            ("int8", "int4", false),
        ] {
            assert_eq!(same_types(written, names), is_same, "{written}");
        }
    }
}
