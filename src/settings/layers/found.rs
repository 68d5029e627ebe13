//! The `.env` file of the working folder, if nobody has named it. A host starts this server in the folder of a project.
//! That file belongs to other programs, may be part of a cloned repository, and a model that edits files can write to
//! it. So it sets nothing that protects, its connection is used only as a whole and only if no other connection is
//! named, and nothing in it prevents the start of the server (decision 0027).

use std::path::Path;

use super::super::IgnoredLine;
use super::super::choices::{CHANNEL_BINDING, SSL_MODE, SSL_NEGOTIATION};
use super::super::keys::{self, Class, DATABASE_URL, Key};
use super::super::near_miss::{self, UnknownName};
use super::super::read::{Files, NamedBy, Unreadable};
use super::super::{kind, placeholder};
use super::env_file::{self, Line, QUOTE_IT};
use super::{BY_URL, Entry, Layer, Layers, Parts, Rank, key_of_pg_variable, url};

/// How an operator makes all settings of such a file count.
const NAME_IT: &str = "if it is for this server, name it by --env-file";

const PROTECTS: &str = "a file that nobody has named cannot set what protects";

/// Why a value that lowers the protection is ignored.
const LESS_PROTECTION: &str = "it asks for less protection than the default";

/// A value of the file that may become an entry.
struct Candidate {
    key: &'static Key,
    text: String,
    /// The name as it is written in the file.
    name: String,
    line: usize,
}

impl Layers {
    /// Adds what the file may set, with the lowest rank of all sources. What it may not set is reported once.
    pub(super) fn add_found(&mut self, path: &Path, files: &mut Files) {
        let text = match files.text(path, NamedBy::Nobody) {
            Ok(text) => text,
            Err(Unreadable::NotUtf8 { lossy, .. }) => lossy,
            Err(why) if why.is_missing() => return,
            Err(why) => {
                self.warnings.push(format!("{} is not used: {why}; {NAME_IT}", path.display()));
                return;
            }
        };
        let mut ignored = Vec::new();
        let mut candidates = Vec::new();
        for Line { name, number, value } in env_file::lines(&text) {
            let Some(key) = key_of(name) else {
                if let UnknownName::Others(right) = near_miss::classify(name) {
                    self.others.push((name.to_owned(), format!("in {}, line {number}", path.display()), right));
                }
                continue;
            };
            let mut refuse = |why: String| ignored.push(IgnoredLine { name: name.to_owned(), line: number, why });
            match value {
                None => refuse(format!("it cannot be read: {QUOTE_IT}")),
                Some(text) if text.contains('\u{fffd}') => refuse("it is not UTF-8".to_owned()),
                Some(text) if text.is_empty() => {}
                Some(text) if key.class != Class::Protects && placeholder::find(key.name, &text).is_some() => {
                    refuse("it looks like a placeholder that nobody has filled in".to_owned());
                }
                Some(_) if key.class == Class::Protects && !may_be_stricter(key) => refuse(PROTECTS.to_owned()),
                Some(text) => candidates.push(Candidate { key, text, name: name.to_owned(), line: number }),
            }
        }
        let (candidates, mut lowering) = with_parts(strongest(candidates), &mut ignored);
        let candidates = self.connection(candidates, &mut ignored);
        ignored.append(&mut lowering);
        let entry = |candidate: Candidate| Entry {
            key: candidate.key.name,
            origin: match &candidate.name {
                name if name == candidate.key.name => format!("in {}, line {}", path.display(), candidate.line),
                name if name == DATABASE_URL => format!("{BY_URL} in {}, line {}", path.display(), candidate.line),
                name => format!("as {name} in {}, line {}", path.display(), candidate.line),
            },
            text: candidate.text,
        };
        let entries = candidates.into_iter().map(entry).collect();
        self.layers.insert(1, Layer { rank: Rank::FoundFile, entries });
        ignored.sort_by_key(|one| one.line);
        if !ignored.is_empty() {
            let (file, what) = (path.display(), summary(&ignored));
            self.warnings.push(format!("of {file}, which nobody has named, this is not used: {what}; {NAME_IT}"));
        }
        self.ignored = ignored;
    }

    /// The candidates, without those of a connection if it is incomplete or if another one is named.
    fn connection(&self, candidates: Vec<Candidate>, ignored: &mut Vec<IgnoredLine>) -> Vec<Candidate> {
        let unused = ignored.iter().find(|one| key_of(&one.name).is_some_and(Key::is_of_a_connection));
        let why = match (self.named_connection(), unused) {
            (Some(named), _) => format!("a connection is named already, by {named}"),
            (None, Some(part)) => format!("a connection is used as a whole, and {} is not used", part.name),
            (None, None) => return candidates,
        };
        let (unused, rest): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|candidate| candidate.key.is_of_a_connection());
        for Candidate { name, line, .. } in unused {
            let unused = IgnoredLine { name, line, why: why.clone() };
            // The parts of a URL come from one name.
            if !ignored.iter().any(|known| (&known.name, known.line) == (&unused.name, unused.line)) {
                ignored.push(unused);
            }
        }
        rest
    }

    /// A setting of a connection that a flag, the environment or a named file sets, and where.
    pub(super) fn named_connection(&self) -> Option<String> {
        let named = self.layers.iter().filter(|layer| layer.rank > Rank::Default).flat_map(|layer| &layer.entries);
        let mut named = named.chain(self.databases.values().flatten());
        let first = named.find(|entry| keys::find(entry.key).is_some_and(Key::is_of_a_connection))?;
        Some(format!("{} ({})", first.key, first.origin))
    }

    /// Removes from the problems those of a file that nobody has named, and reports them as ignored. Returns false if
    /// the file sets nothing.
    pub(in super::super) fn ignore_found_file(&mut self, problems: &[String]) -> bool {
        let Some(at) = self.layers.iter().position(|layer| layer.rank == Rank::FoundFile) else { return false };
        if self.layers.remove(at).entries.is_empty() {
            return false;
        }
        self.warnings.push(format!("the .env that nobody has named is not used: {}; {NAME_IT}", problems.join("; ")));
        true
    }
}

