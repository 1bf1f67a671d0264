//! What the backend says, is done.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::backend::{Act, Backend, SECRET, no, server, tables, yes};
use crate::common::{Server, Setup, Socket, token, until};

/// Publishes without waiting.
fn send(socket: &mut Socket, channel: &str, data: Value, more: Value) -> u64 {
    let mut command = json!({"type": "publish", "channel": channel, "data": data});
    for (name, value) in more.as_object().unwrap() {
        command[name] = value.clone();
    }
    socket.command(command).unwrap()
}

#[test]
fn publishes_are_allowed_denied_and_changed() {
    let backend = Backend::start(|question| match question["data"].as_str() {
        Some("damn") => Act::Say(json!({"allow": true, "data": "d***", "event": "moderated"})),
        Some("spam") => Act::Say(json!({
            "allow": false, "code": "invalid_data", "message": "No advertising."
        })),
        _ => yes(),
    });
    let server = server(&["publish"], backend.port, "");
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("room:a");
    assert_eq!(ada.publish("room:a", json!("fine"))["level"], "fsync");
    let denied = ada.publish("room:a", json!("spam"));
    assert_eq!(
        (&denied["code"], &denied["message"]),
        (&json!("invalid_data"), &json!("No advertising."))
    );
    assert_eq!(ada.publish("room:a", json!("damn"))["type"], "published");
    let heard = bob.events(2);
    assert_eq!((&heard[0]["data"], &heard[1]["data"]), (&json!("fine"), &json!("d***")));
    assert_eq!(heard[1]["event"], "moderated");
    assert_eq!(
        server.metric(r#"tidings_hook_questions_total{hook="publish",outcome="denied"}"#),
        1.0
    );
    let asked = backend.count();
    // Elsewhere nobody is asked.
    ada.publish("chat:a", json!("damn"));
    assert_eq!(backend.count(), asked);
    server.still_fine();
}

/// As a backend in any language would check it, with nothing of the server's code.
#[test]
fn calls_are_signed_and_say_who_what_and_where() {
    let backend = Backend::start(|_| yes());
    let server = server(&["publish"], backend.port, "");
    let mut ada = server.connect_as(&token("ada", Duration::from_secs(60)));
    ada.publish("room:a", json!({"text": "Hi"}));
    let asked = backend.asked().remove(0);
    assert_eq!(asked.path, "/publish?key=in-the-url");
    let body = &asked.body;
    assert_eq!(
        (&body["hook"], &body["user"], &body["anonymous"]),
        (&json!("publish"), &json!("ada"), &json!(false))
    );
    assert_eq!((&body["channel"], &body["data"]["text"]), (&json!("room:a"), &json!("Hi")));
    let (time, mac) = asked.signature.split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let expected = ring::hmac::sign(&key, format!("{time}.{}", asked.text).as_bytes());
    let hex: String = expected.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(mac, hex);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(time.parse().unwrap()) <= 5);
}

#[test]
fn publishes_keep_their_order_though_verdicts_come_in_any() {
    let backend = Backend::start(|question| {
        let n = question["data"].as_u64().unwrap();
        Act::Late(n * 7919 % 60, json!({"allow": n % 10 != 3}))
    });
    let server = server(&["publish"], backend.port, "");
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("room:a");
    for n in 0..200_u64 {
        send(&mut ada, "room:a", json!(n), json!({"producer": "p", "seq": n + 1}));
    }
    let expected: Vec<u64> = (0..200).filter(|n| n % 10 != 3).collect();
    assert_eq!(crate::common::numbers(&bob.events(expected.len())), expected);
    assert!(backend.most() > 8, "they were asked about at once: {}", backend.most());
}

#[test]
fn a_publish_that_is_sent_again_is_one_event() {
    let backend = Backend::start(|_| yes());
    let server = server(&["publish"], backend.port, "");
    let ada = token("ada", Duration::from_secs(600));
    let mut bob = server.connect();
    bob.subscribe("room:a");
    // The connection breaks before the answers are there, again and again.
    for _ in 0..5 {
        let mut broken = server.connect_as(&ada);
        for n in 1..=20 {
            send(&mut broken, "room:a", json!(n), json!({"producer": "p", "seq": n}));
        }
        std::thread::sleep(Duration::from_millis(15));
    }
    let mut last = server.connect_as(&ada);
    for n in 1..=20 {
        let again = last.ask(json!({
            "type": "publish", "channel": "room:a", "data": n, "producer": "p", "seq": n
        }));
        assert_eq!(again["type"], "published", "{again}");
    }
    last.publish("room:a", json!(21));
    assert_eq!(crate::common::numbers(&bob.events(21)), (1..=21).collect::<Vec<u64>>());
}

