//! From a notification to what a browser reads, through all of the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, Setup, Socket, token, until};
use crate::http::post;
use crate::service::{Answer, Browser, Push, Service};

/// A server that pushes after `delay`, and takes what stands for a push service.
fn more(delay: &str) -> String {
    format!(
        "[[api.key]]\nname = \"backend\"\nsecret = \"{}\"\n\
         [push]\nsubject = \"mailto:operator@example.com\"\ndelay = \"{delay}\"\n\
         timeout = \"2s\"\nallow = [\"127.0.0.1\"]\n",
        crate::http::KEY
    )
}

fn start(delay: &str) -> Server {
    Server::start(&Setup { more: &more(delay), ..Setup::default() })
}

fn device(server: &Server, user: &str) -> Socket {
    server.connect_as(&token(user, Duration::from_secs(600)))
}

fn subscription(browser: &Browser) -> Value {
    let [endpoint, p256dh, auth] = browser.subscription();
    json!({ "endpoint": endpoint, "keys": { "p256dh": p256dh, "auth": auth } })
}

/// A user lets these browsers be told, and leaves.
fn allow(server: &Server, user: &str, browsers: &[&Arc<Browser>]) {
    let mut socket = device(server, user);
    for browser in browsers {
        let ask = json!({ "type": "push_subscribe", "subscription": subscription(browser) });
        assert_eq!(socket.ask(ask)["type"], "push_subscribed");
    }
}

fn notify(server: &Server, user: &str, data: Value) {
    let body = json!({ "user": user, "topic": "mentions", "subject": "room", "data": data });
    assert_eq!(post(server, "/notify", &body).ok()["notified"], 1);
}

fn inbox(server: &Server, user: &str) -> Value {
    device(server, user).ask(json!({ "type": "inbox" }))
}

fn until_counted(server: &Server, line: &str, count: f64) {
    until(&format!("{line} is {count}"), || (server.metric(line) >= count).then_some(()));
    assert!(server.metric(line) <= count, "{line}");
}

/// Nothing waits any more, so nothing more is pushed.
fn until_done(server: &Server) {
    until("nothing waits", || (server.metric("tidings_push_queue_length") < 1.0).then_some(()));
}

fn until_taken(service: &Service, count: usize) -> Vec<Push> {
    until(&format!("{count} are taken"), || (service.taken().len() >= count).then_some(()));
    service.taken()
}

#[test]
fn who_is_away_is_told_in_each_browser_once_when_the_delay_is_over() {
    let (service, server) = (Service::start(), start("1500ms"));
    let (phone, desktop) = (service.browser(), service.browser());
    allow(&server, "ada", &[&phone, &desktop]);
    // The same browser again is the same one.
    allow(&server, "ada", &[&phone]);
    let begun = Instant::now();
    notify(&server, "ada", json!({ "title": "Bob" }));
    notify(&server, "bob", json!("who has no browser"));
    let pushes = until_taken(&service, 2);
    assert!(begun.elapsed() >= Duration::from_millis(1400), "{:?}", begun.elapsed());
    until_done(&server);
    assert_eq!(service.calls().len(), 2, "once for each");
    let mut told: Vec<_> = pushes.iter().map(|push| push.browser).collect();
    told.sort_unstable();
    assert_eq!(told, [0, 1]);
    let page = inbox(&server, "ada");
    for push in pushes {
        let said = json!({ "id": page["items"][0]["id"], "topic": "mentions", "subject": "room",
            "data": { "title": "Bob" }, "unread": 1 });
        assert_eq!(push.said, said);
        assert_eq!(push.key, page["push_key"], "browsers were given this key");
        assert_eq!(push.subject, "mailto:operator@example.com");
    }
    until_counted(&server, "tidings_push_calls_total{outcome=\"sent\"}", 2.0);
}

