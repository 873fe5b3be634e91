//! Profiles that are made from a definition: every field is changed, every secret rotated, every class of field changed by
//! others, against a server that is made from the same definition and from what else is known of the vendor.
//!
//! What the story then expects follows from the definition and not from the program: which request may carry a change,
//! what the server has afterwards, what can never be verified.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchbay::path::{FieldPath, Step};
use patchbay::platform::fake::{AsDefined, Fake, Vendor};
use patchbay::platform::model::{Collection, Covers, Definition, Delete, Field, FieldType, Kind, ReadsAs, SecretRule};
use patchbay::platform::sample;
use patchbay::value::Value as Sample;
use serde_json::{Map, Value, json};

use crate::profile::{Does, Drift, Edit, Line, Profile, Rotation, Served, Shows, Strikes, Theirs, any_body, line};

/// What is said by hand of a platform.
pub(crate) struct ByHand {
    /// What the server does besides what the definition says.
    pub(crate) vendor: Arc<dyn Vendor>,
    /// The first and the second value of a field, `kind path`, where a made-up one would not do.
    pub(crate) values: &'static [(&'static str, &'static str, &'static str)],
    /// Has a new object a modification stamp?
    pub(crate) stamps_at_once: bool,
    /// Kinds that are told once without each of these fields, because their server takes one or the other.
    pub(crate) either: &'static [(&'static str, &'static str)],
    /// What else is declared, for kinds that refer to it.
    pub(crate) beside: &'static str,
}

impl Default for ByHand {
    fn default() -> Self {
        Self { vendor: Arc::new(AsDefined), values: &[], stamps_at_once: true, either: &[], beside: "" }
    }
}

/// The profiles of every kind of a definition. `text` is that of a definition that is not built in.
pub(crate) fn profiles(definition: &Definition, text: Option<&str>, by_hand: &ByHand) -> Vec<Profile> {
    let mut seen = Seen::default();
    let mut all = Vec::new();
    for name in definition.kinds.keys() {
        let either: Vec<&str> = by_hand.either.iter().filter(|(kind, _)| kind == name).map(|(_, field)| *field).collect();
        for without in if either.is_empty() { vec![""] } else { either } {
            all.push(Maker { definition, name, by_hand, text, without }.profile(&mut seen));
        }
    }
    all
}

/// What another kind of the same platform has shown already: kinds share their fields and their requests.
#[derive(Default)]
struct Seen {
    drifts: BTreeSet<String>,
    requests: BTreeSet<String>,
}

struct Maker<'d> {
    definition: &'d Definition,
    name: &'d str,
    by_hand: &'d ByHand,
    text: Option<&'d str>,
    /// A field that is left out.
    without: &'d str,
}

/// One place of a spec that has a value of its own.
struct Leaf {
    /// As definitions name it: `headers.value`.
    name: String,
    /// In a spec: `headers[0].value` as a JSON pointer.
    at: String,
    /// As messages name it: `headers[key=Authorization].value`, or the whole that it is compared with.
    unit: String,
    field: Field,
    is_secret: bool,
    /// Does it tell the items of a list apart?
    is_key: bool,
}

