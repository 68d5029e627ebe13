//! The log file: opened for its owner alone, and opened anew when its path leads to another file, as after a rotation.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use crate::settings::{LogFileMode, LogSettings};

/// Every bit of a mode.
const MODE_BITS: u32 = 0o7777;

/// Which file it is, as the settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    path: PathBuf,
    mode: LogFileMode,
}

impl LogFile {
    pub(super) fn of(settings: &LogSettings) -> Option<Self> {
        let path = settings.file.clone()?;
        Some(Self { path, mode: settings.file_mode })
    }
}

/// A log file that is open.
pub(super) struct OpenFile {
    pub(super) of: LogFile,
    file: File,
    /// The device and the number of the file, by which it is the same whatever it is called.
    id: (u64, u64),
    /// It could not be opened anew, and that has been said.
    is_stuck: bool,
}

impl OpenFile {
    /// Opens that file, or makes it.
    ///
    /// # Errors
    /// A sentence that names it.
    pub(super) fn open(of: LogFile) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("MCP_LOG_FILE {}: {error}", of.path.display());
        let mode = of.mode.bits();
        let file = OpenOptions::new().create(true).append(true).mode(mode).open(&of.path).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        // What exists has the mode that somebody gave it, and a new file has lost what the umask takes away. A file of another
        // owner is that owner's to decide; a device or a pipe has nobody's lines in it.
        if found.is_file() && found.mode() & MODE_BITS != mode {
            let _ = file.set_permissions(Permissions::from_mode(mode));
        }
        Ok(Self { id: id(&found), of, file, is_stuck: false })
    }

    /// Opens it anew if its path leads to another file by now.
    ///
    /// # Errors
    /// A sentence about why that was not possible, once. The old file goes on being used.
    pub(super) fn follow(&mut self) -> Result<(), String> {
        let is_elsewhere = match fs::metadata(&self.of.path) {
            Ok(found) => id(&found) != self.id,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_elsewhere {
            return Ok(());
        }
        match Self::open(self.of.clone()) {
            Ok(new) => *self = new,
            Err(why) if !std::mem::replace(&mut self.is_stuck, true) => return Err(why),
            Err(_) => {}
        }
        Ok(())
    }

    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)
    }
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_anew_is_said_once_and_the_old_file_is_used_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let mut open = OpenFile::open(LogFile { path: path.clone(), mode: LogFileMode::Private }).unwrap();
        assert_eq!(open.follow(), Ok(()));
        let moved = folder.path().join("server.log.1");
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(open.follow().unwrap_err().starts_with(&format!("MCP_LOG_FILE {}: Is a directory", path.display())));
        assert_eq!(open.follow(), Ok(()));
        open.write(b"1\n").unwrap();
        fs::remove_dir(&path).unwrap();
        assert_eq!(open.follow(), Ok(()));
        open.write(b"2\n").unwrap();
        assert_eq!([fs::read(&moved).unwrap(), fs::read(&path).unwrap()], [b"1\n", b"2\n"]);
    }
}
