//! The extensions that come with PostgreSQL and whose values the encoder can write.

pub const SETUP: &str = "create schema elsewhere; create extension hstore schema elsewhere; create extension citext; \
                         create extension ltree; create domain tags as elsewhere.hstore; \
                         set search_path = public, elsewhere";

/// The expressions of the select lists.
pub const EXPRESSIONS: &[&str] = &[
    "''::hstore",
    "'a=>1, bb=>NULL, c=>\"NULL\"'::hstore",
    r#"hstore(array['k y', 'quote"', 'back\slash', '', 'é', '=>'], array['v,1', '"', '\\', '', '日本', null])"#,
    "hstore(E'line\\n', E'tab\\t')",
    "array['a=>1'::hstore, '']",
    "array['a=>1', 'b=>2']::tags[]",
    "'a=>1'::tags",
    "'MiXed cAse'::citext",
    "array['A b'::citext, 'NULL', '']",
    "'Top.Science.Astronomy'::ltree",
    "''::ltree",
    "array['a.b'::ltree, '']",
    "'Top.*{0,2}.sport*@.!football|tennis{1,}.Russ*|Spain'::lquery",
    "array['*.a'::lquery]",
    "'Europe & Russia*@ & !Transportation'::ltxtquery",
    "array['a & b'::ltxtquery]",
];
