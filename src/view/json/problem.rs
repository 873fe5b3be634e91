//! Diagnostics as JSON. Lines and columns count from one, columns in characters; bytes count from zero; ends are
//! exclusive.

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::Span;
use crate::view::diagnostic::url;
use crate::view::pages::{Page, Pages};

/// One diagnostic.
#[derive(Serialize)]
pub(super) struct Problem {
    severity: &'static str,
    code: String,
    title: &'static str,
    summary: String,
    detail: String,
    help: Option<String>,
    url: Option<String>,
    address: Option<String>,
    label: Option<String>,
    range: Option<Range>,
    snippet: Option<Snippet>,
    /// Always empty in this version; there for readers of Terraform's shape.
    suggestions: [&'static str; 0],
    related: Vec<Related>,
}

#[derive(Serialize)]
struct Range {
    filename: String,
    start: Position,
    end: Position,
}

#[derive(Serialize)]
struct Position {
    line: usize,
    column: usize,
    byte: usize,
}

/// The first line of a range as it may be shown; offsets in bytes.
#[derive(Serialize)]
struct Snippet {
    context: Option<&'static str>,
    code: String,
    start_line: usize,
    highlight_start_offset: usize,
    highlight_end_offset: usize,
    values: [&'static str; 0],
}

#[derive(Serialize)]
struct Related {
    message: String,
    range: Range,
}

impl Problem {
    /// The first label is the range, the others are related places.
    pub(super) fn new(diagnostic: &Diagnostic, pages: &mut Pages<'_>) -> Self {
        let first = diagnostic.labels.first();
        let related = diagnostic.labels.iter().skip(1).filter_map(|label| {
            let Label { span, text } = label;
            Some(Related { message: text.clone(), range: range(*span, pages)? })
        });
        let related: Vec<Related> = related.collect();
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: diagnostic.code.id(),
            title: diagnostic.code.title(),
            summary: diagnostic.summary.clone(),
            detail: diagnostic.notes.join("\n"),
            help: diagnostic.help.clone(),
            url: url(diagnostic.code),
            address: diagnostic.address.as_ref().map(ToString::to_string),
            label: first.map(|label| label.text.clone()),
            range: first.and_then(|label| range(label.span, pages)),
            snippet: first.and_then(|label| pages.page(label.span.file).map(|page| snippet(label.span, &page))),
            suggestions: [],
            related,
        }
    }
}

fn range(span: Span, pages: &mut Pages<'_>) -> Option<Range> {
    let page = pages.page(span.file)?;
    let position = |byte: u32| {
        let (line, column) = pages.position(&page, span.file, byte as usize);
        Position { line, column, byte: byte as usize }
    };
    Some(Range { filename: page.name().to_owned(), start: position(span.start), end: position(span.end) })
}

fn snippet(span: Span, page: &Page) -> Snippet {
    let line = page.line_at(span.start as usize);
    let (begin, code) = page.line(line);
    let offset = |byte: u32| (byte as usize).saturating_sub(begin).min(code.len());
    Snippet {
        context: None,
        code: code.to_owned(),
        start_line: line + 1,
        highlight_start_offset: offset(span.start),
        highlight_end_offset: offset(span.end),
        values: [],
    }
}
