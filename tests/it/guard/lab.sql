-- What the laboratory holds: something to lose, and things that hide a function that does harm.
create schema tools;
create extension pg_stat_statements schema tools;
create extension pg_walinspect schema tools; -- since 15
create extension dblink;
create extension postgres_fdw;
create extension file_fdw;
create extension adminpack; -- until 16
create extension tablefunc;
create extension xml2;
create extension pageinspect;
create extension pg_prewarm;
create extension pg_visibility;
create extension pg_surgery;
create extension pg_freespacemap;
create extension lo;
create extension isn;
create extension citext;

create table t (id int primary key, name text);
insert into t values (1, 'one'), (2, 'two');
create sequence s;
create table log (at int);
create table doc (id int primary key, body tsvector, raw text, lo oid);
insert into doc values (1, 'a', 'a text', lo_from_bytea(4242, 'large'));
create table wide (n int[]);
insert into wide select array[g] from generate_series(1, 2000) g;
create index wide_gin on wide using gin (n) with (fastupdate = on);
insert into wide select array[g] from generate_series(1, 20) g;
create table lines (line text);
create table tall (n int) with (autovacuum_enabled = off);
insert into tall select generate_series(1, 5000);
create index tall_brin on tall using brin (n) with (pages_per_range = 16);
insert into tall select generate_series(1, 5000);
create view names as select id, name from t;
create materialized view counted as select count(*) from t;
create rule hidden_write as on update to names do instead insert into public.log values (new.id);
comment on table t is 'a table';

create role clerk login password '{hash}';
create role other;
create role idle;
create role auditor password 'md500000000000000000000000000000000';
alter role postgres set app.api_secret = '{setting}';
create server loop foreign data wrapper postgres_fdw options (host '127.0.0.1', port '{port}', dbname 'lab');
create user mapping for postgres server loop options (user 'postgres', password '{foreign}');
create user mapping for clerk server loop options (user 'postgres', password '{foreign}');
create user mapping for other server loop options (user 'postgres', password '{foreign}');
-- What is found in the columns of hashes and of passwords is kept in the statistics, too.
analyze pg_authid, pg_user_mapping;
create subscription news connection 'host=elsewhere password={publisher}' publication news
    with (connect = false, slot_name = none);

-- Functions that write, and what hides them.
create function bump() returns int language sql volatile as 'insert into public.log values (1) returning at';
create function bump_of(int) returns int language sql volatile as 'insert into public.log values ($1) returning at';
create function bump_of(int, int) returns int language sql volatile as 'insert into public.log values ($2) returning at';
create function bump_row(t) returns int language sql volatile as 'insert into public.log values ($1.id) returning at';
create function bump_if(int, int) returns bool language plpgsql volatile as
    'begin insert into public.log values ($2); return $1 = $2; end';
create function bump_rows() returns setof t language plpgsql volatile as
    'begin insert into public.log values (1); return query select * from t; end';
create procedure bump_by_call() language sql as 'insert into public.log values (1)';
create function run(text) returns text language plpgsql volatile as 'begin execute $1; return $1; end';
create function with_default(n int default bump()) returns int language sql immutable as 'select n';
create function total(variadic n int[]) returns int language plpgsql volatile as
    'begin insert into public.log values (1); return 1; end';
create operator @! (rightarg = int, function = bump_of);
create operator @@! (leftarg = int, rightarg = int, function = bump_if);
create domain checked as int check (bump_of(value) is not null);
create aggregate bump_all(int) (sfunc = bump_of, stype = int, initcond = '0');
create aggregate bump_ordered(order by int) (sfunc = bump_of, stype = int, initcond = '0');
create view bumping as select id, bump_of(id) as bumped from t;
create view deeper as select * from (select bumped from bumping) inner_one;
create view filtered as select id from t where bump_of(id) > 0;

-- A type whose comparisons and casts write.
create type box1 as (n int);
create function box1_equal(box1, box1) returns bool language plpgsql volatile as
    'begin insert into public.log values (1); return $1.n = $2.n; end';
