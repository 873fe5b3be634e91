//! `patchbay destroy`: deletes everything that is recorded for a target. What is declared and was never applied, and
//! what others made, is not touched.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use super::apply::{as_approved, confirmed, execute, fail, finish, is_blocked, refuse, show_plan, wait_for_the_dead};
use super::args::{Planning, RefreshArg};
use super::events::Listener;
use super::gather::{Gathered, gather};
use super::planning::{self, Filling};
use super::session::{self, KeyUse, Opening, Session};
use super::{Context, exit};
use crate::address::Address;
use crate::config::desired::{Connection, Desired};
use crate::config::project::FILE_NAME;
use crate::diagnostic::{Diagnostic, Severity, codes, has_errors};
use crate::engine::event::Outcome;
use crate::plan::model::{Action, Plan};
use crate::plan::saved::SavedPlan;
use crate::plan::select::Selector;
use crate::source::{Sources, Span};
use crate::state::{Intent, State};
use crate::{suggest, view};

/// At most so many connections are named that stay.
const NAMED: usize = 10;

/// `destroy`
#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// The targets to empty; the project's only one otherwise
    #[arg(value_name = "TARGET", add = super::complete::targets())]
    pub targets: Vec<String>,
    /// Do not ask: yes, this target
    #[arg(long, value_name = "TARGET", add = super::complete::targets())]
    pub confirm: Vec<String>,
    /// Do not ask
    #[arg(short, long, alias = "auto-approve")]
    pub yes: bool,
    /// Delete the rest if something cannot be deleted
    #[arg(long)]
    pub skip_blocked: bool,
    /// Delete although connections that stay refer to what goes
    #[arg(long)]
    pub leave_dependents: bool,
    /// Accept that a target's address differs from the one in the state
    #[arg(long)]
    pub accept_target_change: bool,
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &DestroyArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    // What connections are made of is not needed to delete them; what targets are, is.
    found.retain(|d| !is_missing_variable(d) || d.labels.iter().any(|l| is_project_file(&sources, l.span)));
    let Some(mut gathered) = gathered.filter(|_| !has_errors(&found)) else { return fail(context, &found, &sources) };
    let targets = match chosen(context, args, &gathered).await {
        Ok(targets) => targets,
        Err(error) if error.code == codes::USAGE => {
            fail(context, &[error], &sources);
            return exit::USAGE;
        }
        Err(error) => return fail(context, &[error], &sources),
    };
    // Nothing is wanted any more of what is to go.
    let declared = std::mem::take(&mut gathered.desired);
    let globals = context.globals;
    let flags = Planning { accept_target_change: args.accept_target_change, ..Planning::reading(RefreshArg::Auto) };
    let opening = Opening {
        globals,
        planning: &flags,
        env: context.env,
        redactor: context.redactor,
        key: KeyUse::Must,
        targets: Some(&targets),
    };
    let mut session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return fail(context, &errors, &sources),
    };
    session.options.destroy = true;
    session.options.leave_dependents = args.leave_dependents;
    if globals.only.is_empty() {
        let whole: Vec<String> = targets.iter().map(|target| globset::escape(target)).collect();
        match Selector::new(&whole, &globals.exclude) {
            Ok(selector) => session.options.selector = selector,
            Err(why) => return fail(context, &[Diagnostic::error(codes::USAGE, why)], &sources),
        }
    }
    let lines = Listener::new(context).with_sources(&sources);
    if let Err(error) = wait_for_the_dead(&mut session, out).await {
        return fail(context, &[error], &sources);
    }

    let filling = Filling::new(&gathered);
    let references = filling.references(&sources);
    let mut planned = planning::make(&gathered, &session, &references, context.redactor, &lines).await;
    planned.plan.changes.retain(|change| targets.contains(change.address.target()));
    // A whole target is no part of anything here.
    planned.plan.partial = !globals.only.is_empty() || !globals.exclude.is_empty();
    found.append(&mut planned.diagnostics);
    found.extend(protected(&planned.plan, &declared));
    found.extend(interrupted(&session, &targets));
    if !args.leave_dependents {
        found.extend(left_alone(&planned.plan, &session.state, &declared));
    }
    show_plan("destroy", context, &planned, &found, &session, &sources);
    let blocked = planned.plan.changes.iter().any(|c| c.action == Action::Blocked);
    if found.iter().any(|d| d.is_error() && !is_blocked(d)) || (blocked && !args.skip_blocked) {
        return refuse("destroy", context, &planned.plan, &found, &sources);
    }
    found.iter_mut().filter(|d| is_blocked(d)).for_each(|d| d.severity = Severity::Warning);
    if !out.is_machine {
        super::plan::show_rest("destroy", out, &found, &sources);
    }
    if planned.plan.is_empty() {
        if out.is_machine {
            out.json(&view::json::apply_document(&Outcome::default(), &planned.plan, &found, &sources));
        }
        return exit::OK;
    }
    let named = |names: &[String]| targets.iter().all(|target| names.contains(target));
    let is_approved = named(&args.confirm) || (args.yes && (named(&args.targets) || !globals.only.is_empty()));
    if !is_approved {
        let names: Vec<&str> = targets.iter().map(String::as_str).collect();
        if !out.may_ask || out.is_machine {
            let error = Diagnostic::error(codes::NOT_APPROVED, "deleting everything needs approval by name")
                .help(format!("if that is meant: --confirm {}", names.join(" --confirm ")));
            return refuse("destroy", context, &planned.plan, &[error], &sources);
        }
        if !confirmed(out, &view::apply::destroy_question(&planned.plan, &names), &names.join(" ")).await {
            out.note("Nothing was deleted.");
            return exit::OK;
        }
        // People take their time. What they approved is what runs, so it is looked at once more.
        let approved = SavedPlan::of(&planned.plan, session.fingerprinter.key_id(), None, session::choices(globals, &flags));
        let fresh = planning::make(&gathered, &session, &references, context.redactor, &lines).await;
        match as_approved(&approved, fresh, &session) {
            Ok(fresh) => planned = fresh,
            Err(errors) => return fail(context, &errors, &sources),
        }
    }
    match execute(context, &gathered, &session, &references, &planned, &lines).await {
        Ok(outcome) => finish("destroy", context, &planned.plan, &outcome, found, &session, &sources),
        Err(error) => fail(context, &[error], &sources),
    }
}

