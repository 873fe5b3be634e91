//! A plan for people: what would change, connection by connection, and why.
//!
//! Parts that have nothing to say are left out: what was changed outside, what will be done, target by target, what
//! nobody can tell, and the numbers. Connections that are as they should be cost nothing here but their count.

mod change;
mod fields;
mod texts;

use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use self::fields::{note_of, sign_of, words};
use super::pages::Pages;
use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, cost, count, counts, width};
use crate::plan::model::{Action, Cause, Change, FieldChange, Plan, Refresh, Summary, Unproved, Verdict};
use crate::source::Sources;

/// At most so many connections are named in the parts that only inform.
const NAMED: usize = 10;

/// What stands around the plan itself.
#[derive(Clone, Debug)]
pub struct Head {
    /// The command, `patchbay plan`.
    pub command: String,
    /// What the state is called, `patchbay.state`.
    pub state: String,
    /// Requests that it took.
    pub requests: u64,
    /// Time that it took.
    pub elapsed: Duration,
    /// What else to say about this run, one line each.
    pub notes: Vec<String>,
}

/// What a change is about, in a line without colours: the fields that change, or why nothing does.
#[must_use]
pub(super) fn gist(change: &Change, style: &Style) -> String {
    let field = |field: &FieldChange| {
        let path = clean(&field.path.to_string());
        match (words(field, style), field.cause) {
            (Some(words), _) => format!("{path} {words}"),
            (None, Cause::Drift | Cause::Both) if change.action != Action::Create => format!("{path} (drift)"),
            _ => path,
        }
    };
    let written: Vec<String> = change.written().map(field).collect();
    let text = match change.action {
        Action::Create if change.gone.is_some() => format!("{}, deleted outside", clean(&change.kind)),
        Action::Create => clean(&change.kind),
        Action::Adopt => change.id.as_deref().map(clean).unwrap_or_default(),
        Action::Move => change.moved_from.as_ref().map(|from| format!("from {from}")).unwrap_or_default(),
        Action::Unchanged => doubts(change, style),
        _ => written.join(", "),
    };
    let reason = change.reason.as_ref().map(|reason| clean(&reason.text)).unwrap_or_default();
    if text.is_empty() { reason } else { text }
}

/// Everything about a change below its headline, for a fenced `diff`: the sign of a line stands in its first column, and
/// `!` stands for what changes, because that is what the colours of `diff` know.
#[must_use]
pub(super) fn detail(change: &Change, style: &Style) -> Vec<String> {
    /// Where the signs of fields and of lines within texts stand on the screen.
    const SIGNS: [usize; 2] = [6, 10];
    let reason = change.reason.as_ref().map(|reason| reason.text.as_str());
    let lines = change::body(change, reason, style);
    let moved = |line: String| {
        let chars: Vec<char> = line.chars().collect();
        let at = SIGNS.into_iter().find(|at| line.len() - line.trim_start().len() == *at && chars.get(at + 1) == Some(&' '));
        let sign = at.and_then(|at| match chars.get(at) {
            Some('+') => Some('+'),
            Some('-') => Some('-'),
            Some('~' | '↻' | '±') => Some('!'),
            _ => None,
        });
        match (sign, at) {
            (Some(sign), Some(at)) => {
                let rest: String = chars[at + 1..].iter().collect();
                format!("{sign}{}{rest}", " ".repeat(at - SIGNS[0]))
            }
            _ => chars.into_iter().skip(SIGNS[0]).collect(),
        }
    };
    lines.into_iter().map(moved).collect()
}

/// Renders a plan.
#[must_use]
pub fn render(plan: &Plan, sources: &Sources, head: &Head, style: &Style) -> String {
    let mut pages = Pages::new(sources);
    let listed: Vec<&Change> = plan.changes.iter().filter(|c| c.action != Action::Unchanged).collect();
    let mut parts = vec![headline(plan, head, style)];
    parts.extend(changed_outside(&listed, style));
    parts.extend(by_target(plan, &listed, &mut pages, style));
    parts.extend(cannot_tell(plan, &listed, style));
    // A single verdict follows its headline at once.
    let gap = if parts.len() == 1 { "\n" } else { "\n\n" };
    let body: Vec<String> = parts.iter().map(|lines| lines.join("\n")).collect();
    format!("{}{gap}{}\n", body.join("\n\n"), footer(plan, head, style).join("\n"))
}

