//! One order: from the account to a certificate that can be shown.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;

use super::client::Caller;
use super::state::State;
use crate::clock;
use crate::config::Acme;
use crate::transport::certificate::{Certificate, Proofs};

/// How an order is asked about until it is ready: an authority looks from several places, and takes
/// some seconds.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.6)
    .timeout(Duration::from_secs(120));

/// The problem of an account that the authority does not have.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Why there is no new certificate.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Json(json) => Self(format!("the authority's answer makes no sense: {json}")),
            _ => Self(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(format!("the folder of certificates: {error}"))
    }
}

impl From<rcgen::Error> for Failure {
    fn from(error: rcgen::Error) -> Self {
        Self(format!("a certificate could not be asked for: {error}"))
    }
}

/// What an order needs.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) acme: Acme,
    pub(super) state: State,
    pub(super) caller: Caller,
    pub(super) proofs: Arc<Proofs>,
}

/// Takes the proofs away however an order ends.
struct Cleared<'a>(&'a Proofs);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl Desk {
    /// Orders a certificate and keeps it on disk.
    pub(super) async fn order(
        &self,
        replaced: Option<CertificateIdentifier<'static>>,
    ) -> Result<Certificate, Failure> {
        let account = self.account().await?;
        let names: Vec<_> = self.acme.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut wanted = NewOrder::new(&names);
        if let Some(replaced) = replaced {
            wanted = wanted.replaces(replaced);
        }
        let mut order = match account.new_order(&wanted).await {
            Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(NO_ACCOUNT) => {
                self.state.forget_account()?;
                return Err(Failure(format!("{problem}; a new account is made next time")));
            }
            order => order?,
        };
        let cleared = Cleared(&self.proofs);
        if order.state().status == OrderStatus::Pending {
            self.prove(&mut order).await?;
        }
        drop(cleared);
        let secret = KeyPair::generate()?;
        let mut params = CertificateParams::new(self.acme.domains.clone())?;
        params.distinguished_name = DistinguishedName::new();
        order.finalize_csr(params.serialize_request(&secret)?.der()).await?;
        let chain = order.poll_certificate(&POLLING).await?;
        let pem = format!("{}{chain}", secret.serialize_pem());
        let certificate = self.accept(&pem)?;
        self.state.keep_certificate(&pem)?;
        Ok(certificate)
    }

    /// The account with the authority, if there is one.
    pub(super) async fn known_account(&self) -> Result<Option<Account>, Failure> {
        let Some(known) = self.state.account()? else { return Ok(None) };
        let builder = Account::builder_with_http(Box::new(self.caller.clone()));
        Ok(Some(builder.from_credentials(known).await?))
    }

    /// The account with the authority, made when there is none.
    async fn account(&self) -> Result<Account, Failure> {
        if let Some(account) = self.known_account().await? {
            return Ok(account);
        }
        let contact: Vec<_> =
            self.acme.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: self.acme.terms_agreed,
            only_return_existing: false,
        };
        let builder = Account::builder_with_http(Box::new(self.caller.clone()));
        let made = builder.create(&wanted, self.acme.directory.clone(), None).await?;
        let (account, credentials): (Account, AccountCredentials) = made;
        self.state.keep_account(&credentials)?;
        tracing::info!(account = account.id(), "there is a new account with the authority");
        Ok(account)
    }

    /// Proves that the names are ours: the authority connects to each and looks at what is shown.
    async fn prove(&self, order: &mut Order) -> Result<(), Failure> {
        let mut asked = order.authorizations();
        while let Some(authorization) = asked.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                status => return Err(Failure(format!("the authorization is {status:?}"))),
            }
            let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
                let why = "the authority does not offer tls-alpn-01, which is all that is known";
                return Err(Failure(why.to_owned()));
            };
            let name = challenge.identifier().to_string();
            let digest = challenge.key_authorization().digest().as_ref().to_vec();
            show_proof(&self.proofs, &name, &digest)?;
            challenge.set_ready().await?;
        }
        match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready) => Ok(()),
            ended => {
                let own = ended.err().map(|error| error.to_string());
                let why = refusals(order).await;
                let why = if why.is_empty() { own.unwrap_or_default() } else { why };
                Err(Failure(format!("the authority is not convinced: {why}")))
            }
        }
    }

    /// Looks at what was issued before it takes the place of anything.
    fn accept(&self, pem: &str) -> Result<Certificate, Failure> {
        let wrong = |why: String| Failure(format!("what was issued is of no use: {why}"));
        let certificate = Certificate::from_pem(pem.as_bytes()).map_err(wrong)?;
        if certificate.to_ms <= clock::wall_ms() {
            return Err(wrong("it has expired already; is this machine's clock right?".into()));
        }
        let leaf = certificate.leaf().ok_or_else(|| wrong("it is empty".into()))?;
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| wrong(error.to_string()))?;
        for name in &self.acme.domains {
            let server = ServerName::try_from(name.as_str());
            let server = server.map_err(|error| wrong(error.to_string()))?;
            verify_server_name(&parsed, &server)
                .map_err(|error| wrong(format!("{name}: {error}")))?;
        }
        Ok(certificate)
    }
}

/// What the authority found, for each name that it does not believe.
async fn refusals(order: &mut Order) -> String {
    let mut found = Vec::new();
    let mut asked = order.authorizations();
    while let Some(Ok(mut authorization)) = asked.next().await {
        if authorization.refresh().await.is_err() {
            break;
        }
        let name = authorization.identifier().to_string();
        let problems = authorization.challenges.iter().filter_map(|one| one.error.as_ref());
        found.extend(problems.map(|problem| format!("{name}: {problem}")));
    }
    found.join("; ")
}

/// A certificate that nobody but the authority is shown, with what it asked for in it.
fn show_proof(proofs: &Proofs, name: &str, digest: &[u8]) -> Result<(), Failure> {
    if digest.len() != 32 {
        return Err(Failure("a digest is not 32 bytes long".to_owned()));
    }
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let secret = KeyPair::generate()?;
    let made = params.self_signed(&secret)?;
    let secret = PrivateKeyDer::try_from(secret.serialize_der())
        .map_err(|error| Failure(error.to_owned()))?;
    proofs.show(name, made.der().clone(), &secret).map_err(Failure)
}
