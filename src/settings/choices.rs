//! The settings whose value is one of several words, with the meaning of each word.

use super::kind;
use super::{AccessMode, LogFileMode, RoleCheck, SslMode, TargetSessionAttrs};

/// A setting whose value is one of several words.
pub(super) struct Choice<T, const N: usize> {
    /// The key.
    pub(super) name: &'static str,
    /// The words and their meanings, in the order of the documentation.
    pub(super) words: [(&'static str, T); N],
}

pub(super) const SSL_MODE: Choice<SslMode, 5> = Choice {
    name: "POSTGRES_SSL_MODE",
    words: [
        ("disable", SslMode::Disable),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ],
};

pub(super) const TARGET_SESSION_ATTRS: Choice<TargetSessionAttrs, 3> = Choice {
    name: "POSTGRES_TARGET_SESSION_ATTRS",
    words: [
        ("any", TargetSessionAttrs::Any),
        ("read-write", TargetSessionAttrs::ReadWrite),
        ("read-only", TargetSessionAttrs::ReadOnly),
    ],
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
