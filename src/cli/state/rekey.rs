//! `patchbay state rekey`: the fingerprints of secrets are made with another key. Nothing is sent to an API.
//!
//! The key in `.patchbay/key` is that of every state of the project, and each profile has one, so all of them are done.
//! The order makes it safe to be stopped anywhere:
//!
//! 1. the new key is durable beside the old one, as `.patchbay/key.next-<id>`,
//! 2. the new fingerprints are committed, state by state,
//! 3. the new key gets the place of the old one, in one rename.
//!
//! Before 2 nothing has happened. Between 2 and 3 plans go on with the old key and say *cannot verify* of what has the new
//! one; fingerprints name their key, so none of them is taken for changed. The next `rekey` goes on with the key that
//! waits, and takes what has it already for done.
//!
//! Where the key comes from a variable, the new one does, too. Then there is only 2, for the one state at hand: whoever
//! set the variable sets it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value as Json, json};

use super::change::{add_values, commit, key, still_open, unclaimed};
use super::{Place, RekeyArgs, approved, document, failed, read};
use crate::address::Address;
use crate::cli::args::Globals;
use crate::cli::gather::{Gathered, gather};
use crate::cli::{Context, exit, session};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes};
use crate::io::store::{
    Fs as _, Location, RealFs, key_variable, let_key_wait, new_key, replace_key, sync_waiting_key, waiting_key,
};
use crate::platform::exchange::neutral;
use crate::secret::Secret;
use crate::source::Sources;
use crate::state::{Fingerprinter, Key, Left, Rekeyed, Rotation, Stamp, State, Stays, rekey as renew};
use crate::view::count;

/// Where the key is; for messages.
const FILE: &str = ".patchbay/key";

/// `rekey`
pub(super) async fn rekey(
    context: &Context<'_>,
    place: &Place,
    args: &RekeyArgs,
    sources: &mut Sources,
) -> Result<u8, Diagnostics> {
    let out = context.out;
    if !context.globals.only.is_empty() || !context.globals.exclude.is_empty() {
        let what = "a key is replaced for all connections at once";
        return Err(vec![Diagnostic::error(codes::NOT_ACCEPTED, what).help("leave out --only and --exclude")]);
    }
    let (gathered, found) = gather(context, false, sources);
    let Some(gathered) = gathered else { return Err(found) };
    let dir = gathered.dir.clone();
    let keys = keys(context, &dir, args)?;
    let Scope { mut subjects, elsewhere, mut found, unset } = scope(context, place, &keys, (gathered, found), sources).await?;
    for subject in &subjects {
        session::writable(&subject.state).map_err(|error| vec![error])?;
        unclaimed(&subject.state, &subject.touched)?;
    }
    if !out.is_machine {
        out.text(&intention(&subjects, &keys));
        out.diagnostics(&unset, sources);
    }
    found.extend(unset);
    let made = |subjects: &[Subject]| subjects.iter().map(|subject| subject.rekeyed.made).sum::<usize>();
    let total = |of: fn(&Rekeyed) -> usize| subjects.iter().map(|subject| of(&subject.rekeyed)).sum::<usize>();
    let left = total(|rekeyed| rekeyed.left.len());
    if left > 0 && total(|rekeyed| rekeyed.made + rekeyed.already) == 0 {
        let what = format!("of {} none can be made anew, so another key would only forget them", count(left, "fingerprint"));
        let help = "is the key at hand the one that this state was written with, and are the variables set?";
        return Err(vec![Diagnostic::error(codes::NOT_ACCEPTED, what).help(help)]);
    }
    if made(&subjects) > 0 || keys.is_in_file {
        if !approved(context, args.yes, "another key", &question(made(&subjects), &keys)).await? {
            out.note("Nothing was changed.");
            return Ok(exit::OK);
        }
        if keys.is_in_file {
            begin(&dir, &keys)?;
        }
        for subject in &mut subjects {
            found.extend(subject.write(context).await.map_err(|errors| unfinished(errors, &keys))?);
        }
        if keys.is_in_file && !replace_key(&dir, &keys.old, &keys.new).map_err(|e| unfinished(failed(&e), &keys))? {
            let what = format!("`{FILE}` is another key than a moment ago");
            return Err(unfinished(vec![Diagnostic::error(codes::STATE_CONFLICT, what).help("run it again")], &keys));
        }
    }
    if out.is_machine {
        out.json(&document(&found, &rekeyed_document(&subjects, &elsewhere, &keys)));
        return Ok(exit::OK);
    }
    out.text(&result(made(&subjects), &keys));
    remarks(context, &subjects, &elsewhere, &keys);
    Ok(exit::OK)
}

