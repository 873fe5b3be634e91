//! What a rehearsal of a platform definition showed, for people and for programs.

use serde::Serialize;
use serde_json::Value as Json;

use super::json;
use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, count, wrap};
use crate::diagnostic::{Diagnostic, has_errors};
use crate::plan::rehearsal::{Evidence, Report};
use crate::platform::model::Trust;
use crate::source::Sources;

/// One definition.
#[derive(Debug)]
pub struct Checked {
    /// Its file, or the name of a built-in one.
    pub name: String,
    /// The platform's name; none if the file could not be read as a definition.
    pub platform: Option<(String, String)>,
    /// Kind by kind.
    pub kinds: Vec<Report>,
}

/// The reports for people; what is wrong is told by the diagnostics.
#[must_use]
pub fn render(all: &[Checked], found: &[Diagnostic], style: &Style) -> String {
    let mut lines = Vec::new();
    for checked in all {
        let Some((platform, title)) = &checked.platform else { continue };
        let about = format!("{} {} {}", clean(title), style.glyph(Glyph::Dot), clean(&checked.name));
        lines.push(Line::new(style, 0).put(ink::STRONG, &clean(platform)).also(ink::DIM, &about).end());
        for kind in &checked.kinds {
            lines.push(String::new());
            lines.extend(block(kind, style));
        }
        lines.push(String::new());
    }
    let kinds: usize = all.iter().map(|c| c.kinds.len()).sum();
    let errors = found.iter().filter(|d| d.is_error()).count();
    let verdict = if has_errors(found) { "Not right" } else { "Right, as far as a rehearsal tells" };
    let warnings = found.len() - errors;
    let counts = format!("{}, {}, {}", count(kinds, "kind"), count(errors, "error"), count(warnings, "warning"));
    lines.push(Line::new(style, 0).put(ink::STRONG, &format!("{verdict}: {counts}.")).end());
    format!("{}\n", lines.join("\n"))
}

fn block(kind: &Report, style: &Style) -> Vec<String> {
    const COLUMN: usize = 18;
    let mut lines = vec![Line::new(style, 2).put(ink::STRONG, &clean(&kind.kind)).also(ink::DIM, &clean(&kind.title)).end()];
    let mut row = |name: &str, text: &str| {
        let room = style.prose().saturating_sub(COLUMN);
        for (n, part) in wrap(text, room).iter().enumerate() {
            let lead = if n == 0 { name } else { "" };
            lines.push(Line::new(style, 4).put(ink::DIM, lead).until(COLUMN).put(ink::PLAIN, part).end());
        }
    };
    row("create", &kind.create);
    for (verb, fields) in &kind.updates {
        let fields = if fields.is_empty() { "never chosen for one field".to_owned() } else { fields.join(", ") };
        row("update", &format!("{verb}: {fields}"));
    }
    row("delete", kind.delete.as_deref().unwrap_or("the API cannot"));
    if let Some((test, trust)) = &kind.test {
        row("test", &format!("{test}: {}", trust_words(*trust)));
    }
    if !kind.unchangeable.is_empty() {
        row("unchangeable", &kind.unchangeable.join(", "));
    }
    for (path, evidence) in &kind.secrets {
        row("secret", &format!("{path}: {}", evidence_words(*evidence)));
    }
    lines
}

fn trust_words(trust: Trust) -> &'static str {
    match trust {
        Trust::Call => "makes a call with the stored credentials",
        Trust::SometimesCall => "makes a call for some objects, and passes all others",
        Trust::Stored => "looks at what is stored",
    }
}

fn evidence_words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::MaskAndStamp => "an unmoved stamp proves it, another mask disproves it",
        Evidence::Mask => "another mask disproves it, nothing proves it",
        Evidence::Stamp => "an unmoved stamp proves it, nothing disproves it",
        Evidence::PresenceAndStamp => "an unmoved stamp proves it, its absence disproves it",
        Evidence::Presence => "its absence disproves it, nothing proves it",
        Evidence::Nothing => "nothing tells: it can never be verified",
        Evidence::Value => "the API returns it, so it is compared",
    }
}

#[derive(Serialize)]
struct Document<'d> {
    valid: bool,
    definitions: Vec<Entry<'d>>,
}

#[derive(Serialize)]
struct Entry<'d> {
    file: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'d str>,
    kinds: Vec<KindEntry<'d>>,
}

#[derive(Serialize)]
struct KindEntry<'d> {
    kind: &'d str,
    title: &'d str,
    create: &'d str,
    updates: Vec<UpdateEntry<'d>>,
    delete: Option<&'d str>,
    test: Option<&'d str>,
    unchangeable: &'d [String],
    secrets: Vec<SecretEntry<'d>>,
}

#[derive(Serialize)]
struct UpdateEntry<'d> {
    request: &'d str,
    chosen_for: &'d [String],
}

#[derive(Serialize)]
struct SecretEntry<'d> {
    path: &'d str,
    evidence: &'static str,
}

/// The document of `platform check --json`.
#[must_use]
pub fn document(all: &[Checked], found: &[Diagnostic], sources: &Sources) -> Json {
    let kind = |kind| {
        let Report { kind, title, create, updates, delete, test, unchangeable, secrets, .. }: &Report = kind;
        KindEntry {
            kind,
            title,
            create,
            updates: updates.iter().map(|(request, fields)| UpdateEntry { request, chosen_for: fields }).collect(),
            delete: delete.as_deref(),
            test: test.as_ref().map(|(request, _)| request.as_str()),
            unchangeable,
            secrets: secrets
                .iter()
                .map(|(path, evidence)| SecretEntry {
                    path,
                    evidence: match evidence {
                        Evidence::MaskAndStamp => "mask-and-stamp",
                        Evidence::Mask => "mask",
                        Evidence::Stamp => "stamp",
                        Evidence::PresenceAndStamp => "presence-and-stamp",
                        Evidence::Presence => "presence",
                        Evidence::Nothing => "nothing",
                        Evidence::Value => "value",
                    },
                })
                .collect(),
        }
    };
    let definitions = all
        .iter()
        .map(|c| Entry {
            file: &c.name,
            platform: c.platform.as_ref().map(|(name, _)| name.as_str()),
            kinds: c.kinds.iter().map(kind).collect(),
        })
        .collect();
    json::document(&Document { valid: !has_errors(found), definitions }, found, sources)
}
