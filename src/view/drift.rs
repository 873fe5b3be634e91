//! Drift: what others changed since patchbay last wrote, for people and for programs.
//!
//! Only what was applied is spoken of. A state holds digests and no values, so the value that was applied is known only
//! where the files still say it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value as Json;

use super::json;
use super::pages::Pages;
use super::plan::Head;
use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, cost, count, counts, fit, one_line, shown, width};
use crate::address::Address;
use crate::diagnostic::Diagnostic;
use crate::path::FieldPath;
use crate::plan::diff::unproved_words;
use crate::plan::model::{Outside, Refresh, Side, Unproved};
use crate::source::{Sources, Span};

/// At most so many connections are named in the parts that only inform.
const NAMED: usize = 10;
/// At most so many doubtful fields of one connection are named.
const FIELDS: usize = 3;
/// Longer values are cut unless they are asked for in full; `patchbay plan` draws them.
const SHORT: usize = 60;
/// Paths wider than this do not push the values of the others to the right.
const WIDEST: usize = 40;

/// Everything that was applied, against what is there.
#[derive(Debug)]
pub struct Drift {
    /// How much of the live state was read.
    pub refresh: Refresh,
    /// Was the run narrowed with `--only` or `--exclude`?
    pub partial: bool,
    /// Could everything be checked?
    pub complete: bool,
    /// When something was last recorded, RFC 3339.
    pub last_apply: Option<String>,
    /// Every recorded connection that this run is about.
    pub connections: Vec<Checked>,
}

/// One recorded connection.
#[derive(Debug)]
pub struct Checked {
    /// Its address.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// Its name at the API.
    pub name: String,
    /// The id under which it was recorded.
    pub id: String,
    /// Where it is declared.
    pub source: Option<Span>,
    /// What is concluded.
    pub finding: Finding,
    /// Fields of which nobody can tell.
    pub doubts: Vec<Doubt>,
}

/// What is concluded about a connection.
#[derive(Debug)]
pub enum Finding {
    /// Nothing speaks against its being as it was applied.
    AsApplied,
    /// These fields are not as they were applied.
    Changed(Vec<Drifted>),
    /// There is no such object any more.
    Gone {
        /// Did a read of its own say so, besides the list?
        read: bool,
        /// The id of the object that has its name now.
        instead: Option<String>,
    },
    /// It is there, or may be, and was not compared; the text says why.
    NotCompared(&'static str),
}

/// A field that is not as it was applied.
#[derive(Debug)]
pub struct Drifted {
    /// Which field.
    pub path: FieldPath,
    /// What was applied; [`Side::Unread`] if that is not known.
    pub recorded: Side,
    /// What is there; [`Side::Unread`] if that cannot be shown.
    pub live: Side,
    /// What shows it, for a secret.
    pub secret: Option<Outside>,
    /// Do the files want something else by now, too?
    pub config_changed: bool,
    /// Where it is written.
    pub span: Option<Span>,
}

/// A field of which nobody can tell.
#[derive(Debug)]
pub struct Doubt {
    /// Which field.
    pub path: FieldPath,
    /// Why; `None` if a write of our own may or may not have arrived.
    pub why: Option<Unproved>,
    /// Is it a secret?
    pub is_secret: bool,
}

/// How many connections came out how; each counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DriftSummary {
    /// With a field that others changed.
    pub drifted: usize,
    /// Gone.
    pub missing: usize,
    /// Nothing speaks against them, and not everything about them can be seen.
    pub unverifiable: usize,
    /// Not compared.
    pub not_compared: usize,
    /// As they were applied, and proved to be.
    pub unchanged: usize,
}

impl Drift {
    /// Counts.
    #[must_use]
    pub fn summary(&self) -> DriftSummary {
        let mut summary = DriftSummary::default();
        for checked in &self.connections {
            *match &checked.finding {
                Finding::Changed(_) => &mut summary.drifted,
                Finding::Gone { .. } => &mut summary.missing,
                Finding::NotCompared(_) => &mut summary.not_compared,
                Finding::AsApplied if checked.doubts.is_empty() => &mut summary.unchanged,
                Finding::AsApplied => &mut summary.unverifiable,
            } += 1;
        }
        summary
    }

