//! One connection in three columns: declared, recorded, live.

use serde::Serialize;
use serde_json::Value as Json;

use super::json;
use super::pages::Pages;
use super::plan::words;
use super::style::{Glyph, Style, ink};
use super::text::{Line, SECRET, clean, fit, one_line, shown, width, wrap};
use crate::diagnostic::Diagnostic;
use crate::plan::beside::{Beside, LiveSide, Recorded, Row};
use crate::plan::model::{FieldChange, Side, Verdict};
use crate::source::Sources;

/// Wider values do not push the columns of the others to the right.
const WIDEST: usize = 44;

/// The three sides for people.
#[must_use]
pub fn render(beside: &Beside<'_>, sources: &Sources, style: &Style) -> String {
    let mut lines = head(beside, sources, style);
    lines.push(String::new());
    let rows: Vec<[String; 5]> = beside.rows.iter().map(|row| cells(row, style)).collect();
    let titles = ["field", "declared", "recorded", "live"];
    let mut widths = titles.map(str::len);
    for row in &rows {
        for (n, most) in widths.iter_mut().enumerate() {
            *most = (*most).max(width(&row[n]).min(WIDEST));
        }
    }
    // A terminal has only so many columns: what is left after path and words is shared by the two values.
    let room = style.width.saturating_sub(2 + widths[0] + widths[2] + 9) / 2;
    if style.tty && !style.full {
        // The live side mostly says `=`; what it does not need, the declared side has.
        widths[3] = widths[3].min(room.max(18));
        widths[1] = widths[1].min((2 * room).saturating_sub(widths[3]).max(18));
    }
    let draw = |cells: [&str; 4], inks: [anstyle::Style; 4]| {
        let mut line = Line::new(style, 2);
        let mut column = 2;
        for (n, (cell, ink)) in cells.into_iter().zip(inks).enumerate() {
            line = line.until(column).put(ink, &fit(cell, widths[n], style));
            column = (column + widths[n] + 3).max(line.width() + 3);
        }
        line
    };
    lines.push(draw(titles, [ink::DIM; 4]).end());
    for (row, cells) in beside.rows.iter().zip(&rows) {
        let [path, declared, recorded, live, note] = cells;
        let differs = !row.same && !matches!(row.live, Side::Unread | Side::Hidden | Side::Secret(_));
        let ink = if differs { ink::DRIFT } else { ink::PLAIN };
        lines.push(draw([path, declared, recorded, live], [ink::PLAIN, ink::PLAIN, ink::DIM, ink]).end());
        if !note.is_empty() {
            lines.push(Line::new(style, 4).put(ink::UPDATE, note).end());
        }
    }
    if rows.iter().any(|row| row[2] == "=" || row[3] == "=") {
        lines.push(String::new());
        lines.push(style.paint(ink::DIM, "= is the declared value"));
    }
    format!("{}\n", lines.join("\n"))
}

fn head(beside: &Beside<'_>, sources: &Sources, style: &Style) -> Vec<String> {
    let dot = format!(" {} ", style.glyph(Glyph::Dot));
    let first = Line::new(style, 0).put(ink::STRONG, &beside.address.to_string()).also(ink::DIM, &clean(&beside.kind));
    let side = |name: &str, text: String| {
        let room = if style.tty { style.prose().saturating_sub(13) } else { usize::MAX };
        let line = |(n, text): (usize, &String)| {
            Line::new(style, 2).put(ink::DIM, if n == 0 { name } else { "" }).until(13).put(ink::PLAIN, text).end()
        };
        wrap(&text, room).iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    };
    let declared = match beside.source.and_then(|span| Pages::new(sources).file_line(span)) {
        Some(place) => place,
        None => "in no file".to_owned(),
    };
    let recorded = match beside.record {
        Some(record) => {
            let mut parts = vec![clean(&record.id), format!("revision {}", record.rev), clean(&record.at)];
            parts.extend(record.guards.iter().map(|guard| clean(guard)));
            parts.join(&dot)
        }
        None => "not in the state".to_owned(),
    };
    let live = match &beside.live {
        LiveSide::There { id, watermark, read } => {
            let mut parts = vec![clean(id)];
            if let Some(stamp) = watermark {
                let same = beside.record.and_then(|r| r.seen.as_ref()) == Some(stamp);
                parts.push(if same {
                    "not modified since it was recorded".to_owned()
                } else {
                    format!("modified at {}", clean(stamp))
                });
            }
            if !read {
                parts.push("only seen in the list".to_owned());
            }
            parts.join(&dot)
        }
        LiveSide::None => "not there".to_owned(),
        LiveSide::Unknown => "could not be read".to_owned(),
    };
    vec![first.end(), side("declared", declared), side("recorded", recorded), side("live", live)]
}