impl Maker<'_> {
    fn kind(&self) -> &Kind {
        &self.definition.kinds[self.name]
    }

    fn collection(&self) -> &Collection {
        &self.definition.collections[&self.kind().collection]
    }

    fn profile(&self, seen: &mut Seen) -> Profile {
        let kind = self.kind();
        let first = self.spec(0);
        let second = self.spec(1);
        let leaves = self.leaves(&first);
        let hidden = self.hidden(&leaves);
        let doubts = |why: &str| keep_all(hidden.iter().map(|unit| format!("{unit} {why}")).collect());
        let has_stamp = self.collection().watermark.is_some();
        let base = format!("/{}{}", self.definition.platform, self.definition.base_url.ends_in.as_deref().unwrap_or(""));
        let lines = self.lines(&base);
        let create = self.line(&base, kind.create.method.as_str(), &kind.create.path, &kind.create.query);
        let requests: Vec<&str> = lines.values().flatten().map(|(line, _)| line.as_str()).chain([create.as_str()]).collect();
        let strikes = match (seen.requests.is_empty(), seen.requests.insert(requests.join("\n"))) {
            (true, _) => Strikes::All,
            (false, true) => Strikes::Few,
            (false, false) => Strikes::None,
        };
        Profile {
            platform: keep(self.definition.platform.clone()),
            kind: keep(self.name.to_owned()),
            quirks: if self.without.is_empty() { "" } else { keep(format!("without {}", self.without)) },
            spec: keep(written(&first)),
            create: (create, any_body()),
            create_is_repeated: kind.create.idempotent,
            edits: self.edits(&first, &second, &leaves, &lines["update"]),
            secrets: self.rotations(&leaves, &lines["update"]),
            drifts: self.drifts(&leaves, doubts(if has_stamp { "modified-outside" } else { "no-evidence" }), seen),
            doubts: if has_stamp { &[] } else { doubts("no-evidence") },
            doubts_when_new: if has_stamp && self.by_hand.stamps_at_once { &[] } else { doubts("no-evidence") },
            never_shown: keep_all(self.never_shown(&leaves)),
            twin: self.own_id().is_none().then_some(("", "twin")),
            delete: lines.get("delete").and_then(|lines| lines.first().cloned()),
            gone_is_a_failure: false,
            served: Served::Defined {
                fake: Fake::of_vendor(Arc::new(self.definition.clone()), Arc::clone(&self.by_hand.vendor)),
                list: keep(self.collection().list.path.clone()),
                settings: self.settings(),
                beside: format!("{}{}", self.neighbour(), self.by_hand.beside),
                definition: self.text.map(str::to_owned),
            },
            strikes,
        }
    }

    /// The id, if it is a field of the spec.
    fn own_id(&self) -> Option<&Field> {
        patchbay::platform::parse::field_at(self.kind(), &FieldPath::parse(&self.collection().id))
    }

    /// A request line below the base.
    fn line(&self, base: &str, method: &str, path: &str, query: &indexmap::IndexMap<String, String>) -> String {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{method} {base}{path}{mark}{}", query.join("&"))
    }

    /// The requests that change and delete. Updates by what they cover, several for one field as alternatives.
    fn lines(&self, base: &str) -> BTreeMap<&'static str, Vec<Line>> {
        let kind = self.kind();
        let update = kind.update.iter().map(|v| (self.line(base, v.method.as_str(), &v.path, &v.query), any_body()));
        let mut all = BTreeMap::from([("update", update.collect::<Vec<_>>())]);
        if let Delete::By(delete) = &kind.delete {
            let body = match delete.body.is_empty() {
                true => Value::Null,
                false => Value::Object(delete.body.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
            };
            all.insert("delete", vec![line(&self.line(base, delete.method.as_str(), &delete.path, &delete.query), body)]);
        }
        all
    }

    /// The spec with the first or the second value of every field; a secret is the name of its variable.
    fn spec(&self, n: usize) -> Value {
        let spec = self.kind().fields.iter().filter_map(|(name, field)| {
            let value = self.value(field, name, name, n)?;
            Some((name.clone(), value))
        });
        Value::Object(spec.collect())
    }

    fn value(&self, field: &Field, name: &str, path: &str, n: usize) -> Option<Value> {
        if path == self.without {
            return None;
        }
        let place = format!("{} {path}", self.name);
        let by_hand = |(at, ..): &&(&str, &str, &str)| *at == place || *at == format!("* {path}");
        if let Some((_, first, second)) = self.by_hand.values.iter().find(by_hand) {
            let text = if n == 0 { first } else { second };
            let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{place}: {text}: {e}"));
            return Some(value);
        }
        if !field.fields.is_empty() {
            let inner = field.fields.iter().filter_map(|(name, field)| {
                let value = self.value(field, name, &format!("{path}.{name}"), n)?;
                Some((name.clone(), value))
            });
            return Some(Value::Object(inner.collect()));
        }
        let sample = sample::other(field, name, n).or_else(|| sample::other(field, name, 0))?;
        let mut value = json_of(&sample, path);
        if let (1, Some(by), Some(items)) = (n, &field.keyed_by, value.as_array_mut()) {
            let mut more = items.last().cloned().unwrap();
            more[by] = "X-More".into();
            items.push(more);
        }
        Some(value)
    }

    fn leaves(&self, spec: &Value) -> Vec<Leaf> {
        let mut all = Vec::new();
        collect(&self.kind().fields, spec, &Place::default(), &mut all);
        all
    }

    /// Which updates may carry a change of this field.
    fn covering(&self, leaf: &Leaf) -> Vec<usize> {
        let path = FieldPath::parse(&leaf.name);
        let covers = |covers: &Covers| match covers {
            Covers::All => true,
            Covers::Fields(fields) => fields.iter().any(|field| path.starts_with(&FieldPath::parse(field))),
        };
        (0..self.kind().update.len()).filter(|n| covers(&self.kind().update[*n].covers)).collect()
    }

    fn sends(&self, verbs: &[usize], lines: &[Line]) -> Vec<Line> {
        let alternatives: BTreeSet<&str> = verbs.iter().map(|n| lines[*n].0.as_str()).collect();
        vec![(alternatives.into_iter().collect::<Vec<_>>().join(" | "), any_body())]
    }

    /// All fields that the same requests change, at once; and all that none changes.
    fn edits(&self, first: &Value, second: &Value, leaves: &[Leaf], lines: &[Line]) -> Vec<Edit> {
        let mut groups: BTreeMap<(bool, Vec<usize>), Vec<&Leaf>> = BTreeMap::new();
        for leaf in leaves.iter().filter(|leaf| leaf.field.secret != SecretRule::Always) {
            let verbs = self.covering(leaf);
            groups.entry((verbs.is_empty(), verbs)).or_default().push(leaf);
        }
        let mut now = first.clone();
        let mut edits = Vec::new();
        for ((blocked, verbs), leaves) in groups {
            let mut then = now.clone();
            for leaf in leaves.iter().filter(|leaf| !leaf.is_secret) {
                let Some(list) = leaf.at.strip_suffix(&format!("/{}", leaf.at.rsplit('/').next().unwrap())) else { continue };
                // The items of a keyed list change together with its keys.
                let at = list.rsplit_once('/').filter(|(_, n)| n.parse::<usize>().is_ok()).map_or(leaf.at.as_str(), |(at, _)| at);
                if let (Some(slot), Some(value)) = (then.pointer_mut(at), second.pointer(at)) {
                    *slot = value.clone();
                }
            }
            let changed: Vec<&&Leaf> = leaves.iter().filter(|leaf| then.pointer(&leaf.at) != now.pointer(&leaf.at)).collect();
            let units: BTreeSet<String> = changed.iter().map(|leaf| leaf.unit.clone()).collect();
            if units.is_empty() {
                continue;
            }
            let names: BTreeSet<String> = leaves.iter().map(|leaf| leaf.name.clone()).collect();
            let stored = |leaf: &&&&Leaf| {
                let text = then.pointer(&leaf.at).unwrap_or(&Value::Null).to_string();
                leaf.field.reads_as == ReadsAs::Value && !text.contains("${{")
            };
            let after = changed
                .iter()
                .filter(stored)
                .map(|leaf| (format!("/fields{}", leaf.at), then.pointer(&leaf.at).cloned().unwrap_or_default()));
            edits.push(Edit {
                class: if blocked { "everything that cannot be changed" } else { "everything that these requests change" },
                fields: keep_all(names.into_iter().collect()),
                from: keep(written(&now)),
                to: keep(written(&then)),
                leaves: after.collect(),
                does: if blocked { Does::Blocked } else { Does::Update(self.sends(&verbs, lines)) },
            });
            if !blocked {
                now = then;
            }
        }
        edits
    }

    fn rotations(&self, leaves: &[Leaf], lines: &[Line]) -> Vec<Rotation> {
        let one = |leaf: &Leaf| Rotation {
            field: keep(leaf.name.clone()),
            variable: keep(variable(&leaf.at)),
            first: keep(secret(0, &leaf.at)),
            second: keep(secret(1, &leaf.at)),
            prefix: "",
            at: keep(format!("/fields{}", leaf.at)),
            sends: self.sends(&self.covering(leaf), lines),
        };
        leaves.iter().filter(|leaf| leaf.is_secret).map(one).collect()
    }

    /// What no read shows, as messages name it.
    fn hidden(&self, leaves: &[Leaf]) -> Vec<String> {
        let hidden =
            |leaf: &&Leaf| leaf.is_secret && leaf.field.reads_as != ReadsAs::Value || leaf.field.reads_as == ReadsAs::Nothing;
        let mut units: Vec<String> = Vec::new();
        for leaf in leaves.iter().filter(hidden) {
            if !units.contains(&leaf.unit) {
                units.push(leaf.unit.clone());
            }
        }
        units
    }

    /// What no read shows and is no secret.
    fn never_shown(&self, leaves: &[Leaf]) -> Vec<String> {
        let never = |leaf: &&Leaf| !leaf.is_secret && leaf.field.reads_as == ReadsAs::Nothing;
        leaves.iter().filter(never).map(|leaf| leaf.unit.clone()).collect()
    }

    /// One drift for each class of field, unless another kind showed it.
    fn drifts(&self, leaves: &[Leaf], doubts: &'static [&'static str], seen: &mut Seen) -> Vec<Drift> {
        let mut drifts = Vec::new();
        for leaf in leaves {
            let blocked = self.covering(leaf).is_empty();
            let (field, depth) = (&leaf.field, leaf.at.matches('/').count());
            let class = format!(
                "{:?} {:?} secret {} words {} elsewhere {} nested {}",
                field.kind,
                field.reads_as,
                leaf.is_secret,
                !field.accepted.is_empty(),
                field.read.is_some(),
                depth > 1
            );
            // The id of another object is not known here.
            let is_known = !leaf.unit.contains("${{");
            if leaf.is_key
                || !is_known
                || Some(field.read.as_ref().unwrap_or(&leaf.name)) == Some(&self.collection().id)
                || !seen.drifts.insert(format!("{class} {blocked}"))
            {
                continue;
            }
            let drift = |class: String, theirs, shows| Drift {
                class: keep(class),
                at: keep(format!("/fields{}", leaf.at)),
                theirs,
                path: keep(leaf.unit.clone()),
                shows,
            };
            match (leaf.is_secret, field.reads_as) {
                (true, ReadsAs::Mask) => {
                    let name = leaf.name.rsplit('.').next().unwrap();
                    let mask = |secret: &str| self.by_hand.vendor.mask(name, secret);
                    let (theirs, alike) = (keep(secret(7, &leaf.at)), keep(secret(1, &leaf.at).replacen("other", "alike", 1)));
                    let masked = |secret: &'static str| Theirs::Masked(secret, mask(secret));
                    if mask(theirs) != mask(alike) {
                        drifts.push(drift(format!("a secret that its mask gives away: {class}"), masked(theirs), Shows::Rotate));
                    }
                    drifts.push(drift(format!("a secret behind the same mask: {class}"), masked(alike), Shows::Doubt(doubts)));
                }
                (true, ReadsAs::Value) => {}
                // There is no other word.
                (false, ReadsAs::Value) if field.accepted.len() == 1 => {}
                (is_secret, ReadsAs::Presence | ReadsAs::Nothing) => {
                    let theirs = Theirs::Secret(keep(secret(7, &leaf.at)));
                    let shows = if is_secret && !blocked { Shows::Doubt(doubts) } else { Shows::Unseen(doubts) };
                    drifts.push(drift(format!("what never shows: {class}"), theirs, shows));
                }
                (false, _) => {
                    let shows = if blocked { Shows::Blocked } else { Shows::Update };
                    drifts.push(drift(class, Theirs::Value(theirs(field)), shows));
                }
            }
        }
        drifts
    }

    /// A connection of this kind, or of another one where a kind has one object, under another natural key.
    fn neighbour(&self) -> String {
        let is_free = |kind: &Kind, path: &String| !kind.constants.contains_key(path);
        let (definition, collection) = (self.definition, self.collection());
        let own = collection.natural_key.iter().any(|path| is_free(self.kind(), path));
        let other =
            || definition.kinds.iter().find(|(name, kind)| *name != self.name && kind.collection == self.kind().collection);
        let (name, kind) = match own {
            true => (self.name, self.kind()),
            false => other().map_or_else(|| panic!("{}: no kind can be a neighbour", self.name), |(n, k)| (n.as_str(), k)),
        };
        let maker = Maker { definition, name, by_hand: self.by_hand, text: self.text, without: self.without };
        let mut spec = required(&kind.fields, &maker.spec(0), "", &collection.natural_key);
        for path in &collection.natural_key {
            let pointer = format!("/{}", path.replace('.', "/"));
            if let Some(slot) = spec.pointer_mut(&pointer).filter(|slot| !slot.to_string().contains("${{")) {
                *slot = "neighbour".into();
            }
        }
        let spec = hide(&spec, "${{ env.NEIGHBOUR }}");
        crate::profile::neighbour(name, &spec.to_string())
    }

    /// The target's credentials, and the place of a definition that is not built in.
    fn settings(&self) -> String {
        let Some((name, scheme)) = self.definition.auth.first() else { return String::new() };
        let keys: Vec<String> = scheme.keys(name).iter().map(|key| format!("{key} = \"${{{{ env.CREDENTIAL }}}}\"")).collect();
        let auth = if keys.is_empty() { String::new() } else { format!("auth = {{ {} }}", keys.join(", ")) };
        match self.text {
            Some(_) => format!("{auth}\n\n[platforms.{}]\ndefinition = \"definition.yaml\"", self.definition.platform),
            None => auth,
        }
    }
}

