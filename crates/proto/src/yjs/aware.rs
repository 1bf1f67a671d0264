//! Awareness updates: who is there, where their cursors are.

use super::{Fault, MAX_NUMBER, Reader, put_string, put_var_uint};

/// How much an awareness update may have.
#[derive(Clone, Copy, Debug)]
pub struct AwareLimits {
    /// Entries: `awareness_clients`.
    pub entries: usize,
    /// Bytes of a state: `awareness_state`.
    pub state: usize,
    /// Values in values of a state: `depth`.
    pub depth: usize,
}

impl Default for AwareLimits {
    fn default() -> Self {
        Self { entries: 100, state: 4096, depth: 64 }
    }
}

/// What one client says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The number that its document writes with.
    pub client: u64,
    /// Larger each time.
    pub clock: u32,
    /// JSON; `None`: the client is gone.
    pub state: Option<&'a str>,
}

/// Reads an awareness update.
///
/// # Errors
/// [`Fault::Limit`] with the name that [`AwareLimits`] gives, and whatever is wrong with the
/// bytes.
pub fn entries<'a>(bytes: &'a [u8], limits: &AwareLimits) -> Result<Vec<Entry<'a>>, Fault> {
    let mut reader = Reader::new(bytes);
    // A client, a clock and the length of a state.
    let count = reader.count(3)?;
    if count > limits.entries {
        return Err(Fault::Limit("awareness_clients"));
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let client = reader.at_most(MAX_NUMBER)?;
        let clock = u32::try_from(reader.var_uint()?).map_err(|_| Fault::Number)?;
        let state = reader.string()?;
        entries.push(Entry { client, clock, state: read_state(state, limits)? });
    }
    reader.end()?;
    Ok(entries)
}

fn read_state<'a>(text: &'a str, limits: &AwareLimits) -> Result<Option<&'a str>, Fault> {
    if text.len() > limits.state {
        return Err(Fault::Limit("awareness_state"));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Fault::Json)?;
    if crate::depth_exceeds(text, limits.depth) {
        return Err(Fault::Limit("depth"));
    }
    let text = text.trim_ascii();
    Ok((text != "null").then_some(text))
}

/// Writes an awareness update.
pub fn encode(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + 64 * entries.len());
    put_var_uint(&mut out, entries.len() as u64);
    for entry in entries {
        put_var_uint(&mut out, entry.client);
        put_var_uint(&mut out, u64::from(entry.clock));
        put_string(&mut out, entry.state.unwrap_or("null"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Entry<'_>>, Fault> {
        entries(bytes, &AwareLimits { entries: 2, state: 16, depth: 3 })
    }

    fn state(state: &str) -> Vec<u8> {
        encode(&[Entry { client: 1, clock: 1, state: Some(state) }])
    }

    #[test]
    fn states_are_those_of_the_official_packages() {
        let here = Entry { client: 1, clock: 1, state: Some(r#"{"n":"x"}"#) };
        let gone = Entry { client: 1, clock: 2, state: None };
        assert_eq!(encode(&[here]), b"\x01\x01\x01\x09{\"n\":\"x\"}");
        assert_eq!(encode(&[gone]), b"\x01\x01\x02\x04null");
        assert_eq!(read(&encode(&[here, gone])), Ok(vec![here, gone]));
        assert_eq!(read(&[0]), Ok(vec![]));
    }

    #[test]
    fn a_state_that_would_break_everybody_s_parser_is_refused() {
        assert_eq!(read(&state("{")), Err(Fault::Json));
        assert_eq!(read(&state("undefined")), Err(Fault::Json));
        assert_eq!(read(&state("")), Err(Fault::Json));
        assert_eq!(read(&state("1 2")), Err(Fault::Json));
        assert_eq!(read(&state("[[[[[]]]]]")), Err(Fault::Limit("depth")));
        assert_eq!(read(&state("\"0123456789abcdef\"")), Err(Fault::Limit("awareness_state")));
    }

    #[test]
    fn more_entries_than_allowed_or_than_there_are_bytes_are_refused() {
        let one = Entry { client: 1, clock: 1, state: None };
        assert_eq!(read(&encode(&[one; 3])), Err(Fault::Limit("awareness_clients")));
        assert_eq!(read(&[255, 255, 3, 1, 1, 0]), Err(Fault::Count));
        assert_eq!(read(&[1, 1, 1, 4, b'n']), Err(Fault::Short));
        assert_eq!(read(&[0, 0]), Err(Fault::Trailing));
        assert_eq!(read(b"\x01\x01\x80\x80\x80\x80\x10\x04null"), Err(Fault::Number));
    }
}
