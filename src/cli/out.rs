//! Standard output and standard error. Nothing else in the program prints.
//!
//! A broken pipe never stops an apply: what cannot be printed is dropped, what is done is recorded all the same.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};

use super::args::Globals;
use crate::diagnostic::Diagnostic;
use crate::platform::exchange::is_unsafe;
use crate::secret::Redactor;
use crate::source::Sources;
use crate::view::diagnostic::{self, Manner};
use crate::view::json;
use crate::view::style::{Style, choose_color, choose_unicode};

/// Where a command prints.
#[derive(Debug)]
pub struct Out {
    /// How standard output looks.
    pub stdout: Style,
    /// How standard error looks.
    pub stderr: Style,
    /// Is standard output one JSON document?
    pub is_json: bool,
    /// How much less to print.
    pub quiet: u8,
    /// How much more to print.
    pub verbose: u8,
    /// How diagnostics are told.
    pub manner: Manner,
    /// May the user be asked?
    pub may_ask: bool,
    redactor: Redactor,
}

impl Out {
    /// Decides everything once: colour, width, characters.
    #[must_use]
    pub fn new(globals: &Globals, env: &BTreeMap<String, String>, redactor: &Redactor) -> Self {
        let look = |name: &str| env.get(name).cloned();
        let style = |tty: bool| Style {
            color: choose_color(if globals.no_color { Some("never") } else { globals.color.as_deref() }, &look, tty),
            unicode: choose_unicode(&look),
            width: width(tty, env),
            tty,
            full: globals.full,
            links: false,
        };
        let ci = env.get("CI").is_some_and(|ci| !ci.is_empty());
        Self {
            stdout: style(std::io::stdout().is_terminal()),
            stderr: style(std::io::stderr().is_terminal()),
            is_json: globals.is_json(),
            quiet: globals.quiet,
            verbose: globals.verbose,
            manner: if look("NO_GRAPHICS").is_some_and(|v| !v.is_empty() && v != "0") { Manner::Narrated } else { Manner::Drawn },
            may_ask: std::io::stdin().is_terminal() && !globals.no_input && !ci,
            redactor: redactor.clone(),
        }
    }

    /// Prints text to standard output.
    pub fn text(&self, text: &str) {
        if self.quiet < 2 {
            self.raw(text);
        }
    }

    /// Prints a JSON document to standard output.
    pub fn json(&self, document: &serde_json::Value) {
        let text = serde_json::to_string_pretty(document).unwrap_or_default();
        // JSON allows control characters beyond ASCII in texts; a terminal obeys them all the same.
        let is_raw = |c: char| c != '\n' && is_unsafe(c);
        if text.contains(is_raw) {
            let escape = |c: char| if is_raw(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
            self.raw(&text.chars().map(escape).collect::<String>());
        } else {
            self.raw(&text);
        }
        self.raw("\n");
    }

    fn raw(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
    }

    /// Prints a line to standard error, unless quiet.
    pub fn note(&self, line: &str) {
        if self.quiet == 0 {
            self.error_text(&format!("{line}\n"));
        }
    }

    /// Prints text to standard error, always.
    pub fn error_text(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        drop(stderr.write_all(text.as_bytes()));
    }

    /// Shows diagnostics on standard error, as text. Under `--json` they are part of the document instead.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        if !self.is_json && !diagnostics.is_empty() {
            let text = diagnostic::render(diagnostics, sources, &self.stderr, self.manner);
            self.error_text(&text);
        }
    }

    /// Ends a command that failed before it had anything else to say.
    pub fn failed(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        if self.is_json {
            self.json(&json::diagnostics_document(diagnostics, sources, false));
        } else {
            self.diagnostics(diagnostics, sources);
        }
    }

    /// Text with every known secret taken out; for what others said.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        self.redactor.scrub(text).into_owned()
    }
}

/// At most 100 columns of prose; 100 also where there is no terminal, so that output does not depend on chance.
fn width(tty: bool, env: &BTreeMap<String, String>) -> usize {
    let columns = env.get("COLUMNS").and_then(|c| c.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(w, _)| usize::from(w.0));
    let width = if tty { columns.or_else(measured) } else { columns };
    width.unwrap_or(100).clamp(40, 160)
}
