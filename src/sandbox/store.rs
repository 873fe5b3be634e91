//! The objects of all APIs, in memory, with the lines that make them outlive the process.
//!
//! Every change becomes one JSON line, `{"platform", "n", "id", "object"}`, with `null` for an object that is gone; the
//! state is the fold of all lines. Ten thousand creates therefore write ten thousand lines, not ten thousand files. This
//! module is pure: it takes and gives text, and `edge` does the reading and the writing.
//!
//! Deliberately absent: secrets. Handlers put a [`StoredSecret`](super::StoredSecret) where one was before they store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::secrets::hex;

/// One of the APIs that the sandbox serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// Kore.ai, `connections`.
    Koreai,
    /// The LLM gateway, `providers`. An object's id in the store is its name, as the API addresses it.
    Gateway,
    /// Flashback, `aiLlms`.
    Flashback,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Koreai, Self::Gateway, Self::Flashback];

    /// The name that targets use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Koreai => "koreai",
            Self::Gateway => "gateway",
            Self::Flashback => "flashback",
        }
    }

    /// The platform of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.as_str() == name)
    }

    /// What tells this object apart for people; the key of the index behind [`Store::find`].
    #[must_use]
    pub fn natural_key(self, object: &Value) -> String {
        match self {
            Self::Koreai => member(object, "connectionName").to_owned(),
            Self::Gateway => member(object, "name").to_owned(),
            // Unique within its workspace only (apis/flashback.md).
            Self::Flashback => format!("{}/{}", member(object, "workspaceId"), member(object, "name")),
        }
    }
}

/// One list of objects in the store: that of an API with a handler of its own, or one of [`Store::shelf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shelf(usize);

impl From<Platform> for Shelf {
    fn from(platform: Platform) -> Self {
        Self(platform as usize)
    }
}

impl Shelf {
    fn platform(self) -> Option<Platform> {
        Platform::ALL.get(self.0).copied()
    }
}

/// A text member of an object, or the empty text.
pub(super) fn member<'o>(object: &'o Value, name: &str) -> &'o str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The objects of one shelf.
#[derive(Debug, Default)]
struct Contents {
    entries: BTreeMap<String, Entry>,
    /// Entries by number: the order of creation, which is the order of lists.
    order: BTreeMap<u64, String>,
    /// Ids by natural key, where the platform is known. More than one only if somebody edited the store to be so.
    names: BTreeMap<String, Vec<String>>,
    /// The highest number ever given out. It survives deletes, so that no id is used twice.
    last: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    object: Value,
}

impl Contents {
    fn insert(&mut self, platform: Option<Platform>, number: u64, id: &str, object: Value) {
        self.remove(platform, id);
        self.last = self.last.max(number);
        self.order.insert(number, id.to_owned());
        if let Some(platform) = platform {
            self.names.entry(platform.natural_key(&object)).or_default().push(id.to_owned());
        }
        self.entries.insert(id.to_owned(), Entry { number, object });
    }

    fn remove(&mut self, platform: Option<Platform>, id: &str) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.order.remove(&entry.number);
        let key = platform.map(|platform| platform.natural_key(&entry.object)).unwrap_or_default();
        if let Some(ids) = self.names.get_mut(&key) {
            ids.retain(|known| known != id);
            if ids.is_empty() {
                self.names.remove(&key);
            }
        }
        Some(entry)
    }
}

/// All objects of all platforms.
#[derive(Debug)]
pub struct Store {
    /// Each with its name. Those of [`Platform::ALL`] come first.
    shelves: Vec<(String, Contents)>,
    /// Lines that are not in the file yet; `None` if there is no file.
    journal: Option<String>,
}

/// A store that was read from lines.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) store: Store,
    /// Should the file be rewritten? True if it has more than twice the lines it needs, or ends within a line.
    pub(super) stale: bool,
}

impl Default for Store {
    fn default() -> Self {
        let named = |platform: Platform| (platform.as_str().to_owned(), Contents::default());
        Self { shelves: Platform::ALL.map(named).into(), journal: None }
    }
}

impl Store {
    /// An empty store without a file.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// The shelf of that name, which is made if there is none: `litellm /credentials` for the objects that the API
    /// `litellm`, served from its definition, lists there.
    pub fn shelf(&mut self, name: &str) -> Shelf {
        self.known_shelf(name).unwrap_or_else(|| {
            self.shelves.push((name.to_owned(), Contents::default()));
            Shelf(self.shelves.len() - 1)
        })
    }

    /// The shelf of that name, if there is one.
    pub(super) fn known_shelf(&self, name: &str) -> Option<Shelf> {
        self.shelves.iter().position(|(known, _)| known == name).map(Shelf)
    }

