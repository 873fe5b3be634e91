//! `patchbay state list | show`, `patchbay schema`: commands that only look.

use super::args::{Schema, SchemaName, StateArgs, StateCommand};
use super::gather::gather;
use super::{Context, exit};
use crate::diagnostic::{Diagnostic, codes};
use crate::io::store::{LocalStore, RealFs};
use crate::source::Sources;
use crate::state::Record;

/// `patchbay state …`
pub fn state(context: &Context<'_>, args: &StateArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let path = match &context.globals.state {
        Some(path) => context.path(path),
        None => match gather(context, true, &mut sources) {
            (Some(gathered), _) => gathered.dir.join(&gathered.project.state_path),
            (None, found) => {
                return context.fail(&found, &sources);
            }
        },
    };
    let (state, warnings) = match LocalStore::read_only(&path, &RealFs) {
        Ok(read) => read,
        Err(error) => {
            out.failed(&[error.diagnostic()], &sources);
            return exit::ERROR;
        }
    };
    let warnings: Vec<Diagnostic> = warnings.iter().map(crate::state::StateWarning::diagnostic).collect();
    out.diagnostics(&warnings, &sources);
    let records: Vec<&Record> = match &args.command {
        StateCommand::List => {
            let globals = context.globals;
            match crate::plan::select::Selector::new(&globals.only, &globals.exclude) {
                Ok(selector) => state.records().filter(|r| selector.matches(&r.address)).collect(),
                Err(why) => {
                    out.failed(&[Diagnostic::error(codes::NOT_ACCEPTED, why)], &sources);
                    return exit::ERROR;
                }
            }
        }
        StateCommand::Show { address } => {
            let wanted: Vec<&Record> = state.records().filter(|r| r.address.to_string() == *address).collect();
            if wanted.is_empty() {
                let known: Vec<String> = state.records().map(|r| r.address.to_string()).collect();
                let near = crate::suggest::nearest(address, known.iter().map(String::as_str));
                let error = Diagnostic::error(codes::NOT_FOUND, format!("the state has no record of `{address}`"))
                    .help_opt(near.map(|n| format!("did you mean `{n}`?")));
                out.failed(&[error], &sources);
                return exit::ERROR;
            }
            wanted
        }
    };
    if out.is_json {
        let records: Vec<serde_json::Value> = records.iter().map(|r| serde_json::Value::Object(r.to_map())).collect();
        out.json(&serde_json::json!({ "format_version": "1.0", "records": records }));
    } else if matches!(args.command, StateCommand::Show { .. }) {
        for record in records {
            let text = serde_json::to_string_pretty(&serde_json::Value::Object(record.to_map())).unwrap_or_default();
            out.text(&format!("{text}\n"));
        }
    } else {
        if records.is_empty() {
            out.note(&format!("nothing is recorded in {}", path.display()));
        }
        let width = records.iter().map(|r| r.address.to_string().len()).max().unwrap_or(0);
        for record in &records {
            let address = record.address.to_string();
            out.text(&format!("{address:width$}  {}  {}\n", record.id, crate::platform::exchange::neutral(&record.name)));
        }
        let open = state.open_intents().count();
        if open > 0 {
            out.note(&format!("{open} operations are open: a run is working, or was interrupted; the next apply settles them"));
        }
    }
    exit::OK
}

/// `patchbay schema`
pub fn schema(context: &Context<'_>, args: &Schema) -> u8 {
    let document = match args.which {
        SchemaName::Platform => crate::platform::schema::platform(),
        SchemaName::Connections => crate::platform::schema::connections(),
    };
    context.out.json(&document);
    exit::OK
}
