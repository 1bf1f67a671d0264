//! What the echo server and the echo client have in common: reading an HTTP head, and a
//! connection that sends back what it gets.

use std::io;

use tidings_websocket::{
    Close, CloseHandshake, CloseStep, Config, Decoder, DeflateConfig, DeflateParams, Deflater,
    Error, Head, Inflater, Item, MessageKind, Role, encode,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Group 9 of Autobahn's cases has messages of 16 MiB and fragments by the hundred thousand.
const CONFIG: Config =
    Config { max_frame: 16 << 20, max_message: 16 << 20, max_fragments: 16 << 20 };

/// Leaves every choice to the peer, so that all of them are exercised.
pub(crate) const LENIENT: DeflateConfig = DeflateConfig {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
    min_server_window_bits: 9,
};

const MAX_HTTP_HEAD: usize = 16 << 10;

/// The head of a request or response.
pub(crate) struct HttpHead {
    bytes: Vec<u8>,
}

impl HttpHead {
    /// Reads up to the empty line and returns what came after it as well.
    pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<(Self, Vec<u8>)> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return Ok((Self { bytes }, rest));
            }
            if bytes.len() > MAX_HTTP_HEAD || stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// The request line or the status line.
    pub(crate) fn first_line(&self) -> &[u8] {
        self.lines().next().unwrap_or_default()
    }

    /// The values of all headers of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines().skip(1).filter_map(move |line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (found, value) = line.split_at(colon);
            found.eq_ignore_ascii_case(name.as_bytes()).then(|| value[1..].trim_ascii())
        })
    }

    /// The value of the first header of this name, or nothing.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> &'a [u8] {
        self.all(name).next().unwrap_or_default()
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end)
    }
}

/// One connection after the opening handshake.
pub(crate) struct Echo {
    role: Role,
    decoder: Decoder,
    codecs: Option<(Deflater, Inflater)>,
    closing: CloseHandshake,
    out: Vec<u8>,
    masks: u32,
    /// The last text message.
    pub(crate) text: String,
}

impl Echo {
    pub(crate) fn new(role: Role, deflate: Option<DeflateParams>) -> Self {
        Self {
            role,
            decoder: Decoder::new(role),
            codecs: deflate.map(|params| (params.deflater(role, 3), params.inflater(role))),
            closing: CloseHandshake::new(),
            out: Vec::new(),
            masks: 0x9e37_79b9,
            text: String::new(),
        }
    }

    /// Echoes until the connection is closed. `bytes` came with the head of the handshake.
    pub(crate) async fn run(
        &mut self,
        stream: &mut TcpStream,
        mut bytes: Vec<u8>,
    ) -> io::Result<()> {
        let mut scratch = vec![0; 64 << 10];
        self.receive(&mut bytes);
        loop {
            stream.write_all(&self.out).await?;
            self.out.clear();
            if self.closing.step(self.role) == CloseStep::EndTransport {
                stream.shutdown().await?;
                // Closing a socket with unread bytes would reset it, and the peer might lose
                // our Close frame over that.
                while stream.read(&mut scratch).await? > 0 {}
                return Ok(());
            }
            match stream.read(&mut scratch).await? {
                0 => return Ok(()),
                n => self.receive(&mut scratch[..n]),
            }
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) {
        let mut decoder = std::mem::replace(&mut self.decoder, Decoder::new(self.role));
        let mut codecs = self.codecs.take();
        let (mut deflater, inflater) = match &mut codecs {
            Some((deflater, inflater)) => (Some(deflater), Some(inflater)),
            None => (None, None),
        };
        let mut reader = decoder.read(&CONFIG, bytes, inflater);
        loop {
            match reader.next_item() {
                Ok(Some(item)) => self.handle(item, deflater.as_deref_mut()),
                Ok(None) => break,
                Err(error) => self.fail(error),
            }
        }
        self.decoder = decoder;
        self.codecs = codecs;
    }

    fn handle(&mut self, item: Item<'_>, deflater: Option<&mut Deflater>) {
        let mask = self.mask();
        match item {
            Item::Close(close) => {
                if self.closing.handle_close() {
                    encode::put_close(&mut self.out, close, mask);
                }
            }
            _ if !self.closing.may_send() => {}
            Item::Binary(payload) => self.echo(MessageKind::Binary, payload, deflater),
            Item::Text(text) => {
                self.text = text.into();
                self.echo(MessageKind::Text, text.as_bytes(), deflater);
            }
            Item::Ping(payload) => {
                let pong = encode::put_pong(&mut self.out, payload, mask);
                pong.expect("a Ping is never too long");
            }
            Item::Pong(_) => {}
        }
    }

    fn echo(&mut self, kind: MessageKind, payload: &[u8], deflater: Option<&mut Deflater>) {
        let head = Head { mask: self.mask(), ..Head::new(kind.into()) };
        // `encode::put_compressed` would send short messages as they are, which is better but
        // raises an exception in kosoku 0.1.0 (cases 13.2.1 and others).
        match deflater.and_then(|deflater| deflater.compress(payload)) {
            Some(small) => encode::put_frame(&mut self.out, Head { rsv1: true, ..head }, &small),
            None => encode::put_frame(&mut self.out, head, payload),
        }
    }

    fn fail(&mut self, error: Error) {
        if self.closing.handle_error() {
            let reason = error.to_string();
            let close = Close { code: error.close_code(), reason: &reason };
            let mask = self.mask();
            encode::put_close(&mut self.out, Some(close), mask);
        }
    }

    /// Not random, which matters to browsers and their scripts only (RFC 6455 section 10.3).
    fn mask(&mut self) -> Option<[u8; 4]> {
        self.masks = self.masks.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        (self.role == Role::Client).then(|| self.masks.to_be_bytes())
    }
}
