//! Backends that are slow, down, or lie.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::backend::{Act, Backend, no, ok, server, tables, yes};
use crate::common::{Setup, Socket, free_port, until};

const FAILED: &str = r#"tidings_hook_questions_total{hook="publish",outcome="failed"}"#;
const TIMED_OUT: &str = r#"tidings_hook_questions_total{hook="publish",outcome="timed_out"}"#;
const SKIPPED: &str = r#"tidings_hook_questions_total{hook="publish",outcome="skipped"}"#;
const OPEN: &str = r#"tidings_hook_breaker_open{hook="publish"}"#;

fn unavailable(socket: &mut Socket, channel: &str) {
    let refused = socket.publish(channel, json!("x"));
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("unavailable"), &json!(true)));
    assert!(refused["retry_after"].as_u64().is_some_and(|ms| ms > 0), "{refused}");
}

#[test]
fn a_backend_that_lies_grants_nothing_and_costs_nobody_anything() {
    let redirect = b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let huge = format!(r#"{{"allow":true,"data":"{}"}}"#, "x".repeat(20 << 20));
    let lies = vec![
        Act::Raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 14\r\n\r\n{\"allow\":true}".into()),
        Act::Raw(b"HTTP/1.1 204 X\r\n\r\n".into()),
        Act::Raw(redirect.into()),
        Act::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".into()),
        Act::Raw(Vec::new()),
        Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"allow\":true}".into()),
        Act::Raw(ok("<html>allow: true</html>")),
        Act::Raw(ok("")),
        Act::Raw(ok(r#"{"allow":"yes"}"#)),
        Act::Raw(ok(r#"{"allow":true,"also":"this"}"#)),
        Act::Raw(ok(r#"{"allow":true,"data":{"secret-in-the-answer":1}"#)),
        Act::Raw(ok(&huge)),
        Act::Endless,
        Act::Silence,
    ];
    let count = lies.len();
    let mut next = lies.into_iter();
    let backend = Backend::start(|_| yes());
    let mut server = server(&["publish"], backend.port, "failures = 1000");
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("room:a");
    let before = server.memory();
    for _ in 0..count {
        let lie = next.next().unwrap();
        // Asked a second time after a connection that broke, it lies again.
        backend.change(move |_| lie.clone());
        unavailable(&mut ada, "room:a");
    }
    assert!(server.memory() < before + (16 << 20), "{} {before}", server.memory());
    assert_eq!(server.metric(FAILED) + server.metric(TIMED_OUT), count as f64);
    backend.change(|_| yes());
    ada.publish("room:a", json!("at last"));
    assert_eq!(bob.event()["data"], "at last");
    server.until_logged("asked in vain");
    server.still_fine();
    let log = server.whole_log();
    for secret in ["secret-in-the-answer", "in-the-url", "html"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_slow_backend_holds_up_who_asked_and_nobody_else() {
    let backend = Backend::start(|question| {
        if question["data"] == "slow" { Act::Late(10_000, json!({"allow": true})) } else { yes() }
    });
    let server = server(&["publish"], backend.port, "");
    let (mut ada, mut bob) = (server.connect(), server.connect());
    let began = Instant::now();
    let slow =
        ada.command(json!({"type": "publish", "channel": "room:a", "data": "slow"})).unwrap();
    while began.elapsed() < Duration::from_millis(800) {
        let asked = Instant::now();
        assert_eq!(bob.publish("room:a", json!("quick"))["type"], "published");
        assert_eq!(bob.publish("chat:a", json!("not asked"))["type"], "published");
        assert!(asked.elapsed() < Duration::from_millis(700), "{:?}", asked.elapsed());
    }
    let answer = ada.try_next().unwrap();
    assert_eq!((&answer["id"], &answer["code"]), (&json!(slow), &json!("unavailable")));
    let took = began.elapsed();
    assert!((900..3000).contains(&took.as_millis()), "the timeout is 1s: {took:?}");
}

/// F20: 500 publishes a second to a backend that is dead, and the others do not notice.
#[test]
fn a_dead_backend_is_left_alone_and_found_again_when_it_is_back() {
    let port = free_port();
    let mut server = server(&["publish"], port, "pause = \"200ms\"\npause_max = \"400ms\"");
    let (mut ada, mut bob) = (server.connect(), server.connect());
    let began = Instant::now();
    let (mut sent, mut slowest) = (0_u32, Duration::ZERO);
    while began.elapsed() < Duration::from_secs(3) {
        let due = began.elapsed().as_millis() as u32 / 2;
        while sent < due {
            ada.command(json!({"type": "publish", "channel": "room:a", "data": sent})).unwrap();
            assert_eq!(ada.try_next().unwrap()["code"], "unavailable");
            sent += 1;
        }
        let asked = Instant::now();
        assert_eq!(bob.publish("cast:a", json!("others go on"))["type"], "published");
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    eprintln!("{sent} publishes to a dead backend; others waited {slowest:?} at most");
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    assert_eq!(server.metric(OPEN), 1.0);
    let (failed, skipped) = (server.metric(FAILED), server.metric(SKIPPED));
    assert!(failed < 40.0 && skipped > f64::from(sent) * 0.9, "{failed} {skipped} {sent}");

    let backend = Backend::start_at(port, |_| yes());
    until("it is found again", || {
        (ada.publish("room:a", json!("back"))["type"] == "published").then_some(())
    });
    assert_eq!((server.metric(OPEN), backend.most()), (0.0, 1));
    assert_eq!(ada.publish("room:a", json!("and stays"))["type"], "published");
    server.until_logged("the backend answers again");
    assert!(server.whole_log().matches("left alone").count() < 30);
}

/// A black hole: packets go in and nothing comes out. Half-open, one call tries at a time.
#[test]
fn a_backend_that_hangs_costs_its_timeout_a_few_times_and_then_nothing() {
    let backend = Backend::start(|_| Act::Silence);
    let lines = "failures = 3\npause = \"300ms\"\nconcurrency = 2\nqueue = 4";
    let server = server(&["publish"], backend.port, lines);
    let mut sockets: Vec<_> = (0..12).map(|_| server.connect()).collect();
    let began = Instant::now();
    for socket in &mut sockets {
        socket.command(json!({"type": "publish", "channel": "room:a", "data": 1})).unwrap();
    }
    for socket in &mut sockets {
        assert_eq!(socket.try_next().unwrap()["code"], "unavailable");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // What is asked from now on is answered at once, but for the one that tries.
    until("the breaker opens", || {
        let mut socket = server.connect();
        unavailable(&mut socket, "room:a");
        (server.metric(OPEN) == 1.0).then_some(())
    });
    let asked = Instant::now();
    for _ in 0..20 {
        unavailable(&mut sockets[0], "room:a");
    }
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
    backend.change(|_| yes());
    until("it heals", || {
        (sockets[0].publish("room:a", json!(2))["type"] == "published").then_some(())
    });
}

#[test]
fn where_the_configuration_says_so_all_goes_on_without_the_backend() {
    let hooks = ["connect", "publish", "subscribe"];
    let server = server(&hooks, free_port(), "when_down = \"allow\"");
    let (mut ada, mut bob) = (server.connect(), server.connect());
    assert_eq!(bob.subscribe("gate:a")["type"], "subscribed");
    assert_eq!(ada.publish("room:a", json!(1))["type"], "published");
    assert_eq!(ada.publish("gate:a", json!(2))["type"], "published");
    assert_eq!(bob.event()["data"], 2);
}

#[test]
fn a_server_that_stops_lets_the_backend_finish() {
    let backend = Backend::start(|_| Act::Late(400, json!({"allow": true})));
    let mut server = server(&["publish"], backend.port, "");
    let mut ada = server.connect();
    ada.ask(json!({"type": "ping"}));
    ada.command(json!({"type": "publish", "channel": "room:a", "data": 1})).unwrap();
    until("it is asked", || (backend.count() == 1).then_some(()));
    server.signal("TERM");
    assert_eq!(ada.try_next().unwrap()["type"], "published");
    ada.bye(4503);
    drop(ada);
    assert!(server.ended().success());
}

/// Names that lead inside are not called, unless the configuration says so.
#[test]
fn an_internal_address_has_to_be_allowed() {
    let backend = Backend::start(|_| no());
    let more = tables(&["publish"], backend.port, "")
        .replace("[egress]\nallow = [\"127.0.0.1\"]", "")
        .replace("127.0.0.1", "localhost");
    let server = crate::common::Server::start(&Setup { more: &more, ..Setup::default() });
    unavailable(&mut server.connect(), "room:a");
    assert_eq!(backend.count(), 0);
    server.until_logged("egress.allow");
}
