//! Request bodies, and the choice of the verb that carries a change.

use super::model::Outline;
use crate::config::desired::Connection;
use crate::path::{FieldPath, Step};
use crate::platform::compare::same;
use crate::platform::exchange::RequestSpec;
use crate::platform::export::written_form;
use crate::platform::mask;
use crate::platform::model::{
    Compare, Covers, Delete, Field, Kind, Nulls, OtherSecrets, PatchForm, ReadBack, ReadsAs, Requires, SecretRule, Semantics,
    Transition, Update,
};
use crate::platform::object::{query_with_id, with_id, with_id_in};
use crate::platform::parse::is_secret;
use crate::value::{Map, Value};

/// The body that creates a connection: the kind's constants and the whole spec.
#[must_use]
pub fn create(kind: &Kind, spec: &Value) -> Value {
    let mut map: Map = kind.constants.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
    if let Value::Map(spec) = spec {
        map.extend(spec.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    Value::Map(map)
}

/// A body with what a verb always says, the object's id among it.
#[must_use]
pub fn with_constants(body: Value, constants: &indexmap::IndexMap<String, serde_json::Value>, id: &str) -> Value {
    match (body, with_id_in(constants, id)) {
        (Value::Map(mut body), Value::Map(constants)) => {
            body.extend(constants);
            Value::Map(body)
        }
        (body, _) => body,
    }
}

/// A chosen update.
#[derive(Debug)]
pub struct Choice<'k> {
    /// The verb.
    pub verb: &'k Update,
    /// Its body.
    pub body: Value,
    /// The secrets in the body that do not change.
    pub resends: Vec<FieldPath>,
    /// Fields that the request may lose.
    pub may_lose: Vec<FieldPath>,
}

impl Choice<'_> {
    /// The request in outline.
    #[must_use]
    pub fn outline(&self, id: &str) -> Outline {
        Outline {
            method: self.verb.method,
            path: with_id(&self.verb.path, id),
            full: self.verb.semantics != Semantics::Merge,
            resends: self.resends.clone(),
            may_lose: self.may_lose.clone(),
        }
    }
}

/// Why no verb can carry a change.
#[derive(Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// The fields that no verb can change.
    pub fields: Vec<FieldPath>,
    /// What a request that covers the change would lose, if that is why it cannot be used.
    pub loses: Vec<FieldPath>,
    /// Would it lose that because it replaces the whole object, and not only a part of it?
    pub replaces: bool,
}

/// The request that makes an object of this spec.
#[must_use]
pub fn create_request(kind: &Kind, spec: &Value) -> RequestSpec {
    let verb = &kind.create;
    RequestSpec {
        method: verb.method,
        path: verb.path.clone(),
        query: query_with_id(&verb.query, ""),
        body: Some(with_constants(create(kind, spec), &verb.body, "")),
        idempotent: verb.idempotent,
    }
}

/// The request that writes this body to an object.
#[must_use]
pub fn update_request(verb: &Update, body: Value, id: &str) -> RequestSpec {
    RequestSpec {
        method: verb.method,
        path: with_id(&verb.path, id),
        query: query_with_id(&verb.query, id),
        body: Some(with_constants(body, &verb.body, id)),
        // The same fields to the same values: sending it twice has the effect of once.
        idempotent: true,
    }
}

/// The verb that covers all of `writes` and needs the fewest secrets; of equals, the first of the definition.
///
/// # Errors
/// If no single verb covers them.
pub fn choose<'k>(
    kind: &'k Kind,
    connection: &Connection,
    writes: &[FieldPath],
    live: Option<&Value>,
) -> Result<Choice<'k>, Uncovered> {
    choices(kind, connection, writes, live).map(|mut all| all.swap_remove(0))
}

