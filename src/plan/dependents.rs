//! What a delete does to the objects that refer to the deleted one: the API takes them along, leaves them behind, or does
//! not let go. Known where the definition says so.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::body::create_outline;
use super::model::{Action, Change, Reason};
use super::planner::World;
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::platform::exchange::neutral;
use crate::platform::model::{Definition, Delete, Dependents};
use crate::platform::object::Object;
use crate::platform::refer::references;

/// At most so many objects are named.
const NAMED: usize = 10;

/// The collections whose objects may refer to something that this plan may delete: `(target, collection)`.
#[must_use]
pub fn collections(world: &World<'_>) -> BTreeSet<(String, String)> {
    let mut wanted = BTreeSet::new();
    let replaced: BTreeSet<&Address> =
        world.desired.connections.iter().filter(|c| c.lifecycle.replace).map(|c| &c.address).collect();
    for record in world.state.records().filter(|r| world.options.selector.matches(&r.address)) {
        let target = record.address.target();
        let prunes = world.options.destroy || world.project.targets.get(target).is_some_and(|t| t.prune);
        let may_go = if world.is_declared(&record.address) { replaced.contains(&record.address) } else { prunes };
        let Some(definition) = world.definitions.get(target).filter(|_| may_go) else { continue };
        if definition.kinds.get(&record.kind).is_some_and(|kind| kind.dependents().is_some()) {
            let users = definition.kinds.values().filter(|kind| kind.refers_to(&record.kind));
            wanted.extend(users.map(|kind| (target.to_owned(), kind.collection.clone())));
        }
    }
    wanted
}

/// A live object that refers to another one.
struct User {
    /// Its kind and its name at the API.
    label: String,
    owner: Option<Address>,
}

/// What refers to an object, `(target, kind, id)`, by its own id.
type Users<'w> = BTreeMap<(&'w str, &'w str, String), IndexMap<String, User>>;

/// What a plan is looked at beside.
struct Around<'w> {
    users: Users<'w>,
    literals: Literals,
    /// Where the change of an address is.
    places: BTreeMap<Address, usize>,
}

/// What is going to refer to an object: addresses by `(target, kind, id)`.
type Literals = BTreeMap<(String, String, String), Vec<Address>>;

/// Looks at every delete and replacement of a plan. What must not be done is blocked, what goes along is said.
pub(super) fn check(world: &World<'_>, changes: &mut [Change], found: &mut Diagnostics) {
    let is_end = |c: &Change| matches!(c.action, Action::Delete | Action::Replace);
    let targets: BTreeSet<String> = changes.iter().filter(|c| is_end(c)).map(|c| c.address.target().to_owned()).collect();
    let places = changes.iter().enumerate().map(|(n, change)| (change.address.clone(), n)).collect();
    let mut around = Around { users: users(world, &targets), literals: Literals::new(), places };
    let mut warnings = Vec::new();
    // What is blocked stays, and so may keep something else from being deleted.
    loop {
        let mut settled = true;
        warnings.clear();
        around.literals = literal(world, changes);
        for n in 0..changes.len() {
            if !is_end(&changes[n]) {
                continue;
            }
            let Some(effect) = effect(world, &changes[n]) else { continue };
            let fate = fate(world, changes, n, effect, &around);
            for other in fate.replaced {
                changes[other].action = Action::Replace;
                changes[other].request = kind_of(world, &changes[other]).map(create_outline);
                // Something may refer to that one in turn.
                settled = false;
            }
            for other in fate.before {
                let address = changes[n].address.clone();
                if !changes[other].depends_on.contains(&address) {
                    changes[other].depends_on.push(address);
                }
            }
            warnings.extend(fate.warning);
            if let Some((errors, reason)) = fate.blocked {
                found.extend(errors);
                changes[n].action = Action::Blocked;
                changes[n].request = None;
                changes[n].reason = Some(reason);
                settled = false;
            }
        }
        if settled {
            break;
        }
    }
    found.extend(warnings);
}

