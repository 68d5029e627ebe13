//! The demonstration and its data.

use std::process::Command;

use pg_private::PrivateCluster;

use crate::common::postgres::observer;

/// The demonstration checks its own claims and ends with status 1 if one is wrong.
#[test]
fn the_demonstration_succeeds() {
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres")).arg("demo").output().unwrap();
    let (told, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{complaint}");
}

#[tokio::test]
async fn the_demo_data_are_the_same_on_each_load() {
    let cluster = PrivateCluster::start().unwrap();
    let client = observer(&cluster).await;
    client.batch_execute(include_str!("../../src/cli/demo/data.sql")).await.unwrap();
    for (table, expected) in [
        ("customers", 200),
        ("products", 40),
        ("promotions", 6),
        ("orders", 2_000),
        ("order_items", 5_000),
        ("order_totals", 2_000),
        ("logins", 1_000),
    ] {
        let row = client.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), expected, "{table}");
    }
    for (sql, expected) in [
        ("select sum(total)::text from order_totals", "387287.33"),
        ("select sum(quantity)::text from order_items", "8000"),
        ("select count(distinct customer_id)::text from orders", "175"),
        ("select max(address)::text from logins", "2001:db8::3e8:3e8/128"),
        ("select nextval(pg_get_serial_sequence('orders', 'id'))::text", "2001"),
    ] {
        assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, &str>(0), expected, "{sql}");
    }
}
