//! The fields of a change, in columns: path, value, why.

use super::texts;
use crate::plan::diff::unproved_words;
use crate::plan::model::{Cause, Change, FieldChange, Outside, Side, Verdict};
use crate::state::Fingerprint;
use crate::value::Value;
use crate::view::style::{Glyph, Style, ink};
use crate::view::text::{HIDDEN, Line, PENDING, clean, fit, many_lines, one_line, width};

/// Longer texts, and structures that do not fit into this, are drawn below their field.
const SHORT: usize = 60;
/// Paths and values beyond these do not push the columns of the others to the right.
const WIDEST: (usize, usize) = (40, 48);
/// Where paths begin.
const INDENT: usize = 8;

/// One field.
struct Row {
    glyph: &'static str,
    ink: anstyle::Style,
    path: String,
    value: Cell,
    note: String,
    note_ink: anstyle::Style,
    /// Is there no room for the note beside the value?
    note_below: bool,
    below: Vec<String>,
}

/// What stands in the column of values.
enum Cell {
    /// Our own words about it; never cut.
    Words(String),
    /// One value.
    One(String),
    /// Before and after.
    Two(String, String),
}

/// The lines of a change's fields.
pub(super) fn lines(change: &Change, style: &Style) -> Vec<String> {
    let mut rows: Vec<Row> = change.fields.iter().map(|field| row(field, style)).collect();
    // On a narrow terminal long paths push only their own value to the right.
    let widest = if style.tty { WIDEST.0.min(style.width.saturating_sub(INDENT) / 3) } else { WIDEST.0 };
    let paths = rows.iter().map(|row| width(&row.path)).filter(|w| *w <= widest).max().unwrap_or(0);
    let mut values = 0;
    for row in &mut rows {
        let room = style.width.saturating_sub(INDENT + paths.max(width(&row.path)) + 3);
        let mut note = if row.note.is_empty() { 0 } else { width(&row.note) + 3 };
        // A terminal would break the line anywhere.
        let natural = width(&row.value.text(style));
        if style.tty && note > 0 && natural.min(WIDEST.1) + note > room {
            (row.note_below, note) = (true, 0);
        }
        row.value.fit(room.saturating_sub(note), style);
        let value = width(&row.value.text(style));
        if note > 0 && value <= WIDEST.1 {
            values = values.max(value);
        }
    }
    rows.into_iter().flat_map(|row| row.draw(paths, values, style)).collect()
}

/// What is concluded about a secret, or about a field that nobody can vouch for.
pub(in crate::view) fn words(field: &FieldChange, style: &Style) -> Option<String> {
    let is_secret = matches!(field.after, Side::Secret(_));
    if matches!((&field.before, &field.after), (Side::Secret(_), Side::Absent)) {
        return Some("(secret, removed)".to_owned());
    }
    let text = match &field.verdict {
        Verdict::CannotVerify(why) => {
            let why = clean(&unproved_words(why, is_secret));
            return Some(if is_secret { format!("(secret, {why})") } else { format!("({why})") });
        }
        _ if !is_secret => return None,
        Verdict::Unchanged => "(secret, unchanged)".to_owned(),
        Verdict::ChangedOutside(Outside::MaskContradicts | Outside::MaskDiffers) => {
            "(secret, changed outside: live mask differs)".to_owned()
        }
        Verdict::ChangedOutside(Outside::ValueDiffers) => "(secret, changed outside: live value differs)".to_owned(),
        Verdict::New => match fingerprint(&field.after) {
            Some(new) => format!("(secret {})", new.short()),
            None => "(secret)".to_owned(),
        },
        Verdict::Changed | Verdict::ChangedHere => match (fingerprint(&field.before), fingerprint(&field.after)) {
            (Some(old), Some(new)) if old == new => format!("(secret {}, written again)", new.short()),
            (Some(old), Some(new)) => format!("(secret {} {} {})", old.short(), style.glyph(Glyph::Arrow), new.short()),
            (None, Some(new)) => format!("(secret {})", new.short()),
            (_, None) => "(secret)".to_owned(),
        },
    };
    Some(text)
}

