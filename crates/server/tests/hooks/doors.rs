//! Who comes in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::{Act, Backend, server, yes};
use crate::common::{Server, Socket, token};

fn hello(server: &Server, headers: &str, fields: Value) -> (Socket, Value) {
    let mut socket = Socket::upgrade(server.tcp(), headers).unwrap();
    let mut command = json!({"type": "hello"});
    for (name, value) in fields.as_object().unwrap() {
        command[name] = value.clone();
    }
    socket.command(command).unwrap();
    let first = socket.try_next().unwrap();
    (socket, first)
}

#[test]
fn the_backend_knows_sessions_by_their_cookies() {
    let backend = Backend::start(|question| {
        let cookie = question["headers"]["cookie"].as_str().unwrap_or_default();
        match cookie.strip_prefix("sid=") {
            Some(user) => Act::Say(json!({
                "allow": true, "user": user, "channels": {"club:*": ["subscribe", "publish"]},
            })),
            None => Act::Say(json!({"allow": false})),
        }
    });
    let lines = "tokens = \"opaque\"\nheaders = [\"cookie\", \"origin\"]";
    let server = server(&["connect"], backend.port, lines);
    let (mut ada, welcome) = hello(&server, "Cookie: sid=ada\r\n", json!({}));
    assert_eq!((&welcome["type"], &welcome["user"]), (&json!("welcome"), &json!("ada")));
    assert_eq!(ada.subscribe("club:a")["type"], "subscribed");
    let asked = &backend.asked()[0].body;
    assert_eq!((&asked["occasion"], &asked["transport"]), (&json!("hello"), &json!("websocket")));
    assert_eq!(asked["headers"], json!({"cookie": "sid=ada"}));
    let bye = hello(&server, "", json!({})).1;
    assert_eq!((&bye["code"], &bye["reconnect"]), (&json!(4403), &json!(false)));
}

#[test]
fn opaque_tokens_are_shown_and_never_written_down() {
    let backend = Backend::start(|question| match question["token"].as_str() {
        Some("s3cr3t-of-ada") => Act::Say(json!({"allow": true, "user": "ada"})),
        Some("s3cr3t-that-is-old") => Act::Say(json!({"allow": false, "code": "expired"})),
        _ => Act::Raw(b"HTTP/1.1 500 s3cr3t\r\nContent-Length: 0\r\n\r\n".into()),
    });
    let mut server = server(&["connect"], backend.port, "tokens = \"opaque\"");
    let (_, welcome) = hello(&server, "", json!({"token": "s3cr3t-of-ada"}));
    assert_eq!(welcome["user"], "ada");
    let (_, welcome) = hello(&server, "Authorization: Bearer s3cr3t-of-ada\r\n", json!({}));
    assert_eq!(welcome["user"], "ada");
    assert_eq!(hello(&server, "", json!({"token": "s3cr3t-that-is-old"})).1["code"], 4501);
    let lost = hello(&server, "", json!({"token": "s3cr3t-unknown"})).1;
    assert_eq!((&lost["code"], &lost["reconnect"]), (&json!(4504), &json!(true)));
    assert!(lost["retry_after"].as_u64().unwrap() >= 1000);
    server.until_logged("status 500");
    let log = server.whole_log();
    assert!(!log.contains("s3cr3t") && !log.contains("in-the-url"), "{log}");
}

#[test]
fn verified_users_are_asked_about_and_a_ticket_is_enough_to_come_back() {
    let backend = Backend::start(|question| match question["user"].as_str() {
        Some("ada") => Act::Say(json!({"allow": true, "user": "42"})),
        _ => Act::Say(json!({"allow": false})),
    });
    let server = server(&["connect"], backend.port, "");
    let ada = token("ada", Duration::from_secs(600));
    let (socket, welcome) = hello(&server, "", json!({"token": ada}));
    assert_eq!(welcome["user"], "42");
    assert_eq!(hello(&server, "", json!({"token": "nonsense"})).1["code"], 4401);
    assert_eq!(backend.count(), 1);
    drop(socket);
    for n in 0..20 {
        let fields = json!({"token": ada, "session": welcome["session"]});
        let (_socket, again) = hello(&server, "", fields);
        assert_eq!((&again["user"], &again["resumed"]), (&json!("42"), &json!(true)), "{n}");
    }
    assert_eq!(backend.count(), 1);
}

