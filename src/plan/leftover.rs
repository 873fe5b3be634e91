//! Records that no connection speaks for: deleted, forgotten, or left as orphans.

use std::collections::BTreeSet;

use super::model::{Action, Basis, Change, Outline, Reason};
use super::observed::Detail;
use super::planner::World;
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::platform::exchange::neutral;
use crate::platform::model::{Delete, DeleteRequest};
use crate::platform::object::with_id;
use crate::state::{Intent, Record};

/// One change for each of them.
pub(super) fn all(world: &World<'_>, given_away: &BTreeSet<Address>, found: &mut Diagnostics) -> Vec<Change> {
    let declared: BTreeSet<&Address> = world.desired.connections.iter().map(|c| &c.address).collect();
    let moved: BTreeSet<&Address> = world
        .desired
        .moved
        .iter()
        .filter(|(_, to)| declared.contains(to) && world.state.record(to).is_none())
        .map(|(from, _)| from)
        .collect();
    world
        .state
        .records()
        .filter(|r| {
            !declared.contains(&r.address)
                && !moved.contains(&r.address)
                && !given_away.contains(&r.address)
                && world.options.selector.matches(&r.address)
        })
        .map(|record| one(world, record, found))
        .collect()
}

/// Creates that were interrupted and whose connections left the files: their objects may be there, and nobody would look
/// for them any more.
pub(super) fn interrupted(world: &World<'_>) -> Vec<Diagnostic> {
    let is_forgotten = |i: &&Intent| {
        i.verb == "create"
            && world.state.record(&i.address).is_none()
            && !world.desired.connections.iter().any(|c| c.address == i.address)
            && world.options.selector.matches(&i.address)
    };
    let warning = |i: &Intent| {
        let what = format!("a create of `{}` was interrupted, and no file declares it any more", i.address);
        Diagnostic::warning(codes::OUTCOME_UNKNOWN, what)
            .note(format!("an object named \"{}\" may be there", neutral(&i.name)))
            .help(format!(
                "declare it again and apply: it is found by its name; or look in the vendor's console, delete it there, and forget the\nattempt: patchbay state rm {}",
                i.address
            ))
            .about(&i.address)
    };
    world.state.open_intents().filter(is_forgotten).map(warning).collect()
}

fn one(world: &World<'_>, record: &Record, found: &mut Diagnostics) -> Change {
    let target = record.address.target();
    let definition = world.definitions.get(target);
    let kind = definition.and_then(|d| d.kinds.get(&record.kind));
    let list = kind.and_then(|k| world.observed.list(target, &k.collection));
    let here = world.hosts.get(target) == Some(&record.host);
    let unlisted = list.is_some_and(|list| list.is_complete() && list.object(&record.id).is_none());
    let read = kind.and_then(|k| world.observed.detail(target, &k.collection, &record.id));
    // Only a list and, where there is one, a read of its own prove that an object is gone.
    let gone = here && unlisted && matches!(read, None | Some(Detail::Gone));
    let delete = kind.and_then(|k| match &k.delete {
        Delete::By(request) => Some(request),
        Delete::None => None,
    });
    let destroy = world.options.destroy;
    let prune = destroy || world.project.targets.get(target).is_some_and(|t| t.prune);
    // Nothing is deleted on a partial list: what is missing from the files may be missing from our sight, too.
    let listed = list.is_some_and(|list| list.is_complete() && list.object(&record.id).is_some());
    let guarded = record.guards.contains("prevent_destroy");
    if let Some(request) = delete
        && prune
        && listed
    {
        if guarded {
            found.push(protected(record, destroy));
        } else {
            let why = (!destroy).then_some("in no file, and this target has `prune = true`");
            let listed = list.and_then(|list| list.object(&record.id));
            let basis = Basis { watermark: listed.and_then(|o| o.watermark.clone()), digest: None };
            return Change { basis, ..deletion(record, request, why) };
        }
    } else if destroy && !gone {
        return undeletable(record, delete.is_some(), found);
    }
    let can_delete = delete.is_some();
    let text = if destroy && guarded {
        "it stays, since its record says `prevent_destroy`"
    } else if gone && destroy {
        "gone from the API already"
    } else if gone {
        "in the state, in no file, and gone from the API"
    } else if guarded && can_delete {
        "in the state and in no file; it stays, since its record says `prevent_destroy`"
    } else if can_delete && prune {
        "in the state and in no file; it stays, since the list does not show it for certain"
    } else if can_delete {
        "in the state and in no file; it stays, since this target has `prune = false`"
    } else if kind.is_some() {
        "in the state and in no file, and the API cannot delete it"
    } else {
        "in the state; its target or kind is no longer declared"
    };
    Change {
        action: if gone { Action::Forget } else { Action::Orphan },
        reason: Some(Reason {
            text: text.to_owned(),
            help: if kind.is_none() {
                // The object may be the very one that another target, the same under a new name, manages by now.
                "if its target was renamed, say so under `moved:`; otherwise declare it again, or forget it: `patchbay state rm`"
            } else if gone {
                "nothing is left to do: its record is dropped"
            } else if can_delete && !prune {
                "declare it again, or let patchbay delete it: prune = true in its target"
            } else {
                "declare it again, or delete it in the vendor's console: the next apply then forgets it"
            }
            .to_owned(),
        }),
        ..bare(record)
    }
}

/// A change of something that only the record speaks of.
fn bare(record: &Record) -> Change {
    Change {
        address: record.address.clone(),
        kind: record.kind.clone(),
        name: record.name.clone(),
        id: Some(record.id.clone()),
        gone: None,
        action: Action::Unchanged,
        adopts: false,
        moved_from: None,
        fields: Vec::new(),
        unchanged_fields: 0,
        request: None,
        reason: None,
        depends_on: record.depends_on.iter().cloned().collect(),
        source: None,
        basis: Basis::default(),
        before: None,
        after: None,
        sensitive: Vec::new(),
        connection: None,
    }
}

fn deletion(record: &Record, request: &DeleteRequest, why: Option<&str>) -> Change {
    Change {
        action: Action::Delete,
        request: Some(Outline::new(request.method, with_id(&request.path, &record.id), false)),
        reason: why.map(|text| Reason { text: text.to_owned(), help: String::new() }),
        ..bare(record)
    }
}

/// What a destroy would have to leave behind.
fn undeletable(record: &Record, has_verb: bool, found: &mut Diagnostics) -> Change {
    let text = if has_verb { "the list does not show it for certain" } else { "the API has no way to delete it" };
    let reason =
        Reason { text: text.to_owned(), help: "delete it in the vendor's console: the next apply then forgets it".to_owned() };
    found.push(
        Diagnostic::error(codes::UNDELETABLE, format!("`{}` cannot be deleted: {text}", record.address))
            .help("delete it in the vendor's console; --skip-blocked deletes the rest")
            .about(&record.address),
    );
    Change { action: Action::Blocked, reason: Some(reason), ..bare(record) }
}

fn protected(record: &Record, destroy: bool) -> Diagnostic {
    let (and, way_out) = if destroy {
        ("", "to let it go, declare it without prevent_destroy and apply; or leave it out: --exclude")
    } else {
        (
            " and is in no file any more",
            "declare it again; to let it go, declare it without prevent_destroy, apply, and then remove it",
        )
    };
    Diagnostic::error(codes::PREVENT_DESTROY, format!("`{}` is protected by `prevent_destroy`{and}", record.address))
        .note("the protection is kept in the state, so removing the block does not remove it")
        .help(way_out)
        .about(&record.address)
}
