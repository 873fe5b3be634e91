//! A record: what is known of one remote object since our last write, or since it was adopted.
//!
//! It holds what the planner's verdicts need and no value of any field: digests of readable ones, keyed fingerprints
//! of secrets and of the masks that the API shows for them. Keys are short, because a state has one line per object.
//!
//! | key | meaning |
//! |---|---|
//! | `k`, `id` | address and remote id; together the identity |
//! | `rev`, `op` | revision of the address and the operation that made it; together the order |
//! | `kind`, `name`, `host` | kind, natural key, base URL of the target |
//! | `f`, `as` | digests of what we wrote, and of what the API showed for it where that differs |
//! | `fp`, `assumed`, `mask` | fingerprints of secrets; which of them we never wrote; what the API showed for them |
//! | `seen` | the watermark right after our write |
//! | `guard`, `deps` | guards that stay when the block leaves the file; what it depends on |
//! | `at` | when |

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fingerprint::Fingerprint;
use super::line::{Reader, texts};
use crate::address::Address;

/// The key in [`Record::extra`] that says, with `open`, that the API's own test is still owed after a write.
pub const TEST: &str = "test";

/// What is known of one secret of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRecord {
    /// The value that we last wrote, or that the files held when the object was adopted.
    pub fp: Fingerprint,
    /// Recorded at adoption: nobody knows whether the API holds this value.
    pub assumed: bool,
    /// What the API showed in the secret's place right after our write.
    pub mask: Option<Fingerprint>,
    /// At which endpoint it did: `read` or `write`. Masks of two endpoints are not compared.
    pub mask_at: Option<String>,
}

/// One remote object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The connection that it belongs to.
    pub address: Address,
    /// The API's id. Two objects under one address stay two records.
    pub id: String,
    /// One more than the highest revision of the address when this was recorded; never a clock.
    pub rev: u64,
    /// The operation that made it; breaks ties and closes its intent.
    pub op: String,
    /// The kind of connection.
    pub kind: String,
    /// The natural key, printable.
    pub name: String,
    /// The target's base URL without a query, so that a state is not applied to another host unnoticed.
    pub host: String,
    /// Per declared readable path, the digest of the value that we last wrote or adopted.
    pub fields: BTreeMap<String, String>,
    /// Per path, the digest of what the API showed right after our write, only where it has a normal form of its own.
    pub stored_as: BTreeMap<String, String>,
    /// Per path, what is known of a secret.
    pub secrets: BTreeMap<String, SecretRecord>,
    /// The watermark right after our write.
    pub seen: Option<String>,
    /// Guards that hold until they are lifted on purpose: removing the block from a file does not lift them.
    pub guards: BTreeSet<String>,
    /// What it depends on, for the order of deletes when the files no longer say it.
    pub depends_on: BTreeSet<Address>,
    /// When it was recorded, RFC 3339. For people; nothing is decided by it.
    pub at: String,
    /// Keys that this program does not know, kept as they are.
    pub extra: Map<String, Value>,
}

impl Record {
    /// As JSON, with nothing that is empty.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(key.to_owned(), value);
        };
        put("k", self.address.to_string().into());
        put("id", self.id.as_str().into());
        put("rev", self.rev.into());
        put("op", self.op.as_str().into());
        put("kind", self.kind.as_str().into());
        put("name", self.name.as_str().into());
        put("host", self.host.as_str().into());
        if !self.fields.is_empty() {
            put("f", texts(&self.fields));
        }
        if !self.stored_as.is_empty() {
            put("as", texts(&self.stored_as));
        }
        self.put_secrets(&mut put);
        if let Some(seen) = &self.seen {
            put("seen", seen.as_str().into());
        }
        if !self.guards.is_empty() {
            put("guard", self.guards.iter().map(String::as_str).collect());
        }
        if !self.depends_on.is_empty() {
            put("deps", self.depends_on.iter().map(ToString::to_string).collect());
        }
        put("at", self.at.as_str().into());
        map.extend(self.extra.clone());
        map
    }

    fn put_secrets(&self, put: &mut dyn FnMut(&str, Value)) {
        let mut prints = Map::new();
        let mut masks = Map::new();
        for (path, secret) in &self.secrets {
            prints.insert(path.clone(), secret.fp.as_str().into());
            if let Some(mask) = &secret.mask {
                let text = match &secret.mask_at {
                    Some(endpoint) => format!("{mask}@{endpoint}"),
                    None => mask.to_string(),
                };
                masks.insert(path.clone(), text.into());
            }
        }
        let assumed: Vec<&str> = self.secrets.iter().filter(|(_, s)| s.assumed).map(|(path, _)| path.as_str()).collect();
        if !prints.is_empty() {
            put("fp", prints.into());
        }
        if !assumed.is_empty() {
            put("assumed", assumed.into());
        }
        if !masks.is_empty() {
            put("mask", masks.into());
        }
    }

    /// Reads what [`Record::to_map`] wrote.
    ///
    /// # Errors
    /// Says which key is missing or makes no sense.
    pub fn from_map(map: Map<String, Value>) -> Result<Self, String> {
        let mut reader = Reader::new(map);
        Ok(Self {
            address: reader.address("k")?,
            id: reader.text("id")?,
            rev: reader.number("rev")?,
            op: reader.text("op")?,
            kind: reader.text("kind")?,
            name: reader.text("name")?,
            host: reader.text("host")?,
            fields: reader.texts("f")?,
            stored_as: reader.texts("as")?,
            secrets: secrets(&mut reader)?,
            seen: reader.opt_text("seen")?,
            guards: reader.list("guard")?,
            depends_on: addresses(reader.list("deps")?)?,
            at: reader.text("at")?,
            extra: reader.rest(),
        })
    }
}

