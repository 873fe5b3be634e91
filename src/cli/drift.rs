//! `patchbay drift`: what others changed since the last apply. Nothing is written, neither at an API nor here.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::args::{Planning, RefreshArg};
use super::events::Listener;
use super::gather::gather;
use super::out::Out;
use super::planning::{self, Filling};
use super::session::{self, Opening, Session};
use super::{Context, exit};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics, codes, has_errors, tidy};
use crate::engine::lane::Lane;
use crate::engine::reader::readers;
use crate::engine::refresh::refresh;
use crate::io::clock;
use crate::plan::diff::ASSUMED;
use crate::plan::model::{Cause, Change, FieldChange, Outside, Plan, Refresh, Side, Unproved, Verdict};
use crate::plan::observed::{Detail, Observed};
use crate::plan::planner::{World, live_object, plan};
use crate::platform::model::Collection;
use crate::platform::object::Object;
use crate::source::Sources;
use crate::state::{Record, SecretRecord, digest};
use crate::view;
use crate::view::digest::{Digest, Frame};
use crate::view::drift::{Checked, Doubt, Drift, Drifted, Finding};

/// The variable that holds the fingerprint key.
const KEY: &str = "PATCHBAY_STATE_KEY";

/// What `engine::write` records the digest of when the outcome of a write is unknown.
const NEITHER: &str = "neither the old nor the new";

/// `drift`
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// How much of the live state is read: full (every object), auto (objects that may have moved)
    #[arg(long, value_name = "HOW", value_enum, default_value_t = DriftRefresh::Full)]
    pub refresh: DriftRefresh,
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DriftRefresh {
    /// The list; objects only where something may have moved.
    Auto,
    /// Every object.
    Full,
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &DriftArgs) -> u8 {
    let out = context.out;
    let started = clock::instant();
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else {
        context.failed(&found, &sources);
        return exit::ERROR;
    };
    let planning = Planning::reading(match args.refresh {
        DriftRefresh::Auto => RefreshArg::Auto,
        DriftRefresh::Full => RefreshArg::Full,
    });
    let opening = Opening::looking(context, context.globals, &planning);
    let mut session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => {
            context.failed(&errors, &sources);
            return exit::ERROR;
        }
    };
    // Where nothing was applied nothing can have drifted, so nothing is asked there.
    let state = &session.state;
    session.lanes.retain(|target, _| state.records().any(|r| r.address.target() == target));

    let filling = Filling::new(&gathered);
    let references = filling.references(&sources);
    let nothing = Observed::default();
    let world = planning::world(&gathered, &session, &nothing, &references);
    let (observed, errors) = refresh(&world, &readers(&session.lanes), context.redactor, &Listener::new(context)).await;
    found.extend(errors);
    let world = planning::world(&gathered, &session, &observed, &references);
    // What a plan complains about forbids changes; nothing is to be changed here.
    let (plan, _) = plan(&world);
    let connections = check(&world, &plan, &mut found);
    tidy(&mut found);
    let drift = Drift {
        refresh: plan.refresh,
        partial: plan.partial,
        complete: !has_errors(&found),
        last_apply: session.state.records().map(|r| r.at.clone()).max(),
        connections,
    };
    context.reports.hold(|| {
        let document = view::drift::drift_document(&drift, &found, &sources, &clock::now_text());
        let frame = Frame { elapsed: started.elapsed(), ..session.frame() };
        Digest::of_drift(&drift, &found, &sources, frame, document)
    });
    if out.is_machine {
        out.json(&view::drift::drift_document(&drift, &found, &sources, &clock::now_text()));
    } else {
        let head = view::plan::Head {
            command: "patchbay drift".to_owned(),
            state: session.location.name(),
            requests: session.lanes.values().map(Lane::requests).sum(),
            elapsed: started.elapsed(),
            notes: notes(&world, &session, &drift),
        };
        show(out, &drift, &head);
        out.diagnostics(&found, &sources);
    }
    if !drift.complete {
        exit::ERROR
    } else if drift.is_drift() {
        exit::CHANGES
    } else {
        exit::OK
    }
}

