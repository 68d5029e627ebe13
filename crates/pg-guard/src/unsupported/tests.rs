use super::*;
use crate::sql::OPERATIONS;

fn why_not(sql: &str, transaction: Transaction) -> Option<String> {
    unsupported(sql, Operation::of(sql), transaction).err().map(|refusal| refusal.why)
}

#[test]
fn what_would_act_on_a_shared_connection_is_unsupported_and_alone_also_what_would_be_gone_with_its_call() {
    let unsupported_in = |transaction| {
        let words = OPERATIONS.iter().copied().filter(move |word| why_not(word, transaction).is_some());
        words.collect::<Vec<_>>()
    };
    let anywhere = [
        "ABORT",
        "BEGIN",
        "COMMIT",
        "COPY",
        "DEALLOCATE",
        "END",
        "EXECUTE",
        "LISTEN",
        "PREPARE",
        "RELEASE",
        "ROLLBACK",
        "SAVEPOINT",
        "START",
        "UNLISTEN",
    ];
    assert_eq!(unsupported_in(Transaction::Shared), anywhere);
    let gone = ["CLOSE", "DECLARE", "DISCARD", "FETCH", "LOAD", "LOCK", "MOVE", "RESET", "SET"];
    let mut alone = [&anywhere[..], &gone].concat();
    alone.sort_unstable();
    assert_eq!(unsupported_in(Transaction::Own), alone);
    assert_eq!(why_not("frobnicate", Transaction::Own), None, "PostgreSQL says what is wrong with it");
}

#[test]
fn what_is_unsupported_is_told_by_its_words_and_what_to_do_instead() {
    for (sql, words) in [
        (
            "set work_mem='1MB'",
            "SET is not accepted: what it sets is gone when the call ends; put it into batch_query_execute",
        ),
        ("Set Local x.y = 1", "or ask the operator for POSTGRES_OPTIONS (-c name=value), which holds for every call."),
        ("/* a */ set role postgres", "SET is not accepted: "),
        ("set transaction read only", "SET is not accepted: "),
        ("set constraints all deferred", "SET is not accepted: "),
        ("reset all", "RESET is not accepted: every call has the settings of a new connection"),
        ("discard all", "DISCARD is not accepted: there is nothing to discard"),
        (
            "lock table pg_class",
            "LOCK is not accepted: the lock is gone when the call ends; put it into batch_query_execute",
        ),
        ("declare c cursor for select 1", "DECLARE is not accepted: a cursor is gone when the call ends"),
        ("fetch 5 from c", "of which fetch_rows gives one page after another"),
        ("move c", "MOVE is not accepted: a cursor "),
        ("close all", "CLOSE is not accepted: a cursor "),
        ("load 'plpgsql'", "LOAD is not accepted: the next call may have another connection, without that library"),
        (
            "create temp table t (n int)",
            "CREATE TEMPORARY is not accepted: what is temporary is gone when the call ends",
        ),
        ("create local temporary table t as select 1", "CREATE TEMPORARY is not accepted: "),
        ("create or replace temp view v as select 1", "CREATE TEMPORARY is not accepted: "),
        ("create global temp sequence s", "CREATE TEMPORARY is not accepted: "),
    ] {
        let why = why_not(sql, Transaction::Own).expect(sql);
        assert!(why.contains(words), "{sql}: {why}");
        assert_eq!(why_not(sql, Transaction::Shared), None, "{sql}");
    }
    for sql in ["prepare transaction 'x'", "commit prepared 'x'", "rollback /* a */ prepared 'x'"] {
        for transaction in [Transaction::Own, Transaction::Shared] {
            let why = why_not(sql, transaction).expect(sql);
            assert!(why.contains(" is not accepted: no transaction is prepared through this server"), "{sql}: {why}");
        }
    }
    for sql in [
        "show work_mem",
        "create table temp (n int)",
        "create table t (temp int)",
        "create or replace view temp as select 1",
        "create unlogged table t (n int)",
        "create index on t (temp)",
        "create function temp() returns int return 1",
        "select set_config('a.b', '1', false)",
        "\"set\" x",
        "",
    ] {
        assert_eq!(why_not(sql, Transaction::Own), None, "{sql}");
    }
}
