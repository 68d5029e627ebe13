//! Arrays, records, enums, domains, ranges.

pub const SETUP: &str = r#"
create type mood as enum ('sad', 'ok', 'very happy', 'it''s', '"', '{}', 'NULL');
create type pair as (n int4, label text);
create type nest as (p pair, ps pair[], m mood);
create type empty_row as ();
create type shaped as (b box, bs box[], d date, f float8, j jsonb, t timestamptz);
create domain positive as int4 check (value > 0);
create domain short_text as text check (length(value) < 40);
create domain pair_domain as pair;
create domain ints as int4[];
create domain box_domain as box;
create domain boxes as box[];
create domain domain_boxes as box_domain[];
create domain mood_domain as mood;
create domain over_domain as positive;
create type uses_domains as (p positive, ps positive[], i ints, d pair_domain);
create type float_range as range (subtype = float8);
create type text_range as range (subtype = text);
create type pair_range as range (subtype = pair);
create type positive_range as range (subtype = positive);
create table dropped (a int4, gone text, b text);
insert into dropped values (1, 'x', 'y z');
alter table dropped drop column gone;
create table measured as select '2024-01-01 00:00'::timestamp + n % 9 * '1 day'::interval as at, n % 7 / 4::float8 as f,
    (array['a b', '"', 'null', 'é', ''])[n % 5 + 1] as label, array[n % 3, null] as ns from generate_series(1, 1000) n;
analyze measured;
"#;