/// Path, declared, recorded, live, and what is to be said below.
fn cells(row: &Row, style: &Style) -> [String; 5] {
    let recorded = match row.recorded {
        Recorded::Nothing => "-",
        Recorded::AsDeclared => "=",
        Recorded::AsLive => "as live",
        Recorded::Other if matches!(row.declared, Side::Absent) => "something",
        Recorded::Other => "another value",
        Recorded::Assumed => "= (not proved)",
        Recorded::OtherKey => "(another key)",
    };
    let live = match (&row.live, row.same) {
        (_, true) => "=".to_owned(),
        (live, false) => side(live),
    };
    let note = row.finding.as_ref().and_then(|finding| note(finding, style)).unwrap_or_default();
    [clean(&row.path.to_string()), side(&row.declared), recorded.to_owned(), live, note]
}

fn side(side: &Side) -> String {
    match side {
        Side::Absent => "-".to_owned(),
        Side::Value(value) => clean(&one_line(value)),
        Side::Secret(Some(fingerprint)) => format!("(secret {})", fingerprint.short()),
        Side::Secret(None) => SECRET.to_owned(),
        Side::Pending(what) => format!("(known after apply: {})", clean(what)),
        Side::Unread => "(not seen)".to_owned(),
        Side::Hidden => "(not shown)".to_owned(),
    }
}

fn note(finding: &FieldChange, style: &Style) -> Option<String> {
    match &finding.verdict {
        Verdict::Unchanged | Verdict::New => None,
        Verdict::Changed => Some(format!(
            "differs, by {}",
            match finding.cause.word() {
                "config" => "the files",
                "drift" => "somebody's change outside",
                "both" => "the files and a change outside",
                _ => "nobody knows whom",
            }
        )),
        _ => words(finding, style),
    }
}

#[derive(Serialize)]
struct Document<'d> {
    address: String,
    kind: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    recorded: Option<RecordedSide<'d>>,
    live: Option<LiveEntry<'d>>,
    fields: Vec<Entry<'d>>,
}

#[derive(Serialize)]
struct RecordedSide<'d> {
    id: &'d str,
    revision: u64,
    at: &'d str,
    watermark: Option<&'d str>,
    guards: Vec<&'d str>,
}

#[derive(Serialize)]
struct LiveEntry<'d> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<&'d str>,
}

#[derive(Serialize)]
struct Entry<'d> {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<Json>,
    recorded: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Json>,
    same: bool,
    verdict: &'d str,
    sensitive: bool,
}

/// The document of `show ADDR --json`.
#[must_use]
pub fn document(beside: &Beside<'_>, diagnostics: &[Diagnostic], sources: &Sources) -> Json {
    let value = |side: &Side| match side {
        Side::Absent | Side::Unread | Side::Hidden => None,
        Side::Value(value) => Some(shown(value)),
        other => Some(Json::String(self::side(other))),
    };
    let fields = beside
        .rows
        .iter()
        .map(|row| Entry {
            path: row.path.to_string(),
            declared: value(&row.declared),
            recorded: row.recorded.word(),
            live: value(&row.live),
            same: row.same,
            verdict: row.finding.as_ref().map_or("unchanged", |f| f.verdict.word()),
            sensitive: matches!(row.declared, Side::Secret(_)) || matches!(row.live, Side::Secret(_)),
        })
        .collect();
    let recorded = beside.record.map(|record| RecordedSide {
        id: &record.id,
        revision: record.rev,
        at: &record.at,
        watermark: record.seen.as_deref(),
        guards: record.guards.iter().map(String::as_str).collect(),
    });
    let live = match &beside.live {
        LiveSide::There { id, watermark, .. } => {
            Some(LiveEntry { state: "there", id: Some(id), watermark: watermark.as_deref() })
        }
        LiveSide::None => None,
        LiveSide::Unknown => Some(LiveEntry { state: "unknown", id: None, watermark: None }),
    };
    let document = Document {
        address: beside.address.to_string(),
        kind: &beside.kind,
        source: beside.source.and_then(|span| Pages::new(sources).file_line(span)),
        recorded,
        live,
        fields,
    };
    json::document(&document, diagnostics, sources)
}