/// Where a walk is.
#[derive(Clone, Default)]
struct Place {
    name: String,
    at: String,
    unit: String,
    /// Is what lies below compared as one with this?
    is_whole: bool,
    /// The field that tells the items of the list apart, and its value here.
    item: Option<(String, String)>,
}

impl Place {
    fn key(&self, name: &str) -> Self {
        let joined = |text: &str| if text.is_empty() { name.to_owned() } else { format!("{text}.{name}") };
        let unit = if self.is_whole { self.unit.clone() } else { joined(&self.unit) };
        Self { name: joined(&self.name), at: format!("{}/{name}", self.at), unit, ..self.clone() }
    }
}

fn collect(fields: &indexmap::IndexMap<String, Field>, spec: &Value, place: &Place, all: &mut Vec<Leaf>) {
    for (name, field) in fields {
        let (here, Some(value)) = (place.key(name), spec.get(name)) else { continue };
        if !field.fields.is_empty() {
            let inner = Place { is_whole: here.is_whole || !field.merge, ..here };
            collect(&field.fields, value, &inner, all);
        } else if let (true, Some(map)) = (field.merge, value.as_object()) {
            // Each key of free content is compared by itself.
            for key in map.keys() {
                let Place { at, unit, .. } = here.key(key);
                let field = Field { kind: FieldType::Any, ..field.clone() };
                all.push(Leaf { name: here.name.clone(), at, unit, field, is_secret: false, is_key: false });
            }
        } else if let (Some(by), Some(items)) = (&field.keyed_by, value.as_array()) {
            for (n, item) in items.iter().enumerate() {
                let key = item[by].as_str().unwrap_or_default().to_owned();
                let step = Step::Item { by: by.clone(), value: key.clone() };
                let unit = if here.is_whole { here.unit.clone() } else { FieldPath::parse(&here.unit).join(step).to_string() };
                let inner = Place { at: format!("{}/{n}", here.at), unit, item: Some((by.clone(), key)), ..here.clone() };
                collect(&field.item, item, &inner, all);
            }
        } else {
            let is_secret = patchbay::platform::parse::is_secret(field, place.item.as_ref().map(|(_, key)| key.as_str()));
            let is_key = place.item.as_ref().is_some_and(|(by, _)| by == name);
            // A secret is compared by itself wherever it sits.
            let unit = if is_secret && here.is_whole { here.at[1..].replace('/', ".") } else { here.unit };
            all.push(Leaf { name: here.name, at: here.at, unit, field: field.clone(), is_secret, is_key });
        }
    }
}

