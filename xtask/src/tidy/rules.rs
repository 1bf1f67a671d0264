//! Rules for the lines of a file: bans, width, reasons.

use super::Finding;
use super::source::{self, Line, WIDTH_MAX, has_word};

/// Words that code of some files must not have.
struct Ban {
    rule: &'static str,
    words: &'static [&'static str],
    applies: fn(&str) -> bool,
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        rule: "sans-io",
        words: &[
            "Instant::now",
            "SystemTime",
            "TcpListener",
            "TcpStream",
            "UdpSocket",
            "getrandom",
            "rand::",
            "sleep(",
            "std::net",
            "std::thread",
            "std::time::Instant",
            "tokio",
        ],
        applies: sans_io,
        why: WHY_SANS_IO,
    },
    Ban {
        rule: "bounded",
        words: &["unbounded_channel", "mpsc::unbounded"],
        applies: |_| true,
        why: "a queue without a bound grows until the server dies; take one with a limit",
    },
    Ban {
        rule: "finished",
        words: &["todo!(", "unimplemented!("],
        applies: |_| true,
        why: "it fails when a user gets there; write it, or return an error that says what is not \
              supported",
    },
    Ban {
        rule: "no-ignored-test",
        words: &["#[ignore"],
        applies: |_| true,
        why: "a test that is not run proves nothing; make it run or remove it",
    },
];

const WHY_SANS_IO: &str = "sockets, clocks, threads and chance are arguments here, so that tests \
                           decide them; take the value as a parameter";

/// What `use std::{...}` must not bring to where [`sans_io`] holds.
const STD_PARTS: &[&str] = &["Instant", "SystemTime", "net", "thread"];

/// Words that no comment may have.
const MARKERS: &[&str] = &["FIXME", "XXX"];

const WHY_MARKER: &str = "nobody looks for it later; do it now or open an issue";

/// How a test of the browser or of Node is left out.
const LEFT_OUT: &[&str] = &[".skip(", ".only(", ".todo(", ".fixme(", "skip:"];

/// An attribute that reaches further has other problems.
const ATTRIBUTE_LINES_MAX: usize = 20;

fn sans_io(path: &str) -> bool {
    [
        "crates/proto/",
        "crates/websocket/src/",
        "crates/core/src/",
        "crates/client/src/machine/",
        "crates/client/src/outbox/",
    ]
    .iter()
    .any(|folder| path.starts_with(folder))
}

/// Checks a file of Rust.
pub fn rust(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = source::lines(text);
    let mut find = |line: usize, rule, message: String| {
        findings.push(Finding { path: path.to_owned(), line, rule, message, warning: false });
    };
    let mut example = false;
    for (index, line) in lines.iter().enumerate() {
        let prose = prose(&line.comment);
        example ^= prose.starts_with("```");
        for ban in BANS.iter().filter(|ban| (ban.applies)(path)) {
            for word in ban.words.iter().filter(|word| has_word(&line.code, word)) {
                find(line.number, ban.rule, format!("`{word}`: {}", ban.why));
            }
        }
        if sans_io(path) {
            for part in std_parts(&lines[index..]) {
                find(line.number, "sans-io", format!("`std::{{{part}}}`: {WHY_SANS_IO}"));
            }
        }
        for word in marked(&line.comment).chain(marked(&line.code)) {
            find(line.number, "no-marker", format!("`{word}`: {WHY_MARKER}"));
        }
        // Rows of tables and frames in examples cannot be broken.
        if too_wide(line) && !example && !prose.starts_with('|') {
            let width = line.text.chars().count();
            let why = "it does not fit beside another file; break it";
            find(line.number, "width", format!("{width} columns, {WIDTH_MAX} at most: {why}"));
        }
        if lacks_reason(&lines[index..]) {
            let why = "a lint that is silenced needs a `reason = \"...\"` for the next reader";
            find(line.number, "lint-reason", why.to_owned());
        }
    }
}

/// Checks a file of the web: a page, a script, a test for the browser.
pub fn web(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut find = |line: usize, rule, message: String| {
        findings.push(Finding { path: path.to_owned(), line, rule, message, warning: false });
    };
    let test = path.starts_with("e2e/") || path.contains(".test.") || path.contains(".spec.");
    for (index, line) in text.lines().enumerate() {
        for word in marked(line) {
            find(index + 1, "no-marker", format!("`{word}`: {WHY_MARKER}"));
        }
        for word in LEFT_OUT.iter().filter(|word| test && line.contains(**word)) {
            let why = "a test that is not run proves nothing; make it run or remove it";
            find(index + 1, "no-ignored-test", format!("`{word}`: {why}"));
        }
    }
}

fn marked(text: &str) -> impl Iterator<Item = &'static str> {
    MARKERS.iter().copied().filter(move |word| has_word(text, word))
}

