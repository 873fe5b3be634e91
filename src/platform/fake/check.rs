//! Is a body what the definition says that the API takes?

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use crate::path::FieldPath;
use crate::platform::model::{Covers, Field, FieldType, Kind, Requires, Semantics, Update};

/// A body without what its request always says.
pub(super) fn without_constants(constants: &IndexMap<String, Json>, mut body: Map<String, Json>) -> Map<String, Json> {
    body.retain(|name, _| !constants.contains_key(name));
    body
}

/// A new object: everything that is required, and nothing that nobody knows.
pub(super) fn new(kind: &Kind, body: &Map<String, Json>) -> Result<(), String> {
    required(kind, body)?;
    values(kind, body)
}

/// A change by a verb.
pub(super) fn changed(kind: &Kind, verb: &Update, body: &Map<String, Json>) -> Result<(), String> {
    if verb.requires == Requires::All {
        required(kind, body)?;
    }
    values(kind, body)?;
    if let (Covers::Fields(covered), Semantics::Merge) = (&verb.covers, verb.semantics) {
        let covered: Vec<FieldPath> = covered.iter().map(|path| FieldPath::parse(path)).collect();
        let other = body.keys().find(|name| !covered.iter().any(|path| path.top() == Some(name)));
        if let Some(name) = other {
            return Err(format!("`{name}` cannot be changed by this request"));
        }
    }
    Ok(())
}

fn required(kind: &Kind, body: &Map<String, Json>) -> Result<(), String> {
    let missing = kind.fields.iter().find(|(name, field)| field.required && body.get(*name).is_none_or(Json::is_null));
    missing.map_or(Ok(()), |(name, _)| Err(format!("`{name}` is required")))
}

fn values(kind: &Kind, body: &Map<String, Json>) -> Result<(), String> {
    let constants = |name: &str| kind.constants.contains_key(name);
    if let Some(name) = body.keys().find(|name| !kind.fields.contains_key(*name) && !constants(name)) {
        return Err(format!("`{name}` is not known"));
    }
    inside(&kind.fields, body)
}

fn inside(fields: &IndexMap<String, Field>, map: &Map<String, Json>) -> Result<(), String> {
    map.iter().try_for_each(|(name, value)| fields.get(name).map_or(Ok(()), |field| one(field, name, value)))
}

fn one(field: &Field, name: &str, value: &Json) -> Result<(), String> {
    let fits = match field.kind {
        _ if value.is_null() => return Ok(()),
        FieldType::String => value.is_string(),
        FieldType::Boolean => value.is_boolean(),
        FieldType::Integer => value.is_i64() || value.is_u64(),
        FieldType::Number => value.is_number(),
        FieldType::Object => value.is_object(),
        FieldType::List | FieldType::Set => value.is_array(),
        FieldType::Any => true,
    };
    if !fits {
        return Err(format!("`{name}` must be {}", field.kind.name()));
    }
    let words = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().filter_map(Json::as_str);
    if !field.accepted.is_empty()
        && let Some(word) = words.into_iter().find(|word| !field.accepted.iter().any(|accepted| accepted == word))
    {
        return Err(format!("`{name}` cannot be `{word}`"));
    }
    match value {
        Json::Object(map) if !field.fields.is_empty() => {
            if let Some(unknown) = map.keys().find(|key| !field.fields.contains_key(*key)) {
                return Err(format!("`{name}.{unknown}` is not known"));
            }
            inside(&field.fields, map)
        }
        Json::Array(items) => items.iter().filter_map(Json::as_object).try_for_each(|item| inside(&field.item, item)),
        _ => Ok(()),
    }
}
