//! Text: widths, cutting, wrapping, lines in columns, and the taming of what others wrote.

use std::time::Duration;

use serde_json::Value as Json;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::{Glyph, Style, ink};
use crate::value::Value;

/// What stands for a secret.
pub(super) const SECRET: &str = "(secret)";
/// What stands for a value that is not known yet.
pub(super) const PENDING: &str = "(known after apply)";
/// What stands in place of a live value that was read and may hold secrets.
pub(super) const HIDDEN: &str = "(not shown: it holds secrets)";

/// Could this character drive a terminal or turn a line around?
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of foreign text made harmless. Unlike [`crate::platform::exchange::neutral`] it cuts nothing: a plan shows
/// values whole.
pub(super) fn clean(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_unsafe(c) => '\u{fffd}',
        c => c,
    };
    let text: String = text.chars().map(harmless).collect();
    without_commands(text)
}

/// CI systems obey lines of a log: GitHub those that begin with `::` after any spaces, Azure and GitHub's older form what
/// begins with `##vso[` or `##[`, wherever it stands. A character of no width in between, and they do not.
fn without_commands(text: String) -> String {
    const NOTHING: &str = "\u{2060}";
    let mut text = text;
    if text.trim_start().starts_with("::") {
        text = text.replacen("::", &format!(":{NOTHING}:"), 1);
    }
    for command in ["##vso[", "##["] {
        if text.contains(command) {
            text = text.replace(command, &format!("#{NOTHING}{}", &command[1..]));
        }
    }
    text
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A one-line value cut in the middle if a terminal shows it and it is wider than `room`.
pub(super) fn fit(text: &str, room: usize, style: &Style) -> String {
    /// Less than this says nothing.
    const LEAST: usize = 16;
    let room = room.max(LEAST);
    if !style.tty || style.full || width(text) <= room {
        return text.to_owned();
    }
    let ellipsis = style.glyph(Glyph::Ellipsis);
    let keep = room - width(ellipsis);
    let head = take(text.chars(), keep.div_ceil(2));
    let tail: String = take(text.chars().rev(), keep / 2).chars().rev().collect();
    format!("{head}{ellipsis}{tail}")
}

fn take(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += UnicodeWidthChar::width(*c).unwrap_or(0);
            used <= room
        })
        .collect()
}

/// Prose broken at spaces, cleaned. Indented lines are commands and examples and stay whole, and so does what stands
/// between backticks: both are copied.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = clean(line);
        let line = line.trim_end();
        if line.starts_with(' ') || width(line) <= room {
            lines.push(line.to_owned());
            continue;
        }
        let mut current = String::new();
        for word in words(line) {
            if !current.is_empty() && width(&current) + 1 + width(word) > room {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        if !current.is_empty() {
            lines.push(current);
        }
    }
    lines
}

fn words(line: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, c) in line.char_indices() {
        match c {
            '`' => quoted = !quoted,
            ' ' if !quoted => {
                all.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(&line[start..]);
    all.retain(|word| !word.is_empty());
    all
}

/// `0.4s`, `12s`, `1m 03s`
pub(super) fn duration(elapsed: Duration) -> String {
    let tenths = (elapsed.as_millis() + 50) / 100;
    if tenths < 100 {
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    let seconds = (elapsed.as_millis() + 500) / 1000;
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m {:02}s", seconds / 60, seconds % 60) }
}

/// `1 target`, `2 targets`
#[must_use]
pub fn count(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// `2 to create, 1 to update`; what is zero is left out.
pub(super) fn counts(parts: &[(usize, &str)]) -> String {
    let some: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    some.join(", ")
}

/// `14 requests, 1.2s`
pub(super) fn cost(requests: u64, elapsed: Duration) -> String {
    let requests = count(usize::try_from(requests).unwrap_or(usize::MAX), "request");
    format!("{requests}, {}", duration(elapsed))
}

/// A value as JSON that may be shown: secrets and pending values are words.
pub(super) fn shown(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Number(n) => Json::Number(n.clone()),
        Value::String(text) => Json::String(text.clone()),
        Value::Secret(_) => Json::String(SECRET.to_owned()),
        Value::Unknown(_) => Json::String(PENDING.to_owned()),
        Value::List(list) => Json::Array(list.iter().map(shown).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), shown(value))).collect()),
    }
}

