//! What a catalogue knows and no reader of it needs, and what reaches a function as a parameter.

use crate::attack::Class::*;
use crate::attack::Fact::*;
use crate::attack::{Attack, moves, notifies, shows, sleeps};
use crate::lab::{FILE, FOREIGN_PASSWORD, HASH, OTHER_SQL, PRIMARY_PASSWORD, PUBLISHER_PASSWORD};

pub const TABLE: &[Attack] = &[
    // Hashes of passwords.
    shows(Secrets, HASH, "select rolpassword from pg_authid"),
    shows(Secrets, HASH, "select * from pg_catalog.pg_authid"),
    shows(Secrets, HASH, "table pg_authid"),
    shows(Secrets, HASH, "select passwd from pg_shadow"),
    shows(Secrets, HASH, "select usename, s.* from pg_shadow s"),
    shows(Secrets, HASH, "select a from pg_authid a"),
    shows(Secrets, HASH, "select a::text from pg_authid a"),
    shows(Secrets, HASH, "select to_jsonb(a) from pg_authid as a"),
    shows(Secrets, HASH, "select json_agg(a) from pg_authid as a"),
    shows(Secrets, HASH, "select (a).rolpassword from pg_authid a"),
    shows(Secrets, HASH, "select max(rolpassword) from pg_authid"),
    shows(Secrets, HASH, "select pw from pg_authid as a (o, n, s, i, r, d, l, p, b, c, pw)"),
    shows(Secrets, HASH, "select * from pg_roles join pg_authid using (rolname)"),
    shows(Secrets, HASH, "with a as (table pg_authid) select x from a x"),
    shows(Secrets, HASH, "select (select rolpassword from \"pg_authid\" where rolname = 'clerk')"),
    shows(Secrets, HASH, "select p from t, lateral (select rolpassword from pg_authid) x (p)"),
    shows(Secrets, HASH, "select array(select U&\"r\\006flpassword\" from pg_authid)"),
    shows(Secrets, HASH, "select * from hashes"),
    // The pages of a table know what its rights hide.
    shows(Secrets, HASH, "select get_raw_page('pg_authid', 0)"),
    shows(Secrets, HASH, "select t_data from heap_page_items(get_raw_page('pg_authid', 'main', 0))"),
    shows(Secrets, HASH, "select tuple_data_split(1260, t_data, t_infomask, t_infomask2, t_bits) from heap_page_items(get_raw_page('pg_authid', 0)) where t_data is not null"),
    // Passwords of other servers.
    shows(Secrets, FOREIGN_PASSWORD, "select umoptions from pg_user_mapping"),
    shows(Secrets, FOREIGN_PASSWORD, "select * from pg_user_mappings"),
    shows(Secrets, FOREIGN_PASSWORD, "select m from pg_user_mapping m"),
    shows(Secrets, FOREIGN_PASSWORD, "select option_value from information_schema.user_mapping_options"),
    shows(Secrets, FOREIGN_PASSWORD, "select unnest(umoptions) from pg_user_mappings"),
    shows(Secrets, PUBLISHER_PASSWORD, "select subconninfo from pg_subscription"),
    shows(Secrets, PUBLISHER_PASSWORD, "select row_to_json(s) from pg_subscription s"),
    shows(Secrets, PRIMARY_PASSWORD, "select current_setting('primary_conninfo')"),
    shows(Secrets, PRIMARY_PASSWORD, "select current_setting('primary_' || 'conninfo', true)"),
    shows(Secrets, PRIMARY_PASSWORD, "show primary_conninfo"),
    shows(Secrets, PRIMARY_PASSWORD, "select setting from pg_settings where name = 'primary_conninfo'"),
    shows(Secrets, PRIMARY_PASSWORD, "select s from pg_show_all_settings() s"),
    // What others ask, with the values in it.
    shows(Secrets, OTHER_SQL, "select query from pg_stat_activity"),
    shows(Secrets, OTHER_SQL, "select * from pg_stat_activity"),
    shows(Secrets, OTHER_SQL, "select a from pg_stat_activity a"),
    shows(Secrets, OTHER_SQL, "select query from pg_stat_get_activity(null)"),
    shows(Secrets, OTHER_SQL, "select pg_stat_get_backend_activity(b) from pg_stat_get_backend_idset() b"),
    shows(Secrets, OTHER_SQL, "select to_json(a)->>'query' from pg_stat_activity a"),
    shows(Secrets, OTHER_SQL, "select query from tools.pg_stat_statements"),
    shows(Secrets, OTHER_SQL, "select s.* from tools.pg_stat_statements(true) s"),
    // What is done is in a parameter, and no look at the statement finds it.
    shows(Params, FILE, "select query_to_xml($1, true, true, '')").with(&["select pg_read_file('canary.txt')"]),
    shows(Params, HASH, "select query_to_xml($1, true, true, '')").with(&["table pg_authid"]),
    shows(Params, FILE, "select pg_read_file($1)").with(&["canary.txt"]),
    shows(Params, HASH, "select table_to_xml($1::text::regclass, true, true, '')").with(&["pg_authid"]),
    moves(Params, Settings, "select set_config($1, $2, false)").with(&["work_mem", "9MB"]),
    moves(Params, Data, "select dblink_exec($1, $2)").with(&["loop", "delete from t"]),
    moves(Params, Data, "select lo_from_bytea(0, $1::text::bytea)").with(&["x"]),
    moves(Params, Data, "insert into t values ($1::text::int, $2)").with(&["3", "three"]),
    moves(Params, Locks, "select * from ts_stat($1)").with(&["select ''::tsvector from pg_try_advisory_lock(6)"]),
    notifies(Params, "select pg_notify($1, $2)").with(&["news", "text"]),
    sleeps(Params, "select pg_sleep($1::text::float8)").with(&["60"]),
    shows(Params, PRIMARY_PASSWORD, "select current_setting($1)").with(&["primary_conninfo"]),
];
