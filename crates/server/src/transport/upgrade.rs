//! From an HTTP request to a WebSocket (RFC 6455 section 4.2).

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tidings_core::engine::Editor;
use tidings_proto::{CloseCode, SUBPROTOCOL};
use tidings_websocket::{DeflateParams, handshake};

use super::accept::Counted;
use super::editor::{subprotocol, token};
use super::http::{Answer, Content, text};
use super::socket::Socket;
use crate::hooks::Shown;
use crate::metrics::Refusal;
use crate::shard::wire::Wire;
use crate::shard::{Newcomer, Shard, deflate_config};

/// What a good request asked for.
struct Wanted {
    accept: String,
    /// `None`: the client asked for none. `Some(None)`: for none that is spoken here.
    subprotocol: Option<Option<&'static str>>,
    deflate: Option<DeflateParams>,
    token: Option<String>,
    /// `None`: frames are JSON.
    editor: Option<Editor>,
    /// What of it the backend will be shown.
    shown: Option<Box<Shown>>,
}

/// Checks the request, answers it, and takes the connection over once the answer is out. An
/// `editor` speaks Yjs; without, frames are JSON.
pub(super) fn upgrade(
    shard: &Rc<Shard>,
    counted: &Rc<RefCell<Counted>>,
    request: Request<Incoming>,
    editor: Option<Editor>,
) -> Answer {
    if !shard.settings().origins.allow(request.headers()) {
        shard.tally.refused(Refusal::Origin);
        let why = "pages of this origin may not connect: add it to `origins` in [server]\n";
        return text(StatusCode::FORBIDDEN, why);
    }
    let wanted = match wanted(shard, &request, editor) {
        Ok(wanted) => wanted,
        Err((status, why)) => {
            shard.tally.refused(Refusal::Request);
            let mut answer = text(status, why);
            let version = HeaderValue::from_static("13");
            answer.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, version);
            return answer;
        }
    };
    let answer = switching(&wanted);
    let client = counted.borrow().client(shard, request.headers());
    let let_in = counted.borrow_mut().let_in(shard, client);
    let (shard, counted) = (shard.clone(), counted.clone());
    tokio::task::spawn_local(async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => take_over(&shard, &counted, upgraded, (wanted, let_in)),
            Err(error) => tracing::debug!(%error, "an upgrade was not completed"),
        }
    });
    answer
}

fn bytes<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a [u8] {
    headers.get(name).map_or(&[], HeaderValue::as_bytes)
}

/// The token of an `Authorization` header, empty if there is none behind `Bearer`. Other schemes
/// belong to somebody else, a proxy for instance.
pub(crate) fn bearer(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim().to_owned())
}

fn wanted(
    shard: &Shard,
    request: &Request<Incoming>,
    editor: Option<Editor>,
) -> Result<Wanted, (StatusCode, String)> {
    let headers = request.headers();
    let all = |name: HeaderName| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    if request.method() != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "an upgrade is a GET\n".into()));
    }
    if request.version() < Version::HTTP_11 {
        // RFC 9110 section 7.8: HTTP/1.0 has no upgrade.
        return Err((StatusCode::UPGRADE_REQUIRED, "an upgrade needs HTTP/1.1\n".into()));
    }
    handshake::check_upgrade(bytes(headers, &header::UPGRADE), bytes(headers, &header::CONNECTION))
        .and_then(|()| handshake::check_version(bytes(headers, &header::SEC_WEBSOCKET_VERSION)))
        .map_err(|why| {
            (StatusCode::UPGRADE_REQUIRED, format!("this is a WebSocket endpoint: {why}\n"))
        })?;
    let key = bytes(headers, &header::SEC_WEBSOCKET_KEY);
    handshake::check_key(key).map_err(|why| (StatusCode::BAD_REQUEST, format!("{why}\n")))?;
    let spoken = editor.as_ref().map_or(SUBPROTOCOL, subprotocol);
    let subprotocol = headers
        .contains_key(header::SEC_WEBSOCKET_PROTOCOL)
        .then(|| handshake::choose_subprotocol(all(header::SEC_WEBSOCKET_PROTOCOL), &[spoken]));
    let deflate = shard.settings().compression.then(deflate_config);
    let extensions = all(header::SEC_WEBSOCKET_EXTENSIONS);
    Ok(Wanted {
        accept: handshake::accept_key(key),
        subprotocol,
        deflate: deflate.and_then(|config| config.accept(extensions)),
        token: match &editor {
            Some(_) => token(request),
            None => headers.get(header::AUTHORIZATION).and_then(bearer),
        },
        editor,
        shown: shard.settings().hooks.show(headers),
    })
}

fn switching(wanted: &Wanted) -> Answer {
    let mut answer = Response::new(Content::Whole(Bytes::new()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&wanted.accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(Some(name)) = wanted.subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    let deflate = wanted.deflate.map(|params| HeaderValue::from_str(&params.to_string()));
    if let Some(Ok(deflate)) = deflate {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, deflate);
    }
    answer
}

/// Takes the socket back from hyper and hands it to the shard, with what was read too far.
fn take_over(
    shard: &Rc<Shard>,
    counted: &Rc<RefCell<Counted>>,
    upgraded: Upgraded,
    (wanted, let_in): (Wanted, Result<(), u64>),
) {
    let Ok(parts) = upgraded.downcast::<TokioIo<Socket>>() else {
        return tracing::error!("an upgraded connection is of no known kind");
    };
    let mut socket = parts.io.into_inner();
    socket.unread(parts.read_buf);
    let (stream, early) = socket.into_stream();
    let Some(seat) = counted.borrow_mut().take_seat() else { return };
    // What else an editor offers is nothing that it would be told in a language of its own.
    let unknown = wanted.subprotocol == Some(None) && wanted.editor.is_none();
    let refusal = unknown.then_some((CloseCode::UnsupportedVersion, None));
    let too_soon = let_in.err().map(|wait_ms| (CloseCode::RateLimited, Some(wait_ms)));
    let wire = match (&wanted.editor, &wanted.deflate) {
        (None, None) => Wire::WebSocket,
        (None, Some(_)) => Wire::Compressed,
        (Some(_), None) => Wire::Editor,
        (Some(_), Some(_)) => Wire::EditorCompressed,
    };
    let newcomer = Newcomer {
        wire,
        token: wanted.token,
        editor: wanted.editor,
        shown: wanted.shown,
        refusal: too_soon.or(refusal),
    };
    shard.admit((stream, seat), newcomer, &early);
}