    /// Did others change or delete anything?
    #[must_use]
    pub fn is_drift(&self) -> bool {
        self.connections.iter().any(|c| matches!(c.finding, Finding::Changed(_) | Finding::Gone { .. }))
    }
}

/// Renders everything.
#[must_use]
pub fn render(drift: &Drift, head: &Head, style: &Style) -> String {
    let mut top = headline(drift, head, style);
    top.extend(rows(drift, style));
    let mut parts = vec![top];
    parts.extend(doubts(drift, style));
    parts.extend(not_compared(drift, style));
    // A single verdict follows its headline at once.
    let gap = if parts.len() == 1 { "\n" } else { "\n\n" };
    let body: Vec<String> = parts.iter().map(|lines| lines.join("\n")).collect();
    format!("{}{gap}{}", body.join("\n\n"), verdict(drift, head, style))
}

/// The last lines alone.
#[must_use]
pub fn verdict(drift: &Drift, head: &Head, style: &Style) -> String {
    let summary = drift.summary();
    let cost = cost(head.requests, head.elapsed);
    let line =
        |head: &str, text: &str| Line::new(style, 0).put(ink::STRONG, head).put(ink::PLAIN, text).also(ink::DIM, &cost).end();
    let mut lines = Vec::new();
    let numbers = counts(&[
        (summary.drifted, "changed"),
        (summary.missing, "missing"),
        (summary.unchanged, "unchanged"),
        (summary.unverifiable, "cannot be verified"),
        (summary.not_compared, "not compared"),
    ]);
    if drift.is_drift() {
        lines.push(line("Drift:", &format!(" {numbers}.")));
        if !drift.complete {
            lines.push("Not everything could be checked.".to_owned());
        }
        let dot = style.glyph(Glyph::Dot);
        lines.push(format!("To put it back: patchbay apply {dot} to accept it: change the files"));
    } else if drift.complete {
        lines.push(line("No drift.", &format!(" {}", nothing_found(&summary))));
    } else {
        let numbers = if numbers.is_empty() { String::new() } else { format!(" {numbers}.") };
        lines.push(line("Not everything could be checked.", &numbers));
    }
    if drift.partial {
        lines.push("Only a part was looked at (--only, --exclude).".to_owned());
    }
    lines.join("\n") + "\n"
}

/// `3 connections are as recorded; 2 cannot be verified; 1 was not compared.`
fn nothing_found(summary: &DriftSummary) -> String {
    let verb = |n: usize, one: &str, many: &str| if n == 1 { one.to_owned() } else { many.to_owned() };
    let mut parts = Vec::new();
    if summary.unchanged > 0 {
        parts.push((count(summary.unchanged, "connection"), verb(summary.unchanged, "is as recorded", "are as recorded")));
    }
    for (n, words) in [
        (summary.unverifiable, "cannot be verified".to_owned()),
        (summary.not_compared, verb(summary.not_compared, "was not compared", "were not compared")),
    ] {
        if n > 0 {
            let many = if parts.is_empty() { count(n, "connection") } else { n.to_string() };
            parts.push((many, words));
        }
    }
    if parts.is_empty() {
        return "Nothing is recorded, so there is nothing to compare.".to_owned();
    }
    let parts: Vec<String> = parts.into_iter().map(|(many, words)| format!("{many} {words}")).collect();
    format!("{}.", parts.join("; "))
}

/// `patchbay drift   2 targets · 11 connections · recorded 2026-11-19 16:02 UTC · patchbay.state`
fn headline(drift: &Drift, head: &Head, style: &Style) -> Vec<String> {
    let dot = format!(" {} ", style.glyph(Glyph::Dot));
    let targets: BTreeSet<&str> = drift.connections.iter().map(|c| c.address.target()).collect();
    let mut about = vec![count(targets.len(), "target"), count(drift.connections.len(), "connection")];
    about.extend(drift.last_apply.as_deref().map(|at| format!("recorded {}", moment(at))));
    if !head.state.is_empty() {
        about.push(clean(&head.state));
    }
    let first = Line::new(style, 0).put(ink::STRONG, &clean(&head.command)).also_below(ink::DIM, &about.join(dot.as_str()), 2);
    let mut lines = vec![first.end()];
    lines.extend(head.notes.iter().map(|note| style.paint(ink::DIM, &clean(note))));
    lines
}

