//! Messages that are good WebSocket and bad protocol.

use serde_json::json;

use crate::common::{Server, Setup};

/// Frames that are refused with `bad_request`; the connection goes on.
fn bad() -> Vec<String> {
    let mut bad: Vec<String> = [
        "",
        "{",
        "null",
        "[]",
        "17",
        "NaN",
        "{}",
        r#"{"id":1}"#,
        r#"{"type":"nothing","id":1}"#,
        r#"{"type":"__proto__","id":1}"#,
        r#"{"type":17,"id":1}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"ping","id":-1}"#,
        r#"{"type":"ping","id":1.5}"#,
        r#"{"type":"ping","id":"1"}"#,
        r#"{"type":"ping","id":1e400}"#,
        r#"{"type":"ping","id":9007199254740992}"#,
        r#"{"type":"ping","id":123456789012345678901234567890}"#,
        r#"{"type":"subscribe","id":1}"#,
        r#"{"type":"subscribe","id":1,"channel":17}"#,
        r#"{"type":"subscribe","id":1,"channel":"chat:a","since":{"epoch":1,"offset":1}}"#,
        r#"{"type":"subscribe","id":1,"channel":"chat:a","since":{"epoch":"x"}}"#,
        r#"{"type":"subscribe","id":1,"channel":"chat:a","rewind":-1}"#,
        r#"{"type":"publish","id":1,"channel":"chat:a"}"#,
        r#"{"type":"publish","id":1,"channel":"chat:a","data":NaN}"#,
        r#"{"type":"publish","id":1,"channel":"chat:a","data":1,"producer":"p"}"#,
        r#"{"type":"publish","id":1,"channel":"chat:a","data":1,"producer":"p","seq":-1}"#,
        r#"{"type":"publish","id":1,"channel":"chat:a","data":1,"ephemeral":"yes"}"#,
        r#"{"type":"publish","id":1,"channel":"chat:a","data":1} x"#,
        r#"{"type":"history","id":1,"channel":"chat:a","before":1,"after":1}"#,
        "{\"type\":\"ping\",\"id\":1,\"x\":\"\0\"}",
    ]
    .map(ToOwned::to_owned)
    .into();
    let nested =
        [("[", "]", 10_000), ("{\"a\":", "}", 5000), ("[", "", 10_000), ("{\"a\":", "", 9000)];
    for (open, close, depth) in nested {
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        bad.push(deep.clone());
        bad.push(format!(r#"{{"type":"publish","id":1,"channel":"chat:a","data":{deep}}}"#));
    }
    bad
}

#[test]
fn bad_commands_are_refused_one_by_one() {
    let server = Server::start(&Setup::default());
    let mut socket = server.connect();
    for text in bad() {
        let shown: String = text.chars().take(100).collect();
        socket.send(&text).unwrap();
        let answer = socket.push();
        assert_eq!(answer["type"], "error", "{shown}: {answer}");
        let deep = answer["code"] == "invalid_data" && answer["limit"] == "depth";
        assert!(deep || answer["code"] == "bad_request", "{shown}: {answer}");
        assert!(answer.to_string().len() < 2000, "{shown}: {answer}");
        // A good command in between: bad ones are counted in a row.
        assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong");
    }
    server.still_fine();
}

#[test]
fn good_commands_that_cannot_be_are_refused_with_their_code() {
    let server = Server::start(&Setup::default());
    let mut socket = server.connect();
    let long = "x".repeat(300);
    let large = "x".repeat(40_000);
    for (command, code) in [
        (json!({"type": "subscribe", "channel": "nowhere:a"}), "not_found"),
        (json!({"type": "subscribe", "channel": "club:a"}), "forbidden"),
        (json!({"type": "publish", "channel": "club:a", "data": 1}), "forbidden"),
        (json!({"type": "unsubscribe", "channel": "chat:a"}), "not_subscribed"),
        (json!({"type": "publish", "channel": "chat:a", "data": large}), "too_large"),
        (json!({"type": "publish", "channel": "chat:a", "data": 1, "event": long}), "too_large"),
        (
            json!({"type": "publish", "channel": "chat:a", "data": 1, "producer": "p", "seq": 9}),
            "out_of_sequence",
        ),
    ] {
        let answer = socket.ask(command.clone());
        assert_eq!(answer["code"], code, "{command}: {answer}");
    }
    for name in ["chat", "chat:", "Chat:a", "chat:a\n", "chat:\u{0}", "../chat:a", &long] {
        let answer = socket.ask(json!({"type": "subscribe", "channel": name}));
        assert_eq!(answer["type"], "error", "{name:?}: {answer}");
    }
    server.still_fine();
}

/// Unknown fields, escapes and duplicate keys are no reason to refuse anything.
#[test]
fn odd_but_right_commands_are_taken() {
    let server = Server::start(&Setup::default());
    let mut socket = server.connect();
    socket.subscribe("cast:odd");
    for data in [r#""\ud83d\ude00""#, "1e300", "123456789012345678901234567890", r#"{"a":1,"a":2}"#]
    {
        let text = format!(
            r#"{{"x":[{{}}],"data":{data},"\u0074ype":"publish","channel":"cast:\u006fdd","id":3}}"#
        );
        socket.send(&text).unwrap();
        let heard = [socket.receive().unwrap(), socket.receive().unwrap()];
        let heard = format!("{heard:?}");
        assert!(heard.contains("published") && heard.contains("event"), "{data}: {heard}");
    }
    server.still_fine();
}

#[test]
fn a_program_that_never_learns_is_closed() {
    let server = Server::start(&Setup::default());
    let mut socket = server.connect();
    for _ in 0..40 {
        let _ = socket.send("no JSON");
    }
    let said = socket.bye(4400);
    assert_eq!(said.len(), 17, "sixteen errors and the bye: {said:?}");
    assert!(said[..16].iter().all(|error| error["code"] == "bad_request"), "{said:?}");
    server.still_fine();
}
