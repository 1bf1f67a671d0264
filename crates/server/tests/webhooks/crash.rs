//! `kill -9` under load: what a publisher was told is stored, the backend is told.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::backend::{Answer, Backend, setup};
use crate::common::{Server, Socket, token, until};

const ROUNDS: u64 = 6;

/// Publishes to a channel of its own until it is enough, and writes down what was acknowledged.
fn publisher(
    name: usize,
    port: &AtomicU16,
    more: &AtomicBool,
    acknowledged: &Mutex<BTreeSet<String>>,
) {
    let channel = format!("chat:{name}");
    let mut number = 0;
    while more.load(Ordering::SeqCst) {
        let address = ("127.0.0.1", port.load(Ordering::SeqCst));
        let Ok(tcp) = std::net::TcpStream::connect(address) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let Ok(mut socket) = Socket::upgrade(tcp, "") else { continue };
        while more.load(Ordering::SeqCst) {
            number += 1;
            let data = format!("{name}-{number}");
            let publish = json!({"type": "publish", "channel": channel, "data": data});
            match socket.try_ask(publish) {
                Ok(answer) if answer["type"] == "published" => {
                    acknowledged.lock().unwrap().insert(data);
                }
                _ => break,
            }
        }
    }
}

#[test]
fn what_was_acknowledged_is_told_however_often_the_server_is_killed() {
    let mut turn = 0;
    let backend = Backend::start(move |_| {
        turn += 1;
        match turn % 5 {
            0 => Answer::Status(500),
            1 => Answer::Slow(Duration::from_millis(50)),
            _ => Answer::Take,
        }
    });
    let hook = backend.hook("[\"event.published\"]", "batch = 20");
    let setup = setup(&hook);
    let mut server = Server::start(&setup);
    let (port, more) = (AtomicU16::new(server.port), AtomicBool::new(true));
    let acknowledged = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for name in 0..8 {
            let (port, more, acknowledged) = (&port, &more, &acknowledged);
            scope.spawn(move || publisher(name, port, more, acknowledged));
        }
        for round in 0..ROUNDS {
            let before = acknowledged.lock().unwrap().len();
            until("publishers are at work", || {
                (acknowledged.lock().unwrap().len() > before + 50).then_some(())
            });
            std::thread::sleep(Duration::from_millis(round * 170));
            server.kill();
            server = Server::start_in(server.dir(), &setup);
            port.store(server.port, Ordering::SeqCst);
        }
        more.store(false, Ordering::SeqCst);
    });
    backend.now(|_| Answer::Take);
    let acknowledged = acknowledged.into_inner().unwrap();
    let mut told = BTreeSet::new();
    until("all that was acknowledged is told", || {
        told = backend.once().iter().map(|i| i["event"]["data"].as_str().unwrap().into()).collect();
        acknowledged.is_subset(&told).then_some(())
    });
    let (all, once) = (backend.taken().len(), backend.once());
    println!(
        "{} acknowledged, {} told, {} of them again",
        acknowledged.len(),
        told.len(),
        all - once.len()
    );
    let mut last = std::collections::BTreeMap::new();
    let mut stored = BTreeSet::new();
    for item in &once {
        let offset = item["event"]["offset"].as_u64().unwrap();
        let before = last.insert(item["channel"].as_str().unwrap().to_owned(), offset);
        assert!(before.unwrap_or(0) + 1 == offset, "in order, none left out: {item}");
        stored.insert((item["channel"].to_string(), offset));
    }
    assert_eq!(stored.len(), once.len(), "an event has one id");
    // What is told is true: all of it is in history.
    let mut reader = server.connect();
    for (channel, offset) in last {
        let page = reader.ask(json!({"type": "history", "channel": channel, "limit": 1}));
        assert_eq!(page["offset"], offset, "{channel}");
    }
}

#[test]
fn who_does_not_come_back_after_a_crash_goes_offline_and_who_does_is_no_news() {
    let backend = Backend::start(|_| Answer::Take);
    let events = "[\"user.online\", \"user.offline\", \"channel.occupied\", \"channel.vacated\"]";
    let hook = backend.hook(events, "");
    let setup = setup(&hook);
    let mut server = Server::start(&setup);
    let tokens = ["ada", "bob"].map(|user| token(user, Duration::from_secs(600)));
    let mut sockets = tokens.each_ref().map(|token| server.connect_as(token));
    sockets[0].subscribe("club:hers");
    sockets[1].subscribe("club:his");
    for (about, what) in [
        ("ada", "user.online"),
        ("bob", "user.online"),
        ("club:hers", "channel.occupied"),
        ("club:his", "channel.occupied"),
    ] {
        backend.until_told(about, &[what]);
    }
    server.kill();
    let server = Server::start_in(server.dir(), &setup);
    let mut ada = server.connect_as(&tokens[0]);
    ada.subscribe("club:hers");
    backend.until_told("bob", &["user.online", "user.offline"]);
    backend.until_told("club:his", &["channel.occupied", "channel.vacated"]);
    backend.until_told("ada", &["user.online"]);
    backend.until_told("club:hers", &["channel.occupied"]);
    drop(ada);
    backend.until_told("ada", &["user.online", "user.offline"]);
}

#[test]
fn what_waits_for_a_backend_that_is_down_outlives_restarts_of_both_kinds() {
    let backend = Backend::start(|_| Answer::Close);
    let hook = backend.hook("[\"event.published\"]", "");
    let setup = setup(&hook);
    let mut server = Server::start(&setup);
    for start in 0..4 {
        let mut ada = server.connect();
        for number in 0..10 {
            ada.publish("chat:room", json!(start * 10 + number));
        }
        if start % 2 == 0 {
            server.kill();
        } else {
            drop(ada);
            server.signal("TERM");
            server.ended();
        }
        server = Server::start_in(server.dir(), &setup);
    }
    assert!(backend.taken().is_empty());
    backend.now(|_| Answer::Take);
    let numbers: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    backend.until_told("chat:room", &numbers);
    assert_eq!(backend.taken().len(), 40);
    // What was taken is not told again: that is written down within a second.
    std::thread::sleep(Duration::from_millis(2500));
    server.kill();
    let server = Server::start_in(server.dir(), &setup);
    server.connect().publish("chat:room", json!(40));
    until("the next one is told", || (backend.taken().len() > 40).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(backend.taken().len(), 41);
}
