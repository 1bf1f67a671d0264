//! `fuzz`: the targets of `fuzz/`, for a while each.

use crate::arguments::Arguments;
use crate::project::{Project, Result, run as run_command, shell};
use crate::tools;

/// Runs targets with a nightly compiler, each for some seconds.
///
/// # Errors
/// There is no such target, a target found a crash, or something is missing.
pub fn run(project: &Project, mut arguments: Arguments) -> Result {
    let seconds: u64 = arguments.number("--seconds")?.unwrap_or(60);
    let wanted = arguments.rest()?;
    let all = targets(project)?;
    if let Some(name) = wanted.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no fuzz target `{name}`; there are {}", all.join(", ")));
    }
    tools::cargo_fuzz(project)?;
    seed(project)?;
    for target in if wanted.is_empty() { &all } else { &wanted } {
        println!("=== {target}: {seconds} s");
        let mut command = project.command("rustup");
        command.args(["run", "nightly", "cargo", "fuzz", "run", target, "--"]);
        command.arg(format!("-max_total_time={seconds}"));
        command.args(["-timeout=10", "-verbosity=0", "-print_final_stats=1"]);
        run_command(&mut command)
            .map_err(|error| format!("{error}; the input is in fuzz/artifacts/{target}"))?;
    }
    Ok(())
}

/// Compiles the targets with the stable compiler, without libFuzzer itself: they cannot rot.
///
/// # Errors
/// One does not compile.
pub fn check(project: &Project) -> Result {
    project.run(
        shell("cargo check --quiet --manifest-path fuzz/Cargo.toml --bins --no-default-features")
            .env(&[("CARGO_TARGET_DIR", "{target}/fuzz")]),
    )
}

/// The names of the targets, sorted.
fn targets(project: &Project) -> Result<Vec<String>> {
    let folder = project.root.join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned)
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Gives the target of frames every example of the protocol to start from.
fn seed(project: &Project) -> Result {
    let protocol = crate::project::read(&project.root.join("docs/protocol.md"))?;
    let folder = project.root.join("fuzz/corpus/frame_decode");
    let write = || {
        std::fs::create_dir_all(&folder)?;
        for (number, frame) in frames(&protocol).enumerate() {
            std::fs::write(folder.join(format!("protocol-{number}")), frame)?;
        }
        Ok(())
    };
    write().map_err(|error: std::io::Error| format!("cannot write {}: {error}", folder.display()))
}

/// The lines of a document that are frames.
fn frames(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter(|line| line.starts_with('{') && line.ends_with('}'))
}

#[cfg(test)]
mod tests {
    use super::{frames, targets};
    use crate::project::Project;

    #[test]
    fn every_target_is_in_the_manifest() {
        let project = Project::find().unwrap();
        let manifest = crate::project::read(&project.root.join("fuzz/Cargo.toml")).unwrap();
        let targets = targets(&project).unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            let path = format!("path = \"fuzz_targets/{target}.rs\"");
            assert!(manifest.contains(&path), "fuzz/Cargo.toml has no [[bin]] for {target}");
        }
    }

    #[test]
    fn frames_are_found_in_prose() {
        let document = "client\n\n```json\n{\"type\":\"ping\",\"id\":1}\n```\n\nA {word}.\n";
        assert_eq!(frames(document).collect::<Vec<_>>(), ["{\"type\":\"ping\",\"id\":1}"]);
    }
}
