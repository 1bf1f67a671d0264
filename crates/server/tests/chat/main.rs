//! Edits, deletions and reactions, with real sockets and a real disk.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../api/http.rs"]
#[expect(dead_code, reason = "it has a configuration of its own")]
mod http;

mod api;
mod client;
mod crash;
mod rates;
mod seen;

use serde_json::{Value, json};

use crate::common::{Server, Setup, Socket};

/// Where the stories take place; `rooms` is durable and takes tokens.
const ROOM: &str = "rooms:lobby";

/// A namespace for users with tokens, and the API's key.
fn setup() -> Setup<'static> {
    const MORE: &str = "[namespace.rooms]\nsubscribe = \"signed-in\"\npublish = \"signed-in\"\n\
        history = { size = 1000, durable = true }\n\
        [[api.key]]\nname = \"backend\"\n\
        secret = \"an-api-key-of-tests-with-32-bytes-and-more\"\n";
    Setup { more: MORE, ..Setup::default() }
}

/// A user with a token and these grants.
fn user(server: &Server, name: &str, grants: &[&str]) -> Socket {
    use std::time::{SystemTime, UNIX_EPOCH};
    let key = tidings::auth::SigningKey::from_secret(common::SECRET).unwrap();
    let grants = grants.iter().map(|grant| tidings::auth::parse_grant(grant).unwrap()).collect();
    let ttl = Some(tidings_core::Period::secs(600));
    let request = tidings::auth::TokenRequest { user: name.into(), ttl, grants };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    server.connect_as(&tidings::auth::mint(&request, &key, now).unwrap())
}

fn edit(offset: u64, data: &str) -> Value {
    json!({ "type": "edit", "channel": ROOM, "offset": offset, "data": data })
}

fn delete(offset: u64) -> Value {
    json!({ "type": "delete", "channel": ROOM, "offset": offset })
}

fn react(offset: u64, reaction: &str) -> Value {
    json!({ "type": "react", "channel": ROOM, "offset": offset, "reaction": reaction })
}

fn history(socket: &mut Socket) -> Vec<Value> {
    let page = socket.ask(json!({ "type": "history", "channel": ROOM, "limit": 100 }));
    page["events"].as_array().unwrap().clone()
}
