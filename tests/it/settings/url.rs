//! All forms of `DATABASE_URL`, and its errors.

use crate::settings::{Given, NOTHING, loaded, origin, password, problems};

/// The keys that a URL sets, in the order of the report. The password is visible.
pub fn set_by(url: &str) -> Vec<(String, String)> {
    let loaded = loaded(url, &Given { environment: &[("DATABASE_URL", url)], ..NOTHING });
    let by_url = loaded.origins.iter().filter(|origin| origin.source.contains("DATABASE_URL"));
    by_url
        .map(|origin| match origin.key.as_str() {
            "POSTGRES_PASSWORD" => ("PASSWORD".to_owned(), password(&loaded).unwrap().to_owned()),
            key => (key.strip_prefix("POSTGRES_").unwrap().to_owned(), origin.value.clone()),
        })
        .collect()
}

#[test]
fn a_url_sets_only_the_values_that_it_has() {
    for (url, expected) in [
        ("postgres://h", &[("HOST", "h"), ("PORT", "5432")][..]),
        ("postgresql://h/d", &[("HOST", "h"), ("PORT", "5432"), ("DB", "d")]),
        ("postgres://u:p@h:5433/d", &[("HOST", "h"), ("PORT", "5433"), ("DB", "d"), ("USER", "u"), ("PASSWORD", "p")]),
        ("postgres://u@h", &[("HOST", "h"), ("PORT", "5432"), ("USER", "u")]),
        ("postgres://", &[]),
        ("postgres:///d", &[("DB", "d")]),
        ("postgres://h/?", &[("HOST", "h"), ("PORT", "5432")]),
        // Percent-encoding, in every part.
        (
            "postgres://a%40b:p%40s%2Fs%3A%3F%23%25w%C3%B6rd@h/d%20%2F",
            &[("HOST", "h"), ("PORT", "5432"), ("DB", "d /"), ("USER", "a@b"), ("PASSWORD", "p@s/s:?#%wörd")],
        ),
        // Special characters that need no encoding: the password ends at the @.
        (
            "postgres://u:a:b#c$d&e=f+g@h",
            &[("HOST", "h"), ("PORT", "5432"), ("USER", "u"), ("PASSWORD", "a:b#c$d&e=f+g")],
        ),
        (
            "postgres://u:a?b=c@h/d",
            &[("HOST", "h"), ("PORT", "5432"), ("DB", "d"), ("USER", "u"), ("PASSWORD", "a?b=c")],
        ),
        ("postgres://u:007@h", &[("HOST", "h"), ("PORT", "5432"), ("USER", "u"), ("PASSWORD", "007")]),
        // Several hosts, addresses, and sockets.
        ("postgres://a,b/d", &[("HOST", "a,b"), ("PORT", "5432,5432"), ("DB", "d")]),
        ("postgres://a:1,b:2/d", &[("HOST", "a,b"), ("PORT", "1,2"), ("DB", "d")]),
        ("postgres://[::1]:5433/d", &[("HOST", "::1"), ("PORT", "5433"), ("DB", "d")]),
        ("postgres://[::1],[fe80::2%25eth0]", &[("HOST", "::1,fe80::2%eth0"), ("PORT", "5432,5432")]),
        ("postgres://%2Frun%2Fpostgresql/d", &[("HOST", "/run/postgresql"), ("PORT", "5432"), ("DB", "d")]),
        ("postgres:///d?host=/run/postgresql", &[("HOST", "/run/postgresql"), ("DB", "d")]),
        ("postgres:///?host=a,b&port=1,2", &[("HOST", "a,b"), ("PORT", "1,2")]),
        // Parameters override the same value before the `?`.
        ("postgres://a:1/d?host=b&port=2&dbname=e", &[("HOST", "b"), ("PORT", "2"), ("DB", "e")]),
        ("postgres:///?user=u@v&password=p@q", &[("USER", "u@v"), ("PASSWORD", "p@q")]),
        (
            "postgres:///?sslmode=verify-full&sslrootcert=system",
            &[("SSL_MODE", "verify-full"), ("SSL_ROOT_CERT", "system")],
        ),
        (
            "postgres:///?options=-c%20search_path%3Dapp%2Cpublic&application_name=a%26b",
            &[("APPLICATION_NAME", "a&b"), ("OPTIONS", "-c search_path=app,public")],
        ),
        (
            "postgres:///?connect_timeout=3&target_session_attrs=any",
            &[("TARGET_SESSION_ATTRS", "any"), ("CONNECT_TIMEOUT", "3")],
        ),
        ("postgres:///?sslmode=disable&sslmode=require", &[("SSL_MODE", "require")]),
        ("postgres:///?sslmode=&host=&user=", &[]),
        ("postgres://u:@h", &[("HOST", "h"), ("PORT", "5432"), ("USER", "u")]),
    ] {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        assert_eq!(set_by(url), expected, "{url}");
    }
}

