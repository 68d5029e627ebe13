//! Measures the daemon while it runs, and calculates whether it grows.

use std::fs;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::common::status_kib;
use crate::http::Connection;

#[derive(Clone, Copy)]
pub struct Sample {
    pub after: Duration,
    pub values: [f64; MEASURES.len()],
}

/// A figure of the daemon, how much the regression line through its samples may rise, and its largest allowed value.
pub struct Measure {
    pub name: &'static str,
    pub rise_max: f64,
    pub max: f64,
}

/// Memory: glibc returns freed pages late and only in part, and the metrics of the last hour fill during the soak; two MiB are
/// about 3 % of the memory in use. The other figures go up and down with what the clients do.
pub const MEASURES: [Measure; 5] = [
    Measure { name: "resident MiB", rise_max: 2.0, max: 128.0 },
    Measure { name: "descriptors", rise_max: 8.0, max: 400.0 },
    Measure { name: "connections", rise_max: 8.0, max: 200.0 },
    Measure { name: "sessions", rise_max: 4.0, max: 64.0 },
    Measure { name: "backends", rise_max: 4.0, max: 24.0 },
];

pub struct Watch {
    pid: u32,
    connection: Connection,
    observer: Client,
    began: Instant,
}

impl Watch {
    pub async fn start(pid: u32, address: &str, token: &str, url: &str, began: Instant) -> Self {
        let (observer, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { pid, connection: Connection::open(address, token).unwrap(), observer, began }
    }

    pub async fn sample(&mut self) -> Sample {
        let resident_mib = status_kib(self.pid, "VmRSS").map_or(f64::NAN, |kib| kib as f64 / 1024.0);
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count) as f64;
        self.connection.send("GET", "/metrics", &[], "").unwrap();
        let figures = self.connection.receive().unwrap().body;
        let figure = |name: &str| {
            let line =
                figures.lines().find(|line| line.starts_with(name) && line.as_bytes().get(name.len()) == Some(&b' '));
            line.and_then(|line| line.split(' ').next_back()?.parse().ok()).unwrap_or(f64::NAN)
        };
        let connections = figure("mcp_server_postgres_client_connections");
        let sessions = figure("mcp_server_postgres_sessions");
        let backends = self.backends().await as f64;
        let values = [resident_mib, descriptors, connections, sessions, backends];
        Sample { after: self.began.elapsed(), values }
    }

    /// The daemon's connections to PostgreSQL, by the name of the application in its settings: see `Files::settings`.
    pub async fn backends(&self) -> i64 {
        let sql = "select count(*) from pg_stat_activity where application_name like 'soak-%'";
        self.observer.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Terminates one of these connections.
    pub async fn terminate_backend(&self) {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where application_name like 'soak-%' order by random() limit 1";
        self.observer.execute(sql, &[]).await.unwrap();
    }
}

/// How much the regression line through the samples (least squares) rises from the first to the last.
pub fn rise(samples: &[Sample], measure: usize) -> f64 {
    let points: Vec<(f64, f64)> =
        samples.iter().map(|sample| (sample.after.as_secs_f64(), sample.values[measure])).collect();
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (over, under) = points
        .iter()
        .fold((0.0, 0.0), |(over, under), point| (over + (point.0 - x) * (point.1 - y), under + (point.0 - x).powi(2)));
    over / under * (points[points.len() - 1].0 - points[0].0)
}
