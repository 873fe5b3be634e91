//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Declare your LLM connections in YAML; see what would change; change exactly that.
#[derive(Debug, Parser)]
#[command(
    name = "patchbay",
    version,
    propagate_version = true,
    subcommand_required = false,
    before_help = "Examples:\n  patchbay init                  a project that plans against the sandbox\n  patchbay plan                  show what would change\n  patchbay plan --out plan.json  save it for review; it holds no secret\n  patchbay apply plan.json       make exactly that so",
    after_help = "Exit codes: 0 done · 1 error · 2 changes (asked for) · 3 partly applied, unknown\n            4 refused · 64 wrong usage · 70 bug · 130/143 interrupted\n            `patchbay explain exit-codes` says more"
)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// Work in this folder: all paths are relative to it
    #[arg(short = 'C', long, global = true, value_name = "DIR", env = "PATCHBAY_CHDIR", hide_env = true)]
    pub chdir: Option<PathBuf>,
    /// Use this profile of patchbay.toml
    #[arg(long, global = true, value_name = "NAME", env = "PATCHBAY_PROFILE", hide_env = true, add = super::complete::profiles())]
    pub profile: Option<String>,
    /// Read these connection files, folders or globs instead of the project's
    #[arg(short = 'f', long = "file", global = true, value_name = "PATH", env = "PATCHBAY_FILE", hide_env = true)]
    pub files: Vec<String>,
    /// Read variables from this file; the real environment wins
    #[arg(long, global = true, value_name = "FILE", env = "PATCHBAY_ENV_FILE", hide_env = true, hide_short_help = true)]
    pub env_file: Vec<PathBuf>,
    /// The state: a file, or the URL of a shared one
    #[arg(long, global = true, value_name = "PATH|URL", env = "PATCHBAY_STATE", hide_env = true, hide_short_help = true)]
    pub state: Option<PathBuf>,
    /// Only these connections and what they depend on: an address, a target or a glob
    #[arg(long, global = true, value_name = "ADDR|GLOB", alias = "target", add = super::complete::addresses())]
    pub only: Vec<String>,
    /// Not these connections
    #[arg(long, global = true, value_name = "ADDR|GLOB", add = super::complete::addresses())]
    pub exclude: Vec<String>,
    /// Print one JSON document, errors included
    #[arg(long, global = true)]
    pub json: bool,
    /// What goes to standard output
    #[arg(long, global = true, value_name = "FORMAT", env = "PATCHBAY_FORMAT", hide_env = true, value_enum, default_value_t = Format::Text, add = super::complete::formats())]
    pub format: Format,
    /// Write a report: json, jsonl, markdown, github, gitlab, codequality, azure, sarif, junit, prom, html
    #[arg(long, global = true, value_name = "FMT[=PATH]", env = "PATCHBAY_REPORT", hide_env = true, value_delimiter = ',', add = super::complete::reports())]
    pub report: Vec<String>,
    /// Colours: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", env = "PATCHBAY_COLOR", hide_env = true, value_parser = ["auto", "always", "never"])]
    pub color: Option<String>,
    /// As --color never
    #[arg(long, global = true, hide = true)]
    pub no_color: bool,
    /// Show long values in full
    #[arg(long, global = true, hide_short_help = true)]
    pub full: bool,
    /// Print less; twice: nothing but errors
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,
    /// Print more; twice: every request with its status and time
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No live display of what runs
    #[arg(long, global = true, env = "PATCHBAY_NO_PROGRESS", hide_env = true, hide_short_help = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub no_progress: bool,
    /// Never ask
    #[arg(long, global = true, env = "PATCHBAY_NO_INPUT", hide_env = true, hide_short_help = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub no_input: bool,
    /// Requests in flight per target; the platform's default otherwise
    #[arg(long, global = true, value_name = "N", env = "PATCHBAY_PARALLELISM", hide_env = true, hide_short_help = true, value_parser = parallelism)]
    pub parallelism: Option<usize>,
    /// How long one request may take, such as 30s (the default) or 500ms
    #[arg(long, global = true, value_name = "DURATION", env = "PATCHBAY_TIMEOUT", hide_env = true, hide_short_help = true, value_parser = duration)]
    pub timeout: Option<std::time::Duration>,
    /// How often a request is repeated where that is safe
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "PATCHBAY_RETRIES",
        hide_env = true,
        hide_short_help = true,
        default_value_t = 3
    )]
    pub retries: u32,
    /// Accept secrets that stand in the files as they are
    #[arg(long, global = true, hide_short_help = true)]
    pub allow_literal_secrets: bool,
}