/// The two keys.
struct Keys {
    old: Key,
    new: Key,
    /// The variable that the new one comes from; none where it was drawn.
    variable: Option<String>,
    /// Is the old one in the file, so that the new one gets its place?
    is_in_file: bool,
    /// Does the new one wait since a rotation that was interrupted?
    is_resumed: bool,
}

impl Keys {
    /// Where the new one waits.
    fn waiting(&self) -> String {
        format!("{FILE}.next-{}", self.new.id())
    }
}

fn keys(context: &Context<'_>, dir: &Path, args: &RekeyArgs) -> Result<Keys, Diagnostics> {
    let old = key(context, dir)?.ok_or_else(|| {
        let what = format!("there is no key to replace: no `{FILE}`, no PATCHBAY_STATE_KEY");
        let help = "bring it here; if it is lost, `patchbay apply --rewrite-secrets` makes a new one and uses it";
        vec![Diagnostic::error(codes::NOT_FOUND, what).help(help)]
    })?;
    let is_in_file = key_variable(context.env).is_none();
    let waiting = if is_in_file { waiting_key(dir).map_err(|e| failed(&e))? } else { None };
    let given = args.new_key_env.as_deref().map(|name| given(context, name)).transpose().map_err(|error| vec![error])?;
    let is_resumed = waiting.is_some();
    let new = match (given, waiting) {
        (Some(given), Some(waiting)) if given.id() != waiting.id() => {
            let what = "an earlier rotation was interrupted, and its key waits";
            return Err(vec![Diagnostic::error(codes::STATE_CONFLICT, what).help("finish it first: patchbay state rekey")]);
        }
        (_, Some(waiting)) => waiting,
        (Some(given), None) => given,
        (None, None) if is_in_file => new_key().map_err(|e| failed(&e))?,
        (None, None) => {
            let what = "the key comes from PATCHBAY_STATE_KEY, so the new one has to come from a variable, too";
            let help = "NEW=$(openssl rand -hex 32) patchbay state rekey --new-key-env NEW";
            return Err(vec![Diagnostic::error(codes::NOT_ACCEPTED, what).help(help)]);
        }
    };
    let keys = Keys { old, new, variable: args.new_key_env.clone(), is_in_file, is_resumed };
    if keys.old.id() == keys.new.id() {
        let (place, help) = match &keys.variable {
            Some(variable) if !is_resumed => (neutral(variable), "a new one: openssl rand -hex 32"),
            _ => (keys.waiting(), "delete that file, and run this again"),
        };
        return Err(vec![Diagnostic::error(codes::NOT_ACCEPTED, format!("`{place}` holds the key that is in use")).help(help)]);
    }
    Ok(keys)
}

/// The key in a variable. Its value is in no message.
fn given(context: &Context<'_>, name: &str) -> Result<Key, Diagnostic> {
    let shown = neutral(name);
    let Some(text) = context.env.get(name).filter(|text| !text.is_empty()) else {
        let error = Diagnostic::error(codes::VARIABLE_UNSET, format!("environment variable `{shown}` is not set"));
        return Err(error.help(format!("--new-key-env takes the name of a variable: {shown}=$(openssl rand -hex 32)")));
    };
    context.redactor.learn(&Secret::new(text.as_str()));
    Key::from_text(text).ok_or_else(|| {
        Diagnostic::error(codes::NOT_ACCEPTED, format!("`{shown}` holds no key"))
            .note("64 hex digits are one, base64 of 32 bytes, and any text of at least 32 characters")
            .help(format!("{shown}=$(openssl rand -hex 32)"))
    })
}