/// `2026-11-19T16:02:07Z` as people write it; anything else as it is.
fn moment(at: &str) -> String {
    match (at.get(..10), at.get(10..11), at.get(11..16)) {
        (Some(day), Some("T"), Some(time)) if at.ends_with('Z') => clean(&format!("{day} {time} UTC")),
        _ => clean(at),
    }
}

/// One line for each field that others changed and each object that is gone.
fn rows(drift: &Drift, style: &Style) -> Vec<String> {
    let found: Vec<&Checked> =
        drift.connections.iter().filter(|c| matches!(c.finding, Finding::Changed(_) | Finding::Gone { .. })).collect();
    let addresses = found.iter().map(|c| width(&c.address.to_string())).max().unwrap_or(0);
    let paths = found
        .iter()
        .flat_map(|c| match &c.finding {
            Finding::Changed(fields) => fields.as_slice(),
            _ => &[],
        })
        .map(|field| width(&clean(&field.path.to_string())))
        .filter(|w| *w <= WIDEST)
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for checked in found {
        let start = |glyph: Glyph, ink: anstyle::Style| {
            let line = Line::new(style, 2).put(ink, style.glyph(glyph)).put(ink::PLAIN, " ");
            line.put(ink::STRONG, &checked.address.to_string()).until(4 + addresses)
        };
        match &checked.finding {
            Finding::Changed(fields) => {
                for field in fields {
                    let line = start(Glyph::Update, ink::UPDATE).also(ink::PLAIN, &clean(&field.path.to_string()));
                    lines.push(line.until(4 + addresses + 3 + paths).also(ink::DRIFT, &difference(field, style)).end());
                }
            }
            Finding::Gone { read, instead } => {
                let mut text = if *read { "gone (not found by its id)" } else { "gone (no longer listed)" }.to_owned();
                if let Some(id) = instead {
                    text = format!("{text}; another object has its name now: {}", clean(id));
                }
                lines.push(start(Glyph::Delete, ink::REMOVE).also(ink::REMOVE, &text).end());
            }
            Finding::AsApplied | Finding::NotCompared(_) => {}
        }
    }
    lines
}

/// `true → false`, `(secret fp:c30e5d, live mask differs)`
pub(super) fn difference(field: &Drifted, style: &Style) -> String {
    if let Some(how) = &field.secret {
        let what = match how {
            Outside::MaskContradicts | Outside::MaskDiffers => "live mask differs",
            Outside::ValueDiffers => "live value differs",
        };
        return match &field.recorded {
            Side::Secret(Some(fingerprint)) => format!("(secret {}, {what})", fingerprint.short()),
            _ => format!("(secret, {what})"),
        };
    }
    let arrow = style.glyph(Glyph::Arrow);
    // Whole values are for `plan`; here they are cut wherever they are shown.
    let cutting = Style { tty: true, ..style.clone() };
    let cut = |text: &str| fit(text, SHORT, &cutting);
    match (in_words(&field.recorded), in_words(&field.live)) {
        (_, None) => "changed (not shown: it holds secrets)".to_owned(),
        (None, Some(live)) => format!("(applied value not known) {arrow} {}, and the files changed, too", cut(&live)),
        (Some(recorded), Some(live)) => {
            let (old, new) = (cut(&recorded), cut(&live));
            if old == new && recorded != live {
                "changed (--full shows both values)".to_owned()
            } else {
                format!("{old} {arrow} {new}")
            }
        }
    }
}

fn in_words(side: &Side) -> Option<String> {
    match side {
        Side::Value(value) => Some(one_line(value)),
        Side::Absent => Some("(absent)".to_owned()),
        Side::Secret(_) => Some("(secret)".to_owned()),
        Side::Pending(_) | Side::Unread | Side::Hidden => None,
    }
}

