//! What a probe of a platform found, for people, for programs, and for the file that is kept beside the definition.

use serde::Serialize;
use serde_json::Value as Json;

use super::json;
use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, count, counts, wrap};
use crate::diagnostic::{Diagnostic, has_errors};
use crate::plan::survey::{Finding, Verdict};
use crate::source::Sources;

/// One probe.
#[derive(Debug)]
pub struct Probed {
    /// The connection that the object was like.
    pub address: String,
    /// The platform's name.
    pub platform: String,
    /// The kind.
    pub kind: String,
    /// Where the API is: host and port, nothing else of the URL.
    pub host: String,
    /// When.
    pub at: String,
    /// The name of the object that was made.
    pub object: String,
    /// The ids of what was made and is there still.
    pub left: Vec<String>,
    /// Why not everything was asked, in a few words.
    pub halted: Option<&'static str>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Probed {
    fn number(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// The findings for people.
#[must_use]
pub fn render(probed: &Probed, style: &Style) -> String {
    let about = format!("{} at {} {} {}", probed.kind, probed.host, style.glyph(Glyph::Dot), probed.at);
    let head = Line::new(style, 0).put(ink::STRONG, &clean(&probed.platform)).also(ink::DIM, &clean(&about)).end();
    let mut lines = vec![head, String::new()];
    let mut last = None;
    for finding in &probed.findings {
        let head = (finding.verdict, finding.question.as_str());
        lines.extend(block(finding, last != Some(head), style));
        last = Some(head);
    }
    let found = counts(&[
        (probed.number(Verdict::Contradicts), "against the definition"),
        (probed.number(Verdict::CannotTell), "cannot be told"),
        (probed.number(Verdict::Noted), "noted"),
    ]);
    let agreed = format!("{} as the definition says", count(probed.number(Verdict::Agrees), "answer"));
    let end = if found.is_empty() { agreed } else { format!("{agreed}, {found}") };
    lines.push(String::new());
    lines.push(style.paint(ink::STRONG, &format!("{end}.")));
    if let Some(why) = probed.halted {
        lines.push(style.paint(ink::UPDATE, &format!("Not everything was asked: {why}.")));
    }
    let made = match probed.left.as_slice() {
        [] => "Everything that was made is deleted again.".to_owned(),
        left => format!("Still there: {}.", left.iter().map(|id| format!("`{}`", clean(id))).collect::<Vec<_>>().join(", ")),
    };
    lines.extend(wrap(&made, style.prose()));
    format!("{}\n", lines.join("\n"))
}

/// One finding; without its question if that stands above it already.
fn block(finding: &Finding, is_first: bool, style: &Style) -> Vec<String> {
    const INDENT: usize = 5;
    let (glyph, colour) = match finding.verdict {
        Verdict::Agrees => (Glyph::Done, ink::CREATE),
        Verdict::Contradicts => (Glyph::Blocked, ink::REMOVE),
        Verdict::CannotTell => (Glyph::Unknown, ink::DIM),
        Verdict::Noted => (Glyph::Dot, ink::DRIFT),
    };
    let room = style.prose().saturating_sub(INDENT);
    let mut lines = Vec::new();
    let question = if is_first { wrap(&finding.question, room) } else { Vec::new() };
    for (n, part) in question.iter().enumerate() {
        let lead = if n == 0 { style.glyph(glyph) } else { "" };
        lines.push(Line::new(style, 2).put(colour, lead).until(INDENT).put(ink::PLAIN, part).end());
    }
    let mut put = |ink: anstyle::Style, text: &str| {
        for part in wrap(text, room.saturating_sub(2)) {
            lines.push(Line::new(style, INDENT + 2).put(ink, &part).end());
        }
    };
    let answer = match finding.verdict {
        Verdict::Contradicts => colour,
        _ => ink::DIM,
    };
    put(answer, &finding.answer);
    if finding.verdict == Verdict::Contradicts {
        put(ink::DIM, &format!("against {}", finding.at));
    }
    lines
}

#[derive(Serialize)]
struct Content<'d> {
    address: &'d str,
    platform: &'d str,
    kind: &'d str,
    host: &'d str,
    at: &'d str,
    object: &'d str,
    left: &'d [String],
    complete: bool,
    findings: Vec<Entry<'d>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Entry<'d> {
    topic: &'static str,
    question: &'d str,
    answer: &'d str,
    verdict: &'static str,
    at: &'d str,
    help: Option<&'d str>,
}

#[derive(Serialize)]
struct Summary {
    agrees: usize,
    contradicts: usize,
    cannot_tell: usize,
    noted: usize,
}

impl<'d> From<&'d Finding> for Entry<'d> {
    fn from(finding: &'d Finding) -> Self {
        Self {
            topic: finding.topic,
            question: &finding.question,
            answer: &finding.answer,
            verdict: finding.verdict.word(),
            at: &finding.at,
            help: finding.help.as_deref(),
        }
    }
}

fn content(probed: &Probed) -> Content<'_> {
    Content {
        address: &probed.address,
        platform: &probed.platform,
        kind: &probed.kind,
        host: &probed.host,
        at: &probed.at,
        object: &probed.object,
        left: &probed.left,
        complete: probed.halted.is_none(),
        findings: probed.findings.iter().map(Entry::from).collect(),
        summary: Summary {
            agrees: probed.number(Verdict::Agrees),
            contradicts: probed.number(Verdict::Contradicts),
            cannot_tell: probed.number(Verdict::CannotTell),
            noted: probed.number(Verdict::Noted),
        },
    }
}

/// The document of `platform probe --json`.
#[must_use]
pub fn document(probed: &Probed, found: &[Diagnostic], sources: &Sources) -> Json {
    let mut document = json::document(&content(probed), found, sources);
    if let Json::Object(members) = &mut document {
        members.insert("errored".to_owned(), (has_errors(found) || probed.halted.is_some()).into());
    }
    document
}

/// The findings as a document to be kept: what was seen, where and when.
#[must_use]
pub fn record(probed: &Probed) -> Json {
    let mut record = serde_json::to_value(content(probed)).unwrap_or_default();
    // What is needed to act on a finding now; later, the definition says what came of it.
    if let Some(findings) = record.get_mut("findings").and_then(Json::as_array_mut) {
        findings.iter_mut().filter_map(Json::as_object_mut).for_each(|finding| drop(finding.remove("help")));
    }
    record
}
