//! `gen`: files that the program they describe writes itself.

use crate::project::{Project, Result, printed};

/// A file, and the arguments of `tidings` that print it.
struct Generated {
    path: &'static str,
    arguments: &'static [&'static str],
}

const GENERATED: &[Generated] = &[
    Generated { path: "docs/configuration.md", arguments: &["config", "reference"] },
    Generated { path: "examples/tidings.toml", arguments: &["config", "default"] },
];

/// Writes the generated files, or checks that they are what would be written.
///
/// # Errors
/// The program fails, a file cannot be written, or (when checking) one is not current.
pub fn run(project: &Project, check: bool) -> Result {
    let mut stale = Vec::new();
    for file in GENERATED {
        let mut command = project.command("cargo");
        command.args(["run", "--quiet", "--package", "tidings", "--"]).args(file.arguments);
        let wanted = printed(&mut command)?;
        let path = project.root.join(file.path);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        match difference(&found, &wanted) {
            None => println!("{}: current", file.path),
            Some(difference) if check => stale.push(format!("{}{difference}", file.path)),
            Some(_) => {
                let folder = path.parent().unwrap_or(&project.root);
                std::fs::create_dir_all(folder)
                    .and_then(|()| std::fs::write(&path, wanted))
                    .map_err(|error| format!("cannot write {}: {error}", file.path))?;
                println!("{}: written", file.path);
            }
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("not current:\n{}\nrun `cargo xtask gen` and commit", stale.join("\n")))
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
