//! Which request of a definition a call is, and about which objects.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::Call;
use crate::platform::model::{Collection, Definition, Delete, Kind, Method, Update};
use crate::platform::object::decoded;

/// What a request does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op<'d> {
    List(&'d Collection),
    Read(&'d Collection),
    Create(&'d String, &'d Kind),
    Update(&'d String, &'d Kind, &'d Update),
    Delete(&'d String, &'d Kind),
    Test(&'d String, &'d Kind),
}

impl<'d> Op<'d> {
    /// The kind whose objects it is about.
    pub(super) fn kind(self) -> Option<(&'d String, &'d Kind)> {
        match self {
            Op::List(_) | Op::Read(_) => None,
            Op::Create(name, kind) | Op::Update(name, kind, _) | Op::Delete(name, kind) | Op::Test(name, kind) => {
                Some((name, kind))
            }
        }
    }

    /// The verb, if it is an update.
    pub(super) fn update(self) -> Option<(&'d Kind, &'d Update)> {
        match self {
            Op::Update(_, kind, verb) => Some((kind, verb)),
            _ => None,
        }
    }
}

/// A request that was understood.
#[derive(Clone, Debug)]
pub(super) struct Route<'d> {
    pub(super) op: Op<'d>,
    pub(super) ids: Vec<String>,
    /// Steps of its path that stand for themselves.
    literal: usize,
}

/// Everything that a request may be, in the order of the definition. Several only if kinds share a request; a path that
/// names more of itself goes before one with an id in that place.
pub(super) fn find<'d>(definition: &'d Definition, call: &Call) -> Vec<Route<'d>> {
    let mut routes = Vec::new();
    let mut offer = |op, method: Method, path: &str, query: &IndexMap<String, String>, body: &IndexMap<String, Json>| {
        if let Some(ids) = matched(call, method, path, query, body) {
            let literal = path.split('/').filter(|step| !step.contains("{id}")).count();
            routes.push(Route { op, ids, literal });
        }
    };
    for collection in definition.collections.values() {
        let list = &collection.list;
        offer(Op::List(collection), list.method, &list.path, &list.query, &list.body);
        if let Some(read) = &collection.read {
            offer(Op::Read(collection), read.method, &read.path, &read.query, &read.body);
        }
    }
    for (name, kind) in &definition.kinds {
        let create = &kind.create;
        offer(Op::Create(name, kind), create.method, &create.path, &create.query, &create.body);
        for verb in &kind.update {
            offer(Op::Update(name, kind, verb), verb.method, &verb.path, &verb.query, &verb.body);
        }
        if let Delete::By(delete) = &kind.delete {
            offer(Op::Delete(name, kind), delete.method, &delete.path, &delete.query, &delete.body);
        }
        if let Some(test) = &kind.test {
            offer(Op::Test(name, kind), test.method, &test.path, &test.query, &test.body);
        }
    }
    let most = routes.iter().map(|route| route.literal).max().unwrap_or_default();
    routes.retain(|route| route.literal == most);
    routes
}

/// The ids that a call has where a request has `{id}`, if it is that request.
fn matched(
    call: &Call,
    method: Method,
    path: &str,
    query: &IndexMap<String, String>,
    body: &IndexMap<String, Json>,
) -> Option<Vec<String>> {
    if call.method != method.as_str() {
        return None;
    }
    let mut ids = in_path(path, &call.path)?;
    for (name, pattern) in query {
        ids.extend(in_text(pattern, call.parameter(name)?)?);
    }
    for (name, pattern) in body {
        ids.extend(in_body(pattern, call.body.get(name)?)?);
    }
    Some(ids)
}

/// The ids in a path, decoded, if it has this form.
pub(super) fn in_path(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    if pattern.len() != path.len() {
        return None;
    }
    let mut ids = Vec::new();
    for (pattern, step) in pattern.into_iter().zip(path) {
        ids.extend(in_text(pattern, step)?.into_iter().map(|id| decoded(&id).unwrap_or(id)));
    }
    Some(ids)
}

/// The id in a text, if there is one and the text has this form.
fn in_text(pattern: &str, text: &str) -> Option<Option<String>> {
    match pattern.split_once("{id}") {
        None => (pattern == text).then_some(None),
        Some((before, after)) => {
            let id = text.strip_prefix(before)?.strip_suffix(after)?;
            (!id.is_empty()).then(|| Some(id.to_owned()))
        }
    }
}

/// The ids in a member of a body, if it has this form. A list of one `{id}` takes any number of ids.
fn in_body(pattern: &Json, value: &Json) -> Option<Vec<String>> {
    match (pattern, value) {
        (Json::String(pattern), Json::String(id)) if pattern == "{id}" => Some(vec![id.clone()]),
        (Json::Array(pattern), Json::Array(values)) if pattern.len() == 1 => {
            let ids: Option<Vec<_>> = values.iter().map(|value| in_body(&pattern[0], value)).collect();
            Some(ids?.concat())
        }
        (Json::Object(pattern), Json::Object(map)) => {
            let ids: Option<Vec<_>> = pattern.iter().map(|(name, pattern)| in_body(pattern, map.get(name)?)).collect();
            Some(ids?.concat())
        }
        (pattern, value) => (pattern == value).then(Vec::new),
    }
}
