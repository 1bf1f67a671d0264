//! The closing handshake (RFC 6455 sections 5.5.1 and 7).

use crate::config::Role;
use crate::error::{Error, InvalidPayload, Misbehaviour};

/// Status codes a Close frame may carry (RFC 6455 section 7.4.1 and the IANA registry).
pub mod close_code {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// A server goes down or a page is left.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A kind of data that cannot be accepted.
    pub const UNSUPPORTED: u16 = 1003;
    /// Data that is not what its frame says, such as text which is not UTF-8.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// A message against the rules of the receiver.
    pub const POLICY: u16 = 1008;
    /// A message too big to process.
    pub const TOO_BIG: u16 = 1009;
    /// A client misses an extension it needs.
    pub const EXTENSION_MISSING: u16 = 1010;
    /// The server met something unexpected.
    pub const INTERNAL: u16 = 1011;
    /// The service restarts.
    pub const RESTART: u16 = 1012;
    /// The service is overloaded.
    pub const TRY_AGAIN_LATER: u16 = 1013;
    /// A gateway got a bad answer from behind it.
    pub const BAD_GATEWAY: u16 = 1014;
}

/// Whether `code` may stand in a Close frame: a registered code that is not reserved for local
/// use (1005, 1006, 1015), or one of the ranges for libraries and applications.
pub const fn is_valid_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The content of a Close frame which has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// The status code.
    pub code: u16,
    /// An explanation for developers; often empty.
    pub reason: &'a str,
}

impl<'a> Close<'a> {
    /// Reads the payload of a Close frame.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Option<Self>, Error> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(Misbehaviour::TruncatedCloseCode.into()),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        if !is_valid_close_code(code) {
            return Err(Misbehaviour::BadCloseCode(code).into());
        }
        let reason = std::str::from_utf8(reason).map_err(|_| InvalidPayload::Utf8)?;
        Ok(Some(Self { code, reason }))
    }
}

/// What to do next to end a connection well (RFC 6455 sections 7.1.1 and 7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseStep {
    /// Nobody has asked to close: go on.
    Open,
    /// Our Close frame is out: send nothing more, read on until the peer's arrives. How long to
    /// wait is for the caller to decide.
    AwaitClose,
    /// Both Close frames were seen and we are the client: wait for the server to end the
    /// transport, so that the waiting TCP state stays off the server's port.
    AwaitEnd,
    /// Nothing is left to say: end the transport, after what is queued has been flushed.
    EndTransport,
}

/// Where a connection stands in the closing handshake. It takes two bytes.
///
/// Each event is told to it once. Methods that return `true` ask for one Close frame to be sent,
/// after which no other frame may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseHandshake {
    sent: bool,
    received: bool,
}

impl CloseHandshake {
    /// A connection that nobody wants to close yet.
    pub const fn new() -> Self {
        Self { sent: false, received: false }
    }

    /// We want to close. `true`: send the Close frame; `false`: one is out already.
    #[must_use = "a Close frame may have to be sent"]
    pub const fn start(&mut self) -> bool {
        !std::mem::replace(&mut self.sent, true)
    }

    /// The peer's Close frame has arrived. `true`: answer it with a Close frame of the same
    /// status code; `false`: it was itself the answer to ours.
    #[must_use = "a Close frame may have to be sent"]
    pub const fn handle_close(&mut self) -> bool {
        self.received = true;
        self.start()
    }

    /// The peer broke a rule. `true`: send a Close frame with the code of the error. There is no
    /// need to wait for an answer from a peer in that state.
    #[must_use = "a Close frame may have to be sent"]
    pub const fn handle_error(&mut self) -> bool {
        self.received = true;
        self.start()
    }

    /// Whether messages, Pings and Pongs may still be sent.
    pub const fn may_send(&self) -> bool {
        !self.sent
    }

    /// What to do next.
    pub const fn step(&self, role: Role) -> CloseStep {
        match (self.sent, self.received, role) {
            (false, _, _) => CloseStep::Open,
            (true, false, _) => CloseStep::AwaitClose,
            (true, true, Role::Client) => CloseStep::AwaitEnd,
            (true, true, Role::Server) => CloseStep::EndTransport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Close, CloseHandshake, CloseStep, is_valid_close_code};
    use crate::config::Role;
    use crate::error::{Error, InvalidPayload, Misbehaviour};

    #[test]
    fn the_side_that_is_asked_answers_once_and_the_server_hangs_up() {
        let (mut client, mut server) = (CloseHandshake::new(), CloseHandshake::new());
        assert!(client.start());
        assert!(!client.may_send());
        assert_eq!(client.step(Role::Client), CloseStep::AwaitClose);

        assert!(server.handle_close());
        assert_eq!(server.step(Role::Server), CloseStep::EndTransport);

        assert!(!client.handle_close());
        assert_eq!(client.step(Role::Client), CloseStep::AwaitEnd);
    }

    #[test]
    fn two_close_frames_that_cross_are_not_answered_again() {
        let mut server = CloseHandshake::new();
        assert_eq!(server.step(Role::Server), CloseStep::Open);
        assert!(server.start());
        assert!(!server.start());
        assert!(!server.handle_close());
        assert_eq!(server.step(Role::Server), CloseStep::EndTransport);
    }

    #[test]
    fn an_error_is_reported_only_if_no_close_frame_is_out() {
        let mut fresh = CloseHandshake::new();
        assert!(fresh.handle_error());
        assert_eq!(fresh.step(Role::Server), CloseStep::EndTransport);
        let mut closing = CloseHandshake::new();
        assert!(closing.start());
        assert!(!closing.handle_error());
    }

    #[test]
    fn close_payloads_are_checked() {
        assert_eq!(Close::parse(b""), Ok(None));
        assert_eq!(Close::parse(&[3]), Err(Misbehaviour::TruncatedCloseCode.into()));
        let bye = Close { code: 1000, reason: "bye" };
        assert_eq!(Close::parse(b"\x03\xe8bye"), Ok(Some(bye)));
        assert_eq!(Close::parse(&[3, 0xe8, 0xff]), Err(Error::from(InvalidPayload::Utf8)));
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert!(!is_valid_close_code(code));
            let fault = Misbehaviour::BadCloseCode(code);
            assert_eq!(Close::parse(&code.to_be_bytes()), Err(fault.into()));
        }
    }
}
