-- What the allowed statements read: a little shop, and what its owner has made beside the tables.
create extension hstore; create extension citext; create extension ltree; create extension pg_trgm;
create extension pgcrypto; create extension "uuid-ossp"; create extension pg_stat_statements; create extension unaccent;

create type mood as enum ('sad', 'ok', 'happy');
create type point_of_sale as (street text, number int);
create domain positive as int check (value > 0);
create table customers (id int primary key, name text not null, country char(2), mood mood, born date, tags text[]);
create table orders (id int primary key, customer_id int references customers, total numeric(10, 2), placed timestamptz,
                     details jsonb, during tstzrange, "delete" text, "Mixed Case" int);
create table tree (id int primary key, parent int, name text);
create table daily (day date, n int) partition by range (day);
create table daily_2024 partition of daily for values from ('2024-01-01') to ('2025-01-01');
insert into customers values
    (1, 'Ada', 'GB', 'happy', '1815-12-10', '{math,engine}'), (2, 'Grace', 'US', 'ok', '1906-12-09', '{navy}'),
    (3, 'Édouard', 'FR', 'sad', null, '{}'), (4, 'O''Brien', 'IE', null, '1950-01-01', null);
insert into orders
select n, n % 3 + 1, n * 10.5, timestamptz '2024-01-01 12:00:00+00' + n * interval '36 hours',
       jsonb_build_object('items', jsonb_build_array(n, n + 1), 'gift', n % 2 = 0),
       tstzrange(timestamptz '2024-01-01 00:00+00' + n * interval '1 day', timestamptz '2024-01-03 00:00+00' + n * interval '1 day'),
       'x' || n, n * 100
from generate_series(1, 9) n;
insert into tree values (1, null, 'root'), (2, 1, 'left'), (3, 1, 'right'), (4, 2, 'leaf');
insert into daily select date '2024-01-01' + n, n from generate_series(0, 9) n;
create view rich as select c.name, sum(o.total) as total from customers c join orders o on o.customer_id = c.id group by 1;
create view richest as select * from rich order by total desc limit 1;
create materialized view totals as select customer_id, count(*) as n from orders group by 1;
create index on orders (customer_id);
comment on table orders is 'What was ordered';
create sequence numbers;
create function twice(n int) returns int immutable language sql as 'select n * 2';
create function thrice(n int) returns int immutable return n * 3;
create function greet(who text, greeting text default 'Hello') returns text stable language plpgsql as
    'begin return greeting || '', '' || who; end';
create function orders_of(customer int) returns setof orders stable language sql as
    'select * from orders where customer_id = customer order by id';
create function net(orders) returns numeric stable language sql as 'select round($1.total / 1.19, 2)';
create aggregate product (int) (sfunc = int4mul, stype = int, initcond = '1');
create function is_near(int, int) returns bool immutable language sql as 'select abs($1 - $2) < 2';
create operator ~=~ (leftarg = int, rightarg = int, function = is_near);
create text search configuration plain (copy = simple);
analyze;
