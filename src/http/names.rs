//! By what name a request comes, and from whose page.
//!
//! A page in a browser on this machine can make a name of its own lead here (DNS rebinding): it then says that name in Host.
//! Another site's page says where it comes from in Origin.

use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::settings::{Address, HttpSettings, canonical_host};

/// How a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// The system does not say.
    #[default]
    Unknown,
    /// At this address of this machine.
    Tcp(IpAddr),
    /// By a socket of the file system, where Host means nothing.
    Unix,
}

/// What a request is made to, by Host.
pub(super) enum Host {
    /// It does not say.
    Missing,
    /// It says what is no host.
    Wrong,
    Named(Authority),
}

impl Host {
    pub(super) fn of(request: &Parts) -> Self {
        match request.headers.get(HOST) {
            Some(host) if host.is_empty() => Self::Missing,
            Some(host) => Authority::try_from(host.as_bytes()).map_or(Self::Wrong, Self::Named),
            None => request.uri.authority().cloned().map_or(Self::Missing, Self::Named),
        }
    }

    /// The host as it is compared; empty if there is none.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Named(authority) => canonical_host(authority.host()),
            Self::Missing | Self::Wrong => String::new(),
        }
    }

    /// Whether it is a name of this server: one of the loopback's, one that it listens on, or one that is allowed.
    pub(super) fn is_ours(&self, arrival: Arrival, http: &HttpSettings) -> bool {
        let name = self.name();
        if arrival == Arrival::Unix || http.allowed_hosts.contains(&name) {
            return true;
        }
        match IpAddr::from_str(&name) {
            Ok(address) => address.is_loopback() || arrival == Arrival::Tcp(address),
            Err(_) => name == "localhost" || http.addresses.iter().any(|address| is_called(address, &name)),
        }
    }

    /// Whether no page can have brought it about: there is no name that could lead elsewhere. So probes come, which know
    /// an address only.
    pub(super) fn is_no_name(&self) -> bool {
        matches!(self, Self::Missing) || IpAddr::from_str(&self.name()).is_ok()
    }
}

fn is_called(address: &Address, name: &str) -> bool {
    matches!(address, Address::Tcp(host, _) if canonical_host(host) == name)
}

/// The origin of the page that has made a request, if that may not call this server.
pub(super) fn foreign_origin(headers: &HeaderMap, host: &Host, http: &HttpSettings) -> Option<String> {
    let origin = String::from_utf8_lossy(headers.get(ORIGIN)?.as_bytes()).into_owned();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let is_own = match (authority, host) {
        (Some(origin), Host::Named(host)) => origin == host.as_str(),
        _ => false,
    };
    (!is_own && !http.allowed_origins.contains(&origin)).then_some(origin)
}
