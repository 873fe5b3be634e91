//! A rehearsal: the story that every connection goes through, played for each kind of a definition against a server that
//! behaves as the definition says. It shows what the definition makes of an API — what can be changed, by which request,
//! which secrets can be verified — and where it contradicts itself. No network, no clock.

mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use self::server::{Gives, Server};
use super::body;
use super::confirm::{self, Finding as Confirmed, Written};
use super::diff::{self, Live, Subject};
use super::unit::{Content, units};
use crate::address::Address;
use crate::config::connections::Lifecycle;
use crate::config::desired::Connection;
use crate::config::node::Node;
use crate::path::FieldPath;
use crate::platform::exchange::ApiError;
use crate::platform::model::{Collection, Definition, Delete, Field, Kind, Paging, ReadBack, ReadsAs, Semantics, Trust, Update};
use crate::platform::object::{Completeness, Lister, Object, natural_key, read_answer};
use crate::platform::parse::field_at;
use crate::platform::sample;
use crate::source::Span;
use crate::state::{Fingerprinter, Key, Record};
use crate::value::Value;

/// What a rehearsal of one kind showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The kind.
    pub kind: String,
    /// What people call it.
    pub title: String,
    /// `POST /things`
    pub create: String,
    /// Each update with the fields that it is chosen for.
    pub updates: Vec<(String, Vec<String>)>,
    /// The delete, if there is one.
    pub delete: Option<String>,
    /// The test, and what a pass proves.
    pub test: Option<(String, Trust)>,
    /// Fields that no request changes: blocked, or replaced where that is allowed.
    pub unchangeable: Vec<String>,
    /// Each secret, and what is known of it after a write.
    pub secrets: Vec<(String, Evidence)>,
    /// What speaks against the definition.
    pub problems: Vec<Problem>,
}

/// What tells that a secret is still ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A mask that can contradict, and a stamp that proves.
    MaskAndStamp,
    /// A mask that can contradict.
    Mask,
    /// A stamp that proves.
    Stamp,
    /// Whether there is one, and a stamp that proves.
    PresenceAndStamp,
    /// Whether there is one.
    Presence,
    /// Nothing.
    Nothing,
    /// The value itself, which the API returns.
    Value,
}

/// One thing that speaks against the definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The definition contradicts itself; otherwise it is allowed and worth a look.
    pub is_error: bool,
    /// Where: `kinds.thing.update[0]`.
    pub at: String,
    /// What.
    pub text: String,
    /// What to do.
    pub help: String,
}

/// Plays every kind of a definition.
#[must_use]
pub fn rehearse(definition: &Definition, place: Span) -> Vec<Report> {
    let kinds = definition.kinds.iter().filter_map(|(name, kind)| {
        let collection = definition.collections.get(&kind.collection)?;
        let mut report = play(name, kind, collection, place);
        report.problems.extend(lookalikes(definition, name, kind));
        Some(report)
    });
    kinds.collect()
}

/// The kinds before this one whose live objects cannot be told from its own.
fn lookalikes<'d>(definition: &'d Definition, name: &'d str, kind: &'d Kind) -> impl Iterator<Item = Problem> {
    let before = definition.kinds.iter().take_while(move |(other, _)| *other != name);
    let alike = before.filter(move |(_, other)| {
        let apart = has_own_mark(kind, other) && has_own_mark(other, kind);
        other.collection == kind.collection && other.constants == kind.constants && !apart
    });
    alike.map(move |(other, _)| Problem {
        is_error: false,
        at: format!("kinds.{name}"),
        text: format!("nothing tells a live `{name}` from a live `{other}`"),
        help: "if the API shows which of the two an object is, give that field and its value as `constants`".to_owned(),
    })
}

/// Must an object of this kind have something that the other kind does not know?
fn has_own_mark(kind: &Kind, other: &Kind) -> bool {
    fn any(fields: &IndexMap<String, Field>, at: &FieldPath, other: &Kind) -> bool {
        fields.iter().any(|(name, field)| {
            let path = at.key(name);
            field.required
                && (any(&field.fields, &path, other) || (field.reads_as != ReadsAs::Nothing && field_at(other, &path).is_none()))
        })
    }
    any(&kind.fields, &FieldPath::root(), other)
}

