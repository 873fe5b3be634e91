//! The command line: each command is thin: gather, call, hand to a view, exit code.

pub mod apply;
pub mod args;
mod base_url;
mod broken;
pub mod complete;
pub mod destroy;
pub mod doctor;
pub mod drift;
pub mod env;
pub mod events;
pub mod exit;
pub mod explain;
pub mod export;
pub mod fmt;
pub mod gather;
pub mod graph;
pub mod help;
pub mod import;
pub mod init;
pub mod manual;
pub mod out;
pub mod plan;
pub mod planning;
pub mod platform;
pub mod reports;
pub mod sandbox;
pub mod schema;
pub mod session;
pub mod show;
pub mod state;
pub mod test;
pub mod validate;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::FromArgMatches as _;

use self::args::{Cli, Command, Globals};
use self::out::Out;
use self::reports::Reports;
use crate::diagnostic::{Diagnostic, codes};
use crate::secret::Redactor;
use crate::source::Sources;
use crate::view::style::choose_color;

/// What every command gets.
#[derive(Debug)]
pub struct Context<'c> {
    /// The flags of every command.
    pub globals: &'c Globals,
    /// The environment.
    pub env: &'c BTreeMap<String, String>,
    /// Learns every secret of the run.
    pub redactor: &'c Redactor,
    /// Where to print.
    pub out: &'c Out,
    /// What else is to be written about the run.
    pub reports: &'c Reports,
}

impl Context<'_> {
    /// A path of the command line: relative to `--chdir`.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.globals.chdir.as_deref().unwrap_or(Path::new("")).join(path)
    }

    /// Ends a command that failed before it had anything else to say: shows why, and returns the exit code.
    #[must_use]
    pub fn fail(&self, errors: &[Diagnostic], sources: &Sources) -> u8 {
        self.failed(errors, sources);
        exit::of_errors(errors)
    }

    /// Shows why a command failed that had nothing else to say.
    pub fn failed(&self, errors: &[Diagnostic], sources: &Sources) {
        self.out.failed(errors, sources);
        self.reports.hold_errors(errors, sources);
    }
}

/// Words from other tools, and what they are called here.
const SYNONYMS: &[(&str, &str)] = &[
    ("diff", "plan"),
    ("preview", "plan"),
    ("sync", "apply"),
    ("push", "apply"),
    ("up", "apply"),
    ("dump", "export"),
    ("pull", "export"),
    ("adopt", "import"),
    ("ping", "doctor"),
    ("delete", "destroy"),
    ("check", "validate"),
    ("lint", "validate"),
    ("format", "fmt"),
    ("rollback", "apply"),
    ("refresh", "drift"),
    ("login", "doctor"),
    ("list", "state list"),
    ("mock", "sandbox"),
    ("serve", "sandbox"),
];

/// Runs the program with these arguments, the program's name first. Returns the exit code.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let env = crate::io::env::snapshot();
    if complete::answered(&env) {
        return exit::OK;
    }
    let place = watch_for_panics();
    match panic::catch_unwind(AssertUnwindSafe(|| start(args, &env))) {
        Ok(code) => out::settle(code),
        Err(_) => {
            // The panic's own message is not shown: it may hold anything.
            let place = place.lock().map(|p| p.clone()).unwrap_or_default();
            use std::io::Write as _;
            drop(writeln!(
                std::io::stderr(),
                "error: PB0901: a bug in patchbay {} at {place}\n  help: please report it with this line and the command; what was done before is in the state",
                env!("CARGO_PKG_VERSION")
            ));
            exit::BUG
        }
    }
}

fn watch_for_panics() -> Arc<Mutex<String>> {
    let place = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&place);
    panic::set_hook(Box::new(move |info| {
        if let (Ok(mut place), Some(at)) = (seen.lock(), info.location()) {
            *place = format!("{}:{}", at.file(), at.line());
        }
    }));
    place
}

fn start(args: &[OsString], env: &BTreeMap<String, String>) -> u8 {
    let look = |name: &str| env.get(name).cloned();
    let color = choose_color(asked_color(args).as_deref(), &look, std::io::IsTerminal::is_terminal(&std::io::stdout()));
    let choice = if color { clap::ColorChoice::Always } else { clap::ColorChoice::Never };
    let parsed = help::command().color(choice).try_get_matches_from(args).and_then(|matches| {
        let from_env = reports::come_from_env(&matches);
        Cli::from_arg_matches(&matches).map(|cli| (cli, from_env))
    });
    let (cli, from_env) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage(args, env, &error),
    };
    let redactor = Redactor::default();
    let out = Out::new(&cli.globals, env, &redactor);
    let reports = match Reports::new(&cli.globals, reports::name_of(cli.command.as_ref()), from_env, &out) {
        Ok(reports) => reports,
        Err(error) => {
            let code = if error.code == codes::USAGE { exit::USAGE } else { exit::ERROR };
            if cli.globals.is_jsonl() {
                reports::stream_refusal(&[error], code);
            } else {
                out.failed(&[error], &Sources::default());
            }
            return code;
        }
    };
    let context = Context { globals: &cli.globals, env, redactor: &redactor, out: &out, reports: &reports };
    let code = run(&context, &cli, color);
    reports.write(&context, code)
}

/// For the test of how a bug ends: there is no other way to make one.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "that is what it is for, and no release has it")]
fn a_bug_on_purpose(env: &BTreeMap<String, String>) {
    if let Some(message) = env.get("PATCHBAY_TEST_PANIC") {
        panic!("{message}");
    }
}

