//! Live objects: listing them to the end, reading one, and finding the object in an answer.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::exchange::{ApiError, RequestSpec, json_at, neutral};
use super::model::{Collection, Create, Field, KeyForm, Kind, Method, Paging};
use crate::path::FieldPath;
use crate::value::Value;

/// One live object, as far as an answer showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The API's id.
    pub id: String,
    /// The API's modification stamp.
    pub watermark: Option<String>,
    /// The body of the answer.
    pub body: Value,
}

impl Object {
    /// Takes the object out of an answer. `None` if there is no id in it.
    #[must_use]
    pub fn from_json(collection: &Collection, json: &serde_json::Value) -> Option<Self> {
        let id = scalar(json_at(json, &collection.id)?)?;
        let watermark = collection.watermark.as_deref().and_then(|path| json_at(json, path)).and_then(scalar);
        Some(Self { id, watermark, body: Value::from(json.clone()) })
    }

    /// Takes the object out of the answer to a create, whose id may stand elsewhere.
    #[must_use]
    pub fn from_create(
        collection: &Collection,
        create: &Create,
        json: &serde_json::Value,
        location: Option<&str>,
    ) -> Option<Self> {
        if create.id_in_location {
            let path = location?.split(['?', '#']).next()?;
            let last = path.trim_end_matches('/').rsplit('/').next().filter(|last| !last.is_empty())?;
            return Some(Self { id: decoded(last)?, watermark: None, body: Value::Null });
        }
        let json = json_at(json, &create.item).unwrap_or(json);
        match &create.id {
            // The object itself, or what is wrapped around it.
            None => Self::from_json(collection, json).or_else(|| {
                let mut inner = json.as_object()?.values().filter_map(|value| Self::from_json(collection, value));
                inner.next().filter(|_| inner.next().is_none())
            }),
            Some(path) => Some(Self { id: scalar(json_at(json, path)?)?, watermark: None, body: Value::Null }),
        }
    }

    /// The object with every field where it is written, for kinds whose fields are read from elsewhere.
    #[must_use]
    pub fn as_written(mut self, kind: &Kind) -> Self {
        fn walk(fields: &indexmap::IndexMap<String, Field>, at: &FieldPath, raw: &Value, body: &mut Value) {
            for (name, field) in fields {
                let path = at.key(name);
                if let Some(read) = &field.read
                    && let Some(value) = raw.at(&FieldPath::parse(read))
                {
                    body.put(&path, value.clone());
                }
                if let Some(read) = field.values.as_ref().and_then(|values| values.read.as_deref()?.strip_suffix(".{key}"))
                    && let Some(Value::Map(map)) = raw.at(&FieldPath::parse(read))
                {
                    for (key, value) in map.iter().filter(|(key, _)| !field.fields.contains_key(*key)) {
                        body.put(&path.key(key), value.clone());
                    }
                }
                walk(&field.fields, &path, raw, body);
            }
        }
        if kind.reads_elsewhere() {
            let raw = self.body.clone();
            walk(&kind.fields, &FieldPath::root(), &raw, &mut self.body);
        }
        self
    }

    /// The natural key, or `None` if one of its parts is missing.
    #[must_use]
    pub fn natural_key(&self, collection: &Collection) -> Option<Vec<String>> {
        key_of(collection, |path| self.body.at(&FieldPath::parse(path))?.expose_str())
    }
}

/// The natural key of a spec. What its kind fixes is a part of it, though no spec says it.
#[must_use]
pub fn natural_key(collection: &Collection, kind: &Kind, spec: &Value) -> Option<Vec<String>> {
    key_of(collection, |path| match spec.at(&FieldPath::parse(path)) {
        Some(value) => value.expose_str(),
        None => kind.constants.get(path)?.as_str(),
    })
}

fn key_of<'v>(collection: &Collection, part: impl Fn(&str) -> Option<&'v str>) -> Option<Vec<String>> {
    collection.natural_key.iter().map(|path| part(path).map(|part| folded(collection.natural_key_as, part))).collect()
}