/// The expressions of the select lists.
pub const EXPRESSIONS: &[&str] = &[
    "array[]::int4[]",
    "null::int4[]",
    "array[1, null, -3]",
    "array[[1, 2], [3, 4]]",
    "array[[[1], [2]], [[3], [null::int4]]]",
    "array[[[[[[1, 2]]]]]]",
    "'[0:1]={1,2}'::int4[]",
    "'[-2:-1]={1,2}'::int4[]",
    "'[1:2][0:1]={{1,2},{3,4}}'::int4[]",
    "'[2147483646:2147483646]={1}'::int4[]",
    "'[-2147483648:-2147483648]={1}'::int4[]",
    "array['a', '', 'null', 'NULL', 'nUlL', null, 'nulls']",
    r#"array['"', '\', 'a,b', 'a;b', '{', '}', ' ', 'a b', '(x)', '''']"#,
    "array[E'\\t', E'\\n', E'\\r', E'\\v', E'\\f', E'\\b', E'\\x01', U&'\\00a0', 'é', U&'\\2003']",
    "array['ab'::char(4), 'c']",
    "array['a'::varchar]",
    "array['a'::name]",
    "array['a'::\"char\", '', ',', ' ']",
    "array[true, false, null]",
    "array[1.5::float4, 'NaN', '-Infinity']",
    "array[1.10, 'NaN', 'Infinity']::numeric[]",
    "array['\\x00ff'::bytea, '']",
    "array[date '2024-01-01', '-infinity']",
    "array[timestamp '2024-01-01 00:00', 'infinity']",
    "array[timestamptz '2024-01-01 00:00+00']",
    "array[interval '1 day', '00:00:01']",
    "array['{\"a\": \"b\\\\c\"}'::jsonb, 'null', null]",
    "array['{\"a\":1}'::json]",
    "array['<a b=\"c\"/>'::xml]",
    "array['(1,2)'::point]",
    "array['((1,2),(3,4))'::box, null, '(5,6),(7,8)']",
    "array[array['((1,2),(3,4))'::box], array['(5,6),(7,8)'::box]]",
    "'[0:0]={(3,4),(1,2)}'::box[]",
    "array['[(0,0),(1,1)]'::path]",
    "array['10.0.0.0/8'::inet]",
    "array['$.\"a\"'::jsonpath]",
    "array['a b'::tsvector]",
    "array['a & b'::tsquery]",
    "array['(0,1)'::tid]",
    "array[b'101', b'011']",
    "array['1:1:'::pg_snapshot]",
    "array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]",
    "'1 2 3'::int2vector",
    "''::int2vector",
    "'-1 32767'::int2vector",
    "'1 4294967295'::oidvector",
    "''::oidvector",
    "array['1 2'::int2vector, '']",
    "array['1 2'::oidvector]",
    "(select indkey from pg_index where indexrelid = 'pg_attribute_relid_attnam_index'::regclass)",
    "(select proargtypes from pg_proc where oid = 'pg_catalog.array_append'::regproc)",
    // records
    "row()",
    "row(1)",
    "row(null)",
    "row(null, null)",
    "row('')",
    r#"row('a b', '"', '\', 'a,b', '(', ')', '[', '{', '', null, 'null', '''')"#,
    "row(E'\\t', E'\\n', E'\\v', E'\\x01', 'é')",
    "row(1, row(2, row('three \"3\"', row('\\'))))",
    "row(array['a b', '\"'], array[row(1, 'x y')])",
    "row(true, 1.5::float8, 1.10, date '2024-01-01', '\\x00'::bytea, interval '1 day')",
    "row('((1,2),(3,4))'::box, array['((1,2),(3,4))'::box])",
    "row('a'::unknown, 'b'::text)",
    "row(int4range(1, 5), '{[1,2),[5,7)}'::int4multirange)",
    "row('{\"a\": 1}'::jsonb, '<a/>'::xml, 'a'::\"char\")",
    "array[row(1, 'a'), row(2, null)]",
    "array[row(1, 'a b'), row(2, '\"')]",
    "(select dropped from dropped)",
    "array(select dropped from dropped)",
    // the statistics of the planner are arrays of the type of the column
    "(select most_common_vals from pg_stats where tablename = 'measured' and attname = 'at')",
    "(select most_common_vals from pg_stats where tablename = 'measured' and attname = 'f')",
    "(select most_common_vals from pg_stats where tablename = 'measured' and attname = 'label')",
    "(select most_common_vals from pg_stats where tablename = 'measured' and attname = 'ns')",
    "(select histogram_bounds from pg_stats where tablename = 'pg_class' and attname = 'relname')",
    "(select most_common_elems from pg_stats where tablename = 'measured' and attname = 'ns')",
    "row(1, 'a b')::pair",
    "row(null, null)::pair",
    "null::pair",
    "row(1, '')::pair",
    "array[row(1, 'a b')::pair, row(null, 'null')::pair, null]",
    "row(row(1, 'a \"b\" \\c'), array[row(2, 'd,e')::pair, null], 'very happy')::nest",
    "array[row(row(1, 'a b'), array[row(2, 'd e')::pair], 'it''s')::nest]",
    "row()::empty_row",
    "row('(1,2),(3,4)', array['(1,2),(3,4)'::box, '(5,6),(7,8)'], '2024-01-01', 'NaN', '{\"a b\":1}', '2024-01-01 00:00+00')::shaped",
    // enums and domains
    "'sad'::mood",
    "'very happy'::mood",
    "array(select unnest(enum_range(null::mood)))",
    "5::positive",
    "6::over_domain",
    "array[5, 6]::positive[]",
    "array[5::over_domain]",
    "'a b'::short_text",
    "array['a b', '']::short_text[]",
    "row(1, 'x y')::pair::pair_domain",
    "array[row(1, 'x y')::pair_domain]",
    "array[1, 2]::ints",
    "array[array[1, 2]::ints, '[0:0]={3}'::ints]",
    "array['((1,2),(3,4))', '(5,6),(7,8)']::box_domain[]",
    "array[null, null]::boxes[]",
    "array['{(1,2),(3,4)}', '{(1,2),(3,4);(5,6),(7,8)}', null]::boxes[]",
    "array[array['((1,2),(3,4))'::box_domain, '(5,6),(7,8)']::domain_boxes, null::domain_boxes]",
    "array['ok'::mood_domain]",
    "row(1, array[2, 3]::positive[], array[[4], [5]], row(6, 'seven 8')::pair)::uses_domains",
    // ranges
    "'empty'::int4range",
    "'(,)'::int4range",
    "'[1,5]'::int4range",
    "'(,5)'::int4range",
    "'[1,)'::int4range",
    "'[-9223372036854775808,5)'::int8range",
    "'(1.10,2.20]'::numrange",
    "'[NaN,NaN]'::numrange",
    "'[-Infinity,Infinity)'::numrange",
    "'[2024-01-01,2024-01-31]'::daterange",
    "'[-infinity,infinity]'::daterange",
    "'[0044-03-15 BC,10000-01-01)'::daterange",
    "'[2024-01-01 00:00,2024-01-02 12:30:00.5)'::tsrange",
    "'(-infinity,]'::tsrange",
    "'[2024-01-01 00:00+02,infinity]'::tstzrange",
    "'[1.5,2.5]'::float_range",
    "'[-Infinity,NaN]'::float_range",
    "text_range('a b', 'c')",
    "text_range('', null, '()')",
    r#"text_range('"', '\', '[]')"#,
    "text_range('(', '[')",
    "text_range(',', 'null')",
    "text_range(E'\\t', E'\\v', '(]')",
    "text_range('{', '}')",
    "pair_range(row(1, 'a b'), row(2, '\"'))",
    "positive_range(1, 5)",
    "'{}'::int4multirange",
    "'{[1,3),[5,7)}'::int4multirange",
    "'{(,)}'::int4multirange",
    "'{(,3),[5,)}'::int8multirange",
    "'{[1.1,2.2],(3.30,4.40)}'::nummultirange",
    "'{[2024-01-01,2024-01-02],[2024-02-01,)}'::datemultirange",
    "'{[2024-01-01 00:00,2024-01-02 00:00)}'::tsmultirange",
    "'{[2024-01-01 00:00+00,2024-01-02 00:00+00),[2025-01-01 00:00+00,infinity)}'::tstzmultirange",
    "array['[1,5)'::int4range, 'empty', null]",
    "array['[2024-01-01 00:00,2024-01-02 00:00)'::tsrange]",
    "array['{[1,3),[5,7)}'::int4multirange]",
    "array[text_range('\"', 'a b')]",
    "row('[2024-01-01 00:00,)'::tsrange)",
];
