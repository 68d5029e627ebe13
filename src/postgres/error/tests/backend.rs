//! The server side of PostgreSQL's protocol (manual, chapter 55), from a script, over a pipe in memory. Only the driver
//! can create rows and errors, so the tests give it the bytes that it reads.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_postgres::{Client, Config, NoTls};

/// One message of the protocol.
pub(in crate::postgres) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// The end of a response: ready for the next query, in no transaction.
pub(in crate::postgres) fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// A client of a backend that answers with the bytes which `answer` returns for the kinds of messages up to a Query or
/// a Sync. Nothing closes the connection.
pub(in crate::postgres) async fn client(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Client {
    let (theirs, mut ours) = duplex(1 << 20);
    tokio::spawn(async move {
        let length = ours.read_u32().await.unwrap();
        let mut start_up = vec![0; length as usize - 4];
        ours.read_exact(&mut start_up).await.unwrap();
        ours.write_all(&[message(b'R', &[0; 4]), ready()].concat()).await.unwrap();
        let mut kinds = Vec::new();
        while let Ok(kind) = ours.read_u8().await {
            let length = ours.read_u32().await.unwrap();
            let mut body = vec![0; length as usize - 4];
            ours.read_exact(&mut body).await.unwrap();
            kinds.push(kind);
            if matches!(kind, b'Q' | b'S') {
                let Some(bytes) = answer(&kinds) else { return };
                ours.write_all(&bytes).await.unwrap();
                kinds.clear();
            }
        }
    });
    let (client, connection) = Config::new().user("alice").connect_raw(theirs, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
