//! `patchbay plan`

use super::args::PlanArgs;
use super::events::Listener;
use super::gather::gather;
use super::out::Out;
use super::planning::{self, Filling, Planned};
use super::session::{self, KeyUse, Opening, Session};
use super::{Context, exit};
use crate::diagnostic::{Diagnostic, codes, has_errors};
use crate::io::{clock, files};
use crate::plan::model::Refresh;
use crate::plan::saved::SavedPlan;
use crate::source::Sources;
use crate::view;
use crate::view::digest::{Digest, Frame};
use crate::view::report::html;
use crate::view::style::{Style, ink};

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &PlanArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else {
        return context.fail(&found, &sources);
    };
    let opening = Opening {
        globals: context.globals,
        planning: &args.planning,
        env: context.env,
        redactor: context.redactor,
        key: if args.out.is_some() { KeyUse::Must } else { KeyUse::May },
        targets: None,
    };
    let session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return context.fail(&errors, &sources),
    };
    let filling = Filling::new(&gathered);
    let references = filling.references(&sources);
    let mut planned = planning::make(&gathered, &session, &references, context.redactor, &Listener::new(context)).await;
    found.append(&mut planned.diagnostics);

    let mut unsaved = None;
    if let Some(path) = &args.out
        && !found.iter().any(|d| d.is_error() && d.code != codes::UNCHANGEABLE)
    {
        let choices = super::session::choices(context.globals, &args.planning);
        let saved = SavedPlan::of(&planned.plan, session.fingerprinter.key_id(), context.globals.profile.as_deref(), choices);
        let mut document = view::json::plan_document(&planned.plan, &found, &sources, &clock::now_text());
        document["saved"] = serde_json::to_value(saved).unwrap_or_default();
        let plain = Style::plain(100);
        document["screen"] = view::plan::render(&planned.plan, &sources, &head("plan", &planned, &session), &plain).into();
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        if let Err(error) = files::write_private(&context.path(path), &text) {
            unsaved = Some(Diagnostic::error(codes::UNREADABLE, format!("cannot save the plan in {error}")));
        }
    }
    if let Some(error) = unsaved.clone() {
        found.push(error);
    } else if let Some(path) = &args.out {
        context.reports.saved(path);
    }
    hold("plan", context, &planned, &found, &session, &sources);
    let code = exit::of_errors(&found);
    let changes = !planned.plan.is_empty();
    if out.is_machine {
        out.json(&view::json::plan_document(&planned.plan, &found, &sources, &clock::now_text()));
    } else {
        // A plan that could not be made whole is not shown as if it were one.
        if code != exit::ERROR && out.quiet < 2 {
            let text = view::plan::render(&planned.plan, &sources, &head("plan", &planned, &session), &out.stdout);
            // Quiet: the verdict, which is the last paragraph.
            let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
            let verdict = last.split_once("\nNo changes").map_or(last.to_owned(), |(_, rest)| format!("No changes{rest}"));
            out.text(&if out.quiet == 0 { text } else { format!("{verdict}\n") });
            show_rest("plan", out, &found, &sources);
        } else {
            out.diagnostics(&found, &sources);
        }
        if let Some(path) = args.out.as_ref().filter(|_| unsaved.is_none() && code != exit::ERROR) {
            out.note(&format!("Saved to {0} (no secrets in it). Apply exactly this: patchbay apply {0}", path.display()));
        }
    }
    match code {
        exit::OK if args.detailed_exitcode && changes => exit::CHANGES,
        code => code,
    }
}

/// Keeps a plan for the reports.
pub(super) fn hold(
    command: &'static str,
    context: &Context<'_>,
    planned: &Planned,
    found: &[Diagnostic],
    session: &Session,
    sources: &Sources,
) {
    context.reports.hold(|| {
        let at = clock::now_text();
        let document = view::json::plan_document(&planned.plan, found, sources, &at);
        let frame = Frame { elapsed: planned.elapsed, requests: planned.requests, ..session.frame() };
        let mut digest = Digest::of_plan(command, &planned.plan, found, sources, frame, document);
        if context.reports.wants_page() {
            let head = head(command, planned, session);
            digest.page = Some(html::data(&planned.plan, found, sources, &head, &session.project, &at, &digest));
        }
        digest
    });
}

/// What the plan on the screen has not said yet: everything but the blocked connections, which are counted.
pub fn show_rest(command: &str, out: &Out, found: &[Diagnostic], sources: &Sources) {
    let (blocked, rest): (Vec<Diagnostic>, Vec<Diagnostic>) = found.iter().cloned().partition(super::apply::is_blocked);
    out.diagnostics(&rest, sources);
    if blocked.iter().any(Diagnostic::is_error) {
        let count = if blocked.len() == 1 { "1 connection is".to_owned() } else { format!("{} connections are", blocked.len()) };
        out.error_text(&format!(
            "{} {count} blocked; {}\n",
            out.stderr.paint(ink::REMOVE, "error:"),
            if command == "destroy" {
                "--skip-blocked deletes the rest"
            } else {
                "apply will refuse (--skip-blocked applies the rest)"
            }
        ));
    }
}

/// The heading of a plan.
#[must_use]
pub fn head(command: &str, planned: &Planned, session: &Session) -> view::plan::Head {
    let mut notes = Vec::new();
    if planned.plan.refresh == Refresh::None {
        notes.push("live objects were not read (--refresh none): the state is trusted".to_owned());
    }
    if planned.plan.partial {
        notes.push("partial plan (--only / --exclude)".to_owned());
    }
    view::plan::Head {
        command: format!("patchbay {command}"),
        state: session.location.name(),
        requests: planned.requests,
        elapsed: planned.elapsed,
        notes,
    }
}
