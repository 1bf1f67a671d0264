//! Certificates that the server gets by itself, from an authority written for these tests. (It
//! shares no code with the client's side. Pebble, Let's Encrypt's own, is a program that would have
//! to be fetched.)

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod authority;
#[path = "../common/mod.rs"]
mod common;
mod jws;
mod look;

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use authority::{Authority, Manner, identifier};
use common::{Server, Setup, Socket, free_port, trusting, until};
use look::shake_hands;

const NAME: &str = "chat.tidings.test";

type Secure = Socket<StreamOwned<ClientConnection, TcpStream>>;

/// An authority, and a server that is its customer, in a folder.
struct Scene {
    dir: Arc<TempDir>,
    /// Where the server is, at each of its starts.
    port: u16,
    authority: Authority,
    /// Lines of `[server.tls.acme]`.
    more: &'static str,
}

impl Scene {
    fn new(change: impl FnOnce(&mut Manner), more: &'static str) -> Self {
        let port = free_port();
        let mut manner = Manner::leading_to(port);
        change(&mut manner);
        let authority = Authority::start(manner);
        let dir = Arc::new(TempDir::new().unwrap());
        authority.write_root(&dir.path().join("ca.pem"));
        Self { dir, port, authority, more }
    }

    fn start(&self) -> Server {
        let more = format!(
            "[server.tls.acme]\ndomains = [\"{NAME}\", \"www.tidings.test\"]\n\
             contact = [\"ops@tidings.test\"]\nterms_agreed = true\nca_file = \"ca.pem\"\n\
             directory = \"https://127.0.0.1:{}/directory\"\n{}",
            self.authority.port, self.more,
        );
        let store = "path = \"data\"";
        let setup =
            Setup { more: &more, store, log: "info,tidings::acme=debug", ..Setup::default() };
        Server::start_at(self.port, self.dir.clone(), &setup)
    }

    /// Connects as who trusts the authority, to this name.
    fn connect_to(&self, server: &Server, name: &'static str) -> std::io::Result<Secure> {
        let name = ServerName::try_from(name).unwrap();
        let config = Arc::new(trusting(self.authority.root()));
        let tls = ClientConnection::new(config, name).unwrap();
        Socket::upgrade(StreamOwned::new(tls, server.tcp()), "")
    }

    fn connect(&self, server: &Server) -> std::io::Result<Secure> {
        self.connect_to(server, NAME)
    }

    /// The certificate that is shown, whoever made it.
    fn shown(&self) -> CertificateDer<'static> {
        shake_hands(self.port, NAME, &[b"http/1.1"]).unwrap().1
    }

    /// The value of a metric.
    fn metric(&self, server: &Server, line: &str) -> f64 {
        let name = ServerName::try_from(NAME).unwrap();
        let config = Arc::new(trusting(self.authority.root()));
        let tls = ClientConnection::new(config, name).unwrap();
        let mut stream = StreamOwned::new(tls, server.tcp());
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut page = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut page);
        let found = page.lines().find_map(|one| one.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("{line} in {page}"))
    }
}

fn seconds_since_1970() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs_f64()
}

