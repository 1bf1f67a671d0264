//! An authority that speaks RFC 8555, written for these tests: it checks every signature, nonce and
//! address, connects to the names that it is asked about, and signs certificates.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair, SanType,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::jws::{PublicKey, Signed, base64, base64_of};
use crate::look::look;

/// How it behaves.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Where all names lead: a port of this machine.
    pub(crate) leads_to: u16,
    /// Who connects is hung up on.
    pub(crate) away: bool,
    /// How long certificates are good.
    pub(crate) life: Duration,
    /// So many requests are told that their nonce is bad.
    pub(crate) bad_nonces: usize,
    /// Orders are refused: `Retry-After`, in seconds.
    pub(crate) refuses: Option<u64>,
    /// Certificates should be renewed now.
    pub(crate) renew_now: bool,
    /// It has forgotten all accounts.
    pub(crate) forgetful: bool,
}

impl Manner {
    pub(crate) fn leading_to(port: u16) -> Self {
        let life = Duration::from_secs(90 * 86_400);
        Self {
            leads_to: port,
            away: false,
            life,
            bad_nonces: 0,
            refuses: None,
            renew_now: false,
            forgetful: false,
        }
    }
}

/// An order and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) names: Vec<String>,
    pub(crate) replaces: Option<String>,
    pub(crate) chain: Option<String>,
    authorizations: Vec<usize>,
}

#[derive(Debug)]
struct Authorization {
    name: String,
    token: String,
    status: &'static str,
    error: Option<Value>,
}

/// What it has written down.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) manner: Manner,
    pub(crate) orders: Vec<Ordered>,
    /// Every request, when it came.
    pub(crate) requests: Vec<(Instant, String)>,
    accounts: HashMap<String, PublicKey>,
    pub(crate) contacts: Vec<Value>,
    nonces: HashSet<String>,
    nonces_made: usize,
    authorizations: Vec<Authorization>,
}

/// See the module.
pub(crate) struct Authority {
    pub(crate) port: u16,
    book: Arc<Mutex<Book>>,
    issuer: Arc<CertifiedIssuer<'static, KeyPair>>,
}

type Answer = Response<Full<Bytes>>;

impl Authority {
    pub(crate) fn start(manner: Manner) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let issuer = Arc::new(issuer);
        let book = Arc::new(Mutex::new(Book {
            manner,
            orders: Vec::new(),
            requests: Vec::new(),
            accounts: HashMap::new(),
            contacts: Vec::new(),
            nonces: HashSet::new(),
            nonces_made: 0,
            authorizations: Vec::new(),
        }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let desk = Desk { port, book: book.clone(), issuer: issuer.clone() };
        let acceptor = acceptor(&issuer);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(accept(listener, acceptor, desk));
        });
        Self { port, book, issuer }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// What clients who trust it trust.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub(crate) fn write_root(&self, path: &Path) {
        std::fs::write(path, self.issuer.pem()).unwrap();
    }

    /// How often certificates were ordered, with whatever end.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.book().requests.iter().filter(|(_, one)| one == path).count()
    }

    pub(crate) fn issued(&self) -> usize {
        self.book().orders.iter().filter(|order| order.chain.is_some()).count()
    }
}

fn acceptor(issuer: &CertifiedIssuer<'static, KeyPair>) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = params.signed_by(&key, issuer).unwrap();
    let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], secret)
        .unwrap();
    Arc::new(config).into()
}

async fn accept(listener: std::net::TcpListener, acceptor: TlsAcceptor, desk: Desk) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        if desk.book.lock().unwrap().manner.away {
            continue;
        }
        let (acceptor, desk) = (acceptor.clone(), desk.clone());
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let service = service_fn(move |request| {
                let desk = desk.clone();
                async move { Ok::<_, std::convert::Infallible>(desk.answer(request).await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.keep_alive(false);
            let _ = http.serve_connection(TokioIo::new(tls), service).await;
        });
    }
}

#[derive(Clone)]
struct Desk {
    port: u16,
    book: Arc<Mutex<Book>>,
    issuer: Arc<CertifiedIssuer<'static, KeyPair>>,
}

