//! Agreeing on permessage-deflate (RFC 7692 section 7.1).

use std::fmt;

use super::codec::{Deflater, Inflater};
use super::header::{Element, Extension, extensions};
use super::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};
use crate::config::Role;
use crate::handshake::HandshakeError;

/// What this end wants of the extension. The names are those of the RFC's parameters.
///
/// The default asks for no context takeover in both directions, so that nothing of the
/// compression belongs to a connection and a [`Deflater`] and an [`Inflater`] can be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// Whether the server is to compress every message on its own.
    pub server_no_context_takeover: bool,
    /// Whether the client is to compress every message on its own.
    pub client_no_context_takeover: bool,
    /// The largest window of the server, 9 to 15.
    pub server_max_window_bits: u8,
    /// The largest window of the client, 9 to 15. A client that does not let the server choose
    /// it is accepted with the full window.
    pub client_max_window_bits: u8,
    /// A server declines offers of a client that can only inflate smaller windows than this.
    /// Set it to the window of a shared deflater, so that all connections can take its frames.
    pub min_server_window_bits: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: MAX_WINDOW_BITS,
            client_max_window_bits: MAX_WINDOW_BITS,
            min_server_window_bits: MIN_WINDOW_BITS,
        }
    }
}

/// What was agreed on for one connection. As text it is the header value of the server's
/// response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    server: Direction,
    client: Direction,
}

/// What was agreed on for the messages one end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Direction {
    takeover: bool,
    /// As agreed on, or `None` for the full window by default.
    window_bits: Option<u8>,
}

impl DeflateConfig {
    /// The server's choice: the first acceptable offer of the values of all
    /// `Sec-WebSocket-Extensions` headers, or `None` to go on without compression. Offers which
    /// are malformed or cannot be kept are declined, and the next one is looked at.
    pub fn accept<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> Option<DeflateParams> {
        headers.into_iter().flat_map(extensions).find_map(|extension| match extension {
            Extension::Deflate(offer) => self.accept_offer(&offer),
            Extension::Invalid | Extension::Other => None,
        })
    }

    fn accept_offer(&self, offer: &Element) -> Option<DeflateParams> {
        // An offer with a window must be answered with one that is not larger. zlib cannot
        // compress with 8 bits, so that this offer is one we cannot keep.
        let most = offer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        if most < self.min_server_window_bits.max(MIN_WINDOW_BITS) {
            return None;
        }
        let own_bits = narrow(self.server_max_window_bits);
        let server_bits = match offer.server_max_window_bits {
            Some(bits) => Some(own_bits.map_or(bits, |own| own.min(bits))),
            None => own_bits,
        };
        // The client's window may only be named if the client has brought it up. Whatever it
        // names itself is a hint; the full window can inflate it in any case.
        let client_bits = match (offer.client_max_window_bits, narrow(self.client_max_window_bits))
        {
            (None, _) | (_, None) => None,
            (Some(hint), Some(own)) => Some(hint.map_or(own, |hint| own.min(hint))),
        };
        Some(DeflateParams {
            server: Direction {
                takeover: !(self.server_no_context_takeover || offer.server_no_context_takeover),
                window_bits: server_bits,
            },
            client: Direction {
                takeover: !(self.client_no_context_takeover || offer.client_no_context_takeover),
                window_bits: client_bits,
            },
        })
    }

    /// The client's offer, a value for `Sec-WebSocket-Extensions`.
    pub fn offer(&self) -> String {
        let server = Direction {
            takeover: !self.server_no_context_takeover,
            window_bits: narrow(self.server_max_window_bits),
        };
        let client = Direction {
            takeover: !self.client_no_context_takeover,
            window_bits: narrow(self.client_max_window_bits),
        };
        let mut offer = DeflateParams { server, client }.to_string();
        if client.window_bits.is_none() {
            // Lets the server choose.
            offer.push_str("; client_max_window_bits");
        }
        offer
    }

