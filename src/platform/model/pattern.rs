//! The form of a text, as a regular expression of the subset that editors read in the same way.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// A pattern has at most so many characters.
const MAX_LENGTH: usize = 1_000;

/// A compiled pattern takes at most so many bytes.
const MAX_SIZE: usize = 1 << 20;

/// What other readers of patterns, such as editors, understand otherwise or not at all.
const REFUSED: [&str; 4] = [r"\p", r"\P", r"\A", r"\z"];

/// A regular expression that a whole text must match.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    whole: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_LENGTH {
            return Err(format!("a pattern has at most {MAX_LENGTH} characters"));
        }
        if let Some(refused) = refused(text) {
            return Err(format!("a pattern cannot have {refused}, which editors do not know"));
        }
        // By itself first: a bracket that it lacks is none that stands around it.
        compiled(text)?;
        Ok(Self { text: text.to_owned(), whole: compiled(&format!(r"\A(?:{text})\z"))? })
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As a pattern that may match anywhere in a text, and does only where it matches the whole.
    #[must_use]
    pub fn anchored(&self) -> String {
        format!("^(?:{})$", self.text)
    }

    /// Does the whole text match?
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The first thing in a pattern that is refused, with what is escaped left out.
fn refused(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '(']) {
        rest = &rest[at..];
        if let Some(word) = REFUSED.iter().find(|word| rest.starts_with(**word)) {
            return Some(format!("`{word}`"));
        }
        if rest.starts_with("(?") && !rest.starts_with("(?:") {
            return Some("`(?` without `:`".to_owned());
        }
        let taken: usize = rest.chars().take(if rest.starts_with('\\') { 2 } else { 1 }).map(char::len_utf8).sum();
        rest = &rest[taken..];
    }
    None
}

fn compiled(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_SIZE).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "this pattern is too large; a `max_length` is not".to_owned(),
        error => {
            let told = error.to_string();
            let reason = told.lines().next_back().map_or("", |line| line.trim_start_matches("error: "));
            format!("this is no pattern: {reason}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        for (pattern, text, expected) in [
            ("[a-z]+", "abc", true),
            ("[a-z]+", "abc1", false),
            ("[a-z]+", "1abc", false),
            ("[a-z]+", "", false),
            ("[a-z]*", "", true),
            ("a|bc", "a", true),
            ("a|bc", "bc", true),
            ("a|bc", "ac", false),
            ("^a$", "a", true),
            ("[a-z]+", "abc\n", false),
            (r"[a-zA-Z0-9_.\- ]+", "Gpt-4o mini_2.0", true),
            (r"[a-zA-Z0-9_.\- ]+", "gpt/4o", false),
            (r"[a-zA-Z0-9_.\- ]+", "größe", false),
            (r"\(\d{3}\)", "(123)", true),
            (r"(?:ab)+", "abab", true),
            (r"\\p+", r"\ppp", true),
            (r"\(?a", "a", true),
            (".", "é", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), expected, "{pattern} {text:?}");
        }
    }

    #[test]
    fn a_bad_pattern_is_told_in_one_line() {
        let long = "a".repeat(MAX_LENGTH + 1);
        for (pattern, expected) in [
            ("[a-z", "this is no pattern: unclosed character class"),
            ("(a", "this is no pattern: unclosed group"),
            ("a)(b", "this is no pattern: unopened group"),
            ("*", "this is no pattern: repetition operator missing expression"),
            ("(?i)a", "a pattern cannot have `(?` without `:`, which editors do not know"),
            ("a(?=b)", "a pattern cannot have `(?` without `:`, which editors do not know"),
            ("(?<name>a)", "a pattern cannot have `(?` without `:`, which editors do not know"),
            (r"[\p{L}]", r"a pattern cannot have `\p`, which editors do not know"),
            (r"\P{L}", r"a pattern cannot have `\P`, which editors do not know"),
            (r"a\z", r"a pattern cannot have `\z`, which editors do not know"),
            (r"\Aa", r"a pattern cannot have `\A`, which editors do not know"),
            ("((a{100}){100}){100}", "this pattern is too large; a `max_length` is not"),
            (long.as_str(), "a pattern has at most 1000 characters"),
        ] {
            assert_eq!(Pattern::new(pattern).map(|p| p.text), Err(expected.to_owned()), "{pattern}");
        }
    }

    #[test]
    fn elsewhere_it_is_anchored() {
        assert_eq!(Pattern::new("a|b").unwrap().anchored(), "^(?:a|b)$");
        assert_eq!(Pattern::new("a|b").unwrap().as_str(), "a|b");
    }
}
