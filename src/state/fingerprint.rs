//! Fingerprints: the only trace of a secret that is kept or shown.
//!
//! Keyed, so that nobody who has the state file alone can test guesses; bound to the lineage, the address and the
//! path, so that one secret in two places does not show as one. Whoever holds the key too can test guesses, and
//! everybody can see *when* a secret changed: that is what a fingerprint does not hide.
//!
//! A fast hash, on purpose: API keys have too much entropy to be guessed, a plan checks thousands of them, and what a
//! slow hash would protect (a weak secret) is protected by the key.

use std::fmt;

use blake3::Hasher;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::base64;

/// The contexts of the derived keys. They are part of the format: another text makes other fingerprints.
const SECRET: &str = "patchbay 2026-11 state secret fingerprint v1";
const MASK: &str = "patchbay 2026-11 state mask fingerprint v1";
const KEY_ID: &str = "patchbay 2026-11 state key id v1";
const KEY_TEXT: &str = "patchbay 2026-11 state key from text v1";
const DIGEST: &str = "patchbay 2026-11 state readable digest v1";

/// `k<8 hex>:<24 hex>`: which key, and 96 bits of the keyed hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Reads one as it is written in a state.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.strip_prefix('k')?.split_once(':')?;
        let is_hex =
            |part: &str, length: usize| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex(key, 8) && is_hex(value, 24)).then(|| Self(text.to_owned()))
    }

    /// The key that it was made with. Fingerprints of two keys cannot be compared: *cannot verify*, not *changed*.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.0.get(1..9).unwrap_or_default()
    }

    /// What people see: `fp:9f2c11`. Enough to tell two values apart, useless for anything else.
    #[must_use]
    pub fn short(&self) -> String {
        format!("fp:{}", self.0.get(10..16).unwrap_or_default())
    }

    /// All of it, as it is written in a state.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The 32 bytes that fingerprints are keyed with. They are kept apart from the state.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// 64 hex digits, as in the key file.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self::new(*hash.as_bytes()))
    }

    /// What people put into a variable: 64 hex digits, base64 of 32 bytes, or any text of at least 32 characters.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(key) = Self::from_hex(text) {
            return Some(key);
        }
        if let Some(bytes) = base64::decode(text).and_then(|bytes| bytes.try_into().ok()) {
            return Some(Self::new(bytes));
        }
        (text.chars().count() >= 32).then(|| Self::new(blake3::derive_key(KEY_TEXT, text.as_bytes())))
    }

    /// Eight hex digits that tell keys apart, and nothing about them.
    #[must_use]
    pub fn id(&self) -> String {
        let id = blake3::Hash::from(blake3::derive_key(KEY_ID, self.0.as_slice())).to_hex();
        id.as_str().chars().take(8).collect()
    }

    /// 64 hex digits, for the key file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        // Room for all of it and a line break: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.0.as_slice() {
            text.push(DIGITS[usize::from(byte >> 4)]);
            text.push(DIGITS[usize::from(byte & 15)]);
        }
        text
    }
}

/// Makes fingerprints for one state.
#[derive(Clone)]
pub struct Fingerprinter {
    secret: Zeroizing<[u8; 32]>,
    mask: Zeroizing<[u8; 32]>,
    key_id: String,
    lineage: String,
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprinter").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Fingerprinter {
    /// For the state of this lineage.
    #[must_use]
    pub fn new(key: &Key, lineage: &str) -> Self {
        let derived = |context: &str| blake3::derive_key(context, key.0.as_slice());
        Self {
            secret: Zeroizing::new(derived(SECRET)),
            mask: Zeroizing::new(derived(MASK)),
            key_id: key.id(),
            lineage: lineage.to_owned(),
        }
    }

    /// As [`Key::id`].
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The fingerprint of a secret that is written to this field of this connection.
    #[must_use]
    pub fn secret(&self, address: &Address, path: &str, value: &str) -> Fingerprint {
        self.make(&self.secret, address, path, value)
    }

    /// The fingerprint of the mask that an API shows for this field. Masks of short secrets say much about them, so
    /// they are not kept readable either.
    #[must_use]
    pub fn mask(&self, address: &Address, path: &str, mask: &str) -> Fingerprint {
        self.make(&self.mask, address, path, mask)
    }

    fn make(&self, key: &[u8; 32], address: &Address, path: &str, value: &str) -> Fingerprint {
        let mut hasher = Hasher::new_keyed(key);
        for part in [self.lineage.as_str(), &address.to_string(), path, value] {
            add(&mut hasher, part);
        }
        let hash = hasher.finalize().to_hex();
        let value: String = hash.as_str().chars().take(24).collect();
        Fingerprint(format!("k{}:{value}", self.key_id))
    }
}