    /// What the server has made of [`offer`](Self::offer): the values of all
    /// `Sec-WebSocket-Extensions` headers of its response. `None` is no compression.
    ///
    /// # Errors
    ///
    /// The server answered with something that was not offered or cannot be kept; the client
    /// must fail the connection (RFC 7692 section 7.1).
    pub fn confirm<'a>(
        &self,
        headers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<DeflateParams>, HandshakeError> {
        let mut answers = headers.into_iter().flat_map(extensions);
        match (answers.next(), answers.next()) {
            (None, _) => Ok(None),
            (Some(Extension::Deflate(answer)), None) => {
                self.confirm_answer(&answer).map(Some).ok_or(HandshakeError::BadExtension)
            }
            _ => Err(HandshakeError::BadExtension),
        }
    }

    fn confirm_answer(&self, answer: &Element) -> Option<DeflateParams> {
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return None;
        }
        let server_bits = answer.server_max_window_bits;
        if server_bits.unwrap_or(MAX_WINDOW_BITS) > self.server_max_window_bits {
            return None;
        }
        let own_bits = narrow(self.client_max_window_bits);
        let client_bits = match answer.client_max_window_bits {
            None => own_bits,
            Some(Some(bits @ MIN_WINDOW_BITS..)) => Some(own_bits.map_or(bits, |o| o.min(bits))),
            // A window that zlib does not have, or a value left out that only offers may.
            Some(_) => return None,
        };
        let no_takeover = self.client_no_context_takeover || answer.client_no_context_takeover;
        Some(DeflateParams {
            server: Direction {
                takeover: !answer.server_no_context_takeover,
                window_bits: server_bits,
            },
            client: Direction { takeover: !no_takeover, window_bits: client_bits },
        })
    }
}

/// `None` for the full window, which need not be named. What zlib lacks is made what it has.
fn narrow(bits: u8) -> Option<u8> {
    (bits < MAX_WINDOW_BITS).then(|| bits.max(MIN_WINDOW_BITS))
}

impl DeflateParams {
    /// Whether messages sent by `sender` may refer to those before them. If not, the objects for
    /// them can be shared between connections.
    pub const fn takeover(&self, sender: Role) -> bool {
        self.direction(sender).takeover
    }

    /// The window which `sender` compresses with is at most 2 to this many bytes.
    pub const fn window_bits(&self, sender: Role) -> u8 {
        match self.direction(sender).window_bits {
            Some(bits) => bits,
            None => MAX_WINDOW_BITS,
        }
    }

    /// A deflater for what `role` sends, with an effort of 0 to 9.
    pub fn deflater(&self, role: Role, level: u8) -> Deflater {
        Deflater::new(self.window_bits(role), level, self.takeover(role))
    }

    /// An inflater for what `role` receives.
    pub fn inflater(&self, role: Role) -> Inflater {
        Inflater::new(self.window_bits(role.peer()), self.takeover(role.peer()))
    }