/// All verbs that cover `writes`, the one that needs the fewest secrets first. Never empty.
///
/// # Errors
/// If no single verb covers them.
pub fn choices<'k>(
    kind: &'k Kind,
    connection: &Connection,
    writes: &[FieldPath],
    live: Option<&Value>,
) -> Result<Vec<Choice<'k>>, Uncovered> {
    let mut all: Vec<(usize, Choice<'k>)> = Vec::new();
    let (mut loses, mut replaces) = (Vec::new(), true);
    for verb in &kind.update {
        if !writes.iter().all(|path| covers(verb, kind, path, connection, live)) {
            continue;
        }
        let made = match verb.semantics {
            Semantics::Merge => partial(kind, connection, writes, live),
            Semantics::Replace | Semantics::Upsert => full(kind, connection, live),
        };
        let body = match made.and_then(|body| with_ignored(kind, connection, body, live)) {
            Ok(body) => body,
            Err(lost) => {
                (loses, replaces) = (lost, verb.semantics != Semantics::Merge);
                continue;
            }
        };
        if verb.requires == Requires::All && !has_required(kind, &body) {
            continue;
        }
        let carried = secrets_in(kind, &body);
        let cost = carried.len();
        let resends = carried.into_iter().filter(|path| !writes.iter().any(|w| path.starts_with(w))).collect();
        let may_lose = if verb.semantics == Semantics::Merge { Vec::new() } else { unseen(kind, &body) };
        let body = renamed(emptied(kind, body, verb), verb);
        all.push((cost, Choice { verb, body, resends, may_lose }));
    }
    // Stable: of verbs that need equally many secrets, the first of the definition stays first.
    all.sort_by_key(|(cost, _)| *cost);
    if !all.is_empty() {
        return Ok(all.into_iter().map(|(_, choice)| choice).collect());
    }
    let alone = |path: &&FieldPath| !kind.update.iter().any(|verb| covers(verb, kind, path, connection, live));
    let mut fields: Vec<FieldPath> = writes.iter().filter(alone).cloned().collect();
    if fields.is_empty() {
        fields = writes.to_vec();
    }
    Err(Uncovered { fields, loses, replaces })
}

/// The optional fields that are in neither the files nor what a read gave back, where a read gives back only a part:
/// a verb that loses what it is not given may lose them.
fn unseen(kind: &Kind, body: &Value) -> Vec<FieldPath> {
    if kind.read_back == ReadBack::Full {
        return Vec::new();
    }
    let sent = |name: &String| body.as_map().is_some_and(|map| map.contains_key(name));
    kind.fields.keys().filter(|name| !sent(name)).map(|name| FieldPath::root().key(name)).collect()
}

/// A body in which every ignored place that travels along has its live value: others may change it, so we may not
/// change it back. A value that the API does not show cannot be kept that way.
fn with_ignored(kind: &Kind, connection: &Connection, mut body: Value, live: Option<&Value>) -> Result<Value, Vec<FieldPath>> {
    let mut loses = Vec::new();
    for path in &connection.lifecycle.ignore_changes {
        if body.at(path).is_none() {
            continue;
        }
        match live.and_then(|l| l.at(path)) {
            Some(value) if mask::masks(value).is_empty() && !is_shown_secret(kind, path, value) => {
                let field = crate::platform::parse::field_at(kind, path);
                body.replace(path, field.map_or_else(|| value.clone(), |field| written_form(field, value)));
            }
            // Nothing is there, so nothing is overwritten.
            None if kind.read_back == ReadBack::Full && live.is_some() => {}
            _ => loses.push(path.clone()),
        }
    }
    if loses.is_empty() { Ok(body) } else { Err(loses) }
}

fn is_shown_secret(kind: &Kind, path: &FieldPath, value: &Value) -> bool {
    crate::platform::parse::field_at(kind, path).is_some_and(|field| has_secret_field(field, value))
}

/// A body with the fields where this verb takes them.
fn renamed(mut body: Value, verb: &Update) -> Value {
    for (from, to) in &verb.writes_as {
        if let Some(value) = body.take(&FieldPath::parse(from)) {
            body.put(&FieldPath::parse(to), value);
        }
    }
    body
}

/// Where null is ignored, what empties a field stands in its place.
fn emptied(kind: &Kind, mut body: Value, verb: &Update) -> Value {
    if let (Nulls::Ignored, Value::Map(map)) = (verb.nulls, &mut body) {
        for (name, value) in map.iter_mut().filter(|(_, value)| value.is_null()) {
            if let Some(empty) = kind.fields.get(name).and_then(|field| field.emptied_by.as_ref()) {
                *value = Value::String(empty.clone());
            }
        }
    }
    body
}

/// The API's rule behind a blocked change, in words.
#[must_use]
pub fn rule(kind: &Kind, uncovered: &Uncovered) -> String {
    let verbs: Vec<String> = kind
        .update
        .iter()
        .map(|verb| match &verb.covers {
            Covers::All => format!("{} changes every field{}", verb.method.as_str(), emptying(verb)),
            Covers::Fields(fields) => {
                let fields: Vec<String> = fields.iter().map(|f| format!("`{f}`")).collect();
                format!("{} changes only {}{}", verb.method.as_str(), fields.join(", "), emptying(verb))
            }
        })
        .collect();
    let can = if verbs.is_empty() {
        format!("this API cannot change an {} once it exists", kind.title)
    } else if uncovered.loses.is_empty() {
        format!("of an existing {}, {}", kind.title, verbs.join("; "))
    } else {
        let lost: Vec<String> = uncovered.loses.iter().map(|p| format!("`{p}`")).collect();
        let what = match (uncovered.replaces, uncovered.loses.first().and_then(FieldPath::top)) {
            (false, Some(top)) => format!("a change of `{top}` sends all of it"),
            _ => "only a full replacement could make this change".to_owned(),
        };
        format!("{what}, and it would lose {}, which cannot be read back", lost.join(", "))
    };
    match kind.delete {
        // Made anew, it would lack that, too.
        _ if !uncovered.loses.is_empty() => can,
        Delete::None => format!("{can}; and the API has no DELETE, so it cannot be replaced either"),
        Delete::By(_) => format!("{can}; it could be deleted and made anew: lifecycle: {{ replace: true }}"),
    }
}

