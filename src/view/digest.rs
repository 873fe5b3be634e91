//! What a run has to say, in the one shape that all reports are written from: connections, findings, numbers.
//!
//! A report format knows its readers' grammar and nothing of plans, drift or outcomes; a command knows what it found and
//! nothing of formats. This stands between them. Everything in it is text that may be shown: secrets are words, control
//! characters are gone.

use std::time::Duration;

use serde_json::Value as Json;

use super::drift::{Drift, Finding as DriftFinding};
use super::pages::Pages;
use super::style::Style;
use super::test::{Outcome as TestOutcome, Report as TestReport};
use super::text::{clean, count, counts};
use super::{apply, drift, plan};
use crate::config::desired::Connection;
use crate::diagnostic::{Diagnostic, Severity, has_errors};
use crate::engine::event::{Ending, Outcome};
use crate::plan::model::{Action, Change, Plan};
use crate::source::{FileId, Sources, Span};

/// What a run has to say.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// The command: `plan`, `drift`, `validate`, …
    pub command: &'static str,
    /// Does it tell what is going to happen? Otherwise what happened.
    pub is_ahead: bool,
    /// The verdict in a few words, as a heading: `1 to create, 2 to update`.
    pub verdict: String,
    /// Every connection that the run is about, in its order.
    pub items: Vec<Item>,
    /// What is wrong, or was found: errors first.
    pub findings: Vec<Finding>,
    /// How many connections came out how, in a fixed order, zeros included.
    pub counts: Vec<(&'static str, usize)>,
    /// Did the run end before there was anything to count?
    pub is_failed: bool,
    /// What the state is called; empty where there is none.
    pub state: String,
    /// Requests sent.
    pub requests: u64,
    /// Time that it took.
    pub elapsed: Duration,
    /// The document that `--json` prints.
    pub document: Json,
    /// The plan as the HTML page shows it, where there is a plan.
    pub page: Option<Json>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `target/key`
    pub address: String,
    /// The target.
    pub target: String,
    /// The key.
    pub key: String,
    /// Its kind.
    pub kind: String,
    /// What becomes or became of it: `create`, `blocked`, `drifted`, `failed`, …
    pub word: &'static str,
    /// The sign before the word, in ASCII: `+`, `!`, `-`, `*`, `x`, `=`, `?`.
    pub sign: &'static str,
    /// What of it, in a line; may be empty.
    pub gist: String,
    /// Everything about it, a line each, with `+`, `-` or `!` in the first column where something changes.
    pub detail: Vec<String>,
    /// How a test report counts it.
    pub standing: Standing,
    /// Did others change something about it?
    pub has_drifted: bool,
    /// How long its change took; zero where nothing was changed.
    pub took: Duration,
    /// Where it is declared.
    pub spot: Option<Spot>,
}

/// How a test report counts a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be, or on its way there.
    Fine,
    /// Not as it should be.
    Failed {
        /// A stable word: `drift`, `PB0401`.
        kind: String,
        /// In a sentence.
        message: String,
    },
    /// It could not be looked at, or nobody knows how it ended.
    Broken {
        /// A stable word.
        kind: String,
        /// In a sentence.
        message: String,
    },
    /// Not looked at; the text says why.
    Skipped(String),
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It forbids something, or it is what the run looks for.
    Error,
    /// The run goes on.
    Warning,
    /// For information.
    Note,
}

/// Something at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// `PB0103`, or `drift`.
    pub code: String,
    /// What the code stands for.
    pub title: String,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// Which connection.
    pub address: Option<String>,
    /// Which field of it.
    pub path: Option<String>,
    /// Where.
    pub spot: Option<Spot>,
    /// The page that explains the code.
    pub url: Option<String>,
}

/// A range in a file: lines and columns from one, columns in characters, the end exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file, relative to the project.
    pub file: String,
    /// First line.
    pub line: usize,
    /// First column.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// One past the last column.
    pub end_column: usize,
}

/// What stands around a run, for all digests alike.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// What the state is called.
    pub state: String,
    /// Requests sent.
    pub requests: u64,
    /// Time that it took.
    pub elapsed: Duration,
}

impl Frame {
    fn digest(self, command: &'static str, document: Json) -> Digest {
        let Self { state, requests, elapsed } = self;
        Digest { command, state: clean(&state), requests, elapsed, document, ..Digest::default() }
    }
}

