//! Where things are, and how to start a program.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a task returns: an error is a message for people, with the remedy in it.
pub type Result<T = ()> = std::result::Result<T, String>;

/// The tree that is worked on.
#[derive(Debug)]
pub struct Project {
    /// The folder with the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Where cargo builds: `CARGO_TARGET_DIR`, or `target` in the root.
    pub target: PathBuf,
}

/// A program to run, written as one line: words are separated by blanks, and `{target}` stands for
/// [`Project::target`], here and in the environment's values.
#[derive(Debug, Clone, Copy)]
pub struct Shell {
    line: &'static str,
    folder: &'static str,
    env: &'static [(&'static str, &'static str)],
}

/// A [`Shell`] in the root, with the environment as it is.
pub const fn shell(line: &'static str) -> Shell {
    Shell { line, folder: "", env: &[] }
}

impl Shell {
    /// The same in a folder of the project.
    #[must_use]
    pub const fn within(self, folder: &'static str) -> Self {
        Self { folder, ..self }
    }

    /// The same with these variables set.
    #[must_use]
    pub const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }
}

impl Project {
    /// The project that this program was built from.
    ///
    /// # Errors
    /// The current folder cannot be read.
    pub fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => std::path::absolute(folder).map_err(|error| error.to_string())?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Where the checks' own tools are installed.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A program in the root, with our own tools behind the others on `PATH`.
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        let path = env::var_os("PATH").unwrap_or_default();
        let own = self.tools().join("bin");
        let all = env::split_paths(&path).chain([own]);
        command.current_dir(&self.root).env("PATH", env::join_paths(all).unwrap_or(path));
        command
    }

    /// Runs a line, showing it and what it prints.
    ///
    /// # Errors
    /// It cannot be started, or fails.
    pub fn run(&self, shell: Shell) -> Result {
        self.run_with(shell, &[])
    }

    /// The same, with further variables.
    ///
    /// # Errors
    /// It cannot be started, or fails.
    pub fn run_with(&self, shell: Shell, env: &[(&str, String)]) -> Result {
        let folder = self.root.join(shell.folder);
        if !folder.is_dir() {
            return Err(format!("the folder {}/ is missing", shell.folder));
        }
        let target = self.target.to_string_lossy();
        let line = shell.line.replace("{target}", &target);
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().unwrap_or_default());
        command.args(words).current_dir(folder);
        let mut shown = String::new();
        let fixed =
            shell.env.iter().map(|(name, value)| (*name, value.replace("{target}", &target)));
        for (name, value) in fixed.chain(env.iter().cloned()) {
            shown += &format!("{name}={} ", quoted(&value));
            command.env(name, value);
        }
        println!("$ {shown}{line}");
        run(&mut command)
    }
}

fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("'{value}'") } else { value.to_owned() }
}

/// Runs a program that prints for itself.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", shown(command))) }
}

/// Runs a program that is not to be heard unless it fails.
///
/// # Errors
/// It cannot be started, or fails: then with all that it printed.
pub fn quiet(command: &mut Command) -> Result<Output> {
    let output = command.output().map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    Err(format!("`{}` failed ({}):\n{}", shown(command), output.status, said.trim_end()))
}

/// What a program prints.
///
/// # Errors
/// As [`quiet`], or it is not UTF-8.
pub fn printed(command: &mut Command) -> Result<String> {
    let output = quiet(command)?;
    String::from_utf8(output.stdout).map_err(|_| format!("`{}` printed no UTF-8", shown(command)))
}

/// Reads a file of text.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn not_started(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    format!("cannot start `{program}`: {error}; `cargo xtask tools` checks what is needed")
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Project, printed, quiet, shell};

    #[test]
    fn a_failure_shows_what_was_said() {
        let project = Project::find().unwrap();
        let mut command = project.command("sh");
        let error = quiet(command.args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("why"), "{error}");
    }

    #[test]
    fn own_tools_are_behind_the_others_on_the_path() {
        let project = Project::find().unwrap();
        let path = printed(project.command("sh").args(["-c", "echo $PATH"])).unwrap();
        assert!(path.trim_end().ends_with("tools/bin"), "{path}");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let project = Project::find().unwrap();
        let error = project.run(shell("true").within("nowhere")).unwrap_err();
        assert_eq!(error, "the folder nowhere/ is missing");
    }

    #[test]
    fn a_missing_program_is_named() {
        let project = Project::find().unwrap();
        let error = project.run(shell("no-such-program")).unwrap_err();
        assert!(error.starts_with("cannot start `no-such-program`"), "{error}");
    }
}
