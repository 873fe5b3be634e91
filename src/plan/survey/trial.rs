//! The requests that change the disposable object, each to answer one question.
//!
//! Each is what an apply would send, or that with one thing left out or put in.

use super::{Disposable, Subject};
use crate::config::desired::Connection;
use crate::path::FieldPath;
use crate::plan::body;
use crate::plan::unit::{Content, units};
use crate::platform::bounds::fits;
use crate::platform::compare::same;
use crate::platform::exchange::RequestSpec;
use crate::platform::model::{Compare, Field, FieldType, Kind, ReadsAs, Requires, Semantics, Transition, Update};
use crate::platform::object::Object;
use crate::platform::parse::field_at;
use crate::value::{Map, Value};

/// One change that is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The update, by its position.
    pub verb: usize,
    /// The field that it is about.
    pub field: FieldPath,
    /// What is tried with it.
    pub way: Way,
}

/// What is tried with a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// A secret gets another value.
    Rotate(Value),
    /// It gets another value.
    Change(Value),
    /// The field is sent with the value that it has, and this one is not: is that one kept?
    LeaveOut(FieldPath),
    /// Of an object, this key is sent alone: is the field, another of its keys, kept?
    Part(FieldPath),
    /// Null is sent.
    Null,
    /// It gets another value, though the definition says that no request changes it.
    Force(Value),
    /// It is left out, though it is required.
    Omit,
}

/// The request that makes the object.
#[must_use]
pub fn create(subject: &Subject<'_>) -> RequestSpec {
    // It is to be seen what one request does.
    RequestSpec { idempotent: false, ..body::create_request(subject.kind, &subject.disposable.connection.spec) }
}

/// Everything that is tried with the object as it is now. What sends known values comes first: if the definition is right,
/// the object is as it was made until then.
#[must_use]
pub fn trials(subject: &Subject<'_>, live: &Object) -> Vec<Trial> {
    let ground = Ground::new(subject, live);
    let mut all = Vec::new();
    let ways =
        [Ground::parts, Ground::unsent, Ground::rotations, Ground::changes, Ground::nulls, Ground::omissions, Ground::excepted];
    for way in ways {
        for (n, verb) in subject.kind.update.iter().enumerate() {
            all.extend(way(&ground, n, verb));
        }
    }
    all.extend(ground.forced());
    all
}

/// What there is to try with.
struct Ground<'g> {
    kind: &'g Kind,
    disposable: &'g Disposable,
    live: &'g Object,
    /// Fields that read back as they were written, without the parts of the natural key.
    plain: Vec<(FieldPath, &'g Field)>,
    /// Secrets.
    secrets: Vec<FieldPath>,
}

impl<'g> Ground<'g> {
    fn new(subject: &Subject<'g>, live: &'g Object) -> Self {
        let (mut plain, mut secrets) = (Vec::new(), Vec::new());
        let keys: Vec<FieldPath> = subject.collection.natural_key.iter().map(|path| FieldPath::parse(path)).collect();
        for unit in units(subject.kind, &subject.disposable.connection.spec) {
            match unit.content {
                Content::Secret(_) => secrets.push(unit.path),
                Content::Plain(value, emptied) if emptied.is_empty() && unit.field.reads_as == ReadsAs::Value => {
                    let reads_back = live.body.at(&unit.path).is_some_and(|live| same(unit.field, &value, Some(live)));
                    let is_key = keys.iter().any(|key| key.starts_with(&unit.path) || unit.path.starts_with(key));
                    if reads_back && !value.is_null() && !is_key {
                        plain.push((unit.path, unit.field));
                    }
                }
                _ => {}
            }
        }
        Self { kind: subject.kind, disposable: subject.disposable, live, plain, secrets }
    }

    fn covers(&self, verb: &Update, path: &FieldPath) -> bool {
        apply_body(self.kind, &self.disposable.connection, verb, path, self.live).is_some()
    }

    /// Those of the fields that a request covers, plain ones first.
    fn covered<'a>(&'a self, verb: &'a Update) -> impl Iterator<Item = &'a FieldPath> {
        self.plain.iter().map(|(path, _)| path).chain(&self.secrets).filter(move |path| self.covers(verb, path))
    }

    fn rotations(&self, n: usize, verb: &Update) -> Vec<Trial> {
        let covered = self.secrets.iter().filter(|path| self.covers(verb, path));
        let trial = |path: &FieldPath| {
            let to = Value::Secret(self.disposable.another_secret(path)?);
            Some(Trial { verb: n, field: path.clone(), way: Way::Rotate(to) })
        };
        covered.filter_map(trial).collect()
    }

    fn changes(&self, n: usize, verb: &Update) -> Vec<Trial> {
        let name = self.disposable.name_at.clone();
        let name_field = field_at(self.kind, &name).map(|field| (name, field));
        let changed = self.plain.iter().chain(&name_field).filter_map(|(path, field)| {
            let to = other(field, self.disposable.connection.spec.at(path)?)?;
            let changed = with(&self.disposable.connection, path, to.clone());
            apply_body(self.kind, &changed, verb, path, self.live)?;
            Some(Trial { verb: n, field: path.clone(), way: Way::Change(to) })
        });
        changed.collect()
    }