/// A refusal: its status, the last part of its type, and what it says.
type Refusal = (u16, &'static str, String);

impl Desk {
    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        self.book.lock().unwrap().requests.push((Instant::now(), path.clone()));
        let body = body.collect().await.unwrap().to_bytes();
        let jose =
            head.headers.get("content-type").is_some_and(|kind| kind == "application/jose+json");
        let said = match (&head.method, &*path) {
            (&Method::GET, "/directory") => Ok((200, None, self.directory())),
            (&Method::HEAD, "/nonce") => Ok((200, None, Value::Null)),
            (&Method::GET, path) if path.starts_with("/renewal/") => Ok(self.advice()),
            (&Method::POST, path) if jose => self.post(path, &body),
            _ => Err((405, "malformed", format!("{} {path}", head.method))),
        };
        self.respond(said)
    }

    fn respond(&self, said: Result<(u16, Option<String>, Value), Refusal>) -> Answer {
        let mut book = self.book.lock().unwrap();
        let nonce = format!("nonce-{}", book.nonces_made);
        book.nonces_made += 1;
        book.nonces.insert(nonce.clone());
        let mut answer = Response::builder().header("Replay-Nonce", nonce);
        match said {
            Ok((status, place, Value::String(text))) => {
                let _ = place;
                let kind = "application/pem-certificate-chain";
                answer.status(status).header("Content-Type", kind).body(text.into())
            }
            Ok((status, place, value)) => {
                if let Some(place) = place {
                    answer = answer.header("Location", self.url(&place));
                }
                let answer = answer.header("Content-Type", "application/json");
                // Six hours: who asks again before has not listened.
                let answer = answer.header("Retry-After", "21600");
                answer.status(status).body(value.to_string().into())
            }
            Err((status, kind, detail)) => {
                if let Some(seconds) = book.manner.refuses.filter(|_| status == 429) {
                    answer = answer.header("Retry-After", seconds.to_string());
                }
                let kind = format!("urn:ietf:params:acme:error:{kind}");
                let body = json!({"type": kind, "detail": detail, "status": status});
                let answer = answer.header("Content-Type", "application/problem+json");
                answer.status(status).body(body.to_string().into())
            }
        }
        .unwrap()
    }

    fn directory(&self) -> Value {
        json!({
            "newNonce": self.url("/nonce"), "newAccount": self.url("/account"),
            "newOrder": self.url("/order"), "revokeCert": self.url("/revoke"),
            "keyChange": self.url("/key"), "renewalInfo": self.url("/renewal"),
        })
    }

    fn advice(&self) -> (u16, Option<String>, Value) {
        let now = self.book.lock().unwrap().manner.renew_now;
        let (start, end) = match now {
            true => ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"),
            false => ("2090-01-01T00:00:00Z", "2090-01-02T00:00:00Z"),
        };
        (200, None, json!({"suggestedWindow": {"start": start, "end": end}}))
    }

    /// Checks who asks, and does it.
    fn post(&self, path: &str, body: &[u8]) -> Result<(u16, Option<String>, Value), Refusal> {
        let malformed = |why: &str| (400, "malformed", why.to_owned());
        let signed = Signed::parse(body).ok_or_else(|| malformed("no JWS"))?;
        if signed.head["url"] != self.url(path) {
            return Err(malformed("the request is for another address"));
        }
        let mut book = self.book.lock().unwrap();
        let nonce = signed.head["nonce"].as_str().unwrap_or_default();
        let known = book.nonces.remove(nonce);
        if !known || book.manner.bad_nonces > 0 {
            book.manner.bad_nonces = book.manner.bad_nonces.saturating_sub(1);
            return Err((400, "badNonce", "try another one".into()));
        }
        let key = match path {
            "/account" => PublicKey::from_jwk(&signed.head["jwk"]),
            _ => signed.head["kid"].as_str().and_then(|id| book.accounts.get(id).cloned()),
        };
        let key = key.ok_or((400, "accountDoesNotExist", "who is that?".to_owned()))?;
        if !signed.is_from(&key) {
            return Err((401, "unauthorized", "the signature is bad".into()));
        }
        let (kind, id) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
        let id: usize = id.parse().map_err(|_| malformed("no such thing"))?;
        match (kind, signed.payload) {
            ("account", Some(wanted)) => self.account(&mut book, key, &wanted),
            ("order", Some(wanted)) => self.order(&mut book, &wanted),
            ("order", None) => Ok((200, None, self.order_state(&book, id))),
            ("authorization", None) => Ok((200, None, self.authorization(&book, id))),
            ("challenge", Some(_)) => Ok((200, None, self.challenge(&mut book, id, &key))),
            ("finalize", Some(wanted)) => self.finalize(&mut book, id, &wanted),
            ("certificate", None) => {
                Ok((200, None, Value::String(book.orders[id].chain.clone().unwrap())))
            }
            _ => Err(malformed("no such thing")),
        }
    }

    fn account(
        &self,
        book: &mut Book,
        key: PublicKey,
        wanted: &Value,
    ) -> Result<(u16, Option<String>, Value), Refusal> {
        if wanted["termsOfServiceAgreed"] != true {
            return Err((403, "userActionRequired", "agree to the terms of service".into()));
        }
        let place = format!("/account/{}", book.accounts.len());
        book.accounts.insert(self.url(&place), key);
        book.contacts.push(wanted["contact"].clone());
        Ok((201, Some(place), json!({"status": "valid"})))
    }

    fn order(
        &self,
        book: &mut Book,
        wanted: &Value,
    ) -> Result<(u16, Option<String>, Value), Refusal> {
        if std::mem::take(&mut book.manner.forgetful) {
            book.accounts.clear();
            return Err((400, "accountDoesNotExist", "never heard of".into()));
        }
        if book.manner.refuses.is_some() {
            return Err((429, "rateLimited", "too many certificates already issued".into()));
        }
        let names = wanted["identifiers"].as_array().unwrap().iter();
        let names: Vec<_> = names
            .filter(|one| one["type"] == "dns")
            .map(|one| one["value"].as_str().unwrap().to_owned())
            .collect();
        let mut authorizations = Vec::new();
        for name in &names {
            authorizations.push(book.authorizations.len());
            let token = format!("token-{}-with-some-entropy-in-it", book.authorizations.len());
            let name = name.clone();
            let new = Authorization { name, token, status: "pending", error: None };
            book.authorizations.push(new);
        }
        let replaces = wanted["replaces"].as_str().map(str::to_owned);
        book.orders.push(Ordered { names, replaces, chain: None, authorizations });
        let id = book.orders.len() - 1;
        Ok((201, Some(format!("/order/{id}")), self.order_state(book, id)))
    }

    fn order_state(&self, book: &Book, id: usize) -> Value {
        let order = &book.orders[id];
        let states: Vec<_> =
            order.authorizations.iter().map(|id| book.authorizations[*id].status).collect();
        let status = match order.chain {
            Some(_) => "valid",
            None if states.contains(&"invalid") => "invalid",
            None if states.contains(&"pending") => "pending",
            None => "ready",
        };
        let links = order.authorizations.iter();
        let links: Vec<_> = links.map(|id| self.url(&format!("/authorization/{id}"))).collect();
        let mut state = json!({
            "status": status, "authorizations": links,
            "identifiers": order.names.iter().map(|n| json!({"type": "dns", "value": n}))
                .collect::<Vec<_>>(),
            "finalize": self.url(&format!("/finalize/{id}")),
        });
        if order.chain.is_some() {
            state["certificate"] = json!(self.url(&format!("/certificate/{id}")));
        }
        if let Some(replaces) = &order.replaces {
            state["replaces"] = json!(replaces);
        }
        state
    }

    fn authorization(&self, book: &Book, id: usize) -> Value {
        let one = &book.authorizations[id];
        let mut challenge = self.challenge_state(one, id);
        if let Some(error) = &one.error {
            challenge["error"] = error.clone();
        }
        let other = json!({
            "type": "dns-01", "url": self.url("/challenge/none"), "token": "x", "status": "pending",
        });
        json!({
            "status": one.status, "identifier": {"type": "dns", "value": one.name},
            "challenges": [other, challenge],
        })
    }

    fn challenge_state(&self, one: &Authorization, id: usize) -> Value {
        json!({
            "type": "tls-alpn-01", "url": self.url(&format!("/challenge/{id}")),
            "token": one.token, "status": one.status,
        })
    }

    /// Says that it will look, and looks.
    fn challenge(&self, book: &mut Book, id: usize, key: &PublicKey) -> Value {
        let port = book.manner.leads_to;
        let one = &book.authorizations[id];
        let (name, proof) = (one.name.clone(), format!("{}.{}", one.token, key.thumbprint));
        let book = self.book.clone();
        let mut state = self.challenge_state(one, id);
        state["status"] = json!("processing");
        std::thread::spawn(move || {
            let found = look(port, &name, &proof);
            let mut book = book.lock().unwrap();
            let one = &mut book.authorizations[id];
            one.status = if found.is_ok() { "valid" } else { "invalid" };
            one.error = found.err().map(|detail| {
                let kind = "urn:ietf:params:acme:error:connection";
                json!({"type": kind, "detail": detail, "status": 400})
            });
        });
        state
    }

    fn finalize(
        &self,
        book: &mut Book,
        id: usize,
        wanted: &Value,
    ) -> Result<(u16, Option<String>, Value), Refusal> {
        let bad = |why: String| (400, "badCSR", why);
        if self.order_state(book, id)["status"] != "ready" {
            return Err((403, "orderNotReady", "prove your names first".into()));
        }
        let der = base64(&wanted["csr"]).ok_or_else(|| bad("not base64".into()))?;
        // Checks its signature as well.
        let csr = CertificateSigningRequestParams::from_der(&der.into());
        let mut csr = csr.map_err(|error| bad(error.to_string()))?;
        let asked: Vec<_> = csr.params.subject_alt_names.iter().map(name_of).collect();
        if asked != book.orders[id].names {
            return Err(bad(format!("{asked:?} were not ordered")));
        }
        let now = OffsetDateTime::now_utc();
        csr.params.not_before = now - Duration::from_secs(1);
        csr.params.not_after = now + book.manner.life;
        csr.params.use_authority_key_identifier_extension = true;
        let made = csr.signed_by(&self.issuer).map_err(|error| bad(error.to_string()))?;
        book.orders[id].chain = Some(format!("{}{}", made.pem(), self.issuer.pem()));
        Ok((200, Some(format!("/order/{id}")), self.order_state(book, id)))
    }
}

fn name_of(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) => name.as_str().to_owned(),
        other => format!("{other:?}"),
    }
}

/// How a certificate is called in `replaces` (RFC 9773 section 4.1).
pub(crate) fn identifier(leaf: &CertificateDer<'_>) -> String {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
    let key = leaf.extensions().iter().find_map(|one| match one.parsed_extension() {
        x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(key) => {
            key.key_identifier.as_ref().map(|id| base64_of(id.0))
        }
        _ => None,
    });
    format!("{}.{}", key.unwrap(), base64_of(leaf.tbs_certificate.raw_serial()))
}
