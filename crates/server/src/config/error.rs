//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// Characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One thing that is wrong, or doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, if the configuration came from a file.
    pub place: Option<Place>,
    /// The key, as `limits.data`; empty if it is about the whole.
    pub key: String,
    /// What is wrong. Never holds a secret.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "\n  {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Why a configuration cannot be used: everything that is wrong with it, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// In the order in which they were found.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn new(
        place: Option<Place>,
        key: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let problem =
            Problem { place, key: key.into(), message: message.into(), remedy: remedy.into() };
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The text of a configuration file. It may hold secrets: `Debug` shows only the path.
#[derive(Clone, Default)]
pub(super) struct Source {
    path: Option<PathBuf>,
    text: String,
}

/// Two configurations are equal when their values are: where they came from does not count.
impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.path)
    }
}

impl Source {
    pub(super) fn new(text: String, path: &Path) -> Self {
        Self { path: Some(path.to_owned()), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What the TOML parser found. Its own `Display` would quote the line, which may be a secret.
    pub(super) fn toml_error(&self, fault: &toml::de::Error) -> ConfigError {
        let place = fault.span().and_then(|span| self.place(span.start));
        let message = fault.message().trim().replace('\n', ": ");
        let remedy = did_you_mean(&message).map_or_else(
            || "see: tidings config reference".into(),
            |name| format!("did you mean `{name}`?"),
        );
        ConfigError::new(place, "", message, remedy)
    }

    /// Where `key` (as `auth.key.0.secret`) stands; if it is not there, the table it belongs in.
    pub(super) fn find(&self, key: &str) -> Option<Place> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut span: Range<usize> = 0..0;
        let mut table = Some(document.get_ref());
        let mut array = None;
        for part in key.split('.') {
            let next = match (table, array) {
                (Some(table), _) => {
                    let table: &DeTable<'_> = table;
                    table
                        .iter()
                        .find(|(name, _)| name.get_ref().as_ref() == part)
                        .map(|(name, value)| (name.span(), value))
                }
                (None, Some(array)) => {
                    let array: &toml::de::DeArray<'_> = array;
                    let index = part.parse::<usize>().ok();
                    index.and_then(|index| array.get(index)).map(|value| (value.span(), value))
                }
                (None, None) => None,
            };
            let Some((place, value)) = next else { break };
            span = place;
            (table, array) = match value.get_ref() {
                DeValue::Table(inner) => (Some(inner), None),
                DeValue::Array(inner) => (None, Some(inner)),
                _ => (None, None),
            };
        }
        self.place(span.start)
    }

    fn place(&self, at: usize) -> Option<Place> {
        let file = self.path.clone()?;
        let before = self.text.get(..at)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some(Place { file, line, column })
    }
}

/// The name nearest to an unknown one, from serde's own words: "unknown field `a`, expected `b`,
/// `c`".
fn did_you_mean(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next().filter(|_| message.starts_with("unknown "))?;
    let close = |name: &&str| strsim::damerau_levenshtein(wrong, name) <= wrong.len().div_ceil(3);
    let best = names.filter(close).min_by_key(|name| strsim::damerau_levenshtein(wrong, name))?;
    Some(best.to_owned())
}
