//! Long texts and structures: what changed in them, line by line or word by word.

use similar::utils::diff_unicode_words;
use similar::{Algorithm, ChangeTag, InlineChange, TextDiff};

use crate::view::style::{Glyph, Style, ink};
use crate::view::text::{Line, clean, count, fit};

/// Unchanged lines shown around a change.
const CONTEXT: usize = 2;
/// Where drawn lines begin.
const INDENT: usize = 10;
/// On a terminal, a new text is shown up to so many lines, and unchanged text between changed words up to so many columns.
const ON_TERMINAL: (usize, usize) = (20, 40);

/// Lines to be drawn below a field, and a word about them for the field's own line.
pub(super) struct Drawn {
    /// `2 of 14 lines`; may be empty.
    pub(super) gist: String,
    /// The lines.
    pub(super) lines: Vec<String>,
}

/// A new text.
pub(super) fn whole(text: &str, style: &Style) -> Drawn {
    let all: Vec<&str> = text.lines().collect();
    let room = if style.tty && !style.full && all.len() > ON_TERMINAL.0 { ON_TERMINAL.0 - 2 } else { all.len() };
    let drawn = |text: &&str| marked("+", ink::CREATE, style).put(ink::CREATE, &clean(text)).end();
    let mut lines: Vec<String> = all.iter().take(room).map(drawn).collect();
    if all.len() > room {
        let rest = format!("{} more (--full shows all)", count(all.len() - room, "line"));
        lines.push(aside(&rest, style));
    }
    Drawn { gist: count(all.len(), "line"), lines }
}

/// What changed, line by line, with the changed words emphasised where there is colour.
pub(super) fn by_line(old: &str, new: &str, style: &Style) -> Drawn {
    let (old_lines, new_lines) = (closed(old), closed(new));
    let diff = TextDiff::from_lines(old_lines.as_str(), new_lines.as_str());
    let mut lines = Vec::new();
    let (mut changed, mut inserted, mut seen) = (0, 0, 0);
    for group in diff.grouped_ops(CONTEXT) {
        let start = group.first().map_or(seen, |op| op.old_range().start);
        lines.extend(unchanged(start.saturating_sub(seen), style));
        for op in &group {
            for change in diff.iter_inline_changes_deadline(op, None) {
                changed += usize::from(change.tag() != ChangeTag::Equal);
                inserted += usize::from(change.tag() == ChangeTag::Insert);
                lines.push(changed_line(&change, style));
            }
            seen = op.old_range().end;
        }
    }
    lines.extend(unchanged(diff.old_len().saturating_sub(seen), style));
    match (old.ends_with('\n'), new.ends_with('\n')) {
        (true, false) => lines.push(aside("no line end after the last line any more", style)),
        (false, true) => lines.push(aside("a line end after the last line, which had none", style)),
        _ => {}
    }
    Drawn { gist: format!("{changed} of {}", count(diff.old_len() + inserted, "line")), lines }
}

/// What changed in one long line, word by word: `You are a [-helpful-]{+terse+} assistant.`
pub(super) fn by_word(old: &str, new: &str, style: &Style) -> Drawn {
    let (old, new) = (clean(old), clean(new));
    let parts = word_parts(&old, &new);
    let same: usize = parts.iter().filter(|(tag, _)| *tag == ChangeTag::Equal).map(|(_, text)| text.len()).sum();
    // Two texts that have little in common are easier to read one below the other.
    if same * 3 < old.len().max(new.len()) {
        let lines = vec![
            marked("-", ink::REMOVE, style).put(ink::REMOVE, &old).end(),
            marked("+", ink::CREATE, style).put(ink::CREATE, &new).end(),
        ];
        return Drawn { gist: String::new(), lines };
    }
    let mut line = marked(" ", ink::PLAIN, style);
    for (tag, text) in &parts {
        line = match tag {
            ChangeTag::Equal => line.put(ink::PLAIN, &fit(text, ON_TERMINAL.1, style)),
            ChangeTag::Delete => line.put(ink::REMOVE, &format!("[-{text}-]")),
            ChangeTag::Insert => line.put(ink::CREATE, &format!("{{+{text}+}}")),
        };
    }
    Drawn { gist: String::new(), lines: vec![line.end()] }
}

/// The words in runs: unchanged, deleted, inserted. Lone spaces between changed words join the change: three changed
/// words in a row are one change to a reader.
fn word_parts(old: &str, new: &str) -> Vec<(ChangeTag, String)> {
    let raw = diff_unicode_words(Algorithm::Myers, old, new);
    let mut parts: Vec<(ChangeTag, String)> = Vec::new();
    let (mut deleted, mut inserted) = (String::new(), String::new());
    for (n, (tag, text)) in raw.iter().enumerate() {
        match tag {
            ChangeTag::Delete => deleted.push_str(text),
            ChangeTag::Insert => inserted.push_str(text),
            ChangeTag::Equal if text.trim().is_empty() && !(deleted.is_empty() && inserted.is_empty()) && n + 1 < raw.len() => {
                deleted.push_str(text);
                inserted.push_str(text);
            }
            ChangeTag::Equal => {
                flush(&mut parts, &mut deleted, &mut inserted);
                parts.push((ChangeTag::Equal, (*text).to_owned()));
            }
        }
    }
    flush(&mut parts, &mut deleted, &mut inserted);
    parts
}

