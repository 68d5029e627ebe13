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

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The superuser, and the database, that a cluster begins with.
const SUPERUSER: &str = "postgres";

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(30);

/// A fast shutdown that takes longer becomes an immediate one, and then a kill.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A free port can be lost between finding it and PostgreSQL's binding it.
const PORT_TRIES_MAX: u32 = 20;

/// Lines of the server's log that an error quotes.
const LOG_LINES_MAX: usize = 20;

/// A socket's path ends at 103 bytes on macOS (107 on Linux). What stands below the place of the
/// folder, `/mcp-server-postgres-PID-N/.s.PGSQL.PORT`, takes up to 50 of them.
const PLACE_BYTES_MAX: usize = 53;

/// Folders that hold one PostgreSQL per version: the folder, and what stands before the version.
const INSTALLED_IN: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""), // Debian
    ("/usr", "pgsql-"),          // the RPMs of postgresql.org
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// What the keeper runs; `$1` is the cluster's folder. It asks `postmaster.pid` whom to end, so it
/// need not be told of restarts. SIGQUIT is PostgreSQL's immediate shutdown; after 8 s without effect
/// it is a kill. `initdb` may still be writing when the folder goes, hence the second try.
const KEEPER: &str = r#"
trap '' HUP INT TERM
read -r _
tries=0
while pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null; do
    if [ "$tries" -lt 160 ]; then kill -QUIT "$pid"; else kill -KILL "$pid"; fi
    tries=$((tries + 1))
    sleep 0.05
done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

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

/// Why there is no cluster. Each variant says what its reader can do.
#[derive(Debug)]
pub enum ClusterError {
    /// No folder that was looked in has both `initdb` and `postgres`: install PostgreSQL.
    NotInstalled {
        /// Where they were sought.
        looked_in: Vec<PathBuf>,
    },
    /// Something else listens there: end it, or make another cluster.
    PortTaken {
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// A program ended that should not have: read what it said.
    Failed {
        /// `initdb`, `postgres` or `id`.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        said: String,
    },
    /// The server runs but took no session in 30 s: read what it said.
    Silent {
        /// The last lines that it wrote.
        said: String,
    },
    /// The operating system refused.
    Io {
        /// What was to be done.
        what: &'static str,
        /// Its reason.
        source: io::Error,
    },
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { looked_in } => {
                f.write_str(
                    "no PostgreSQL server is installed: no folder has both initdb and postgres.\n  \
                     Debian, Ubuntu: apt-get install postgresql\n  \
                     macOS: brew install postgresql@17\n  \
                     elsewhere: set PG_BIN_DIR to the folder that has them\nLooked in:",
                )?;
                looked_in.iter().try_for_each(|folder| write!(f, " {}", folder.display()))
            }
            Self::PortTaken { port } => write!(f, "port {port} of 127.0.0.1 is taken"),
            Self::Failed { program, status, said } => {
                write!(f, "{program} failed ({status}). It said:\n{said}")
            }
            Self::Silent { said } => {
                write!(f, "postgres takes no session after 30 s. It said:\n{said}")
            }
            Self::Io { what, source } => write!(f, "could not {what}: {source}"),
        }
    }
}

impl std::error::Error for ClusterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The folder of a cluster. Its drop removes it, by way of the keeper.
struct Folder {
    path: PathBuf,
    /// Who runs PostgreSQL when we are root, which it refuses to be.
    owner: Option<Owner>,
    keeper: Child,
}