/// What a spec must have: required fields, and the natural key.
fn required(fields: &indexmap::IndexMap<String, Field>, spec: &Value, at: &str, natural_key: &[String]) -> Value {
    let kept = fields.iter().filter_map(|(name, field)| {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let value = spec.get(name)?;
        let is_key = natural_key.iter().any(|key| *key == path || key.starts_with(&format!("{path}.")));
        let value = if field.fields.is_empty() { value.clone() } else { required(&field.fields, value, &path, natural_key) };
        (field.required || is_key).then(|| (name.clone(), value))
    });
    Value::Object(kept.collect::<Map<_, _>>())
}

/// The JSON of a sample, with a variable for each secret.
fn json_of(sample: &Sample, path: &str) -> Value {
    let at = format!("/{}", path.replace('.', "/"));
    fn walk(sample: &Sample, at: &str) -> Value {
        match sample {
            Sample::Secret(_) => format!("${{{{ env.{} }}}}", variable(at)).into(),
            Sample::List(items) => items.iter().enumerate().map(|(n, item)| walk(item, &format!("{at}/{n}"))).collect(),
            Sample::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), walk(v, &format!("{at}/{k}")))).collect()),
            other => other.expose_json().unwrap_or_default(),
        }
    }
    walk(sample, &at)
}