fn emptying(verb: &Update) -> &'static str {
    if verb.nulls == Nulls::Ignored { ", and takes no notice of null" } else { "" }
}

fn covers(verb: &Update, kind: &Kind, path: &FieldPath, connection: &Connection, live: Option<&Value>) -> bool {
    let covered = match &verb.covers {
        Covers::All => path.top().is_some_and(|top| kind.fields.contains_key(top)),
        Covers::Fields(fields) => fields.iter().any(|f| path.starts_with(&FieldPath::parse(f))),
    };
    let field = path.top().filter(|_| path.steps().len() == 1).and_then(|top| kind.fields.get(top));
    let is_null = || connection.spec.at(path).is_some_and(Value::is_null);
    let stays = verb.nulls == Nulls::Ignored && field.is_some_and(|field| field.emptied_by.is_none()) && is_null();
    covered && !stays && !verb.except.iter().any(|t| excepted(t, kind, path, connection, live))
}

/// An exception holds unless it is certain that it does not: where the value before is unknown, it may be the one.
fn excepted(transition: &Transition, kind: &Kind, path: &FieldPath, connection: &Connection, live: Option<&Value>) -> bool {
    let field_path = FieldPath::parse(&transition.field);
    if *path != field_path {
        return false;
    }
    let rules = crate::platform::parse::field_at(kind, &field_path);
    let is = |value: Option<&Value>, word: &str| match (value.and_then(Value::expose_str), rules) {
        (Some(text), Some(field)) => {
            text == word || field.equals.get(word).is_some_and(|others| others.iter().any(|o| o == text))
        }
        (Some(text), None) => text == word,
        (None, _) => true,
    };
    let to = transition.to.as_deref().is_none_or(|to| is(connection.spec.at(&field_path), to));
    let from = transition.from.as_deref().is_none_or(|from| is(live.and_then(|l| l.at(&field_path)), from));
    to && from
}

/// Only what changes; objects and lists that the API takes whole go whole.
fn partial(kind: &Kind, connection: &Connection, writes: &[FieldPath], live: Option<&Value>) -> Result<Value, Vec<FieldPath>> {
    let mut body = Value::Map(Map::new());
    let mut loses = Vec::new();
    for path in writes {
        let (root, field) = send_root(kind, path);
        if body.at(&root).is_some_and(|v| !v.is_null()) {
            continue;
        }
        let Some(wanted) = connection.spec.at(&root) else { continue };
        let value = match (field, live.and_then(|l| l.at(&root))) {
            (Some(field), Some(live)) if field.merge => with_unmanaged(kind, field, wanted, live, &root, &mut loses),
            _ => wanted.clone(),
        };
        body.put(&root, value);
    }
    if loses.is_empty() { Ok(body) } else { Err(loses) }
}

/// The highest place that goes whole into a partial update when `path` changes.
fn send_root<'k>(kind: &'k Kind, path: &FieldPath) -> (FieldPath, Option<&'k Field>) {
    let mut root = FieldPath::root();
    let mut last: Option<&Field> = None;
    for step in path.steps() {
        let Step::Key(key) = step else { break };
        root = root.key(key);
        last = last.map_or_else(|| kind.fields.get(key), |upper| upper.rules(key));
        if !last.is_some_and(|field| field.merge && field.patch == PatchForm::Parts) {
            break;
        }
    }
    (root, last)
}

