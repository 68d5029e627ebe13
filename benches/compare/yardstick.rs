//! The yardstick: the least that an MCP server for PostgreSQL over stdio can do, written in the usual way.
//!
//! It uses eight connections one after the other, prepares a statement once on each, has tokio's own stdin and stdout (which
//! block threads), one task for each request, and writes rows from their binary form directly into the line of the answer. It
//! has no actors, no transaction around a statement, no limits, no timeouts, no cancellation, no log and no
//! `structuredContent`. All parameters are `int4`.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use pg_render::{Codec, write_json_string};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{OnceCell, mpsc};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls, Row, Statement};

const CONNECTIONS: usize = 8;

/// Answers that are ready at the same time are written together, up to so many bytes.
const WRITE_BYTES: usize = 65_536;

#[derive(Deserialize)]
struct Request {
    id: Option<u64>,
    method: String,
    #[serde(default)]
    params: Params,
}

#[derive(Deserialize, Default)]
struct Params {
    arguments: Option<Arguments>,
}

#[derive(Deserialize)]
struct Arguments {
    query: String,
    #[serde(default)]
    parameters: Vec<i32>,
}

pub fn serve(url: &str) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(lines(url));
}

async fn lines(url: &str) {
    let connections: Arc<[OnceCell<Connection>; CONNECTIONS]> = Arc::default();
    let (answers, ready) = mpsc::unbounded_channel();
    tokio::spawn(write(ready));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut next = 0;
    while let Some(line) = lines.next_line().await.unwrap() {
        let request: Request = serde_json::from_str(&line).unwrap();
        let Some(id) = request.id else { continue };
        let Some(arguments) = request.params.arguments else {
            let _ = answers.send(constant(id, &request.method));
            continue;
        };
        next = (next + 1) % CONNECTIONS;
        let (connections, answers, url, at) = (connections.clone(), answers.clone(), url.to_owned(), next);
        tokio::spawn(async move {
            let connection = connections[at].get_or_init(|| Connection::open(&url)).await;
            let answer = connection.answer(id, &arguments).await.unwrap_or_else(|error| failure(id, &error));
            let _ = answers.send(answer);
        });
    }
}

async fn write(mut ready: mpsc::UnboundedReceiver<Vec<u8>>) {
    let mut output = tokio::io::stdout();
    while let Some(mut lines) = ready.recv().await {
        while lines.len() < WRITE_BYTES
            && let Ok(more) = ready.try_recv()
        {
            lines.extend_from_slice(&more);
        }
        output.write_all(&lines).await.unwrap();
        output.flush().await.unwrap();
    }
}

fn constant(id: u64, method: &str) -> Vec<u8> {
    let result = match method {
        "initialize" => {
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"yardstick","version":"1"}}"#
        }
        "tools/list" => r#"{"tools":[{"name":"async_query_execute","inputSchema":{"type":"object"}}]}"#,
        _ => "{}",
    };
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n").into_bytes()
}

fn failure(id: u64, error: &tokio_postgres::Error) -> Vec<u8> {
    let mut line = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"#).into_bytes();
    write_json_string(error.to_string(), &mut line);
    line.extend_from_slice(b"}}\n");
    line
}

struct Connection {
    client: Client,
    prepared: Mutex<HashMap<String, Arc<Prepared>>>,
}

struct Prepared {
    statement: Statement,
    codecs: Vec<Codec>,
}

impl Connection {
    async fn open(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { client, prepared: Mutex::default() }
    }

    async fn prepare(&self, query: &str) -> Result<Arc<Prepared>, tokio_postgres::Error> {
        let known = self.prepared.lock().unwrap().get(query).cloned();
        if let Some(prepared) = known {
            return Ok(prepared);
        }
        let statement = self.client.prepare(query).await?;
        let codecs = statement.columns().iter().map(|column| Codec::of(column.type_())).collect();
        let prepared = Arc::new(Prepared { statement, codecs });
        self.prepared.lock().unwrap().insert(query.to_owned(), prepared.clone());
        Ok(prepared)
    }

    async fn answer(&self, id: u64, arguments: &Arguments) -> Result<Vec<u8>, tokio_postgres::Error> {
        let prepared = self.prepare(&arguments.query).await?;
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":""#);
        let mut line = line.into_bytes();
        let mut json = b"{\"columns\":[".to_vec();
        for (at, column) in prepared.statement.columns().iter().enumerate() {
            json.extend_from_slice(if at == 0 { b"" } else { b"," });
            write_json_string(column.name(), &mut json);
        }
        json.extend_from_slice(b"],\"rows\":[");
        escape(&json, &mut line);
        let mut rows = pin!(self.client.query_raw(&prepared.statement, &arguments.parameters).await?);
        let mut is_first = true;
        while let Some(row) = rows.try_next().await? {
            json.clear();
            json.extend_from_slice(if std::mem::take(&mut is_first) { b"[" } else { b",[" });
            write_cells(&row, &prepared.codecs, &mut json);
            json.push(b']');
            escape(&json, &mut line);
        }
        line.extend_from_slice(b"]}\"}]}}\n");
        Ok(line)
    }
}

fn write_cells(row: &Row, codecs: &[Codec], json: &mut Vec<u8>) {
    for (at, codec) in codecs.iter().enumerate() {
        json.extend_from_slice(if at == 0 { b"" } else { b"," });
        match row.get::<_, Option<BinaryValue<'_>>>(at) {
            Some(BinaryValue(value)) => codec.write_json(value, json).unwrap(),
            None => json.extend_from_slice(b"null"),
        }
    }
}

/// A value as PostgreSQL sent it.
struct BinaryValue<'a>(&'a [u8]);

impl<'a> FromSql<'a> for BinaryValue<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Appends JSON, escaped as the inside of a JSON string.
fn escape(mut json: &[u8], line: &mut Vec<u8>) {
    while let Some(at) = json.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        line.extend_from_slice(&json[..at]);
        match json[at] {
            byte @ (b'"' | b'\\') => line.extend_from_slice(&[b'\\', byte]),
            control => line.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        json = &json[at + 1..];
    }
    line.extend_from_slice(json);
}