impl Globals {
    /// Is standard output one JSON document?
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json || self.format == Format::Json
    }

    /// Is standard output the event stream?
    #[must_use]
    pub fn is_jsonl(&self) -> bool {
        !self.json && self.format == Format::Jsonl
    }
}

/// What goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people.
    Text,
    /// One JSON document.
    Json,
    /// One event a line: plan, apply, destroy, drift.
    Jsonl,
    /// `graph` only.
    #[value(hide = true)]
    Mermaid,
    /// `graph` only.
    #[value(hide = true)]
    Dot,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a project that plans against the sandbox at once
    #[command(after_help = "Examples:\n  patchbay init\n  patchbay init --platform gateway my-project")]
    Init(super::init::InitArgs),
    /// Take live connections into the state; nothing at the API changes
    #[command(
        after_help = "Examples:\n  patchbay import                      everything that is declared and live\n  patchbay import kore-prod\n  patchbay import kore-prod/bot cn-11  this one of several with its name"
    )]
    Import(super::import::ImportArgs),
    /// Write live connections as YAML; secrets become placeholders
    #[command(
        after_help = "Examples:\n  patchbay export kore-prod\n  patchbay export kore-prod --only-unmanaged --write connections/imported.yaml"
    )]
    Export(super::export::ExportArgs),
    /// Check the files, offline: syntax, schema, references, variables
    #[command(
        after_help = "Examples:\n  patchbay validate\n  patchbay validate --offline    without the variables that hold secrets"
    )]
    Validate(Validate),
    /// Bring connection files into their canonical form; comments stay
    #[command(
        after_help = "Examples:\n  patchbay fmt\n  patchbay fmt --check            exit 1 if a file is not formatted\n  patchbay fmt --diff             show what would change\n  patchbay fmt - < file.yaml      standard input to standard output"
    )]
    Fmt(super::fmt::FmtArgs),
    /// Show what would change
    #[command(
        after_help = "Examples:\n  patchbay plan\n  patchbay plan --detailed-exitcode    exit 2 if there are changes\n  patchbay plan --out plan.json        save it; apply exactly this later\n  patchbay plan --only kore-prod"
    )]
    Plan(PlanArgs),
    /// Make it so
    #[command(
        after_help = "Examples:\n  patchbay apply               plan, ask, apply\n  patchbay apply --yes         plan and apply\n  patchbay apply plan.json     apply exactly what was saved"
    )]
    Apply(ApplyArgs),
    /// Show what others changed since the last apply; writes nothing
    #[command(after_help = "Examples:\n  patchbay drift          exit 2 on drift\n  patchbay drift --json")]
    Drift(super::drift::DriftArgs),
    /// Delete everything that patchbay manages on a target
    #[command(
        after_help = "Examples:\n  patchbay destroy gateway                     show, ask, delete\n  patchbay destroy --confirm gateway           the same without a question\n  patchbay destroy gateway --only '*/legacy*'  only some of it"
    )]
    Destroy(super::destroy::DestroyArgs),
    /// Let the APIs test the connections that exist
    #[command(
        after_help = "Examples:\n  patchbay test\n  patchbay test gateway\n  patchbay test gateway/openai --json\n\nExit codes: 0 no test failed · 1 a test failed, or could not be made · 4 refused"
    )]
    Test(super::test::TestArgs),
    /// Show a saved plan, or a connection as declared, recorded and live
    #[command(
        after_help = "Examples:\n  patchbay show plan.json            the plan as it was reviewed\n  patchbay show kore-prod/support    declared, recorded and live, side by side"
    )]
    Show(Show),
    /// Look at the state, revise it by hand, repair its file
    #[command(
        after_help = "Examples:\n  patchbay state list\n  patchbay state rm kore-prod/old-bot  forget it; the API is not touched\n  patchbay state mv kore-prod/gpt kore-prod/support\n  patchbay state check\n  patchbay state repair                after a git conflict or a damaged line\n  patchbay state rekey                 the fingerprint key got into wrong hands"
    )]
    State(super::state::StateArgs),
    /// Which variables the files need, where, and whether they are set
    #[command(after_help = "Examples:\n  patchbay env\n  patchbay env --template > .env.example")]
    Env(super::env::EnvArgs),
    /// The order of operations
    #[command(
        after_help = "Examples:\n  patchbay graph\n  patchbay graph --format mermaid\n  patchbay graph --format dot | dot -Tsvg"
    )]
    Graph(super::graph::GraphArgs),
    /// Check what a run needs: targets, credentials, files, state
    #[command(
        after_help = "Examples:\n  patchbay doctor\n  patchbay doctor kore-prod --json\n\nExit codes: 0 nothing is bad; something may be odd · 1 something is bad"
    )]
    Doctor(super::doctor::DoctorArgs),
    /// What a code means, with an example that fails and one that works
    #[command(after_help = "Examples:\n  patchbay explain PB0103\n  patchbay explain exit-codes\n  patchbay explain --list")]
    Explain(super::explain::ExplainArgs),
    /// Check a definition of your own, ask its API about it, draft one
    Platform(super::platform::PlatformArgs),
    /// Serve the vendors' APIs on loopback, to try things out
    #[command(
        after_help = "Examples:\n  patchbay sandbox --port 4010\n  patchbay sandbox --definition platforms/mygw.yaml\n  patchbay sandbox --quirk read_back=top-level\n  patchbay sandbox --fault 'POST /connections status=503 times=2'\n\nThen: base_url = \"http://127.0.0.1:4010/api/public\".\nA target with base_url = \"sandbox:\" needs no server at all."
    )]
    Sandbox(SandboxArgs),
    /// Print a JSON Schema
    #[command(
        after_help = "Examples:\n  patchbay schema connections > connections.schema.json\n  patchbay schema project > patchbay.schema.json\n  patchbay schema plan            of what `plan --json` prints"
    )]
    Schema(Schema),
    /// Print the script that completes commands, addresses and targets
    #[command(
        after_help = "Examples:\n  source <(patchbay completions bash)             in ~/.bashrc\n  source <(patchbay completions zsh)              in ~/.zshrc, after compinit\n  patchbay completions fish | source              in ~/.config/fish/config.fish"
    )]
    Completions(super::manual::CompletionsArgs),
    /// Write the manual pages into a folder
    #[command(after_help = "Examples:\n  patchbay man ~/.local/share/man/man1")]
    Man(super::manual::ManArgs),
    /// Print the version
    Version,
}

