//! An apply for people and logs: the question before it, one line for each event, and how it ended.

use std::collections::BTreeSet;
use std::time::Duration;

use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, cost, count, counts, duration, width, wrap};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::engine::event::{Ending, Event, Outcome};
use crate::plan::model::{Action, Plan};

/// At most so many connections of one ending are named.
const NAMED: usize = 20;

/// What is asked before an apply. It names counts and targets, so that an answer from habit is at least an informed one.
#[must_use]
pub fn question(plan: &Plan) -> String {
    let changes: Vec<&Address> = plan.changes.iter().filter(|c| c.action.is_change()).map(|c| &c.address).collect();
    let mut left: BTreeSet<&str> = changes.iter().map(|address| address.target()).collect();
    let mut targets: Vec<&str> = plan.targets.iter().map(|t| t.name.as_str()).filter(|name| left.remove(name)).collect();
    targets.extend(left);
    let apply = format!("Apply {} to {}?", count(changes.len(), "change"), targets.join(", "));
    let gone = |action: &Action| matches!(action, Action::Delete | Action::Replace);
    let deleted: Vec<String> = plan.changes.iter().filter(|c| gone(&c.action)).map(|c| c.address.to_string()).collect();
    if deleted.is_empty() {
        return format!("{apply} Type yes:");
    }
    // What cannot be undone is said once more, by name.
    format!("{apply}\nThis deletes {}. There is no undo. Type yes:", deleted.join(", "))
}

/// What is asked before a destroy: the name is the answer, because nobody types it from habit.
#[must_use]
pub fn destroy_question(plan: &Plan, targets: &[&str]) -> String {
    let deleted: Vec<String> =
        plan.changes.iter().filter(|c| c.action == Action::Delete).map(|c| c.address.to_string()).collect();
    let name = if targets.len() == 1 { "name of the target" } else { "names of the targets" };
    format!("This deletes {}. There is no undo. Type the {name}, {}:", deleted.join(", "), targets.join(" "))
}

/// The line of an event, without colour codes the same on a terminal and in a log. A change that the API made something
/// else of has a line more for each such field.
#[must_use]
pub fn line(event: &Event, style: &Style) -> Option<String> {
    Some(match event {
        Event::Listing { target } => format!("{}: reading the list", clean(target)),
        Event::Reading { target, count: n } => format!("{}: reading {}", clean(target), count(*n, "connection")),
        // What follows says enough.
        Event::Refreshed => return None,
        Event::EnvFile { file, variables } => format!("read {} from {}", count(*variables, "variable"), clean(file)),
        Event::Sent { target, request, status, elapsed, id } => {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let id = id.as_deref().map(|id| format!(" (request {})", clean(id))).unwrap_or_default();
            let ms = elapsed.as_millis();
            style.paint(ink::DIM, &format!("{}: {} {status} in {ms}ms{id}", clean(target), clean(request)))
        }
        Event::Retry { target, request, why, wait, asked, attempt, of } => {
            let asked = if *asked { " (Retry-After)" } else { "" };
            let (why, request, wait) = (clean(why), clean(request), pause(*wait));
            let text = format!("{why} from {request}; waiting {wait}{asked}, attempt {attempt} of {of}");
            format!("{}: {}", clean(target), style.paint(ink::UPDATE, &text))
        }
        Event::Started { address, action, fields } => {
            let (doing, _) = verbs(*action)?;
            let mut text = format!("{address}: {doing}");
            if !fields.is_empty() {
                text.push(' ');
                text.push_str(&clean(&fields.join(", ")));
            }
            text
        }
        Event::Still { address, action, elapsed } => {
            let (doing, _) = verbs(*action)?;
            format!("{address}: still {doing}, {}", duration(*elapsed))
        }
        Event::Ended { address, action, ending, elapsed } => {
            let (_, done) = verbs(*action)?;
            ended(address, *action, done, ending, &duration(*elapsed), style)
        }
        Event::Stopping { in_flight: 0 } => style.paint(ink::UPDATE, "stopping: no new operations"),
        Event::Stopping { in_flight } => {
            let text = format!("stopping: no new operations; waiting for {in_flight} in flight (Ctrl-C again to abandon them)");
            let room = if style.tty { style.prose() } else { usize::MAX };
            wrap(&text, room).iter().map(|line| style.paint(ink::UPDATE, line)).collect::<Vec<_>>().join("\n")
        }
    })
}

