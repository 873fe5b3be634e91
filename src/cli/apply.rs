//! `patchbay apply`

use std::io::BufRead as _;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::args::ApplyArgs;
use super::events::Listener;
use super::gather::{Gathered, gather};
use super::out::Out;
use super::planning::{self, Filling, Planned};
use super::session::{self, KeyUse, Opening, Session};
use super::{Context, exit};
use crate::diagnostic::{Diagnostic, Diagnostics, codes, has_errors};
use crate::engine::apply::{Run, Shared, Stop, apply};
use crate::engine::event::Outcome;
use crate::io::store::{self, Committer, Location, Opened, RealFs};
use crate::io::{clock, files, process};
use crate::plan::model::{Action, Plan};
use crate::plan::saved::SavedPlan;
use crate::source::Sources;
use crate::state::{Entry, Intent};
use crate::view;
use crate::view::digest::{Digest, Frame};

/// An interrupted run's request may still be on its way for this long after its process is gone.
const SETTLING: Duration = Duration::from_secs(5);

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &ApplyArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else {
        return fail(context, &found, &sources);
    };
    let saved = match args.plan.as_deref().map(|path| read_saved(context, path)).transpose() {
        Ok(saved) => saved,
        Err(error) => return fail(context, &[error], &sources),
    };
    let chosen = saved.as_ref().map(|saved| session::with_choices(context.globals, &args.planning, &saved.choices));
    let (globals, flags) = chosen.as_ref().map_or((context.globals, &args.planning), |(globals, flags)| (globals, flags));
    let opening =
        Opening { globals, planning: flags, env: context.env, redactor: context.redactor, key: KeyUse::Must, targets: None };
    let mut session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return fail(context, &errors, &sources),
    };
    let lines = Listener::new(context).with_sources(&sources);
    if let Err(error) = wait_for_the_dead(&mut session, out).await {
        return fail(context, &[error], &sources);
    }

    let filling = Filling::new(&gathered);
    let references = filling.references(&sources);
    let mut planned = planning::make(&gathered, &session, &references, context.redactor, &lines).await;
    found.append(&mut planned.diagnostics);
    if found.iter().any(|d| d.is_error() && !is_blocked(d)) {
        if exit::of_errors(&found) == exit::REFUSED {
            show_plan("apply", context, &planned, &found, &session, &sources);
        }
        return refuse("apply", context, &planned.plan, &found, &sources);
    }
    if let Some(saved) = &saved {
        let plan = std::mem::take(&mut planned.plan);
        match saved.narrow(plan, session.fingerprinter.key_id(), context.globals.profile.as_deref()) {
            Ok(plan) => planned.plan = plan,
            Err(errors) => return fail(context, &errors, &sources),
        }
    }
    let blocked_ones = planned.plan.changes.iter().any(|c| c.action == Action::Blocked);
    if blocked_ones && !args.skip_blocked {
        show_plan("apply", context, &planned, &found, &session, &sources);
        return refuse("apply", context, &planned.plan, &found, &sources);
    }
    // What was accepted as blocked is a remark from here on.
    found.iter_mut().filter(|d| is_blocked(d)).for_each(|d| d.severity = crate::diagnostic::Severity::Warning);
    if let Some(path) = args.plan.as_ref().filter(|_| !out.is_machine && out.quiet == 0) {
        // It was read when it was approved.
        super::plan::hold("apply", context, &planned, &found, &session, &sources);
        let count = planned.plan.changes.iter().filter(|c| c.action.is_change()).count();
        out.text(&format!("patchbay apply {}   {}\n", path.display(), view::count(count, "operation")));
    } else {
        show_plan("apply", context, &planned, &found, &session, &sources);
    }
    if !out.is_machine {
        super::plan::show_rest("apply", out, &found, &sources);
    }
    if planned.plan.is_empty() {
        if has_remains(&session, &planned.plan)
            && let Err(error) = execute(context, &gathered, &session, &references, &planned, &lines).await
        {
            return fail(context, &[error], &sources);
        }
        let outcome = Outcome { requests: 0, ..Outcome::default() };
        if out.is_machine {
            out.json(&view::json::apply_document(&outcome, &planned.plan, &found, &sources));
        }
        return exit::OK;
    }
    match approve(out, args, saved.is_some(), &planned.plan).await {
        Approval::Given if args.yes || saved.is_some() => {}
        Approval::Given => {
            // People take their time. What they approved is what runs, so it is looked at once more.
            let approved = SavedPlan::of(&planned.plan, session.fingerprinter.key_id(), None, session::choices(globals, flags));
            let fresh = planning::make(&gathered, &session, &references, context.redactor, &lines).await;
            match as_approved(&approved, fresh, &session) {
                Ok(fresh) => planned = fresh,
                Err(errors) => return fail(context, &errors, &sources),
            }
        }
        Approval::Denied => {
            out.note("Not applied. Nothing was changed.");
            return exit::OK;
        }
        Approval::Impossible(error) => {
            // A screen has shown the rest by now.
            let before = if out.is_machine { std::mem::take(&mut found) } else { Diagnostics::new() };
            let all: Diagnostics = before.into_iter().chain([error]).collect();
            return refuse("apply", context, &planned.plan, &all, &sources);
        }
    }
    match execute(context, &gathered, &session, &references, &planned, &lines).await {
        Ok(outcome) => finish("apply", context, &planned.plan, &outcome, found, &session, &sources),
        Err(error) => fail(context, &[error], &sources),
    }
}