fn kind_of<'w>(world: &World<'w>, change: &Change) -> Option<&'w crate::platform::model::Kind> {
    world.definitions.get(change.address.target())?.kinds.get(&change.kind)
}

/// What a delete of this object does, if anything of the kind can refer to it.
fn effect(world: &World<'_>, change: &Change) -> Option<Dependents> {
    kind_of(world, change)?.dependents()
}

fn users<'w>(world: &World<'w>, targets: &BTreeSet<String>) -> Users<'w> {
    let mut all = Users::new();
    for (target, definition) in world.definitions.iter().filter(|(target, _)| targets.contains(*target)) {
        for (name, kind) in definition.kinds.iter().filter(|(_, kind)| definition.kinds.keys().any(|k| kind.refers_to(k))) {
            let Some(list) = world.observed.list(target, &kind.collection) else { continue };
            for object in list.objects() {
                let object = object.clone().as_written(kind);
                for (used, id) in references(kind, &object.body) {
                    let users = all.entry((target, used, id)).or_default();
                    // Two kinds of one collection may both see it.
                    users.entry(object.id.clone()).or_insert_with(|| user(world, target, definition, name, &object));
                }
            }
        }
    }
    all
}

fn user(world: &World<'_>, target: &str, definition: &Definition, kind: &str, object: &Object) -> User {
    let collection = definition.kinds.get(kind).and_then(|k| definition.collections.get(&k.collection));
    // The last part of a name is the object's own; what stands before it may be the id of what it belongs to.
    let name = collection.and_then(|c| object.body.at(&crate::path::FieldPath::parse(c.natural_key.last()?)));
    let name = name.and_then(|v| v.as_str()).map(|name| format!(" \"{}\"", neutral(&world.redactor.scrub(name))));
    User {
        label: format!("{kind}{} (`{}`)", name.unwrap_or_default(), neutral(&world.redactor.scrub(&object.id))),
        owner: world.owners.get(&(target.to_owned(), object.id.clone())).cloned(),
    }
}

/// What one delete or replacement means for those that refer to its object.
#[derive(Default)]
struct Fate {
    /// Deletes that come before it.
    before: Vec<usize>,
    /// Changes that become replacements, since their objects go along.
    replaced: Vec<usize>,
    warning: Option<Diagnostic>,
    blocked: Option<(Vec<Diagnostic>, Reason)>,
}

fn fate(world: &World<'_>, changes: &[Change], n: usize, effect: Dependents, around: &Around<'_>) -> Fate {
    let change = &changes[n];
    let target = change.address.target();
    let key = change.id.clone().map(|id| (target, change.kind.as_str(), id));
    let mut fate = Fate::default();
    let (mut protected, mut stays, mut along) = (Vec::new(), Vec::new(), Vec::new());
    let users = key.as_ref().and_then(|key| around.users.get(key)).into_iter().flatten();
    for (_, user) in users.filter(|(id, _)| Some(*id) != change.id.as_ref()) {
        let Some(owner) = &user.owner else {
            match effect {
                Dependents::Cascade => along.push(user.label.clone()),
                Dependents::Refuse | Dependents::Orphan => stays.push(format!("{}, which patchbay does not manage", user.label)),
            }
            continue;
        };
        let other = around.places.get(owner).copied();
        match other.map(|other| Next::of(world, change, effect, &changes[other])) {
            Some(Next::Before) => fate.before.extend(other),
            Some(Next::Fine) => {}
            Some(Next::Anew) => fate.replaced.extend(other),
            // A destroy tells of what it leaves behind by what was recorded.
            Some(Next::Stays) | None if world.options.destroy && is_recorded(world, owner, &change.address) => {}
            Some(Next::Stays) | None => {
                let is_protected = effect == Dependents::Cascade && is_protected(world, owner);
                if is_protected { protected.push(owner.clone()) } else { stays.push(format!("`{owner}`")) }
            }
        }
    }
    let named = change.id.clone().and_then(|id| around.literals.get(&(target.to_owned(), change.kind.clone(), id)));
    for other in named.into_iter().flatten().map(|address| format!("`{address}`")) {
        if !stays.contains(&other) {
            stays.push(other);
        }
    }
    stays.extend(unseen(world, change));
    if !along.is_empty() {
        fate.warning = Some(goes_along(change, along));
    }
    let leaves = world.options.leave_dependents;
    if !protected.is_empty() || (!stays.is_empty() && !leaves) {
        fate.blocked = Some(blocked(change, effect, &protected, stays));
    } else if !stays.is_empty() {
        fate.warning = Some(left_behind(change, effect, stays));
    }
    fate
}