impl Digest {
    /// Of a plan. `document` is what `--json` prints.
    #[must_use]
    pub fn of_plan(
        command: &'static str,
        plan: &Plan,
        found: &[Diagnostic],
        sources: &Sources,
        frame: Frame,
        document: Json,
    ) -> Self {
        let mut pages = Pages::new(sources);
        let mut digest = Self { is_ahead: true, ..frame.digest(command, document) };
        let summary = plan.summary();
        digest.counts = vec![
            ("create", summary.create),
            ("update", summary.update),
            ("rotate", summary.rotate),
            ("replace", summary.replace),
            ("delete", summary.delete),
            ("adopt", summary.adopt),
            ("move", summary.moved),
            ("forget", summary.forget),
            ("orphan", summary.orphan),
            ("blocked", summary.blocked),
            ("unverifiable", summary.unverifiable),
            ("unchanged", summary.unchanged.saturating_sub(summary.unverifiable)),
        ];
        let has_errors = found.iter().any(|d| d.is_error() && !plan_knows(plan, d));
        digest.is_failed = has_errors;
        digest.verdict = if has_errors {
            "no plan could be made".to_owned()
        } else {
            some(&digest.counts[..10]).unwrap_or_else(|| "no changes".to_owned())
        };
        digest.items = plan.changes.iter().map(|change| Item::planned(change, found, &mut pages)).collect();
        digest.findings = findings(found, &mut pages);
        digest
    }

