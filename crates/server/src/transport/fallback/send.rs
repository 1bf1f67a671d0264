//! Commands on their way up.

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::poll::gone;
use super::{body_of, split_head};
use crate::shard::Shard;
use crate::shard::requests::{Batch, Handle, Taken};
use crate::transport::http::{Answer, text};

/// The first line of a batch.
#[derive(Deserialize)]
struct Head<'a> {
    connection: &'a str,
    batch: u64,
    #[serde(default)]
    close: bool,
}

pub(super) async fn respond(shard: &Rc<Shard>, request: Request<Incoming>) -> Answer {
    let body = match body_of(request).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let (first, lines) = split_head(&body);
    let head: Head<'_> = match serde_json::from_slice(&first) {
        Ok(head) => head,
        Err(error) => {
            let why = format!("the first line is {{\"connection\", \"batch\"}}: {error}\n");
            return text(StatusCode::BAD_REQUEST, why);
        }
    };
    let Some(handle) = Handle::parse(head.connection) else { return gone() };
    let (reply, taken) = oneshot::channel();
    let (number, close) = (head.batch, head.close);
    shard.send_batch(Batch { handle, number, lines, close, reply });
    match taken.await {
        Ok(Taken::Yes) => text(StatusCode::NO_CONTENT, ""),
        Ok(Taken::NotNext(next)) => {
            text(StatusCode::CONFLICT, format!("the next batch is number {next}\n"))
        }
        Ok(Taken::Gone) | Err(_) => gone(),
    }
}