#[test]
fn who_is_there_or_has_read_it_is_not_told_by_a_browser() {
    let (service, server) = (Service::start(), start("1s"));
    let [there, reads, sees] = [(); 3].map(|()| service.browser());
    for (user, browser) in [("there", &there), ("reads", &reads), ("sees", &sees)] {
        allow(&server, user, &[browser]);
    }
    let mut live = device(&server, "there");
    live.subscribe("inbox:there");
    for user in ["there", "reads", "sees"] {
        notify(&server, user, json!(1));
    }
    for (user, how) in [("reads", "read"), ("sees", "seen")] {
        let mut socket = device(&server, user);
        let id = socket.ask(json!({ "type": "inbox" }))["items"][0]["id"].clone();
        let marked = socket.ask(json!({ "type": "mark", "ids": [id], "as": how }));
        assert_eq!(marked["type"], "marked", "{marked}");
    }
    assert_eq!(live.push()["type"], "notification");
    until_counted(&server, "tidings_push_spared_total{reason=\"present\"}", 1.0);
    until_counted(&server, "tidings_push_spared_total{reason=\"unwanted\"}", 2.0);
    assert!(service.calls().is_empty(), "{:?}", service.calls());
}

#[test]
fn a_browser_that_was_unsubscribed_is_told_nothing_more() {
    let (service, server) = (Service::start(), start("1s"));
    let (kept, left) = (service.browser(), service.browser());
    allow(&server, "ada", &[&kept, &left]);
    // Also of what was on its way when its user took it back.
    notify(&server, "ada", json!(1));
    let [endpoint, ..] = left.subscription();
    let ask = json!({ "type": "push_unsubscribe", "endpoint": endpoint });
    let mut ada = device(&server, "ada");
    assert_eq!(ada.ask(ask.clone())["type"], "push_unsubscribed");
    assert_eq!(ada.ask(ask)["type"], "push_unsubscribed", "there is nothing to do");
    notify(&server, "ada", json!(2));
    let pushes = until_taken(&service, 2);
    until_done(&server);
    assert!(pushes.iter().all(|push| push.browser == 0), "{pushes:?}");
    assert_eq!(service.calls().len(), 2);
}

#[test]
fn a_subscription_that_the_push_service_has_forgotten_is_gone_for_good() {
    let (service, mut server) = (Service::start(), start("0s"));
    let browsers = [(); 3].map(|()| service.browser());
    allow(&server, "ada", &[&browsers[0], &browsers[1], &browsers[2]]);
    service.now(|browser| match browser {
        0 => Answer::Status(404),
        1 => Answer::Status(410),
        _ => Answer::Take,
    });
    let before = inbox(&server, "ada")["offset"].as_u64().unwrap();
    notify(&server, "ada", json!(1));
    // Two events that say nothing to anybody: the subscriptions are over.
    until("both are dropped", || (inbox(&server, "ada")["offset"] == before + 3).then_some(()));
    until_done(&server);
    service.now(|_| Answer::Take);
    // Whoever ends in peace notes what was pushed.
    server.signal("TERM");
    server.ended();
    let dir = server.dir();
    let server = Server::start_in(dir, &Setup { more: &more("0s"), ..Setup::default() });
    notify(&server, "ada", json!(2));
    until_taken(&service, 2);
    until_done(&server);
    let calls: Vec<_> = service.calls().into_iter().skip(3).map(|push| push.browser).collect();
    assert_eq!(calls, [2], "the others are not called any more");
}

#[test]
fn retry_after_is_kept_to_the_second() {
    for status in [429, 503] {
        let (service, server) = (Service::start(), start("0s"));
        let browser = service.browser();
        allow(&server, "ada", &[&browser]);
        let mut calls = 0;
        service.now(move |_| {
            calls += 1;
            if calls == 1 { Answer::Later(status, 4) } else { Answer::Take }
        });
        notify(&server, "ada", json!(1));
        until("it was called", || service.calls().first().cloned());
        let begun = Instant::now();
        // Another one does not call it either.
        notify(&server, "ada", json!(2));
        until_taken(&service, 2);
        let waited = begun.elapsed();
        assert!(waited > Duration::from_millis(3500), "{status}: {waited:?}");
        assert!(waited < PATIENCE / 2, "{status}: {waited:?}");
        assert_eq!(service.calls().len(), 3, "{status}");
        until_counted(&server, "tidings_push_calls_total{outcome=\"failed\"}", 1.0);
    }
}

