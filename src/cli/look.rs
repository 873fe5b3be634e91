//! `patchbay show`, `patchbay state list | show`, `patchbay schema`: commands that only look.

use super::args::{Schema, SchemaName, Show, StateArgs, StateCommand};
use super::gather::{How, gather};
use super::{Context, exit};
use crate::diagnostic::{Diagnostic, codes};
use crate::io::files;
use crate::io::store::{LocalStore, RealFs};
use crate::source::Sources;
use crate::state::Record;

/// `patchbay show PLAN`
pub fn show(context: &Context<'_>, args: &Show) -> u8 {
    let out = context.out;
    let path = context.path(&args.plan);
    let document = files::read_text(&path)
        .map_err(|e| Diagnostic::error(codes::UNREADABLE, format!("cannot read the plan {e}")))
        .and_then(|text| {
            serde_json::from_str::<serde_json::Value>(&text).ok().filter(|json| json.get("saved").is_some()).ok_or_else(|| {
                Diagnostic::error(codes::BAD_PLAN, format!("`{}` is not a saved plan of patchbay", path.display()))
            })
        });
    let mut document = match document {
        Ok(document) => document,
        Err(error) => {
            let errors = [error.help("save one with `patchbay plan --out FILE`")];
            out.failed(&errors, &Sources::default());
            return exit::ERROR;
        }
    };
    if out.is_json {
        if let Some(map) = document.as_object_mut() {
            map.shift_remove("saved");
        }
        out.json(&document);
    } else {
        out.text(&describe(&document));
    }
    exit::OK
}

/// A saved plan in words: what it would do, connection by connection, field by field.
fn describe(document: &serde_json::Value) -> String {
    use crate::platform::exchange::neutral;
    let word = |value: &serde_json::Value| value.as_str().map(neutral).unwrap_or_default();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let mut text = format!("saved plan of {}\n", word(&document["timestamp"]));
    for change in list(&document["resource_changes"]) {
        let ours = &change["patchbay"];
        text.push_str(&format!("\n{:8} {}", word(&ours["action"]), word(&change["address"])));
        for request in list(&ours["requests"]) {
            text.push_str(&format!("   {} {}", word(&request["method"]), word(&request["path"])));
        }
        text.push('\n');
        for verdict in list(&ours["verdicts"]) {
            let cause = list(&ours["causes"]).into_iter().find(|c| c["path"] == verdict["path"]);
            let cause = cause.map(|c| format!("   {}", word(&c["cause"]))).unwrap_or_default();
            text.push_str(&format!("           {}   {}{cause}\n", word(&verdict["path"]), word(&verdict["verdict"])));
        }
    }
    let counts: Vec<String> = document["summary"]
        .as_object()
        .map(|summary| summary.iter().filter(|(_, n)| n.as_u64() > Some(0)).map(|(what, n)| format!("{n} {what}")).collect())
        .unwrap_or_default();
    text.push_str(&format!("\n{}\n", if counts.is_empty() { "nothing to do".to_owned() } else { counts.join(", ") }));
    text
}

/// `patchbay state …`
pub fn state(context: &Context<'_>, args: &StateArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let how = How { globals: context.globals, env: context.env, offline: true, redactor: context.redactor };
    let path = match &context.globals.state {
        Some(path) => context.path(path),
        None => match gather(&how, &mut sources) {
            (Some(gathered), _) => gathered.dir.join(&gathered.project.state_path),
            (None, found) => {
                out.failed(&found, &sources);
                return exit::of_errors(&found);
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
        StateCommand::List => state.records().collect(),
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
