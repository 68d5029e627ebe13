//! The folder of a cluster, who owns it, and the keeper that ends the server and removes it.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{ClusterError, at};
use super::programs::run;

/// A socket's path ends at 103 bytes on macOS (107 on Linux). What stands below the place of the
/// folder, `/mcp-server-postgres-PID-N/.s.PGSQL.PORT`, takes up to 50 of them.
const PLACE_BYTES_MAX: usize = 53;

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

/// The folder of a cluster. Its drop removes it, by way of the keeper.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Who runs PostgreSQL when we are root, which it refuses to be.
    pub(super) owner: Option<Owner>,
    keeper: Child,
}

#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Folder {
    pub(super) fn new() -> Result<Self, ClusterError> {
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

    pub(super) fn write(&self, path: &Path, contents: &[u8]) -> Result<(), ClusterError> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(path).and_then(|mut file| file.write_all(contents)).map_err(at("write a file of the cluster"))?;
        self.hand_over(path)
    }

    pub(super) fn hand_over(&self, path: &Path) -> Result<(), ClusterError> {
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
