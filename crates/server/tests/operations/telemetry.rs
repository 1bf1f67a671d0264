//! Traces and logs for a collector.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::collector::{Collector, Manner, text};
use crate::common::{Server, Setup, until};
use crate::http::get;

const KEY: &str = "an-api-key-of-tests-with-32-bytes-and-more";
const TOLD: &str = "Bearer what-the-collector-wants-to-know";
const PAYLOAD: &str = "meet-me-at-noon-behind-the-station";

fn setup(collector: &Collector, more: &str) -> String {
    format!("[[api.key]]\nname = \"backend\"\nsecret = \"{KEY}\"\n{}{more}", collector.table())
}

/// A request to the API, its status.
fn publish(server: &Server, channel: &str, more: &str) -> u16 {
    let mut tcp = server.tcp();
    let body = json!({"channel": channel, "data": PAYLOAD}).to_string();
    let head = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\
         Authorization: Bearer {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

/// A request keeps its trace, a reload and the end are told, and nothing of what users say.
#[test]
fn a_collector_gets_traces_and_logs() {
    let collector = Collector::start(Manner::Good);
    let header = "[[telemetry.header]]\nname = \"authorization\"\nvalue_file = \"told\"\n";
    let more = setup(&collector, &format!("service = \"chat-eu\"\n{header}"));
    let dir = std::sync::Arc::new(tempfile::TempDir::new().unwrap());
    std::fs::write(dir.path().join("told"), format!("{TOLD}\n")).unwrap();
    let mut server = Server::start_in(dir, &Setup { more: &more, ..Setup::default() });
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("traceparent: 00-{trace}-b7ad6b7169203331-01\r\n");
    assert_eq!(publish(&server, "chat:secret-room", &parent), 200);
    let dropped = format!("traceparent: 00-{}-b7ad6b7169203331-00\r\n", trace.replace('0', "1"));
    assert_eq!(publish(&server, "chat:secret-room", &dropped), 200);
    assert_eq!(publish(&server, "chat:secret-room", "traceparent: nonsense\r\n"), 200);
    assert_eq!(publish(&server, "nowhere:secret-room", ""), 404);
    server.signal("HUP");
    until("the reload has arrived", || {
        collector.taken().spans.iter().any(|span| span.name == "reload").then_some(())
    });
    let (_, page) = get(server.port, "/metrics");
    assert!(page.contains("tidings_telemetry_exports_total{outcome=\"failed\"} 0\n"), "{page}");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));

    let taken = collector.taken();
    let named = |name: &'static str| taken.spans.iter().filter(move |span| span.name == name);
    for name in ["start", "reload", "drain"] {
        assert_eq!(named(name).count(), 1, "{name} in {:?}", taken.spans);
    }
    let published: Vec<_> = named("publish").collect();
    assert_eq!(published.len(), 3, "one of the four belongs to a trace that nobody keeps");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let first = published[0];
    assert_eq!(hex(&first.trace_id), trace);
    assert_eq!(hex(&first.parent_span_id), "b7ad6b7169203331");
    for (key, value) in [
        ("tidings.operation", "publish"),
        ("tidings.key", "backend"),
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/publish"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(text(&first.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert!(first.end_time_unix_nano > first.start_time_unix_nano);
    assert!(published[1].parent_span_id.is_empty(), "nonsense is nobody's child");
    let status = text(&published[2].attributes, "http.response.status_code");
    assert_eq!(status.as_deref(), Some("404"));
    assert!(taken.services.iter().all(|name| name == "chat-eu"), "{:?}", taken.services);
    for line in ["the store is open", "stopping"] {
        assert!(taken.lines.iter().any(|one| one == line), "{line} in {:?}", taken.lines);
    }
    let told = format!("authorization: {}", TOLD.to_lowercase());
    assert!(taken.heads.iter().all(|head| head.contains(&told)), "{:?}", taken.heads);
    let sent = String::from_utf8_lossy(&taken.bytes);
    for secret in [PAYLOAD, KEY, "secret-room", "what-the-collector"] {
        assert!(!sent.contains(secret), "{secret} was sent");
    }
}

/// Nobody notices that a collector is no good but who reads the log.
#[test]
fn a_bad_collector_costs_nobody_anything() {
    for manner in [Manner::Silent, Manner::Lying] {
        let collector = Collector::start(manner);
        let more = setup(&collector, "");
        let mut server = Server::start(&Setup { more: &more, ..Setup::default() });
        // The first request costs what it costs anywhere.
        assert_eq!(publish(&server, "cast:room", ""), 200);
        let before = server.memory();
        let begun = Instant::now();
        for _ in 0..3000 {
            assert_eq!(publish(&server, "cast:room", ""), 200);
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(30), "{manner:?}: {took:?}");
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 48 << 20, "{manner:?}: {grown} bytes more");
        server.still_fine();
        server.until_logged("takes nothing");
        server.signal("TERM");
        let begun = Instant::now();
        assert_eq!(server.ended().code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(10), "{manner:?}: {:?}", begun.elapsed());
        let log = server.log();
        for what in ["what=\"traces\"", "what=\"logs\""] {
            let said =
                log.lines().filter(|line| line.contains("takes nothing") && line.contains(what));
            assert!(said.count() <= 1, "once is enough: {log}");
        }
    }
}
