//! Secrets with a mark in them are put wherever PostgreSQL keeps secrets. Then every relation of the catalogs and every
//! function that needs no argument is read, as far as the guard allows it. No answer contains the mark.

use pg_private::Options;
use tokio_postgres::{Client, NoTls};

use crate::guard::served::Served;

/// The mark. It is in no statement that is sent after the secrets are there.
const MARK: &str = "CANARY";

/// The secrets. `{long}` is so long that PostgreSQL stores it apart.
const SECRETS: &str = "
create extension postgres_fdw;
create role first login password 'md5CANARY0CANARY0CANARY0CANARY0CAN';
create role second login password 'md5CANARY1CANARY1CANARY1CANARY1CAN';
create role third login password 'md5CANARY1CANARY1CANARY1CANARY1CAN';
create foreign data wrapper plain options (password 'CANARY-OF-A-WRAPPER');
create server loop foreign data wrapper plain options (host 'here', password 'CANARY-OF-A-SERVER {long}');
create user mapping for postgres server loop options (password 'CANARY-OF-A-MAPPING {long}');
create user mapping for first server loop options (password 'CANARY-OF-A-MAPPING');
create user mapping for second server loop options (password 'CANARY-OF-A-MAPPING');
create foreign table far (n int options (password 'CANARY-OF-A-COLUMN')) server loop options (password 'CANARY-OF-A-TABLE');
create subscription news connection 'host=elsewhere password=CANARY-OF-A-PUBLISHER{long}' publication news
    with (connect = false, slot_name = none);
alter role postgres set app.api_secret = 'CANARY-OF-A-ROLE';
alter role first set app.jwt_token = 'CANARY-OF-A-ROLE';
alter database postgres set app.api_key = 'CANARY-OF-A-DATABASE {long}';
analyze pg_authid, pg_user_mapping, pg_foreign_server, pg_foreign_table, pg_foreign_data_wrapper, pg_subscription,
    pg_db_role_setting, pg_attribute";

/// The columns of every relation of the catalogs, and of the tables where their long values are.
const COLUMNS: &str = "
select format('%I.%I', n.nspname, c.relname), array_agg(quote_ident(a.attname) order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind in ('r', 'v', 't') and n.nspname in ('pg_catalog', 'information_schema', 'pg_toast') and c.oid < 16384
group by 1 order by 1";

/// Every function that can be called without an argument, or with the number of a backend.
const FUNCTIONS: &str = "
select distinct format('%I.%I(%s)', n.nspname, p.proname, case when p.pronargs > p.pronargdefaults then 'backend' end)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where p.oid < 16384 and p.prokind = 'f'
    and (p.pronargs = p.pronargdefaults or p.pronargs = 1 and p.proargtypes[0] = 'int4'::regtype)
order by 1";

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    actix_rt::spawn(connection);
    client
}

/// A text that cannot be compressed much.
fn long() -> String {
    (0_u32..400).map(|n| format!("CANARY{:08x}", n.wrapping_mul(2_654_435_761))).collect()
}

/// A statement that counts the rows in which the mark is, as it is or as the text of a `bytea`. PostgreSQL looks for it,
/// because an answer that is too long is cut.
fn marked(value: &str, from: &str) -> String {
    format!("select count(*) from {from} where {value}::text ~ ('C' || 'ANARY|43414e' || '415259')")
}

#[actix_rt::test]
async fn no_relation_and_no_function_of_the_catalogs_shows_a_secret() {
    let cluster = Options::new()
        .setting("wal_level", "logical")
        .setting("max_prepared_transactions", "4")
        .setting("jit", "off")
        .setting("primary_conninfo", "host=elsewhere password=CANARY-OF-A-PRIMARY")
        .start()
        .unwrap();
    let client = connect(&cluster.url()).await;
    client.batch_execute(&SECRETS.replace("{long}", &long())).await.unwrap_or_else(|error| panic!("{error:?}"));
    // What another session asks.
    let other = connect(&cluster.url()).await;
    other.batch_execute("begin; declare kept cursor for select 'CANARY-OF-ANOTHER-SESSION'").await.unwrap();
    let served = Served::within(cluster.port(), "postgres", std::time::Duration::from_secs(20));
    // What another client has asked before, so often that its statement is kept on the same connection.
    for _ in 0..3 {
        assert!(served.rows("select 'CANARY-OF-ANOTHER-CLIENT'").await.unwrap().contains(MARK));
    }

    let (mut shown, mut read, mut held) = (Vec::new(), 0, 0);
    let mut is_read = async |value: &str, from: &str| {
        let sql = marked(value, from);
        let answer = served.rows(&sql).await;
        read += usize::from(answer.is_ok());
        if answer.as_ref().is_ok_and(|rows| rows != "[[0]]") || answer.as_ref().is_err_and(|why| why.contains(MARK)) {
            shown.push(format!("{sql}: {answer:?}"));
        }
        answer.is_ok()
    };
    let relations = client.query(COLUMNS, &[]).await.unwrap();
    for relation in &relations {
        let (name, columns): (String, Vec<String>) = (relation.get(0), relation.get(1));
        let whole = marked("whole", &format!("(select * from {name}) as whole"));
        held += usize::from(client.query_one(&whole, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) > 0));
        if !is_read("whole", &format!("(select * from {name}) as whole")).await {
            for column in columns {
                is_read(&column, &name).await;
            }
        }
    }
    let functions = client.query(FUNCTIONS, &[]).await.unwrap();
    for function in &functions {
        let function: String = function.get(0);
        is_read("found", &format!("generate_series(0, 20) backend, {function} as found")).await;
    }
    assert!(relations.len() > 150 && functions.len() > 150, "{} and {}", relations.len(), functions.len());
    assert!(held > 25, "only {held} relations hold a secret without the guard");
    assert!(read > 400, "only {read} statements were answered");
    assert!(shown.is_empty(), "{} statements show a secret:\n{}", shown.len(), shown.join("\n"));
}