fn flush(parts: &mut Vec<(ChangeTag, String)>, deleted: &mut String, inserted: &mut String) {
    for (tag, text) in [(ChangeTag::Delete, deleted), (ChangeTag::Insert, inserted)] {
        if !text.is_empty() {
            parts.push((tag, std::mem::take(text)));
        }
    }
}

fn changed_line(change: &InlineChange<'_, str>, style: &Style) -> String {
    let (mark, ink) = match change.tag() {
        ChangeTag::Equal => (" ", ink::PLAIN),
        ChangeTag::Delete => ("-", ink::REMOVE),
        ChangeTag::Insert => ("+", ink::CREATE),
    };
    let mut line = marked(mark, ink, style);
    for (emphasised, text) in change.values() {
        let ink = if *emphasised { ink.bold().underline() } else { ink };
        line = line.put(ink, &clean(text.trim_end_matches(['\n', '\r'])));
    }
    line.end()
}

fn marked<'s>(mark: &str, ink: anstyle::Style, style: &'s Style) -> Line<'s> {
    Line::new(style, INDENT).put(ink, mark).put(ink::PLAIN, " ")
}

fn unchanged(lines: usize, style: &Style) -> Option<String> {
    (lines > 0).then(|| aside(&count(lines, "unchanged line"), style))
}

/// A remark between the lines of a text, which must not look like one of them.
fn aside(text: &str, style: &Style) -> String {
    let text = format!("{} {text}", style.glyph(Glyph::Ellipsis));
    Line::new(style, INDENT).put(ink::DIM, &text).end()
}

/// With an end to its last line, so that equal lines compare equal.
fn closed(text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style() -> Style {
        Style::plain(100)
    }

    #[test]
    fn lines_far_from_a_change_are_counted() {
        let old: String = (1..=14).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 8\n", "line eight\n");
        let drawn = by_line(&old, &new, &style());
        assert_eq!(drawn.gist, "2 of 15 lines");
        assert_eq!(
            drawn.lines,
            [
                "          … 5 unchanged lines",
                "            line 6",
                "            line 7",
                "          - line 8",
                "          + line eight",
                "            line 9",
                "            line 10",
                "          … 4 unchanged lines",
            ]
        );
    }

    #[test]
    fn two_changes_far_apart_have_a_gap_between_them() {
        let old: String = (1..=9).map(|n| format!("{n}\n")).collect();
        let new = old.replace("1\n", "one\n").replace("9\n", "nine\n");
        let lines = by_line(&old, &new, &style()).lines;
        assert_eq!(lines.iter().filter(|l| l.contains("unchanged")).count(), 1);
        assert!(lines.contains(&"          … 3 unchanged lines".to_owned()), "{lines:?}");
    }

    #[test]
    fn the_end_of_the_last_line_is_a_remark_and_not_a_change() {
        let drawn = by_line("a\nb", "a\nb\n", &style());
        assert_eq!(drawn.gist, "0 of 2 lines");
        assert!(drawn.lines.iter().any(|l| l.contains("a line end after the last line")), "{:?}", drawn.lines);
    }

    #[test]
    fn control_characters_do_not_get_through() {
        let drawn = by_line("a\n\u{1b}[2Jb\n", "a\n\u{1b}[2Jc\n", &style());
        assert!(!drawn.lines.concat().contains('\u{1b}'), "{:?}", drawn.lines);
        let drawn = by_word("x \u{1b}[2J same words here", "y \u{1b}[2J same words here", &style());
        assert!(!drawn.lines.concat().contains('\u{1b}'), "{:?}", drawn.lines);
    }

    #[test]
    fn words_are_compared_within_a_line() {
        let drawn = by_word("You are a helpful assistant of the company.", "You are a terse assistant of the company.", &style());
        assert_eq!(drawn.lines, ["            You are a [-helpful-]{+terse+} assistant of the company."]);
        let drawn = by_word("keep one two three keep this too", "keep four five six keep this too", &style());
        assert_eq!(drawn.lines[0].matches("[-").count(), 1, "{:?}", drawn.lines);
    }

    #[test]
    fn texts_with_little_in_common_stand_one_below_the_other() {
        let drawn = by_word("alpha beta gamma", "one two three four", &style());
        assert_eq!(drawn.lines, ["          - alpha beta gamma", "          + one two three four"]);
    }

    #[test]
    fn colour_marks_the_changed_words() {
        let style = Style { color: true, ..style() };
        let drawn = by_line("the first value here\n", "the second value here\n", &style);
        assert!(drawn.lines[1].contains("\u{1b}[1m\u{1b}[4m\u{1b}[32msecond\u{1b}[0m"), "{:?}", drawn.lines);
    }

    #[test]
    fn a_long_new_text_is_cut_on_a_terminal_only() {
        let text: String = (1..=30).map(|n| format!("{n}\n")).collect();
        assert_eq!(whole(&text, &style()).lines.len(), 30);
        let tty = Style { tty: true, ..style() };
        let drawn = whole(&text, &tty);
        assert_eq!((drawn.gist.as_str(), drawn.lines.len()), ("30 lines", 19));
        assert_eq!(drawn.lines.last().map(String::as_str), Some("          … 12 lines more (--full shows all)"));
    }
}
