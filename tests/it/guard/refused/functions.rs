//! Functions that do harm through other objects, and functions that run an SQL text.

use crate::guard::attack::Class::*;
use crate::guard::attack::Fact::*;
use crate::guard::attack::{Attack, moves, shows, sleeps};
use crate::guard::lab::{FILE, HASH};

pub const TABLE: &[Attack] = &[
    // Through operators, in every syntax.
    moves(Hidden, Data, "select @! 1"),
    moves(Hidden, Data, "select id @@! 1 from t"),
    moves(Hidden, Data, "select 1 operator(public.@@!) 1"),
    moves(Hidden, Data, "select 1 @@! any (array[1, 2])"),
    moves(Hidden, Data, "select 1 @@! all (select id from t)"),
    moves(Hidden, Data, "select count(*) from t a join t b on a.id @@! b.id"),
    // Through the operators that a syntax stands for.
    moves(Hidden, Data, "select row(1)::box1 = row(2)::box1"),
    moves(Hidden, Data, "select nullif(row(1)::box1, row(2)::box1)"),
    moves(Hidden, Data, "select case row(1)::box1 when row(2)::box1 then 1 end"),
    moves(Hidden, Data, "select row(1)::box1 in (row(2)::box1, row(3)::box1)"),
    moves(Hidden, Data, "select x.b is distinct from y.b from (select row(1)::box1 as b offset 0) x, (select row(2)::box1 as b offset 0) y"),
    moves(Hidden, Data, "select row(1)::box1 like 'x'"),
    moves(Hidden, Data, "select row(1)::box1 in (select row(id)::box1 from t)"),
    moves(Hidden, Data, "select 1 from (select row(1)::box1 as b) x join (select row(2)::box1 as b) y using (b)"),
    moves(Hidden, Data, "select 1 from (select row(1)::box1 as b) x natural join (select row(2)::box1 as b) y"),
    // Through explicit and implicit casts.
    moves(Hidden, Data, "select row(1)::box1::int"),
    moves(Hidden, Data, "select cast(cast(row(1) as box1) as int)"),
    moves(Hidden, Data, "select abs(row(1)::box1)"),
    moves(Hidden, Data, "select row(1)::box1 + 1"),
    moves(Hidden, Data, "select array[row(1)::box1]::int[]"),
    // Through types, aggregates, defaults and views.
    moves(Hidden, Data, "select 1::checked"),
    moves(Hidden, Data, "select checked '1'"),
    moves(Hidden, Data, "select cast('1' as checked)"),
    moves(Hidden, Data, "select array[1, 2]::checked[]"),
    moves(Hidden, Data, "select * from json_to_record('{\"n\": 1}') as x (n checked)"),
    moves(Hidden, Data, "select * from jsonb_to_recordset('[{\"n\": 1}]') as x (n checked)"),
    moves(Hidden, Data, "select * from xmltable('/a' passing '<a>1</a>' columns n checked path '.')"),
    moves(Hidden, Data, "select '{1}'::_checked"),
    moves(Hidden, Data, "select 1::over_checked"),
    moves(Hidden, Data, "select row(1, 2)::holds_checked"),
    moves(Hidden, Data, "select * from json_populate_record(null::holds_checked, '{\"a\": 1}')"),
    moves(Hidden, Data, "select * from jsonb_populate_recordset(null::of_checked, '[{\"a\": 1}]')"),
    moves(Hidden, Data, "select json_populate_record(t, '{\"a\": 1}') from (values (1)) v left join of_checked t on true"),
    moves(Hidden, Data, "select '[1,2)'::range_of_checked"),
    moves(Hidden, Data, "select takes_checked(1)"),
    moves(Hidden, Data, "select gives_checked(1)"),
    // Through the types of columns that the statement does not name.
    moves(Hidden, Data, "select b + 1 from boxes"),
    moves(Hidden, Data, "select abs(b) from boxes"),
    moves(Hidden, Data, "select s from sorts order by s"),
    moves(Hidden, Data, "select distinct s from sorts"),
    moves(Hidden, Data, "select greatest(a.s, b.s) from sorts a, sorts b"),
    moves(Hidden, Data, "select count(*) from (table sorts union table sorts) x"),
    moves(Hidden, Data, "select rank() over (order by array[s]) from sorts"),
    moves(Hidden, Data, "select bump_all(id) from t"),
    moves(Hidden, Data, "select bump_all(id) over (order by id) from t"),
    moves(Hidden, Data, "select bump_ordered() within group (order by id) from t"),
    moves(Hidden, Data, "select with_default()"),
    moves(Hidden, Data, "select * from bumping"),
    moves(Hidden, Data, "table deeper"),
    moves(Hidden, Data, "select id from filtered"),
    moves(Hidden, Data, "select t.bump_row from t"),
    moves(Hidden, Data, "select (t).bump_row from t"),
    moves(Hidden, Data, "select t.bump_as_column from t, namesake"),
    moves(Hidden, Data, "select x.bump_as_column from namesake t, t as x"),
    moves(Hidden, Data, "select by_path()"),
    moves(Hidden, Data, "select by_path_and_view()"),
    shows(Hidden, FILE, "select 'canary.txt'::citext::bytea"),
    shows(Hidden, FILE, "select * from peek"),
    shows(Hidden, FILE, "select public.my_rest('canary.txt')"),
    // A user-defined function with the name of a harmless one, or with an argument that calls one.
    moves(Hidden, Data, "select public.random()"),
    moves(Hidden, Data, "select lower(t) from t"),
    moves(Hidden, Data, "select abs(t) from t"),
    moves(Hidden, Data, "select t.lower from t"),
    moves(Hidden, Data, "select pg_catalog.random(5)"),
    // Names that the parser, which is of a later version, has as syntax.
    moves(Hidden, Data, "select json(1)").until(16),
    moves(Hidden, Data, "select json_scalar(1)").until(16),
    moves(Hidden, Data, "select json_serialize('x')").until(16),
    moves(Hidden, Data, "select json_object(1)").until(15),
    moves(Hidden, Data, "select json_array(1, 2)").until(15),
    moves(Hidden, Data, "select json_exists('{}', '$')").until(16),
    moves(Hidden, Data, "select json_query('{}', '$')").until(16),
    moves(Hidden, Data, "select id from t where json_value('{}', '$') = 1").until(16),
    moves(Hidden, Data, "select merge_action()").until(16),
    moves(Hidden, Data, "select json_arrayagg(id) from t").until(15),
    // Functions that are not volatile and not safe either: with the rights of their owner, or in C.
    shows(Hidden, FILE, "select definer_peek()"),
    shows(Hidden, FILE, "select my_read('canary.txt')"),
    sleeps(Hidden, "select my_sleep(60)"),
    // Functions that run an SQL text. The text runs READ ONLY, but the functions in it can do anything that READ ONLY
    // allows.
    shows(SqlAsText, FILE, "select query_to_xml('select pg_read_file(''canary.txt'')', true, true, '')"),
    shows(
        SqlAsText,
        FILE,
        "select query_to_xml(query => 'table peek', nulls => true, tableforest => true, targetns => '')",
    ),
    shows(SqlAsText, FILE, "select query_to_xml_and_xmlschema('table peek', true, true, '')"),
    shows(SqlAsText, FILE, "select * from xmltable('//content' passing query_to_xml('table peek', true, false, '') columns c text path '.')"),
    shows(SqlAsText, FILE, "select table_to_xml('peek', true, true, '')"),
    shows(SqlAsText, FILE, "select table_to_xml_and_xmlschema('peek'::regclass, true, true, '')"),
    shows(SqlAsText, HASH, "select table_to_xml('pg_authid', true, true, '')"),
    shows(SqlAsText, HASH, "select query_to_xml('table ' || 'pg_auth' || 'id', true, true, '')"),
    moves(SqlAsText, Data, "select table_to_xml('bumping', true, true, '')"),
    shows(SqlAsText, FILE, "select schema_to_xml('public', true, true, '')"),
    shows(SqlAsText, FILE, "select schema_to_xml_and_xmlschema('public', true, true, '')"),
    shows(SqlAsText, FILE, "select database_to_xml(true, true, '')"),
    moves(SqlAsText, Locks, "select cursor_to_xml('kept', pg_try_advisory_lock(5)::int, true, true, '')"),
    moves(SqlAsText, Locks, "select * from ts_stat('select ''a''::tsvector from pg_try_advisory_lock(6)')"),
    moves(SqlAsText, Locks, "select * from ts_stat($$select 'a'::tsvector from pg_try_advisory_lock(6)$$, 'a')"),
    moves(
        SqlAsText,
        Locks,
        "select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, ''b''::tsquery from pg_try_advisory_lock(7)')",
    ),
    shows(
        SqlAsText,
        FILE,
        "select * from crosstab('select ''r''::text, ''c''::text, left(pg_read_file(''canary.txt''), 40)') as x (r text, c text)",
    ),
    shows(
        SqlAsText,
        FILE,
        "select * from crosstab2('select ''r''::text, ''c''::text, left(pg_read_file(''canary.txt''), 40)')",
    ),
    shows(
        SqlAsText,
        FILE,
        "select * from crosstab('select ''r''::text, ''c''::text, left(pg_read_file(''canary.txt''), 40)', \
         'select ''c''::text') as x (r text, c text)",
    ),
    moves(
        SqlAsText,
        Locks,
        "select * from connectby('t, pg_try_advisory_lock(8)', 'id::text', 'name', 'one', 0) as x (k text, p text, l int)",
    ),
    moves(
        SqlAsText,
        Locks,
        "select * from xpath_table('id', 'raw', '(select 1 as id, ''<a/>''::text as raw from pg_try_advisory_lock(9)) d', \
         '/a', 'true') as x (id int, a text)",
    ),
    // Functions that open other connections, which are not in this transaction.
    moves(Dblink, Data, "select dblink_exec('dbname=lab port={port} host=127.0.0.1 user=postgres', 'delete from t')"),
    moves(
        Dblink,
        Data,
        "select * from dblink('dbname=lab port={port} host=127.0.0.1 user=postgres', 'delete from t returning id') as x (id int)",
    ),
    moves(Dblink, Data, "select * from dblink('loop', 'select bump()') as x (n int)"),
    moves(Dblink, Data, "select dblink_exec('loop', 'truncate t', false)"),
    moves(Dblink, Data, "select dblink_connect('c', 'loop'), dblink_exec('c', 'delete from t')"),
    moves(
        Dblink,
        Data,
        "select dblink_connect('c', 'loop'), dblink_send_query('c', 'delete from t returning id'), \
         (select count(*) from dblink_get_result('c') as x (id int))",
    ),
    moves(Dblink, Data, "select 1 from t where dblink_exec('loop', 'delete from t') is not null limit 1"),
    moves(
        Dblink,
        Data,
        "select dblink_connect('c', 'loop'), dblink_open('c', 'k', 'select bump()'), \
         (select count(*) from dblink_fetch('c', 'k', 1) as x (n int)), dblink_close('c', 'k')",
    ),
];
