//! Which web pages may connect: the answer to cross-site WebSocket hijacking.

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

/// The rule for `Origin` headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origins {
    /// Exactly these. Empty: the server's own host.
    pub(crate) listed: Vec<String>,
    /// And any page of a loopback host: the server listens on loopback only.
    pub(crate) loopback: bool,
}

impl Origins {
    /// Whether a request may come from where it says. A request without `Origin` does not come
    /// from a web page: programs may always connect, and need a token like everybody.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(ORIGIN).iter();
        let Some(origin) = all.next() else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        if all.next().is_some() {
            return false;
        }
        if !self.listed.is_empty() {
            return self.listed.iter().any(|listed| listed == origin);
        }
        let Some(authority) =
            origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
        else {
            return false;
        };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        host == Some(authority) || (self.loopback && is_loopback(authority))
    }
}

/// Whether a `Host` or the authority of an origin is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether a proxy says that it passes a request on.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    let names = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
    names.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origins: &Origins, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        origins.allow(&headers)
    }

    #[test]
    fn only_listed_pages_may_connect() {
        let origins = Origins { listed: vec!["https://app.example.com".into()], loopback: false };
        let host = "chat.example.com";
        assert!(asked(&origins, host, Some("https://app.example.com")));
        assert!(asked(&origins, host, None));
        for evil in [
            "https://evil.example",
            "null",
            "https://app.example.com.evil",
            "https://app.example.com:444",
            "HTTPS://APP.EXAMPLE.COM",
            "http://app.example.com",
            "https://chat.example.com",
            "",
        ] {
            assert!(!asked(&origins, host, Some(evil)), "{evil}");
        }
    }

    #[test]
    fn without_a_list_the_own_host_may_and_on_loopback_any_loopback_page() {
        let own = Origins { listed: vec![], loopback: false };
        assert!(asked(&own, "chat.example.com", Some("https://chat.example.com")));
        assert!(!asked(&own, "chat.example.com", Some("https://evil.example")));
        assert!(!asked(&own, "chat.example.com", Some("http://localhost:8000")));
        let dev = Origins { listed: vec![], loopback: true };
        assert!(asked(&dev, "127.0.0.1:8000", Some("http://localhost:5173")));
        assert!(asked(&dev, "127.0.0.1:8000", Some("http://[::1]:8000")));
        assert!(!asked(&dev, "127.0.0.1:8000", Some("http://localhost.evil:80")));
        assert!(!asked(&dev, "127.0.0.1:8000", Some("file://")));
    }
}