/// A comment's text, without what makes it a comment.
fn prose(comment: &str) -> &str {
    comment.trim_start_matches(['/', '!']).trim_start()
}

fn too_wide(line: &Line<'_>) -> bool {
    line.text.chars().count() > WIDTH_MAX && !line.wide_string && !line.text.contains("://")
}

/// Where `use std::{...};` begins: what it brings of [`STD_PARTS`].
fn std_parts(lines: &[Line<'_>]) -> Vec<&'static str> {
    let begins = |line: &Line<'_>| {
        line.code.contains("use std::{") || line.code.contains("use std::time::{")
    };
    if !lines.first().is_some_and(begins) {
        return Vec::new();
    }
    let statement = until(lines, ';');
    STD_PARTS.iter().copied().filter(|part| has_word(&statement, part)).collect()
}

/// Whether an attribute that silences a lint begins here and gives no reason.
fn lacks_reason(lines: &[Line<'_>]) -> bool {
    let Some(first) = lines.first() else { return false };
    let silences = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
    silences.iter().any(|words| first.code.contains(words))
        && !until(lines, ']').contains("reason =")
}

/// The code up to and with the first line that has a character.
fn until(lines: &[Line<'_>], end: char) -> String {
    let mut code = String::new();
    for line in lines.iter().take(ATTRIBUTE_LINES_MAX) {
        code += &line.code;
        if line.code.contains(end) {
            break;
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use crate::tidy::check;

    fn found(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(path, text).iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn the_core_names_no_runtime_clock_or_socket() {
        let path = "crates/core/src/lib.rs";
        assert_eq!(found(path, "\nuse tokio::net::TcpStream;"), [(2, "sans-io"), (2, "sans-io")]);
        assert_eq!(found(path, "let now = std::time::Instant::now();").len(), 2);
        assert_eq!(
            found(path, "use std::{\n    collections::BTreeMap,\n    net::IpAddr,\n};").len(),
            1
        );
        assert_eq!(found(path, "use std::time::{Duration, Instant};"), [(1, "sans-io")]);
        assert_eq!(found(path, "use std::time::Duration; // no tokio, no std::net"), []);
        assert_eq!(found("crates/server/src/lib.rs", "use tokio::net::TcpStream;"), []);
        assert_eq!(found("crates/websocket/tests/all.rs", "use tokio::net::TcpStream;"), []);
    }

    #[test]
    fn queues_have_bounds_everywhere() {
        let text = "let (a, b) = tokio::sync::mpsc::unbounded_channel();";
        assert_eq!(found("crates/server/src/lib.rs", text), [(1, "bounded")]);
    }

    #[test]
    fn nothing_is_left_for_later() {
        assert_eq!(found("a.rs", "fn a() { todo!() }"), [(1, "finished")]);
        assert_eq!(found("a.rs", "// FIXME: b"), [(1, "no-marker")]);
        assert_eq!(found("a.js", "// FIXME: b"), [(1, "no-marker")]);
        assert_eq!(found("a.rs", "let a = \"XXX\";"), []);
    }

    #[test]
    fn every_test_is_run() {
        assert_eq!(found("a.rs", "#[ignore]\nfn a() {}"), [(1, "no-ignored-test")]);
        assert_eq!(found("a.rs", "#[ignore = \"slow\"]"), [(1, "no-ignored-test")]);
        assert_eq!(found("e2e/chat.test.js", "test.skip('a', b)"), [(1, "no-ignored-test")]);
        assert_eq!(found("web/app.js", "list.skip(1)"), []);
    }

    #[test]
    fn lints_are_silenced_with_a_reason() {
        assert_eq!(found("a.rs", "#[allow(dead_code)]"), [(1, "lint-reason")]);
        assert_eq!(found("a.rs", "#![expect(unsafe_code)]"), [(1, "lint-reason")]);
        assert_eq!(found("a.rs", "#[expect(\n    a,\n    reason = \"b\"\n)]"), []);
        assert_eq!(found("a.rs", "// #[allow(dead_code)]"), []);
    }

    #[test]
    fn wide_lines_are_refused_unless_they_cannot_be_broken() {
        let wide = "a".repeat(101);
        assert_eq!(found("a.rs", &wide), [(1, "width")]);
        assert_eq!(found("a.rs", &format!("let a = \"{wide}\";")), []);
        assert_eq!(found("a.rs", &format!("// https://{wide}")), []);
        assert_eq!(found("a.rs", &format!("// {wide}")), [(1, "width")]);
        assert_eq!(found("a.rs", &format!("//! | {wide} |")), []);
        let example = format!("/// ```json\n/// {wide}\n/// ```\n/// {wide}");
        assert_eq!(found("a.rs", &example), [(4, "width")]);
        assert_eq!(found("a.js", &wide), []);
    }
}
