//! M7: what clients say does not become lines of a log.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Server, Setup, Socket, token};
use crate::http::ask;

/// What a client would like to have in a log: a line of its own, a terminal's colours, a field.
const FORGED: &str = "2026-01-01T00:00:00Z  INFO tidings: all is well";

/// Says it wherever a client can say something.
fn say_it(server: &Server) {
    let evil =
        format!("x\r\n{FORGED}\n\u{1b}[31m\u{1b}]0;x\u{7}\0\u{85}\u{2028}\",\"level\":\"INFO");
    let mut socket = server.connect();
    for kind in ["subscribe", "publish", "history", "enter"] {
        for channel in [format!("chat:{evil}"), format!("{evil}:a"), evil.clone()] {
            socket.ask(json!({"type": kind, "channel": channel, "data": evil, "event": evil}));
            socket.ask(json!({"type": "ping"}));
        }
    }
    socket.ask(json!({"type": "publish", "channel": "chat:a", "data": 1, "key": evil}));
    socket.ask(json!({"type": "refresh", "token": evil}));
    let odd_user = token("eve \u{2028}", Duration::from_secs(60));
    for hello in [
        json!({"type": "hello", "client": evil, "token": evil}),
        json!({"type": "hello", "client": evil, "session": evil}),
        json!({"type": "hello", "client": evil, "token": odd_user}),
    ] {
        let mut socket = server.connect();
        let _ = socket.command(hello);
        let _ = socket.try_next();
    }
    let escaped: String = evil.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for line in ["GET /", "GET /events?channel=", "POST /", "GET /api/v1/channels/", "DELETE /"] {
        let _ = server
            .status(format!("{line}{escaped} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    }
    let bytes = evil.replace(['\r', '\n', '\0'], "\t");
    for field in
        ["Origin", "User-Agent", "Sec-WebSocket-Protocol", "Authorization", "Last-Event-ID"]
    {
        let _ = Socket::upgrade(server.tcp(), &format!("{field}: {bytes}\r\n"));
        let _ = ask(server, "POST /poll", &format!("{field}: {bytes}\r\n"), &evil);
    }
    let _ = server.status(format!("{evil}\r\n\r\n").as_bytes());
    let _ = server.status(format!("GET / HTTP/1.1\r\n{evil}\r\n\r\n").as_bytes());
}

fn start(format: &str) -> Server {
    let arguments = &["--log-format", format];
    let server = Server::start(&Setup { log: "trace", arguments, ..Setup::default() });
    say_it(&server);
    server.until_logged("ended early");
    server.still_fine();
    server
}

#[test]
fn m7_no_line_of_a_log_is_a_clients() {
    let mut server = start("text");
    let log = server.whole_log();
    for line in log.lines() {
        let (time, rest) = line.split_at_checked(27).unwrap_or((line, ""));
        assert!(
            time.ends_with('Z') && rest.trim_start().contains(": "),
            "no line of ours: {line:?}"
        );
        assert!(!line.contains("all is well"), "{line:?}");
    }
    let control = log.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{log:?}");
    let mut server = start("json");
    for line in server.whole_log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        assert!(!line.to_string().contains("all is well"), "{line}");
    }
}