fn show(out: &Out, drift: &Drift, head: &view::plan::Head) {
    // Quiet: the verdict alone.
    let text = if out.quiet == 0 {
        view::drift::render(drift, head, &out.stdout)
    } else {
        view::drift::verdict(drift, head, &out.stdout)
    };
    out.text(&text);
}

fn notes(world: &World<'_>, session: &Session, drift: &Drift) -> Vec<String> {
    let mut notes = Vec::new();
    let may_be_unread = |r: &Record| home(world, r).is_none_or(|(_, collection)| !collection.is_read_by_list());
    if drift.refresh == Refresh::Auto && session.state.records().any(may_be_unread) {
        notes.push("objects whose modification time has not moved were not read (--refresh auto)".to_owned());
    }
    if !session.has_key && session.state.records().any(|r| !r.secrets.is_empty()) {
        notes.push(format!("the fingerprint key is not here (.patchbay/key, {KEY}): no secret can be verified"));
    }
    let open = session.state.open_intents().count();
    if open > 0 {
        notes.push(format!("{open} of our own operations are open: what they did may look like drift"));
    }
    notes
}

/// Where a recorded object is.
enum Existence {
    /// There.
    Here,
    /// Gone; did a read of its own say so?
    Gone(bool),
    /// Nobody knows, and a diagnostic or these words say why.
    Unknown(&'static str),
}

/// Every record that this run is about, against the live object.
fn check(world: &World<'_>, plan: &Plan, found: &mut Diagnostics) -> Vec<Checked> {
    let key = |change: &Change| change.moved_from.as_ref().unwrap_or(&change.address).clone();
    let changes: BTreeMap<Address, &Change> = plan.changes.iter().map(|change| (key(change), change)).collect();
    let mut all = Vec::new();
    for record in world.state.records() {
        let change = changes.get(&record.address).copied();
        let chosen = change.is_some() || world.options.selector.matches(&record.address);
        // Of several objects that were made for one connection, the newest is the connection's.
        let newest = world.state.record(&record.address).is_some_and(|r| r.id == record.id);
        if !chosen || !newest {
            continue;
        }
        let (finding, doubts) = match existence(world, record, found) {
            Existence::Unknown(why) => (Finding::NotCompared(why), Vec::new()),
            Existence::Gone(read) => {
                let instead = change.filter(|c| c.adopts).and_then(|c| c.id.clone());
                (Finding::Gone { read, instead }, Vec::new())
            }
            Existence::Here => compare(world, record, change),
        };
        all.push(Checked {
            address: record.address.clone(),
            kind: record.kind.clone(),
            name: record.name.clone(),
            id: record.id.clone(),
            source: change.and_then(|c| c.source),
            finding,
            doubts,
        });
    }
    all
}

fn existence(world: &World<'_>, record: &Record, found: &mut Diagnostics) -> Existence {
    let target = record.address.target();
    let Some((name, collection)) = home(world, record) else {
        return Existence::Unknown("its target or kind is no longer declared");
    };
    let Some(list) = world.observed.list(target, name) else { return Existence::Unknown("could not be read") };
    let read = match world.observed.detail(target, name, &record.id) {
        Some(Detail::Object(_)) => return Existence::Here,
        Some(Detail::Failed) => return Existence::Unknown("could not be read"),
        Some(Detail::Gone) => true,
        None if list.object(&record.id).is_some() => return Existence::Here,
        // Lists may lag behind: where objects can be read, only a read tells.
        None if collection.read.is_some() => return Existence::Unknown("not listed, and not read"),
        None => false,
    };
    if list.is_complete() {
        return Existence::Gone(read);
    }
    found.push(
        Diagnostic::error(
            codes::LIST_CUT,
            format!("the list of `{target}` may be cut short, and it does not show `{}`", record.address),
        )
        .note("nothing is concluded from a partial list")
        .help(format!("raise `list_limit` of [targets.{target}], if the API allows more"))
        .about(&record.address),
    );
    Existence::Unknown("the list may be cut short")
}

/// The collection that a recorded object lives in.
fn home<'w>(world: &World<'w>, record: &Record) -> Option<(&'w str, &'w Collection)> {
    let definitions = world.definitions;
    let definition = definitions.get(record.address.target())?;
    let kind = definition.kinds.get(&record.kind)?;
    Some((kind.collection.as_str(), definition.collections.get(&kind.collection)?))
}

