//! The order of the layers, and that every key can be set in every layer that allows it.

use mcp_server_postgres::settings::{KEYS, Key, Kind};

use crate::settings::{Given, NOTHING, loaded, origin, password, sample, sample_files};

/// The layers that a key can be set in, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layer {
    Toml,
    EnvFile,
    Environment,
    Flag,
}

const LAYERS: [Layer; 4] = [Layer::Toml, Layer::EnvFile, Layer::Environment, Layer::Flag];

impl Layer {
    /// A password on a command line could be read by every user of the machine; a URL need not have one.
    fn is_open_to(self, key: &Key) -> bool {
        self != Self::Flag || key.kind != Kind::Secret || key.name == "DATABASE_URL"
    }

    fn source(self, key: &Key) -> String {
        match self {
            Self::Toml => format!("in config.toml as {}", in_toml(key.name).0),
            Self::EnvFile => "in .env, line 1".to_owned(),
            Self::Environment => "in the environment".to_owned(),
            Self::Flag => "by its flag".to_owned(),
        }
    }
}

/// A key in TOML: as the documentation writes it, `[postgres] pool_size`, and as lines of a file.
fn in_toml(name: &str) -> (String, String) {
    let lower = name.to_ascii_lowercase();
    for table in ["postgres", "mcp"] {
        if let Some(inner) = lower.strip_prefix(&format!("{table}_")) {
            return (format!("[{table}] {inner}"), format!("[{table}]\n{inner}"));
        }
    }
    (lower.clone(), lower)
}

/// What a key needs beside it: the certificate of a key, the file of a service.
fn beside(key: &Key) -> &'static [(&'static str, &'static str)] {
    match key.name {
        "MCP_TLS_KEY" => &[("MCP_TLS_CERT", "pem0")],
        "POSTGRES_SSL_NEGOTIATION" => &[("POSTGRES_SSL_MODE", "require")],
        "POSTGRES_SSL_CERT" => &[("POSTGRES_SSL_KEY", "pem0")],
        "POSTGRES_SSL_KEY" => &[("POSTGRES_SSL_CERT", "pem0")],
        "POSTGRES_SERVICE" => &[("PGSERVICEFILE", "services")],
        _ => &[],
    }
}

/// Load `key` set in each of `layers` to another value.
fn with_layers<T>(key: &Key, layers: &[Layer], then: impl FnOnce(&Given) -> T) -> T {
    let text = |layer| match LAYERS.iter().position(|one| *one == layer) {
        Some(nth) if layers.contains(&layer) => sample(key, nth),
        _ => String::new(),
    };
    let lines = |layer, line: &dyn Fn(&str) -> String| match text(layer).as_str() {
        "" => String::new(),
        text => line(text),
    };
    let toml = lines(Layer::Toml, &|text| format!("{} = {text:?}\n", in_toml(key.name).1));
    let env = lines(Layer::EnvFile, &|text| format!("{}={text}\n", key.name));
    let (environment, flag) = (text(Layer::Environment), text(Layer::Flag));
    then(&Given {
        toml: &toml,
        env: &env,
        found: "",
        environment: &[&[(key.name, environment.as_str())], beside(key)].concat(),
        flags: &[(key.name, &flag)],
        files: sample_files(),
    })
}

#[test]
fn every_key_can_be_set_in_every_layer_that_allows_it() {
    let default = loaded("defaults", &NOTHING).settings;
    for key in KEYS {
        for (nth, layer) in LAYERS.into_iter().enumerate().filter(|(_, layer)| layer.is_open_to(key)) {
            let what = format!("{} in {layer:?}", key.name);
            let loaded = with_layers(key, &[layer], |given| loaded(&what, given));
            assert_ne!(loaded.settings, default, "{what} has no effect");
            assert_eq!(loaded.warnings, Vec::<String>::new(), "{what}");
            if key.name == "DATABASE_URL" {
                // A URL is shown as the keys that it sets.
                let host = origin(&loaded, "POSTGRES_HOST");
                assert_eq!(host.value, format!("host{nth}"), "{what}");
                assert_eq!(host.source, format!("by DATABASE_URL {}", layer.source(key)), "{what}");
                continue;
            }
            let origin = origin(&loaded, key.name);
            let shown = if key.kind == Kind::Secret { "********".to_owned() } else { sample(key, nth) };
            assert_eq!((&origin.value, &origin.source), (&shown, &layer.source(key)), "{what}");
        }
    }
}

#[test]
fn each_layer_overrides_the_weaker_ones() {
    for key in KEYS.iter().filter(|key| key.name != "DATABASE_URL") {
        let open: Vec<Layer> = LAYERS.into_iter().filter(|layer| layer.is_open_to(key)).collect();
        for count in 1..=open.len() {
            let what = format!("{} in {:?}", key.name, &open[..count]);
            let loaded = with_layers(key, &open[..count], |given| loaded(&what, given));
            assert_eq!(origin(&loaded, key.name).source, open[count - 1].source(key), "{what}");
            if key.kind == Kind::Secret {
                assert_eq!(password(&loaded), Some(sample(key, count - 1).as_str()), "{what}");
            } else {
                assert_eq!(origin(&loaded, key.name).value, sample(key, count - 1), "{what}");
            }
        }
    }
}

