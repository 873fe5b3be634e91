//! `plan(desired, observed, recorded, options) → Plan + diagnostics`: pure, deterministic, total.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::body;
use super::dependents;
use super::diff::{self, Live, Subject};
use super::leftover;
use super::model::{Action, Basis, Cause, Change, Outline, Plan, PlanTarget, Reason, Refresh, Side, Unproved, Verdict};
use super::observed::{Detail, LiveList, Located, Observed, locate};
use super::order::topological;
use super::select::Selector;
use super::sides;
use super::unit;
use crate::address::Address;
use crate::config::connections::TestAfter;
use crate::config::desired::{Connection, Desired, References};
use crate::config::project::{Project, Target};
use crate::config::spec::span_of;
use crate::config::template::{Reference, find_reference};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::path::{FieldPath, Step};
use crate::platform::model::{Collection, Definition, Delete, Kind};
use crate::platform::object::{Completeness, Object, natural_key};
use crate::secret::Redactor;
use crate::state::{Fingerprinter, Record, State, TEST};
use crate::value::Value;

/// Everything a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct World<'w> {
    /// What the files want.
    pub desired: &'w Desired,
    /// The project file.
    pub project: &'w Project,
    /// The definition of each target's platform.
    pub definitions: &'w BTreeMap<String, Arc<Definition>>,
    /// The address of each target, sandboxes resolved to a stable name.
    pub hosts: &'w BTreeMap<String, String>,
    /// What was recorded.
    pub state: &'w State,
    /// What the APIs showed.
    pub observed: &'w Observed,
    /// Which connection the state has an object under: `(target, id)`.
    pub owners: &'w BTreeMap<(String, String), Address>,
    /// Makes fingerprints.
    pub fingerprinter: &'w Fingerprinter,
    /// Fills in references.
    pub references: &'w References<'w>,
    /// Choices of this run.
    pub options: &'w Options,
    /// Knows the secrets.
    pub redactor: &'w Redactor,
}

/// Choices of one run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much is read.
    pub refresh: Refresh,
    /// Are secrets that cannot be verified to be written again?
    pub rewrite_secrets: bool,
    /// May a target have another address than in the state?
    pub accept_target_change: bool,
    /// Which connections the run is about.
    pub selector: Selector,
    /// Live objects that connections without a record are said to be, by id.
    pub pinned: BTreeMap<Address, String>,
    /// Is everything that is recorded and chosen to be deleted, whatever `prune` says?
    pub destroy: bool,
    /// May what is deleted leave others behind that refer to it?
    pub leave_dependents: bool,
    /// Are live objects taken over even where a target has `adopt = false`? Whoever imports says that they are theirs.
    pub adopt_anyway: bool,
}

/// The rules that hold for one connection.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'w> {
    /// Its target.
    pub target: &'w Target,
    /// Its kind.
    pub kind: &'w Kind,
    /// Its collection.
    pub collection: &'w Collection,
}

impl<'w> World<'w> {
    /// The rules of a connection; `None` if its target or kind is unknown, which the configuration reported.
    #[must_use]
    pub fn rules(&self, connection: &Connection) -> Option<Rules<'w>> {
        let name = connection.address.target();
        let definition = self.definitions.get(name)?;
        let kind = definition.kinds.get(&connection.kind)?;
        Some(Rules { target: self.project.targets.get(name)?, kind, collection: definition.collections.get(&kind.collection)? })
    }

    /// The record that speaks of a connection: its own, or the one that moves here.
    #[must_use]
    pub fn record(&self, address: &Address) -> Option<&'w Record> {
        self.state.record(address).or_else(|| {
            let (from, _) = self.desired.moved.iter().find(|(_, to)| to == address)?;
            self.state.record(from)
        })
    }

    /// Does the state have this object under another connection? An object has one owner: taken over by a second one, the
    /// two would change it to and fro for ever.
    fn other_owner(&self, address: &Address, id: &str) -> Option<&'w Address> {
        let owner = self.owners.get(&(address.target().to_owned(), id.to_owned()))?;
        let moves = self.desired.moved.iter().any(|(from, to)| from == owner && to == address);
        (owner != address && !moves).then_some(owner)
    }

    pub(super) fn is_declared(&self, address: &Address) -> bool {
        self.references.declared.contains_key(address)
    }

    /// Where a connection's live object is.
    pub(super) fn locate(&self, connection: &Connection, rules: Rules<'_>, record: Option<&Record>) -> Located {
        if record.is_none()
            && let Some(id) = self.options.pinned.get(&connection.address)
        {
            let target = connection.address.target();
            let collection = &rules.kind.collection;
            let Some(list) = self.observed.list(target, collection) else { return Located::Uncertain };
            let gone = matches!(self.observed.detail(target, collection, id), Some(Detail::Gone));
            let may_be = rules.collection.read.is_some() || list.object(id).is_some();
            return if may_be && !gone { Located::At { id: id.clone(), by_name: true } } else { Located::Absent { gone: None } };
        }
        // An owner that left the files gives its object away: that is a renamed key.
        let is_taken = |id: &str| self.other_owner(&connection.address, id).is_some_and(|owner| self.is_declared(owner));
        locate(connection, rules.kind, rules.collection, record, self.observed, &is_taken)
    }

    /// The connections that this run is about, in the author's order.
    #[must_use]
    pub fn chosen(&self) -> Vec<&'w Connection> {
        let chosen = self.options.selector.choose(self.desired);
        self.desired.connections.iter().filter(|c| chosen.contains(&c.address)).collect()
    }
}