    fn unsent(&self, n: usize, verb: &Update) -> Vec<Trial> {
        // Where an object takes parts, what lies beside the field in it is not sent either.
        let apart = |a: &FieldPath, b: &FieldPath| a.top() != b.top();
        let trial = match verb.semantics {
            Semantics::Merge => self.covered(verb).find_map(|sent| {
                let witness = self.plain.iter().find(|(path, _)| apart(path, sent))?;
                Some((sent, witness.0.clone()))
            }),
            Semantics::Replace | Semantics::Upsert => self.covered(verb).find_map(|sent| {
                let optional = |(path, field): &&(FieldPath, &Field)| !field.required && path != sent && is_keys(path);
                let witness = self.plain.iter().find(optional)?;
                Some((sent, witness.0.clone()))
            }),
        };
        trial.map(|(sent, witness)| Trial { verb: n, field: sent.clone(), way: Way::LeaveOut(witness) }).into_iter().collect()
    }

    fn parts(&self, n: usize, verb: &Update) -> Vec<Trial> {
        if verb.semantics != Semantics::Merge {
            return Vec::new();
        }
        let objects = self.kind.fields.iter().filter(|(_, field)| field.kind == FieldType::Object && field.merge);
        let trial = |(name, _): (&String, &Field)| {
            let root = FieldPath::root().key(name);
            let inside = |path: &&FieldPath| path.starts_with(&root) && path.steps().len() == 2;
            let sent = self.covered(verb).find(inside)?;
            let kept = self.plain.iter().map(|(path, _)| path).find(|path| inside(path) && *path != sent)?;
            Some(Trial { verb: n, field: kept.clone(), way: Way::Part(sent.clone()) })
        };
        objects.filter_map(trial).collect()
    }

    fn nulls(&self, n: usize, verb: &Update) -> Vec<Trial> {
        let optional = |(path, field): &&(FieldPath, &Field)| {
            !field.required && is_keys(path) && self.covers(verb, path) && verb.semantics == Semantics::Merge
        };
        let first = self.plain.iter().find(optional);
        first.map(|(path, _)| Trial { verb: n, field: path.clone(), way: Way::Null }).into_iter().collect()
    }

    fn omissions(&self, n: usize, verb: &Update) -> Vec<Trial> {
        if verb.requires != Requires::All {
            return Vec::new();
        }
        let required = |path: &&FieldPath| {
            let field = path.top().filter(|_| path.steps().len() == 1).and_then(|top| self.kind.fields.get(top));
            field.is_some_and(|field| field.required) && self.covered(verb).any(|covered| covered != *path)
        };
        // A secret that need not be sent again is worth most.
        let first = self.secrets.iter().chain(self.plain.iter().map(|(path, _)| path)).find(required);
        first.map(|path| Trial { verb: n, field: path.clone(), way: Way::Omit }).into_iter().collect()
    }

    /// What no request changes, by a request that names the object: one that goes by name could make another.
    fn forced(&self) -> Vec<Trial> {
        let by_id = |verb: &&Update| verb.semantics != Semantics::Upsert;
        let Some((n, verb)) = self.kind.update.iter().enumerate().find(|(_, verb)| by_id(verb)) else { return Vec::new() };
        if self.covered(verb).next().is_none() {
            return Vec::new();
        }
        let fixed = |path: &FieldPath| is_keys(path) && !self.kind.update.iter().any(|verb| self.covers(verb, path));
        let trial = |(path, field): &(FieldPath, &Field)| {
            let to = other(field, self.disposable.connection.spec.at(path)?)?;
            Some(Trial { verb: n, field: path.clone(), way: Way::Force(to) })
        };
        self.plain.iter().filter(|(path, _)| fixed(path)).filter_map(trial).collect()
    }

    /// The changes that a request cannot make although it covers the field.
    fn excepted(&self, n: usize, verb: &Update) -> Vec<Trial> {
        let trial =
            |except: &Transition| {
                let field = FieldPath::parse(&except.field);
                let now = self.disposable.connection.spec.at(&field)?.as_str()?;
                let to = except.to.as_deref().filter(|to| *to != now)?;
                let holds = except.from.as_deref().is_none_or(|from| from == now);
                (holds && self.plain.iter().any(|(path, _)| *path == field) && self.covered(verb).next().is_some())
                    .then(|| Trial { verb: n, field, way: Way::Force(Value::String(to.to_owned())) })
            };
        verb.except.iter().filter_map(trial).collect()
    }
}

