//! Addresses: how people and patchbay name one declared connection, `target/key`.

use std::fmt;
use std::str::FromStr;

/// `target/key`, for example `kore-prod/support-gpt4o`.
///
/// Both parts match `[A-Za-z0-9][A-Za-z0-9._-]*` and are at most 128 bytes, so an address never needs quoting in a
/// shell, a glob, a URL or a state line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    target: String,
    key: String,
}

/// Why a text is no name or address; the message completes “… is not an address: ”.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(&'static str);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for AddressError {}

/// Checks one half of an address: a target's name or a connection's key.
///
/// # Errors
/// Says which rule the name breaks.
pub fn check_name(name: &str) -> Result<(), AddressError> {
    let mut bytes = name.bytes();
    match bytes.next() {
        None => return Err(AddressError("it is empty")),
        Some(b) if !b.is_ascii_alphanumeric() => return Err(AddressError("it must start with a letter or a digit")),
        Some(_) => {}
    }
    if name.len() > 128 {
        return Err(AddressError("it is longer than 128 characters"));
    }
    if bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        Ok(())
    } else {
        Err(AddressError("only letters, digits, `.`, `_` and `-` are allowed"))
    }
}

impl Address {
    /// Joins two names that were checked before; see [`check_name`].
    pub fn new(target: impl Into<String>, key: impl Into<String>) -> Self {
        Self { target: target.into(), key: key.into() }
    }

    /// The target's name.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The connection's key within its target.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.target, self.key)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (target, key) = text.split_once('/').ok_or(AddressError("it has no `/` between target and key"))?;
        check_name(target)?;
        check_name(key)?;
        Ok(Self::new(target, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_print() {
        for text in ["kore-prod/support-gpt4o", "a/b", "T1/k.2_x"] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        let long = format!("t/{}", "k".repeat(129));
        for (text, why) in [
            ("plain", "it has no `/` between target and key"),
            ("/key", "it is empty"),
            ("t/", "it is empty"),
            ("-t/key", "it must start with a letter or a digit"),
            ("t/a b", "only letters, digits, `.`, `_` and `-` are allowed"),
            ("t/a/b", "only letters, digits, `.`, `_` and `-` are allowed"),
            (long.as_str(), "it is longer than 128 characters"),
        ] {
            assert_eq!(text.parse::<Address>().map_err(|e| e.to_string()), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn order_is_by_target_then_key() {
        let mut all: Vec<Address> = ["b/a", "a/c", "a/b"].iter().filter_map(|t| t.parse().ok()).collect();
        all.sort();
        assert_eq!(all.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a/b", "a/c", "b/a"]);
    }
}
