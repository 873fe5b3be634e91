//! A plan as one page that needs nothing but a browser: no server, no network, no other file.
//!
//! The page is three files beside this one and the data. The data is JSON inside of a `script` element of no executable
//! type; every `<` in it is escaped, so that no name or value can end the element.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::diagnostic::Diagnostic;
use crate::plan::model::{Action, Cause, Change, FieldChange, Plan, Side};
use crate::source::Sources;
use crate::view::digest::{Digest, Finding, Level};
use crate::view::pages::Pages;
use crate::view::plan::{Head, note_of, sign_of, words as words_of};
use crate::view::report::Around;
use crate::view::style::Style;
use crate::view::text::{HIDDEN, PENDING, clean, duration, is_unsafe, many_lines, one_line, width};

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Longer values are shown on lines of their own.
const SHORT: usize = 60;

/// The whole page. A run that failed before there was a plan has a page of what was wrong; after an apply the page says
/// how it ended, and why.
#[must_use]
pub fn render(digest: &Digest, around: &Around) -> String {
    let mut page = digest.page.clone().unwrap_or_else(|| without_a_plan(digest, around));
    page["diagnostics"] = serde_json::to_value(problems(digest)).unwrap_or_default();
    if !digest.is_ahead && digest.page.is_some() {
        page["outcome"] = clean(&digest.verdict).into();
        page["requests"] = digest.requests.into();
        page["elapsed"] = duration(digest.elapsed).into();
    }
    let data = page.to_string();
    // Separators of lines and paragraphs are legal in JSON; they are escaped with the control characters.
    let escape = |c: char| match c {
        '<' | '>' | '&' => format!("\\u{:04x}", u32::from(c)),
        c if is_unsafe(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    let data: String = data.chars().map(escape).collect();
    // Each of the pieces is put into its own place, so that no piece is searched for the place of another one.
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    let mut rest = PAGE;
    for (place, piece) in [("/*STYLE*/", STYLE), ("/*DATA*/", data.as_str()), ("/*SCRIPT*/", SCRIPT)] {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(piece);
        rest = after;
    }
    page + rest
}

#[derive(Serialize)]
struct Data<'d> {
    format_version: &'static str,
    command: &'d str,
    patchbay_version: &'static str,
    generated_at: &'d str,
    project: Option<&'d str>,
    state: String,
    requests: u64,
    elapsed: String,
    notes: Vec<String>,
    complete: bool,
    targets: Vec<Target<'d>>,
    changes: Vec<Step>,
    summary: BTreeMap<&'static str, usize>,
}

#[derive(Serialize)]
struct Target<'d> {
    name: &'d str,
    platform: &'d str,
    base_url: String,
}

