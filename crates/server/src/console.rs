//! The console: a page that shows and does what the HTTP API can, and the key that it finds by
//! itself on a server for trying out.

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::json;

use crate::page;
use crate::shard::Shard;
use crate::transport::http::{Answer, text};
use crate::transport::origin::{is_forwarded, is_loopback};

/// Answers a request for the page, its files, or the key. `is_local`: the connection comes from
/// this machine.
pub(crate) fn respond(
    shard: &Shard,
    path: &str,
    request: &Request<Incoming>,
    is_local: bool,
) -> Answer {
    if shard.settings().api.is_empty() {
        // There is nothing to sign in to.
        let why = "the console needs the HTTP API, which is off: add an [[api.key]] to the \
                   configuration\n";
        return text(StatusCode::NOT_FOUND, why);
    }
    match path {
        "/console/key" => key(shard, request, is_local),
        "/console" => page::asset("console.html").unwrap_or_else(|| {
            let why = "the console was not built before this server was: run `cargo xtask dev`, \
                       which builds both\n";
            text(StatusCode::NOT_FOUND, why)
        }),
        file => page::asset(&file[1..])
            .unwrap_or_else(|| text(StatusCode::NOT_FOUND, "it was not built\n")),
    }
}

/// The key of a development server, for its own console alone.
fn key(shard: &Shard, request: &Request<Incoming>, is_local: bool) -> Answer {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    // HTTP/2 has it in the URL.
    let host = host.or(request.uri().authority().map(|authority| authority.as_str()));
    let own = is_local && is_for_the_console(host, request.headers());
    let secret = shard.node.console_key.as_ref().map(|secret| secret.expose());
    // A configuration that was changed may have other keys by now.
    let secret = secret.filter(|secret| own && shard.settings().api.find(secret).is_some());
    let mut answer = match secret {
        Some(secret) => text(StatusCode::OK, json!({ "key": secret }).to_string()),
        None => text(StatusCode::NOT_FOUND, "the console has no key of its own here\n"),
    };
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if secret.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    answer
}

/// Whether a request comes from the console in a browser on this machine, as far as its head tells;
/// or from a program there, which could read the file that the key is in. A page of another origin
/// says where it comes from, and one that has its own name resolve to this machine sends that name.
fn is_for_the_console(host: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(host) = host.filter(|host| is_loopback(host)) else { return false };
    let own_site = HeaderValue::from_static("same-origin");
    let same_site = headers.get_all("sec-fetch-site").iter().all(|site| site == own_site);
    let same_origin = headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        authority == Some(host)
    });
    same_site && same_origin && !is_forwarded(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_pages_and_rebound_names_get_no_key() {
        let ask = |host: &str, list: &[(&'static str, &'static str)]| {
            let pairs = list.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
            is_for_the_console(Some(host), &pairs.collect())
        };
        let fetch = ("sec-fetch-site", "same-origin");
        assert!(ask("localhost:8000", &[fetch]));
        assert!(ask("127.0.0.1:8000", &[fetch, ("origin", "http://127.0.0.1:8000")]));
        assert!(ask("[::1]:8000", &[("origin", "https://[::1]:8000")]), "an old browser");
        assert!(ask("localhost:8000", &[]), "a program of this machine");
        for (host, list) in [
            ("evil.example:8000", &[fetch][..]),
            ("localhost.evil.example", &[fetch]),
            ("localhost:8000", &[("sec-fetch-site", "cross-site")]),
            ("localhost:8000", &[("sec-fetch-site", "same-site")]),
            ("localhost:8000", &[("sec-fetch-site", "none")]),
            ("localhost:8000", &[fetch, ("origin", "http://localhost:3000")]),
            ("localhost:8000", &[fetch, ("origin", "null")]),
            ("localhost:8000", &[fetch, ("x-forwarded-for", "203.0.113.7")]),
        ] {
            assert!(!ask(host, list), "{host} {list:?}");
        }
        assert!(!is_for_the_console(None, &HeaderMap::new()));
    }
}
