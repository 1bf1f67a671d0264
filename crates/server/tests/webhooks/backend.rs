//! A backend that behaves as a test wants, and writes down what it was told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::hmac;
use serde_json::Value;

use crate::common::{Setup, until};

/// The secret of webhooks in tests.
pub(crate) const SECRET: &str = "a-secret-of-webhooks-32-bytes-and-more";

/// How a call is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// 204.
    Take,
    /// This status.
    Status(u16),
    /// 503, and when to come again, in seconds.
    Later(u64),
    /// 204, after this long.
    Slow(Duration),
    /// Nothing: the connection closes.
    Close,
    /// Something that is not HTTP.
    Garbage,
}

/// A call, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) signature: String,
    pub(crate) body: String,
    pub(crate) json: Value,
}

impl Call {
    pub(crate) fn items(&self) -> &[Value] {
        self.json["items"].as_array().unwrap()
    }

    /// The time and the signatures in the header.
    pub(crate) fn signed(&self) -> (u64, Vec<String>) {
        let (mut time, mut signatures) = (0, Vec::new());
        for part in self.signature.split(',') {
            match part.split_once('=').unwrap() {
                ("t", value) => time = value.parse().unwrap(),
                ("v1", value) => signatures.push(value.to_owned()),
                other => panic!("{other:?}"),
            }
        }
        (time, signatures)
    }

    /// Whether one of its signatures is of this secret, for its own time and body.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let (time, signatures) = self.signed();
        signatures.contains(&sign(secret, time, &self.body))
    }
}

pub(crate) fn sign(secret: &str, time: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    /// Those that it has answered with 2xx.
    taken: Vec<Value>,
}

type Mood = Box<dyn FnMut(&Call) -> Answer + Send>;

/// A backend. Its threads end with the process.
pub(crate) struct Backend {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
    mood: Arc<Mutex<Mood>>,
}

impl Backend {
    /// One that answers so.
    pub(crate) fn start(mood: impl FnMut(&Call) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, mood): (Arc<Mutex<Seen>>, Arc<Mutex<Mood>>) =
            (Arc::default(), Arc::new(Mutex::new(Box::new(mood))));
        let (theirs, their_mood) = (seen.clone(), mood.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, mood) = (theirs.clone(), their_mood.clone());
                std::thread::spawn(move || while serve(&stream, &seen, &mood).is_some() {});
            }
        });
        Self { port, seen, mood }
    }

    /// It answers so from now on.
    pub(crate) fn now(&self, mood: impl FnMut(&Call) -> Answer + Send + 'static) {
        *self.mood.lock().unwrap() = Box::new(mood);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap().calls.clone()
    }

    /// All items that it has taken, in order, those that came twice too.
    pub(crate) fn taken(&self) -> Vec<Value> {
        self.seen.lock().unwrap().taken.clone()
    }

    /// The same, each id once: what a backend makes of it.
    pub(crate) fn once(&self) -> Vec<Value> {
        let mut ids = std::collections::BTreeSet::new();
        let new = |item: &Value| ids.insert(item["id"].as_str().unwrap().to_owned());
        self.taken().into_iter().filter(new).collect()
    }

    /// `type`s and names, by what they are about.
    pub(crate) fn stories(&self) -> BTreeMap<String, Vec<String>> {
        let mut stories = BTreeMap::<String, Vec<String>>::new();
        for item in self.once() {
            let about = item.get("user").or(item.get("channel")).unwrap().as_str().unwrap();
            let mut what = item["type"].as_str().unwrap().to_owned();
            if what == "event.published" {
                what = item["event"]["data"].to_string();
            }
            stories.entry(about.to_owned()).or_default().push(what);
        }
        stories
    }

    /// Waits until it was told so much about something.
    pub(crate) fn until_told(&self, about: &str, what: &[&str]) {
        until(&format!("{about}: {what:?} is told"), || {
            let told = self.stories().remove(about).unwrap_or_default();
            (told == what).then_some(())
        });
    }

    /// Lines of TOML: a webhook that calls it.
    pub(crate) fn hook(&self, events: &str, more: &str) -> String {
        format!(
            "[egress]\nallow = [\"127.0.0.1\"]\n[[webhook]]\nname = \"test\"\n\
             url = \"http://127.0.0.1:{}/hook\"\nsecret = \"{SECRET}\"\nevents = {events}\n{more}\n",
            self.port,
        )
    }
}

/// The servers of these tests: two shards, and nobody is waited for long.
pub(crate) fn setup(more: &str) -> Setup<'_> {
    Setup { server: "shards = 2", limits: "leave_delay = \"1s\"", more, ..Setup::default() }
}

/// One request; `None` when the connection is over.
fn serve(stream: &TcpStream, seen: &Mutex<Seen>, mood: &Mutex<Mood>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut signature, mut line) = (0, String::new(), String::new());
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    assert!(line.starts_with("POST /hook HTTP/1.1"), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.parse().unwrap(),
            "tidings-signature" => value.clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    let json = serde_json::from_str(&body).unwrap();
    let call = Call { signature, body, json };
    let answer = (mood.lock().unwrap())(&call);
    seen.lock().unwrap().calls.push(call.clone());
    let taken = || seen.lock().unwrap().taken.extend(call.items().iter().cloned());
    let say = |text: String| (&mut &*stream).write_all(text.as_bytes()).ok();
    match answer {
        Answer::Take => taken(),
        Answer::Slow(wait) => {
            std::thread::sleep(wait);
            taken();
        }
        Answer::Status(status) => {
            return say(format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno"));
        }
        Answer::Later(seconds) => {
            let head = "HTTP/1.1 503 Later\r\nContent-Length: 0\r\nRetry-After";
            return say(format!("{head}: {seconds}\r\n\r\n"));
        }
        Answer::Close => {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return None;
        }
        Answer::Garbage => {
            say("HELLO 250 what?\r\n\r\n".into());
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return None;
        }
    }
    say("HTTP/1.1 204 No Content\r\n\r\n".into())
}