fn ended(address: &Address, action: Action, done: &str, ending: &Ending, elapsed: &str, style: &Style) -> String {
    match ending {
        Ending::Done { id, warnings } => {
            let id = match id {
                Some(id) if matches!(action, Action::Create | Action::Adopt) => format!(" (id {})", clean(id)),
                _ => String::new(),
            };
            let mut text = format!("{address}: {} in {elapsed}{id}", style.paint(ink::CREATE, done));
            for warning in warnings {
                let more = format!("\n{address}: {} {}", style.paint(ink::UPDATE, "warning:"), brief(warning));
                text.push_str(&more);
            }
            text
        }
        Ending::Failed(why) => format!("{address}: {} after {elapsed}: {}", style.paint(ink::REMOVE, "failed"), brief(why)),
        Ending::Unknown(why) => {
            format!("{address}: {} after {elapsed}: {}", style.paint(ink::UPDATE, "outcome unknown"), brief(why))
        }
        Ending::Skipped(why) => format!("{address}: skipped: {}", clean(why)),
    }
}

/// `1s` where people or APIs chose the pause, `0.4s` where chance did.
fn pause(wait: Duration) -> String {
    if wait.subsec_millis() == 0 && wait.as_secs() < 60 { format!("{}s", wait.as_secs()) } else { duration(wait) }
}

/// What is being done, and what was done; `None` if there is nothing to do.
fn verbs(action: Action) -> Option<(&'static str, &'static str)> {
    match action {
        Action::Create => Some(("creating", "created")),
        Action::Update => Some(("updating", "updated")),
        Action::Rotate => Some(("rotating", "rotated")),
        Action::Replace => Some(("replacing", "replaced")),
        Action::Delete => Some(("deleting", "deleted")),
        Action::Adopt => Some(("adopting", "adopted")),
        Action::Move => Some(("moving", "moved")),
        Action::Forget => Some(("forgetting", "forgotten")),
        Action::Blocked | Action::Orphan | Action::Unchanged => None,
    }
}

/// `creating`, `rotating`; empty if there is nothing to do.
pub(super) fn doing_word(action: Action) -> &'static str {
    verbs(action).map_or("", |(doing, _)| doing)
}

/// `created`, `rotated`; empty if there was nothing to do.
pub(super) fn done_word(action: Action) -> &'static str {
    verbs(action).map_or("", |(_, done)| done)
}

/// `PB0605 kore-prod refused …`
pub(super) fn brief(diagnostic: &Diagnostic) -> String {
    format!("{} {}", diagnostic.code.id(), clean(&diagnostic.summary))
}

