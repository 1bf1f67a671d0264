//! A collector that takes OTLP over HTTP, as far as tests need it: it decodes what it gets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// How it takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Good,
    /// It says that it cannot, and more that makes no sense.
    Lying,
    /// It never answers.
    Silent,
}

#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) spans: Vec<Span>,
    /// Messages of log lines.
    pub(crate) lines: Vec<String>,
    pub(crate) services: Vec<String>,
    /// Heads of requests.
    pub(crate) heads: Vec<String>,
    /// Bodies, one behind the other.
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct Collector {
    pub(crate) port: u16,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let book = taken.clone();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for tcp in listener.incoming().flatten() {
                match manner {
                    Manner::Silent => kept.push(tcp),
                    _ => drop(take(tcp, manner, &book)),
                }
            }
        });
        Self { port, taken }
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap()
    }

    /// A table that sends everything here.
    pub(crate) fn table(&self) -> String {
        format!("[telemetry]\nendpoint = \"http://127.0.0.1:{}\"\n", self.port)
    }
}

fn take(mut tcp: TcpStream, manner: Manner, book: &Mutex<Taken>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    let (head, length) = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.and_then(|text| text.parse::<usize>().ok()).unwrap();
            bytes.drain(..end + 4);
            break (head, length);
        }
        match tcp.read(&mut buffer)? {
            0 => return Ok(()),
            count => bytes.extend(&buffer[..count]),
        }
    };
    while bytes.len() < length {
        match tcp.read(&mut buffer)? {
            0 => return Ok(()),
            count => bytes.extend(&buffer[..count]),
        }
    }
    if manner == Manner::Lying {
        let lie = [b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n\xff\xff".as_slice(), &buffer];
        return tcp.write_all(&lie.concat());
    }
    let mut book = book.lock().unwrap();
    if head.starts_with("post /v1/traces ") {
        let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        for one in request.resource_spans {
            book.services.extend(text(&one.resource.unwrap().attributes, "service.name"));
            book.spans.extend(one.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    } else {
        assert!(head.starts_with("post /v1/logs "), "{head}");
        let request = ExportLogsServiceRequest::decode(&bytes[..]).unwrap();
        let scopes = request.resource_logs.into_iter().flat_map(|one| one.scope_logs);
        let records = scopes.flat_map(|scope| scope.log_records);
        book.lines.extend(records.filter_map(|line| match line.body?.value? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }));
    }
    book.heads.push(head);
    book.bytes.extend(bytes);
    drop(book);
    tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// The text of an attribute, or its number.
pub(crate) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(truth) => Some(truth.to_string()),
        _ => None,
    }
}