/// `patchbay plan   2 targets · 11 connections · patchbay.state`
fn headline(plan: &Plan, head: &Head, style: &Style) -> Vec<String> {
    let dot = format!(" {} ", style.glyph(Glyph::Dot));
    let mut about = vec![count(plan.targets.len(), "target"), count(plan.changes.len(), "connection")];
    if !head.state.is_empty() {
        about.push(clean(&head.state));
    }
    let mut lines = vec![
        Line::new(style, 0).put(ink::STRONG, &clean(&head.command)).also_below(ink::DIM, &about.join(dot.as_str()), 2).end(),
    ];
    lines.extend(head.notes.iter().map(|note| style.paint(ink::DIM, &clean(note))));
    lines
}

/// The drifted fields in short; the changes below show them in full.
fn changed_outside(listed: &[&Change], style: &Style) -> Option<Vec<String>> {
    let drifted = |field: &&FieldChange| matches!(field.cause, Cause::Drift | Cause::Both);
    let what = |change: &Change| match change.gone {
        Some(_) => "deleted".to_owned(),
        None => change.fields.iter().filter(drifted).map(|f| clean(&f.path.to_string())).collect::<Vec<_>>().join(", "),
    };
    let rows: Vec<(&Change, String)> = listed.iter().filter(|c| c.has_drifted()).map(|c| (*c, what(c))).collect();
    named("changed outside patchbay:", &rows, rows.len(), style)
}

/// The connections that are left alone although something about them cannot be proved.
fn cannot_tell(plan: &Plan, listed: &[&Change], style: &Style) -> Option<Vec<String>> {
    let (mut suspicious, mut silent) = (Vec::new(), Vec::new());
    for change in plan.changes.iter().filter(|c| c.action == Action::Unchanged) {
        let mut doubts = change.unverifiable().peekable();
        if doubts.peek().is_none() {
            continue;
        }
        // An API that never shows anything is no news; where nothing else is, the count will do.
        let is_news = doubts.any(|f| f.verdict != Verdict::CannotVerify(Unproved::NoEvidence));
        if is_news {
            suspicious.push(change);
        } else if !listed.is_empty() {
            silent.push(change);
        }
    }
    suspicious.append(&mut silent);
    let rows: Vec<(&Change, String)> = suspicious.iter().take(NAMED).map(|change| (*change, doubts(change, style))).collect();
    named("cannot tell:", &rows, suspicious.len(), style)
}

/// `fields.API_KEY (secret, first time recorded)`; only the first fields of many.
fn doubts(change: &Change, style: &Style) -> String {
    const FIELDS: usize = 3;
    let of = |field: &FieldChange| format!("{} {}", clean(&field.path.to_string()), words(field, style).unwrap_or_default());
    let mut all: Vec<String> = change.unverifiable().take(FIELDS).map(of).collect();
    let more = change.unverifiable().count().saturating_sub(FIELDS);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}

/// A heading and a line for each of the first connections, or nothing.
fn named(heading: &str, rows: &[(&Change, String)], total: usize, style: &Style) -> Option<Vec<String>> {
    if rows.is_empty() {
        return None;
    }
    let mut lines = vec![style.paint(ink::STRONG, heading)];
    let shown = &rows[..rows.len().min(NAMED)];
    let column = shown.iter().map(|(change, _)| width(&change.address.to_string())).max().unwrap_or(0) + 5;
    for (change, text) in shown {
        let line = Line::new(style, 2).put(ink::PLAIN, &change.address.to_string());
        lines.push(line.until(column).put(ink::DRIFT, text).end());
    }
    if total > shown.len() {
        lines.push(format!("  and {} more", total - shown.len()));
    }
    Some(lines)
}

