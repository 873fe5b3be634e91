//! `patchbay show`: a saved plan as it was reviewed, or one connection as it is declared, recorded and live.

use std::path::Path;

use super::args::{Planning, RefreshArg, Show};
use super::events::Listener;
use super::gather::gather;
use super::planning::{self, Filling};
use super::session::{self, Opening};
use super::{Context, exit};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, codes, has_errors, tidy};
use crate::engine::reader::readers;
use crate::engine::refresh::refresh;
use crate::io::files;
use crate::plan::beside::beside;
use crate::plan::observed::Observed;
use crate::platform::exchange::is_unsafe;
use crate::source::Sources;
use crate::{suggest, view};

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &Show) -> u8 {
    let path = context.path(Path::new(&args.what));
    match args.what.parse::<Address>() {
        Ok(address) if !files::is_file(&path) => connection(context, &address).await,
        _ => plan(context, &path),
    }
}

/// A saved plan.
fn plan(context: &Context<'_>, path: &Path) -> u8 {
    let out = context.out;
    let document = files::read_text(path)
        .map_err(|e| Diagnostic::error(codes::UNREADABLE, format!("cannot read the plan {e}")))
        .and_then(|text| {
            serde_json::from_str::<serde_json::Value>(&text).ok().filter(|json| json.get("saved").is_some()).ok_or_else(|| {
                Diagnostic::error(codes::BAD_PLAN, format!("`{}` is not a saved plan of patchbay", path.display()))
            })
        });
    let mut document = match document {
        Ok(document) => document,
        Err(error) => {
            let help = "save one with `patchbay plan --out FILE`; a connection is shown by its address, TARGET/KEY";
            return context.fail(&[error.help(help)], &Sources::default());
        }
    };
    if out.is_machine {
        if let Some(map) = document.as_object_mut() {
            map.shift_remove("saved");
            map.shift_remove("screen");
        }
        out.json(&document);
    } else {
        // The screen that was reviewed, as it was; a file may be anybody's, so it is neutralised line by line.
        let screen = document["screen"].as_str().unwrap_or_default();
        for line in screen.lines() {
            let safe: String = line.chars().filter(|c| !is_unsafe(*c)).collect();
            out.text(&format!("{safe}\n"));
        }
    }
    exit::OK
}

/// One connection, from three sides.
async fn connection(context: &Context<'_>, address: &Address) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else { return context.fail(&found, &sources) };
    let mut globals = context.globals.clone();
    globals.only = vec![globset::escape(&address.to_string())];
    globals.exclude.clear();
    let planning = Planning::reading(RefreshArg::Full);
    let opening = Opening::looking(context, &globals, &planning);
    let session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) if errors.iter().all(|d| d.code == codes::NOT_FOUND) => {
            let known: Vec<String> = gathered.desired.connections.iter().map(|c| c.address.to_string()).collect();
            let near = suggest::nearest(&address.to_string(), known.iter().map(String::as_str));
            let error =
                Diagnostic::error(codes::NOT_FOUND, format!("`{address}` is neither declared nor in the state, and is no file"))
                    .help_opt(near.map(|near| format!("did you mean `{near}`?")));
            return context.fail(&[error], &sources);
        }
        Err(errors) => return context.fail(&errors, &sources),
    };
    let filling = Filling::new(&gathered);
    let references = filling.references(&sources);
    let nothing = Observed::default();
    let world = planning::world(&gathered, &session, &nothing, &references);
    let (observed, errors) = refresh(&world, &readers(&session.lanes), context.redactor, &Listener::new(context)).await;
    found.extend(errors);
    tidy(&mut found);
    let world = planning::world(&gathered, &session, &observed, &references);
    match beside(&world, address, session.has_key) {
        Some(beside) if out.is_machine => out.json(&view::beside::document(&beside, &found, &sources)),
        Some(beside) => {
            out.text(&view::beside::render(&beside, &sources, &out.stdout));
            out.diagnostics(&found, &sources);
        }
        None => return context.fail(&found, &sources),
    }
    exit::of_errors(&found)
}
