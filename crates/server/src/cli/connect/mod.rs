//! `tidings connect`: a chat in the terminal, over the same protocol as any other client.

mod input;
mod room;
mod terminal;
mod view;

use std::time::Duration;

use clap::Args;
use tidings_client::{Client, Error, Frame, Push, Status};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

use super::error::CliError;
use super::remote::{Remote, runtime};
use super::style::Style;
use input::{HELP, Input};
use room::{Asked, Done, Happening, Room};
use terminal::Terminal;
use view::View;

/// What is still waited for after the last line of a pipe.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is said at the end has so long to be stored, and then the good-bye to be taken.
const GOOD_BYE: Duration = Duration::from_secs(2);

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
        let mut chat = Chat::start(args).await?;
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
    status: watch::Receiver<Status>,
    notices: broadcast::Receiver<Frame>,
    connected: bool,
    connected_once: bool,
    /// While the connection is lost: when the next attempt is made.
    again_at: Option<Instant>,
    /// Whether the server refused something.
    refused: bool,
    /// The input has ended; the end comes when everything asked for is answered, or then.
    ends_at: Option<Instant>,
}

impl Chat {
    async fn start(args: ConnectArgs) -> Result<Self, CliError> {
        let (address, options) = (args.remote.address.clone(), args.remote.options());
        let client = Client::start_to(address, options)?;
        let (status, notices) = (client.status(), client.notices());
        let mut room = Room::new(client, args.namespace, args.name, args.rewind);
        room.join(&args.room).await.map_err(CliError::Usage)?;
        Ok(Self {
            room,
            terminal: Terminal::open()?,
            view: View::new(Style::of_stdout()),
            status,
            notices,
            connected: false,
            connected_once: false,
            again_at: None,
            refused: false,
            ends_at: None,
        })
    }

    async fn run(&mut self) -> Result<(), CliError> {
        self.terminal.ask(self.room.name());
        // The first attempt is under way.
        self.status.mark_changed();
        loop {
            let listening =
                self.ends_at.is_none() && (self.connected_once || self.terminal.is_interactive());
            let wake = self.wake_at();
            tokio::select! {
                Ok(()) = self.status.changed() => self.handle_status()?,
                happening = self.room.next(self.connected_once) => match happening {
                    Happening::Push(push) => self.handle_push(push),
                    Happening::Done(done) => self.handle_done(done),
                },
                Ok(notice) = self.notices.recv() => self.handle_notice(&notice),
                line = self.terminal.line(), if listening => match line {
                    Some(line) => {
                        if !self.handle_line(&line).await {
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

    fn handle_status(&mut self) -> Result<(), CliError> {
        let status = self.status.borrow_and_update().clone();
        self.connected = matches!(status, Status::Connected(_));
        match status {
            Status::Connected(welcome) => {
                self.again_at = None;
                let back = std::mem::replace(&mut self.connected_once, true);
                let how = if back { "connected again" } else { "connected" };
                let help = if back { "" } else { "; /help tells the commands" };
                self.say_note(&format!("{how} as {}{help}", welcome.user));
                self.view.me = welcome.user;
            }
            Status::Waiting { cause, .. } if !self.connected_once => return Err(cause.into()),
            Status::Closed { cause: Some(cause) } => return Err(cause.into()),
            Status::Waiting { retry_at, cause, .. } => {
                self.again_at = Some(retry_at);
                let why = match cause {
                    Error::Connect(_, cause) => format!("no connection: {cause}"),
                    cause => cause.to_string(),
                };
                let wait = retry_at.saturating_duration_since(Instant::now());
                let line = self.view.warning(&format!("{why}; trying again {}", soon(wait)));
                self.terminal.print(&line);
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_push(&mut self, push: Result<Push, Error>) {
        let line = match push {
            Ok(push) => self.room.show(&mut self.view, &push),
            Err(Error::Refused(refusal)) => {
                self.refused = true;
                self.room.handle_refused();
                Some(self.view.bad(&format!("refused: {refusal}")))
            }
            // The status says it, too.
            Err(_) => None,
        };
        if let Some(line) = line {
            self.terminal.print(&line);
        }
    }

    fn handle_done(&mut self, done: Done) {
        let line = match done {
            Done::Asked(asked, Ok(frame)) => Room::answer(&mut self.view, asked, &frame),
            Done::Asked(_, Err(error)) | Done::Entered(Err(error)) => {
                self.refused |= matches!(error, Error::Refused(_));
                match error {
                    Error::Refused(refusal) => self.view.bad(&format!("refused: {refusal}")),
                    // Who left the room at once, or the whole program.
                    Error::Ended => return,
                    error => self.view.bad(&error.to_string()),
                }
            }
            Done::Said(Err(error)) => {
                self.refused = true;
                self.view.bad(&format!("not sent: {error}"))
            }
            Done::Said(Ok(_)) | Done::Entered(Ok(())) | Done::Left => return,
        };
        self.terminal.print(&line);
    }

    fn handle_notice(&mut self, notice: &Frame) {
        // Pushes of a room just left.
        if matches!(notice.kind(), "event" | "edited" | "deleted" | "reacted" | "presence" | "gap")
        {
            return;
        }
        self.refused |= notice.kind() == "error";
        if let Some(line) = self.view.push(notice) {
            self.terminal.print(&line);
        }
    }

    /// Does what a line says; `false` if it is the end.
    async fn handle_line(&mut self, line: &str) -> bool {
        let done = match input::parse(line) {
            Ok(Some(Input::Quit)) => return false,
            Ok(Some(input)) => self.handle_input(input).await,
            Ok(None) => Ok(()),
            Err(wrong) => Err(wrong),
        };
        if let Err(wrong) = done {
            let line = self.view.bad(&wrong);
            self.terminal.print(&line);
        }
        true
    }

    async fn handle_input(&mut self, input: Input) -> Result<(), String> {
        let asks = matches!(input, Input::History(_) | Input::Raw(_) | Input::Who);
        if asks && !self.connected {
            return Err("there is no connection now".into());
        }
        match input {
            Input::Help => self.terminal.print(HELP),
            Input::History(count) => self.room.ask(Asked::History(count))?,
            Input::Join(room) => self.room.join(&room).await?,
            Input::Leave => {
                let name = self.room.name().to_owned();
                self.room.leave()?;
                self.say_note(&format!("out of {name}"));
            }
            Input::Raw(json) => self.room.raw(&json)?,
            Input::Say(text) => {
                // The terminal has taken the text off the screen already.
                let said = self.room.say(&text).await;
                said.map_err(|wrong| format!("not sent: {text}\n{wrong}"))?;
                if !self.connected {
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
        let client = room.client.clone();
        let _ = timeout(GOOD_BYE, client.flush()).await;
        let unsent = client.waiting();
        let _ = timeout(GOOD_BYE, client.close()).await;
        if unsent > 0 {
            terminal.print(&view.bad(&format!("{unsent} messages may not have been stored")));
        }
        unsent > 0
    }
}