    /// Of what others changed.
    #[must_use]
    pub fn of_drift(drift: &Drift, found: &[Diagnostic], sources: &Sources, frame: Frame, document: Json) -> Self {
        let mut pages = Pages::new(sources);
        let mut digest = Self { is_ahead: true, ..frame.digest("drift", document) };
        let summary = drift.summary();
        digest.counts = vec![
            ("drifted", summary.drifted),
            ("missing", summary.missing),
            ("not_compared", summary.not_compared),
            ("unverifiable", summary.unverifiable),
            ("unchanged", summary.unchanged),
        ];
        digest.is_failed = !drift.is_drift() && !drift.complete;
        digest.verdict = match some(&digest.counts[..2]) {
            Some(numbers) => numbers,
            None if drift.complete => "no drift".to_owned(),
            None => "not everything could be checked".to_owned(),
        };
        for checked in &drift.connections {
            let mut item = Item::new(&checked.address, &checked.kind);
            item.spot = checked.source.and_then(|span| spot(span, &mut pages));
            let finding = |message: String, path: Option<String>, at: Option<Span>, pages: &mut Pages<'_>| Finding {
                level: Level::Error,
                code: "drift".to_owned(),
                title: format!("drift {}", checked.address),
                message,
                help: "to put it back: patchbay apply; to accept it: change the files".to_owned(),
                address: Some(checked.address.to_string()),
                path,
                spot: at.and_then(|span| spot(span, pages)),
                url: None,
            };
            match &checked.finding {
                DriftFinding::Changed(fields) => {
                    (item.word, item.sign, item.has_drifted) = ("drifted", "!", true);
                    let paths: Vec<String> = fields.iter().map(|field| clean(&field.path.to_string())).collect();
                    item.gist = paths.join(", ");
                    for (field, path) in fields.iter().zip(paths) {
                        let text = drift::difference(field, &plain());
                        item.detail.push(format!("! {path}  {text}"));
                        let message = format!("{} {path}: {text}", checked.address);
                        digest.findings.push(finding(message, Some(path), field.span.or(checked.source), &mut pages));
                    }
                    item.standing = failed("drift", item.detail.iter().map(|line| &line[2..]).collect::<Vec<_>>().join("; "));
                }
                DriftFinding::Gone { .. } => {
                    (item.word, item.sign, item.gist) = ("missing", "-", "deleted outside patchbay".to_owned());
                    item.has_drifted = true;
                    item.standing = failed("missing", item.gist.clone());
                    let message = format!("{} is {}", checked.address, item.gist);
                    digest.findings.push(finding(message, None, checked.source, &mut pages));
                }
                DriftFinding::NotCompared(why) => {
                    (item.word, item.sign, item.gist) = ("not-compared", "?", (*why).to_owned());
                    item.standing = Standing::Skipped((*why).to_owned());
                }
                DriftFinding::AsApplied if checked.doubts.is_empty() => {}
                DriftFinding::AsApplied => {
                    (item.word, item.sign, item.gist) = ("unverifiable", "?", drift::doubts_of(checked));
                }
            }
            digest.items.push(item);
        }
        digest.findings.extend(findings(found, &mut pages));
        digest.findings.sort_by_key(|finding| finding.level);
        digest
    }

    /// Of an apply or a destroy that was run.
    #[must_use]
    pub fn of_outcome(
        command: &'static str,
        outcome: &Outcome,
        plan: &Plan,
        found: &[Diagnostic],
        sources: &Sources,
        frame: Frame,
        document: Json,
    ) -> Self {
        let mut pages = Pages::new(sources);
        let mut digest = frame.digest(command, document);
        let mut all: Vec<Diagnostic> = found.to_vec();
        let (mut done, mut failures, mut unknown, mut skipped) = (0, 0, 0, 0);
        let planned = plan.by_address();
        for (address, action, ending) in &outcome.endings {
            let mut item = match planned.get(address).copied() {
                Some(change) => Item::planned(change, &[], &mut pages),
                None => Item::new(address, ""),
            };
            item.took = outcome.took.get(address).copied().unwrap_or_default();
            match ending {
                Ending::Done { warnings, .. } => {
                    done += 1;
                    item.gist = apply::done_word(*action).to_owned();
                    item.standing = Standing::Fine;
                    all.extend(warnings.iter().cloned());
                }
                Ending::Failed(why) => {
                    failures += 1;
                    (item.word, item.sign, item.gist) = ("failed", "x", brief(why));
                    item.standing = failed(&why.code.id(), told(why));
                    all.push(why.clone());
                }
                Ending::Unknown(why) => {
                    unknown += 1;
                    (item.word, item.sign, item.gist) = ("unknown", "?", brief(why));
                    item.standing = Standing::Broken { kind: why.code.id(), message: told(why) };
                    all.push(why.clone());
                }
                Ending::Skipped(why) => {
                    skipped += 1;
                    (item.word, item.sign, item.gist) = ("skipped", "?", clean(why));
                    item.standing = Standing::Skipped(clean(why));
                }
            }
            digest.items.push(item);
        }
        all.extend(outcome.diagnostics.iter().filter(|d| !found.contains(d)).cloned());
        let summary = plan.summary();
        digest.counts = vec![
            ("done", done),
            ("failed", failures),
            ("unknown", unknown),
            ("skipped", skipped),
            ("blocked", summary.blocked),
            ("orphan", summary.orphan),
        ];
        digest.verdict = some(&digest.counts).unwrap_or_else(|| "nothing to do".to_owned());
        // By what was done, besides: these are parts of `done`.
        for action in [Action::Create, Action::Update, Action::Rotate, Action::Replace, Action::Delete, Action::Adopt] {
            let is_done = |(_, did, ending): &&(_, Action, Ending)| *did == action && ending.is_done();
            digest.counts.push((action.word(), outcome.endings.iter().filter(is_done).count()));
        }
        digest.findings = findings(&all, &mut pages);
        digest
    }

    /// Of the APIs' own tests.
    #[must_use]
    pub fn of_tests(report: &TestReport, found: &[Diagnostic], sources: &Sources, frame: Frame, document: Json) -> Self {
        let mut pages = Pages::new(sources);
        let mut digest = frame.digest("test", document);
        let (mut passed, mut failures, mut unknown, mut untested) = (0, 0, 0, 0);
        for tested in &report.connections {
            let mut item = Item::new(&tested.address, &tested.kind);
            let said = |message: &Option<String>| message.as_deref().map(clean).unwrap_or_default();
            match &tested.outcome {
                TestOutcome::Passed { message, .. } => {
                    passed += 1;
                    (item.word, item.gist) = ("passed", said(message));
                }
                TestOutcome::Failed { message, .. } => {
                    failures += 1;
                    (item.word, item.sign, item.gist) = ("failed", "x", said(message));
                    item.standing = failed("test", item.gist.clone());
                    digest.findings.push(Finding {
                        level: Level::Error,
                        code: "test".to_owned(),
                        title: format!("test {}", tested.address),
                        message: format!("the API's own test of {} failed: {}", tested.address, item.gist),
                        help: String::new(),
                        address: Some(tested.address.to_string()),
                        path: None,
                        spot: None,
                        url: None,
                    });
                }
                TestOutcome::NoTest | TestOutcome::NotThere => {
                    untested += 1;
                    let no_test = matches!(tested.outcome, TestOutcome::NoTest);
                    let why = if no_test { "the API has no test for this kind" } else { "there is no such object yet" };
                    (item.word, item.sign, item.gist) = ("not-tested", "?", why.to_owned());
                    item.standing = Standing::Skipped(why.to_owned());
                }
                TestOutcome::Unknown(why) => {
                    unknown += 1;
                    (item.word, item.sign, item.gist) = ("unknown", "?", brief(why));
                    item.standing = Standing::Broken { kind: why.code.id(), message: told(why) };
                }
            }
            digest.items.push(item);
        }
        digest.counts = vec![("passed", passed), ("failed", failures), ("unknown", unknown), ("not_tested", untested)];
        digest.verdict = some(&digest.counts).unwrap_or_else(|| "nothing to test".to_owned());
        digest.findings.extend(findings(found, &mut pages));
        digest
    }

    /// Of the files alone: what is declared and what is wrong with it. Also what is left of a run that could not begin.
    #[must_use]
    pub fn of_files(
        command: &'static str,
        declared: &[Connection],
        found: &[Diagnostic],
        sources: &Sources,
        document: Json,
    ) -> Self {
        let mut pages = Pages::new(sources);
        let mut digest = Frame::default().digest(command, document);
        digest.is_failed = has_errors(found);
        let found = &attributed(found, declared);
        digest.findings = findings(found, &mut pages);
        for connection in declared {
            let mut item = Item::new(&connection.address, &connection.kind);
            item.spot = spot(connection.source, &mut pages);
            if let Some(why) = found.iter().find(|d| d.is_error() && d.address.as_ref() == Some(&connection.address)) {
                (item.word, item.sign, item.gist) = ("invalid", "x", brief(why));
                item.standing = failed(&why.code.id(), clean(&why.summary));
                let own = digest.findings.iter().filter(|f| f.address.as_deref() == Some(item.address.as_str()));
                item.detail = own.map(|f| format!("- {} {}", f.code, f.message.lines().next().unwrap_or_default())).collect();
            } else {
                item.word = "valid";
            }
            digest.items.push(item);
        }
        let errors = found.iter().filter(|d| d.is_error()).count();
        digest.counts = vec![("errors", errors), ("warnings", found.len() - errors)];
        let parts: Vec<String> = [(errors, "error"), (found.len() - errors, "warning")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| count(n, what))
            .collect();
        digest.verdict =
            if parts.is_empty() { format!("{} valid", count(declared.len(), "connection")) } else { parts.join(", ") };
        digest
    }

    /// The number behind a word; 0 if this digest does not count it.
    #[must_use]
    pub fn number(&self, word: &str) -> usize {
        self.counts.iter().find(|(name, _)| *name == word).map_or(0, |(_, n)| *n)
    }
}

