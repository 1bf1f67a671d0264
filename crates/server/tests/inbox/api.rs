//! What backends ask for.

use serde_json::{Value, json};

use crate::common::{Server, Setup};
use crate::devices::{device, open};
use crate::http::{ask, get, post, setup};

#[test]
fn a_thousand_users_are_told_at_once_and_a_second_try_tells_nobody_twice() {
    let server = Server::start(&setup());
    let mut connected: Vec<_> = (0..20).map(|n| device(&server, &format!("user-{n}"))).collect();
    for (n, socket) in connected.iter_mut().enumerate() {
        socket.subscribe(&format!("inbox:user-{n}"));
    }
    let mut users: Vec<String> = (0..1000).map(|n| format!("user-{n}")).collect();
    users.push("no\nbody".into());
    let body = json!({ "users": users, "topic": "news", "data": "All is well", "key": "news-1" });
    let told = post(&server, "/notify", &body).ok();
    assert_eq!((&told["notified"], &told["duplicates"]), (&json!(1000), &json!(0)));
    assert_eq!(told["failed"], json!([{ "user": "no\nbody", "code": "bad_request" }]));
    let again = post(&server, "/notify", &body).ok();
    assert_eq!((&again["notified"], &again["duplicates"]), (&json!(0), &json!(1000)));
    for socket in &mut connected {
        assert_eq!(socket.push()["item"]["data"], "All is well");
        assert_eq!(open(socket)["unread"], 1);
    }
    assert_eq!(get(&server, "/inbox?user=user-999").ok()["unread"], 1);
}

#[test]
fn who_is_named_twice_in_one_request_is_told_once() {
    let server = Server::start(&setup());
    let body = json!({ "users": ["ada", "bob", "ada"], "topic": "news", "data": 1 });
    assert_eq!(post(&server, "/notify", &body).ok()["notified"], 2);
    assert_eq!(get(&server, "/inbox?user=ada").ok()["unread"], 1);
}

#[test]
fn those_who_follow_a_topic_are_told_and_those_who_stopped_are_not() {
    let server = Server::start(&setup());
    let users: Vec<String> = (0..2500).map(|n| format!("user-{n:04}")).collect();
    let added = json!({ "topic": "releases", "add": users });
    assert_eq!(post(&server, "/followers", &added).ok()["added"], 2500);
    let removed = json!({ "topic": "releases", "remove": ["user-0001", "nobody"] });
    assert_eq!(post(&server, "/followers", &removed).ok()["removed"], 2);
    let page = get(&server, "/followers?topic=releases&limit=2").ok();
    assert_eq!(page, json!({ "users": ["user-0000", "user-0002"], "more": true }));
    let body = json!({ "topic_followers": "releases", "topic": "release", "data": { "v": 3 } });
    assert_eq!(post(&server, "/notify", &body).ok()["notified"], 2499);
    assert_eq!(get(&server, "/inbox?user=user-2499").ok()["items"][0]["data"]["v"], 3);
    assert_eq!(get(&server, "/inbox?user=user-0001").ok()["items"], json!([]));
}

#[test]
fn a_backend_reads_and_marks_what_a_user_has() {
    let server = Server::start(&setup());
    for (topic, subject) in [("a", "doc:1"), ("b", "doc:1"), ("a", "doc:2")] {
        let body = json!({ "user": "ada", "topic": topic, "subject": subject, "data": 1 });
        post(&server, "/notify", &body).ok();
    }
    let ids = |path: &str| -> Vec<Value> {
        let page = get(&server, path).ok();
        page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    };
    assert_eq!(ids("/inbox?user=ada&topic=a"), [3, 1]);
    assert_eq!(ids("/inbox?user=ada&subject=doc:1&limit=1"), [2]);
    let mark = json!({ "user": "ada", "as": "read", "upto": 2 });
    let marked = post(&server, "/inbox/mark", &mark).ok();
    assert_eq!((&marked["unread"], &marked["unseen"]), (&json!(1), &json!(1)));
    assert_eq!(ids("/inbox?user=ada&unread=true"), [3]);
    let groups = get(&server, "/inbox?user=ada&group=true").ok();
    assert_eq!(groups["groups"].as_array().unwrap().len(), 3, "{groups}");
    for (path, status) in [("/inbox", 400), ("/inbox?user=ada&unread=1", 400), ("/cursors", 400)] {
        get(&server, path).problem(status);
    }
}

#[test]
fn what_is_wrong_with_a_notification_is_said() {
    let server = Server::start(&setup());
    let body = |change: Value| {
        let mut body = json!({ "user": "ada", "topic": "news", "data": 1 });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (change, status, code) in [
        (json!({ "users": ["bob"] }), 400, "bad_request"),
        (json!({ "user": null }), 400, "bad_request"),
        (json!({ "user": null, "users": [] }), 400, "bad_request"),
        (json!({ "user": "" }), 400, "bad_request"),
        (json!({ "topic": "" }), 400, "bad_request"),
        (json!({ "topic": "x".repeat(65) }), 413, "too_large"),
        (json!({ "user": null, "topic_followers": "nobody", "topic": "" }), 400, "bad_request"),
        (json!({ "subject": "x".repeat(129) }), 413, "too_large"),
        (json!({ "data": "x".repeat(33_000) }), 413, "too_large"),
        (json!({ "ttl": 0 }), 400, "bad_request"),
        (json!({ "user_from": "a\nb" }), 400, "bad_request"),
        (json!({ "colour": "red" }), 400, "bad_request"),
    ] {
        let answer = post(&server, "/notify", &body(change.clone()));
        assert_eq!(answer.problem(status), code, "{change}");
    }
    assert_eq!(get(&server, "/inbox?user=ada").ok()["offset"], 0, "nothing has happened");
}

#[test]
fn a_key_for_some_things_does_nothing_else() {
    const MORE: &str = "[[api.key]]\nname = \"reader\"\nscopes = [\"inbox\"]\n\
        secret = \"a-key-that-reads-inboxes-of-32-bytes-or-more\"\nchannels = [\"inbox:a*\"]\n\
        [[api.key]]\nname = \"auditor\"\nscopes = [\"history\"]\n\
        secret = \"a-key-that-reads-history-of-32-bytes-or-more\"\n";
    let server = Server::start(&Setup { more: MORE, ..Setup::default() });
    let key = "a-key-that-reads-inboxes-of-32-bytes-or-more";
    let get = |path: &str| ask(&server, key, &format!("GET /api/v1{path}"), "");
    assert_eq!(get("/inbox?user=ada").ok()["unread"], 0);
    assert_eq!(get("/inbox?user=bob").problem(403), "forbidden");
    assert_eq!(get("/followers?topic=news").problem(403), "forbidden", "not for all users");
    let body = json!({ "user": "ada", "topic": "news", "data": 1 }).to_string();
    assert_eq!(ask(&server, key, "POST /api/v1/notify", &body).problem(403), "forbidden");
    // What users are told and have read is more than history.
    let auditor = "a-key-that-reads-history-of-32-bytes-or-more";
    let history = |channel: &str| {
        ask(&server, auditor, &format!("GET /api/v1/channels/{channel}/history"), "")
    };
    history("chat:lobby").ok();
    assert_eq!(history("inbox:ada").problem(403), "forbidden");
}
