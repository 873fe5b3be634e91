//! Masks: what an API shows in place of a secret. Negative evidence only: a mask can prove that a live secret is *not*
//! ours, never that it is.

use crate::path::{FieldPath, Step};
use crate::value::Value;

/// The runs of characters that stand for hidden ones.
const HIDDEN: [char; 4] = ['*', '•', '●', '…'];

/// What a mask lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask<'m> {
    /// The text before the hidden part.
    pub prefix: &'m str,
    /// The text after it.
    pub suffix: &'m str,
}

impl<'m> Mask<'m> {
    /// Reads a text as a mask: at least three hidden characters in a row (`...` counts), known ends around them.
    /// `None` for a text of another shape, which then proves nothing.
    #[must_use]
    pub fn read(text: &'m str) -> Option<Self> {
        let hidden = |c: char| HIDDEN.contains(&c);
        if let Some(start) = text.find(hidden) {
            let end = text.rfind(hidden).map(|at| at + text[at..].chars().next().map_or(1, char::len_utf8))?;
            let middle = &text[start..end];
            let ellipsis = middle.contains('…');
            if middle.chars().all(hidden) && (ellipsis || middle.chars().count() >= 3) {
                return Some(Self { prefix: &text[..start], suffix: &text[end..] });
            }
            return None;
        }
        let (prefix, suffix) = text.split_once("...")?;
        let suffix = suffix.trim_start_matches('.');
        (!suffix.contains("...")).then_some(Self { prefix, suffix })
    }

    /// Could this mask have been made from `secret`? The number of hidden characters is ignored: vendors use a fixed one.
    #[must_use]
    pub fn fits(&self, secret: &str) -> bool {
        secret.len() >= self.prefix.len() + self.suffix.len() && secret.starts_with(self.prefix) && secret.ends_with(self.suffix)
    }
}

/// Does a text look like a mask, and so must never be written as a secret?
#[must_use]
pub fn looks_masked(text: &str) -> bool {
    let stars = text.chars().filter(|c| HIDDEN.contains(c)).count();
    Mask::read(text).is_some_and(|m| stars >= 3 || (m.prefix.len() <= 8 && m.suffix.len() <= 8))
}

/// The places of all masks in a live value.
#[must_use]
pub fn masks(value: &Value) -> Vec<FieldPath> {
    fn walk(value: &Value, at: &FieldPath, found: &mut Vec<FieldPath>) {
        match value {
            Value::String(text) if looks_masked(text) => found.push(at.clone()),
            Value::List(list) => list.iter().enumerate().for_each(|(n, item)| walk(item, &at.join(Step::Index(n)), found)),
            Value::Map(map) => map.iter().for_each(|(key, value)| walk(value, &at.key(key), found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, &FieldPath::root(), &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_one_vendor_fit_the_same_key() {
        let key = "sk-proj-abcdefghMQAA";
        for mask in ["sk-***************", "sk***************MQAA", "***************", "sk-...MQAA", "sk-…MQAA", "••••"]
        {
            assert!(Mask::read(mask).unwrap().fits(key), "{mask}");
        }
        for mask in ["sk***************XXXX", "gsk_***************", "sk-proj-zz***"] {
            assert!(!Mask::read(mask).unwrap().fits(key), "{mask}");
        }
    }

    #[test]
    fn other_shapes_prove_nothing() {
        for text in ["sk-proj-abc", "hidden", "", "a*b*c", "**", "[REDACTED]"] {
            assert_eq!(Mask::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_secret_behind_a_static_prefix_is_masked_with_it() {
        let mask = Mask::read("Bearer ***").unwrap();
        assert!(mask.fits("Bearer gsk_1234"));
        assert!(!mask.fits("Basic abc"));
    }

    #[test]
    fn a_mask_shorter_than_its_ends_does_not_fit() {
        assert!(!Mask::read("abc***cde").unwrap().fits("abcde"));
    }

    #[test]
    fn masks_are_not_to_be_written() {
        for text in ["sk-***************", "sk***************MQAA", "sk-...cdef", "••••••••"] {
            assert!(looks_masked(text), "{text}");
        }
        for text in ["sk-proj-abc", "a very long pass phrase... with dots inside", "x*y"] {
            assert!(!looks_masked(text), "{text}");
        }
    }
}
