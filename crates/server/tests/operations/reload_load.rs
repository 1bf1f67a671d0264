//! A configuration that changes again and again while a thousand clients listen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{SECRET, Server, Setup, Socket, token, until};
use crate::http::get;
use crate::reload::{OTHER, write};

const CLIENTS: usize = 1000;

/// So many of them came with a key that is withdrawn.
const WITHDRAWN: usize = 100;

/// A token of the key that is withdrawn.
fn other_token(user: &str) -> String {
    use tidings::auth::{SigningKey, TokenRequest, mint};
    let key = SigningKey::from_secret(OTHER).unwrap();
    let ttl = Some(tidings_core::Period::secs(600));
    let request = TokenRequest { user: user.into(), ttl, grants: vec![] };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    mint(&request, &key, u64::try_from(now).unwrap()).unwrap()
}

/// What one client was told, but for events of `chat:room`, whose numbers are counted.
#[derive(Debug, Default)]
struct Told {
    events: u64,
    others: Vec<Value>,
    lost: Option<String>,
}

/// Hears numbers, each the next one, until the last has come or the connection ends.
fn hear(mut socket: Socket, last: &AtomicU64) -> Told {
    let mut said = Told::default();
    while said.events != last.load(SeqCst) {
        match socket.try_push() {
            Ok(event) if event["channel"] == "chat:room" && event["type"] == "event" => {
                said.events += 1;
                assert_eq!(event["data"], said.events, "in order, each once");
            }
            Ok(other) => said.others.push(other),
            Err(error) => {
                said.lost = Some(error.to_string());
                return said;
            }
        }
    }
    said
}

type Threads = Vec<JoinHandle<Told>>;

/// All are subscribed to what stays open, and to what is closed later.
fn open(server: &Arc<Server>, last: &Arc<AtomicU64>) -> Threads {
    let ready = Arc::new(Barrier::new(CLIENTS + 1));
    let one = |index: usize| {
        let (server, last, ready) = (server.clone(), last.clone(), ready.clone());
        move || {
            let mut socket = match index {
                0..WITHDRAWN => server.connect_as(&other_token(&format!("user-{index}"))),
                _ if index.is_multiple_of(2) => server.connect(),
                _ => server.connect_as(&token(&format!("user-{index}"), Duration::from_secs(600))),
            };
            socket.subscribe("chat:room");
            socket.subscribe("cast:room");
            ready.wait();
            hear(socket, &last)
        }
    };
    let small = || Builder::new().stack_size(256 << 10);
    let threads = (0..CLIENTS).map(|index| small().spawn(one(index)).unwrap()).collect();
    ready.wait();
    threads
}

/// Says the next number all the time; how many there were.
fn talk(mut socket: Socket, said: &AtomicU64, stop: &AtomicBool) -> u64 {
    for number in 1.. {
        assert_eq!(socket.publish("chat:room", json!(number))["type"], "published");
        said.store(number, SeqCst);
        if stop.load(SeqCst) {
            return number;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    0
}

/// How often a changed configuration came to this.
fn count(server: &Server, outcome: &str) -> u64 {
    let name = format!("tidings_reloads_total{{outcome=\"{outcome}\"}} ");
    let page = get(server.port, "/metrics").1;
    page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

/// Changes the file and has it read, while three more events go to everybody.
fn change(server: &Server, said: &AtomicU64, outcome: &str, text: &str) {
    let (before, heard) = (count(server, outcome), said.load(SeqCst));
    write(server, &Setup::default(), |_| text.to_owned());
    server.signal("HUP");
    until("it is read", || (count(server, outcome) > before).then_some(()));
    until("events go on", || (said.load(SeqCst) >= heard + 3).then_some(()));
}

/// Keys, limits and namespaces come and go; nobody is dropped but by the key that is withdrawn.
#[test]
fn a_thousand_clients_stay_through_every_reload_and_miss_nothing() {
    let setup = Setup { server: "shards = 2", log: "warn", ..Setup::default() };
    let both = |text: String| {
        let other = format!("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{OTHER}\"\n");
        text.replacen("[namespace", &format!("{other}[namespace"), 1)
    };
    let server = Arc::new(Server::start(&setup));
    write(&server, &setup, both);
    server.signal("HUP");
    until("both keys are known", || (count(&server, "taken") > 0).then_some(()));
    let (last, stop) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicBool::new(false)));
    let threads = open(&server, &last);
    let ada = server.connect_as(&token("ada", Duration::from_secs(600)));
    let said = Arc::new(AtomicU64::new(0));
    let talking = {
        let (said, stop) = (said.clone(), stop.clone());
        std::thread::spawn(move || talk(ada, &said, &stop))
    };
    let change = |outcome, text: &str| change(&server, &said, outcome, text);
    // What is changed stays open to those who are there.
    let news = "[namespace.news]\nsubscribe = \"anyone\"\npublish = \"anyone\"\n";
    let limits = "[limits]\nframe = 50000\nchannels_per_session = 3";
    let wide = both(setup.text()).replace("[limits]", limits) + news;
    change("taken", &wide);
    let mut new = server.connect();
    new.subscribe("news:room");
    // A bad file is refused whole, also what is good in it.
    change("refused", &setup.text().replace(SECRET, "short").replace("anonymous = true", ""));
    let mut still = server.connect();
    still.subscribe("news:other");
    server.until_logged("the old one stays");
    for number in 0..5 {
        change("taken", &format!("{wide}# {number}\n"));
    }
    // The other key is withdrawn, and a channel is closed to those without a grant.
    let closed = "cast]\nsubscribe = \"token\"";
    change("taken", &setup.text().replace("cast]\nsubscribe = \"anyone\"", closed));
    until("those of the withdrawn key are gone", || {
        let line = format!("tidings_sessions_closed_total{{code=\"4501\"}} {WITHDRAWN}\n");
        get(server.port, "/metrics").1.contains(&line).then_some(())
    });
    let gone = new.ask(json!({"type": "publish", "channel": "news:room", "data": 1}));
    assert_eq!(gone["code"], "not_found", "a namespace that was taken away: {gone}");
    stop.store(true, SeqCst);
    let sent = talking.join().unwrap();
    last.store(sent + 1, SeqCst);
    let answer = server.connect().publish("chat:room", json!(sent + 1));
    assert_eq!(answer["type"], "published", "{answer}");

    let (mut ended, mut stayed) = (0, 0);
    for (index, thread) in threads.into_iter().enumerate() {
        let told = thread.join().unwrap();
        if index < WITHDRAWN {
            let bye = told.others.last().unwrap();
            assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!(4501)), "{told:?}");
            assert!(told.lost.is_some() && told.events > 0, "{told:?}");
            ended += 1;
        } else {
            assert_eq!((told.lost, told.events), (None, sent + 1), "client {index}");
            let [forbidden] = &told.others[..] else { panic!("{:?}", told.others) };
            let said = (&forbidden["code"], &forbidden["channel"]);
            assert_eq!(said, (&json!("forbidden"), &json!("cast:room")), "client {index}");
            stayed += 1;
        }
    }
    println!("{stayed} stayed and heard {} events each in order; {ended} were ended", sent + 1);
    assert_eq!(server.connect().ask(json!({"type": "ping"}))["type"], "pong");
}