#[test]
fn subscriptions_are_for_those_whom_the_backend_lets_in() {
    let backend = Backend::start(|question| {
        if question["user"] == "ada" {
            yes()
        } else {
            Act::Say(json!({"allow": false, "message": "Members only."}))
        }
    });
    let server = server(&["subscribe"], backend.port, "");
    let mut ada = server.connect_as(&token("ada", Duration::from_secs(60)));
    let mut bob = server.connect_as(&token("bob", Duration::from_secs(60)));
    assert_eq!(ada.subscribe("gate:a")["type"], "subscribed");
    let refused = bob.ask(json!({"type": "subscribe", "channel": "gate:a"}));
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("forbidden"), &json!("Members only."))
    );
    for kind in ["history", "presence", "enter"] {
        assert_eq!(bob.ask(json!({"type": kind, "channel": "gate:a"}))["code"], "forbidden");
    }
    assert_eq!(ada.ask(json!({"type": "history", "channel": "gate:a"}))["type"], "history");
    // Pipelined, as clients do who do not wait.
    let mut cyd = server.connect_as(&token("ada", Duration::from_secs(60)));
    cyd.command(json!({"type": "subscribe", "channel": "gate:b"})).unwrap();
    assert_eq!(cyd.ask(json!({"type": "enter", "channel": "gate:b"}))["type"], "entered");
}

#[test]
fn the_api_is_the_backend_and_is_not_asked_about() {
    let backend = Backend::start(|_| no());
    let more = tables(&["publish"], backend.port, "")
        + "[[api.key]]\nname = \"backend\"\nsecret = \"a-secret-of-the-API-of-32-bytes-or-more\"\n";
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let mut bob = server.connect();
    bob.subscribe("room:a");
    let body = r#"{"channel":"room:a","data":"from the backend"}"#;
    let head = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer a-secret-of-the-API-of-32-bytes-or-more\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let status = server.status(head.as_bytes());
    assert!((200..300).contains(&status), "{status}");
    assert_eq!((bob.event()["data"].clone(), backend.count()), (json!("from the backend"), 0));
}

