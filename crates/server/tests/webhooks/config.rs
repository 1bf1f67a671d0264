//! What can be configured, and changed while it runs.

use std::process::Command;

use serde_json::json;

use crate::backend::{Answer, Backend, SECRET, setup};
use crate::common::{Server, until};

/// What `tidings config check` says of a configuration.
fn check(text: &str) -> (bool, String) {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("tidings.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let output = command.args(["config", "check", "--config"]).arg(&file).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_webhook_that_cannot_be_used_is_refused_with_what_to_do() {
    let backend = Backend::start(|_| Answer::Take);
    let good = setup(&backend.hook("[\"user.online\"]", "")).text();
    let (ok, said) = check(&good);
    assert!(ok, "{said}");
    for (from, to, expected) in [
        ("allow = [\"127.0.0.1\"]", "", "127.0.0.1 is an internal address"),
        ("http://127.0.0.1", "http://[::ffff:10.0.0.1]", "is an internal address"),
        ("http://127.0.0.1", "ftp://example.com", "neither an https: nor an http: URL"),
        (SECRET, "short", "at least 32"),
        ("user.online", "user.sleeping", "user.sleeping"),
        ("[\"user.online\"]", "[]", "it is told nothing"),
        ("name = \"test\"", "name = \"a b\"", "cannot be the name of a webhook"),
        ("name = \"test\"", "name = \"test\"\nbatch = 0", "0 is not 1 to 1000"),
        ("name = \"test\"", "name = \"test\"\nkeep = \"90d\"", "90d is not 1s to 30d"),
        ("name = \"test\"", "name = \"test\"\nchannels = [\"a*b\"]", "a pattern is"),
        ("leave_delay = \"1s\"", "leave_delay = \"10ms\"", "10ms is not 1s to 1h"),
    ] {
        let bad = good.replacen(from, to, 1);
        let (ok, said) = check(&bad);
        assert!(!ok && said.contains(expected), "{from} as {to}: {said}");
        assert!(!said.contains(SECRET));
    }
}

#[test]
fn webhooks_come_change_and_go_while_the_server_runs() {
    let (backend, other) = (Backend::start(|_| Answer::Take), Backend::start(|_| Answer::Take));
    let server = Server::start(&setup(""));
    let mut ada = server.connect();
    ada.subscribe("chat:room");
    ada.publish("chat:room", json!("nobody is told"));
    let write = |hook: &str| {
        std::fs::write(server.path().join("tidings.toml"), setup(hook).text()).unwrap();
        let before = server.log().matches("was read again and is in force").count();
        server.signal("HUP");
        until("it is in force", || {
            (server.log().matches("was read again and is in force").count() > before).then_some(())
        });
    };
    let events = "[\"event.published\", \"channel.occupied\"]";
    write(&backend.hook(events, ""));
    backend.until_told("chat:room", &["channel.occupied"]);
    ada.publish("chat:room", json!("one"));
    backend.until_told("chat:room", &["channel.occupied", "\"one\""]);

    // The secret is changed: there are two for a while.
    let new = "a-newer-secret-of-webhooks-also-32-bytes";
    std::fs::write(server.path().join("secrets"), format!("{SECRET}\n{new}\n")).unwrap();
    let own = format!("secret = \"{SECRET}\"");
    write(&backend.hook(events, "").replace(&own, "secret_file = \"secrets\""));
    ada.publish("chat:room", json!("two"));
    backend.until_told("chat:room", &["channel.occupied", "\"one\"", "\"two\""]);
    let call = backend.calls().pop().unwrap();
    assert!(call.is_signed_with(SECRET) && call.is_signed_with(new));

    // The backend moves, and what waited goes to where it is now.
    backend.now(|_| Answer::Status(404));
    ada.publish("chat:room", json!("three"));
    until("it was refused", || {
        backend.calls().last().filter(|call| call.body.contains("three")).map(drop)
    });
    write(&other.hook(events, ""));
    other.until_told("chat:room", &["\"three\""]);

    // It is taken out, and hears of nothing that happens then.
    write("");
    ada.publish("chat:room", json!("four"));
    write(&other.hook("[\"event.published\"]", ""));
    ada.publish("chat:room", json!("five"));
    other.until_told("chat:room", &["\"three\"", "\"five\""]);
    server.still_fine();
}
