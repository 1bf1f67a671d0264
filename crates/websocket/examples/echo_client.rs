//! A client that sends back every message, for Autobahn's cases the other way round.
//!
//! ```text
//! kosoku -m fuzzingserver -o /tmp/report 127.0.0.1:9002
//! cargo run --release -p tidings-websocket --example echo_client -- 127.0.0.1:9002
//! ```

mod support;

use std::io;

use support::{Echo, HttpHead, LENIENT};
use tidings_websocket::{Role, handshake};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const AGENT: &str = "tidings";

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: echo_client HOST:PORT");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(run(&address))
}

async fn run(address: &str) -> io::Result<()> {
    let count: usize = visit(address, "/getCaseCount").await?.parse().expect("a number");
    for case in 1..=count {
        if let Err(error) = visit(address, &format!("/runCase?case={case}&agent={AGENT}")).await {
            eprintln!("case {case}: {error}");
        }
    }
    visit(address, &format!("/updateReports?agent={AGENT}")).await?;
    println!("{count} cases run");
    Ok(())
}

/// Opens a connection and echoes until the server closes it; returns the last text it sent.
async fn visit(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // The nonce only keeps caches from answering (RFC 6455 section 10.3), and there is none here.
    let (key, offer) = (handshake::client_key(*b"not random today"), LENIENT.offer());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {}\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n",
        handshake::VERSION
    );
    stream.write_all(request.as_bytes()).await?;

    let (head, rest) = HttpHead::read(&mut stream).await?;
    if !head.first_line().starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other("the server did not switch protocols"));
    }
    handshake::check_upgrade(head.one("upgrade"), head.one("connection"))
        .and_then(|()| handshake::check_accept(&key, head.one("sec-websocket-accept")))
        .map_err(io::Error::other)?;
    let params = LENIENT.confirm(head.all("sec-websocket-extensions")).map_err(io::Error::other)?;
    let mut echo = Echo::new(Role::Client, params);
    echo.run(&mut stream, rest).await?;
    Ok(echo.text)
}
