//! A PostgreSQL server that runs, or that is stopped and can start again.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::{Pid, Signal, kill_process};

use crate::error::{ClusterError, at, last_lines};
use crate::folder::Folder;
use crate::options::Options;
use crate::programs::{Installation, SUPERUSER};
use crate::template::make_data;

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(30);

/// If a fast shutdown takes longer, it becomes an immediate shutdown, and after the same time a kill.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Another process can take a free port before PostgreSQL binds it.
const PORT_TRIES_MAX: u32 = 20;

/// The environment variable with settings for every cluster: `name=value` pairs with spaces between them. For instance,
/// it runs all tests with another `lc_messages`.
const MORE_SETTINGS: &str = "PG_PRIVATE_SETTINGS";

/// A PostgreSQL server that runs, or that is stopped and can start again. The drop ends it and removes its folder.
pub struct PrivateCluster {
    installation: &'static Installation,
    options: Options,
    port: u16,
    /// `None` while stopped.
    server: Option<Child>,
    folder: Folder,
}

impl Options {
    /// Makes the cluster and returns when it accepts sessions. This blocks for a fraction of a second; the first
    /// cluster of a process takes about a second more.
    pub fn start(self) -> Result<PrivateCluster, ClusterError> {
        PrivateCluster::start_with(self)
    }
}

impl PrivateCluster {
    /// Starts a cluster with the default [`Options`].
    pub fn start() -> Result<Self, ClusterError> {
        Options::new().start()
    }

    pub(crate) fn start_with(options: Options) -> Result<Self, ClusterError> {
        let installation = Installation::find()?;
        let folder = Folder::new(installation)?;
        let mut cluster = Self { installation, options, port: 0, server: None, folder };
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

    /// The URL of the database `postgres` for the superuser, with the password if there is one.
    pub fn url(&self) -> String {
        let password = match &self.options.password {
            Some(password) => format!(":{}", utf8_percent_encode(password, NON_ALPHANUMERIC)),
            None => String::new(),
        };
        format!("postgres://{SUPERUSER}{password}@127.0.0.1:{}/postgres", self.port)
    }

    /// The TCP port on 127.0.0.1. It stays the same until the drop.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket: a `host` for libpq and tokio-postgres. The other files of the cluster are in it
    /// too.
    pub fn socket_folder(&self) -> &Path {
        &self.folder.path
    }

    /// The process id of the server while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Stops the server with a fast shutdown: sessions end with SQLSTATE 57P01, and the data stays. Returns when the
    /// server has ended. Does nothing if the cluster is stopped.
    pub fn stop(&mut self) -> Result<(), ClusterError> {
        self.end(Signal::INT).map_err(at("stop postgres"))
    }

    /// Starts a stopped cluster on its old port with its data, and returns when it accepts sessions. Does nothing if
    /// the cluster runs.
    pub fn start_again(&mut self) -> Result<(), ClusterError> {
        if self.server.is_some() {
            return Ok(());
        }
        let log = File::create(self.log()).map_err(at("make the log"))?;
        let mut command = self.installation.program("postgres", &self.folder.path);
        command.arg("-D").arg(self.folder.data());
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(command.spawn().map_err(at("start postgres"))?);
        let waited = self.until_it_answers();
        if waited.is_err() {
            let _ = self.end(Signal::QUIT); // the first error is the one to report
        }
        waited
    }

    /// [`stop`](Self::stop), then [`start_again`](Self::start_again).
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.stop()?;
        self.start_again()
    }

    fn log(&self) -> PathBuf {
        self.folder.path.join("log")
    }

    /// Of two settings with the same name PostgreSQL takes the later one.
    fn settings(&self) -> Vec<(String, String)> {
        let own = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.folder.path.display().to_string()),
            ("fsync", "off".to_owned()),
            ("full_page_writes", "off".to_owned()),
            ("synchronous_commit", "off".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let more = std::env::var(MORE_SETTINGS).unwrap_or_default();
        let more = more.split_whitespace().filter_map(|pair| pair.split_once('='));
        let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
        own.into_iter().chain(more).chain(self.options.settings.iter().cloned()).collect()
    }

    fn initialize(&self) -> Result<(), ClusterError> {
        make_data(&self.folder, self.installation, self.options.password.as_deref())?;
        for (name, contents) in &self.options.files {
            self.folder.write(&self.folder.data().join(name), contents)?;
        }
        if !self.options.hba.is_empty() {
            let path = self.folder.data().join("pg_hba.conf");
            let below = fs::read_to_string(&path).map_err(at("read pg_hba.conf"))?;
            let lines = format!("{}\n{below}", self.options.hba.join("\n"));
            self.folder.write(&path, lines.as_bytes())?;
        }
        Ok(())
    }

    /// Waits until the server accepts sessions. It is asked through its socket, because no other server can answer
    /// there. PostgreSQL binds its TCP port before its socket, so both are ready.
    fn until_it_answers(&mut self) -> Result<(), ClusterError> {
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
                pause = (pause * 2).min(Duration::from_millis(10));
                continue;
            }
            let output = last_lines(&fs::read_to_string(self.log()).unwrap_or_default());
            return Err(match exited {
                Some(_) if is_taken(self.port) => ClusterError::PortTaken { port: self.port },
                Some(status) => ClusterError::Failed { program: "postgres", status, output },
                None => ClusterError::Silent { output },
            });
        }
        Ok(())
    }

    /// Sends the signal to the server and waits for its end. If that takes too long, it sends stronger signals.
    fn end(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut child) = self.server.take() else {
            return Ok(());
        };
        for signal in [signal, Signal::QUIT] {
            let _ = kill_process(Pid::from_child(&child), signal); // it fails if the process has just ended by itself
            if ended_within(&mut child, STOP_MAX)? {
                return Ok(());
            }
        }
        child.kill()?;
        child.wait().map(drop)
    }
}

impl Drop for PrivateCluster {
    /// An immediate shutdown, because the data is not needed any more. Then the drop of the folder removes it.
    fn drop(&mut self) {
        let _ = self.end(Signal::QUIT);
    }
}

impl fmt::Debug for PrivateCluster {
    /// The password is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateCluster")
            .field("port", &self.port)
            .field("folder", &self.folder.path)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
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

/// Opens a session and ends it at once (PostgreSQL manual, "Message Formats": StartupMessage, Terminate). While
/// PostgreSQL starts it replies with the error 57P03. With any other reply, such as a request for the password, the
/// server is ready.
fn accepts_sessions(socket: &Path) -> bool {
    const STARTUP: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    const TERMINATE: &[u8] = b"X\0\0\0\x04";
    let reply = || -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(START_MAX))?;
        stream.write_all(&[STARTUP, TERMINATE].concat())?;
        let mut answer = Vec::new();
        // If the connection ends with a reset, the reply has come before.
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() { read.map(|_| answer) } else { Ok(answer) }
    };
    let is_starting = |answer: &[u8]| answer.windows(5).any(|code| code == b"57P03");
    reply().is_ok_and(|answer| !answer.is_empty() && !is_starting(&answer))
}

fn free_port() -> Result<u16, ClusterError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(at("find a free port"))
}

/// Whether another process listens on the port. This is tested, because the error message of PostgreSQL can be in any
/// language.
fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}
