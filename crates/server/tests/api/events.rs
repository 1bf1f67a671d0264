//! Publishing from a backend, and reading what is there.

use serde_json::json;

use crate::common::Server;
use crate::http::{get, post, setup};

#[test]
fn a_backend_publishes_once_by_key_through_a_kill_and_everybody_hears_it() {
    let mut server = Server::start(&setup());
    let mut ada = server.connect();
    ada.subscribe("chat:lobby");
    let order = json!({"channel": "chat:lobby", "data": {"order": 7}, "key": "order-7",
        "event": "paid", "user": "shop"});
    let first = post(&server, "/publish", &order).ok();
    assert_eq!((&first["level"], &first["duplicate"]), (&json!("fsync"), &json!(false)));
    let heard = ada.event();
    assert_eq!((&heard["data"], &heard["user"]), (&json!({"order": 7}), &json!("shop")));
    assert_eq!((&heard["event"], &heard["key"]), (&json!("paid"), &json!("order-7")));

    // Nobody else's key is the backend's: neither an anonymous user's nor one of that name.
    let mine =
        ada.ask(json!({"type": "publish", "channel": "chat:lobby", "data": 1, "key": "order-7"}));
    assert_eq!(mine["duplicate"], false);
    let dir = server.dir();
    server.kill();
    let server = Server::start_in(dir, &setup());
    let again = post(&server, "/publish", &order).ok();
    assert_eq!((&again["offset"], &again["duplicate"]), (&first["offset"], &json!(true)));
    assert_eq!(again["epoch"], first["epoch"]);
    let history = get(&server, "/channels/chat%3Alobby/history").ok();
    assert_eq!(history["events"].as_array().unwrap().len(), 2, "{history}");
}

#[test]
fn one_broadcast_reaches_many_channels_and_what_is_wrong_with_one_hurts_no_other() {
    let server = Server::start(&setup());
    let mut ada = server.connect();
    let mut channels: Vec<String> = (0..200).map(|n| format!("chat:room-{n}")).collect();
    ada.subscribe("chat:room-0");
    ada.subscribe("cast:live");
    channels.extend(["nobody:here".into(), "cast:live".into(), "no colon".into()]);
    let body = json!({"channels": channels, "data": "hello"});
    let results = post(&server, "/broadcast", &body).ok()["results"].take();
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), 203);
    for (channel, result) in channels.iter().zip(results) {
        assert_eq!(result["channel"], **channel);
        let code = match channel.as_str() {
            "nobody:here" => Some("not_found"),
            "no colon" => Some("bad_request"),
            _ => None,
        };
        assert_eq!(result["error"]["code"].as_str(), code, "{result}");
        assert_eq!(result["published"]["offset"].as_u64(), code.is_none().then_some(1));
    }
    let heard: Vec<_> = ada.events(2).iter().map(|event| event["channel"].clone()).collect();
    assert!(heard.contains(&json!("chat:room-0")) && heard.contains(&json!("cast:live")));
    let none = json!({"channels": [], "data": 1});
    assert_eq!(post(&server, "/broadcast", &none).problem(400), "bad_request");
}

#[test]
fn history_is_read_in_pages_in_both_directions() {
    let server = Server::start(&setup());
    for number in 1..=30 {
        post(&server, "/publish", &json!({"channel": "cast:news", "data": number})).ok();
    }
    let page = |query: &str| {
        let page = get(&server, &format!("/channels/cast:news/history{query}")).ok();
        let numbers = page["events"].as_array().unwrap().iter();
        (numbers.map(|e| e["data"].as_u64().unwrap()).collect::<Vec<_>>(), page["more"] == true)
    };
    assert_eq!(page("?limit=3"), (vec![28, 29, 30], true));
    assert_eq!(page("?limit=3&before=28"), (vec![25, 26, 27], true));
    assert_eq!(page("?limit=3&after=2"), (vec![3, 4, 5], true));
    assert_eq!(page("?after=28&limit=100"), (vec![29, 30], false));
    for wrong in ["?limit=0", "?limit=101", "?limit=x", "?before=1&after=2", "?after=-1"] {
        let path = format!("/channels/cast:news/history{wrong}");
        assert_eq!(get(&server, &path).problem(400), "bad_request", "{wrong}");
    }
}

