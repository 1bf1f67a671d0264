//! Rust source, split into code, comments and strings: enough of a lexer to tell a call of a
//! banned function from its mention.

/// One line of a file.
#[derive(Debug)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    /// As it stands in the file.
    pub text: &'a str,
    /// The same with blanks for every character of comments, strings and character literals.
    pub code: String,
    /// What stands in comments.
    pub comment: String,
    /// A string reaches past the widest column, where rustfmt cannot help it.
    pub wide_string: bool,
}

/// The widest column that a line of Rust may have.
pub const WIDTH_MAX: usize = 100;

/// What the next character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Code,
    /// A block comment, so deep.
    Block(usize),
    Str,
    /// A raw string, ended by a quote and so many `#`.
    Raw(usize),
}

/// Splits a file into lines.
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut mode = Mode::Code;
    let scan = |(index, text)| {
        let mut scanner = Scanner::new(text, mode);
        scanner.scan();
        mode = scanner.mode;
        let Scanner { code, comment, wide_string, .. } = scanner;
        Line { number: index + 1, text, code, comment, wide_string }
    };
    text.lines().enumerate().map(scan).collect()
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    mode: Mode,
    code: String,
    comment: String,
    wide_string: bool,
}

impl Scanner {
    fn new(text: &str, mode: Mode) -> Self {
        let chars = text.chars().collect();
        let (code, comment) = (String::with_capacity(text.len()), String::new());
        Self { chars, at: 0, mode, code, comment, wide_string: false }
    }

    fn scan(&mut self) {
        while self.at < self.chars.len() {
            match self.mode {
                Mode::Code => self.code(),
                Mode::Block(depth) => self.block(depth),
                Mode::Str => self.string(),
                Mode::Raw(hashes) => self.raw(hashes),
            }
        }
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, char)| self.peek(offset) == Some(char))
    }

    fn peek(&self, offset: usize) -> Option<char> {
        self.chars.get(self.at + offset).copied()
    }

    /// Takes some characters as code.
    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.chars.len());
        self.code.extend(&self.chars[self.at..end]);
        self.at = end;
    }

    /// Takes some characters as something else: blanks in the code.
    fn hide(&mut self, count: usize) {
        let end = (self.at + count).min(self.chars.len());
        match self.mode {
            Mode::Str | Mode::Raw(_) => self.wide_string |= end > WIDTH_MAX,
            Mode::Block(_) => self.comment.extend(&self.chars[self.at..end]),
            Mode::Code => {}
        }
        self.code.extend(std::iter::repeat_n(' ', end - self.at));
        self.at = end;
    }

    fn code(&mut self) {
        if self.starts_with("//") {
            self.comment.extend(&self.chars[self.at..]);
            self.hide(self.chars.len());
        } else if self.starts_with("/*") {
            self.mode = Mode::Block(1);
            self.hide(2);
        } else if self.starts_with("\"") {
            self.mode = Mode::Str;
            self.keep(1);
        } else if let Some(hashes) = self.raw_string_begins() {
            self.mode = Mode::Raw(hashes);
            self.keep(hashes + 2);
        } else if let Some(length) = self.char_literal() {
            self.hide(length);
        } else {
            self.keep(1);
        }
    }

    fn block(&mut self, depth: usize) {
        if self.starts_with("/*") {
            self.mode = Mode::Block(depth + 1);
            self.hide(2);
        } else if self.starts_with("*/") {
            self.hide(2);
            self.mode = if depth == 1 { Mode::Code } else { Mode::Block(depth - 1) };
        } else {
            self.hide(1);
        }
    }

    fn string(&mut self) {
        match self.peek(0) {
            Some('\\') => self.hide(2),
            Some('"') => {
                self.mode = Mode::Code;
                self.keep(1);
            }
            _ => self.hide(1),
        }
    }

    fn raw(&mut self, hashes: usize) {
        let ends =
            self.peek(0) == Some('"') && (1..=hashes).all(|offset| self.peek(offset) == Some('#'));
        if ends {
            self.mode = Mode::Code;
            self.keep(hashes + 1);
        } else {
            self.hide(1);
        }
    }

    /// At `r"`, `r#"`, ...: the number of `#`.
    fn raw_string_begins(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).and_then(|at| self.chars.get(at));
        let inside_a_word = before.is_some_and(|char| is_word(*char) && !matches!(char, 'b' | 'c'));
        if inside_a_word || self.peek(0) != Some('r') {
            return None;
        }
        let hashes = self.chars[self.at + 1..].iter().take_while(|char| **char == '#').count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    /// At a character literal (and not a lifetime): its length.
    fn char_literal(&self) -> Option<usize> {
        match (self.peek(0)?, self.peek(1)?, self.peek(2)?) {
            ('\'', '\\', _) => {
                let rest = self.chars.get(self.at + 3..)?;
                rest.iter().position(|char| *char == '\'').map(|position| position + 4)
            }
            ('\'', _, '\'') => Some(3),
            _ => None,
        }
    }
}

/// Whether a character may stand in a name.
pub fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Whether code has these words as they stand, and not as a part of longer ones.
pub fn has_word(code: &str, words: &str) -> bool {
    let open_end = words.ends_with(is_word);
    code.match_indices(words).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let behind = code[at + words.len()..].chars().next();
        !(before.is_some_and(is_word) || open_end && behind.is_some_and(is_word))
    })
}

#[cfg(test)]
mod tests {
    use super::{has_word, lines};

    fn code(text: &str) -> String {
        lines(text).iter().map(|line| line.code.trim_end()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(code("let a = 1; // tokio"), "let a = 1;");
        assert_eq!(code("a(\"x \\\" y\", b)"), "a(\"      \", b)");
        assert_eq!(code("a /* b /* c */ d */ e"), "a                   e");
        assert_eq!(code("/* a\nb */ c"), "\n     c");
        assert_eq!(code("r#\"a \" b\"# + c"), "r#\"     \"# + c");
        assert_eq!(code("\"a\nb\" + c"), "\"\n \" + c");
    }

    #[test]
    fn quotes_and_lifetimes_are_told_apart() {
        assert_eq!(code("'\"' + a"), "    + a");
        assert_eq!(code("'\\'' + a"), "     + a");
        assert_eq!(code("'\\u{1f600}' + a"), "            + a");
        assert_eq!(code("fn a<'a>(b: &'a str)"), "fn a<'a>(b: &'a str)");
        assert_eq!(code("var\"a\""), "var\" \"");
    }

    #[test]
    fn comments_are_kept_apart() {
        assert_eq!(lines("a // b")[0].comment, "// b");
        assert_eq!(lines("a /* b */")[0].comment, "/* b */");
    }

    #[test]
    fn words_are_whole_words() {
        assert!(has_word("use tokio::net;", "tokio"));
        assert!(!has_word("let tokio_like = 1;", "tokio"));
        assert!(!has_word("operand::new()", "rand::"));
        assert!(has_word("rand::random()", "rand::"));
        assert!(has_word("thread::sleep(time)", "sleep("));
        assert!(!has_word("oversleep(time)", "sleep("));
    }
}
