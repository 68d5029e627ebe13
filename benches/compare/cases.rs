//! The cases: the table, the statements, the number of calls.

use std::io::Write;

/// The rows of the table.
pub const ROWS: usize = 100_000;

/// Nine columns. Some values have quotes, backslashes, newlines and letters that are not ASCII; some are NULL.
pub const TABLE: &str = r#"
CREATE TABLE mixed (id int4, big int8, amount numeric(12, 2), name text, active bool, created timestamptz, code uuid,
                    ratio float8, extra jsonb);
INSERT INTO mixed
SELECT id, id::int8 * 40000000003, id * 1.37,
       'name ' || lpad(id::text, 6, '0') || CASE WHEN id % 10 = 0 THEN E' "né\\é"\n' ELSE ' of a row' END,
       id % 3 = 0, timestamptz '2024-01-01 00:00:00.25Z' + id * interval '61.5 s', md5(id::text)::uuid, sqrt(id) / 7,
       CASE WHEN id % 7 > 0 THEN jsonb_build_object('tags', ARRAY['a', 'b'], 'size', id % 100) END
FROM generate_series(1, 100000) AS id;
ALTER TABLE mixed ADD PRIMARY KEY (id);
VACUUM (ANALYZE, FREEZE) mixed;
CHECKPOINT"#;

/// How often a case is measured. In each round every program makes `calls` calls, one program after the other.
#[derive(Clone, Copy)]
pub struct Repeats {
    pub rounds: usize,
    pub calls: usize,
}

pub struct Case {
    pub name: &'static str,
    pub sql: String,
    /// Whether `$1` is a key of the table. It is another one in each call.
    pub is_keyed: bool,
    pub rows: usize,
    pub one_at_a_time: Repeats,
    /// With 8, 32 and 64 calls in flight. A round has at least as many calls as are in flight.
    pub in_flight: Repeats,
    /// The sizes of the pools of the raw driver. The best one is reported.
    pub pools: &'static [usize],
}

impl Case {
    /// All cases; with `quick` a sixth of their rounds.
    pub fn all(quick: bool) -> Vec<Case> {
        let repeats =
            |rounds: usize, calls: usize| Repeats { rounds: if quick { rounds.div_ceil(6) } else { rounds }, calls };
        let many = |rows: usize| format!("select * from mixed order by id limit {rows}");
        let case = |name, sql, rows, one_at_a_time, in_flight| Case {
            name,
            sql,
            is_keyed: false,
            rows,
            one_at_a_time,
            in_flight,
            pools: &[1, 2, 4, 8],
        };
        let lookup = "select id, name, amount from mixed where id = $1".to_owned();
        vec![
            case("select 1", "select 1".to_owned(), 1, repeats(80, 50), repeats(30, 1000)),
            Case { is_keyed: true, ..case("lookup", lookup, 1, repeats(80, 50), repeats(30, 1000)) },
            case("100 rows", many(100), 100, repeats(40, 50), repeats(15, 300)),
            case("10,000 rows", many(10_000), 10_000, repeats(20, 5), repeats(3, 1)),
            Case { pools: &[2, 8], ..case("100,000 rows", many(ROWS), ROWS, repeats(12, 1), repeats(1, 1)) },
        ]
    }

    /// The key in the request with this id.
    pub fn key(id: u64) -> i32 {
        (id * 7919 % ROWS as u64) as i32 + 1
    }

    /// Appends the request with this id, which is the same for every server.
    pub fn request(&self, id: u64, out: &mut Vec<u8>) {
        let sql = &self.sql;
        let parameters = if self.is_keyed { Self::key(id).to_string() } else { String::new() };
        writeln!(
            out,
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"async_query_execute","arguments":{{"query":"{sql}","parameters":[{parameters}],"format":"json"}}}}}}"#
        )
        .unwrap();
    }

    /// A text near the end of the right answer: it is in the last row.
    pub fn marker(&self, id: u64) -> String {
        match (self.is_keyed, self.name) {
            (true, _) => format!("name {:06}", Self::key(id)),
            (false, "select 1") => "[[1]]".to_owned(),
            (false, _) => format!("name {:06}", self.rows),
        }
    }
}