    fn contents(&self, shelf: Shelf) -> &Contents {
        &self.shelves[shelf.0].1
    }

    fn line(&self, shelf: Shelf, number: u64, id: &str, object: &Value) -> String {
        let name = Value::from(self.shelves[shelf.0].0.as_str());
        format!("{{\"platform\":{name},\"n\":{number},\"id\":{},\"object\":{object}}}\n", Value::from(id))
    }

    /// Folds the lines of a file. A last line without its end was cut by a crash and is left out; any other line that
    /// makes no sense is an error, with its number.
    pub(super) fn load(text: &str) -> Result<Loaded, (usize, String)> {
        let mut store = Self { journal: Some(String::new()), ..Self::default() };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for (index, line) in text[..whole].lines().enumerate() {
            store.fold(line).map_err(|reason| (index + 1, reason))?;
        }
        let (lines, needed) = (text[..whole].lines().count(), store.compact().lines().count());
        Ok(Loaded { stale: lines > 2 * needed || whole < text.len(), store })
    }

    fn fold(&mut self, line: &str) -> Result<(), String> {
        let mut value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        // An API that is served from its definition has a list in the name of its shelf.
        let name = member(&value, "platform");
        if Platform::named(name).is_none() && !name.contains(" /") {
            return Err("unknown platform".to_owned());
        }
        let shelf = self.shelf(&name.to_owned());
        let number = value.get("n").and_then(Value::as_u64).ok_or("`n` is missing")?;
        let id = value.get("id").and_then(Value::as_str).ok_or("`id` is missing")?.to_owned();
        let (platform, contents) = (shelf.platform(), &mut self.shelves[shelf.0].1);
        match value.get_mut("object").map(Value::take) {
            None => return Err("`object` is missing".to_owned()),
            Some(Value::Null) => {
                contents.remove(platform, &id);
                contents.last = contents.last.max(number);
            }
            Some(object) => contents.insert(platform, number, &id, object),
        }
        Ok(())
    }

    /// The shortest lines that give this store again.
    pub(super) fn compact(&self) -> String {
        let mut lines = String::new();
        for (n, (_, contents)) in self.shelves.iter().enumerate() {
            for (number, id) in &contents.order {
                if let Some(entry) = contents.entries.get(id) {
                    lines.push_str(&self.line(Shelf(n), *number, id, &entry.object));
                }
            }
            let youngest = contents.order.keys().next_back().copied().unwrap_or_default();
            if contents.last > youngest {
                lines.push_str(&self.line(Shelf(n), contents.last, "", &Value::Null));
            }
        }
        lines
    }

    /// Lines that have to be appended to the file.
    pub(super) fn unsaved(&self) -> &str {
        self.journal.as_deref().unwrap_or_default()
    }