create function box1_like(box1, text) returns bool language plpgsql volatile as
    'begin insert into public.log values (1); return true; end';
create function box1_int(box1) returns int language plpgsql volatile as
    'begin insert into public.log values (1); return $1.n; end';
create operator = (leftarg = box1, rightarg = box1, function = box1_equal);
create operator ~~ (leftarg = box1, rightarg = text, function = box1_like);
create cast (box1 as int) with function box1_int(box1) as implicit;

create table boxes (b box1);
insert into boxes values (row(1));
-- Another that is sorted by a function that writes.
create type sorted as (n int);
create function sorted_lt(sorted, sorted) returns bool language sql immutable as 'select $1.n < $2.n';
create function sorted_le(sorted, sorted) returns bool language sql immutable as 'select $1.n <= $2.n';
create function sorted_eq(sorted, sorted) returns bool language sql immutable as 'select $1.n = $2.n';
create function sorted_ge(sorted, sorted) returns bool language sql immutable as 'select $1.n >= $2.n';
create function sorted_gt(sorted, sorted) returns bool language sql immutable as 'select $1.n > $2.n';
create function sorted_order(sorted, sorted) returns int language plpgsql volatile as
    'begin insert into public.log values (1); return $1.n - $2.n; end';
create operator < (leftarg = sorted, rightarg = sorted, function = sorted_lt);
create operator <= (leftarg = sorted, rightarg = sorted, function = sorted_le);
create operator = (leftarg = sorted, rightarg = sorted, function = sorted_eq);
create operator >= (leftarg = sorted, rightarg = sorted, function = sorted_ge);
create operator > (leftarg = sorted, rightarg = sorted, function = sorted_gt);
create operator class sorted_ops default for type sorted using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 sorted_order(sorted, sorted);
create table sorts (s sorted);
insert into sorts values (row(1)), (row(2));

-- The domain whose check writes, inside of other types and behind arguments.
create domain over_checked as checked;
create type holds_checked as (a checked, n int);
create table of_checked (a checked);
create type range_of_checked as range (subtype = over_checked, subtype_opclass = int4_ops,
                                       multirange_type_name = multirange_of_checked);
create function takes_checked(checked) returns int language plpgsql immutable as 'begin return 1; end';
create function gives_checked(int) returns checked language plpgsql stable as 'begin return $1; end';

-- A partitioned table whose hash function writes.
create function hash_bump(int, int8) returns int8 language plpgsql volatile as
    'begin insert into public.log values ($1); return 1; end';
create operator class hashed_ops for type int using hash as operator 1 =, function 2 hash_bump(int, int8);
create table hashed (n int) partition by hash (n hashed_ops);

-- PostgreSQL's own function as a cast.
create cast (citext as bytea) with function pg_read_binary_file(text);

-- Functions that later versions have as syntax: here they are anybody's.
create function public.json(int) returns int language sql volatile as 'insert into public.log values ($1) returning at';
create function public.json_scalar(int) returns int language sql volatile as 'insert into public.log values ($1) returning at';
create function public.json_serialize(text) returns int language sql volatile as 'insert into public.log values (1) returning at';
create function public.json_object(int) returns int language sql volatile as 'insert into public.log values ($1) returning at';
create function public.json_array(int, int) returns int language sql volatile as 'insert into public.log values ($1) returning at';
create function public.json_exists(text, text) returns int language sql volatile as 'insert into public.log values (1) returning at';
create function public.json_query(text, text) returns int language sql volatile as 'insert into public.log values (1) returning at';
create function public.json_value(text, text) returns int language sql volatile as 'insert into public.log values (1) returning at';
create function public.merge_action() returns int language sql volatile as 'insert into public.log values (1) returning at';
create aggregate public.json_arrayagg(int) (sfunc = bump_of, stype = int, initcond = '0');
create aggregate public.json_objectagg(int) (sfunc = bump_of, stype = int, initcond = '0');

