//! The client against a server that follows a script.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use serde_json::{Value, json};
use tidings_client::{Address, Client, Error, Happening, Options, Reconnecting, Subscription};
use tidings_websocket::{Config, Decoder, Item, Role, encode, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The server's end of one connection.
struct Peer {
    stream: TcpStream,
    decoder: Decoder,
    received: Vec<Value>,
}

struct Server(TcpListener);

impl Server {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        (Self(listener), address)
    }

    /// Takes a connection and welcomes its session.
    async fn welcome(&self) -> Peer {
        let mut peer = self.upgrade().await;
        let hello = peer.command("hello").await;
        peer.send(json!({ "type": "welcome", "id": hello["id"], "session": "5e55.1.mac",
            "user": "anon-5e55", "heartbeat": 25000 }))
            .await;
        peer
    }

    async fn upgrade(&self) -> Peer {
        let (mut stream, head) = self.head().await;
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = handshake::accept_key(key.as_bytes());
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: tidings.v1\r\n\r\n"
        );
        stream.write_all(response.as_bytes()).await.unwrap();
        Peer { stream, decoder: Decoder::new(Role::Server), received: Vec::new() }
    }

    async fn head(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(stream.read_u8().await.unwrap()));
        }
        (stream, head)
    }
}

impl Peer {
    async fn send(&mut self, frame: Value) {
        self.stream.write_all(&encode::text(&frame.to_string())).await.unwrap();
    }

    /// The next command, which must be of this kind.
    async fn command(&mut self, kind: &str) -> Value {
        while self.received.is_empty() {
            let mut bytes = [0; 4096];
            let length = self.stream.read(&mut bytes).await.unwrap();
            assert!(length > 0, "the client went away; a {kind} was expected");
            let config = Config::default();
            let mut reader = self.decoder.read(&config, &mut bytes[..length], None);
            while let Some(item) = reader.next_item().unwrap() {
                if let Item::Text(text) = item {
                    self.received.push(serde_json::from_str(text).unwrap());
                }
            }
        }
        let command = self.received.remove(0);
        assert_eq!(command["type"], kind, "{command}");
        command
    }

    async fn reply(&mut self, command: &Value, mut reply: Value) {
        reply["id"] = command["id"].clone();
        reply["channel"] = command["channel"].clone();
        self.send(reply).await;
    }

    async fn event(&mut self, offset: u64) {
        self.send(json!({ "type": "event", "channel": "chat:a", "offset": offset,
            "timestamp": "2026-05-01T12:00:00.000Z", "user": "ada", "session": "1",
            "data": offset }))
            .await;
    }
}

fn options() -> Options {
    Options { token: Some("a.b.c".into()), ..Options::default() }
}

fn reconnecting(address: &str) -> Reconnecting {
    let address: Address = address.parse().unwrap();
    let mut client = Reconnecting::new(address, options(), "p".into());
    client.subscribe("chat:a", Subscription { rewind: 5, ..Subscription::default() });
    client
}

#[tokio::test]
async fn an_answer_is_found_among_pushes() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        let ask = peer.command("history").await;
        peer.event(1).await;
        peer.stream.write_all(&[0x89, 0x02, b'h', b'i']).await.unwrap();
        peer.reply(&ask, json!({ "type": "history", "events": [] })).await;
        let refused = peer.command("publish").await;
        peer.reply(
            &refused,
            json!({ "type": "error", "code": "forbidden", "message": "no",
            "retryable": false }),
        )
        .await;
        peer.send(json!({ "type": "bye", "code": 4503, "reason": "draining", "reconnect": true,
            "retry_after": 4200 }))
            .await;
    });
    let mut client = Client::connect(&address, &options()).await.unwrap();
    assert_eq!(client.welcome().user, "anon-5e55");
    assert_eq!(client.welcome().public_session(), "5e55");
    let reply = client.request("history", json!({ "channel": "chat:a" })).await.unwrap();
    assert_eq!(reply.kind(), "history");
    let Err(Error::Refused(refusal)) = client.request("publish", json!({})).await else { panic!() };
    assert_eq!((refusal.code.as_str(), refusal.retryable), ("forbidden", false));
    assert_eq!(client.recv().await.unwrap().decode().offset, Some(1));
    let Err(Error::Closed(closed)) = client.recv().await else { panic!() };
    assert_eq!((closed.code, closed.reconnect), (4503, true));
    assert_eq!(closed.retry_after, Some(Duration::from_millis(4200)));
    serving.await.unwrap();
}

