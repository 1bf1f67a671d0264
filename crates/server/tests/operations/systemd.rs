//! What systemd is told, and the unit that comes with Tidings.

use std::os::unix::net::UnixDatagram;

use crate::common::{PATIENCE, Server, Setup};

#[test]
fn systemd_is_told_when_it_is_ready_reloads_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let shell = format!("export NOTIFY_SOCKET={}", path.display());
    let mut server = Server::start(&Setup { shell: &shell, ..Setup::default() });
    assert_eq!(told(), "READY=1");
    server.signal("HUP");
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told(), "READY=1");
    server.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(server.ended().code(), Some(0));
}

/// A unit that kills the server before it has drained would make every deploy a crash.
#[test]
fn the_unit_waits_for_longer_than_a_drain_takes() {
    let unit = include_str!("../../../../contrib/systemd/tidings.service");
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    let drain = tidings::config::Config::default().server.drain;
    let stop: u64 = value("TimeoutStopSec=").trim_end_matches('s').parse().unwrap();
    assert!(stop * 1000 > 2 * drain.ms, "{stop} s for {drain}");
    assert_eq!(value("Type="), "notify");
    assert!(value("ExecStart=").contains(" serve --config "));
}
