//! Entries: what one line of a state says.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fingerprint::Fingerprint;
use super::line::{LineError, Reader, is_marker, seal, unseal};
use super::record::Record;
use crate::address::Address;

/// The major version that this program reads and writes. Another one is refused.
pub const MAJOR: u64 = 1;
/// The minor version that this program writes. A newer one is read, since it only adds keys and kinds of lines, but
/// not written, since we would not know how to keep its promises.
pub const MINOR: u64 = 0;

/// The line after which a file is a journal: only from here on may a line be torn.
pub const JOURNAL: &str = r#"{"+":"journal","~":"8a5e4d80"}"#;

/// How a header begins. Looked at before the checksum: a newer format must not show as a damaged file.
const HEADER: &str = r#"{"patchbay_state":"#;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major version of the format.
    pub major: u64,
    /// Minor version of the format.
    pub minor: u64,
    /// Which state this is. Two lineages are never merged.
    pub lineage: String,
    /// Keys that this program does not know, kept as they are.
    pub extra: Map<String, Value>,
}

/// An object that is gone, deleted by us or found missing. It outranks older records of the object that come back
/// from another head or a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The connection that the object belonged to.
    pub address: Address,
    /// The API's id.
    pub id: String,
    /// As [`Record::rev`].
    pub rev: u64,
    /// As [`Record::op`].
    pub op: String,
    /// As [`Record::at`].
    pub at: String,
    /// Keys that this program does not know, kept as they are.
    pub extra: Map<String, Value>,
}

/// The announcement of a request: durable before the request leaves, so that no object is ever forgotten, and the
/// claim of its address, so that of two runs only one sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The operation; unique.
    pub op: String,
    /// The connection that is written.
    pub address: Address,
    /// What is going to happen: `create`, `update`, `delete`.
    pub verb: String,
    /// The natural key by which the object is found again.
    pub name: String,
    /// The highest revision of the address that the plan knew.
    pub base: u64,
    /// Who announces it: unique per run, and readable, because it shows in messages.
    pub run: String,
    /// When, RFC 3339.
    pub at: String,
    /// Seconds since 1970 after which the request will not be sent any more.
    pub until: Option<i64>,
    /// Copied from another head by somebody else: shows that the request may have happened, gives no priority.
    pub late: bool,
    /// Fingerprints of the secrets in the request, so that an object found after a crash is recorded with them.
    pub fp: BTreeMap<String, Fingerprint>,
    /// Keys that this program does not know, kept as they are.
    pub extra: Map<String, Value>,
}

impl Intent {
    /// Is it too late for the request, by a clock that shows `now`, seconds since 1970? A minute of grace is for clocks
    /// that differ.
    #[must_use]
    pub fn has_expired(&self, now: i64) -> bool {
        const GRACE: i64 = 60;
        self.until.is_some_and(|until| now > until.saturating_add(GRACE))
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Format and lineage.
    Header(Header),
    /// An object that is there.
    Record(Record),
    /// An object that is gone.
    Tombstone(Tombstone),
    /// A request that may happen.
    Intent(Intent),
    /// It happened, and this is the object now.
    Done {
        /// The intent's operation.
        op: String,
        /// The object.
        record: Box<Record>,
    },
    /// It did not happen, or nothing came of it.
    Void {
        /// The intent's operation.
        op: String,
        /// Why.
        why: String,
    },
    /// From here on the file is a journal.
    Journal,
    /// A kind of line that this program does not know, kept as it is.
    Other(String),
}

impl Entry {
    /// The line, without its line break.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Header(header) => {
                let mut map = Map::new();
                map.insert("patchbay_state".to_owned(), header.major.into());
                if header.minor > 0 {
                    map.insert("minor".to_owned(), header.minor.into());
                }
                map.insert("lineage".to_owned(), header.lineage.as_str().into());
                map.extend(header.extra.clone());
                seal(map)
            }
            Self::Record(record) => seal(record.to_map()),
            Self::Tombstone(tombstone) => seal(tombstone.to_map()),
            Self::Intent(intent) => seal(intent.to_map()),
            Self::Done { op, record } => {
                let mut map = kind("done", op);
                map.insert("rec".to_owned(), record.to_map().into());
                seal(map)
            }
            Self::Void { op, why } => {
                let mut map = kind("void", op);
                map.insert("why".to_owned(), why.as_str().into());
                seal(map)
            }
            Self::Journal => JOURNAL.to_owned(),
            Self::Other(raw) => raw.clone(),
        }
    }

    /// Reads a line, without its line break.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn decode(line: &str) -> Result<Self, LineError> {
        if is_marker(line) {
            return Err(LineError::Marker);
        }
        if let Some(newer) = newer(line) {
            return Err(newer);
        }
        let map = unseal(line)?;
        match map.get("+").and_then(Value::as_str) {
            Some("journal") => Ok(Self::Journal),
            Some("intent") => Intent::from_map(map).map(Self::Intent),
            Some("done") => done(map),
            Some("void") => void(map),
            Some(_) => return Ok(Self::Other(line.to_owned())),
            None if line.starts_with(HEADER) => Header::from_map(map).map(Self::Header),
            None if map.get("gone") == Some(&Value::Bool(true)) => Tombstone::from_map(map).map(Self::Tombstone),
            None if map.contains_key("k") => Record::from_map(map).map(Self::Record),
            None => Err("it is no kind of line that a state has".to_owned()),
        }
        .map_err(LineError::Content)
    }
}

