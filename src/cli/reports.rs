//! `--report` and `--format jsonl`: what a run has to say, kept until its end and written where it is wanted.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Context;
use super::args::{self, Globals};
use super::out::Out;
use crate::config::project::FILE_NAME;
use crate::diagnostic::{Diagnostic, codes};
use crate::engine::event::Event;
use crate::io::{clock, files};
use crate::source::Sources;
use crate::suggest;
use crate::view::digest::Digest;
use crate::view::jsonl::{self, Line};
use crate::view::report::{self, Around, DefaultPath, Format};

/// The reports of a run.
#[derive(Debug, Default)]
pub struct Reports {
    command: &'static str,
    wanted: Vec<(Format, To)>,
    /// Does standard output carry the event stream?
    streams: bool,
    held: RefCell<Option<Digest>>,
    /// Diagnostics that the stream has told already.
    told: RefCell<BTreeSet<String>>,
    saved: RefCell<Option<String>>,
    began: Option<Instant>,
    broken: Cell<bool>,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum To {
    Stdout,
    File(PathBuf),
}

impl Reports {
    /// The reports that are asked for, if they suit the command. `from_env` says that they come from the environment,
    /// which speaks to every command of a job: what does not suit this one is left out silently then.
    ///
    /// # Errors
    /// A format that does not exist or does not suit, or a file that cannot be written: better known before a run.
    pub fn new(globals: &Globals, command: &'static str, from_env: bool, out: &Out) -> Result<Self, Diagnostic> {
        let streams = globals.is_jsonl();
        if streams && !Format::Jsonl.suits(command) {
            return Err(Diagnostic::error(codes::USAGE, format!("`patchbay {command}` has no event stream"))
                .help("plan, apply, destroy, drift, validate and test have one; --json prints one document"));
        }
        let mut wanted = Vec::new();
        for text in globals.report.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            let (name, path) = text.split_once('=').map_or((text, None), |(name, path)| (name, Some(path)));
            let names: Vec<&str> = Format::ALL.iter().map(|(_, name)| *name).collect();
            let Some(format) = Format::named(name) else {
                return Err(Diagnostic::error(codes::USAGE, format!("there is no report format `{name}`"))
                    .help_opt(suggest::help(name, &names)));
            };
            if !format.suits(command) {
                if from_env {
                    continue;
                }
                return Err(Diagnostic::error(
                    codes::USAGE,
                    format!("`patchbay {command}` has nothing to say in the format `{name}`"),
                )
                .help(format!("formats: {}", suiting(command))));
            }
            let to = match (path.filter(|path| !path.is_empty()), format.default_path()) {
                (Some(path), _) => To::File(globals.chdir.as_deref().unwrap_or(Path::new("")).join(path)),
                (None, Some(DefaultPath::File(path))) => To::File(globals.chdir.as_deref().unwrap_or(Path::new("")).join(path)),
                (None, Some(DefaultPath::Stdout)) if out.is_machine => {
                    return Err(Diagnostic::error(
                        codes::USAGE,
                        format!("standard output carries JSON already, and the report `{name}` goes there, too"),
                    )
                    .help(format!("give it a file: --report {name}=FILE")));
                }
                (None, Some(DefaultPath::Stdout)) => To::Stdout,
                (None, None) => {
                    return Err(Diagnostic::error(codes::USAGE, format!("the report `{name}` needs a file"))
                        .help(format!("--report {name}=FILE")));
                }
            };
            wanted.push((format, to));
        }
        for (format, to) in &wanted {
            if let To::File(path) = to {
                if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                    files::make_dir(dir)
                        .map_err(|e| Diagnostic::error(codes::UNREADABLE, format!("the report cannot be written: {e}")))?;
                }
                let begin = if *format == Format::Jsonl { files::write_public(path, "") } else { files::writable(path) };
                begin.map_err(|e| Diagnostic::error(codes::UNREADABLE, format!("the report cannot be written: {e}")))?;
            }
        }
        let reports = Self { command, wanted, streams, began: Some(clock::instant()), ..Self::default() };
        reports.tell(&[jsonl::version()]);
        Ok(reports)
    }

    /// Does standard output carry the event stream?
    #[must_use]
    pub fn streams(&self) -> bool {
        self.streams
    }

    /// Is anything wanted that a digest is needed for?
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.streams || !self.wanted.is_empty()
    }

    /// Is a page wanted?
    #[must_use]
    pub fn wants_page(&self) -> bool {
        self.wanted.iter().any(|(format, _)| *format == Format::Html)
    }

    /// Keeps what the run has to say by now; it takes the place of what was kept before. A page stays until there is
    /// another one.
    pub fn hold(&self, make: impl FnOnce() -> Digest) {
        if !self.is_wanted() {
            return;
        }
        let mut digest = make();
        if digest.elapsed.is_zero() {
            digest.elapsed = self.began.map(|began| began.elapsed()).unwrap_or_default();
        }
        self.tell(&jsonl::of_digest(&digest));
        let mut held = self.held.borrow_mut();
        digest.page = digest.page.or_else(|| held.as_mut().and_then(|held| held.page.take()));
        *held = Some(digest);
    }

    /// Keeps what is left of a run that failed.
    pub fn hold_errors(&self, errors: &[Diagnostic], sources: &Sources) {
        self.hold(|| {
            let document = crate::view::json::diagnostics_document(errors, sources, false);
            Digest::of_files(self.command, &[], errors, sources, document)
        });
    }

    /// The plan was saved in this file.
    pub fn saved(&self, path: &Path) {
        *self.saved.borrow_mut() = Some(path.display().to_string());
    }

    /// Tells the stream of an event.
    pub fn event(&self, event: &Event, sources: Option<&Sources>) {
        if self.streams || self.wanted.iter().any(|(format, _)| *format == Format::Jsonl) {
            let nothing = Sources::default();
            self.tell(&jsonl::of_event(event, sources.unwrap_or(&nothing)).into_iter().collect::<Vec<_>>());
        }
    }

    /// Writes lines to the stream; a diagnostic is news only once.
    fn tell(&self, lines: &[Line]) {
        let files: Vec<&PathBuf> = self
            .wanted
            .iter()
            .filter_map(|(format, to)| match to {
                To::File(path) if *format == Format::Jsonl => Some(path),
                _ => None,
            })
            .collect();
        if !self.streams && files.is_empty() {
            return;
        }
        let at = clock::now_text();
        let is_news = |line: &&Line| !line.is_finding() || self.told.borrow_mut().insert(line.text(""));
        let text: String = lines.iter().filter(is_news).map(|line| line.text(&at) + "\n").collect();
        if self.streams {
            super::out::print(&text);
        }
        for path in files {
            // Said once, at the end: an apply must not stop because of its log.
            if files::append_unsynced(path, &text).is_err() {
                self.broken.set(true);
            }
        }
    }

    /// Writes everything, at the end of a run. Returns the exit code, which an unwritten report makes an error where all
    /// else was well.
    #[must_use]
    pub fn write(&self, context: &Context<'_>, code: u8) -> u8 {
        let mut errors = Vec::new();
        if let Some(digest) = self.held.borrow().as_ref().filter(|_| !self.wanted.is_empty()) {
            let around = around(context, code, self.saved.borrow().clone());
            for (format, to) in &self.wanted {
                let done = match format {
                    Format::Jsonl => Ok(()),
                    Format::Github => github(context, to, digest, &around),
                    Format::Azure => azure(context, to, digest, &around),
                    // Three zeros would say that nothing changes.
                    Format::Gitlab if digest.is_failed => forget(to),
                    format => put(to, &report::render(*format, digest, &around)),
                };
                if let Err(error) = done {
                    let summary = format!("the report `{}` was not written: {error}", format.name());
                    errors.push(Diagnostic::error(codes::UNREADABLE, summary));
                }
            }
        }
        let code = if errors.is_empty() && !self.broken.get() {
            code
        } else {
            if self.broken.get() {
                errors.push(Diagnostic::error(codes::UNREADABLE, "the event stream could not be written to its file"));
            }
            let text = crate::view::diagnostic::render(&errors, &Sources::default(), &context.out.stderr, context.out.manner);
            context.out.error_text(&text);
            if matches!(code, super::exit::OK | super::exit::CHANGES) { super::exit::ERROR } else { code }
        };
        self.tell(&[jsonl::outcome(code)]);
        code
    }
}

