//! Backends that are slow, down, wrong, or all of it in turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::backend::{Answer, Backend, SECRET, setup};
use crate::common::{Server, until};

/// Publishes this many events to each of some channels.
fn publish(server: &Server, channels: usize, events: u64) {
    let mut ada = server.connect();
    for number in 1..=events {
        for channel in 0..channels {
            let answer = ada.publish(&format!("chat:{channel}"), json!(number));
            assert_eq!(answer["level"], "fsync", "{answer}");
        }
    }
}

/// Each channel's events, each once, in order; and all of them signed.
fn check(backend: &Backend, channels: usize, events: u64) {
    until("all is told", || {
        (backend.once().len() as u64 == channels as u64 * events).then_some(())
    });
    let mut offsets = BTreeMap::<String, Vec<u64>>::new();
    for item in backend.once() {
        let channel = item["channel"].as_str().unwrap().to_owned();
        offsets.entry(channel).or_default().push(item["event"]["offset"].as_u64().unwrap());
    }
    assert_eq!(offsets.len(), channels);
    for (channel, offsets) in offsets {
        assert_eq!(offsets, (1..=events).collect::<Vec<_>>(), "{channel}");
    }
    assert!(backend.calls().iter().all(|call| call.is_signed_with(SECRET)));
}

#[test]
fn a_backend_that_fails_in_every_way_in_turn_is_told_all_in_order() {
    let mut turn = 0;
    let backend = Backend::start(move |_| {
        turn += 1;
        match turn % 12 {
            1 => Answer::Status(500),
            4 => Answer::Close,
            7 => Answer::Garbage,
            10 => Answer::Status(302),
            _ => Answer::Take,
        }
    });
    let hook = backend.hook("[\"event.published\"]", "batch = 5");
    let server = Server::start(&setup(&hook));
    publish(&server, 12, 20);
    check(&backend, 12, 20);
    server.still_fine();
}

#[test]
fn a_backend_that_refuses_every_second_call_is_told_all_in_order() {
    let mut refuse = false;
    let backend = Backend::start(move |_| {
        refuse = !refuse;
        if refuse { Answer::Status(503) } else { Answer::Take }
    });
    let hook = backend.hook("[\"event.published\"]", "batch = 10");
    let server = Server::start(&setup(&hook));
    publish(&server, 4, 25);
    check(&backend, 4, 25);
}

#[test]
fn a_backend_that_says_when_to_come_again_is_left_alone_until_then() {
    let mut first = None;
    let backend = Backend::start(move |_| match *first.get_or_insert_with(Instant::now) {
        begin if begin.elapsed() < Duration::from_millis(100) => Answer::Later(3),
        begin if begin.elapsed() < Duration::from_millis(2500) => Answer::Status(418),
        _ => Answer::Take,
    });
    let hook = backend.hook("[\"event.published\"]", "");
    let server = Server::start(&setup(&hook));
    publish(&server, 1, 1);
    std::thread::sleep(Duration::from_millis(200));
    publish(&server, 3, 1);
    until("all is told", || (backend.once().len() == 4).then_some(()));
    let early = backend.calls().len();
    assert!(early <= 4, "{early} calls: none in the time that it asked for");
}

#[test]
fn a_slow_backend_slows_nobody_down() {
    let backend = Backend::start(|_| Answer::Slow(Duration::from_secs(2)));
    let hook = backend.hook("[\"event.published\"]", "timeout = \"1s\"\nconcurrency = 2");
    let server = Server::start(&setup(&hook));
    let begin = Instant::now();
    publish(&server, 10, 50);
    server.still_fine();
    // On a disk that is busy: what matters is that no call was waited for.
    println!("502 publishes in {:?}", begin.elapsed());
    until("calls time out", || (backend.calls().len() >= 2).then_some(()));
    backend.now(|_| Answer::Take);
    until("all is told", || {
        // Two of `still_fine` beside them.
        (backend.once().len() == 502).then_some(())
    });
}

#[test]
fn an_item_that_is_refused_holds_up_its_own_channel_only() {
    let backend = Backend::start(|call| {
        let poison = |item: &serde_json::Value| item["event"]["data"] == "poison";
        if call.items().iter().any(poison) { Answer::Status(400) } else { Answer::Take }
    });
    let hook = backend.hook("[\"event.published\"]", "keep = \"6s\"");
    let server = Server::start(&setup(&hook));
    let mut ada = server.connect();
    ada.publish("chat:bad", json!("poison"));
    let begin = Instant::now();
    for number in 0..30 {
        ada.publish(&format!("chat:{number}"), json!(number));
    }
    // One of them may share the lane.
    until("the others are told", || (backend.once().len() >= 28).then_some(()));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // Its own time must not be up when that of the first one is.
    std::thread::sleep(Duration::from_secs(2).saturating_sub(begin.elapsed()));
    ada.publish("chat:bad", json!("behind"));
    assert!(!backend.stories().contains_key("chat:bad"));
    backend.until_told("chat:bad", &["\"behind\""]);
    server.until_logged("were not taken within `keep`");
}
