//! Servers that are started for a measurement and end with it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::process::Process;
use crate::url::Url;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A Tidings server with everything on that an application would have on.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Ended,
    program: PathBuf,
    directory: TempDir,
    address: SocketAddr,
    secret: String,
}

/// The floor, in a process of its own so that its cost can be read.
#[derive(Debug)]
pub(crate) struct Floor {
    child: Ended,
    port: u16,
}

/// A child that does not outlive its owner.
#[derive(Debug)]
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Spawned {
    /// Starts `program serve` and waits until it takes connections.
    pub(crate) fn start(program: &Path, data: Option<&Path>, shards: usize) -> Result<Self> {
        let directory = match data {
            Some(parent) => TempDir::with_prefix_in("tidings-bench-", parent),
            None => TempDir::with_prefix("tidings-bench-"),
        }
        .map_err(Error::system("make a directory for the server"))?;
        let address = free_address()?;
        let secret = format!("tidings-bench-secret-of-one-run-{:016x}", std::process::id());
        let file = directory.path().join("tidings.toml");
        fs::write(&file, config(address, shards, &directory.path().join("data"), &secret))
            .map_err(Error::system("write the server's configuration"))?;
        let child = serve(program, directory.path())?;
        let program = program.to_owned();
        let mut spawned = Self { child, program, directory, address, secret };
        spawned.wait_until_healthy()?;
        Ok(spawned)
    }

    /// Kills it, and starts it again with its data.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let _ = self.child.0.kill();
        let _ = self.child.0.wait();
        self.child = serve(&self.program, self.directory.path())?;
        self.wait_until_healthy()
    }

    /// Its URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/socket", self.address)
    }

    /// The secret that its tokens are signed with, and the key of its API.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.0.id())
    }

    fn wait_until_healthy(&mut self) -> Result<()> {
        let start = Instant::now();
        while !healthy(self.address) {
            let ended = self.child.0.try_wait().map_err(Error::system("wait for the server"))?;
            if let Some(status) = ended {
                return Err(Error::server(format!(
                    "ended at once ({status}):\n{}",
                    self.last_words()
                )));
            }
            if start.elapsed() > START_TIMEOUT {
                return Err(Error::server(format!("is not healthy:\n{}", self.last_words())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let mut words = String::new();
        for name in ["stdout", "stderr"] {
            words += &fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        }
        let lines: Vec<&str> = words.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Floor {
    /// Starts this program again, as the floor.
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::current_exe().map_err(Error::system("find this program"))?;
        let child = Command::new(program)
            .args(["bench", "floor-server"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::system("start the floor"))?;
        let mut child = Ended(child);
        let mut line = String::new();
        if let Some(output) = child.0.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(Error::system("start the floor"))?;
        }
        let port = line.trim().parse();
        let port = port.map_err(|_| Error::usage(format!("the floor's port is {line:?}")))?;
        Ok(Self { child, port })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> Result<Url> {
        Url::parse(&format!("ws://127.0.0.1:{}/socket", self.port))
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.0.id())
    }
}

fn serve(program: &Path, directory: &Path) -> Result<Ended> {
    let log = |name| File::create(directory.join(name)).map_err(Error::system("make a log file"));
    let child = Command::new(program)
        .arg("serve")
        .arg("--config")
        .arg(directory.join("tidings.toml"))
        .stdin(Stdio::null())
        .stdout(log("stdout")?)
        .stderr(log("stderr")?)
        .spawn()
        .map_err(Error::system(format!("start {}", program.display())))?;
    Ok(Ended(child))
}

fn free_address() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(Error::system("find a free port"))
}

fn healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// The configuration: tokens, history, recovery and presence are on, as in an application.
fn config(listen: SocketAddr, shards: usize, data: &Path, secret: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (data, secret) = (quoted(&data.to_string_lossy()), quoted(secret));
    let mut text = format!(
        "[server]\nlisten = \"{listen}\"\nshards = {shards}\n\n\
         [store]\nkind = \"disk\"\npath = {data}\nlevel = \"fsync\"\n\n\
         [auth]\nanonymous = false\n\n\
         [[auth.key]]\nalgorithm = \"HS256\"\nsecret = {secret}\n\n\
         [[api.key]]\nname = \"bench\"\nsecret = {secret}\n"
    );
    for (namespace, durable) in [("bench", false), ("durable", true)] {
        text += &format!(
            "\n[namespace.{namespace}]\nsubscribe = \"signed-in\"\npublish = \"signed-in\"\n\n\
             [namespace.{namespace}.history]\nsize = 1000\ndurable = {durable}\n\
             read = \"anyone\"\n\n\
             [namespace.{namespace}.presence]\naccess = \"signed-in\"\n"
        );
    }
    text += "\n[namespace.live]\nkind = \"state\"\nsubscribe = \"signed-in\"\npublish = \"signed-in\"\n\n\
             [namespace.live.state]\noverflow = \"conflate\"\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_both_namespaces_and_quotes_paths() {
        let text = config(([127, 0, 0, 1], 81).into(), 2, Path::new("/tmp/a \"b\""), "s");
        for line in [
            "listen = \"127.0.0.1:81\"",
            "path = \"/tmp/a \\\"b\\\"\"",
            "secret = \"s\"",
            "[namespace.bench.history]",
            "[namespace.durable.history]",
            "durable = true",
            "durable = false",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let error = Spawned::start(Path::new("/bin/false"), None, 0).unwrap_err();
        assert!(error.to_string().contains("ended at once"), "{error}");
    }
}
