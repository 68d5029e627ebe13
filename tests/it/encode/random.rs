//! Pseudo-random values, thousands of each type, which are the same in every run. Their texts are compared with those
//! of PostgreSQL.

use crate::encode::{Server, compare, report};

const ROWS: usize = 2_000;

const SEED: &str = "select setseed(0.25)";

/// The name of a type, and an expression with `random()` and the row number `n`.
const GENERATED: &[(&str, &str)] = &[
    ("int2", "(random() * 65535 - 32768)::int2"),
    ("int8", "((random() * 2 - 1) * 10 ^ (random() * 18))::int8"),
    ("numeric", "((random() - 0.5)::text)::numeric * (10::numeric ^ (random() * 40 - 20)::int)"),
    ("numeric", "round((random() * 1000000)::numeric, (random() * 12)::int) - 500000"),
    ("numeric", "trunc((random()::text)::numeric * 10::numeric ^ (n % 60)) / 10::numeric ^ (n % 37)"),
    (
        "numeric",
        "case n % 4 when 0 then n else n * 10000::numeric ^ (n % 9) end * case n % 2 when 0 then 1 else -1 end",
    ),
    ("date", "'2000-01-01'::date + ((random() - 0.5) * 10000000)::int % 2450000"),
    ("date", "'0001-01-05 BC'::date + n"),
    ("date", "'1999-01-01'::date + n"),
    ("time", "(random() * 86399999999)::int8 * '1 microsecond'::interval + '00:00'::time"),
    ("time", "make_time(n % 24, n % 60, round((random() * 59)::numeric, n % 7)::float8)"),
    (
        "timetz",
        "(((random() * 86399)::int * '1 second'::interval + '00:00'::time)::text || \
        to_char(make_interval(secs => 0), case when n % 2 = 0 then '+' else '-' end) || \
        to_char((random() * 57599)::int * '1 second'::interval, 'HH24:MI:SS'))::timetz",
    ),
    (
        "timestamp",
        "'2000-01-01'::timestamp + ((random() - 0.5) * 4e17)::int8 % 200000000000000000 * '1 microsecond'::interval",
    ),
    ("timestamp", "'0001-06-01 BC'::timestamp + n * '9 hours 59 minutes 59.999 seconds'::interval"),
    ("timestamptz", "'2000-01-01'::timestamptz + (random() - 0.5) * '4000 years'::interval"),
    ("timestamptz", "to_timestamp(random() * 4e9)"),
    (
        "interval",
        "make_interval(months => ((random() - 0.5) * 100)::int, days => ((random() - 0.5) * 10)::int, secs => ((random() - 0.5) * 10 ^ (n % 10))::int)",
    ),
    (
        "interval",
        "make_interval(months => (n % 3 - 1) * (n % 25), days => (n / 3 % 3 - 1) * (n % 3), secs => (n / 9 % 3 - 1) * 3600.25)",
    ),
    ("interval", "((random() - 0.5) * 1e18)::int8 * '1 microsecond'::interval"),
    ("uuid", "md5(random()::text)::uuid"),
    ("inet", "('0.0.0.0'::inet + (random() * 4294967295)::int8)"),
    ("inet", "set_masklen('0.0.0.0'::inet + (random() * 4294967295)::int8, n % 33)"),
    ("cidr", "set_masklen(('0.0.0.0'::inet + (random() * 4294967295)::int8)::cidr, n % 33)"),
    (
        "inet",
        "(select string_agg(case when random() < 0.6 then '0' else to_hex((random() * 65535)::int) end, ':' order by k) \
        from generate_series(1, 8) k where n > 0)::inet",
    ),
    (
        "inet",
        "set_masklen((select string_agg(case when random() < 0.7 then '0' when random() < 0.3 then 'ffff' else to_hex((random() * 300)::int) end, ':' order by k) \
        from generate_series(1, 8) k where n > 0)::inet, n % 129)",
    ),
    (
        "inet",
        "('::' || case n % 3 when 0 then 'ffff:' else '' end || host('0.0.0.0'::inet + (random() * 10 ^ (n % 10))::int8 % 4294967296))::inet",
    ),
    ("macaddr", "substr(md5(random()::text), 1, 12)::macaddr"),
    ("macaddr8", "substr(md5(random()::text), 1, 16)::macaddr8"),
    ("bytea", "decode(substr(repeat(md5(random()::text), 4), 1, n % 60 * 2), 'hex')"),
    ("bit", "(random() * 2147483647)::int4::bit(32)"),
    ("varbit", "substring((random() * 1e18)::int8::bit(64)::varbit, 1, n % 65)"),
    ("text", "TEXT"),
    ("name", "TEXT::name"),
    ("bpchar", "TEXT::char(9)"),
    ("text[]", "array(select case when random() < 0.1 then null else TEXT end from generate_series(1, n % 5))"),
    ("text[][]", "array[[TEXT, TEXT], [TEXT, null]]"),
    ("record", "row(TEXT, n, case when n % 3 = 0 then null else TEXT end)"),
    ("record", "row(TEXT, row(TEXT, array[row(TEXT, TEXT)]))"),
    ("record[]", "array[row(TEXT, array[TEXT, TEXT]), row('', null::text[])]"),
    (
        "textrange",
        "(select textrange(least(a, b), nullif(greatest(a, b), 'a'), (array['[]', '[)', '(]', '()'])[n % 4 + 1]) \
        from (select TEXT as a, TEXT as b) texts)",
    ),
    ("int4range", "int4range(-n % 50, (random() * 100)::int, (array['[]', '[)', '(]', '()'])[n % 4 + 1])"),
    (
        "numrange",
        "numrange(case when n % 5 > 0 then -random()::numeric end, case when n % 7 > 0 then round(random()::numeric, n % 9) end)",
    ),
    ("tstzrange", "tstzrange(to_timestamp(random() * 1e9), to_timestamp(1e9 + random() * 1e9))"),
    ("int8multirange", "int8multirange(int8range(n, n + 10), int8range(n * 2 + 20, null), int8range(-5, 0))"),
    ("int4[]", "(select array_agg((random() * 4e9 - 2e9)::int4) from generate_series(1, n % 9))"),
    ("float8[]", "array[random(), -random() * 1e20, random() / 1e10]"),
    ("point", "point(random() * 10 ^ (n % 40 - 20), -random())"),
    ("polygon", "polygon(n % 10 + 2, circle(point(random(), random()), random()))"),
    ("path", "polygon(n % 10 + 2, circle(point(0, 0), n))::path"),
    ("line", "line(point(0, 0), point(n, random() + 1))"),
    ("circle", "circle(point(random(), n), random() * 100)"),
    ("box", "box(point(random(), random()), point(-random(), n))"),
    ("json", "json_build_object(TEXT, TEXT, 'n', n, 'f', random())"),
    ("jsonb", "jsonb_build_object(TEXT, TEXT, 'n', n, 'f', random(), 'deep', jsonb_build_array(n, null, array[TEXT]))"),
    ("tsvector", "array_to_tsvector(array[TEXT || '.', TEXT || '-'])"),
    ("tsvector", "to_tsvector('simple', repeat(md5(n::text) || ' x ', n % 30))"),
    ("tsquery", "TREE"),
    ("pg_lsn", "'0/0'::pg_lsn + (random() * 1e18)::numeric"),
    ("tid", "('(' || (random() * 4294967295)::int8 || ',' || n % 65536 || ')')::tid"),
];

