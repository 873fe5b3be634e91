//! `patchbay export`: live objects → connection files. Secrets become variables; nothing is written to an API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::args::{Planning, RefreshArg};
use super::events::Listener;
use super::gather::{Gathered, gather};
use super::session::{self, KeyUse, Opening, Session};
use super::{Context, exit};
use crate::address::Address;
use crate::config::emit;
use crate::config::format::format;
use crate::diagnostic::{Diagnostic, Diagnostics, codes, has_errors};
use crate::engine::explain::{Purpose, explain};
use crate::engine::lane::Lane;
use crate::engine::reader::ReadLane;
use crate::io::files;
use crate::platform::exchange::neutral;
use crate::platform::export::{self, Declared};
use crate::platform::model::Collection;
use crate::platform::object::{Completeness, Object, natural_key};
use crate::platform::refer;
use crate::source::Sources;
use crate::suggest;
use crate::value::Value;
use crate::view::count;

/// `export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Only these targets; all otherwise
    #[arg(value_name = "TARGET", add = super::complete::targets())]
    pub targets: Vec<String>,
    /// Leave out what is declared or recorded already
    #[arg(long)]
    pub only_unmanaged: bool,
    /// Write a new file instead of standard output; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Write the variables that must be set into a new file
    #[arg(long, value_name = "FILE")]
    pub env_template: Option<PathBuf>,
}

/// One exported connection.
struct Exported {
    /// Its object's id.
    id: String,
    address: Address,
    declared: Declared,
}

/// What refers to an exported connection does so by its key, as people write it.
fn name_references(session: &Session, exported: &mut [Exported]) {
    let place = |e: &Exported| (e.address.target().to_owned(), e.declared.kind.clone(), e.id.clone());
    let keys: BTreeMap<(String, String, String), String> =
        exported.iter().map(|e| (place(e), e.address.key().to_owned())).collect();
    for one in exported {
        let target = one.address.target();
        let kind = session.lanes.get(target).and_then(|lane| lane.definition.kinds.get(&one.declared.kind));
        if let Some(kind) = kind {
            refer::replace(kind, &mut one.declared.spec, &|kind, id| {
                let key = keys.get(&(target.to_owned(), kind.to_owned(), id.to_owned()))?;
                Some(Value::String(format!("${{{{ connection(\"{key}\").id }}}}")))
            });
        }
    }
}

/// The planning flags of commands that take none.
#[must_use]
pub fn plain_planning() -> Planning {
    Planning {
        refresh: RefreshArg::Auto,
        rewrite_secrets: false,
        max_updates: None,
        max_deletes: None,
        accept_target_change: false,
    }
}

