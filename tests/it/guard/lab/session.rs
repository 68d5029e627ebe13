//! A session of the laboratory, and the result of a statement on it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt, TryStreamExt};
use pg_private::PrivateCluster;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, SimpleQueryMessage};

/// The result of a statement.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) values: Vec<String>,
    pub(super) statements: usize,
    pub(super) error: Option<Error>,
}

pub(super) async fn connect(
    cluster: &PrivateCluster,
    database: &str,
    name: &str,
    notifications: &Arc<AtomicUsize>,
) -> Client {
    let mut config: Config = cluster.url().parse().unwrap();
    config.dbname(database).application_name(name);
    let (client, mut connection) = config.connect(NoTls).await.unwrap();
    let notifications = notifications.clone();
    let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            if matches!(message, AsyncMessage::Notification(_)) {
                notifications.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    client
}

/// The values of the first row.
pub(super) fn row(messages: Vec<SimpleQueryMessage>) -> Vec<String> {
    let found = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = found.unwrap();
    (0..row.len()).map(|column| row.get(column).unwrap_or("").to_owned()).collect()
}

pub(super) async fn first(client: &Client, sql: &str) -> Vec<String> {
    row(client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")))
}

pub(super) async fn all(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap();
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().to_owned()),
        _ => None,
    });
    rows.collect()
}

/// Sends a statement by the simple protocol, as a server without protection does; with parameters by the extended
/// protocol.
pub(super) async fn send(session: &Client, sql: &str, parameters: &[&str]) -> Ran {
    let mut ran = Ran::default();
    let sent = async {
        let lower = sql.to_lowercase();
        if lower.contains("to stdout") {
            let mut out = pin!(session.copy_out(sql).await?);
            while let Some(bytes) = out.try_next().await? {
                ran.values.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        } else if lower.contains("from stdin") {
            let mut sink = pin!(session.copy_in(sql).await?);
            sink.send(&b"99\tcopied\n"[..]).await?;
            sink.finish().await?;
        } else if parameters.is_empty() {
            for message in session.simple_query(sql).await? {
                match message {
                    SimpleQueryMessage::Row(row) => {
                        ran.values.extend((0..row.len()).filter_map(|column| row.get(column)).map(str::to_owned));
                    }
                    SimpleQueryMessage::CommandComplete(_) => ran.statements += 1,
                    _ => {}
                }
            }
        } else {
            let statement = session.prepare_typed(sql, &vec![Type::TEXT; parameters.len()]).await?;
            let parameters: Vec<_> = parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            for row in session.query(&statement, &parameters).await? {
                let values = (0..row.len()).filter_map(|column| row.try_get::<_, Raw>(column).ok());
                ran.values.extend(values.map(|Raw(value)| value));
            }
        }
        Ok(())
    };
    ran.error = sent.await.err();
    ran
}

/// The bytes of a value of any type.
struct Raw(String);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
