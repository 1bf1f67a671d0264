//! Durations as they are written in the configuration: `250ms`, `10s`, `15m`, `24h`, `7d`.

use std::fmt;
use std::str::FromStr;

/// A duration in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// How many milliseconds.
    pub ms: u64,
}

/// Units, largest first: how a period is shown uses the largest that divides it.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Period {
    /// So many milliseconds.
    pub const fn millis(ms: u64) -> Self {
        Self { ms }
    }

    /// So many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self { ms: secs * 1000 }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms == 0 {
            return f.write_str("0s");
        }
        let fits = UNITS.iter().find(|(_, unit)| self.ms.is_multiple_of(*unit));
        let (name, unit) = fits.copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", self.ms / unit)
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{s:?} is not a duration: write 250ms, 10s, 15m, 24h or 7d");
        let digits = s.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = s.split_at(digits);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(*factor).map(Period::millis).ok_or_else(wrong)
    }
}

impl<'de> serde::Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_written_with_the_largest_unit_that_fits() {
        for text in ["250ms", "10s", "15m", "24h", "7d", "0s", "1500ms", "90s"] {
            let shown = text.parse::<Period>().unwrap().to_string();
            let expected = if text == "24h" { "1d" } else { text };
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "99999999999999999999d", "10y"] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }
}
