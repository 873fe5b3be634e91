//! `patchbay schema`: the JSON Schemas of what people write, and of what programs read.

use super::args::Schema;
use super::{Context, exit, gather};
use crate::diagnostic::{Diagnostic, codes};
use crate::platform::schema;
use crate::source::Sources;

macro_rules! outputs {
    ($($name:literal)*) => {
        /// The documents that commands print, and the lines of the event stream. Unlike the other schemas these are
        /// written by hand: they are the promise, and the tests hold the program to it.
        const OUTPUTS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../schemas/output/", $name, ".schema.json")))),*];
    };
}

outputs! {
    "apply"
    "completions"
    "doctor"
    "drift"
    "env"
    "events"
    "explain"
    "export"
    "fmt"
    "graph"
    "import"
    "init"
    "man"
    "plan"
    "platform-check"
    "platform-new"
    "platform-probe"
    "sandbox"
    "show"
    "state"
    "test"
    "validate"
    "version"
}

/// What people write.
const INPUTS: [&str; 3] = ["connections", "project", "platform"];

/// Every schema's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    INPUTS.into_iter().chain(OUTPUTS.iter().map(|(name, _)| *name))
}

/// Runs the command.
pub fn run(context: &Context<'_>, args: &Schema) -> u8 {
    if args.lenient && args.which != "connections" {
        let error = Diagnostic::error(codes::USAGE, "--lenient is about the schema of connections");
        return context.fail(&[error], &Sources::default());
    }
    // A schema is a document of its own; `--json` changes nothing about it.
    if let Some((_, text)) = OUTPUTS.iter().find(|(name, _)| *name == args.which) {
        super::out::print(text);
        return exit::OK;
    }
    let document = match args.which.as_str() {
        "platform" => schema::platform(),
        // In a project, its own platforms and targets are known, too.
        "project" => schema::project(&gather::own_platforms(context)),
        _ => schema::connections(&gather::own_platforms(context), args.lenient),
    };
    super::out::print_document(&document);
    exit::OK
}
