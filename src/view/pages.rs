//! Source texts prepared for showing, once per rendering: secrets starred out, control characters replaced, lines
//! indexed.
//!
//! [`Sources::place`] counts lines from the top of the file; with ten thousand changes in a file of five megabytes that
//! is minutes, with an index it is nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::text::{clean, is_unsafe};
use crate::source::{FileId, Place, Sources, Span};

/// The pages of a rendering.
pub(super) struct Pages<'s> {
    sources: &'s Sources,
    pages: BTreeMap<FileId, Option<Arc<Page>>>,
}

/// One file as it may be shown. Bytes are where they are in the file, so spans fit.
#[derive(Debug)]
pub(super) struct Page {
    name: String,
    text: String,
    /// Where the lines begin; never empty.
    starts: Vec<usize>,
}

impl<'s> Pages<'s> {
    /// None is prepared before it is needed.
    pub(super) fn new(sources: &'s Sources) -> Self {
        Self { sources, pages: BTreeMap::new() }
    }

    /// The page of a file.
    pub(super) fn page(&mut self, file: FileId) -> Option<Arc<Page>> {
        let sources = self.sources;
        self.pages
            .entry(file)
            .or_insert_with(|| {
                let name = clean(&sources.file(file)?.name);
                Some(Arc::new(Page::new(name, &sources.shown(file))))
            })
            .clone()
    }

    /// Line and column of a span's start, as [`Sources::place`] says.
    pub(super) fn place(&mut self, span: Span) -> Option<Place> {
        let page = self.page(span.file)?;
        let (line, column) = self.position(&page, span.file, span.start as usize);
        Some(Place { file: page.name.clone(), line, column })
    }

    /// `file:line` of a span, for margins.
    pub(super) fn file_line(&mut self, span: Span) -> Option<String> {
        self.place(span).map(|place| format!("{}:{}", place.file, place.line))
    }

    /// Line and column of a byte, from 1. Columns are counted in the text as it was written: stars for a secret of
    /// several bytes a character would shift what follows.
    pub(super) fn position(&self, page: &Page, file: FileId, byte: usize) -> (usize, usize) {
        let line = page.line_at(byte);
        let start = page.starts[line];
        let text = self.sources.file(file).map_or("", |f| &*f.text);
        let before = text.get(start..byte.clamp(start, text.len().max(start)));
        (line + 1, before.map_or(0, |b| b.chars().count()) + 1)
    }
}

impl Page {
    fn new(name: String, shown: &str) -> Self {
        let text = tame(shown);
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1).filter(|start| *start < text.len()));
        Self { name, text, starts }
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Is there nothing to show?
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The line, from 0, that a byte is on.
    pub(super) fn line_at(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// The bytes of a line, its end included.
    fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.starts.get(line).copied().unwrap_or(self.text.len());
        start..self.starts.get(line + 1).copied().unwrap_or(self.text.len())
    }

    /// Where a line begins, and its text without its end.
    pub(super) fn line(&self, line: usize) -> (usize, &str) {
        let range = self.line_range(line);
        (range.start, self.text.get(range).unwrap_or_default().trim_end_matches(['\n', '\r']))
    }

    /// What of a span can be drawn: inside the text, and of a long span its first line only.
    pub(super) fn drawable(&self, span: Span) -> Range<usize> {
        /// Longer spans would push what is said about them off the screen.
        const LINES: usize = 4;
        let last = self.text.trim_end_matches(['\n', '\r']).len();
        let start = (span.start as usize).min(last);
        let end = (span.end as usize).clamp(start, last.max(start));
        let first_line = self.line_at(start);
        if self.line_at(end) >= first_line + LINES {
            let (begin, text) = self.line(first_line);
            return start..(begin + text.len()).max(start);
        }
        start..end
    }
}