/// The digest of a value that may be read by everybody who may read the API: 12 hex digits, no key. 48 bits tell
/// apart the values that one field takes over the years; they are no protection and need not be one.
#[must_use]
pub fn digest(path: &str, canonical: &str) -> String {
    let mut hasher = Hasher::new_derive_key(DIGEST);
    add(&mut hasher, path);
    add(&mut hasher, canonical);
    hasher.finalize().to_hex().as_str().chars().take(12).collect()
}

/// Each part with its length first: `("ab", "c")` and `("a", "bc")` are two things.
fn add(hasher: &mut Hasher, part: &str) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::samples::address;
    use super::*;

    fn maker(seed: u8, lineage: &str) -> Fingerprinter {
        Fingerprinter::new(&Key::new([seed; 32]), lineage)
    }

    #[test]
    fn fingerprints_are_pinned() {
        // Computed by an independent implementation. Another value here means that every state out there says
        // “changed”.
        let maker = maker(7, "01KAHV6Q2M8Z4T0N5R7W9XJ3CD");
        assert_eq!(maker.key_id(), "cffbe554");
        assert_eq!(
            maker.secret(&address("kore-prod/a"), "fields.API_KEY", "sk-secret").as_str(),
            "kcffbe554:3f49a7c710f869215d77b7e7"
        );
        assert_eq!(
            maker.mask(&address("kore-prod/a"), "fields.API_KEY", "sk-*****").as_str(),
            "kcffbe554:c7497d71f8d3e1656f1b5cd5"
        );
        assert_eq!(digest("model", "\"gpt-4o\""), "4d49c28d0820");
    }

    #[test]
    fn everything_that_differs_makes_a_difference() {
        let base = maker(1, "L").secret(&address("t/a"), "p", "v");
        for other in [
            maker(2, "L").secret(&address("t/a"), "p", "v"),
            maker(1, "M").secret(&address("t/a"), "p", "v"),
            maker(1, "L").secret(&address("t/b"), "p", "v"),
            maker(1, "L").secret(&address("t/a"), "q", "v"),
            maker(1, "L").secret(&address("t/a"), "p", "w"),
            maker(1, "L").secret(&address("t/a"), "pv", ""),
            maker(1, "L").mask(&address("t/a"), "p", "v"),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base, maker(1, "L").secret(&address("t/a"), "p", "v"));
        assert_ne!(digest("a", "bc"), digest("ab", "c"));
    }

    #[test]
    fn long_secrets_that_differ_in_the_last_byte_differ() {
        let long = "x".repeat(5000);
        let maker = maker(1, "L");
        assert_ne!(
            maker.secret(&address("t/a"), "p", &format!("{long}a")),
            maker.secret(&address("t/a"), "p", &format!("{long}b"))
        );
    }

    #[test]
    fn only_the_exact_form_is_a_fingerprint() {
        let text = "k47015493:5e21aa90c4d3b7f1086e9d24";
        let print = Fingerprint::parse(text).unwrap();
        assert_eq!((print.key_id(), print.short().as_str(), print.as_str()), ("47015493", "fp:5e21aa", text));
        for wrong in ["", "k", "k47015493:", "47015493:5e21aa90c4d3b7f1086e9d24", "k47015493:5E21aa90c4d3b7f1086e9d24"] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_hex_or_base64_or_a_long_text() {
        let bytes: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8).unwrap());
        let hex = "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8";
        let base64 = "AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg=";
        for text in [hex, base64, base64.trim_end_matches('='), &format!("  {}\n", hex.to_uppercase())] {
            let key = Key::from_text(text).unwrap();
            assert_eq!(*key.0, bytes, "{text}");
            assert_eq!(key.to_hex().as_str(), hex);
        }
        let long = Key::from_text("correct horse battery staple 2026!").unwrap();
        assert_ne!(*long.0, bytes);
        assert!(Key::from_text("too short to be a key").is_none());
        // Left-over bits, so no base64; long enough to be a text.
        assert_ne!(*Key::from_text("AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Ph=").unwrap().0, bytes);
    }

    #[test]
    fn debug_prints_no_key() {
        let key = Key::new([0xab; 32]);
        assert_eq!(format!("{key:?}"), "Key(..)");
        let shown = format!("{:?}", Fingerprinter::new(&key, "L"));
        assert!(shown.starts_with("Fingerprinter { key_id: ") && !shown.contains("171, 171"), "{shown}");
    }
}