fn fingerprint(side: &Side) -> Option<&Fingerprint> {
    match side {
        Side::Secret(fingerprint) => fingerprint.as_ref(),
        _ => None,
    }
}

fn row(field: &FieldChange, style: &Style) -> Row {
    let (glyph, ink) = look(field, style);
    let (note, note_ink) = note(field);
    let (value, below) = match words(field, style) {
        Some(words) => (Cell::Words(words), Vec::new()),
        None => value(&field.before, &field.after, style),
    };
    Row { glyph, ink, path: clean(&field.path.to_string()), value, note, note_ink, note_below: false, below }
}

fn look(field: &FieldChange, style: &Style) -> (&'static str, anstyle::Style) {
    let is_secret = matches!(field.after, Side::Secret(_));
    match (&field.verdict, &field.before, &field.after) {
        (Verdict::CannotVerify(_) | Verdict::Unchanged, ..) => (" ", ink::DIM),
        (Verdict::New, ..) => (style.glyph(Glyph::Create), ink::CREATE),
        _ if is_secret => (style.glyph(Glyph::Rotate), ink::ROTATE),
        (_, Side::Absent, _) => (style.glyph(Glyph::Create), ink::CREATE),
        (.., Side::Absent) => (style.glyph(Glyph::Delete), ink::REMOVE),
        _ => (style.glyph(Glyph::Update), ink::UPDATE),
    }
}

/// The sign of a field in ASCII: `+`, `-`, `~`, `*` for a secret, `?` for what nobody can vouch for, or a space.
pub(in crate::view) fn sign_of(field: &FieldChange) -> &'static str {
    let style = Style { unicode: false, ..Style::plain(100) };
    if matches!(field.verdict, Verdict::CannotVerify(_)) { "?" } else { look(field, &style).0 }
}

/// Why a field differs, and where the wanted value comes from.
pub(in crate::view) fn note_of(field: &FieldChange) -> String {
    note(field).0
}

/// Why it differs, and where the wanted value comes from.
fn note(field: &FieldChange) -> (String, anstyle::Style) {
    if !field.verdict.is_write() {
        return (String::new(), ink::DIM);
    }
    let origin = match (&field.origin, &field.after) {
        (Some(origin), _) => Some(format!("from {}", clean(origin))),
        (None, Side::Pending(what)) if !what.is_empty() => Some(format!("from {}", clean(what))),
        _ => None,
    };
    let (cause, ink) = match (&field.verdict, field.cause) {
        (Verdict::Changed, Cause::Config) => (Some("config changed"), ink::DIM),
        (Verdict::Changed, Cause::Drift) => (Some("drift: changed outside patchbay"), ink::DRIFT),
        (Verdict::Changed, Cause::Both) => (Some("config changed and drift"), ink::DRIFT),
        _ => (None, ink::DIM),
    };
    let parts: Vec<String> = cause.map(ToOwned::to_owned).into_iter().chain(origin).collect();
    (parts.join(", "), ink)
}

/// What stands in the column of values, and what is drawn below.
fn value(before: &Side, after: &Side, style: &Style) -> (Cell, Vec<String>) {
    match (before, after) {
        (Side::Value(old), Side::Value(new)) => changed(old, new, style),
        (Side::Unread, Side::Value(new)) if !is_long(new) => (Cell::Two("(not read)".to_owned(), one_line(new)), Vec::new()),
        (Side::Secret(_), Side::Value(new)) if !is_long(new) => (Cell::Two("(secret)".to_owned(), one_line(new)), Vec::new()),
        (Side::Hidden, Side::Value(new)) if !is_long(new) => (Cell::Two(HIDDEN.to_owned(), one_line(new)), Vec::new()),
        (_, Side::Value(new)) => whole(new, style),
        (Side::Value(old), Side::Pending(_)) if !is_long(old) => (Cell::Two(one_line(old), PENDING.to_owned()), Vec::new()),
        (_, Side::Pending(_)) => (Cell::Words(PENDING.to_owned()), Vec::new()),
        (Side::Value(old), Side::Absent) if !is_long(old) => (Cell::Two(one_line(old), "(absent)".to_owned()), Vec::new()),
        (_, Side::Absent) => (Cell::Words("(absent)".to_owned()), Vec::new()),
        (_, Side::Unread) => (Cell::Words("(not read)".to_owned()), Vec::new()),
        (_, Side::Hidden) => (Cell::Words(HIDDEN.to_owned()), Vec::new()),
        // Secrets have words; this is for a verdict that has none.
        (_, Side::Secret(_)) => (Cell::Words("(secret)".to_owned()), Vec::new()),
    }
}