#[test]
fn the_first_start_gets_a_certificate_and_the_second_needs_nobody() {
    let scene = Scene::new(|manner| manner.bad_nonces = 2, "");
    let server = scene.start();
    let mut ada = until("there is a certificate", || scene.connect(&server).ok());
    ada.subscribe("chat:room");
    assert_eq!(ada.publish("chat:room", json!("hello"))["type"], "published");
    scene.connect_to(&server, "www.tidings.test").unwrap();
    server.until_logged("a new certificate is in force");
    assert_eq!(scene.metric(&server, "tidings_certificate_orders_total{outcome=\"issued\"}"), 1.0);
    assert_eq!(scene.metric(&server, "tidings_certificate_orders_total{outcome=\"failed\"}"), 0.0);
    let expiry = scene.metric(&server, "tidings_certificate_expiry_time_seconds");
    let left = (expiry - seconds_since_1970()) / 86_400.0;
    assert!((89.0..=90.0).contains(&left), "{left} days");
    let leaf = scene.shown();
    {
        let book = scene.authority.book();
        assert_eq!(book.orders[0].names, [NAME, "www.tidings.test"]);
        assert_eq!(book.contacts, [json!(["mailto:ops@tidings.test"])]);
        assert_eq!(book.manner.bad_nonces, 0, "both were met and tried again");
    }
    // What is kept is its owner's alone.
    let folder = scene.dir.path().join("data/acme");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&folder) & 0o777, 0o700);
    let files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|one| one.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        assert_eq!(mode(file) & 0o777, 0o600, "{}", file.display());
    }
    drop(server);

    // The second start is one without the authority.
    scene.authority.book().manner.away = true;
    let before = scene.authority.book().requests.len();
    let mut server = scene.start();
    assert_eq!(scene.shown(), leaf, "from the first connection on");
    scene.connect(&server).unwrap();
    server.until_logged("the stored certificate is in force");
    let log = server.whole_log();
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(scene.authority.book().requests.len(), before);
}

#[test]
fn a_certificate_is_renewed_and_nobody_is_dropped() {
    let life = Duration::from_secs(9);
    let scene = Scene::new(|manner| manner.life = life, "retry = \"500ms\"");
    let server = scene.start();
    let mut ada = until("there is a certificate", || scene.connect(&server).ok());
    ada.subscribe("cast:room");
    let first = scene.shown();
    let begun = Instant::now();
    let second = until("it is renewed", || Some(scene.shown()).filter(|shown| *shown != first));
    assert!(begun.elapsed() < life, "before it has expired: {:?}", begun.elapsed());
    let mut bob = scene.connect(&server).unwrap();
    assert_eq!(bob.publish("cast:room", json!("renewed"))["type"], "published");
    assert_eq!(ada.event()["data"], "renewed", "who was connected stays so");
    let third = until("again", || Some(scene.shown()).filter(|shown| *shown != second));
    assert_ne!(third, first);
    assert_eq!(bob.publish("cast:room", json!("again"))["type"], "published");
    assert_eq!(ada.event()["data"], "again");
    assert_eq!(scene.authority.asked("/account"), 1, "one account is enough");
    // A life of 10 s with the second that it is dated back: not before two thirds of it.
    let since = begun.elapsed().as_secs_f64();
    let most = 2.0 + since / 5.5;
    assert!((scene.authority.issued() as f64) <= most, "not more often than it is due");
}

#[test]
fn a_refusal_is_logged_and_the_authority_has_its_rest() {
    let scene = Scene::new(|manner| manner.refuses = Some(3), "retry = \"100ms\"");
    let server = scene.start();
    let log = until("it is refused", || Some(server.log()).filter(|log| log.contains("again_in")));
    let line = log.lines().find(|line| line.contains("again_in")).unwrap();
    for part in
        ["ERROR", "too many certificates already issued", "rateLimited", NAME, "again_in=3s"]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
    // Meanwhile there is TLS, with a certificate that nobody trusts, and no proof for who asks.
    assert!(scene.connect(&server).is_err());
    let proof = shake_hands(scene.port, NAME, &[b"acme-tls/1"]);
    assert!(proof.is_err(), "nobody has asked for a proof");
    let (agreed, _) = shake_hands(scene.port, NAME, &[b"acme-tls/1", b"http/1.1"]).unwrap();
    assert_eq!(agreed.unwrap(), b"http/1.1", "a client that offers both is a client");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(scene.authority.asked("/order"), 1, "it was asked for three seconds");
    scene.authority.book().manner.refuses = None;
    until("there is a certificate", || scene.connect(&server).ok());
    assert_eq!(scene.authority.asked("/order"), 2);
    assert_eq!(scene.metric(&server, "tidings_certificate_orders_total{outcome=\"failed\"}"), 1.0);
}

