//! What is kept on disk: the account and the certificate, in files that only their owner may read.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use sha2::{Digest, Sha256};

use crate::config::Acme;
use crate::secret;

/// The folder `acme` beside the data, and in it the files of one configuration. Another directory
/// has another account, and other names have another certificate: what was there before stays.
#[derive(Debug)]
pub(super) struct State {
    account: PathBuf,
    certificate: PathBuf,
}

impl State {
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn open(data: &Path, acme: &Acme) -> io::Result<Self> {
        let dir = data.join("acme");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut names: Vec<_> = acme.domains.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        let names = names.join(" ");
        Ok(Self {
            account: dir.join(format!("account-{}.json", mark(&acme.directory))),
            certificate: dir
                .join(format!("certificate-{}.pem", mark(&format!("{}\n{names}", acme.directory)))),
        })
    }

    /// Where the certificate is, for messages.
    pub(super) fn certificate_path(&self) -> &Path {
        &self.certificate
    }

    /// The key and the chain, one PEM file: so they always belong together.
    pub(super) fn certificate(&self) -> io::Result<Option<Vec<u8>>> {
        found(std::fs::read(&self.certificate))
    }

    pub(super) fn keep_certificate(&self, pem: &str) -> io::Result<()> {
        secret::keep(&self.certificate, pem.as_bytes())
    }

    pub(super) fn account(&self) -> io::Result<Option<AccountCredentials>> {
        let Some(bytes) = found(std::fs::read(&self.account))? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let why = format!("{}: {error}; delete it", self.account.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> io::Result<()> {
        secret::keep(&self.account, &serde_json::to_vec(account)?)
    }

    /// The authority does not know it any more.
    pub(super) fn forget_account(&self) -> io::Result<()> {
        std::fs::remove_file(&self.account)
    }
}

fn found(read: io::Result<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// A short name for a long text.
fn mark(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_and_other_authorities_have_files_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = |domains: &[&str], directory: &str| {
            let domains = domains.iter().map(|name| (*name).to_owned()).collect();
            let acme = Acme { domains, directory: directory.into(), ..Acme::default() };
            State::open(dir.path(), &acme).unwrap().certificate
        };
        let first = path(&["a.example", "b.example"], "https://a/");
        assert_eq!(first, path(&["B.example", "a.example"], "https://a/"), "in any order");
        assert_ne!(first, path(&["a.example"], "https://a/"));
        assert_ne!(first, path(&["a.example", "b.example"], "https://staging/"));
    }
}
