//! Changes by a backend.

use serde_json::{Value, json};

use crate::common::Server;
use crate::http::post;
use crate::{ROOM, history, setup, user};

#[test]
fn a_backend_changes_any_event_in_a_users_name_and_once_by_key() {
    let server = Server::start(&setup());
    let mut ada = user(&server, "ada", &[]);
    ada.subscribe(ROOM);
    ada.publish(ROOM, json!("one"));
    ada.publish(ROOM, json!("two"));
    ada.events(2);
    let edit = json!({"channel": ROOM, "offset": 1, "data": "[…]", "key": "k", "user": "mod"});
    let first = post(&server, "/edit", &edit).ok();
    assert_eq!((&first["offset"], &first["duplicate"]), (&json!(3), &json!(false)));
    assert_eq!(post(&server, "/edit", &edit).ok()["duplicate"], true);
    let told = ada.push();
    assert_eq!((&told["type"], &told["user"]), (&json!("edited"), &json!("mod")));
    let react = json!({"channel": ROOM, "offset": 1, "reaction": "👀", "user": "bot"});
    assert_eq!(post(&server, "/react", &react).ok()["offset"], 4);
    assert_eq!((&ada.push()["reaction"]), &json!("👀"));
    let delete = json!({"channel": ROOM, "offset": 2});
    assert_eq!(post(&server, "/delete", &delete).ok()["level"], "fsync");
    assert_eq!(ada.push()["user"], "backend", "the key's name, if no user is named");
    let events = history(&mut ada);
    assert_eq!((&events[0]["data"], &events[0]["user"]), (&json!("[…]"), &json!("ada")));
    assert_eq!(events[0]["reactions"]["👀"]["users"], json!(["bot"]));
    assert_eq!((&events[1]["data"], &events[1]["deleted"]), (&Value::Null, &json!(true)));
    let back =
        json!({"channel": ROOM, "offset": 1, "reaction": "👀", "user": "bot", "remove": true});
    post(&server, "/react", &back).ok();
    assert!(history(&mut ada)[0].get("reactions").is_none());
}

#[test]
fn what_a_backend_gets_wrong_is_named() {
    let server = Server::start(&setup());
    let delete = |body: Value| post(&server, "/delete", &body);
    let gone = json!({"channel": ROOM, "offset": 1});
    assert_eq!(delete(gone.clone()).problem(404), "not_found");
    assert_eq!(delete(json!({"channel": "nobody:here", "offset": 1})).problem(404), "not_found");
    assert_eq!(delete(json!({"channel": ROOM})).problem(400), "bad_request");
    assert_eq!(delete(json!({"channel": ROOM, "offset": -1})).problem(400), "bad_request");
    let long = json!({"channel": ROOM, "offset": 1, "reaction": "x".repeat(65)});
    assert_eq!(post(&server, "/react", &long).problem(413), "too_large");
    let empty = json!({"channel": ROOM, "offset": 1, "reaction": ""});
    assert_eq!(post(&server, "/react", &empty).problem(400), "bad_request");
    let bytes = json!({"channel": ROOM, "offset": 1, "data": "x".repeat(40 << 10)});
    assert_eq!(post(&server, "/edit", &bytes).problem(413), "too_large");
}