#[tokio::test]
async fn what_is_no_server_is_refused() {
    for (response, status) in
        [("HTTP/1.1 403 Forbidden\r\n\r\nno such origin", Some(403)), ("220 mail\r\n", None)]
    {
        let (server, address) = Server::start().await;
        let serving = tokio::spawn(async move {
            let (mut stream, _) = server.head().await;
            stream.write_all(response.as_bytes()).await.unwrap();
        });
        let error = Client::connect(&address, &options()).await.unwrap_err();
        match error {
            Error::Upgrade(code, text) => {
                assert_eq!((Some(code), text.as_str()), (status, "no such origin"));
            }
            Error::Protocol(_) => assert_eq!(status, None),
            error => panic!("{error}"),
        }
        serving.await.unwrap();
    }
    let nobody = Client::connect("127.0.0.1:1", &options()).await.unwrap_err();
    assert!(matches!(nobody, Error::Connect(..)) && !nobody.is_final());
}

#[tokio::test]
async fn after_a_lost_connection_nothing_is_missing_or_doubled() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        let mut peer = server.welcome().await;
        let subscribe = peer.command("subscribe").await;
        assert_eq!((&subscribe["rewind"], subscribe.get("since")), (&json!(5), None));
        peer.reply(&subscribe, json!({ "type": "subscribed", "epoch": "e", "offset": 7 })).await;
        peer.event(7).await;
        peer.event(8).await;
        let publish = peer.command("publish").await;
        assert_eq!((&publish["producer"], &publish["seq"]), (&json!("p"), &json!(1)));
        // It is stored, but the answer is lost.
        peer.event(9).await;
        peer.send(json!({ "type": "bye", "code": 4503, "reason": "draining", "reconnect": true,
            "retry_after": 0 }))
            .await;
        drop(peer);

        let mut peer = server.upgrade().await;
        let hello = peer.command("hello").await;
        assert_eq!(hello["session"], "5e55.1.mac", "the same session");
        peer.send(json!({ "type": "welcome", "id": hello["id"], "session": "5e55.1.mac" })).await;
        let subscribe = peer.command("subscribe").await;
        assert_eq!(subscribe["since"], json!({ "epoch": "e", "offset": 9 }));
        let again = peer.command("publish").await;
        assert_eq!((&again["seq"], &again["data"]), (&publish["seq"], &publish["data"]));
        peer.reply(
            &subscribe,
            json!({ "type": "subscribed", "epoch": "e", "offset": 10,
            "recovered": true }),
        )
        .await;
        peer.event(9).await;
        peer.event(10).await;
        peer.reply(&again, json!({ "type": "published", "duplicate": true, "offset": 9 })).await;
        peer.send(json!({ "type": "bye", "code": 4410, "reason": "revoked", "reconnect": false }))
            .await;
    });
    let mut client = reconnecting(&address);
    let ticket = client.publish("chat:a", json!({ "data": "once" })).unwrap();
    let (mut offsets, mut stored, mut lost) = (Vec::new(), Vec::new(), 0);
    let end = loop {
        match client.next().await {
            Ok(Happening::Frame(frame)) if frame.kind() == "event" => {
                offsets.extend(frame.decode().offset);
            }
            Ok(Happening::Stored(ticket, _)) => stored.push(ticket),
            Ok(Happening::Lost(_, wait)) => {
                assert_eq!(wait, Duration::ZERO, "as the server asked");
                lost += 1;
            }
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(offsets, [7, 8, 9, 10]);
    assert_eq!((stored, lost, client.waiting()), (vec![ticket], 1, 0));
    assert!(matches!(end, Error::Closed(closed) if closed.code == 4410));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_subscription_that_was_refused_is_not_tried_again() {
    let (server, address) = Server::start().await;
    let serving = tokio::spawn(async move {
        for round in 0..2 {
            let mut peer = server.welcome().await;
            if round == 0 {
                let subscribe = peer.command("subscribe").await;
                peer.command("ping").await;
                peer.reply(
                    &subscribe,
                    json!({ "type": "error", "code": "forbidden",
                    "message": "no", "retryable": false }),
                )
                .await;
                peer.send(json!({ "type": "bye", "code": 1001, "reconnect": true,
                    "retry_after": 0 }))
                    .await;
            } else {
                peer.command("ping").await;
                peer.send(json!({ "type": "bye", "code": 4501, "reconnect": true })).await;
            }
        }
    });
    let mut client = reconnecting(&address);
    let mut refused = 0;
    let end = loop {
        match client.next().await {
            Ok(Happening::Frame(frame)) => refused += u32::from(frame.refusal().is_some()),
            Ok(Happening::Connected(_)) => _ = client.command("ping", json!({})),
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(refused, 1);
    assert!(
        matches!(end, Error::Closed(closed) if closed.code == 4501),
        "its token is its only one"
    );
    serving.await.unwrap();
}