    const fn direction(&self, sender: Role) -> Direction {
        match sender {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }
}

impl fmt::Display for DeflateParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permessage-deflate")?;
        for (name, direction) in [("server", self.server), ("client", self.client)] {
            if !direction.takeover {
                write!(f, "; {name}_no_context_takeover")?;
            }
            if let Some(bits) = direction.window_bits {
                write!(f, "; {name}_max_window_bits={bits}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DeflateConfig, DeflateParams};
    use crate::config::Role;

    /// A server that leaves every choice to the client.
    const LENIENT: DeflateConfig = DeflateConfig {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        min_server_window_bits: 9,
    };

    fn accept(config: DeflateConfig, offer: &str) -> Option<DeflateParams> {
        config.accept([offer.as_bytes()])
    }

    fn answer(config: DeflateConfig, offer: &str) -> Option<String> {
        accept(config, offer).map(|params| params.to_string())
    }

    #[test]
    fn a_lenient_server_takes_what_is_offered() {
        let cases = [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=8", "permessage-deflate"),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
            ),
            (
                "permessage-deflate; server_max_window_bits=15; client_no_context_takeover",
                "permessage-deflate; server_max_window_bits=15; client_no_context_takeover",
            ),
        ];
        for (offer, expected) in cases {
            assert_eq!(answer(LENIENT, offer).as_deref(), Some(expected), "{offer}");
        }
    }

    #[test]
    fn offers_that_cannot_be_kept_fall_through_to_the_next() {
        let offers = "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8, \
                      permessage-deflate; nonsense, permessage-deflate; server_max_window_bits=10";
        let expected = "permessage-deflate; server_max_window_bits=10";
        assert_eq!(answer(LENIENT, offers).as_deref(), Some(expected));
        assert_eq!(answer(LENIENT, "permessage-deflate; server_max_window_bits=8"), None);
        assert_eq!(answer(LENIENT, "permessage-bzip2"), None);
        let sharing = DeflateConfig { min_server_window_bits: 12, ..LENIENT };
        assert_eq!(answer(sharing, "permessage-deflate; server_max_window_bits=11"), None);
        let headers = [&b"permessage-deflate; what"[..], b"permessage-deflate"];
        assert!(LENIENT.accept(headers).is_some(), "several headers are one list");
    }

    #[test]
    fn the_default_server_keeps_no_context_in_either_direction() {
        let params = accept(DeflateConfig::default(), "permessage-deflate").unwrap();
        assert!(!params.takeover(Role::Server));
        assert!(!params.takeover(Role::Client));
        let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(params.to_string(), expected);
    }

    #[test]
    fn the_window_of_the_client_is_limited_only_if_it_allows_that() {
        let small = DeflateConfig { client_max_window_bits: 10, ..LENIENT };
        assert_eq!(answer(small, "permessage-deflate").unwrap(), "permessage-deflate");
        let expected = "permessage-deflate; client_max_window_bits=10";
        for bits in ["", "=10", "=15"] {
            let offer = format!("permessage-deflate; client_max_window_bits{bits}");
            assert_eq!(answer(small, &offer).as_deref(), Some(expected));
        }
        let params = accept(small, "permessage-deflate; client_max_window_bits=9").unwrap();
        assert_eq!(params.window_bits(Role::Client), 9);
    }

    #[test]
    fn both_ends_come_to_the_same_parameters() {
        for bits in 0..64_u8 {
            let config = DeflateConfig {
                server_no_context_takeover: bits & 1 != 0,
                client_no_context_takeover: bits & 2 != 0,
                server_max_window_bits: if bits & 4 != 0 { 9 } else { 15 },
                client_max_window_bits: if bits & 8 != 0 { 11 } else { 15 },
                min_server_window_bits: 9,
            };
            for server in [LENIENT, DeflateConfig::default()] {
                let params = accept(server, &config.offer()).unwrap();
                let answer = params.to_string();
                let confirmed = config.confirm([answer.as_bytes()]).unwrap().unwrap();
                for role in [Role::Client, Role::Server] {
                    assert_eq!(confirmed.takeover(role), params.takeover(role));
                }
                assert_eq!(confirmed.window_bits(Role::Server), params.window_bits(Role::Server));
                // The client may use less than it is allowed to.
                assert!(confirmed.window_bits(Role::Client) <= params.window_bits(Role::Client));
            }
        }
    }

    #[test]
    fn a_client_refuses_what_it_did_not_offer() {
        let small = DeflateConfig { server_max_window_bits: 10, ..LENIENT };
        for answer in [
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "permessage-deflate; server_max_window_bits=10; other",
            "x-deflate",
        ] {
            assert!(small.confirm([answer.as_bytes()]).is_err(), "{answer}");
        }
        assert!(DeflateConfig::default().confirm([&b"permessage-deflate"[..]]).is_err());
        assert_eq!(small.confirm([]), Ok(None));
    }
}
