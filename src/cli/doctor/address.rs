//! Whether anything answers at the address of the database.

use tokio::net::{TcpStream, UnixStream, lookup_host};

use super::CONNECT_MAX;
use super::report::Report;
use crate::settings::PostgresSettings;

/// Whether anything answers. One of several hosts is enough.
pub(super) async fn check(report: &mut Report, settings: &PostgresSettings) -> bool {
    let wait = settings.clocks.connect_timeout.min(CONNECT_MAX);
    let (mut answer, mut silent) = (Vec::new(), Vec::new());
    for (at, host) in settings.target.hosts.iter().enumerate() {
        let port = settings.target.ports.get(at).or(settings.target.ports.first()).copied().unwrap_or(5432);
        let place = match host.starts_with('/') {
            true => format!("{host}/.s.PGSQL.{port}"),
            false => format!("{host}:{port}"),
        };
        let knock = async {
            if host.starts_with('/') {
                return UnixStream::connect(&place).await.map(drop).map_err(|error| error.to_string());
            }
            let addresses = lookup_host((host.as_str(), port)).await;
            let addresses = addresses.map_err(|error| format!("the name is not known ({error})"))?.collect::<Vec<_>>();
            TcpStream::connect(&*addresses).await.map(drop).map_err(|error| error.to_string())
        };
        match tokio::time::timeout(wait, knock).await {
            Ok(Ok(())) => answer.push(format!("{place} answers")),
            Ok(Err(why)) => {
                silent
                    .push(format!("{place}: {why}. Is PostgreSQL there (POSTGRES_HOST, POSTGRES_PORT), and running?"));
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
