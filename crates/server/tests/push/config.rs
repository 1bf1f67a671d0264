//! What is refused, and the key.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{Server, Setup};

const ON: &str = "[push]\nsubject = \"mailto:operator@example.com\"\n";

/// What `tidings config check` says of these lines.
fn check(more: &str, store: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tidings.toml");
    std::fs::write(&file, Setup { more, store, ..Setup::default() }.text()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let out = command.args(["config", "check", "--config"]).arg(&file).output().unwrap();
    let made = dir.path().read_dir().unwrap().count();
    assert_eq!(made, 1, "a check makes nothing");
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    assert!(check(ON, "").0);
    for (lines, key, why) in [
        ("subject = \"operator@example.com\"", "push.subject", "no address that push services"),
        ("delay = \"2h\"", "push.delay", "2h is not 0s to 1h"),
        ("ttl = \"10s\"", "push.ttl", "10s is over before push.delay is"),
        ("ttl = \"29d\"", "push.ttl", "29d is not 1s to 28d"),
        ("timeout = \"10ms\"", "push.timeout", "10ms is not 100ms to 1m"),
        ("concurrency = 0", "push.concurrency", "0 is not 1 to 256"),
        ("queue = 2000000", "push.queue", "is not 100 to 1000000"),
        ("allow = [\"push.example\"]", "push.allow", "neither a network nor an address"),
        ("keys = 1", "tidings.toml:29:1", "unknown field `keys`"),
    ] {
        let (good, said) = check(&format!("[push]\n{lines}\n"), "");
        assert!(!good && said.contains(key) && said.contains(why), "{lines}: {said}");
    }
    let (good, said) = check(ON, "kind = \"memory\"");
    assert!(!good && said.contains("push.key_file") && said.contains("no place"), "{said}");
    let (good, said) = check(&format!("{ON}key_file = \"tidings.toml\"\n"), "");
    assert!(!good && said.contains("push.key_file") && said.contains("PKCS #8"), "{said}");
}

#[test]
fn the_key_is_made_once_and_stays_and_is_for_nobody_else() {
    let server = Server::start(&Setup { more: ON, ..Setup::default() });
    let dir = server.dir();
    let file = dir.path().join("tidings-data/push-key.pem");
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "{key}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    drop(server);
    let again = Server::start_in(dir, &Setup { more: ON, ..Setup::default() });
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    drop(again);
    let off = Server::start(&Setup::default());
    assert!(!off.dir().path().join("tidings-data/push-key.pem").exists());
}
