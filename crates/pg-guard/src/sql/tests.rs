use super::*;

#[test]
fn the_operation_is_the_first_keyword() {
    for (sql, operation) in [
        ("select 1", "SELECT"),
        ("SELECT*from t", "SELECT"),
        ("select(1)", "SELECT"),
        ("table t", "TABLE"),
        ("  /* a /* nested */ one */ -- and\r\n  WiTh x as (select 1) table x", "WITH"),
        ("-- one\n-- two\nupdate t set a = 1", "UPDATE"),
        ("-- one\rdelete from t", "DELETE"),
        ("/**/insert into t values (1)", "INSERT"),
        ("/*/ not closed here */ merge into t", "MERGE"),
        ("((select 1) union (select 2))", "SELECT"),
        ("(\n--\n(values (1)))", "VALUES"),
        (";;commit", "COMMIT"),
        ("explain analyze delete from t", "EXPLAIN"),
        ("\u{b}\u{c}\tshow all", "SHOW"),
        ("", "EMPTY"),
        (" ; -- nothing", "EMPTY"),
        ("/* never closed", "EMPTY"),
        ("/* one /* two */ still open", "EMPTY"),
        ("--", "EMPTY"),
        ("/*", "EMPTY"),
        ("frobnicate", "OTHER"),
        ("selects", "OTHER"),
        ("select1", "OTHER"),
        ("\"select\" 1", "OTHER"),
        ("'select'", "OTHER"),
        ("$$select$$", "OTHER"),
        ("$1", "OTHER"),
        ("1", "OTHER"),
        ("- select", "OTHER"),
        ("/ select", "OTHER"),
        ("sélect 1", "OTHER"),
        // This is no white space for PostgreSQL, so it is part of a word.
        ("\u{a0}select 1", "OTHER"),
    ] {
        assert_eq!(Operation::of(sql).as_str(), operation, "{sql:?}");
    }
}

#[test]
fn every_word_that_begins_a_statement_is_told_in_any_case_and_shown_in_upper_case() {
    assert!(OPERATIONS.is_sorted(), "or a duplicate would be hard to see");
    for word in OPERATIONS {
        assert_eq!(Operation::of(&format!("{} x", word.to_ascii_lowercase())).to_string(), *word);
    }
}

#[test]
fn four_statements_change_rows() {
    let changing = OPERATIONS.iter().copied().filter(|word| Operation::of(word).changes_rows());
    assert_eq!(changing.collect::<Vec<_>>(), ["DELETE", "INSERT", "MERGE", "UPDATE"]);
}

#[test]
fn a_normalised_text_has_one_form_for_any_white_space_comments_and_literals() {
    for (sql, shown) in [
        ("select  a.\"b c\" -- note\n from /* 'x' */ t where k=42", "select a.\"b c\" from t where k = ?"),
        ("select count(*)::int from t1", "select count(*)::int from t1"),
        ("select\ta\r\n,b\n from t ;", "select a, b from t;"),
        ("insert into t (a, b) values ($1, $2)", "insert into t(a, b) values($1, $2)"),
        ("select a[1:2], b.c", "select a[?:?], b.c"),
        ("select \"a\"\"b\"", "select \"a\"\"b\""),
        ("select a$1, été", "select a$1, été"),
        ("select true, null", "select true, null"),
        ("", ""),
        ("-- nothing", ""),
    ] {
        assert_eq!(normalised(sql, 1000), shown, "{sql}");
    }
}

