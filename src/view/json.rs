//! The documents for other programs, in the shape of Terraform's where it has one.
//!
//! Additions raise the minor version and are to be ignored by readers who do not know them; anything else raises the
//! major version. Internal types are never serialised: every document is built of types of its own, here and below.
//!
//! `action_reason` is a hint: `config_changed`, `drift`, `config_changed_and_drift`, `cause_unknown`, `secret_changed`,
//! `secret_changed_outside`, `deleted_outside`, `not_in_files`, `gone_from_api`, `cannot_update`, `unsupported_by_api`.

mod change;
mod problem;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use self::change::{Doubt, ResourceChange};
use self::problem::Problem;
use super::pages::Pages;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::engine::event::{Ending, Outcome};
use crate::plan::model::{Action, Plan, Refresh, Summary};
use crate::source::Sources;

/// The version of all documents.
const FORMAT_VERSION: &str = "1.0";
const PATCHBAY_VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct PlanDocument<'d> {
    format_version: &'static str,
    patchbay_version: &'static str,
    timestamp: &'d str,
    errored: bool,
    refresh: &'static str,
    partial: bool,
    resource_changes: Vec<ResourceChange<'d>>,
    resource_drift: Vec<ResourceChange<'d>>,
    unverifiable: Vec<Unverifiable>,
    diagnostics: Vec<Problem>,
    summary: Counts,
}

/// A connection that is left alone although something about it cannot be proved.
#[derive(Serialize)]
struct Unverifiable {
    address: String,
    fields: Vec<Doubt>,
}

#[derive(Serialize)]
struct Counts {
    create: usize,
    update: usize,
    rotate: usize,
    replace: usize,
    delete: usize,
    adopt: usize,
    r#move: usize,
    forget: usize,
    orphan: usize,
    blocked: usize,
    unverifiable: usize,
    unchanged: usize,
}

impl From<&Summary> for Counts {
    fn from(summary: &Summary) -> Self {
        Self {
            create: summary.create,
            update: summary.update,
            rotate: summary.rotate,
            replace: summary.replace,
            delete: summary.delete,
            adopt: summary.adopt,
            r#move: summary.moved,
            forget: summary.forget,
            orphan: summary.orphan,
            blocked: summary.blocked,
            unverifiable: summary.unverifiable,
            unchanged: summary.unchanged,
        }
    }
}

/// The document of `plan --json`.
#[must_use]
pub fn plan_document(plan: &Plan, diagnostics: &[Diagnostic], sources: &Sources, generated_at: &str) -> Json {
    let mut pages = Pages::new(sources);
    let platforms: BTreeMap<&str, &str> = plan.targets.iter().map(|t| (t.name.as_str(), t.platform.as_str())).collect();
    let listed = || plan.changes.iter().filter(|c| c.action != Action::Unchanged);
    let resource_changes = listed().map(|c| ResourceChange::planned(c, &platforms, &mut pages)).collect();
    let resource_drift =
        listed().filter(|c| c.has_drifted()).map(|c| ResourceChange::drifted(c, &platforms, &mut pages)).collect();
    let document = PlanDocument {
        format_version: FORMAT_VERSION,
        patchbay_version: PATCHBAY_VERSION,
        timestamp: generated_at,
        errored: has_errors(diagnostics),
        refresh: match plan.refresh {
            Refresh::Full => "full",
            Refresh::Auto => "auto",
            Refresh::None => "none",
        },
        partial: plan.partial,
        resource_changes,
        resource_drift,
        unverifiable: unverifiable(plan),
        diagnostics: diagnostics.iter().map(|d| Problem::new(d, &mut pages)).collect(),
        summary: Counts::from(&plan.summary()),
    };
    to_json(&document)
}

fn unverifiable(plan: &Plan) -> Vec<Unverifiable> {
    plan.changes
        .iter()
        .filter(|c| c.action == Action::Unchanged)
        .filter_map(|change| {
            let fields: Vec<Doubt> = change.unverifiable().map(Doubt::new).collect();
            (!fields.is_empty()).then(|| Unverifiable { address: change.address.to_string(), fields })
        })
        .collect()
}

#[derive(Serialize)]
struct DiagnosticsDocument {
    format_version: &'static str,
    patchbay_version: &'static str,
    errored: bool,
    valid: bool,
    error_count: usize,
    warning_count: usize,
    diagnostics: Vec<Problem>,
}

/// The document of `validate --json`, and of every command that ends with nothing but an error.
#[must_use]
pub fn diagnostics_document(diagnostics: &[Diagnostic], sources: &Sources, valid: bool) -> Json {
    let mut pages = Pages::new(sources);
    let error_count = diagnostics.iter().filter(|d| d.is_error()).count();
    to_json(&DiagnosticsDocument {
        format_version: FORMAT_VERSION,
        patchbay_version: PATCHBAY_VERSION,
        errored: error_count > 0,
        valid,
        error_count,
        warning_count: diagnostics.len() - error_count,
        diagnostics: diagnostics.iter().map(|d| Problem::new(d, &mut pages)).collect(),
    })
}

