//! The web assets that the server embeds: the SDK in one file, and the demo.

use std::path::Path;
use std::time::SystemTime;

use crate::project::{Project, Result, Shell, shell};

/// Fetches what the SDK is made with.
pub const INSTALL_SDK: Shell = shell("npm ci --no-audit --no-fund").within("sdk");

/// Folders with a `package.json`, in the order in which they need each other.
const PACKAGES: [(&str, Shell, Shell); 2] = [
    ("sdk", INSTALL_SDK, shell("npm run build").within("sdk")),
    (
        "web",
        shell("npm ci --no-audit --no-fund").within("web"),
        shell("npm run build").within("web"),
    ),
];

/// Builds them; what they are made with is fetched if it is not there or not the one that is asked
/// for.
///
/// # Errors
/// npm or a build fails.
pub fn build(project: &Project) -> Result {
    for (folder, install, build) in PACKAGES {
        if !installed(&project.root.join(folder)) {
            project.run(install)?;
        }
        project.run(build)?;
    }
    Ok(())
}

/// Whether npm has installed what the lock file says, going by the time at which it did.
pub fn installed(folder: &Path) -> bool {
    let changed = |name: &str| -> Option<SystemTime> {
        std::fs::metadata(folder.join(name)).and_then(|data| data.modified()).ok()
    };
    let done = changed("node_modules/.package-lock.json");
    done.is_some() && done >= changed("package-lock.json")
}