/// Makes the plan. Every declared connection and every record has exactly one change in it.
#[must_use]
pub fn plan(world: &World<'_>) -> (Plan, Diagnostics) {
    let mut found = Diagnostics::new();
    let connections = world.chosen();
    let nodes: Vec<(&Address, &[Address])> = connections.iter().map(|c| (&c.address, c.depends_on.as_slice())).collect();
    let chosen: BTreeSet<&Address> = connections.iter().map(|c| &c.address).collect();
    let mut changes: Vec<Change> = Vec::with_capacity(connections.len());
    let mut planned: BTreeMap<Address, usize> = BTreeMap::new();
    for n in topological(&nodes) {
        let declared = connections[n];
        let Some(rules) = world.rules(declared) else { continue };
        found.extend(unreachable(world, declared, &chosen));
        let known = |address: &Address, reference: &Reference| reference_value(world, &changes, &planned, address, reference);
        let connection = world.references.fill(declared, rules.kind, known);
        if let Some(change) = change(world, connection, rules, &mut found) {
            planned.insert(change.address.clone(), changes.len());
            changes.push(change);
        }
    }
    let given_away: BTreeSet<Address> = changes.iter().filter_map(|c| c.moved_from.clone()).collect();
    changes.extend(leftover::all(world, &given_away, &mut found));
    dependents::check(world, &mut changes, &mut found);
    if !world.options.destroy {
        found.extend(leftover::interrupted(world));
    }
    let mut names: Vec<&str> = world.project.targets.keys().map(String::as_str).collect();
    names.retain(|name| changes.iter().any(|c| c.address.target() == *name));
    let targets = names
        .into_iter()
        .map(|name| PlanTarget {
            name: name.to_owned(),
            platform: world.project.targets[name].platform.clone(),
            base_url: world.hosts.get(name).cloned().unwrap_or_default(),
        })
        .collect();
    let partial = !world.options.selector.is_everything();
    (Plan { targets, changes, refresh: world.options.refresh, partial }, found)
}

/// The objects that a connection refers to, that are not there and that this run will not make: it would wait for ever.
fn unreachable(world: &World<'_>, declared: &Connection, chosen: &BTreeSet<&Address>) -> Diagnostics {
    let left_out = |reference: &Reference| {
        let address = find_reference(&reference.connection, &declared.address, world.references.declared).ok()?;
        let is_known = reference.field.is_some() || chosen.contains(&address) || world.record(&address).is_some();
        (!is_known).then_some(address)
    };
    let missing: BTreeSet<Address> = declared.references.iter().filter_map(left_out).collect();
    let error = |address: &Address| {
        let summary = format!("`{}` needs the id of `{address}`, which does not exist and is left out", declared.address);
        Diagnostic::error(codes::DEPENDENCY_FAILED, summary)
            .label(declared.source, "this connection")
            .help(format!("take `{address}` in, or leave `{}` out, too", declared.address))
            .about(&declared.address)
    };
    missing.iter().map(error).collect()
}

/// The value of a reference, as far as the plan knows it: the id of an object that exists, a field as it is wanted.
fn reference_value(
    world: &World<'_>,
    changes: &[Change],
    planned: &BTreeMap<Address, usize>,
    address: &Address,
    reference: &Reference,
) -> Option<Value> {
    let change = planned.get(address).map(|n| &changes[*n]);
    match &reference.field {
        None => match change {
            // A replacement gets another id.
            Some(change) if change.action == Action::Replace => None,
            Some(change) => change.id.clone().map(Value::String),
            // Outside of a narrowed plan, the record knows.
            None => world.record(address).map(|r| Value::String(r.id.clone())),
        },
        Some(path) => {
            let connection = change.and_then(|c| c.connection.as_deref());
            let connection = connection.or_else(|| world.desired.connections.iter().find(|c| c.address == *address))?;
            connection.spec.at(path).filter(|v| !v.has_unknown()).cloned()
        }
    }
}

