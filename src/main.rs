//! The `patchbay` program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(patchbay::cli::main(&std::env::args_os().collect::<Vec<_>>()))
}