    /// Those lines are in the file now.
    pub(super) fn saved(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.clear();
        }
    }

    /// How many objects a shelf has.
    #[must_use]
    pub fn count(&self, shelf: impl Into<Shelf>) -> usize {
        self.contents(shelf.into()).entries.len()
    }

    /// The object with that id.
    #[must_use]
    pub fn get(&self, shelf: impl Into<Shelf>, id: &str) -> Option<&Value> {
        self.contents(shelf.into()).entries.get(id).map(|entry| &entry.object)
    }

    /// The id of the (first) object with that natural key, as [`Platform::natural_key`] spells it.
    #[must_use]
    pub fn find(&self, platform: Platform, natural_key: &str) -> Option<&str> {
        self.contents(platform.into()).names.get(natural_key)?.first().map(String::as_str)
    }

    /// All objects with their ids, oldest first.
    pub fn list(&self, shelf: impl Into<Shelf>) -> impl Iterator<Item = (&str, &Value)> {
        let contents = self.contents(shelf.into());
        contents.order.values().filter_map(move |id| contents.entries.get(id).map(|entry| (id.as_str(), &entry.object)))
    }

    /// The number that the next new object gets. Ids are derived from it.
    #[must_use]
    pub fn next_number(&self, shelf: impl Into<Shelf>) -> u64 {
        self.contents(shelf.into()).last + 1
    }

    /// Stores an object, new or changed, as it is: no rule of any vendor is applied.
    pub fn put(&mut self, shelf: impl Into<Shelf>, id: &str, object: Value) {
        let shelf = shelf.into();
        let next = self.next_number(shelf);
        let number = self.contents(shelf).entries.get(id).map_or(next, |entry| entry.number);
        if self.journal.is_some() {
            let line = self.line(shelf, number, id, &object);
            self.journal.get_or_insert_default().push_str(&line);
        }
        self.shelves[shelf.0].1.insert(shelf.platform(), number, id, object);
    }

    /// Changes an object in place; false if there is none with that id. No rule of any vendor is applied, and no
    /// stamp moves: see [`Store::touch`].
    pub fn update(&mut self, shelf: impl Into<Shelf>, id: &str, edit: impl FnOnce(&mut Value)) -> bool {
        let shelf = shelf.into();
        let Some(mut object) = self.get(shelf, id).cloned() else { return false };
        edit(&mut object);
        self.put(shelf, id, object);
        true
    }

    /// Moves an object's modification stamp by the least that the API can show, as an edit by somebody else would.
    /// False if there is no such object. A Flashback object has no stamp to move.
    pub fn touch(&mut self, shelf: impl Into<Shelf>, id: &str) -> bool {
        let shelf = shelf.into();
        let (name, step) = match shelf.platform() {
            Some(Platform::Koreai) => ("modifiedOn", 1),
            Some(Platform::Gateway) => ("updatedAt", 1000),
            Some(Platform::Flashback) => return self.get(shelf, id).is_some(),
            // Where everything is served from a definition, so is the stamp: a number here.
            None => {
                return self
                    .update(shelf, id, |object| object["stamp"] = (object["stamp"].as_u64().unwrap_or_default() + 1).into());
            }
        };
        self.update(shelf, id, |object| {
            let moved = later(member(object, name), member(object, name), step);
            object[name] = Value::String(moved);
        })
    }

    /// Removes an object and gives it back.
    pub fn remove(&mut self, shelf: impl Into<Shelf>, id: &str) -> Option<Value> {
        let shelf = shelf.into();
        let entry = self.shelves[shelf.0].1.remove(shelf.platform(), id)?;
        if self.journal.is_some() {
            let line = self.line(shelf, entry.number, id, &Value::Null);
            self.journal.get_or_insert_default().push_str(&line);
        }
        Some(entry.object)
    }
}

