//! `tidings connect`: a chat in the terminal, over the same protocol as any other client.

mod input;
mod room;
mod terminal;
mod view;

use std::time::Duration;

use clap::Args;
use tidings_client::{Error, Happening, Reconnecting};
use tokio::time::{Instant, timeout};

use super::error::CliError;
use super::remote::{Remote, random_name, runtime};
use super::style::Style;
use input::{HELP, Input};
use room::{Asked, Room};
use terminal::Terminal;
use view::View;

/// What is still waited for after the last line of a pipe.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Between two lines of the countdown.
const COUNTDOWN: Duration = Duration::from_secs(5);

/// Chat from a terminal: rooms, history, who is here
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidings connect localhost:8000
  tidings connect https://example.com --room team --name Ada --token $TOKEN
  tidings connect https://localhost:8000 --insecure         a self-signed certificate
  echo 'the build is green' | tidings connect localhost:8000 --room builds

Type /help for the commands. It comes back by itself after a lost connection; what you say is
stored once, however often it has to be sent. Ctrl-C ends it. Times are UTC.

Exit codes: 0 ended by you; 1 refused by the server; 2 wrong usage; 3 no connection at the start")]
pub(super) struct ConnectArgs {
    #[command(flatten)]
    remote: Remote,
    /// The room to begin in: a name, or a whole channel
    #[arg(long, default_value = "lobby")]
    room: String,
    /// The namespace of rooms that have no colon
    #[arg(long, default_value = "chat")]
    namespace: String,
    /// What others call you
    #[arg(long, env = "USER", hide_env = true)]
    name: Option<String>,
    /// So many of the newest events first
    #[arg(long, value_name = "N", default_value_t = 20)]
    rewind: u64,
}

pub(super) fn run(args: ConnectArgs) -> Result<(), CliError> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let mut chat = Chat::start(args)?;
        tokio::select! {
            done = chat.run() => done,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }?;
        // A script is told that not all was taken; a person has seen it.
        let refused = chat.refused && !chat.terminal.is_interactive();
        let unsent = chat.end().await;
        if refused || unsent { Err(CliError::Said) } else { Ok(()) }
    });
    // The thread that reads lines may wait for ever.
    runtime.shutdown_background();
    done
}

/// How long until the next attempt.
fn soon(wait: Duration) -> String {
    match wait.as_secs_f64().round() {
        0.0 => "now".into(),
        seconds => format!("in {seconds} s"),
    }
}

/// One user at one terminal.
struct Chat {
    room: Room,
    terminal: Terminal,
    view: View,
    connected_once: bool,
    /// While the connection is lost: when the next attempt is made.
    again_at: Option<Instant>,
    /// Whether the server refused something.
    refused: bool,
    /// The input has ended; the end comes when everything asked for is answered, or then.
    ends_at: Option<Instant>,
}

impl Chat {
    fn start(args: ConnectArgs) -> Result<Self, CliError> {
        let (address, options) = (args.remote.address.clone(), args.remote.options());
        let client = Reconnecting::new(address, options, random_name()?);
        let mut room = Room::new(client, args.namespace, args.name, args.rewind);
        room.join(&args.room).map_err(CliError::Usage)?;
        Ok(Self {
            room,
            terminal: Terminal::open()?,
            view: View::new(Style::of_stdout()),
            connected_once: false,
            again_at: None,
            refused: false,
            ends_at: None,
        })
    }

