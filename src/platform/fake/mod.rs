//! An API that is made from its definition: it understands a request, changes what it keeps, and answers.
//!
//! It is as strict as a definition lets it be: a body with a key that nobody knows, a word that is not accepted, a field
//! that the verb does not cover is refused. What a vendor does besides is a [`Vendor`]. The rehearsal plays with its
//! [objects](object), the sandbox serves it over HTTP.
//!
//! It shows what patchbay makes of a definition, never whether the definition is right.

mod auth;
mod check;
pub mod object;
mod page;
mod route;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use self::object::Stored;
use self::route::{Op, Route};
use super::exchange::json_at;
use super::model::{Collection, Definition, ErrorClass, Kind, Semantics, Update};
use super::object::with_id;

/// One request, below the API's base URL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null if there is none.
    pub body: Json,
}

impl Call {
    /// The first query parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Is it this request, `PATCH /things/{id}`? Any step stands for `{id}`.
    #[must_use]
    pub fn is(&self, line: &str) -> bool {
        line.split_once(' ').is_some_and(|(method, path)| self.method == method && route::in_path(path, &self.path).is_some())
    }
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<String>,
    /// The body; null if there is none.
    pub body: Json,
}

impl Answer {
    /// An answer without a `Location`.
    #[must_use]
    pub fn new(status: u16, body: Json) -> Self {
        Self { status, location: None, body }
    }
}

/// Where the objects are kept, list by list. Two collections with one list path share their objects.
pub trait Keeper {
    /// The objects of a list with their ids, oldest first.
    fn all(&self, list: &str) -> Vec<(String, Json)>;
    /// An object.
    fn get(&self, list: &str, id: &str) -> Option<Json>;
    /// Keeps an object, new or changed.
    fn put(&mut self, list: &str, id: &str, object: Json);
    /// Forgets an object.
    fn remove(&mut self, list: &str, id: &str);
    /// An id that no object had before.
    fn new_id(&self, list: &str) -> String;
    /// What is kept of a secret, for a read that shows this mask of it: an object whose `read` is the mask.
    fn sealed(&self, secret: &str, mask: &str) -> Json;
}

/// What a vendor does besides what its definition says. Nothing, by default.
pub trait Vendor: Send + Sync {
    /// Looks at a request before it is understood, and may change or refuse it.
    fn before(&self, call: &mut Call, objects: &mut dyn Keeper) -> Option<Answer> {
        let _ = (call, objects);
        None
    }

    /// Looks at an answer before it is sent, and may change it.
    fn after(&self, call: &Call, answer: &mut Answer, objects: &mut dyn Keeper) {
        let _ = (call, answer, objects);
    }

    /// Which items of a list a request asks for: how many are skipped, and how many come. As the definition says, if `None`.
    fn page(&self, call: &Call) -> Option<(usize, usize)> {
        let _ = call;
        None
    }

    /// Looks at an object after an update, and may change it back.
    fn changed(&self, call: &Call, before: &Stored, after: &mut Stored) {
        let _ = (call, before, after);
    }

    /// What a read shows of a secret in a field of that name.
    fn mask(&self, field: &str, secret: &str) -> String {
        let _ = field;
        object::mask(secret)
    }

    /// Is a second object with the natural key of another one refused?
    fn keys_are_unique(&self) -> bool {
        true
    }
}

/// A vendor that does what the definition says and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct AsDefined;

impl Vendor for AsDefined {}

/// An API that is made from its definition.
#[derive(Clone)]
pub struct Fake {
    definition: Arc<Definition>,
    vendor: Arc<dyn Vendor>,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").field("platform", &self.definition.platform).finish_non_exhaustive()
    }
}

type Outcome = Result<Answer, Answer>;

impl Fake {
    /// The API of a definition.
    #[must_use]
    pub fn new(definition: Arc<Definition>) -> Self {
        Self { definition, vendor: Arc::new(AsDefined) }
    }

    /// The API of a definition and a vendor who does more.
    #[must_use]
    pub fn of_vendor(definition: Arc<Definition>, vendor: Arc<dyn Vendor>) -> Self {
        Self { definition, vendor }
    }

    /// Its definition.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Answers one request. `key` is the only credential that is accepted; any is, without one.
    pub fn answer(&self, objects: &mut dyn Keeper, key: Option<&str>, mut call: Call) -> Answer {
        if let Some(answer) = auth::login(&self.definition, &call, key) {
            return answer;
        }
        if !auth::admits(&self.definition, &call, key) {
            return self.failure(ErrorClass::Unauthorised, "no credential that is accepted");
        }
        if let Some(answer) = self.vendor.before(&mut call, objects) {
            return answer;
        }
        let mut answer = self.handle(objects, &call).unwrap_or_else(|refusal| refusal);
        self.vendor.after(&call, &mut answer, objects);
        answer
    }

