//! HTTP/2: many streams of events on one TCP connection.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use crate::common::{Server, Setup, trusting};

type Sender = http2::SendRequest<Full<Bytes>>;

/// A server with a certificate, and one HTTP/2 connection to it.
async fn connect(server: &Server, certificate: CertificateDer<'static>) -> Sender {
    let mut config = trusting(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn post(sender: &mut Sender, path: &str, lines: &[Value]) -> Response<Incoming> {
    let body: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let request = Request::post(format!("https://localhost{path}"));
    sender.ready().await.unwrap();
    sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
}

/// A tab: its stream of events and what it is called.
struct Tab {
    body: Incoming,
    text: String,
    handle: String,
}

impl Tab {
    async fn open(sender: &mut Sender) -> Self {
        let subscribe = json!({"type": "subscribe", "id": 1, "channel": "cast:tabs"});
        let answer = post(sender, "/events", &[subscribe]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body();
        let mut tab = Self { body, text: String::new(), handle: String::new() };
        tab.handle = tab.next("opened").await["connection"].as_str().unwrap().to_owned();
        tab.next("subscribed").await;
        tab
    }

    async fn next(&mut self, kind: &str) -> Value {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let data = block.strip_prefix("data: ").map(serde_json::from_str::<Value>);
                self.text = rest.to_owned();
                if let Some(Ok(frame)) = data
                    && frame["type"] == kind
                {
                    return frame;
                }
            }
            let frame = self.body.frame().await.expect("the stream goes on").unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }
}

#[test]
fn twelve_tabs_of_a_browser_share_one_connection_and_none_waits_for_another() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = "tls = { certificate = \"cert.pem\", key = \"key.pem\" }";
    let server = Server::start_in(dir, &Setup { server: tls, ..Setup::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut browser = connect(&server, made.cert.der().clone()).await;
        let mut tabs = Vec::new();
        for _ in 0..12 {
            tabs.push(Tab::open(&mut browser).await);
        }
        let say = json!({"type": "publish", "id": 2, "channel": "cast:tabs", "data": "hello"});
        let batch = json!({"connection": tabs[7].handle, "batch": 1});
        let answer = post(&mut browser, "/send", &[batch, say]).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        for tab in &mut tabs {
            assert_eq!(tab.next("event").await["data"], "hello");
        }
        // A tab is closed: its session ends, and the others go on.
        let closed = tabs.remove(3);
        drop(closed.body);
        let say = json!({"type": "publish", "id": 3, "channel": "cast:tabs", "data": "again"});
        let batch = json!({"connection": tabs[5].handle, "batch": 1});
        assert_eq!(post(&mut browser, "/send", &[batch, say]).await.status(), 204);
        for tab in &mut tabs {
            assert_eq!(tab.next("event").await["data"], "again");
        }
        let mut batch = 1;
        loop {
            let gone = json!({"connection": closed.handle, "batch": batch});
            match post(&mut browser, "/send", &[gone]).await.status().as_u16() {
                404 => break,
                status => assert_eq!(status, 204),
            }
            batch += 1;
        }
    });
}
