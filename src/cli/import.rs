//! `patchbay import`: live objects that are declared → the state. Nothing is written to an API.

use std::collections::BTreeSet;

use clap::Args;

use super::apply;
use super::events::Listener;
use super::export::{display_name, known_targets, plain_planning};
use super::gather::{Gathered, gather};
use super::planning::{self, Filling, Planned};
use super::session::{self, KeyUse, Opening, Session};
use super::{Context, exit};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics, codes, has_errors};
use crate::engine::event::{Ending, Outcome};
use crate::plan::model::{Action, Change};
use crate::platform::object::natural_key;
use crate::source::Sources;
use crate::view;

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A connection, or a target; everything that is declared otherwise
    #[arg(value_name = "ADDR|TARGET", add = super::complete::addresses())]
    pub what: Option<String>,
    /// The id of the live object that this connection is, if its name does not tell
    #[arg(value_name = "ID", requires = "what")]
    pub id: Option<String>,
    /// Do not ask
    #[arg(short, long, alias = "auto-approve")]
    pub yes: bool,
}

/// What an import is about.
struct Wanted {
    /// One connection.
    address: Option<Address>,
    /// The targets that are looked at; `None` for those with declared connections.
    targets: Option<BTreeSet<String>>,
}

impl Wanted {
    fn is(&self, address: &Address) -> bool {
        match (&self.address, &self.targets) {
            (Some(one), _) => one == address,
            (None, Some(targets)) => targets.contains(address.target()),
            (None, None) => true,
        }
    }
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &ImportArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else {
        return context.fail(&found, &sources);
    };
    let wanted = match wanted(&gathered, args) {
        Ok(wanted) => wanted,
        Err(errors) => return context.fail(&errors, &sources),
    };
    let planning = plain_planning();
    let opening = Opening {
        globals: context.globals,
        planning: &planning,
        env: context.env,
        redactor: context.redactor,
        key: KeyUse::Must,
        targets: wanted.targets.as_ref(),
    };
    let mut session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return context.fail(&errors, &sources),
    };
    // Whoever imports says that it is theirs.
    session.options.adopt_anyway = true;
    if let (Some(address), Some(id)) = (&wanted.address, &args.id) {
        if let Some(error) = cannot_pin(&session, address, id) {
            return context.fail(&[error], &sources);
        }
        session.options.pinned.insert(address.clone(), id.clone());
    }
    let lines = Listener::new(context);
    let filling = Filling::new(&gathered);
    let references = filling.references(&sources);
    let mut planned = planning::make(&gathered, &session, &references, context.redactor, &lines).await;
    found.extend(planned.diagnostics.drain(..).filter(|d| matters(d, &wanted)));
    if !out.is_machine && out.quiet == 0 {
        out.text(&screen(&gathered, &session, &planned, &wanted, &sources));
    }
    let (adopted, others): (Vec<Change>, Vec<Change>) =
        std::mem::take(&mut planned.plan.changes).into_iter().partition(|c| c.action == Action::Adopt && wanted.is(&c.address));
    planned.plan.changes = adopted;
    if let Some(error) = refused(&others, &planned, &wanted, args) {
        found.push(error);
    }
    if has_errors(&found) {
        return ended(context, &planned, &Outcome::default(), &found, &sources);
    }
    out.diagnostics(&found, &sources);
    let count = planned.plan.changes.len();
    let things = if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") };
    if count == 0 {
        out.note("There is nothing to adopt.");
        if out.is_machine {
            out.json(&view::json::apply_document(&Outcome::default(), &planned.plan, &found, &sources));
        }
        return exit::OK;
    }
    if !args.yes {
        if !out.may_ask || out.is_machine {
            let error = Diagnostic::error(codes::NOT_APPROVED, "adopting needs approval, and nobody can be asked")
                .help("pass --yes; nothing is written to the API");
            return ended(context, &planned, &Outcome::default(), &[error], &sources);
        }
        let question = format!("Adopt {things}? Nothing is changed at the API. Type yes:");
        if !apply::confirmed(out, &question, "yes").await {
            out.note("Not adopted. Nothing was changed.");
            return exit::OK;
        }
    }
    let outcome = match apply::execute(context, &gathered, &session, &references, &planned, &lines).await {
        Ok(outcome) => outcome,
        Err(error) => return ended(context, &planned, &Outcome::default(), &[error], &sources),
    };
    let code = exit::of_outcome(&outcome);
    if out.is_machine {
        out.json(&view::json::apply_document(&outcome, &planned.plan, &found, &sources));
        return code;
    }
    let mut shown: Diagnostics = Vec::new();
    let mut done = 0;
    for (_, _, ending) in &outcome.endings {
        match ending {
            Ending::Done { warnings, .. } => {
                done += 1;
                shown.extend(warnings.iter().cloned());
            }
            Ending::Failed(error) | Ending::Unknown(error) => shown.push(error.clone()),
            Ending::Skipped(_) => {}
        }
    }
    shown.extend(outcome.diagnostics.iter().cloned());
    out.diagnostics(&shown, &sources);
    let secrets = planned.plan.changes.iter().any(|c| c.unverifiable().next().is_some());
    let rest = if secrets { " Secrets cannot be read back: plans say so until they are written once." } else { "" };
    out.text(&format!("Adopted {done}.{rest}\n"));
    code
}

