//! `patchbay validate`

use super::args::Validate;
use super::gather::gather;
use super::{Context, exit, session};
use crate::diagnostic::has_errors;
use crate::source::Sources;
use crate::state::State;
use crate::view::digest::Digest;
use crate::view::{self, count};

/// Runs the command.
pub fn run(context: &Context<'_>, args: &Validate) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, args.offline, &mut sources);
    if let Some(gathered) = &gathered {
        let errors = session::unmatched(context.globals, gathered, &State::empty(), &mut found);
        found.extend(errors);
        // An address of the state that cannot be used is a mistake in the files; nothing is opened here.
        found.extend(session::location(context.globals, gathered).err());
    }
    let valid = !has_errors(&found);
    context.reports.hold(|| {
        let document = view::json::diagnostics_document(&found, &sources, valid);
        let declared = gathered.as_ref().map_or(&[][..], |gathered| &gathered.desired.connections);
        Digest::of_files("validate", declared, &found, &sources, document)
    });
    if out.is_machine {
        out.json(&view::json::diagnostics_document(&found, &sources, valid));
    } else {
        out.diagnostics(&found, &sources);
    }
    match gathered {
        Some(gathered) if valid && !out.is_machine => {
            let offline = if args.offline { " Variables were not looked at." } else { "" };
            out.text(&format!(
                "Valid: {} on {} in {}.{offline}\n",
                count(gathered.desired.connections.len(), "connection"),
                count(gathered.project.targets.len(), "target"),
                count(gathered.files, "file")
            ));
        }
        _ => {}
    }
    // Whatever is wrong with a file, validation says *not valid*; nothing is refused here.
    if valid { exit::OK } else { exit::ERROR }
}