/// What will be done, a part for each target that has something to do.
fn by_target(plan: &Plan, listed: &[&Change], pages: &mut Pages<'_>, style: &Style) -> Vec<Vec<String>> {
    let mut by_name: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in listed {
        by_name.entry(change.address.target()).or_default().push(change);
    }
    let mut parts = Vec::new();
    for target in &plan.targets {
        if let Some(changes) = by_name.remove(target.name.as_str()) {
            parts.push(one_target(&target.name, &target.base_url, &changes, pages, style));
        }
    }
    // Records may speak of targets that are declared no more.
    parts.extend(by_name.into_iter().map(|(name, changes)| one_target(name, "", &changes, pages, style)));
    parts
}

fn one_target(name: &str, base_url: &str, changes: &[&Change], pages: &mut Pages<'_>, style: &Style) -> Vec<String> {
    let mut lines = vec![Line::new(style, 0).put(ink::STRONG, &clean(name)).also(ink::DIM, &clean(base_url)).end()];
    let mut was_tall = false;
    for (n, change) in changes.iter().enumerate() {
        let block = change::block(change, pages, style);
        let is_tall = block.len() > 1;
        if n > 0 && (is_tall || was_tall) {
            lines.push(String::new());
        }
        lines.extend(block);
        was_tall = is_tall;
    }
    lines
}

fn footer(plan: &Plan, head: &Head, style: &Style) -> Vec<String> {
    let summary = plan.summary();
    let cost = cost(head.requests, head.elapsed);
    let doing = counts(&[
        (summary.create, "to create"),
        (summary.update, "to update"),
        (summary.rotate, "to rotate"),
        (summary.replace, "to replace"),
        (summary.delete, "to delete"),
        (summary.adopt, "to adopt"),
        (summary.moved, "to move"),
        (summary.forget, "to forget"),
    ]);
    let sure = summary.unchanged.saturating_sub(summary.unverifiable);
    let rest = counts(&[
        (summary.blocked, "blocked"),
        (summary.orphan, if summary.orphan == 1 { "orphan" } else { "orphans" }),
        (summary.unverifiable, "cannot be verified"),
        (sure, "unchanged"),
    ]);
    let mut lines = Vec::new();
    let line = |head: &str| Line::new(style, 0).put(ink::STRONG, head);
    if doing.is_empty() && summary.blocked == 0 && summary.orphan == 0 {
        let verdict = format!(" {}", nothing_to_do(plan, &summary));
        lines.push(line("No changes.").put(ink::PLAIN, &verdict).also(ink::DIM, &cost).end());
    } else {
        let doing = if doing.is_empty() { " nothing to apply.".to_owned() } else { format!(" {doing}.") };
        let first = line("Plan:").put(ink::PLAIN, &doing);
        if rest.is_empty() {
            lines.push(first.also(ink::DIM, &cost).end());
        } else {
            lines.push(first.end());
            lines.push(Line::new(style, 6).put(ink::PLAIN, &format!("{rest}.")).also(ink::DIM, &cost).end());
        }
        if plan.refresh == Refresh::None {
            lines.push("The live state was not read in detail (--refresh none): drift does not show.".to_owned());
        }
    }
    if plan.partial {
        lines.push("This is a partial plan (--only, --exclude): other connections were left out.".to_owned());
    }
    lines
}

/// `9 connections match the live API; 2 cannot be verified.`
fn nothing_to_do(plan: &Plan, summary: &Summary) -> String {
    let sure = summary.unchanged.saturating_sub(summary.unverifiable);
    let verb = if sure == 1 { "matches" } else { "match" };
    let what = if plan.refresh == Refresh::None { "the state, the live API was not read in detail" } else { "the live API" };
    match (sure, summary.unverifiable) {
        (0, 0) => "There is no connection.".to_owned(),
        (0, n) => format!("{} cannot be verified.", count(n, "connection")),
        (n, 0) => format!("{} {verb} {what}.", count(n, "connection")),
        (n, doubtful) => format!("{} {verb} {what}; {doubtful} cannot be verified.", count(n, "connection")),
    }
}

#[cfg(test)]
mod tests;
