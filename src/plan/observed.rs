//! What the APIs showed in one refresh, and the search for a connection's live object in it.

use std::collections::BTreeMap;

use crate::config::desired::Connection;
use crate::platform::model::{Collection, Kind};
use crate::platform::object::{Completeness, Listing, Object, natural_key};
use crate::state::Record;

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Observed {
    lists: BTreeMap<(String, String), LiveList>,
    details: BTreeMap<(String, String, String), Detail>,
}

/// One list, with its indexes.
#[derive(Debug)]
pub struct LiveList {
    objects: Vec<Object>,
    by_id: BTreeMap<String, usize>,
    by_name: BTreeMap<Vec<String>, Vec<usize>>,
    /// Is it certain that nothing is missing?
    pub complete: Completeness,
}

/// The answer to the read of one object.
#[derive(Debug)]
pub enum Detail {
    /// The object.
    Object(Object),
    /// There is none of this id.
    Gone,
    /// It could not be read; a diagnostic says why.
    Failed,
}

impl Observed {
    /// Adds a list.
    pub fn add_list(&mut self, target: &str, name: &str, collection: &Collection, listing: Listing) {
        self.lists.insert((target.to_owned(), name.to_owned()), LiveList::new(collection, listing));
    }

    /// Adds the answer to a read.
    pub fn add_detail(&mut self, target: &str, collection: &str, id: &str, detail: Detail) {
        self.details.insert((target.to_owned(), collection.to_owned(), id.to_owned()), detail);
    }

    /// A list that was read; `None` if its target could not be reached.
    #[must_use]
    pub fn list(&self, target: &str, collection: &str) -> Option<&LiveList> {
        self.lists.get(&(target.to_owned(), collection.to_owned()))
    }

    /// The answer to a read, if there was one.
    #[must_use]
    pub fn detail(&self, target: &str, collection: &str, id: &str) -> Option<&Detail> {
        self.details.get(&(target.to_owned(), collection.to_owned(), id.to_owned()))
    }
}

impl LiveList {
    /// Indexes a list.
    #[must_use]
    pub fn new(collection: &Collection, listing: Listing) -> Self {
        let mut list =
            Self { objects: listing.objects, by_id: BTreeMap::new(), by_name: BTreeMap::new(), complete: listing.complete };
        for (n, object) in list.objects.iter().enumerate() {
            list.by_id.insert(object.id.clone(), n);
            if let Some(key) = object.natural_key(collection) {
                list.by_name.entry(key).or_default().push(n);
            }
        }
        list
    }

    /// The listed object of an id.
    #[must_use]
    pub fn object(&self, id: &str) -> Option<&Object> {
        self.by_id.get(id).map(|n| &self.objects[*n])
    }

    /// The listed objects.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Is it certain that nothing is missing?
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete == Completeness::Certain
    }

    /// The ids of the listed objects of a natural key.
    pub fn ids_named<'l>(&'l self, key: &[String]) -> impl Iterator<Item = &'l str> {
        self.named(key).iter().map(|n| self.objects[*n].id.as_str())
    }

    fn named(&self, key: &[String]) -> &[usize] {
        self.by_name.get(key).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Where a connection's live object is.
#[derive(Debug, PartialEq)]
pub enum Located {
    /// Nowhere: it would have to be made.
    Absent {
        /// The id under which it was recorded, if it was.
        gone: Option<String>,
    },
    /// Here.
    At {
        /// Its id.
        id: String,
        /// Was it found by its natural key alone, without a record?
        by_name: bool,
    },
    /// Several objects have its natural key.
    Ambiguous(Vec<String>),
    /// The list was cut short and shows no such object.
    Uncertain,
}

/// Looks for a connection's live object: by the recorded id first, by natural key otherwise.
#[must_use]
pub fn locate(
    connection: &Connection,
    kind: &Kind,
    collection: &Collection,
    record: Option<&Record>,
    observed: &Observed,
    is_taken: &dyn Fn(&str) -> bool,
) -> Located {
    let (target, collection_name) = (connection.address.target(), kind.collection.as_str());
    let Some(list) = observed.list(target, collection_name) else { return Located::Uncertain };
    let mut gone = None;
    if let Some(record) = record {
        let at = || Located::At { id: record.id.clone(), by_name: false };
        match observed.detail(target, collection_name, &record.id) {
            Some(Detail::Object(_) | Detail::Failed) => return at(),
            None if list.object(&record.id).is_some() => return at(),
            // Lists may lag behind: without a read of its own, an object that is not listed is not gone yet.
            None if collection.read.is_some() => return Located::Uncertain,
            None if !list.is_complete() => return Located::Uncertain,
            _ => gone = Some(record.id.clone()),
        }
    }
    let key = natural_key(collection, kind, &connection.spec);
    let named = key.as_deref().map(|key| list.named(key)).unwrap_or_default();
    let ids: Vec<String> =
        named.iter().map(|n| list.objects[*n].id.clone()).filter(|id| gone.as_ref() != Some(id) && !is_taken(id)).collect();
    match ids.as_slice() {
        [] if list.is_complete() => Located::Absent { gone },
        [] => Located::Uncertain,
        [id] => Located::At { id: id.clone(), by_name: true },
        _ => Located::Ambiguous(ids),
    }
}