/// What becomes of a managed object that refers to one that goes.
enum Next {
    /// It is deleted, too, and first.
    Before,
    /// It refers to something else by then.
    Fine,
    /// It goes along and is made anew.
    Anew,
    /// It would still refer to what is gone, or be gone itself.
    Stays,
}

impl Next {
    fn of(world: &World<'_>, change: &Change, effect: Dependents, other: &Change) -> Self {
        let still_refers = || {
            let kind = kind_of(world, other);
            let spec = other.connection.as_ref().map(|connection| &connection.spec);
            kind.zip(spec).is_none_or(|(kind, spec)| references(kind, spec).iter().any(|(_, id)| Some(id) == change.id.as_ref()))
        };
        let is_new = change.action == Action::Replace;
        match other.action {
            Action::Delete if is_new => Self::Stays,
            Action::Delete => Self::Before,
            Action::Forget => Self::Fine,
            // Deletes come last, so what is changed to refer to something else does so by then.
            Action::Update | Action::Rotate | Action::Replace if !is_new && !still_refers() => Self::Fine,
            Action::Replace if is_new && effect != Dependents::Refuse => Self::Fine,
            Action::Update if is_new && effect == Dependents::Orphan && !still_refers() => Self::Fine,
            Action::Update if is_new && effect == Dependents::Cascade && may_be_replaced(world, other) => Self::Anew,
            _ => Self::Stays,
        }
    }
}

fn may_be_replaced(world: &World<'_>, change: &Change) -> bool {
    let lifecycle = change.connection.as_ref().is_some_and(|c| c.lifecycle.replace);
    let can_delete = kind_of(world, change).is_some_and(|kind| matches!(kind.delete, Delete::By(_)));
    lifecycle && can_delete && !is_protected(world, &change.address)
}

fn is_protected(world: &World<'_>, address: &Address) -> bool {
    let declared = world.desired.connections.iter().find(|c| c.address == *address);
    declared.is_some_and(|c| c.lifecycle.prevent_destroy)
        || world.state.record(address).is_some_and(|r| r.guards.contains("prevent_destroy"))
}

fn is_recorded(world: &World<'_>, owner: &Address, used: &Address) -> bool {
    world.state.record(owner).is_some_and(|record| record.depends_on.contains(used))
}

/// The connections that this run would write, by the ids in them. An id that is said literally orders nothing, so what
/// it names may be about to go.
fn literal(world: &World<'_>, changes: &[Change]) -> Literals {
    let mut all = Literals::new();
    for change in changes.iter().filter(|c| matches!(c.action, Action::Create | Action::Update | Action::Rotate)) {
        let spec = change.connection.as_ref().map(|connection| &connection.spec);
        for (used, id) in kind_of(world, change).zip(spec).map(|(kind, spec)| references(kind, spec)).unwrap_or_default() {
            let key = (change.address.target().to_owned(), used.to_owned(), id);
            all.entry(key).or_default().push(change.address.clone());
        }
    }
    all
}