impl SourceCode for Page {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let start = span.offset().min(self.text.len());
        let end = (span.offset() + span.len()).clamp(start, self.text.len());
        let first = self.line_at(start).saturating_sub(context_lines_before);
        let last = (self.line_at(end.saturating_sub(1).max(start)) + context_lines_after).min(self.starts.len() - 1);
        // Without context, miette asks for the place of the span itself.
        let from = if context_lines_before == 0 { start } else { self.starts[first] };
        let to = self.line_range(last).end.max(from);
        let column = self.text.get(self.starts[first]..from).map_or(0, |before| before.chars().count());
        let data = self.text.as_bytes().get(from..to).unwrap_or_default();
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            data,
            SourceSpan::from((from, to - from)),
            first,
            column,
            last - first + 1,
        );
        Ok(Box::new(contents))
    }
}

/// Replaces what could drive a terminal by something of the same length in bytes.
fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        tamed.push(match c {
            '\n' | '\t' => c,
            '\r' if chars.peek() == Some(&'\n') => c,
            c if is_unsafe(c) => match c.len_utf8() {
                1 => '?',
                2 => '\u{bf}',
                _ => '\u{fffd}',
            },
            c => c,
        });
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_sources() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "é: 1\nkey: välue\n\nlast");
        let mut pages = Pages::new(&sources);
        for start in 0..=22 {
            let span = file.span(start, start);
            // Inside of a character there is no place.
            if let Some(place) = sources.place(span) {
                assert_eq!(pages.place(span), Some(place), "{start}");
            }
        }
        assert_eq!(pages.file_line(file.span(11, 12)).as_deref(), Some("a.yaml:2"));
    }

    #[test]
    fn an_unknown_file_has_no_place() {
        let mut other = Sources::default();
        other.add("a", "");
        let stranger = other.add("b", "");
        let sources = Sources::default();
        assert_eq!(Pages::new(&sources).place(stranger.span(0, 0)), None);
    }

    #[test]
    fn pages_hide_secrets_and_keep_bytes_in_place() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "k: hunter22\nx: \u{1b}[2J\u{9b}\u{202e}é\r\nend");
        sources.hide(file.span(3, 11));
        let page = Pages::new(&sources).page(file).unwrap();
        assert_eq!(page.line(0), (0, "k: ********"));
        assert_eq!(page.line(1), (12, "x: ?[2J\u{bf}\u{fffd}é"));
        assert_eq!(page.line(2).1, "end");
        assert_eq!(page.text.len(), sources.file(file).unwrap().text.len());
    }

    #[test]
    fn windows_have_the_right_line_numbers() {
        let page = Page::new("f".into(), "one\ntwo\nthree\nfour\n");
        let around = page.read_span(&SourceSpan::from((8, 5)), 1, 1).unwrap();
        assert_eq!(
            (around.data(), around.line(), around.column(), around.line_count()),
            ("two\nthree\nfour\n".as_bytes(), 1, 0, 3)
        );
        let here = page.read_span(&SourceSpan::from((10, 2)), 0, 0).unwrap();
        assert_eq!((here.data(), here.line(), here.column()), ("ree\n".as_bytes(), 2, 2));
        let beyond = page.read_span(&SourceSpan::from((99, 9)), 1, 1).unwrap();
        assert_eq!((beyond.data(), beyond.line()), ("three\nfour\n".as_bytes(), 2));
    }

    #[test]
    fn long_and_stray_spans_are_cut_to_what_can_be_drawn() {
        let mut sources = Sources::default();
        let file = sources.add("f", "a: 1\nb:\n  - 1\n  - 2\n  - 3\n  - 4\n");
        let page = Pages::new(&sources).page(file).unwrap();
        assert_eq!(page.drawable(file.span(0, 4)), 0..4);
        assert_eq!(page.drawable(file.span(5, 13)), 5..13);
        assert_eq!(page.drawable(file.span(5, 31)), 5..7);
        assert_eq!(page.drawable(file.span(90, 99)), 31..31);
    }
}
