//! The console's page, and the key that it finds by itself.

use std::io::{Read, Write};

use crate::common::{Server, Setup};
use crate::http::{ask, setup};

/// Head and body of a `GET` with more header fields, each of which ends in CR LF.
fn get(server: &Server, path: &str, more: &str) -> (String, String) {
    let mut tcp = server.tcp();
    let head = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{more}\r\n");
    tcp.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn a_server_for_trying_out_gives_its_key_to_its_own_console_alone() {
    let server = Server::start_dev(&[]);
    let own = format!("Host: localhost:{}\r\nSec-Fetch-Site: same-origin\r\n", server.port);
    let (head, body) = get(&server, "/console/key", &own);
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    let key = said["key"].as_str().unwrap();
    let stats = ask(&server, key, "GET /api/v1/stats", "").ok();
    assert_eq!(stats["dev"], true);
    for other in [
        format!("Host: rebound.example:{}\r\nSec-Fetch-Site: same-origin\r\n", server.port),
        own.replace("same-origin", "cross-site"),
        own.replace("same-origin", "same-site"),
        format!("{own}Origin: http://localhost:1\r\n"),
        format!("{own}X-Forwarded-For: 203.0.113.7\r\n"),
    ] {
        let (head, body) = get(&server, "/console/key", &other);
        assert!(head.starts_with("http/1.1 404 "), "{other} {head}");
        assert!(!body.contains(key), "{body}");
    }
}

#[test]
fn a_server_that_was_configured_gives_no_key_away() {
    let server = Server::start(&setup());
    let own = format!("Host: localhost:{}\r\nSec-Fetch-Site: same-origin\r\n", server.port);
    assert!(get(&server, "/console/key", &own).0.starts_with("http/1.1 404 "));
}

#[test]
fn the_page_is_served_where_it_is_wanted() {
    let more =
        "[[api.key]]\nname = \"console\"\nsecret = \"a-secret-of-32-printable-characters\"\n";
    let server = Server::start(&Setup { more, ..Setup::default() });
    let (head, body) = get(&server, "/console", "Host: localhost\r\n");
    // Without Node.js there is no page, and whoever asks learns how to build it.
    let built = head.starts_with("http/1.1 200 ");
    assert_eq!(built, head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert_eq!(!built, body.contains("cargo xtask dev"), "{body}");
    let keyless = Server::start(&Setup::default());
    let (head, body) = get(&keyless, "/console", "Host: localhost\r\n");
    assert!(head.starts_with("http/1.1 404 ") && body.contains("[[api.key]]"), "{head}{body}");
    let setup = Setup { server: "console = false", more, ..Setup::default() };
    let off = Server::start(&setup);
    let (head, body) = get(&off, "/console", "Host: localhost\r\n");
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    assert_eq!(body, "there is nothing here\n");
}
