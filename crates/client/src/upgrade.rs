//! The HTTP/1.1 upgrade (RFC 6455 section 4.1).

use bytes::BytesMut;
use tidings_proto::SUBPROTOCOL;
use tidings_websocket::handshake;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::tls::Stream;
use crate::{Address, Error};

/// A response's head is not longer than this.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Nor has it more fields.
const FIELDS_MAX: usize = 64;
/// So much of the body of a refusal is shown.
const TEXT_CHARS: usize = 200;

/// Asks for a WebSocket. What came behind the response's head is returned: the first frames.
pub(crate) async fn upgrade(stream: &mut dyn Stream, address: &Address) -> Result<BytesMut, Error> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| Error::lost(std::io::Error::other(error)))?;
    let key = handshake::client_key(nonce);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        path = address.path,
        host = address.authority(),
        version = handshake::VERSION,
    );
    stream.write_all(request.as_bytes()).await.map_err(Error::lost)?;
    stream.flush().await.map_err(Error::lost)?;
    let mut received = BytesMut::with_capacity(4096);
    loop {
        if let Some(length) = read_response(&received, &key)? {
            return Ok(received.split_off(length));
        }
        if received.len() > HEAD_BYTES_MAX {
            return Err(Error::Protocol("the head of its response does not end".into()));
        }
        if stream.read_buf(&mut received).await.map_err(Error::lost)? == 0 {
            return Err(Error::Protocol("it closed the connection without a response".into()));
        }
    }
}

/// The length of the response's head; `None` if it is not complete.
fn read_response(bytes: &[u8], key: &str) -> Result<Option<usize>, Error> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(bytes);
    let parsed = parsed.map_err(|error| Error::Protocol(format!("its response: {error}")))?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    if status != 101 {
        let text: String = String::from_utf8_lossy(&bytes[length..])
            .chars()
            .filter(|c| !c.is_control())
            .take(TEXT_CHARS)
            .collect();
        return Err(Error::Upgrade(status, text.trim().to_owned()));
    }
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map_or(&b""[..], |field| field.value)
    };
    let subprotocol = field("sec-websocket-protocol");
    handshake::check_upgrade(field("upgrade"), field("connection"))
        .and_then(|()| handshake::check_accept(key, field("sec-websocket-accept")))
        .and_then(|()| match subprotocol {
            b"" => Ok(()),
            chosen => handshake::check_subprotocol(chosen, &[SUBPROTOCOL]),
        })
        .and_then(|()| match field("sec-websocket-extensions") {
            b"" => Ok(()),
            _ => Err(handshake::HandshakeError::BadExtension),
        })
        .map_err(|error| Error::Protocol(error.to_string()))?;
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    #[test]
    fn a_response_may_come_in_pieces_and_with_frames_behind_it() {
        let whole = format!("{ACCEPTED}\r\nframes");
        let head = whole.len() - "frames".len();
        for end in 0..whole.len() {
            let length = read_response(&whole.as_bytes()[..end], KEY).unwrap();
            assert_eq!(length, (end >= head).then_some(head));
        }
    }

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let refusal = b"HTTP/1.1 403 Forbidden\r\n\r\nthis origin is not allowed\n";
        let error = read_response(refusal, KEY).unwrap_err().to_string();
        assert!(error.ends_with("status 403: this origin is not allowed"), "{error}");
    }

    #[test]
    fn other_responses_are_refused() {
        for response in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
            "HTTP/1.1 101 X\r\n\r\n".to_owned(),
            format!("{ACCEPTED}Sec-WebSocket-Protocol: other\r\n\r\n"),
            format!("{ACCEPTED}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            ACCEPTED.replace("s3p", "s4p") + "\r\n",
        ] {
            assert!(read_response(response.as_bytes(), KEY).is_err(), "{response}");
        }
    }
}
