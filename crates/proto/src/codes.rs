//! Every code that a peer can see, declared once.

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal, retryable: $retryable:literal;)*) => {
        /// The `code` of an `error` frame: whose fault it is and what to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $name,)* }

        impl ErrorCode {
            /// All of them, in alphabetical order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// As it is written on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $wire,)* }
            }

            /// What it means, in one sentence.
            pub fn summary(self) -> &'static str {
                match self { $(ErrorCode::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// Whether the same command may succeed later.
            pub fn retryable(self) -> bool {
                match self { $(ErrorCode::$name => $retryable,)* }
            }
        }
    };
}

error_codes! {
    /// The session is subscribed to the channel already.
    AlreadySubscribed = "already_subscribed", retryable: false;
    /// Not JSON, an unknown `type`, a field missing or of the wrong kind.
    BadRequest = "bad_request", retryable: false;
    /// The key has changed since `if_version`; `version` is its present one, 0 if it is absent.
    Conflict = "conflict", retryable: false;
    /// The document was reset: its epoch is another one.
    DocumentReset = "document_reset", retryable: false;
    /// This user may not do this here.
    Forbidden = "forbidden", retryable: false;
    /// `data` does not fit the namespace's schema, `path` says where; or no Yjs update.
    InvalidData = "invalid_data", retryable: false;
    /// A limit on the number of things was met; `limit` names it.
    LimitExceeded = "limit_exceeded", retryable: true;
    /// There is no such namespace, or no such event to change.
    NotFound = "not_found", retryable: false;
    /// Not subscribed to, or not entered in, the channel.
    NotSubscribed = "not_subscribed", retryable: false;
    /// The sequence number does not follow the producer's last one; `expected` would.
    OutOfSequence = "out_of_sequence", retryable: true;
    /// Too many commands: wait for `retry_after`.
    RateLimited = "rate_limited", retryable: true;
    /// A fault of the server.
    Server = "server", retryable: true;
    /// A name, key or `data` is over its limit.
    TooLarge = "too_large", retryable: false;
    /// The token is missing, expired or refused.
    Unauthorized = "unauthorized", retryable: false;
    /// The store cannot take it now, or the application's backend does not answer.
    Unavailable = "unavailable", retryable: true;
}

impl serde::Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

macro_rules! close_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $reason:literal;)*) => {
        /// Why a connection is closed: the code of the `bye` frame and of the WebSocket close.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCode { $($(#[doc = $doc])+ $name,)* }

        impl CloseCode {
            /// All of them, in ascending order.
            pub const ALL: &'static [CloseCode] = &[$(CloseCode::$name,)*];

            /// The number.
            pub fn code(self) -> u16 {
                match self { $(CloseCode::$name => $code,)* }
            }

            /// The `reason` of the `bye` frame.
            pub fn reason(self) -> &'static str {
                match self { $(CloseCode::$name => $reason,)* }
            }

            /// What it means, in one sentence.
            pub fn summary(self) -> &'static str {
                match self { $(CloseCode::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// Whether a client comes back by itself: 44xx stops, everything else comes back.
            pub fn reconnect(self) -> bool {
                !(4400..4500).contains(&self.code())
            }
        }
    };
}

close_codes! {
    /// The server ends.
    GoingAway = 1001, "going_away";
    /// A frame broke RFC 6455.
    ProtocolError = 1002, "protocol_error";
    /// Text that is not UTF-8.
    InvalidPayload = 1007, "invalid_payload";
    /// A message over the frame limit.
    MessageTooBig = 1009, "message_too_big";
    /// Many bad frames in a row, or a binary one.
    BadFrame = 4400, "bad_frame";
    /// The token is not valid.
    TokenRefused = 4401, "token_refused";
    /// Anonymous users are not allowed here.
    Forbidden = 4403, "forbidden";
    /// No such thing.
    NotFound = 4404, "not_found";
    /// No first command in time.
    HelloTimeout = 4408, "hello_timeout";
    /// A newer session took its place.
    Replaced = 4409, "replaced";
    /// Logged out.
    Revoked = 4410, "revoked";
    /// The document was reset: what the client has of it counts no more.
    DocumentReset = 4411, "document_reset";
    /// A message over the limit.
    TooLarge = 4413, "too_large";
    /// None of the client's subprotocols is spoken here.
    UnsupportedVersion = 4426, "unsupported_version";
    /// A fault of the server.
    ServerError = 4500, "server_error";
    /// The token expired: fetch a fresh one, then at once.
    TokenExpired = 4501, "token_expired";
    /// The server is being stopped.
    Draining = 4503, "draining";
    /// The application's backend, which has to be asked, does not answer.
    Unavailable = 4504, "unavailable";
    /// No Pong in time.
    NoPong = 4508, "no_pong";
    /// The client fell too far behind; it recovers what it missed.
    SlowConsumer = 4513, "slow_consumer";
    /// Too much of something.
    RateLimited = 4529, "rate_limited";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_four_hundreds_stop_and_everything_else_comes_back() {
        for code in CloseCode::ALL {
            assert_eq!(code.reconnect(), code.code() / 100 != 44, "{code:?}");
        }
    }

    #[test]
    fn codes_are_listed_in_order_and_once() {
        assert!(CloseCode::ALL.windows(2).all(|w| w[0].code() < w[1].code()));
        assert!(ErrorCode::ALL.windows(2).all(|w| w[0].as_str() < w[1].as_str()));
    }

    #[test]
    fn every_code_is_in_the_protocol_document() {
        let document = include_str!("../../../docs/protocol.md");
        for code in ErrorCode::ALL {
            let retry = if code.retryable() { "yes" } else { "no" };
            let row = document
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", code.as_str())))
                .unwrap_or_else(|| panic!("{} is not in the table of errors", code.as_str()));
            assert!(row.contains(&format!("| {retry}")), "{row}");
        }
        for code in CloseCode::ALL {
            assert!(document.contains(&code.code().to_string()), "{code:?} is not documented");
            let own = code.code() >= 4000;
            assert!(!own || document.contains(&format!("`{}`", code.reason())), "{code:?}");
        }
    }
}
