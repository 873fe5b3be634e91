//! `patchbay state check | repair`: is the file whole, and what can be kept of one that is not?

use serde_json::{Value as Json, json};

use super::{Fate, Place, RepairArgs, Seen, approved, document, failed, fate, look};
use crate::cli::{Context, exit};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::io::clock;
use crate::io::store::{RealFs, new_lineage, replace_damaged};
use crate::platform::exchange::neutral;
use crate::source::Sources;
use crate::state::{Flaw, Intent, Origin, Part, Repaired, StateWarning, Survey, Wrong, twins};
use crate::view::count;

/// `check`
pub(super) fn check(context: &Context<'_>, place: &Place) -> Result<u8, Diagnostics> {
    let out = context.out;
    let seen = look(place)?;
    let found = findings(&seen);
    let damaged = seen.file.as_ref().is_some_and(|(_, survey)| survey.is_damaged());
    if out.is_machine {
        out.json(&document(&found, &check_document(&seen)));
    } else {
        out.text(&report(&seen));
        out.diagnostics(&found, &Sources::default());
    }
    Ok(if damaged { exit::ERROR } else { exit::OK })
}

/// Everything that is wrong or odd.
fn findings(seen: &Seen) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Some((_, survey)) = &seen.file {
        found.extend(survey.diagnostic());
        let torn = |line: &usize| StateWarning::Torn { name: seen.name.clone(), line: *line }.diagnostic();
        found.extend(survey.torn.iter().map(torn));
    }
    found.extend(seen.parts.iter().flat_map(|part| &part.warnings).map(StateWarning::diagnostic));
    for (address, ids) in twins(&seen.state) {
        let ids: Vec<String> = ids.iter().map(|id| format!("`{}`", neutral(id))).collect();
        found.push(
            Diagnostic::warning(codes::AMBIGUOUS, format!("`{address}` is recorded as {} objects", ids.len()))
                .note(format!("their ids: {}", ids.join(", ")))
                .help("look at the API which of them is the right one, delete the other one there, and run `patchbay plan`")
                .about(&address),
        );
    }
    found
}

fn report(seen: &Seen) -> String {
    let name = neutral(&seen.name);
    let verdict = match &seen.file {
        None if seen.parts.is_empty() => return format!("{name}   there is no state yet\n"),
        Some((_, survey)) if survey.is_damaged() => "damaged",
        Some(_) => "whole",
        None => "away; its part files hold everything, and the next run that writes makes it again",
    };
    let mut text = format!("{name}   {verdict}\n");
    let mut row = |label: &str, value: &str| text.push_str(&format!("  {label:<12}{value}\n"));
    row("format", &version(seen).unwrap_or_else(|| "not told any more".to_owned()));
    row("lineage", &seen.state.lineage().map_or_else(|| "not told any more".to_owned(), neutral));
    row("records", &seen.state.records().count().to_string());
    row("tombstones", &seen.state.tombstones().count().to_string());
    row("open", &count(seen.state.open_intents().count(), "operation"));
    for intent in seen.state.open_intents() {
        row("", &format!("{} of {}, announced {}", neutral(&intent.verb), intent.address, neutral(&intent.at)));
        row("", &format!("  by run {}: {}", neutral(&intent.run), said(fate(intent))));
    }
    row("part files", &seen.parts.len().to_string());
    for part in &seen.parts {
        row("", &format!("{}: {}", neutral(&part.name), contents(part)));
    }
    // The format has no place for one: what stands there of secrets is keyed.
    row("secrets", "none, by design; fingerprints only");
    text
}

/// The version that the file's header tells.
fn version(seen: &Seen) -> Option<String> {
    let header = seen.file.as_ref().and_then(|(_, survey)| survey.header.as_ref())?;
    Some(format!("{}.{}", header.major, header.minor))
}

fn said(fate: Fate) -> &'static str {
    match fate {
        Fate::Gone => "its process is gone, and the next apply settles it",
        Fate::Over => "its time is over, and the next apply settles it",
        Fate::MayLive => "it may still be at work",
    }
}

fn contents(part: &Part) -> String {
    if part.is_foreign {
        return "of another state".to_owned();
    }
    let open = count(part.state.open_intents().count(), "open operation");
    let records = count(part.state.records().count(), "record");
    format!("{records}, {}, {open}", count(part.state.tombstones().count(), "tombstone"))
}

fn check_document(seen: &Seen) -> Json {
    let survey = seen.file.as_ref().map(|(_, survey)| survey);
    let intent = |intent: &Intent| {
        let process = match fate(intent) {
            Fate::Gone => "gone",
            Fate::Over => "over",
            Fate::MayLive => "may_live",
        };
        json!({
            "op": intent.op, "address": intent.address.to_string(), "verb": intent.verb, "name": intent.name,
            "run": intent.run, "at": intent.at, "process": process,
        })
    };
    let part = |part: &Part| {
        json!({
            "name": part.name, "foreign": part.is_foreign, "records": part.state.records().count(),
            "tombstones": part.state.tombstones().count(), "open_intents": part.state.open_intents().count(),
        })
    };
    let duplicates: Vec<Json> =
        twins(&seen.state).into_iter().map(|(address, ids)| json!({ "address": address.to_string(), "ids": ids })).collect();
    json!({
        "path": seen.name,
        "exists": survey.is_some(),
        "damaged": survey.is_some_and(Survey::is_damaged),
        "format": version(seen),
        "lineage": seen.state.lineage(),
        "records": seen.state.records().count(),
        "tombstones": seen.state.tombstones().count(),
        "open_intents": seen.state.open_intents().map(intent).collect::<Vec<Json>>(),
        "parts": seen.parts.iter().map(part).collect::<Vec<Json>>(),
        "duplicates": duplicates,
        "torn_lines": survey.map(|survey| survey.torn.clone()).unwrap_or_default(),
        "damaged_lines": survey.map(damaged_lines).unwrap_or_default(),
    })
}

