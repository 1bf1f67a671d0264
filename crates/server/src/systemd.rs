//! What systemd is told (`Type=notify`, sd_notify(3)): a datagram to the socket that it names. By
//! hand, because it is a dozen lines.

use std::io;
use std::os::unix::net::UnixDatagram;

/// Tells systemd, if it started this process and wants to know.
pub(crate) fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(path.as_encoded_bytes(), state) {
        tracing::warn!(%error, "systemd was not told: {state}");
    }
}

/// Tells systemd that the configuration is being read again (`Type=notify-reload`), which has to
/// know since when.
pub(crate) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

fn send(path: &[u8], state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match path.strip_prefix(b"@") {
        Some(name) => send_abstract(&socket, name, state),
        None => {
            use std::os::unix::ffi::OsStrExt as _;
            socket.send_to(state.as_bytes(), std::ffi::OsStr::from_bytes(path)).map(drop)
        }
    }
}

#[cfg(target_os = "linux")]
fn send_abstract(socket: &UnixDatagram, name: &[u8], state: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn send_abstract(_: &UnixDatagram, _: &[u8], _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
