//! libpq's service file (manual, section 34.17): sections `[name]`, each with the parameters of a connection.

use std::path::PathBuf;

use super::super::read::{Files, NamedBy};
use super::Places;

/// The parameters of a service as they are written, each with its line.
pub(in super::super) type Parameters = Vec<(String, String, usize)>;

/// Looks for the service `name`. Returns the file that contains it, and its parameters.
///
/// # Errors
/// No file contains it, or its section or a named file cannot be read.
pub(in super::super) fn find(places: &Places, name: &str, files: &mut Files) -> Result<(PathBuf, Parameters), String> {
    let all = places.service_files();
    for (path, named_by) in &all {
        let text = match files.text(path, *named_by) {
            Ok(text) => text,
            Err(why) if *named_by == NamedBy::Nobody && why.is_missing() => continue,
            Err(why) => return Err(format!("{} cannot be read: {why}", path.display())),
        };
        match section(&text, name) {
            Ok(Some(parameters)) => return Ok((path.clone(), parameters)),
            Ok(None) => {}
            Err((line, why)) => return Err(format!("{}, line {line}: {why}", path.display())),
        }
    }
    let looked: Vec<String> = all.iter().map(|(path, _)| path.display().to_string()).collect();
    Err(format!("there is no section [{name}] in {}", looked.join(", ")))
}

/// The parameters of a section, if there is one. An error never contains the line, because it may contain a password.
fn section(text: &str, name: &str) -> Result<Option<Parameters>, (usize, String)> {
    let mut found: Option<Parameters> = None;
    let mut is_ours = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            is_ours = header.strip_suffix(']') == Some(name);
            if is_ours {
                found = Some(Vec::new());
            }
        } else if is_ours {
            let Some((key, value)) = line.split_once('=') else {
                let why = match line.starts_with("ldap") {
                    true => "a service in LDAP is not supported",
                    false => "a line is name=value",
                };
                return Err((at + 1, why.to_owned()));
            };
            found.get_or_insert_default().push((key.trim().to_owned(), value.trim().to_owned(), at + 1));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_of_the_service_is_read_to_its_end() {
        let text = "# ours\n[a]\nhost=one\n\n [b] \nhost = two\r\n# no\npassword=p = q\n[c]\nldap://x\nbroken\n";
        let parameter = |name: &str, value: &str, line| (name.to_owned(), value.to_owned(), line);
        assert_eq!(section(text, "a"), Ok(Some(vec![parameter("host", "one", 3)])));
        let of_b = vec![parameter("host", "two", 6), parameter("password", "p = q", 8)];
        assert_eq!(section(text, "b"), Ok(Some(of_b)));
        assert_eq!(section(text, "c"), Err((10, "a service in LDAP is not supported".to_owned())));
        assert_eq!(section(text, "d"), Ok(None));
        assert_eq!(section("[a]\nsecret\n", "a"), Err((2, "a line is name=value".to_owned())));
        assert_eq!(section("[a]\n[a]\nhost=x\n", "a"), Ok(Some(Vec::new())), "the first of that name");
    }
}