/// A part of a natural key, so that two that mean the same are equal.
#[must_use]
pub fn folded(form: KeyForm, part: &str) -> String {
    match form {
        KeyForm::Exact => part.to_owned(),
        KeyForm::IgnoreCase => part.to_lowercase(),
        KeyForm::Slug => {
            let lower = part.to_lowercase();
            let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.collect::<Vec<_>>().join("-")
        }
    }
}

fn scalar(json: &serde_json::Value) -> Option<String> {
    match json {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A step of a path without its percent signs.
pub(super) fn decoded(step: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok().filter(|id| !id.is_empty())
}

/// A number, also one that came as a text.
fn whole(json: &serde_json::Value) -> Option<usize> {
    match json {
        serde_json::Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64().and_then(|n| usize::try_from(n).ok()),
    }
}

/// A whole list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The objects, in the API's order, each once.
    pub objects: Vec<Object>,
    /// Is it certain that nothing is missing?
    pub complete: Completeness,
}

/// The completeness certificate of a list. Without it nothing may be concluded from an object's absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Everything came.
    Certain,
    /// Not everything came, or nobody knows.
    CutShort {
        /// How many came.
        came: usize,
        /// How many there are, if the API said it.
        total: Option<usize>,
    },
}

/// Walks the pages of one list: [`Lister::request`], [`Lister::take`] its answer, until `take` says that it is done.
#[derive(Debug)]
pub struct Lister<'d> {
    collection: &'d Collection,
    objects: Vec<Object>,
    seen: BTreeMap<String, ()>,
    total: Option<usize>,
    /// What the next request asks for.
    next: Next,
    /// Did the API itself say that nothing follows?
    ended: bool,
}

#[derive(Debug)]
enum Next {
    Plain,
    Limit(usize),
    Offset(usize),
    Page(usize),
    Cursor(Option<String>),
}

impl<'d> Lister<'d> {
    /// At the first page. `limit` is the target's own page size, if it has one; `known` objects are there for certain, so
    /// a list that has only a limit asks for more than those at once.
    #[must_use]
    pub fn new(collection: &'d Collection, limit: Option<usize>, known: usize) -> Self {
        let next = match &collection.list.paging {
            Paging::None => Next::Plain,
            Paging::LimitOnly { size, .. } => {
                Next::Limit(limit.unwrap_or_else(|| if known < *size { *size } else { known + known / 8 + 1 }))
            }
            Paging::Offset { .. } => Next::Offset(0),
            Paging::Page { first, .. } => Next::Page(*first),
            Paging::Cursor { .. } => Next::Cursor(None),
        };
        Self { collection, objects: Vec::new(), seen: BTreeMap::new(), total: None, next, ended: false }
    }

    /// The request for the next page.
    #[must_use]
    pub fn request(&self) -> RequestSpec {
        let list = &self.collection.list;
        let mut query: Vec<(String, String)> = list.query.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        match (&list.paging, &self.next) {
            (Paging::LimitOnly { limit, .. }, Next::Limit(n)) => query.push((limit.clone(), n.to_string())),
            (Paging::Offset { limit, offset, size }, Next::Offset(at)) => {
                query.push((limit.clone(), size.to_string()));
                query.push((offset.clone(), at.to_string()));
            }
            (Paging::Page { page, limit, size, .. }, Next::Page(n)) => {
                query.push((page.clone(), n.to_string()));
                query.push((limit.clone(), size.to_string()));
            }
            (Paging::Cursor { cursor, .. }, Next::Cursor(Some(at))) => query.push((cursor.clone(), at.clone())),
            _ => {}
        }
        let body = (!list.body.is_empty()).then(|| with_id_in(&list.body, ""));
        RequestSpec { method: list.method, path: list.path.clone(), query, body, idempotent: true }
    }

