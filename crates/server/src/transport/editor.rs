//! Editors of others, which speak Yjs: where they connect, and how they bring their token.

use std::sync::Arc;

use hyper::header::{HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Request, Uri};
use percent_encoding::percent_decode_str;
use tidings_core::engine::Editor;

use super::bearer;

/// What stands in front of a token among the subprotocols that a client offers: pages can set no
/// header, and what is in a URL is written down in many places.
const BEARER: &str = "bearer.";

/// The editor that connects at this path, if it is one for editors. A name that no document can
/// have is refused by the engine, with a code that editors do not come back from: browsers hide
/// the status of a failed upgrade.
pub(super) fn at(path: &str) -> Option<Editor> {
    if path == "/hocuspocus" || path == "/hocuspocus/" {
        return Some(Editor::Hocuspocus);
    }
    let name = path.strip_prefix("/yjs/")?;
    let document: Arc<str> = percent_decode_str(name).decode_utf8_lossy().into();
    Some(Editor::Yjs { document })
}

/// The subprotocol that is chosen, if the client offers any.
pub(super) fn subprotocol(editor: &Editor) -> &'static str {
    match editor {
        Editor::Yjs { .. } => "yjs",
        Editor::Hocuspocus => "hocuspocus",
    }
}

/// The token of a request: of its `Authorization` header, of a subprotocol `bearer.TOKEN`, or of
/// `?token=`. An empty one is none: y-websocket sends parameters that are not set.
pub(super) fn token<B>(request: &Request<B>) -> Option<String> {
    let headers = request.headers();
    let token = headers.get(hyper::header::AUTHORIZATION).and_then(bearer);
    let token = token.or_else(|| offered(headers)).or_else(|| queried(request.uri()));
    token.filter(|token| !token.is_empty())
}

fn offered(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|one| one.to_str().ok());
    let mut names = all.flat_map(|list| list.split(',')).map(str::trim);
    names.find_map(|name| name.strip_prefix(BEARER)).map(str::to_owned)
}

fn queried(uri: &Uri) -> Option<String> {
    let query = uri.query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "token").map(|(_, token)| token.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str) -> Option<String> {
        match at(path)? {
            Editor::Yjs { document } => Some(document.to_string()),
            Editor::Hocuspocus => None,
        }
    }

    #[test]
    fn the_path_names_the_document_percent_encoded_or_not() {
        for (path, name) in [
            ("/yjs/doc:plan", "doc:plan"),
            ("/yjs/doc%3Aplan", "doc:plan"),
            ("/yjs/doc:a/b", "doc:a/b"),
            ("/yjs/doc:%C3%A9", "doc:é"),
            ("/yjs/doc:%FF", "doc:\u{fffd}"),
            ("/yjs/", ""),
        ] {
            assert_eq!(document(path).as_deref(), Some(name), "{path}");
        }
        assert!(matches!(at("/hocuspocus"), Some(Editor::Hocuspocus)));
        for path in ["/yjs", "/yj", "/hocuspocus/doc", "/socket"] {
            assert!(at(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_token_comes_in_a_header_a_subprotocol_or_the_url() {
        let asked = |uri: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            token(&request.body(()).unwrap())
        };
        let offers = [("sec-websocket-protocol", "yjs, bearer.a-b.c_d")];
        assert_eq!(asked("/yjs/doc:a", &[]), None);
        assert_eq!(asked("/yjs/doc:a?token=", &[]), None);
        assert_eq!(asked("/yjs/doc:a?x=1&token=a.b%2Dc", &[]).as_deref(), Some("a.b-c"));
        assert_eq!(asked("/yjs/doc:a?token=other", &offers).as_deref(), Some("a-b.c_d"));
        let header = [("authorization", "Bearer mine")];
        assert_eq!(asked("/yjs/doc:a?token=other", &header).as_deref(), Some("mine"));
    }
}