#[test]
fn an_invalid_url_is_reported_with_the_reason_and_without_the_password() {
    const FORM: &str = "it must be like postgres://user:password@host:port/database";
    const AMBIGUOUS: &str =
        "it is ambiguous: @ is written %40 and / is written %2F in the user, the password and the database";
    const ENCODED: &str = "with %XX for special characters in the user and the password";
    const SPLIT: &str = "after the ? there is a parameter that is not known; a ? in the password is written %3F";
    for (url, why) in [
        ("mysql://u:s3cret@h/d", format!("mysql:// is MySQL; {FORM}")),
        ("mongodb+srv://u:s3cret@h/d", format!("mongodb+srv:// is MongoDB; {FORM}")),
        ("prisma://accelerate.prisma-data.net/?api_key=s3cret", format!("prisma:// is Prisma's proxy; {FORM}")),
        ("https://u:s3cret@h/d", format!("https:// is a web page; {FORM}")),
        ("s3cret://u@h/d", format!("its scheme is not PostgreSQL's; {FORM}")),
        ("mysql:host=h password=s3cret", FORM.to_owned()),
        ("host=h secret=s3cret", FORM.to_owned()),
        ("host=h password='s3cret", FORM.to_owned()),
        ("s3cret", FORM.to_owned()),
        ("postgres:s3cret", FORM.to_owned()),
        ("postgres://u:a@s3cret@h/d", format!("{AMBIGUOUS}; {FORM}")),
        ("postgres://u:a/s3cret@h/d", format!("{AMBIGUOUS}; {FORM}")),
        ("postgres://u:s3cret", format!("invalid value for option `port`; {FORM}, {ENCODED}")),
        ("postgres://u:p@h:s3cret/d", format!("invalid value for option `port`; {FORM}, {ENCODED}")),
        ("postgres://u:p@[s3cret/d", format!("invalid value for option `host`; {FORM}, {ENCODED}")),
        ("postgres://u:s3cret%FF@h/d", "its password is not UTF-8".to_owned()),
        ("postgres:///?password=s3cret%FF", "its parameter password is not UTF-8".to_owned()),
        ("postgres://u:1/a?s3cret=b@h/d", SPLIT.to_owned()),
        ("postgres://u:1/a?s3%20cret=b", SPLIT.to_owned()),
        ("postgres://u:p@h/d?s3cret", "a parameter after the ? has no =".to_owned()),
        (
            "postgres://u:s3cret@h/d?sslfoo=1",
            "its parameter sslfoo is not known here, and may ask for a protection that is not there".to_owned(),
        ),
        (
            "postgres://u:s3cret@h/d?gssencmode=require",
            "its parameter gssencmode asks for what cannot be had: the connection can be encrypted by TLS, and not by GSSAPI"
                .to_owned(),
        ),
        (
            "postgres://u:s3cret@h/d?sslcrl=/x",
            "its parameter sslcrl asks for what cannot be had: certificates are not looked up in lists of those called back"
                .to_owned(),
        ),
    ] {
        let env = format!("DATABASE_URL=\"{url}\"\n");
        let told = problems(url, &Given { env: &env, ..NOTHING });
        assert_eq!(told, [format!("DATABASE_URL (in .env, line 1) cannot be used: {why}")], "{url}");
        assert!(!told[0].contains("s3cret"), "{url}");
    }
}

#[test]
fn a_value_in_a_url_has_the_range_of_its_key() {
    for (url, expected) in [
        (
            "postgres://u:s3cret@h?sslmode=perhaps",
            "POSTGRES_SSL_MODE is \"perhaps\" (by DATABASE_URL in the environment): \
             it must be one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        (
            "postgres://u:s3cret@h?connect_timeout=0.01",
            "POSTGRES_CONNECT_TIMEOUT is \"0.01\" (by DATABASE_URL in the environment): it must be seconds from 0.1 to 86400",
        ),
        (
            "postgres://u:s3cret@h:0",
            "POSTGRES_PORT is \"0\" (by DATABASE_URL in the environment): \
             it must be a port from 1 to 65535, or several separated by commas",
        ),
        (
            "postgres://u:s3cret@a,b?port=1,2,3",
            "POSTGRES_PORT (by DATABASE_URL in the environment) has 3 ports for 2 hosts: \
             it must be one for all, or one for each",
        ),
        (
            "postgres://u:s3cret@a,,b",
            "POSTGRES_HOST is \"a,,b\" (by DATABASE_URL in the environment): it must be a host such as db.example, 10.0.0.1, \
             ::1 or /run/postgresql, or several separated by commas; the port is POSTGRES_PORT, and a URL is DATABASE_URL",
        ),
        (
            "postgres:///?target_session_attrs=some",
            "POSTGRES_TARGET_SESSION_ATTRS is \"some\" (by DATABASE_URL in the environment): \
             it must be one of any, read-write, read-only, primary, standby, prefer-standby",
        ),
    ] {
        assert_eq!(problems(url, &Given { environment: &[("DATABASE_URL", url)], ..NOTHING }), [expected], "{url}");
    }
}

#[test]
fn a_url_is_shown_as_its_parts_with_a_masked_password() {
    let loaded = loaded("url", &Given { toml: "database_url = \"postgres://u:s3cret@h/d\"\n", ..NOTHING });
    let origin = origin(&loaded, "POSTGRES_PASSWORD");
    assert_eq!(origin.value, "********");
    assert_eq!(origin.source, "by DATABASE_URL in config.toml as database_url");
    assert!(loaded.origins.iter().all(|origin| origin.key != "DATABASE_URL"));
    assert!(!format!("{loaded:?}").contains("s3cret"), "nor by Debug");
}