    /// Takes the answer to [`Lister::request`]; true if another page is to be asked for.
    ///
    /// # Errors
    /// If the answer is not what the definition says.
    pub fn take(&mut self, json: &serde_json::Value) -> Result<bool, ApiError> {
        let list = &self.collection.list;
        let total = list.total.as_ref().and_then(|path| json_at(json, path)).and_then(whole);
        let nothing = Vec::new();
        let items = match json_at(json, &list.items) {
            Some(serde_json::Value::Array(items)) => items,
            // An empty list is null to some servers; the total says that it is one.
            Some(serde_json::Value::Null) | None if total == Some(0) || (list.items_may_be_absent && json.is_object()) => {
                &nothing
            }
            _ => return Err(unexpected(&format!("the list has no array at `{}`", list.items))),
        };
        let mut fresh = 0;
        for item in items {
            let object = Object::from_json(self.collection, item)
                .ok_or_else(|| unexpected(&format!("a listed object has no `{}`", self.collection.id)))?;
            if self.seen.insert(object.id.clone(), ()).is_none() {
                self.objects.push(object);
                fresh += 1;
            }
        }
        self.total = total;
        let missing = self.total.is_some_and(|total| self.objects.len() < total);
        Ok(match (&list.paging, &mut self.next) {
            (Paging::None, _) => {
                self.ended = true;
                false
            }
            (_, Next::Limit(asked)) => {
                // The one thing left to try is to ask for exactly as many as there are.
                let total = self.total.unwrap_or(0);
                let more = missing && *asked < total;
                *asked = total;
                more
            }
            (Paging::Offset { .. }, Next::Offset(at)) => {
                *at = self.objects.len();
                let more = fresh > 0 && (missing || self.total.is_none());
                self.ended = items.is_empty();
                more
            }
            (Paging::Page { size, .. }, Next::Page(n)) => {
                *n += 1;
                let full = items.len() >= *size;
                self.ended = !full;
                fresh > 0 && (missing || (self.total.is_none() && full))
            }
            (Paging::Cursor { next, .. }, Next::Cursor(at)) => {
                let following = json_at(json, next).and_then(scalar);
                self.ended = following.is_none();
                // A cursor that repeats would turn in a circle for ever.
                let more = following.is_some() && following != *at && fresh > 0;
                *at = following;
                more
            }
            _ => false,
        })
    }

    /// The list as far as it came.
    #[must_use]
    pub fn finish(self) -> Listing {
        let came = self.objects.len();
        let complete = match (&self.collection.list.total, self.total) {
            (Some(_), Some(total)) => came >= total,
            // A total that was promised and did not come certifies nothing, unless the paging itself ended.
            (Some(_), None) => self.ended && !matches!(self.collection.list.paging, Paging::None),
            (None, _) => self.ended,
        };
        let complete = if complete { Completeness::Certain } else { Completeness::CutShort { came, total: self.total } };
        Listing { objects: self.objects, complete }
    }
}

/// The request that reads one object, where the API has one.
#[must_use]
pub fn read_request(collection: &Collection, id: &str) -> Option<RequestSpec> {
    let read = collection.read.as_ref()?;
    Some(about(read.method, &read.path, &read.query, &read.body, id))
}

/// The object in the answer to a read of `id`. Servers wrap it, or leave out the id that was asked for.
///
/// # Errors
/// If there is no object in it.
pub fn read_answer(collection: &Collection, id: &str, json: &serde_json::Value) -> Result<Object, ApiError> {
    let item = collection.read.as_ref().map_or("", |r| r.item.as_str());
    let found = json_at(json, item).unwrap_or(json);
    let inner = match found.as_object() {
        Some(map) if map.len() == 1 && Object::from_json(collection, found).is_none() => {
            map.values().next().filter(|v| v.is_object())
        }
        _ => None,
    };
    let found = inner.unwrap_or(found);
    if let Some(object) = Object::from_json(collection, found) {
        return Ok(object);
    }
    if found.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(unexpected(&format!("the object read has no `{}`", collection.id)));
    }
    let watermark = collection.watermark.as_deref().and_then(|path| json_at(found, path)).and_then(scalar);
    Ok(Object { id: id.to_owned(), watermark, body: Value::from(found.clone()) })
}

/// A request about one object that carries nothing but its id.
#[must_use]
pub fn about(
    method: Method,
    path: &str,
    query: &IndexMap<String, String>,
    body: &IndexMap<String, serde_json::Value>,
    id: &str,
) -> RequestSpec {
    RequestSpec {
        method,
        path: with_id(path, id),
        query: query_with_id(query, id),
        body: (!body.is_empty()).then(|| with_id_in(body, id)),
        // Asking twice is asking again, and what is deleted twice is deleted.
        idempotent: true,
    }
}