impl Item {
    fn new(address: &crate::address::Address, kind: &str) -> Self {
        Self {
            address: address.to_string(),
            target: address.target().to_owned(),
            key: address.key().to_owned(),
            kind: clean(kind),
            word: "unchanged",
            sign: "=",
            gist: String::new(),
            detail: Vec::new(),
            standing: Standing::Fine,
            has_drifted: false,
            took: Duration::ZERO,
            spot: None,
        }
    }

    fn planned(change: &Change, found: &[Diagnostic], pages: &mut Pages<'_>) -> Self {
        let mut item = Self::new(&change.address, &change.kind);
        item.word = change.action.word();
        item.sign = match change.action {
            Action::Create => "+",
            Action::Update | Action::Replace => "!",
            Action::Rotate => "*",
            Action::Delete => "-",
            Action::Adopt | Action::Move => ">",
            Action::Blocked => "x",
            Action::Orphan => "?",
            Action::Forget | Action::Unchanged => "=",
        };
        item.has_drifted = change.has_drifted();
        item.spot = change.source.and_then(|span| spot(span, pages));
        item.gist = plan::gist(change, &plain());
        item.detail = plan::detail(change, &plain());
        item.standing = match (change.action, &change.reason) {
            (Action::Blocked, reason) => {
                let why = found.iter().find(|d| d.address.as_ref() == Some(&change.address));
                let kind = why.map_or_else(|| "blocked".to_owned(), |d| d.code.id());
                failed(&kind, reason.as_ref().map(|reason| clean(&reason.text)).unwrap_or_default())
            }
            (Action::Orphan, reason) => Standing::Skipped(reason.as_ref().map(|r| clean(&r.text)).unwrap_or_default()),
            _ => Standing::Fine,
        };
        item
    }
}