fn secrets(reader: &mut Reader) -> Result<BTreeMap<String, SecretRecord>, String> {
    let mut secrets = BTreeMap::new();
    for (path, text) in reader.texts("fp")? {
        let fp = Fingerprint::parse(&text).ok_or_else(|| format!("`fp.{path}` is not a fingerprint"))?;
        secrets.insert(path, SecretRecord { fp, assumed: false, mask: None, mask_at: None });
    }
    for path in reader.list("assumed")? {
        let secret = secrets.get_mut(&path).ok_or_else(|| format!("`assumed` names `{path}`, which `fp` does not have"))?;
        secret.assumed = true;
    }
    for (path, text) in reader.texts("mask")? {
        let (print, endpoint) = match text.split_once('@') {
            Some((print, endpoint)) => (print, Some(endpoint.to_owned())),
            None => (text.as_str(), None),
        };
        let mask = Fingerprint::parse(print).ok_or_else(|| format!("`mask.{path}` is not a fingerprint"))?;
        let secret = secrets.get_mut(&path).ok_or_else(|| format!("`mask` names `{path}`, which `fp` does not have"))?;
        secret.mask = Some(mask);
        secret.mask_at = endpoint;
    }
    Ok(secrets)
}

fn addresses(texts: BTreeSet<String>) -> Result<BTreeSet<Address>, String> {
    texts
        .into_iter()
        .map(|text| text.parse::<Address>().map_err(|why| format!("`deps` holds `{text}`, which is not an address: {why}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{address, record};
    use super::*;
    use serde_json::json;

    fn print(digit: char) -> Fingerprint {
        Fingerprint::parse(&format!("k47015493:{}", digit.to_string().repeat(24))).unwrap()
    }

    fn typical() -> Record {
        let mut record = record("kore-prod/support-gpt4o", "cn-6f1c2f0a-77d1-4a53-9a0e-2b7d0c1e9f44", 3, "01KAHV9E-1");
        for path in ["connectionName", "model", "provider", "fields.ORG", "llmFeatures.streaming", "headers[key=X].value"] {
            record.fields.insert(path.to_owned(), "4d49c28d0820".to_owned());
        }
        record.stored_as.insert("llmFeatures.streaming".to_owned(), "aaaaaaaaaaaa".to_owned());
        record.secrets = BTreeMap::from([
            (
                "fields.API_KEY".to_owned(),
                SecretRecord { fp: print('1'), assumed: false, mask: Some(print('2')), mask_at: Some("read".to_owned()) },
            ),
            (
                "headers[key=Authorization].value".to_owned(),
                SecretRecord { fp: print('3'), assumed: true, mask: None, mask_at: None },
            ),
        ]);
        record.seen = Some("2026-11-21T20:41:10.123Z".to_owned());
        record.guards = BTreeSet::from(["prevent_destroy".to_owned()]);
        record.depends_on = BTreeSet::from([address("kore-prod/base")]);
        record
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        for record in [typical(), record("t/a", "", 0, "")] {
            assert_eq!(Record::from_map(record.to_map()), Ok(record));
        }
    }

    #[test]
    fn a_typical_record_is_under_a_kilobyte() {
        let text = Value::Object(typical().to_map()).to_string();
        assert!(text.len() < 1000, "{} bytes: {text}", text.len());
    }

    #[test]
    fn unknown_keys_stay_in_their_order() {
        let mut map = typical().to_map();
        map.insert("zebra".to_owned(), json!({"b": [1, 2.5], "a": null}));
        map.insert("ant".to_owned(), json!("ä"));
        let text = Value::Object(map.clone()).to_string();
        let record = Record::from_map(map).unwrap();
        assert_eq!(record.extra.len(), 2);
        assert_eq!(Value::Object(record.to_map()).to_string(), text);
    }

    #[test]
    fn nonsense_is_named() {
        let whole = typical().to_map();
        for (key, value, why) in [
            ("k", json!("plain"), "`k` is not an address: it has no `/` between target and key"),
            ("rev", json!(-1), "`rev` is not a whole number"),
            ("f", json!([1]), "`f` is not an object"),
            ("f", json!({"model": 1}), "`f.model` is not a text"),
            ("fp", json!({"a": "k1:2"}), "`fp.a` is not a fingerprint"),
            ("assumed", json!(["b"]), "`assumed` names `b`, which `fp` does not have"),
            ("mask", json!({"fields.API_KEY": "x@read"}), "`mask.fields.API_KEY` is not a fingerprint"),
            ("guard", json!([1]), "`guard` holds something that is not a text"),
            ("deps", json!(["x"]), "`deps` holds `x`, which is not an address: it has no `/` between target and key"),
        ] {
            let mut map = whole.clone();
            map.insert(key.to_owned(), value);
            assert_eq!(Record::from_map(map), Err(why.to_owned()));
        }
        for key in ["k", "id", "rev", "op", "kind", "name", "host", "at"] {
            let mut map = whole.clone();
            map.shift_remove(key);
            assert_eq!(Record::from_map(map), Err(format!("`{key}` is missing")));
        }
    }
}
