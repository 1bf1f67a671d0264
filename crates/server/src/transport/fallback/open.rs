//! Opening a session over Server-Sent Events.

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response};

use super::{EventBody, body_of, seat, token};
use crate::shard::Shard;
use crate::shard::connection::Connection;
use crate::shard::wire::Wire;
use crate::transport::http::{Answer, Content};

/// A comment that fills the buffers of proxies which hold back the first 2 KiB of an answer.
static PADDING: [u8; 2052] = padding();

const fn padding() -> [u8; 2052] {
    let mut padding = [b' '; 2052];
    padding[0] = b':';
    padding[2050] = b'\n';
    padding[2051] = b'\n';
    padding
}

/// Answers with all that the session is sent, for as long as it lives.
pub(super) async fn events(
    shard: &Rc<Shard>,
    client: IpAddr,
    request: Request<Incoming>,
) -> Answer {
    let token = token(request.headers());
    let shown = shard.settings().hooks.show(request.headers());
    let lines = match body_of(request).await {
        Ok(lines) => lines,
        Err(answer) => return answer,
    };
    let seat = match seat(shard, client) {
        Ok(seat) => seat,
        Err(full) => return full.answer(),
    };
    let connection = shard.admit_http((Wire::Events, seat, shown), token.as_deref(), &lines, None);
    stream(shard, connection, Bytes::from_static(&PADDING))
}

/// The answer that does not end.
pub(super) fn stream(shard: &Rc<Shard>, connection: Rc<Connection>, head: Bytes) -> Answer {
    let body = EventBody::new(shard.clone(), connection, head);
    let mut answer = Response::new(Content::Events(body));
    let events = HeaderValue::from_static("text/event-stream");
    answer.headers_mut().insert(header::CONTENT_TYPE, events);
    // nginx passes an answer with this on as it comes.
    let buffering = HeaderName::from_static("x-accel-buffering");
    answer.headers_mut().insert(buffering, HeaderValue::from_static("no"));
    answer
}