/// A value on one line: texts as they are, in quotes only where they could be taken for something else.
pub(super) fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) if !is_ambiguous(text) => text.clone(),
        Value::Secret(_) => SECRET.to_owned(),
        Value::Unknown(_) => PENDING.to_owned(),
        other => clean(&shown(other).to_string()),
    }
}

/// Would this text, without quotes, look like a number, a word of JSON, our own words, or like nothing at all?
fn is_ambiguous(text: &str) -> bool {
    text.is_empty()
        || text.trim() != text
        || text.starts_with(['(', '"', '{', '['])
        || text.chars().any(is_unsafe)
        || matches!(serde_json::from_str::<Json>(text), Ok(Json::Null | Json::Bool(_) | Json::Number(_)))
}

/// A value on as many lines as it takes, for line-by-line comparison. Texts keep their own lines.
pub(super) fn many_lines(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(&shown(other)).unwrap_or_default(),
    }
}

/// One line under construction. It knows its width apart from its colours.
pub(super) struct Line<'s> {
    style: &'s Style,
    text: String,
    width: usize,
}

impl<'s> Line<'s> {
    /// Begins with so many spaces.
    pub(super) fn new(style: &'s Style, indent: usize) -> Self {
        Self { style, text: " ".repeat(indent), width: indent }
    }

    /// Adds a text.
    pub(super) fn put(mut self, ink: anstyle::Style, text: &str) -> Self {
        let painted = self.style.paint(ink, text);
        self.text.push_str(&painted);
        self.width += width(text);
        self
    }

    /// Adds a text after three spaces, if there is one.
    pub(super) fn also(self, ink: anstyle::Style, text: &str) -> Self {
        if text.is_empty() { self } else { self.put(ink::PLAIN, "   ").put(ink, text) }
    }

    /// Adds spaces up to a column.
    pub(super) fn until(self, column: usize) -> Self {
        let spaces = " ".repeat(column.saturating_sub(self.width));
        self.put(ink::PLAIN, &spaces)
    }

    /// Adds a text at the right margin. If the line is full: three spaces on, or on a terminal, which would break the
    /// line anywhere, at the right margin of a line of its own.
    pub(super) fn right(self, ink: anstyle::Style, text: &str) -> Self {
        self.at_right(width(text)).put(ink, text)
    }

    fn at_right(mut self, needed: usize) -> Self {
        let column = self.style.prose().saturating_sub(needed);
        if self.style.tty && self.width + 3 > column {
            self.text = format!("{}\n", self.text.trim_end());
            self.width = 0;
        }
        let column = column.max(if self.width == 0 { 0 } else { self.width + 3 });
        self.until(column)
    }

    /// The same with a link.
    pub(super) fn right_link(self, ink: anstyle::Style, text: &str, url: &str) -> Self {
        let mut line = self.at_right(width(text));
        let painted = line.style.paint(ink, text);
        line.text.push_str(&line.style.link(url, &painted));
        line.width += width(text);
        line
    }

    /// Adds a text after three spaces. On a terminal where it does not fit, it has lines of its own below, so far indented:
    /// a terminal would break it anywhere.
    pub(super) fn also_below(self, ink: anstyle::Style, text: &str, indent: usize) -> Self {
        let room = self.style.prose();
        if !self.style.tty || self.width + 3 + width(text) <= room {
            return self.also(ink, text);
        }
        let style = self.style;
        let begin = Self { text: format!("{}\n", self.text.trim_end()), width: 0, ..self };
        let lines = wrap(text, room.saturating_sub(indent));
        lines.iter().enumerate().fold(begin, |line, (n, text)| {
            let line = if n == 0 { line } else { Self { text: format!("{}\n", line.text), width: 0, style } };
            line.until(indent).put(ink, text)
        })
    }

    /// How wide it is by now.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The line, cut to so many columns: for a screen that must not wrap. Colours are dropped where it is cut.
    pub(super) fn end_within(self, room: usize) -> String {
        if self.width <= room {
            return self.end();
        }
        let mut bare = String::new();
        let mut in_escape = false;
        for c in self.text.chars() {
            match c {
                '\u{1b}' => in_escape = true,
                // The region that is cut has colours and no links.
                'm' if in_escape => in_escape = false,
                c if !in_escape => bare.push(c),
                _ => {}
            }
        }
        let ellipsis = self.style.glyph(Glyph::Ellipsis);
        format!("{}{ellipsis}", take(bare.chars(), room.saturating_sub(width(ellipsis))))
    }

