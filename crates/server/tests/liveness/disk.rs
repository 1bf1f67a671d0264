//! A disk that is full: publishers are told, readers go on, and all is well once there is room.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Server, Setup, Socket, until};

/// The disk takes so many bytes of a file and no more: a limit of the process, which needs no
/// rights and answers a write as a full disk does.
fn room(server: &Server, bytes: &str) {
    let size = format!("--fsize={bytes}:unlimited");
    let pid = server.pid().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, &size]).status().unwrap().success());
}

/// Publishes number after number; returns the offsets of those that were stored, by number, until
/// `enough` says that it is.
fn publish(
    socket: &mut Socket,
    next: &mut u64,
    mut enough: impl FnMut(&Value) -> bool,
) -> Vec<(u64, u64)> {
    let mut stored = Vec::new();
    loop {
        *next += 1;
        let reply = socket.publish("chat:full", json!([*next, "x".repeat(20_000)]));
        if let Some(offset) = reply["offset"].as_u64() {
            stored.push((*next, offset));
        }
        if enough(&reply) {
            return stored;
        }
    }
}

/// The numbers and offsets of all events of the channel.
fn all(socket: &mut Socket) -> Vec<(u64, u64)> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = json!({"type": "history", "channel": "chat:full", "after": after, "limit": 100});
        let page = socket.ask(page);
        for event in page["events"].as_array().unwrap() {
            after = event["offset"].as_u64().unwrap();
            events.push((event["data"][0].as_u64().unwrap(), after));
        }
        if page["more"] != true {
            return events;
        }
    }
}

#[test]
fn a_full_disk_stops_publishers_only_and_only_while_it_is_full() {
    // The signal that comes with the limit would end the process.
    let setup = Setup { shell: "trap '' XFSZ", ..Setup::default() };
    let mut server = Server::start(&setup);
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("cast:live");
    let mut next = 0;
    let mut stored = publish(&mut ada, &mut next, |reply| reply["offset"] == 20);

    room(&server, "500000");
    let mut refused = 0;
    stored.extend(publish(&mut ada, &mut next, |reply| {
        if reply["type"] == "error" {
            assert_eq!(
                (&reply["code"], &reply["retryable"]),
                (&json!("unavailable"), &json!(true))
            );
            refused += 1;
        }
        refused == 3
    }));
    // Reading goes on, and so do channels in memory.
    assert_eq!(all(&mut bob), stored);
    assert_eq!(ada.publish("cast:live", json!("still here"))["type"], "published");
    assert_eq!(bob.event()["data"], "still here");

    room(&server, "unlimited");
    until("publishing works again", || {
        let again = publish(&mut ada, &mut next, |_| true);
        stored.extend(&again);
        (!again.is_empty()).then_some(())
    });
    stored.extend(publish(&mut ada, &mut next, |reply| reply["type"] == "published"));
    assert_eq!(all(&mut bob), stored, "all that was acknowledged, and nothing else");
    server.still_fine();

    server.kill();
    let server = Server::start_in(server.dir(), &setup);
    let mut carol = server.connect();
    assert_eq!(all(&mut carol), stored, "through a crash as well");
    server.still_fine();
}