/// The names lead elsewhere: what is usual at the first try.
#[test]
fn an_authority_that_is_not_convinced_is_not_asked_again_and_again() {
    let nowhere = free_port();
    let scene = Scene::new(|manner| manner.leads_to = nowhere, "retry = \"500ms\"");
    let server = scene.start();
    let third = until("it has failed three times", || {
        Some(server.log()).filter(|log| log.matches("again_in").count() == 3)
    });
    let line = third.lines().rfind(|line| line.contains("again_in")).unwrap();
    for part in ["ERROR", "not convinced", NAME, "refused", "again_in"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let times: Vec<_> = {
        let book = scene.authority.book();
        let orders = book.requests.iter().filter(|(_, path)| path == "/order");
        orders.map(|(when, _)| *when).collect()
    };
    assert_eq!(times.len(), 3);
    let (first, second) = (times[1] - times[0], times[2] - times[1]);
    assert!(first >= Duration::from_millis(375), "{first:?}");
    assert!(second >= Duration::from_millis(1125), "{second:?}: three times as long");
    assert!(server.cpu() < Duration::from_secs(3), "waiting costs nothing: {:?}", server.cpu());
    // It is put right, and goes on by itself.
    scene.authority.book().manner.leads_to = scene.port;
    until("there is a certificate", || scene.connect(&server).ok());
}

#[test]
fn an_authority_that_is_away_is_waited_for_and_advice_is_taken() {
    let scene = Scene::new(|_| {}, "retry = \"200ms\"");
    let server = scene.start();
    until("there is a certificate", || scene.connect(&server).ok());
    let first = scene.shown();
    drop(server);

    // It wants all certificates back at once, and has lost its accounts.
    scene.authority.book().manner.renew_now = true;
    scene.authority.book().manner.forgetful = true;
    let server = scene.start();
    let second = until("it is renewed", || Some(scene.shown()).filter(|shown| *shown != first));
    server.until_logged("a new account is made next time");
    server.until_logged("the old one stays in force");
    let asked = identifier(&first);
    let path = format!("/renewal/{asked}");
    assert!(scene.authority.asked(&path) > 0, "it was asked about this very certificate");
    drop(server);

    // With its account it says which one is replaced.
    let server = scene.start();
    until("it is renewed", || Some(scene.shown()).filter(|shown| *shown != second));
    {
        let book = scene.authority.book();
        let last = book.orders.last().unwrap();
        assert_eq!(last.replaces, Some(identifier(&second)));
    }
    server.until_logged("a new certificate");

    // What is on disk is damaged: said, and ordered again.
    drop(server);
    let folder = std::fs::read_dir(scene.dir.path().join("data/acme")).unwrap();
    let files: Vec<_> = folder.map(|one| one.unwrap().path()).collect();
    let file = files.iter().find(|one| one.extension().is_some_and(|kind| kind == "pem")).unwrap();
    std::fs::write(file, "oops").unwrap();
    let server = scene.start();
    until("there is a certificate", || scene.connect(&server).ok());
    server.until_logged("the stored certificate is of no use");
}

#[test]
fn the_server_starts_without_the_authority_and_gets_its_certificate_later() {
    let scene = Scene::new(|manner| manner.away = true, "retry = \"200ms\"");
    let server = scene.start();
    let log = until("it is said", || Some(server.log()).filter(|log| log.contains("again_in")));
    assert!(log.contains("ERROR") && log.contains("127.0.0.1"), "{log}");
    assert!(scene.connect(&server).is_err());
    assert!(shake_hands(scene.port, NAME, &[b"http/1.1"]).is_ok(), "TLS is spoken");
    scene.authority.book().manner.away = false;
    until("there is a certificate", || scene.connect(&server).ok());
}
