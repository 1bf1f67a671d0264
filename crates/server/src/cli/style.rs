//! Colours, only on a terminal and only if nobody asked for none (<https://no-color.org>); and text
//! of others, made harmless.

use std::io::{IsTerminal, stderr, stdout};

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    colours: bool,
}

impl Style {
    pub(super) fn of_stdout() -> Self {
        Self { colours: stdout().is_terminal() && wanted() }
    }

    pub(super) fn of_stderr() -> Self {
        Self { colours: stderr().is_terminal() && wanted() }
    }

    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { colours: false }
    }

    /// Whether there are colours at all.
    pub(super) fn is_coloured(self) -> bool {
        self.colours
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Something went wrong.
    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Something doubtful.
    pub(super) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Something beside the matter.
    pub(super) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A user's name: always the same colour for the same user.
    pub(super) fn name(self, user: &str, text: &str) -> String {
        const COLOURS: [&str; 6] = ["1;31", "1;32", "1;33", "1;34", "1;35", "1;36"];
        let sum = user.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
        self.paint(COLOURS[sum % COLOURS.len()], text)
    }
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Text of others without what would command a terminal: control characters but line breaks, and
/// the marks that turn the direction of writing.
pub(super) fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let harmless = |c: char| if c.is_control() || turns(c) { '\u{fffd}' } else { c };
    text.chars().map(|c| if c == '\n' { c } else { harmless(c) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_commands_no_terminal() {
        assert_eq!(printable("Grüße\n👋"), "Grüße\n👋");
        assert_eq!(
            printable("\x1b[2J\x07\u{9b}a\r\u{202e}b"),
            "\u{fffd}[2J\u{fffd}\u{fffd}a\u{fffd}\u{fffd}b"
        );
    }

    #[test]
    fn without_colours_text_stays_as_it_is() {
        let style = Style::plain();
        assert_eq!(style.bad("a") + &style.faint("b") + &style.name("u", "c"), "abc");
    }
}
