//! Issuers that publish their keys at a URL: changed, down, lying, and two that are not to be
//! mistaken for each other. Rows J4, J5 and J6 of docs/security.md.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Server, Setup, until};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// What an issuer answers: a status line with its fields, and a body.
type Answer = (String, Vec<u8>);

/// An issuer: it signs tokens, and publishes its keys.
struct Issuer {
    port: u16,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

fn new_key() -> Ed25519KeyPair {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap()
}

fn set(keys: &[(&str, &Ed25519KeyPair)]) -> Answer {
    let key = |(kid, key): &(&str, &Ed25519KeyPair)| {
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": x})
    };
    let keys: Vec<Value> = keys.iter().map(key).collect();
    ("200 OK".into(), json!({"keys": keys}).to_string().into_bytes())
}

/// A token of an issuer for a user.
fn token(issuer: &str, user: &str, (kid, key): (&str, &Ed25519KeyPair)) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"alg": "EdDSA", "kid": kid}));
    let claims = part(json!({"iss": issuer, "sub": user, "exp": now + 600}));
    let signed = format!("{head}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

impl Issuer {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (said, counted) = (answer.clone(), asked.clone());
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut lines = BufReader::new(&tcp).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let (status, body) = said.lock().unwrap().clone();
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
                let _ = (&tcp).write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
                let _ = (&tcp).write_all(&body);
            }
        });
        Self { port, answer, asked }
    }

    fn says(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Its entry in the configuration.
    fn entry(&self, name: &str) -> String {
        let port = self.port;
        format!("[[auth.key]]\njwks_url = \"http://127.0.0.1:{port}/keys\"\nissuer = \"{name}\"\n")
    }
}

const EGRESS: &str = "[egress]\nallow = [\"127.0.0.1\"]\n";

/// The user that a token lets in as, or the code that it is refused with.
fn enter(server: &Server, token: &str) -> Result<String, u64> {
    let mut socket = server.connect();
    socket.command(json!({"type": "hello", "token": token})).unwrap();
    let frame = socket.try_next().unwrap();
    match frame["type"].as_str().unwrap() {
        "welcome" => Ok(frame["user"].as_str().unwrap().to_owned()),
        _ => Err(frame["code"].as_u64().unwrap()),
    }
}

#[test]
fn a_new_key_is_taken_and_a_withdrawn_one_ends_its_sessions() {
    let (old, new) = (new_key(), new_key());
    let issuer = Issuer::start(set(&[("old", &old)]));
    let more = format!("{EGRESS}{}", issuer.entry("https://login.example"));
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let of = |kid, key| token("https://login.example", "ada", (kid, key));
    until("its keys are known", || enter(&server, &of("old", &old)).ok());
    let mut ada = server.connect_as(&of("old", &old));
    assert_eq!(enter(&server, &of("new", &new)), Err(4401), "nobody knows this key");
    assert_eq!(issuer.asked(), 1, "it was asked a moment ago");

    issuer.says(set(&[("new", &new)]));
    // Whoever cannot wait for thirty seconds reloads.
    server.signal("HUP");
    until("the new one is known", || enter(&server, &of("new", &new)).ok());
    ada.bye(4501);
    assert_eq!(enter(&server, &of("old", &old)), Err(4401));
    server.still_fine();
}

#[test]
fn j4_what_a_token_says_of_its_issuer_makes_nobody_fetch_anything() {
    let (key, evil) = (new_key(), new_key());
    let (issuer, trap) = (Issuer::start(set(&[("a", &key)])), Issuer::start(set(&[("e", &evil)])));
    let more = format!("{EGRESS}{}", issuer.entry("https://login.example"));
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let good = token("https://login.example", "ada", ("a", &key));
    until("its keys are known", || enter(&server, &good).ok());
    let port = trap.port;
    for iss in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/keys"),
        format!("https://login.example@127.0.0.1:{port}/"),
        format!("https://login.example/../..//127.0.0.1:{port}"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "https://login.example%2f@evil".into(),
        "a@evil".into(),
        "..%2f..%2f".into(),
        "https://login.example/".into(),
        String::new(),
    ] {
        assert_eq!(enter(&server, &token(&iss, "ada", ("e", &evil))), Err(4401), "{iss}");
        assert_eq!(enter(&server, &token(&iss, "ada", ("a", &key))), Err(4401), "{iss}");
    }
    assert_eq!(trap.asked(), 0, "nobody was asked");
    assert_eq!(issuer.asked(), 1);
    server.still_fine();
}

#[test]
fn j5_two_issuers_call_their_keys_alike_and_neither_can_sign_for_the_other() {
    let (ours, theirs) = (new_key(), new_key());
    let (a, b) = (Issuer::start(set(&[("k", &ours)])), Issuer::start(set(&[("k", &theirs)])));
    let more = format!("{EGRESS}{}{}", a.entry("https://a.example"), b.entry("https://b.example"));
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let of = |issuer, key| token(issuer, "ada", ("k", key));
    until("both are known", || {
        enter(&server, &of("https://a.example", &ours)).ok()?;
        enter(&server, &of("https://b.example", &theirs)).ok()
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(enter(&server, &of("https://a.example", &theirs)), Err(4401));
                    assert_eq!(enter(&server, &of("https://b.example", &ours)), Err(4401));
                    assert_eq!(enter(&server, &of("https://a.example", &ours)), Ok("ada".into()));
                }
            });
        }
    });
    server.still_fine();
}

#[test]
fn j6_an_issuer_that_lies_or_is_down_harms_nobody_and_is_asked_seldom() {
    let key = new_key();
    let private = json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": "a",
        "k": URL_SAFE_NO_PAD.encode([7; 32])}]});
    let lies: [Answer; 6] = [
        ("200 OK".into(), b"<html>Welcome</html>".to_vec()),
        ("200 OK".into(), vec![b' '; 5 << 20]),
        ("302 Found\r\nLocation: http://127.0.0.1/".into(), Vec::new()),
        ("500 Internal Server Error".into(), set(&[("a", &key)]).1),
        ("200 OK".into(), br#"{"keys":[]}"#.to_vec()),
        ("200 OK".into(), private.to_string().into_bytes()),
    ];
    for lie in lies {
        let issuer = Issuer::start(lie.clone());
        let more = format!("{EGRESS}{}", issuer.entry("https://login.example"));
        let server = Server::start(&Setup { more: &more, ..Setup::default() });
        let ada = token("https://login.example", "ada", ("a", &key));
        server.until_logged("could not be fetched");
        for n in 0..200 {
            let unknown = token("https://login.example", "ada", (&format!("kid-{n}"), &key));
            assert_eq!(enter(&server, &unknown), Err(4501), "it may be known later");
        }
        assert_eq!(enter(&server, &ada), Err(4501));
        assert_eq!(issuer.asked(), 1, "{}", lie.0);
        let ours = common::token("bob", Duration::from_secs(60));
        assert_eq!(enter(&server, &ours), Ok("bob".into()), "others are no worse off");
        server.still_fine();
    }
}

/// An address that is not to be called is refused when the configuration is read.
#[test]
fn an_internal_url_is_refused_at_the_start() {
    let dir = tempfile::TempDir::new().unwrap();
    let issuer = Issuer::start(set(&[("a", &new_key())]));
    let more = issuer.entry("https://login.example");
    let path = dir.path().join("tidings.toml");
    std::fs::write(&path, Setup { more: &more, ..Setup::default() }.text()).unwrap();
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["config", "check", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(!check.status.success());
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(said.contains("127.0.0.1 is an internal address"), "{said}");
    assert_eq!(issuer.asked(), 0);
}
