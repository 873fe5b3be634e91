//! A server that keeps one object, as a definition says, and gives it back.

use serde_json::Value as Json;

use crate::platform::fake::object::{Stored, as_created, place, wrapped};
use crate::platform::model::{Collection, Kind, Update};

/// How much it gives back, where the definition leaves that open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// Every field that can be read.
    Everything,
    /// No objects and no lists.
    Scalars,
}

/// One object and its server.
#[derive(Debug)]
pub(super) struct Server<'d> {
    collection: &'d Collection,
    kind: &'d Kind,
    gives: Gives,
    stored: Option<Stored>,
}

impl<'d> Server<'d> {
    pub(super) fn new(collection: &'d Collection, kind: &'d Kind, gives: Gives) -> Self {
        Self { collection, kind, gives, stored: None }
    }

    /// Stores a new object; gives the answer.
    pub(super) fn create(&mut self, body: &Json) -> Json {
        self.stored = Some(Stored { kind: String::new(), stamp: 1, fields: body.clone() });
        let mut object = self.shown();
        if let Some(path) = &self.kind.create.id {
            place(&mut object, path, self.id().into());
        }
        wrapped(&self.kind.create.item, object)
    }

    /// Changes the object as the verb does; gives the answer.
    pub(super) fn update(&mut self, verb: &Update, body: &Json) -> Json {
        let fields = as_created(verb, body.as_object().cloned().unwrap_or_default());
        self.stored = self.stored.as_ref().map(|stored| stored.updated(self.kind, verb, fields));
        wrapped(&verb.item, self.shown())
    }

    /// The list.
    pub(super) fn list(&self) -> Json {
        let items: Vec<Json> = self.stored.iter().map(|_| self.shown()).collect();
        let (list, count) = (&self.collection.list, items.len());
        if list.items.is_empty() {
            return Json::Array(items);
        }
        let mut answer = wrapped(&list.items, Json::Array(items));
        if let Some(path) = &list.total {
            place(&mut answer, path, count.into());
        }
        answer
    }

    /// The object.
    pub(super) fn read(&self) -> Json {
        wrapped(self.collection.read.as_ref().map_or("", |read| read.item.as_str()), self.shown())
    }

    /// A natural key may be the id.
    fn id(&self) -> String {
        self.stored.as_ref().and_then(|stored| stored.own_id(self.collection)).unwrap_or_else(|| "sample-id".to_owned())
    }

    /// What a read shows.
    fn shown(&self) -> Json {
        let Some(stored) = &self.stored else { return Json::Null };
        let mut answer = stored.shown(self.collection, self.kind, &self.id());
        if let (Gives::Scalars, Json::Object(map)) = (self.gives, &mut answer) {
            map.retain(|_, value| !value.is_object() && !value.is_array());
            stored.sign(self.collection, &self.id(), &mut answer);
        }
        answer
    }
}
