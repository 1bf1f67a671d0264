//! How an authority looks whether a name is its owner's (RFC 8737): by a TLS handshake.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::parse_x509_certificate;

/// `id-pe-acmeIdentifier`.
const PROOF: &str = "1.3.6.1.5.5.7.1.31";

#[derive(Debug)]
struct Anybody(CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("it is spoken to in TLS 1.3".into()))
    }

    /// By the key alone: what is critical in a proof is not known to who reads certificates.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        let (_, leaf) =
            parse_x509_certificate(certificate).map_err(|e| Error::General(e.to_string()))?;
        let key = SubjectPublicKeyInfoDer::from(leaf.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A handshake that believes anybody: the protocol that was agreed on, and the certificate shown.
pub(crate) fn shake_hands(
    port: u16,
    name: &str,
    protocols: &[&[u8]],
) -> Result<(Option<Vec<u8>>, CertificateDer<'static>), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| told(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(ring::default_provider())))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| told(&error))?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(|error| told(&error))?;
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).map_err(|error| told(&error))?;
    tcp.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| told(&error))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).map_err(|error| told(&error))?;
    }
    let leaf = tls.peer_certificates().and_then(<[_]>::first).ok_or("no certificate")?;
    Ok((tls.alpn_protocol().map(<[u8]>::to_vec), leaf.clone().into_owned()))
}

/// Whether `name`, which leads to this port, shows what was asked for.
pub(crate) fn look(port: u16, name: &str, key_authorization: &str) -> Result<(), String> {
    let (agreed, leaf) = shake_hands(port, name, &[b"acme-tls/1"])?;
    if agreed.as_deref() != Some(b"acme-tls/1") {
        return Err(format!("the protocol is {agreed:?}"));
    }
    let (_, leaf) = parse_x509_certificate(&leaf).map_err(|error| error.to_string())?;
    let names = leaf.subject_alternative_name().map_err(|error| error.to_string())?;
    let names = names.map(|names| names.value.general_names.clone()).unwrap_or_default();
    if names != [GeneralName::DNSName(name)] {
        return Err(format!("the certificate is for {names:?}"));
    }
    let digest = ring_digest(key_authorization);
    let proof = leaf.extensions().iter().find(|one| one.oid.to_id_string() == PROOF);
    let proof = proof.ok_or("there is no proof in the certificate")?;
    // An OCTET STRING of 32 bytes, which nobody but an authority may overlook.
    let expected = [&[4, 32], &digest[..]].concat();
    let known = !matches!(proof.parsed_extension(), ParsedExtension::ParseError { .. });
    match proof.critical && known && proof.value == expected {
        true => Ok(()),
        false => Err("the proof is another one".into()),
    }
}

fn ring_digest(text: &str) -> Vec<u8> {
    ::ring::digest::digest(&::ring::digest::SHA256, text.as_bytes()).as_ref().to_vec()
}