fn damaged_lines(survey: &Survey) -> Vec<Json> {
    let line = |flaw: &Flaw| {
        let kind = match flaw.wrong {
            Wrong::Opening(_) => "no_header",
            Wrong::Damaged { .. } => "damaged",
            Wrong::Marker => "conflict_marker",
            Wrong::Foreign { .. } => "other_state",
        };
        json!({ "line": flaw.line, "kind": kind, "address": flaw.about().map(ToString::to_string), "why": flaw.why() })
    };
    survey.flaws.iter().map(line).collect()
}

/// `repair`
pub(super) async fn repair(context: &Context<'_>, place: &Place, args: &RepairArgs) -> Result<u8, Diagnostics> {
    let out = context.out;
    let seen = look(place)?;
    let Some((bytes, survey)) = seen.file.as_ref().filter(|(_, survey)| survey.is_damaged()) else {
        if out.is_machine {
            out.json(&document(&[], &json!({ "path": seen.name, "repaired": false })));
        } else {
            out.text(&format!("Nothing to repair in {}.\n", neutral(&seen.name)));
        }
        return Ok(exit::OK);
    };
    if let Some(error) = survey.hopeless() {
        return Err(vec![error]);
    }
    if !seen.state.writable() {
        let what = format!("`{}` was written by a newer patchbay and is not written by this one", seen.name);
        return Err(vec![Diagnostic::error(codes::STATE_NEWER, what).help("use the newer version")]);
    }
    // Where the parts disagree, none of them is believed.
    let in_parts = seen.state.lineage().filter(|_| seen.parts.iter().all(|part| !part.is_foreign));
    let now = u64::try_from(clock::now().as_millisecond()).unwrap_or_default();
    let repaired = survey.repaired(in_parts, &new_lineage(now).map_err(|e| failed(&e))?);
    if !out.is_machine {
        out.text(&intention(&seen, &repaired));
    }
    if !approved(context, args.yes, "a repair", "Repair it? A copy of the damaged file stays beside it.").await? {
        out.note("Nothing was repaired.");
        return Ok(exit::OK);
    }
    let path = place.location.file("a repair").map_err(|error| vec![error])?;
    let written = replace_damaged(path, &RealFs, bytes, &repaired.text).map_err(|e| failed(&e))?;
    let Some(copy) = written else {
        let what = format!("`{}` was written by another run meanwhile", seen.name);
        return Err(vec![Diagnostic::error(codes::STATE_CONFLICT, what).help("nothing was changed; try again")]);
    };
    // Whoever comes next reads it, so it is read once here.
    let (_, warnings) = place.location.read().await.map_err(|e| failed(&e))?;
    let found: Diagnostics = warnings.iter().map(StateWarning::diagnostic).collect();
    let copy = copy.display().to_string();
    if out.is_machine {
        out.json(&document(&found, &repair_document(&seen, &repaired, &copy)));
    } else {
        out.diagnostics(&found, &Sources::default());
        let kept = entries(repaired.kept);
        out.text(&format!("Repaired: {kept} kept. The damaged file is {}.\n", neutral(&copy)));
    }
    Ok(exit::OK)
}

fn entries(n: usize) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") }
}

/// What a repair drops, and what that costs.
fn intention(seen: &Seen, repaired: &Repaired) -> String {
    let mut text = format!("{}   damaged; whole: {}\n", neutral(&seen.name), entries(repaired.kept));
    for dropped in &repaired.dropped {
        let about = dropped.about.as_ref().map(|about| format!(", about {about}")).unwrap_or_default();
        text.push_str(&format!("  - line {}{about}: {}\n", dropped.line, neutral(&dropped.why)));
    }
    text.push_str(match repaired.origin {
        Origin::Own => "",
        Origin::Parts => "  + the first line: its part files tell which state it is\n",
        Origin::New => "  + the first line, of a new state: nothing tells any more which one it was\n",
    });
    if repaired.origin == Origin::New {
        text.push_str("Fingerprints are bound to their state, so they are dropped. Plans say that secrets cannot be verified,\n");
        text.push_str("until `patchbay apply --rewrite-secrets` writes them once.\n");
    }
    if repaired.dropped.iter().any(|dropped| dropped.about.is_some()) {
        text.push_str("What is not recorded any more is found again by its name: run `patchbay plan` afterwards.\n");
    }
    text
}

fn repair_document(seen: &Seen, repaired: &Repaired, copy: &str) -> Json {
    let dropped: Vec<Json> = repaired
        .dropped
        .iter()
        .map(|d| json!({ "line": d.line, "address": d.about.as_ref().map(ToString::to_string), "why": d.why }))
        .collect();
    let lineage = match repaired.origin {
        Origin::Own => "kept",
        Origin::Parts => "from_parts",
        Origin::New => "new",
    };
    json!({
        "path": seen.name, "repaired": true, "kept": repaired.kept, "dropped": dropped, "lineage": lineage, "saved_as": copy,
    })
}
