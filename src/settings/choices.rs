//! The settings whose value is one of several words, with the meaning of each word.

use super::kind;
use super::{AccessMode, ChannelBinding, LogFileMode, Pooler, RoleCheck, SslMode, SslNegotiation, TargetSessionAttrs};

/// A setting whose value is one of several words.
pub(super) struct Choice<T, const N: usize> {
    /// The key.
    pub(super) name: &'static str,
    /// The words and their meanings, in the order of the documentation.
    pub(super) words: [(&'static str, T); N],
}

pub(super) const SSL_MODE: Choice<SslMode, 6> = Choice {
    name: "POSTGRES_SSL_MODE",
    words: [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ],
};

pub(super) const CHANNEL_BINDING: Choice<ChannelBinding, 3> = Choice {
    name: "POSTGRES_CHANNEL_BINDING",
    words: [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ],
};

pub(super) const SSL_NEGOTIATION: Choice<SslNegotiation, 2> = Choice {
    name: "POSTGRES_SSL_NEGOTIATION",
    words: [("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)],
};

/// Whether the order is random.
pub(super) const LOAD_BALANCE_HOSTS: Choice<bool, 2> =
    Choice { name: "POSTGRES_LOAD_BALANCE_HOSTS", words: [("disable", false), ("random", true)] };

pub(super) const TARGET_SESSION_ATTRS: Choice<TargetSessionAttrs, 6> = Choice {
    name: "POSTGRES_TARGET_SESSION_ATTRS",
    words: [
        ("any", TargetSessionAttrs::Any),
        ("read-write", TargetSessionAttrs::ReadWrite),
        ("read-only", TargetSessionAttrs::ReadOnly),
        ("primary", TargetSessionAttrs::Primary),
        ("standby", TargetSessionAttrs::Standby),
        ("prefer-standby", TargetSessionAttrs::PreferStandby),
    ],
};

pub(super) const POOLER: Choice<Pooler, 3> = Choice {
    name: "POSTGRES_POOLER",
    words: [("auto", Pooler::Auto), ("none", Pooler::None), ("transaction", Pooler::Transaction)],
};

pub(super) const ACCESS_MODE: Choice<AccessMode, 2> = Choice {
    name: "MCP_ACCESS_MODE",
    words: [("read-only", AccessMode::ReadOnly), ("read-write", AccessMode::ReadWrite)],
};

/// Whether sensitive catalogs may be read.
pub(super) const SENSITIVE_CATALOGS: Choice<bool, 2> =
    Choice { name: "MCP_SENSITIVE_CATALOGS", words: [("deny", false), ("allow", true)] };

pub(super) const ROLE_CHECK: Choice<RoleCheck, 3> = Choice {
    name: "MCP_ROLE_CHECK",
    words: [("warn", RoleCheck::Warn), ("enforce", RoleCheck::Enforce), ("off", RoleCheck::Off)],
};

/// Whether answers have structured content.
pub(super) const STRUCTURED: Choice<bool, 2> = Choice { name: "MCP_STRUCTURED", words: [("on", true), ("off", false)] };

pub(super) const LOG_LEVEL: Choice<slog::Level, 5> = Choice {
    name: "MCP_LOG_LEVEL",
    words: [
        ("critical", slog::Level::Critical),
        ("error", slog::Level::Error),
        ("warning", slog::Level::Warning),
        ("info", slog::Level::Info),
        ("debug", slog::Level::Debug),
    ],
};

pub(super) const LOG_FILE_MODE: Choice<LogFileMode, 2> =
    Choice { name: "MCP_LOG_FILE_MODE", words: [("private", LogFileMode::Private), ("group", LogFileMode::Group)] };

impl<T: Copy, const N: usize> Choice<T, N> {
    /// The words without their meanings.
    pub(super) const fn names(&self) -> [&'static str; N] {
        let mut names = [""; N];
        let mut at = 0;
        while at < N {
            names[at] = self.words[at].0;
            at += 1;
        }
        names
    }

    /// The meaning of a word, in any spelling of it.
    pub(super) fn of(&self, text: &str) -> Option<T> {
        let word = kind::word(&self.names(), text)?;
        self.words.iter().find(|(one, _)| *one == word).map(|(_, meaning)| *meaning)
    }
}
