//! libpq's variables (manual, section 34.15) that this server does not support. Each is reported once. If the
//! connection would be less safe without it, the settings are refused.

/// What follows if a variable is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Only its own purpose is lost.
    Told(&'static str),
    /// The connection would be less safe than requested.
    Refused(&'static str),
}

use Loss::{Refused, Told};

/// The variables, the values that have the same meaning here, and what follows for other values.
const NOT_OBEYED: &[(&str, &[&str], Loss)] = &[
    (
        "PGREQUIREAUTH",
        &[],
        Refused(
            "how PostgreSQL asks for the password cannot be limited here, except by POSTGRES_CHANNEL_BINDING=require",
        ),
    ),
    ("PGREQUIREPEER", &[], Refused("the owner of a server's socket cannot be checked here")),
    ("PGSSLCRL", &[], Refused("revoked certificates cannot be recognised here")),
    ("PGSSLCRLDIR", &[], Refused("revoked certificates cannot be recognised here")),
    ("PGSSLCERTMODE", &["allow"], Refused("a certificate is shown to a server that asks for one, and only then")),
    (
        "PGSSLMINPROTOCOLVERSION",
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        Refused("TLS 1.2 is the lowest here, and cannot be changed"),
    ),
    ("PGSSLMAXPROTOCOLVERSION", &["TLSv1.3"], Told("TLS 1.3 is the highest here, and cannot be changed")),
    ("PGSSLSNI", &["1"], Told("the name of the host is sent with TLS")),
    ("PGSSLCOMPRESSION", &["0"], Told("TLS is never compressed")),
    ("PGGSSENCMODE", &["disable", "prefer"], Refused("there is no encryption by GSSAPI here: POSTGRES_SSL_MODE")),
    ("PGKRBSRVNAME", &[], Told("there is no login by Kerberos here")),
    ("PGGSSLIB", &[], Told("there is no login by GSSAPI here")),
    ("PGGSSDELEGATION", &["0"], Told("there is no login by GSSAPI here")),
    ("PGMINPROTOCOLVERSION", &["3.0"], Refused("the protocol is version 3.0 here")),
    ("PGMAXPROTOCOLVERSION", &["3.0", "3.2", "latest"], Told("the protocol is version 3.0 here")),
    ("PGCLIENTENCODING", &["UTF8", "UTF-8", "auto"], Told("answers are UTF-8")),
    ("PGDATESTYLE", &["ISO"], Told("dates are written as ISO 8601 says")),
    ("PGTZ", &[], Told("POSTGRES_OPTIONS=-c TimeZone=… does the same")),
    ("PGGEQO", &[], Told("POSTGRES_OPTIONS=-c geqo=… does the same")),
];

/// The report about a variable with this value, if there is one: a warning or a problem.
pub(in super::super) fn not_obeyed(name: &str, text: &str, origin: &str) -> Option<Result<String, String>> {
    let (_, harmless, loss) = NOT_OBEYED.iter().find(|(known, ..)| *known == name)?;
    let text = text.trim();
    if text.is_empty() || harmless.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return None;
    }
    Some(match loss {
        Told(why) => Ok(format!("{name} ({origin}) has no effect: {why}")),
        Refused(why) => Err(format!("{name} ({origin}) cannot be obeyed: {why}")),
    })
}
