//! libpq's password file (manual, section 34.16): a line `host:port:database:user:password` for each login.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::Secret;

/// A longer file is not read to its end.
const BYTES_MAX: u64 = 1 << 20;

/// The default folders for Unix sockets in builds of libpq. In the file they are written as `localhost`.
const DEFAULT_SOCKET_FOLDERS: [&str; 3] = ["/tmp", "/var/run/postgresql", "/run/postgresql"];

/// A login for which a password is needed.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// A name, an address, or the folder of a Unix socket.
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The text of the file; `None` if there is no file.
///
/// # Errors
/// Why the file is not used; the text follows its path. As in libpq, only its owner may have access to it.
pub fn read(path: &Path) -> Result<Option<Secret>, String> {
    let told = |error: std::io::Error| format!("cannot be read: {error}");
    // Checked before the file is opened, because opening a pipe would wait for its writer.
    let about = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        about => about.map_err(told)?,
    };
    if !about.is_file() {
        return Err("is not a plain file".to_owned());
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("has mode {mode:04o}, and others could read it: chmod 0600"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)).map_err(told)?;
    Ok(Some(Secret::new(String::from_utf8_lossy(&bytes))))
}

/// The password of the first line of `text` that matches. An empty password counts as none.
pub fn find(text: &Secret, login: Login<'_>) -> Option<Secret> {
    let host = if DEFAULT_SOCKET_FOLDERS.contains(&login.host) { "localhost" } else { login.host };
    let port = login.port.to_string();
    let password = text.expose().lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = [host, &port, login.database, login.user];
        fields.into_iter().try_fold(line, |rest, wanted| after_field(rest, wanted)).map(|rest| next_field(rest).0)
    });
    password.filter(|password| !password.is_empty()).map(Secret::new)
}

/// The rest of the line after the first field, if this field is `wanted` or `*`.
fn after_field<'a>(rest: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = rest.strip_prefix("*:") {
        return Some(rest);
    }
    let (field, rest) = next_field(rest);
    rest.filter(|_| field == wanted)
}

/// The first field without its backslashes, and the text after its colon. A backslash escapes `:` and `\`.
fn next_field(text: &str) -> (String, Option<&str>) {
    let mut field = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            ':' => return (field, Some(&text[at + 1..])),
            '\\' => field.push(characters.next().map_or('\\', |(_, escaped)| escaped)),
            other => field.push(other),
        }
    }
    (field, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str, port: u16, user: &str) -> Option<String> {
        let login = Login { host, port, database: "shop", user };
        find(&Secret::new(text), login).map(|password| password.expose().to_owned())
    }

    #[test]
    fn the_first_line_whose_four_fields_fit_has_the_password() {
        for (text, password) in [
            ("db:5432:shop:clerk:a", Some("a")),
            ("*:*:*:*:a", Some("a")),
            ("db:5433:shop:clerk:a\ndb:*:shop:clerk:b\n*:*:*:*:c", Some("b")),
            ("# db:5432:shop:clerk:a\r\ndb:5432:shop:clerk:b\r\n", Some("b")),
            ("#db:5432:shop:clerk:a", None),
            ("db:5432:shop:clerk:a\\:b\\\\c", Some("a:b\\c")),
            ("db:5432:shop:clerk:a:b", Some("a")),
            ("db:5432:shop:clerk: a ", Some(" a ")),
            ("db:5432:shop:clerk:", None),
            ("db:5432:shop:clerk", None),
            ("db:5432:shop:other:a", None),
            ("DB:5432:shop:clerk:a", None),
            ("db*:5432:shop:clerk:a", None),
            ("db:5432:*p:clerk:a", None),
            ("\n\nnot a line\ndb:5432:shop:clerk:ä€", Some("ä€")),
            ("", None),
        ] {
            assert_eq!(found(text, "db", 5432, "clerk").as_deref(), password, "{text:?}");
        }
        assert_eq!(found("db:5432:shop:a\\:b\\\\:p", "db", 5432, "a:b\\").as_deref(), Some("p"));
        assert_eq!(found("\\:\\:1:5432:shop:a:p", "::1", 5432, "a").as_deref(), Some("p"));
    }

    #[test]
    fn libpqs_own_socket_folder_is_written_localhost_and_another_one_as_it_is() {
        let text = "localhost:*:*:*:a\n/srv/sockets:*:*:*:b";
        for (host, password) in [
            ("/var/run/postgresql", Some("a")),
            ("/tmp", Some("a")),
            ("localhost", Some("a")),
            ("/srv/sockets", Some("b")),
            ("/srv/others", None),
        ] {
            assert_eq!(found(text, host, 5432, "clerk").as_deref(), password, "{host}");
        }
    }

    #[test]
    fn a_file_that_others_could_read_or_that_is_none_is_not_used_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        assert_eq!(read(&path), Ok(None));
        std::fs::write(&path, "*:*:*:*:a").unwrap();
        for (mode, is_used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match read(&path) {
                Ok(text) => assert!(is_used && text == Some(Secret::new("*:*:*:*:a")), "{mode:o}"),
                Err(why) => assert!(!is_used && why.contains(&format!("{mode:04o}")), "{mode:o}: {why}"),
            }
        }
        assert_eq!(read(folder.path()), Err("is not a plain file".to_owned()));
        assert_eq!(read(Path::new("/dev/null")), Err("is not a plain file".to_owned()));
    }
}
