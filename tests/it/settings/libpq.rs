//! libpq's files: the service file, and the password file of the home folder.

use std::fs;

use mcp_server_postgres::settings::{Loaded, PasswordSource};

use crate::settings::{Given, NOTHING, Place, loaded, origin, password, problems};

const SERVICES: (&str, &str) =
    ("services", "[shop]\nhost=db.example\nport=5433\nuser=clerk\npassword=s3cret\nsslmode=require\n[empty]\n");

fn service<'a>(environment: &'a [(&'a str, &'a str)], toml: &'a str) -> Given<'a> {
    Given { environment, toml, files: &[SERVICES], ..NOTHING }
}

fn host_and_user(loaded: &Loaded) -> (&str, &str) {
    let target = &loaded.settings.postgres.target;
    (&target.hosts[0], &target.user)
}

#[test]
fn a_service_sets_what_is_not_set_beside_it_and_goes_before_libpqs_variables() {
    let file = ("PGSERVICEFILE", "services");
    let url = "postgres://other.example/?service=shop";
    for (what, given, expected) in [
        ("PGSERVICE", service(&[("PGSERVICE", "shop"), file], ""), ("db.example", "clerk")),
        ("before PGHOST", service(&[("PGSERVICE", "shop"), ("PGHOST", "x"), file], ""), ("db.example", "clerk")),
        ("a setting", service(&[("PGSERVICE", "shop"), ("POSTGRES_HOST", "x"), file], ""), ("x", "clerk")),
        (
            "a setting beside it",
            service(&[("POSTGRES_SERVICE", "shop"), ("POSTGRES_USER", "x"), file], ""),
            ("db.example", "x"),
        ),
        ("a URL's", service(&[("DATABASE_URL", url), file], ""), ("other.example", "clerk")),
        ("TOML", service(&[file], "[postgres]\nservice = \"shop\"\n"), ("db.example", "clerk")),
        (
            "a higher layer",
            service(&[file, ("POSTGRES_HOST", "x")], "[postgres]\nservice = \"shop\"\n"),
            ("x", "clerk"),
        ),
        ("an empty section", service(&[("PGSERVICE", "empty"), file], ""), ("localhost", "postgres")),
    ] {
        assert_eq!(host_and_user(&loaded(what, &given)), expected, "{what}");
    }
    let loaded = loaded("all of it", &service(&[("PGSERVICE", "shop"), file], ""));
    assert_eq!(password(&loaded), Some("s3cret"));
    assert_eq!(origin(&loaded, "POSTGRES_PORT").source, "by the service shop in services, line 3");
    assert!(loaded.files.iter().any(|file| file.path.ends_with("services")), "it is followed");
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_further_database_may_be_a_service() {
    let toml = "[databases.other]\nservice = \"shop\"\ndb = \"stock\"\n";
    let loaded = loaded("a table", &service(&[("PGSERVICEFILE", "services")], toml));
    let (other, _) = loaded.settings.database("other").unwrap();
    assert_eq!((&*other.target.hosts[0], &*other.target.database), ("db.example", "stock"));
    assert_eq!(other.target.password.as_ref().unwrap().expose(), "s3cret");
}

#[test]
fn a_service_is_looked_for_in_the_home_folder_and_then_in_the_systems() {
    let place = Place::of(&NOTHING);
    for name in ["home", "system"] {
        fs::create_dir(place.path().join(name)).unwrap();
    }
    place.write("home/.pg_service.conf", "[mine]\nhost=mine\n[both]\nhost=mine\n");
    place.write("system/pg_service.conf", "[all]\nhost=all\n[both]\nhost=all\n");
    for (name, host) in [("mine", "mine"), ("both", "mine"), ("all", "all")] {
        let environment = &[("PGSERVICE", name), ("HOME", "home"), ("PGSYSCONFDIR", "system")];
        let loaded = mcp_server_postgres::settings::load(&place.inputs(&Given { environment, ..NOTHING })).unwrap();
        assert_eq!(loaded.settings.postgres.target.hosts, [host], "{name}");
    }
}

#[test]
fn a_service_that_cannot_be_used_is_told_with_its_place_and_without_its_words() {
    let with = |text| [("services", text)];
    let environment = &[("PGSERVICE", "shop"), ("PGSERVICEFILE", "services"), ("PGSYSCONFDIR", "nowhere")];
    let named = "POSTGRES_SERVICE is \"shop\" (as PGSERVICE in the environment): ";
    for (text, why) in [
        ("[other]\nhost=x\n", "there is no section [shop] in services, nowhere/pg_service.conf"),
        ("[shop]\nhost=x\ns3cret\n", "services, line 3: a line is name=value"),
        ("[shop]\nldap://x\n", "services, line 2: a service in LDAP is not supported"),
    ] {
        let told = problems(text, &Given { environment, files: &with(text), ..NOTHING });
        assert_eq!(told, [format!("{named}{why}")], "{text}");
    }
    let told = problems("no file", &Given { environment, ..NOTHING });
    assert!(told.len() == 1 && told[0].starts_with(&format!("{named}services cannot be read: ")), "{told:?}");
    let text = "[shop]\nhost=x\nnonsense=s3cret\nservice=other\n";
    let told = loaded("unknown", &Given { environment, files: &with(text), ..NOTHING }).warnings;
    let none = "has no effect: it is no setting of this server";
    assert_eq!(
        told,
        [format!("nonsense (in services, line 3) {none}"), format!("service (in services, line 4) {none}")]
    );
}

#[test]
fn the_password_file_of_the_home_folder_is_used_where_nothing_else_gives_a_password() {
    let place = Place::of(&NOTHING);
    let load = |environment: &[(&str, &str)]| {
        mcp_server_postgres::settings::load(&place.inputs(&Given { environment, ..NOTHING })).unwrap()
    };
    let passfile = |name: &str| PasswordSource::PassFile(place.path().join(name));
    for (environment, expected) in [
        (&[("HOME", "home")][..], passfile("home/.pgpass")),
        (&[("HOME", "home"), ("PGPASSFILE", "other")], passfile("other")),
        (&[("HOME", "home"), ("POSTGRES_PASSFILE", "third"), ("PGPASSFILE", "other")], passfile("third")),
        (&[("HOME", "home"), ("PGPASSWORD", "p")], PasswordSource::Settings),
        (&[], PasswordSource::Settings),
    ] {
        assert_eq!(load(environment).settings.postgres.target.password_source, expected, "{environment:?}");
    }
    let warned =
        |environment: &[(&str, &str)]| load(environment).warnings.iter().map(|it| place.plain(it)).collect::<Vec<_>>();
    assert_eq!(warned(&[("HOME", "home")]), Vec::<String>::new(), "few have one");
    assert_eq!(
        warned(&[("PGPASSFILE", "other")]),
        ["POSTGRES_PASSFILE (as PGPASSFILE in the environment) has no effect: other does not exist"]
    );
    place.write("open", "*:*:*:*:s3cret");
    assert_eq!(
        warned(&[("POSTGRES_PASSFILE", "open")]),
        [
            "POSTGRES_PASSFILE (in the environment) has no effect: open has mode 0644, and others could read it: chmod 0600"
        ]
    );
}

#[test]
fn one_of_the_keys_of_a_password_counts_and_the_others_of_lower_layers_are_told() {
    let command = ("POSTGRES_PASSWORD_COMMAND", "echo p");
    let told = problems("two", &Given { environment: &[("POSTGRES_PASSWORD", "p"), command], ..NOTHING });
    assert_eq!(
        told,
        ["POSTGRES_PASSWORD (in the environment) and POSTGRES_PASSWORD_COMMAND (in the environment) are both set: \
          keep one of them"]
    );
    let loaded = loaded("a lower one", &Given { environment: &[("PGPASSWORD", "p"), command], ..NOTHING });
    assert!(matches!(loaded.settings.postgres.target.password_source, PasswordSource::Command(_)));
    assert_eq!(password(&loaded), None);
    assert_eq!(
        loaded.warnings,
        [
            "POSTGRES_PASSWORD (as PGPASSWORD in the environment) has no effect: POSTGRES_PASSWORD_COMMAND is set in the \
          environment"
        ]
    );
    let told = problems("broken", &Given { environment: &[("POSTGRES_PASSWORD_COMMAND", "echo 's3cret")], ..NOTHING });
    assert!(told.len() == 1 && told[0].starts_with("POSTGRES_PASSWORD_COMMAND (in the environment) cannot be read"));
    assert!(!told[0].contains("s3cret"), "{told:?}");
}