/// Names of targets that a command was given, checked.
///
/// # Errors
/// The names that are none.
pub fn known_targets(gathered: &Gathered, names: &[String]) -> Result<BTreeSet<String>, Diagnostics> {
    let known: Vec<&str> = gathered.project.targets.keys().map(String::as_str).collect();
    let unknown: Diagnostics = names
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| {
            Diagnostic::error(codes::UNKNOWN_TARGET, format!("there is no target `{name}`")).help_opt(suggest::help(name, &known))
        })
        .collect();
    if unknown.is_empty() { Ok(names.iter().cloned().collect()) } else { Err(unknown) }
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &ExportArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    // That there is no connection file yet is why people export.
    found.retain(|d| d.is_error() || d.code != codes::NOT_FOUND);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else {
        return context.fail(&found, &sources);
    };
    let wanted = match known_targets(&gathered, &args.targets) {
        Ok(names) if names.is_empty() => gathered.project.targets.keys().cloned().collect(),
        Ok(names) => names,
        Err(errors) => return context.fail(&errors, &sources),
    };
    for path in args.write.iter().chain(&args.env_template) {
        let whole = context.path(path);
        if files::is_file(&whole) || files::is_dir(&whole) {
            let error = Diagnostic::error(codes::UNREADABLE, format!("`{}` is there already", path.display()));
            return context.fail(&[error.help("name a file that does not exist; nothing is overwritten")], &sources);
        }
    }
    let planning = plain_planning();
    let opening = Opening {
        globals: context.globals,
        planning: &planning,
        env: context.env,
        redactor: context.redactor,
        key: KeyUse::Never,
        targets: Some(&wanted),
    };
    let session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return context.fail(&errors, &sources),
    };
    let lines = Listener::new(context);
    let mut exported: Vec<Exported> = Vec::new();
    let mut keys = managed_keys(&gathered, &session);
    let mut variables = BTreeSet::new();
    for lane in gathered.project.targets.keys().filter_map(|name| session.lanes.get(name)) {
        for (name, collection) in &lane.definition.collections {
            let objects = objects(context, &gathered, lane, collection, &lines, &mut found).await;
            for object in objects {
                let owner = owner(&gathered, &session, lane, name, collection, &object);
                if owner.is_some() && args.only_unmanaged {
                    continue;
                }
                let shown = display_name(collection, &object);
                let Some(chosen) = export::choose_kind(&lane.definition, name, &object) else {
                    found.push(
                        Diagnostic::warning(
                            codes::UNKNOWN_KIND,
                            format!("`{shown}` ({}) on `{}` is of no kind that its definition knows", object.id, lane.target),
                        )
                        .help("it was left out"),
                    );
                    continue;
                };
                // One file is one map, so a key that two targets share gets a number here.
                let known = owner.map(|o| o.key().to_owned()).filter(|key| !exported.iter().any(|e| e.address.key() == key));
                let key = known.unwrap_or_else(|| export::key_for(&last_part(collection, &object), &mut keys));
                let prefix = export::variable_name(&[lane.target.as_str(), key.as_str()]);
                let is_known = |text: &str| context.redactor.scrub(text) != text;
                let declared = export::declare(&chosen, collection, &object, &prefix, &mut variables, &is_known);
                exported.push(Exported { id: object.id.clone(), address: Address::new(lane.target.clone(), key), declared });
            }
        }
    }
    name_references(&session, &mut exported);
    let text = document(&exported);
    // As `fmt` would have it. What cannot be formatted is valid as it is.
    let text = format("export", &text, &mut Sources::default()).unwrap_or(text);
    let template = template(&exported);
    let mut written = Vec::new();
    for (path, text) in args.write.iter().map(|p| (p, &text)).chain(args.env_template.iter().map(|p| (p, &template))) {
        let whole = context.path(path);
        let made = whole.parent().filter(|p| !p.as_os_str().is_empty()).map_or(Ok(()), files::make_dir);
        match made.and_then(|()| files::write_new(&whole, text)) {
            Ok(()) => written.push(path.as_path()),
            Err(error) => found.push(Diagnostic::error(codes::UNREADABLE, format!("cannot write {error}"))),
        }
    }
    if out.is_machine {
        out.json(&as_json(&exported, &found, &sources));
    } else {
        if args.write.is_none() {
            out.text(&text);
        }
        out.diagnostics(&found, &sources);
        told(context, &exported, args.write.as_deref(), &written);
    }
    exit::of_errors(&found)
}

/// Every object of a collection, in full as far as the API gives it, by name.
async fn objects(
    context: &Context<'_>,
    gathered: &Gathered,
    lane: &Lane,
    collection: &Collection,
    lines: &Listener<'_>,
    found: &mut Diagnostics,
) -> Vec<Object> {
    let Some(target) = gathered.project.targets.get(&lane.target) else { return Vec::new() };
    let listing = match ReadLane::of(lane).list(collection, lines).await {
        Ok(listing) => listing,
        Err(error) => {
            found.push(explain(lane, target, &error, Purpose::List, context.redactor));
            return Vec::new();
        }
    };
    if let Completeness::CutShort { came, .. } = listing.complete {
        found.push(
            Diagnostic::warning(codes::LIST_CUT, format!("the list of `{}` may be cut short: {came} came", lane.target))
                .help(format!("raise `list_limit` of [targets.{}], if the API allows more", lane.target)),
        );
    }
    let mut objects = listing.objects;
    if !collection.is_read_by_list() {
        let reads = join_all(objects.iter().map(|object| ReadLane::of(lane).read(collection, &object.id, lines))).await;
        let mut full = Vec::with_capacity(objects.len());
        for (listed, read) in objects.into_iter().zip(reads) {
            match read {
                Ok(Some(object)) => full.push(joined(object, &listed)),
                // Deleted since the list.
                Ok(None) => {}
                Err(error) => {
                    let subject = format!("{}: {}", lane.target, listed.id);
                    found.push(explain(lane, target, &error, Purpose::Read(&subject), context.redactor));
                }
            }
        }
        objects = full;
    }
    objects.sort_by_cached_key(|object| (object.natural_key(collection), object.id.clone()));
    objects
}