/// What cannot be seen, connection by connection.
fn doubts(drift: &Drift, style: &Style) -> Option<Vec<String>> {
    // What was touched by others comes first; an API that never shows anything is no news.
    let is_news = |c: &&Checked| c.doubts.iter().any(|doubt| doubt.why != Some(Unproved::NoEvidence));
    let doubtful: Vec<&Checked> = drift.connections.iter().filter(|c| !c.doubts.is_empty()).collect();
    let (mut ordered, quiet): (Vec<&Checked>, Vec<&Checked>) = doubtful.into_iter().partition(is_news);
    ordered.extend(quiet);
    let rows: Vec<(&Address, String)> = ordered.into_iter().map(|c| (&c.address, doubts_of(c))).collect();
    named("cannot be verified:", &rows, style)
}

pub(super) fn doubts_of(checked: &Checked) -> String {
    let words = |doubt: &Doubt| {
        let why = match &doubt.why {
            Some(why) => clean(&unproved_words(why, doubt.is_secret)),
            None => "the outcome of our last write is unknown".to_owned(),
        };
        let why = why.strip_prefix("cannot verify: ").unwrap_or(&why);
        let secret = if doubt.is_secret { "secret, " } else { "" };
        format!("{} ({secret}{why})", clean(&doubt.path.to_string()))
    };
    let mut all: Vec<String> = checked.doubts.iter().take(FIELDS).map(words).collect();
    let more = checked.doubts.len().saturating_sub(FIELDS);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}

fn not_compared(drift: &Drift, style: &Style) -> Option<Vec<String>> {
    let rows: Vec<(&Address, String)> = drift
        .connections
        .iter()
        .filter_map(|c| match &c.finding {
            Finding::NotCompared(why) => Some((&c.address, (*why).to_owned())),
            _ => None,
        })
        .collect();
    named("not compared:", &rows, style)
}

/// A heading and a line for each of the first connections, or nothing.
fn named(heading: &str, rows: &[(&Address, String)], style: &Style) -> Option<Vec<String>> {
    if rows.is_empty() {
        return None;
    }
    let mut lines = vec![style.paint(ink::STRONG, heading)];
    let shown = &rows[..rows.len().min(NAMED)];
    let column = shown.iter().map(|(address, _)| width(&address.to_string())).max().unwrap_or(0) + 5;
    for (address, text) in shown {
        let line = Line::new(style, 2).put(ink::PLAIN, &address.to_string());
        lines.push(line.until(column).put(ink::DIM, text).end());
    }
    if rows.len() > shown.len() {
        lines.push(format!("  and {} more", rows.len() - shown.len()));
    }
    Some(lines)
}

#[derive(Serialize)]
struct Document<'d> {
    format_version: Json,
    patchbay_version: Json,
    timestamp: &'d str,
    errored: bool,
    refresh: &'static str,
    partial: bool,
    last_apply: Option<&'d str>,
    drifted: Vec<DriftedEntry<'d>>,
    missing: Vec<MissingEntry<'d>>,
    unverifiable: Vec<UnverifiableEntry>,
    not_compared: Vec<NotComparedEntry>,
    summary: DriftSummary,
    diagnostics: Json,
}

#[derive(Serialize)]
struct Place {
    file: String,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct DriftedEntry<'d> {
    address: String,
    kind: &'d str,
    name: &'d str,
    id: &'d str,
    fields: Vec<FieldEntry>,
    source: Option<Place>,
}

/// `recorded` and `live` are there only if they are known and may be shown; null is an absent field.
#[derive(Serialize)]
struct FieldEntry {
    path: String,
    cause: &'static str,
    sensitive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    source: Option<Place>,
}

#[derive(Serialize)]
struct MissingEntry<'d> {
    address: String,
    kind: &'d str,
    name: &'d str,
    id: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<&'d str>,
    source: Option<Place>,
}

