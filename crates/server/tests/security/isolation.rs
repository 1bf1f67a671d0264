//! M1 to M3: nobody gets what is another's.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend;
use crate::common::{Server, Setup, Socket, numbers, token};
use crate::http::{Events, ask};

/// What stands behind the colon: names that are easily taken for one another, or for something
/// else by a store, a broker, a file system or a URL.
const NAMES: [&str; 44] = [
    "a",
    "A",
    " a",
    "a ",
    "a:",
    ":a",
    "a:b",
    "a::b",
    "a.b",
    ".",
    "..",
    "../a",
    "a/../b",
    "/a",
    "a/",
    "a\\b",
    "%2f",
    "%61",
    "%00",
    "a%",
    "*",
    ">",
    "a.*",
    "a.>",
    "?",
    "[a]",
    "{a}",
    "{a}b",
    "a'--",
    "\"a\"",
    "$1",
    "a;b",
    "a,b",
    "a|b",
    "a&b=c",
    "a#b",
    "a+b",
    "\u{430}",
    "\u{e9}",
    "e\u{301}",
    "\u{ff41}",
    "a\u{200b}",
    "a\u{202e}b",
    "\u{1f600}",
];

/// Names that are none.
fn refused() -> Vec<String> {
    let mut names: Vec<String> = ["", "\0", "a\0", "a\nb", "a\rb", "\u{7f}", "\u{85}", "a\tb"]
        .iter()
        .map(|name| format!("chat:{name}"))
        .collect();
    names.push(format!("chat:{}", "x".repeat(251)));
    names.push(format!("chat:{}", "\u{1f600}".repeat(63)));
    names.extend(
        ["chat", ":a", "Chat:a", "ch\u{430}t:a", " chat:a", "../chat:a", "chat\0:a"]
            .map(str::to_owned),
    );
    names
}