#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Folder {
    fn new() -> Result<Self, ClusterError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let owner = match id("-u", None)? {
            0 => Some(unprivileged()?),
            _ => None,
        };
        let path = loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let name = format!("mcp-server-postgres-{}-{number}", process::id());
            let path = place(owner.is_some()).join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                // Left by a process that had our id before a reboot, or in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made.map_err(at("make a temporary folder"))?;
                    break path;
                }
            }
        };
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&path)
            .current_dir("/")
            .process_group(0) // what ends our group must not end it
            .stdin(Stdio::piped())
            .stdout(Stdio::null()) // a reader of our output must not wait for it
            .stderr(Stdio::null())
            .spawn()
            .map_err(at("start the keeper"))?;
        let folder = Self { path, owner, keeper };
        folder.hand_over(&folder.path)?;
        Ok(folder)
    }

    fn write(&self, path: &Path, contents: &[u8]) -> Result<(), ClusterError> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(path).and_then(|mut file| file.write_all(contents)).map_err(at("write a file of the cluster"))?;
        self.hand_over(path)
    }

    fn hand_over(&self, path: &Path) -> Result<(), ClusterError> {
        match self.owner {
            Some(Owner { uid, gid }) => {
                chown(path, Some(uid), Some(gid)).map_err(at("give the folder to PostgreSQL's user"))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Folder {
    /// A line, not only the pipe's end: on systems without `pipe2` a process started meanwhile may
    /// hold a copy of our end, and we would wait for it.
    fn drop(&mut self) {
        if let Some(pipe) = &mut self.keeper.stdin {
            let _ = pipe.write_all(b"\n");
        }
        let _ = self.keeper.wait();
    }
}

/// The temporary folder, or /tmp where that one is too long for a socket or, for root, is closed to
/// other users.
fn place(for_another: bool) -> PathBuf {
    let open = |folder: &Path| fs::metadata(folder).is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
    let place = env::temp_dir();
    let short = place.as_os_str().len() <= PLACE_BYTES_MAX;
    if short && place.is_absolute() && (!for_another || place.ancestors().all(open)) {
        place
    } else {
        PathBuf::from("/tmp")
    }
}

/// `postgres`, who comes with Debian's package, or `nobody`, who is everywhere.
fn unprivileged() -> Result<Owner, ClusterError> {
    let owner = |name| -> Result<Owner, ClusterError> {
        let (uid, gid) = (id("-u", Some(name))?, id("-g", Some(name))?);
        Ok(Owner { uid, gid })
    };
    owner("postgres").or_else(|_| owner("nobody"))
}

/// The number that `id` prints: of this process, or of the user with this name.
fn id(which: &str, name: Option<&str>) -> Result<u32, ClusterError> {
    let mut command = Command::new("id");
    command.arg(which).args(name);
    let output = run(command, "id")?;
    let number = String::from_utf8_lossy(&output.stdout).trim().parse::<i64>();
    // macOS prints nobody's 4294967294 as -2.
    number.map(|number| number as u32).map_err(|error| at("read the number that id printed")(io::Error::other(error)))
}

fn run(mut command: Command, program: &'static str) -> Result<Output, ClusterError> {
    let output = command.stdin(Stdio::null()).output().map_err(at("run a program"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ClusterError::Failed { program, status: output.status, said: last_lines(&String::from_utf8_lossy(&said)) })
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

/// The folder of PostgreSQL's programs. `PG_BIN_DIR`, if set, is the only one looked in.
fn binaries() -> Result<PathBuf, ClusterError> {
    let looked_in = match env::var_os("PG_BIN_DIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => {
            let mut folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
            if let Ok(output) = run(bindir_question(), "pg_config") {
                folders.push(String::from_utf8_lossy(&output.stdout).trim_end().into());
            }
            folders.extend(INSTALLED_IN.iter().flat_map(|(parent, prefix)| newest_first(parent.as_ref(), prefix)));
            folders
        }
    };
    first_with_a_server(looked_in)
}

fn bindir_question() -> Command {
    let mut command = Command::new("pg_config");
    command.arg("--bindir");
    command
}

/// A link to `initdb` alone, as in /usr/local/bin, is followed: `initdb` looks for `postgres` beside
/// its real self.
fn first_with_a_server(looked_in: Vec<PathBuf>) -> Result<PathBuf, ClusterError> {
    let real = |folder: &PathBuf| Some(fs::canonicalize(folder.join("initdb")).ok()?.parent()?.to_owned());
    match looked_in.iter().filter_map(real).find(|folder| folder.join("postgres").is_file()) {
        Some(folder) => Ok(folder),
        None => Err(ClusterError::NotInstalled { looked_in }),
    }
}

/// The `bin` folders of `parent`'s folders that are called `prefix` and a version.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let version = |name: OsString| -> Option<Vec<u32>> {
        let version = name.to_str()?.strip_prefix(prefix)?;
        version.split('.').map(|part| part.parse().ok()).collect()
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(entry.file_name())?, entry.path().join("bin"))))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, folder)| folder).collect()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
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

fn at(what: &'static str) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_versions_the_newest_is_tried_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pg@9.6", "pg@15", "pg@16", "pg@16.2", "pg@", "pg@old", "16"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = newest_first(parent.path(), "pg@");
        let expected = ["pg@16.2", "pg@16", "pg@15", "pg@9.6"];
        assert_eq!(found, expected.map(|name| parent.path().join(name).join("bin")));
        assert_eq!(newest_first(&parent.path().join("absent"), ""), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_missing_server_is_reported_with_the_way_to_install_it() {
        let empty = tempfile::tempdir().unwrap();
        let error = first_with_a_server(vec![empty.path().into()]).unwrap_err().to_string();
        for needed in ["apt-get install postgresql", "brew install postgresql", "PG_BIN_DIR"] {
            assert!(error.contains(needed), "{error}");
        }
        assert!(error.contains(&empty.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_password_survives_its_url() {
        for (password, encoded) in [("plain9", "plain9"), ("p@ss/w:rd", "p%40ss%2Fw%3Ard"), ("é", "%C3%A9")] {
            assert_eq!(percent_encoded(password), encoded);
        }
    }
}