#[test]
fn what_is_refused_is_told_as_a_problem() {
    let server = Server::start(&setup());
    let refused = |status, body| post(&server, "/publish", &body).problem(status);
    assert_eq!(refused(404, json!({"channel": "nobody:x", "data": 1})), "not_found");
    assert_eq!(refused(400, json!({"channel": "chat:x"})), "bad_request");
    assert_eq!(refused(400, json!({"channel": "chat:x", "data": 1, "dat": 1})), "bad_request");
    assert_eq!(refused(400, json!({"channel": 5, "data": 1})), "bad_request");
    assert_eq!(refused(400, json!([])), "bad_request");
    assert_eq!(refused(400, json!({"channel": "chat:x", "data": 1, "user": ""})), "bad_request");
    let both = json!({"channel": "chat:x", "data": 1, "ephemeral": true, "key": "k"});
    assert_eq!(refused(400, both), "bad_request");
    let large = json!({"channel": "chat:x", "data": "x".repeat(40_000)});
    let answer = post(&server, "/publish", &large);
    assert_eq!(answer.body["limit"], "data", "{answer:?}");
    assert_eq!(answer.problem(413), "too_large");
    assert_eq!(
        refused(413, json!({"channel": "chat:x", "data": "x".repeat(2 << 20)})),
        "too_large"
    );
    let deep = format!("{{\"channel\":\"chat:x\",\"data\":{}1{}}}", "[".repeat(90), "]".repeat(90));
    let deep = serde_json::from_str(&deep).unwrap();
    assert_eq!(refused(422, deep), "invalid_data");
    // null is data like any other.
    post(&server, "/publish", &json!({"channel": "cast:x", "data": null})).ok();
    let passing = json!({"channel": "cast:x", "data": 1, "ephemeral": true});
    let passing = post(&server, "/publish", &passing).ok();
    assert_eq!(passing, json!({"level": "memory", "duplicate": false}));
}

#[test]
fn channels_are_listed_by_name_and_each_can_be_looked_at() {
    let server = Server::start(&setup());
    let (mut ada, mut bob) = (server.connect(), server.connect());
    for number in 0..25 {
        let channel = format!("chat:{number:02}");
        post(&server, "/publish", &json!({"channel": channel, "data": 1})).ok();
    }
    for client in [&mut ada, &mut bob] {
        client.subscribe("chat:07");
        client.ask(json!({"type": "enter", "channel": "chat:07", "data": {"name": "x"}}));
    }
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/channels?prefix=chat:&limit=10&after={after}");
        let page = get(&server, &path).ok();
        let channels = page["channels"].as_array().unwrap();
        names.extend(channels.iter().map(|one| one["channel"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    assert_eq!(names, (0..25).map(|n| format!("chat:{n:02}")).collect::<Vec<_>>());
    assert_eq!(get(&server, "/channels?prefix=cast:").ok(), json!({"channels": []}));

    let seven = get(&server, "/channels/chat:07").ok();
    assert_eq!((&seven["subscriptions"], &seven["members"]), (&json!(2), &json!(2)), "{seven}");
    assert_eq!((&seven["offset"], &seven["events"]), (&json!(1), &json!(1)));
    let present = get(&server, "/channels/chat:07/presence").ok();
    assert_eq!((&present["count"], present["members"].as_array().unwrap().len()), (&json!(2), 2));
    assert_eq!(get(&server, "/channels/chat:99").problem(404), "not_found");
    let info = get(&server, "/info").ok();
    assert!(
        info["sessions"].as_u64() >= Some(2) && info["channels"].as_u64() >= Some(25),
        "{info}"
    );
    let kinds = json!({"cast": "events", "chat": "events", "club": "events", "inbox": "inbox"});
    assert_eq!(info["kinds"], kinds, "{info}");
}
