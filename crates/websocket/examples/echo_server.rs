//! A server that sends back every message, for Autobahn's cases.
//!
//! ```text
//! cargo run --release -p tidings-websocket --example echo_server -- --port 9001
//! kosoku -m fuzzingclient -o /tmp/report 127.0.0.1:9001
//! ```
//!
//! `--port 0`, the default, takes a free port; the address is printed. `--no-takeover` negotiates
//! compression without context, as the server of Tidings does.

mod support;

use std::io::{self, Write as _};

use support::{Echo, HttpHead, LENIENT};
use tidings_websocket::handshake::{self, HandshakeError};
use tidings_websocket::{DeflateConfig, DeflateParams, Role};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let (mut port, mut deflate) = (0, LENIENT);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--port" => port = args.next().and_then(|p| p.parse().ok()).expect("a port"),
            "--no-takeover" => deflate = DeflateConfig::default(),
            _ => panic!("usage: echo_server [--port N] [--no-takeover]"),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(listen(port, deflate))
}

async fn listen(port: u16, deflate: DeflateConfig) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A peer that hangs up is none of our business here.
            let _ = serve(stream, deflate).await;
        });
    }
}

async fn serve(mut stream: TcpStream, deflate: DeflateConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (head, rest) = HttpHead::read(&mut stream).await?;
    let params = deflate.accept(head.all("sec-websocket-extensions"));
    match answer(&head, params) {
        Ok(response) => {
            stream.write_all(response.as_bytes()).await?;
            Echo::new(Role::Server, params).run(&mut stream, rest).await
        }
        Err(error) => {
            let (status, version) = (error.status(), handshake::VERSION);
            let response = format!(
                "HTTP/1.1 {status} {error}\r\nSec-WebSocket-Version: {version}\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(response.as_bytes()).await
        }
    }
}

fn answer(head: &HttpHead, params: Option<DeflateParams>) -> Result<String, HandshakeError> {
    if !head.first_line().starts_with(b"GET ") {
        return Err(HandshakeError::NotUpgrade);
    }
    let key = head.one("sec-websocket-key");
    handshake::check_upgrade(head.one("upgrade"), head.one("connection"))?;
    handshake::check_version(head.one("sec-websocket-version"))?;
    handshake::check_key(key)?;
    let accept = handshake::accept_key(key);
    let extensions =
        params.map(|p| format!("Sec-WebSocket-Extensions: {p}\r\n")).unwrap_or_default();
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extensions}\r\n"
    ))
}
