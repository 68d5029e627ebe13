//! Start-up options as settings. A pooler accepts no options for the backend, so each transaction sets them.

/// The settings in `-c name=value`, `-cname=value` and `--name=value`. PostgreSQL accepts only these for a session, and
/// a few short forms. As in PostgreSQL, words end at white space, unless a backslash is before it, and a hyphen in a
/// name stands for an underscore.
///
/// # Errors
/// The word that has none of these forms.
pub fn settings_of(options: &str) -> Result<Vec<(String, String)>, String> {
    let mut words = words(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") if word == "-c" => words.next(),
            Some(setting) => Some(setting.to_owned()),
            None => None,
        };
        let (name, value) =
            setting.as_deref().and_then(|setting| setting.split_once('=')).ok_or_else(|| word.clone())?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(word);
        }
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn words(options: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), options.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_ascii_whitespace() => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_postgresql_reads_them() {
        for (options, expected) in [
            ("", vec![]),
            ("-c search_path=app", vec![("search_path", "app")]),
            ("-csearch_path=app  --work-mem=1MB", vec![("search_path", "app"), ("work_mem", "1MB")]),
            (r"-c search_path=a,\ b -c x.y=a\\b", vec![("search_path", "a, b"), ("x.y", r"a\b")]),
            ("--search_path=", vec![("search_path", "")]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(settings_of(options), Ok(expected), "{options}");
        }
        for (options, word) in [("-c", "-c"), ("-c x", "-c"), ("-B 5", "-B"), ("x=1", "x=1"), ("--a'b=1", "--a'b=1")] {
            assert_eq!(settings_of(options), Err(word.to_owned()), "{options}");
        }
    }
}
