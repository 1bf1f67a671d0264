//! The server calls what it may, and nothing else.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Secret;

const SECOND: Duration = Duration::from_secs(1);

/// Internal addresses as attackers write them, and what is no URL of a backend at all.
const REFUSED: [&str; 46] = [
    "http://127.0.0.1/",
    "https://127.0.0.1:8443/hook",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.43518/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://192.168.1.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[ff02::1]/",
    "http://１２７.0.0.1/",
    "https://user:secret@example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https://",
    "not a url",
];

#[test]
fn m5_no_spelling_of_an_internal_address_is_called() {
    let guard = Guard::default();
    for url in REFUSED {
        let outcome = Target::parse(url, &guard);
        assert!(outcome.is_err(), "{url} must be refused: {outcome:?}");
    }
    for url in ["https://example.com/hook", "https://8.8.8.8/", "https://[2606:4700::1111]/"] {
        assert!(Target::parse(url, &guard).is_ok(), "{url} is public");
    }
    let long = format!("https://example.com/{}", "a".repeat(2048));
    assert_eq!(Target::parse(&long, &guard), Err(TargetError::TooLong));
}

#[test]
fn what_the_operator_names_is_allowed_and_its_neighbours_are_not() {
    let guard = Guard::new(&["10.1.0.0/16".into(), "::1".into()]).unwrap();
    assert!(Target::parse("http://10.1.2.3/hook", &guard).is_ok());
    assert!(Target::parse("http://[::1]:9000/", &guard).is_ok());
    assert!(Target::parse("http://[::ffff:10.1.2.3]/", &guard).is_ok(), "the same address");
    assert!(Target::parse("http://10.2.0.1/", &guard).is_err());
    assert_eq!(Guard::new(&["10.1.0.0/16".into(), "localhost".into()]).unwrap_err(), 1);
}

