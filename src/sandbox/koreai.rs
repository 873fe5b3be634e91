//! The Connections API of Kore.ai, as apis/koreai.md and the two pages in apis/seeds describe it.
//!
//! Where the pages contradict themselves or nobody outside can know, a [`Quirks`] switch decides. What they say is
//! mandatory is mandatory here, and what they do not name is refused: a client that gets along with this one sends
//! nothing that the vendor could silently drop.
//!
//! An object is stored as it was written, with its secrets sealed, plus `connectionId`, `status` and the stamps.

mod shapes;

use serde_json::{Map, Value, json};

use shapes::Shape;

use super::message::{Object, Outcome, Reply, Request, text};
use super::quirks::{Quirks, ReadBack, StatusWords};
use super::secrets::{Mask, StoredSecret, auth_like};
use super::store::{Platform, Store, later, member, uuid_shaped};

/// Where the API lives.
pub(super) const PREFIX: &str = "/api/public/connections";

const PROVIDERS: [&str; 4] = ["API", "Open AI", "Azure Open AI", "Anthropic"];

/// The keys of a list item, and of everything else where no more is shown. Lists have no `fields`, no endpoint and no
/// headers (seeds/koreai-connections-new.txt, "List All Connections").
const SUMMARY: [&str; 8] =
    ["connectionId", "connectionName", "provider", "model", "modelType", "status", "createdOn", "modifiedOn"];

/// Answers one request.
pub(super) fn handle(store: &mut Store, quirks: &Quirks, now: &str, request: &Request) -> Reply {
    match route(store, quirks, now, request) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn route(store: &mut Store, quirks: &Quirks, now: &str, request: &Request) -> Outcome {
    if request.header("x-api-key").is_none() {
        return Err(failure(401, "the header x-api-key is missing or its key is not valid"));
    }
    let segments = request.below(PREFIX).ok_or_else(|| failure(404, "no such path"))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", []) => list(store, quirks, request),
        ("POST", []) => create(store, quirks, now, request),
        ("GET", [id]) => Ok(Reply::json(200, &render(&existing(store, id)?, quirks, View::Read))),
        ("PATCH", [id]) => patch(store, quirks, now, id, request),
        ("PUT", [id]) => put(store, quirks, now, id, request),
        // There is no delete (apis/koreai.md): neither for one connection nor for all.
        (method, [] | [_]) => Err(failure(405, &format!("method not allowed: {method}"))),
        _ => Err(failure(404, "no such path")),
    }
}

/// An error in the vendor's shape, as far as anybody knows it.
pub(super) fn failure(status: u16, message: &str) -> Reply {
    failures(status, &[message.to_owned()])
}

fn failures(status: u16, messages: &[String]) -> Reply {
    let code = match status {
        401 => "UNAUTHORIZED",
        404 => "NOT_FOUND",
        405 => "METHOD_NOT_ALLOWED",
        409 => "CONFLICT",
        500.. => "INTERNAL_ERROR",
        _ => "BAD_REQUEST",
    };
    let errors: Vec<Value> = messages.iter().map(|message| json!({"msg": message, "code": code})).collect();
    Reply::json(status, &json!({ "errors": errors }))
}

/// Goes on only if nothing is wrong.
fn refuse(problems: &[String]) -> Result<(), Reply> {
    if problems.is_empty() { Ok(()) } else { Err(failures(400, problems)) }
}

/// There is `limit` and nothing else: an `offset` or a `page` is ignored, as by any API that does not know them.
fn list(store: &Store, quirks: &Quirks, request: &Request) -> Outcome {
    let provider = request.parameter("provider");
    if provider.is_some_and(|provider| !PROVIDERS.contains(&provider)) {
        return Err(failure(400, &format!("`provider` must be one of: {}", PROVIDERS.join(", "))));
    }
    let status = request.parameter("status");
    if status.is_some_and(|status| !["ACTIVE", "INACTIVE"].contains(&status)) {
        return Err(failure(400, "`status` must be one of: ACTIVE, INACTIVE"));
    }
    let limit = match request.parameter("limit").map(str::parse::<usize>) {
        None => None,
        Some(Ok(limit)) if limit > 0 => Some(limit),
        Some(_) => return Err(failure(400, "`limit` must be a positive number")),
    };

    let matching: Vec<&Object> = store
        .list(Platform::Koreai)
        .filter(|(_, object)| provider.is_none_or(|provider| member(object, "provider") == provider))
        .filter(|(_, object)| status.is_none_or(|status| list_status(member(object, "status")) == status))
        .filter_map(|(_, object)| object.as_object())
        .collect();
    let shown = matching.len().min(limit.unwrap_or(usize::MAX)).min(quirks.list_cap.unwrap_or(usize::MAX));
    let shown = if quirks.list_short { shown.saturating_sub(1) } else { shown };
    let items: Vec<Value> = matching.iter().take(shown).map(|object| render(object, quirks, View::Item)).collect();
    let mut answer = Map::new();
    answer.insert("connections".to_owned(), Value::Array(items));
    if quirks.list_total {
        answer.insert("total".to_owned(), json!(matching.len()));
    }
    Ok(Reply::json(200, &Value::Object(answer)))
}

