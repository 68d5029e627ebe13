//! The errors of PostgreSQL: the phase, the place, and the hint with the names that may have been meant.

use mcp_server_postgres::postgres::error::Phase;

use super::*;
use crate::common::postgres::in_english;

#[actix_rt::test]
async fn a_rejection_has_its_place_and_the_names_that_may_have_been_meant() {
    let world = World::read_write().await;
    world
        .prepare(
            "create schema sales; create table sales.orders (id int primary key, n int not null check (n > 0)); \
             create table customers (id int); create table \"Mixed Case\" (id int, \"A b\" int); \
             create table tickets (customer_identification_number int); \
             create function bad() returns int language plpgsql as 'begin return (select idx from custmers); end'; \
             create function worse() returns void language plpgsql as 'begin drop table custmers; end'",
        )
        .await;
    for (sql, phase, hint) in [
        ("select * from custmers", Phase::Parse, "Perhaps you meant customers."),
        ("select * from Orders", Phase::Parse, "Perhaps you meant sales.orders."),
        ("select 1,\n * from public . orders o", Phase::Parse, "Perhaps you meant sales.orders."),
        ("select * from mixedcase", Phase::Parse, "Perhaps you meant \"Mixed Case\"."),
        ("select * from cust", Phase::Parse, "Perhaps you meant customers."),
        ("select * from ordr", Phase::Parse, "Perhaps you meant sales.orders."),
        (
            "select * from nothing_like_it",
            Phase::Parse,
            "The tables and views are \"Mixed Case\", customers, tickets, sales.orders.",
        ),
        // What destroys is told of nothing that it could take instead.
        ("drop table custmers", Phase::Execute, ""),
        ("drop table sales.ordrs", Phase::Execute, ""),
        ("drop view custmers", Phase::Execute, ""),
        ("truncate custmers", Phase::Execute, ""),
        ("delete from custmers", Phase::Parse, ""),
        ("with gone as (delete from custmers returning *) select * from gone", Phase::Parse, ""),
        ("alter table custmers add x int", Phase::Execute, ""),
        ("alter table customers drop column ids", Phase::Execute, ""),
        // A text in the quotes of a name.
        (
            "select * from customers where id::text = \"bob\"",
            Phase::Parse,
            "A text is written in single quotes: 'bob'. Double quotes are for names.",
        ),
        // PostgreSQL gives no position.
        ("create index on customers (idx)", Phase::Execute, "Perhaps you meant customers.id."),
        // A table that is there and that the statement does not read.
        ("select customer.id from tickets", Phase::Parse, "Perhaps you meant customers."),
        ("select xyz.id from tickets", Phase::Parse, ""),
        // The names of a function's statements are not those of the caller's.
        ("select bad()", Phase::Execute, ""),
        ("select worse()", Phase::Execute, ""),
        // Too far for PostgreSQL, or near to nothing.
        (
            "select customer_identifi_number from tickets",
            Phase::Parse,
            "Perhaps you meant tickets.customer_identification_number.",
        ),
        ("select o.price from sales.orders o", Phase::Parse, "orders has id, n."),
        (
            "select price from \"Mixed Case\" x, customers",
            Phase::Parse,
            "customers has id. \"Mixed Case\" has id, \"A b\".",
        ),
        ("select price from generate_series(1, 2) n", Phase::Parse, ""),
        ("select 1 / (id - id) from generate_series(1, 2) id", Phase::Execute, ""),
    ] {
        let Err(QueryError::Rejected(single)) = world.query(sql).await else { panic!("{sql}") };
        assert_eq!((single.phase, single.hint.as_deref().unwrap_or("")), (phase, hint), "{sql}");
        let batch = world.batch(&[("select 1", json!([])), (sql, json!([]))]).await.unwrap_err();
        assert_eq!(batch.error, QueryError::Rejected(single), "{sql}");
    }
    let Err(QueryError::Rejected(rejection)) = world.query("insert into sales.orders values (1, 0)").await else {
        panic!("the check holds")
    };
    let names = [&rejection.schema, &rejection.table, &rejection.constraint].map(|name| name.as_deref().unwrap());
    assert_eq!(names, ["sales", "orders", "orders_n_check"]);
}

#[actix_rt::test]
async fn a_rejection_has_postgresqls_own_hint_and_its_place_in_a_function() {
    let world = World::with(in_english(), |settings| settings.access = AccessMode::ReadWrite).await;
    world
        .prepare(
            "create table customers (id int); \
             create function bad() returns int language plpgsql as 'begin return (select 1\n + no from customers); end'; \
             create function worse() returns void language plpgsql as 'begin execute ''selekt 1''; end'",
        )
        .await;
    for (sql, shown) in [
        (
            "select bad()",
            "ERROR 42703: column \"no\" does not exist\nQUERY: LINE 2:  + no from customers)\n                  ^\n\
             CONTEXT: PL/pgSQL function bad() line 1 at RETURN",
        ),
        (
            "select worse()",
            "ERROR 42601: syntax error at or near \"selekt\"\nQUERY: LINE 1: selekt 1\n               ^\n\
             CONTEXT: PL/pgSQL function worse() line 1 at EXECUTE",
        ),
        (
            "select idd from customers",
            "ERROR 42703: column \"idd\" does not exist\nLINE 1: select idd from customers\n               ^\n\
             HINT: Perhaps you meant to reference the column \"customers.id\".",
        ),
    ] {
        assert_eq!(world.refusal(sql).await, shown);
    }
}
