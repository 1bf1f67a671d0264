//! A configuration that changes under connected clients.

use std::time::Duration;

use serde_json::json;

use crate::common::{SECRET, Server, Setup, token, until};
use crate::http::get;

/// Writes the configuration of `setup` with `change` made to its text.
pub(crate) fn write(server: &Server, setup: &Setup<'_>, change: impl FnOnce(String) -> String) {
    std::fs::write(server.path().join("tidings.toml"), change(setup.text())).unwrap();
}

/// SIGHUP, and its outcome: `taken` or `refused`, for so many times by now.
fn reload(server: &Server, outcome: &str, times: usize) {
    server.signal("HUP");
    told(server, outcome, times);
}

fn told(server: &Server, outcome: &str, times: usize) {
    let line = format!("tidings_reloads_total{{outcome=\"{outcome}\"}} {times}\n");
    until(&line, || get(server.port, "/metrics").1.contains(&line).then_some(()));
}

pub(crate) const OTHER: &str = "another secret of tests, also of 32 bytes";

#[test]
fn a_key_is_added_while_everybody_stays_and_withdrawn_with_its_sessions() {
    let setup = Setup { server: "shards = 2", ..Setup::default() };
    let server = Server::start(&setup);
    let ada = token("ada", Duration::from_secs(600));
    let mut old = server.connect_as(&ada);
    old.subscribe("club:room");
    let both = |text: String| {
        let other = format!("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{OTHER}\"\n");
        text.replacen("[namespace", &format!("{other}[namespace"), 1)
    };
    write(&server, &setup, both);
    reload(&server, "taken", 1);
    assert_eq!(old.publish("club:room", json!("still here"))["type"], "published");
    assert_eq!(old.event()["data"], "still here");
    let mut anonymous = server.connect();
    anonymous.subscribe("chat:room");

    write(&server, &setup, |text| text.replace(SECRET, OTHER));
    reload(&server, "taken", 2);
    old.bye(4501);
    let mut refused = server.connect();
    refused.command(json!({"type": "hello", "token": ada})).unwrap();
    refused.bye(4401);
    assert_eq!(anonymous.publish("chat:room", json!(1))["type"], "published");
    write(&server, &setup, |text| text);
    reload(&server, "taken", 3);
    server.connect_as(&ada);
    server.still_fine();
}

/// The ticket of a session does not outlive the key of its token.
#[test]
fn who_was_lost_does_not_come_back_by_a_key_that_is_gone() {
    let setup = Setup::default();
    let server = Server::start(&setup);
    let mut ada = server.connect();
    let hello = json!({"type": "hello", "token": token("ada", Duration::from_secs(600))});
    let ticket = ada.ask(hello)["session"].as_str().unwrap().to_owned();
    drop(ada);
    until("she is lost", || {
        get(server.port, "/metrics").1.contains("\ntidings_lost_sessions 1\n").then_some(())
    });
    write(&server, &setup, |text| text.replace(SECRET, OTHER));
    reload(&server, "taken", 1);
    let mut again = server.connect();
    again.command(json!({"type": "hello", "session": ticket})).unwrap();
    again.bye(4501);
    server.still_fine();
}

#[test]
fn who_may_not_any_more_is_told_and_stays_connected() {
    let setup = Setup { server: "shards = 2", ..Setup::default() };
    let server = Server::start(&setup);
    let mut sockets: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for socket in &mut sockets {
        socket.subscribe("cast:room");
        socket.subscribe("chat:room");
    }
    let closed = |text: String| {
        text.replace("cast]\nsubscribe = \"anyone\"", "cast]\nsubscribe = \"token\"")
    };
    write(&server, &setup, closed);
    reload(&server, "taken", 1);
    for socket in &mut sockets {
        let told = socket.push();
        assert_eq!((&told["code"], &told["channel"]), (&json!("forbidden"), &json!("cast:room")));
    }
    let published = sockets[0].publish("chat:room", json!(1));
    assert_eq!(published["type"], "published");
    for socket in &mut sockets {
        assert_eq!(socket.event()["offset"], 1, "the other subscription goes on");
    }
    let again = sockets[1].ask(json!({"type": "subscribe", "channel": "cast:room"}));
    assert_eq!(again["code"], "forbidden");
}

#[test]
fn a_bad_file_is_refused_as_a_whole() {
    let setup = Setup::default();
    let mut server = Server::start(&setup);
    let mut ada = server.connect();
    ada.subscribe("chat:room");
    let closed = |text: String| text.replace("subscribe = \"anyone\"", "subscribe = \"token\"");
    write(&server, &setup, |text| closed(text) + "[limits]\nframe = \"much\"\n");
    reload(&server, "refused", 1);
    write(&server, &setup, |text| closed(text).replace("leeway = \"0ms\"", "leeway = \"9m\""));
    reload(&server, "refused", 2);
    assert_eq!(ada.publish("chat:room", json!(1))["type"], "published");
    assert_eq!(ada.event()["data"], 1);
    server.still_fine();
    let log = server.whole_log();
    assert!(log.contains("refused; the old one stays"), "{log}");
    assert!(log.contains("tidings.toml:") && log.contains("auth.leeway"), "where, and what: {log}");
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_taken() {
    let setup =
        Setup { server: "shards = 1", limits: "channels_per_session = 9", ..Setup::default() };
    let server = Server::start(&setup);
    let mut ada = server.connect();
    ada.subscribe("chat:one");
    write(&server, &setup, |text| {
        text.replace("shards = 1", "shards = 2")
            .replace("channels_per_session = 9", "channels_per_session = 1")
            .replace("durable = true", "durable = false")
    });
    reload(&server, "taken", 1);
    let keys = ["server.shards", "namespace.chat.history.durable"];
    keys.iter().for_each(|key| server.until_logged(key));
    let log = server.log();
    for key in keys {
        let named = |line: &str| line.contains("next start only") && line.contains(key);
        assert!(log.lines().any(named), "{key} in {log}");
    }
    let second = ada.ask(json!({"type": "subscribe", "channel": "chat:two"}));
    assert_eq!(second["code"], "limit_exceeded", "{second}");
    assert_eq!(ada.publish("chat:new", json!(1))["level"], "fsync", "as before");
}

/// Nobody has to send a signal.
#[test]
fn a_changed_file_is_noticed() {
    let setup = Setup::default();
    let server = Server::start(&setup);
    let mut ada = server.connect();
    write(&server, &setup, |text| text.replace("anonymous = true", "anonymous = false"));
    ada.subscribe("chat:room");
    ada.bye(4403);
    told(&server, "taken", 1);
}
