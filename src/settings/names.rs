//! The names in the headers Host and Origin: how they are written and compared.

use std::net::IpAddr;
use std::str::FromStr;

/// A host in the form that is compared: an IP address in its canonical form without brackets, a name in lower case
/// without a final dot.
pub fn canonical_host(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match IpAddr::from_str(bare) {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
    }
}

/// Whether data for that host stays on this machine.
pub fn is_this_machine(host: &str) -> bool {
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An entry of MCP_ALLOWED_HOSTS, if it is a host. A scheme and a port are removed, because Host is compared without
/// them.
pub(super) fn allowed_host(entry: &str) -> Option<String> {
    let rest = strip_scheme(entry).unwrap_or(entry);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // An IPv6 address without brackets cannot have a port.
    let host = if IpAddr::from_str(rest).is_ok() { rest } else { without_port(rest).unwrap_or(rest) };
    let host = canonical_host(host);
    let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    (is_name || IpAddr::from_str(&host).is_ok()).then_some(host)
}

/// An entry of MCP_ALLOWED_ORIGINS, if it is an origin in the form that browsers send (RFC 6454, section 6.2): in lower
/// case, without a path, and without the default port of the scheme.
pub(super) fn allowed_origin(entry: &str) -> Option<String> {
    if entry == "null" {
        return Some(entry.to_owned());
    }
    let (scheme, rest) = entry.split_once("://")?;
    let host = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
    let scheme = scheme.to_ascii_lowercase();
    if scheme.is_empty() || host.is_empty() || host.contains(['/', '?', '#', '@', '*']) {
        return None;
    }
    let own_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return Some(format!("{scheme}://{host}")),
    };
    Some(format!("{scheme}://{}", host.strip_suffix(own_port).unwrap_or(&host)))
}

fn strip_scheme(entry: &str) -> Option<&str> {
    let (scheme, rest) = entry.split_once("://")?;
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = authority.rsplit_once(':')?;
    port.parse::<u16>().is_ok().then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_host_is_taken_as_it_will_be_compared() {
        for (entry, expected) in [
            ("db.example", Some("db.example")),
            ("DB.Example.", Some("db.example")),
            ("db.example:443", Some("db.example")),
            ("https://db.example", Some("db.example")),
            ("HTTP://db.example:8808/", Some("db.example")),
            ("mcp_server", Some("mcp_server")),
            ("192.0.2.7:8808", Some("192.0.2.7")),
            ("[2001:DB8::1]:443", Some("2001:db8::1")),
            ("2001:db8:0::1", Some("2001:db8::1")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("*.example", None),
            ("*", None),
            ("https://db.example/mcp", None),
            ("db.example/mcp", None),
            ("ftp://db.example", None),
            ("db.example:http", None),
            ("user@db.example", None),
            ("büro.example", None),
            ("https://", None),
            ("[::1", None),
        ] {
            assert_eq!(allowed_host(entry).as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn an_allowed_origin_is_taken_as_browsers_send_it() {
        for (entry, expected) in [
            ("https://app.example", Some("https://app.example")),
            ("HTTPS://App.Example/", Some("https://app.example")),
            ("https://app.example:443", Some("https://app.example")),
            ("http://app.example:80", Some("http://app.example")),
            ("http://app.example:443", Some("http://app.example:443")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("vscode-webview://1abc", Some("vscode-webview://1abc")),
            ("null", Some("null")),
            ("app.example", None),
            ("*", None),
            ("https://*.example", None),
            ("https://app.example/path", None),
            ("https://", None),
            ("://app.example", None),
        ] {
            assert_eq!(allowed_origin(entry).as_deref(), expected, "{entry}");
        }
    }
}
