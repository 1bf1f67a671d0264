//! TLS: certificates from files that change while clients are connected, and self-signed ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_client::{Client, Options, Trust};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use common::{Server, Setup, Socket, trusting, until};

const FILES: Setup<'_> = Setup {
    more: "",
    server: "tls = { certificate = \"cert.pem\", key = \"key.pem\" }",
    store: "kind = \"memory\"",
    limits: "header_timeout = \"1s\"",
    shell: "",
    arguments: &[],
    log: "",
};

/// Makes a certificate for `localhost` and puts it and its key where the server looks, as a tool
/// that renews certificates does.
fn renew(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, pem) in
        [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())]
    {
        let draft = dir.join("draft");
        std::fs::write(&draft, pem).unwrap();
        std::fs::rename(draft, dir.join(name)).unwrap();
    }
    made.cert.der().clone()
}

type Secure = Socket<StreamOwned<ClientConnection, TcpStream>>;

/// Connects, if the server shows just this certificate.
fn connect(server: &Server, trusted: &CertificateDer<'static>) -> std::io::Result<Secure> {
    let config = trusting(trusted.clone());
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    Socket::upgrade(StreamOwned::new(tls, server.tcp()), "")
}

#[test]
fn a_renewed_certificate_is_taken_and_nobody_is_dropped() {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let old = renew(dir.path());
    let server = Server::start_in(dir, &FILES);
    let mut ada = connect(&server, &old).unwrap();
    ada.subscribe("cast:tls");
    let new = renew(server.path());
    let mut bob = until("the new certificate is shown", || connect(&server, &new).ok());
    assert!(connect(&server, &old).is_err(), "the old one is no longer shown");
    assert_eq!(bob.publish("cast:tls", json!("renewed"))["type"], "published");
    assert_eq!(ada.event()["data"], "renewed", "who was connected stays so");

    // A file that is no certificate changes nothing; the next good pair is taken.
    std::fs::write(server.path().join("cert.pem"), "oops").unwrap();
    server.until_logged("not taken");
    connect(&server, &new).unwrap();
    let third = renew(server.path());
    until("the third certificate is shown", || connect(&server, &third).ok());
    assert_eq!(bob.publish("cast:tls", json!("again"))["type"], "published");
    assert_eq!(ada.event()["data"], "again");
}

/// Much goes through TLS whole, in both directions, in messages of all sizes.
#[test]
fn messages_of_all_sizes_pass() {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let certificate = renew(dir.path());
    let server = Server::start_in(dir, &FILES);
    let mut ada = connect(&server, &certificate).unwrap();
    let mut bob = connect(&server, &certificate).unwrap();
    bob.subscribe("cast:tls");
    for size in (0..=30_000).step_by(1000).chain([1, 125, 126, 16_383, 16_384, 32_000]) {
        let text = "x".repeat(size);
        assert_eq!(ada.publish("cast:tls", json!(text))["type"], "published");
        assert_eq!(bob.event()["data"], json!(text), "{size} bytes");
    }
    let all = ada.ask(json!({"type": "history", "channel": "cast:tls", "limit": 100}));
    assert_eq!(all["type"], "history");
}

/// Who does not speak TLS, or begins it and waits, is closed in time, and others go on.
#[test]
fn who_does_not_finish_the_handshake_is_closed() {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let certificate = renew(dir.path());
    let server = Server::start_in(dir, &FILES);
    let mut ada = connect(&server, &certificate).unwrap();
    let begin = Instant::now();
    let plain = server.status(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_ne!(plain, 200);
    for hello in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"\x16"] {
        let mut tcp = server.tcp();
        tcp.write_all(hello).unwrap();
        assert_eq!(common::status_of(&mut tcp), 0);
    }
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(ada.ask(json!({"type": "ping"}))["type"], "pong");
    connect(&server, &certificate).unwrap();
}

/// A client that trusts anybody reaches a server that made its own certificate.
fn reach(server: &Server) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let address = format!("wss://localhost:{}", server.port);
    let options = Options { trust: Trust::Anybody, ..Options::default() };
    let client = runtime.block_on(Client::connect(&address, options)).unwrap();
    assert!(runtime.block_on(client.welcomed()).unwrap().user.starts_with("anon-"));
    let options = Options { trust: Trust::Web, ..Options::default() };
    let refused = runtime.block_on(Client::connect(&address, options));
    assert!(refused.is_err(), "nobody else vouches for it");
}

#[test]
fn a_self_signed_certificate_needs_no_files() {
    let server = Server::start(&Setup { server: "tls = { self_signed = true }", ..FILES });
    reach(&server);
    let server =
        Server::start(&Setup { server: "", arguments: &["--tls", "self-signed"], ..FILES });
    reach(&server);
}

/// A server that cannot have its certificate does not start, and says which file it is.
#[test]
fn without_its_files_the_server_does_not_start() {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let started = std::panic::catch_unwind(|| Server::start_in(dir, &FILES));
    let panic = started.expect_err("it does not start");
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("cert.pem"), "{said}");
}
