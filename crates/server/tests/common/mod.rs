//! Servers of their own for tests: each a process with its own port and folder, killed at its end.

#![allow(dead_code, reason = "each test uses a part of this")]
#![allow(unused_imports, reason = "each test uses a part of this")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` is written where it is needed")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod socket;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(crate) use socket::{Message, Socket, frame, frame_head, request, request_of};

/// How long a test waits for what must come, on a machine that has other things to do as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The secret of [`token`].
pub(crate) const SECRET: &str = "a secret of tests, 32 bytes and more";

/// What differs between the configurations of tests: lines of TOML.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup<'a> {
    /// Lines of `[server]`.
    pub(crate) server: &'a str,
    /// Lines of `[store]`.
    pub(crate) store: &'a str,
    /// Lines of `[limits]`.
    pub(crate) limits: &'a str,
    /// Tables of their own, behind all others.
    pub(crate) more: &'a str,
    /// What a shell does before it becomes the server, as `ulimit -n 64`.
    pub(crate) shell: &'a str,
    /// What stands behind `tidings serve --config FILE`.
    pub(crate) arguments: &'a [&'a str],
    /// `RUST_LOG`.
    pub(crate) log: &'a str,
}

impl Setup<'_> {
    /// `chat` is durable and `cast` in memory, both open to anyone; `club` wants a token.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "[server]\n{}\n[store]\n{}\n[limits]\n{}\n[auth]\nanonymous = true\nleeway = \"0ms\"\n\
             [[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n",
            self.server, self.store, self.limits,
        );
        for (name, access, durable) in
            [("chat", "anyone", true), ("cast", "anyone", false), ("club", "token", false)]
        {
            let _ = writeln!(
                text,
                "[namespace.{name}]\nsubscribe = \"{access}\"\npublish = \"{access}\"\n\
                 history = {{ size = 100000, durable = {durable} }}\n\
                 presence = {{ access = \"{access}\" }}",
            );
        }
        text.push_str(self.more);
        text
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    dir: Arc<TempDir>,
    log: Arc<Mutex<Vec<u8>>>,
    gatherer: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one in a new folder.
    pub(crate) fn start(setup: &Setup<'_>) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), setup)
    }

    /// Starts one in `dir`, which may have an earlier one's data.
    pub(crate) fn start_in(dir: Arc<TempDir>, setup: &Setup<'_>) -> Self {
        Self::start_at(0, dir, setup)
    }

    /// The same, at this port: where clients look for the one before it.
    pub(crate) fn start_at(port: u16, dir: Arc<TempDir>, setup: &Setup<'_>) -> Self {
        let config = dir.path().join("tidings.toml");
        std::fs::write(&config, setup.text()).unwrap();
        let before = if setup.shell.is_empty() { "true" } else { setup.shell };
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{before}; exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_tidings"))
            .args(["serve", "--port", &port.to_string(), "--config"])
            .arg(&config)
            .args(setup.arguments)
            .env("RUST_LOG", if setup.log.is_empty() { "info" } else { setup.log });
        Self::spawn(dir, &mut command)
    }

    /// Starts one for trying out, in a new folder.
    pub(crate) fn start_dev(arguments: &[&str]) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.args(["dev", "--port", "0", "--data"]).arg(dir.path()).args(arguments);
        Self::spawn(dir, &mut command)
    }

    fn spawn(dir: Arc<TempDir>, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::default();
        let gatherer = Some(gather(child.stderr.take().unwrap(), Arc::clone(&log)));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let said = stdout.by_ref().lines().map_while(Result::ok);
        let port = |line: String| line.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let Some(port) = said.filter_map(port).next() else {
            let _ = child.wait();
            panic!("the server did not start: {}", String::from_utf8_lossy(&log.lock().unwrap()));
        };
        // It may say more, and must find somebody who listens.
        gather(stdout, Arc::default());
        Self { child, port, dir, log, gatherer }
    }

    /// Its folder, to start another one there.
    pub(crate) fn dir(&self) -> Arc<TempDir> {
        self.dir.clone()
    }

    /// A file in its folder.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What has come of its log; all of it only when it has ended. While it runs, the log comes
    /// later than the answers.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits until this stands in its log.
    pub(crate) fn until_logged(&self, what: &str) {
        until(&format!("{what:?} is logged"), || self.log().contains(what).then_some(()));
    }

    /// Stops it, and returns all that it has logged: what is looked for in vain must have had
    /// its time to come.
    pub(crate) fn whole_log(&mut self) -> String {
        self.signal("TERM");
        self.ended();
        self.log()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.gathered();
    }

    /// Waits for the end of the log of one that has ended.
    fn gathered(&mut self) {
        if let Some(gatherer) = self.gatherer.take() {
            gatherer.join().unwrap();
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let status = until("the server ends", || self.child.try_wait().unwrap());
        self.gathered();
        status
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Time on processors so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
        // A tick of /proc is 10 ms on every Linux.
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// A TCP connection.
    pub(crate) fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp
    }

    /// A WebSocket.
    pub(crate) fn connect(&self) -> Socket {
        Socket::upgrade(self.tcp(), "").unwrap()
    }

    /// A WebSocket of a user with a token.
    pub(crate) fn connect_as(&self, token: &str) -> Socket {
        let mut socket = self.connect();
        let welcome = socket.ask(json!({"type": "hello", "token": token}));
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        socket
    }

    /// Sends the head of a request and reads the response's status; 0 if there was none.
    pub(crate) fn status(&self, head: &[u8]) -> u16 {
        let mut tcp = self.tcp();
        let _ = tcp.write_all(head);
        status_of(&mut tcp)
    }

    /// A metric of the server, by its name and labels as they are served.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut tcp = self.tcp();
        tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        tcp.read_to_string(&mut page).unwrap();
        let mut lines = page.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("no {name} in {page}"))
    }

    /// Normal clients still chat with the server: they meet in a channel of each kind.
    pub(crate) fn still_fine(&self) {
        let health = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(self.status(health), 200);
        for namespace in ["chat", "cast"] {
            let channel = format!("{namespace}:still-fine");
            let (mut ada, mut bob) = (self.connect(), self.connect());
            bob.subscribe(&channel);
            let published = ada.publish(&channel, json!({"text": "Are you there?"}));
            assert_eq!(published["type"], "published", "{published}");
            let heard = bob.event();
            assert_eq!(heard["offset"], published["offset"]);
            assert_eq!(heard["data"]["text"], "Are you there?");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// A port that is free, and stays so while nobody listens: systems take none of these for the
/// client's end of a connection. Each is given out once: tests run at the same time.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let begin = std::process::id();
    let mut ports = (0..20_000).map(|_| {
        let place = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % 20_000;
        10_000 + u16::try_from(place).unwrap()
    });
    ports.find(is_free).unwrap()
}

/// Reads to the end, for a test that wants to see a log.
fn gather(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    })
}

/// Reads the status of a response; 0 if the connection ends without one.
pub(crate) fn status_of(from: &mut impl Read) -> u16 {
    let mut head = [0; 12];
    match from.read_exact(&mut head) {
        Ok(()) => String::from_utf8_lossy(&head[9..]).parse().unwrap_or(0),
        Err(_) => 0,
    }
}

/// Waits until `look` sees something, without waiting for anything else.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A token for a user, good for so long, who may do everything in `club`.
pub(crate) fn token(user: &str, ttl: Duration) -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let key = tidings::auth::SigningKey::from_secret(SECRET).unwrap();
    let ttl = Some(tidings_core::Period::millis(u64::try_from(ttl.as_millis()).unwrap()));
    let grants = vec![tidings::auth::parse_grant("club:*=subscribe,publish,history").unwrap()];
    let request = tidings::auth::TokenRequest { user: user.into(), ttl, grants };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    tidings::auth::mint(&request, &key, u64::try_from(now.as_millis()).unwrap()).unwrap()
}

/// A TLS client that trusts just this certificate.
pub(crate) fn trusting(certificate: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The numbers in the `data` of events.
pub(crate) fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().filter_map(|event| event["data"].as_u64()).collect()
}
