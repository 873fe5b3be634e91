//! `patchbay state rm | mv`: records are forgotten, or get another address, with the lines that an apply would write for
//! it. Nothing is sent to an API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{Fate, MvArgs, Place, RmArgs, addresses, approved, chosen, document, failed, fate, read, unknown};
use crate::address::Address;
use crate::cli::gather::{Gathered, gather};
use crate::cli::{Context, exit, session};
use crate::config::desired::Connection;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::io::store::{self, Committer, Opened, key_variable, load_key};
use crate::io::{clock, process};
use crate::plan::unit::{Content, units};
use crate::platform::exchange::neutral;
use crate::secret::Secret;
use crate::source::Sources;
use crate::state::{Destination, Entry, Fingerprinter, Intent, Key, Record, Stamp, State, StateWarning, carry, forget, relocate};
use crate::view::count;

/// `rm ADDR…`
pub(super) async fn rm(context: &Context<'_>, place: &Place, args: &RmArgs) -> Result<u8, Diagnostics> {
    let out = context.out;
    let (state, mut found) = read(context, place).await?;
    // An operation that was announced and never settled is something to forget, too.
    let open: BTreeSet<Address> = state.open_intents().map(|intent| intent.address.clone()).collect();
    let chosen = chosen(context, &addresses(&state).union(&open).cloned().collect(), &args.addresses)?;
    unclaimed(&state, &chosen)?;
    let records: Vec<&Record> = chosen.iter().flat_map(|address| state.siblings(address)).collect();
    let attempts: Vec<&Intent> = state
        .open_intents()
        .filter(|intent| chosen.contains(&intent.address) && state.siblings(&intent.address).is_empty())
        .collect();
    if records.is_empty() && attempts.is_empty() {
        out.note("There is nothing to forget.");
    } else {
        if !out.is_machine {
            let line = |r: &&Record| format!("  - {}   {}   \"{}\"\n", r.address, neutral(&r.id), neutral(&r.name));
            out.text(&records.iter().map(line).collect::<String>());
            let line = |i: &&Intent| format!("  - {}   an open {}, announced {}\n", i.address, neutral(&i.verb), neutral(&i.at));
            out.text(&attempts.iter().map(line).collect::<String>());
        }
        let things = match (records.len(), attempts.len()) {
            (records, 0) => count(records, "record"),
            (0, attempts) => count(attempts, "open operation"),
            (records, attempts) => format!("{} and {}", count(records, "record"), count(attempts, "open operation")),
        };
        let question = format!("Forget {things}? Nothing is touched at an API: the objects stay there.");
        if !approved(context, args.yes, "forgetting records", &question).await? {
            out.note("Nothing was forgotten.");
            return Ok(exit::OK);
        }
        let why = "forgotten: `patchbay state rm`";
        let void = |intent: &&Intent| Entry::Void { op: intent.op.clone(), why: why.to_owned() };
        let voids: Vec<Entry> = attempts.iter().map(void).collect();
        let entries = |now: &State, stamp: &Stamp<'_>| forget(now, &chosen, stamp).into_iter().chain(voids).collect();
        found.extend(commit(context, place, &state, &chosen, entries).await?);
        if !out.is_machine {
            out.text(&format!("Forgot {things}. Nothing was touched at an API: the objects are still there.\n"));
            still_declared(context, place, &chosen);
            still_open(context, &state, &chosen);
        }
    }
    if out.is_machine {
        let forgotten: Vec<Json> = records
            .iter()
            .map(|r| json!({ "address": r.address.to_string(), "id": r.id, "name": r.name, "rev": r.rev }))
            .collect();
        let operations: Vec<Json> = attempts
            .iter()
            .map(|i| json!({ "address": i.address.to_string(), "verb": i.verb, "at": i.at, "op": i.op }))
            .collect();
        out.json(&document(&found, &json!({ "forgotten": forgotten, "operations": operations })));
    }
    Ok(exit::OK)
}

/// What is declared and not recorded is adopted by the next apply, which may not be what was meant.
fn still_declared(context: &Context<'_>, place: &Place, chosen: &BTreeSet<Address>) {
    let Some(gathered) = &place.gathered else { return };
    let declared = gathered.desired.connections.iter().filter(|c| chosen.contains(&c.address)).count();
    if declared > 0 {
        let what = if declared == 1 { "1 of them is".to_owned() } else { format!("{declared} of them are") };
        context.out.note(&format!("{what} still declared: the next apply finds the object by its name and records it again"));
    }
}

