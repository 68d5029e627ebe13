//! The syntax of a line of `.env`.

use crate::settings::{Given, NOTHING, load, loaded, password, problems};

#[test]
fn a_value_in_an_env_file_is_read_exactly() {
    for (written, read) in [
        ("plain", "plain"),
        ("007", "007"),
        // Quotes are removed, and white space in them is kept.
        ("\"two words\"", "two words"),
        ("'two words'", "two words"),
        ("\"it's\"", "it's"),
        ("'say \"x\"'", "say \"x\""),
        ("\"a\\\"b\"", "a\"b"),
        ("'a\\b'", "a\\b"),
        ("\"a\\\\b\"", "a\\b"),
        ("\"two\\nlines\"", "two\nlines"),
        ("\"two\nlines\"", "two\nlines"),
        // A # begins a comment only after a space.
        ("a#b", "a#b"),
        ("#abc", "#abc"),
        ("#", "#"),
        ("a # b", "a"),
        ("\"a # b\"", "a # b"),
        ("'#a'", "#a"),
        ("a=b=", "a=b="),
        // There is no substitution of variables.
        ("$HOME", "$HOME"),
        ("a${HOME}", "a${HOME}"),
        ("pa$$word", "pa$$word"),
        ("\"$HOME\"", "$HOME"),
        ("'$HOME'", "$HOME"),
        ("\\$HOME", "$HOME"),
        ("'\\$HOME'", "\\$HOME"),
        ("$POSTGRES_HOST", "$POSTGRES_HOST"),
        ("a$", "a$"),
        ("a\"b c\"'d'", "ab cd"),
    ] {
        for (before, after) in [("", "\n"), ("export ", "\n"), ("  ", " \n"), ("\u{feff}", ""), ("", " "), ("", "\r\n")]
        {
            let env = format!("{before}POSTGRES_PASSWORD={written}{after}");
            let given = Given { env: &env, environment: &[("HOME", "/home/x")], ..NOTHING };
            assert_eq!(password(&loaded(&env, &given)), Some(read), "{env:?}");
        }
    }
}

#[test]
fn comments_and_blank_lines_are_ignored() {
    let env = "# POSTGRES_HOST=a\n\n   \n  # it's \"open\nPOSTGRES_HOST = b # POSTGRES_HOST=c\n#POSTGRES_HOST=d";
    assert_eq!(loaded(env, &Given { env, ..NOTHING }).settings.postgres.target.hosts, ["b"]);
}

#[test]
fn of_a_name_that_is_set_twice_the_last_value_counts_with_a_warning() {
    let loaded = loaded("twice", &Given { env: "POSTGRES_HOST=a\n\nPOSTGRES_HOST=b\n", ..NOTHING });
    assert_eq!(loaded.settings.postgres.target.hosts, ["b"]);
    assert_eq!(loaded.warnings, ["POSTGRES_HOST (in .env, line 3) is set more than once there: the last one counts"]);
}

#[test]
fn an_invalid_line_is_reported_by_its_number_and_never_shown() {
    const ADVICE: &str =
        "cannot be read: a line is NAME=value; a value with spaces, quotes, backslashes or # stands in quotes";
    for (env, line) in [
        ("POSTGRES_HOST=a\nPOSTGRES_PASSWORD=sec ret\n", 2),
        ("POSTGRES_HOST=a\nPOSTGRES_PASSWORD=sec ret   \n", 2),
        ("# sec ret\nPOSTGRES_PASSWORD=sec ret # why\n", 2),
        ("\n\nPOSTGRES_PASSWORD=\"sec\\ret\"\n", 3),
        ("\n\nPOSTGRES_PASSWORD=$ec ret\n", 3),
        ("\nsecret\n", 2),
        ("POSTGRES_HOST=a\n=secret\n", 2),
        ("POSTGRES_HOST=a\nPOSTGRES_PASSWORD=\"secret\nPOSTGRES_USER=b\n", 2),
        ("POSTGRES_PASSWORD='sec\n", 1),
        ("POSTGRES_PASSWORD: secret\n", 1),
        ("POSTGRES_HOST=a\r\nPOSTGRES_PASSWORD=sec ret\r\n", 2),
        ("POSTGRES_HOST=a\nPOSTGRES_PASSWORD=#sec ret\n", 2),
        ("POSTGRES_USER='a\nb'\n1X=secret\n", 3),
    ] {
        assert_eq!(problems(env, &Given { env, ..NOTHING }), [format!(".env, line {line} {ADVICE}")], "{env:?}");
    }
}

#[test]
fn a_named_env_file_must_exist_and_be_text() {
    let place = crate::settings::Place::of(&Given { files: &[("other.env", "POSTGRES_HOST=other\n")], ..NOTHING });
    let load_named = |name: &str| {
        let mut inputs = place.inputs(&NOTHING);
        inputs.env_file = Some(name.into());
        mcp_server_postgres::settings::load(&inputs)
    };
    assert_eq!(load_named("other.env").unwrap().settings.postgres.target.hosts, ["other"]);
    let missing = load_named("missing.env").unwrap_err().to_string();
    assert_eq!(place.plain(&missing), "missing.env cannot be read: No such file or directory (os error 2)");

    std::fs::write(place.path().join("latin1.env"), b"POSTGRES_PASSWORD=s\xe9cret\n").unwrap();
    let latin1 = load_named("latin1.env").unwrap_err().to_string();
    assert_eq!(place.plain(&latin1), "latin1.env cannot be read: its line 1 is not UTF-8");
    std::fs::write(place.path().join("utf16.env"), b"P\0O\0S\0T\0").unwrap();
    let utf16 = load_named("utf16.env").unwrap_err().to_string();
    assert_eq!(place.plain(&utf16), "utf16.env cannot be read: it is UTF-16: save it as UTF-8");
    load(&NOTHING).expect(".env itself need not be there");
}