/// The same where a session is spoken in HTTP requests: commands that come while the backend thinks
/// wait, in order.
#[test]
fn a_session_over_http_waits_for_the_backend_too() {
    use std::io::{Read, Write};
    let backend = Backend::start(|_| Act::Late(300, json!({"allow": true, "user": "ada"})));
    let server = server(&["connect"], backend.port, "headers = [\"cookie\"]");
    let post = |path: &str, body: &str| {
        let mut tcp = server.tcp();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nCookie: a=1\r\nCookie: b=2\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        tcp.write_all(head.as_bytes()).unwrap();
        tcp
    };
    let mut stream = post("/events", "{\"type\":\"hello\",\"id\":1}\n");
    let mut heard = String::new();
    let mut hear = |until: &str| {
        let mut piece = [0; 4096];
        while !heard.contains(until) {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        heard.clone()
    };
    let opened = hear("\"connection\":\"");
    let handle = opened.split("\"connection\":\"").nth(1).unwrap()[..28].to_owned();
    let lines = format!(
        "{{\"connection\":\"{handle}\",\"batch\":1}}\n\
         {{\"type\":\"subscribe\",\"id\":2,\"channel\":\"chat:a\"}}\n\
         {{\"type\":\"publish\",\"id\":3,\"channel\":\"chat:a\",\"data\":\"in order\"}}\n"
    );
    let mut sent = post("/send", &lines);
    let all = hear("\"data\":\"in order\"");
    let place = |what: &str| all.find(what).unwrap_or_else(|| panic!("no {what} in {all}"));
    assert!(place("\"welcome\"") < place("\"subscribed\""), "{all}");
    let mut answer = [0; 12];
    sent.read_exact(&mut answer).unwrap();
    assert!(answer.ends_with(b"200") || answer.ends_with(b"204"));
    let asked = &backend.asked()[0].body;
    assert_eq!(
        (&asked["transport"], &asked["headers"]["cookie"]),
        (&json!("sse"), &json!("a=1, b=2"))
    );
}

/// A crowd that comes back is no crowd for the backend: so many calls at once, the rest waits or is
/// told to come later, and nobody is turned away for good.
#[test]
fn a_storm_of_connections_is_none_for_the_backend() {
    let backend = Backend::start(|_| Act::Late(50, json!({"allow": true})));
    let server = server(&["connect"], backend.port, "concurrency = 4\nqueue = 20");
    let mut sockets: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for socket in &mut sockets {
        socket.command(json!({"type": "hello"})).unwrap();
    }
    let (mut welcome, mut later) = (0, 0);
    for socket in &mut sockets {
        let frame = socket.try_next().unwrap();
        match frame["type"].as_str() {
            Some("welcome") => welcome += 1,
            Some("bye") => {
                assert_eq!((&frame["code"], &frame["reconnect"]), (&json!(4504), &json!(true)));
                assert!((1000..5000).contains(&frame["retry_after"].as_u64().unwrap()));
                later += 1;
            }
            _ => panic!("{frame}"),
        }
    }
    assert!(backend.most() <= 4, "{}", backend.most());
    assert!(welcome >= 24 && later > 0, "{welcome} {later}");
    let full = server.metric(r#"tidings_hook_questions_total{hook="connect",outcome="full"}"#);
    assert_eq!(full, f64::from(later));
    assert_eq!(server.metric("tidings_questions"), 0.0);
    backend.change(|_| yes());
    drop(server.connect().ask(json!({"type": "hello"})));
}