    fn handle(&self, objects: &mut dyn Keeper, call: &Call) -> Outcome {
        let routes = route::find(&self.definition, call);
        let Some(first) = routes.first() else {
            return Err(self.failure(ErrorClass::NotFound, &format!("there is no {} {}", call.method, call.path)));
        };
        match first.op {
            Op::List(collection) => {
                let all = objects.all(&collection.list.path);
                let shown = all.into_iter().filter_map(|(id, object)| self.shown(&id, object)).collect();
                Ok(Answer::new(200, page::page(collection, call, self.vendor.page(call), shown)))
            }
            Op::Read(collection) => {
                let id = first.ids.first().map(String::as_str).unwrap_or_default();
                let object = self.existing(objects, collection, id)?;
                let shown = self.shown(id, object).unwrap_or_default();
                Ok(Answer::new(200, object::wrapped(collection.read.as_ref().map_or("", |read| &read.item), shown)))
            }
            Op::Create(..) => self.create(objects, call, &routes),
            Op::Update(..) | Op::Delete(..) | Op::Test(..) => self.about(objects, call, &routes),
        }
    }

    /// An object as a list and a read show it.
    fn shown(&self, id: &str, object: Json) -> Option<Json> {
        let object = Stored::from_json(&object)?;
        let kind = self.definition.kinds.get(&object.kind)?;
        let collection = self.definition.collections.get(&kind.collection)?;
        Some(object.shown(collection, kind, id))
    }

    fn existing(&self, objects: &dyn Keeper, collection: &Collection, id: &str) -> Step<Json> {
        let gone = || self.failure(ErrorClass::NotFound, &format!("there is no object {id}"));
        objects.get(&collection.list.path, id).ok_or_else(gone)
    }

