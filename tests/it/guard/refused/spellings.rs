//! The same functions and statements in every spelling that has the same meaning.

use crate::guard::attack::Class::*;
use crate::guard::attack::Fact::*;
use crate::guard::attack::{Attack, moves, shows};
use crate::guard::lab::FILE;

pub const TABLE: &[Attack] = &[
    shows(Spelling, FILE, "SELECT PG_READ_FILE('canary.txt')"),
    shows(Spelling, FILE, r#"select "pg_read_file"('canary.txt')"#),
    shows(Spelling, FILE, "select pg_catalog.pg_read_file('canary.txt')"),
    shows(Spelling, FILE, r#"select pg_catalog . "pg_read_file" ('canary.txt')"#),
    shows(Spelling, FILE, r#"select "pg_catalog"."pg_read_file"('canary.txt')"#),
    // The name of the current database is allowed as a prefix.
    shows(Spelling, FILE, "select lab.pg_catalog.pg_read_file('canary.txt')"),
    shows(Spelling, FILE, r#"select U&"pg\005fread_file"('canary.txt')"#),
    shows(Spelling, FILE, r#"select u&"\0070g\+00005fread_file"('canary.txt')"#),
    shows(Spelling, FILE, r#"select U&"pg!005fread_file" UESCAPE '!' ('canary.txt')"#),
    shows(Spelling, FILE, r#"select U&"pg_c\0061talog".U&"pg\005fread\005ffile"('canary.txt')"#),
    shows(Spelling, FILE, "select pg_read_file/**/('canary.txt')"),
    shows(Spelling, FILE, "select/**/pg_catalog/* . */./* /* */ */pg_read_file('canary.txt')"),
    shows(Spelling, FILE, "select pg_read_file -- (\n ('canary.txt')"),
    shows(Spelling, FILE, "select\tpg_read_file\x0c(\r'canary.txt'\x0c)"),
    shows(Spelling, FILE, "-- select 1\nselect pg_read_file('canary.txt')"),
    shows(Spelling, FILE, "/* /* read */ only */ select pg_read_file('canary.txt');"),
    shows(Spelling, FILE, "((select pg_read_file('canary.txt')))"),
    shows(Spelling, FILE, ";;;select pg_read_file('canary.txt')"),
    shows(Spelling, FILE, "select(pg_read_file('canary.txt'))"),
    shows(Spelling, FILE, "select all pg_read_file('canary.txt')"),
    // Attribute notation: a function of a row, without parentheses.
    shows(Spelling, FILE, "select f.pg_read_file from concat('canary.txt') as f"),
    shows(Spelling, FILE, "select f.\"pg_read_file\" from cast('canary.txt' as text) f"),
    shows(Spelling, FILE, "select (f).pg_read_file from concat('canary', '.txt') as f"),
    shows(Spelling, FILE, "select g from concat('canary.txt') f, lateral (select f.pg_read_file) x (g)"),
    shows(Spelling, FILE, r#"select f.U&"pg\005fread_file" from concat('canary.txt') as f"#),
    // Arguments in all forms of string literals.
    shows(Spelling, FILE, "select pg_read_file($$canary.txt$$)"),
    shows(Spelling, FILE, "select pg_read_file($f$canary.txt$f$)"),
    shows(Spelling, FILE, "select pg_read_file(E'\\x63anary.txt')"),
    shows(Spelling, FILE, "select pg_read_file(U&'c\\0061nary.txt')"),
    shows(Spelling, FILE, "select pg_read_file('can'\n'ary.txt')"),
    shows(Spelling, FILE, "select pg_read_file(convert_from('\\x63616e6172792e747874', 'UTF8'))"),
    shows(Spelling, FILE, "select pg_read_file(('canary.txt'::varchar(99))::text)"),
    // Statements with unusual white space, comments and parentheses.
    moves(Spelling, Data, "dElEtE/**/FROM/**/ONLY/**/public/**/./**/t"),
    moves(Spelling, Data, "explain(analyze)delete from\"t\""),
    moves(Spelling, Data, r#"delete from U&"\0074""#),
    moves(Spelling, Data, "DO LANGUAGE\"plpgsql\"$$BEGIN DELETE FROM t;END$$"),
    moves(Spelling, Settings, "set\"work_mem\"=9216"),
    moves(Spelling, Settings, "select\"set_config\"('work_mem','9MB','f')"),
];