/// Does it need lines of its own when shown whole? Texts of one line never do.
fn is_long(value: &Value) -> bool {
    match value {
        Value::String(text) => is_tall(text),
        Value::List(_) | Value::Map(_) => width(&one_line(value)) > SHORT,
        _ => false,
    }
}

fn is_tall(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
}

fn whole(new: &Value, style: &Style) -> (Cell, Vec<String>) {
    if !is_long(new) {
        return (Cell::One(one_line(new)), Vec::new());
    }
    let drawn = texts::whole(&many_lines(new), style);
    (Cell::Words(drawn.gist), drawn.lines)
}

fn changed(old: &Value, new: &Value, style: &Style) -> (Cell, Vec<String>) {
    let drawn = match (old, new) {
        (Value::String(old), Value::String(new)) if is_tall(old) || is_tall(new) => texts::by_line(old, new, style),
        (Value::String(old), Value::String(new)) if width(old).max(width(new)) > SHORT => texts::by_word(old, new, style),
        _ if is_nested(old) || is_nested(new) => {
            let (old_line, new_line) = (one_line(old), one_line(new));
            if width(&old_line) + width(&new_line) <= SHORT {
                return (Cell::Two(old_line, new_line), Vec::new());
            }
            texts::by_line(&many_lines(old), &many_lines(new), style)
        }
        _ => return (Cell::Two(one_line(old), one_line(new)), Vec::new()),
    };
    (Cell::Words(drawn.gist), drawn.lines)
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Map(_))
}

impl Cell {
    /// Cuts it to the room, if it is to be cut.
    fn fit(&mut self, room: usize, style: &Style) {
        match self {
            Self::Words(_) => {}
            Self::One(text) => *text = fit(text, room, style),
            Self::Two(old, new) => {
                let arrow = width(style.glyph(Glyph::Arrow)) + 2;
                let room = room.saturating_sub(arrow);
                // A short side leaves its room to the other one.
                let half = room / 2;
                let (old_width, new_width) = (width(old), width(new));
                *old = fit(old, half.max(room.saturating_sub(new_width)), style);
                *new = fit(new, half.max(room.saturating_sub(old_width)), style);
            }
        }
    }

    fn text(&self, style: &Style) -> String {
        match self {
            Self::Words(text) | Self::One(text) => text.clone(),
            Self::Two(old, new) => format!("{old} {} {new}", style.glyph(Glyph::Arrow)),
        }
    }
}

impl Row {
    fn draw(self, paths: usize, values: usize, style: &Style) -> Vec<String> {
        let value = self.value.text(style);
        let mut line = Line::new(style, INDENT - 2).put(self.ink, self.glyph).until(INDENT);
        line = line.put(ink::PLAIN, &self.path);
        if !value.is_empty() {
            line = line.until(INDENT + paths).also(self.value_ink(), &value);
        }
        if self.note_below {
            let below = Line::new(style, INDENT + 2).put(self.note_ink, &self.note).end();
            return [line.end(), below].into_iter().chain(self.below).collect();
        }
        if !self.note.is_empty() {
            let column = if value.is_empty() { 0 } else { INDENT + paths + 3 + values };
            line = line.until(column).also(self.note_ink, &self.note);
        }
        std::iter::once(line.end()).chain(self.below).collect()
    }

    fn value_ink(&self) -> anstyle::Style {
        match &self.value {
            Cell::Words(_) => self.ink,
            Cell::One(_) | Cell::Two(..) => ink::PLAIN,
        }
    }
}
