//! One change of a plan: its headline, its fields, why nothing can be done, and what can.

use super::fields;
use crate::diagnostic::codes;
use crate::plan::model::{Action, Change};
use crate::view::pages::Pages;
use crate::view::style::{Glyph, Style, ink};
use crate::view::text::{Line, clean, count, width, wrap};

/// The lines of a change.
pub(super) fn block(change: &Change, pages: &mut Pages<'_>, style: &Style) -> Vec<String> {
    let (headline, unsaid) = headline(change, pages, style);
    std::iter::once(headline).chain(body(change, unsaid, style)).collect()
}

/// What stands below the headline; `unsaid` is the reason if the headline has no room for it.
pub(super) fn body(change: &Change, unsaid: Option<&str>, style: &Style) -> Vec<String> {
    let mut lines = fields::lines(change, style);
    if let Some(request) = &change.request
        && !request.resends.is_empty()
    {
        let paths: Vec<String> = request.resends.iter().map(|path| clean(&path.to_string())).collect();
        let why = if request.full { "this request carries the whole object" } else { "this request must carry it" };
        let line = Line::new(style, 8).put(ink::ROTATE, "re-sent:").put(ink::PLAIN, " ").put(ink::PLAIN, &paths.join(", "));
        lines.push(line.also(ink::DIM, why).end());
    }
    if let Some(request) = change.request.as_ref().filter(|request| !request.may_lose.is_empty()) {
        let paths: Vec<String> = request.may_lose.iter().map(|path| clean(&path.to_string())).collect();
        let text = format!(
            "{}: this request replaces the whole object, and the API does not show whether they are set",
            paths.join(", ")
        );
        for (n, part) in wrap(&text, style.prose().saturating_sub(18)).iter().enumerate() {
            let lead = if n == 0 { "may lose:" } else { "" };
            lines.push(Line::new(style, 8).put(ink::REMOVE, lead).until(18).put(ink::PLAIN, part).end());
        }
    }
    if change.unchanged_fields > 0 && change.action != Action::Rotate {
        let hidden = format!("{} hidden", count(change.unchanged_fields, "unchanged field"));
        lines.push(Line::new(style, 8).put(ink::DIM, &hidden).end());
    }
    lines.extend(reason(change, unsaid, style));
    lines
}

fn look(action: Action) -> (Glyph, anstyle::Style) {
    match action {
        Action::Create => (Glyph::Create, ink::CREATE),
        Action::Update => (Glyph::Update, ink::UPDATE),
        Action::Rotate => (Glyph::Rotate, ink::ROTATE),
        Action::Replace => (Glyph::Replace, ink::REMOVE),
        Action::Delete => (Glyph::Delete, ink::REMOVE),
        Action::Adopt => (Glyph::Adopt, ink::CREATE),
        Action::Move => (Glyph::Arrow, ink::UPDATE),
        Action::Blocked => (Glyph::Blocked, ink::REMOVE),
        Action::Orphan => (Glyph::Warning, ink::UPDATE),
        Action::Forget | Action::Unchanged => (Glyph::Dot, ink::DIM),
    }
}

/// `+ create   kore-prod/claude   POST                connections/prod.yaml:15`, and the reason if it found no room.
fn headline<'c>(change: &'c Change, pages: &mut Pages<'_>, style: &Style) -> (String, Option<&'c str>) {
    let (glyph, ink) = look(change.action);
    let word = format!("{} {}", style.glyph(glyph), change.action.word());
    let mut line = Line::new(style, 2).put(ink, &word).until(13).put(ink::STRONG, &change.address.to_string());
    if let Some(request) = &change.request {
        let method = request.method.as_str();
        // That a create carries everything goes without saying.
        let full = if request.full && change.action != Action::Create { " (full)" } else { "" };
        line = line.also(ink::DIM, &format!("{method}{full}"));
    }
    if let Some(id) = change.id.as_deref().filter(|_| change.adopts) {
        let id = clean(id);
        line = line.also(ink::DIM, &if change.action == Action::Adopt { id } else { format!("adopts {id}") });
    }
    if let Some(from) = &change.moved_from {
        line = line.also(ink::DIM, &format!("from {from}"));
    }
    let mut unsaid = change.reason.as_ref().map(|reason| reason.text.as_str());
    if change.action != Action::Blocked
        && let Some(text) = unsaid.map(clean)
        && line.width() + 3 + width(&text) <= style.prose()
    {
        line = line.also(ink::PLAIN, &text);
        unsaid = None;
    }
    if let Some(place) = change.source.and_then(|span| pages.place(span)) {
        line = line.right_link(ink::DIM, &format!("{}:{}", place.file, place.line), &style.file_url(&place.file));
    }
    (line.end(), unsaid)
}

/// The API's rule and the ways out.
fn reason(change: &Change, unsaid: Option<&str>, style: &Style) -> Vec<String> {
    let (_, ink) = look(change.action);
    let room = style.prose().saturating_sub(14);
    let mut lines = Vec::new();
    for line in unsaid.iter().flat_map(|text| wrap(text, room)) {
        let rule = style.glyph(Glyph::Rule);
        lines.push(Line::new(style, 6).put(ink, rule).put(ink::PLAIN, " ").put(ink::PLAIN, &line));
    }
    let help = change.reason.as_ref().map_or("", |reason| reason.help.as_str());
    for (n, line) in wrap(help, room).iter().enumerate() {
        let lead = if n == 0 { "help:" } else { "" };
        lines.push(Line::new(style, 6).put(ink::DRIFT, lead).until(12).put(ink::PLAIN, line));
    }
    if change.action == Action::Blocked
        && let Some(last) = lines.pop()
    {
        // What no file declares can only have been meant to go.
        let code = if change.source.is_some() { codes::UNCHANGEABLE } else { codes::UNDELETABLE };
        lines.push(last.right(ink::DIM, &code.id()));
    }
    lines.into_iter().map(Line::end).collect()
}
