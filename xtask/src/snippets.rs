//! Examples in the documentation: blocks of code that are copied from files which are tested.
//!
//! A line `<!-- from PATH -->` or `<!-- from PATH#NAME -->` in front of a block of code says what
//! the block is: a file, or its lines between `region NAME` and `endregion`, which stand in
//! comments.

use std::fmt::Write as _;
use std::path::Path;

use crate::project::{Project, Result, read};

const FENCE: &str = "```";

/// How a comment of one line begins and ends.
const COMMENTS: [(&str, &str); 4] = [("//", ""), ("#", ""), ("<!--", "-->"), ("{/*", "*/}")];

/// The documents that have examples, as they should be, by their paths from the root.
///
/// # Errors
/// A file cannot be read, or a block is of nothing.
pub fn documents(project: &Project) -> Result<Vec<(String, String)>> {
    let folder = project.root.join("docs");
    let failed = |error: std::io::Error| format!("cannot list docs/: {error}");
    let mut paths = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        // These are printed by the program.
        let printed = matches!(&*name, "configuration.md" | "metrics.md");
        if name.ends_with(".md") && !printed {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = read(&project.root.join(&path))?;
            let filled = filled(&text, |file| read(&project.root.join(Path::new(file))))
                .map_err(|why| format!("{path}:{why}"))?;
            Ok((path, filled))
        })
        .collect()
}

/// A document with its blocks filled anew.
fn filled(document: &str, file: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::with_capacity(document.len());
    let mut lines = document.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let _ = writeln!(out, "{line}");
        let Some(source) =
            line.strip_prefix("<!-- from ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let fault = |why: String| format!("{}: {source}: {why}", index + 1);
        let Some((_, fence)) = lines.next().filter(|(_, line)| line.starts_with(FENCE)) else {
            return Err(fault("no block of code follows".into()));
        };
        if !lines.by_ref().any(|(_, line)| line == FENCE) {
            return Err(fault("the block has no end".into()));
        }
        let (path, name) = source.split_once('#').map_or((source, None), |(p, n)| (p, Some(n)));
        let code = region(&file(path).map_err(fault)?, name)
            .ok_or_else(|| fault("there is no such region".into()))?;
        let _ = write!(out, "{fence}\n{code}{FENCE}\n");
    }
    Ok(out)
}

/// The lines of a region without their common indent, or a whole file; marks are left out.
fn region(text: &str, name: Option<&str>) -> Option<String> {
    let mut inside = name.is_none();
    let mut found = inside;
    let mut lines = Vec::new();
    for line in text.lines() {
        match mark(line) {
            Some(begins) if name.is_some() => {
                inside = begins.is_some() && begins == name;
                found |= inside;
            }
            Some(_) => {}
            None if inside => lines.push(line),
            None => {}
        }
    }
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let code = lines.iter().fold(String::new(), |mut code, line| {
        let _ = writeln!(code, "{}", line.get(common..).unwrap_or_default());
        code
    });
    found.then_some(code)
}

/// The name in a line that marks where a region begins; nothing in it where one ends.
fn mark(line: &str) -> Option<Option<&str>> {
    let line = line.trim();
    let (begin, end) = COMMENTS.iter().find(|(begin, _)| line.starts_with(begin))?;
    let text = line.strip_prefix(begin)?.strip_suffix(end)?.trim();
    if text == "endregion" { Some(None) } else { text.strip_prefix("region ").map(Some) }
}

#[cfg(test)]
mod tests {
    use super::filled;

    const CODE: &str = "one\n// region a\n  two {\n    three\n\n  }\n// endregion\n\
                        <!-- region b -->\nfour\n";

    fn fill(document: &str) -> Result<String, String> {
        filled(document, |path| match path {
            "x.ts" => Ok(CODE.to_owned()),
            _ => Err("missing".to_owned()),
        })
    }

    #[test]
    fn a_block_is_what_its_file_says() {
        let document = "# A\n<!-- from x.ts#a -->\n```ts\nold\n```\nand\n\
                        <!-- from x.ts#b -->\n```\n```\n";
        assert_eq!(
            fill(document).unwrap(),
            "# A\n<!-- from x.ts#a -->\n```ts\ntwo {\n  three\n\n}\n```\nand\n\
             <!-- from x.ts#b -->\n```\nfour\n```\n"
        );
    }

    #[test]
    fn without_a_name_it_is_the_whole_file_without_marks() {
        let filled = fill("<!-- from x.ts -->\n```ts\n```\n").unwrap();
        assert_eq!(
            filled,
            "<!-- from x.ts -->\n```ts\none\n  two {\n    three\n\n  }\nfour\n```\n"
        );
    }

    #[test]
    fn a_block_of_nothing_is_a_fault() {
        for (document, why) in [
            ("<!-- from x.ts#c -->\n```\n```\n", "1: x.ts#c: there is no such region"),
            ("\n<!-- from y.ts -->\n```\n```\n", "2: y.ts: missing"),
            ("<!-- from x.ts -->\ntext\n", "1: x.ts: no block of code follows"),
            ("<!-- from x.ts -->\n```\ntext\n", "1: x.ts: the block has no end"),
        ] {
            assert_eq!(fill(document).unwrap_err(), why);
        }
    }
}
