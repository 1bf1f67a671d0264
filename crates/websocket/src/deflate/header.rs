//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1), read in one pass.

const NAME: &[u8] = b"permessage-deflate";

/// The parameters of one permessage-deflate element, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    /// A client may offer it without a value.
    pub(super) client_max_window_bits: Option<Option<u8>>,
}

/// One extension of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    Deflate(Element),
    /// Malformed, or permessage-deflate with parameters it does not have, or with bad or doubled
    /// ones: such an offer must be declined (RFC 7692 section 7.1).
    Invalid,
    Other,
}

/// The extensions of one header in the order of preference.
pub(super) fn extensions(header: &[u8]) -> impl Iterator<Item = Extension> {
    let mut scanner = Scanner { rest: header };
    std::iter::from_fn(move || scanner.extension())
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// Reads an element and the comma behind it. `None` at the end of the header.
    fn extension(&mut self) -> Option<Extension> {
        // Empty elements of a list are allowed (RFC 9110 section 5.6.1.2).
        while self.eat(b',') {}
        if self.rest.is_empty() {
            return None;
        }
        let start = self.rest;
        let extension = self.parameters();
        if extension.is_none() {
            // It may have stopped within quotes.
            self.rest = start;
        }
        self.skip_element();
        Some(extension.unwrap_or(Extension::Invalid))
    }

    fn parameters(&mut self) -> Option<Extension> {
        let is_deflate = self.token()?.eq_ignore_ascii_case(NAME);
        let mut element = Some(Element::default());
        while self.eat(b';') {
            let name = self.token()?;
            let value = if self.eat(b'=') { Some(self.value()?) } else { None };
            element = element.and_then(|element| element.with(name, value));
        }
        if !self.at_end() {
            return None;
        }
        if is_deflate { element.map(Extension::Deflate) } else { Some(Extension::Other) }
    }

    fn at_end(&mut self) -> bool {
        self.skip_space();
        matches!(self.rest, [] | [b',', ..])
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let len = self.rest.iter().take_while(|byte| is_token(**byte)).count();
        let (token, rest) = self.rest.split_at(len);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token, or a token in quotes. Escapes in quotes are left out: no value that this
    /// extension knows can be written with one.
    fn value(&mut self) -> Option<&'a [u8]> {
        if !self.eat(b'"') {
            return self.token();
        }
        let token = self.token()?;
        // Not `eat`, which would skip space within the quotes.
        self.rest = self.rest.strip_prefix(b"\"")?;
        Some(token)
    }

    /// Goes to the comma that ends the element. Commas in quotes do not.
    fn skip_element(&mut self) {
        let (mut quoted, mut escaped) = (false, false);
        let end = self.rest.iter().position(|&byte| {
            if escaped {
                escaped = false;
            } else if quoted && byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                quoted = !quoted;
            }
            byte == b',' && !quoted
        });
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
    }
}

impl Element {
    /// Adds a parameter; `None` if it is unknown, there already, or has a bad value.
    fn with(mut self, name: &[u8], value: Option<&[u8]>) -> Option<Self> {
        let is_new = match (name, value) {
            (b"server_no_context_takeover", None) => {
                !std::mem::replace(&mut self.server_no_context_takeover, true)
            }
            (b"client_no_context_takeover", None) => {
                !std::mem::replace(&mut self.client_no_context_takeover, true)
            }
            (b"server_max_window_bits", Some(value)) => {
                self.server_max_window_bits.replace(window_bits(value)?).is_none()
            }
            (b"client_max_window_bits", Some(value)) => {
                self.client_max_window_bits.replace(Some(window_bits(value)?)).is_none()
            }
            (b"client_max_window_bits", None) => {
                self.client_max_window_bits.replace(None).is_none()
            }
            _ => return None,
        };
        is_new.then_some(self)
    }
}

/// A decimal from 8 to 15 without leading zeros (RFC 7692 section 7.1.2).
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{Element, Extension, extensions};

    fn all(header: &str) -> Vec<Extension> {
        extensions(header.as_bytes()).collect()
    }

    #[test]
    fn offers_are_read_in_order_with_any_spacing_and_quoting() {
        let first = Element { server_max_window_bits: Some(10), ..Element::default() };
        let second = Element { client_max_window_bits: Some(None), ..Element::default() };
        let header = "permessage-deflate ; server_max_window_bits = \"10\",, x-other; a=\",\" ,\t\
                      Permessage-Deflate;client_max_window_bits";
        let expected = [Extension::Deflate(first), Extension::Invalid, Extension::Deflate(second)];
        assert_eq!(all(header), expected);
        assert_eq!(all("foo, bar; x=1"), [Extension::Other, Extension::Other]);
        assert_eq!(all(""), []);
        assert_eq!(all(" , ,"), []);
    }

    #[test]
    fn bad_parameters_spoil_only_their_own_offer() {
        let bad = [
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=\"9",
            "permessage-deflate; server_max_window_bits=\"9 \"",
            "permessage-deflate; ",
            "permessage-deflate;;client_max_window_bits",
            "permessage-deflate client_max_window_bits",
            "permessage-deflate; client_max_window_bits=",
            "=permessage-deflate",
        ];
        for header in bad {
            assert_eq!(all(header), [Extension::Invalid], "{header}");
            if !header.contains("\"9") {
                let both = all(&format!("{header}, permessage-deflate"));
                assert_eq!(both, [Extension::Invalid, Extension::Deflate(Element::default())]);
            }
        }
    }

    #[test]
    fn hostile_bytes_are_read_in_one_pass() {
        for pattern in [&b";"[..], b",", b"\"", b"\"\\", b"\xff\x80", b"a;", b" ", b"a=\"b\","] {
            let header = pattern.repeat(200_000);
            assert!(extensions(&header).all(|e| !matches!(e, Extension::Deflate(_))));
        }
    }
}