    /// The kind of a new object is the one whose constants are in the body; of several, the one with the most.
    fn create(&self, objects: &mut dyn Keeper, call: &Call, routes: &[Route<'_>]) -> Outcome {
        let body = self.object_of(call)?;
        let fits = |kind: &Kind| kind.constants.iter().all(|(name, value)| body.get(name) == Some(value));
        let complete = |kind: &Kind| kind.fields.iter().all(|(name, field)| !field.required || body.contains_key(name));
        let kinds = routes.iter().filter_map(|route| match route.op {
            Op::Create(name, kind) if fits(kind) => Some((name, kind)),
            _ => None,
        });
        let Some((name, kind)) = kinds.rev().max_by_key(|(_, kind)| (complete(kind), kind.constants.len())) else {
            return Err(self.failure(ErrorClass::Invalid, "no kind of object has these constants"));
        };
        let Some(collection) = self.definition.collections.get(&kind.collection) else {
            return Err(self.failure(ErrorClass::Invalid, "the definition has no such collection"));
        };
        let fields = check::without_constants(&kind.create.body, body);
        check::new(kind, &fields).map_err(|why| self.failure(ErrorClass::Invalid, &why))?;

        let list = &collection.list.path;
        let mut object = Stored { kind: name.to_owned(), stamp: 1, fields: Json::Object(fields) };
        let known = self.same_key(objects, collection, &object, None);
        let upserts = kind.create.idempotent
            || kind.update.iter().any(|verb| {
                verb.semantics == Semantics::Upsert && (verb.method, &verb.path) == (kind.create.method, &kind.create.path)
            });
        let id = match known {
            Some((id, before)) if upserts => {
                object.stamp = before.stamp + 1;
                id
            }
            Some(_) if self.vendor.keys_are_unique() => {
                return Err(self.failure(ErrorClass::Conflict, "an object of that name exists"));
            }
            _ => object.own_id(collection).unwrap_or_else(|| objects.new_id(list)),
        };
        object.seal(kind, objects, &|field, secret| self.vendor.mask(field, secret));
        let shown = object.created(collection, kind, &id);
        objects.put(list, &id, object.to_json());
        Ok(match kind.create.id_in_location {
            true => Answer { status: 201, location: Some(with_id(&format!("{}/{{id}}", call.path), &id)), body: Json::Null },
            false => Answer::new(201, shown),
        })
    }

    /// The object of the list that has the natural key of this one.
    fn same_key(
        &self,
        objects: &dyn Keeper,
        collection: &Collection,
        object: &Stored,
        but: Option<&str>,
    ) -> Option<(String, Stored)> {
        let wanted = object.natural_key(collection)?;
        objects
            .all(&collection.list.path)
            .into_iter()
            .filter(|(id, _)| Some(id.as_str()) != but)
            .filter_map(|(id, known)| Some((id, Stored::from_json(&known)?)))
            .find(|(_, known)| known.natural_key(collection).as_ref() == Some(&wanted))
    }

    /// A request about objects that are there.
    fn about(&self, objects: &mut dyn Keeper, call: &Call, routes: &[Route<'_>]) -> Outcome {
        let ids: Vec<String> = routes.first().map(|route| route.ids.clone()).unwrap_or_default();
        let mut answer = Answer::new(200, json!({}));
        for id in &ids {
            // Kinds share requests; the object tells which of them it is.
            let known = routes.iter().filter_map(|route| {
                let (name, kind) = route.op.kind()?;
                let collection = self.definition.collections.get(&kind.collection)?;
                let object = Stored::from_json(&objects.get(&collection.list.path, id)?)?;
                (object.kind == *name).then_some((route.op, collection, object))
            });
            let known: Vec<_> = known.collect();
            let Some((op, collection, object)) = known.first() else {
                return Err(self.failure(ErrorClass::NotFound, &format!("there is no object {id}")));
            };
            match op {
                Op::Delete(..) => objects.remove(&collection.list.path, id),
                Op::Test(_, kind) => {
                    if let Some(passed) = kind.test.as_ref().and_then(|test| test.passed.as_ref()) {
                        object::place(&mut answer.body, passed.path(), passed.good());
                    }
                }
                _ => {
                    let verbs: Vec<(&Kind, &Update)> = known.iter().filter_map(|(op, ..)| op.update()).collect();
                    answer.body = self.update(objects, call, (id, collection, object), &verbs)?;
                }
            }
        }
        Ok(answer)
    }

    fn update(
        &self,
        objects: &mut dyn Keeper,
        call: &Call,
        (id, collection, before): (&str, &Collection, &Stored),
        verbs: &[(&Kind, &Update)],
    ) -> Step<Json> {
        let body = self.object_of(call)?;
        let refused = |why: String| self.failure(ErrorClass::Invalid, &why);
        let mut why = String::new();
        for (kind, verb) in verbs {
            let fields = object::as_created(verb, check::without_constants(&verb.body, body.clone()));
            if let Err(reason) = check::changed(kind, verb, &fields) {
                why = reason;
                continue;
            }
            let mut object = before.updated(kind, verb, fields);
            self.vendor.changed(call, before, &mut object);
            if self.vendor.keys_are_unique() && self.same_key(objects, collection, &object, Some(id)).is_some() {
                return Err(self.failure(ErrorClass::Conflict, "an object of that name exists"));
            }
            object.seal(kind, objects, &|field, secret| self.vendor.mask(field, secret));
            let shown = object::wrapped(&verb.item, object.shown(collection, kind, id));
            objects.put(&collection.list.path, id, object.to_json());
            return Ok(shown);
        }
        Err(refused(why))
    }

    fn object_of(&self, call: &Call) -> Step<Map<String, Json>> {
        let refused = || self.failure(ErrorClass::Invalid, "the body must be a JSON object");
        call.body.as_object().cloned().ok_or_else(refused)
    }

    /// A failure, in the words and under the status that the definition has for its class.
    #[must_use]
    pub fn failure(&self, class: ErrorClass, message: &str) -> Answer {
        let errors = &self.definition.errors;
        let rule = errors.rules.iter().find(|rule| rule.class == class);
        let usual = match class {
            ErrorClass::Invalid => 400,
            ErrorClass::Unauthorised => 401,
            ErrorClass::Forbidden => 403,
            ErrorClass::NotFound => 404,
            ErrorClass::Conflict | ErrorClass::InUse => 409,
            ErrorClass::Throttled => 429,
            ErrorClass::Transient => 503,
        };
        // What is invalid needs no rule to be so.
        let rule = rule.filter(|_| class != ErrorClass::Invalid);
        let status = rule.and_then(|rule| rule.status).unwrap_or(usual);
        let words = rule.and_then(|rule| rule.message_has.as_deref());
        let message = words.map_or_else(|| message.to_owned(), |words| format!("{message}: {words}"));
        self.failed(status, &message, rule.and_then(|rule| rule.code.as_deref()))
    }

    /// A failure under this status, in the shape that the definition has for one.
    #[must_use]
    pub fn failed(&self, status: u16, message: &str, code: Option<&str>) -> Answer {
        let errors = &self.definition.errors;
        let mut body = json!({});
        if let Some(rule) = &errors.failed_when {
            object::place(&mut body, &rule.field, rule.is.clone());
        }
        if let (Some(path), Some(code)) = (errors.code.first(), code) {
            object::place(&mut body, path, code.into());
        }
        let path = errors.message.first().map_or("message", String::as_str);
        if json_at(&body, path).is_none() {
            object::place(&mut body, path, message.into());
        }
        Answer::new(status, body)
    }
}

/// As [`Outcome`], of a step on the way.
type Step<T> = Result<T, Answer>;

#[cfg(test)]
mod tests;