/// A second look at what was approved a while ago: the part of it that is still as it was.
///
/// # Errors
/// What went wrong meanwhile, and changes that are not the approved ones any more.
pub fn as_approved(approved: &SavedPlan, fresh: Planned, session: &Session) -> Result<Planned, Diagnostics> {
    let mut fresh = fresh;
    let errors: Diagnostics = fresh.diagnostics.drain(..).filter(|d| d.is_error() && !is_blocked(d)).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let plan = approved.narrow(std::mem::take(&mut fresh.plan), session.fingerprinter.key_id(), None)?;
    Ok(Planned { plan, ..fresh })
}

/// Does this say that a connection is blocked? Then the others may go on.
#[must_use]
pub fn is_blocked(diagnostic: &Diagnostic) -> bool {
    [codes::UNCHANGEABLE, codes::UNDELETABLE].contains(&diagnostic.code)
}

pub(super) fn fail(context: &Context<'_>, errors: &[Diagnostic], sources: &Sources) -> u8 {
    let out = context.out;
    context.reports.hold_errors(errors, sources);
    if out.is_machine {
        out.json(&view::json::apply_document(&Outcome::default(), &Plan::default(), errors, sources));
    } else {
        out.failed(errors, sources);
    }
    exit::of_errors(errors)
}

/// Ends before the first write, with the plan in the document where there is one.
pub(super) fn refuse(command: &'static str, context: &Context<'_>, plan: &Plan, found: &[Diagnostic], sources: &Sources) -> u8 {
    let out = context.out;
    let code = exit::of_errors(found);
    context.reports.hold(|| {
        let document = view::json::apply_document(&Outcome::default(), plan, found, sources);
        Digest::of_plan(command, plan, found, sources, Frame::default(), document)
    });
    if out.is_machine {
        out.json(&view::json::apply_document(&Outcome::default(), plan, found, sources));
    } else if code == exit::REFUSED && out.quiet == 0 {
        super::plan::show_rest(command, out, found, sources);
    } else {
        out.diagnostics(found, sources);
    }
    code
}

/// Shows what is going to be done, and keeps it for the reports.
pub(super) fn show_plan(
    command: &'static str,
    context: &Context<'_>,
    planned: &Planned,
    found: &[Diagnostic],
    session: &Session,
    sources: &Sources,
) {
    let out = context.out;
    super::plan::hold(command, context, planned, found, session, sources);
    if !out.is_machine && out.quiet == 0 {
        let head = super::plan::head(command, planned, session);
        out.text(&view::plan::render(&planned.plan, sources, &head, &out.stdout));
    }
}

fn read_saved(context: &Context<'_>, path: &Path) -> Result<SavedPlan, Diagnostic> {
    let path = context.path(path);
    let bad = || {
        Diagnostic::error(codes::BAD_PLAN, format!("`{}` is not a saved plan of patchbay", path.display()))
            .help("save one with `patchbay plan --out FILE`")
    };
    let text = files::read_text(&path).map_err(|e| {
        Diagnostic::error(codes::UNREADABLE, format!("cannot read the plan {e}")).help("save one with `patchbay plan --out FILE`")
    })?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|_| bad())?;
    SavedPlan::from_json(json.get("saved").ok_or_else(bad)?)
}

