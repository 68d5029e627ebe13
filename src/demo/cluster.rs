//! A private PostgreSQL server, for the `demo` subcommand and for the tests.
//! It lives in a temporary folder and listens on 127.0.0.1 and on a socket in that folder. When its
//! [`PrivateCluster`] is dropped, or the process that made it ends in whatever way, the server and
//! its folder are gone.
//! No actor and no client library is in here: it is blocking code over `std`. Nothing that the server
//! holds is durable (`fsync=off`).
//!
//! Who ends the server: a second child, the keeper, is a shell that waits on a pipe from this
//! process. A line in it, or its end, means: end the server, remove the folder. So a parent that is
//! killed, and a cluster in a `static`, which Rust never drops, leave nothing behind either.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

mod error;
mod folder;
mod programs;

pub use error::ClusterError;
use error::{at, last_lines};
use folder::Folder;
use programs::{binaries, run};

/// The superuser, and the database, that a cluster begins with.
const SUPERUSER: &str = "postgres";

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(30);

/// A fast shutdown that takes longer becomes an immediate one, and then a kill.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A free port can be lost between finding it and PostgreSQL's binding it.
const PORT_TRIES_MAX: u32 = 20;

/// What a cluster is started with. The default trusts everybody who reaches 127.0.0.1.
#[derive(Clone, Default)]
pub struct Options {
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    password: Option<String>,
}

impl Options {
    /// No settings, no password.
    pub fn new() -> Self {
        Self::default()
    }

    /// A setting of `postgresql.conf`, as `-c name=value`. It wins over this file's own.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// A line of `pg_hba.conf`. Lines stand in the order given, above initdb's: the first match wins.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.into());
        self
    }

    /// A file in the data folder that only the server can read: `ssl_cert_file` and its like are
    /// sought there.
    pub fn file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), contents.into()));
        self
    }

    /// Everybody is asked for a password, by SCRAM, and this is the superuser's.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Makes the cluster and returns when it answers. Blocks for about a second.
    pub fn start(self) -> Result<PrivateCluster, ClusterError> {
        let binaries = binaries()?;
        let folder = Folder::new()?;
        let mut cluster = PrivateCluster { binaries, options: self, port: 0, server: None, folder };
        cluster.initialize()?;
        let mut tries = 0;
        loop {
            tries += 1;
            cluster.port = free_port()?;
            match cluster.start_again() {
                Err(ClusterError::PortTaken { .. }) if tries < PORT_TRIES_MAX => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(cluster),
            }
        }
    }
}

/// A running PostgreSQL, or a stopped one that can start again. Ends with its value.
pub struct PrivateCluster {
    binaries: PathBuf,
    options: Options,
    port: u16,
    /// `None` while stopped.
    server: Option<Child>,
    folder: Folder,
}

impl PrivateCluster {
    /// Starts a cluster with the default [`Options`].
    pub fn start() -> Result<Self, ClusterError> {
        Options::new().start()
    }

    /// The superuser's address of the database `postgres`, with the password if there is one.
    pub fn url(&self) -> String {
        let password = match &self.options.password {
            Some(password) => format!(":{}", percent_encoded(password)),
            None => String::new(),
        };
        format!("postgres://{SUPERUSER}{password}@127.0.0.1:{}/postgres", self.port)
    }

    /// The TCP port on 127.0.0.1: the same from start to drop.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket: a `host` for libpq and tokio-postgres. All else that the
    /// cluster owns is in it too.
    pub fn socket_folder(&self) -> &Path {
        &self.folder.path
    }

    /// The server's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Stops the server as an operator would: sessions are cut (SQLSTATE 57P01), data stays. Returns
    /// when it is gone. Stopping a stopped cluster does nothing.
    pub fn stop(&mut self) -> Result<(), ClusterError> {
        self.end("INT").map_err(at("stop postgres"))
    }

