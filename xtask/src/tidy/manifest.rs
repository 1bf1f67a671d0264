//! Which crates the sans-IO crates may use.

use super::Finding;

/// A folder with a manifest, and all that its dependencies may be.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "crates/core/Cargo.toml",
        &[
            "bytes",
            "postcard",
            "schemars",
            "serde",
            "serde_json",
            "similar",
            "slab",
            "smallvec",
            "tidings-proto",
            "yrs",
        ],
    ),
    ("crates/proto/Cargo.toml", &["base64", "bytes", "serde", "serde_json"]),
    ("crates/websocket/Cargo.toml", &["base64", "bytes", "flate2", "sha1"]),
];

/// Checks a manifest's dependencies: those of tests are free.
pub fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let Some((_, allowed)) = ALLOWED.iter().find(|(manifest, _)| *manifest == path) else { return };
    for (line, name) in dependencies(text) {
        if !allowed.contains(&name) {
            findings.push(Finding {
                path: path.to_owned(),
                line,
                rule: "dependencies",
                message: format!(
                    "`{name}` is not on the list in xtask/src/tidy/manifest.rs: this crate does no \
                     I/O, and so must what it uses; add it there if it does none"
                ),
                warning: false,
            });
        }
    }
}

/// The manifests that should be checked and are not among these paths.
pub fn missing(paths: &[String]) -> Vec<Finding> {
    let absent = ALLOWED.iter().filter(|(manifest, _)| !paths.iter().any(|path| path == manifest));
    let finding = |(manifest, _): &(&str, _)| Finding {
        path: (*manifest).to_owned(),
        line: 0,
        rule: "dependencies",
        message: "there is no such file; correct the list in xtask/src/tidy/manifest.rs".to_owned(),
        warning: false,
    };
    absent.map(finding).collect()
}

/// The names of what the crate itself is built with, and their lines.
fn dependencies(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(table) = line.strip_prefix('[') {
            let table = table.split(']').next().unwrap_or_default();
            let name = named_by_table(table);
            inside = name == Some("");
            found.extend(name.filter(|name| !name.is_empty()).map(|name| (index + 1, name)));
        } else if inside && !line.starts_with('#') && line.contains('=') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.push((index + 1, name.trim_matches('"')));
        }
    }
    found
}

/// Of a table of dependencies: nothing for the table of all, or the name of the one it is about.
fn named_by_table(table: &str) -> Option<&str> {
    // `target.'cfg(unix)'.dependencies` is a table of dependencies as well.
    let at = table.find("dependencies")?;
    let kind = &table[..at];
    if kind.ends_with("dev-") {
        return None;
    }
    let rest = &table[at + "dependencies".len()..];
    Some(rest.strip_prefix('.').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::dependencies;
    use crate::tidy::check;

    const MANIFEST: &str = r#"
[package]
name = "a"
[dependencies]
bytes.workspace = true
# rand = "1"
serde = { version = "1" }
[dependencies.tokio]
version = "1"
[target.'cfg(unix)'.dependencies]
libc = "0.2"
[build-dependencies]
cc = "1"
[dev-dependencies]
proptest = "1"
"#;

    #[test]
    fn dependencies_are_found_in_every_table_but_that_of_tests() {
        let names: Vec<_> = dependencies(MANIFEST).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["bytes", "serde", "tokio", "libc", "cc"]);
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        let findings = check("crates/proto/Cargo.toml", MANIFEST);
        let lines: Vec<_> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [8, 11, 13]);
        assert!(findings[0].message.starts_with("`tokio`"));
        assert!(check("crates/server/Cargo.toml", MANIFEST).is_empty());
    }
}
