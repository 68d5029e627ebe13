//! The lower limit of the database: tokio-postgres alone, in this process, with prepared statements. It reads all rows
//! and does nothing with them.

use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use crate::cases::{Case, TABLE};
use crate::check::{self, ExpectedRows};

const CONNECTIONS: usize = 8;

pub struct RawDriver {
    runtime: Runtime,
    clients: Vec<Client>,
    /// The number of the last call, as the id of a request.
    calls: Cell<u64>,
}

impl RawDriver {
    /// Connects and makes the table.
    pub fn start(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls)).unwrap();
            runtime.spawn(connection);
            runtime.block_on(client.batch_execute("set timezone = 'UTC'")).unwrap();
            clients.push(client);
        }
        for statement in TABLE.split(';') {
            runtime.block_on(clients[0].batch_execute(statement)).unwrap();
        }
        Self { runtime, clients, calls: Cell::new(0) }
    }

    /// The rows with which the answers of the servers are compared.
    pub fn expected_rows(&self, case: &Case, key: i32) -> ExpectedRows {
        self.runtime.block_on(check::expected_rows(&self.clients[0], case, key))
    }

    /// The statement of the case, prepared on each connection.
    pub fn prepare(&self, case: &Case) -> Vec<Statement> {
        let prepare = |client: &Client| self.runtime.block_on(client.prepare(&case.sql)).unwrap();
        self.clients.iter().map(prepare).collect()
    }

    /// The number of bytes of the rows, as PostgreSQL sends them.
    pub fn bytes(&self, case: &Case, statements: &[Statement]) -> usize {
        self.runtime.block_on(read_all(&self.clients[0], &statements[0], case, 1))
    }

    pub fn calls(&self, case: &Case, statements: &[Statement], calls: usize) -> Vec<Duration> {
        self.runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..calls {
                let began = Instant::now();
                read_all(&self.clients[0], &statements[0], case, self.next()).await;
                times.push(began.elapsed());
            }
            times
        })
    }

    /// The calls go to `connections` connections one after the other, and are pipelined on each.
    pub fn keep_in_flight(
        &self,
        case: &Case,
        statements: &[Statement],
        connections: usize,
        outstanding: usize,
        calls: usize,
    ) -> Duration {
        let began = Instant::now();
        self.runtime.block_on(async {
            let calls = futures_util::stream::iter(0..calls).map(|call| {
                let at = call % connections;
                read_all(&self.clients[at], &statements[at], case, self.next())
            });
            calls.buffer_unordered(outstanding).for_each(|_| std::future::ready(())).await;
        });
        began.elapsed()
    }

    fn next(&self) -> u64 {
        self.calls.set(self.calls.get() + 1);
        self.calls.get()
    }
}

async fn read_all(client: &Client, statement: &Statement, case: &Case, id: u64) -> usize {
    let keys = case.is_keyed.then(|| Case::key(id));
    let mut rows = pin!(client.query_raw(statement, keys).await.unwrap());
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.try_next().await.unwrap() {
        count += 1;
        bytes += row.raw_size_bytes();
    }
    assert_eq!(count, case.rows);
    bytes
}