-- Names of harmless functions that are not those functions.
create function pg_catalog.random(int) returns int language sql volatile as 'insert into public.log values ($1) returning at';
create function random() returns float8 language sql volatile as 'insert into public.log values (1) returning 0.5';
create function lower(t) returns text language sql volatile as 'insert into public.log values (1) returning ''x''';
create function abs(t) returns int language sql volatile as 'insert into public.log values (1) returning 1';

-- A function under the name of another table's column.
create table namesake (bump_as_column int);
insert into namesake values (1);
create function bump_as_column(t) returns int language sql volatile as 'insert into public.log values ($1.id) returning at';
create function bump_as_column(namesake) returns int language sql volatile as 'insert into public.log values (1) returning at';
create function bump_as_column(record) returns int language plpgsql volatile as
    'begin insert into public.log values (1); return 1; end';
create function namesake(int) returns t language sql stable as 'select t from public.t where id = $1';

-- A function whose names are those of another schema.
create schema hidden;
create table hidden.namesake (id int);
insert into hidden.namesake values (1);
create function bump_as_column(hidden.namesake) returns int language sql volatile as 'insert into public.log values (1) returning at';
create function hidden.bump_there() returns int language sql volatile as 'insert into public.log values (1) returning at';
create view hidden.bumping_there as select hidden.bump_there() as n;
create function by_path() returns int language sql stable set search_path = hidden as 'select bump_there()';
create function by_path_and_view() returns int language sql stable set search_path = hidden as 'select n from bumping_there';

-- Functions that read, wait or connect, under other names.
create view peek as select pg_read_file('canary.txt') as content;
create function definer_peek() returns text language sql stable security definer as 'select pg_read_file(''canary.txt'')';
create function my_read(text) returns text language internal stable strict as 'pg_read_file_all';
create function my_sleep(float8) returns void language internal stable strict as 'pg_sleep';
create function my_rest(text) returns text language sql volatile as 'select pg_read_file($1)';
create view hashes as select rolpassword as hash from pg_authid;

-- What runs without a name.
create function bytea_of(bool) returns bytea language plpgsql volatile as
    'begin insert into public.log values (1); return ''x''; end';
create cast (bool as bytea) with function bytea_of(bool);
create function int_same(int, int) returns bool language plpgsql immutable as 'begin return $1 = $2; end';
create operator =-= (leftarg = int, rightarg = int, function = int_same, negator = !-=);
create operator !-= (leftarg = int, rightarg = int, function = bump_if, negator = =-=);
create function fold_bump() returns int language plpgsql immutable security definer as
    'begin perform nextval(''public.s''); return 1; end';
create table folded (n int, m int);
insert into folded values (1, 2);
create index on folded ((n + fold_bump()));
create table halved (n int);
create index on halved (n) where n > fold_bump();
create table parted (n int) partition by range (n);
create table parted_one partition of parted for values from (0) to (10);
create index on parted_one ((n + fold_bump()));
create table inherited (n int);
create table heir () inherits (inherited);
create index on heir ((n * fold_bump()));
create function order_bump(int, int) returns int language plpgsql volatile as
    'begin insert into public.log values (1); return $1 - $2; end';
create operator class bump_ops for type int using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 order_bump(int, int);
create table classed (n int);
insert into classed select generate_series(1, 3000);
create index on classed using btree (n bump_ops);
analyze classed;
create function range_bump(int, int) returns float8 language plpgsql immutable security definer as
    'begin perform nextval(''public.s''); return $1 - $2; end';
create type noisy_range as range (subtype = int, subtype_diff = range_bump);
create table ranges (r noisy_range);
insert into ranges select noisy_range(n, n + 5) from generate_series(1, 200) n;
analyze ranges;
do $$ begin execute format('create function long_text() returns int8 language sql stable as %L',
    'select 1; ' || repeat(' ', 200000) || 'select nextval(''public.s'')'); end $$;
create function other_strings() returns text language sql stable set standard_conforming_strings = off as
    $f$select '\'' || nextval($a$public.s$a$)::text -- '$f$;
create view other_strings_view as select other_strings() as x;

-- What another session asked before.
select 1 as "{other}";
