//! The pages and scripts that the server has with it: the demo and the SDK, as they were built
//! when the server was compiled, and the raw page, which needs no build.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::transport::http::{Answer, Content, text};

const RAW: &str = include_str!("../../../web/raw.html");

/// Name, content type and content of each.
type Assets = &'static [(&'static str, &'static str, &'static [u8])];

/// Empty, if the web assets were not built before the server was.
const ASSETS: Assets = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The demo's scripts and styles are files of its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Only the raw page's own script and style run, known by their hashes.
static RAW_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |tag| {
        let digest = Sha256::digest(inside(tag).as_bytes());
        format!("'sha256-{}'", STANDARD.encode(digest))
    };
    let policy = format!(
        "default-src 'none'; connect-src 'self' ws: wss:; script-src {}; style-src {}; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style"),
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// What stands inside the raw page's only `tag`.
fn inside(tag: &str) -> &'static str {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let rest = RAW.split_once(&open).map_or("", |(_, rest)| rest);
    rest.split_once(&close).map_or("", |(inside, _)| inside)
}

/// The demo; where it was not built the raw page, which says how to.
pub(crate) fn demo() -> Answer {
    asset("index.html").unwrap_or_else(raw)
}

/// The page on nothing but the browser's WebSocket.
pub(crate) fn raw() -> Answer {
    let html = "text/html; charset=utf-8";
    let mut answer = answer(html, RAW.as_bytes());
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, RAW_POLICY.clone());
    answer
}

/// A file of the demo.
pub(crate) fn asset(name: &str) -> Option<Answer> {
    let (_, kind, content) = ASSETS.iter().find(|(known, ..)| *known == name)?;
    let mut answer = answer(kind, content);
    let policy = HeaderValue::from_static(POLICY);
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Some(answer)
}

/// The SDK in one file, or what a page can have besides: for pages of any origin that have no
/// bundler.
pub(crate) fn sdk(name: &str) -> Answer {
    let Some(mut answer) = asset(name) else {
        let why = "the SDK was not built before this server was: run `cargo xtask dev`, which \
                   builds both\n";
        return text(StatusCode::NOT_FOUND, why);
    };
    let anywhere = HeaderValue::from_static("*");
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anywhere);
    answer
}

fn answer(kind: &'static str, content: &'static [u8]) -> Answer {
    let mut answer = Response::new(Content::Whole(Bytes::from_static(content)));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_page_has_one_script_and_one_style_and_the_policy_knows_them() {
        for tag in ["script", "style"] {
            assert_eq!(RAW.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(!inside(tag).is_empty(), "{tag}");
        }
        assert_eq!(RAW_POLICY.to_str().unwrap().matches("'sha256-").count(), 2);
    }
}
