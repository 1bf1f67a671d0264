//! A backend that speaks HTTP/1.1 by hand.

use std::io::{Read, Write};

use serde_json::Value;

use crate::common::{Server, Setup};

/// The secret of the key that may do everything.
pub(crate) const KEY: &str = "an-api-key-of-tests-with-32-bytes-and-more";

/// A configuration with that key.
pub(crate) fn setup() -> Setup<'static> {
    const MORE: &str = "[[api.key]]\nname = \"backend\"\n\
        secret = \"an-api-key-of-tests-with-32-bytes-and-more\"\n";
    Setup { more: MORE, ..Setup::default() }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer that is none of an error.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.head.contains("\r\ncontent-type: application/json\r\n"), "{self:?}");
        self.body
    }

    /// The code of a problem with this status.
    pub(crate) fn problem(self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("\r\ncontent-type: application/problem+json\r\n"), "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        let code = self.body["code"].as_str().unwrap();
        assert_eq!(self.body["type"], format!("urn:tidings:error:{code}"));
        assert!(!self.body["title"].as_str().unwrap().is_empty());
        assert!(!self.body["detail"].as_str().unwrap().ends_with('\n'), "{self:?}");
        code.to_owned()
    }
}

/// One request of whoever has this key.
pub(crate) fn ask(server: &Server, key: &str, line: &str, body: &str) -> Answer {
    let mut tcp = server.tcp();
    let key =
        if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{key}Content-Length: {length}\r\n\r\n{body}"
    );
    tcp.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let body = serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {text:?}"));
    Answer { status: head[9..12].parse().unwrap(), head: head.to_ascii_lowercase() + "\r\n", body }
}

/// `GET /api/v1/…`
pub(crate) fn get(server: &Server, path: &str) -> Answer {
    ask(server, KEY, &format!("GET /api/v1{path}"), "")
}

/// `POST /api/v1/…`
pub(crate) fn post(server: &Server, path: &str, body: &Value) -> Answer {
    ask(server, KEY, &format!("POST /api/v1{path}"), &body.to_string())
}
