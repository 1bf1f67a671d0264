//! What is told, and how it looks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::backend::{Answer, Backend, SECRET, setup};
use crate::common::{Server, token, until};

const ALL: &str = "[\"user.online\", \"user.offline\", \"channel.occupied\", \"channel.vacated\", \
                   \"event.published\"]";

fn keys(item: &Value) -> Vec<&str> {
    item.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_visit_is_told_from_its_beginning_to_its_end() {
    let backend = Backend::start(|_| Answer::Take);
    let hook = backend.hook(ALL, "");
    let server = Server::start(&setup(&hook));
    let mut ada = server.connect_as(&token("ada", Duration::from_secs(600)));
    ada.subscribe("club:room");
    ada.publish("club:room", json!("in memory"));
    ada.publish("chat:room", json!("on disk"));
    let shown = json!({"type": "publish", "channel": "chat:room", "data": 1, "ephemeral": true});
    ada.ask(shown);
    backend.until_told("club:room", &["channel.occupied", "\"in memory\""]);
    drop(ada);
    backend.until_told("ada", &["user.online", "user.offline"]);
    backend.until_told("club:room", &["channel.occupied", "\"in memory\"", "channel.vacated"]);
    backend.until_told("chat:room", &["\"on disk\""]);
    assert_eq!(backend.taken().len(), backend.once().len(), "nothing failed, nothing came twice");

    for item in backend.taken() {
        let expected = match item["type"].as_str().unwrap() {
            "event.published" => vec!["at", "channel", "epoch", "event", "id", "type"],
            "channel.occupied" | "channel.vacated" => vec!["at", "channel", "id", "type"],
            _ => vec!["at", "id", "type", "user"],
        };
        let mut found = keys(&item);
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let of = |data: &str| backend.taken().into_iter().find(|item| item["event"]["data"] == data);
    let stored = of("on disk").unwrap();
    let page = server.connect().ask(json!({"type": "history", "channel": "chat:room"}));
    assert_eq!(stored["event"], page["events"][0], "just what subscribers get");
    assert_eq!((&stored["epoch"], &stored["event"]["offset"]), (&page["epoch"], &json!(1)));
    assert_eq!(of("in memory").unwrap()["event"]["user"], "ada");
}

#[test]
fn every_call_is_signed_for_its_time_and_a_forged_or_old_one_shows() {
    let backend = Backend::start(|_| Answer::Take);
    let hook = backend.hook("[\"event.published\"]", "");
    let server = Server::start(&setup(&hook));
    let mut ada = server.connect();
    for number in 0..20 {
        ada.publish("chat:room", json!(number));
    }
    until("all is told", || (backend.once().len() == 20).then_some(()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for call in backend.calls() {
        assert_eq!(call.json["webhook"], "test");
        assert!(call.is_signed_with(SECRET));
        assert!(!call.is_signed_with("another-secret-of-32-bytes-and-more"));
        let (time, _) = call.signed();
        assert!(now - time < 60, "{time} is now");
        let mut forged = call.clone();
        forged.body = call.body.replace("chat:room", "chat:rook");
        assert!(!forged.is_signed_with(SECRET));
        forged = call.clone();
        forged.signature =
            call.signature.replace(&format!("t={time}"), &format!("t={}", time + 300));
        assert!(!forged.is_signed_with(SECRET), "an old call cannot be made a new one");
    }
}

#[test]
fn a_reload_of_a_page_and_a_second_device_are_no_news() {
    let backend = Backend::start(|_| Answer::Take);
    let hook = backend.hook("[\"user.online\", \"user.offline\"]", "");
    let server = Server::start(&setup(&hook));
    let ada = token("ada", Duration::from_secs(600));
    let phone = server.connect_as(&ada);
    backend.until_told("ada", &["user.online"]);
    let page = server.connect_as(&ada);
    drop(phone);
    std::thread::sleep(Duration::from_secs(2));
    drop(page);
    let again = server.connect_as(&ada);
    // Whoever comes last shows that nothing was told before.
    let bob = server.connect_as(&token("bob", Duration::from_secs(600)));
    std::thread::sleep(Duration::from_secs(3));
    backend.until_told("bob", &["user.online"]);
    backend.until_told("ada", &["user.online"]);
    drop((again, bob));
    backend.until_told("ada", &["user.online", "user.offline"]);
}

#[test]
fn only_what_is_wanted_is_told() {
    let backend = Backend::start(|_| Answer::Take);
    let hook = backend.hook("[\"event.published\"]", "channels = [\"cast:*\", \"chat:one\"]");
    let server = Server::start(&setup(&hook));
    let mut ada = server.connect();
    for channel in ["chat:two", "chat:one", "club:room", "cast:any"] {
        ada.publish(channel, json!(channel));
    }
    until("both are told", || (backend.once().len() == 2).then_some(()));
    let mut told: Vec<_> = backend.stories().into_keys().collect();
    told.sort();
    assert_eq!(told, ["cast:any", "chat:one"]);
}

#[test]
fn without_a_store_on_disk_it_is_told_all_the_same() {
    let backend = Backend::start(|_| Answer::Take);
    let hook = backend.hook(ALL, "");
    let server =
        Server::start(&crate::common::Setup { store: "kind = \"memory\"", ..setup(&hook) });
    let mut ada = server.connect_as(&token("ada", Duration::from_secs(600)));
    ada.subscribe("chat:room");
    ada.publish("chat:room", json!(1));
    backend.until_told("chat:room", &["channel.occupied", "1"]);
    drop(ada);
    backend.until_told("chat:room", &["channel.occupied", "1", "channel.vacated"]);
    backend.until_told("ada", &["user.online", "user.offline"]);
    server.still_fine();
}

#[test]
fn metrics_tell_what_waits_and_what_was_told() {
    let backend = Backend::start(|_| Answer::Status(500));
    let hook = backend.hook("[\"event.published\"]", "");
    let server = Server::start(&setup(&hook));
    let mut ada = server.connect();
    for number in 0..5 {
        ada.publish("chat:room", json!(number));
    }
    let value = |line: &str| {
        let head = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut tcp = server.tcp();
        std::io::Write::write_all(&mut tcp, head).unwrap();
        let mut page = String::new();
        std::io::Read::read_to_string(&mut tcp, &mut page).unwrap();
        let found = page.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{line} in {page}")).parse::<f64>().unwrap()
    };
    let hook = "{webhook=\"test\"}";
    until("two calls have failed", || {
        (value(&format!("tidings_webhook_failures_total{hook}")) >= 2.0).then_some(())
    });
    assert_eq!(value(&format!("tidings_webhook_queue_length{hook}")), 5.0);
    until("the oldest has waited for a while", || {
        (value(&format!("tidings_webhook_oldest_seconds{hook}")) > 0.4).then_some(())
    });
    assert_eq!(value(&format!("tidings_webhook_items_total{hook}")), 0.0);
    backend.now(|_| Answer::Take);
    until("all is told", || {
        (value(&format!("tidings_webhook_items_total{hook}")) >= 5.0).then_some(())
    });
    assert_eq!(value(&format!("tidings_webhook_queue_length{hook}")), 0.0);
    let dropped = "tidings_webhook_dropped_total{webhook=\"test\",reason=\"expired\"}";
    assert_eq!(value(dropped), 0.0);
}

#[test]
fn changes_of_events_are_told_as_what_is_published() {
    let backend = Backend::start(|_| Answer::Take);
    let hook = backend.hook("[\"event.published\"]", "");
    let server = Server::start(&setup(&hook));
    let mut ada = server.connect();
    for channel in ["chat:a", "cast:a"] {
        ada.publish(channel, json!("one"));
        let change = |kind: &str| {
            json!({"type": kind, "channel": channel, "offset": 1,
            "data": "uno", "reaction": "👍"})
        };
        for kind in ["edit", "react", "delete"] {
            assert_eq!(ada.ask(change(kind))["type"], "published");
        }
        let told = until("all four are told", || {
            let mut told = backend.once();
            told.retain(|item| item["channel"] == channel);
            (told.len() == 4).then_some(told)
        });
        let types: Vec<_> = told.iter().map(|item| item["event"]["type"].clone()).collect();
        assert_eq!(types, ["event", "edited", "reacted", "deleted"]);
        assert!(told.iter().all(|item| item["type"] == "event.published"));
        assert_eq!(told[2]["event"]["reaction"], "👍");
    }
}
