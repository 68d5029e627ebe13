//! Temporary folders. Each has a keeper, a process that ends the server in it and removes it.
//!
//! The keeper is a child process: a shell that reads from a pipe of this process. When a line comes, or the pipe ends,
//! it ends the server and removes the folder. So the folder is removed too if this process is killed, or if the folder
//! is in a `static`, which Rust never drops.

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

/// The path of a socket can have at most 103 bytes on macOS (107 on Linux). `/pg-private-PID-N/.s.PGSQL.PORT` in the
/// parent folder takes up to 45 of them.
const PARENT_BYTES_MAX: usize = 58;

/// The free space that a file system in memory must have to be used: about forty times the size of an empty cluster.
#[cfg(target_os = "linux")]
const IN_MEMORY_BYTES_MIN: u64 = 2 << 30;

/// The script of the keeper; `$1` is the folder. It reads the process id of the server from `postmaster.pid`, so it
/// also finds a restarted server. SIGQUIT is PostgreSQL's immediate shutdown; after 8 s without effect the server is
/// killed. `initdb` may still write while the folder is removed, so there is a second attempt.
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

/// A temporary folder. The drop makes the keeper remove it.
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
                // An old process had the same id, before a reboot or in another container.
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
            .process_group(0) // a signal to our process group must not end it
            .stdin(Stdio::piped())
            .stdout(Stdio::null()) // a process that reads our output must not wait for the keeper
            .stderr(Stdio::null())
            .spawn()
            .map_err(at("start the keeper"))?;
        let folder = Self { path, owner, keeper };
        folder.set_owner(&folder.path)?;
        Ok(folder)
    }

    /// The data folder of PostgreSQL inside this folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(crate) fn write(&self, path: &Path, contents: &[u8]) -> Result<(), ClusterError> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(path).and_then(|mut file| file.write_all(contents)).map_err(at("write a file of the cluster"))?;
        self.set_owner(path)
    }

    pub(crate) fn set_owner(&self, path: &Path) -> Result<(), ClusterError> {
        match self.owner {
            Some(Owner { uid, gid }) => {
                chown(path, Some(uid), Some(gid)).map_err(at("give the folder to PostgreSQL's user"))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Folder {
    /// Sends a line and does not only close the pipe: on systems without `pipe2` another child process may have
    /// inherited the pipe, and then the keeper would not see its end.
    fn drop(&mut self) {
        if let Some(pipe) = &mut self.keeper.stdin {
            let _ = pipe.write_all(b"\n");
        }
        let _ = self.keeper.wait();
    }
}

/// The parent of the temporary folders: `TMPDIR`; if it is not set, a file system in memory with enough space (Linux
/// only); else /tmp. A parent is not used if its path is too long for a socket, or, for root, if other users cannot
/// enter it.
fn parent(for_other_user: bool) -> PathBuf {
    let open = |folder: &Path| fs::metadata(folder).is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
    let fits = |folder: &Path| {
        folder.as_os_str().len() <= PARENT_BYTES_MAX
            && folder.is_absolute()
            && (!for_other_user || folder.ancestors().all(open))
    };
    let chosen = match env::var_os("TMPDIR") {
        Some(_) => Some(env::temp_dir()),
        None => in_memory(),
    };
    chosen.filter(|folder| fits(folder)).unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// A file system in memory. Making a thousand files takes a tenth of the time there.
#[cfg(target_os = "linux")]
fn in_memory() -> Option<PathBuf> {
    let folder = Path::new("/dev/shm");
    let space = rustix::fs::statvfs(folder).ok()?;
    let has_space = space.f_bavail.saturating_mul(space.f_frsize) >= IN_MEMORY_BYTES_MIN;
    let is_writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    (has_space && is_writable).then(|| folder.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> Option<PathBuf> {
    None
}
