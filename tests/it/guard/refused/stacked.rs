//! Several statements in one text, in the open and behind what a reader of texts takes for a string or a comment.

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
    // A backslash ends nothing in a standard string, and nothing at all in an identifier.
    several(LexerDesync, r"select 'a\'; drop table lines; --'"),
    several(LexerDesync, r#"select 1 as "a\"; drop table lines; --""#),
    several(LexerDesync, r"select e'\'', 'b'; drop table lines; --'"),
    several(LexerDesync, r"select e'\\'; drop table lines; --'"),
    // Dollar quotes know their tags, whatever is between.
    several(LexerDesync, "select $a$ $b$ $a$; drop table lines; -- $b$"),
    several(LexerDesync, "select $é$ ' $é$; drop table lines; -- '"),
    several(LexerDesync, "select 1 as a$b$; drop table lines; -- $b$"),
    several(LexerDesync, "select $$ $a$ $$; drop table lines; -- $a$"),
    // Comments nest, and a line ends where a line ends.
    several(LexerDesync, "select 1 /* /* */ */; drop table lines /* */"),
    several(LexerDesync, "select 1 --\r; drop table lines"),
    several(LexerDesync, "select 1 -- /*\n; drop table lines -- */"),
    several(LexerDesync, "select '/*'; drop table lines; select '*/'"),
    several(LexerDesync, "select 1 /* -- */; drop table lines"),
    // A string goes on in the next line.
    several(LexerDesync, "select 'a'\n'; '; drop table lines; --'"),
    several(LexerDesync, "select \"a\"\"; \" from (select 1) x (\"a\"\"; \"); drop table lines"),
];
