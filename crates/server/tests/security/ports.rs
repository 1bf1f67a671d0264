//! M4: what is open to whom before anybody has configured anything.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use crate::backend;
use crate::common::{Server, Setup};
use crate::http::ask;

/// Where a process listens: its sockets among those of the system.
fn listening(pid: u32) -> BTreeSet<(IpAddr, u16)> {
    let own: BTreeSet<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| {
            Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let hex = |text: &str| u32::from_str_radix(text, 16).unwrap();
    let mut found = BTreeSet::new();
    for (file, v6) in [("tcp", false), ("tcp6", true), ("udp", false), ("udp6", true)] {
        let table = std::fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A: it listens. A UDP socket does so in every state.
            if !own.contains(fields[9]) || (file.starts_with("tcp") && fields[3] != "0A") {
                continue;
            }
            let (address, port) = fields[1].split_once(':').unwrap();
            let words = (0..address.len() / 8).map(|at| hex(&address[at * 8..at * 8 + 8]));
            let bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
            let address = match v6 {
                true => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()),
                false => IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap()),
            };
            found.insert((address, u16::from_str_radix(port, 16).unwrap()));
        }
    }
    found
}

#[test]
fn m4_by_default_one_port_is_open_and_to_this_machine_alone() {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let server = Server::start(&Setup::default());
    assert_eq!(listening(server.pid()), BTreeSet::from([(loopback, server.port)]));
    let own = Setup { server: "operations = \"127.0.0.1:0\"", ..Setup::default() };
    let server = Server::start(&own);
    let open = listening(server.pid());
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(open.iter().all(|(address, _)| *address == loopback), "{open:?}");
}

/// There is no password that everybody knows: without a key there is nothing to log in to.
#[test]
fn m4_by_default_there_is_no_api_no_page_and_no_debugging() {
    let server = Server::start(&Setup::default());
    for key in ["", "admin", "password", "tidings", "dev", "change me"] {
        for line in ["GET /api/v1/info", "GET /api/v1/channels", "POST /api/v1/publish"] {
            assert_eq!(backend::ask(&server, key, line, "{}").status, 404, "{line} with {key:?}");
        }
    }
    for path in ["/admin", "/debug/pprof/", "/debug", "/console", "/raw", "/chat.js", "/.env"] {
        assert_eq!(ask(&server, &format!("GET {path}"), "", "").status, 404, "{path}");
    }
    let proxied = "X-Forwarded-For: 203.0.113.7\r\n";
    assert_eq!(ask(&server, "GET /metrics", proxied, "").status, 404);
}

const OPEN: &str = "[auth]\nanonymous = true\n[namespace.chat]\npublish = \"anyone\"\n";

/// Runs `tidings` with a file and says how it ended, unless it is still there: then it has started.
fn start(text: &str, arguments: &[&str]) -> Result<String, String> {
    let dir = Arc::new(TempDir::new().unwrap());
    let file = dir.path().join("tidings.toml");
    std::fs::write(&file, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(arguments)
        .arg("--config")
        .arg(&file)
        .arg("--data")
        .arg(dir.path().join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut from = std::io::BufReader::new(child.stdout.take().unwrap());
    while !said.contains("listens on") {
        if std::io::BufRead::read_line(&mut from, &mut said).unwrap() == 0 {
            let out = child.wait_with_output().unwrap();
            assert!(!out.status.success());
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
    }
    let _ = child.kill();
    let out = child.wait_with_output().unwrap();
    Ok(String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn m4_open_to_the_world_it_starts_only_if_it_is_told_so_twice() {
    let (world, here) = ("0.0.0.0:0", "127.0.0.1:0");
    let secret = "secret = \"0123456789abcdef0123456789abcdef\"";
    let key = format!("[[auth.key]]\nalgorithm = \"HS256\"\n{secret}\n");
    let closed = format!("{key}[namespace.chat]\n");
    let serve = |listen, more: &[&str], text: &str| {
        start(text, &[&["serve", "--listen", listen], more].concat())
    };
    let quiet = serve(here, &[], OPEN).unwrap();
    assert!(!quiet.contains("warning"), "nobody else comes here: {quiet}");
    let warned = serve(world, &[], &closed).unwrap();
    assert!(warned.contains("without TLS"), "{warned}");
    let refused = serve(world, &[], OPEN).unwrap_err();
    assert!(
        refused.contains("namespace.chat.publish") && refused.contains("server.open"),
        "{refused}"
    );
    let warned = serve(world, &[], &format!("[server]\nopen = true\n{OPEN}")).unwrap();
    assert!(warned.contains("without a token"), "{warned}");
    assert!(serve(world, &["--tls", "self-signed"], OPEN).is_err(), "TLS is no password");

    let dev = |listen, more: &[&str], text: &str| {
        start(text, &[&["dev", "--listen", listen], more].concat())
    };
    assert!(dev(here, &[], OPEN).is_ok());
    let refused = dev(world, &[], &closed).unwrap_err();
    assert!(refused.contains("--open"), "its page and metrics are for everybody: {refused}");
    assert!(dev(world, &["--open"], OPEN).is_ok());
}