/// `{"+":kind,"op":op`
fn kind(kind: &str, op: &str) -> Map<String, Value> {
    Map::from_iter([("+".to_owned(), Value::from(kind)), ("op".to_owned(), Value::from(op))])
}

/// The error for a header of a newer major version, whatever else that version did to its lines.
fn newer(line: &str) -> Option<LineError> {
    let digits = line.strip_prefix(HEADER)?.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let major = digits[..end].parse::<u64>().ok()?;
    if major <= MAJOR {
        return None;
    }
    let map = serde_json::from_str::<Map<String, Value>>(line).unwrap_or_default();
    Some(LineError::Newer { major, minor: map.get("minor").and_then(Value::as_u64).unwrap_or(0) })
}

fn done(map: Map<String, Value>) -> Result<Entry, String> {
    let mut reader = Reader::new(map);
    let record = Record::from_map(reader.object("rec")?).map_err(|why| format!("`rec`: {why}"))?;
    Ok(Entry::Done { op: reader.text("op")?, record: Box::new(record) })
}

fn void(map: Map<String, Value>) -> Result<Entry, String> {
    let mut reader = Reader::new(map);
    Ok(Entry::Void { op: reader.text("op")?, why: reader.opt_text("why")?.unwrap_or_default() })
}

impl Header {
    fn from_map(map: Map<String, Value>) -> Result<Self, String> {
        let mut reader = Reader::new(map);
        let header = Self {
            major: reader.number("patchbay_state")?,
            minor: reader.opt_number("minor")?.unwrap_or(0),
            lineage: reader.text("lineage")?,
            extra: reader.rest(),
        };
        if header.major == MAJOR { Ok(header) } else { Err(format!("there never was a format {}", header.major)) }
    }
}

impl Tombstone {
    fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::from_iter([
            ("k".to_owned(), Value::from(self.address.to_string())),
            ("id".to_owned(), self.id.as_str().into()),
            ("rev".to_owned(), self.rev.into()),
            ("op".to_owned(), self.op.as_str().into()),
            ("gone".to_owned(), true.into()),
            ("at".to_owned(), self.at.as_str().into()),
        ]);
        map.extend(self.extra.clone());
        map
    }

    fn from_map(map: Map<String, Value>) -> Result<Self, String> {
        let mut reader = Reader::new(map);
        reader.flag("gone")?;
        Ok(Self {
            address: reader.address("k")?,
            id: reader.text("id")?,
            rev: reader.number("rev")?,
            op: reader.text("op")?,
            at: reader.text("at")?,
            extra: reader.rest(),
        })
    }
}