    /// Starts a stopped cluster on its old port, with its data, and returns when it answers.
    /// Starting a running cluster does nothing.
    pub fn start_again(&mut self) -> Result<(), ClusterError> {
        if self.server.is_some() {
            return Ok(());
        }
        let log = File::create(self.log()).map_err(at("make the log"))?;
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data());
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(command.spawn().map_err(at("start postgres"))?);
        let waited = self.until_it_answers();
        if waited.is_err() {
            let _ = self.end("QUIT"); // the first error is the one to tell
        }
        waited
    }

    /// [`stop`](Self::stop), then [`start_again`](Self::start_again).
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.stop()?;
        self.start_again()
    }

    fn data(&self) -> PathBuf {
        self.folder.path.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path.join("log")
    }

    /// Of two settings with one name PostgreSQL takes the later.
    fn settings(&self) -> Vec<(String, String)> {
        let ours = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.folder.path.display().to_string()),
            ("fsync", "off".to_owned()),
            ("full_page_writes", "off".to_owned()),
            ("synchronous_commit", "off".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
        ];
        let ours = ours.map(|(name, value)| (name.to_owned(), value));
        ours.into_iter().chain(self.options.settings.iter().cloned()).collect()
    }

    fn initialize(&self) -> Result<(), ClusterError> {
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(self.data()).args(["-U", SUPERUSER]);
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C"]);
        let password_file = self.folder.path.join("password");
        match &self.options.password {
            Some(password) => {
                self.folder.write(&password_file, password.as_bytes())?;
                initdb.arg("-A").arg("scram-sha-256");
                initdb.arg("--pwfile").arg(&password_file);
            }
            None => {
                initdb.arg("-A").arg("trust");
            }
        }
        run(initdb, "initdb")?;
        if self.options.password.is_some() {
            fs::remove_file(&password_file).map_err(at("remove the password file"))?;
        }
        for (name, contents) in &self.options.files {
            self.folder.write(&self.data().join(name), contents)?;
        }
        if !self.options.hba.is_empty() {
            let path = self.data().join("pg_hba.conf");
            let below = fs::read_to_string(&path).map_err(at("read pg_hba.conf"))?;
            let lines = format!("{}\n{below}", self.options.hba.join("\n"));
            self.folder.write(&path, lines.as_bytes())?;
        }
        Ok(())
    }

    /// One of PostgreSQL's programs, run by the folder's owner: PostgreSQL refuses to run as root.
    /// Its own process group keeps the Ctrl-C of a terminal from it: it ends when its parent has.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command
            .current_dir(&self.folder.path) // the caller's may be closed to the owner
            .env("LC_ALL", "C") // `PORT_CLASH` is looked for in what it says
            .env("TZ", "UTC")
            .process_group(0);
        if let Some(owner) = self.folder.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    /// PostgreSQL binds its TCP port before its socket, so the socket speaks for both. It is asked
    /// there because nobody else's server can answer.
    fn until_it_answers(&mut self) -> Result<(), ClusterError> {
        const PORT_CLASH: &str = "Address already in use";
        let socket = self.folder.path.join(format!(".s.PGSQL.{}", self.port));
        let began = Instant::now();
        let mut pause = Duration::from_millis(2);
        while !accepts_sessions(&socket) {
            let exited = match &mut self.server {
                Some(child) => child.try_wait().map_err(at("look after postgres"))?,
                None => None,
            };
            if exited.is_none() && began.elapsed() < START_MAX {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(100));
                continue;
            }
            let said = last_lines(&fs::read_to_string(self.log()).unwrap_or_default());
            return Err(match exited {
                Some(_) if said.contains(PORT_CLASH) => ClusterError::PortTaken { port: self.port },
                Some(status) => ClusterError::Failed { program: "postgres", status, said },
                None => ClusterError::Silent { said },
            });
        }
        Ok(())
    }

    /// Sends the server this signal, stronger ones if it takes too long, and waits for its end.
    fn end(&mut self, signal: &str) -> io::Result<()> {
        let Some(mut child) = self.server.take() else {
            return Ok(());
        };
        for signal in [signal, "QUIT"] {
            send(signal, child.id())?;
            if ended_within(&mut child, STOP_MAX)? {
                return Ok(());
            }
        }
        child.kill()?;
        child.wait().map(drop)
    }
}

impl Drop for PrivateCluster {
    /// Nothing in it is wanted any more: an immediate shutdown. The folder's drop follows.
    fn drop(&mut self) {
        let _ = self.end("QUIT");
    }
}

impl fmt::Debug for PrivateCluster {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateCluster")
            .field("port", &self.port)
            .field("folder", &self.folder.path)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

/// The shell's own `kill`: the program of that name is not on every small system.
fn send(signal: &str, pid: u32) -> io::Result<()> {
    let pid = pid.to_string();
    let script = r#"kill -s "$0" "$1""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, signal, &pid]).stderr(Stdio::null());
    shell.status().map(drop) // it fails when the process has just ended by itself
}

fn ended_within(child: &mut Child, limit: Duration) -> io::Result<bool> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    while child.try_wait()?.is_none() {
        if began.elapsed() > limit {
            return Ok(false);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(true)
}

/// Opens a session and leaves at once (PostgreSQL manual, "Message Formats": StartupMessage,
/// Terminate). While PostgreSQL starts it answers with the error 57P03; any other answer, be it a
/// question for a password, comes from a server that is ready.
fn accepts_sessions(socket: &Path) -> bool {
    const STARTUP: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    const TERMINATE: &[u8] = b"X\0\0\0\x04";
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(START_MAX))?;
        stream.write_all(&[STARTUP, TERMINATE].concat())?;
        let mut answer = Vec::new();
        // An end by reset comes after the answer.
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() { read.map(|_| answer) } else { Ok(answer) }
    };
    let is_starting = |answer: &[u8]| answer.windows(5).any(|code| code == b"57P03");
    ask().is_ok_and(|answer| !answer.is_empty() && !is_starting(&answer))
}

fn free_port() -> Result<u16, ClusterError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(at("find a free port"))
}

/// All but letters and digits, as a URL's user part wants it.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_survives_its_url() {
        for (password, encoded) in [("plain9", "plain9"), ("p@ss/w:rd", "p%40ss%2Fw%3Ard"), ("é", "%C3%A9")] {
            assert_eq!(percent_encoded(password), encoded);
        }
    }
}
