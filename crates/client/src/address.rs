//! A server's address, in the forms in which people write it.

use std::fmt;
use std::str::FromStr;

/// Where a server is: `http://localhost:8000`, `ws://host/socket`, `wss://host`, `localhost:8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The name or IP address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path of the socket.
    pub path: String,
}

/// Why an address was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress {
    text: String,
    why: &'static str,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an address: {}", self.text, self.why)?;
        f.write_str("; write http://localhost:8000, wss://example.com/socket or localhost:8000")
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let wrong = |why| InvalidAddress { text: text.into(), why };
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (tls, web) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, true),
            "https" => (true, true),
            "ws" => (false, false),
            "wss" => (true, false),
            _ => return Err(wrong("it starts with neither http, https, ws nor wss")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("a token does not belong in it"));
        }
        // Whatever stands there is written into a line of HTTP.
        if text.chars().any(|c| c.is_control() || c == ' ') || !path.is_ascii() {
            return Err(wrong("it has characters that no address has"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong("its port is wrong"))?;
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let path = path.split('#').next().unwrap_or_default().trim_end_matches('/');
        let path = match path {
            "" => "/socket".into(),
            // The address of a page: its socket is beside it.
            path if web && !path.ends_with("/socket") && !path.contains('?') => {
                format!("{path}/socket")
            }
            path if path.starts_with('/') => path.into(),
            path => format!("/{path}"),
        };
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host: host.into(), port, path })
    }
}

/// Host and port; `None` if the port is none.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok().filter(|port| *port > 0)?))),
        None => Some((authority, None)),
    }
}

impl Address {
    /// Host and port as they stand in a `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_an_address() {
        for (text, full) in [
            ("http://localhost:8000", "ws://localhost:8000/socket"),
            ("http://localhost:8000/", "ws://localhost:8000/socket"),
            ("localhost:8000", "ws://localhost:8000/socket"),
            ("example.com", "ws://example.com/socket"),
            ("https://example.com", "wss://example.com/socket"),
            ("https://example.com/app/", "wss://example.com/app/socket"),
            ("WSS://example.com:443/socket", "wss://example.com/socket"),
            ("ws://example.com/other?x=1", "ws://example.com/other?x=1"),
            ("ws://example.com?x=1", "ws://example.com/?x=1"),
            ("[::1]:8000", "ws://[::1]:8000/socket"),
            ("https://[::1]", "wss://[::1]/socket"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), full, "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "ftp://a",
            "http://",
            "http://:80",
            "a:b",
            "a:99999",
            "a:0",
            "a b",
            "http://user:secret@a",
            "http://a/\r\nX: 1",
            "[::1",
            "[::1]x",
            "http://a/ä",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
