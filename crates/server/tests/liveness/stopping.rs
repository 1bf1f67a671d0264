//! A server that is told to stop.

use serde_json::json;

use crate::common::{Server, Setup, Socket};

#[test]
fn a_server_that_is_stopped_says_good_bye_and_keeps_everything() {
    let mut server = Server::start(&Setup::default());
    let (mut ada, mut bob) = (server.connect(), server.connect());
    let silent: Vec<Socket> = (0..20).map(|_| server.connect()).collect();
    let start = bob.subscribe("chat:stop");
    for number in 1..=20 {
        assert_eq!(ada.publish("chat:stop", json!(number))["offset"], number);
    }
    server.signal("TERM");
    bob.events(20);
    for mut socket in silent.into_iter().chain([ada, bob]) {
        let said = socket.bye(4503);
        let bye = said.last().unwrap();
        assert_eq!((&bye["reason"], &bye["reconnect"]), (&json!("draining"), &json!(true)));
        let retry = bye["retry_after"].as_u64().unwrap();
        assert!(retry < 30_000, "{bye}");
    }
    let status = server.ended();
    assert_eq!(status.code(), Some(0), "{status}");

    let server = Server::start_in(server.dir(), &Setup::default());
    server.until_logged("the store is open");
    server.until_logged("clean=true");
    let mut bob = server.connect();
    let since = json!({"epoch": start["epoch"], "offset": 0});
    let reply = bob.ask(json!({"type": "subscribe", "channel": "chat:stop", "since": since}));
    assert_eq!((&reply["recovered"], &reply["offset"]), (&json!(true), &json!(20)), "{reply}");
    let offsets: Vec<u64> =
        bob.events(20).iter().map(|event| event["offset"].as_u64().unwrap()).collect();
    assert!(offsets.into_iter().eq(1..=20));
    server.still_fine();
}

/// Clients that do not answer the good-bye do not hold the server up for long.
#[test]
fn who_does_not_leave_is_left() {
    let limits = "close_timeout = \"1s\"";
    let mut server = Server::start(&Setup { limits, ..Setup::default() });
    let stubborn: Vec<Socket> = (0..5).map(|_| server.connect()).collect();
    let half = server.tcp();
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(0));
    drop((stubborn, half));
}

/// Two servers never share a folder, nor a port.
#[test]
fn a_second_server_is_refused() {
    let server = Server::start(&Setup::default());
    let dir = server.dir();
    let second = std::panic::catch_unwind(|| Server::start_in(dir, &Setup::default()));
    let why = second.expect_err("the folder is in use").downcast::<String>().unwrap();
    assert!(why.contains("did not start"), "{why}");
    let port = server.port.to_string();
    let arguments: &[&str] = &["--listen", &format!("127.0.0.1:{port}")];
    let setup = Setup { arguments, ..Setup::default() };
    let third = std::panic::catch_unwind(|| Server::start(&setup));
    assert!(third.is_err(), "the port is in use");
    server.still_fine();
}