/// A number that looks random.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// A name as a part of a URL.
fn encode(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Subscribes to some, publishes to others, and hears of those in both, each its own.
fn meet(server: &Server, seed: u64, counts: &mut [u64; 44], namespace: &str) {
    let mut state = seed;
    let mut some = || -> BTreeSet<usize> {
        (0..NAMES.len()).filter(|_| next(&mut state).is_multiple_of(2)).collect()
    };
    let (subscribed, published) = (some(), some());
    let (mut ada, mut bob) = (server.connect(), server.connect());
    let channel = |index: &usize| format!("{namespace}:{}", NAMES[*index]);
    for index in &subscribed {
        bob.subscribe(&channel(index));
    }
    for index in &published {
        let answer = ada.publish(&channel(index), json!([seed, index]));
        counts[*index] += 1;
        assert_eq!(answer["offset"], counts[*index], "{}: {answer}", NAMES[*index]);
    }
    // Each channel is in order, but there is none between two.
    let both: Vec<&usize> = subscribed.intersection(&published).collect();
    let heard: BTreeSet<String> = bob
        .events(both.len())
        .iter()
        .map(|event| place(&event["channel"], &event["data"]))
        .collect();
    let expected = both.iter().map(|index| place(&json!(channel(index)), &json!([seed, index])));
    assert_eq!(heard, expected.collect(), "seed {seed}");
    assert_eq!(bob.ask(json!({"type": "ping"}))["type"], "pong");
    bob.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let more = bob.try_push();
    assert!(more.is_err(), "seed {seed}: nothing else comes: {more:?}");
}

fn place(channel: &Value, data: &Value) -> String {
    format!("{channel} {data}")
}

/// Names of channels in every store: what is published to one is never heard or read in another,
/// live, in history, over all ways in, and after a restart.
#[test]
fn m1_a_channel_is_never_another_however_alike_their_names_are() {
    let setup = Setup { server: "shards = 3", ..backend::setup() };
    let mut server = Server::start(&setup);
    let mut counts = [[0; 44]; 2];
    for seed in 1..=8 {
        for (namespace, counts) in ["chat", "cast"].into_iter().zip(&mut counts) {
            meet(&server, seed, counts, namespace);
        }
    }
    for restarted in [false, true] {
        if restarted {
            let dir = server.dir();
            server.kill();
            server = Server::start_in(dir, &setup);
        }
        let mut eve = server.connect();
        for (namespace, counts) in ["chat", "cast"].into_iter().zip(&counts) {
            for (index, name) in NAMES.iter().enumerate() {
                let channel = format!("{namespace}:{name}");
                let kept = if restarted && namespace == "cast" { 0 } else { counts[index] };
                let page = eve.ask(json!({"type": "history", "channel": channel, "limit": 100}));
                let path = format!("/channels/{}/history?limit=100", encode(&channel));
                let answer = backend::get(&server, &path).ok();
                for page in [page, answer] {
                    let events = page["events"].as_array().unwrap();
                    assert_eq!(events.len() as u64, kept, "{channel:?}: {page}");
                    let theirs = |event: &Value| event["data"][1] == index;
                    assert!(events.iter().all(theirs), "{channel:?}: {page}");
                }
            }
        }
    }
    let name = "chat:../a";
    let line = format!("GET /events?rewind=1&channel={}", encode(name));
    let mut stream = Events::read(crate::http::begin(&server, &line, "", b""));
    assert_eq!(stream.wait("event").data["channel"], name);
    let mut eve = server.connect();
    for name in refused() {
        for kind in ["subscribe", "publish", "history", "presence", "enter", "update", "leave"] {
            let answer = eve.ask(json!({"type": kind, "channel": name, "data": 1}));
            let code = answer["code"].as_str().unwrap();
            assert!(["bad_request", "not_found"].contains(&code), "{kind} {name:?}: {answer}");
            // Bad ones are counted in a row.
            eve.ask(json!({"type": "ping"}));
        }
        let line = format!("GET /events?channel={}", encode(&name));
        let status = ask(&server, &line, "", "").status;
        assert!([400, 404].contains(&status), "{name:?}: {status}");
        let path = format!("/channels/{}/history", encode(&name));
        let status = backend::get(&server, &path).status;
        assert!([400, 404].contains(&status), "{name:?}: {status}");
    }
    server.still_fine();
}

/// What a client can ask about a channel.
fn operations(channel: &str) -> Vec<Value> {
    let since = json!({"epoch": "0000000000000000", "offset": 0});
    vec![
        json!({"type": "subscribe", "channel": channel}),
        json!({"type": "subscribe", "channel": channel, "since": since}),
        json!({"type": "subscribe", "channel": channel, "rewind": 1}),
        json!({"type": "subscribe", "channel": channel, "presence": true}),
        json!({"type": "unsubscribe", "channel": channel}),
        json!({"type": "publish", "channel": channel, "data": 1}),
        json!({"type": "publish", "channel": channel, "data": 1, "ephemeral": true}),
        json!({"type": "publish", "channel": channel, "data": 1, "producer": "p", "seq": 1}),
        json!({"type": "publish", "channel": channel, "data": 1, "key": "k"}),
        json!({"type": "history", "channel": channel}),
        json!({"type": "history", "channel": channel, "after": 0}),
        json!({"type": "presence", "channel": channel}),
        json!({"type": "enter", "channel": channel}),
        json!({"type": "update", "channel": channel, "data": 1}),
        json!({"type": "leave", "channel": channel}),
    ]
}

const SHOP: &str = "a-key-of-another-tenant-with-32-bytes-and-more";

/// A token whose grants are for other channels.
fn stranger() -> String {
    use tidings::auth::{SigningKey, TokenRequest, mint, parse_grant};
    let grants = ["club:b*=subscribe,publish,history,presence", "club:room=publish"];
    let grants = grants.iter().map(|grant| parse_grant(grant).unwrap()).collect();
    let ttl = Some(tidings_core::Period::secs(600));
    let request = TokenRequest { user: "eve".into(), ttl, grants };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let key = SigningKey::from_secret(crate::common::SECRET).unwrap();
    mint(&request, &key, u64::try_from(now).unwrap()).unwrap()
}

/// A stranger asks for a channel that is full of life and for one that has never been. The answers
/// are the same, byte for byte but for the name, and neither channel is even looked up.
#[test]
fn m2_a_channel_that_is_forbidden_looks_like_one_that_is_not_there() {
    let more = format!(
        "{}[[api.key]]\nname = \"shop\"\nsecret = \"{SHOP}\"\nchannels = [\"cast:*\"]\n",
        backend::setup().more
    );
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let mut ada = server.connect_as(&token("ada", Duration::from_secs(600)));
    ada.subscribe("club:vault");
    for number in 0..20 {
        ada.publish("club:vault", json!({"secret": number}));
    }
    let body = json!({"type": "ping"});
    let eve = || server.connect_as(&stranger());
    let anonymous = || {
        let mut socket = server.connect();
        socket.ask(body.clone());
        socket
    };
    let channels = || {
        let page = ask(&server, "GET /metrics", "", "").body;
        page.lines().find(|line| line.starts_with("tidings_channels ")).unwrap().to_owned()
    };
    let before = channels();
    for open in [&anonymous as &dyn Fn() -> Socket, &eve] {
        let (mut one, mut two) = (open(), open());
        for (busy, never) in operations("club:vault").into_iter().zip(operations("club:empty")) {
            let answers = [(&mut one, &busy), (&mut two, &never)].map(|(socket, command)| {
                let answer = socket.ask(command.clone()).to_string();
                answer.replace("club:vault", "NAME").replace("club:empty", "NAME")
            });
            assert_eq!(answers[0], answers[1], "{busy}");
            let code = if busy["type"] == "unsubscribe" { "not_subscribed" } else { "forbidden" };
            assert!(answers[0].contains(&format!("\"code\":\"{code}\"")), "{busy}: {}", answers[0]);
        }
    }
    for line in ["GET /events?channel=", "GET /events?rewind=5&channel="] {
        let [busy, never] = ["club:vault", "club:empty"]
            .map(|channel| ask(&server, &format!("{line}{channel}"), "", ""));
        assert_eq!((busy.status, busy.body), (403, never.body), "{line}");
    }
    for (method, path) in [
        ("GET", "/channels/NAME"),
        ("GET", "/channels/NAME/history"),
        ("GET", "/channels/NAME/presence"),
        ("POST", "/publish"),
        ("POST", "/unsubscribe"),
        ("POST", "/revoke"),
    ] {
        let [busy, never] = ["club:vault", "club:empty"].map(|channel| {
            let line = format!("{method} /api/v1{}", path.replace("NAME", channel));
            let body = json!({"channel": channel, "data": 1, "user": "ada"});
            let body = match path {
                "/publish" => json!({"channel": channel, "data": 1}),
                "/unsubscribe" | "/revoke" => json!({"channel": channel, "user": "ada"}),
                _ => body,
            };
            let answer = backend::ask(&server, SHOP, &line, &body.to_string());
            (answer.status, answer.body.to_string().replace(channel, "NAME"))
        });
        assert_eq!(busy, never, "{path}");
        assert_eq!(busy.0, 403, "{path}: {busy:?}");
    }
    let seen = backend::ask(&server, SHOP, "GET /api/v1/channels?prefix=cast:", "").ok();
    assert!(!seen.to_string().contains("club:"), "{seen}");
    assert_eq!(channels(), before, "no channel was brought to life by asking for it");
    let heard = ada.events(20);
    assert_eq!(heard.len(), 20);
    assert!(numbers(&heard).is_empty());
    assert_eq!(ada.ask(body)["type"], "pong", "nothing came from a stranger");
}

/// A stranger who may do one thing may do just that.
#[test]
fn m2_a_grant_is_for_its_action_and_its_channels() {
    let server = Server::start(&Setup::default());
    let mut eve = server.connect_as(&stranger());
    for (channel, allowed) in [("club:room", "publish"), ("club:bar", "all"), ("club:a", "none")] {
        for command in operations(channel) {
            let kind = command["type"].as_str().unwrap();
            if kind == "unsubscribe" {
                continue;
            }
            let may = allowed == "all" || allowed == kind;
            let answer = eve.ask(command.clone());
            assert_eq!(answer["code"] != "forbidden", may, "{command}: {answer}");
        }
    }
}