/// `/headers/0/value` → `S_HEADERS_0_VALUE`
fn variable(at: &str) -> String {
    format!("S{}", at.replace(['/', '-', '.'], "_").to_uppercase())
}

/// The values of a secret; masks of up to four characters at an end tell them apart by their end.
fn secret(n: usize, at: &str) -> String {
    format!("sample-{}-secret{}-{n}{n}{n}{n}", if n == 0 { "first" } else { "other" }, at.replace('/', "-"))
}

/// Other people's value.
fn theirs(field: &Field) -> Value {
    match field.kind {
        FieldType::Boolean => json!(true),
        FieldType::Integer => json!(3),
        FieldType::Number => json!(0.25),
        FieldType::String => match field.accepted.first() {
            Some(word) => word.as_str().into(),
            None => "theirs".into(),
        },
        FieldType::Object => json!({ "theirs": "theirs" }),
        FieldType::List | FieldType::Set => match field.accepted.last() {
            Some(word) => json!([word]),
            None => json!(["theirs"]),
        },
        FieldType::Any => "theirs".into(),
    }
}

/// A spec with one text for every variable of its own.
fn hide(value: &Value, with: &str) -> Value {
    match value {
        Value::String(text) if text.starts_with("${{ env.S_") => with.into(),
        Value::Array(items) => items.iter().map(|item| hide(item, with)).collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), hide(v, with))).collect()),
        other => other.clone(),
    }
}

/// As it stands in a file, indented by six.
fn written(spec: &Value) -> String {
    spec.as_object().unwrap().iter().map(|(name, value)| format!("      {name}: {value}\n")).collect()
}

/// Profiles live as long as the tests.
fn keep(text: String) -> &'static str {
    text.leak()
}

fn keep_all(all: Vec<String>) -> &'static [&'static str] {
    all.into_iter().map(keep).collect::<Vec<_>>().leak()
}