/// An interrupted operation outlives the record: what came of it at the API is not known yet.
pub(super) fn still_open(context: &Context<'_>, state: &State, touched: &BTreeSet<Address>) {
    for intent in state.open_intents().filter(|intent| touched.contains(&intent.address)) {
        let verb = neutral(&intent.verb);
        context.out.note(&format!("an interrupted {verb} of `{}` is still open; the next apply settles it", intent.address));
    }
}

/// `mv FROM TO`
pub(super) async fn mv(context: &Context<'_>, place: &Place, args: &MvArgs) -> Result<u8, Diagnostics> {
    let out = context.out;
    let (state, mut found) = read(context, place).await?;
    let known = addresses(&state);
    let from = known.iter().find(|a| a.to_string() == args.from).ok_or_else(|| vec![unknown(&args.from, &known)])?;
    let to = &destination(&known, from, &args.to).map_err(|error| vec![error])?;
    let touched = BTreeSet::from([from.clone(), to.clone()]);
    unclaimed(&state, &touched)?;

    // Where the state was named on the command line: whether these files have to do with it, the fingerprints tell.
    let own = gather(context, false, &mut Sources::default()).0;
    // With the variables, for a `default(…)` has no value without them; what is unset is only missing.
    let gathered = own.as_ref().or(place.gathered.as_ref());
    let has_secrets = state.siblings(from).iter().any(|record| !record.secrets.is_empty());
    let printer = if has_secrets { printer(context, gathered, &state)? } else { None };
    let values = gathered.map(|gathered| values(gathered, [from, to])).unwrap_or_default();
    let mut carried = 0;
    let mut dropped: BTreeSet<String> = BTreeSet::new();
    let secrets = |record: &Record, op: &str| {
        let carried_by = |printer: &Fingerprinter| carry(printer, &values, record, &Destination { printer, address: to, op });
        let secrets = printer.as_ref().map(carried_by).unwrap_or_default();
        carried += secrets.len();
        dropped.extend(record.secrets.keys().filter(|path| !secrets.contains_key(*path)).cloned());
        secrets
    };
    found.extend(commit(context, place, &state, &touched, |now, stamp| relocate(now, from, to, stamp, secrets)).await?);

    if out.is_machine {
        let ids: Vec<&str> = state.siblings(from).into_iter().map(|record| record.id.as_str()).collect();
        let secrets = json!({ "carried": carried, "dropped": dropped });
        let moved = json!({ "from": from.to_string(), "to": to.to_string(), "ids": ids, "secrets": secrets });
        out.json(&document(&found, &json!({ "moved": moved })));
        return Ok(exit::OK);
    }
    out.text(&format!("`{from}` is recorded as `{to}` now. Nothing was touched at an API.\n"));
    if !dropped.is_empty() {
        let paths: Vec<String> = dropped.iter().map(|path| format!("`{}`", neutral(path))).collect();
        let why = match printer {
            Some(_) => "the files here do not hold the value that was written",
            None => "the project, or the key that fingerprints are made with, is not here",
        };
        out.note(&format!(
            "Nothing is known any more of {}: fingerprints are bound to their address, and {why}.",
            paths.join(", ")
        ));
        out.note("Plans say that it cannot be verified, until `patchbay apply --rewrite-secrets` writes it once.");
    }
    let declares = |address: &Address| gathered.is_some_and(|g| g.desired.connections.iter().any(|c| c.address == *address));
    if declares(from) && !declares(to) {
        out.note(&format!("The files still declare `{from}`: rename it there, too, or the next apply moves the record back."));
    }
    still_open(context, &state, &touched);
    Ok(exit::OK)
}

/// Where a record may go.
fn destination(known: &BTreeSet<Address>, from: &Address, text: &str) -> Result<Address, Diagnostic> {
    let to = text.parse::<Address>().map_err(|why| {
        Diagnostic::error(codes::BAD_NAME, format!("`{}` is not an address: {why}", neutral(text))).help("TARGET/KEY is wanted")
    })?;
    if to == *from {
        return Err(Diagnostic::error(codes::NOT_ACCEPTED, format!("`{from}` is where it is to go")).about(from));
    }
    if to.target() != from.target() {
        let what = format!("`{from}` cannot go to `{to}`: its object is on the target `{}`", from.target());
        return Err(Diagnostic::error(codes::NOT_ACCEPTED, what)
            .help("forget it with `patchbay state rm`, and let `patchbay apply` make it on the other target")
            .about(from));
    }
    if known.contains(&to) {
        return Err(Diagnostic::error(codes::ALREADY_EXISTS, format!("`{to}` is recorded already"))
            .help(format!("a connection has one live object; forget the other one first: patchbay state rm {to}"))
            .about(&to));
    }
    Ok(to)
}

