//! Settings of the daemon: its addresses, its tokens, TLS.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use config::{Config, File, FileFormat};
use rustls::ServerConfig;
use serde::Deserialize;

use super::{AccessMode, MAIN_DATABASE, Secret};
use crate::tls::server;

/// The longest name of a token.
const TOKEN_NAME_BYTES_MAX: usize = 64;

/// Settings of `serve`, except the databases.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// Where it listens; at least one.
    pub addresses: Vec<Address>,
    /// The tokens. `None` accepts every client; then the daemon listens only on addresses of this machine.
    pub tokens: Option<BTreeMap<String, Token>>,
    /// With `None` it speaks plain HTTP. A Unix socket always does.
    pub tls: Option<TlsSettings>,
    /// Allowed hosts besides those of the loopback and those that it listens on, as [`canonical_host`](super::canonical_host)
    /// writes them.
    pub allowed_hosts: Vec<String>,
    /// Allowed values of Origin besides the server's own.
    pub allowed_origins: Vec<String>,
    /// Requests of one client a second; 0 means without a limit.
    pub rate: u32,
    /// How long a client may take to send a request, or to take a part of an answer.
    pub client_timeout: Duration,
    /// The most connections of clients.
    pub connections_max: usize,
    /// The most sessions. Only older revisions of the protocol have sessions.
    pub sessions_max: usize,
    /// A session ends after this time without a request.
    pub session_timeout: Duration,
    /// How long calls in flight may continue when the process is to end.
    pub drain: Duration,
}

/// Where the daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name or an IP address, and a port; 0 means any free port.
    Tcp(String, u16),
    /// A socket in the file system, which only its owner can use.
    Unix(PathBuf),
}

impl Address {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(host, _) => match IpAddr::from_str(host) {
                Ok(address) => address.is_loopback(),
                Err(_) => host == "localhost",
            },
            Self::Unix(_) => true,
        }
    }

    /// `127.0.0.1:8808`, `[::1]:8808`, `localhost:8808`, or `unix:` and a path from `folder`.
    pub(super) fn parse(text: &str, folder: &Path) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| Self::Unix(folder.join(path)));
        }
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = match host.strip_prefix('[') {
            Some(rest) => Ipv6Addr::from_str(rest.strip_suffix(']')?).ok()?.to_string(),
            None if host.contains(':') || host.is_empty() => return None,
            None => host.to_owned(),
        };
        Some(Self::Tcp(host, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Default for Address {
    fn default() -> Self {
        Self::Tcp(Ipv4Addr::LOCALHOST.to_string(), 8808)
    }
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The chain, the server's own certificate first. The key may be in the same file.
    pub certificates: Secret,
    pub key: Secret,
}

impl TlsSettings {
    /// The configuration of a listener.
    ///
    /// # Errors
    /// What is wrong with the files. It contains nothing of the key.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, String> {
        server::config(self.certificates.expose(), self.key.expose())
    }
}

/// The rights of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token, or of several valid tokens: during a rotation both the old and the new one are valid.
    pub hashes: Vec<[u8; 32]>,
    /// Whether its statements may write. The stricter of this and the mode of the database counts.
    pub access: AccessMode,
    /// The databases that it may use; never empty.
    pub databases: Vec<String>,
    /// Whether it may see and cancel the calls of all clients.
    pub is_operator: bool,
}

/// The form of the file: tables `[tokens.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    tokens: BTreeMap<String, WrittenToken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    sha256: OneOrMore,
    mode: Option<String>,
    databases: Option<Vec<String>>,
    #[serde(default)]
    operator: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The tokens of a file, by their names.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the file's name. It contains nothing of a hash.
pub(super) fn tokens(text: &str, databases: &[&str]) -> Result<BTreeMap<String, Token>, String> {
    let read = Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build();
    let written = read.and_then(|read| read.try_deserialize::<Written>());
    let written = written.map_err(|error| {
        let said = error.to_string();
        // Without the lines of the file that the TOML reader quotes.
        let said: Vec<&str> = said.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
        format!("cannot be read: {}", said.join(" ").trim_end_matches([':', ' ']))
    })?;
    let mut seen = HashSet::new();
    let tokens = written.tokens.into_iter().map(|(name, written)| {
        let wrong = |what: String| format!("cannot be used: [tokens.{name}] {what}");
        if !is_token_name(&name) {
            return Err(wrong("has no name of letters, digits, -, _ and .".to_owned()));
        }
        let hashes = match written.sha256 {
            OneOrMore::One(hash) => vec![hash],
            OneOrMore::More(hashes) => hashes,
        };
        let hashes: Option<Vec<[u8; 32]>> = hashes.iter().map(|hash| from_hex(hash)).collect();
        let hashes = hashes.filter(|hashes| !hashes.is_empty());
        let hashes = hashes.ok_or_else(|| {
            wrong(
                "sha256 must be 64 hexadecimal digits, or a list of such; `mcp-server-postgres token` makes one"
                    .to_owned(),
            )
        })?;
        if !hashes.iter().all(|hash| seen.insert(*hash)) {
            return Err(wrong("has a token that is there already".to_owned()));
        }
        let access = match written.mode.as_deref() {
            None | Some("read-only") => AccessMode::ReadOnly,
            Some("read-write") => AccessMode::ReadWrite,
            Some(_) => return Err(wrong("mode must be read-only or read-write".to_owned())),
        };
        let asked = written.databases.unwrap_or_else(|| vec![MAIN_DATABASE.to_owned()]);
        if asked.is_empty() {
            return Err(wrong("databases must name at least one".to_owned()));
        }
        if let Some(unknown) = asked.iter().find(|asked| !databases.contains(&asked.as_str())) {
            return Err(wrong(format!("databases has {unknown:?}; there are {}", databases.join(", "))));
        }
        Ok((name, Token { hashes, access, databases: asked, is_operator: written.operator }))
    });
    tokens.collect()
}

/// Whether a token may have this name, which appears in the log and in metrics.
pub fn is_token_name(name: &str) -> bool {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.len() <= TOKEN_NAME_BYTES_MAX && name.chars().all(is_of_a_name)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_or_a_socket() {
        let folder = Path::new("/srv");
        for (text, expected, is_local) in [
            ("127.0.0.1:8808", Some("127.0.0.1:8808"), true),
            ("[::1]:1", Some("[::1]:1"), true),
            ("localhost:80", Some("localhost:80"), true),
            ("0.0.0.0:8808", Some("0.0.0.0:8808"), false),
            ("[::]:8808", Some("[::]:8808"), false),
            ("db.example:8808", Some("db.example:8808"), false),
            // Names of other machines that begin like one of this machine.
            ("localhost.example:8808", Some("localhost.example:8808"), false),
            ("unix:mcp.sock", Some("unix:/srv/mcp.sock"), true),
            ("unix:/run/mcp.sock", Some("unix:/run/mcp.sock"), true),
            ("unix:", None, false),
            ("8808", None, false),
            (":8808", None, false),
            ("::1:8808", None, false),
            ("localhost:http", None, false),
        ] {
            let address = Address::parse(text, folder);
            assert_eq!(address.as_ref().map(Address::to_string).as_deref(), expected, "{text}");
            assert_eq!(address.is_some_and(|address| address.is_local()), is_local, "{text}");
        }
    }
}
