//! What the server tells of itself.

use serde_json::{Value, json};

use crate::common::{Server, Setup};
use crate::http::{get, setup};

fn stats(server: &Server) -> Value {
    get(server, "/stats").ok()
}

#[test]
fn stats_count_what_clients_did_and_how_long_it_took() {
    let server = Server::start(&Setup { server: "shards = 2", ..setup() });
    let before = stats(&server);
    assert_eq!(before["commands"]["ok"], 0);
    assert_eq!(before["publish_latency"]["count"], 0);
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("chat:room");
    for number in 1..=3 {
        ada.publish("chat:room", json!(number));
        ada.publish("cast:room", json!(number));
    }
    ada.publish("nowhere:room", json!(1));
    bob.events(3);
    let after = stats(&server);
    for (path, expected) in [
        ("/version", json!(env!("CARGO_PKG_VERSION"))),
        ("/shards", json!(2)),
        ("/ready", json!(true)),
        ("/dev", json!(false)),
        ("/connections/websocket", json!(2)),
        ("/sessions", json!(2)),
        ("/subscriptions", json!(1)),
        ("/channels", json!(2)),
        ("/commands/ok", json!(7)),
        ("/commands/refused", json!(1)),
        ("/commands/by_type/publish", json!({"ok": 6, "refused": 1})),
        ("/refusals", json!({"not_found": 1})),
        ("/published", json!({"disk": 3, "memory": 3, "nowhere": 0})),
        ("/deliveries", json!({"live": 3, "history": 0})),
        ("/sessions_opened", json!(2)),
        ("/sessions_closed", json!({})),
        ("/publish_latency/count", json!(6)),
        ("/store_commit/count", json!(3)),
    ] {
        assert_eq!(after.pointer(path), Some(&expected), "{path} in {after}");
    }
    assert!(after["now"].as_u64() >= before["now"].as_u64());
    assert!(after["started_at"].as_u64() <= before["now"].as_u64());
    assert!(after["memory_bytes"].as_u64().unwrap() > 1 << 20, "{after}");
    let times = &after["publish_latency"];
    let sum = times["sum_seconds"].as_f64().unwrap();
    let commits = after["store_commit"]["sum_seconds"].as_f64().unwrap();
    assert!(sum > commits && sum < 60.0, "a durable publish waits for its commit: {after}");
    let buckets = times["buckets"].as_array().unwrap();
    assert_eq!(buckets[0][0], 0.000_05);
    assert!(buckets.windows(2).all(|two| two[0][1].as_u64() <= two[1][1].as_u64()), "{times}");
}

/// A publish of the API itself is measured like a client's.
#[test]
fn a_publish_over_http_counts_too() {
    let server = Server::start(&setup());
    let body = json!({"channel": "chat:room", "data": 1});
    crate::http::post(&server, "/publish", &body).ok();
    let after = stats(&server);
    assert_eq!(after["publish_latency"]["count"], 1, "{after}");
    assert_eq!(after["published"]["disk"], 1);
}
