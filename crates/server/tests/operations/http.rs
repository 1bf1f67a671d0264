//! As much of HTTP as a probe needs.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::common::{PATIENCE, Server, until};

/// Status and body of a GET with more header fields, each of which ends in CR LF.
pub(crate) fn get_with(port: u16, path: &str, more: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\n{more}Connection: close\r\n\r\n");
    tcp.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// Status and body of a GET from this machine.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    get_with(port, path, &format!("Host: localhost:{port}\r\n"))
}

/// Where the server's operations are served: its log says so.
pub(crate) fn operations_port(server: &Server) -> u16 {
    until("operations are served", || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains("readiness are served"))?;
        line.rsplit_once("127.0.0.1:")?.1.trim().parse().ok()
    })
}
