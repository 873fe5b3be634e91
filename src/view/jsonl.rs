//! The event stream: one JSON object a line, in the envelope of Terraform's machine-readable UI. `@message` can always be
//! shown on its own; readers ignore types and members that they do not know.

use serde_json::{Map, Value as Json, json};

use super::digest::{Digest, Item};
use super::style::Style;
use super::{apply, json};
use crate::address::Address;
use crate::diagnostic::Diagnostic;
use crate::engine::event::{Ending, Event};
use crate::plan::model::Action;
use crate::source::Sources;

/// The version of the stream.
const UI: &str = "1.0";

/// One line, its time apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Line(Map<String, Json>);

impl Line {
    fn new(level: &str, message: &str, kind: &str, more: Json) -> Self {
        let mut map = Map::new();
        map.insert("@level".to_owned(), level.into());
        map.insert("@message".to_owned(), message.into());
        map.insert("@module".to_owned(), "patchbay.ui".into());
        map.insert("type".to_owned(), kind.into());
        if let Json::Object(more) = more {
            map.extend(more);
        }
        Self(map)
    }

    /// The line's text, without an end.
    #[must_use]
    pub fn text(&self, at: &str) -> String {
        let mut map = self.0.clone();
        map.insert("@timestamp".to_owned(), at.into());
        json::printable(&Json::Object(map).to_string()).into_owned()
    }

    /// Is it told only once, however often it is found: at the plan, and again at the end?
    #[must_use]
    pub fn is_finding(&self) -> bool {
        let kind = self.0.get("type").and_then(Json::as_str).unwrap_or_default();
        matches!(kind, "diagnostic" | "planned_change" | "resource_drift" | "change_summary")
    }
}

/// The first line of every stream.
#[must_use]
pub fn version() -> Line {
    let version = env!("CARGO_PKG_VERSION");
    Line::new("info", &format!("patchbay {version}"), "version", json!({ "patchbay": version, "ui": UI }))
}

/// The last line of every stream.
#[must_use]
pub fn outcome(code: u8) -> Line {
    let level = if matches!(code, 0 | 2) { "info" } else { "error" };
    Line::new(level, &format!("exit code {code}"), "outcome", json!({ "exit_code": code }))
}

/// What a run found and means to do, or did: drift, planned changes, diagnostics, numbers.
#[must_use]
pub fn of_digest(digest: &Digest) -> Vec<Line> {
    let mut lines = Vec::new();
    if digest.is_ahead {
        for item in digest.items.iter().filter(|item| item.has_drifted) {
            let action = if item.word == "missing" { "delete" } else { "update" };
            let message = format!("{}: changed outside patchbay: {}", item.address, item.gist);
            lines.push(Line::new("warn", &message, "resource_drift", json!({ "change": change(item, action) })));
        }
    }
    if digest.is_ahead && digest.command != "drift" {
        for item in digest.items.iter().filter(|item| item.word != "unchanged") {
            let message = format!("{}: {}: {}", item.address, item.word, item.gist);
            lines.push(Line::new("info", &message, "planned_change", json!({ "change": change(item, item.word) })));
        }
    }
    for problem in digest.document["diagnostics"].as_array().into_iter().flatten() {
        lines.push(of_problem(problem));
    }
    lines.push(summary(digest));
    lines
}

fn change(item: &Item, action: &str) -> Json {
    let mut change = json!({ "resource": resource(&item.address, &item.target, &item.key, &item.kind), "action": action });
    if !item.gist.is_empty() {
        change["reason"] = item.gist.as_str().into();
    }
    change
}

fn resource(address: &str, target: &str, key: &str, kind: &str) -> Json {
    json!({ "addr": address, "target": target, "key": key, "kind": kind })
}

fn at(address: &Address) -> Json {
    json!({ "addr": address.to_string(), "target": address.target(), "key": address.key() })
}

