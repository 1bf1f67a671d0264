//! The HTTP side: pages, health, the fallbacks, and the upgrade to a WebSocket.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::accept::Counted;
use super::fallback::{self, EventBody};
use super::upgrade;
use crate::page;
use crate::shard::Shard;

/// An answer: a whole body, or a stream of events.
pub(crate) type Answer = Response<Either<Full<Bytes>, EventBody>>;

/// A body that is there already.
pub(crate) fn whole(body: Bytes) -> Either<Full<Bytes>, EventBody> {
    Either::Left(Full::new(body))
}

/// Answers one request.
pub(super) async fn respond(
    shard: Rc<Shard>,
    counted: Rc<RefCell<Counted>>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let mut answer = match request.uri().path() {
        "/events" | "/poll" | "/send" => fallback::respond(&shard, request).await,
        "/socket" => upgrade::upgrade(&shard, &counted, request),
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is known here\n");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
        "/health" if shard.stopping.get() => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        "/health" => text(StatusCode::OK, "ok\n"),
        "/tidings.js" => page::sdk(),
        "/" if shard.node.page => page::demo(),
        "/raw" if shard.node.page => page::raw(),
        path @ ("/chat.css" | "/chat.js") if shard.node.page => page::asset(&path[1..])
            .unwrap_or_else(|| text(StatusCode::NOT_FOUND, "it was not built\n")),
        "/" => text(StatusCode::OK, "Tidings. WebSocket at /socket, the SDK at /tidings.js\n"),
        _ => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
    };
    let headers = answer.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(answer)
}

/// A short plain answer.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(whole(body.into()));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

/// There are too many connections: said at once, without reading the request.
pub(super) async fn refuse_busy(mut tcp: TcpStream) {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
                  Content-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = tcp.write_all(answer.as_bytes()).await;
}
