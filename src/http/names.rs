//! Checks the headers Host and Origin.
//!
//! A web page can use DNS rebinding to send requests from a browser to this server; its own name is then in Host. A
//! browser names the site of a page in Origin.

use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::settings::{Address, HttpSettings, canonical_host};

/// How a connection has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// The operating system does not say.
    #[default]
    Unknown,
    /// At this address of this machine.
    Tcp(IpAddr),
    /// On a Unix socket, where Host has no meaning.
    Unix,
}

/// The host that a request names.
pub(super) enum Host {
    /// None.
    Missing,
    /// It is not a valid host, or there are several.
    Invalid,
    Named(Authority),
}

impl Host {
    pub(super) fn of(request: &Parts) -> Self {
        let mut hosts = request.headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next(), request.uri.authority()) {
            (Some(_), Some(_), _) => Self::Invalid,
            (Some(host), None, None) if host.is_empty() => Self::Missing,
            (Some(host), None, in_uri) => match Authority::try_from(host.as_bytes()) {
                Ok(host) if in_uri.is_none_or(|in_uri| *in_uri == host) => Self::of_authority(host),
                _ => Self::Invalid,
            },
            (None, _, Some(in_uri)) => Self::of_authority(in_uri.clone()),
            (None, _, None) => Self::Missing,
        }
    }

    /// A host and perhaps a port. Host has no user (RFC 9110, section 7.2).
    fn of_authority(authority: Authority) -> Self {
        if authority.as_str().contains('@') { Self::Invalid } else { Self::Named(authority) }
    }

    /// The host in the form that is compared; empty if there is none.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Named(authority) => canonical_host(authority.host()),
            Self::Missing | Self::Invalid => String::new(),
        }
    }

    /// Whether it is a name of this server: a loopback name, an address on which it listens, or an allowed name.
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

    /// Whether it cannot come from DNS rebinding, because it is an IP address or missing. Health checks often know only
    /// an address.
    pub(super) fn is_no_name(&self) -> bool {
        matches!(self, Self::Missing) || IpAddr::from_str(&self.name()).is_ok()
    }
}

fn is_called(address: &Address, name: &str) -> bool {
    matches!(address, Address::Tcp(host, _) if canonical_host(host) == name)
}

/// The origin of the page that sent the request, if this origin is not allowed.
pub(super) fn disallowed_origin(headers: &HeaderMap, host: &Host, http: &HttpSettings) -> Option<String> {
    let origin = String::from_utf8_lossy(headers.get(ORIGIN)?.as_bytes()).into_owned();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let is_own = match (authority, host) {
        (Some(origin), Host::Named(host)) => origin == host.as_str(),
        _ => false,
    };
    (!is_own && !http.allowed_origins.contains(&origin)).then_some(origin)
}
