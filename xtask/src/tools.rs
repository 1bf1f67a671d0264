//! What the checks need beyond Rust and Node: Debian packages by root, everything else below
//! `target/tools`, where anybody may write.

use std::path::PathBuf;

use crate::project::{Project, Result, printed, quiet, run};

/// The WebSocket conformance suite: Autobahn's cases, on PyPI.
const KOSOKU: &str = "0.1.0";
/// Asks an HTTP API what its OpenAPI document allows, on PyPI.
const SCHEMATHESIS: &str = "4.32.5";

/// A Debian package, and a program that runs if it is there.
struct Package {
    name: &'static str,
    probe: &'static [&'static str],
}

const PACKAGES: &[Package] = &[
    Package { name: "chromium", probe: &["chromium", "--version"] },
    // With its path: /usr/sbin is not on everybody's `PATH`.
    Package { name: "nginx", probe: &["/usr/sbin/nginx", "-v"] },
    Package { name: "python3-venv", probe: &["python3", "-c", "import ensurepip, venv"] },
];

/// A program that cargo installs. With the lock file of its own that it was released with.
struct CargoTool {
    name: &'static str,
    version: &'static str,
}

const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
const CARGO_FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };

/// Installs what is missing for `cargo xtask test`.
///
/// # Errors
/// Something is missing that we may not install: then with the command that does.
pub fn install(project: &Project) -> Result {
    component(project, "rustfmt", &["cargo", "fmt", "--version"])?;
    component(project, "clippy", &["cargo", "clippy", "--version"])?;
    node(project)?;
    debian(project)?;
    kosoku(project)?;
    schemathesis(project)?;
    cargo_tool(project, &CARGO_DENY)?;
    println!("rustfmt, clippy, node, Debian's packages, kosoku, schemathesis, cargo-deny are here");
    Ok(())
}

/// Checks licences, sources and banned crates. What needs no network only: see [`advisories`].
///
/// # Errors
/// One of them is not as `deny.toml` says, or cargo-deny cannot be installed.
pub fn deny(project: &Project) -> Result {
    cargo_deny(project, &["bans", "licenses", "sources"])
}

/// Checks for known vulnerabilities, in a database that cargo-deny fetches from GitHub.
///
/// # Errors
/// There is one, or GitHub cannot be reached.
pub fn advisories(project: &Project) -> Result {
    cargo_deny(project, &["advisories"])
}

fn cargo_deny(project: &Project, checks: &[&str]) -> Result {
    cargo_tool(project, &CARGO_DENY)?;
    let mut command = project.command("cargo");
    run(command.args(["deny", "check", "--hide-inclusion-graph"]).args(checks))
}

/// The conformance suite's program, which is installed if need be.
///
/// # Errors
/// Python has no `venv`, or PyPI cannot be reached.
pub fn kosoku(project: &Project) -> Result<PathBuf> {
    python_tool(project, "kosoku", KOSOKU)
}

/// The program that asks the HTTP API, which is installed if need be.
///
/// # Errors
/// Python has no `venv`, or PyPI cannot be reached.
pub fn schemathesis(project: &Project) -> Result<PathBuf> {
    python_tool(project, "schemathesis", SCHEMATHESIS)
}

/// A program of PyPI in an environment of its own.
fn python_tool(project: &Project, name: &str, version: &str) -> Result<PathBuf> {
    let folder = project.tools().join(name);
    let program = folder.join("bin").join(name);
    let ask = format!("import importlib.metadata as m; print(m.version('{name}'))");
    let found = printed(project.command(folder.join("bin/python")).args(["-c", &ask]));
    if program.is_file() && found.is_ok_and(|found| found.trim() == version) {
        return Ok(program);
    }
    println!("installing {name} {version}");
    quiet(project.command("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = project.command(folder.join("bin/pip"));
    quiet(pip.args(["install", "--quiet", &format!("{name}=={version}")]))?;
    Ok(program)
}

/// Makes `cargo fuzz` and the compiler that it needs available.
///
/// # Errors
/// There is no nightly compiler, or crates.io cannot be reached.
pub fn cargo_fuzz(project: &Project) -> Result {
    let mut nightly = project.command("rustup");
    if quiet(nightly.args(["run", "nightly", "rustc", "--version"])).is_err() {
        let remedy = "rustup toolchain install nightly --profile minimal";
        return Err(format!("fuzzing needs a nightly compiler: run `{remedy}`"));
    }
    cargo_tool(project, &CARGO_FUZZ)
}

fn component(project: &Project, name: &str, probe: &[&str]) -> Result {
    if quiet(project.command(probe[0]).args(&probe[1..])).is_ok() {
        return Ok(());
    }
    Err(format!("{name} is missing: run `rustup component add {name}`"))
}

fn node(project: &Project) -> Result {
    let version = printed(project.command("node").arg("--version")).unwrap_or_default();
    let npm = quiet(project.command("npm").arg("--version"));
    if npm.is_ok() && major(&version).is_some_and(|major| major >= 20) {
        return Ok(());
    }
    let found = if version.is_empty() { "none" } else { version.trim() };
    Err(format!("Node.js 20 or newer with npm is needed and {found} is here: install it"))
}

/// The 20 of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn debian(project: &Project) -> Result {
    let runs = |probe: &[&str]| quiet(project.command(probe[0]).args(&probe[1..])).is_ok();
    let missing: Vec<_> = PACKAGES
        .iter()
        .filter(|package| !runs(package.probe))
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let root = printed(project.command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root {
        return Err(format!("missing: run `sudo apt-get update && sudo apt-get install {names}`"));
    }
    println!("installing {names}");
    let apt = || {
        let mut command = project.command("apt-get");
        // At run level 1 no service is started: an nginx on port 80 is nothing that we want.
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        command
    };
    quiet(apt().args(["update", "-qq"]))?;
    quiet(apt().args(["install", "-y", "-qq"]).args(&missing))?;
    match PACKAGES.iter().find(|package| !runs(package.probe)) {
        Some(package) => Err(format!("`{}` fails though installed", package.probe.join(" "))),
        None => Ok(()),
    }
}

/// Installs a program of cargo's unless one is on `PATH`. Without optimisation: that halves the
/// wait, and none of them has much to do.
fn cargo_tool(project: &Project, tool: &CargoTool) -> Result {
    if quiet(project.command(tool.name).arg("--version")).is_ok() {
        return Ok(());
    }
    println!("installing {} {}", tool.name, tool.version);
    let build = project.tools().join("build");
    let mut cargo = project.command("cargo");
    cargo.args(["install", "--quiet", "--locked", "--debug", "--version", tool.version]);
    cargo.arg("--root").arg(project.tools()).arg(tool.name).env("CARGO_TARGET_DIR", &build);
    quiet(&mut cargo)?;
    // Hundreds of megabytes that nobody needs again.
    let _ = std::fs::remove_dir_all(&build);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{component, major};
    use crate::project::Project;

    #[test]
    fn a_missing_component_comes_with_the_command() {
        let project = Project::find().unwrap();
        let error = component(&project, "clippy", &["no-such-program"]).unwrap_err();
        assert_eq!(error, "clippy is missing: run `rustup component add clippy`");
    }

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major(""), None);
        assert_eq!(major("v-"), None);
    }
}