/// Runs the command.
fn run(context: &Context<'_>, cli: &Cli, color: bool) -> u8 {
    let out = context.out;
    #[cfg(debug_assertions)]
    a_bug_on_purpose(context.env);
    if matches!(cli.globals.format, args::Format::Mermaid | args::Format::Dot) && !matches!(cli.command, Some(Command::Graph(_)))
    {
        let error = Diagnostic::error(codes::USAGE, "only `patchbay graph` has this format").help("--format text or json");
        out.failed(&[error], &Sources::default());
        return exit::USAGE;
    }
    match &cli.command {
        None if out.is_machine => {
            let error = Diagnostic::error(codes::USAGE, "no command was given").help("patchbay --help");
            out.failed(&[error], &Sources::default());
            exit::USAGE
        }
        None => {
            let help = help::command().render_help();
            out.text(&if color { format!("{}\n", help.ansi()) } else { format!("{help}\n") });
            exit::OK
        }
        Some(Command::Version) => {
            let version = env!("CARGO_PKG_VERSION");
            if out.is_machine {
                out.json(&crate::view::json::document(&serde_json::json!({}), &[], &Sources::default()));
            } else {
                out.text(&format!("patchbay {version}\n"));
            }
            exit::OK
        }
        Some(Command::Init(args)) => init::run(context, args),
        Some(Command::Validate(args)) => validate::run(context, args),
        Some(Command::Env(args)) => env::run(context, args),
        Some(Command::Fmt(args)) => fmt::run(context, args),
        Some(Command::Explain(args)) => explain::run(context, args),
        Some(Command::Completions(args)) => manual::completions(context, args),
        Some(Command::Man(args)) => manual::man(context, args),
        Some(Command::Graph(args)) => graph::run(context, args),
        Some(Command::Show(args)) => block_on(context, show::run(context, args)),
        Some(Command::State(args)) => block_on(context, state::run(context, args)),
        Some(Command::Platform(args)) => platform::run(context, args),
        Some(Command::Schema(args)) => schema::run(context, args),
        Some(Command::Import(args)) => block_on(context, import::run(context, args)),
        Some(Command::Export(args)) => block_on(context, export::run(context, args)),
        Some(Command::Plan(args)) => block_on(context, plan::run(context, args)),
        Some(Command::Drift(args)) => block_on(context, drift::run(context, args)),
        Some(Command::Destroy(args)) => block_on(context, destroy::run(context, args)),
        Some(Command::Doctor(args)) => block_on(context, doctor::run(context, args)),
        Some(Command::Test(args)) => block_on(context, test::run(context, args)),
        Some(Command::Apply(args)) => block_on(context, apply::run(context, args)),
        Some(Command::Sandbox(args)) => block_on(context, sandbox::run(context, args)),
    }
}

/// One thread: the waiting is for the network, and the engine's state needs no lock this way.
fn block_on(context: &Context<'_>, command: impl Future<Output = u8>) -> u8 {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            let error = Diagnostic::error(codes::INTERNAL, format!("the runtime cannot start: {error}"));
            context.out.failed(&[error], &Sources::default());
            exit::ERROR
        }
    }
}

/// `--color` decides how errors of the command line look, so it is read before they are known.
fn asked_color(args: &[OsString]) -> Option<String> {
    let mut args = args.iter().map(|a| a.to_string_lossy());
    while let Some(arg) = args.next() {
        if arg == "--color" {
            return args.next().map(std::borrow::Cow::into_owned);
        }
        if let Some(value) = arg.strip_prefix("--color=") {
            return Some(value.to_owned());
        }
    }
    None
}

fn usage(args: &[OsString], env: &BTreeMap<String, String>, error: &clap::Error) -> u8 {
    use clap::error::ErrorKind;
    let wants = |format: &str| {
        args.iter().any(|a| a.to_str() == Some(&format!("--format={format}")))
            || args.windows(2).any(|w| w[0] == "--format" && w[1] == format)
            || env.get("PATCHBAY_FORMAT").is_some_and(|f| f == format)
    };
    let json = args.iter().any(|a| a == "--json") || wants("json");
    if error.kind() == ErrorKind::DisplayVersion && json {
        let document = crate::view::json::document(&serde_json::json!({}), &[], &Sources::default());
        out::print_document(&document);
        return exit::OK;
    }
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        drop(error.print());
        return exit::OK;
    }
    let text = error.render();
    let plain = text.to_string();
    let synonym = args.iter().skip(1).map(|a| a.to_string_lossy()).find_map(|arg| {
        let (said, meant) = SYNONYMS.iter().find(|(said, _)| *said == arg)?;
        Some(format!("in patchbay, `{said}` is called `{meant}`"))
    });
    let synonym = synonym.filter(|_| error.kind() == ErrorKind::InvalidSubcommand);
    let of_clap = || plain.lines().find_map(|line| line.trim().strip_prefix("tip: ")).map(ToOwned::to_owned);
    let tip = synonym.clone().or_else(of_clap);
    let summary = plain.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let said = |line: &&str| !line.is_empty() && !["tip:", "Usage:", "For more"].iter().any(|word| line.starts_with(word));
    let notes: Vec<&str> = plain.lines().skip(1).map(str::trim).filter(said).collect();
    let diagnostic = || {
        let error = Diagnostic::error(codes::USAGE, summary.trim_end_matches(':').to_owned()).help_opt(tip.clone());
        notes.iter().fold(error, |error, note| error.note(*note))
    };
    if json {
        out::print_document(&crate::view::json::diagnostics_document(&[diagnostic()], &Sources::default(), false));
    } else if wants("jsonl") {
        reports::stream_refusal(&[diagnostic()], exit::USAGE);
    } else if let Some(synonym) = synonym {
        // clap would suggest whatever is spelled alike, which is another command.
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), "error: {summary}\n\n  tip: {synonym}\n\nFor more information, try '--help'."));
    } else {
        drop(error.print());
    }
    exit::USAGE
}