#[derive(Serialize)]
struct UnverifiableEntry {
    address: String,
    fields: Vec<DoubtEntry>,
}

#[derive(Serialize)]
struct DoubtEntry {
    path: String,
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

#[derive(Serialize)]
struct NotComparedEntry {
    address: String,
    reason: &'static str,
}

/// The document of `drift --json`.
#[must_use]
pub fn drift_document(drift: &Drift, diagnostics: &[Diagnostic], sources: &Sources, generated_at: &str) -> Json {
    let mut pages = Pages::new(sources);
    // The envelope of every document: versions and diagnostics.
    let mut envelope = json::diagnostics_document(diagnostics, sources, drift.complete);
    let mut part = |name: &str| envelope.get_mut(name).map(Json::take).unwrap_or_default();
    let mut document = Document {
        format_version: part("format_version"),
        patchbay_version: part("patchbay_version"),
        timestamp: generated_at,
        errored: !drift.complete,
        refresh: match drift.refresh {
            Refresh::Full => "full",
            Refresh::Auto => "auto",
            Refresh::None => "none",
        },
        partial: drift.partial,
        last_apply: drift.last_apply.as_deref(),
        drifted: Vec::new(),
        missing: Vec::new(),
        unverifiable: Vec::new(),
        not_compared: Vec::new(),
        summary: drift.summary(),
        diagnostics: part("diagnostics"),
    };
    for checked in &drift.connections {
        let address = checked.address.to_string();
        let (kind, name, id) = (checked.kind.as_str(), checked.name.as_str(), checked.id.as_str());
        match &checked.finding {
            Finding::Changed(fields) => {
                let fields = fields.iter().map(|field| FieldEntry::new(field, &mut pages)).collect();
                let source = place(checked.source, &mut pages);
                document.drifted.push(DriftedEntry { address: address.clone(), kind, name, id, fields, source });
            }
            Finding::Gone { instead, .. } => {
                let source = place(checked.source, &mut pages);
                let instead = instead.as_deref();
                document.missing.push(MissingEntry { address: address.clone(), kind, name, id, instead, source });
            }
            Finding::NotCompared(reason) => {
                document.not_compared.push(NotComparedEntry { address: address.clone(), reason });
            }
            Finding::AsApplied => {}
        }
        if !checked.doubts.is_empty() {
            let fields = checked.doubts.iter().map(DoubtEntry::new).collect();
            document.unverifiable.push(UnverifiableEntry { address, fields });
        }
    }
    serde_json::to_value(&document).unwrap_or_default()
}

fn place(span: Option<Span>, pages: &mut Pages<'_>) -> Option<Place> {
    let place = pages.place(span?)?;
    Some(Place { file: place.file, line: place.line, column: place.column })
}

impl FieldEntry {
    fn new(field: &Drifted, pages: &mut Pages<'_>) -> Self {
        let side = |side: &Side| match side {
            Side::Value(value) => Some(shown(value)),
            Side::Absent => Some(Json::Null),
            Side::Secret(Some(fingerprint)) => Some(Json::String(format!("(secret {})", fingerprint.short()))),
            Side::Secret(None) | Side::Pending(_) | Side::Unread | Side::Hidden => None,
        };
        Self {
            path: field.path.to_string(),
            cause: if field.config_changed { "both" } else { "drift" },
            sensitive: field.secret.is_some(),
            recorded: side(&field.recorded),
            live: side(&field.live),
            why: field.secret.as_ref().map(|how| match how {
                Outside::MaskContradicts => "mask-contradicts",
                Outside::MaskDiffers => "mask-differs",
                Outside::ValueDiffers => "value-differs",
            }),
            source: place(field.span, pages),
        }
    }
}

impl DoubtEntry {
    fn new(doubt: &Doubt) -> Self {
        let (why, at) = match &doubt.why {
            None => ("outcome-unknown", None),
            Some(Unproved::FirstTime) => ("first-time", None),
            Some(Unproved::NeverWritten) => ("never-written", None),
            Some(Unproved::OtherKey) => ("other-key", None),
            Some(Unproved::ModifiedOutside(at)) => ("modified-outside", Some(at.clone())),
            Some(Unproved::NoEvidence) => ("no-evidence", None),
        };
        Self { path: doubt.path.to_string(), why, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{address, head, json, print, text};

    fn checked(at: &str, finding: Finding) -> Checked {
        Checked {
            address: address(at),
            kind: "openai".to_owned(),
            name: "A Name".to_owned(),
            id: "cn-1".to_owned(),
            source: None,
            finding,
            doubts: Vec::new(),
        }
    }

    fn drifted(path: &str, recorded: Side, live: Side, secret: Option<Outside>) -> Drifted {
        Drifted { path: FieldPath::parse(path), recorded, live, secret, config_changed: false, span: None }
    }

    fn drift(connections: Vec<Checked>) -> Drift {
        let last_apply = Some("2026-11-19T16:02:07Z".to_owned());
        Drift { refresh: Refresh::Full, partial: false, complete: true, last_apply, connections }
    }

    fn lines(drift: &Drift) -> Vec<String> {
        let head = Head { command: "patchbay drift".to_owned(), ..head() };
        render(drift, &head, &Style::plain(100)).lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn one_line_for_each_thing_that_others_did() {
        let secret = Side::Secret(Some(print("c30e5d")));
        let lines = lines(&drift(vec![
            checked(
                "kore-prod/groq-llama",
                Finding::Changed(vec![drifted(
                    "llmFeatures.streaming",
                    json(serde_json::json!(true)),
                    json(serde_json::json!(false)),
                    None,
                )]),
            ),
            checked(
                "kore-prod/support-gpt4o",
                Finding::Changed(vec![drifted("fields.API_KEY", secret, Side::Unread, Some(Outside::MaskDiffers))]),
            ),
            checked("gateway/openai", Finding::Gone { read: true, instead: None }),
            checked("gateway/other", Finding::AsApplied),
        ]));
        assert_eq!(
            lines,
            [
                "patchbay drift   2 targets · 4 connections · recorded 2026-11-19 16:02 UTC · patchbay.state",
                "  ~ kore-prod/groq-llama      llmFeatures.streaming   true → false",
                "  ~ kore-prod/support-gpt4o   fields.API_KEY          (secret fp:c30e5d, live mask differs)",
                "  - gateway/openai            gone (not found by its id)",
                "Drift: 2 changed, 1 missing, 1 unchanged.   14 requests, 1.2s",
                "To put it back: patchbay apply · to accept it: change the files",
            ]
        );
    }

    #[test]
    fn what_cannot_be_seen_is_said() {
        let mut silent = checked("gateway/openai", Finding::AsApplied);
        silent.doubts.push(Doubt { path: FieldPath::parse("apiKey"), why: Some(Unproved::NoEvidence), is_secret: true });
        let lines = lines(&drift(vec![silent, checked("gateway/old", Finding::NotCompared("in no file"))]));
        assert_eq!(
            lines[2..],
            [
                "cannot be verified:",
                "  gateway/openai   apiKey (secret, this API shows neither the value nor a modification time)",
                "",
                "not compared:",
                "  gateway/old   in no file",
                "",
                "No drift. 1 connection cannot be verified; 1 was not compared.   14 requests, 1.2s",
            ]
        );
    }

    #[test]
    fn an_incomplete_check_never_says_that_there_is_no_drift() {
        let unknown = Drift { complete: false, ..drift(vec![checked("a/b", Finding::NotCompared("could not be read"))]) };
        let text = lines(&unknown).join("\n");
        assert!(!text.contains("No drift") && text.contains("Not everything could be checked. 1 not compared."), "{text}");
    }

    #[test]
    fn long_values_that_look_alike_when_cut_are_not_shown_as_equal() {
        let long = |middle: &str| text(&format!("{}{middle}{}", "a".repeat(90), "z".repeat(90)));
        let found = drift(vec![checked("a/b", Finding::Changed(vec![drifted("x", long("1"), long("2"), None)]))]);
        assert!(lines(&found)[1].ends_with("changed (--full shows both values)"));
    }
}