/// How an apply or a destroy ended; `command` says which. `state` is what the state is called; diagnostics are rendered apart, here they have one line each.
#[must_use]
pub fn summary(command: &str, outcome: &Outcome, plan: &Plan, state: &str, style: &Style) -> String {
    let total = plan.changes.iter().filter(|c| c.action.is_change()).count().max(outcome.endings.len());
    let done = outcome.endings.iter().filter(|(_, _, ending)| ending.is_done()).count();
    let is_saved = !has_errors(&outcome.diagnostics);
    let state = clean(state);
    let cost = cost(outcome.requests, outcome.elapsed);
    let mut lines = Vec::new();
    if done == total && outcome.signal.is_none() {
        let verdict = if total == 0 { "Nothing to apply.".to_owned() } else { format!("Applied: {}.", achieved(outcome)) };
        lines.push(Line::new(style, 0).put(ink::STRONG, &verdict).also(ink::DIM, &cost).end());
        lines.extend(warnings(outcome, style));
        if total > 0 && is_saved {
            lines.push(format!("State saved: {state}"));
        }
    } else {
        let verdict = match outcome.signal {
            Some(_) => format!("Interrupted. {done} of {} done.", count(total, "operation")),
            None => format!("Apply is incomplete: {done} of {} done.", count(total, "operation")),
        };
        lines.push(Line::new(style, 0).put(ink::STRONG, &verdict).also(ink::DIM, &cost).end());
        lines.extend(endings(outcome, style));
        lines.extend(warnings(outcome, style));
        if is_saved {
            let next = if outcome.signal.is_some() { "Run" } else { "Remove the cause and run" };
            let text =
                format!("What was done is in the state ({state}). {next} `patchbay {command}` again: it does only what is left.");
            lines.extend(wrap(&text, style.prose()));
        }
    }
    let summary = plan.summary();
    let left = counts(&[(summary.blocked, "blocked"), (summary.orphan, if summary.orphan == 1 { "orphan" } else { "orphans" })]);
    if !left.is_empty() {
        lines.push(format!("Left alone: {left}."));
    }
    format!("{}\n", lines.join("\n"))
}

/// `1 created, 2 updated`
fn achieved(outcome: &Outcome) -> String {
    let of = |wanted: Action| outcome.endings.iter().filter(|(_, action, ending)| *action == wanted && ending.is_done()).count();
    let all = [
        Action::Create,
        Action::Update,
        Action::Rotate,
        Action::Replace,
        Action::Adopt,
        Action::Move,
        Action::Forget,
        Action::Delete,
    ];
    let parts: Vec<(usize, &str)> = all.into_iter().filter_map(|action| Some((of(action), verbs(action)?.1))).collect();
    counts(&parts)
}

fn warnings(outcome: &Outcome, style: &Style) -> Vec<String> {
    let mut rows = Vec::new();
    for (address, _, ending) in &outcome.endings {
        if let Ending::Done { warnings, .. } = ending {
            rows.extend(warnings.iter().map(|warning| (address, brief(warning), Vec::new())));
        }
    }
    table(Glyph::Warning, "warning", ink::UPDATE, &rows, style)
}

/// What was done, what failed, what nobody knows and what was not begun.
fn endings(outcome: &Outcome, style: &Style) -> Vec<String> {
    let (mut done, mut failed, mut unknown, mut skipped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (address, _, ending) in &outcome.endings {
        match ending {
            Ending::Done { .. } => done.push(address.to_string()),
            Ending::Failed(why) => failed.push((address, brief(why), Vec::new())),
            Ending::Unknown(why) => unknown.push((address, brief(why), details(why, style))),
            Ending::Skipped(why) => skipped.push((address, clean(why), Vec::new())),
        }
    }
    let mut lines = Vec::new();
    if !done.is_empty() {
        let more = done.len().saturating_sub(NAMED);
        done.truncate(NAMED);
        if more > 0 {
            done.push(format!("and {more} more"));
        }
        let room = if style.tty { style.prose().saturating_sub(14) } else { usize::MAX };
        let mut named = wrap(&done.join(", "), room).into_iter();
        lines.push(lead(Glyph::Done, "done", ink::CREATE, style).put(ink::PLAIN, &named.next().unwrap_or_default()).end());
        lines.extend(named.map(|line| Line::new(style, 14).put(ink::PLAIN, &line).end()));
    }
    lines.extend(table(Glyph::Blocked, "failed", ink::REMOVE, &failed, style));
    lines.extend(table(Glyph::Unknown, "unknown", ink::UPDATE, &unknown, style));
    lines.extend(table(Glyph::Dot, "skipped", ink::DIM, &skipped, style));
    lines
}

/// The facts and the help of an unknown outcome: here, people need them at once.
fn details(diagnostic: &Diagnostic, style: &Style) -> Vec<String> {
    let room = style.prose().saturating_sub(20);
    let facts = diagnostic.notes.iter().flat_map(|note| wrap(note, room));
    let help = diagnostic.help.iter().flat_map(|help| wrap(help, room)).enumerate();
    facts.chain(help.map(|(n, line)| if n == 0 { format!("help: {line}") } else { format!("      {line}") })).collect()
}

fn lead<'s>(glyph: Glyph, word: &str, ink: anstyle::Style, style: &'s Style) -> Line<'s> {
    Line::new(style, 2).put(ink, &format!("{} {word}", style.glyph(glyph))).until(14)
}

