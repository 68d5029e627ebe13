//! Where a database is: hosts, addresses, ports, and what to say if nobody has chosen them.

use std::net::IpAddr;

use super::super::keys::{KEYS, Key};
use super::super::kind;
use super::super::layers::{Chosen, Rank};
use super::Values;

/// So many names of others are shown at most.
const OTHERS_SHOWN_MAX: usize = 3;

impl Values<'_> {
    pub(super) fn hosts(&mut self) -> Vec<String> {
        self.read("POSTGRES_HOST", |text, _| kind::hosts(text)).unwrap_or_default()
    }

    /// The IP addresses of the hosts, if they are not to be looked up.
    pub(super) fn addresses(&mut self) -> Vec<IpAddr> {
        const KEY: &str = "POSTGRES_HOSTADDR";
        let Some(Chosen { text, origin, .. }) = self.chosen.get(KEY) else { return Vec::new() };
        let addresses: Option<Vec<IpAddr>> = text.split(',').map(|address| address.trim().parse().ok()).collect();
        if addresses.is_none() {
            self.problems.push(format!("{KEY} is \"{text}\" ({origin}): it must be an IP address for each host"));
        }
        addresses.unwrap_or_default()
    }

    pub(super) fn ports(&mut self) -> Vec<u16> {
        self.read("POSTGRES_PORT", |text, _| kind::ports(text)).unwrap_or_default()
    }

    /// What of the connection is a default though it should be somebody's choice.
    pub(super) fn advice(&self, others: &[String]) -> Option<String> {
        let is_set = |key: &Key| self.chosen.get(key.name).is_some_and(|chosen| chosen.rank != Rank::Default);
        if !KEYS.iter().any(|key| key.is_of_a_connection() && is_set(key)) {
            let others = others.iter().take(OTHERS_SHOWN_MAX).map(|other| format!("; {other}")).collect::<String>();
            return Some(format!(
                "no database is configured: set DATABASE_URL (postgres://user:password@host:port/database), or POSTGRES_HOST, \
                 POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD, in the environment that the host gives this server, or in a \
                 file that --env-file names{others}"
            ));
        }
        let chosen = self.chosen.get("POSTGRES_HOST").filter(|chosen| chosen.origin == "default")?;
        (!self.chosen.contains_key("POSTGRES_HOSTADDR"))
            .then(|| format!("POSTGRES_HOST is not set, so {} was taken", chosen.text))
    }
}
