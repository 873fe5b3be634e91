//! `patchbay state history`: what the lines that are still in a state tell of earlier runs.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{Place, document, look, selector, unknown};
use crate::address::Address;
use crate::cli::{Context, exit};
use crate::diagnostic::Diagnostics;
use crate::platform::exchange::neutral;
use crate::source::Sources;
use crate::state::{Entry, Event, StateWarning, What, history as tell};

/// `history [ADDR|GLOB]`
pub(super) fn history(context: &Context<'_>, place: &Place, what: Option<&str>) -> Result<u8, Diagnostics> {
    let out = context.out;
    let seen = look(place)?;
    if let Some(error) = seen.file.as_ref().and_then(|(_, survey)| survey.diagnostic()) {
        return Err(vec![error]);
    }
    let found: Diagnostics = seen.parts.iter().flat_map(|part| &part.warnings).map(StateWarning::diagnostic).collect();
    let in_file = seen.file.iter().flat_map(|(_, survey)| &survey.whole).map(|whole| &whole.entry);
    let in_parts = seen.parts.iter().filter(|part| !part.is_foreign).flat_map(|part| &part.entries);
    let entries: Vec<&Entry> = in_file.chain(in_parts).collect();
    let mut events = tell(entries);
    if let Some(what) = what {
        let chosen = selector(&[what.to_owned()], &[]).map_err(|error| vec![error])?;
        let known: BTreeSet<Address> = events.iter().filter_map(|event| event.address.clone()).collect();
        if !known.iter().any(|address| chosen.matches(address)) {
            return Err(vec![unknown(what, &known)]);
        }
        events.retain(|event| event.address.as_ref().is_some_and(|address| chosen.matches(address)));
    }
    let within = selector(&context.globals.only, &context.globals.exclude).map_err(|error| vec![error])?;
    events.retain(|event| event.address.as_ref().is_none_or(|address| within.matches(address)));
    if out.is_machine {
        out.json(&document(&found, &json!({ "events": events.iter().map(event_document).collect::<Vec<Json>>() })));
        return Ok(exit::OK);
    }
    out.diagnostics(&found, &Sources::default());
    if events.is_empty() {
        out.note(&format!("nothing is known in {}", place.location.label()));
    }
    out.text(&table(&events));
    Ok(exit::OK)
}

fn event_document(event: &Event) -> Json {
    json!({
        "event": event.what.word().replace(' ', "_"),
        "at": event.at,
        "address": event.address.as_ref().map(ToString::to_string),
        "rev": event.rev,
        "id": event.id,
        "name": event.name,
        "verb": event.verb,
        "why": event.why,
        "op": event.op,
        "run": event.run,
    })
}

/// One line an event: when, which connection, which revision, what, by which operation.
fn table(events: &[Event]) -> String {
    let address = |event: &Event| event.address.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let width = events.iter().map(|event| address(event).len()).max().unwrap_or(0);
    let mut text = String::new();
    for event in events {
        let at = event.at.as_deref().map_or_else(|| "-".to_owned(), neutral);
        let rev = event.rev.map_or_else(|| "-".to_owned(), |rev| format!("rev {rev}"));
        text.push_str(&format!("{at:20}  {:width$}  {rev:7}  {}   op {}\n", address(event), told(event), neutral(&event.op)));
    }
    text
}

fn told(event: &Event) -> String {
    let of = |text: &Option<String>| text.as_deref().map(neutral).unwrap_or_default();
    let word = event.what.word();
    match event.what {
        What::Recorded => format!("{word} as {} \"{}\"", of(&event.id), of(&event.name)),
        What::Gone | What::Forgotten | What::MovedAway => format!("{word}: {}", of(&event.id)),
        What::Open => format!("{word}: {} of \"{}\", announced by run {}", of(&event.verb), of(&event.name), of(&event.run)),
        What::Void if event.verb.is_some() => format!("{word}: {} ({})", of(&event.verb), of(&event.why)),
        What::Void => format!("{word}: {}", of(&event.why)),
    }
}
