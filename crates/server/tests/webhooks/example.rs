//! The receiver of the documentation, in `examples/webhooks`, against a real server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::backend::{SECRET, setup, sign};
use crate::common::{Server, status_of};

/// A process that ends with the test.
struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The status of a call with this signature.
fn call(port: u16, signature: &str, body: &str) -> u16 {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Tidings-Signature: {signature}\r\n\r\n{body}"
    );
    tcp.write_all(head.as_bytes()).unwrap();
    let status = status_of(&mut tcp);
    let _ = tcp.read_to_end(&mut Vec::new());
    status
}

#[test]
fn the_receiver_of_the_documentation_takes_what_is_genuine_and_nothing_else() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/webhooks/receiver.js");
    let node = Command::new("node")
        .arg(file)
        .env("TIDINGS_SECRET", SECRET)
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .spawn();
    let mut receiver = Receiver(node.expect("Node.js is needed for this"));
    let mut said = BufReader::new(receiver.0.stdout.take().unwrap()).lines();
    let mut next = || said.next().unwrap().unwrap();
    let port: u16 = next().strip_prefix("listening on ").unwrap().parse().unwrap();
    let hook = format!(
        "[egress]\nallow = [\"127.0.0.1\"]\n[[webhook]]\nname = \"backend\"\n\
         url = \"http://127.0.0.1:{port}/\"\nsecret = \"{SECRET}\"\n\
         events = [\"channel.occupied\", \"event.published\"]\n",
    );
    let server = Server::start(&setup(&hook));
    let mut ada = server.connect();
    ada.subscribe("chat:room");
    ada.publish("chat:room", json!({"text": "Grüße"}));
    assert_eq!(next().trim_end(), "channel.occupied chat:room");
    assert_eq!(next(), "event.published chat:room {\"text\":\"Grüße\"}");

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let item = json!({"id": "x-1", "type": "user.online", "user": "eve"});
    let body = json!({"webhook": "backend", "items": [item]}).to_string();
    let signed = |time: u64| format!("t={time},v1={}", sign(SECRET, time, &body));
    assert_eq!(call(port, &signed(now - 301), &body), 401, "too old");
    assert_eq!(call(port, &signed(now), &body.replace("eve", "ada")), 401, "another body");
    assert_eq!(
        call(port, &signed(now).replace(&format!("t={now}"), &format!("t={}", now + 1)), &body),
        401
    );
    assert_eq!(call(port, &format!("t={now},v1={}", sign("x", now, &body)), &body), 401);
    assert_eq!(call(port, "v1=zz", &body), 401);
    assert_eq!(call(port, &format!("{},v1=00", signed(now)), &body), 204, "one of two is enough");
    assert_eq!(next().trim_end(), "user.online eve");
    assert_eq!(call(port, &signed(now), &body), 204, "again");
    ada.publish("chat:room", json!("last"));
    assert_eq!(next(), "event.published chat:room \"last\"", "the same id is taken once");
}