#[test]
fn what_was_acknowledged_is_pushed_also_when_the_server_is_killed_before() {
    let more = more("1500ms");
    let (service, setup) = (Service::start(), Setup { more: &more, ..Setup::default() });
    let mut server = Server::start(&setup);
    for round in 1..=5 {
        let users: Vec<_> = (0..10).map(|n| format!("user-{round}-{n}")).collect();
        let browsers: Vec<_> = users.iter().map(|_| service.browser()).collect();
        for (user, browser) in users.iter().zip(&browsers) {
            allow(&server, user, &[browser]);
        }
        let body = json!({ "users": users, "topic": "news", "data": round });
        assert_eq!(post(&server, "/notify", &body).ok()["notified"], 10);
        let dir = server.dir();
        server.kill();
        let early = service.calls().into_iter().filter(|push| push.said["data"] == round);
        assert_eq!(early.count(), 0, "the delay is not over");
        server = Server::start_in(dir, &setup);
        let mut told = BTreeMap::<_, u32>::new();
        until("all are told", || {
            told.clear();
            service.taken().iter().for_each(|push| *told.entry(push.browser).or_default() += 1);
            (told.len() == 10 * round).then_some(())
        });
        until_done(&server);
        // What was pushed is noted once a second: whoever is killed before does it once more.
        assert!(told.values().all(|count| *count <= 2), "{told:?}");
        std::thread::sleep(Duration::from_millis(1500));
    }
}

#[test]
fn a_user_cannot_have_internal_addresses_called() {
    let (service, more) = (Service::start(), more("0s").replace("[\"127.0.0.1\"]", "[]"));
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let mut ada = device(&server, "ada");
    let mut good = subscription(&service.browser());
    let own = json!({ "type": "push_subscribe", "subscription": good });
    assert_eq!(ada.ask(own)["code"], "bad_request", "nothing is allowed");
    good["endpoint"] = json!("https://push.example.com/1");
    for endpoint in [
        "https://10.0.0.1/push",
        "https://127.0.0.1/push",
        "https://169.254.169.254/latest/meta-data",
        "https://192.168.1.1/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0x7f000001/",
        "http://push.example.com/",
        "ftp://push.example.com/",
        "file:///etc/passwd",
        "https://user:secret@push.example.com/",
        "no URL",
        "",
    ] {
        let mut bad = good.clone();
        bad["endpoint"] = json!(endpoint);
        let said = ada.ask(json!({ "type": "push_subscribe", "subscription": bad }));
        assert_eq!(said["code"], "bad_request", "{endpoint}: {said}");
        assert!(said["message"].as_str().unwrap().starts_with("endpoint: "), "{said}");
    }
    // It has had many in a row.
    let mut ada = device(&server, "ada");
    for (name, value) in [("p256dh", "AAAA"), ("p256dh", "?"), ("auth", "AAAA"), ("auth", "")] {
        let mut bad = good.clone();
        bad["keys"][name] = json!(value);
        let said = ada.ask(json!({ "type": "push_subscribe", "subscription": bad }));
        assert_eq!(said["code"], "bad_request", "{name} {value:?}: {said}");
    }
    // A name that leads inside is found out when it is called.
    let mut named = good;
    named["endpoint"] = json!("https://localhost/push");
    let said = ada.ask(json!({ "type": "push_subscribe", "subscription": named }));
    assert_eq!(said["type"], "push_subscribed", "{said}");
    notify(&server, "ada", json!(1));
    until_counted(&server, "tidings_push_calls_total{outcome=\"refused\"}", 1.0);
    until_done(&server);
    assert_eq!(inbox(&server, "ada")["unread"], 1);
    assert!(service.calls().is_empty());
    server.still_fine();
}

#[test]
fn without_web_push_there_is_no_key_and_nobody_subscribes() {
    let (service, server) = (Service::start(), Server::start(&Setup::default()));
    assert!(inbox(&server, "ada").get("push_key").is_none());
    let ask = json!({ "type": "push_subscribe", "subscription": subscription(&service.browser()) });
    let said = device(&server, "ada").ask(ask);
    assert_eq!(said["code"], "bad_request", "{said}");
}
