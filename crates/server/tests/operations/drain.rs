//! A deploy: SIGTERM, and what clients see of it.

use std::collections::HashSet;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Message, Server, Setup, Socket, frame, until};
use crate::http::{get, operations_port};

/// What a client saw of the end.
struct Told {
    after: Duration,
    retry: Duration,
}

/// Reads until the good-bye, and answers it.
fn told(socket: &mut Socket, begin: Instant) -> Told {
    loop {
        match socket.receive() {
            Ok(Message::Text(value)) if value["type"] == "bye" => {
                let after = begin.elapsed();
                assert_eq!((&value["code"], &value["reconnect"]), (&json!(4503), &json!(true)));
                let retry = Duration::from_millis(value["retry_after"].as_u64().unwrap());
                let _ = socket.send_raw(&frame(0x88, &4503_u16.to_be_bytes()));
                return Told { after, retry };
            }
            Ok(_) => {}
            Err(error) => panic!("instead of a bye: {error}"),
        }
    }
}

/// Publishes until it is told to go: the offsets that were acknowledged, and how many of them when
/// the server was ending already.
fn publish_on(
    socket: &mut Socket,
    who: usize,
    ending: &dyn Fn() -> bool,
) -> (Vec<(u64, Value)>, usize) {
    let (mut acknowledged, mut late) = (Vec::new(), 0);
    for number in 0.. {
        let data = json!([who, number]);
        let command = json!({"type": "publish", "channel": "chat:drain", "data": data});
        let Ok(reply) = socket.try_ask(command) else { break };
        if reply["type"] == "published" {
            acknowledged.push((reply["offset"].as_u64().unwrap(), data));
            late += usize::from(ending());
        }
    }
    (acknowledged, late)
}

#[test]
fn a_deploy_loses_nothing_and_spreads_the_return() {
    const CLIENTS: usize = 200;
    const PUBLISHERS: usize = 5;
    let window = Duration::from_secs(6);
    let mut server =
        Server::start(&Setup { server: "drain = \"6s\"\nshards = 2", ..Setup::default() });
    let epoch = server.connect().subscribe("chat:drain")["epoch"].clone();
    let ready = Barrier::new(CLIENTS + PUBLISHERS + 1);
    let begin = std::sync::OnceLock::new();
    let (clients, publishers) = std::thread::scope(|scope| {
        let (ready, begin, server) = (&ready, &begin, &server);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(move || {
                    let mut socket = server.connect();
                    socket.subscribe("chat:drain");
                    ready.wait();
                    ready.wait();
                    told(&mut socket, *begin.get().unwrap())
                })
            })
            .collect();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|who| {
                scope.spawn(move || {
                    let mut socket = server.connect();
                    ready.wait();
                    ready.wait();
                    publish_on(&mut socket, who, &|| begin.get().is_some())
                })
            })
            .collect();
        ready.wait();
        begin.set(Instant::now()).unwrap();
        server.signal("TERM");
        ready.wait();
        let clients: Vec<Told> = clients.into_iter().map(|it| it.join().unwrap()).collect();
        let publishers: Vec<_> = publishers.into_iter().map(|it| it.join().unwrap()).collect();
        (clients, publishers)
    });
    let status = server.ended();
    let took = begin.get().unwrap().elapsed();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took < window, "ended after {took:?} only");

    let last = clients.iter().map(|told| told.after).max().unwrap();
    assert!(last > window / 3, "the good-byes are spread, not all by {last:?}");
    let early = clients.iter().filter(|told| told.after < last / 2).count();
    assert!((CLIENTS / 4..CLIENTS * 3 / 4).contains(&early), "{early} in the first half");
    let retries: HashSet<Duration> = clients.iter().map(|told| told.retry).collect();
    assert!(retries.len() > CLIENTS / 2, "{} different times to come back", retries.len());
    let back: Vec<Duration> = clients.iter().map(|told| told.after + told.retry).collect();
    let (first, late) = (*back.iter().min().unwrap(), *back.iter().max().unwrap());
    assert!(late - first > window / 3, "they come back between {first:?} and {late:?}");

    let late: usize = publishers.iter().map(|(_, late)| late).sum();
    assert!(late > 0, "publishing went on while others were told");
    let server = Server::start_in(server.dir(), &Setup::default());
    let mut eve = server.connect();
    let since = json!({"epoch": epoch, "offset": 0});
    let reply = eve.ask(json!({"type": "subscribe", "channel": "chat:drain", "since": since}));
    assert_eq!(reply["recovered"], true, "{reply}");
    let events = eve.events(usize::try_from(reply["offset"].as_u64().unwrap()).unwrap());
    for (offset, data) in publishers.into_iter().flat_map(|(acknowledged, _)| acknowledged) {
        let event = &events[usize::try_from(offset).unwrap() - 1];
        assert_eq!((&event["offset"], &event["data"]), (&json!(offset), &data), "was acknowledged");
    }
}

/// Who comes while the server drains is told when to come back; probes send nobody any more.
#[test]
fn nobody_new_is_taken_while_it_drains() {
    let lines = "drain = \"60s\"\nshards = 1\noperations = \"127.0.0.1:0\"";
    let mut server = Server::start(&Setup { server: lines, ..Setup::default() });
    let port = operations_port(&server);
    let mut others: Vec<Socket> = (0..200).map(|_| server.connect()).collect();
    assert_eq!(get(port, "/ready"), (200, "ready\n".into()));
    server.signal("TERM");
    until("it drains", || (get(port, "/ready").0 == 503).then_some(()));
    assert_eq!(get(port, "/health").0, 200, "it is alive");
    assert_eq!(get(server.port, "/ready"), (503, "draining\n".into()));
    let mut late = server.connect();
    late.bye(4503);
    let page = get(port, "/metrics").1;
    assert!(page.contains("\ntidings_ready 0\n"), "{page}");
    for socket in &mut others {
        let _ = socket.send_raw(&frame(0x88, &1000_u16.to_be_bytes()));
    }
    assert_eq!(server.ended().code(), Some(0), "nobody is left to wait for");
}

/// A poll that waits is answered with the good-bye.
#[test]
fn a_poll_is_answered_before_the_end() {
    use std::io::{Read, Write};
    let mut server = Server::start(&Setup::default());
    let ask = |body: &str| {
        let mut tcp = server.tcp();
        let length = body.len();
        write!(
            tcp,
            "POST /poll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        tcp
    };
    let read = |mut tcp: std::net::TcpStream| {
        let mut text = String::new();
        tcp.read_to_string(&mut text).unwrap();
        text
    };
    let opened = read(ask("{\"type\":\"ping\",\"id\":1}\n"));
    let (_, rest) = opened.split_once("\"connection\":\"").unwrap();
    let waiting = ask(&format!("{{\"connection\":\"{}\",\"ack\":0}}\n", &rest[..28]));
    until("the poll waits", || {
        get(server.port, "/metrics").1.contains("{transport=\"polling\"} 1\n").then_some(())
    });
    server.signal("TERM");
    let answer = read(waiting);
    assert!(answer.contains("\"bye\"") && answer.contains("4503"), "{answer}");
    assert_eq!(server.ended().code(), Some(0));
}

/// Somebody is in a hurry.
#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&Setup {
        server: "drain = \"60s\"",
        limits: "close_timeout = \"60s\"",
        ..Setup::default()
    });
    let stubborn: Vec<Socket> = (0..5).map(|_| server.connect()).collect();
    server.signal("TERM");
    server.until_logged("stopping");
    let begin = Instant::now();
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let server = Server::start_in(server.dir(), &Setup::default());
    server.until_logged("clean=true");
    drop(stubborn);
}