/// Query parameters with the id where `{id}` stands. The sender encodes them.
#[must_use]
pub fn query_with_id(query: &IndexMap<String, String>, id: &str) -> Vec<(String, String)> {
    query.iter().map(|(name, value)| (name.clone(), value.replace("{id}", id))).collect()
}

/// Constant members of a body with the id where a text is `{id}`.
#[must_use]
pub fn with_id_in(body: &IndexMap<String, serde_json::Value>, id: &str) -> Value {
    fn filled(value: &serde_json::Value, id: &str) -> Value {
        match value {
            serde_json::Value::String(text) if text == "{id}" => Value::String(id.to_owned()),
            serde_json::Value::Array(list) => Value::List(list.iter().map(|item| filled(item, id)).collect()),
            serde_json::Value::Object(map) => {
                Value::Map(map.iter().map(|(key, value)| (key.clone(), filled(value, id))).collect())
            }
            other => Value::from(other.clone()),
        }
    }
    Value::Map(body.iter().map(|(key, value)| (key.clone(), filled(value, id))).collect())
}

/// Puts an id into a path, percent-encoded: an id is data, never a path of its own.
#[must_use]
pub fn with_id(path: &str, id: &str) -> String {
    let mut encoded = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    // A path of dots would climb out of its collection.
    if encoded.chars().all(|c| c == '.') {
        encoded = encoded.replace('.', "%2E");
    }
    path.replace("{id}", &encoded)
}

