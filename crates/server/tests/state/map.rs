//! What a client makes of what it hears, and the server that tells it.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value, json};

use crate::common::{Server, Setup, Socket};

/// `board` on disk, `feed` in memory and conflating, `ticker` in memory.
pub(crate) const MORE: &str = "\
    [namespace.board]\nkind = \"state\"\nsubscribe = \"anyone\"\npublish = \"anyone\"\n\
    history = { durable = true }\n\
    [namespace.ticker]\nkind = \"state\"\nsubscribe = \"anyone\"\npublish = \"anyone\"\n\
    [namespace.feed]\nkind = \"state\"\nsubscribe = \"anyone\"\npublish = \"anyone\"\n\
    state = { overflow = \"conflate\" }\n\
    [[api.key]]\nname = \"backend\"\nsecret = \"an-api-key-of-tests-with-32-bytes-and-more\"\n";

pub(crate) fn setup() -> Setup<'static> {
    Setup { more: MORE, ..Setup::default() }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return *target = patch.clone() };
    if !target.is_object() {
        *target = Value::Object(Object::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) keys: BTreeMap<String, Value>,
    pub(crate) offset: u64,
    pub(crate) conflated: bool,
    /// How many of which frames.
    pub(crate) seen: BTreeMap<String, usize>,
}

impl Map {
    pub(crate) fn hear(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().unwrap();
        *self.seen.entry(kind.to_owned()).or_default() += 1;
        let offset = frame["offset"].as_u64().unwrap_or(0);
        let key = || frame["key"].as_str().unwrap().to_owned();
        match kind {
            "snapshot" => {
                if frame["first"] == true {
                    self.keys.clear();
                }
                for entry in frame["entries"].as_array().unwrap() {
                    let key = entry["key"].as_str().unwrap().to_owned();
                    self.keys.insert(key, entry["value"].clone());
                }
            }
            "state" => {
                let dense = offset == self.offset + 1;
                assert!(dense || (self.conflated && offset > self.offset), "a hole: {frame}");
                if let Some(patch) = frame.get("patch") {
                    merge(self.keys.get_mut(&key()).unwrap(), patch);
                } else if let Some(value) = frame.get("value") {
                    self.keys.insert(key(), value.clone());
                } else {
                    assert_eq!(frame["removed"], true);
                    self.keys.remove(&key());
                }
            }
            "values" => {
                // It stands still for a round.
                assert!(self.conflated && offset >= self.offset, "{frame}");
                for (key, value) in frame["values"].as_object().unwrap() {
                    self.keys.insert(key.clone(), value.clone());
                }
                for key in frame["removed"].as_array().into_iter().flatten() {
                    self.keys.remove(key.as_str().unwrap());
                }
            }
            other => panic!("{other}: {frame}"),
        }
        self.offset = offset;
    }
}

pub(crate) fn set(socket: &mut Socket, channel: &str, key: &str, value: Value) -> Value {
    socket.ask(json!({ "type": "set", "channel": channel, "key": key, "value": value }))
}

/// What the server has.
pub(crate) fn held(server: &Server, channel: &str) -> BTreeMap<String, Value> {
    let (mut socket, mut keys) = (server.connect(), BTreeMap::new());
    let mut get = json!({ "type": "get", "channel": channel, "limit": 1000 });
    loop {
        let page = socket.ask(get.clone());
        for entry in page["entries"].as_array().unwrap() {
            get["after"] = entry["key"].clone();
            keys.insert(entry["key"].as_str().unwrap().to_owned(), entry["value"].clone());
        }
        if page.get("more").is_none() {
            return keys;
        }
    }
}
