//! Killed in the middle of writing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::Server;
use crate::map::{held, setup};

#[test]
fn no_write_that_was_acknowledged_is_lost_by_kill_9_and_none_is_there_that_was_not_sent() {
    let mut server = Server::start(&setup());
    // What was acknowledged, and what was sent last.
    let (mut sure, mut sent) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    let (mut n, mut epoch) = (0_u64, Value::Null);
    for round in 0..10_u64 {
        let mut socket = server.connect();
        // Killed while commands are under way: their answers are read up to there.
        let mut under_way = BTreeMap::new();
        for _ in 0..60 + round * 10 {
            n += 1;
            let key = format!("k{}", n * n % 37);
            // Long enough that checkpoints are written now and then.
            let value = json!({ "n": n, "text": "x".repeat(3000) });
            let set = json!({ "type": "set", "channel": "board:main", "key": key, "value": value });
            let id = socket.command(set).unwrap();
            under_way.insert(id, (key.clone(), n));
            sent.insert(key, n);
            if n % 3 == 0 {
                let written = socket.try_next().unwrap();
                let (key, n) = under_way.remove(&written["id"].as_u64().unwrap()).unwrap();
                assert_eq!(written["type"], "written");
                sure.insert(key, n);
            }
        }
        let dir = server.dir();
        server.kill();
        while let Ok(written) = socket.try_next() {
            let (key, n) = under_way.remove(&written["id"].as_u64().unwrap()).unwrap();
            sure.insert(key, n);
        }
        server = Server::start_in(dir, &setup());
        let there = held(&server, "board:main");
        for (key, n) in &sure {
            let is = there[key]["n"].as_u64().unwrap();
            assert!(is >= *n, "{key}: {n} was acknowledged, and it is {is}");
        }
        for (key, value) in &there {
            let is = value["n"].as_u64().unwrap();
            assert!(is <= sent[key], "{key}: {is} was never sent");
            sure.insert(key.clone(), is);
        }
        let page = server.connect().ask(json!({ "type": "get", "channel": "board:main" }));
        assert!(round == 0 || page["epoch"] == epoch, "the epoch is as it was");
        epoch = page["epoch"].clone();
    }
}
