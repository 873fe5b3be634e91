//! The outer form of a line: one JSON object whose last key `"~"` is the checksum of all bytes before it.
//!
//! The checksum finds accidents (a torn write, a hand edit, a bad merge), not malice. It covers raw bytes, so no
//! canonical JSON is needed and a line with keys that we do not know can be checked like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use crate::address::Address;

/// `,"~":"`, eight hex digits, `"}`.
const SEAL: usize = 16;

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// One of git's conflict markers.
    Marker,
    /// The header of a format that this program does not know.
    Newer {
        /// Its major version.
        major: u64,
        /// Its minor version.
        minor: u64,
    },
    /// Not one whole JSON object: cut off, or no line of ours.
    NotJson,
    /// JSON, but nothing seals it.
    NoSum,
    /// The seal does not fit: somebody edited the line, or a disk did.
    WrongSum,
    /// The seal fits and the content makes no sense; says why.
    Content(String),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marker => f.write_str("a git conflict marker"),
            Self::Newer { major, minor } => write!(f, "format {major}.{minor} is not known"),
            Self::NotJson => f.write_str("it is not a whole JSON object"),
            Self::NoSum => f.write_str("it has no checksum"),
            Self::WrongSum => f.write_str("its checksum differs"),
            Self::Content(why) => f.write_str(why),
        }
    }
}

/// The line for an object: compact JSON with the checksum as its last key. No line break.
pub(super) fn seal(map: Map<String, Value>) -> String {
    let mut body = Value::Object(map).to_string();
    body.pop();
    let sum = crc32c::crc32c(body.as_bytes());
    format!("{body},\"~\":\"{sum:08x}\"}}")
}

/// Does the checksum fit? `None` where there is none.
pub(super) fn sum_holds(line: &str) -> Option<bool> {
    let bytes = line.as_bytes();
    let (body, tail) = bytes.split_at(bytes.len().checked_sub(SEAL)?);
    let stated = tail.strip_prefix(b",\"~\":\"")?.strip_suffix(b"\"}")?;
    Some(stated == format!("{:08x}", crc32c::crc32c(body)).as_bytes())
}

/// The object of a sealed line, without its seal.
///
/// # Errors
/// Says whether the line is cut off, unsealed or changed.
pub(super) fn unseal(line: &str) -> Result<Map<String, Value>, LineError> {
    let sum = sum_holds(line);
    let Ok(mut map) = serde_json::from_str::<Map<String, Value>>(line) else { return Err(LineError::NotJson) };
    match sum {
        Some(true) => {
            map.shift_remove("~");
            Ok(map)
        }
        Some(false) => Err(LineError::WrongSum),
        None => Err(LineError::NoSum),
    }
}

/// One of the four markers that git leaves in a file with conflicts.
pub(super) fn is_marker(line: &str) -> bool {
    ["<<<<<<<", "|||||||", "=======", ">>>>>>>"].iter().any(|marker| line.starts_with(marker))
}

/// A map of texts as JSON.
pub(super) fn texts(map: &BTreeMap<String, String>) -> Value {
    Value::Object(map.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect())
}

/// Takes known keys out of an object, one by one; what stays is what we do not know and keep as it is.
pub(super) struct Reader(Map<String, Value>);

impl Reader {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    pub(super) fn opt_text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.0.shift_remove(key) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{key}` is not a text")),
            None => Ok(None),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<String, String> {
        self.opt_text(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    pub(super) fn address(&mut self, key: &str) -> Result<Address, String> {
        self.text(key)?.parse::<Address>().map_err(|why| format!("`{key}` is not an address: {why}"))
    }

    pub(super) fn opt_number(&mut self, key: &str) -> Result<Option<u64>, String> {
        match self.0.shift_remove(key) {
            Some(value) => value.as_u64().map(Some).ok_or_else(|| format!("`{key}` is not a whole number")),
            None => Ok(None),
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<u64, String> {
        self.opt_number(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    pub(super) fn opt_seconds(&mut self, key: &str) -> Result<Option<i64>, String> {
        match self.0.shift_remove(key) {
            Some(value) => value.as_i64().map(Some).ok_or_else(|| format!("`{key}` is not a whole number")),
            None => Ok(None),
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, String> {
        match self.0.shift_remove(key) {
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(format!("`{key}` is not `true` or `false`")),
            None => Ok(false),
        }
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Map<String, Value>, String> {
        match self.0.shift_remove(key) {
            Some(Value::Object(map)) => Ok(map),
            Some(_) => Err(format!("`{key}` is not an object")),
            None => Ok(Map::new()),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<BTreeMap<String, String>, String> {
        let mut texts = BTreeMap::new();
        for (inner, value) in self.object(key)? {
            let Value::String(text) = value else { return Err(format!("`{key}.{inner}` is not a text")) };
            texts.insert(inner, text);
        }
        Ok(texts)
    }

    pub(super) fn list(&mut self, key: &str) -> Result<BTreeSet<String>, String> {
        let items = match self.0.shift_remove(key) {
            Some(Value::Array(items)) => items,
            Some(_) => return Err(format!("`{key}` is not a list")),
            None => Vec::new(),
        };
        let mut texts = BTreeSet::new();
        for item in items {
            let Value::String(text) = item else { return Err(format!("`{key}` holds something that is not a text")) };
            texts.insert(text);
        }
        Ok(texts)
    }

    /// Everything that nobody asked for.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { return Map::new() };
        map
    }

    #[test]
    fn a_line_ends_with_the_sum_of_what_stands_before_it() {
        let line = seal(map(json!({"+": "journal"})));
        assert_eq!(line, r#"{"+":"journal","~":"8a5e4d80"}"#);
        assert_eq!(unseal(&line), Ok(map(json!({"+": "journal"}))));
    }

    #[test]
    fn every_flaw_has_its_name() {
        for (line, flaw) in [
            (r#"{"+":"journal","~":"8a5e4d8"#, LineError::NotJson),
            (r#"{"+":"journal","~":"8a5e4d80"} "#, LineError::NoSum),
            (r#"{"+":"journal"}"#, LineError::NoSum),
            (r#"{"+":"journal","~":"8a5e4d81"}"#, LineError::WrongSum),
            (r#"{"+":"Journal","~":"8a5e4d80"}"#, LineError::WrongSum),
            (r#"{"+":"journal","~":"8A5E4D80"}"#, LineError::WrongSum),
            ("", LineError::NotJson),
            ("[1]", LineError::NotJson),
            ("größer als zwei Zeichen", LineError::NotJson),
        ] {
            assert_eq!(unseal(line), Err(flaw), "{line}");
        }
    }

    #[test]
    fn any_changed_byte_shows() {
        let line = seal(map(json!({"k": "kore/a", "rev": 3, "name": "ä"})));
        for at in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8_lossy(&bytes).into_owned();
            assert!(unseal(&changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn the_reader_takes_what_it_knows_and_keeps_the_order_of_the_rest() {
        let mut reader = Reader::new(map(json!({"z": 1, "k": "t/a", "b": {"x": [1.5]}, "rev": 7, "a": null})));
        assert_eq!(reader.address("k").map(|a| a.to_string()), Ok("t/a".to_owned()));
        assert_eq!(reader.number("rev"), Ok(7));
        assert_eq!(reader.number("rev"), Err("`rev` is missing".to_owned()));
        assert_eq!(reader.text("z"), Err("`z` is not a text".to_owned()));
        assert_eq!(Value::Object(reader.rest()).to_string(), r#"{"b":{"x":[1.5]},"a":null}"#);
    }
}