fn create(store: &mut Store, quirks: &Quirks, now: &str, request: &Request) -> Outcome {
    let body = written(request)?;
    let shape = Shape::of(&body).ok_or_else(|| match text(&body, "provider") {
        "" => failure(400, "`provider` is required"),
        _ => failure(400, &format!("`provider` must be one of: {}", PROVIDERS.join(", "))),
    })?;
    refuse(&[shape.missing(&body), shape.wrong(&body)].concat())?;

    let id = format!("cn-{}", uuid_shaped("koreai", store.next_number(Platform::Koreai)));
    let mut object = Map::new();
    object.insert("connectionId".to_owned(), json!(id));
    object.extend(body);
    object.entry("status").or_insert_with(|| json!(shape.status));
    object.insert("createdOn".to_owned(), json!(now));
    object.insert("modifiedOn".to_owned(), json!(now));
    settle(store, quirks, object, View::Created)
}

/// "Supported only for external provider connections where provider is not API", says one part of the page, and there
/// for `fields.API_KEY` alone; another part lets custom connections change anything.
fn patch(store: &mut Store, quirks: &Quirks, now: &str, id: &str, request: &Request) -> Outcome {
    let mut object = existing(store, id)?;
    let body = written(request)?;
    let shape = stored_shape(&object)?;
    if !shape.is_custom() {
        refuse(&more_than_the_key(&body))?;
    }
    refuse(&shape.wrong(&body))?;
    if body.is_empty() {
        return Err(failure(400, "at least one field is required"));
    }
    if text(&object, "status") == "DRAFT" && text(&body, "status") == "FINALIZED" {
        return Err(failure(400, "`status` cannot be moved from DRAFT to FINALIZED by PATCH: PUT is required"));
    }
    if body.contains_key("connectionName") {
        check_rename(quirks, &object, &body)?;
    }

    for (key, value) in body {
        match (object.get_mut(&key), value) {
            // A partial update of `fields` leaves the other fields alone: an Azure connection whose key is rotated
            // keeps its deployment.
            (Some(Value::Object(old)), Value::Object(new)) if key == "fields" => old.extend(new),
            (Some(Value::Object(old)), Value::Object(new)) if quirks.patch_merges_objects => merge(old, new),
            (_, value) => {
                object.insert(key, value);
            }
        }
    }
    stamp(&mut object, now);
    settle(store, quirks, object, View::Updated)
}

fn put(store: &mut Store, quirks: &Quirks, now: &str, id: &str, request: &Request) -> Outcome {
    let old = existing(store, id)?;
    let body = written(request)?;
    let shape = stored_shape(&old)?;
    if !shape.is_custom() {
        return Err(failure(400, "PUT is supported only for connections whose provider is API"));
    }
    refuse(&[shape.missing(&body), shape.wrong(&body)].concat())?;
    check_rename(quirks, &old, &body)?;

    // Whatever the body does not name is gone.
    let mut object = Map::new();
    object.insert("connectionId".to_owned(), json!(id));
    object.insert("provider".to_owned(), json!(shape.provider));
    object.extend(body);
    object.entry("status").or_insert_with(|| json!(shape.status));
    for key in ["createdOn", "modifiedOn"] {
        object.insert(key.to_owned(), json!(text(&old, key)));
    }
    stamp(&mut object, now);
    settle(store, quirks, object, View::Updated)
}

/// The last steps of every write: what is unique must be, secrets are sealed, the object is stored and shown.
fn settle(store: &mut Store, quirks: &Quirks, mut object: Object, view: View) -> Outcome {
    let id = text(&object, "connectionId").to_owned();
    let name = text(&object, "connectionName");
    if store.find(Platform::Koreai, name).is_some_and(|other| other != id) {
        return Err(failure(quirks.duplicate_status, &format!("connectionName already exists: {name}")));
    }
    seal(&mut object);
    if quirks.unique_key_per_model && shares_its_key(store, &id, &object) {
        return Err(failure(400, "the API key is already used by another connection of this model"));
    }
    let reply = Reply::json(200, &render(&object, quirks, view));
    store.put(Platform::Koreai, &id, Value::Object(object));
    Ok(reply)
}