impl Trial {
    /// The request, for the object as it is now. `None` if it cannot be built of that.
    #[must_use]
    pub fn request(&self, subject: &Subject<'_>, live: &Object) -> Option<RequestSpec> {
        let verb = subject.kind.update.get(self.verb)?;
        let connection = &subject.disposable.connection;
        let as_applied = |connection: &Connection, path: &FieldPath| apply_body(subject.kind, connection, verb, path, live);
        let body = match &self.way {
            Way::Rotate(to) | Way::Change(to) => as_applied(&with(connection, &self.field, to.clone()), &self.field)?,
            Way::LeaveOut(witness) => {
                let mut body = as_applied(connection, &self.field)?;
                body.take(&in_body(verb, witness));
                body
            }
            Way::Part(sent) => {
                let mut body = Value::Map(Map::new());
                body.put(&in_body(verb, sent), connection.spec.at(sent)?.clone());
                body
            }
            Way::Null => {
                let mut body = Value::Map(Map::new());
                body.put(&in_body(verb, &self.field), Value::Null);
                body
            }
            Way::Force(to) => {
                let ground = Ground::new(subject, live);
                let mut body = as_applied(connection, ground.covered(verb).next()?)?;
                body.put(&in_body(verb, &self.field), to.clone());
                body
            }
            Way::Omit => {
                let ground = Ground::new(subject, live);
                let carrier = ground.covered(verb).find(|path| **path != self.field)?.clone();
                let mut body = as_applied(connection, &carrier)?;
                body.take(&in_body(verb, &self.field));
                body
            }
        };
        Some(request(verb, body, &live.id))
    }
}

/// What brings the object back to what it was made as, or nothing if that is what it is. Of the requests that could, the
/// one that sends most: it depends least on what the definition says about partial ones.
#[must_use]
pub fn restore(subject: &Subject<'_>, live: &Object) -> Option<RequestSpec> {
    let connection = &subject.disposable.connection;
    let differs = |path: &FieldPath, field: &Field, value: &Value| !same(field, value, live.body.at(path));
    let writes: Vec<FieldPath> = units(subject.kind, &connection.spec)
        .into_iter()
        .filter_map(|unit| match &unit.content {
            Content::Plain(value, emptied) if emptied.is_empty() && unit.field.reads_as == ReadsAs::Value => {
                differs(&unit.path, unit.field, value).then_some(unit.path)
            }
            _ => None,
        })
        .collect();
    if writes.is_empty() {
        return None;
    }
    let choice = body::choices(subject.kind, connection, &writes, Some(&live.body)).ok()?.pop()?;
    Some(request(choice.verb, choice.body, &live.id))
}

fn request(verb: &Update, body: Value, id: &str) -> RequestSpec {
    RequestSpec { idempotent: false, ..body::update_request(verb, body, id) }
}

/// The body that an apply would send for a change of this field by this request, if it would.
fn apply_body(kind: &Kind, connection: &Connection, verb: &Update, path: &FieldPath, live: &Object) -> Option<Value> {
    let all = body::choices(kind, connection, std::slice::from_ref(path), Some(&live.body)).ok()?;
    all.into_iter().find(|choice| std::ptr::eq(choice.verb, verb)).map(|choice| choice.body)
}

/// Where a request has a field.
fn in_body(verb: &Update, path: &FieldPath) -> FieldPath {
    let moved = verb.writes_as.iter().find_map(|(from, to)| {
        let rest = path.below(&FieldPath::parse(from))?;
        Some(FieldPath::parse(to).concat(&rest))
    });
    moved.unwrap_or_else(|| path.clone())
}

fn with(connection: &Connection, path: &FieldPath, to: Value) -> Connection {
    let mut changed = connection.clone();
    changed.spec.replace(path, to);
    changed
}

/// Does the path lead through keys alone? What is inside a list goes with it.
fn is_keys(path: &FieldPath) -> bool {
    path.item_key().is_none()
}

/// Another value that an API may take where it took this one.
fn other(field: &Field, value: &Value) -> Option<Value> {
    let is_taken = |value: &Value| fits(field, value);
    let changed = match value {
        Value::Bool(is) => Some(Value::Bool(!is)),
        Value::Number(n) => match n.as_i64() {
            Some(whole) => {
                let next = [whole.checked_add(1), whole.checked_sub(1)].into_iter().flatten();
                next.map(|whole| Value::Number(whole.into())).find(is_taken)
            }
            // Less rather than more: many have an upper limit.
            None => serde_json::Number::from_f64(n.as_f64()? / 2.0).map(Value::Number),
        },
        Value::String(text) if !field.accepted.is_empty() => {
            field.accepted.iter().find(|word| *word != text).map(|word| Value::String(word.clone()))
        }
        Value::String(text) if field.compare == Compare::Url => {
            Some(Value::String(format!("{}/patchbay-probe", text.trim_end_matches('/'))))
        }
        Value::String(text) if !text.is_empty() => Some(Value::String(format!("{text}-b"))),
        Value::List(items) if !field.accepted.is_empty() && items.len() > 1 => {
            Some(Value::List(items[..items.len() - 1].to_vec()))
        }
        _ => None,
    };
    changed.filter(is_taken)
}
