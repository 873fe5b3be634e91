//! Field paths: one place inside a spec, `fields.API_KEY` or `headers[key=Authorization].value`.

use std::fmt;

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a map.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
    /// The item of a keyed list whose `by` field has this value.
    Item {
        /// The field that tells the items apart.
        by: String,
        /// That field's value.
        value: String,
    },
}

/// A path from the root of a spec to one of its fields. Shared by spans, differences, rules, records and requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<Step>);

impl FieldPath {
    /// The spec itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of plain keys, `a.b.c`; the form that definitions and `ignore_changes` are written in. `[…]` steps as
    /// printed by `Display` are understood too.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[')
                && let Some((step, tail)) = inner.split_once(']')
            {
                steps.push(match (step.parse::<usize>(), step.split_once('=')) {
                    (Ok(index), _) => Step::Index(index),
                    (_, Some((by, value))) => Step::Item { by: by.to_owned(), value: value.to_owned() },
                    _ => Step::Key(step.to_owned()),
                });
                rest = tail.strip_prefix('.').unwrap_or(tail);
                continue;
            }
            // A `[` that is never closed is part of a key.
            let end = rest.find('.').into_iter().chain(rest.find('[').filter(|at| *at > 0 && rest[*at..].contains(']'))).min();
            let end = end.unwrap_or(rest.len());
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
        Self(steps)
    }

    /// The steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// This path, one step longer.
    #[must_use]
    pub fn join(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// This path and a key below it.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.join(Step::Key(key.to_owned()))
    }

    /// This path and the tail of another one.
    #[must_use]
    pub fn concat(&self, tail: &Self) -> Self {
        Self(self.0.iter().chain(&tail.0).cloned().collect())
    }

    /// Is `self` the same place as `prefix` or below it?
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// What of this path comes after `prefix`; `None` if it lies elsewhere.
    #[must_use]
    pub fn below(&self, prefix: &Self) -> Option<Self> {
        self.0.strip_prefix(prefix.0.as_slice()).map(|rest| Self(rest.to_vec()))
    }

    /// The first step, if it is a key: the top-level field that this path belongs to.
    #[must_use]
    pub fn top(&self) -> Option<&str> {
        match self.0.first() {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// The key of the keyed list's item that the path leads through.
    #[must_use]
    pub fn item_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Item { value, .. } => Some(value.as_str()),
            _ => None,
        })
    }

    /// The name that says whether a value is a secret: the key of the keyed list's item, or else the last key.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.item_key().or(self.last_key())
    }

    /// The last key of the path, for messages.
    #[must_use]
    pub fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            _ => None,
        })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if n == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Item { by, value } => write!(f, "[{by}={value}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_they_parse() {
        for text in ["model", "fields.API_KEY", "headers[key=Authorization].value", "promptVars[0].name", "a[2][1]", ""] {
            assert_eq!(FieldPath::parse(text).to_string(), text);
        }
    }

    #[test]
    fn every_text_is_some_path() {
        for text in ["a[b", "[x", "a.[", "]", "[", "..", "a[0", "[]", "a]b[c]"] {
            assert!(FieldPath::parse(text).steps().len() <= text.len(), "{text}");
        }
        assert_eq!(FieldPath::parse("a[b").steps(), [Step::Key("a[b".into())]);
    }

    #[test]
    fn an_item_keeps_dots_in_its_value() {
        let path = FieldPath::parse("headers[key=x.y].value");
        assert_eq!(path.steps()[1], Step::Item { by: "key".into(), value: "x.y".into() });
    }

    #[test]
    fn below_and_beside() {
        let fields = FieldPath::parse("fields");
        assert!(FieldPath::parse("fields.API_KEY").starts_with(&fields));
        assert!(fields.starts_with(&fields));
        assert!(!FieldPath::parse("fieldset").starts_with(&fields));
        assert_eq!(FieldPath::parse("fields.API_KEY").top(), Some("fields"));
        assert_eq!(FieldPath::parse("headers[0].value").last_key(), Some("value"));
    }
}