/// What a read leaves out, the list may show.
fn joined(mut object: Object, listed: &Object) -> Object {
    if let (Value::Map(body), Value::Map(listed)) = (&mut object.body, &listed.body) {
        for (name, value) in listed {
            if !body.contains_key(name) {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    object
}

/// The connection that an object belongs to: by its record, or by the name that is declared.
fn owner(
    gathered: &Gathered,
    session: &Session,
    lane: &Lane,
    name: &str,
    collection: &Collection,
    object: &Object,
) -> Option<Address> {
    if let Some(address) = session.owners.get(&(lane.target.clone(), object.id.clone())) {
        return Some(address.clone());
    }
    let key = object.natural_key(collection)?;
    let declared = gathered.desired.connections.iter().find(|connection| {
        connection.address.target() == lane.target
            && lane.definition.kinds.get(&connection.kind).is_some_and(|kind| {
                kind.collection == name && natural_key(collection, kind, &connection.spec).as_ref() == Some(&key)
            })
    });
    declared.map(|connection| connection.address.clone())
}

fn managed_keys(gathered: &Gathered, session: &Session) -> BTreeSet<String> {
    let declared = gathered.desired.connections.iter().map(|c| c.address.key().to_owned());
    declared.chain(session.state.records().map(|r| r.address.key().to_owned())).collect()
}

/// The name of an object as people read it.
#[must_use]
pub fn display_name(collection: &Collection, object: &Object) -> String {
    let parts = object.natural_key(collection).unwrap_or_default();
    if parts.is_empty() { neutral(&object.id) } else { neutral(&parts.join(" / ")) }
}

fn last_part(collection: &Collection, object: &Object) -> String {
    object.natural_key(collection).and_then(|mut parts| parts.pop()).unwrap_or_else(|| object.id.clone())
}

/// One connection as it is declared.
fn declaration(one: &Exported) -> Json {
    json!({
        "target": one.address.target(),
        "kind": one.declared.kind,
        "spec": one.declared.spec.expose_json().unwrap_or_default(),
    })
}

fn document(exported: &[Exported]) -> String {
    let mut text = String::from(
        "# yaml-language-server: $schema=./connections.schema.json\n# Written by `patchbay export` from what the APIs showed. APIs do not return secrets: each has a variable here, which must\n# hold the whole value, a header's `Bearer ` included.\n# `patchbay schema connections > connections.schema.json` beside this file lets editors check it.\n",
    );
    if exported.is_empty() {
        text.push_str("connections: {}\n");
        return text;
    }
    text.push_str("connections:\n");
    for one in exported {
        for note in &one.declared.notes {
            text.push_str(&format!("  # {}\n", neutral(note)));
        }
        text.push_str(&format!("  {}:\n", emit::key(one.address.key())));
        let comment = |value: &str| {
            let variable = one.declared.variables.iter().find(|v| value == format!("${{{{ env.{} }}}}", v.name))?;
            Some(if variable.unseen {
                "the API never shows it; remove this line if there is none".to_owned()
            } else {
                "the API does not return secrets".to_owned()
            })
        };
        text.push_str(&emit::emit_with(&declaration(one), 4, &comment));
    }
    text
}

fn template(exported: &[Exported]) -> String {
    let mut text = String::from("# The variables of exported connections: fill them in, keep the file out of version control.\n");
    for one in exported.iter().filter(|one| !one.declared.variables.is_empty()) {
        text.push_str(&format!("\n# {}\n", one.address));
        for variable in &one.declared.variables {
            text.push_str(&format!("{}=\n", variable.name));
        }
    }
    text
}

fn as_json(exported: &[Exported], found: &[Diagnostic], sources: &Sources) -> Json {
    let connections: JsonMap<String, Json> =
        exported.iter().map(|one| (one.address.key().to_owned(), declaration(one))).collect();
    let variables: Vec<Json> = exported
        .iter()
        .flat_map(|one| {
            one.declared.variables.iter().map(|v| json!({ "name": v.name, "of": format!("{} {}", one.address, v.path) }))
        })
        .collect();
    crate::view::json::document(&json!({ "connections": connections, "variables": variables }), found, sources)
}

fn told(context: &Context<'_>, exported: &[Exported], file: Option<&Path>, written: &[&Path]) {
    let out = context.out;
    match file.filter(|file| written.contains(file)) {
        Some(file) => out.note(&format!("Exported {} to {}.", count(exported.len(), "connection"), file.display())),
        None if exported.is_empty() => out.note("There is nothing to export."),
        None => {}
    }
    let names: Vec<&str> = exported.iter().flat_map(|one| one.declared.variables.iter().map(|v| v.name.as_str())).collect();
    if !names.is_empty() {
        out.note(&format!("{} must be set before a plan: {}", count(names.len(), "variable"), names.join(", ")));
    }
}
