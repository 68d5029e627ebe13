//! The source of the password: one of three keys, or libpq's password file.

use super::database::{PasswordCommand, PasswordSource};
use super::keys::PASSWORD_KEYS;
use super::layers::Rank;
use super::libpq::passfile;
use super::read::Files;
use super::secret::Secret;
use super::values::Values;

const TEXT: &str = PASSWORD_KEYS[0];
const FILE: &str = PASSWORD_KEYS[1];
const COMMAND: &str = PASSWORD_KEYS[2];
const PASSFILE: &str = "POSTGRES_PASSFILE";

impl PasswordSource {
    /// The setting that names it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Settings => TEXT,
            Self::File(_) => FILE,
            Self::PassFile(_) => PASSFILE,
            Self::Command(_) => COMMAND,
        }
    }
}

impl PasswordCommand {
    /// Splits a text into words, with the quoting of a shell, or reads a JSON array of strings. There is no shell: `$`,
    /// `|` and `~` have no meaning.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let words = if text.starts_with('[') { serde_json::from_str(text).ok()? } else { shlex::split(text)? };
        let mut words: std::vec::IntoIter<String> = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty())?;
        Some(Self { program, arguments: words.collect() })
    }
}

impl Values<'_> {
    /// The password of the highest layer that sets one of its three keys, and its source. If no layer does, the source
    /// is libpq's password file.
    pub(super) fn password(
        &mut self,
        files: &mut Files,
        warnings: &mut Vec<String>,
    ) -> (Option<Secret>, PasswordSource) {
        let set = |key: &'static str| self.chosen.get(key).map(|chosen| (key, chosen.rank, chosen.origin.clone()));
        let mut set: Vec<(&'static str, Rank, String)> = PASSWORD_KEYS.into_iter().filter_map(set).collect();
        let Some(rank) = set.iter().map(|(_, rank, _)| *rank).max() else { return (None, self.passfile(warnings)) };
        let losers = set.extract_if(.., |(_, lower, _)| *lower < rank).collect::<Vec<_>>();
        if let [(one, _, origin), (other, _, other_origin), ..] = set.as_slice() {
            self.problems.push(format!("{one} ({origin}) and {other} ({other_origin}) are both set: keep one of them"));
            return (None, PasswordSource::Settings);
        }
        let (winner, _, origin) = set.remove(0);
        for (loser, _, loser_origin) in losers {
            warnings.push(format!("{loser} ({loser_origin}) has no effect: {winner} is set {origin}"));
            self.chosen.remove(loser);
        }
        let text = self.optional(winner).unwrap_or_default();
        match winner {
            FILE => match self.file(FILE, files) {
                Some((text, path)) => (Some(Secret::new(without_line_end(&text))), PasswordSource::File(path)),
                None => (None, PasswordSource::Settings),
            },
            COMMAND => match PasswordCommand::parse(&text) {
                Some(command) => (None, PasswordSource::Command(command)),
                None => {
                    self.problems.push(format!(
                        "{COMMAND} ({origin}) cannot be read: it must be a program and its arguments, as words that are \
                         quoted as for a shell, or as a JSON array of strings"
                    ));
                    (None, PasswordSource::Settings)
                }
            },
            _ => (Some(Secret::new(text)), PasswordSource::Settings),
        }
    }

    fn passfile(&mut self, warnings: &mut Vec<String>) -> PasswordSource {
        let Some(chosen) = self.chosen.get(PASSFILE) else { return PasswordSource::Settings };
        // A file that nobody has named must not choose the server that receives a password of the operator.
        let is_found = |key| self.chosen.get(key).is_some_and(|chosen| chosen.rank == Rank::FoundFile);
        if is_found("POSTGRES_HOST") || is_found("POSTGRES_PORT") {
            return PasswordSource::Settings;
        }
        let path = self.folder.join(&chosen.text);
        let ignored = match passfile::read(&path) {
            Ok(None) if chosen.rank > Rank::Default => Some("does not exist".to_owned()),
            Ok(_) => None,
            Err(why) => Some(why),
        };
        if let Some(why) = ignored {
            warnings.push(format!("{PASSFILE} ({}) has no effect: {} {why}", chosen.origin, path.display()));
        }
        PasswordSource::PassFile(path)
    }
}

/// The password in the text of a password file: the whole text without the end of its last line.
pub fn without_line_end(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_words_or_a_json_array_and_never_a_shells() {
        for (text, words) in [
            ("/bin/echo", Some(vec!["/bin/echo"])),
            (
                "aws rds generate-db-auth-token --hostname 'a b'",
                Some(vec!["aws", "rds", "generate-db-auth-token", "--hostname", "a b"]),
            ),
            ("echo $HOME | cat ~ \"x y\"", Some(vec!["echo", "$HOME", "|", "cat", "~", "x y"])),
            (" [\"pass\", \"show\", \"a b\"] ", Some(vec!["pass", "show", "a b"])),
            ("[\"pass\", 1]", None),
            ("[]", None),
            ("[\"\"]", None),
            ("", None),
            ("echo 'open", None),
        ] {
            let command = PasswordCommand::parse(text);
            let read = command.as_ref().map(|command| {
                std::iter::once(&*command.program)
                    .chain(command.arguments.iter().map(String::as_str))
                    .collect::<Vec<_>>()
            });
            assert_eq!(read, words, "{text}");
        }
    }
}