fn play(name: &str, kind: &Kind, collection: &Collection, place: Span) -> Report {
    let mut report = Report {
        kind: name.to_owned(),
        title: kind.title.clone(),
        create: format!("{} {}", kind.create.method.as_str(), kind.create.path),
        delete: match &kind.delete {
            Delete::None => None,
            Delete::By(request) => Some(format!("{} {}", request.method.as_str(), request.path)),
        },
        test: kind.test.as_ref().map(|test| (format!("{} {}", test.method.as_str(), test.path), test.trust)),
        updates: kind.update.iter().map(|verb| (line(verb), Vec::new())).collect(),
        ..Report::default()
    };
    let variants: &[Gives] = match kind.read_back {
        ReadBack::Full => &[Gives::Everything],
        ReadBack::Partial => &[Gives::Everything, Gives::Scalars],
    };
    for gives in variants {
        let Some(mut stage) = Stage::open(name, kind, collection, *gives, place, &mut report) else { return report };
        stage.change_each_field(*gives == variants[0], &mut report);
    }
    secrets(kind, collection, &mut report);
    remarks(name, kind, collection, &mut report);
    report.problems.dedup();
    report
}

fn line(verb: &Update) -> String {
    format!("{} {}", verb.method.as_str(), verb.path)
}

/// One object on its way through the story.
struct Stage<'d> {
    name: &'d str,
    kind: &'d Kind,
    collection: &'d Collection,
    server: Server<'d>,
    connection: Connection,
    printer: Fingerprinter,
    record: Record,
}

impl<'d> Stage<'d> {
    /// Creates the object, finds it in the list, reads it, records it.
    fn open(
        name: &'d str,
        kind: &'d Kind,
        collection: &'d Collection,
        gives: Gives,
        place: Span,
        report: &mut Report,
    ) -> Option<Self> {
        let mut server = Server::new(collection, kind, gives);
        let spec = sample::spec(kind);
        let connection = connection(name, spec.clone(), place)?;
        let printer = Fingerprinter::new(&Key::new([7; 32]), "rehearsal");
        let answer = server.create(&body::create(kind, &spec).expose_json()?);
        let Some(created) =
            Object::from_create(collection, &kind.create, &answer, kind.create.id_in_location.then_some("/sample-id"))
        else {
            report.problems.push(Problem {
                is_error: true,
                at: format!("kinds.{name}.create"),
                text: format!("the answer to a create has no id: `{}` is not in what `item` names", collection.id),
                help: "give the path of the id in that answer: create.id".to_owned(),
            });
            return None;
        };
        let mut lister = Lister::new(collection, None, 0);
        let listed = lister.take(&server.list()).map(|_| lister.finish());
        let found = listed.as_ref().ok().and_then(|l| l.objects.iter().find(|o| o.id == created.id).cloned());
        let wanted = natural_key(collection, kind, &spec);
        let key = found.map(|object| object.as_written(kind).natural_key(collection));
        if wanted.is_none() || key.flatten() != wanted {
            report.problems.push(Problem {
                is_error: true,
                at: format!("collections.{}.natural_key", kind.collection),
                text: format!("a `{name}` cannot be found in the list by its natural key"),
                help: "every part of the natural key must be a text that the list shows under the same name".to_owned(),
            });
        }
        let record = blank(&connection);
        let mut stage = Self { name, kind, collection, server, connection, printer, record };
        stage.settle(&created, &[], true, &format!("kinds.{name}.create"), "a create", report)?;
        Some(stage)
    }

    fn object(&self, id: &str) -> Result<Object, ApiError> {
        let object = match &self.collection.read {
            Some(_) => read_answer(self.collection, id, &self.server.read())?,
            None => {
                let mut lister = Lister::new(self.collection, None, 0);
                lister.take(&self.server.list())?;
                lister.finish().objects.into_iter().next().ok_or(ApiError {
                    class: crate::platform::exchange::Failure::Unexpected("an empty list".to_owned()),
                    status: 200,
                    message: None,
                    code: None,
                })?
            }
        };
        Ok(object.as_written(self.kind))
    }