/// Makes sure that the new key is not lost from here on.
fn begin(dir: &Path, keys: &Keys) -> Result<(), Diagnostics> {
    if keys.is_resumed {
        return sync_waiting_key(dir).map_err(|e| failed(&e));
    }
    if let_key_wait(dir, &keys.new).map_err(|e| failed(&e))? {
        return Ok(());
    }
    let what = "another rotation of the key began at the same moment";
    Err(vec![Diagnostic::error(codes::STATE_CONFLICT, what).help("no fingerprint was made; try again")])
}

/// One state, and what the files hold for it.
struct Subject {
    place: Place,
    profile: Option<String>,
    state: State,
    /// Everything that is recorded, or may be in a moment.
    touched: BTreeSet<Address>,
    /// The secrets that the files hold, by connection and path.
    values: BTreeMap<Address, BTreeMap<String, Vec<Secret>>>,
    old: Fingerprinter,
    new: Fingerprinter,
    /// What can be done; and when it is done, what was.
    rekeyed: Rekeyed,
}

impl Subject {
    fn new(place: Place, profile: Option<String>, state: State, gathered: &Gathered, keys: &Keys) -> Self {
        let lineage = state.lineage().unwrap_or_default();
        let (old, new) = (Fingerprinter::new(&keys.old, lineage), Fingerprinter::new(&keys.new, lineage));
        let recorded = state.records().map(|record| &record.address);
        let touched = recorded.chain(state.open_intents().map(|intent| &intent.address)).cloned().collect();
        let values = values(gathered);
        let mut subject = Self { place, profile, state, touched, values, old, new, rekeyed: Rekeyed::default() };
        // Nothing is written yet, so the stamp is nobody's.
        subject.rekeyed = subject.renewed(&subject.state, &Stamp { run: "", at: "" });
        subject
    }

    fn renewed(&self, state: &State, stamp: &Stamp<'_>) -> Rekeyed {
        let rotation = Rotation { old: &self.old, new: &self.new };
        renew(state, &rotation, stamp, |record| self.values.get(&record.address).cloned().unwrap_or_default())
    }

    async fn write(&mut self, context: &Context<'_>) -> Result<Diagnostics, Diagnostics> {
        if self.rekeyed.made == 0 {
            return Ok(Diagnostics::new());
        }
        let mut done = Rekeyed::default();
        let found = commit(context, &self.place, &self.state, &self.touched, |now, stamp| {
            done = self.renewed(now, stamp);
            std::mem::take(&mut done.entries)
        })
        .await?;
        self.rekeyed = done;
        Ok(found)
    }

    fn left(&self, why: Stays) -> usize {
        self.rekeyed.left.iter().filter(|left| left.why == why).count()
    }

    fn label(&self) -> String {
        let label = neutral(&self.place.location.label());
        match &self.profile {
            Some(profile) => format!("{label}   profile {}", neutral(profile)),
            None => label,
        }
    }
}

/// The secrets that the files hold, by connection and path.
fn values(gathered: &Gathered) -> BTreeMap<Address, BTreeMap<String, Vec<Secret>>> {
    let mut all: BTreeMap<Address, BTreeMap<String, Vec<Secret>>> = BTreeMap::new();
    for connection in &gathered.desired.connections {
        add_values(gathered, connection, all.entry(connection.address.clone()).or_default());
    }
    // Until the next apply a connection that moves is recorded under its old address.
    for (from, to) in &gathered.desired.moved {
        let moved = all.get(to).cloned().unwrap_or_default();
        let held = all.entry(from.clone()).or_default();
        for (path, values) in moved {
            held.entry(path).or_default().extend(values);
        }
    }
    all
}

/// Everything that a rotation is about.
struct Scope {
    subjects: Vec<Subject>,
    /// States that have the old key and are left alone.
    elsewhere: Vec<String>,
    /// What was odd, and said at once.
    found: Diagnostics,
    /// The variables that are not set, as warnings, where a value is missed.
    unset: Diagnostics,
}

