//! A server that follows a script.

use serde_json::{Value, json};
use tidings_websocket::{Config, Decoder, Item, Role, encode, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    received: Vec<Value>,
    /// The client has said good-bye.
    closed: bool,
}

pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        (Self(listener), address)
    }

    /// Takes a connection and welcomes its session.
    pub(crate) async fn welcome(&self) -> Peer {
        self.welcome_as(json!({})).await.0
    }

    /// The same, with more in the welcome; the `hello`, too.
    pub(crate) async fn welcome_as(&self, more: Value) -> (Peer, Value) {
        let mut peer = self.upgrade().await;
        let hello = peer.command("hello").await;
        let mut welcome = json!({ "type": "welcome", "id": hello["id"], "session": "5e55.1.mac",
            "user": "anon-5e55", "heartbeat": 25000, "dedup_window": 900_000 });
        for (name, value) in more.as_object().unwrap() {
            welcome[name] = value.clone();
        }
        peer.send(welcome).await;
        (peer, hello)
    }

    pub(crate) async fn upgrade(&self) -> Peer {
        let (mut stream, head) = self.head().await;
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = handshake::accept_key(key.as_bytes());
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: tidings.v1\r\n\r\n"
        );
        stream.write_all(response.as_bytes()).await.unwrap();
        Peer { stream, decoder: Decoder::new(Role::Server), received: Vec::new(), closed: false }
    }

    pub(crate) async fn head(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(stream.read_u8().await.unwrap()));
        }
        (stream, head)
    }
}

impl Peer {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.stream.write_all(&encode::text(&frame.to_string())).await.unwrap();
    }

    /// The next command, which must be of this kind.
    pub(crate) async fn command(&mut self, kind: &str) -> Value {
        let command = self.next().await.unwrap_or_else(|| panic!("instead of a {kind}: the end"));
        assert_eq!(command["type"], kind, "{command}");
        command
    }

    /// The next command; `None` if the client has said good-bye.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        while self.received.is_empty() && !self.closed {
            let mut bytes = [0; 4096];
            let length = self.stream.read(&mut bytes).await.unwrap();
            assert!(length > 0, "the client went away without a word");
            let config = Config::default();
            let mut reader = self.decoder.read(&config, &mut bytes[..length], None);
            while let Some(item) = reader.next_item().unwrap() {
                match item {
                    Item::Text(text) => self.received.push(serde_json::from_str(text).unwrap()),
                    Item::Close(_) => self.closed = true,
                    _ => {}
                }
            }
        }
        (!self.received.is_empty()).then(|| self.received.remove(0))
    }

    pub(crate) async fn reply(&mut self, command: &Value, mut reply: Value) {
        reply["id"] = command["id"].clone();
        reply["channel"] = command["channel"].clone();
        self.send(reply).await;
    }

    pub(crate) async fn refuse(&mut self, command: &Value, code: &str) {
        let error = json!({ "type": "error", "code": code, "message": "no", "retryable": false });
        self.reply(command, error).await;
    }

    /// Takes a subscription at this offset; the command.
    pub(crate) async fn subscribed(&mut self, offset: u64, recovered: bool) -> Value {
        let subscribe = self.command("subscribe").await;
        let reply = json!({ "type": "subscribed", "epoch": "e", "offset": offset,
            "recovered": recovered });
        self.reply(&subscribe, reply).await;
        subscribe
    }

    pub(crate) async fn event(&mut self, offset: u64) {
        self.send(json!({ "type": "event", "channel": "chat:a", "offset": offset,
            "timestamp": "2026-05-01T12:00:00.000Z", "user": "ada", "session": "1",
            "data": offset }))
            .await;
    }

    /// The connection ends, and the client is to come back at once.
    pub(crate) async fn drain(mut self) {
        self.send(json!({ "type": "bye", "code": 4503, "reason": "draining", "reconnect": true,
            "retry_after": 0 }))
            .await;
    }

    /// The connection ends for good.
    pub(crate) async fn revoke(mut self) {
        self.send(json!({ "type": "bye", "code": 4410, "reason": "revoked", "reconnect": false }))
            .await;
    }
}