/// A text of up to seven characters that PostgreSQL or JSON treat specially. It differs for each row and for each
/// position in an expression.
const TEXT: &str = "(select coalesce(string_agg(substr(U&'ab\"\\\\''(){}[],;: <>&|!*\\0001\\0009\\000A\\000B\\000C\\000D\\001F\\007F\\00A0\\00E9\\2028\\65E5\\+01F642NULL', \
                    1 + (random() * 45)::int, 1), ''), '') from generate_series(1, (random() * 7)::int + n * 0))";

/// A tsquery of random structure.
const TREE: &str = "(select case n % 7 when 0 then a && b || c when 1 then a || b && !!c when 2 then tsquery_phrase(a, b || c, n % 5) \
                    when 3 then tsquery_phrase(tsquery_phrase(a, b), c) when 4 then tsquery_phrase(a, tsquery_phrase(b, c)) \
                    when 5 then !!(a && !!tsquery_phrase(b, c)) else tsquery_phrase(!!a, b && c) || a end \
                    from (select array_agg(q) as q from (select case (random() * 3)::int when 0 then 'w & x' when 1 then '!y' \
                    when 2 then 'v:*AB <-> u' else 'z | t' end::tsquery as q from generate_series(1, 3 + n * 0)) parts) all_parts, \
                    lateral (select q[1] as a, q[2] as b, q[3] as c) named)";

