//! Channel names: `namespace:name`.

use std::fmt;

/// A checked channel name, borrowed: `namespace:name`.
///
/// The namespace is 1 to 32 characters of `a-z 0-9 _ -`; the whole is at most `max` bytes without
/// control characters. Compared byte for byte: no normalisation, so look-alikes never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelName<'a> {
    whole: &'a str,
    namespace: usize,
}

impl<'a> ChannelName<'a> {
    /// Checks a name of at most `max` bytes.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn parse(whole: &'a str, max: usize) -> Result<Self, InvalidChannelName> {
        if whole.len() > max {
            return Err(InvalidChannelName::TooLong { max });
        }
        let (namespace, name) = whole.split_once(':').ok_or(InvalidChannelName::NoNamespace)?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if namespace.is_empty() || namespace.len() > 32 || !namespace.bytes().all(plain) {
            return Err(InvalidChannelName::BadNamespace);
        }
        if name.is_empty() {
            return Err(InvalidChannelName::NoName);
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidChannelName::ControlCharacter);
        }
        Ok(Self { whole, namespace: namespace.len() })
    }

    /// The whole name.
    pub fn as_str(&self) -> &'a str {
        self.whole
    }

    /// The part in front of the first colon.
    pub fn namespace(&self) -> &'a str {
        &self.whole[..self.namespace]
    }
}

/// Why a channel name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidChannelName {
    /// The namespace is not 1 to 32 characters of `a-z 0-9 _ -`.
    BadNamespace,
    /// A control character (U+0000 to U+001F, U+007F to U+009F) is in it.
    ControlCharacter,
    /// Nothing stands behind the colon.
    NoName,
    /// There is no colon.
    NoNamespace,
    /// It has more bytes than allowed.
    TooLong {
        /// How many are allowed.
        max: usize,
    },
}

impl fmt::Display for InvalidChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadNamespace => {
                f.write_str("a channel's namespace is 1 to 32 characters of a-z 0-9 _ -")
            }
            Self::ControlCharacter => f.write_str("a channel's name has no control characters"),
            Self::NoName => f.write_str("a channel is `namespace:name`: the name is missing"),
            Self::NoNamespace => f.write_str("a channel is `namespace:name`: there is no colon"),
            Self::TooLong { max } => write!(f, "a channel's name has at most {max} bytes"),
        }
    }
}

impl std::error::Error for InvalidChannelName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_namespace_and_a_rest() {
        let name = ChannelName::parse("chat:lobby:2", 255).unwrap();
        assert_eq!((name.namespace(), name.as_str()), ("chat", "chat:lobby:2"));
    }

    #[test]
    fn what_is_refused() {
        use InvalidChannelName as E;
        for (name, why) in [
            ("lobby", E::NoNamespace),
            (":lobby", E::BadNamespace),
            ("Chat:lobby", E::BadNamespace),
            ("chat:", E::NoName),
            ("chat:a\0b", E::ControlCharacter),
            ("chat:a\nb", E::ControlCharacter),
            ("chat:123456", E::TooLong { max: 10 }),
        ] {
            assert_eq!(ChannelName::parse(name, 10), Err(why), "{name:?}");
        }
    }
}