/// The targets that were named, or the only one that there is.
async fn chosen(context: &Context<'_>, args: &DestroyArgs, gathered: &Gathered) -> Result<BTreeSet<String>, Diagnostic> {
    let known: Vec<&str> = gathered.project.targets.keys().map(String::as_str).collect();
    let named: BTreeSet<String> = if args.targets.is_empty() { &args.confirm } else { &args.targets }.iter().cloned().collect();
    if let Some(unknown) = named.iter().chain(&args.confirm).find(|name| !known.contains(&name.as_str())) {
        return Err(Diagnostic::error(codes::UNKNOWN_TARGET, format!("there is no target `{unknown}`"))
            .help_opt(suggest::help(unknown, &known)));
    }
    if let Some(other) = args.confirm.iter().find(|name| !named.contains(*name)) {
        return Err(Diagnostic::error(
            codes::NOT_APPROVED,
            format!("`--confirm {other}` confirms another target than the one named"),
        ));
    }
    if !named.is_empty() {
        return Ok(named);
    }
    let globals = context.globals;
    if !globals.only.is_empty() {
        let selector = Selector::new(&globals.only, &[]).map_err(|why| Diagnostic::error(codes::USAGE, why))?;
        let (state, _) = session::location(globals, gathered)?.read().await.map_err(|e| e.diagnostic())?;
        return Ok(state.records().filter(|r| selector.matches(&r.address)).map(|r| r.address.target().to_owned()).collect());
    }
    match known.as_slice() {
        [only] => Ok(BTreeSet::from([(*only).to_owned()])),
        _ => Err(Diagnostic::error(codes::USAGE, "which target is to be emptied?")
            .help(format!("patchbay destroy TARGET, with one of: {}", known.join(", ")))),
    }
}