#[test]
fn an_empty_value_counts_as_not_set() {
    for key in KEYS {
        let env = format!("{}=\n", key.name);
        let toml = format!("{} = \"\"\n", in_toml(key.name).1);
        let empty =
            Given { toml: &toml, env: &env, environment: &[(key.name, "")], flags: &[(key.name, "")], ..NOTHING };
        let with_empty = loaded(key.name, &empty);
        let without = loaded("defaults", &NOTHING);
        assert_eq!(with_empty.settings, without.settings, "{}", key.name);
        assert_eq!(with_empty.origins, without.origins, "{}", key.name);
    }
    // It does not hide a value of a weaker layer either.
    let hidden = Given { env: "POSTGRES_HOST=kept\n", environment: &[("POSTGRES_HOST", "")], ..NOTHING };
    assert_eq!(loaded("hidden", &hidden).settings.postgres.target.hosts, ["kept"]);
}

#[test]
fn the_variables_of_libpq_count_if_nothing_else_is_set() {
    for (variable, text, key) in [
        ("PGHOST", "h", "POSTGRES_HOST"),
        ("PGPORT", "6432", "POSTGRES_PORT"),
        ("PGDATABASE", "d", "POSTGRES_DB"),
        ("PGUSER", "u", "POSTGRES_USER"),
        ("PGPASSWORD", "p", "POSTGRES_PASSWORD"),
        ("PGSSLMODE", "verify-ca", "POSTGRES_SSL_MODE"),
        ("PGSSLROOTCERT", "/root.pem", "POSTGRES_SSL_ROOT_CERT"),
        ("PGAPPNAME", "a", "POSTGRES_APPLICATION_NAME"),
        ("PGOPTIONS", "-c geqo=off", "POSTGRES_OPTIONS"),
        ("PGTARGETSESSIONATTRS", "read-only", "POSTGRES_TARGET_SESSION_ATTRS"),
        ("PGPASSFILE", "/nowhere/pgpass", "POSTGRES_PASSFILE"),
        ("PGCHANNELBINDING", "require", "POSTGRES_CHANNEL_BINDING"),
        ("PGCONNECT_TIMEOUT", "3", "POSTGRES_CONNECT_TIMEOUT"),
        ("PGHOSTADDR", "127.0.0.1", "POSTGRES_HOSTADDR"),
        ("PGLOADBALANCEHOSTS", "random", "POSTGRES_LOAD_BALANCE_HOSTS"),
    ] {
        let shown = if variable == "PGPASSWORD" { "********" } else { text };
        let in_environment = loaded(variable, &Given { environment: &[(variable, text)], ..NOTHING });
        let found = origin(&in_environment, key);
        assert_eq!(
            (found.value.as_str(), found.source.as_str()),
            (shown, &*format!("as {variable} in the environment"))
        );

        let env = format!("{variable}='{text}'\n");
        let in_env_file = loaded(variable, &Given { env: &env, ..NOTHING });
        let found = origin(&in_env_file, key);
        assert_eq!((found.value.as_str(), found.source.as_str()), (shown, &*format!("as {variable} in .env, line 1")));
        assert_eq!(in_env_file.settings, in_environment.settings);

        // A file is meant for this server; environment variables may be meant for psql.
        let own = with_layers(KEYS.iter().find(|one| one.name == key).unwrap(), &[Layer::Toml], |given| {
            loaded(variable, &Given { environment: &[(variable, text)], ..*given })
        });
        assert!(origin(&own, key).source.starts_with("in config.toml"), "{variable}");
    }
}

#[test]
fn of_a_url_and_a_key_that_it_sets_the_stronger_layer_wins_and_in_one_layer_the_url() {
    let url = ("DATABASE_URL", "postgres://url:p@url-host:1/url-db");
    for (what, given, host, warnings) in [
        (
            "a flag over the environment's URL",
            Given { environment: &[url], flags: &[("POSTGRES_HOST", "flag-host")], ..NOTHING },
            "flag-host",
            vec![],
        ),
        (
            "the environment's URL over the file",
            Given { env: "POSTGRES_HOST=file-host\n", environment: &[url], ..NOTHING },
            "url-host",
            vec![
                "POSTGRES_HOST in .env, line 1 has no effect: it is set by DATABASE_URL in the environment".to_owned(),
            ],
        ),
        (
            "both in the environment",
            Given { environment: &[("POSTGRES_HOST", "key-host"), url], ..NOTHING },
            "url-host",
            vec![
                "POSTGRES_HOST in the environment has no effect: it is set by DATABASE_URL in the environment"
                    .to_owned(),
            ],
        ),
    ] {
        let loaded = loaded(what, &given);
        assert_eq!(loaded.settings.postgres.target.hosts, [host], "{what}");
        // Values that the other layer does not set are those of the URL.
        assert_eq!(loaded.settings.postgres.target.database, "url-db", "{what}");
        assert_eq!(loaded.warnings, warnings, "{what}");
    }
}
