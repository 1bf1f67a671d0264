//! A program that runs beside a check.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::project::Result;

/// How long a program may take to say that it is ready.
const START_MAX: Duration = Duration::from_secs(30);

/// A program that ends when this is dropped.
#[derive(Debug)]
pub struct Started {
    child: Child,
    /// What stood behind the words that said it is ready.
    pub said: String,
}

impl Started {
    /// Starts a program and waits until a line of its output begins with `ready`.
    ///
    /// # Errors
    /// It cannot be started, or does not say so in time.
    pub fn new(command: &mut Command, ready: &'static str) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let stdout = child.stdout.take();
        let mut started = Self { child, said: String::new() };
        let (sender, lines) = mpsc::sync_channel(1);
        thread::spawn(move || {
            // To the end of its output, so that it never waits for a reader.
            for line in stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
                let Ok(line) = line else { break };
                if let Some(rest) = line.strip_prefix(ready) {
                    let _ = sender.try_send(rest.trim().to_owned());
                }
            }
        });
        started.said = lines
            .recv_timeout(START_MAX)
            .map_err(|_| format!("{name} did not say `{ready}...` in time"))?;
        Ok(started)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already, which is no matter here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_that_it_is_ready_or_is_refused() {
        let echo = |text: &str| {
            let mut command = Command::new("echo");
            command.arg(text);
            command
        };
        let ready = Started::new(&mut echo("first\nlistening on 127.0.0.1:9"), "listening on ");
        assert_eq!(ready.unwrap().said, "127.0.0.1:9");
        let error = Started::new(&mut echo("hello"), "listening on ").unwrap_err();
        assert!(error.contains("did not say"), "{error}");
        assert!(Started::new(&mut Command::new("/nowhere/echo"), "x").is_err());
    }
}