/// A line for each connection: the ending, the address, one text, and more lines below where there are any.
fn table(glyph: Glyph, word: &str, ink: anstyle::Style, rows: &[(&Address, String, Vec<String>)], style: &Style) -> Vec<String> {
    let shown = &rows[..rows.len().min(NAMED)];
    let column = 14 + shown.iter().map(|(address, ..)| width(&address.to_string())).max().unwrap_or(0) + 3;
    let mut lines = Vec::new();
    for (address, text, below) in shown {
        let line = lead(glyph, word, ink, style).put(ink::PLAIN, &address.to_string());
        lines.push(line.until(column.saturating_sub(3)).also_below(ink::PLAIN, text, 14).end());
        lines.extend(below.iter().map(|line| Line::new(style, 14).put(ink::DIM, line).end()));
    }
    if rows.len() > shown.len() {
        lines.push(lead(glyph, word, ink, style).put(ink::PLAIN, &format!("and {} more", rows.len() - shown.len())).end());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;
    use crate::plan::model::Change;
    use crate::view::samples::{self, address, change, everything};

    fn plain() -> Style {
        Style::plain(100)
    }

    fn done(id: Option<&str>) -> Ending {
        Ending::Done { id: id.map(ToOwned::to_owned), warnings: Vec::new() }
    }

    fn outcome(endings: Vec<(&str, Action, Ending)>) -> Outcome {
        Outcome {
            endings: endings.into_iter().map(|(at, action, ending)| (address(at), action, ending)).collect(),
            requests: 9,
            elapsed: Duration::from_millis(3400),
            ..Outcome::default()
        }
    }

    fn planned(outcome: &Outcome) -> Plan {
        samples::plan(outcome.endings.iter().map(|(at, action, _)| change(&at.to_string(), *action)).collect::<Vec<Change>>())
    }

    #[test]
    fn the_question_names_counts_and_targets() {
        assert_eq!(question(&everything().0), "Apply 5 changes to kore-prod, gateway? Type yes:");
        let one = samples::plan(vec![change("gateway/a", Action::Forget), change("kore-prod/a", Action::Unchanged)]);
        assert_eq!(question(&one), "Apply 1 change to gateway? Type yes:");
    }

    #[test]
    fn every_event_is_a_line() {
        let at = || address("kore-prod/a");
        let ended =
            |action: Action, ending: Ending| Event::Ended { address: at(), action, ending, elapsed: Duration::from_millis(400) };
        let retry = |asked: bool| Event::Retry {
            target: "kore-prod".into(),
            request: "PATCH /connections/cn-77".into(),
            why: "429".into(),
            wait: Duration::from_secs(1),
            asked,
            attempt: 2,
            of: 4,
        };
        let started = |action: Action, fields: &[&str]| Event::Started {
            address: at(),
            action,
            fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        };
        let rows = [
            (Event::Listing { target: "kore-prod".into() }, "kore-prod: reading the list"),
            (Event::Reading { target: "kore-prod".into(), count: 12 }, "kore-prod: reading 12 connections"),
            (Event::EnvFile { file: ".env".into(), variables: 3 }, "read 3 variables from .env"),
            (retry(true), "kore-prod: 429 from PATCH /connections/cn-77; waiting 1s (Retry-After), attempt 2 of 4"),
            (retry(false), "kore-prod: 429 from PATCH /connections/cn-77; waiting 1s, attempt 2 of 4"),
            (
                Event::Sent {
                    target: "kore".into(),
                    request: "GET /connections?limit=100".into(),
                    status: Some(200),
                    elapsed: Duration::from_micros(12_400),
                    id: Some("r-1".into()),
                },
                "kore: GET /connections?limit=100 200 in 12ms (request r-1)",
            ),
            (
                Event::Sent {
                    target: "kore".into(),
                    request: "POST /connections".into(),
                    status: None,
                    elapsed: Duration::from_secs(30),
                    id: None,
                },
                "kore: POST /connections no answer in 30000ms",
            ),
            (started(Action::Create, &[]), "kore-prod/a: creating"),
            (started(Action::Rotate, &["fields.API_KEY"]), "kore-prod/a: rotating fields.API_KEY"),
            (ended(Action::Create, done(Some("cn-5\u{1b}"))), "kore-prod/a: created in 0.4s (id cn-5\u{fffd})"),
            (ended(Action::Update, done(Some("cn-5"))), "kore-prod/a: updated in 0.4s"),
            (
                ended(Action::Update, Ending::Failed(Diagnostic::error(codes::INVALID, "kore-prod said no (400)"))),
                "kore-prod/a: failed after 0.4s: PB0605 kore-prod said no (400)",
            ),
            (
                ended(Action::Create, Ending::Unknown(Diagnostic::error(codes::OUTCOME_UNKNOWN, "it timed out"))),
                "kore-prod/a: outcome unknown after 0.4s: PB0701 it timed out",
            ),
            (ended(Action::Forget, Ending::Skipped("a dependency failed".into())), "kore-prod/a: skipped: a dependency failed"),
            (
                Event::Stopping { in_flight: 2 },
                "stopping: no new operations; waiting for 2 in flight (Ctrl-C again to abandon them)",
            ),
            (Event::Stopping { in_flight: 0 }, "stopping: no new operations"),
        ];
        for (event, wanted) in rows {
            assert_eq!(line(&event, &plain()).as_deref(), Some(wanted));
        }
        assert_eq!(line(&started(Action::Unchanged, &[]), &plain()), None);
    }

    #[test]
    fn warnings_follow_what_was_done() {
        let warnings = vec![Diagnostic::warning(codes::READ_BACK, "the API stored another `model`")];
        let ending = Ending::Done { id: None, warnings: warnings.clone() };
        let event = Event::Ended { address: address("t/a"), action: Action::Update, ending, elapsed: Duration::from_millis(100) };
        assert_eq!(
            line(&event, &plain()).as_deref(),
            Some("t/a: updated in 0.1s\nt/a: warning: PB0703 the API stored another `model`")
        );
        let outcome = outcome(vec![("t/a", Action::Update, Ending::Done { id: None, warnings })]);
        assert_eq!(
            summary("apply", &outcome, &planned(&outcome), "patchbay.state", &plain()),
            "Applied: 1 updated.   9 requests, 3.4s\n  ⚠ warning   t/a   PB0703 the API stored another `model`\n\
             State saved: patchbay.state\n"
        );
    }

    #[test]
    fn all_done() {
        let outcome = outcome(vec![
            ("kore-prod/a", Action::Create, done(Some("cn-1"))),
            ("kore-prod/b", Action::Update, done(None)),
            ("kore-prod/c", Action::Update, done(None)),
            ("kore-prod/d", Action::Rotate, done(None)),
        ]);
        assert_eq!(
            summary("apply", &outcome, &planned(&outcome), "patchbay.state (serial 46)", &plain()),
            "Applied: 1 created, 2 updated, 1 rotated.   9 requests, 3.4s\nState saved: patchbay.state (serial 46)\n"
        );
        let nothing = self::outcome(Vec::new());
        assert_eq!(
            summary("apply", &nothing, &samples::plan(Vec::new()), "s", &plain()),
            "Nothing to apply.   9 requests, 3.4s\n"
        );
    }

    #[test]
    fn partly_done() {
        let timed_out = Diagnostic::error(codes::OUTCOME_UNKNOWN, "POST timed out after 30s; it may exist now")
            .note("looked for a connection named \"Anthropic Claude\": found none")
            .help("`patchbay plan` looks again before it creates anything");
        let outcome = outcome(vec![
            ("kore-prod/claude", Action::Create, done(None)),
            ("gateway/openai", Action::Update, done(None)),
            ("kore-prod/groq", Action::Update, Ending::Failed(Diagnostic::error(codes::INVALID, "the API said no (400)"))),
            ("kore-prod/haiku", Action::Create, Ending::Unknown(timed_out)),
            ("gateway/b", Action::Update, Ending::Skipped("it depends on kore-prod/groq".into())),
        ]);
        assert_eq!(
            summary("apply", &outcome, &planned(&outcome), "patchbay.state", &plain()),
            "\
Apply is incomplete: 2 of 5 operations done.   9 requests, 3.4s
  ✓ done      kore-prod/claude, gateway/openai
  ✗ failed    kore-prod/groq   PB0605 the API said no (400)
  ? unknown   kore-prod/haiku   PB0701 POST timed out after 30s; it may exist now
              looked for a connection named \"Anthropic Claude\": found none
              help: `patchbay plan` looks again before it creates anything
  · skipped   gateway/b   it depends on kore-prod/groq
What was done is in the state (patchbay.state). Remove the cause and run `patchbay apply` again: it
does only what is left.
"
        );
    }

    #[test]
    fn interrupted_and_not_saved() {
        let mut outcome = outcome(vec![
            ("kore-prod/a", Action::Update, done(None)),
            ("kore-prod/b", Action::Update, Ending::Skipped("interrupted".into())),
        ]);
        outcome.signal = Some(2);
        let plan = planned(&outcome);
        let text = summary("apply", &outcome, &plan, "patchbay.state", &plain());
        assert!(text.starts_with("Interrupted. 1 of 2 operations done.   9 requests, 3.4s\n"), "{text}");
        assert!(text.contains("(patchbay.state). Run `patchbay apply` again:"), "{text}");
        outcome.diagnostics.push(Diagnostic::error(codes::STATE_UNREADABLE, "the state cannot be written"));
        assert!(!summary("apply", &outcome, &plan, "patchbay.state", &plain()).contains("in the state"));
    }

    #[test]
    fn many_are_counted_and_what_is_left_alone_is_said() {
        let names: Vec<String> = (0..30).map(|n| format!("kore-prod/c{n:02}")).collect();
        let mut endings: Vec<(&str, Action, Ending)> = names.iter().map(|n| (n.as_str(), Action::Update, done(None))).collect();
        let failed: Vec<String> = (0..25).map(|n| format!("kore-prod/f{n:02}")).collect();
        for name in &failed {
            endings.push((name.as_str(), Action::Update, Ending::Failed(Diagnostic::error(codes::TIMEOUT, "no answer"))));
        }
        let outcome = outcome(endings);
        let mut plan = planned(&outcome);
        plan.changes.push(change("kore-prod/z", Action::Blocked));
        let text = summary("apply", &outcome, &plan, "s", &plain());
        assert!(text.contains("kore-prod/c19, and 10 more\n"), "{text}");
        assert!(text.contains("  ✗ failed    and 5 more\n") && !text.contains("f20"), "{text}");
        assert!(text.ends_with("Left alone: 1 blocked.\n"), "{text}");
    }
}