/// A run that was killed a moment ago may have a request on its way. A little patience, and the list tells.
///
/// Notes the operations whose runs are over. Only these may be settled by a list that is read from now on: a run that
/// dies later may have made its object after that list.
///
/// # Errors
/// The state cannot be read.
pub(super) async fn wait_for_the_dead(session: &mut Session, out: &Out) -> Result<(), Diagnostic> {
    let now = clock::now();
    let is_over = |i: &&Intent| process::is_gone(&i.run) || i.has_expired(now.as_second());
    let mut over: Vec<&Intent> = session.state.open_intents().filter(is_over).collect();
    if over.is_empty() {
        return Ok(());
    }
    // Most runs that are gone have ended properly since the state was read.
    let (fresh, _) = session.location.read().await.map_err(|e| e.diagnostic())?;
    over.retain(|intent| fresh.open_intents().any(|open| open.op == intent.op));
    // Where the clock was set back, nobody knows how long ago that was.
    let age = |at: jiff::Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let young = |intent: &&Intent| {
        let at: jiff::Timestamp = intent.at.parse().ok()?;
        process::is_gone(&intent.run).then(|| SETTLING.saturating_sub(age(at)))
    };
    if let Some(wait) = over.iter().filter_map(young).max().filter(|w| !w.is_zero()) {
        out.note(&format!(
            "an interrupted run left an open operation; waiting {:.1}s for its request to land",
            wait.as_secs_f64()
        ));
        tokio::time::sleep(wait).await;
    }
    session.over = over.into_iter().map(|intent| intent.op.clone()).collect();
    Ok(())
}

/// Did dead runs leave something that nothing in this plan touches? It is cleared away all the same.
fn has_remains(session: &Session, plan: &Plan) -> bool {
    let has_parts = |path: &Path| store::raw_state(path, &RealFs).is_ok_and(|raw| !raw.parts.is_empty());
    !settled(session, plan).is_empty() || matches!(&session.location, Location::File(path) if has_parts(path))
}

enum Approval {
    Given,
    Denied,
    Impossible(Diagnostic),
}

async fn approve(out: &Out, args: &ApplyArgs, saved: bool, plan: &Plan) -> Approval {
    if args.yes || saved {
        return Approval::Given;
    }
    if !out.may_ask || out.is_machine {
        return Approval::Impossible(
            Diagnostic::error(codes::NOT_APPROVED, "these changes need approval, and nobody can be asked")
                .help("review the plan and pass --yes, or save it with `patchbay plan --out FILE` and apply that file"),
        );
    }
    if confirmed(out, &view::apply::question(plan), "yes").await { Approval::Given } else { Approval::Denied }
}

/// Asks at the terminal. Anything but the wanted word is no.
pub async fn confirmed(out: &Out, question: &str, wanted: &str) -> bool {
    // Heard from before the question is there to be answered.
    let interrupt = signal(SignalKind::interrupt());
    out.error_text(&format!("{question}\n> "));
    // The terminal is read on a thread of its own, so that Ctrl-C at the prompt is heard and means no.
    let (send, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        drop(send.send(read.ok().filter(|n| *n > 0).map(|_| line)));
    });
    let line: Option<String> = tokio::select! {
        line = answer => line.ok().flatten(),
        () = interrupted(interrupt) => None,
    };
    if line.is_none() {
        out.error_text("\n");
    }
    let is_wanted = line.as_ref().is_some_and(|line| line.split_whitespace().eq(wanted.split_whitespace()));
    if !is_wanted && line.is_some_and(|line| !line.trim().is_empty()) {
        out.note(&format!("Only `{wanted}` goes on."));
    }
    is_wanted
}