    async fn run(&mut self) -> Result<(), CliError> {
        self.terminal.ask(self.room.name());
        loop {
            let listening =
                self.ends_at.is_none() && (self.connected_once || self.terminal.is_interactive());
            let wake = self.wake_at();
            tokio::select! {
                happening = self.room.client.next() => self.handle(happening?)?,
                line = self.terminal.line(), if listening => match line {
                    Some(line) => {
                        if !self.handle_line(&line) {
                            return Ok(());
                        }
                        self.terminal.ask(self.room.name());
                    }
                    None if self.terminal.is_interactive() => return Ok(()),
                    None => self.ends_at = Some(Instant::now() + LAST_WORDS),
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)),
                    if wake.is_some() => self.count_down(),
            }
            let late = self.ends_at.is_some_and(|at| at <= Instant::now());
            if self.ends_at.is_some() && (late || self.room.is_idle()) {
                return Ok(());
            }
        }
    }

    /// When something is to be done though nothing happens.
    fn wake_at(&self) -> Option<Instant> {
        let next = |at: Instant| {
            let left = at.saturating_duration_since(Instant::now());
            (left > COUNTDOWN).then(|| Instant::now() + COUNTDOWN)
        };
        self.ends_at.into_iter().chain(self.again_at.and_then(next)).min()
    }

    fn count_down(&mut self) {
        if let Some(at) = self.again_at {
            let left = at.saturating_duration_since(Instant::now());
            self.say_note(&format!("trying again {}", soon(left)));
        }
    }

    fn say_note(&mut self, text: &str) {
        let line = self.view.note(text);
        self.terminal.print(&line);
    }

    fn handle(&mut self, happening: Happening) -> Result<(), CliError> {
        match happening {
            Happening::Connected(welcome) => {
                self.again_at = None;
                let back = std::mem::replace(&mut self.connected_once, true);
                let how = if back { "connected again" } else { "connected" };
                let help = if back { "" } else { "; /help tells the commands" };
                self.say_note(&format!("{how} as {}{help}", welcome.user));
                self.view.me = welcome.user;
            }
            Happening::Lost(error, _) if !self.connected_once => return Err(error.into()),
            Happening::Lost(error, wait) => {
                self.room.handle_lost();
                self.again_at = Some(Instant::now() + wait);
                let why = match error {
                    Error::Connect(_, cause) => format!("no connection: {cause}"),
                    error => error.to_string(),
                };
                let text = format!("{why}; trying again {}", soon(wait));
                let line = self.view.warning(&text);
                self.terminal.print(&line);
            }
            Happening::Stored(ticket, _) => self.room.settle(ticket),
            Happening::Refused(ticket, refusal) => {
                self.room.settle(ticket);
                self.refused = true;
                let line = self.view.bad(&format!("not sent: {refusal}"));
                self.terminal.print(&line);
            }
            Happening::Frame(frame) => {
                self.refused |= frame.kind() == "error";
                if let Some(text) = self.room.show(&mut self.view, &frame) {
                    self.terminal.print(&text);
                }
            }
        }
        Ok(())
    }

    /// Does what a line says; `false` if it is the end.
    fn handle_line(&mut self, line: &str) -> bool {
        let done = match input::parse(line) {
            Ok(Some(Input::Quit)) => return false,
            Ok(Some(input)) => self.handle_input(input),
            Ok(None) => Ok(()),
            Err(wrong) => Err(wrong),
        };
        if let Err(wrong) = done {
            let line = self.view.bad(&wrong);
            self.terminal.print(&line);
        }
        true
    }

    fn handle_input(&mut self, input: Input) -> Result<(), String> {
        match input {
            Input::Help => self.terminal.print(HELP),
            Input::History(count) => self.room.ask(Asked::History(count))?,
            Input::Join(room) => self.room.join(&room)?,
            Input::Leave => {
                let name = self.room.name().to_owned();
                self.room.leave()?;
                self.say_note(&format!("out of {name}"));
            }
            Input::Raw(json) => self.room.raw(&json)?,
            Input::Say(text) => {
                // The terminal has taken the text off the screen already.
                self.room.say(&text).map_err(|wrong| format!("not sent: {text}\n{wrong}"))?;
                if !self.room.client.is_connected() {
                    self.say_note(&format!("is sent when there is a connection: {text}"));
                }
            }
            Input::Who => self.room.ask(Asked::Who)?,
            Input::Quit => {}
        }
        Ok(())
    }

    /// Leaves properly; whether something could not be sent, which is said.
    async fn end(self) -> bool {
        let Self { room, mut terminal, view, .. } = self;
        let close = room.client.close(Duration::from_secs(2));
        let unsent = timeout(Duration::from_secs(4), close).await.unwrap_or(1);
        if unsent > 0 {
            terminal.print(&view.bad(&format!("{unsent} messages may not have been stored")));
        }
        unsent > 0
    }
}