/// The fields of an object that is there. The plan compared it with what the files want; of that, what others did.
fn compare(world: &World<'_>, record: &Record, change: Option<&Change>) -> (Finding, Vec<Doubt>) {
    let Some(change) = change else { return (Finding::NotCompared("could not be compared"), Vec::new()) };
    let Some(connection) = change.connection.as_deref() else {
        return (Finding::NotCompared("in the state and in no file"), Vec::new());
    };
    if change.id.as_ref() != Some(&record.id) {
        return (Finding::NotCompared("another object is the connection's now"), Vec::new());
    }
    let target = connection.address.target();
    let object = world.rules(connection).and_then(|rules| {
        let list = world.observed.list(target, &rules.kind.collection)?;
        live_object(world, rules, target, list, &record.id)
    });
    let side = Recorded { world, record, object: object.as_deref() };
    let (mut drifted, mut doubts) = (Vec::new(), Vec::new());
    for field in &change.fields {
        match side.judge(field) {
            Judged::Drifted(field) => drifted.push(field),
            Judged::Doubtful(doubt) => doubts.push(doubt),
            Judged::Silent => {}
        }
    }
    let finding = if drifted.is_empty() { Finding::AsApplied } else { Finding::Changed(drifted) };
    (finding, doubts)
}

/// What is concluded about one field.
enum Judged {
    Drifted(Drifted),
    Doubtful(Doubt),
    Silent,
}

/// A record beside its live object.
struct Recorded<'r> {
    world: &'r World<'r>,
    record: &'r Record,
    object: Option<&'r Object>,
}