async fn interrupted(interrupt: std::io::Result<Signal>) {
    match interrupt {
        Ok(mut interrupt) => drop(interrupt.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Runs a plan that was approved.
///
/// # Errors
/// What forbids to begin: the state cannot be written, or another run was there meanwhile.
pub async fn execute(
    context: &Context<'_>,
    gathered: &Gathered,
    session: &Session,
    references: &crate::config::desired::References<'_>,
    planned: &Planned,
    lines: &Listener<'_>,
) -> Result<Outcome, Diagnostic> {
    let run = process::this_run();
    let opened = session.location.open(session.lineage.clone(), run.clone()).await.map_err(|e| e.diagnostic())?;
    let Opened { journal, state: now, .. } = opened;
    session::writable(&now)?;
    let (journal, lineage) = store::begin(journal).await.map_err(|e| e.diagnostic())?;
    if lineage != session.lineage {
        return Err(Diagnostic::error(codes::STATE_CONFLICT, "another run has just made the state")
            .help("nothing was changed; run apply again"));
    }
    for change in planned.plan.changes.iter().filter(|c| c.action.is_change()) {
        if now.rev(&change.address) != session.state.rev(&change.address) {
            return Err(Diagnostic::error(
                codes::STALE,
                format!("`{}` was changed by another run since the plan", change.address),
            )
            .help("nothing was changed; run apply again"));
        }
    }
    let committer = Committer::start(journal).map_err(|e| e.diagnostic())?;
    let world = planning::world(gathered, session, &planned.observed, references);
    let settled: Vec<Entry> = settled(session, &planned.plan);
    if !settled.is_empty() {
        committer.commit(settled).await.map_err(|e| e.diagnostic())?;
    }
    let shared = Shared::default();
    let outcome = {
        let engine = Run {
            world,
            lanes: &session.lanes,
            committer: &committer,
            redactor: context.redactor,
            report: lines,
            run: &run,
            shared: &shared,
        };
        let (send, stop) = watch::channel(Stop::No);
        // From here on a signal is a wish and no death, whatever the engine does first.
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        lines.begin(&planned.plan);
        tokio::select! {
            outcome = apply(&engine, &planned.plan, stop) => outcome,
            () = listen(send, signals) => Outcome::default(),
            () = lines.tick() => Outcome::default(),
        }
    };
    lines.end();
    let mut outcome = outcome;
    match committer.finish().await {
        Ok(finished) => outcome.diagnostics.extend(finished.warnings.iter().map(crate::state::StateWarning::diagnostic)),
        Err(error) => outcome.diagnostics.push(error.diagnostic()),
    }
    Ok(outcome)
}

/// Turns signals into requests to stop; never ends by itself.
pub(super) async fn listen(send: watch::Sender<Stop>, signals: (std::io::Result<Signal>, std::io::Result<Signal>)) {
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    loop {
        let number = tokio::select! {
            _ = interrupt.recv() => 2,
            _ = terminate.recv() => 15,
        };
        let next = if *send.borrow() == Stop::No { Stop::Gently(number) } else { Stop::Now(number) };
        // Fails only if the apply has ended meanwhile.
        let _ = send.send(next);
    }
}

/// Open intents of earlier runs that this plan settles: their object is known by now, or their run was over before the
/// list was read, and it shows that nothing came of them. Intents of runs that may live stay open, and claim their
/// address.
fn settled(session: &Session, plan: &Plan) -> Vec<Entry> {
    session
        .state
        .open_intents()
        .filter(|intent| {
            // A create that is found again is closed together with its record.
            let adopts = plan.change(&intent.address).is_some_and(|c| c.adopts && intent.verb == "create");
            // What is neither declared nor recorded is in no plan. Unless it was to be made, nothing is left to look for.
            let is_planned = plan.change(&intent.address).is_some();
            let has_ended = intent.verb != "create" && session.state.record(&intent.address).is_none();
            session.over.contains(&intent.op) && !adopts && (is_planned || has_ended)
        })
        .map(|intent| Entry::Void {
            op: intent.op.clone(),
            why: "settled: its run is over, and the live state was read after it".to_owned(),
        })
        .collect()
}

pub(super) fn finish(
    command: &'static str,
    context: &Context<'_>,
    plan: &Plan,
    outcome: &Outcome,
    mut found: Diagnostics,
    session: &Session,
    sources: &Sources,
) -> u8 {
    let out = context.out;
    let code = exit::of_outcome(outcome);
    // The screen says it in its summary; programs look for a code.
    if let Some(signal) = outcome.signal {
        let name = if signal == 2 { "SIGINT" } else { "SIGTERM" };
        let done = outcome.endings.iter().filter(|(_, _, ending)| ending.is_done()).count();
        let summary = format!("interrupted by {name} after {done} of {} operations", outcome.endings.len());
        let again = format!("run `patchbay {command}` again: it does only what is left");
        found.push(Diagnostic::error(codes::INTERRUPTED, summary).help(again));
    }
    context.reports.hold(|| {
        let frame = Frame { requests: outcome.requests, elapsed: outcome.elapsed, ..session.frame() };
        let document = view::json::apply_document(outcome, plan, &found, sources);
        Digest::of_outcome(command, outcome, plan, &found, sources, frame, document)
    });
    let state = session.location.name();
    if out.is_machine {
        found.extend(outcome.diagnostics.iter().cloned());
        out.json(&view::json::apply_document(outcome, plan, &found, sources));
        return code;
    }
    let mut shown: Diagnostics = Vec::new();
    for (_, _, ending) in &outcome.endings {
        match ending {
            crate::engine::event::Ending::Done { warnings, .. } => shown.extend(warnings.iter().cloned()),
            crate::engine::event::Ending::Failed(d) | crate::engine::event::Ending::Unknown(d) => shown.push(d.clone()),
            crate::engine::event::Ending::Skipped(_) => {}
        }
    }
    shown.extend(outcome.diagnostics.iter().cloned());
    out.diagnostics(&shown, sources);
    out.text(&view::apply::summary(command, outcome, plan, &state, &out.stdout));
    code
}
