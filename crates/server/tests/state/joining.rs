//! Who joins while others write, over many shards.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::common::{Server, Setup};
use crate::map::{Map, held, set, setup};

#[test]
fn who_joins_in_a_storm_of_writes_sees_the_snapshot_and_the_changes_without_a_hole() {
    let server = Server::start(&Setup { server: "shards = 3", ..setup() });
    for channel in ["board:main", "ticker:main"] {
        let mut ada = server.connect();
        for n in 0..300 {
            let value = json!({ "n": n, "text": "x".repeat(500) });
            assert_eq!(set(&mut ada, channel, &format!("k{n}"), value)["type"], "written");
        }
        let done = AtomicBool::new(false);
        let maps = std::thread::scope(|scope| {
            let storms: Vec<_> = (0..3)
                .map(|who| {
                    let (server, done) = (&server, &done);
                    scope.spawn(move || {
                        let mut socket = server.connect();
                        let mut n = 0;
                        while !done.load(Ordering::Relaxed) {
                            n += 1;
                            let key = format!("k{}", (n * 7 + who * 100) % 300);
                            let value = json!({ "n": n, "text": "x".repeat(500) });
                            set(&mut socket, channel, &key, value);
                        }
                    })
                })
                .collect();
            let joiners: Vec<_> = (0..8)
                .map(|_| {
                    let server = &server;
                    scope.spawn(move || {
                        let mut socket = server.connect();
                        socket.subscribe(channel);
                        let mut map = Map::default();
                        while map.seen.get("state").is_none_or(|seen| *seen < 300) {
                            map.hear(&socket.push());
                        }
                        (socket, map)
                    })
                })
                .collect();
            let maps: Vec<_> = joiners.into_iter().map(|joiner| joiner.join().unwrap()).collect();
            done.store(true, Ordering::Relaxed);
            storms.into_iter().for_each(|storm| storm.join().unwrap());
            maps
        });
        let last = set(&mut ada, channel, "last", json!(1))["offset"].as_u64().unwrap();
        let whole = held(&server, channel);
        for (mut socket, mut map) in maps {
            while map.offset < last {
                map.hear(&socket.push());
            }
            assert!(map.keys == whole, "{channel}");
            assert!(map.seen["snapshot"] >= 3, "it has pages");
        }
    }
}

#[test]
fn of_clients_on_all_shards_that_compare_and_set_at_once_one_wins() {
    let server = Server::start(&Setup { server: "shards = 3", ..setup() });
    let mut versions = vec![0];
    for round in 0..20 {
        let seen = versions[round];
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..6)
                .map(|who| {
                    let server = &server;
                    scope.spawn(move || {
                        server.connect().ask(json!({ "type": "set", "channel": "board:main",
                            "key": "lock", "value": who, "if_version": seen }))
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let won: Vec<_> = outcomes.iter().filter(|outcome| outcome["type"] == "written").collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        versions.push(won[0]["version"].as_u64().unwrap());
        for lost in outcomes.iter().filter(|outcome| outcome["type"] == "error") {
            assert_eq!((&lost["code"], &lost["version"]), (&json!("conflict"), &won[0]["version"]));
        }
    }
}

#[test]
fn who_comes_back_recovers_or_begins_anew() {
    let server = Server::start(&setup());
    let mut ada = server.connect();
    for n in 0..50 {
        set(&mut ada, "board:main", &format!("k{n}"), json!(n));
    }
    let mut bob = server.connect();
    let epoch = bob.subscribe("board:main")["epoch"].clone();
    let mut map = Map::default();
    while map.offset < 50 {
        map.hear(&bob.push());
    }
    drop(bob);
    for n in 0..20 {
        set(&mut ada, "board:main", &format!("k{n}"), json!(n + 100));
    }
    for (known, recovered) in [(epoch, true), (json!("0123456789abcdef"), false)] {
        let mut bob = server.connect();
        let since = json!({ "epoch": known, "offset": map.offset });
        let command = json!({ "type": "subscribe", "channel": "board:main", "since": since });
        assert_eq!(bob.ask(command)["recovered"], recovered);
        if !recovered {
            map = Map::default();
        }
        while map.offset < 70 {
            map.hear(&bob.push());
        }
        assert_eq!(map.keys, held(&server, "board:main"));
        map.offset = 50;
    }
}

#[test]
fn a_key_goes_when_its_time_is_over() {
    let server = Server::start(&setup());
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("ticker:main");
    bob.push();
    ada.ask(json!({ "type": "set", "channel": "ticker:main", "key": "cursor", "value": [3, 4],
        "ttl": 300 }));
    let told = bob.push();
    assert!(told["expires_at"].is_string(), "{told}");
    let gone = bob.push();
    assert_eq!((&gone["removed"], &gone["expired"]), (&json!(true), &json!(true)));
}
