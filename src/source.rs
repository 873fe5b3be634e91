//! Source texts and spans: where in which file something was written.

use std::sync::Arc;

/// A file known to a [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(u32);

/// A range of bytes of one file, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A place in words that people use: lines and columns from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name as it was given, relative to the project where possible.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
}

/// One source text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name to show.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
}

/// All texts that were read in a run. Diagnostics point into them.
///
/// Texts may hold literal secrets, so a view shows [`Sources::shown`], in which every hidden span is stars.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
    hidden: Vec<Span>,
}

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile { name: name.into(), text: text.into() });
        id
    }

    /// The file behind an id.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    /// The text under a span; empty if the span lies outside its file.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file).and_then(|f| f.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// From now on, views show stars in place of this span.
    pub fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// A file's text with every hidden span replaced by stars of the same length in bytes, so that spans stay right.
    #[must_use]
    pub fn shown(&self, id: FileId) -> String {
        let Some(file) = self.file(id) else { return String::new() };
        let mut bytes = file.text.as_bytes().to_vec();
        for span in self.hidden.iter().filter(|s| s.file == id) {
            let end = (span.end as usize).min(bytes.len());
            for byte in bytes.get_mut(span.start as usize..end).unwrap_or_default() {
                if *byte != b'\n' {
                    *byte = b'*';
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Line and column of a span's start.
    #[must_use]
    pub fn place(&self, span: Span) -> Option<Place> {
        let file = self.file(span.file)?;
        let before = file.text.get(..(span.start as usize).min(file.text.len()))?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Place {
            file: file.name.clone(),
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }

    /// `file:line` of a span, for margins.
    #[must_use]
    pub fn file_line(&self, span: Span) -> Option<String> {
        self.place(span).map(|p| format!("{}:{}", p.file, p.line))
    }
}

impl FileId {
    /// A span in this file, from byte offsets.
    #[must_use]
    pub fn span(self, start: usize, end: usize) -> Span {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { file: self, start: clamp(start), end: clamp(end.max(start)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "é: 1\nkey: välue\n");
        let at = |start, end| sources.place(file.span(start, end)).map(|p| (p.line, p.column));
        assert_eq!(at(0, 2), Some((1, 1)));
        assert_eq!(at(2, 3), Some((1, 2)));
        assert_eq!(at(11, 17), Some((2, 6)));
        assert_eq!(sources.text(file.span(11, 17)), "välue");
        assert_eq!(sources.file_line(file.span(11, 17)).as_deref(), Some("a.yaml:2"));
    }

    #[test]
    fn hidden_spans_are_stars_of_the_same_length() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "k: sé\ncret\nx: 1\n");
        sources.hide(file.span(3, 11));
        assert_eq!(sources.shown(file), "k: ***\n****\nx: 1\n");
    }

    #[test]
    fn spans_outside_the_text_are_harmless() {
        let mut sources = Sources::default();
        let file = sources.add("a", "x");
        assert_eq!(sources.text(file.span(5, 9)), "");
        assert_eq!(sources.place(file.span(5, 9)).map(|p| p.line), Some(1));
    }
}
