//! Statements that write rows, in all forms of SQL.

use crate::guard::attack::Class::*;
use crate::guard::attack::Fact::*;
use crate::guard::attack::{Attack, moves};

pub const TABLE: &[Attack] = &[
    // INSERT, UPDATE, DELETE, MERGE, and what they can begin with.
    moves(Dml, Data, "insert into t values (3, 'three')"),
    moves(Dml, Data, "insert into t select id + 10, name from t"),
    moves(Dml, Data, "insert into t values (1, 'x') on conflict (id) do update set name = excluded.name"),
    moves(Dml, Data, "insert into t values (3, 'three') returning id, name"),
    moves(Dml, Data, "update t set name = 'x'"),
    moves(Dml, Data, "update only t as a set (name) = row ('x') from t b where a.id = b.id returning *"),
    moves(Dml, Data, "delete from t"),
    moves(Dml, Data, "delete from t using (select 1) x where false or t.id = 1"),
    moves(Dml, Data, "truncate t"),
    moves(Dml, Data, "TRUNCATE TABLE ONLY t RESTART IDENTITY CASCADE"),
    moves(
        Dml,
        Data,
        "merge into t using (values (1), (9)) v (n) on t.id = v.n when matched then delete \
         when not matched then insert values (v.n, 'new')",
    )
    .since(15),
    moves(Dml, Data, "insert into names values (7, 'through a view')"),
    // A rule writes to another table than the statement.
    moves(Dml, Data, "update names set name = 'x'"),
    moves(Dml, Data, "/* a read */ -- truly\n iNsErT iNtO t values (3)"),
    moves(Dml, Data, "with v as (select 3 as n) insert into t select n from v"),
    moves(Dml, Data, "with recursive v as (select 1 as n) update t set name = 'x' from v where v.n = t.id"),
    moves(Dml, Data, "with v as (select 1) delete from t"),
    // Statements that begin like a query and write in a part of it.
    moves(CteDml, Data, "with d as (delete from t returning id) select * from d"),
    moves(CteDml, Data, "with d as (delete from t) select 1"),
    moves(CteDml, Data, "with a as (select 1), b as (update t set name = 'x' returning id) select * from a, b"),
    moves(CteDml, Data, "with recursive i as (insert into t values (3, 'x') returning id) table i"),
    moves(CteDml, Data, "(with d as (delete from t returning id) select * from d) "),
    moves(CteDml, Data, "WITH\"d\"AS(DELETE FROM t RETURNING id)SELECT*FROM\"d\""),
    moves(CteDml, Data, "with d as not materialized (delete from t returning id) values (1)"),
    moves(CteDml, Data, "with d as (with e as (select 1) insert into t values (4) returning id) select count(*) from d"),
    moves(SelectInto, Data, "select * into u from t"),
    moves(SelectInto, Data, "select 1 as n into temp table u"),
    moves(SelectInto, Data, "with v as (select 1 as n) select n into unlogged u from v"),
    moves(SelectInto, Data, "select 1 as n into table u union all select 2"),
    moves(SelectInto, Data, "create table u as table t"),
    moves(SelectInto, Data, "create temp table u as select 1"),
    moves(SelectInto, Data, "create table u as execute kept"),
    moves(SelectInto, Data, "create materialized view u as select 1 as n with no data"),
    // EXPLAIN ANALYZE runs its statement. If an option is given twice, the last one counts.
    moves(ExplainAnalyze, Data, "explain analyze insert into t values (3)"),
    moves(ExplainAnalyze, Data, "explain analyze verbose delete from t"),
    moves(ExplainAnalyze, Data, "explain (analyze) update t set name = 'x'"),
    moves(ExplainAnalyze, Data, "explain (costs off, analyze 1, timing off) delete from t"),
    moves(ExplainAnalyze, Data, "explain (analyze off, analyze on) delete from t"),
    moves(ExplainAnalyze, Data, "explain (\"analyze\" 'true', format json) delete from t"),
    moves(ExplainAnalyze, Data, "explain (analyze, buffers) create table u as select 1 as n"),
    moves(ExplainAnalyze, Data, "explain analyze select * into u from t"),
    moves(ExplainAnalyze, Data, "explain (analyze) with d as (delete from t returning id) select * from d"),
    moves(ExplainAnalyze, Data, "explain analyze select bump_of(1)"),
    moves(ExplainAnalyze, Locks, "explain (analyze true, summary off) select pg_advisory_lock(1)"),
    // Statements in a text or in a routine.
    moves(Dynamic, Data, "do 'begin insert into log values (1); end'"),
    moves(Dynamic, Data, "do language plpgsql $$ begin execute 'insert into ' || 'log values (1)'; end $$"),
    moves(Dynamic, Data, "call bump_by_call()"),
    moves(Dynamic, Data, "select run('insert into log values (1)')"),
    moves(Dynamic, Data, "select run($1)").with(&["truncate t"]),
    moves(Dynamic, Prepared, "prepare p as delete from t"),
    moves(Dynamic, Prepared, "prepare p (int) as select $1"),
    // Locks on rows and tables block others until the end of the transaction.
    moves(Locking, Locks, "select * from t for update").in_transaction(),
    moves(Locking, Locks, "select * from t for no key update nowait").in_transaction(),
    moves(Locking, Locks, "select * from t for share skip locked").in_transaction(),
    moves(Locking, Locks, "select * from t for key share of t").in_transaction(),
    moves(Locking, Locks, "select * from (select * from t for update) x").in_transaction(),
    moves(Locking, Locks, "with x as (select * from t for share) select 1 from x").in_transaction(),
    moves(Locking, Locks, "select (select name from t where id = 1 for update)").in_transaction(),
    moves(Locking, Locks, "explain analyze select * from t for update").in_transaction(),
    // The second strongest lock. With the strongest one, the laboratory itself could not read the table.
    moves(Locking, Locks, "lock table t in share mode").in_transaction(),
    moves(Locking, Locks, "lock t in exclusive mode nowait").in_transaction(),
    // In a READ ONLY transaction too, PostgreSQL refuses only locks stronger than ROW EXCLUSIVE on tables, and none on
    // views.
    moves(Locking, Locks, "lock table only t in row share mode").in_read_only(),
    // Sequences: a rollback does not undo their changes.
    moves(Sequence, Data, "select nextval('s')"),
    moves(Sequence, Data, "select setval('s', 1000)"),
    moves(Sequence, Data, "select setval('s', 7, false) from t limit 1"),
    moves(Sequence, Data, "select pg_catalog.nextval('public.s'::regclass)"),
    moves(Sequence, Data, "alter sequence s restart with 5"),
    moves(Sequence, Data, "select 1 where nextval('s') > 0"),
    // User-defined functions that write.
    moves(VolatileFunction, Data, "select bump()"),
    moves(VolatileFunction, Data, "select * from bump_rows()"),
    moves(VolatileFunction, Data, "select public.bump_of(id) from t"),
    moves(VolatileFunction, Data, "select name from t where bump_of(id) > 1"),
    moves(VolatileFunction, Data, "select (bump_rows()).*"),
    moves(VolatileFunction, Data, "select total(variadic array[1, 2])"),
    moves(VolatileFunction, Data, "select total(1, 2, 3)"),
];