fn suiting(command: &str) -> String {
    let names: Vec<&str> = Format::ALL.iter().filter(|(format, _)| format.suits(command)).map(|(_, name)| *name).collect();
    if names.is_empty() { "this command has none".to_owned() } else { names.join(", ") }
}

fn put(to: &To, text: &str) -> Result<(), files::FileError> {
    match to {
        To::Stdout => super::out::print(text),
        To::File(path) => files::write_public(path, text)?,
    }
    Ok(())
}

/// An earlier run's report must not be taken for this one's.
fn forget(to: &To) -> Result<(), files::FileError> {
    match to {
        To::Stdout => Ok(()),
        To::File(path) => files::remove(path),
    }
}

/// Annotations, and what the job's own files take: the summary and the outputs.
fn github(context: &Context<'_>, to: &To, digest: &Digest, around: &Around) -> Result<(), files::FileError> {
    put(to, &report::github::annotations(digest, around))?;
    let file = |name: &str| context.env.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = file("GITHUB_STEP_SUMMARY") {
        let summary = report::markdown::render(digest, around, report::markdown::BUDGET);
        files::append(&path, &format!("{summary}\n"))?;
    }
    if let Some(path) = file("GITHUB_OUTPUT") {
        files::append(&path, &report::github::outputs(digest))?;
    }
    Ok(())
}

