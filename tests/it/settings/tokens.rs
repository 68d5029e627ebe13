//! The tokens file, and the conditions for a daemon that accepts other machines.

use std::process::Command;

use mcp_server_postgres::settings::AccessMode;
use sha2::{Digest, Sha256};

use crate::settings::{Given, NOTHING, loaded, problems};

const HASH: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

fn given<'a>(files: &'a [(&'a str, &'a str)]) -> Given<'a> {
    Given { environment: &[("MCP_TOKENS_FILE", "tokens.toml")], files, ..NOTHING }
}

#[test]
fn by_default_a_token_may_only_read_the_main_database() {
    let toml = "[databases.stock]\ndb = \"stock\"\n";
    let text = format!(
        "[tokens.alice]\nsha256 = \"{HASH}\"\n[tokens.bob]\nsha256 = [\"{}\", \"{}\"]\nmode = \"read-write\"\n\
         databases = [\"main\", \"stock\"]\noperator = true\n",
        "b".repeat(64),
        "C".repeat(64),
    );
    let files = [("tokens.toml", text.as_str())];
    let settings = loaded("tokens", &Given { toml, ..given(&files) }).settings;
    let tokens = settings.http.tokens.unwrap();
    let (alice, bob) = (&tokens["alice"], &tokens["bob"]);
    assert_eq!((alice.access, alice.is_operator), (AccessMode::ReadOnly, false));
    assert_eq!((alice.databases.join(" ").as_str(), alice.hashes[0][31]), ("main", 0xaa));
    assert_eq!((bob.access, bob.is_operator, bob.hashes.len()), (AccessMode::ReadWrite, true, 2));
    assert_eq!(bob.databases, ["main", "stock"]);
    // With a file without tokens nobody is admitted. That differs from no file.
    assert_eq!(loaded("none", &given(&[("tokens.toml", "# none yet\n")])).settings.http.tokens.unwrap().len(), 0);
}

#[test]
fn problems_of_the_tokens_file_are_reported_without_hashes() {
    let entry = |more: &str| format!("[tokens.alice]\nsha256 = \"{HASH}\"\n{more}");
    for (text, expected) in [
        (entry("mode = \"write\""), "[tokens.alice] mode must be read-only or read-write"),
        (entry("databases = []"), "[tokens.alice] databases must name at least one"),
        (entry("databases = [\"stock\"]"), "[tokens.alice] databases has \"stock\"; there are main"),
        (entry("admin = true"), "unknown field"),
        (entry(&entry("").replace("alice", "bob")), "has a token that is there already"),
        (entry("").replace("alice", "\"a b\""), "[tokens.a b] has no name of letters, digits, -, _ and ."),
        (entry("").replace(HASH, "00aa"), "sha256 must be 64 hexadecimal digits, or a list of such"),
        (entry("").replace(HASH, &"g".repeat(64)), "sha256 must be 64 hexadecimal digits"),
        ("[tokens.alice]\nsha256 = []\n".to_owned(), "sha256 must be 64 hexadecimal digits"),
        ("[tokens.alice]\n".to_owned(), "missing"),
        ("[tokens".to_owned(), "cannot be read"),
    ] {
        let files = [("tokens.toml", text.as_str())];
        let problems = problems(&text, &given(&files));
        assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        assert!(
            problems[0].starts_with("MCP_TOKENS_FILE is ") && problems[0].contains("tokens.toml: it "),
            "{problems:?}"
        );
        assert!(!problems[0].contains("00aa") && !problems[0].contains("ggg"), "{problems:?}");
    }
}

#[test]
fn without_tokens_only_local_addresses_are_allowed() {
    for address in ["0.0.0.0:8808", "[::]:0", "192.0.2.1:80", "db.example:8808", "127.0.0.1:1,0.0.0.0:2"] {
        let environment = &[("MCP_HTTP_ADDR", address)];
        let problems = problems(address, &Given { environment, ..NOTHING });
        let expected = "beyond this machine nobody is let in without a token, so MCP_TOKENS_FILE must be set";
        assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}");
        let environment = &[("MCP_HTTP_ADDR", address), ("MCP_TOKENS_FILE", "tokens.toml")];
        loaded(address, &Given { environment, files: &[("tokens.toml", "")], ..NOTHING });
    }
    for address in ["127.0.0.1:0", "[::1]:80", "localhost:8808", "unix:/run/mcp.sock"] {
        loaded(address, &Given { environment: &[("MCP_HTTP_ADDR", address)], ..NOTHING });
    }
}

#[test]
fn a_certificate_and_its_key_must_be_set_together() {
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (pair(), pair());
    let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    let (both, other_key) = (format!("{cert}{key}"), other.signing_key.serialize_pem());
    let files =
        [("cert", cert.as_str()), ("key", &key), ("both", &both), ("other", &other_key), ("text", "no PEM at all")];
    for (environment, expected) in [
        (&[("MCP_TLS_CERT", "cert"), ("MCP_TLS_KEY", "key")][..], ""),
        (&[("MCP_TLS_CERT", "both")], ""),
        (&[("MCP_TLS_CERT", "cert"), ("MCP_TLS_KEY", "other")], "the certificate and the key do not go together"),
        (&[("MCP_TLS_CERT", "cert")], "there is no private key"),
        (&[("MCP_TLS_CERT", "text"), ("MCP_TLS_KEY", "key")], "there is no certificate"),
        (&[("MCP_TLS_KEY", "key")], "MCP_TLS_KEY is set without MCP_TLS_CERT"),
        (&[("MCP_TLS_CERT", "nowhere")], "it cannot be read"),
    ] {
        let given = Given { environment, files: &files, ..NOTHING };
        if expected.is_empty() {
            assert!(loaded("a pair", &given).settings.http.tls.is_some());
        } else {
            let problems = problems(expected, &given);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{environment:?}: {problems:?}");
            assert!(!problems[0].contains("PRIVATE KEY-----"), "{problems:?}");
        }
    }
}

#[test]
fn the_table_that_the_program_prints_for_a_token_admits_the_token() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres")).arg("token").args(arguments).output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (is_good, text) = run(&["ci.1", "--mode", "read-write", "--operator"]);
    assert!(is_good);
    let (token, table) = text.split_once('\n').unwrap();
    let files = [("tokens.toml", table)];
    let settings = loaded("made", &given(&files)).settings;
    let made = &settings.http.tokens.unwrap()["ci.1"];
    assert_eq!(made.hashes, [<[u8; 32]>::from(Sha256::digest(token))]);
    assert_eq!((made.access, made.is_operator), (AccessMode::ReadWrite, true));
    assert_ne!(run(&["ci.1"]).1.lines().next(), Some(token), "each is another one");
    assert!(!run(&["a b"]).0);
    // The settings do not contain the token.
    assert!(!table.contains(token));
}