impl Intent {
    fn to_map(&self) -> Map<String, Value> {
        let mut map = kind("intent", &self.op);
        let mut put = |key: &str, value: Value| {
            map.insert(key.to_owned(), value);
        };
        put("k", self.address.to_string().into());
        put("do", self.verb.as_str().into());
        put("name", self.name.as_str().into());
        put("base", self.base.into());
        put("run", self.run.as_str().into());
        if let Some(until) = self.until {
            put("until", until.into());
        }
        put("at", self.at.as_str().into());
        if self.late {
            put("late", true.into());
        }
        if !self.fp.is_empty() {
            put("fp", self.fp.iter().map(|(path, print)| (path.clone(), Value::from(print.as_str()))).collect());
        }
        map.extend(self.extra.clone());
        map
    }

    fn from_map(map: Map<String, Value>) -> Result<Self, String> {
        let mut reader = Reader::new(map);
        reader.text("+")?;
        let mut fp = BTreeMap::new();
        for (path, text) in reader.texts("fp")? {
            let print = Fingerprint::parse(&text).ok_or_else(|| format!("`fp.{path}` is not a fingerprint"))?;
            fp.insert(path, print);
        }
        Ok(Self {
            op: reader.text("op")?,
            address: reader.address("k")?,
            verb: reader.text("do")?,
            name: reader.text("name")?,
            base: reader.number("base")?,
            run: reader.text("run")?,
            at: reader.text("at")?,
            until: reader.opt_seconds("until")?,
            late: reader.flag("late")?,
            fp,
            extra: reader.rest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{LINEAGE, done, header, intent, record, tombstone};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_is_taken_for_lost_a_minute_after_its_deadline() {
        let until = |until| Intent { until, ..intent("01KAHVB0-2", "kore-prod/claude", 4, "01KAHVB0/ci-7/4121") };
        for (deadline, now, expected) in [
            (Some(1_000), 1_000, false),
            (Some(1_000), 1_060, false),
            (Some(1_000), 1_061, true),
            (Some(1_000), -5, false),
            (Some(i64::MAX), i64::MAX, false),
            (None, i64::MAX, false),
        ] {
            assert_eq!(until(deadline).has_expired(now), expected, "{deadline:?} at {now}");
        }
    }

    fn every_kind() -> Vec<Entry> {
        let mut claim = intent("01KAHVB0-2", "kore-prod/claude", 4, "01KAHVB0/ci-7/4121");
        claim.fp.insert("fields.API_KEY".to_owned(), Fingerprint::parse("k47015493:5e21aa90c4d3b7f1086e9d24").unwrap());
        claim.late = true;
        claim.extra.insert("later".to_owned(), json!([1, {"x": null}]));
        vec![
            header(),
            Entry::Record(record("kore-prod/gpt", "cn-1", 3, "01KAHV9E-1")),
            Entry::Tombstone(tombstone("kore-prod/gpt", "cn-0", 2, "01KAHV9D-7")),
            Entry::Intent(intent("01KAHVB0-1", "kore-prod/azure", 0, "01KAHVB0/ci-7/4121")),
            Entry::Intent(claim),
            done(record("kore-prod/azure", "cn-2", 1, "01KAHVB0-1")),
            Entry::Void { op: "01KAHVB0-2".to_owned(), why: "yielded to 01KAHVA9".to_owned() },
            Entry::Journal,
            Entry::Other(seal(Map::from_iter([("+".to_owned(), json!("end")), ("n".to_owned(), json!(1))]))),
        ]
    }

    #[test]
    fn every_kind_comes_back_as_it_was() {
        for entry in every_kind() {
            let line = entry.encode();
            assert_eq!(Entry::decode(&line).as_ref(), Ok(&entry), "{line}");
            assert!(!line.contains('\n'));
        }
    }

    #[test]
    fn the_format_is_pinned() {
        let lines: Vec<String> = every_kind().iter().map(Entry::encode).collect();
        let golden = [
            r#"{"patchbay_state":1,"lineage":"01KAHV6Q2M8Z4T0N5R7W9XJ3CD","~":"531f621a"}"#,
            r#"{"k":"kore-prod/gpt","id":"cn-1","rev":3,"op":"01KAHV9E-1","kind":"openai","name":"Support GPT-4o","host":"https://acme.example/api/public","f":{"model":"0123456789ab"},"at":"2026-11-21T20:41:07Z","~":"e231ea1e"}"#,
            r#"{"k":"kore-prod/gpt","id":"cn-0","rev":2,"op":"01KAHV9D-7","gone":true,"at":"2026-11-21T20:41:08Z","~":"28a12d6b"}"#,
            r#"{"+":"intent","op":"01KAHVB0-1","k":"kore-prod/azure","do":"create","name":"Support GPT-4o","base":0,"run":"01KAHVB0/ci-7/4121","until":1795293700,"at":"2026-11-21T20:41:06Z","~":"8bd8a556"}"#,
            r#"{"+":"intent","op":"01KAHVB0-2","k":"kore-prod/claude","do":"create","name":"Support GPT-4o","base":4,"run":"01KAHVB0/ci-7/4121","until":1795293700,"at":"2026-11-21T20:41:06Z","late":true,"fp":{"fields.API_KEY":"k47015493:5e21aa90c4d3b7f1086e9d24"},"later":[1,{"x":null}],"~":"ee91fd35"}"#,
            r#"{"+":"done","op":"01KAHVB0-1","rec":{"k":"kore-prod/azure","id":"cn-2","rev":1,"op":"01KAHVB0-1","kind":"openai","name":"Support GPT-4o","host":"https://acme.example/api/public","f":{"model":"0123456789ab"},"at":"2026-11-21T20:41:07Z"},"~":"351af82e"}"#,
            r#"{"+":"void","op":"01KAHVB0-2","why":"yielded to 01KAHVA9","~":"dc2aa228"}"#,
            r#"{"+":"journal","~":"8a5e4d80"}"#,
            r#"{"+":"end","n":1,"~":"3bd2441e"}"#,
        ];
        assert_eq!(lines, golden);
    }

    #[test]
    fn a_line_cut_anywhere_is_not_json() {
        for entry in every_kind() {
            let line = entry.encode();
            for end in 0..line.len() {
                assert_eq!(Entry::decode(&line[..end]), Err(LineError::NotJson), "{}", &line[..end]);
            }
        }
    }

    #[test]
    fn versions_are_read_before_the_checksum() {
        let decode = |line: &str| Entry::decode(line);
        assert_eq!(decode(r#"{"patchbay_state":2,"minor":3,"new":true}"#), Err(LineError::Newer { major: 2, minor: 3 }));
        assert_eq!(decode(r#"{"patchbay_state":12, in another manner"#), Err(LineError::Newer { major: 12, minor: 0 }));
        assert_eq!(decode(&format!(r#"{{"patchbay_state":1,"lineage":"{LINEAGE}"}}"#)), Err(LineError::NoSum));
        let minor = header().encode().replace("1,\"lineage", "1,\"minor\":7,\"lineage");
        assert_eq!(decode(&minor), Err(LineError::WrongSum));
        let map = Map::from_iter([
            ("patchbay_state".to_owned(), json!(1)),
            ("minor".to_owned(), json!(7)),
            ("lineage".to_owned(), json!(LINEAGE)),
            ("new".to_owned(), json!({"x": 1})),
        ]);
        let line = seal(map);
        let entry = decode(&line).unwrap();
        assert!(matches!(&entry, Entry::Header(Header { minor: 7, .. })));
        assert_eq!(entry.encode(), line);
    }

    #[test]
    fn markers_and_strangers_are_named() {
        for marker in ["<<<<<<< HEAD", "=======", ">>>>>>> feature", "||||||| 1f2e3d4"] {
            assert_eq!(Entry::decode(marker), Err(LineError::Marker));
        }
        let stranger = seal(Map::from_iter([("x".to_owned(), json!(1))]));
        assert!(matches!(Entry::decode(&stranger), Err(LineError::Content(why)) if why.starts_with("it is no kind")));
        let old = seal(Map::from_iter([("patchbay_state".to_owned(), json!(0)), ("lineage".to_owned(), json!("x"))]));
        assert_eq!(Entry::decode(&old), Err(LineError::Content("there never was a format 0".to_owned())));
    }
}