/// A resolver that says what a test wants, another thing each time.
struct Lying {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Resolve for Lying {
    fn resolve(&self, _: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let time = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers[time.min(self.answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn egress(allow: &[&str], answers: &[&[&str]]) -> (Egress, Arc<Lying>) {
    let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
    let answers = answers.iter().map(parse).collect();
    let resolver = Arc::new(Lying { answers, asked: AtomicUsize::new(0) });
    let allow = allow.iter().map(|text| (*text).to_owned()).collect();
    let config = config::Egress { allow, certificates: None };
    let egress = Egress::start_with(&config, Path::new("."), resolver.clone()).unwrap();
    (egress, resolver)
}

/// Posts from outside of the thread for calls.
fn post(egress: &Egress, url: &str, timeout: Duration, most: usize) -> Result<Reply, EgressError> {
    let target = Target::parse(url, &egress.guard()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let calling = egress.clone();
    egress.spawn(async move {
        let limits = (timeout, most);
        let body = Bytes::from_static(b"{}");
        let _ = tell.send(calling.post(&target, HeaderMap::new(), body, limits).await);
    });
    told.recv_timeout(10 * SECOND).unwrap()
}

/// A backend on this machine that answers every request with `answer`, and counts them.
fn backend(egress: &Egress, answer: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = count.clone();
    egress.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        while let Ok((mut tcp, _)) = listener.accept().await {
            counting.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = tcp.read(&mut request).await;
                let _ = tcp.write_all(answer).await;
                // Whoever waits for more waits.
                let _ = tcp.read(&mut request).await;
            });
        }
    });
    (address, count)
}

#[test]
fn a_name_that_leads_inside_is_not_called_and_one_that_is_allowed_is() {
    let (egress, _) = egress(&[], &[&["127.0.0.1"]]);
    let (at, asked) = backend(&egress, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let url = format!("http://backend.example:{}/", at.port());
    let outcome = post(&egress, &url, SECOND, 100);
    assert_eq!(outcome.unwrap_err(), EgressError::Internal("127.0.0.1 is internal".into()));
    assert_eq!(asked.load(Ordering::Relaxed), 0, "no connection was made");

    let allowed = config::Egress { allow: vec!["127.0.0.1".into()], certificates: None };
    egress.reconfigure(&allowed, Path::new(".")).unwrap();
    let direct = format!("http://{at}/");
    let reply = post(&egress, &direct, SECOND, 100).unwrap();
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, &b"ok"[..]));
}

#[test]
fn a_name_with_one_internal_address_among_public_ones_is_not_called() {
    let (egress, _) = egress(&[], &[&["93.184.216.34", "169.254.169.254"]]);
    let outcome = post(&egress, "https://mixed.example/", SECOND, 100);
    assert_eq!(outcome.unwrap_err(), EgressError::Internal("169.254.169.254 is internal".into()));
}

#[test]
fn a_name_that_says_another_thing_the_second_time_gains_nothing() {
    // First an address that is allowed, then (after whoever checks has checked) one that is not.
    let (egress, resolver) = egress(&["127.0.0.1"], &[&["127.0.0.1"], &["127.0.0.2"]]);
    let close = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (at, asked) = backend(&egress, close);
    let url = format!("http://rebinding.example:{}/", at.port());
    assert!(post(&egress, &url, SECOND, 100).is_ok());
    assert_eq!(resolver.asked.load(Ordering::Relaxed), 1, "one question for one connection");
    let outcome = post(&egress, &url, SECOND, 100);
    assert_eq!(outcome.unwrap_err(), EgressError::Internal("127.0.0.2 is internal".into()));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn plain_http_is_only_for_networks_that_the_operator_named() {
    let (egress, _) = egress(&[], &[&["93.184.216.34"]]);
    let outcome = post(&egress, "http://public.example/", SECOND, 100);
    assert_eq!(outcome.unwrap_err(), EgressError::Internal("93.184.216.34 needs TLS".into()));
}

#[test]
fn a_redirect_is_not_followed() {
    let (egress, _) = egress(&["127.0.0.1"], &[&[]]);
    let (inner, asked) = backend(&egress, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    let line =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{inner}/\r\nContent-Length: 0\r\n\r\n");
    let (outer, _) = backend(&egress, line.leak().as_bytes());
    let reply = post(&egress, &format!("http://{outer}/"), SECOND, 100).unwrap();
    assert_eq!(reply.status, StatusCode::FOUND);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn an_answer_that_is_too_large_or_never_ends_costs_only_so_much() {
    let (egress, _) = egress(&["127.0.0.1"], &[&[]]);
    let claims = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nbegin";
    let (at, _) = backend(&egress, claims);
    let outcome = post(&egress, &format!("http://{at}/"), SECOND, 100);
    assert!(matches!(outcome, Err(EgressError::TooLarge | EgressError::TimedOut)), "{outcome:?}");

    let (at, _) = backend(
        &egress,
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n0123456789\
        01234567890123456789012345678901234567890123456789012345678901234567890123456789\
        01234567890",
    );
    let outcome = post(&egress, &format!("http://{at}/"), SECOND, 100);
    assert_eq!(outcome.unwrap_err(), EgressError::TooLarge);

    let (at, _) = backend(&egress, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let outcome = post(&egress, &format!("http://{at}/"), SECOND / 5, 100);
    assert_eq!(outcome.unwrap_err(), EgressError::TimedOut);

    let (at, _) = backend(&egress, b"SSH-2.0-OpenSSH_9.9\r\n");
    let outcome = post(&egress, &format!("http://{at}/"), SECOND, 100);
    assert!(matches!(outcome, Err(EgressError::Broken(_))), "{outcome:?}");
}

#[test]
fn a_backend_that_is_down_is_said_to_be() {
    let (egress, _) = egress(&["127.0.0.1"], &[&[]]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = post(&egress, &format!("http://{free}/"), SECOND, 100);
    assert!(matches!(outcome, Err(EgressError::Connect(_))), "{outcome:?}");
    let outcome = post(&egress, "http://nobody.example/", SECOND, 100);
    assert!(matches!(outcome, Err(EgressError::Connect(_))), "{outcome:?}");
}

#[test]
fn a_certificate_of_nobody_known_is_refused_and_one_that_was_named_is_taken() {
    let made = rcgen::generate_simple_self_signed(vec!["backend.example".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
    let chain = vec![made.cert.der().clone()];
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(ring::default_provider());
    let server = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (egress, _) = egress(&["127.0.0.1"], &[&["127.0.0.1"]]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://backend.example:{}/", listener.local_addr().unwrap().port());
    egress.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let mut request = [0; 4096];
            let _ = tls.read(&mut request).await;
            let _ = tls.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    let outcome = post(&egress, &url, SECOND, 100);
    assert!(matches!(outcome, Err(EgressError::Connect(_))), "{outcome:?}");

    let named =
        config::Egress { allow: vec!["127.0.0.1".into()], certificates: Some("ca.pem".into()) };
    let resolver = Arc::new(Lying {
        answers: vec![vec!["127.0.0.1".parse().unwrap()]],
        asked: AtomicUsize::new(0),
    });
    let egress = Egress::start_with(&named, folder.path(), resolver).unwrap();
    assert_eq!(post(&egress, &url, SECOND, 100).unwrap().status, StatusCode::NO_CONTENT);
    assert!(Egress::check(&named, Path::new("/nowhere")).is_err());
}

#[test]
fn a_signature_is_what_a_receiver_computes() {
    let secret = |text: &str| Secret::new(text.to_owned());
    assert_eq!(sign(&[], 1, b"{}"), None);
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'key'
    let header = sign(&[secret("key")], 1_700_000_000, br#"{"a":1}"#).unwrap();
    let expected =
        "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
    assert_eq!(header.to_str().unwrap(), expected);
    let both = sign(&[secret("key"), secret("next")], 1_700_000_000, br#"{"a":1}"#).unwrap();
    assert!(both.to_str().unwrap().starts_with(&format!("{expected},v1=")));
}
