//! More connections than the process has descriptors for.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, Setup, Socket, until};

/// With 64 descriptors and 200 clients at the door, those inside talk on, the server does not spin,
/// and once the others have gone new clients are let in.
#[test]
fn out_of_descriptors_the_server_goes_on() {
    let setup = Setup { shell: "ulimit -n 64", ..Setup::default() };
    let server = Server::start(&setup);
    let (mut ada, mut bob) = (server.connect(), server.connect());
    bob.subscribe("cast:door");
    let crowd: Vec<TcpStream> = (0..200).map(|_| server.tcp()).collect();
    server.until_logged("cannot accept connections");
    let (begin, cpu) = (Instant::now(), server.cpu());
    for number in 0.. {
        ada.publish("cast:door", json!(number));
        assert_eq!(bob.event()["data"], number);
        // At the door nothing happens: this waits a little.
        let mut last = crowd.last().unwrap();
        last.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let waited = last.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(waited, Err(ErrorKind::WouldBlock));
        if begin.elapsed() > Duration::from_millis(1500) {
            break;
        }
    }
    let (took, cpu) = (begin.elapsed(), server.cpu() - cpu);
    assert!(cpu * 5 < took, "it was busy for {cpu:?} of {took:?}");
    drop(crowd);
    let mut carol = until("a new client is let in", || {
        let tcp = server.tcp();
        tcp.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        Socket::upgrade(tcp, "").ok()
    });
    assert_eq!(carol.ask(json!({"type": "ping"}))["type"], "pong");
    ada.publish("cast:door", json!("bye"));
    assert_eq!(bob.event()["data"], "bye");
    server.still_fine();
}

/// At the configured number of connections the next one is told to come later, at once.
#[test]
fn above_the_limit_of_connections_the_next_is_refused() {
    let server = Server::start(&Setup { limits: "connections = 3", ..Setup::default() });
    let mut inside: Vec<Socket> = (0..3).map(|_| server.connect()).collect();
    let refused = Socket::upgrade(server.tcp(), "").unwrap_err().to_string();
    assert!(refused.contains("503") && refused.contains("Retry-After"), "{refused}");
    for socket in &mut inside {
        assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong");
    }
    drop(inside);
    until("there is room again", || Socket::upgrade(server.tcp(), "").ok());
    until("there is room for all", || {
        let three: Vec<_> = (0..3).map(|_| Socket::upgrade(server.tcp(), "").ok()).collect();
        three.iter().all(Option::is_some).then_some(())
    });
    // What follows needs four at once, while some may not have gone yet.
    let more = Setup { limits: "connections = 8", ..Setup::default() };
    std::fs::write(server.path().join("tidings.toml"), more.text()).unwrap();
    server.signal("HUP");
    until("there is room for more", || {
        let seven: Vec<_> = (0..7).map(|_| Socket::upgrade(server.tcp(), "").ok()).collect();
        seven.iter().all(Option::is_some).then_some(())
    });
    let health = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    until("it answers", || (server.status(health) == 200).then_some(()));
}
