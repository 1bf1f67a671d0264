//! The demo page: plain HTML that needs no build, embedded in the binary.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{self, HeaderValue};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("../../../web/index.html");

/// Only the page's own script and style run, known by their hashes.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
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

/// What stands inside the page's only `tag`.
fn inside(tag: &str) -> &'static str {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let rest = PAGE.split_once(&open).map_or("", |(_, rest)| rest);
    rest.split_once(&close).map_or("", |(inside, _)| inside)
}

pub(crate) fn answer() -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
    let headers = answer.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, html);
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_the_policy_knows_them() {
        for tag in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(!inside(tag).is_empty(), "{tag}");
        }
        assert_eq!(POLICY.to_str().unwrap().matches("'sha256-").count(), 2);
    }
}