fn change(world: &World<'_>, connection: Connection, rules: Rules<'_>, found: &mut Diagnostics) -> Option<Change> {
    let mut record = world.record(&connection.address);
    let name = unit::display_name(&connection, rules.kind, &rules.collection.natural_key);
    let target = &*connection.address.target().to_owned();
    let list = world.observed.list(target, &rules.kind.collection)?;
    let mut gone = None;
    let (id, by_name) = match world.locate(&connection, rules, record) {
        Located::At { id, by_name } => match world.other_owner(&connection.address, &id).filter(|_| by_name) {
            Some(owner) => {
                record = world.state.record(owner);
                (Some(id), false)
            }
            None => (Some(id), by_name),
        },
        Located::Absent { gone: lost } => {
            gone = lost;
            (None, false)
        }
        Located::Ambiguous(ids) => {
            found.push(ambiguous(&connection, &name, &ids));
            return None;
        }
        Located::Uncertain => {
            found.push(cut_short(&connection, list));
            return None;
        }
    };
    if let Some(id) = &id
        && matches!(world.observed.detail(target, &rules.kind.collection, id), Some(Detail::Failed))
    {
        return None;
    }
    let object = id.as_deref().and_then(|id| live_object(world, rules, target, list, id));
    let object = object.as_deref();
    let trusted_record = record.filter(|r| !by_name && Some(&r.id) == id.as_ref());
    let live = match (&id, object) {
        (None, _) => Live::Absent,
        (Some(_), Some(object)) => Live::Read(object),
        (Some(_), None) => Live::Trusted,
    };
    // For this plan alone: the record gets what the files say.
    let mut depends_on = connection.depends_on.clone();
    if id.is_none()
        && let Some(key) = natural_key(rules.collection, rules.kind, &connection.spec)
    {
        // Somebody else's object has the name until it is renamed.
        let owners = list.ids_named(&key).filter_map(|id| world.other_owner(&connection.address, id));
        for owner in owners.cloned().collect::<Vec<_>>() {
            if !depends_on.contains(&owner) {
                depends_on.push(owner);
            }
        }
    }
    let moved_from = record.map(|r| &r.address).filter(|a| **a != connection.address).cloned();
    let interrupted = world.state.open_intents().any(|i| i.address == connection.address && i.verb == "create" && i.name == name);
    if by_name && !rules.target.adopt && !world.options.adopt_anyway && !interrupted {
        found.push(taken(&connection, rules, &name, id.as_deref(), "this target has `adopt = false`"));
        return None;
    }
    let subject = Subject {
        connection: &connection,
        kind: rules.kind,
        record: trusted_record,
        live,
        fingerprinter: world.fingerprinter,
        rewrite_secrets: world.options.rewrite_secrets,
    };
    let comparison = diff::compare(&subject);
    if by_name
        && let Some(other) = comparison.fields.iter().find(|f| f.path.top().is_some_and(|t| rules.kind.constants.contains_key(t)))
    {
        let live = match &other.before {
            Side::Value(value) => value.canonical(),
            _ => "another value".to_owned(),
        };
        let why = format!("its `{}` is {live}, so it is not of kind `{}`", other.path, connection.kind);
        found.push(taken(&connection, rules, &name, id.as_deref(), &why));
        return None;
    }
    let writes = comparison.writes();
    let mut change = Change {
        address: connection.address.clone(),
        kind: connection.kind.clone(),
        name,
        id: id.clone(),
        gone,
        action: Action::Unchanged,
        adopts: by_name,
        moved_from,
        unchanged_fields: comparison.unchanged,
        fields: Vec::new(),
        request: None,
        reason: None,
        depends_on,
        source: Some(connection.source),
        basis: object.map(|o| basis(&connection, rules.kind, o)).unwrap_or_default(),
        before: None,
        after: None,
        sensitive: Vec::new(),
        connection: None,
    };
    let body = object.map(|o| &o.body);
    match (&id, writes.is_empty()) {
        (None, _) => {
            change.action = Action::Create;
            change.request = Some(body::create_outline(rules.kind));
        }
        (Some(_), true) if by_name => change.action = Action::Adopt,
        // A new key, or a deployment at a new address: only the record changes.
        (Some(_), true)
            if change.moved_from.is_some() || trusted_record.is_some_and(|r| Some(&r.host) != world.hosts.get(target)) =>
        {
            change.action = Action::Move;
        }
        // What outlives its block must be in the record before the block goes.
        (Some(_), true) => {
            if let Some(record) = trusted_record
                && let Some(text) = bookkeeping(&connection, record)
            {
                change.action = Action::Move;
                change.reason = Some(Reason { text, help: String::new() });
            }
        }
        (Some(id), false) => match body::choose(rules.kind, &connection, &writes, body) {
            Ok(choice) => {
                let only_secrets =
                    comparison.fields.iter().filter(|f| f.verdict.is_write()).all(|f| matches!(f.after, Side::Secret(_)));
                change.action = if only_secrets { Action::Rotate } else { Action::Update };
                change.request = Some(choice.outline(id));
            }
            Err(uncovered)
                if connection.lifecycle.replace && matches!(rules.kind.delete, Delete::By(_)) && trusted_record.is_some() =>
            {
                let key = natural_key(rules.collection, rules.kind, &connection.spec);
                let of_the_name = key.iter().flat_map(|key| list.ids_named(key));
                let strangers =
                    of_the_name.filter(|other| other != id && world.other_owner(&connection.address, other).is_none());
                if let Some(other) = strangers.min() {
                    found.push(name_taken(&connection, rules, &change.name, other));
                    return None;
                }
                if connection.lifecycle.prevent_destroy || trusted_record.is_some_and(|r| r.guards.contains("prevent_destroy")) {
                    found.push(
                        Diagnostic::error(
                            codes::PREVENT_DESTROY,
                            format!(
                                "`{}` would be deleted and made anew, and is protected by `prevent_destroy`",
                                connection.address
                            ),
                        )
                        .label(connection.source, "protected")
                        .help("undo the change that only a replacement can make, or lift the protection first")
                        .about(&connection.address),
                    );
                }
                change.action = Action::Replace;
                change.request = Some(Outline { may_lose: uncovered.loses, ..body::create_outline(rules.kind) });
            }
            Err(uncovered) => {
                let reason = blocked(rules.kind, &connection, &uncovered);
                found.push(unchangeable(&connection, &uncovered, &reason));
                change.action = Action::Blocked;
                change.reason = Some(reason);
            }
        },
    }
    if change.action != Action::Unchanged {
        change.after = Some(sides::after_view(&subject, &mut change.sensitive));
        change.before = object.map(|o| sides::before_view(rules.kind, &connection.spec, o, record));
    }
    change.fields = comparison.fields;
    if change.gone.is_some() {
        // Not the files, but somebody outside is why they are written.
        change.fields.iter_mut().for_each(|field| field.cause = Cause::Drift);
    }
    veil(world, &mut change);
    change.connection = Some(Arc::new(connection));
    Some(change)
}

