//! Who sees what.

use serde_json::{Value, json};

use crate::common::Server;
use crate::http::get;
use crate::{ROOM, delete, edit, history, react, setup, user};

#[test]
fn an_edit_is_seen_live_by_who_is_there_and_in_history_by_who_comes() {
    let server = Server::start(&setup());
    let (mut ada, mut bob) = (user(&server, "ada", &[]), user(&server, "bob", &[]));
    bob.subscribe(ROOM);
    ada.publish(ROOM, json!("Helo"));
    assert_eq!(bob.event()["data"], "Helo");
    let published = ada.ask(edit(1, "Hello"));
    assert_eq!((&published["offset"], &published["level"]), (&json!(2), &json!("fsync")));
    let told = bob.push();
    assert_eq!((&told["type"], &told["target"]), (&json!("edited"), &json!(1)));
    assert_eq!((&told["data"], &told["user"]), (&json!("Hello"), &json!("ada")));
    for events in [history(&mut bob), history(&mut user(&server, "cyd", &[]))] {
        assert_eq!(
            (&events[0]["data"], &events[0]["edited"]),
            (&json!("Hello"), &told["timestamp"])
        );
        assert_eq!(events.len(), 1);
    }
    let page = get(&server, "/channels/rooms%3Alobby/history").ok();
    assert_eq!(page["events"][0]["data"], "Hello", "the API shows it too");
    server.still_fine();
}

#[test]
fn who_was_away_gets_the_newest_version_and_all_changes_without_a_gap() {
    let server = Server::start(&setup());
    let mut ada = user(&server, "ada", &[]);
    for text in ["one", "two", "three"] {
        ada.publish(ROOM, json!(text));
    }
    let since = {
        let subscribed = user(&server, "bob", &[]).subscribe(ROOM);
        json!({ "epoch": subscribed["epoch"], "offset": 1 })
    };
    ada.ask(edit(2, "zwei"));
    ada.ask(delete(3));
    ada.ask(react(1, "👍"));
    let mut bob = user(&server, "bob", &[]);
    let subscribe = json!({ "type": "subscribe", "channel": ROOM, "since": since });
    assert_eq!(bob.ask(subscribe)["recovered"], true);
    let came: Vec<Value> = (0..5).map(|_| bob.push()).collect();
    let offsets: Vec<_> = came.iter().map(|frame| frame["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [2, 3, 4, 5, 6]);
    let types: Vec<_> = came.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["event", "event", "edited", "deleted", "reacted"]);
    assert_eq!((&came[0]["data"], &came[1]["data"]), (&json!("zwei"), &Value::Null));
    assert_eq!((&came[1]["deleted"], &came[4]["count"]), (&json!(true), &json!(1)));
    ada.publish(ROOM, json!("four"));
    assert_eq!(bob.event()["offset"], 7, "and then live");
}

#[test]
fn only_the_author_or_a_moderator_may() {
    let server = Server::start(&setup());
    let (mut ada, mut bob) = (user(&server, "ada", &[]), user(&server, "bob", &[]));
    let mut moderator = user(&server, "mod", &["rooms:*=moderate"]);
    ada.publish(ROOM, json!("mine"));
    assert_eq!(bob.ask(edit(1, "his"))["code"], "forbidden");
    assert_eq!(bob.ask(delete(1))["code"], "forbidden");
    assert_eq!(ada.ask(edit(1, "still mine"))["type"], "published");
    assert_eq!(moderator.ask(delete(1))["type"], "published");
    assert_eq!(ada.ask(edit(1, "back"))["code"], "not_found");
    assert_eq!(ada.ask(delete(99))["code"], "not_found");
    assert_eq!(bob.ask(react(1, "+1"))["code"], "not_found");
}

#[test]
fn users_who_react_at_once_are_counted_right_on_every_shard() {
    let server = Server::start(&setup());
    let mut ada = user(&server, "ada", &[]);
    ada.subscribe(ROOM);
    ada.publish(ROOM, json!("vote"));
    ada.event();
    let users = 64;
    let mut all: Vec<_> = (0..users).map(|n| user(&server, &format!("user-{n}"), &[])).collect();
    let ids: Vec<_> = all.iter_mut().map(|one| one.command(react(1, "🎉")).unwrap()).collect();
    for (one, id) in all.iter_mut().zip(ids) {
        assert_eq!(one.try_next().unwrap()["id"], id);
    }
    // Half of them take it back, and some say it again.
    for (n, one) in all.iter_mut().enumerate().filter(|(n, _)| n % 2 == 0) {
        let mut command = react(1, "🎉");
        command["remove"] = (n % 4 == 0).into();
        assert_eq!(one.ask(command)["type"], "published");
    }
    let counts: Vec<_> = (0..users + 32).map(|_| ada.push()["count"].as_u64().unwrap()).collect();
    assert_eq!(counts[..64], (1..=64).collect::<Vec<_>>());
    assert_eq!(counts[95], 48);
    let shown = &history(&mut ada)[0]["reactions"]["🎉"];
    assert_eq!(shown["count"], 48);
    let named = shown["users"].as_array().unwrap();
    assert!(named.len() == 48 && !named.contains(&json!("user-4")), "{named:?}");
}

#[test]
fn a_plain_event_source_goes_on_behind_a_change() {
    use std::io::{BufRead, BufReader, Write};
    let server = Server::start(&setup());
    let mut ada = server.connect();
    ada.publish("chat:a", json!("one"));
    let offset = json!({ "type": "edit", "channel": "chat:a", "offset": 1, "data": "uno" });
    assert_eq!(ada.ask(offset)["type"], "published");
    let mut stream = server.tcp();
    let get = "GET /events?channel=chat:a&rewind=9 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(get.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let id = lines.by_ref().find_map(|line| {
        let id = line.strip_prefix("id: ")?;
        id.ends_with(":2").then(|| id.to_owned())
    });
    assert!(id.is_some(), "the change has an id of its own");
}
