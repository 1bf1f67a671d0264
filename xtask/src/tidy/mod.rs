//! `tidy`: the rules of the house that a machine can check. Each finding says where, which rule,
//! and why there is such a rule.

pub mod manifest;
pub mod rules;
pub mod source;

use std::fmt;
use std::path::Path;

use crate::project::{Project, Result};

/// A file of more lines is split.
const LINES_MAX: usize = 800;

/// A file of more lines is worth a thought.
const LINES_GOOD: usize = 500;

/// So deep and no deeper may folders be nested.
const DEPTH_MAX: usize = 16;

/// Folders of things that nobody wrote.
const FOREIGN: &[&str] =
    &["target", "node_modules", "dist", "reports", "corpus", "artifacts", "tidings-data"];

const TEXTS: &[&str] = &["css", "html", "js", "jsx", "md", "mjs", "rs", "ts", "tsx"];

/// A rule that is not kept somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the root, with `/` between folders.
    pub path: String,
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// The name of the rule.
    pub rule: &'static str,
    /// What is wrong, why that matters, what to do.
    pub message: String,
    /// It is said but fails nothing.
    pub warning: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, message, warning } = self;
        let word = if *warning { "warning: " } else { "" };
        match line {
            0 => write!(f, "{path}: {word}{rule}: {message}"),
            _ => write!(f, "{path}:{line}: {word}{rule}: {message}"),
        }
    }
}

/// Checks the whole tree and prints the findings.
///
/// # Errors
/// There are findings that are not just warnings, or a file cannot be read.
pub fn run(project: &Project) -> Result {
    let mut paths = Vec::new();
    collect(&project.root, "", DEPTH_MAX, &mut paths)?;
    paths.sort();
    let mut findings = Vec::new();
    for path in &paths {
        let text = crate::project::read(&project.root.join(path))?;
        findings.extend(check(path, &text));
    }
    findings.extend(manifest::missing(&paths));
    // What fails stands last, where it is seen.
    findings.sort_by_key(|finding| !finding.warning);
    for finding in &findings {
        println!("{finding}");
    }
    let failures = findings.iter().filter(|finding| !finding.warning).count();
    println!("tidy: {} files, {} warnings", paths.len(), findings.len() - failures);
    match failures {
        0 => Ok(()),
        _ => Err(format!("{failures} findings; each line above says what and why")),
    }
}

/// All findings in one file, by its path from the root and its text.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if path.ends_with("Cargo.toml") {
        manifest::check(path, text, &mut findings);
        return findings;
    }
    length(path, text, &mut findings);
    if path.ends_with(".rs") {
        rules::rust(path, text, &mut findings);
    } else if !path.ends_with(".md") {
        rules::web(path, text, &mut findings);
    }
    findings
}

fn length(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = text.lines().count();
    if lines > LINES_GOOD {
        findings.push(Finding {
            path: path.to_owned(),
            line: 0,
            rule: "file-length",
            message: format!("{lines} lines; split it: a reader should hold a file in mind"),
            warning: lines <= LINES_MAX,
        });
    }
}

/// The texts and manifests below a folder, by their paths from the root.
fn collect(root: &Path, folder: &str, depth: usize, paths: &mut Vec<String>) -> Result {
    let failed = |error: std::io::Error| format!("cannot list /{folder}: {error}");
    if depth == 0 {
        return Err(format!("{folder}: folders are nested too deep"));
    }
    for entry in std::fs::read_dir(root.join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && !name.starts_with('.') && !FOREIGN.contains(&name.as_str()) {
            collect(root, &path, depth - 1, paths)?;
        }
        let text = name.rsplit_once('.').is_some_and(|(_, kind)| TEXTS.contains(&kind));
        if kind.is_file() && (text || name == "Cargo.toml") {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn long_files_are_warned_of_and_longer_ones_refused() {
        assert!(check("docs/a.md", &"a\n".repeat(500)).is_empty());
        let warned = check("docs/a.md", &"a\n".repeat(501));
        assert!(warned[0].warning);
        let refused = check("web/a.html", &"a\n".repeat(801));
        assert!(!refused[0].warning);
        assert!(refused[0].to_string().starts_with("web/a.html: file-length: 801 lines"));
    }
}
