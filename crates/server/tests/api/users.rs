//! Seeing users' connections, and ending them.

use std::time::Duration;

use serde_json::json;

use crate::common::{Server, Setup, token};
use crate::http::{get, post, setup};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_users_connections_are_seen_and_ended_and_nobody_elses() {
    let server = Server::start(&setup());
    let mut phones: Vec<_> = (0..3).map(|_| server.connect_as(&token("ada", HOUR))).collect();
    let mut bob = server.connect_as(&token("bob", HOUR));
    for (index, phone) in phones.iter_mut().enumerate() {
        phone.subscribe("chat:lobby");
        phone.subscribe(&format!("cast:{index}"));
        phone.ask(json!({"type": "enter", "channel": "chat:lobby"}));
    }
    bob.subscribe("chat:lobby");
    let seen = get(&server, "/users/ada/connections").ok();
    let connections = seen["connections"].as_array().unwrap();
    assert_eq!((connections.len(), &seen["more"]), (3, &json!(false)), "{seen}");
    for connection in connections {
        assert_eq!(connection["transport"], "websocket");
        assert_eq!(connection["channels"].as_array().unwrap().len(), 2);
        assert_eq!(connection["entered"], json!(["chat:lobby"]));
        assert!(connection["token_expires_ms"].is_u64());
    }
    let ended = post(&server, "/disconnect", &json!({"user": "ada"})).ok();
    assert_eq!(ended, json!({"sessions": 3}));
    for phone in &mut phones {
        phone.bye(4410);
    }
    let none = get(&server, "/users/ada/connections").ok();
    assert_eq!(none["connections"], json!([]));
    bob.publish("chat:lobby", json!(1));
    assert_eq!(bob.event()["data"], 1);
    // It was no revocation: ada may come back.
    server.connect_as(&token("ada", HOUR)).subscribe("chat:lobby");
}

#[test]
fn users_are_listed_by_name_page_by_page_whichever_shard_they_are_on() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    let name = |number: usize| format!("user-{number:02}");
    let connect = |number| server.connect_as(&token(&name(number), HOUR));
    let mut sockets: Vec<_> = (0..12).map(connect).collect();
    sockets.extend((0..6).map(connect));
    sockets.push(server.connect_as(&token("ada", HOUR)));
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/users?prefix=user-&limit=5&after={after}");
        let page = get(&server, &path).ok();
        let users = page["users"].as_array().unwrap();
        assert!(users.len() <= 5, "{page}");
        seen.extend(users.iter().map(|user| (user["user"].clone(), user["sessions"].clone())));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let expected = |number| (json!(name(number)), json!(if number < 6 { 2 } else { 1 }));
    assert_eq!(seen, (0..12).map(expected).collect::<Vec<_>>());
    assert_eq!(get(&server, "/users?limit=1").ok()["users"][0]["user"], "ada");
    assert_eq!(get(&server, "/users?prefix=nobody").ok(), json!({"users": []}));
    assert_eq!(get(&server, "/users?limit=0").problem(400), "bad_request");
}

#[test]
fn one_session_is_ended_and_told_to_come_back() {
    let server = Server::start(&setup());
    let (mut one, mut other) = (server.connect(), server.connect());
    let welcome = one.ask(json!({"type": "hello"}));
    other.ask(json!({"type": "hello"}));
    let session = welcome["session"].as_str().unwrap().split('.').next().unwrap();
    let body = json!({"session": session, "reconnect": true});
    assert_eq!(post(&server, "/disconnect", &body).ok()["sessions"], 1);
    one.bye(1001);
    assert_eq!(other.ask(json!({"type": "ping"}))["type"], "pong");
    // Whoever ended it wanted it to end: its ticket brings nothing back.
    let mut again = server.connect();
    let again = again.ask(json!({"type": "hello", "session": welcome["session"]}));
    assert_ne!(again["resumed"], true, "{again}");
    for wrong in [json!({}), json!({"session": "x"}), json!({"session": "+00000000000000a"})] {
        assert_eq!(post(&server, "/disconnect", &wrong).problem(400), "bad_request");
    }
}

#[test]
fn subscriptions_are_ended_by_pattern_and_the_rest_goes_on() {
    let server = Server::start(&setup());
    let mut ada = server.connect_as(&token("ada", HOUR));
    for channel in ["chat:secret-1", "chat:secret-2", "chat:lobby"] {
        ada.subscribe(channel);
        ada.ask(json!({"type": "enter", "channel": channel}));
    }
    let body = json!({"user": "ada", "channel": "chat:secret-*"});
    assert_eq!(post(&server, "/unsubscribe", &body).ok(), json!({"subscriptions": 2}));
    for channel in ["chat:secret-1", "chat:secret-2", "chat:lobby"] {
        post(&server, "/publish", &json!({"channel": channel, "data": channel})).ok();
    }
    let mut ended = Vec::new();
    let last = loop {
        let push = ada.push();
        match push["type"].as_str() {
            Some("error") => {
                assert_eq!(push["code"], "forbidden");
                ended.push(push["channel"].as_str().unwrap().to_owned());
            }
            _ => break push,
        }
    };
    ended.sort();
    assert_eq!(ended, ["chat:secret-1", "chat:secret-2"]);
    assert_eq!(last["data"], "chat:lobby", "nothing of the others came: {last}");
    let present = get(&server, "/channels/chat:secret-1/presence").ok();
    assert_eq!(present["count"], 0);
    assert_eq!(get(&server, "/channels/chat:lobby/presence").ok()["count"], 1);
}