async fn scope(
    context: &Context<'_>,
    place: &Place,
    keys: &Keys,
    own: (Gathered, Diagnostics),
    sources: &mut Sources,
) -> Result<Scope, Diagnostics> {
    let mut scope = Scope { subjects: Vec::new(), elsewhere: Vec::new(), found: Diagnostics::new(), unset: Diagnostics::new() };
    let (gathered, found) = own;
    let here = Place { location: place.location.clone(), gathered: None };
    let (state, odd) = read(context, &here).await?;
    scope.found.extend(odd);
    let profile = context.globals.profile.clone();
    let all = std::iter::once(None).chain(gathered.project.profiles.iter().cloned().map(Some));
    // A state that the command line names is one more.
    let others: Vec<Option<String>> = all.filter(|other| *other != profile || context.globals.state.is_some()).collect();
    scope.add(Subject::new(here, profile, state, &gathered, keys), found)?;
    for profile in others {
        let globals = Globals { profile: profile.clone(), state: None, ..context.globals.clone() };
        let context = Context {
            globals: &globals,
            env: context.env,
            redactor: context.redactor,
            out: context.out,
            reports: context.reports,
        };
        let (gathered, found) = gather(&context, false, sources);
        let Some(gathered) = gathered else { return Err(found) };
        let location = session::location(&globals, &gathered).map_err(|error| vec![error])?;
        if scope.subjects.iter().any(|subject| is_same(&subject.place.location, &location)) {
            continue;
        }
        let place = Place { location, gathered: None };
        let (state, odd) = read(&context, &place).await?;
        let old = keys.old.id();
        if !state.records().flat_map(|record| record.secrets.values()).any(|secret| secret.fp.key_id() == old) {
            continue;
        }
        scope.found.extend(odd);
        let subject = Subject::new(place, profile, state, &gathered, keys);
        if keys.is_in_file {
            scope.add(subject, found)?;
        } else {
            scope.elsewhere.push(subject.label());
        }
    }
    Ok(scope)
}

impl Scope {
    /// Adds a state, with what gathering its files found. That variables are not set is no reason to stop.
    fn add(&mut self, subject: Subject, found: Diagnostics) -> Result<(), Diagnostics> {
        let is_unset = |d: &Diagnostic| [codes::VARIABLE_UNSET, codes::VARIABLE_EMPTY].contains(&d.code);
        if found.iter().any(|d| d.is_error() && !is_unset(d)) {
            return Err(found);
        }
        if subject.left(Stays::NoValue) > 0 {
            for unset in found.into_iter().filter(is_unset) {
                // Two profiles miss the same ones.
                if self.unset.iter().all(|known| known.summary != unset.summary) {
                    self.unset.push(Diagnostic { severity: Severity::Warning, ..unset });
                }
            }
        }
        self.subjects.push(subject);
        Ok(())
    }
}

/// Are these one place?
fn is_same(one: &Location, two: &Location) -> bool {
    let file = |location: &Location| match location {
        Location::File(path) => RealFs.identity(path).ok(),
        Location::Remote(_) => None,
    };
    one.label() == two.label() || file(one).is_some_and(|one| file(two) == Some(one))
}

/// Errors of a rotation that had begun, with what that means.
fn unfinished(errors: Diagnostics, keys: &Keys) -> Diagnostics {
    let note = if keys.is_in_file {
        format!(
            "the old key is still in use; the new one waits in {}, and `patchbay state rekey` goes on with it",
            keys.waiting()
        )
    } else {
        "run it again with both keys: what has the new one already is left alone".to_owned()
    };
    errors.into_iter().map(|error| error.note(note.clone())).collect()
}

