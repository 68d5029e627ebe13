//! Runs the daemon for ten minutes (`SOAK_SECONDS`) with 64 clients that use everything it offers, while settings change, tokens
//! are rotated and backends are terminated: `make soak`. It fails if a call is answered wrongly, twice or not at all, if a
//! figure grows after the first fifth of the time, or if the daemon does not end as it should.

#![allow(clippy::unwrap_used, reason = "a soak that cannot go on ends")]

mod client;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod common;
mod http;
mod watch;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, Tally};
use common::report::print;
use mcp_server_postgres::http::token::{NewToken, make};
use pg_private::Options;
use watch::{MEASURES, Sample, Watch, rise};

const CLIENTS: u64 = 64;
const TOKENS: usize = 4;

/// How often the daemon is disturbed.
const DISTURB_EVERY: Duration = Duration::from_secs(3);

/// How many samples are printed.
const SAMPLES_PRINTED_MAX: usize = 12;

fn main() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let seed = std::env::var("SOAK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    print(&format!("{CLIENTS} clients for {seconds} s; SOAK_SEED={seed}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wrong = runtime.block_on(soak(Duration::from_secs(seconds), seed));
    for what in &wrong {
        print(&format!("WRONG: {what}"));
    }
    print(if wrong.is_empty() { "\nNothing was wrong." } else { "\nThe soak has failed." });
    std::process::exit(i32::from(!wrong.is_empty()));
}

async fn soak(time: Duration, seed: u64) -> Vec<String> {
    let cluster = Options::new().setting("max_connections", "80").start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tokens: Vec<NewToken> =
        (0..=TOKENS).map(|at| make(&format!("token{at}"), "read-only", &["main"], at == TOKENS).unwrap()).collect();
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let files = Files { folder: folder.path(), url: cluster.url(), address: address.clone(), tokens: &tokens };
    files.settings(8);
    files.tokens(false);
    let mut daemon = start(folder.path());
    wait_until_listening(&address);
    let began = Instant::now();
    let until = began + time;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (address, token) = (address.clone(), tokens[number as usize % TOKENS].token.clone());
            thread::spawn(move || Client::start(number, &address, &token, seed).unwrap().run(until))
        })
        .collect();
    let mut watch = Watch::start(daemon.id(), &address, &tokens[TOKENS].token, &cluster.url(), began).await;
    let (mut samples, mut disturbances, mut next) = (Vec::new(), 0, began + DISTURB_EVERY);
    while Instant::now() < until {
        samples.push(watch.sample().await);
        if Instant::now() >= next {
            disturbances += 1;
            next += DISTURB_EVERY;
            match disturbances % 4 {
                0 => watch.terminate_backend().await,
                1 => files.settings(6 + disturbances / 4 % 5),
                2 => files.tokens(disturbances % 8 == 2),
                // A file with an error changes nothing.
                _ => fs::write(folder.path().join(".env"), "POSTGRES_POOL_SIZE=many\n").unwrap(),
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut tally = Tally::default();
    for client in clients {
        let of_client = client.join().unwrap();
        tally.answered += of_client.answered;
        tally.disturbed += of_client.disturbed;
        tally.cancelled += of_client.cancelled;
        tally.wrong.extend(of_client.wrong);
    }
    let mut wrong = tally.wrong;
    show(&samples);
    wrong.extend(growth(&samples, time));
    wrong.extend(end(&mut daemon, &watch, folder.path()).await);
    print(&format!(
        "\n{} calls answered rightly, {} failed because of a disturbance, {} cancelled and not answered; {disturbances} disturbances",
        tally.answered, tally.disturbed, tally.cancelled
    ));
    wrong
}

/// The daemon's files.
struct Files<'a> {
    folder: &'a Path,
    url: String,
    address: String,
    tokens: &'a [NewToken],
}

impl Files<'_> {
    /// Writes the settings: another size keeps a pool's connections, another name of the application makes a new pool.
    fn settings(&self, pool_size: usize) {
        let text = format!(
            "DATABASE_URL={}\nMCP_HTTP_ADDR={}\nMCP_TOKENS_FILE=tokens.toml\nPOSTGRES_POOL_SIZE={pool_size}\n\
             POSTGRES_APPLICATION_NAME=soak-{}\nMCP_MAX_ROWS={}\nMCP_CLIENT_RATE=0\nMCP_ROLE_CHECK=off\nMCP_RELOAD_DEBOUNCE_MS=50\nMCP_LOG_LEVEL=warning\n",
            self.url,
            self.address,
            pool_size / 2,
            1000 + pool_size
        );
        self.write(".env", &text);
    }

    /// Writes the tokens; with `with_next` the first client has two.
    fn tokens(&self, with_next: bool) {
        let mut text: String = self.tokens.iter().map(|token| format!("{}\n", token.table)).collect();
        if with_next {
            let start = text.find("sha256 = ").unwrap() + "sha256 = ".len();
            let end = start + text[start..].find('\n').unwrap();
            let both = format!("[{}, \"{}\"]", &text[start..end], "0a".repeat(32));
            text.replace_range(start..end, &both);
        }
        self.write("tokens.toml", &text);
    }

    fn write(&self, name: &str, text: &str) {
        let new = self.folder.join(format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.join(name)).unwrap();
    }
}