    /// The line, without spaces at its end.
    pub(super) fn end(self) -> String {
        self.text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use serde_json::json;

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d\u{9b}e\tf"), "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}e f");
        assert_eq!(clean("  ::error::x ::y"), "  :\u{2060}:error::x ::y");
        assert_eq!(clean("a ##vso[x] ##[b]"), "a #\u{2060}#vso[x] #\u{2060}#[b]");
        assert_eq!(clean("a::b # c"), "a::b # c");
        let long = "x".repeat(400);
        assert_eq!(clean(&long), long);
    }

    #[test]
    fn durations_are_short() {
        for (ms, text) in
            [(0, "0.0s"), (440, "0.4s"), (9_940, "9.9s"), (9_960, "10s"), (12_400, "12s"), (59_700, "1m 00s"), (63_000, "1m 03s")]
        {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn only_a_terminal_cuts_and_it_cuts_in_the_middle() {
        let text = "0123456789012345678901234567890123456789";
        let mut style = Style::plain(100);
        assert_eq!(fit(text, 20, &style), text);
        style.tty = true;
        assert_eq!(fit(text, 20, &style), "0123456789…123456789");
        assert_eq!(width(&fit(&"語".repeat(30), 20, &style)), 19);
        style.unicode = false;
        assert_eq!(fit(text, 20, &style), "012345678...23456789");
        style.full = true;
        assert_eq!(fit(text, 20, &style), text);
    }

    #[test]
    fn prose_is_wrapped_and_commands_are_not() {
        let text = "one two three `patchbay state rm a/b` four\n    patchbay state rm kore-prod/a-rather-long-key\nend";
        assert_eq!(
            wrap(text, 20),
            ["one two three", "`patchbay state rm a/b`", "four", "    patchbay state rm kore-prod/a-rather-long-key", "end"]
        );
        assert!(wrap("", 20).is_empty());
    }

    #[test]
    fn texts_are_quoted_only_where_they_could_be_something_else() {
        let line = |json: serde_json::Value| one_line(&Value::from(json));
        for plain in ["gpt-4o", "two words", "https://x.example/v1", "1.2.3", "null and void"] {
            assert_eq!(line(json!(plain)), plain);
        }
        for quoted in ["", " x", "true", "null", "12", "(secret)", "[1]", "a\u{1b}b"] {
            assert_eq!(line(json!(quoted)), json!(quoted).to_string());
        }
        assert_eq!(line(json!({"a": [1, true, null]})), r#"{"a":[1,true,null]}"#);
    }

    #[test]
    fn secrets_are_words_wherever_they_stand() {
        let value = Value::List(vec![Value::Secret(Secret::new("hunter22")), Value::Unknown("kore/a.id".into())]);
        assert_eq!(one_line(&value), r#"["(secret)","(known after apply)"]"#);
        assert!(!many_lines(&value).contains("hunter22"));
    }

    #[test]
    fn lines_know_their_width() {
        let style = Style { color: true, ..Style::plain(60) };
        let line = Line::new(&style, 2).put(ink::CREATE, "語").until(8);
        assert_eq!(line.width(), 8);
        assert_eq!(line.put(ink::DIM, "x").end(), "  \u{1b}[32m語\u{1b}[0m    \u{1b}[2mx\u{1b}[0m");
        let style = Style::plain(60);
        assert_eq!(
            Line::new(&style, 0).put(ink::PLAIN, "left").right(ink::DIM, "f:1").end(),
            format!("left{}f:1", " ".repeat(53))
        );
        assert_eq!(Line::new(&style, 58).right(ink::DIM, "f:1").end(), format!("{}f:1", " ".repeat(61)));
        let terminal = Style { tty: true, ..Style::plain(60) };
        let full = Line::new(&terminal, 0).put(ink::PLAIN, &"x".repeat(56)).right(ink::DIM, "f:1");
        assert_eq!(full.end(), format!("{}\n{}f:1", "x".repeat(56), " ".repeat(57)));
    }
}
