//! J4 to J11: who somebody is, against a real server. What a token may look like is tested where
//! tokens are read, in crates/server/src/auth/tests.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde_json::{Value, json};

use crate::backend;
use crate::common::{SECRET, Server, Setup, Socket, token};
use crate::http::ask;

const ONE: &str = "the first issuer's secret of 32 bytes and more";
const OTHER: &str = "another secret of tests, also of 32 bytes";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token with this header and these claims.
fn forge(secret: &str, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = BASE64.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn claims(user: &str, issuer: &str) -> Value {
    json!({"sub": user, "iss": issuer, "exp": now() + 600,
        "channels": {"club:*": ["subscribe", "publish", "history"]}})
}

/// The welcome or the bye.
fn hello(server: &Server, token: &str) -> Value {
    let mut socket = server.connect();
    socket.command(json!({"type": "hello", "token": token})).unwrap();
    socket.push()
}

/// CVE-2026-32301: keys come from files that the operator names, whatever a token says.
#[test]
fn j4_no_token_makes_the_server_send_a_request() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks.json", trap.local_addr().unwrap());
    let more = format!(
        "[[auth.key]]\nid = \"bound\"\nalgorithm = \"HS256\"\nsecret = \"{OTHER}\"\n\
         issuer = \"{url}\"\n"
    );
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    for issuer in [
        &*url,
        "http://169.254.169.254/",
        "https://login.example@evil",
        "..%2f..%2fetc%2fpasswd",
        "file:///etc/passwd",
        "\0",
    ] {
        for header in [
            json!({"alg": "HS256"}),
            json!({"alg": "HS256", "jku": url, "kid": "1"}),
            json!({"alg": "HS256", "x5u": url, "kid": url}),
            json!({"alg": "RS256", "kid": "../../../dev/null", "jku": url}),
        ] {
            let mut said = claims("ada", issuer);
            said["aud"] = json!(url);
            let told =
                hello(&server, &forge("a secret that nobody here has ever seen", &header, &said));
            assert_eq!(told["code"], 4401, "{header} {issuer}: {told}");
        }
    }
    let good =
        forge(OTHER, &json!({"alg": "HS256", "kid": "bound", "jku": url}), &claims("ada", &url));
    assert_eq!(hello(&server, &good)["user"], "ada", "who is listed may come");
    trap.set_nonblocking(true).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(trap.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody has asked");
    server.still_fine();
}

/// CVE-2026-49998: the same `kid` of two issuers, swapped, from many sides at once.
#[test]
fn j5_equal_ids_of_two_issuers_are_two_keys_also_at_the_same_time() {
    let key = |issuer: &str, secret: &str| {
        format!(
            "[[auth.key]]\nid = \"1\"\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n\
             issuer = \"{issuer}\"\n"
        )
    };
    let more = key("https://one.example", ONE) + &key("https://two.example", OTHER);
    let server = Server::start(&Setup { server: "shards = 2", more: &more, ..Setup::default() });
    let header = json!({"alg": "HS256", "kid": "1"});
    std::thread::scope(|scope| {
        for (issuer, secret, good) in [
            ("https://one.example", ONE, true),
            ("https://one.example", OTHER, false),
            ("https://two.example", OTHER, true),
            ("https://two.example", ONE, false),
        ] {
            let (server, header) = (&server, &header);
            scope.spawn(move || {
                for number in 0..50 {
                    let user = format!("user-{number}");
                    let told = hello(server, &forge(secret, header, &claims(&user, issuer)));
                    match good {
                        true => assert_eq!(told["user"], user, "{issuer}: {told}"),
                        false => assert_eq!(told["code"], 4401, "{issuer}: {told}"),
                    }
                }
            });
        }
    });
    server.still_fine();
}

/// A flood of ids that nobody knows is refused from memory, without a word in the log.
#[test]
fn j6_a_thousand_unknown_ids_cost_little_and_leave_nothing() {
    let mut server = Server::start(&Setup::default());
    let attempt = |number: usize| {
        let header = json!({"alg": "HS256", "kid": format!("unknown-{number}")});
        let told = hello(&server, &forge(OTHER, &header, &claims("ada", "https://evil")));
        assert_eq!(told["code"], 4401, "{told}");
    };
    (0..1000).for_each(attempt);
    let (before, cpu) = (server.memory(), server.cpu());
    (1000..2000).for_each(attempt);
    let spent = (server.cpu() - cpu) / 1000;
    let grown = server.memory().saturating_sub(before);
    println!("{spent:?} each, and {grown} bytes for a thousand");
    assert!(spent < Duration::from_millis(10), "{spent:?} each");
    assert!(grown < 1 << 20, "{grown} bytes for a thousand");
    server.still_fine();
    let log = server.whole_log();
    assert!(log.lines().count() < 100, "who is refused writes no log: {log}");
}

/// Each proof is good for what it was made for, and for nothing else.
#[test]
fn j8_a_proof_of_one_kind_is_none_of_another() {
    let server = Server::start(&backend::setup());
    let foreign = Server::start(&backend::setup());
    let ada = token("ada", Duration::from_secs(600));
    let session = |server: &Server| {
        let mut socket = server.connect();
        let welcome = socket.ask(json!({"type": "hello", "token": ada}));
        welcome["session"].as_str().unwrap().to_owned()
    };
    let ticket = |server: &Server| {
        let body = json!({"user": "ada", "channels": {"club:news": ["subscribe"]}, "ttl": 60});
        backend::post(server, "/tickets", &body).ok()["ticket"].as_str().unwrap().to_owned()
    };
    let (own, others) = (session(&server), session(&foreign));
    for (what, wrong) in [
        ("a session", own.clone()),
        ("another server's session", others.clone()),
        ("another server's ticket", ticket(&foreign)),
        ("an API key", backend::KEY.to_owned()),
        ("the secret", SECRET.to_owned()),
    ] {
        let told = hello(&server, &wrong);
        assert_eq!(told["code"], 4401, "{what} is no token: {told}");
        let mut socket = server.connect_as(&ada);
        let told = socket.ask(json!({"type": "refresh", "token": wrong}));
        assert_eq!(told["code"], "unauthorized", "{what} refreshes nothing: {told}");
    }
    for (what, wrong) in [
        ("a token", ada.clone()),
        ("a ticket", ticket(&server)),
        ("another server's session", others),
        ("the id of a session", own.split_once('.').unwrap().0.to_owned()),
    ] {
        let mut socket = server.connect();
        let told = socket.ask(json!({"type": "hello", "session": wrong}));
        let user = told["user"].as_str().unwrap();
        assert!(user.starts_with("anon-") && told["resumed"] == false, "{what}: {told}");
    }
    for (what, wrong) in [("a token", &ada), ("a session", &own), ("a ticket", &ticket(&server))] {
        let told = backend::ask(&server, wrong, "GET /api/v1/info", "");
        assert_eq!(told.status, 401, "{what} is no API key");
    }
    for (what, wrong) in
        [("a session", &own), ("a long token", &ada), ("a key", &backend::KEY.into())]
    {
        let line = format!("GET /events?channel=club:news&ticket={wrong}");
        assert_eq!(ask(&server, &line, "", "").status, 401, "{what} does not belong into a URL");
    }
    server.still_fine();
}

/// A refresh takes what the new token does not give, and never makes somebody else of a session.
#[test]
fn j8_a_refresh_gives_no_more_than_its_token() {
    let server = Server::start(&Setup::default());
    let header = json!({"alg": "HS256"});
    let (mut ada, mut bob) = (
        server.connect_as(&token("ada", Duration::from_secs(600))),
        server.connect_as(&token("bob", Duration::from_secs(600))),
    );
    ada.subscribe("club:room");
    let other = json!({"type": "refresh", "token": token("bob", Duration::from_secs(600))});
    assert_eq!(ada.ask(other)["code"], "unauthorized");
    let mut old = claims("ada", "x");
    old["exp"] = json!(now() - 60);
    let old = json!({"type": "refresh", "token": forge(SECRET, &header, &old)});
    assert_eq!(ada.ask(old)["code"], "unauthorized", "an old one does not prolong");
    assert_eq!(bob.publish("club:room", json!(1))["type"], "published");
    assert_eq!(ada.event()["data"], 1);
    let poor = json!({"sub": "ada", "exp": now() + 600});
    let poor = json!({"type": "refresh", "token": forge(SECRET, &header, &poor)});
    assert_eq!(ada.ask(poor)["type"], "refreshed");
    let told = ada.push();
    assert_eq!((&told["code"], &told["channel"]), (&json!("forbidden"), &json!("club:room")));
    assert_eq!(bob.publish("club:room", json!(2))["type"], "published");
    assert_eq!(ada.publish("club:room", json!(3))["code"], "forbidden");
    assert_eq!(ada.ask(json!({"type": "ping"}))["type"], "pong");
    assert!(ada.try_ask(json!({"type": "ping"})).is_ok());
}

/// The timestamp of an event, in milliseconds of its minute.
fn milliseconds(event: &Value) -> u64 {
    let text = event["timestamp"].as_str().unwrap();
    let (seconds, thousandths) = (&text[17..19], &text[20..23]);
    seconds.parse::<u64>().unwrap() * 1000 + thousandths.parse::<u64>().unwrap()
}

/// While somebody talks all the time, and nobody refreshes.
#[test]
fn j9_after_a_token_has_expired_nothing_is_delivered() {
    let setup = Setup { limits: "expiry_warning = \"1s\"", ..Setup::default() };
    let server = Server::start(&setup);
    let ends = now() + 3;
    let mut short = claims("eve", "x");
    short["exp"] = json!(ends);
    let mut eve = server.connect_as(&forge(SECRET, &json!({"alg": "HS256"}), &short));
    let mut ada = server.connect_as(&token("ada", Duration::from_secs(600)));
    eve.subscribe("club:room");
    let begin = Instant::now();
    let mut number = 0;
    while begin.elapsed() < Duration::from_secs(5) {
        number += 1;
        assert_eq!(ada.publish("club:room", json!(number))["type"], "published");
        // Eve reads when all is said: on a quick machine she would be too slow for it.
        std::thread::sleep(Duration::from_millis(1));
    }
    let heard = eve.bye(4501);
    let warned = heard.iter().position(|frame| frame["type"] == "expiring").unwrap();
    assert!(warned > 0 && warned < heard.len() - 2, "it is warned before the end");
    let events: Vec<&Value> = heard.iter().filter(|frame| frame["type"] == "event").collect();
    let last = events.last().unwrap();
    // The end is looked for every half second; and a minute may begin meanwhile.
    let late = (milliseconds(last) + 60_000 - ends % 60 * 1000) % 60_000;
    println!("{} of {number} were heard, the last one {late} ms behind the end", events.len());
    assert!(!(1000..=50_000).contains(&late), "an event {late} ms behind the end of the token");
    assert!(number > events.len(), "there was more to hear");
    server.still_fine();
}

fn publish(socket: &mut Socket, name: &str, value: &str) -> Value {
    let seq = if name == "producer" { json!({"seq": 1}) } else { json!({}) };
    let mut command =
        json!({"type": "publish", "channel": "chat:room", "data": value, name: value});
    command.as_object_mut().unwrap().extend(seq.as_object().unwrap().clone());
    socket.ask(command)
}

/// Users and names that run together to the same text are different ones, in memory and on disk.
#[test]
fn j11_colliding_users_and_names_are_kept_apart() {
    let mut server = Server::start(&Setup::default());
    let hour = Duration::from_secs(3600);
    let pairs = [
        ("alice", "news:tech"),
        ("alice:news", "tech"),
        ("alice:", "news:tech"),
        ("a", "lice:news:tech"),
    ];
    let mut offsets = Vec::new();
    for round in 0..2 {
        for name in ["key", "producer"] {
            for (user, value) in pairs {
                let answer = publish(&mut server.connect_as(&token(user, hour)), name, value);
                assert_eq!(answer["duplicate"], round == 1, "{user} {name} {value}: {answer}");
                offsets.push(answer["offset"].as_u64().unwrap());
            }
        }
        let dir = server.dir();
        server.kill();
        server = Server::start_in(dir, &Setup::default());
    }
    assert_eq!(offsets[..8], offsets[8..], "each has its own");
    assert!(offsets[..8].iter().copied().eq(1..=8), "{offsets:?}");
    server.still_fine();
}
