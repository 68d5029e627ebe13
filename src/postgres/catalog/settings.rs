//! Where the value of a PostgreSQL setting comes from, in words.

/// Completes "set …", from the column `source` of pg_settings (manual, section 54.24).
pub fn set_by(source: &str) -> &'static str {
    match source {
        "user" => "for this role (ALTER ROLE … SET)",
        "database" => "for this database (ALTER DATABASE … SET)",
        "database user" => "for this role in this database (ALTER ROLE … IN DATABASE … SET)",
        "global" => "for all roles (ALTER ROLE ALL SET)",
        "client" => "by POSTGRES_OPTIONS",
        "session" => "in this session",
        _ => "for the whole server (postgresql.conf)",
    }
}