/// Known secrets in what the API shows become words: somebody may have put one where none belongs.
fn veil(world: &World<'_>, change: &mut Change) {
    for field in &mut change.fields {
        if let Side::Value(value) = &mut field.before {
            *value = value.veiled(world.redactor);
        }
        if let Verdict::CannotVerify(Unproved::ModifiedOutside(at)) = &mut field.verdict {
            *at = world.redactor.scrub(at).into_owned();
        }
    }
    change.before = change.before.as_ref().map(|before| before.veiled(world.redactor));
}

/// What the record must learn although nothing changes at the API.
fn bookkeeping(connection: &Connection, record: &Record) -> Option<String> {
    let mut news = Vec::new();
    match (connection.lifecycle.prevent_destroy, record.guards.contains("prevent_destroy")) {
        (true, false) => news.push("it is protected by `prevent_destroy` from now on"),
        (false, true) => news.push("it is no longer protected by `prevent_destroy`"),
        _ => {}
    }
    if connection.depends_on.iter().collect::<BTreeSet<_>>() != record.depends_on.iter().collect() {
        news.push("it depends on others than before");
    }
    if connection.lifecycle.test == TestAfter::After && record.extra.contains_key(TEST) {
        news.push("the API's own test was not passed, and is asked for again");
    }
    (!news.is_empty()).then(|| format!("in the state alone: {}", news.join(", ")))
}

/// The object as it was read: in detail, or from the list where that shows as much.
#[must_use]
pub fn live_object<'w>(
    world: &World<'w>,
    rules: Rules<'w>,
    target: &str,
    list: &'w LiveList,
    id: &str,
) -> Option<Cow<'w, Object>> {
    let object = match world.observed.detail(target, &rules.kind.collection, id) {
        Some(Detail::Object(object)) => object,
        _ if rules.collection.is_read_by_list() => list.object(id)?,
        _ => return None,
    };
    Some(if rules.kind.reads_elsewhere() { Cow::Owned(object.clone().as_written(rules.kind)) } else { Cow::Borrowed(object) })
}

