//! Checks whether something answers at the address of the database.

use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpStream, UnixStream, lookup_host};

use super::CONNECT_MAX;
use super::report::Report;
use crate::settings::PostgresSettings;

/// Checks the addresses. It is enough if one of several hosts answers.
pub(super) async fn check(report: &mut Report, settings: &PostgresSettings) -> bool {
    let wait = settings.clocks.connect_timeout.min(CONNECT_MAX);
    let (mut answer, mut silent) = (Vec::new(), Vec::new());
    for (at, host) in settings.target.hosts.iter().enumerate() {
        let port = settings.target.ports.get(at).or(settings.target.ports.first()).copied().unwrap_or(5432);
        let place = match host {
            host if host.starts_with('/') => format!("{host}/.s.PGSQL.{port}"),
            host if host.contains(':') => format!("[{host}]:{port}"),
            host => format!("{host}:{port}"),
        };
        let knock = async {
            if host.starts_with('/') {
                return UnixStream::connect(&place).await.map(drop).map_err(|error| error.to_string());
            }
            let addresses = match settings.target.addresses.get(at) {
                Some(address) => vec![SocketAddr::new(*address, port)],
                None => {
                    let found = lookup_host((host.as_str(), port)).await;
                    found.map_err(|error| format!("the name is not known ({error})"))?.collect::<Vec<_>>()
                }
            };
            let is_ipv6 = addresses.iter().all(SocketAddr::is_ipv6) && host.parse::<IpAddr>().is_err();
            let family =
                if is_ipv6 { ": the name has only IPv6 addresses, which need a network with IPv6" } else { "" };
            TcpStream::connect(&*addresses).await.map(drop).map_err(|error| format!("{error}{family}"))
        };
        match tokio::time::timeout(wait, knock).await {
            Ok(Ok(())) => answer.push(format!("{place} answers")),
            Ok(Err(why)) => {
                let advice = match &settings.target.advice {
                    Some(advice) => format!("{}{}", advice[..1].to_uppercase(), &advice[1..]),
                    None => "Is PostgreSQL there (POSTGRES_HOST, POSTGRES_PORT), and running?".to_owned(),
                };
                silent.push(format!("{place}: {why}. {advice}"));
            }
            Err(_) => {
                silent.push(format!("{place} does not answer within {wait:?}: a firewall, or a wrong address"));
            }
        }
    }
    answer.iter().for_each(|said| report.ok("address", said));
    for said in silent {
        if answer.is_empty() { report.failed("address", said) } else { report.warning("address", said) }
    }
    !answer.is_empty()
}