fn is_missing_variable(diagnostic: &Diagnostic) -> bool {
    [codes::VARIABLE_UNSET, codes::VARIABLE_EMPTY].contains(&diagnostic.code)
}

fn is_project_file(sources: &Sources, span: Span) -> bool {
    sources.file(span.file).is_some_and(|file| file.name == FILE_NAME)
}

/// What the files protect is protected, whether an apply has recorded that or not.
fn protected(plan: &Plan, declared: &Desired) -> Vec<Diagnostic> {
    let planned = plan.by_address();
    let is_protected = |c: &&Connection| {
        c.lifecycle.prevent_destroy && planned.get(&c.address).is_some_and(|change| change.action == Action::Delete)
    };
    let error = |c: &Connection| {
        Diagnostic::error(codes::PREVENT_DESTROY, format!("`{}` is protected by `prevent_destroy`", c.address))
            .label(c.source, "declared here")
            .help("to let it go, declare it without prevent_destroy and apply; or leave it out: --exclude")
            .about(&c.address)
    };
    declared.connections.iter().filter(is_protected).map(error).collect()
}

/// Creates that were interrupted: their objects may be there, and no record speaks of them.
fn interrupted(session: &Session, targets: &BTreeSet<String>) -> Vec<Diagnostic> {
    let is_open = |i: &&Intent| {
        i.verb == "create"
            && targets.contains(i.address.target())
            && session.options.selector.matches(&i.address)
            && session.state.record(&i.address).is_none()
    };
    let error = |i: &Intent| {
        Diagnostic::error(codes::OUTCOME_UNKNOWN, format!("a create of `{}` was interrupted; its object may be there", i.address))
            .note(format!("announced at {} by the run {}", i.at, i.run))
            .help("`patchbay apply` looks for it by its name and records it, while it is declared; then destroy")
            .about(&i.address)
    };
    session.state.open_intents().filter(is_open).map(error).collect()
}

/// Records that stay and refer to something that goes.
fn left_alone(plan: &Plan, state: &State, declared: &Desired) -> Option<Diagnostic> {
    let planned = plan.by_address();
    let action = |address: &Address| planned.get(address).map(|change| change.action);
    let goes = |address: &Address| action(address) == Some(Action::Delete);
    let said: BTreeMap<&Address, &[Address]> =
        declared.connections.iter().map(|c| (&c.address, c.depends_on.as_slice())).collect();
    let mut notes = Vec::new();
    // What is gone already and only forgotten needs nothing any more.
    for record in state.records().filter(|r| !matches!(action(&r.address), Some(Action::Delete | Action::Forget))) {
        // The files may say more than what was recorded.
        let said = said.get(&record.address).copied().unwrap_or_default();
        let needs: BTreeSet<&Address> = record.depends_on.iter().chain(said).collect();
        let missing: Vec<String> = needs.into_iter().filter(|d| goes(d)).map(|d| format!("`{d}`")).collect();
        if !missing.is_empty() {
            notes.push(format!("`{}` needs {}", record.address, missing.join(", ")));
        }
    }
    let count = notes.len();
    let more = count.saturating_sub(NAMED);
    notes.truncate(NAMED);
    if more > 0 {
        notes.push(format!("and {more} more"));
    }
    let (connections, need) = if count == 1 { ("connection stays", "refers") } else { ("connections stay", "refer") };
    let error = Diagnostic::error(codes::STILL_NEEDED, format!("{count} {connections} and {need} to what would be deleted"));
    let error = notes.into_iter().fold(error, Diagnostic::note);
    (count > 0).then(|| error.help("name their targets, too; or leave them as they are: --leave-dependents"))
}