/// Does another connection of the same model have the same key? Looks at all of them: the rule is off by default, and
/// an index for it would have to survive every edit of the store.
fn shares_its_key(store: &Store, id: &str, object: &Object) -> bool {
    let key = |fields: Option<&Value>| fields.and_then(|fields| fields.get("API_KEY")).and_then(StoredSecret::from_value);
    let Some(own) = key(object.get("fields")) else { return false };
    store.list(Platform::Koreai).any(|(other, known)| {
        other != id && member(known, "model") == text(object, "model") && key(known.get("fields")).as_ref() == Some(&own)
    })
}

/// The body of a write.
fn written(request: &Request) -> Result<Object, Reply> {
    // "Content-Type: Yes" in the table of headers.
    if request.header("content-type").is_none_or(|kind| !kind.starts_with("application/json")) {
        return Err(failure(400, "the header Content-Type must be application/json"));
    }
    request.object().map_err(|problem| failure(400, &problem))
}

fn existing(store: &Store, id: &str) -> Result<Object, Reply> {
    let object = store.get(Platform::Koreai, id).and_then(Value::as_object).cloned();
    object.ok_or_else(|| failure(404, &format!("connection not found: {id}")))
}

fn stored_shape(object: &Object) -> Result<&'static Shape, Reply> {
    Shape::of(object).ok_or_else(|| failure(500, "the stored connection has no known provider"))
}

fn more_than_the_key(body: &Object) -> Vec<String> {
    let only = |what: &str| format!("`{what}` cannot be changed: PATCH accepts only `fields.API_KEY` unless the provider is API");
    let mut problems: Vec<String> = body.keys().filter(|key| *key != "fields").map(|key| only(key)).collect();
    let fields = body.get("fields").and_then(Value::as_object);
    for key in fields.into_iter().flat_map(Map::keys).filter(|key| *key != "API_KEY") {
        problems.push(only(&format!("fields.{key}")));
    }
    if problems.is_empty() && fields.is_none_or(Map::is_empty) {
        problems.push("`fields.API_KEY` is required".to_owned());
    }
    problems
}

fn check_rename(quirks: &Quirks, object: &Object, body: &Object) -> Result<(), Reply> {
    let name = text(body, "connectionName");
    if name.is_empty() {
        return Err(failure(400, "`connectionName` must not be empty"));
    }
    if !quirks.name_editable && name != text(object, "connectionName") {
        return Err(failure(400, "`connectionName` cannot be changed"));
    }
    Ok(())
}

fn merge(old: &mut Object, new: Object) {
    for (key, value) in new {
        match (old.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                old.insert(key, value);
            }
        }
    }
}

/// Moves the watermark; "`modifiedOn` moves on every update" (apis/koreai.md).
fn stamp(object: &mut Object, now: &str) {
    let moved = later(text(object, "modifiedOn"), now, 1);
    object.insert("modifiedOn".to_owned(), json!(moved));
}

/// Secrets sit in `fields.API_KEY` and inside `headers` (apis/koreai.md, traps).
fn seal(object: &mut Object) {
    for_each_secret(object, &mut StoredSecret::seal);
}

fn for_each_secret(object: &mut Object, act: &mut dyn FnMut(&mut Value)) {
    if let Some(key) = object.get_mut("fields").and_then(|fields| fields.get_mut("API_KEY")) {
        act(key);
    }
    for header in object.get_mut("headers").and_then(Value::as_array_mut).into_iter().flatten() {
        if auth_like(member(header, "key"))
            && let Some(value) = header.get_mut("value")
        {
            act(value);
        }
    }
}

/// For which answer an object is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// One item of a list.
    Item,
    /// The answer to GET.
    Read,
    /// The answer to POST, which has no `modifiedOn`.
    Created,
    /// The answer to PATCH and PUT, which has no `createdOn`.
    Updated,
}

fn render(object: &Object, quirks: &Quirks, view: View) -> Value {
    let summary = view == View::Item || (text(object, "provider") == "API" && quirks.read_back == ReadBack::TopLevel);
    let hidden = match view {
        View::Item | View::Read => "",
        View::Created => "modifiedOn",
        View::Updated => "createdOn",
    };
    let shown = |key: &str| key != hidden && (!summary || SUMMARY.contains(&key));
    let mut answer: Object =
        object.iter().filter(|(key, _)| shown(key)).map(|(key, value)| (key.clone(), value.clone())).collect();

    let mask = if view == View::Read { Mask::Read } else { Mask::Write };
    for_each_secret(&mut answer, &mut |slot| StoredSecret::show(slot, mask));
    if (view == View::Item || quirks.status_words == StatusWords::ListVocabulary)
        && let Some(status) = answer.get_mut("status")
    {
        *status = json!(list_status(text(object, "status")));
    }
    Value::Object(answer)
}

/// The status in the words of lists.
fn list_status(status: &str) -> &'static str {
    match status {
        "DRAFT" | "INACTIVE" => "INACTIVE",
        _ => "ACTIVE",
    }
}

#[cfg(test)]
mod tests;
