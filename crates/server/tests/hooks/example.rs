//! The backend in `examples/hooks` does what docs/hooks.md says.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::backend::{SECRET, server};

/// Ended with the test.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_example_backend_decides() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hooks/backend.js");
    let mut child = Command::new("node")
        .arg(file)
        .env("PORT", "0")
        .env("TIDINGS_HOOK_SECRET", SECRET)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let _node = Node(child);
    let port = said.trim_end().rsplit_once(':').unwrap().1.parse().unwrap();

    let with = server(&["connect", "publish", "subscribe"], port, "");
    let mut ada = with.connect();
    assert_eq!(ada.ask(json!({"type": "hello"}))["type"], "welcome");
    assert_eq!(ada.subscribe("gate:lobby")["type"], "subscribed");
    let refused = ada.ask(json!({"type": "subscribe", "channel": "gate:staff"}));
    assert_eq!(refused["code"], "forbidden", "{refused}");
    let empty = ada.publish("room:a", json!({"text": " "}));
    assert_eq!(empty["code"], "invalid_data", "{empty}");
    let mut bob = with.connect();
    bob.ask(json!({"type": "hello"}));
    bob.subscribe("room:a");
    ada.publish("room:a", json!({"text": "well, darn"}));
    assert_eq!(bob.event()["data"]["text"], "well, ****");
}