fn unexpected(what: &str) -> ApiError {
    ApiError::unexpected(neutral(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn collection(paging: &serde_json::Value, total: bool) -> Collection {
        let mut list = json!({"path": "/things", "items": "things", "paging": paging});
        if total {
            list["total"] = "total".into();
        }
        serde_json::from_value(json!({
            "list": list, "read": {"path": "/things/{id}"}, "id": "id", "natural_key": ["name"], "watermark": "at"
        }))
        .unwrap()
    }

    fn things(range: std::ops::Range<usize>) -> Vec<serde_json::Value> {
        range.map(|n| json!({"id": format!("t{n}"), "name": format!("n{n}"), "at": n})).collect()
    }

    /// Walks a list of `count` objects served by `serve(query) -> json`; returns the request lines and the listing.
    fn walk(collection: &Collection, serve: impl Fn(&BTreeMap<String, String>) -> serde_json::Value) -> (Vec<String>, Listing) {
        let mut lister = Lister::new(collection, None, 0);
        let mut lines = Vec::new();
        loop {
            let request = lister.request();
            lines.push(request.line());
            assert!(lines.len() < 20, "{lines:?}");
            let query = request.query.into_iter().collect();
            if !lister.take(&serve(&query)).unwrap() {
                return (lines, lister.finish());
            }
        }
    }

    fn number(query: &BTreeMap<String, String>, name: &str) -> usize {
        query.get(name).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    #[test]
    fn requests_about_an_object_have_its_id_where_the_definition_says() {
        let read: crate::platform::model::Read = serde_json::from_value(json!({
            "method": "POST", "path": "/things/get", "query": { "which": "x-{id}" },
            "body": { "thing_id": "{id}", "deep": [{ "id": "{id}" }], "text": "not {id}", "n": 1 }
        }))
        .unwrap();
        let request = about(read.method, &read.path, &read.query, &read.body, "a/b");
        assert_eq!(request.line(), "POST /things/get?which=x-a/b");
        assert_eq!(
            request.body.and_then(|body| body.expose_json()),
            Some(json!({ "thing_id": "a/b", "deep": [{ "id": "a/b" }], "text": "not {id}", "n": 1 }))
        );
        assert!(request.idempotent);
        let plain = about(Method::Delete, "/things/{id}", &IndexMap::new(), &IndexMap::new(), "a/b");
        assert_eq!((plain.line().as_str(), plain.body), ("DELETE /things/a%2Fb", None));
    }

    #[test]
    fn a_new_id_may_be_told_by_the_location_alone() {
        let c = collection(&json!({"style": "none"}), false);
        let create: Create =
            serde_json::from_value(json!({ "method": "POST", "path": "/things", "id_in_location": true })).unwrap();
        let id = |location: Option<&str>| Object::from_create(&c, &create, &json!(null), location).map(|object| object.id);
        for (location, wanted) in [
            (Some("https://h.example/v1/things/t-1"), Some("t-1")),
            (Some("/v1/things/t-1/"), Some("t-1")),
            (Some("/things/a%2Fb%20c?x=1#y"), Some("a/b c")),
            (Some("/things/%zz"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(id(location).as_deref(), wanted, "{location:?}");
        }
    }

    #[test]
    fn limit_only_asks_once_more_for_exactly_what_there_is() {
        let c = collection(&json!({"style": "limit-only", "size": 10}), true);
        let serve = |cap: usize| move |q: &BTreeMap<String, String>| json!({"things": things(0..number(q, "limit").min(cap).min(25)), "total": 25});
        let (lines, listing) = walk(&c, serve(100));
        assert_eq!(lines, ["GET /things?limit=10", "GET /things?limit=25"]);
        assert_eq!((listing.objects.len(), listing.complete), (25, Completeness::Certain));
        let (lines, listing) = walk(&c, serve(12));
        assert_eq!(lines.len(), 2);
        assert_eq!(listing.complete, Completeness::CutShort { came: 12, total: Some(25) });
    }

    #[test]
    fn a_promised_total_that_is_missing_certifies_nothing() {
        let c = collection(&json!({"style": "limit-only", "size": 10}), true);
        let (_, listing) = walk(&c, |_| json!({"things": things(0..3)}));
        assert_eq!(listing.complete, Completeness::CutShort { came: 3, total: None });
    }

    #[test]
    fn offset_paging_survives_a_silent_cap() {
        let c = collection(&json!({"style": "offset", "size": 50}), true);
        let (lines, listing) = walk(&c, |q| {
            let at = number(q, "offset");
            json!({"things": things(at..(at + 7).min(17)), "total": 17})
        });
        assert_eq!(lines, ["GET /things?limit=50&offset=0", "GET /things?limit=50&offset=7", "GET /things?limit=50&offset=14"]);
        assert_eq!((listing.objects.len(), listing.complete), (17, Completeness::Certain));
    }

    #[test]
    fn an_offset_that_is_ignored_ends_and_is_not_complete() {
        let c = collection(&json!({"style": "offset", "size": 5}), true);
        let (lines, listing) = walk(&c, |_| json!({"things": things(0..5), "total": 9}));
        assert_eq!(lines.len(), 2);
        assert_eq!(listing.complete, Completeness::CutShort { came: 5, total: Some(9) });
    }

    #[test]
    fn pages_and_cursors_end_by_themselves() {
        let c = collection(&json!({"style": "page", "size": 4, "first": 0}), false);
        let (lines, listing) = walk(&c, |q| {
            let at = number(q, "page") * 4;
            json!({"things": things(at..(at + 4).min(10))})
        });
        assert_eq!(lines, ["GET /things?page=0&limit=4", "GET /things?page=1&limit=4", "GET /things?page=2&limit=4"]);
        assert_eq!((listing.objects.len(), listing.complete), (10, Completeness::Certain));

        let c = collection(&json!({"style": "cursor", "next": "meta.next"}), false);
        let (lines, listing) = walk(&c, |q| match q.get("cursor").map(String::as_str) {
            None => json!({"things": things(0..2), "meta": {"next": "c2"}}),
            _ => json!({"things": things(2..3), "meta": {"next": null}}),
        });
        assert_eq!(lines, ["GET /things", "GET /things?cursor=c2"]);
        assert_eq!((listing.objects.len(), listing.complete), (3, Completeness::Certain));
    }

    #[test]
    fn a_list_without_paging_and_total_is_taken_at_its_word() {
        let c = collection(&json!({"style": "none"}), false);
        let (_, listing) = walk(&c, |_| json!({"things": things(0..2)}));
        assert_eq!(listing.complete, Completeness::Certain);
        assert_eq!(listing.objects[1].watermark.as_deref(), Some("1"));
        assert_eq!(listing.objects[1].natural_key(&c), Some(vec!["n1".to_owned()]));
    }

    #[test]
    fn answers_of_another_form_are_errors() {
        let c = collection(&json!({"style": "none"}), false);
        for (json, what) in [
            (json!({"items": []}), "the list has no array at `things`"),
            (json!({"things": [{"name": "x"}]}), "a listed object has no `id`"),
        ] {
            let error = Lister::new(&c, None, 0).take(&json).unwrap_err();
            assert_eq!(error.class, crate::platform::exchange::Failure::Unexpected(what.into()));
        }
        assert!(read_answer(&c, "t", &json!({})).is_err());
        assert!(read_answer(&c, "t", &json!("x")).is_err());
        assert_eq!(read_answer(&c, "t", &json!({"name": "x"})).unwrap().id, "t");
        assert_eq!(
            read_answer(&c, "t", &json!({"thing": {"id": "t", "name": "x"}})).unwrap().natural_key(&c),
            Some(vec!["x".to_owned()])
        );
    }

    #[test]
    fn what_a_kind_fixes_is_a_part_of_the_natural_key() {
        let mut collection = collection(&json!({"style": "none"}), false);
        collection.natural_key = vec!["sort".to_owned(), "name".to_owned()];
        let kind: Kind = serde_json::from_value(json!({
            "title": "T", "collection": "things", "constants": {"sort": "small"}, "fields": {"name": {"required": true}},
            "create": {"method": "POST", "path": "/things"}, "delete": "none"
        }))
        .unwrap();
        let spec = Value::from(json!({"name": "x"}));
        let live = Object::from_json(&collection, &json!({"id": "t", "sort": "small", "name": "x"})).unwrap();
        assert_eq!(natural_key(&collection, &kind, &spec), Some(vec!["small".to_owned(), "x".to_owned()]));
        assert_eq!(natural_key(&collection, &kind, &spec), live.natural_key(&collection));
        // A live object that does not show it has no natural key: it may be of another kind.
        let live = Object::from_json(&collection, &json!({"id": "t", "name": "x"})).unwrap();
        assert_eq!(live.natural_key(&collection), None);
        assert_eq!(natural_key(&collection, &kind, &Value::from(json!({}))), None);
    }

    #[test]
    fn names_that_mean_the_same_are_one() {
        for (form, left, right, same) in [
            ("exact", "OpenAI", "OpenAI", true),
            ("exact", "OpenAI", "openai", false),
            ("ignore-case", "OpenAI", "openai", true),
            ("ignore-case", "OPENAI-Ä", "openai-ä", true),
            ("ignore-case", "open_ai", "open-ai", false),
            ("slug", "OpenAI Main", "openai_main", true),
            ("slug", "OpenAI Main", "openai-main", true),
            ("slug", " OpenAI -- Main. ", "openai-main", true),
            ("slug", "gpt-4.1", "GPT 4 1", true),
            ("slug", "gpt-41", "gpt-4.1", false),
            ("slug", "OpenAIMain", "openai-main", false),
            ("slug", "Größe", "größe!", true),
            ("slug", "--", "..", true),
            ("slug", "--", "a", false),
        ] {
            let form = serde_json::from_value(json!(form)).unwrap();
            assert_eq!(folded(form, left) == folded(form, right), same, "{form:?} {left:?} {right:?}");
        }
        assert_eq!(folded(KeyForm::Slug, "_OpenAI  Main 2.0_"), "openai-main-2-0");
        // Everywhere that two keys are compared: of a spec and of a live object.
        let mut collection = collection(&json!({"style": "none"}), false);
        collection.natural_key_as = KeyForm::Slug;
        let kind: Kind = serde_json::from_value(json!({
            "title": "T", "collection": "things", "fields": {"name": {"required": true}},
            "create": {"method": "POST", "path": "/things"}, "delete": "none"
        }))
        .unwrap();
        let wanted = Some(vec!["openai-main".to_owned()]);
        assert_eq!(natural_key(&collection, &kind, &Value::from(json!({"name": "OpenAI Main"}))), wanted);
        let live = Object::from_json(&collection, &json!({"id": "t", "name": "openai_main"})).unwrap();
        assert_eq!(live.natural_key(&collection), wanted);
    }

    #[test]
    fn ids_are_data() {
        assert_eq!(with_id("/things/{id}/test", "a/b c?é"), "/things/a%2Fb%20c%3F%C3%A9/test");
        assert_eq!(with_id("/things/{id}", ".."), "/things/%2E%2E");
    }
}
