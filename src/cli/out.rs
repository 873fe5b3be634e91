//! Standard output and standard error. Nothing else in the program prints.
//!
//! A broken pipe never stops an apply: what cannot be printed is dropped, what is done is recorded all the same.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::Globals;
use super::exit;
use crate::config::project::FILE_NAME;
use crate::diagnostic::Diagnostic;
use crate::io::files;
use crate::secret::Redactor;
use crate::source::Sources;
use crate::view::diagnostic::{self, Manner};
use crate::view::json;
use crate::view::style::{Style, choose_color, choose_unicode, knows_links};

/// Where a command prints.
#[derive(Debug)]
pub struct Out {
    /// How standard output looks.
    pub stdout: Style,
    /// How standard error looks.
    pub stderr: Style,
    /// Does standard output belong to a program: is it one JSON document, or the event stream?
    pub is_machine: bool,
    /// Is standard output one JSON document?
    is_document: bool,
    /// Is there a live region on standard error?
    pub has_region: bool,
    /// Is the width measured, and not said by `COLUMNS`?
    is_measured: bool,
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
            links: (tty && knows_links(&look)).then(|| project_url(globals)),
        };
        let ci = crate::io::env::is_ci(env);
        Self {
            stdout: style(std::io::stdout().is_terminal()),
            stderr: style(std::io::stderr().is_terminal()),
            is_machine: globals.is_json() || globals.is_jsonl(),
            is_document: globals.is_json(),
            is_measured: !env.contains_key("COLUMNS"),
            has_region: std::io::stderr().is_terminal()
                && !ci
                && !globals.no_progress
                && globals.quiet == 0
                && look("TERM").is_some_and(|term| term != "dumb" && !term.is_empty()),
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

    /// How standard error looks by now: its terminal may have got another width.
    #[must_use]
    pub fn stderr_now(&self) -> Style {
        let measured = terminal_size::terminal_size_of(std::io::stderr()).map(|(w, _)| usize::from(w.0));
        let width = measured.filter(|w| *w > 0 && self.is_measured).map_or(self.stderr.width, |w| w.clamp(20, 160));
        Style { width, ..self.stderr.clone() }
    }

    /// How many lines standard error's terminal has.
    #[must_use]
    pub fn stderr_rows(&self) -> usize {
        let measured = terminal_size::terminal_size_of(std::io::stderr()).map(|(_, h)| usize::from(h.0));
        measured.filter(|rows| *rows > 0).unwrap_or(usize::MAX)
    }

    /// Prints a JSON document to standard output, if that is what standard output is.
    pub fn json(&self, document: &serde_json::Value) {
        if !self.is_document {
            return;
        }
        print_document(document);
    }

    fn raw(&self, text: &str) {
        print(text);
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
        if !self.is_machine && !diagnostics.is_empty() {
            let text = diagnostic::render(diagnostics, sources, &self.stderr, self.manner);
            self.error_text(&text);
        }
    }

    /// Ends a command that failed before it had anything else to say.
    pub fn failed(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        if self.is_machine {
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

/// The project's folder, for links to its files.
fn project_url(globals: &Globals) -> String {
    let start = globals.chdir.clone().unwrap_or_else(|| ".".into());
    let dir = files::resolved(&files::find_up(&start, FILE_NAME).unwrap_or(start));
    url::Url::from_directory_path(dir).map(String::from).unwrap_or_default()
}

/// Prints to standard output, whatever it is.
pub(super) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        IS_CUT_SHORT.store(true, Ordering::Relaxed);
    }
}

/// Could something not be printed, though there was a reader? A document on a full disk must not look whole.
static IS_CUT_SHORT: AtomicBool = AtomicBool::new(false);

/// The exit code of a run that would end with `code`, after what could be printed.
pub(super) fn settle(code: u8) -> u8 {
    if !IS_CUT_SHORT.load(Ordering::Relaxed) {
        return code;
    }
    drop(writeln!(std::io::stderr(), "error: standard output could not be written to; what was done is recorded all the same"));
    if code == exit::OK || code == exit::CHANGES { exit::ERROR } else { code }
}

/// Prints a JSON document to standard output.
pub(super) fn print_document(document: &serde_json::Value) {
    print(&format!("{}\n", json::printable(&serde_json::to_string_pretty(document).unwrap_or_default())));
}

/// At most 100 columns of prose; 100 also where there is no terminal, so that output does not depend on chance.
fn width(tty: bool, env: &BTreeMap<String, String>) -> usize {
    let columns = env.get("COLUMNS").and_then(|c| c.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(w, _)| usize::from(w.0));
    let width = if tty { columns.or_else(measured) } else { columns };
    width.unwrap_or(100).clamp(40, 160)
}