    /// After a write: read back, record, and compare again. Nothing may be left to do.
    fn settle(
        &mut self,
        answer: &Object,
        writes: &[FieldPath],
        all: bool,
        at: &str,
        what: &str,
        report: &mut Report,
    ) -> Option<()> {
        let mut problem = |text: String, help: &str| {
            report.problems.push(Problem { is_error: true, at: at.to_owned(), text, help: help.to_owned() });
        };
        let live = match self.object(&answer.id) {
            Ok(live) => live,
            Err(error) => {
                problem(format!("after {what} the object cannot be read: {:?}", error.class), "check `read`, `item` and `id`");
                return None;
            }
        };
        let (record, confirmed) = confirm::record(
            &Written {
                connection: &self.connection,
                kind: self.kind,
                id: &answer.id,
                name: "rehearsal",
                before: None,
                answer: Some(answer),
                read_back: Some(&live),
                prior: Some(&self.record).filter(|r| !r.op.is_empty()),
                rev: self.record.rev + 1,
                announced: &[],
                writes,
                sent_all: all,
                host: "rehearsal",
                op: "rehearsal",
                at: "2030-01-01T00:00:00Z",
            },
            &self.printer,
        );
        for finding in confirmed {
            let path = match finding {
                Confirmed::Ignored(path) | Confirmed::Normalised(path, _) | Confirmed::OtherSecret(path) => path,
            };
            problem(
                format!("after {what}, `{path}` reads back as another value than was sent"),
                "say how it reads: `reads_as`, `equals`, `compare`, `read`",
            );
        }
        self.record = record;
        let left = self.writes(&live);
        if !left.is_empty() {
            let fields: Vec<String> = left.iter().map(|path| format!("`{path}`")).collect();
            problem(
                format!("after {what} a plan is not empty: {} would be written for ever", fields.join(", ")),
                "say how it reads: `reads_as`, `equals`, `compare`, `read`",
            );
        }
        Some(())
    }

    /// What a plan would write now.
    fn writes(&self, live: &Object) -> Vec<FieldPath> {
        diff::compare(&Subject {
            connection: &self.connection,
            kind: self.kind,
            record: Some(&self.record),
            live: Live::Read(live),
            fingerprinter: &self.printer,
            rewrite_secrets: false,
        })
        .writes()
    }

    /// Every unit to every other value that it has, one at a time.
    fn change_each_field(&mut self, is_first: bool, report: &mut Report) {
        let paths: Vec<FieldPath> = units(self.kind, &self.connection.spec)
            .into_iter()
            .filter(|unit| !matches!(unit.content, Content::Keys(..)))
            .map(|unit| unit.path)
            .collect();
        for path in paths {
            let Some(field) = field_at(self.kind, &path) else { continue };
            let Some(name) = path.last_key() else { continue };
            let mut n = 1;
            while let Some(value) = next_value(field, name, &path, n) {
                n += 1;
                self.change(&path, value, is_first, report);
            }
            // And back, so that the next field is changed from where the story began.
            if let Some(value) = next_value(field, name, &path, 0) {
                self.change(&path, value, is_first, report);
            }
        }
    }

    fn change(&mut self, path: &FieldPath, value: Value, is_first: bool, report: &mut Report) {
        let before = self.connection.spec.clone();
        if self.connection.spec.at(path) == Some(&value) || !self.connection.spec.replace(path, value) {
            return;
        }
        let Ok(live) = self.object(&self.record.id.clone()) else { return };
        let writes = self.writes(&live);
        let shown = path.to_string();
        let choice =
            if writes.is_empty() { None } else { body::choose(self.kind, &self.connection, &writes, Some(&live.body)).ok() };
        let Some(choice) = choice else {
            let is_key = self.collection.natural_key.contains(&shown);
            if writes.is_empty() && !is_key && is_first {
                report.problems.push(Problem {
                    is_error: true,
                    at: format!("kinds.{}.fields", self.name),
                    text: format!("a change of `{shown}` is not seen"),
                    help: "two of its values count as equal: check `equals` and `compare`".to_owned(),
                });
            }
            if !writes.is_empty() && !report.unchangeable.contains(&shown) {
                report.unchangeable.push(shown);
            }
            self.connection.spec = before;
            return;
        };
        let verb = choice.verb;
        let at = self.kind.update.iter().position(|v| std::ptr::eq(v, verb)).unwrap_or_default();
        let chosen = &mut report.updates[at].1;
        if is_first && !chosen.contains(&shown) {
            chosen.push(shown.clone());
        }
        let Some(sent) = choice.body.expose_json() else { return };
        let answer = self.server.update(verb, &sent);
        let answer =
            Object::from_json(self.collection, crate::platform::exchange::json_at(&answer, &verb.item).unwrap_or(&answer))
                .map(|a| a.as_written(self.kind))
                .unwrap_or(live);
        let all = verb.semantics != Semantics::Merge;
        let place = format!("kinds.{}.update[{at}]", self.name);
        let what = format!("a change of `{shown}` by {}", line(verb));
        self.settle(&answer, &writes, all, &place, &what, report);
    }
}