/// An id in the shape of a UUID, the same for the same number in every sandbox.
pub(super) fn uuid_shaped(shelf: &str, number: u64) -> String {
    let digits = hex(format!("{shelf}/{number}").as_bytes(), 32);
    format!("{}-{}-4{}-8{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
}

/// The stamp `now`, or `step` milliseconds after `previous` where the clock has not moved that far: a stamp that is a
/// watermark must move with every update, also when two come within a millisecond or the clock is set back.
pub(super) fn later(previous: &str, now: &str, step: i64) -> String {
    let (Ok(previous), Ok(current)) = (previous.parse::<Timestamp>(), now.parse::<Timestamp>()) else {
        return now.to_owned();
    };
    let chosen = current.as_millisecond().max(previous.as_millisecond() + step);
    Timestamp::from_millisecond(chosen).map_or_else(|_| now.to_owned(), |stamp| format!("{stamp:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(name: &str) -> Value {
        json!({"connectionName": name})
    }

    fn names(store: &Store) -> Vec<&str> {
        store.list(Platform::Koreai).map(|(_, object)| member(object, "connectionName")).collect()
    }

    fn journaled() -> Store {
        Store::load("").unwrap().store
    }

    #[test]
    fn objects_are_found_by_id_and_by_name_in_order_of_creation() {
        let mut store = Store::in_memory();
        for (id, name) in [("z", "one"), ("a", "two"), ("m", "three")] {
            store.put(Platform::Koreai, id, named(name));
        }
        assert_eq!(names(&store), ["one", "two", "three"]);
        assert_eq!(store.find(Platform::Koreai, "two"), Some("a"));
        assert_eq!(store.find(Platform::Gateway, "two"), None);

        assert!(store.update(Platform::Koreai, "a", |object| object["connectionName"] = json!("zwei")));
        assert_eq!(store.find(Platform::Koreai, "two"), None);
        assert_eq!(store.find(Platform::Koreai, "zwei"), Some("a"));
        assert_eq!(names(&store), ["one", "zwei", "three"]);

        assert_eq!(store.remove(Platform::Koreai, "z"), Some(named("one")));
        assert_eq!(store.remove(Platform::Koreai, "z"), None);
        assert_eq!(store.find(Platform::Koreai, "one"), None);
        assert!(!store.update(Platform::Koreai, "z", |_| ()));
        assert_eq!(store.count(Platform::Koreai), 2);
        assert_eq!(store.unsaved(), "", "a store without a file keeps no lines");
    }

    #[test]
    fn two_objects_may_be_made_to_share_a_name() {
        let mut store = Store::in_memory();
        store.put(Platform::Koreai, "a", named("same"));
        store.put(Platform::Koreai, "b", named("same"));
        assert_eq!(store.find(Platform::Koreai, "same"), Some("a"));
        store.remove(Platform::Koreai, "a");
        assert_eq!(store.find(Platform::Koreai, "same"), Some("b"));
    }

    #[test]
    fn lines_give_the_same_store_again() {
        let mut store = journaled();
        store.put(Platform::Koreai, "z", named("one"));
        store.put(Platform::Koreai, "a", named("two"));
        store.put(Platform::Koreai, "z", named("uno"));
        store.put(Platform::Flashback, "f", json!({"workspaceId": "w", "name": "n"}));
        store.remove(Platform::Flashback, "f");
        assert_eq!(store.unsaved().lines().count(), 5);

        let loaded = Store::load(store.unsaved()).unwrap();
        assert!(!loaded.stale);
        assert_eq!(names(&loaded.store), ["uno", "two"]);
        assert_eq!(loaded.store.compact(), store.compact());
        // The deleted object's number is not used again, neither now nor after a rewrite.
        assert_eq!(loaded.store.next_number(Platform::Flashback), 2);
        assert_eq!(Store::load(&store.compact()).unwrap().store.next_number(Platform::Flashback), 2);

        store.saved();
        assert_eq!(store.unsaved(), "");
    }

    #[test]
    fn a_list_of_another_api_has_a_shelf_of_its_own() {
        let mut store = journaled();
        let shelf = store.shelf("mine /things");
        store.put(shelf, "a", json!({"stamp": 1}));
        assert!(store.touch(shelf, "a") && store.count(Platform::Koreai) == 0);
        let mut loaded = Store::load(store.unsaved()).unwrap().store;
        let shelf = loaded.shelf("mine /things");
        assert_eq!(loaded.get(shelf, "a"), Some(&json!({"stamp": 2})));
        assert_eq!((loaded.next_number(shelf), loaded.compact()), (2, store.compact()));
    }

    #[test]
    fn a_file_is_stale_when_most_of_its_lines_are_history_or_its_end_is_torn() {
        let mut store = journaled();
        for _ in 0..3 {
            store.put(Platform::Koreai, "a", named("one"));
        }
        assert!(Store::load(store.unsaved()).unwrap().stale);
        assert!(!Store::load(&store.compact()).unwrap().stale);

        let torn = format!("{}{{\"platform\":\"kor", store.compact());
        let loaded = Store::load(&torn).unwrap();
        assert!(loaded.stale);
        assert_eq!(names(&loaded.store), ["one"]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        let good = Store::in_memory().line(Platform::Koreai.into(), 1, "a", &named("one"));
        for (bad, why) in [
            ("{}", "unknown platform"),
            (r#"{"platform":"koreai","id":"a","object":{}}"#, "`n` is missing"),
            (r#"{"platform":"koreai","n":1,"object":{}}"#, "`id` is missing"),
            (r#"{"platform":"koreai","n":1,"id":"a"}"#, "`object` is missing"),
        ] {
            assert_eq!(Store::load(&format!("{good}{bad}\n")).unwrap_err(), (2, why.to_owned()), "{bad}");
        }
        assert_eq!(Store::load("<html>\n").unwrap_err().0, 1);
    }

    #[test]
    fn stamps_move_strictly() {
        for (previous, now, expected) in [
            ("2024-01-15T10:30:00.000Z", "2024-01-15T10:30:00.500Z", "2024-01-15T10:30:00.500Z"),
            ("2024-01-15T10:30:00.000Z", "2024-01-15T10:30:00.000Z", "2024-01-15T10:30:00.001Z"),
            ("2024-01-15T10:30:00.999Z", "2023-01-01T00:00:00.000Z", "2024-01-15T10:30:01.000Z"),
            ("", "2024-01-15T10:30:00.000Z", "2024-01-15T10:30:00.000Z"),
        ] {
            assert_eq!(later(previous, now, 1), expected, "{previous} {now}");
        }
        let mut store = Store::in_memory();
        store.put(Platform::Koreai, "a", json!({"modifiedOn": "2024-01-15T10:30:00.000Z"}));
        assert!(store.touch(Platform::Koreai, "a"));
        assert_eq!(store.get(Platform::Koreai, "a").unwrap()["modifiedOn"], "2024-01-15T10:30:00.001Z");
        assert!(!store.touch(Platform::Koreai, "b"));
    }

    #[test]
    fn ids_have_the_shape_of_a_uuid_and_repeat_in_every_sandbox() {
        let id = uuid_shaped("koreai", 1);
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(id, uuid_shaped("koreai", 1));
        assert_ne!(id, uuid_shaped("koreai", 2));
        assert_ne!(id, uuid_shaped("flashback", 1));
    }
}
