//! Long-polling: the request that opens a session, and those that ask for more.

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{body_of, seat, split_head, token};
use crate::hooks::Shown;
use crate::shard::Shard;
use crate::shard::requests::{Handle, Poll};
use crate::shard::wire::Wire;
use crate::transport::http::{Answer, Content, text};

/// The body of a request for more.
#[derive(Deserialize)]
struct Ask<'a> {
    connection: &'a str,
    ack: u64,
}

pub(super) async fn respond(
    shard: &Rc<Shard>,
    client: IpAddr,
    request: Request<Incoming>,
) -> Answer {
    let token = token(request.headers());
    let shown = shard.settings().hooks.show(request.headers());
    let body = match body_of(request).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    match serde_json::from_slice::<Ask<'_>>(&split_head(&body).0) {
        Ok(ask) => more(shard, &ask),
        Err(_) => open(shard, client, (token.as_deref(), shown), &body),
    }
}

fn open(
    shard: &Rc<Shard>,
    client: IpAddr,
    (token, shown): (Option<&str>, Option<Box<Shown>>),
    lines: &[u8],
) -> Answer {
    let seat = match seat(shard, client) {
        Ok(seat) => seat,
        Err(full) => return full.answer(),
    };
    let (poll, answered) = oneshot::channel();
    {
        // Not held across the wait: the session may end before its client hears of it.
        let connection = shard.admit_http((Wire::Lines, seat, shown), token, lines, None);
        if let Some(link) = connection.link() {
            link.open(poll);
        }
    }
    waiting(answered)
}

fn more(shard: &Rc<Shard>, ask: &Ask<'_>) -> Answer {
    let Some(handle) = Handle::parse(ask.connection) else { return gone() };
    let (reply, answered) = oneshot::channel();
    shard.send_poll(Poll { handle, ack: ask.ack, reply });
    waiting(answered)
}

fn waiting(answered: oneshot::Receiver<Bytes>) -> Answer {
    Response::new(Content::Waiting(answered))
}

pub(super) fn gone() -> Answer {
    let (status, _, why) = answer(None);
    text(status, why)
}

/// Status, content type and body of the answer to a poll, or to one whose session is no more.
pub(in crate::transport) fn answer(lines: Option<Bytes>) -> (StatusCode, &'static str, Bytes) {
    match lines {
        Some(lines) => (StatusCode::OK, "application/x-ndjson", lines),
        None => {
            let why = Bytes::from_static(b"there is no such connection: connect anew\n");
            (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", why)
        }
    }
}
