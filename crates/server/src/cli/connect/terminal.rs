//! The keyboard and the screen: a line editor that pushes do not tear, or plain lines if the input
//! is no terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _, stdin, stdout};
use std::sync::mpsc as sync;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

use crate::cli::error::CliError;

/// Lines that may wait: with a pipe, reading stops meanwhile.
const LINES: usize = 16;

/// Where lines come from and text goes to.
pub(super) struct Terminal {
    lines: mpsc::Receiver<String>,
    print: Box<dyn FnMut(String)>,
    /// Asks for the next line, with this in front of it. `None`: lines come by themselves.
    prompt: Option<sync::Sender<String>>,
    /// How the terminal was before the line editor changed it.
    before: Option<Termios>,
}

impl Terminal {
    /// Takes the standard input and output.
    pub(super) fn open() -> Result<Self, CliError> {
        let (sender, lines) = mpsc::channel(LINES);
        if !(stdin().is_terminal() && stdout().is_terminal()) {
            std::thread::spawn(move || read_pipe(&sender));
            let print = Box::new(|text: String| {
                // Whoever reads may have gone.
                let _ = writeln!(stdout(), "{text}").and_then(|()| stdout().flush());
            });
            return Ok(Self { lines, print, prompt: None, before: None });
        }
        let before = tcgetattr(stdin()).ok();
        let fault = |error: ReadlineError| CliError::Io(std::io::Error::other(error));
        let mut editor = DefaultEditor::new().map_err(fault)?;
        let mut printer = editor.create_external_printer().map_err(fault)?;
        let (prompt, prompts) = sync::channel();
        std::thread::spawn(move || edit(editor, &prompts, &sender));
        let print = Box::new(move |text: String| {
            let _ = printer.print(text + "\n");
        });
        Ok(Self { lines, print, prompt: Some(prompt), before })
    }

    /// Whether a person sits in front of it.
    pub(super) fn is_interactive(&self) -> bool {
        self.prompt.is_some()
    }

    /// The next line; `None` at the end.
    pub(super) async fn line(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// Asks for the next line.
    pub(super) fn ask(&self, prompt: &str) {
        if let Some(sender) = &self.prompt {
            // The editor has ended: so will the next `line`.
            let _ = sender.send(format!("{prompt}> "));
        }
    }

    /// Shows lines above the one that is being typed.
    pub(super) fn print(&mut self, text: &str) {
        (self.print)(text.to_owned());
    }
}

impl Drop for Terminal {
    /// The editor may still wait for a key, with the terminal in its hands.
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
            // Pasted text is no longer marked; the shell's prompt comes on a line of its own.
            let _ = write!(stdout(), "\r\x1b[K\x1b[?2004l").and_then(|()| stdout().flush());
        }
    }
}

fn read_pipe(lines: &mpsc::Sender<String>) {
    for line in stdin().lock().lines() {
        let Ok(line) = line else { return };
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

fn edit(mut editor: DefaultEditor, prompts: &sync::Receiver<String>, lines: &mpsc::Sender<String>) {
    while let Ok(prompt) = prompts.recv() {
        // Ctrl-C and Ctrl-D end it, as an error does.
        let Ok(line) = editor.readline(&prompt) else { return };
        let _ = editor.add_history_entry(&line);
        let columns = editor.dimensions().map_or(0, |(columns, _)| usize::from(columns));
        erase(&prompt, &line, columns);
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

/// Takes a text off the screen that comes back as a message, if it is sure to fill one row.
fn erase(prompt: &str, line: &str, columns: usize) {
    let one_row = line.is_ascii() && prompt.chars().count() + line.len() < columns;
    if one_row && !line.starts_with('/') {
        let _ = write!(stdout(), "\x1b[1A\x1b[2K\r").and_then(|()| stdout().flush());
    }
}