#[derive(Serialize)]
struct Step {
    address: String,
    target: String,
    key: String,
    kind: String,
    action: &'static str,
    id: Option<String>,
    adopts: bool,
    moved_from: Option<String>,
    request: Option<Request>,
    source: Option<Place>,
    reason: Option<Why>,
    depends_on: Vec<String>,
    unchanged_fields: usize,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Request {
    method: &'static str,
    path: String,
    full: bool,
    resends: Vec<String>,
    may_lose: Vec<String>,
}

#[derive(Serialize)]
struct Place {
    file: String,
    line: usize,
}

#[derive(Serialize)]
struct Why {
    text: String,
    help: String,
}

#[derive(Serialize)]
struct Field {
    path: String,
    sign: &'static str,
    secret: bool,
    words: Option<String>,
    before: Option<String>,
    after: Option<String>,
    note: String,
    drift: bool,
}

#[derive(Serialize)]
struct Problem {
    severity: &'static str,
    code: String,
    title: String,
    summary: String,
    detail: String,
    help: Option<String>,
    url: Option<String>,
    address: Option<String>,
    file: Option<String>,
    line: Option<usize>,
}

/// What the page shows of a plan. `digest` is the same plan's.
#[must_use]
pub fn data(plan: &Plan, found: &[Diagnostic], sources: &Sources, head: &Head, project: &str, at: &str, digest: &Digest) -> Json {
    let mut pages = Pages::new(sources);
    let data = Data {
        format_version: "1.0",
        command: &head.command,
        patchbay_version: env!("CARGO_PKG_VERSION"),
        generated_at: at,
        project: Some(project).filter(|name| !name.is_empty()),
        state: clean(&head.state),
        requests: head.requests,
        elapsed: duration(head.elapsed),
        notes: head.notes.iter().map(|note| clean(note)).collect(),
        complete: !found.iter().any(|d| d.is_error() && !d.code.is_refusal()),
        targets: plan
            .targets
            .iter()
            .map(|t| Target { name: &t.name, platform: &t.platform, base_url: clean(&t.base_url) })
            .collect(),
        changes: plan.changes.iter().map(|change| Step::of(change, &mut pages)).collect(),
        summary: digest.counts.iter().copied().collect(),
    };
    serde_json::to_value(&data).unwrap_or_default()
}

fn without_a_plan(digest: &Digest, around: &Around) -> Json {
    let data = Data {
        format_version: "1.0",
        command: digest.command,
        patchbay_version: env!("CARGO_PKG_VERSION"),
        generated_at: &around.at,
        project: Some(around.project.as_str()).filter(|name| !name.is_empty()),
        state: String::new(),
        requests: digest.requests,
        elapsed: duration(digest.elapsed),
        notes: Vec::new(),
        complete: false,
        targets: Vec::new(),
        changes: Vec::new(),
        summary: ["blocked", "orphan", "unchanged", "unverifiable"].into_iter().map(|word| (word, 0)).collect(),
    };
    serde_json::to_value(&data).unwrap_or_default()
}

fn problems(digest: &Digest) -> Vec<Problem> {
    let problem = |finding: &Finding| Problem {
        severity: if finding.level == Level::Error { "error" } else { "warning" },
        code: finding.code.clone(),
        title: finding.title.clone(),
        summary: finding.message.lines().next().unwrap_or_default().to_owned(),
        detail: finding.message.lines().skip(1).collect::<Vec<_>>().join("\n"),
        help: Some(finding.help.clone()).filter(|help| !help.is_empty()),
        url: finding.url.clone(),
        address: finding.address.clone(),
        file: finding.spot.as_ref().map(|spot| spot.file.clone()),
        line: finding.spot.as_ref().map(|spot| spot.line),
    };
    digest.findings.iter().map(problem).collect()
}

impl Step {
    fn of(change: &Change, pages: &mut Pages<'_>) -> Self {
        let place = change.source.and_then(|span| pages.place(span));
        Self {
            address: change.address.to_string(),
            target: change.address.target().to_owned(),
            key: change.address.key().to_owned(),
            kind: clean(&change.kind),
            action: change.action.word(),
            id: change.id.as_deref().map(clean),
            adopts: change.adopts,
            moved_from: change.moved_from.as_ref().map(ToString::to_string),
            request: change.request.as_ref().map(|request| Request {
                method: request.method.as_str(),
                path: clean(&request.path),
                full: request.full,
                resends: request.resends.iter().map(|path| clean(&path.to_string())).collect(),
                may_lose: request.may_lose.iter().map(|path| clean(&path.to_string())).collect(),
            }),
            source: place.map(|place| Place { file: place.file, line: place.line }),
            reason: change.reason.as_ref().map(|reason| Why { text: by_line(&reason.text), help: by_line(&reason.help) }),
            depends_on: change.depends_on.iter().map(ToString::to_string).collect(),
            unchanged_fields: change.unchanged_fields,
            fields: change.fields.iter().map(|field| Field::of(field, change.action)).collect(),
        }
    }
}

impl Field {
    fn of(field: &FieldChange, action: Action) -> Self {
        let style = Style::plain(100);
        let words = words_of(field, &style);
        let is_shown = words.is_none();
        let pending = matches!(field.after, Side::Pending(_)).then(|| PENDING.to_owned());
        let side = |side: &Side| match side {
            Side::Value(value) => {
                let line = one_line(value);
                let text = if width(&line) > SHORT || value.as_str().is_some_and(|t| t.contains('\n')) {
                    many_lines(value)
                } else {
                    line
                };
                Some(by_line(&text))
            }
            Side::Unread => Some("(not read)".to_owned()),
            Side::Hidden => Some(HIDDEN.to_owned()),
            Side::Absent | Side::Secret(_) | Side::Pending(_) => None,
        };
        let before = side(&field.before).filter(|_| is_shown && action != Action::Create);
        Self {
            path: clean(&field.path.to_string()),
            sign: sign_of(field),
            secret: matches!(field.after, Side::Secret(_)),
            before,
            after: side(&field.after).filter(|_| is_shown),
            words: words.or(pending),
            note: note_of(field),
            drift: action != Action::Create && matches!(field.cause, Cause::Drift | Cause::Both),
        }
    }
}

/// Cleaned line by line.
fn by_line(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}
