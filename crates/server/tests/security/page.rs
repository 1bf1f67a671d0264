//! docs/security.md names tests: they are there, and each row of the threat model has one.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files below a folder that end so.
fn files(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["target", "node_modules"].contains(&name) {
            files(&path, end, found);
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
}

/// The names of tests in a file: what stands behind `#[test]`.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[test]").skip(1).filter_map(|behind| {
        let (_, name) = behind.split_once("fn ")?;
        name.split_once('(').map(|(name, _)| name)
    })
}

/// The number of each row, and the names in its last column.
fn rows(page: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let number = *cells.first()?;
        let letter = number.starts_with(['T', 'J', 'D', 'M']);
        (letter && number[1..].parse::<u8>().is_ok()).then(|| (number, *cells.last().unwrap()))
    });
    rows.map(|(number, cell)| (number, cell.split('`').skip(1).step_by(2).collect())).collect()
}

#[test]
fn every_row_of_the_page_names_a_test_that_is_there() {
    let page = read_to_string(root().join("docs/security.md")).unwrap();
    let mut found = Vec::new();
    files(&root().join("crates"), ".rs", &mut found);
    let texts: Vec<String> = found.iter().map(|path| read_to_string(path).unwrap()).collect();
    let all: BTreeSet<&str> = texts.iter().flat_map(|text| tests(text)).collect();
    assert!(all.len() > 300, "{} tests were found", all.len());
    let rows = rows(&page);
    let numbers: BTreeSet<String> = rows.iter().map(|(number, _)| (*number).to_owned()).collect();
    let expected = [('T', 16), ('J', 11), ('D', 7), ('M', 7)];
    let expected = expected.iter().flat_map(|(letter, last)| (1..=*last).map(move |n| (letter, n)));
    for (letter, number) in expected {
        assert!(numbers.contains(&format!("{letter}{number}")), "{letter}{number} has no row");
    }
    for (number, names) in &rows {
        assert!(!names.is_empty(), "{number} names no test");
        for name in names {
            // A test in TypeScript is named by its file, a check by its command.
            let there = match name.strip_prefix("cargo xtask ") {
                Some(check) => root().join(format!("xtask/src/{check}.rs")).exists(),
                None if name.ends_with(".test.ts") => root().join(name).exists(),
                None => all.contains(name),
            };
            assert!(there, "{number}: there is no {name}");
        }
    }
    // And what stands here is on the page.
    let named: BTreeSet<&str> = rows.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut own = Vec::new();
    files(&root().join("crates/server/tests/security"), ".rs", &mut own);
    for path in own.iter().filter(|path| !path.ends_with("page.rs")) {
        for name in tests(&read_to_string(path).unwrap()) {
            assert!(named.contains(name), "{name} is not on the page");
        }
    }
}
