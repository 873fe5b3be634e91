//! Files that could not be parsed. Nobody knows what in them is a secret, so everything that looks like a credential is
//! hidden before their lines are shown. Too much rather than too little: the place of the error is seen all the same.

use std::sync::Arc;

use super::gather::holds_more_than_an_address;
use crate::diagnostic::Diagnostic;
use crate::platform::parse::is_auth_key;
use crate::source::{FileId, Sources};

/// Around words.
const EDGES: [char; 9] = ['"', '\'', ',', '{', '}', '[', ']', '(', ')'];

/// What the lines below a credential's key are.
#[derive(Clone, Copy)]
enum Below<'t> {
    /// Lines of their own.
    Nothing,
    /// Part of its value, as long as they stand further right than the key.
    Indented(usize),
    /// Part of its value, until these marks.
    Until(&'t str),
}

/// Hides what looks like a credential.
pub(super) fn hide(file: FileId, text: &str, sources: &mut Sources) {
    let mut at = 0;
    let mut below = Below::Nothing;
    for line in text.split_inclusive('\n') {
        let mut cover = |from: usize, to: usize| {
            let part = &line[from..to];
            let lead = part.len() - part.trim_start().len();
            let value = part.trim();
            if !value.is_empty() && !value.contains("${{") {
                sources.hide(file.span(at + from + lead, at + from + lead + value.len()));
            }
        };
        let indent = line.len() - line.trim_start().len();
        below = match below {
            Below::Until(marks) => {
                cover(0, line.len());
                if line.contains(marks) { Below::Nothing } else { below }
            }
            Below::Indented(column) if line.trim().is_empty() || indent > column => {
                cover(line.find(": ").map_or(0, |colon| colon + 1), line.len());
                below
            }
            _ => {
                let keys = credentials(line);
                for (n, key) in keys.iter().enumerate() {
                    cover(key.end, keys.get(n + 1).map_or(line.len(), |next| next.start));
                }
                let marks = ["\'\'\'", "\"\"\""].into_iter().find(|marks| line.matches(marks).count() % 2 == 1);
                match (keys.last(), marks) {
                    (Some(_), Some(marks)) => Below::Until(marks),
                    (Some(key), None) => Below::Indented(key.start),
                    (None, _) => Below::Nothing,
                }
            }
        };
        let mut start = 0;
        let is_edge = |c: char| c.is_whitespace() || EDGES.contains(&c);
        for word in line.split_inclusive(is_edge) {
            let bare = word.trim_end_matches(is_edge);
            // A long word of letters and digits is a key more often than not.
            let mixed = bare.bytes().any(|b| b.is_ascii_digit()) && bare.bytes().any(|b| b.is_ascii_alphabetic());
            let is_key = bare.len() >= 20 && mixed && !bare.contains("://");
            if is_key || holds_more_than_an_address(bare) {
                cover(start, start + bare.len());
            }
            start += word.len();
        }
        at += line.len();
    }
}

/// Hides what looks like a credential in the file that an error points into, which nobody could read.
pub(super) fn hide_around(error: &Diagnostic, sources: &mut Sources) {
    for file in error.labels.iter().map(|label| label.span.file).collect::<Vec<_>>() {
        let text = sources.file(file).map(|f| Arc::clone(&f.text)).unwrap_or_default();
        hide(file, &text, sources);
    }
}

/// A file's text for a screen, everything that looks like a credential starred out.
#[must_use]
pub(super) fn without_credentials(text: &str) -> String {
    let mut sources = Sources::default();
    let file = sources.add("", text);
    hide(file, text, &mut sources);
    sources.shown(file)
}

/// The keys of credentials in a line: where they start, and where what belongs to them starts. A colon may be missing.
fn credentials(line: &str) -> Vec<std::ops::Range<usize>> {
    let line = &without_templates(line);
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in line.char_indices() {
        let segment = &line[start..at];
        let name = segment.trim_matches(|c: char| c.is_whitespace() || EDGES.contains(&c) || matches!(c, '-' | '?'));
        let begins = start + segment.find(name).unwrap_or(0);
        let is_credential = || is_auth_key(name) || name.ends_with("value");
        match c {
            ':' | '=' => {
                if is_credential() {
                    found.push(begins..at + 1);
                }
                start = at + 1;
            }
            '{' | ',' | '[' => start = at + 1,
            c if c.is_whitespace() && !name.is_empty() && !line[at..].trim_start().starts_with([':', '=']) => {
                if ["Bearer", "Basic"].contains(&name) || is_credential() {
                    found.push(begins..at + 1);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The same line, as long, with nothing to be found in its templates.
fn without_templates(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((open, close)) = rest.find("${{").and_then(|open| Some((open, open + rest[open..].find("}}")? + 2))) {
        plain.push_str(&rest[..open]);
        plain.push_str(&"x".repeat(close - open));
        rest = &rest[close..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", text);
        hide(file, text, &mut sources);
        sources.shown(file)
    }

    #[test]
    fn credentials_in_a_broken_file_are_hidden() {
        let text = "a: b: c\n    API_KEY: sk-live\n    Authorization: Bearer x1\n    model: gpt-4o\n    other: abcdefghij0123456789\n    t: ${{ env.KEY }}\nurl = \"https://u:hunter2@h.example/x\"\n";
        let shown = shown(text);
        for secret in ["sk-live", "x1", "abcdefghij0123456789", "hunter2"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for word in ["model: gpt-4o", "${{ env.KEY }}", "a: b: c", "API_KEY: *"] {
            assert!(shown.contains(word), "{shown}");
        }
    }

    #[test]
    fn however_they_are_written() {
        for text in [
            "fields: { API_KEY: \"LITERAL }\nmodel: kept\n",
            "spec: { model: x, fields: { API_KEY: \"${{ env.K }}\", token: LITERAL }\nmodel: kept\n",
            "- key: Authorization\n  value Bearer LITERAL\nmodel: kept\n",
            "- key: X\n  text: Bearer LITERAL\nmodel: kept\n",
            "  API_KEY: |\n    LITERAL\n    LITERAL too\nmodel: kept\n",
            "  API_KEY: \"first\n    LITERAL\"\nmodel: kept\n",
            "  API_KEY:\n    nested: LITERAL\nmodel: kept\n",
            "? fields\n: API_KEY: `LITERAL\nmodel: kept\n",
            "auth = { api_key = [\"LITERAL\"] }\nmodel: kept\n",
            "auth = [\"LITERAL\"]\nmodel: kept\n",
            "api_key = '''\nLITERAL\n'''\nmodel: kept\n",
            "API_KEY LITERAL\nmodel: kept\n",
        ] {
            let shown = shown(text);
            assert!(!shown.contains("LITERAL") && shown.contains("model: kept"), "{shown}");
        }
    }
}