fn wanted(gathered: &Gathered, args: &ImportArgs) -> Result<Wanted, Diagnostics> {
    let Some(what) = &args.what else { return Ok(Wanted { address: None, targets: None }) };
    if !what.contains('/') {
        if args.id.is_some() {
            let error = Diagnostic::error(codes::USAGE, format!("`{what}` is a target; an id belongs to one connection"));
            return Err(vec![error.help("patchbay import TARGET/KEY ID")]);
        }
        let targets = known_targets(gathered, std::slice::from_ref(what))?;
        return Ok(Wanted { address: None, targets: Some(targets) });
    }
    let known: Vec<String> = gathered.desired.connections.iter().map(|c| c.address.to_string()).collect();
    let address = what.parse::<Address>().ok().filter(|_| known.contains(what));
    let Some(address) = address else {
        let near = crate::suggest::nearest(what, known.iter().map(String::as_str));
        let help = near.map_or_else(
            || "declare it first; `patchbay export` writes declarations of what is there".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(vec![Diagnostic::error(codes::NOT_FOUND, format!("no file declares `{}`", neutral(what))).help(help)]);
    };
    // What it refers to may live on another target, so all that are declared are looked at.
    Ok(Wanted { address: Some(address), targets: None })
}

fn neutral(text: &str) -> String {
    crate::platform::exchange::neutral(text)
}

/// An object has one connection, and a connection one object.
fn cannot_pin(session: &Session, address: &Address, id: &str) -> Option<Diagnostic> {
    if let Some(record) = session.state.record(address) {
        let same = record.id == id;
        let error = Diagnostic::error(
            codes::ALREADY_EXISTS,
            if same { format!("`{address}` is recorded already") } else { format!("`{address}` is recorded as `{}`", record.id) },
        );
        return Some(error.about(address).help("a connection has one live object; remove its record first if that is wrong"));
    }
    let owner = session.owners.get(&(address.target().to_owned(), id.to_owned()))?;
    Some(
        Diagnostic::error(codes::ALREADY_EXISTS, format!("`{}` is recorded as `{owner}`", neutral(id)))
            .about(address)
            .help("an object has one connection; a renamed one is declared under `moved`"),
    )
}

/// Guards speak of writes, and blocked connections are not adopted: neither stops an import. What several objects have
/// the name of is a line on the screen, unless it is what was asked for.
fn matters(diagnostic: &Diagnostic, wanted: &Wanted) -> bool {
    let guards =
        [codes::TOO_MANY_DELETES, codes::TOO_MANY_UPDATES, codes::TARGET_EMPTIED, codes::PREVENT_DESTROY, codes::UNCHANGEABLE];
    let about_it = diagnostic.address.as_ref().is_none_or(|address| wanted.is(address));
    let one_of_many = diagnostic.code == codes::AMBIGUOUS && wanted.address.is_none();
    about_it && !one_of_many && !guards.contains(&diagnostic.code)
}

/// Why the one connection that was asked for is not adopted.
fn refused(others: &[Change], planned: &Planned, wanted: &Wanted, args: &ImportArgs) -> Option<Diagnostic> {
    let address = wanted.address.as_ref().filter(|_| planned.plan.changes.is_empty())?;
    let change = others.iter().find(|c| c.address == *address)?;
    let error = match change.action {
        Action::Create => {
            let what = match &args.id {
                Some(id) => format!("there is no live object `{}` for `{address}`", neutral(id)),
                None => format!("there is no live object named `{}` for `{address}`", neutral(&change.name)),
            };
            Diagnostic::error(codes::GONE, what).help("`patchbay apply` creates it")
        }
        Action::Update | Action::Rotate | Action::Replace | Action::Blocked => {
            let fields: Vec<String> = change.written().map(|f| format!("`{}`", f.path)).collect();
            Diagnostic::error(
                codes::ALREADY_EXISTS,
                format!("the live object of `{address}` differs from its declaration: {}", fields.join(", ")),
            )
            .help("make the file say what is live, or let `patchbay apply` adopt it and change it")
        }
        _ => return None,
    };
    Some(error.label_opt(change.source, "declared here").about(address))
}

fn ended(context: &Context<'_>, planned: &Planned, outcome: &Outcome, found: &[Diagnostic], sources: &Sources) -> u8 {
    let out = context.out;
    if out.is_machine {
        out.json(&view::json::apply_document(outcome, &planned.plan, found, sources));
    } else {
        out.diagnostics(found, sources);
    }
    exit::of_errors(found)
}

/// What there is, target by target.
fn screen(gathered: &Gathered, session: &Session, planned: &Planned, wanted: &Wanted, sources: &Sources) -> String {
    let mut text = String::new();
    for (target, lane) in &session.lanes {
        let here: Vec<&Change> =
            planned.plan.changes.iter().filter(|c| c.address.target() == target && wanted.is(&c.address)).collect();
        if here.is_empty() && wanted.address.is_some() {
            continue;
        }
        let lists: Vec<_> = lane
            .definition
            .collections
            .iter()
            .filter_map(|(name, collection)| Some((name, collection, planned.observed.list(target, name)?)))
            .collect();
        let live: usize = lists.iter().map(|(_, _, list)| list.objects().len()).sum();
        let certain = if lists.iter().all(|(_, _, list)| list.is_complete()) { "" } else { " (the list may be cut short)" };
        text.push_str(&format!("{target}   {live} live connections{certain}\n"));
        let tracked = here.iter().filter(|c| c.id.is_some() && !c.adopts).count();
        text.push_str(&format!("  = already tracked   {tracked}\n"));
        for change in here.iter().filter(|c| c.action == Action::Adopt) {
            let place = change.source.and_then(|span| sources.file_line(span)).unwrap_or_default();
            let id = neutral(change.id.as_deref().unwrap_or_default());
            text.push_str(&format!("  ← will adopt        {}   {id}   declared in {place}\n", change.address));
        }
        for change in here.iter().filter(|c| c.adopts && c.action != Action::Adopt) {
            let id = neutral(change.id.as_deref().unwrap_or_default());
            let next = match change.action {
                Action::Blocked => "the API cannot change it to what the files want: `patchbay plan` says why",
                _ => "`patchbay apply` would adopt and change it",
            };
            text.push_str(&format!("  ≠ differs           {}   {id}   {next}\n", change.address));
        }
        if wanted.address.is_some() {
            continue;
        }
        let mut nobody: Vec<String> = Vec::new();
        for (name, collection, list) in lists {
            let declared: Vec<(&Address, Vec<String>)> = gathered
                .desired
                .connections
                .iter()
                .filter(|c| c.address.target() == target)
                .filter_map(|c| {
                    let kind = lane.definition.kinds.get(&c.kind).filter(|kind| kind.collection == *name)?;
                    Some((&c.address, natural_key(collection, kind, &c.spec)?))
                })
                .collect();
            for (address, key) in &declared {
                let ids: Vec<&str> = list.ids_named(key).collect();
                if ids.len() > 1 && session.state.record(address).is_none() {
                    let first = neutral(ids[0]);
                    let ids: Vec<String> = ids.iter().map(|id| neutral(id)).collect();
                    text.push_str(&format!(
                        "  ? {} match           {address}   {}   → patchbay import {address} {first}\n",
                        ids.len(),
                        ids.join(", ")
                    ));
                }
            }
            for object in list.objects() {
                let recorded = session.owners.contains_key(&(target.clone(), object.id.clone()));
                let key = object.natural_key(collection);
                if !recorded && !declared.iter().any(|(_, declared)| Some(declared) == key.as_ref()) {
                    nobody.push(format!("\"{}\"", display_name(collection, object)));
                }
            }
        }
        if !nobody.is_empty() {
            let more = nobody.len().saturating_sub(5);
            nobody.truncate(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text.push_str(&format!(
                "  · in no file        {}{more}   → patchbay export {target} --only-unmanaged\n",
                nobody.join(", ")
            ));
        }
    }
    text
}
