//! A push service of tests, and the browsers that it has: it believes nothing that is not signed,
//! and its browsers read only what was encrypted for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;
use web_push_native::p256::SecretKey;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;
use web_push_native::{Auth, decrypt};

/// How a call is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 201.
    Take,
    Status(u16),
    /// This status, and when to come again, in seconds.
    Later(u16, u64),
    /// Nothing, for a minute.
    Hang,
    /// 307 to this place.
    Elsewhere(String),
}

/// A browser that has subscribed.
pub(crate) struct Browser {
    private: SecretKey,
    auth: [u8; 16],
    endpoint: String,
}

impl Browser {
    fn new(endpoint: String) -> Self {
        let (mut private, mut auth) = ([0; 32], [0; 16]);
        getrandom::fill(&mut private).unwrap();
        getrandom::fill(&mut auth).unwrap();
        Self { private: SecretKey::from_slice(&private).unwrap(), auth, endpoint }
    }

    /// `endpoint`, `p256dh` and `auth`.
    pub(crate) fn subscription(&self) -> [String; 3] {
        let point = self.private.public_key().to_encoded_point(false);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        [self.endpoint.clone(), encode(point.as_bytes()), encode(&self.auth)]
    }
}

/// A push, as its browser reads it.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    /// The browser's number.
    pub(crate) browser: usize,
    pub(crate) said: Value,
    pub(crate) ttl: u64,
    pub(crate) topic: Option<String>,
    /// `sub` of the token.
    pub(crate) subject: String,
    /// The key that signed it.
    pub(crate) key: String,
    /// Whether it was taken.
    pub(crate) taken: bool,
}

type Mood = Box<dyn FnMut(usize) -> Answer + Send>;

struct Shared {
    port: u16,
    browsers: Mutex<Vec<Arc<Browser>>>,
    pushes: Mutex<Vec<Push>>,
    mood: Mutex<Mood>,
}

/// See the module. Its threads end with the process.
pub(crate) struct Service(Arc<Shared>);

impl Service {
    /// One that takes everything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            port: listener.local_addr().unwrap().port(),
            browsers: Mutex::default(),
            pushes: Mutex::default(),
            mood: Mutex::new(Box::new(|_| Answer::Take)),
        });
        let theirs = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = theirs.clone();
                std::thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        Self(shared)
    }

    /// It answers so from now on: by the browser's number.
    pub(crate) fn now(&self, mood: impl FnMut(usize) -> Answer + Send + 'static) {
        *self.0.mood.lock().unwrap() = Box::new(mood);
    }

    /// Another browser subscribes.
    pub(crate) fn browser(&self) -> Arc<Browser> {
        let mut browsers = self.0.browsers.lock().unwrap();
        let endpoint = format!("http://127.0.0.1:{}/send/{}", self.0.port, browsers.len());
        browsers.push(Arc::new(Browser::new(endpoint)));
        browsers.last().unwrap().clone()
    }

    /// All calls, also those that were not taken.
    pub(crate) fn calls(&self) -> Vec<Push> {
        self.0.pushes.lock().unwrap().clone()
    }

    /// What was taken.
    pub(crate) fn taken(&self) -> Vec<Push> {
        self.calls().into_iter().filter(|push| push.taken).collect()
    }
}

/// One request; `None` when the connection is over.
fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let number = line.strip_prefix("POST /send/").and_then(|rest| rest.split(' ').next());
    let number: usize = number.and_then(|number| number.parse().ok()).expect(&line);
    let (mut length, mut ttl, mut topic, mut authorization) = (0, None, None, String::new());
    let mut encoding = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match &*name.to_ascii_lowercase() {
            "authorization" => value.clone_into(&mut authorization),
            "content-encoding" => value.clone_into(&mut encoding),
            "content-length" => length = value.parse().unwrap(),
            "topic" => topic = Some(value.to_owned()),
            "ttl" => ttl = Some(value.parse().unwrap()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    assert!(body.len() <= 4096, "{} bytes", body.len());
    assert_eq!(encoding, "aes128gcm");
    let (subject, key) = verify(&authorization, shared.port);
    let browser = shared.browsers.lock().unwrap()[number].clone();
    let auth = Auth::clone_from_slice(&browser.auth);
    let said = decrypt(body, &browser.private, &auth).expect("it is encrypted for this browser");
    let said = serde_json::from_slice(&said).unwrap();
    let answer = (shared.mood.lock().unwrap())(number);
    let taken = matches!(answer, Answer::Take);
    let (ttl, browser) = (ttl.expect("TTL must be there"), number);
    let push = Push { browser, said, ttl, topic, subject, key, taken };
    shared.pushes.lock().unwrap().push(push);
    let head = match answer {
        Answer::Take => "201 Created\r\nLocation: /message/1".to_owned(),
        Answer::Status(status) => format!("{status} So"),
        Answer::Later(status, seconds) => format!("{status} Later\r\nRetry-After: {seconds}"),
        Answer::Elsewhere(place) => format!("307 Elsewhere\r\nLocation: {place}"),
        Answer::Hang => {
            std::thread::sleep(Duration::from_secs(60));
            return None;
        }
    };
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
    (&mut &*stream).write_all(answer.as_bytes()).ok()
}

/// Checks a VAPID header (RFC 8292, 3); its `sub`, and the key.
fn verify(authorization: &str, port: u16) -> (String, String) {
    let words = authorization.strip_prefix("vapid t=").expect("the scheme of RFC 8292");
    let (token, key) = words.split_once(", k=").unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(key))
        .verify(signed.as_bytes(), &decode(signature))
        .expect("it is signed with the key that it names");
    let head: Value = serde_json::from_slice(&decode(head)).unwrap();
    assert_eq!(head["alg"], "ES256");
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    assert_eq!(claims["aud"], format!("http://127.0.0.1:{port}"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let left = claims["exp"].as_u64().unwrap().checked_sub(now).expect("it has not expired");
    assert!((1..=86_400).contains(&left), "{left} s");
    (claims["sub"].as_str().unwrap().to_owned(), key.to_owned())
}