/// What can be done, and what cannot.
fn intention(subjects: &[Subject], keys: &Keys) -> String {
    let mut text = String::new();
    if keys.is_resumed {
        text.push_str(&format!("A rotation was interrupted: this one goes on with the key in {}.\n", keys.waiting()));
    }
    for subject in subjects {
        let Rekeyed { made, already, left, .. } = &subject.rekeyed;
        let done = if *already > 0 { format!(", {already} have the new key already") } else { String::new() };
        let all = count(made + left.len(), "fingerprint");
        text.push_str(&format!("{}   {made} of {all} can be made anew{done}\n", subject.label()));
        for left in left {
            text.push_str(&format!("  - {}   {}   {}\n", left.address, neutral(&left.path), said(left.why)));
        }
    }
    if subjects.iter().any(|subject| !subject.rekeyed.left.is_empty()) {
        text.push_str("What is listed stays as it is. Plans say that it cannot be verified, since it has another key, until\n");
        text.push_str("`patchbay apply --rewrite-secrets` writes it once.\n");
    }
    if subjects.iter().any(|subject| subject.left(Stays::OtherValue) > 0) {
        text.push_str(
            "A value that was not applied yet should be applied first: no plan can tell afterwards that it is another one.\n",
        );
    }
    text
}

fn said(why: Stays) -> &'static str {
    match why {
        Stays::NoValue => "its value is not at hand",
        Stays::OtherValue => "the value at hand is not the recorded one",
        Stays::OtherKey => "it has another key already",
    }
}

fn question(made: usize, keys: &Keys) -> String {
    let things = count(made, "fingerprint");
    match &keys.variable {
        Some(variable) if !keys.is_in_file => {
            format!("Make {things} with the key in `{}`? Nothing is touched at an API.", neutral(variable))
        }
        _ => format!("Replace the key, and make {things} with the new one? Nothing is touched at an API."),
    }
}

fn result(made: usize, keys: &Keys) -> String {
    let (things, new) = (count(made, "fingerprint"), keys.new.id());
    if keys.is_in_file {
        format!("Made {things} with the new key {new}, which is in {FILE} now. Nothing was touched at an API.\n")
    } else {
        format!("Made {things} with the new key {new}. Nothing was touched at an API.\n")
    }
}

fn remarks(context: &Context<'_>, subjects: &[Subject], elsewhere: &[String], keys: &Keys) {
    let out = context.out;
    let masks: usize = subjects.iter().map(|subject| subject.rekeyed.masks).sum();
    if masks > 0 {
        let things = count(masks, "secret");
        out.note(&format!(
            "What the API showed in place of {things} is not known any more, since no API was asked; each next write records it again."
        ));
    }
    if keys.is_in_file {
        out.note("Whoever else has the old key, such as CI, needs the new one. Plans that were saved before are refused.");
    } else {
        let variable = keys.variable.as_deref().map(neutral).unwrap_or_default();
        out.note(&format!(
            "PATCHBAY_STATE_KEY has to be what `{variable}` is, wherever this state is used. Plans that were saved before are refused."
        ));
    }
    for label in elsewhere {
        out.note(&format!("The old key is in use in {label}, too: do the same there before you forget it."));
    }
    for subject in subjects {
        still_open(context, &subject.state, &subject.touched);
    }
}

fn rekeyed_document(subjects: &[Subject], elsewhere: &[String], keys: &Keys) -> Json {
    let left = |left: &Left| {
        let why = match left.why {
            Stays::NoValue => "no_value",
            Stays::OtherValue => "other_value",
            Stays::OtherKey => "other_key",
        };
        json!({ "address": left.address.to_string(), "id": left.id, "path": left.path, "why": why })
    };
    let state = |subject: &Subject| {
        let Rekeyed { made, masks, already, left: all, .. } = &subject.rekeyed;
        json!({
            "path": subject.place.location.label(), "profile": subject.profile, "made": made, "already": already,
            "masks_dropped": masks, "left": all.iter().map(left).collect::<Vec<Json>>(),
        })
    };
    json!({ "rekeyed": {
        "old_key": keys.old.id(), "new_key": keys.new.id(), "resumed": keys.is_resumed,
        "key_file_replaced": keys.is_in_file,
        "states": subjects.iter().map(state).collect::<Vec<Json>>(),
        "elsewhere": elsewhere,
    } })
}