#[test]
fn no_literal_is_left_in_a_normalised_text() {
    for (sql, shown) in [
        ("select 'secret'", "select ?"),
        ("select 'a''secret'", "select ?"),
        ("select '', 'secret'", "select ?, ?"),
        ("select'secret'from t", "select ? from t"),
        // In a plain string a backslash is a character; in E'' it escapes.
        ("select 'a\\', secret", "select ?, secret"),
        ("select E'a\\'secret', e'\\\\', E'\\\\\\'secret'", "select ?, ?, ?"),
        ("select 'a'\n'secret'", "select ? ?"),
        ("select E'a'\n'it\\'s secret'", "select ?"),
        ("select e'a' -- why\n  'b\\'' \n 'secret\\'', 1", "select ?, ?"),
        ("select U&'d\\0061t secret', u&'secret' uescape '!'", "select ?, ? uescape ?"),
        ("select n'secret', N'secret'", "select ?, ?"),
        ("select b'101', B'101', x'1f', X'1F'", "select ?, ?, ?, ?"),
        ("select $$secret$$, $a$secret$a$, $é_1$secret$é_1$", "select ?, ?, ?"),
        ("select $a$ $b$ secret $b$ $A$ $$ secret $a$", "select ?"),
        ("select 1, 42, 1.5, .5, 1., 1e10, 1.5e-3, 1E+3", "select ?, ?, ?, ?, ?, ?, ?, ?"),
        ("select 0x1F, 0o17, 0b101, 1_000, 1.5e1_0", "select ?, ?, ?, ?, ?"),
        ("select -5, 2-1, 3+ 4", "select - ?, ? - ?, ? + ?"),
        ("select 42secret", "select ?"),
        ("select $1, $2::int, $12", "select $1, $2::int, $12"),
        ("select $1$$secret$$", "select $1 ?"),
        ("select interval '1 day', date'2024-01-01'", "select interval ?, date ?"),
        ("select '-- secret', '/* secret'", "select ?, ?"),
        ("select /* 'secret */ 1 -- 'secret\n, 2", "select ?, ?"),
        ("select /* /* secret */ secret */ 1", "select ?"),
        ("select '\u{1f511} secret', 'é'", "select ?, ?"),
        // An unclosed string or comment ends with the text.
        ("select 'secret", "select ?"),
        ("select E'secret\\'", "select ?"),
        ("select e'\\", "select ?"),
        ("select $$ secret", "select ?"),
        ("select $a$ secret $b$", "select ?"),
        ("select /* secret", "select"),
        ("select E'a' 'secret", "select ?"),
    ] {
        assert_eq!(normalised(sql, 1000), shown, "{sql}");
    }
}

#[test]
fn a_normalised_text_is_cut_at_characters() {
    for (sql, chars_max, shown) in [
        ("select aaaaaaaaaa", 8, "select a…"),
        ("select aaaaaaaaaa", 17, "select aaaaaaaaaa"),
        ("select éééé", 8, "select é…"),
        ("select a, b", 0, "…"),
    ] {
        assert_eq!(normalised(sql, chars_max), shown, "{sql} at {chars_max}");
    }
}

#[test]
fn any_text_is_read_to_its_end() {
    let pieces =
        ["'", "\"", "$", "$a$", "/*", "*/", "--", "\n", "e'", "u&'", "\\", "é", "1e+", ".", "::", "select", "\u{0}"];
    let mut state = 7_u32;
    for _ in 0..20_000 {
        let mut sql = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            sql.push_str(pieces[(state >> 16) as usize % pieces.len()]);
        }
        Operation::of(&sql);
        normalised(&sql, 100);
    }
}

#[test]
fn a_name_is_read_where_it_stands() {
    for (sql, character, name) in [
        ("select * from Orders o", 15, Some("orders")),
        ("select * from sales . \"My \"\"Orders\"", 15, Some("My \"Orders")),
        ("table é.ü", 7, Some("ü")),
        ("select 1", 8, None),
        ("select 1", 0, None),
        ("select 1", 99, None),
    ] {
        assert_eq!(name_at(sql, character).as_deref(), name, "{sql}");
    }
}

#[test]
fn the_tail_of_a_statement_is_its_semicolons_and_comments() {
    for (sql, shown) in [
        ("select 1 ; -- end", "select 1"),
        ("select ';' ;; /* ; */ ", "select ';'"),
        ("/* a */ select 1", "/* a */ select 1"),
        ("select 1--", "select 1"),
        (";", ""),
    ] {
        assert_eq!(without_tail(sql), shown, "{sql}");
    }
}
