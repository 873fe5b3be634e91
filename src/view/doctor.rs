//! What `patchbay doctor` found, for people and for programs.

use serde::Serialize;
use serde_json::Value as Json;

use super::json;
use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, count, counts, width, wrap};
use crate::diagnostic::{Diagnostic, has_errors};
use crate::source::Sources;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, and should be otherwise.
    Odd,
    /// It does not work.
    Bad,
    /// It cannot be told.
    Unknown,
}

impl Health {
    /// Its stable spelling.
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at: `credentials`, `.env`.
    pub what: String,
    /// How it came out.
    pub health: Health,
    /// In a few words.
    pub text: String,
    /// What to do.
    pub help: Option<String>,
}

/// Checks that belong together.
#[derive(Clone, Debug)]
pub struct Section {
    /// A target's name, `files`, `state`.
    pub name: String,
    /// What stands beside the name.
    pub about: String,
    /// The checks.
    pub checks: Vec<Check>,
}

fn number(sections: &[Section], health: Health) -> usize {
    sections.iter().flat_map(|s| &s.checks).filter(|c| c.health == health).count()
}

/// Does something not work?
#[must_use]
pub fn is_ill(sections: &[Section]) -> bool {
    number(sections, Health::Bad) > 0
}

/// The findings for people.
#[must_use]
pub fn render(sections: &[Section], style: &Style) -> String {
    let column = sections.iter().flat_map(|s| &s.checks).map(|c| width(&clean(&c.what))).max().unwrap_or(0);
    let mut lines = Vec::new();
    for section in sections {
        lines.push(Line::new(style, 0).put(ink::STRONG, &clean(&section.name)).also(ink::DIM, &clean(&section.about)).end());
        for check in &section.checks {
            let (glyph, ink) = match check.health {
                Health::Good => (Glyph::Done, ink::CREATE),
                Health::Odd => (Glyph::Warning, ink::UPDATE),
                Health::Bad => (Glyph::Blocked, ink::REMOVE),
                Health::Unknown => (Glyph::Unknown, ink::DIM),
            };
            let line = Line::new(style, 2).put(ink, style.glyph(glyph)).until(5).put(ink::PLAIN, &clean(&check.what));
            lines.push(line.until(5 + column + 2).put(ink::PLAIN, &clean(&check.text)).end());
            for help in check.help.iter().flat_map(|help| wrap(help, style.prose().saturating_sub(7 + column))) {
                lines.push(Line::new(style, 5 + column + 2).put(ink::DIM, &help).end());
            }
        }
        lines.push(String::new());
    }
    let found = counts(&[
        (number(sections, Health::Bad), "bad"),
        (number(sections, Health::Odd), "odd"),
        (number(sections, Health::Unknown), "unknown"),
    ]);
    let good = count(number(sections, Health::Good), "check");
    let verdict = if found.is_empty() { format!("All is well: {good}.") } else { format!("{good} good, {found}.") };
    lines.push(style.paint(ink::STRONG, &verdict));
    format!("{}\n", lines.join("\n"))
}

#[derive(Serialize)]
struct Document {
    /// Takes the place of what the envelope says: a check may be bad without a diagnostic.
    errored: bool,
    healthy: bool,
    sections: Vec<SectionEntry>,
}

#[derive(Serialize)]
struct SectionEntry {
    name: String,
    about: String,
    checks: Vec<CheckEntry>,
}

#[derive(Serialize)]
struct CheckEntry {
    what: String,
    health: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// The document of `doctor --json`.
#[must_use]
pub fn document(sections: &[Section], diagnostics: &[Diagnostic], sources: &Sources) -> Json {
    let entry = |check: &Check| CheckEntry {
        what: check.what.clone(),
        health: check.health.word(),
        text: check.text.clone(),
        help: check.help.clone(),
    };
    let document = Document {
        errored: is_ill(sections) || has_errors(diagnostics),
        healthy: !is_ill(sections),
        sections: sections
            .iter()
            .map(|s| SectionEntry { name: s.name.clone(), about: s.about.clone(), checks: s.checks.iter().map(entry).collect() })
            .collect(),
    };
    json::document(&document, diagnostics, sources)
}
