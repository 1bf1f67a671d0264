//! The checks of `cargo xtask test`, in order. A new one is one more entry here.

use crate::project::{Project, Result, Shell, shell};
use crate::{autobahn, fuzz, generate, schemathesis, tidy, tools, web};

/// One check.
#[derive(Debug)]
pub struct Step {
    /// What `--only` and the summary call it.
    pub name: &'static str,
    /// What it shows when it passes.
    pub about: &'static str,
    /// The steps that must have passed before.
    pub needs: &'static [&'static str],
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Debug)]
pub enum Action {
    /// Calls a function.
    Call(fn(&Project) -> Result),
    /// Runs these one after the other.
    Run(&'static [Shell]),
}

/// All of them: what is quick and often wrong first.
pub const STEPS: &[Step] = &[
    Step {
        name: "tools",
        about: "what the checks need is installed",
        needs: &[],
        action: Action::Call(tools::install),
    },
    Step {
        name: "web",
        about: "the SDK and the demo are built, for the server to have them with it",
        needs: &["tools"],
        action: Action::Call(web::build),
    },
    Step {
        name: "fmt",
        about: "the code is formatted",
        needs: &["tools"],
        action: Action::Run(&[
            shell("cargo fmt --all --check"),
            shell("cargo fmt --manifest-path fuzz/Cargo.toml --check"),
        ]),
    },
    Step {
        name: "tidy",
        about: "the rules of the house hold",
        needs: &[],
        action: Action::Call(tidy::run),
    },
    Step {
        name: "clippy",
        about: "no lint speaks",
        needs: &["tools"],
        action: Action::Run(&[shell("cargo clippy --workspace --all-targets -- --deny warnings")]),
    },
    Step {
        name: "fuzz-smoke",
        about: "the fuzz targets compile",
        needs: &[],
        action: Action::Call(fuzz::check),
    },
    Step {
        name: "deny",
        about: "licences, sources and banned crates",
        needs: &["tools"],
        action: Action::Call(tools::deny),
    },
    Step {
        name: "gen",
        about: "generated files, examples and the reference in docs/ are current",
        needs: &["tools"],
        action: Action::Call(|project| generate::run(project, true, false)),
    },
    Step {
        name: "unit",
        about: "tests and examples in documentation pass",
        needs: &[],
        action: Action::Run(&[shell("cargo test --workspace")]),
    },
    Step {
        name: "doc",
        about: "documentation builds and its links lead somewhere",
        needs: &[],
        action: Action::Run(&[
            shell("cargo doc --workspace --no-deps").env(&[("RUSTDOCFLAGS", "--deny warnings")])
        ]),
    },
    Step {
        name: "release",
        about: "the program builds as it is shipped",
        needs: &["web"],
        action: Action::Run(&[shell("cargo build --release --package tidings")]),
    },
    Step {
        name: "autobahn",
        about: "all 517 WebSocket conformance cases pass",
        needs: &["tools"],
        action: Action::Call(autobahn::run),
    },
    Step {
        name: "api",
        about: "the HTTP API answers as its OpenAPI document says, whatever it is asked",
        needs: &["tools", "release"],
        action: Action::Call(schemathesis::check),
    },
    Step {
        name: "sdk",
        about: "the SDK holds what it promises, against a real server and behind a real nginx",
        needs: &["tools", "web", "release"],
        action: Action::Run(&[shell("npm test")
            .within("sdk")
            .env(&[("TIDINGS_BIN", "{target}/release/tidings")])]),
    },
    Step {
        name: "browser",
        about: "a real browser and a real server understand each other",
        needs: &["tools", "release"],
        action: Action::Run(&[
            shell("npm ci --no-audit --no-fund").within("e2e"),
            shell("npm run check").within("web"),
            shell("npm test").within("e2e").env(&[("TIDINGS_BIN", "{target}/release/tidings")]),
        ]),
    },
];

#[cfg(test)]
mod tests {
    use super::STEPS;

    #[test]
    fn names_are_unique_and_needs_come_first() {
        for (index, step) in STEPS.iter().enumerate() {
            let before = &STEPS[..index];
            assert!(before.iter().all(|other| other.name != step.name), "{} twice", step.name);
            for need in step.needs {
                assert!(before.iter().any(|other| other.name == *need), "{need}: not before");
            }
        }
    }
}
