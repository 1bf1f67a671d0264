//! `/metrics`, `/health` and `/ready`.

use serde_json::json;

use crate::common::{Message, Server, Setup, Socket, until};
use crate::http::{get, get_with, operations_port};

/// The value of one line.
fn value(page: &str, line: &str) -> Option<f64> {
    let lines = page.lines();
    let mut found = lines.filter_map(|one| one.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    found.next()
}

fn metrics(server: &Server) -> String {
    let (status, page) = get(server.port, "/metrics");
    assert_eq!(status, 200, "{page}");
    page
}

#[test]
fn metrics_tell_what_has_happened() {
    let server = Server::start(&Setup { server: "shards = 2", ..Setup::default() });
    let (mut ada, mut bob) = (server.connect(), server.connect());
    let start = bob.subscribe("chat:room");
    for number in 1..=3 {
        ada.publish("chat:room", json!(number));
    }
    bob.events(3);
    ada.publish("nowhere:room", json!(1));
    let since = json!({"epoch": start["epoch"], "offset": 0});
    ada.ask(json!({"type": "subscribe", "channel": "chat:room", "since": since}));
    ada.events(3);
    assert!(Socket::upgrade(server.tcp(), "Origin: https://evil.example\r\n").is_err());
    ada.send_raw(&crate::common::frame(0x88, &1000_u16.to_be_bytes())).unwrap();
    assert_eq!(ada.receive().unwrap(), Message::Close(1000));
    ada.ended();
    until("nobody but bob is there", || {
        let page = metrics(&server);
        (value(&page, "tidings_connections{transport=\"websocket\"}") == Some(1.0)).then_some(())
    });
    let page = metrics(&server);
    for (line, expected) in [
        ("tidings_ready", 1.0),
        ("tidings_sessions", 1.0),
        ("tidings_subscriptions", 1.0),
        ("tidings_channels", 1.0),
        ("tidings_sessions_opened_total{transport=\"websocket\"}", 2.0),
        ("tidings_sessions_closed_total{code=\"left\"}", 1.0),
        ("tidings_sessions_closed_total{code=\"4513\"}", 0.0),
        ("tidings_handshakes_refused_total{reason=\"origin\"}", 1.0),
        ("tidings_commands_total{type=\"publish\",outcome=\"ok\"}", 3.0),
        ("tidings_commands_total{type=\"publish\",outcome=\"not_found\"}", 1.0),
        ("tidings_commands_total{type=\"subscribe\",outcome=\"ok\"}", 2.0),
        ("tidings_events_published_total{kept=\"disk\"}", 3.0),
        ("tidings_deliveries_total{source=\"live\"}", 3.0),
        ("tidings_deliveries_total{source=\"history\"}", 3.0),
        ("tidings_recoveries_total{outcome=\"recovered\"}", 1.0),
        ("tidings_store_commit_appends_sum", 3.0),
        ("tidings_store_errors_total", 0.0),
        ("tidings_mailbox_length{shard=\"1\"}", 0.0),
    ] {
        assert_eq!(value(&page, line), Some(expected), "{line} in\n{page}");
    }
    let sent = value(&page, "tidings_sent_bytes_total").unwrap();
    assert!((600.0..10_000.0).contains(&sent), "a dozen small frames, not {sent} bytes");
    assert!(value(&page, "process_resident_memory_bytes").unwrap() > 1e6);
    assert!(value(&page, "process_open_fds").unwrap() > 5.0);
    server.still_fine();
}

/// A dashboard is made from the documentation.
#[test]
fn what_is_served_is_what_is_documented() {
    let server = Server::start(&Setup::default());
    let page = metrics(&server);
    let document = tidings::metrics::markdown();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<_> = rows
        .map(|row| {
            let (name, rest) = row.split_once('`').unwrap();
            (name, rest.split('|').nth(1).unwrap().trim())
        })
        .collect();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut served: Vec<_> = types.map(|line| line.split_once(' ').unwrap()).collect();
    served.sort_unstable();
    documented.sort_unstable();
    assert_eq!(served, documented);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = name.split('{').next().unwrap();
        let known = |(known, _): &(&str, &str)| {
            let part = name.strip_prefix(known);
            part.is_some_and(|part| ["", "_bucket", "_sum", "_count"].contains(&part))
        };
        assert!(documented.iter().any(known), "{line}");
    }
}

#[test]
fn metrics_stay_inside() {
    let server = Server::start(&Setup::default());
    let proxied = "Host: chat.example.com\r\n";
    assert_eq!(get_with(server.port, "/metrics", proxied).0, 404, "a proxy stands in front");
    assert_eq!(get_with(server.port, "/ready", proxied), (200, "ready\n".into()));

    let own = Setup { server: "operations = \"127.0.0.1:0\"", ..Setup::default() };
    let server = Server::start(&own);
    let port = operations_port(&server);
    assert_eq!(get(server.port, "/metrics").0, 404, "they have an address of their own");
    for port in [server.port, port] {
        assert_eq!(get(port, "/health"), (200, "ok\n".into()));
        assert_eq!(get(port, "/ready"), (200, "ready\n".into()));
    }
    let (status, page) = get(port, "/metrics");
    assert_eq!((status, value(&page, "tidings_ready")), (200, Some(1.0)));
    assert_eq!(get(port, "/socket").0, 404, "clients are not served there");
    server.still_fine();
}