/// The key that a name sets. The name is the key itself or a name of libpq.
fn key_of(name: &str) -> Option<&'static Key> {
    keys::find(name).or_else(|| keys::find(key_of_pg_variable(name)?))
}

/// One candidate for each key. A later line has priority, and a name of this server has priority over one of libpq.
fn strongest(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut strongest: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let is_weaker = |other: &Candidate| {
            other.key.name == candidate.key.name && other.name == other.key.name && candidate.name != candidate.key.name
        };
        if !strongest.iter().any(is_weaker) {
            strongest.retain(|other| other.key.name != candidate.key.name);
            strongest.push(candidate);
        }
    }
    strongest
}

/// The candidates, with the URL replaced by its parts. Each part must be a valid value. Lines that would lower the
/// protection are returned apart: without them, the rest of a connection can be used.
fn with_parts(candidates: Vec<Candidate>, ignored: &mut Vec<IgnoredLine>) -> (Vec<Candidate>, Vec<IgnoredLine>) {
    let mut lowering = Vec::new();
    let (urls, mut all): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| candidate.key.name == DATABASE_URL);
    for Candidate { name, line, text, .. } in urls {
        match url::parts(&text) {
            Err(why) => ignored.push(IgnoredLine { name, line, why: format!("it cannot be used: {why}") }),
            Ok(Parts { keys, .. }) => {
                let parts = keys.into_iter().filter_map(|(key, text)| Some((keys::find(key)?, text)));
                for (key, text) in parts {
                    all.retain(|other| other.key.name != key.name);
                    all.push(Candidate { key, text, name: name.clone(), line });
                }
            }
        }
    }
    all.retain(|candidate| {
        let why = match candidate.key {
            key if may_be_stricter(key) => match Protection::of(key, candidate.text.trim()) {
                Some(Protection::More) => return true,
                Some(Protection::Default) => return false,
                Some(Protection::Less) => {
                    let name = match &candidate.name {
                        name if name == DATABASE_URL => format!("{} of {DATABASE_URL}", key.name),
                        name => name.clone(),
                    };
                    lowering.push(IgnoredLine { name, line: candidate.line, why: LESS_PROTECTION.to_owned() });
                    return false;
                }
                None => format!("it must be {}", key.kind.requirement()),
            },
            key if key.class == Class::Protects && candidate.text == "system" => return true,
            key if key.class == Class::Protects => PROTECTS.to_owned(),
            key if !key.kind.accepts(candidate.text.trim()) => format!("it must be {}", key.kind.requirement()),
            _ => return true,
        };
        ignored.push(IgnoredLine { name: candidate.name.clone(), line: candidate.line, why });
        false
    });
    (all, lowering)
}

/// The protecting keys for which such a file may ask for more than the default, and the words that do this.
const STRICTER: [(&str, &[&str], &[&str]); 3] = [
    (SSL_MODE.name, &SSL_MODE.names(), &["require", "verify-ca", "verify-full"]),
    (CHANNEL_BINDING.name, &CHANNEL_BINDING.names(), &["require"]),
    (SSL_NEGOTIATION.name, &SSL_NEGOTIATION.names(), &["direct"]),
];

fn may_be_stricter(key: &Key) -> bool {
    STRICTER.iter().any(|(name, ..)| *name == key.name)
}

/// How much protection a value asks for, beside the default.
enum Protection {
    More,
    Default,
    Less,
}

impl Protection {
    /// `None` if `text` is not a word of the key.
    fn of(key: &Key, text: &str) -> Option<Self> {
        let (_, words, stricter) = STRICTER.iter().find(|(name, ..)| *name == key.name)?;
        Some(match kind::word(words, text)? {
            word if stricter.contains(&word) => Self::More,
            word if word == key.default => Self::Default,
            _ => Self::Less,
        })
    }
}

/// All of them in one line; those with the same reason are grouped.
fn summary(ignored: &[IgnoredLine]) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for IgnoredLine { name, line, why } in ignored {
        let shown = format!("{name} (line {line})");
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(shown),
            None => reasons.push((why, vec![shown])),
        }
    }
    let reasons: Vec<String> =
        reasons.into_iter().map(|(why, names)| format!("{}, since {why}", names.join(", "))).collect();
    reasons.join("; ")
}
