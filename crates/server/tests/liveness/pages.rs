//! Clients that ask for much at once and read it: they get all of it.

use std::io::Write;

use serde_json::{Value, json};

use crate::common::{Server, Setup, Socket, frame};

/// Publishes so many events of 25 KB.
fn fill(server: &Server, channel: &str, events: u64) {
    let mut socket = server.connect();
    for number in 1..=events {
        let reply = socket.publish(channel, json!([number, "x".repeat(25_000)]));
        assert_eq!(reply["type"], "published", "{reply}");
    }
}

/// Sends all commands while the answers are read.
fn send_beside(socket: &Socket, commands: &[Value]) -> std::thread::JoinHandle<()> {
    let mut writer = socket.stream.try_clone().unwrap();
    let texts = commands.iter().map(|command| frame(0x81, command.to_string().as_bytes()));
    let bytes: Vec<u8> = texts.flatten().collect();
    std::thread::spawn(move || writer.write_all(&bytes).unwrap())
}

/// Two hundred pages of history at once, 50 MB. One shard: each answer is there at once.
#[test]
fn who_reads_gets_every_page_that_was_asked_for() {
    let server = Server::start(&Setup { server: "shards = 1", ..Setup::default() });
    fill(&server, "cast:pages", 10);
    let mut socket = server.connect();
    let commands: Vec<Value> =
        (0..200).map(|id| json!({"type": "history", "id": id, "channel": "cast:pages"})).collect();
    let sending = send_beside(&socket, &commands);
    for id in 0..200 {
        let page = socket.push();
        assert_eq!((&page["type"], &page["id"]), (&json!("history"), &json!(id)));
        assert_eq!(page["events"].as_array().unwrap().len(), 10);
    }
    sending.join().unwrap();
    server.still_fine();
}

/// A client that was away comes back to forty channels, in each of which it has missed 250 KB.
fn come_back(shards: &str) {
    let server = Server::start(&Setup { server: shards, ..Setup::default() });
    let mut socket = server.connect();
    let mut commands = Vec::new();
    for index in 0..40 {
        let channel = format!("cast:away-{index}");
        let epoch = socket.subscribe(&channel)["epoch"].clone();
        fill(&server, &channel, 10);
        commands.push(json!({
            "type": "subscribe", "id": index, "channel": channel,
            "since": {"epoch": epoch, "offset": 0}
        }));
    }
    let mut back = server.connect();
    let sending = send_beside(&back, &commands);
    let (mut replies, mut events) = (0, 0);
    while replies < 40 || events < 400 {
        let value = back.push();
        match value["type"].as_str().unwrap() {
            "subscribed" => {
                assert_eq!(value["recovered"], true, "{value}");
                replies += 1;
            }
            "event" => events += 1,
            _ => panic!("behind {replies} replies and {events} events: {value}"),
        }
    }
    sending.join().unwrap();
    server.still_fine();
}

#[test]
fn who_comes_back_to_many_channels_recovers_them_all() {
    come_back("shards = 1");
}

/// Pages of other shards come together: the engine lets 64 of up to 256 KiB be under way to a
/// session, of which only 1 MiB may wait to be sent.
#[test]
fn who_comes_back_to_many_channels_on_other_shards_recovers_them_all() {
    come_back("shards = 4");
}

/// A client that reads slowly, and is read no further meanwhile, is not taken for dead.
#[test]
fn who_reads_slowly_is_alive() {
    let limits = "heartbeat = \"1s\"\npong_timeout = \"1s\"";
    let server = Server::start(&Setup { server: "shards = 1", limits, ..Setup::default() });
    fill(&server, "cast:slow", 10);
    let mut socket = server.connect();
    let commands: Vec<Value> =
        (0..80).map(|id| json!({"type": "history", "id": id, "channel": "cast:slow"})).collect();
    let sending = send_beside(&socket, &commands);
    let begin = std::time::Instant::now();
    for id in 0..80 {
        // This is the slowness, not a wait for something.
        std::thread::sleep(std::time::Duration::from_millis(60));
        assert_eq!(socket.push()["id"], id);
    }
    assert!(begin.elapsed() > std::time::Duration::from_secs(4), "it was slow");
    sending.join().unwrap();
    server.still_fine();
}