#[test]
fn a_reload_asks_another_and_one_that_changes_nothing_forgets_nothing() {
    let (old, new) = (Backend::start(|_| yes()), Backend::start(|_| no()));
    let more = tables(&["publish"], old.port, "");
    let setup = Setup { more: &more, ..Setup::default() };
    let server = Server::start(&setup);
    let mut ada = server.connect();
    assert_eq!(ada.publish("room:a", json!(1))["type"], "published");
    let reload = |port: u16, times: f64| {
        let more = tables(&["publish"], port, "");
        let text = Setup { more: &more, ..Setup::default() }.text();
        std::fs::write(server.path().join("tidings.toml"), text).unwrap();
        server.signal("HUP");
        until("it is read", || {
            (server.metric(r#"tidings_reloads_total{outcome="taken"}"#) >= times).then_some(())
        });
    };
    reload(new.port, 1.0);
    assert_eq!(ada.publish("room:a", json!(2))["code"], "forbidden");
    assert_eq!((old.count(), new.count()), (1, 1));
    // A publish that is on its way to the old one has its answer from there.
    new.change(|_| Act::Late(400, json!({"allow": true})));
    let id = send(&mut ada, "room:a", json!(3), json!({}));
    until("it is asked", || (new.count() == 2).then_some(()));
    reload(old.port, 2.0);
    let began = Instant::now();
    loop {
        let frame = ada.try_next().unwrap();
        if frame["id"] == id {
            assert_eq!(frame["type"], "published");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(
        server.metric(r#"tidings_hook_questions_total{hook="publish",outcome="allowed"}"#),
        2.0
    );
}

#[test]
fn changes_are_asked_about_and_say_what_they_are() {
    let backend = Backend::start(|question| match question["change"].as_str() {
        Some("edit") => Act::Say(json!({"allow": true, "data": "moderated", "event": "ignored"})),
        Some("delete") => no(),
        Some("react") if question["reaction"] == "💩" => no(),
        Some("react") => Act::Say(json!({"allow": true, "data": "ignored"})),
        _ => yes(),
    });
    let server = server(&["publish"], backend.port, "");
    let mut ada = server.connect();
    ada.subscribe("room:a");
    ada.publish("room:a", json!("one"));
    ada.event();
    let mut change = |kind: &str, field: &str, value: &str| {
        ada.ask(json!({"type": kind, "channel": "room:a", "offset": 1, field: value}))
    };
    assert_eq!(change("edit", "data", "damn")["type"], "published");
    assert_eq!(change("delete", "x", "")["code"], "forbidden");
    assert_eq!(change("react", "reaction", "💩")["code"], "forbidden");
    assert_eq!(change("react", "reaction", "👍")["type"], "published");
    let told = (ada.push(), ada.push());
    assert_eq!((&told.0["data"], &told.1["reaction"]), (&json!("moderated"), &json!("👍")));
    let asked: Vec<Value> = backend.asked().iter().map(|asked| asked.body.clone()).collect();
    assert_eq!((&asked[1]["target"], &asked[1]["data"]), (&json!(1), &json!("damn")));
    assert_eq!((&asked[2]["change"], &asked[2]["data"]), (&json!("delete"), &Value::Null));
    assert_eq!(asked[4]["reaction"], "👍");
    assert!(asked[0].get("change").is_none() && asked[4].get("remove").is_none());
}

/// A backend that says again what it was asked about, as many do.
#[test]
fn changes_and_writes_are_asked_about_and_what_has_no_data_is_not_checked_for_it() {
    let backend = Backend::start(|question| match question["data"].as_str() {
        Some("damn") => Act::Say(json!({ "allow": true, "data": "d***" })),
        Some("worse") => Act::Say(json!({ "allow": true, "data": 7 })),
        _ => Act::Say(json!({ "allow": true, "data": question["data"] })),
    });
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("text.json"), "{\"type\":\"string\"}").unwrap();
    let more = tables(&["publish"], backend.port, "").replace(
        "hooks = [\"publish\"]",
        "hooks = [\"publish\"]\nschema_file = \"text.json\"\nchanges = { react = \"publish\" }",
    ) + "[namespace.board]\nkind = \"state\"\nsubscribe = \"anyone\"\npublish = \"anyone\"\n\
         hooks = [\"publish\"]\nschema_file = \"text.json\"\n";
    let server = Server::start_in(dir, &Setup { more: &more, ..Setup::default() });
    let mut ada = server.connect_as(&token("ada", Duration::from_secs(60)));
    let mut does = |command: Value| {
        let said = ada.ask(command);
        let asked = backend.asked().pop().unwrap().body;
        (said, asked)
    };
    let room = |kind: &str| json!({ "type": kind, "channel": "room:a", "offset": 1 });
    let with = |mut command: Value, name: &str, value: Value| {
        command[name] = value;
        command
    };
    does(json!({ "type": "publish", "channel": "room:a", "data": "Hi" }));

    let (said, asked) = does(with(room("edit"), "data", json!("damn")));
    assert_eq!(said["type"], "published", "{said}");
    assert_eq!((&asked["change"], &asked["target"]), (&json!("edit"), &json!(1)), "{asked}");
    let (said, _) = does(with(room("edit"), "data", json!("worse")));
    assert_eq!(said["code"], "invalid_data", "{said}");
    let (said, asked) = does(with(room("react"), "reaction", json!("+1")));
    assert_eq!((&said["type"], &asked["reaction"]), (&json!("published"), &json!("+1")), "{said}");
    let (said, _) = does(json!({ "type": "history", "channel": "room:a" }));
    assert_eq!(said["events"][0]["data"], "d***", "{said}");
    let (said, asked) = does(room("delete"));
    assert_eq!((&said["type"], &asked["data"]), (&json!("published"), &Value::Null), "{said}");

    let board = |kind: &str| json!({ "type": kind, "channel": "board:a", "key": "title" });
    let (said, asked) = does(with(board("set"), "value", json!("damn")));
    assert_eq!(said["type"], "written", "{said}");
    let told = (&asked["write"], &asked["state_key"], &asked["data"]);
    assert_eq!(told, (&json!("set"), &json!("title"), &json!("damn")));
    let (said, _) = does(with(board("set"), "value", json!("worse")));
    assert_eq!(said["code"], "invalid_data", "{said}");
    let (said, _) = does(json!({ "type": "get", "channel": "board:a" }));
    assert_eq!(said["entries"][0]["value"], "d***", "{said}");
    let (said, asked) = does(board("remove"));
    assert_eq!((&said["type"], &asked["write"]), (&json!("written"), &json!("remove")), "{said}");
}