impl Recorded<'_> {
    fn judge(&self, field: &FieldChange) -> Judged {
        let path = field.path.to_string();
        // What was never applied cannot have drifted.
        match &field.after {
            Side::Secret(_) => match self.record.secrets.get(&path) {
                Some(recorded) => self.judge_secret(field, recorded),
                None => Judged::Silent,
            },
            Side::Value(_) if self.record.fields.contains_key(&path) => self.judge_value(field, &path),
            _ => Judged::Silent,
        }
    }

    fn judge_secret(&self, field: &FieldChange, recorded: &SecretRecord) -> Judged {
        let doubt = |why: Option<Unproved>| Judged::Doubtful(Doubt { path: field.path.clone(), why, is_secret: true });
        let doubtful = |why: Unproved| doubt(Some(why));
        let drifted = |how: Outside, config_changed: bool| {
            Judged::Drifted(Drifted {
                path: field.path.clone(),
                recorded: Side::Secret(Some(recorded.fp.clone())),
                live: Side::Unread,
                secret: Some(how),
                config_changed,
                span: field.span,
            })
        };
        let our_key = recorded.fp.key_id() == self.world.fingerprinter.key_id();
        match &field.verdict {
            Verdict::Unchanged | Verdict::New => Judged::Silent,
            // With another key nobody knows whether the wanted value, which the mask was held against, was ever applied.
            _ if !our_key => doubtful(Unproved::OtherKey),
            _ if self.is_doubted_secret(&field.path.to_string(), recorded) => doubt(None),
            Verdict::ChangedOutside(how) => drifted(how.clone(), false),
            Verdict::CannotVerify(why) => doubtful(why.clone()),
            // The files want another value by now. Whether the old one is still there is another question.
            Verdict::Changed | Verdict::ChangedHere => {
                if self.is_mask_moved(field, recorded) {
                    drifted(Outside::MaskDiffers, true)
                } else if recorded.assumed {
                    doubtful(Unproved::NeverWritten)
                } else {
                    self.by_stamp().map_or(Judged::Silent, doubtful)
                }
            }
        }
    }

    /// Does the API show another mask than right after our write, at the same endpoint?
    fn is_mask_moved(&self, field: &FieldChange, recorded: &SecretRecord) -> bool {
        let Some(then) = recorded.mask.as_ref().filter(|_| !recorded.assumed && recorded.mask_at.as_deref() == Some("read"))
        else {
            return false;
        };
        let Some(shown) = self.object.and_then(|object| object.body.at(&field.path)).and_then(|value| value.as_str()) else {
            return false;
        };
        let printer = self.world.fingerprinter;
        then.key_id() == printer.key_id() && printer.mask(&self.record.address, &field.path.to_string(), shown) != *then
    }

    fn judge_value(&self, field: &FieldChange, path: &str) -> Judged {
        let doubt = |why: Option<Unproved>| Judged::Doubtful(Doubt { path: field.path.clone(), why, is_secret: false });
        let doubtful = |why: Unproved| doubt(Some(why));
        let assumed = self.record.fields.get(path).is_some_and(|recorded| recorded.starts_with(ASSUMED));
        match (&field.verdict, field.cause) {
            // The plan takes such a field for changed, so that it is written again.
            (Verdict::Changed, _) if self.is_doubted_value(path) => doubt(None),
            // Taken over unseen: whoever made it differ, nobody saw it otherwise.
            (Verdict::Changed, Cause::Drift | Cause::Both) if assumed => doubtful(Unproved::NeverWritten),
            (Verdict::Changed, cause @ (Cause::Drift | Cause::Both)) => {
                // The record keeps digests; the value is known while the files still want it.
                let known = cause == Cause::Drift && !matches!(field.before, Side::Unread | Side::Hidden);
                Judged::Drifted(Drifted {
                    path: field.path.clone(),
                    recorded: if known { field.after.clone() } else { Side::Unread },
                    live: field.before.clone(),
                    secret: None,
                    config_changed: cause == Cause::Both,
                    span: field.span,
                })
            }
            (Verdict::CannotVerify(why), _) => doubtful(why.clone()),
            // The files want another value by now, and the live one does not come back.
            (Verdict::Changed, Cause::Config) if field.before == Side::Unread => self.by_stamp().map_or(Judged::Silent, doubtful),
            _ => Judged::Silent,
        }
    }

    /// Was it recorded after a write that may or may not have arrived? Then neither value is recorded.
    fn is_doubted_value(&self, path: &str) -> bool {
        self.record.fields.get(path).is_some_and(|recorded| *recorded == digest(path, NEITHER))
    }

    /// The same of a secret: in place of its fingerprint stands one of the operation.
    fn is_doubted_secret(&self, path: &str, recorded: &SecretRecord) -> bool {
        recorded.fp == self.world.fingerprinter.mask(&self.record.address, path, &self.record.op)
    }

    /// What the modification stamp leaves open; `None` if it proves that nobody touched the object.
    fn by_stamp(&self) -> Option<Unproved> {
        let now = self.object.map(|object| object.watermark.as_deref());
        match (self.record.seen.as_deref(), now) {
            // Not read, because its stamp had not moved.
            (Some(_), None) => None,
            (Some(then), Some(Some(now))) if then == now => None,
            (Some(_), Some(Some(now))) => Some(Unproved::ModifiedOutside(now.to_owned())),
            _ => Some(Unproved::NoEvidence),
        }
    }
}
