//! Values that frames carry: epochs, levels and times.

use std::fmt;
use std::str::FromStr;

/// Identifies an unbroken history of a channel. Another epoch means: some of it was lost.
///
/// On the wire: 16 hexadecimal digits, opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Epoch {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(s, 16).map(Epoch)
    }
}

impl serde::Serialize for Epoch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Epoch {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How far an event got before it was acknowledged.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// In the memory of the server's process: lost when it ends.
    Memory,
    /// Handed to the operating system: survives `kill -9`, not a power failure.
    Os,
    /// Synced to the disk: survives a power failure.
    Fsync,
}

/// A moment: milliseconds since 1970 UTC, written as RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, ms) = (ms / 1000 % 60, ms % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

/// Days since 1970 to year, month and day (Howard Hinnant's `civil_from_days`, for days >= 0).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;
    /// Reads what [`Display`](fmt::Display) has written.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let part = |range: std::ops::Range<usize>| {
            let digits = s.get(range).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u64>().ok()).ok_or(InvalidTimestamp)
        };
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        let (hour, minute) = (part(11..13)?, part(14..16)?);
        let (second, ms) = (part(17..19)?, part(20..23)?);
        let seconds = (hour * 60 + minute) * 60 + second;
        let days = days(year, month, day).ok_or(InvalidTimestamp)?;
        let read = Timestamp(days * 86_400_000 + seconds * 1000 + ms);
        // Whatever else is wrong with it is not written like this.
        if read.to_string() == s { Ok(read) } else { Err(InvalidTimestamp) }
    }
}

/// Not a moment as the server writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a moment as in 2026-05-01T12:00:00.123Z")
    }
}

impl std::error::Error for InvalidTimestamp {}

/// The inverse of [`civil`] (`days_from_civil`); `None` before 1970.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let shifted_year = year.checked_sub(u64::from(month <= 2))?;
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_777_636_800_123, "2026-05-01T12:00:00.123Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(ms)));
        }
    }

    #[test]
    fn what_is_no_moment_is_not_read_as_one() {
        for text in [
            "",
            "now",
            "2026-02-30T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "2026-05-01T12:00:00.123",
            "2026-00-01T12:00:00.123Z",
            "2026-05-01T25:00:00.123Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn an_epoch_comes_back_as_it_was() {
        let epoch = Epoch(0x01f3_a9c2_d47b_e511);
        assert_eq!(epoch.to_string(), "01f3a9c2d47be511");
        assert_eq!("01f3a9c2d47be511".parse(), Ok(epoch));
    }
}
