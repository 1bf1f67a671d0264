//! `gen`: files that the program they describe writes itself, the reference of the SDK out of its
//! types, and the examples in documents.

use crate::project::{Project, Result, Shell, printed, quiet, read, shell};
use crate::{snippets, web};

/// A file, and the arguments of `tidings` that print it.
struct Generated {
    path: &'static str,
    arguments: &'static [&'static str],
}

const GENERATED: &[Generated] = &[
    Generated { path: "docs/configuration.md", arguments: &["config", "reference"] },
    Generated { path: "docs/metrics.md", arguments: &["config", "metrics"] },
    Generated { path: "examples/tidings.toml", arguments: &["config", "default"] },
];

const INSTALL: Shell = shell("npm ci --no-audit --no-fund").within("sdk/api-docs");

/// The pages of the reference, in `docs/api`.
const REFERENCE: [&str; 7] = [
    "README.md",
    "live.md",
    "inbox.md",
    "yjs.md",
    "react.md",
    "yjs-react.md",
    "outbox-indexeddb.md",
];

/// Writes the generated files, or checks that they are what would be written; with `docs` only the
/// reference of the SDK and the examples, which need no build of the server.
///
/// # Errors
/// The program fails, a file cannot be written, or (when checking) one is not current.
pub fn run(project: &Project, check: bool, docs: bool) -> Result {
    let mut files = Vec::new();
    for file in if docs { &[] } else { GENERATED } {
        let mut command = project.command("cargo");
        command.args(["run", "--quiet", "--package", "tidings", "--"]).args(file.arguments);
        files.push((file.path.to_owned(), printed(&mut command)?));
    }
    files.extend(reference(project)?);
    files.extend(snippets::documents(project)?);
    let mut stale = Vec::new();
    for (name, wanted) in files {
        let path = project.root.join(&name);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        match difference(&found, &wanted) {
            None => println!("{name}: current"),
            Some(difference) if check => stale.push(format!("{name}{difference}")),
            Some(_) => {
                let folder = path.parent().unwrap_or(&project.root);
                std::fs::create_dir_all(folder)
                    .and_then(|()| std::fs::write(&path, wanted))
                    .map_err(|error| format!("cannot write {name}: {error}"))?;
                println!("{name}: written");
            }
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("not current:\n{}\nrun `cargo xtask gen` and commit", stale.join("\n")))
}

/// The reference of the SDK. Fails for what is public and has no comment.
fn reference(project: &Project) -> Result<Vec<(String, String)>> {
    for (folder, install) in [("sdk", web::INSTALL_SDK), ("sdk/api-docs", INSTALL)] {
        if !web::installed(&project.root.join(folder)) {
            project.run(install)?;
        }
    }
    let out = project.target.join("api-docs");
    quiet(project.command("node").arg("sdk/api-docs/reference.mjs").arg(&out))?;
    REFERENCE.iter().map(|name| Ok((format!("docs/api/{name}"), read(&out.join(name))?))).collect()
}

/// The first line in which two texts differ, as `:LINE` and the two lines.
fn difference(found: &str, wanted: &str) -> Option<String> {
    if found == wanted {
        return None;
    }
    let (mut olds, mut news) = (found.split('\n'), wanted.split('\n'));
    for number in 1_usize.. {
        let (old, new) = (olds.next(), news.next());
        if old == new && old.is_some() {
            continue;
        }
        let line = |sign, text: Option<&str>| match text {
            Some(text) => format!("\n  {sign} {text}"),
            None => format!("\n  {sign} (end of file)"),
        };
        return Some(format!(":{number}{}{}", line('-', old), line('+', new)));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n").unwrap(), ":2\n  - b\n  + c");
        assert_eq!(difference("a", "a\nb").unwrap(), ":2\n  - (end of file)\n  + b");
        assert_eq!(difference("", "a").unwrap(), ":1\n  - \n  + a");
    }
}