/// Logging commands, and a summary where the agent has a folder for it.
fn azure(context: &Context<'_>, to: &To, digest: &Digest, around: &Around) -> Result<(), files::FileError> {
    let dir = context.env.get("AGENT_TEMPDIRECTORY").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let summary = dir.map(|dir| files::resolved(&dir).join(format!("patchbay-{}.md", digest.command)));
    if let Some(path) = &summary {
        files::write_public(path, &report::markdown::render(digest, around, report::markdown::BUDGET))?;
    }
    put(to, &report::azure::commands(digest, around, summary.as_deref()))
}

/// The first of these variables that says something.
fn first<'e>(env: &'e BTreeMap<String, String>, names: &[&str]) -> Option<&'e String> {
    names.iter().find_map(|name| env.get(*name).filter(|value| !value.is_empty()))
}

fn around(context: &Context<'_>, code: u8, saved: Option<String>) -> Around {
    let start = context.path(Path::new("."));
    let dir = files::resolved(&files::find_up(&start, FILE_NAME).unwrap_or(start));
    let told = first(context.env, &["GITHUB_WORKSPACE", "CI_PROJECT_DIR", "BUILD_SOURCESDIRECTORY"]);
    let root = told.map(|root| files::resolved(Path::new(root))).filter(|root| dir.starts_with(root));
    let repository = || dir.ancestors().find(|dir| files::exists(&dir.join(".git"))).map(Path::to_path_buf);
    let root = root.or_else(repository).unwrap_or_else(|| dir.clone());
    let below = dir.strip_prefix(&root).map(|path| path.display().to_string()).unwrap_or_default();
    let now = clock::now();
    Around {
        project: super::gather::project_name(&dir),
        profile: context.globals.profile.clone(),
        chdir: if below.is_empty() { ".".to_owned() } else { below },
        dir,
        root,
        code,
        at: clock::now_text(),
        at_seconds: now.as_second(),
        commit: first(context.env, &["GITHUB_SHA", "CI_COMMIT_SHA", "BUILD_SOURCEVERSION"]).cloned(),
        saved,
    }
}

/// What a stream says of a command line that cannot be understood.
pub fn stream_refusal(errors: &[Diagnostic], code: u8) {
    let at = clock::now_text();
    let mut lines = vec![jsonl::version()];
    lines.extend(jsonl::of_diagnostics(errors, &Sources::default()));
    lines.push(jsonl::outcome(code));
    super::out::print(&lines.iter().map(|line| line.text(&at) + "\n").collect::<String>());
}

/// Did the reports come from the environment?
#[must_use]
pub fn come_from_env(matches: &clap::ArgMatches) -> bool {
    matches.value_source("report") == Some(clap::parser::ValueSource::EnvVariable)
}

/// How the command is called, without its arguments.
#[must_use]
pub fn name_of(command: Option<&args::Command>) -> &'static str {
    command.map_or("", args::Command::name)
}