/// A merged object with the keys that nobody declared, as they are now. What cannot be sent as it is goes to `loses`.
fn with_unmanaged(kind: &Kind, field: &Field, wanted: &Value, live: &Value, at: &FieldPath, loses: &mut Vec<FieldPath>) -> Value {
    let (Value::Map(wanted), Value::Map(live)) = (wanted, live) else { return wanted.clone() };
    let mut map = wanted.clone();
    for (name, value) in live.iter().filter(|(_, value)| !value.is_null()) {
        let (path, rules) = (at.key(name), field.rules(name));
        // What another field is read from is shown, and not kept.
        if rules.is_none() && kind.reads_from(&path) {
            continue;
        }
        let value = match (map.get(name), rules) {
            (Some(inner), Some(rules)) if rules.merge => Some(with_unmanaged(kind, rules, inner, value, &path, loses)),
            (Some(_), _) => None,
            (None, _) => unmanaged(field, name, value).unwrap_or_else(|hidden| {
                loses.extend(hidden.iter().map(|place| path.concat(place)));
                None
            }),
        };
        if let Some(value) = value {
            map.insert(name.clone(), value);
        }
    }
    Value::Map(map)
}

/// What to send for a live key of a merged object that nobody declared; nothing, if it is kept without that or if the
/// definition does not know it. Fails with the places in it that nobody can read and that would be lost.
fn unmanaged(field: &Field, name: &str, value: &Value) -> Result<Option<Value>, Vec<FieldPath>> {
    let rules = field.rules(name);
    let is_hidden = rules.is_some_and(|rules| is_secret(rules, Some(name)) && rules.reads_as != ReadsAs::Value);
    if is_hidden && *value == Value::Bool(false) {
        // There is none.
        return Ok(None);
    }
    let hidden = if is_hidden { vec![FieldPath::root()] } else { mask::masks(value) };
    let is_known = field.is_free() || rules.is_some();
    match &field.other_secrets {
        _ if hidden.is_empty() => Ok(is_known.then(|| value.clone())),
        OtherSecrets::Kept if hidden.iter().all(|place| place.steps().is_empty()) => Ok(None),
        OtherSecrets::By(text) if hidden.iter().all(|place| value.at(place).and_then(Value::as_str) == Some(&text.kept_by)) => {
            Ok(Some(value.clone()))
        }
        _ => Err(hidden),
    }
}

/// Everything: the whole spec, and what is live and not declared carried forward, since this verb loses what it is not
/// given.
fn full(kind: &Kind, connection: &Connection, live: Option<&Value>) -> Result<Value, Vec<FieldPath>> {
    let mut map = Map::new();
    let mut loses = Vec::new();
    let empty = Map::new();
    let wanted = connection.spec.as_map().unwrap_or(&empty);
    let live = live.and_then(Value::as_map).unwrap_or(&empty);
    for (name, value) in wanted {
        let value = match (kind.fields.get(name), live.get(name)) {
            (Some(field), Some(live)) if field.merge => {
                with_unmanaged(kind, field, value, live, &FieldPath::root().key(name), &mut loses)
            }
            // Where an upsert goes by name and the server minds the case, another spelling would be another object.
            (Some(field), Some(live)) if field.compare == Compare::IgnoreCase && same(field, value, Some(live)) => live.clone(),
            _ => value.clone(),
        };
        map.insert(name.clone(), value);
    }
    for (name, field) in kind.fields.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        let Some(value) = live.get(name).filter(|v| !v.is_null()) else { continue };
        if has_secret_field(field, value) || !mask::masks(value).is_empty() {
            loses.push(FieldPath::root().key(name));
        } else {
            map.insert(name.clone(), written_form(field, value));
        }
    }
    if loses.is_empty() { Ok(Value::Map(map)) } else { Err(loses) }
}

fn has_secret_field(field: &Field, value: &Value) -> bool {
    if field.secret == SecretRule::Always {
        return true;
    }
    match value {
        Value::Map(map) => {
            map.iter().any(|(k, v)| field.rules(k).is_some_and(|f| is_secret(f, Some(k)) || has_secret_field(f, v)))
        }
        Value::List(items) => items.iter().filter_map(Value::as_map).any(|item| {
            let key = field.keyed_by.as_ref().and_then(|by| item.get(by)).and_then(Value::as_str);
            field.item.values().any(|f| is_secret(f, key.or(Some("authorization"))))
        }),
        _ => false,
    }
}

fn has_required(kind: &Kind, body: &Value) -> bool {
    kind.fields
        .iter()
        .filter(|(_, f)| f.required)
        .all(|(name, _)| body.as_map().and_then(|m| m.get(name)).is_some_and(|v| !v.is_null()))
}

/// The places of all secrets in a body.
fn secrets_in(kind: &Kind, body: &Value) -> Vec<FieldPath> {
    super::unit::units(kind, body)
        .into_iter()
        .filter(|unit| matches!(unit.content, super::unit::Content::Secret(_)))
        .map(|unit| unit.path)
        .collect()
}

/// The outline of a create.
#[must_use]
pub fn create_outline(kind: &Kind) -> Outline {
    Outline::new(kind.create.method, kind.create.path.clone(), true)
}

#[cfg(test)]
mod tests;