impl Command {
    /// How it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Import(_) => "import",
            Self::Export(_) => "export",
            Self::Validate(_) => "validate",
            Self::Fmt(_) => "fmt",
            Self::Plan(_) => "plan",
            Self::Apply(_) => "apply",
            Self::Drift(_) => "drift",
            Self::Destroy(_) => "destroy",
            Self::Test(_) => "test",
            Self::Show(_) => "show",
            Self::State(_) => "state",
            Self::Env(_) => "env",
            Self::Graph(_) => "graph",
            Self::Doctor(_) => "doctor",
            Self::Explain(_) => "explain",
            Self::Platform(_) => "platform",
            Self::Sandbox(_) => "sandbox",
            Self::Schema(_) => "schema",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            Self::Version => "version",
        }
    }
}

/// `validate`
#[derive(Debug, Args)]
pub struct Validate {
    /// Do not require variables and files that templates read
    #[arg(long)]
    pub offline: bool,
}

/// What `plan` and `apply` share.
#[derive(Clone, Debug, Args)]
pub struct Planning {
    /// How much of the live state is read: auto, full (every object), none (trust the state)
    #[arg(long, value_name = "HOW", value_enum, default_value_t = RefreshArg::Auto)]
    pub refresh: RefreshArg,
    /// Write secrets again that cannot be verified
    #[arg(long)]
    pub rewrite_secrets: bool,
    /// Refuse if more connections of a target would be changed: a number, or a share such as 30%
    #[arg(long, value_name = "N|P%")]
    pub max_updates: Option<String>,
    /// Refuse if more connections of a target would be deleted: a number, or a share; 30% otherwise
    #[arg(long, value_name = "N|P%")]
    pub max_deletes: Option<String>,
    /// Accept that a target's address differs from the one in the state
    #[arg(long)]
    pub accept_target_change: bool,
}

