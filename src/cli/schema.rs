//! `patchbay schema`

use super::args::{Schema, SchemaName};
use super::{Context, exit};

/// Runs the command.
pub fn run(context: &Context<'_>, args: &Schema) -> u8 {
    let document = match args.which {
        SchemaName::Platform => crate::platform::schema::platform(),
        SchemaName::Connections => crate::platform::schema::connections(),
    };
    context.out.json(&document);
    exit::OK
}
