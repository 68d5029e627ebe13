//! The types of values: what a text must be to be one.

use std::net::Ipv6Addr;

use super::names;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    /// A text that is never printed.
    Secret,
    Path,
    /// Hosts of a PostgreSQL: names, addresses and folders of sockets, separated by commas.
    Servers,
    /// Port numbers, separated by commas.
    Ports,
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// Seconds, decimals allowed, within these bounds.
    Seconds(f64, f64),
    /// Whole milliseconds within these bounds.
    Milliseconds(u64, u64),
    /// One of these words, in upper or lower case.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// Addresses to listen on, separated by commas.
    Addresses,
    /// Names of hosts under which clients reach the daemon, separated by commas.
    Hosts,
    /// Origins of web pages, separated by commas.
    Origins,
}

/// Other spellings of words, and the words that they mean.
const SPELLINGS: &[(&str, &str)] = &[
    ("1", "true"),
    ("on", "true"),
    ("yes", "true"),
    ("0", "false"),
    ("off", "false"),
    ("no", "false"),
    ("warn", "warning"),
    ("err", "error"),
    ("crit", "critical"),
    ("fatal", "critical"),
    ("information", "info"),
    ("notice", "info"),
    ("trace", "debug"),
    ("verbose", "debug"),
    ("readonly", "read-only"),
    ("ro", "read-only"),
    ("readwrite", "read-write"),
    ("rw", "read-write"),
    // The spelling of node-postgres.
    ("no-verify", "require"),
    // The spelling of JDBC.
    ("master", "primary"),
    ("secondary", "standby"),
    ("slave", "standby"),
    ("prefersecondary", "prefer-standby"),
    ("preferslave", "prefer-standby"),
];

impl Kind {
    /// Whether `text` is a value of this type.
    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Self::Text | Self::Secret | Self::Path | Self::Addresses => true,
            Self::Servers => hosts(text).is_some(),
            Self::Hosts | Self::Origins => self.names(text).is_some(),
            Self::Ports => ports(text).is_some(),
            Self::Whole(..) | Self::Milliseconds(..) => self.whole(text).is_some(),
            Self::Seconds(..) => self.seconds(text).is_some(),
            Self::Choice(words) => word(words, text).is_some(),
            Self::Switch => switch(text).is_some(),
        }
    }

    pub(super) fn whole(self, text: &str) -> Option<u64> {
        let (Self::Whole(min, max) | Self::Milliseconds(min, max)) = self else { return None };
        text.parse().ok().filter(|value| (min..=max).contains(value))
    }

    pub(super) fn seconds(self, text: &str) -> Option<f64> {
        let Self::Seconds(min, max) = self else { return None };
        text.parse().ok().filter(|value| (min..=max).contains(value))
    }

    /// Hosts or origins, in the form in which they are compared.
    pub(super) fn names(self, text: &str) -> Option<Vec<String>> {
        let read = match self {
            Self::Hosts => names::allowed_host,
            Self::Origins => names::allowed_origin,
            _ => return None,
        };
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(read).collect()
    }

    pub(super) fn value_name(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "TEXT",
            Self::Path => "FILE",
            Self::Servers => "HOST",
            Self::Ports => "PORT",
            Self::Whole(..) => "N",
            Self::Seconds(..) => "SECONDS",
            Self::Milliseconds(..) => "MS",
            Self::Choice(_) => "WORD",
            Self::Switch => "BOOL",
            Self::Addresses => "ADDRESS",
            Self::Hosts => "HOST",
            Self::Origins => "ORIGIN",
        }
    }

    /// What a correct value is, to follow "it must be".
    pub fn requirement(self) -> String {
        match self {
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::Path => "a file".to_owned(),
            Self::Servers => {
                "a host such as db.example, 10.0.0.1, ::1 or /run/postgresql, or several separated by commas; \
                            the port is POSTGRES_PORT, and a URL is DATABASE_URL"
                    .to_owned()
            }
            Self::Ports => "a port from 1 to 65535, or several separated by commas".to_owned(),
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::Seconds(min, max) => format!("seconds from {min} to {max}"),
            Self::Milliseconds(min, max) => format!("whole milliseconds from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Switch => "true or false".to_owned(),
            Self::Hosts => {
                "a name or an IP address such as db.example or 192.0.2.7, or several separated by commas; there are no wildcards"
                    .to_owned()
            }
            Self::Origins => {
                "an origin such as https://app.example or http://app.example:8080, or several separated by commas; there are no \
                 wildcards"
                    .to_owned()
            }
            Self::Addresses => {
                "an address such as 127.0.0.1:8808, [::1]:8808 or unix:/run/mcp.sock, or several separated by commas"
                    .to_owned()
            }
        }
    }
}

/// Hosts, separated by commas: names, addresses (of IPv6 also in brackets), and folders of sockets.
pub(super) fn hosts(text: &str) -> Option<Vec<String>> {
    let host = |text: &str| {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let address = bare.split_once('%').map_or(bare, |(address, _)| address);
        let is_name =
            |text: &str| !text.contains(|c: char| c.is_whitespace() || matches!(c, ':' | '/' | '@' | '[' | ']'));
        let is_host = bare.starts_with('/') || address.parse::<Ipv6Addr>().is_ok() || (bare == text && is_name(bare));
        (is_host && !bare.is_empty()).then(|| bare.to_owned())
    };
    text.split(',').map(host).collect()
}

/// Port numbers, separated by commas.
pub(super) fn ports(text: &str) -> Option<Vec<u16>> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    text.split(',').map(port).collect()
}

pub(super) fn switch(text: &str) -> Option<bool> {
    Some(word(&["true", "false"], text)? == "true")
}

/// The one of `words` that `text` means: in upper or lower case, with `_` for `-`, or in a spelling of [`SPELLINGS`].
pub(super) fn word(words: &[&'static str], text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase().replace('_', "-");
    let meant = |spelling: &str| words.iter().find(|word| **word == spelling).copied();
    let others = SPELLINGS.iter().filter(|(spelling, _)| *spelling == text);
    meant(&text).or_else(|| others.filter_map(|(_, word)| meant(word)).next())
}
