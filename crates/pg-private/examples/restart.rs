//! A private server: a table in it, a restart, and the table is still there. `cargo run -p pg-private --example restart`

use std::error::Error;

use pg_private::Options;
use tokio_postgres::{Client, NoTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut cluster = Options::new().setting("work_mem", "8MB").password("p@ssword").start()?;
    eprintln!("It listens at {} and lives in {}.", cluster.url(), cluster.socket_folder().display());
    connect(&cluster.url()).await?.batch_execute("create table kept as select 7 as n").await?;

    cluster.restart()?;
    let row = connect(&cluster.url()).await?.query_one("select n, version() from kept", &[]).await?;
    eprintln!("After a restart it still has {}, in {}.", row.get::<_, i32>(0), row.get::<_, &str>(1));

    let folder = cluster.socket_folder().to_owned();
    drop(cluster);
    eprintln!("Now it is gone: {} exists: {}.", folder.display(), folder.exists());
    Ok(())
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
