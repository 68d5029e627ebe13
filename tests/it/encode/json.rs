//! The JSON of values, as `Codec::write_json` documents it.

use crate::encode::{Server, report};

/// Expressions with their exact JSON.
const SHAPES: &[(&str, &str)] = &[
    ("true", "true"),
    ("false", "false"),
    // numbers that every reader keeps exactly
    ("(-32768)::int2", "-32768"),
    ("2147483647", "2147483647"),
    ("4294967295::oid", "4294967295"),
    ("'4294967295'::xid", "4294967295"),
    ("'4294967295'::cid", "4294967295"),
    ("9007199254740991", "9007199254740991"),
    ("-9007199254740991", "-9007199254740991"),
    ("1.5::float4", "1.5"),
    ("0.1::float4", "0.1"),
    ("1e-45::float4", "1e-45"),
    ("16777216::float4", "1.6777216e+07"),
    ("0.1::float8", "0.1"),
    ("'-0'::float8", "-0.0"),
    ("array['-0', 0]::float4[]", "[-0.0,0]"),
    ("row('-0'::float8)", r#""(-0)""#),
    ("1e15::float8", "1e+15"),
    ("123456789012345::float8", "123456789012345"),
    ("5e-324::float8", "5e-324"),
    ("1.7976931348623157e308::float8", "1.7976931348623157e+308"),
    // numbers that a double would change, or that JSON does not have
    ("9007199254740992", r#""9007199254740992""#),
    ("-9007199254740992", r#""-9007199254740992""#),
    ("9223372036854775807", r#""9223372036854775807""#),
    ("-9223372036854775808", r#""-9223372036854775808""#),
    ("'1'::xid8", r#""1""#),
    ("1::numeric", r#""1""#),
    ("0.00::numeric", r#""0.00""#),
    ("12345678901234567890.12345678901234567890", r#""12345678901234567890.12345678901234567890""#),
    ("'NaN'::numeric", r#""NaN""#),
    ("'-Infinity'::numeric", r#""-Infinity""#),
    ("'NaN'::float4", r#""NaN""#),
    ("'Infinity'::float4", r#""Infinity""#),
    ("'NaN'::float8", r#""NaN""#),
    ("'-Infinity'::float8", r#""-Infinity""#),
    // texts
    ("''", r#""""#),
    ("'é 日本 🙂 /'", r#""é 日本 🙂 /""#),
    (r#"'"\'"#, r#""\"\\""#),
    ("E'\\b\\f\\n\\r\\t\\x01\\x1f\\x7f'", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}\""),
    ("U&'\\2028\\2029\\FEFF'", "\"\u{2028}\u{2029}\u{feff}\""),
    ("'ab'::char(4)", r#""ab  ""#),
    ("'a'::\"char\"", r#""a""#),
    ("''::\"char\"", r#""""#),
    ("'pg_class'::name", r#""pg_class""#),
    ("'<a b=\"c\"/>'::xml", r#""<a b=\"c\"/>""#),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#),
    ("'\\xDEADbeef'::bytea", r#""\\xdeadbeef""#),
    ("''::bytea", r#""\\x""#),
    ("b'1011'", r#""1011""#),
    ("pg_advisory_unlock_all()", r#""""#),
    // times
    ("date '2024-02-29'", r#""2024-02-29""#),
    ("date 'infinity'", r#""infinity""#),
    ("date '0044-03-15 BC'", r#""0044-03-15 BC""#),
    ("time '04:05:06.7'", r#""04:05:06.7""#),
    ("timetz '04:05:06+05:30'", r#""04:05:06+05:30""#),
    ("timestamp '2024-02-29 12:34:56'", r#""2024-02-29 12:34:56""#),
    ("timestamptz '2024-02-29 12:34:56.5+02'", r#""2024-02-29 10:34:56.5+00""#),
    ("timestamptz '-infinity'", r#""-infinity""#),
    ("interval '1 mon -1 day 00:00:01'", r#""1 mon -1 days +00:00:01""#),
    // the rest of the simple types
    ("'10.0.0.0/8'::inet", r#""10.0.0.0/8""#),
    ("'10.0.0.1/32'::cidr", r#""10.0.0.1/32""#),
    ("'08:00:2b:01:02:03'::macaddr", r#""08:00:2b:01:02:03""#),
    ("'(1,2)'::point", r#""(1,2)""#),
    ("'(0,1)'::tid", r#""(0,1)""#),
    ("'16/B374D848'::pg_lsn", r#""16/B374D848""#),
    ("$$'a':1A '\\\\'$$::tsvector", r#""'\\\\' 'a':1A""#),
    ("'a & b'::tsquery", r#""'a' & 'b'""#),
    ("'$.\"a\"'::jsonpath", r#""$.\"a\"""#),
    // JSON keeps its digits, its keys with their order, and its white space
    ("'{\"b\":1.00, \"a\":[1e5,-0],\"b\":9007199254740993}'::json", r#"{"b":1.00, "a":[1e5,-0],"b":9007199254740993}"#),
    ("E'{\\n\\t\"a\":\\r\\n1}'::json", "{ \t\"a\":  1}"),
    ("'null'::json", "null"),
    ("'\"\\u00e9\\ud83d\\ude42\"'::json", r#""\u00e9\ud83d\ude42""#),
    ("'{\"b\":1.00,\"a\":1e5}'::jsonb", r#"{"a": 100000, "b": 1.00}"#),
    ("'null'::jsonb", "null"),
    ("'\"a\"'::jsonb", r#""a""#),
    ("'0.10000000000000000000000000000000000001'::jsonb", "0.10000000000000000000000000000000000001"),
    // arrays
    ("array[]::int4[]", "[]"),
    ("array[1, null, -3]", "[1,null,-3]"),
    ("array[[1, 2], [3, 4]]", "[[1,2],[3,4]]"),
    ("array[[[true]], [[null::bool]]]", "[[[true]],[[null]]]"),
    ("array[1, 9007199254740992]", r#"[1,"9007199254740992"]"#),
    ("array[1.5::float8, 'NaN']", r#"[1.5,"NaN"]"#),
    ("array[1.10]", r#"["1.10"]"#),
    ("array['a', '', 'null', null, '\"']", r#"["a","","null",null,"\""]"#),
    ("array['{\"a\":1}'::jsonb, null]", r#"[{"a": 1},null]"#),
    // with elements that look like other values
    ("array['{\"a\":1}'::jsonb, 'null', null]", r#""{\"{\\\"a\\\": 1}\",\"null\",NULL}""#),
    ("array[['1', null], ['[1e999]', '\"1e999\"']]::json[]", r#""{{1,NULL},{[1e999],\"\\\"1e999\\\"\"}}""#),
    ("array['((1,2),(3,4))'::box]", r#"["(3,4),(1,2)"]"#),
    ("array['\\x00'::bytea]", r#"["\\x00"]"#),
    ("'[0:1]={1,2}'::int4[]", r#""[0:1]={1,2}""#),
    ("'[0:0]={\"a\\\"b\"}'::text[]", r#""[0:0]={\"a\\\"b\"}""#),
    ("array[array[1, 2]::ints, '[0:0]={3}'::ints]", r#"[[1,2],"[0:0]={3}"]"#),
    ("'1 2'::int2vector", "[1,2]"),
    ("''::oidvector", "[]"),
    ("'1 4294967295'::oidvector", "[1,4294967295]"),
    // records and ranges are strings of their text
    ("row(1, 'a b', null)", r#""(1,\"a b\",)""#),
    ("row()", r#""()""#),
    ("row(1, '\"')::pair", r#""(1,\"\"\"\")""#),
    ("array[row(1, 'a')::pair, null]", r#"["(1,a)",null]"#),
    ("row(1, '{\"a\":1}'::json)", r#""(1,\"{\"\"a\"\":1}\")""#),
    ("'[1,5]'::int4range", r#""[1,6)""#),
    ("'empty'::int4range", r#""empty""#),
    ("'[2024-01-01 00:00,)'::tsrange", r#""[\"2024-01-01 00:00:00\",)""#),
    ("'{[1,3),[5,7)}'::int4multirange", r#""{[1,3),[5,7)}""#),
    ("array['empty'::int4range]", r#"["empty"]"#),
    // a domain is its base type
    ("'very \"happy\"'::mood", r#""very \"happy\"""#),
    ("5::positive", "5"),
    ("array[5::positive]", "[5]"),
    ("'[1,2]'::document", "[1, 2]"),
    ("array['{}'::document]", "[{}]"),
];

const SETUP: &str = r#"
create type mood as enum ('very "happy"');
create type pair as (n int4, label text);
create domain positive as int4 check (value > 0);
create domain ints as int4[];
create domain document as jsonb;
"#;

/// JSON that PostgreSQL accepts and a common reader refuses, together with everything around it.
const UNREADABLE: &[(&str, bool)] = &[
    // serde_json and Go refuse a number that does not fit into a double
    ("1e308", false),
    ("-1.7976931348623157e308", false),
    ("1e309", true),
    ("[{\"a\":-1E+400}]", true),
    ("0e999999", false),
    ("1e-999999", false),
    ("\"1e999\"", false),
    ("{\"1e999\":\"\\\" 1e999\"}", false),
    // serde_json refuses half of a surrogate pair
    (r#""\ud83d\ude42""#, false),
    (r#""\ud83d""#, true),
    (r#""\ude42""#, true),
    (r#""\ud83d\u0041""#, true),
    (r#"{"\uD83D x":1}"#, true),
    (r#""\\ud83d""#, false),
    (r#""\ud83d\ud83d\ude42""#, true),
    (r#""\\\ud83d\ude42\\""#, false),
];

#[tokio::test]
async fn each_value_has_the_documented_json() {
    let server = Server::start().await;
    server.run(SETUP).await;
    let mut failures = Vec::new();
    for (expression, expected) in SHAPES {
        let actual = server.column(&format!("select {expression}")).await.json(0);
        if actual.as_ref().ok().and_then(Option::as_deref) != Some(expected) {
            failures.push(format!("{expression}\n    actual {actual:?}\n  expected {expected}"));
        }
    }
    report(failures, SHAPES.len());
}

#[tokio::test]
async fn json_that_some_readers_refuse_is_a_string_of_its_text() {
    let server = Server::start().await;
    let mut failures = Vec::new();
    let nested = |depth: usize| (format!("{}{}", "[".repeat(depth), "]".repeat(depth)), depth > 100);
    let rows: Vec<(String, bool)> = UNREADABLE
        .iter()
        .map(|(json, is_text)| ((*json).to_owned(), *is_text))
        .chain([nested(100), nested(101)])
        .collect();
    for (json, is_text) in &rows {
        let actual = server.column(&format!("select $x${json}$x$::json")).await.json(0);
        let expected = if *is_text { serde_json::to_string(json).unwrap() } else { json.clone() };
        if actual != Ok(Some(expected.clone())) {
            failures.push(format!("{json}\n    actual {actual:?}\n  expected {expected}"));
        }
    }
    report(failures, rows.len());
}