/// The members have Terraform's names; rotations are changes, and have a number of their own besides.
fn summary(digest: &Digest) -> Line {
    let n = |words: &[&str]| words.iter().map(|word| digest.number(word)).sum::<usize>();
    let changes = json!({
        "add": n(&["create", "replace"]),
        "change": n(&["update", "rotate", "drifted"]),
        "remove": n(&["delete", "replace", "missing"]),
        "import": n(&["adopt"]),
        "rotate": n(&["rotate"]),
        "blocked": n(&["blocked"]),
        "done": n(&["done"]),
        "failed": n(&["failed"]),
        "unknown": n(&["unknown"]),
        "skipped": n(&["skipped"]),
        // An apply plans first.
        "operation": if digest.is_ahead && digest.command != "drift" { "plan" } else { digest.command },
    });
    let message = format!("patchbay {}: {}", digest.command, digest.verdict);
    Line::new("info", &message, "change_summary", json!({ "changes": changes }))
}

/// Diagnostics, as the other documents have them.
#[must_use]
pub fn of_diagnostics(found: &[Diagnostic], sources: &Sources) -> Vec<Line> {
    let document = json::diagnostics_document(found, sources, false);
    document["diagnostics"].as_array().into_iter().flatten().map(of_problem).collect()
}

fn of_problem(problem: &Json) -> Line {
    let word = |key: &str| problem[key].as_str().unwrap_or_default();
    let level = if word("severity") == "error" { "error" } else { "warn" };
    Line::new(level, &format!("{} {}", word("code"), word("summary")), "diagnostic", json!({ "diagnostic": problem }))
}

/// An event of the engine; `None` for what has no meaning to a program.
#[must_use]
pub fn of_event(event: &Event, sources: &Sources) -> Option<Line> {
    if matches!(event, Event::Sent { .. }) {
        return None;
    }
    let style = Style { unicode: false, ..Style::plain(100) };
    if matches!(event, Event::Refreshed) {
        return Some(Line::new("info", "the live state was read", "refresh_complete", Json::Null));
    }
    let message = apply::line(event, &style)?;
    let message = message.lines().next().unwrap_or_default();
    let seconds = |elapsed: std::time::Duration| (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
    Some(match event {
        Event::Listing { target } => Line::new("info", message, "refresh_start", json!({ "hook": { "target": target } })),
        Event::Reading { target, count } => {
            Line::new("info", message, "refresh_progress", json!({ "hook": { "target": target, "count": count } }))
        }
        Event::EnvFile { .. } | Event::Stopping { .. } => Line::new("info", message, "log", Json::Null),
        Event::Retry { target, request, why, wait, attempt, of, asked } => {
            let hook = json!({
                "target": target, "request": request, "why": why,
                "wait_seconds": seconds(*wait), "asked": asked, "attempt": attempt, "of": of,
            });
            Line::new("warn", message, "http_retry", json!({ "hook": hook }))
        }
        Event::Started { address, action, .. } => {
            Line::new("info", message, "apply_start", json!({ "hook": { "resource": at(address), "action": action.word() } }))
        }
        Event::Still { address, action, elapsed } => {
            let hook = json!({ "resource": at(address), "action": action.word(), "elapsed_seconds": seconds(*elapsed) });
            Line::new("info", message, "apply_progress", json!({ "hook": hook }))
        }
        // They have their lines above, or none.
        Event::Refreshed | Event::Sent { .. } => return None,
        Event::Ended { address, action, ending, elapsed } => ended(message, address, *action, ending, seconds(*elapsed), sources),
    })
}

fn ended(message: &str, address: &Address, action: Action, ending: &Ending, seconds: f64, sources: &Sources) -> Line {
    let mut hook = json!({ "resource": at(address), "action": action.word(), "elapsed_seconds": seconds });
    let about = |why: &Diagnostic| {
        let document = json::diagnostics_document(std::slice::from_ref(why), sources, false);
        document["diagnostics"][0].clone()
    };
    match ending {
        Ending::Done { id, .. } => {
            if let Some(id) = id {
                hook["id_key"] = "id".into();
                hook["id_value"] = id.as_str().into();
            }
            Line::new("info", message, "apply_complete", json!({ "hook": hook }))
        }
        Ending::Failed(why) => Line::new("error", message, "apply_errored", json!({ "hook": hook, "diagnostic": about(why) })),
        Ending::Unknown(why) => Line::new("error", message, "apply_unknown", json!({ "hook": hook, "diagnostic": about(why) })),
        Ending::Skipped(why) => Line::new("warn", message, "apply_skipped", json!({ "hook": hook, "reason": why })),
    }
}
