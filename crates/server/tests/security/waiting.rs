//! T15: requests that wait, by the thousand, of one who wants to use the server up.

use serde_json::json;

use crate::common::{Server, Setup, Socket, status_of, until};
use crate::http::{Answer, ask, begin, finish, poll};
use crate::neighbours::Neighbours;

/// Opens a session of polls.
fn open(server: &Server) -> Answer {
    let subscribe = json!({"type": "subscribe", "id": 1, "channel": "cast:waiting"});
    finish(begin(server, "POST /poll", "", subscribe.to_string().as_bytes()))
}

/// Polls, Server-Sent Events and WebSockets have one limit together. Above it each door says when
/// to come back; those inside are served as before, and what is given up is free again.
#[test]
fn t15_requests_that_wait_are_counted_and_the_next_is_told_when_to_come_back() {
    let limits = "connections = 200\nheartbeat = \"2s\"\npong_timeout = \"1s\"";
    let server = Server::start(&Setup { server: "shards = 2", limits, ..Setup::default() });
    let mut neighbours = Neighbours::meet(&server);
    let (mut handles, mut waiting) = (Vec::new(), Vec::new());
    // A session of polls is one, and a request that waits for it another one.
    let refused = loop {
        let answer = open(&server);
        if answer.status != 200 {
            break answer;
        }
        let handle = answer.lines()[0]["connection"].as_str().unwrap().to_owned();
        let more = json!({"connection": handle, "ack": 0}).to_string();
        waiting.push(begin(&server, "POST /poll", "", more.as_bytes()));
        handles.push(handle);
        neighbours.talk();
        assert!(handles.len() < 200, "there is a limit");
    };
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("\r\nretry-after: 5\r\n"), "{}", refused.head);
    assert!(handles.len() >= 90, "{} sessions were let in", handles.len());
    let mut sockets = Vec::new();
    let full = loop {
        match Socket::upgrade(server.tcp(), "") {
            Ok(socket) => sockets.push(socket),
            Err(error) => break error.to_string(),
        }
    };
    assert!(full.contains("503") && full.contains("Retry-After"), "{full}");
    for line in ["POST /events", "GET /events?channel=cast:a", "POST /poll"] {
        assert_eq!(status_of(&mut begin(&server, line, "", b"")), 503, "{line}");
    }
    for _ in 0..100 {
        neighbours.talk();
    }
    println!("{} sessions; others take {:?}", handles.len(), neighbours.ways());
    drop((waiting, sockets));
    until("what was given up is free", || (open(&server).status == 200).then_some(()));
    until("sessions of polls that nobody asks for end", || {
        neighbours.talk();
        let page = ask(&server, "GET /metrics", "", "").body;
        page.contains("\ntidings_connections{transport=\"polling\"} 0\n").then_some(())
    });
    assert_eq!(poll(&server, &handles[0], 0).status, 404);
    server.still_fine();
}
