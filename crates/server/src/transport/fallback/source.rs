//! A plain `EventSource`: channels in the URL, receiving only, resumed by `Last-Event-ID`.

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;
use tidings_core::policy::Kind;
use tidings_proto::CloseCode;

use super::open::stream;
use super::seat;
use crate::shard::Shard;
use crate::shard::connection::Connection;
use crate::shard::wire::Wire;
use crate::transport::http::{Answer, text};
use crate::transport::positions::Positions;

/// Channels of one `EventSource`.
const CHANNELS: usize = 16;

/// How long a ticket in a URL may have to live: URLs are written down in many places.
const TICKET_MS: u64 = 300_000;

/// What stands in the URL.
#[derive(Debug, Default)]
struct Wish {
    channels: Vec<String>,
    rewind: Option<u64>,
    ticket: Option<String>,
}

impl Wish {
    fn parse(query: &str) -> Result<Self, &'static str> {
        let mut wish = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "channel" if wish.channels.iter().any(|one| *one == value) => {}
                "channel" => wish.channels.push(value.into_owned()),
                "rewind" => {
                    wish.rewind = Some(value.parse().map_err(|_| "`rewind` is a number\n")?)
                }
                "ticket" => wish.ticket = Some(value.into_owned()),
                _ => {}
            }
        }
        match wish.channels.len() {
            0 => Err("which channel? GET /events?channel=news:all\n"),
            1..=CHANNELS => Ok(wish),
            _ => Err("at most 16 channels\n"),
        }
    }
}

pub(super) fn open(shard: &Rc<Shard>, client: IpAddr, request: &Request<Incoming>) -> Answer {
    let wish = match Wish::parse(request.uri().query().unwrap_or_default()) {
        Ok(wish) => wish,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    let seat = match seat(shard, client) {
        Ok(seat) => seat,
        Err(full) => return full.answer(),
    };
    let settings = shard.settings();
    let has_keys = |channel: &str| {
        let rules = settings.policy.namespace_of(channel);
        rules.is_some_and(|rules| rules.policy.kind == Kind::State)
    };
    let positions = Positions::new(&wish.channels, last, has_keys);
    let lines = commands(&wish, &positions);
    let positions = if wish.rewind.is_some() { positions.rewind() } else { positions };
    let shown = shard.settings().hooks.show(request.headers());
    let connection = shard.admit_http((Wire::Source, seat, shown), None, b"", Some(positions));
    if let Some(ticket) = &wish.ticket {
        shard.admit_by_ticket(&connection, ticket, TICKET_MS);
    }
    shard.hear_lines(&connection, lines.as_bytes());
    if let Some((status, why)) = refusal(shard, &connection) {
        shard.end(&connection);
        return text(status, why);
    }
    // Browsers that lose their connection all at once do not come back all at once.
    let retry = format!("retry: {}\n\n", 1000 + shard.node.spread_ms());
    stream(shard, connection, Bytes::from(retry))
}

fn commands(wish: &Wish, positions: &Positions) -> String {
    let mut lines = String::new();
    for (index, channel) in wish.channels.iter().enumerate() {
        let mut command = json!({"type": "subscribe", "id": index + 1, "channel": channel});
        if let Some((epoch, offset)) = positions.of(index) {
            command["since"] = json!({"epoch": epoch, "offset": offset});
        }
        if let Some(rewind) = wish.rewind {
            command["rewind"] = rewind.into();
        }
        lines.push_str(&command.to_string());
        lines.push('\n');
    }
    lines
}

/// What was refused at once is told by the status: an `EventSource` does not come back then.
fn refusal(shard: &Shard, connection: &Connection) -> Option<(StatusCode, String)> {
    let said = connection.queue.borrow().text();
    let mut frames = said.split("\n\n").filter_map(|frame| {
        let data = frame.rsplit_once("data: ")?.1;
        serde_json::from_str::<serde_json::Value>(data).ok()
    });
    let refused = frames.find(|frame| frame["type"] == "error" || frame["type"] == "bye")?;
    let code = refused["code"].as_u64();
    let draining = code == Some(u64::from(CloseCode::Draining.code()));
    let why = refused["message"].as_str().or(refused["reason"].as_str()).unwrap_or_default();
    let status = match (code, refused["code"].as_str()) {
        _ if draining || shard.stopping.get() => StatusCode::SERVICE_UNAVAILABLE,
        (Some(4401 | 4501), _) => StatusCode::UNAUTHORIZED,
        (_, Some("bad_request" | "limit_exceeded")) => StatusCode::BAD_REQUEST,
        (_, Some("not_found")) => StatusCode::NOT_FOUND,
        _ => StatusCode::FORBIDDEN,
    };
    Some((status, format!("{why}\n")))
}
