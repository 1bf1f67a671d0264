//! The backend is asked who may come in.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use yrs::Doc;

use crate::common::{Server, Setup, frame, request_of};
use crate::editor::{STEP1, UPDATE, sync, write};
use crate::{DOCUMENTS, setup};

/// Takes one call; what was asked, and where the answer goes.
fn take(backend: &TcpListener) -> (String, TcpStream) {
    let (mut call, _) = backend.accept().unwrap();
    let mut asked = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&asked).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            length.is_some_and(|length| body.len() >= length.parse().unwrap())
        });
        if whole {
            return (text, call);
        }
        let count = call.read(&mut buffer).unwrap();
        asked.extend_from_slice(&buffer[..count]);
    }
}

fn answer(mut call: TcpStream, body: &str) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    call.write_all(head.as_bytes()).unwrap();
}

/// What an editor sends right behind its request waits for the backend's word too.
#[test]
fn what_comes_with_the_request_does_not_pass_the_backend() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "{DOCUMENTS}\n[egress]\nallow = [\"127.0.0.1\"]\n[hooks.connect]\nurl = \"http://{}/\"\n\
         timeout = \"20s\"\n",
        backend.local_addr().unwrap()
    );
    let server = Server::start(&Setup { more: &more, ..setup() });
    let update = write(&Doc::new(), "too early");
    let mut tcp = server.tcp();
    let mut request = request_of("/yjs/doc:plan", "").into_bytes();
    request.extend(frame(0x82, &sync(STEP1, &[0])));
    request.extend(frame(0x82, &sync(UPDATE, &update)));
    tcp.write_all(&request).unwrap();
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = tcp.read_to_end(&mut all);
        said.send(all).unwrap();
    });
    let (asked, call) = take(&backend);
    assert!(asked.contains("\"transport\":\"editor\""), "{asked}");
    answer(call, r#"{"allow":false}"#);
    let all = heard.recv().unwrap();
    let head = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (kind, code) = (all[head], u16::from_be_bytes([all[head + 2], all[head + 3]]));
    assert_eq!((kind, code), (0x88, 4403), "nothing was said before: {:?}", &all[head..]);
}