#[tokio::test]
async fn generated_values_have_the_text_of_postgresql() {
    let server = Server::start().await;
    server.run("create type textrange as range (subtype = text, collation = \"C\")").await;
    let mut failures = Vec::new();
    for (name, expression) in GENERATED {
        let expression = expression.replace("TREE", TREE).replace("TEXT", TEXT);
        let sql = format!("select {expression} from generate_series(1, {ROWS}) n");
        failures.extend(differences(&server, name, &sql).await);
    }
    report(failures, GENERATED.len() * ROWS);
}

/// The first few differences, because one bug can cause thousands.
async fn differences(server: &Server, name: &str, sql: &str) -> Vec<String> {
    // Both queries get the same random numbers.
    server.run(SEED).await;
    let expected = server.texts(sql).await;
    server.run(SEED).await;
    let column = server.column(sql).await;
    assert!(expected.len() >= ROWS && expected.len() == column.values.len(), "{name}: {} rows", expected.len());
    let different: std::collections::BTreeSet<_> = expected.iter().collect();
    assert!(different.len() > ROWS / 40, "{name}: only {} different values", different.len());
    expected.iter().enumerate().filter_map(|(row, expected)| compare(name, &column, row, expected)).take(3).collect()
}

/// SplitMix64 (public domain, Sebastiano Vigna): a fixed sequence. SQL cannot make a float from its bits.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[tokio::test]
async fn random_floats_have_the_text_of_postgresql() {
    const FLOATS: usize = 20_000;
    let server = Server::start().await;
    let mut failures = Vec::new();
    let mut generator = Generator(15);
    let mut next = || generator.next();
    // Floats with random bits, with short decimals, and in the range where a decimal can be half way between two floats
    // (see float.rs of pg-render).
    let singles: Vec<f32> = (0..FLOATS)
        .map(|n| match n % 4 {
            0 => f32::from_bits(next() as u32),
            1 => (next() % 1_000_000) as f32 / 10f32.powi((next() % 12) as i32),
            2 => {
                f32::from_bits(f32::to_bits(2e6) + (next() % u64::from(f32::to_bits(1e21) - f32::to_bits(2e6))) as u32)
            }
            _ => (next() % (1 << 28)) as f32,
        })
        .collect();
    let doubles: Vec<f64> = (0..FLOATS)
        .map(|n| match n % 5 {
            0 => f64::from_bits(next()),
            1 => (next() % 1_000_000) as f64 / 10f64.powi((next() % 20) as i32),
            2 => f64::from_bits(f64::to_bits(9e15) + next() % (f64::to_bits(1e41) - f64::to_bits(9e15))),
            3 => (next() >> (next() % 11)) as f64,
            _ => f64::from_bits(f64::to_bits(10f64.powi((next() % 600) as i32 - 300)).wrapping_add(next() % 3)),
        })
        .collect();
    server.run("create temp table singles (n int, v float4); create temp table doubles (n int, v float8)").await;
    let insert = |table: &str, type_: &str| {
        format!("insert into {table} select n, v from unnest($1::{type_}[]) with ordinality as given(v, n)")
    };
    server.client().execute(&insert("singles", "float4"), &[&singles]).await.unwrap();
    server.client().execute(&insert("doubles", "float8"), &[&doubles]).await.unwrap();
    for table in ["singles", "doubles"] {
        failures.extend(differences(&server, table, &format!("select v from {table} order by n")).await);
    }
    report(failures, 2 * FLOATS);
}