#[derive(Serialize)]
struct ApplyDocument<'d> {
    format_version: &'static str,
    patchbay_version: &'static str,
    errored: bool,
    /// Was everything done that was planned?
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    results: Vec<Ended<'d>>,
    diagnostics: Vec<Problem>,
    summary: Endings,
    requests: u64,
    elapsed_seconds: f64,
}

/// How one change ended.
#[derive(Serialize)]
struct Ended<'d> {
    address: String,
    action: &'static str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostic: Option<Problem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

/// How many changes ended how, and what was done by action.
#[derive(Default, Serialize)]
struct Endings {
    planned: usize,
    done: usize,
    failed: usize,
    unknown: usize,
    skipped: usize,
    blocked: usize,
    orphan: usize,
    applied: BTreeMap<&'static str, usize>,
}

/// The document of `apply --json`. Of the diagnostics, those of the outcome that belong to no single change are added to
/// the given ones.
#[must_use]
pub fn apply_document(outcome: &Outcome, plan: &Plan, diagnostics: &[Diagnostic], sources: &Sources) -> Json {
    let mut pages = Pages::new(sources);
    let planned = plan.summary();
    let mut summary = Endings {
        planned: plan.changes.iter().filter(|c| c.action.is_change()).count().max(outcome.endings.len()),
        blocked: planned.blocked,
        orphan: planned.orphan,
        ..Endings::default()
    };
    for (_, action, ending) in &outcome.endings {
        match ending {
            Ending::Done { .. } => {
                summary.done += 1;
                *summary.applied.entry(action.word()).or_default() += 1;
            }
            Ending::Failed(_) => summary.failed += 1,
            Ending::Unknown(_) => summary.unknown += 1,
            Ending::Skipped(_) => summary.skipped += 1,
        }
    }
    let results = outcome
        .endings
        .iter()
        .map(|(address, action, ending)| {
            let mut ended = Ended {
                address: address.to_string(),
                action: action.word(),
                result: "done",
                id: None,
                reason: None,
                diagnostic: None,
                warnings: Vec::new(),
            };
            match ending {
                Ending::Done { id, warnings } => {
                    ended.id = id.as_deref();
                    ended.warnings = warnings.iter().map(|d| Problem::new(d, &mut pages)).collect();
                }
                Ending::Failed(why) => (ended.result, ended.diagnostic) = ("failed", Some(Problem::new(why, &mut pages))),
                Ending::Unknown(why) => (ended.result, ended.diagnostic) = ("unknown", Some(Problem::new(why, &mut pages))),
                Ending::Skipped(why) => (ended.result, ended.reason) = ("skipped", Some(why.as_str())),
            }
            ended
        })
        .collect();
    let added = outcome.diagnostics.iter().filter(|d| !diagnostics.contains(d));
    let all: Vec<&Diagnostic> = diagnostics.iter().chain(added).collect();
    let errored = summary.failed + summary.unknown > 0 || all.iter().any(|d| d.is_error());
    to_json(&ApplyDocument {
        format_version: FORMAT_VERSION,
        patchbay_version: PATCHBAY_VERSION,
        errored,
        complete: summary.done == summary.planned && outcome.signal.is_none() && !errored,
        signal: outcome.signal,
        results,
        diagnostics: all.into_iter().map(|d| Problem::new(d, &mut pages)).collect(),
        summary,
        requests: outcome.requests,
        elapsed_seconds: outcome.elapsed.as_secs_f64(),
    })
}

/// The document of a command that has nothing of Terraform's shape: the envelope that all documents have, the content's
/// own members, and the diagnostics.
#[must_use]
pub fn document(content: &impl Serialize, diagnostics: &[Diagnostic], sources: &Sources) -> Json {
    let mut pages = Pages::new(sources);
    let mut document = serde_json::Map::new();
    document.insert("format_version".to_owned(), FORMAT_VERSION.into());
    document.insert("patchbay_version".to_owned(), PATCHBAY_VERSION.into());
    document.insert("errored".to_owned(), has_errors(diagnostics).into());
    if let Json::Object(content) = to_json(content) {
        document.extend(content);
    }
    let problems: Vec<Problem> = diagnostics.iter().map(|d| Problem::new(d, &mut pages)).collect();
    document.insert("diagnostics".to_owned(), to_json(&problems));
    Json::Object(document)
}

/// JSON allows control characters beyond ASCII in texts; a terminal obeys them all the same, so they are escaped.
#[must_use]
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    let is_raw = |c: char| c != '\n' && super::text::is_unsafe(c);
    if !text.contains(is_raw) {
        return text.into();
    }
    let escape = |c: char| if is_raw(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escape).collect::<String>().into()
}

/// Our documents have text keys and finite numbers only, so this cannot fail.
fn to_json(document: &impl Serialize) -> Json {
    serde_json::to_value(document).unwrap_or_default()
}

#[cfg(test)]
mod tests;
