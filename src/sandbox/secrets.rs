//! How the sandbox keeps a secret without having it: its masks and a digest are all that outlives the request.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What the vendor puts where a secret was (apis/koreai.md, traps): fifteen stars, in either mask.
const STARS: &str = "***************";

/// Stands before the digest of a value that was itself a mask.
const MASK_MARK: &str = "mask:";

/// A shorter secret shows none of itself: six of eight characters would be nearly all of it.
const SHORTEST_SHOWN: usize = 12;

/// Which of the vendor's two masks is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// In lists and reads: `sk-***************`.
    Read,
    /// In the answer to a write: `sk***************MQAA`.
    Write,
}

/// A secret as it is stored. It stands in an object where the secret stood, as `{"read", "write", "digest"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// The mask that a read shows.
    pub read: String,
    /// The mask that the answer to a write shows.
    pub write: String,
    /// Sixteen hexadecimal digits of the value's blake3 hash, after `mask:` if the value looked like a mask.
    pub digest: String,
}

impl StoredSecret {
    /// What is kept of `value`. A mask is taken like any other key, as the real vendor would take it; only the digest
    /// tells, so that a test can see that somebody wrote one back.
    #[must_use]
    pub fn of(value: &str) -> Self {
        let mark = if looks_masked(value) { MASK_MARK } else { "" };
        Self { read: read_mask(value), write: write_mask(value), digest: format!("{mark}{}", hex(value.as_bytes(), 16)) }
    }

    /// What is kept of `value` where a read shows this mask of it.
    #[must_use]
    pub fn shown_as(value: &str, mask: &str) -> Self {
        Self { read: mask.to_owned(), ..Self::of(value) }
    }

    /// The stored secret that `value` stands for, if it does.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let part = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { read: part("read")?, write: part("write")?, digest: part("digest")? })
    }

    /// The form in which it stands in an object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({"read": self.read, "write": self.write, "digest": self.digest})
    }

    /// Was the stored value a mask?
    #[must_use]
    pub fn is_mask(&self) -> bool {
        self.digest.starts_with(MASK_MARK)
    }

    /// Was the stored value this one?
    #[must_use]
    pub fn holds(&self, value: &str) -> bool {
        self.digest == Self::of(value).digest
    }

    /// Replaces a text by its stored form; anything else stays.
    pub(super) fn seal(slot: &mut Value) {
        let sealed = slot.as_str().map(|text| Self::of(text).to_value());
        if let Some(sealed) = sealed {
            *slot = sealed;
        }
    }

    /// Replaces a stored secret by one of its masks; anything else stays.
    pub(super) fn show(slot: &mut Value, mask: Mask) {
        if let Some(stored) = Self::from_value(slot) {
            *slot = Value::String(match mask {
                Mask::Read => stored.read,
                Mask::Write => stored.write,
            });
        }
    }
}

/// Does the value look like something that an API showed instead of a secret?
pub(super) fn looks_masked(value: &str) -> bool {
    value.contains("***")
}

fn read_mask(value: &str) -> String {
    let prefix = if value.starts_with("sk-") { "sk-" } else { "" };
    format!("{prefix}{STARS}")
}

fn write_mask(value: &str) -> String {
    let characters: Vec<char> = value.chars().collect();
    if characters.len() < SHORTEST_SHOWN {
        return STARS.to_owned();
    }
    let first: String = characters[..2].iter().collect();
    let last: String = characters[characters.len() - 4..].iter().collect();
    format!("{first}{STARS}{last}")
}

/// Does a header of this name carry a credential? The vendor hides these when it shows `headers` at all.
pub(super) fn auth_like(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    header == "cookie" || ["authorization", "key", "token", "secret"].iter().any(|word| header.contains(word))
}

/// The first digits of the blake3 hash.
pub(super) fn hex(bytes: &[u8], digits: usize) -> String {
    blake3::hash(bytes).to_hex().chars().take(digits).collect()
}

/// Names of members that hold a secret in the bodies of the three APIs, and a few for bodies of other ones.
const SECRET_MEMBERS: [&str; 6] = ["api_key", "apikey", "secret", "password", "token", "access_token"];

