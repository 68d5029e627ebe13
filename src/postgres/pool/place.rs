//! The address of a server that cannot be reached, for the person who must repair it, with possible causes.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;

use crate::postgres::error::{Phase, QueryError};
use crate::settings::TargetSettings;

/// The time limit for looking up the name once more.
const LOOKUP_MAX: Duration = Duration::from_secs(1);

/// The error of opening a connection to `target`, with the addresses that were tried and possible causes. It names no
/// user and no password.
pub(super) async fn with_place(error: QueryError, target: &TargetSettings) -> QueryError {
    let advice = target.advice.as_ref().map_or(String::new(), |advice| format!(" ({advice})"));
    match error {
        QueryError::Unavailable { why, phase: Phase::Connect, target: name, outcome_unknown } => {
            let at = format!("connect to PostgreSQL at {}", places(target).join(", "));
            let family = match only_ipv6(target).await {
                Some(host) => format!(
                    "; {host} has only IPv6 addresses, which need a network with IPv6: providers have another host for IPv4"
                ),
                None => String::new(),
            };
            let why = format!("{}{family}{advice}", why.replacen("connect to PostgreSQL", &at, 1));
            QueryError::Unavailable { why, phase: Phase::Connect, target: name, outcome_unknown }
        }
        QueryError::Rejected(mut rejection) if rejection.hint.is_none() && target.advice.is_some() => {
            let places = places(target).join(", ");
            rejection.hint = Some(format!("The server at {places} was asked{advice}."));
            QueryError::Rejected(rejection)
        }
        other => other,
    }
}

/// `db.example:5432`, `[::1]:5432`, `/run/postgresql/.s.PGSQL.5432`; one for each host.
fn places(target: &TargetSettings) -> Vec<String> {
    let port = |at: usize| target.ports.get(at).or(target.ports.first()).copied().unwrap_or(5432);
    let place = |(at, host): (usize, &String)| match host {
        host if host.starts_with('/') => format!("{host}/.s.PGSQL.{}", port(at)),
        host if host.contains(':') => format!("[{host}]:{}", port(at)),
        host => format!("{host}:{}", port(at)),
    };
    target.hosts.iter().enumerate().map(place).collect()
}

/// A host whose name has no IPv4 address.
async fn only_ipv6(target: &TargetSettings) -> Option<&str> {
    if !target.addresses.is_empty() {
        return None;
    }
    for host in target.hosts.iter().filter(|host| !host.starts_with('/') && host.parse::<IpAddr>().is_err()) {
        let found = tokio::time::timeout(LOOKUP_MAX, lookup_host((host.as_str(), 0))).await;
        let addresses: Vec<_> = found.ok().and_then(Result::ok).into_iter().flatten().collect();
        if !addresses.is_empty() && addresses.iter().all(|address| address.is_ipv6()) {
            return Some(host);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;
    use crate::settings::{Inputs, load};

    fn target(url: &str) -> TargetSettings {
        let environment = vec![("DATABASE_URL".to_owned(), url.to_owned())];
        let folder = tempfile::tempdir().unwrap().path().to_owned();
        load(&Inputs { environment, folder, ..Inputs::default() }).unwrap().settings.postgres.target
    }

    #[tokio::test]
    async fn an_address_is_named_with_its_port_and_without_the_user() {
        for (url, place) in [
            ("postgres://clerk:s3cret@db.invalid/d", "db.invalid:5432"),
            ("postgres://clerk@[::1]:5433/d", "[::1]:5433"),
            ("postgres://clerk@/d?host=/run/pg&port=6543", "/run/pg/.s.PGSQL.6543"),
            ("postgres://clerk@10.0.0.1,10.0.0.2:1/d", "10.0.0.1:5432, 10.0.0.2:1"),
        ] {
            let error = QueryError::Unavailable {
                why: "could not connect to PostgreSQL: refused".to_owned(),
                phase: Phase::Connect,
                target: "t".to_owned(),
                outcome_unknown: false,
            };
            let told = with_place(error, &target(url)).await.for_model();
            assert!(told.contains(&format!("could not connect to PostgreSQL at {place}: refused. ")), "{url}: {told}");
            assert!(!told.contains("clerk") && !told.contains("s3cret"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_name_that_has_only_ipv6_addresses_is_told() {
        assert_eq!(only_ipv6(&target("postgres://[::1]/d")).await, None, "an address is no name");
        assert_eq!(only_ipv6(&target("postgres://name.invalid/d")).await, None);
        // Debian's name for it, which not every machine has.
        let name = "ip6-localhost";
        let known = lookup_host((name, 0)).await.map(|found| found.collect::<Vec<_>>()).unwrap_or_default();
        if known.is_empty() || known.iter().any(|address| address.is_ipv4()) {
            eprintln!("skipped: this machine has no name {name} with IPv6 addresses alone");
            return;
        }
        assert!(IpAddr::from_str(name).is_err());
        assert_eq!(only_ipv6(&target(&format!("postgres://{name}/d"))).await, Some(name));
    }
}