fn start(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"))
        .args(["serve", "--env-file", ".env", "--log-file", "log"])
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the daemon listens.
fn wait_until_listening(address: &str) {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "the daemon does not listen");
        thread::sleep(Duration::from_millis(10));
    }
}

fn show(samples: &[Sample]) {
    let names: String = MEASURES.iter().map(|measure| format!("{:>14}", measure.name)).collect();
    print(&format!("\n    after{names}"));
    for at in 0..SAMPLES_PRINTED_MAX.min(samples.len()) {
        let sample = &samples[at * (samples.len() - 1) / (SAMPLES_PRINTED_MAX.min(samples.len()) - 1).max(1)];
        let values: String = sample.values.iter().map(|value| format!("{value:>14.1}")).collect();
        print(&format!("  {:>5.0} s{values}", sample.after.as_secs_f64()));
    }
}

/// The figures that have grown after the first fifth of the time.
fn growth(samples: &[Sample], time: Duration) -> Vec<String> {
    let warm: Vec<Sample> = samples.iter().copied().filter(|sample| sample.after > time / 5).collect();
    let mut wrong = Vec::new();
    print("\n  after the first fifth, the regression line of all samples rises by");
    for (at, measure) in MEASURES.iter().enumerate() {
        let rise = rise(&warm, at);
        let most = warm.iter().map(|sample| sample.values[at]).fold(0.0, f64::max);
        print(&format!(
            "  {:>14}  {rise:>+8.2} (at most {:.0}); never more than {most:.1} (at most {:.0})",
            measure.name, measure.rise_max, measure.max
        ));
        // In this form a figure that is missing (NaN) is wrong.
        if !(rise <= measure.rise_max && most <= measure.max) {
            wrong.push(format!("{} grows by {rise:.2}, to {most:.1}", measure.name));
        }
    }
    wrong
}

/// Ends the daemon. Returns what is wrong with how it ends.
async fn end(daemon: &mut Child, watch: &Watch, folder: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    Command::new("kill").args(["-s", "TERM", &daemon.id().to_string()]).status().unwrap();
    let began = Instant::now();
    let status = loop {
        match daemon.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if began.elapsed() > Duration::from_secs(30) => break None,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    if status.and_then(|status| status.code()) != Some(0) {
        let _ = daemon.kill();
        wrong.push(format!("at SIGTERM it ends with {status:?}"));
    }
    let backends = watch.backends().await;
    if backends > 0 {
        wrong.push(format!("{backends} backends remain"));
    }
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    wrong.extend(log.lines().filter(|line| line.contains("panic") || line.contains("a bug")).map(str::to_owned));
    wrong
}
