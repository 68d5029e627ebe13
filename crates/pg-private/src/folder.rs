//! Temporary folders, and the keeper that ends the server in one and removes it.
//!
//! The keeper of a folder is a child process: a shell that waits on a pipe from this process. A line in it, or its end,
//! means: end the server, remove the folder. So a parent that is killed, and a folder in a `static`, which Rust never
//! drops, leave nothing behind either.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{ClusterError, at};
use crate::programs::{Installation, Owner};

/// The path of a socket has at most 103 bytes on macOS (107 on Linux). `/pg-private-PID-N/.s.PGSQL.PORT` below the
/// parent folder takes up to 45 of them.
const PARENT_BYTES_MAX: usize = 58;

/// How much room a file system in memory must have for a cluster to be made there: some forty times an empty one.
#[cfg(target_os = "linux")]
const IN_MEMORY_BYTES_MIN: u64 = 2 << 30;

/// What the keeper runs; `$1` is the folder. It reads in `postmaster.pid` which process to end, so nobody has to tell it
/// of restarts. SIGQUIT is PostgreSQL's immediate shutdown; after 8 s without effect it is a kill. `initdb` may still
/// be writing when the folder is removed, hence the second try.
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

/// A temporary folder. Its drop removes it, by way of the keeper.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    owner: Option<Owner>,
    keeper: Child,
}

impl Folder {
    pub(crate) fn new(installation: &Installation) -> Result<Self, ClusterError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let owner = installation.owner;
        let parent = parent(owner.is_some());
        let path = loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("pg-private-{}-{number}", process::id()));
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

    /// PostgreSQL's data folder, which is in it.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(crate) fn write(&self, path: &Path, contents: &[u8]) -> Result<(), ClusterError> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(path).and_then(|mut file| file.write_all(contents)).map_err(at("write a file of the cluster"))?;
        self.hand_over(path)
    }

    pub(crate) fn hand_over(&self, path: &Path) -> Result<(), ClusterError> {
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

/// Where temporary folders are made: in `TMPDIR`; else, on Linux, in memory, where there is room; else in /tmp. Not in a
/// folder that is too long for a socket or, for root, closed to other users.
fn parent(for_another: bool) -> PathBuf {
    let open = |folder: &Path| fs::metadata(folder).is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
    let fits = |folder: &Path| {
        folder.as_os_str().len() <= PARENT_BYTES_MAX
            && folder.is_absolute()
            && (!for_another || folder.ancestors().all(open))
    };
    let chosen = match env::var_os("TMPDIR") {
        Some(_) => Some(env::temp_dir()),
        None => in_memory(),
    };
    chosen.filter(|folder| fits(folder)).unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// A file system in memory: making a thousand files there takes a tenth of the time.
#[cfg(target_os = "linux")]
fn in_memory() -> Option<PathBuf> {
    let folder = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(folder).ok()?;
    let has_room = room.f_bavail.saturating_mul(room.f_frsize) >= IN_MEMORY_BYTES_MIN;
    let is_ours_too = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    (has_room && is_ours_too).then(|| folder.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> Option<PathBuf> {
    None
}
