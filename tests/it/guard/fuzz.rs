//! Generated statements: mutations and nestings of the statements in the tables.
//!
//! `make test` runs a few thousand of them, and `make fuzz` sends a million to the parser. `FUZZ_SEED` repeats a failed
//! run.

use std::time::{Duration, Instant};

use pg_guard::parser::{Parser, Unreadable};

use crate::common::no_log;
use crate::guard::lab::Lab;
use crate::guard::refused::{SESSION_STATE, TABLES, changed};
use crate::guard::served::Served;

/// Harmless statements to combine with those of the tables.
const HONEST: &[&str] = &[
    "select count(*), sum(id) filter (where id > 1) over (partition by id order by id rows 1 preceding) from t",
    "with recursive n (i) as (select 1 union all select i + 1 from n where i < 5) select array_agg(i) from n",
    "select * from t cross join lateral (select t.id * 2 as twice) x where exists (select from t u where u.id = t.id)",
    "select case when id = 1 then 'one' else $$two$$ end, coalesce(null, id), id::text || 'x' from t order by 1 limit 3",
    "select percentile_cont(0.5) within group (order by id), mode() within group (order by id) from t group by rollup (id)",
    "values (1, 'a'), (2, E'b\\n'), (3, U&'\\0041')",
    "explain (analyze off, costs off, format json) select 1 from t where id between 1 and 2",
    "select jsonb_path_query('{\"a\": [1, 2]}', '$.a[*]'), to_tsvector('a b') @@ to_tsquery('a'), int4range(1, 3) && int4range(2, 5)",
    "select x.* from unnest(array[1, 2], array['a', 'b']) with ordinality as x (a, b, n) where (x).a > 0",
    "select relname from pg_catalog.pg_class where oid = 'pg_class'::regclass union select 'x' except select 'y'",
    "table t",
    "show work_mem",
];

/// Pieces of SQL that are inserted anywhere.
const PIECES: &[&str] = &[
    "(",
    ")",
    ",",
    ";",
    ".",
    "'",
    "\"",
    "$$",
    "--",
    "/*",
    "*/",
    "::",
    "[",
    "]",
    "*",
    "\0",
    "\u{feff}",
    "$1",
    "U&\"\\005f\"",
    "E'\\'",
    "from",
    "select",
    "into",
    "for update",
    "lateral",
    "over ()",
    "as",
    "with",
    "returning *",
    "analyze",
    "only",
    "null",
    "all",
    "natural join",
    "using (id)",
    "tablesample system (1)",
    "within group (order by 1)",
    "operator(pg_catalog.=)",
    "pg_sleep(1)",
    "pg_read_file('x')",
    "set_config('a.b', 'c', false)",
    "pg_advisory_lock(1)",
    "lo_create(0)",
    "nextval('s')",
    "insert into t values (1)",
    "grouping sets ((), (1))",
];

struct Mutator {
    random: fastrand::Rng,
    seeds: Vec<&'static str>,
}

impl Mutator {
    fn new() -> Self {
        let seed =
            std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        println!("FUZZ_SEED={seed}");
        let attacks = TABLES.iter().copied().flatten().map(|attack| attack.sql);
        Self { random: fastrand::Rng::with_seed(seed), seeds: attacks.chain(HONEST.iter().copied()).collect() }
    }

    fn pick(&mut self) -> &'static str {
        if self.random.bool() {
            return HONEST[self.random.usize(..HONEST.len())];
        }
        self.seeds[self.random.usize(..self.seeds.len())]
    }

    /// A statement with up to three mutations.
    fn next(&mut self) -> String {
        let mut sql = self.pick().to_owned();
        for _ in 0..self.random.usize(..4) {
            sql = self.change(sql);
        }
        sql
    }

    fn change(&mut self, sql: String) -> String {
        let mut tokens: Vec<&str> = sql.split_inclusive([' ', '(', ')', ',', '.', '\'', '"']).collect();
        if tokens.is_empty() {
            tokens.push("");
        }
        let (one, other) = (self.random.usize(..tokens.len()), self.random.usize(..tokens.len()));
        let (from, to) = (one.min(other), one.max(other) + 1);
        match self.random.u8(..13) {
            0 => drop(tokens.drain(from..to)),
            1 => tokens.swap(one, other),
            2 => tokens.insert(one, tokens[other]),
            3 => tokens[one] = PIECES[self.random.usize(..PIECES.len())],
            4 | 5 => tokens.insert(one, PIECES[self.random.usize(..PIECES.len())]),
            6 => {
                let piece: Vec<_> = tokens[from..to].to_vec();
                tokens.splice(other..other, piece);
            }
            7 => return format!("select * from ({sql}) as x{}", self.random.u8(..)),
            8 => return format!("with w as ({sql}) {}", self.pick()),
            9 => return format!("select ({sql}), exists ({})", self.pick()),
            10 => {
                let depth = self.random.usize(..200);
                return format!("{}{sql}{}", "(".repeat(depth), ")".repeat(depth));
            }
            11 => {
                let depth = self.random.usize(..60);
                return format!("{}{sql}{}", "select * from (".repeat(depth), ") x".repeat(depth));
            }
            _ => {
                let mut text: Vec<char> = sql.chars().collect();
                let at = self.random.usize(..=text.len());
                text.insert(at, self.random.char(..));
                return text.into_iter().collect();
            }
        }
        tokens.concat()
    }
}

/// The number of statements: `default`, or the environment variable FUZZ_INPUTS.
fn inputs(default: usize) -> usize {
    std::env::var("FUZZ_INPUTS").ok().and_then(|inputs| inputs.parse().ok()).unwrap_or(default)
}

#[tokio::test]
async fn no_generated_statement_crashes_the_parser() {
    let parser = Parser::new(env!("CARGO_BIN_EXE_mcp-server-postgres").into(), &no_log());
    let mut mutator = Mutator::new();
    let (mut read, mut refused, inputs, began) = (0, 0, inputs(5000), Instant::now());
    for _ in 0..inputs {
        let sql = mutator.next();
        match parser.parse(&sql).await {
            Ok(_) => read += 1,
            Err(Unreadable::Syntax(_) | Unreadable::TooLong(_)) => refused += 1,
            Err(unreadable @ (Unreadable::Crashed | Unreadable::TimedOut)) => panic!("{unreadable:?}: {sql}"),
        }
    }
    println!("{inputs} statements, {read} of them SQL, in {:.0} s", began.elapsed().as_secs_f64());
    // If one kind is missing, the mutations are useless.
    assert!(read > inputs / 10 && refused > inputs / 10, "{read} read, {refused} refused");
}

#[actix_rt::test]
async fn accepted_statements_change_neither_the_cluster_nor_the_session() {
    let lab = Lab::start().await;
    let served = Served::within(lab.port(), "lab", Duration::from_millis(300));
    let (before, state_before) = (lab.facts(None).await, served.rows(SESSION_STATE).await);
    let mut mutator = Mutator::new();
    let (mut answered, inputs, began) = (0, inputs(4000).min(50_000), Instant::now());
    for _ in 0..inputs {
        let sql = lab.with_paths(&mutator.next());
        if !served.answer(&sql, &[]).await.is_error {
            answered += 1;
        }
    }
    println!("{inputs} statements, {answered} of them answered, in {:.0} s", began.elapsed().as_secs_f64());
    assert_eq!(served.rows(SESSION_STATE).await, state_before);
    assert_eq!(changed(&before, &lab.facts(None).await), []);
    assert!(answered > inputs / 100, "{answered}");
}
