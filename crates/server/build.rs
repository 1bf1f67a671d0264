//! Embeds the web assets that `npm run build` has made in `web/dist`, if it has.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// File and content type.
const FILES: [(&str, &str); 12] = [
    ("index.html", "text/html; charset=utf-8"),
    ("chat.css", "text/css; charset=utf-8"),
    ("chat.js", "text/javascript; charset=utf-8"),
    ("console.css", "text/css; charset=utf-8"),
    ("console.html", "text/html; charset=utf-8"),
    ("console.js", "text/javascript; charset=utf-8"),
    ("document.css", "text/css; charset=utf-8"),
    ("document.html", "text/html; charset=utf-8"),
    ("document.js", "text/javascript; charset=utf-8"),
    ("tidings-inbox.js", "text/javascript; charset=utf-8"),
    ("tidings-live.js", "text/javascript; charset=utf-8"),
    ("tidings.js", "text/javascript; charset=utf-8"),
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = root.join("../../web/dist");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut code = String::from("&[");
    for (name, kind) in FILES {
        embed(&mut code, &dist, name, kind);
    }
    for name in parts(&dist) {
        embed(&mut code, &dist, &name, "text/javascript; charset=utf-8");
    }
    code.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    write(&out.join("assets.rs"), &code);
}

/// What the script of the document is divided into, named after what is in it.
fn parts(dist: &Path) -> Vec<String> {
    let entries = fs::read_dir(dist).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("document-") && name.ends_with(".js"))
        .collect();
    names.sort();
    names
}

fn embed(code: &mut String, dist: &Path, name: &str, kind: &str) {
    if let Ok(path) = fs::canonicalize(dist.join(name)) {
        let _ = writeln!(code, "({name:?}, {kind:?}, include_bytes!({path:?})),");
    }
}

fn write(path: &Path, code: &str) {
    if let Err(error) = fs::write(path, code) {
        println!("cargo::error={}: {error}", path.display());
    }
}