/// Makes fingerprints for this state, if the key is here.
fn printer(context: &Context<'_>, gathered: Option<&Gathered>, state: &State) -> Result<Option<Fingerprinter>, Diagnostics> {
    let Some(gathered) = gathered else { return Ok(None) };
    let key = key(context, &gathered.dir)?;
    Ok(key.map(|key| Fingerprinter::new(&key, state.lineage().unwrap_or_default())))
}

/// The key of this project's fingerprints, if it is here.
pub(super) fn key(context: &Context<'_>, dir: &Path) -> Result<Option<Key>, Diagnostics> {
    load_key(dir, key_variable(context.env), false).map_err(|e| failed(&e))
}

/// The secrets that the files hold for these connections, by path.
fn values(gathered: &Gathered, addresses: [&Address; 2]) -> BTreeMap<String, Vec<Secret>> {
    let mut values = BTreeMap::new();
    for connection in gathered.desired.connections.iter().filter(|c| addresses.contains(&&c.address)) {
        add_values(gathered, connection, &mut values);
    }
    values
}

/// Adds the secrets that the files hold for one connection, by path.
pub(super) fn add_values(gathered: &Gathered, connection: &Connection, values: &mut BTreeMap<String, Vec<Secret>>) {
    let definition = gathered.definitions.get(connection.address.target());
    let Some(kind) = definition.and_then(|d| d.kinds.get(&connection.kind)) else { return };
    for unit in units(kind, &connection.spec) {
        if let Content::Secret(secret) = unit.content {
            values.entry(unit.path.to_string()).or_default().push(secret.clone());
        }
    }
}

/// No run that may live is at work on one of these.
pub(super) fn unclaimed(state: &State, touched: &BTreeSet<Address>) -> Result<(), Diagnostics> {
    let claimed: Diagnostics = state
        .open_intents()
        .filter(|intent| touched.contains(&intent.address) && fate(intent) == Fate::MayLive)
        .map(|intent| {
            let (run, verb, at) = (neutral(&intent.run), neutral(&intent.verb), neutral(&intent.at));
            let error = Diagnostic::error(codes::STATE_CONFLICT, format!("another run works on `{}`", intent.address))
                .note(format!("run {run} announced `{verb}` at {at}"))
                .help("nothing was changed; try again when it has ended")
                .about(&intent.address);
            match intent.until.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
                Some(until) => error.note(format!("it finishes or gives way by {until}")),
                None => error,
            }
        })
        .collect();
    if claimed.is_empty() { Ok(()) } else { Err(claimed) }
}

/// Makes entries durable in one commit, if what they are about is still as it was seen. Gives what was odd, which is
/// said at once.
pub(super) async fn commit(
    context: &Context<'_>,
    place: &Place,
    seen: &State,
    touched: &BTreeSet<Address>,
    entries: impl FnOnce(&State, &Stamp<'_>) -> Vec<Entry>,
) -> Result<Diagnostics, Diagnostics> {
    let (run, at) = (process::this_run(), clock::now_text());
    let lineage = seen.lineage().unwrap_or_default();
    let opened = place.location.open(lineage.to_owned(), run.clone()).await.map_err(|e| failed(&e))?;
    let Opened { journal, state: now, .. } = opened;
    session::writable(&now).map_err(|error| vec![error])?;
    // People take their time before they agree.
    if let Some(address) = touched.iter().find(|address| now.rev(address) != seen.rev(address)) {
        let what = format!("`{address}` was changed by another run meanwhile");
        return Err(vec![Diagnostic::error(codes::STALE, what).help("nothing was changed; try again").about(address)]);
    }
    unclaimed(&now, touched)?;
    let (journal, found) = store::begin(journal).await.map_err(|e| failed(&e))?;
    if found != lineage {
        let what = "the state is another one than a moment ago";
        return Err(vec![Diagnostic::error(codes::STATE_CONFLICT, what).help("nothing was changed; try again")]);
    }
    let committer = Committer::start(journal).map_err(|e| failed(&e))?;
    committer.commit(entries(&now, &Stamp { run: &run, at: &at })).await.map_err(|e| failed(&e))?;
    let finished = committer.finish().await.map_err(|e| vec![e.diagnostic().note("what was asked for is done")])?;
    let found: Diagnostics = finished.warnings.iter().map(StateWarning::diagnostic).collect();
    context.out.diagnostics(&found, &Sources::default());
    Ok(found)
}
