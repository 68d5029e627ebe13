//! The settings from the view of an operator: files, environment variables and flags, and the resulting settings or
//! errors.
//!
//! Most cases are rows of a table of [`Given`] inputs. Tests of exit statuses and output run the real program.

mod configured;
mod databases;
mod encryption;
mod env_file;
mod found;
mod handed_out;
mod layers;
mod libpq;
mod problems;
mod program;
mod reload;
mod tokens;
mod url;
mod values;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mcp_server_postgres::settings::{self, Effective, Inputs, Key, Loaded, SettingsError};
use tempfile::TempDir;

/// The inputs of an operator, by layer. A case sets the layers that it needs and takes the others from [`NOTHING`].
#[derive(Clone, Copy, Debug)]
struct Given<'a> {
    /// The text of the file of `--config`; empty if there is no file.
    toml: &'a str,
    /// The text of `.env`, named by `--env-file`; empty if there is no file.
    env: &'a str,
    /// The text of a `.env` that no flag names; empty if there is no file.
    found: &'a str,
    environment: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
    /// Other files, by name.
    files: &'a [(&'a str, &'a str)],
}

const NOTHING: Given = Given { toml: "", env: "", found: "", environment: &[], flags: &[], files: &[] };

/// The files of one case, in a new folder.
struct Place {
    folder: TempDir,
}

impl Place {
    fn of(given: &Given) -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in [("config.toml", given.toml), (".env", given.env), (".env", given.found)] {
            if !text.is_empty() {
                this.write(name, text);
            }
        }
        for (name, text) in given.files {
            this.write_private(name, text);
        }
        this
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Where only its owner can read it.
    fn write_private(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn inputs(&self, given: &Given) -> Inputs {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| (String::from(*a), String::from(*b))).collect();
        Inputs {
            config_file: (!given.toml.is_empty()).then(|| PathBuf::from("config.toml")),
            env_file: (!given.env.is_empty()).then(|| PathBuf::from(".env")),
            environment: owned(given.environment),
            flags: owned(given.flags),
            folder: self.path().to_owned(),
            ..Inputs::default()
        }
    }

    /// `text` without the name of the folder, which differs in each run.
    fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.path().display()), "")
    }
}

/// Loads the inputs. The returned texts do not have the name of the folder.
fn load(given: &Given) -> Result<Loaded, SettingsError> {
    let place = Place::of(given);
    match settings::load(&place.inputs(given)) {
        Ok(mut loaded) => {
            loaded.warnings.iter_mut().for_each(|warning| *warning = place.plain(warning));
            loaded.origins.iter_mut().for_each(|origin| origin.source = place.plain(&origin.source));
            Ok(loaded)
        }
        Err(error) => {
            Err(SettingsError { problems: error.problems.iter().map(|it| place.plain(it)).collect(), ..error })
        }
    }
}

fn loaded(what: &str, given: &Given) -> Loaded {
    load(given).unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn problems(what: &str, given: &Given) -> Vec<String> {
    load(given).map(|_| ()).expect_err(what).problems
}

fn origin<'a>(loaded: &'a Loaded, key: &str) -> &'a Effective {
    loaded.origins.iter().find(|origin| origin.key == key).unwrap()
}

fn password(loaded: &Loaded) -> Option<&str> {
    loaded.settings.postgres.target.password.as_ref().map(settings::Secret::expose)
}

/// A valid value of `key` that is not its default. Each `nth` gives another value if the kind has enough of them.
fn sample(key: &Key, nth: usize) -> String {
    use mcp_server_postgres::settings::Kind;
    match key.kind {
        Kind::Secret if key.name == "DATABASE_URL" => format!("postgres://host{nth}"),
        Kind::Text if key.name == "POSTGRES_HOSTADDR" => format!("127.0.0.{nth}"),
        Kind::Text | Kind::Secret | Kind::Servers => format!("text{nth}"),
        Kind::Path if key.name == "MCP_TOKENS_FILE" => format!("tokens{nth}"),
        Kind::Path if key.name.starts_with("MCP_TLS_") || key.name == "POSTGRES_SSL_CERT" => format!("pem{nth}"),
        Kind::Path if key.name == "POSTGRES_SSL_KEY" => format!("pem{nth}"),
        Kind::Path => format!("file{nth}"),
        Kind::Addresses => format!("127.0.0.1:{}", 7000 + nth),
        Kind::Hosts => format!("host{nth}.example"),
        Kind::Origins => format!("https://app{nth}.example"),
        Kind::Ports => (6000 + nth).to_string(),
        // It may not be larger than the default size of the pool.
        Kind::Whole(min, _) if key.name == "POSTGRES_POOL_MIN_SIZE" => (min + [0, 2, 3, 4][nth]).to_string(),
        Kind::Whole(min, _) | Kind::Milliseconds(min, _) => (min + 10 + nth as u64).to_string(),
        Kind::Seconds(min, _) => (min + 0.5 + nth as f64).to_string(),
        Kind::Choice(words) => {
            let other: Vec<_> = words.iter().filter(|word| **word != key.default).collect();
            other[nth % other.len()].to_string()
        }
        Kind::Switch => (key.default != "true").to_string(),
    }
}

/// The files that sample paths name. All but the log file are read.
fn sample_files() -> &'static [(&'static str, &'static str)] {
    static FILES: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem: &str = format!("{}{}", cert.pem(), signing_key.serialize_pem()).leak();
        let token: &str = format!("[tokens.alice]\nsha256 = \"{}\"\n", "0a".repeat(32)).leak();
        let of_each = |nth: usize| {
            [("file", "p"), ("tokens", token), ("pem", pem)].map(|(name, text)| (&*format!("{name}{nth}").leak(), text))
        };
        let services = (0..4).map(|nth| format!("[text{nth}]\nhost=served{nth}\n")).collect::<String>();
        (0..4).flat_map(of_each).chain([("services", &*services.leak())]).collect()
    })
}
