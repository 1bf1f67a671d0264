//! Small files beside the data: the secret that signs session tickets, so that anonymous users keep
//! their names through a restart, the identity of the store, and a development server's API key.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Reads the secret of session tickets, or makes one. Without a folder it lasts as long as the
/// process.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn ticket_secret(dir: Option<&Path>) -> io::Result<[u8; 32]> {
    kept(dir, "ticket-secret", false)
}

/// Identifies the data: from it the epochs of channels are derived that have nothing stored. It
/// must change (`renew`) when history was lost of which not even the channel is known, or such a
/// channel would begin again under an epoch that it had before.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn store_identity(dir: Option<&Path>, renew: bool) -> io::Result<u64> {
    Ok(u64::from_le_bytes(kept(dir, "store-identity", renew)?))
}

/// The key of the API of a development server, in a file beside its data: made when there is none.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn dev_api_key(dir: &Path) -> io::Result<String> {
    let path = dir.join("api-key");
    if !path.exists() {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        std::fs::create_dir_all(dir)?;
        keep(&path, URL_SAFE_NO_PAD.encode(bytes).as_bytes())?;
    }
    Ok(std::fs::read_to_string(path)?.trim_end().to_owned())
}

/// Random bytes in a file of this name, made when there is none or `renew` asks for others.
fn kept<const N: usize>(dir: Option<&Path>, name: &str, renew: bool) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let path = dir.map(|dir| dir.join(name));
    if let Some(path) = path.as_deref().filter(|path| !renew && path.exists()) {
        std::fs::File::open(path)?.read_exact(&mut bytes).map_err(|error| {
            let why = format!("{}: {error}; delete it and start again", path.display());
            io::Error::new(error.kind(), why)
        })?;
        return Ok(bytes);
    }
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    if let Some(path) = path {
        keep(&path, &bytes)?;
    }
    Ok(bytes)
}

/// Writes a file that only its owner may read: whole under another name first, so that a crash
/// leaves no half of it.
pub(crate) fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(draft, path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    std::fs::File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_same_after_a_restart_unless_it_must_change() {
        let dir = tempfile::tempdir().unwrap();
        let at = Some(dir.path());
        let secret = ticket_secret(at).unwrap();
        assert_eq!(ticket_secret(at).unwrap(), secret);
        let identity = store_identity(at, false).unwrap();
        assert_eq!(store_identity(at, false).unwrap(), identity);
        assert_ne!(store_identity(at, true).unwrap(), identity);
        assert_ne!(ticket_secret(None).unwrap(), secret);
    }
}
