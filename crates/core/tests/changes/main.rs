//! Edits, deletions and reactions.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

mod once;
mod reactions;
mod rights;
mod seen;

use serde_json::{Value, json};
use tidings_sim::{Who, World};

const LOBBY: &str = "chat:lobby";

fn edit(offset: u64, data: &str) -> Value {
    json!({ "type": "edit", "channel": LOBBY, "offset": offset, "data": data })
}

fn delete(offset: u64) -> Value {
    json!({ "type": "delete", "channel": LOBBY, "offset": offset })
}

fn react(offset: u64, reaction: &str) -> Value {
    json!({ "type": "react", "channel": LOBBY, "offset": offset, "reaction": reaction })
}

fn unreact(offset: u64, reaction: &str) -> Value {
    let mut command = react(offset, reaction);
    command["remove"] = true.into();
    command
}

/// A world in which Ada has said `words` in the lobby.
fn lobby(seed: u64, words: &[&str]) -> (World, Who, Who) {
    let mut w = World::new(seed);
    let (ada, bob) = (w.user("ada"), w.user("bob"));
    for text in words {
        w.say(ada, LOBBY, text);
    }
    (w, ada, bob)
}

fn history(w: &mut World, who: Who, channel: &str) -> Vec<Value> {
    let page = w.ask(who, json!({ "type": "history", "channel": channel }));
    page["events"].as_array().unwrap().clone()
}

fn data_of(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"].as_str().unwrap_or("-")).collect()
}