/// The same diagnostics with the connections that they are about: what is said of a place is said of the connection that
/// is declared above it.
fn attributed(found: &[Diagnostic], declared: &[Connection]) -> Vec<Diagnostic> {
    let mut starts: Vec<(FileId, u32, &Connection)> = declared.iter().map(|c| (c.source.file, c.source.start, c)).collect();
    starts.sort_by_key(|(file, start, _)| (*file, *start));
    let above = |span: Span| {
        let n = starts.partition_point(|(file, start, _)| (*file, *start) <= (span.file, span.start));
        let (file, _, connection) = starts.get(n.checked_sub(1)?)?;
        (*file == span.file).then(|| connection.address.clone())
    };
    let address = |d: &Diagnostic| d.address.clone().or_else(|| above(d.labels.first()?.span));
    found.iter().map(|d| Diagnostic { address: address(d), ..d.clone() }).collect()
}

/// Does a blocked connection of the plan speak for this diagnostic?
fn plan_knows(plan: &Plan, diagnostic: &Diagnostic) -> bool {
    let blocked = |c: &&Change| c.action == Action::Blocked;
    diagnostic.code.is_refusal() || plan.changes.iter().filter(blocked).any(|c| diagnostic.address.as_ref() == Some(&c.address))
}

fn plain() -> Style {
    Style::plain(100)
}

fn failed(kind: &str, message: String) -> Standing {
    Standing::Failed { kind: kind.to_owned(), message }
}

fn brief(diagnostic: &Diagnostic) -> String {
    format!("{} {}", diagnostic.code.id(), clean(&diagnostic.summary))
}

/// What happened, with what the API said about it.
fn told(diagnostic: &Diagnostic) -> String {
    let notes = diagnostic.notes.iter().map(|note| clean(note));
    std::iter::once(clean(&diagnostic.summary)).chain(notes).collect::<Vec<_>>().join("; ")
}

/// `1 create, 2 update`; `None` if there is none of them.
fn some(numbers: &[(&'static str, usize)]) -> Option<String> {
    let all: Vec<(usize, &str)> = numbers.iter().map(|(word, n)| (*n, *word)).collect();
    Some(counts(&all)).filter(|text| !text.is_empty())
}

fn findings(found: &[Diagnostic], pages: &mut Pages<'_>) -> Vec<Finding> {
    let mut all: Vec<Finding> = found.iter().map(|diagnostic| of_diagnostic(diagnostic, pages)).collect();
    all.sort_by_key(|finding| finding.level);
    all
}

fn of_diagnostic(diagnostic: &Diagnostic, pages: &mut Pages<'_>) -> Finding {
    let first = diagnostic.labels.first();
    let mut message = clean(&diagnostic.summary);
    // A label that says `here` belongs to the drawing; a report has its own place for where.
    let points = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "here");
    if let Some(text) = first.map(|label| clean(&label.text)).filter(|text| !text.is_empty() && !points(text)) {
        message = format!("{message}: {text}");
    }
    // Lists of findings show no more than this.
    if let Some(address) = diagnostic.address.as_ref().map(ToString::to_string).filter(|address| !message.contains(address)) {
        message = format!("{address}: {message}");
    }
    for note in &diagnostic.notes {
        message = format!("{message}\n{}", clean(note));
    }
    Finding {
        level: match diagnostic.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        },
        code: diagnostic.code.id(),
        title: diagnostic.code.title().to_owned(),
        message,
        help: diagnostic.help.as_deref().map(|help| help.lines().map(clean).collect::<Vec<_>>().join("\n")).unwrap_or_default(),
        address: diagnostic.address.as_ref().map(ToString::to_string),
        path: None,
        spot: first.and_then(|label| spot(label.span, pages)),
        url: super::diagnostic::url(diagnostic.code),
    }
}

/// Where a span is; of one that goes over several lines, its first line.
fn spot(span: Span, pages: &mut Pages<'_>) -> Option<Spot> {
    let page = pages.page(span.file)?;
    let (line, column) = pages.position(&page, span.file, span.start as usize);
    let (end_line, end_column) = pages.position(&page, span.file, span.end as usize);
    let (end_line, end_column) =
        if end_line == line { (line, end_column.max(column + 1)) } else { (line, page.line(line - 1).1.chars().count() + 1) };
    Some(Spot { file: page.name().to_owned(), line, column, end_line, end_column: end_column.max(column) })
}
