//! The same session in HTTP requests, for where WebSocket does not pass: Server-Sent Events or
//! long-polling down, `POST /send` up (docs/protocol.md, "Over HTTP").

mod body;
mod cors;
mod open;
mod poll;
mod send;
mod source;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};

pub(super) use body::EventBody;
pub(super) use poll::answer as poll_answer;

use super::http::{Answer, text};
use crate::metrics::Refusal;
use crate::node::Seat;
use crate::shard::Shard;

/// A request's body at most: a batch of many commands. Where the API takes more it says so.
pub(crate) const BODY_BYTES: usize = 1 << 20;

/// How long so much may take, and as long again for each further part of this size.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Answers requests to `/events`, `/poll` and `/send`. `client` is whose address it comes from.
pub(super) async fn respond(
    shard: &Rc<Shard>,
    client: IpAddr,
    request: Request<Incoming>,
) -> Answer {
    let path = request.uri().path();
    let origin = request.headers().get(header::ORIGIN).cloned();
    if !shard.settings().origins.allow(request.headers()) {
        shard.tally.refused(Refusal::Origin);
        let why = "pages of this origin may not connect: add it to `origins` in [server]\n";
        return text(StatusCode::FORBIDDEN, why);
    }
    let mut answer = match (request.method(), path) {
        (&Method::OPTIONS, _) => cors::preflight(),
        (&Method::POST, "/events") => open::events(shard, client, request).await,
        (&Method::GET, "/events") => source::open(shard, client, &request),
        (&Method::POST, "/poll") => poll::respond(shard, client, request).await,
        (&Method::POST, "/send") => send::respond(shard, request).await,
        _ => {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "this takes POST\n");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            answer
        }
    };
    cors::allow(answer.headers_mut(), origin);
    let no_store = HeaderValue::from_static("no-store, no-transform");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

/// The whole body of a request, or the answer to one that is too long or too slow.
async fn body_of(request: Request<Incoming>) -> Result<Bytes, Answer> {
    collect(request, BODY_BYTES).await.map_err(|(status, why)| text(status, why))
}

/// The whole body of a request, `max` bytes at most; or the status for one that is too long or too
/// slow, and why.
pub(crate) async fn collect(
    request: Request<Incoming>,
    max: usize,
) -> Result<Bytes, (StatusCode, String)> {
    let body = Limited::new(request.into_body(), max).collect();
    let within = BODY_WITHIN * u32::try_from(max.div_ceil(BODY_BYTES)).unwrap_or(u32::MAX);
    match tokio::time::timeout(within, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let why = format!("the body has {max} bytes at most\n");
            Err((StatusCode::PAYLOAD_TOO_LARGE, why))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body ended early\n".into())),
        Err(_) => {
            let why = format!("the body took longer than {} s\n", within.as_secs());
            Err((StatusCode::REQUEST_TIMEOUT, why))
        }
    }
}

/// The token of an `Authorization` header.
fn token(headers: &HeaderMap) -> Option<String> {
    headers.get(header::AUTHORIZATION).and_then(super::upgrade::bearer)
}

/// Why there is no place for a session.
enum Full {
    Address { wait_ms: u64 },
    Node,
}

impl Full {
    fn answer(self) -> Answer {
        let (status, why, wait_ms) = match self {
            Full::Address { wait_ms } => {
                (StatusCode::TOO_MANY_REQUESTS, "too many sessions of this address\n", wait_ms)
            }
            Full::Node => (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n", 5000),
        };
        let mut answer = text(status, why);
        let seconds = HeaderValue::from(wait_ms.div_ceil(1000));
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
        answer
    }
}

/// A place for a session that is spoken in requests.
fn seat(shard: &Shard, client: IpAddr) -> Result<Seat, Full> {
    let Some(mut seat) = shard.node.seat() else {
        shard.tally.refused(Refusal::Busy);
        return Err(Full::Node);
    };
    shard.let_in(&mut seat, client).map_err(|wait_ms| Full::Address { wait_ms })?;
    Ok(seat)
}

/// The first line of a request, and the lines behind it.
fn split_head(body: &Bytes) -> (Bytes, Bytes) {
    match body.iter().position(|byte| *byte == b'\n') {
        Some(end) => (body.slice(..end), body.slice(end + 1..)),
        None => (body.clone(), Bytes::new()),
    }
}
