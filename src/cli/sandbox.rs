//! `patchbay sandbox`

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::args::SandboxArgs;
use super::platform::text_of;
use super::{Context, exit};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::platform::fake::Fake;
use crate::platform::model::Definition;
use crate::platform::parse;
use crate::sandbox::{self, Fault, Quirks, SandboxError};
use crate::source::Sources;

/// Runs the command until a signal comes.
pub async fn run(context: &Context<'_>, args: &SandboxArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let mut defined = Vec::new();
    for which in &args.definition {
        match load(context, which, &mut sources) {
            Ok(definition) => defined.push(Fake::new(Arc::new(definition))),
            Err(found) => {
                out.failed(&found, &sources);
                return exit::ERROR;
            }
        }
    }
    let started = match options(context, args) {
        Ok(options) => sandbox::start(sandbox::Options { defined, ..options }).await,
        Err(error) => Err(error),
    };
    let sandbox = match started {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|e| format!(": {e}")).unwrap_or_default();
            let mut diagnostic = Diagnostic::error(codes::NOT_ACCEPTED, format!("the sandbox cannot start: {error}{cause}"));
            if matches!(error, SandboxError::Listen { .. }) {
                diagnostic.code = codes::CANNOT_CONNECT;
                diagnostic = diagnostic.help("choose another port with --port, or --port 0 for any that is free");
            } else if !args.quirk.is_empty() {
                let names: Vec<&str> = Quirks::names().iter().map(|(name, _)| *name).collect();
                diagnostic = diagnostic.help(format!("quirks: {}", names.join(", ")));
            }
            out.failed(&[diagnostic], &Sources::default());
            return exit::ERROR;
        }
    };
    if out.is_machine {
        let urls: serde_json::Map<String, serde_json::Value> =
            sandbox.platforms().filter_map(|name| Some((name.to_owned(), sandbox.base_url(name)?.into()))).collect();
        let content = serde_json::json!({ "origin": sandbox.origin(), "base_urls": urls });
        out.json(&crate::view::json::document(&content, &[], &Sources::default()));
    } else {
        let mut text = format!("sandbox on {}\n", sandbox.origin());
        for name in sandbox.platforms() {
            if let Some(url) = sandbox.base_url(name) {
                text.push_str(&format!("  {name:10} base_url = \"{url}\"\n"));
            }
        }
        text.push_str("Any key is accepted unless --key is given. Ctrl-C stops it.\n");
        out.text(&text);
    }
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return exit::ERROR;
    };
    let code = tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    sandbox.stop().await;
    code
}

fn load(context: &Context<'_>, which: &str, sources: &mut Sources) -> Result<Definition, Diagnostics> {
    let text = text_of(context, which).map_err(|error| vec![error])?;
    let file = sources.add(which, Arc::clone(&text));
    parse::parse(file, &text)
}

fn options(context: &Context<'_>, args: &SandboxArgs) -> Result<sandbox::Options, SandboxError> {
    let mut quirks = Quirks::default();
    for quirk in &args.quirk {
        let (name, value) = quirk.split_once('=').unwrap_or((quirk, "true"));
        quirks.set(name, value)?;
    }
    let faults = args.fault.iter().map(|f| f.parse::<Fault>()).collect::<Result<_, _>>()?;
    Ok(sandbox::Options {
        file: args.store.as_ref().map(|p| context.path(p)),
        log: args.log.as_ref().map(|p| context.path(p)),
        port: args.port,
        quirks,
        faults,
        api_key: args.key.clone(),
        defined: Vec::new(),
    })
}
