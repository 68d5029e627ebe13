//! Several statements in one text, openly or hidden in what looks like a string or a comment.

use crate::guard::attack::Class::*;
use crate::guard::attack::Fact::*;
use crate::guard::attack::{Attack, moves, several};

pub const TABLE: &[Attack] = &[
    several(Stacked, "select 1; select 2"),
    several(Stacked, "select 1; drop table lines"),
    several(Stacked, "commit; drop table lines"),
    several(Stacked, "rollback; insert into log values (1)"),
    several(Stacked, ";; select 1 ;; select 2 ;;"),
    several(Stacked, "begin; delete from t; commit"),
    several(Stacked, "explain select 1; delete from t"),
    several(Stacked, "select 1; set work_mem = '9MB'"),
    several(Stacked, "end; begin; truncate t; commit"),
    several(Stacked, "show work_mem; notify news"),
    several(Stacked, "values (1)\n;\n-- more\ntable t"),
    several(Stacked, "with a as (select 1) select * from a; with b as (delete from t) select 1"),
    moves(Stacked, Data, "select 1; create schema u create table v (n int)"),
    moves(Stacked, Settings, "select 1;reset all"),
    // A backslash does not escape in a standard string or in an identifier.
    several(LexerDesync, r"select 'a\'; drop table lines; --'"),
    several(LexerDesync, r#"select 1 as "a\"; drop table lines; --""#),
    several(LexerDesync, r"select e'\'', 'b'; drop table lines; --'"),
    several(LexerDesync, r"select e'\\'; drop table lines; --'"),
    // A dollar-quoted string ends only with its own tag.
    several(LexerDesync, "select $a$ $b$ $a$; drop table lines; -- $b$"),
    several(LexerDesync, "select $é$ ' $é$; drop table lines; -- '"),
    several(LexerDesync, "select 1 as a$b$; drop table lines; -- $b$"),
    several(LexerDesync, "select $$ $a$ $$; drop table lines; -- $a$"),
    // Block comments are nested, and a line comment ends with its line.
    several(LexerDesync, "select 1 /* /* */ */; drop table lines /* */"),
    several(LexerDesync, "select 1 --\r; drop table lines"),
    several(LexerDesync, "select 1 -- /*\n; drop table lines -- */"),
    several(LexerDesync, "select '/*'; drop table lines; select '*/'"),
    several(LexerDesync, "select 1 /* -- */; drop table lines"),
    // A string continues in the next line.
    several(LexerDesync, "select 'a'\n'; '; drop table lines; --'"),
    several(LexerDesync, "select \"a\"\"; \" from (select 1) x (\"a\"\"; \"); drop table lines"),
];