/// What a write will rest on. Without a stamp, the declared fields as they were read: anything else may change by the
/// minute and is none of our business.
#[must_use]
pub fn basis(connection: &Connection, kind: &Kind, object: &Object) -> Basis {
    match &object.watermark {
        Some(watermark) => Basis { watermark: Some(watermark.clone()), digest: None },
        None => Basis { watermark: None, digest: Some(diff::live_digest(connection, kind, object)) },
    }
}

fn blocked(kind: &Kind, connection: &Connection, uncovered: &body::Uncovered) -> Reason {
    let fields: Vec<String> = uncovered.fields.iter().map(ToString::to_string).collect();
    let help = match uncovered.loses.first() {
        Some(lost) => format!(
            "declare it, too:\n{}\nor give it up on purpose:\n{}",
            written(lost, "${{ env.NAME }}"),
            written(lost, "null")
        ),
        None => format!(
            "declare it under a new key and name, or keep the live value:\n{}: lifecycle: {{ ignore_changes: [{}] }}",
            connection.address.key(),
            fields.join(", ")
        ),
    };
    Reason { text: body::rule(kind, uncovered), help }
}

/// A value at its place as a file would have it: `config: { password: null }`.
fn written(path: &FieldPath, value: &str) -> String {
    let keys: Vec<&str> =
        path.steps().iter().filter_map(|step| if let Step::Key(key) = step { Some(&**key) } else { None }).collect();
    format!("{}: {value}{}", keys.join(": { "), " }".repeat(keys.len().saturating_sub(1)))
}

fn unchangeable(connection: &Connection, uncovered: &body::Uncovered, reason: &Reason) -> Diagnostic {
    let fields: Vec<String> = uncovered.fields.iter().map(|f| format!("`{f}`")).collect();
    let span = uncovered.fields.first().and_then(|f| span_of(&connection.node, f)).map_or(connection.source, |(_, value)| value);
    Diagnostic::error(codes::UNCHANGEABLE, format!("the API cannot change {} of `{}`", fields.join(", "), connection.address))
        .label(span, "differs from the live value")
        .note(reason.text.clone())
        .help(reason.help.clone())
        .about(&connection.address)
}

fn ambiguous(connection: &Connection, name: &str, ids: &[String]) -> Diagnostic {
    let listed: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    Diagnostic::error(codes::AMBIGUOUS, format!("{} live objects have the name `{name}`: {}", ids.len(), listed.join(", ")))
        .label(connection.source, "which of them is this connection?")
        .help(format!(
            "patchbay will not guess. Say which one it is: patchbay import {} ID\nor rename or delete the others in the vendor's console",
            connection.address
        ))
        .about(&connection.address)
}

fn taken(connection: &Connection, rules: Rules<'_>, name: &str, id: Option<&str>, why: &str) -> Diagnostic {
    let id = id.unwrap_or_default();
    let key = rules.collection.natural_key.first().map(|key| FieldPath::parse(key)).unwrap_or_default();
    let span = span_of(&connection.node, &key).map_or(connection.source, |(_, value)| value);
    Diagnostic::error(codes::ALREADY_EXISTS, format!("a live object named `{name}` exists already (`{id}`), and {why}"))
        .label(span, "the name is taken")
        .help("choose another name, or allow taking it over: adopt = true, with the kind that it has")
        .about(&connection.address)
}

/// A replacement under a name that another object has: ours would be deleted, and the other one would stand in the way.
#[must_use]
pub fn name_taken(connection: &Connection, rules: Rules<'_>, name: &str, other: &str) -> Diagnostic {
    let why = "the replacement would delete the old object and then meet it";
    let error = taken(connection, rules, name, Some(other), why);
    error.help("choose another name, or take that object away first; nothing was deleted")
}

fn cut_short(connection: &Connection, list: &LiveList) -> Diagnostic {
    let text = match &list.complete {
        Completeness::CutShort { came, total: Some(total) } => {
            format!("the list of `{}` was cut short: {came} of {total} came", connection.address.target())
        }
        _ => format!("the list of `{}` may be cut short: nothing certifies that it is complete", connection.address.target()),
    };
    Diagnostic::error(codes::LIST_CUT, text)
        .label(connection.source, "not in the part that came; it may exist all the same")
        .note("nothing is created or deleted on a partial list")
        .help(format!(
            "ask again later; raise `list_limit` of [targets.{}] if the API has only a limit;\nor, if the object is there, name it: patchbay import {} ID",
            connection.address.target(),
            connection.address
        ))
        .about(&connection.address)
}