/// The lists that were cut short: what they do not show may refer to it all the same.
fn unseen(world: &World<'_>, change: &Change) -> Vec<String> {
    let target = change.address.target();
    let Some(definition) = world.definitions.get(target) else { return Vec::new() };
    let users: BTreeSet<&str> =
        definition.kinds.values().filter(|kind| kind.refers_to(&change.kind)).map(|kind| kind.collection.as_str()).collect();
    let cut = users.into_iter().filter(|name| world.observed.list(target, name).is_some_and(|list| !list.is_complete()));
    cut.map(|name| format!("others, perhaps: the list of {name} was cut short")).collect()
}

fn goes_along(change: &Change, along: Vec<String>) -> Diagnostic {
    let what = format!("`{}` takes {} along that patchbay does not manage", change.address, count(&along));
    named(Diagnostic::warning(codes::STILL_NEEDED, what).note("the API deletes with it what refers to it"), along)
        .help("if that is not meant: take them over with `patchbay import`, or move them to another one first")
        .about(&change.address)
}

/// What somebody accepted with `--leave-dependents`.
fn left_behind(change: &Change, effect: Dependents, stays: Vec<String>) -> Diagnostic {
    let what = match effect {
        Dependents::Cascade => format!("`{}` takes along what still refers to it: {}", change.address, count(&stays)),
        Dependents::Orphan => format!("`{}` is deleted, and what refers to it stays: {}", change.address, count(&stays)),
        Dependents::Refuse => format!("the API may refuse to delete `{}`: {} to it", change.address, refer(&stays)),
    };
    named(Diagnostic::warning(codes::STILL_NEEDED, what), stays).about(&change.address)
}

fn blocked(change: &Change, effect: Dependents, protected: &[Address], stays: Vec<String>) -> (Vec<Diagnostic>, Reason) {
    let (code, verb) = match change.source {
        Some(_) => (codes::UNCHANGEABLE, "replaced"),
        None => (codes::UNDELETABLE, "deleted"),
    };
    let because = match effect {
        Dependents::Cascade => "the API deletes with it what refers to it",
        Dependents::Refuse => "the API deletes nothing that something refers to",
        Dependents::Orphan => "what refers to it would be left without it",
    };
    let lift = "lift the protection first, or keep both";
    let help = match stays.as_slice() {
        [] => lift.to_owned(),
        _ => format!(
            "change what refers to it, or remove that, too; if it is meant:\npatchbay destroy {} --only {} --leave-dependents",
            change.address.target(),
            change.address
        ),
    };
    let place = |error: Diagnostic| error.label_opt(change.source, "declared here").about(&change.address);
    let mut errors: Vec<Diagnostic> = protected
        .iter()
        .map(|address| {
            let what = format!("`{address}` is protected by `prevent_destroy` and would be deleted with `{}`", change.address);
            place(Diagnostic::error(codes::PREVENT_DESTROY, what)).note(because).help(lift)
        })
        .collect();
    let mut names: Vec<String> = protected.iter().map(|address| format!("`{address}`")).collect();
    names.extend(stays.iter().cloned());
    if !stays.is_empty() {
        let error = Diagnostic::error(code, format!("`{}` cannot be {verb}: {} to it", change.address, refer(&stays)));
        errors.push(place(named(error.note(because), stays)).help(help.clone()));
    }
    let text = format!("{because}, and this does: {}", short(&names));
    (errors, Reason { text, help })
}

fn count(list: &[String]) -> String {
    if list.len() == 1 { "1 object".to_owned() } else { format!("{} objects", list.len()) }
}

fn refer(list: &[String]) -> String {
    if list.len() == 1 { "1 object that stays refers".to_owned() } else { format!("{} objects that stay refer", list.len()) }
}

fn short(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let listed = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}

fn named(diagnostic: Diagnostic, names: Vec<String>) -> Diagnostic {
    let more = names.len().saturating_sub(NAMED);
    let diagnostic = names.into_iter().take(NAMED).fold(diagnostic, Diagnostic::note);
    if more > 0 { diagnostic.note(format!("and {more} more")) } else { diagnostic }
}
