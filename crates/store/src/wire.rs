//! The inside of records: plain encoding of numbers, texts and bodies, and stable hashes.

use tidings_core::store::{Append, Epoch, Retention, Scoped};

/// A hash of a name that is the same on every machine and in every version: FNV-1a, then mixed.
/// Two names that share one only share the consequences of damage.
pub(crate) fn hash(name: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for b in name.bytes() {
        h = (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    }
    // 0 stands for "no channel" in the log.
    mix(h).max(1)
}

/// Spreads every bit of `x` over all bits (the finisher of splitmix64).
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The epoch that follows `old` in the channel with this hash, given the seed of this opening.
pub(crate) fn next_epoch(seed: u64, channel: u64, old: Epoch) -> Epoch {
    let new = mix(seed ^ mix(channel ^ mix(old.0))).max(1);
    Epoch(if new == old.0 { new ^ 2 } else { new })
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v & 0x7f) as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Takes values off the front of bytes; `None` when they do not hold one.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|b| b[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut v = 0;
        for shift in (0..64).step_by(7) {
            let b = self.u8()?;
            v |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Some(v);
            }
        }
        None
    }

    fn str(&mut self) -> Option<&'a str> {
        let n = usize::try_from(self.varint()?).ok()?;
        std::str::from_utf8(self.bytes(n)?).ok()
    }
}

/// A [`Scoped`] that is borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopedRef<'a> {
    pub(crate) user: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> From<&'a Scoped> for ScopedRef<'a> {
    fn from(s: &'a Scoped) -> ScopedRef<'a> {
        ScopedRef { user: &s.user, name: &s.name }
    }
}

/// A producer's publish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerRef<'a> {
    pub(crate) who: ScopedRef<'a>,
    pub(crate) seq: u64,
    /// The offset it got; `None` if the number was consumed by a refusal.
    pub(crate) offset: Option<u64>,
}

/// An append as it is in the log: an event with its dedup records, or dedup records alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) channel: &'a str,
    pub(crate) epoch: Epoch,
    pub(crate) offset: u64,
    pub(crate) at_ms: u64,
    pub(crate) retention: Retention,
    pub(crate) producer: Option<ProducerRef<'a>>,
    pub(crate) key: Option<ScopedRef<'a>>,
    pub(crate) event: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    pub(crate) fn of(a: &'a Append) -> Row<'a> {
        let offset = a.event.as_ref().map(|_| a.offset);
        let producer = a.producer.as_ref();
        Row {
            channel: &a.channel,
            epoch: a.epoch,
            offset: a.offset,
            at_ms: a.at_ms,
            retention: a.retention,
            producer: producer.map(|(who, seq)| ProducerRef { who: who.into(), seq: *seq, offset }),
            key: a.key.as_ref().map(Into::into),
            event: a.event.as_deref(),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let residue = self.producer.is_some_and(|p| p.offset.is_some()) && self.event.is_none();
        let flags = u8::from(self.event.is_some())
            | u8::from(self.producer.is_some()) << 1
            | u8::from(self.key.is_some()) << 2
            | u8::from(residue) << 3;
        out.push(flags);
        put_head(out, self.channel, self.epoch, self.at_ms, self.retention);
        if let Some(p) = self.producer {
            put_str(out, p.who.user);
            put_str(out, p.who.name);
            put_varint(out, p.seq);
        }
        if let Some(k) = self.key {
            put_str(out, k.user);
            put_str(out, k.name);
        }
        out.extend_from_slice(self.event.unwrap_or_default());
    }

    pub(crate) fn decode(bytes: &'a [u8], offset: u64) -> Option<Row<'a>> {
        let mut r = Reader(bytes);
        let flags = r.u8()?;
        let (channel, epoch, at_ms, retention) = head(&mut r)?;
        let producer = if flags & 2 == 0 {
            None
        } else {
            let who = ScopedRef { user: r.str()?, name: r.str()? };
            let got = if flags & 9 == 0 { None } else { Some(offset) };
            Some(ProducerRef { who, seq: r.varint()?, offset: got })
        };
        let key =
            if flags & 4 == 0 { None } else { Some(ScopedRef { user: r.str()?, name: r.str()? }) };
        let event = (flags & 1 != 0).then_some(r.0);
        Some(Row { channel, epoch, offset, at_ms, retention, producer, key, event })
    }
}

/// What a channel is at this place of the log: written when an epoch changes, and when the
/// records that implied it are about to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State<'a> {
    pub(crate) channel: &'a str,
    pub(crate) epoch: Epoch,
    /// The channel's last offset.
    pub(crate) last: u64,
    /// The first offset that is kept: older ones are gone whatever the log still has.
    pub(crate) low: u64,
    /// From here up to `low` events were lost, which is why there is a new epoch; what is older had
    /// expired. Equal to `low` if none were, or if another record says which.
    pub(crate) given_up: u64,
    /// When the channel was last used.
    pub(crate) at_ms: u64,
    pub(crate) retention: Retention,
}

impl<'a> State<'a> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_head(out, self.channel, self.epoch, self.at_ms, self.retention);
        put_varint(out, self.low);
        put_varint(out, self.given_up);
    }

    pub(crate) fn decode(bytes: &'a [u8], last: u64) -> Option<State<'a>> {
        let mut r = Reader(bytes);
        let (channel, epoch, at_ms, retention) = head(&mut r)?;
        let (low, given_up) = (r.varint()?, r.varint()?);
        Some(State { channel, epoch, last, low, given_up, at_ms, retention })
    }
}

fn put_head(out: &mut Vec<u8>, channel: &str, epoch: Epoch, at_ms: u64, r: Retention) {
    put_str(out, channel);
    out.extend_from_slice(&epoch.0.to_le_bytes());
    put_varint(out, at_ms);
    put_varint(out, u64::from(r.size));
    put_varint(out, r.ttl_ms);
    put_varint(out, r.dedup_ms);
}

fn head<'a>(r: &mut Reader<'a>) -> Option<(&'a str, Epoch, u64, Retention)> {
    let channel = r.str()?;
    let epoch = Epoch(r.u64()?);
    let at_ms = r.varint()?;
    let size = u32::try_from(r.varint()?).ok()?;
    let retention = Retention { size, ttl_ms: r.varint()?, dedup_ms: r.varint()? };
    Some((channel, epoch, at_ms, retention))
}

impl From<ScopedRef<'_>> for Scoped {
    fn from(s: ScopedRef<'_>) -> Scoped {
        Scoped { user: s.user.into(), name: s.name.into() }
    }
}