impl Planning {
    /// What a command takes that only looks.
    #[must_use]
    pub fn reading(refresh: RefreshArg) -> Self {
        Self { refresh, rewrite_secrets: false, max_updates: None, max_deletes: None, accept_target_change: false }
    }
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RefreshArg {
    /// The list; objects only where something may have moved.
    Auto,
    /// Every object.
    Full,
    /// The list alone.
    None,
}

/// `plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What `apply` takes, too.
    #[command(flatten)]
    pub planning: Planning,
    /// Save the plan in this file; it holds no secret
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit 2 if there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What `plan` takes, too.
    #[command(flatten)]
    pub planning: Planning,
    /// A saved plan: apply exactly this
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long, alias = "auto-approve")]
    pub yes: bool,
    /// Apply the rest if some connections are blocked
    #[arg(long)]
    pub skip_blocked: bool,
}

/// `show`
#[derive(Debug, Args)]
pub struct Show {
    /// A saved plan, or the address of a connection
    #[arg(value_name = "PLAN|ADDR", add = super::complete::connections())]
    pub what: String,
}

/// `sandbox`
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// The port; 0 for any
    #[arg(long, default_value_t = 4010)]
    pub port: u16,
    /// Keep the objects in this file
    #[arg(long, value_name = "PATH")]
    pub store: Option<PathBuf>,
    /// Append every request to this file, without secrets
    #[arg(long, value_name = "PATH")]
    pub log: Option<PathBuf>,
    /// Accept only this API key; any key otherwise
    #[arg(long, value_name = "KEY", env = "PATCHBAY_SANDBOX_KEY", hide_env = true, hide_env_values = true)]
    pub key: Option<String>,
    /// Serve this platform, too, as its definition says: a file, or the name of a built-in one
    #[arg(long, value_name = "FILE|NAME")]
    pub definition: Vec<String>,
    /// Behave otherwise: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", add = super::complete::quirks())]
    pub quirk: Vec<String>,
    /// Fail on purpose: `METHOD PATH [skip=N] [times=N] KIND`
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
}

/// `schema`
#[derive(Debug, Args)]
pub struct Schema {
    /// connections, project or platform; or what a command prints with --json: plan, apply, drift, …, events
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(super::schema::names()))]
    pub which: String,
    /// For connections: without the rules that a later version may loosen, for a catalogue of schemas
    #[arg(long)]
    pub lenient: bool,
}

fn parallelism(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=128).contains(&n) => Ok(n),
        _ => Err("a number from 1 to 128".to_owned()),
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "a duration such as 30s, 500ms or 2m".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let millis = match &text[digits..] {
        "" | "s" => number.checked_mul(1000),
        "ms" => Some(number),
        "m" => number.checked_mul(60_000),
        _ => None,
    };
    millis.filter(|ms| *ms > 0).map(std::time::Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        for (text, ms) in [("30s", 30_000), ("30", 30_000), ("500ms", 500), ("2m", 120_000)] {
            assert_eq!(duration(text).map(|d| d.as_millis()), Ok(ms), "{text}");
        }
        for text in ["", "s", "0s", "1h", "-1s", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
