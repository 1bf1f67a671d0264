//! The HTTP side: pages, health, the fallbacks, and the upgrade to a WebSocket.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::accept::Counted;
use super::editor;
use super::fallback::{self, EventBody};
use super::takeover::{self, Slot, Takeover, Waiting};
use super::upgrade;
use crate::shard::Shard;
use crate::trace::body::TraceBody;
use crate::{api, console, page};

/// How long a connection that was refused is read, and how many of them at once: others may lose
/// the answer.
const LINGER: Duration = Duration::from_millis(500);
const REFUSING: usize = 64;

thread_local! {
    /// Connections of this shard that are being told that there is no room.
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// What an answer has behind its head.
pub(crate) enum Content {
    Events(EventBody),
    Trace(TraceBody),
    /// The lines for a poll, or that its session is no more, once that is known.
    Waiting(oneshot::Receiver<Bytes>),
    Whole(Bytes),
}

/// An answer.
pub(crate) type Answer = Response<Content>;

/// As hyper takes it.
type Sent = Response<Either<Full<Bytes>, Either<EventBody, TraceBody>>>;

/// Answers one request. What takes long leaves hyper by `slot`.
pub(super) async fn respond(
    shard: Rc<Shard>,
    counted: Rc<RefCell<Counted>>,
    slot: Option<Rc<Slot>>,
    request: Request<Incoming>,
) -> Result<Sent, Infallible> {
    let keep = takeover::keeps(request.version(), request.headers());
    let answer = route(&shard, &counted, request).await;
    Ok(match slot {
        Some(slot) => send(&shard, &slot, keep, answer).await,
        None => finish(answer).await,
    })
}

/// Hands an answer to hyper, or leaves it.
async fn send(shard: &Shard, slot: &Slot, keep: bool, answer: Answer) -> Sent {
    let (parts, content) = answer.into_parts();
    let lines = || takeover::header_lines(&parts.headers, shard.node.clock.now().wall_ms);
    match content {
        Content::Whole(body) => Response::from_parts(parts, Either::Left(Full::new(body))),
        Content::Trace(trace) => Response::from_parts(parts, Either::Right(Either::Right(trace))),
        Content::Events(events) => slot.leave(Takeover::Events(events, lines())).await,
        Content::Waiting(answered) => {
            let lines = lines().into_boxed_slice();
            slot.leave(Takeover::Poll(Waiting { answered, lines, keep })).await
        }
    }
}

/// Waits for what an answer waits for.
async fn finish(answer: Answer) -> Sent {
    let (mut parts, content) = answer.into_parts();
    let body = match content {
        Content::Whole(body) => body,
        Content::Events(events) => {
            return Response::from_parts(parts, Either::Right(Either::Left(events)));
        }
        Content::Trace(trace) => {
            return Response::from_parts(parts, Either::Right(Either::Right(trace)));
        }
        Content::Waiting(answered) => {
            let (status, kind, body) = fallback::poll_answer(answered.await.ok());
            parts.status = status;
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            body
        }
    };
    Response::from_parts(parts, Either::Left(Full::new(body)))
}

async fn route(
    shard: &Rc<Shard>,
    counted: &Rc<RefCell<Counted>>,
    request: Request<Incoming>,
) -> Answer {
    let mut answer = match request.uri().path() {
        "/events" | "/poll" | "/send" => {
            let client = counted.borrow().client(shard, request.headers());
            fallback::respond(shard, client, request).await
        }
        path if path.starts_with("/api/") => api::respond(shard, request).await,
        "/socket" => upgrade::upgrade(shard, counted, request, None),
        path if let Some(editor) = editor::at(path) => {
            upgrade::upgrade(shard, counted, request, Some(editor))
        }
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is known here\n");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
        path @ ("/health" | "/ready") => probe(shard, path),
        "/metrics" if shard.node.exposure.allows(request.headers()) => {
            let (status, kind, body) = shard.node.operations.metrics().await;
            let mut answer = text(status, body);
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            answer
        }
        path @ ("/tidings.js" | "/tidings-inbox.js" | "/tidings-live.js") => page::sdk(&path[1..]),
        path @ ("/console" | "/console.css" | "/console.js" | "/console/key")
            if shard.settings().console =>
        {
            console::respond(shard, path, &request, counted.borrow().is_local())
        }
        "/" if shard.settings().page => page::demo(),
        "/raw" if shard.settings().page => page::raw(),
        "/document" if shard.settings().page => built("document.html"),
        path @ ("/chat.css" | "/chat.js" | "/document.css" | "/document.js")
            if shard.settings().page =>
        {
            built(&path[1..])
        }
        // A part of the script, which is loaded when somebody asks for it.
        path if path.starts_with("/document-") && shard.settings().page => built(&path[1..]),
        "/" => text(StatusCode::OK, "Tidings. WebSocket at /socket, the SDK at /tidings.js\n"),
        _ => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
    };
    let headers = answer.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A file of the demo, if it was there when this server was compiled.
fn built(name: &str) -> Answer {
    page::asset(name).unwrap_or_else(|| text(StatusCode::NOT_FOUND, "it was not built\n"))
}

fn probe(shard: &Shard, path: &str) -> Answer {
    match shard.node.operations.probe(path) {
        Some((status, _, body)) => text(status, body),
        None => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
    }
}

/// A short plain answer.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Content::Whole(body.into()));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

/// There are too many connections: said at once, whatever is asked. What comes of the request is
/// read for a moment: if the socket were closed in front of it, the system would reset the
/// connection, and the client might never see the answer.
pub(super) async fn refuse_busy(mut tcp: TcpStream) {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
                  Content-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = tcp.write_all(answer.as_bytes()).await;
    if REFUSED.get() < REFUSING {
        REFUSED.set(REFUSED.get() + 1);
        let _ = tokio::time::timeout(LINGER, until_closed(&mut tcp)).await;
        REFUSED.set(REFUSED.get() - 1);
    }
}

async fn until_closed(tcp: &mut TcpStream) {
    let mut buffer = [0; 1024];
    if tcp.shutdown().await.is_ok() {
        while let Ok(1..) = tcp.read(&mut buffer).await {}
    }
}
