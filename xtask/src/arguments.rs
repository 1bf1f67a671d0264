//! A command's arguments: flags, options with a value, and the words that are left.

use std::str::FromStr;

use crate::project::Result;

/// Arguments that are taken one by one; [`Arguments::finish`] refuses what nobody took.
#[derive(Debug)]
pub struct Arguments {
    words: Vec<String>,
}

impl Arguments {
    /// The words behind the command.
    pub fn new(words: &[String]) -> Self {
        Self { words: words.to_vec() }
    }

    /// Takes `--name`, and says whether it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// Takes the first `--name VALUE` or `--name=VALUE`.
    ///
    /// # Errors
    /// The value is missing.
    pub fn option(&mut self, name: &str) -> Result<Option<String>> {
        let inline = format!("{name}=");
        let found = self.words.iter().position(|word| word == name || word.starts_with(&inline));
        let Some(index) = found else { return Ok(None) };
        let word = self.words.remove(index);
        if let Some(value) = word.strip_prefix(&inline) {
            return Ok(Some(value.to_owned()));
        }
        if index == self.words.len() {
            return Err(format!("`{name}` needs a value"));
        }
        Ok(Some(self.words.remove(index)))
    }

    /// Takes every `--name VALUE`; a value may hold several, separated by commas.
    ///
    /// # Errors
    /// A value is missing.
    pub fn list(&mut self, name: &str) -> Result<Vec<String>> {
        let mut values = Vec::new();
        while let Some(value) = self.option(name)? {
            values.extend(value.split(',').filter(|part| !part.is_empty()).map(str::to_owned));
        }
        Ok(values)
    }

    /// Takes `--name N`.
    ///
    /// # Errors
    /// The value is missing or no such number.
    pub fn number<N: FromStr>(&mut self, name: &str) -> Result<Option<N>> {
        let Some(value) = self.option(name)? else { return Ok(None) };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("`{name}` needs a number, not `{value}`")),
        }
    }

    /// Takes the words that are left.
    ///
    /// # Errors
    /// One of them is an option that no command took.
    pub fn rest(self) -> Result<Vec<String>> {
        match self.words.iter().find(|word| word.starts_with('-')) {
            Some(word) => Err(format!("there is no option `{word}`; see `cargo xtask help`")),
            None => Ok(self.words),
        }
    }

    /// Refuses words that nobody took.
    ///
    /// # Errors
    /// There is one.
    pub fn finish(self) -> Result {
        match self.rest()?.first() {
            Some(word) => Err(format!("`{word}` is too much here; see `cargo xtask help`")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn arguments(line: &str) -> Arguments {
        Arguments { words: line.split_whitespace().map(str::to_owned).collect() }
    }

    #[test]
    fn options_are_taken_in_both_spellings() {
        let mut arguments = arguments("--only fmt,tidy --keep-going --only=doc");
        assert!(arguments.flag("--keep-going"));
        assert_eq!(arguments.list("--only").unwrap(), ["fmt", "tidy", "doc"]);
        arguments.finish().unwrap();
    }

    #[test]
    fn a_missing_value_is_named() {
        let error = arguments("--seeds").number::<u64>("--seeds").unwrap_err();
        assert_eq!(error, "`--seeds` needs a value");
        let error = arguments("--seeds ten").number::<u64>("--seeds").unwrap_err();
        assert_eq!(error, "`--seeds` needs a number, not `ten`");
    }

    #[test]
    fn what_nobody_took_is_refused() {
        assert!(arguments("--onyl fmt").finish().unwrap_err().contains("`--onyl`"));
        assert!(arguments("fmt").finish().unwrap_err().contains("`fmt`"));
    }
}
