//! A backend of tests: an HTTP server by hand, so that it can answer as badly as it wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Server, Setup};

/// The secret of its calls.
pub(crate) const SECRET: &str = "what-signs-the-calls-of-hooks-in-tests";

/// What it does with a question.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A good answer.
    Say(Value),
    /// The same, after so many milliseconds.
    Late(u64, Value),
    /// Bytes as they are, and the end of the connection.
    Raw(Vec<u8>),
    /// A body without an end.
    Endless,
    /// Nothing, for as long as the caller waits.
    Silence,
}

type Script = Box<dyn FnMut(&Value) -> Act + Send>;

/// A question as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) signature: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// Runs until the process ends.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) port: u16,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn start(script: impl FnMut(&Value) -> Act + Send + 'static) -> Self {
        Self::start_at(0, script)
    }

    pub(crate) fn start_at(port: u16, script: impl FnMut(&Value) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let backend = Self {
            port: listener.local_addr().unwrap().port(),
            script: Arc::new(Mutex::new(Box::new(script))),
            asked: Arc::default(),
            under_way: Arc::default(),
            most: Arc::default(),
        };
        let serving = backend.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(tcp));
            }
        });
        backend
    }

    /// It thinks otherwise from now on.
    pub(crate) fn change(&self, script: impl FnMut(&Value) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// All that it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// How many calls were under way at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    fn serve(&self, tcp: TcpStream) {
        let mut reader = BufReader::new(tcp);
        while let Some(asked) = read(&mut reader) {
            let act = (self.script.lock().unwrap())(&asked.body);
            self.asked.lock().unwrap().push(asked);
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            if let Act::Late(ms, _) = &act {
                std::thread::sleep(Duration::from_millis(*ms));
            }
            // Before the answer: the caller may have the next question as soon as it has that.
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            let goes_on = perform(reader.get_mut(), act);
            if !goes_on {
                break;
            }
        }
    }
}

fn read(from: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    from.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut signature) = (0, String::new());
    loop {
        line.clear();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "tidings-signature" => value.clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).ok()?;
    let body = serde_json::from_str(&text).ok()?;
    Some(Asked { path, signature, text, body })
}

/// Whether the connection can be used again.
fn perform(tcp: &mut TcpStream, act: Act) -> bool {
    match act {
        Act::Say(answer) | Act::Late(_, answer) => tcp.write_all(&ok(&answer.to_string())).is_ok(),
        Act::Raw(bytes) => {
            let _ = tcp.write_all(&bytes);
            false
        }
        Act::Endless => {
            let _ =
                tcp.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"allow\":true,\"");
            while tcp.write_all(&[b'x'; 65536]).is_ok() {}
            false
        }
        Act::Silence => {
            // The caller's end of the connection is the end of its patience.
            let _ = tcp.read(&mut [0; 1]);
            false
        }
    }
}

/// A whole answer with status 200.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

pub(crate) fn yes() -> Act {
    Act::Say(json!({ "allow": true }))
}

pub(crate) fn no() -> Act {
    Act::Say(json!({ "allow": false }))
}

/// Asked by `hook` (`publish` for instance) at this port, with these lines more; and namespaces in
/// which it is asked: `room` about publishes (durable), `gate` about subscriptions.
pub(crate) fn tables(hooks: &[&str], port: u16, lines: &str) -> String {
    let mut text = "[egress]\nallow = [\"127.0.0.1\"]\n".to_owned();
    for hook in hooks {
        text += &format!(
            "[hooks.{hook}]\nurl = \"http://127.0.0.1:{port}/{hook}?key=in-the-url\"\n\
             secret = \"{SECRET}\"\ntimeout = \"1s\"\n{lines}\n"
        );
        let namespace = match *hook {
            "publish" => "room",
            "subscribe" => "gate",
            _ => continue,
        };
        text += &format!(
            "[namespace.{namespace}]\nsubscribe = \"anyone\"\npublish = \"anyone\"\n\
             hooks = [\"{hook}\"]\nhistory = {{ size = 1000, durable = true }}\n"
        );
    }
    text
}

/// A server that asks it.
pub(crate) fn server(hooks: &[&str], port: u16, lines: &str) -> Server {
    let more = tables(hooks, port, lines);
    Server::start(&Setup { server: "shards = 2", more: &more, ..Setup::default() })
}
