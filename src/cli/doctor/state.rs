//! The state, as far as it can be read.

use super::{advice, check, failed};
use crate::cli::gather::Gathered;
use crate::cli::{Context, session};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::io::store::{Location, RealFs, key_variable, load_key, raw_state};
use crate::state::{Part, State, StateWarning, Survey};
use crate::view::count;
use crate::view::doctor::{Check, Health, Section};

/// What was found of the state.
pub(super) struct Seen {
    label: String,
    state: State,
    /// Why that is not all.
    trouble: Option<Diagnostic>,
    warnings: Diagnostics,
    /// Was it looked at?
    is_known: bool,
}

impl Seen {
    /// What is recorded; of a file that is damaged, what is whole.
    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

/// Reads the state. `is_blind` says that credentials for a store on the network may be missing.
pub(super) async fn look(context: &Context<'_>, gathered: &Gathered, is_blind: bool) -> Seen {
    let mut seen =
        Seen { label: String::new(), state: State::empty(), trouble: None, warnings: Diagnostics::new(), is_known: true };
    let location = match session::location(context.globals, gathered) {
        Ok(location) => location,
        Err(error) => return Seen { trouble: Some(error), ..seen },
    };
    seen.label = location.label();
    if is_blind && matches!(location, Location::Remote(_)) {
        return Seen { is_known: false, ..seen };
    }
    if let Some(error) = session::no_folder(&location) {
        return Seen { trouble: Some(error), ..seen };
    }
    match location.read().await {
        Ok((state, warnings)) => {
            seen.state = state;
            seen.warnings.extend(warnings.iter().map(StateWarning::diagnostic));
        }
        Err(error) => {
            seen.state = whole(&location).unwrap_or_else(State::empty);
            seen.trouble = Some(error.diagnostic());
        }
    }
    seen
}

/// What is whole of a file that is damaged: enough to know where targets were.
fn whole(location: &Location) -> Option<State> {
    let Location::File(path) = location else { return None };
    let raw = raw_state(path, &RealFs).ok()?;
    let mut state = match &raw.file {
        Some(bytes) => Survey::of(&raw.name, bytes).ok()?.state(),
        None => State::empty(),
    };
    for (name, bytes) in &raw.parts {
        if let Ok(part) = Part::of(name, bytes, state.lineage())
            && !part.is_foreign
        {
            state.join(&part.state);
        }
    }
    Some(state)
}

/// The section, with what is to be told in full. Only a configuration without errors tells what is in no file.
pub(super) fn section(context: &Context<'_>, gathered: &Gathered, seen: &Seen, is_configured: bool) -> (Section, Diagnostics) {
    let mut found = seen.warnings.clone();
    let mut checks = Vec::new();
    let state = &seen.state;
    let records = state.records().count();
    match &seen.trouble {
        Some(error) => {
            checks.push(Check { help: error.help.clone(), ..failed("records", error) });
            if records > 0 {
                checks.push(check("still whole", Health::Odd, count(records, "record")));
            }
            found.push(error.clone());
        }
        None if !seen.is_known => {
            checks.push(check("records", Health::Unknown, "nothing was asked: a file of variables cannot be read"));
        }
        None if state.lineage().is_some() => {
            checks.push(check("records", Health::Good, format!("{records}, every line is whole")));
        }
        None => checks.push(check("records", Health::Good, "there is no state yet; the first apply makes it")),
    }
    let open = state.open_intents().count();
    if open > 0 {
        let are = if open == 1 { "1 is".to_owned() } else { format!("{open} are") };
        checks.push(advice(
            "operations",
            Health::Odd,
            format!("{are} open: a run is working, or was interrupted"),
            "the next apply settles what an interrupted run left",
        ));
    }
    if is_configured && seen.trouble.is_none() {
        let declared = |r: &&crate::state::Record| gathered.desired.connections.iter().any(|c| c.address == r.address);
        let orphans = records - state.records().filter(declared).count();
        if orphans > 0 {
            checks.push(check("orphans", Health::Odd, format!("{orphans} recorded and in no file; `patchbay plan` names them")));
        }
    }
    match load_key(&gathered.dir, key_variable(context.env), false) {
        Ok(Some(_)) => checks.push(check("fingerprint key", Health::Good, "at hand")),
        Ok(None) if state.records().any(|r| !r.secrets.is_empty()) => checks.push(advice(
            "fingerprint key",
            Health::Odd,
            "not here, so no secret can be verified",
            "bring .patchbay/key along, or set PATCHBAY_STATE_KEY to what it holds",
        )),
        Ok(None) => {}
        Err(error) => {
            let error = error.diagnostic();
            checks.push(failed("fingerprint key", &error));
            found.push(error);
        }
    }
    if let Some(warning) = session::unfinished_rotation(context.env, &gathered.dir) {
        checks.push(Check { help: warning.help.clone(), ..check("fingerprint key", Health::Odd, warning.summary.as_str()) });
        found.push(warning);
    }
    (Section { name: "state".to_owned(), about: seen.label.clone(), checks }, found)
}
