//! Killed in the middle, again and again: nothing that was acknowledged is lost, and counts are
//! right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Server, Socket, token};
use crate::devices::{device, open};
use crate::http::{KEY, setup};

const ROUNDS: u64 = 10;
const USERS: u64 = 4;

/// What was acknowledged.
#[derive(Default)]
struct Known {
    /// Users and their notifications.
    told: BTreeSet<(u64, u64)>,
    /// How far users have read at least.
    read: BTreeMap<u64, u64>,
    cursors: BTreeMap<u64, u64>,
}

/// One request that a dying server may leave unanswered.
fn try_notify(port: u16, user: u64, n: u64) -> Option<Value> {
    use std::io::{Read, Write};
    let body = json!({ "user": format!("user-{user}"), "topic": "news", "data": n,
        "key": format!("n-{n}") })
    .to_string();
    let mut tcp = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    tcp.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let head = format!(
        "POST /api/v1/notify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(head.as_bytes()).ok()?;
    let mut text = String::new();
    tcp.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    (head.get(9..12) == Some("200")).then(|| serde_json::from_str(body).ok())?
}

fn try_connect(port: u16, token: &str) -> Option<Socket> {
    let tcp = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    tcp.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut socket = Socket::upgrade(tcp, "").ok()?;
    let welcome = socket.try_ask(json!({ "type": "hello", "token": token })).ok()?;
    (welcome["type"] == "welcome").then_some(socket)
}

/// A user who reads what comes, and says so.
fn reader(port: u16, user: u64, stop: &AtomicBool, known: &Mutex<Known>) -> Option<()> {
    let name = format!("user-{user}");
    let mut socket = try_connect(port, &token(&name, Duration::from_secs(600)))?;
    while !stop.load(Ordering::Relaxed) {
        let page = socket.try_ask(json!({ "type": "inbox", "limit": 1 })).ok()?;
        let upto = page["items"][0]["id"].as_u64().unwrap_or(0);
        let mark = json!({ "type": "mark", "as": "read", "upto": upto / 2 });
        let marked = socket.try_ask(mark).ok()?;
        if marked["type"] == "marked" {
            known.lock().unwrap().read.insert(user, upto / 2);
        }
        let published = socket
            .try_ask(json!({ "type": "publish", "channel": "chat:lobby", "data": upto }))
            .ok()?;
        let read =
            json!({ "type": "read", "channel": "chat:lobby", "offset": published["offset"] });
        let moved = socket.try_ask(read).ok()?;
        if let Some(offset) = moved["offset"].as_u64() {
            known.lock().unwrap().cursors.insert(user, offset);
        }
    }
    Some(())
}

/// All of a user's notifications.
fn all(socket: &mut Socket) -> (Vec<Value>, Value) {
    let first = open(socket);
    let mut items = first["items"].as_array().unwrap().clone();
    let mut more = first["more"] == true;
    while more {
        let before = items.last().unwrap()["id"].clone();
        let page = socket.ask(json!({ "type": "inbox", "limit": 100, "before": before }));
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        more = page["more"] == true;
    }
    (items, first)
}

fn check(server: &Server, known: &Known) {
    for user in 0..USERS {
        let mut socket = device(server, &format!("user-{user}"));
        let (items, page) = all(&mut socket);
        let numbers: Vec<u64> = items.iter().map(|item| item["data"].as_u64().unwrap()).collect();
        let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len(), "user {user} has one twice");
        let told = known.told.iter().filter(|(of, _)| *of == user);
        for (_, n) in told {
            assert!(distinct.contains(n), "user {user} lost {n}");
        }
        let count = |flag: &str| items.iter().filter(|item| item[flag] == false).count();
        assert_eq!(
            (&page["unread"], &page["unseen"]),
            (&json!(count("read")), &json!(count("seen")))
        );
        let upto = known.read.get(&user).copied().unwrap_or(0);
        let lost = items.iter().find(|i| i["id"].as_u64().unwrap() <= upto && i["read"] == false);
        assert!(lost.is_none(), "user {user} had read {lost:?} of {upto}");
        let cursors = socket.ask(json!({ "type": "cursors" }));
        let cursor = cursors["cursors"][0]["offset"].as_u64().unwrap_or(0);
        assert!(cursor >= known.cursors.get(&user).copied().unwrap_or(0), "user {user}");
    }
}

#[test]
fn ten_times_killed_nothing_acknowledged_is_lost_and_counts_are_right() {
    let setup = setup();
    let mut server = Server::start(&setup);
    let known = Arc::new(Mutex::new(Known::default()));
    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for user in 0..USERS {
            let (port, known, stop) = (server.port, known.clone(), stop.clone());
            threads.push(thread::spawn(move || {
                for n in 0.. {
                    let n = (round * USERS + user) * 1_000_000 + n;
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let Some(told) = try_notify(port, n % USERS, n) else { continue };
                    if told["notified"] == 1 {
                        known.lock().unwrap().told.insert((n % USERS, n));
                    }
                }
            }));
        }
        for user in 0..USERS {
            let (port, known, stop) = (server.port, known.clone(), stop.clone());
            threads.push(thread::spawn(move || {
                let _ = reader(port, user, &stop, &known);
            }));
        }
        thread::sleep(Duration::from_millis(400 + round * 70));
        let dir = server.dir();
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
        server = Server::start_in(dir, &setup);
        check(&server, &known.lock().unwrap());
    }
    let told = known.lock().unwrap().told.len();
    assert!(told > 100, "too little happened: {told}");
}
