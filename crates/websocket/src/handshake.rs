//! The opening handshake (RFC 6455 section 4) as functions over header values.
//!
//! Parsing HTTP is not done here. Values are bytes as they came from the wire; all functions take
//! time in proportion to their length and accept any bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// What a server appends to a client's key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The only value of `Sec-WebSocket-Version` there is, to be named in a 426 response.
pub const VERSION: &str = "13";

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The server's `Sec-WebSocket-Accept` does not belong to the client's key.
    BadAccept,
    /// The server's `Sec-WebSocket-Extensions` is not an answer to the client's offer.
    BadExtension,
    /// The client's `Sec-WebSocket-Key` is not 16 bytes in base64.
    BadKey,
    /// Not a request or response to upgrade to `websocket`.
    NotUpgrade,
    /// The server chose a subprotocol that the client did not offer.
    UnknownSubprotocol,
    /// Another version of the protocol than 13.
    UnsupportedVersion,
}

impl HandshakeError {
    /// The HTTP status a server refuses with. A 426 response names [`VERSION`] in its
    /// `Sec-WebSocket-Version` (RFC 6455 section 4.4).
    pub const fn status(self) -> u16 {
        match self {
            Self::UnsupportedVersion => 426,
            _ => 400,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadAccept => "wrong Sec-WebSocket-Accept",
            Self::BadExtension => "wrong Sec-WebSocket-Extensions",
            Self::BadKey => "bad Sec-WebSocket-Key",
            Self::NotUpgrade => "not a WebSocket upgrade",
            Self::UnknownSubprotocol => "wrong Sec-WebSocket-Protocol",
            Self::UnsupportedVersion => "unsupported Sec-WebSocket-Version",
        })
    }
}

impl std::error::Error for HandshakeError {}

/// Checks `Upgrade` and `Connection`, which requests and responses have in common.
///
/// # Errors
///
/// [`HandshakeError::NotUpgrade`].
pub fn check_upgrade(upgrade: &[u8], connection: &[u8]) -> Result<(), HandshakeError> {
    if has_token(upgrade, "websocket") && has_token(connection, "upgrade") {
        Ok(())
    } else {
        Err(HandshakeError::NotUpgrade)
    }
}

/// Checks `Sec-WebSocket-Version`.
///
/// # Errors
///
/// [`HandshakeError::UnsupportedVersion`].
pub fn check_version(version: &[u8]) -> Result<(), HandshakeError> {
    if version.trim_ascii() == VERSION.as_bytes() {
        Ok(())
    } else {
        Err(HandshakeError::UnsupportedVersion)
    }
}

/// Checks `Sec-WebSocket-Key`: 16 bytes in base64.
///
/// # Errors
///
/// [`HandshakeError::BadKey`].
pub fn check_key(key: &[u8]) -> Result<(), HandshakeError> {
    let key = key.trim_ascii();
    let mut nonce = [0; 18];
    // The length of the text first: a hostile one is not decoded at all.
    if key.len() == 24 && STANDARD.decode_slice(key, &mut nonce) == Ok(16) {
        Ok(())
    } else {
        Err(HandshakeError::BadKey)
    }
}

/// The server's `Sec-WebSocket-Accept` for a client's key (RFC 6455 section 4.2.2).
pub fn accept_key(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key.trim_ascii()).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// The client's `Sec-WebSocket-Key` from 16 bytes of a random source.
pub fn client_key(random: [u8; 16]) -> String {
    STANDARD.encode(random)
}

/// Checks the server's `Sec-WebSocket-Accept` against the key the client has sent.
///
/// # Errors
///
/// [`HandshakeError::BadAccept`].
pub fn check_accept(key: &str, accept: &[u8]) -> Result<(), HandshakeError> {
    if accept.trim_ascii() == accept_key(key.as_bytes()).as_bytes() {
        Ok(())
    } else {
        Err(HandshakeError::BadAccept)
    }
}

/// The server's choice of a subprotocol: the first in the client's order of preference, over the
/// values of all `Sec-WebSocket-Protocol` headers, that the server knows. Names are compared
/// with case.
pub fn choose_subprotocol<'a, 's>(
    headers: impl IntoIterator<Item = &'a [u8]>,
    known: &[&'s str],
) -> Option<&'s str> {
    headers
        .into_iter()
        .flat_map(tokens)
        .find_map(|offered| known.iter().copied().find(|name| name.as_bytes() == offered))
}

/// Checks the subprotocol of the server's response, if it named one.
///
/// # Errors
///
/// [`HandshakeError::UnknownSubprotocol`].
pub fn check_subprotocol(chosen: &[u8], offered: &[&str]) -> Result<(), HandshakeError> {
    let chosen = chosen.trim_ascii();
    if offered.iter().any(|name| name.as_bytes() == chosen) {
        Ok(())
    } else {
        Err(HandshakeError::UnknownSubprotocol)
    }
}

/// Whether a comma-separated header contains `token`, in any case.
pub fn has_token(header: &[u8], token: &str) -> bool {
    tokens(header).any(|candidate| candidate.eq_ignore_ascii_case(token.as_bytes()))
}

fn tokens(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::{
        HandshakeError, accept_key, check_accept, check_key, check_subprotocol, check_upgrade,
        check_version, choose_subprotocol, client_key,
    };

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        // RFC 6455 section 1.3.
        let key = client_key(*b"the sample nonce");
        assert_eq!(key, "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_key(key.as_bytes()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(check_key(key.as_bytes()), Ok(()));
        assert_eq!(check_accept(&key, b" s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "), Ok(()));
        assert_eq!(
            check_accept(&key, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo"),
            Err(HandshakeError::BadAccept)
        );
    }

    #[test]
    fn keys_must_be_sixteen_bytes_in_base64() {
        let long = vec![b'A'; 1_000_000];
        let bad: [&[u8]; 6] = [
            b"",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZQQQ",
            b"dGhlIHNhbXBsZSBub25j*Q==",
            &[0xff; 24],
            &long,
        ];
        for key in bad {
            assert_eq!(check_key(key), Err(HandshakeError::BadKey));
        }
    }

    #[test]
    fn upgrades_are_recognised_as_browsers_send_them() {
        assert_eq!(check_upgrade(b"WebSocket", b"keep-alive, Upgrade"), Ok(()));
        let refused = Err(HandshakeError::NotUpgrade);
        assert_eq!(check_upgrade(b"h2c", b"upgrade"), refused);
        assert_eq!(check_upgrade(b"websocket", b"keep-alive"), refused);
        assert_eq!(check_version(b"13"), Ok(()));
        let version = check_version(b"8").unwrap_err();
        assert_eq!((version, version.status()), (HandshakeError::UnsupportedVersion, 426));
        assert_eq!(HandshakeError::BadKey.status(), 400);
    }

    #[test]
    fn the_client_prefers_and_the_server_decides() {
        let offers = [&b"chat, tidings.v2"[..], b"tidings.v1"];
        assert_eq!(choose_subprotocol(offers, &["tidings.v1", "tidings.v2"]), Some("tidings.v2"));
        assert_eq!(choose_subprotocol(offers, &["TIDINGS.V1"]), None);
        assert_eq!(choose_subprotocol([&b"\xff,,\x00"[..]], &["a"]), None);
        assert_eq!(check_subprotocol(b"a", &["a"]), Ok(()));
        assert_eq!(check_subprotocol(b"b", &["a"]), Err(HandshakeError::UnknownSubprotocol));
    }
}