fn next_value(field: &Field, name: &str, path: &FieldPath, n: usize) -> Option<Value> {
    // Whether a value is a secret may depend on its key, or on its item's.
    if crate::platform::parse::is_secret(field, path.name()) {
        let secret = Field { secret: crate::platform::model::SecretRule::Always, ..field.clone() };
        return sample::other(&secret, name, n);
    }
    sample::other(field, name, n)
}

fn connection(kind: &str, spec: Value, place: Span) -> Option<Connection> {
    let address: Address = "rehearsal/sample".parse().ok()?;
    Some(Connection {
        address,
        kind: kind.to_owned(),
        spec,
        node: Arc::new(Node::null(place)),
        references: Vec::new(),
        depends_on: Vec::new(),
        lifecycle: Lifecycle::default(),
        source: place,
        origins: BTreeMap::new(),
    })
}

fn blank(connection: &Connection) -> Record {
    Record {
        address: connection.address.clone(),
        id: String::new(),
        rev: 0,
        op: String::new(),
        kind: connection.kind.clone(),
        name: String::new(),
        host: String::new(),
        fields: BTreeMap::new(),
        stored_as: BTreeMap::new(),
        secrets: BTreeMap::new(),
        seen: None,
        guards: std::collections::BTreeSet::new(),
        depends_on: std::collections::BTreeSet::new(),
        at: String::new(),
        extra: serde_json::Map::new(),
    }
}

fn secrets(kind: &Kind, collection: &Collection, report: &mut Report) {
    let spec = sample::spec(kind);
    for unit in units(kind, &spec) {
        if !matches!(unit.content, Content::Secret(_)) {
            continue;
        }
        let field = field_at(kind, &unit.path).unwrap_or(unit.field);
        let evidence = match (field.reads_as, collection.watermark.is_some()) {
            (ReadsAs::Value, _) => Evidence::Value,
            (ReadsAs::Nothing, false) => Evidence::Nothing,
            (ReadsAs::Nothing, true) => Evidence::Stamp,
            (ReadsAs::Presence, false) => Evidence::Presence,
            (ReadsAs::Presence, true) => Evidence::PresenceAndStamp,
            (ReadsAs::Mask, false) => Evidence::Mask,
            (ReadsAs::Mask, true) => Evidence::MaskAndStamp,
        };
        report.secrets.push((unit.path.to_string(), evidence));
    }
}

/// What is allowed and worth a look.
fn remarks(name: &str, kind: &Kind, collection: &Collection, report: &mut Report) {
    let mut remark = |at: String, text: String, help: &str| {
        report.problems.push(Problem { is_error: false, at, text, help: help.to_owned() });
    };
    for (n, (line, chosen)) in report.updates.iter().enumerate() {
        let verb = &kind.update[n];
        if chosen.is_empty() {
            remark(
                format!("kinds.{name}.update[{n}]"),
                format!("{line} is never chosen for a change of one field"),
                "another verb covers all that it covers and needs no more secrets, or it covers nothing: check `covers` and `requires`",
            );
        }
        if verb.may_be_missing && n + 1 == kind.update.len() {
            remark(
                format!("kinds.{name}.update[{n}]"),
                format!("{line} may be missing, and no verb follows it"),
                "where it is missing, what it covers cannot be changed",
            );
        }
    }
    for (path, _) in &report.secrets {
        if report.unchangeable.contains(path) {
            remark(
                format!("kinds.{name}.fields"),
                format!("the secret `{path}` cannot be rotated by any request"),
                "if the API can change it, add the verb under `update`",
            );
        }
    }
    let mut lister = Lister::new(collection, None, 0);
    let server = Server::new(collection, kind, Gives::Everything);
    let certain = lister.take(&server.list()).is_ok() && lister.finish().complete == Completeness::Certain;
    if !certain && matches!(collection.list.paging, Paging::LimitOnly { .. }) {
        remark(
            format!("collections.{}.list", kind.collection),
            format!("nothing certifies that a list of `{}` is complete", kind.collection),
            "without `total` or paging that ends, nothing is created or deleted",
        );
    }
}

#[cfg(test)]
mod tests;