/// Replaces every secret in a request body by `(secret b3:…)`. It goes by names, at any depth and for all platforms,
/// because the log also takes requests that no handler understood.
pub(super) fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => {
            for item in items {
                redact(item);
            }
        }
        Value::Object(object) => {
            // `{"key": "x-api-key", "value": "…"}` is an entry of a keyed list: its `key` is a name. Anywhere else a
            // member called `key` is a credential (`POST /ai/llm`).
            let entry = object.contains_key("value");
            let credential = object.get("key").and_then(Value::as_str).is_some_and(auth_like);
            for (name, inner) in object {
                let secret = match name.as_str() {
                    "value" => credential,
                    "key" => !entry,
                    other => SECRET_MEMBERS.iter().any(|known| other.eq_ignore_ascii_case(known)),
                };
                match inner {
                    Value::String(text) if secret => *text = placeholder(text),
                    other => redact(other),
                }
            }
        }
        _ => {}
    }
}

/// Replaces every text under one of these names, at any depth.
pub(super) fn redact_named(value: &mut Value, names: &BTreeSet<String>) {
    fn all(value: &mut Value) {
        match value {
            Value::String(text) => *text = placeholder(text),
            Value::Array(items) => items.iter_mut().for_each(all),
            Value::Object(object) => object.values_mut().for_each(all),
            _ => {}
        }
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| redact_named(item, names)),
        Value::Object(object) => {
            for (name, inner) in object {
                if names.contains(name) { all(inner) } else { redact_named(inner, names) }
            }
        }
        _ => {}
    }
}

/// What stands in the log for a secret: enough to see that two are the same.
fn placeholder(secret: &str) -> String {
    format!("(secret b3:{})", hex(secret.as_bytes(), 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_masks() {
        for (key, read, write) in [
            ("sk-proj-0123456789MQAA", "sk-***************", "sk***************MQAA"),
            ("gsk_newkey12345", "***************", "gs***************2345"),
            ("short", "***************", "***************"),
            ("sk-short", "sk-***************", "***************"),
            ("ключ-от-всех-дверей", "***************", "кл***************ерей"),
        ] {
            let stored = StoredSecret::of(key);
            assert_eq!((stored.read.as_str(), stored.write.as_str()), (read, write), "{key}");
            assert!(stored.holds(key) && !stored.holds("another key"), "{key}");
            assert!(!stored.is_mask(), "{key}");
            assert_eq!(StoredSecret::from_value(&stored.to_value()), Some(stored));
        }
    }

    #[test]
    fn a_mask_that_is_written_back_is_marked() {
        for mask in ["sk-***************", "sk***************MQAA", "***"] {
            assert!(StoredSecret::of(mask).is_mask(), "{mask}");
        }
        assert!(!StoredSecret::of("sk-**").is_mask());
    }

    #[test]
    fn a_definition_names_more_secrets() {
        let mut body = json!({"a": {"pass": "x", "plain": "y"}, "deep": {"list": [{"v": "z"}]}, "n": 1});
        redact_named(&mut body, &["pass", "deep"].map(str::to_owned).into());
        let hidden = |text: &str| json!(placeholder(text));
        assert_eq!(body, json!({"a": {"pass": hidden("x"), "plain": "y"}, "deep": {"list": [{"v": hidden("z")}]}, "n": 1}));
    }

    #[test]
    fn headers_that_carry_credentials() {
        for (header, expected) in [
            ("x-api-key", true),
            ("Authorization", true),
            ("X-Auth-Token", true),
            ("client_SECRET", true),
            ("Cookie", true),
            ("Content-Type", false),
            ("x-tenant", false),
        ] {
            assert_eq!(auth_like(header), expected, "{header}");
        }
    }

    #[test]
    fn bodies_lose_their_secrets_and_nothing_else() {
        let mut body = json!({
            "connectionName": "A",
            "fields": {"API_KEY": "canary-1", "api_version": "2024"},
            "headers": [{"key": "Authorization", "value": "Bearer canary-2"}, {"key": "Content-Type", "value": "text/plain"}],
            "inputTokensPath": "usage.prompt_tokens",
            "payload": {"max_tokens": 1024},
            "key": "canary-3",
            "secret": "canary-4",
            "apiKey": "canary-5"
        });
        redact(&mut body);
        let text = body.to_string();
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(body["headers"][0]["key"], "Authorization");
        assert_eq!(body["headers"][1]["value"], "text/plain");
        assert_eq!(body["inputTokensPath"], "usage.prompt_tokens");
        assert_eq!(body["payload"]["max_tokens"], 1024);
        assert_eq!(body["secret"], format!("(secret b3:{})", hex(b"canary-4", 12)));
    }
}
