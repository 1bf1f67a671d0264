//! `ws://host:port/path`.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::error::{Error, Result};

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// The first address of the host.
    pub(crate) address: SocketAddr,
    authority: String,
    path: String,
}

impl Url {
    /// Reads and resolves a URL.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix("ws://").or_else(|| text.strip_prefix("http://")) else {
            return Err(Error::usage(format!("{text}: only ws:// is measured")));
        };
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let full = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let address = full
            .to_socket_addrs()
            .map_err(Error::system(format!("look up {authority}")))?
            .next()
            .ok_or_else(|| Error::usage(format!("{authority} has no address")))?;
        let path = if path.is_empty() { "/socket" } else { path };
        Ok(Self { address, authority: authority.to_owned(), path: path.to_owned() })
    }

    /// A request of HTTP/1.1 with a body, to a path beside the WebSocket's.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let (authority, length) = (&self.authority, body.len());
        let beside = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!(
            "POST {beside}/{path} HTTP/1.1\r\nHost: {authority}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// The request that opens a WebSocket.
    pub(crate) fn upgrade_request(&self) -> String {
        let Self { authority, path, .. } = self;
        format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: tidings.v1\r\n\r\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("ws://127.0.0.1:8000/socket").unwrap();
        assert_eq!(url.address, SocketAddr::from(([127, 0, 0, 1], 8000)));
        assert!(
            url.upgrade_request().starts_with("GET /socket HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n")
        );
        assert_eq!(
            url.post("poll", "{}"),
            "POST /poll HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nContent-Length: 2\r\n\r\n{}"
        );
        assert_eq!(Url::parse("ws://127.0.0.1").unwrap().address.port(), 80);
        assert_eq!(Url::parse("ws://127.0.0.1:81").unwrap().path, "/socket");
        assert!(Url::parse("wss://127.0.0.1/").is_err());
    }
}
