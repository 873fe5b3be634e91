//! `patchbay state`: looks at what is recorded, and revises it by hand. Nothing is ever sent to an API.
//!
//! | file | its commands |
//! |---|---|
//! | this one | `list`, `show` |
//! | `change` | `rm`, `mv` |
//! | `health` | `check`, `repair` |
//! | `past` | `history` |
//! | `rekey` | `rekey` |

mod change;
mod health;
mod past;
mod rekey;

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::gather::{Gathered, gather};
use super::{Context, apply, exit, session};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::io::store::{Location, RealFs, raw_state};
use crate::io::{clock, process};
use crate::plan::select::Selector;
use crate::platform::exchange::neutral;
use crate::source::Sources;
use crate::state::{Intent, Part, Record, State, StateError, StateWarning, Survey};
use crate::view;

/// `state`
#[derive(Debug, Args)]
pub struct StateArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// The commands of `state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List what is recorded
    List,
    /// Show one record
    Show {
        /// The connection
        #[arg(value_name = "ADDR", add = crate::cli::complete::connections())]
        address: String,
    },
    /// Forget records; the objects stay at the API
    #[command(after_help = "Examples:\n  patchbay state rm kore-prod/old-bot\n  patchbay state rm 'kore-prod/test-*' --yes")]
    Rm(RmArgs),
    /// Record an object under another address of its target
    #[command(
        after_help = "A `moved` entry in a connection file does the same with the next apply, and\nkeeps every fingerprint.\n\nExample:\n  patchbay state mv kore-prod/gpt kore-prod/support-gpt4o"
    )]
    Mv(MvArgs),
    /// Say whether the file is whole, and what is in it; changes nothing
    Check,
    /// Keep what is whole of a damaged file, and both sides of a git conflict; a copy stays beside it
    Repair(RepairArgs),
    /// Make the fingerprints of all secrets that are at hand with a new key
    #[command(
        after_help = "The new key is drawn, and gets the place of .patchbay/key when every fingerprint\nis written. Where the key is in PATCHBAY_STATE_KEY, the new one is yours to\nmake, and comes from a variable, too.\n\nExamples:\n  patchbay state rekey\n  NEW=$(openssl rand -hex 32) patchbay state rekey --new-key-env NEW --yes"
    )]
    Rekey(RekeyArgs),
    /// Tell what the file still knows of earlier runs, the newest first
    #[command(
        after_help = "A run that ends keeps the newest revision of each object; what is older is in\nversion control, if the file is."
    )]
    History {
        /// Only this connection, target or glob
        #[arg(value_name = "ADDR|GLOB")]
        what: Option<String>,
    },
}

/// `state rm`
#[derive(Debug, Args)]
pub struct RmArgs {
    /// The connections: addresses, targets or globs
    #[arg(value_name = "ADDR|GLOB", required = true, add = crate::cli::complete::addresses())]
    pub addresses: Vec<String>,
    /// Do not ask
    #[arg(short, long, alias = "auto-approve")]
    pub yes: bool,
}

/// `state mv`
#[derive(Debug, Args)]
pub struct MvArgs {
    /// The address that it is recorded under
    #[arg(value_name = "FROM")]
    pub from: String,
    /// The address that it gets
    #[arg(value_name = "TO")]
    pub to: String,
}

/// `state repair`
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Do not ask
    #[arg(short, long, alias = "auto-approve")]
    pub yes: bool,
}

/// `state rekey`
#[derive(Debug, Args)]
pub struct RekeyArgs {
    /// Take the new key from this variable: 64 hex digits, base64 of 32 bytes, or a text of at least 32 characters
    #[arg(long, value_name = "NAME")]
    pub new_key_env: Option<String>,
    /// Do not ask
    #[arg(short, long, alias = "auto-approve")]
    pub yes: bool,
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &StateArgs) -> u8 {
    let mut sources = Sources::default();
    let place = match place(context, &mut sources) {
        Ok(place) => place,
        Err(found) => return context.fail(&found, &sources),
    };
    let outcome = match &args.command {
        StateCommand::List => list(context, &place).await,
        StateCommand::Show { address } => show(context, &place, address).await,
        StateCommand::Rm(args) => change::rm(context, &place, args).await,
        StateCommand::Mv(args) => change::mv(context, &place, args).await,
        StateCommand::Check => health::check(context, &place),
        StateCommand::Repair(args) => health::repair(context, &place, args).await,
        StateCommand::Rekey(args) => rekey::rekey(context, &place, args, &mut sources).await,
        StateCommand::History { what } => past::history(context, &place, what.as_deref()),
    };
    outcome.unwrap_or_else(|errors| context.fail(&errors, &sources))
}

/// Which state a command is about.
struct Place {
    /// Where it is.
    location: Location,
    /// The project that names it; none where the command line does.
    gathered: Option<Gathered>,
}

fn place(context: &Context<'_>, sources: &mut Sources) -> Result<Place, Diagnostics> {
    if let Some(path) = &context.globals.state {
        let location = match path.to_str().filter(|text| Location::is_url(text)) {
            Some(url) => Location::at_url(url, context.env, false).map_err(|error| vec![error])?,
            None => Location::File(context.path(path)),
        };
        return Ok(Place { location, gathered: None });
    }
    // What is wrong with the files is no reason not to look at the state.
    let (gathered, found) = gather(context, true, sources);
    let gathered = gathered.ok_or(found)?;
    let location = session::location(context.globals, &gathered).map_err(|error| vec![error])?;
    Ok(Place { location, gathered: Some(gathered) })
}

fn failed(error: &StateError) -> Diagnostics {
    vec![error.diagnostic()]
}

/// The state with everything that is odd about it, which is said at once.
async fn read(context: &Context<'_>, place: &Place) -> Result<(State, Diagnostics), Diagnostics> {
    let (state, warnings) = place.location.read().await.map_err(|e| failed(&e))?;
    let found: Diagnostics = warnings.iter().map(StateWarning::diagnostic).collect();
    context.out.diagnostics(&found, &Sources::default());
    Ok((state, found))
}

/// A state as it is in its files, damage included.
struct Seen {
    /// The file's name.
    name: String,
    /// The file and what it says; none if there is none.
    file: Option<(Vec<u8>, Survey)>,
    /// What is beside it.
    parts: Vec<Part>,
    /// What all that is whole means.
    state: State,
}

fn look(place: &Place) -> Result<Seen, Diagnostics> {
    let path = place.location.file("this command").map_err(|error| vec![error])?;
    let raw = raw_state(path, &RealFs).map_err(|e| failed(&e))?;
    let mut seen = Seen { name: raw.name, file: None, parts: Vec::new(), state: State::empty() };
    if let Some(bytes) = raw.file {
        let survey = Survey::of(&seen.name, &bytes).map_err(|e| failed(&e))?;
        seen.state = survey.state();
        seen.file = Some((bytes, survey));
    }
    for (name, bytes) in &raw.parts {
        let part = Part::of(name, bytes, seen.state.lineage()).map_err(|e| failed(&e))?;
        if !part.is_foreign {
            seen.state.join(&part.state);
        }
        seen.parts.push(part);
    }
    Ok(seen)
}

/// What became of the run that announced an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its process is gone.
    Gone,
    /// Its process may be there, but it does not send this request any more.
    Over,
    /// Nobody knows better.
    MayLive,
}

fn fate(intent: &Intent) -> Fate {
    if process::is_gone(&intent.run) {
        Fate::Gone
    } else if intent.has_expired(clock::now().as_second()) {
        Fate::Over
    } else {
        Fate::MayLive
    }
}

/// `list`
async fn list(context: &Context<'_>, place: &Place) -> Result<u8, Diagnostics> {
    let out = context.out;
    let (state, found) = read(context, place).await?;
    let selector = selector(&context.globals.only, &context.globals.exclude).map_err(|error| vec![error])?;
    let known: Vec<String> = addresses(&state).iter().map(ToString::to_string).collect();
    let errors = session::without_match(context.globals, &known, &[], &mut Diagnostics::new());
    if !errors.is_empty() {
        return Err(errors);
    }
    let records: Vec<&Record> = state.records().filter(|r| selector.matches(&r.address)).collect();
    if out.is_machine {
        out.json(&document(&found, &records_document(&records)));
        return Ok(exit::OK);
    }
    if records.is_empty() {
        out.note(&format!("nothing is recorded in {}", place.location.label()));
    }
    let width = records.iter().map(|r| r.address.to_string().len()).max().unwrap_or(0);
    for record in &records {
        let address = record.address.to_string();
        out.text(&format!("{address:width$}  {}  {}\n", neutral(&record.id), neutral(&record.name)));
    }
    let open = state.open_intents().count();
    if open > 0 {
        out.note(&format!("{open} operations are open: a run is working, or was interrupted; the next apply settles them"));
    }
    Ok(exit::OK)
}

/// `show ADDR`
async fn show(context: &Context<'_>, place: &Place, address: &str) -> Result<u8, Diagnostics> {
    let out = context.out;
    let (state, found) = read(context, place).await?;
    let records: Vec<&Record> = state.records().filter(|r| r.address.to_string() == address).collect();
    if records.is_empty() {
        return Err(vec![unknown(address, &addresses(&state))]);
    }
    if out.is_machine {
        out.json(&document(&found, &records_document(&records)));
        return Ok(exit::OK);
    }
    for record in records {
        let text = serde_json::to_string_pretty(&harmless(Json::Object(record.to_map()))).unwrap_or_default();
        out.text(&format!("{text}\n"));
    }
    Ok(exit::OK)
}

fn records_document(records: &[&Record]) -> Json {
    let records: Vec<Json> = records.iter().map(|r| Json::Object(r.to_map())).collect();
    json!({ "records": records })
}

/// JSON for a screen: what others wrote drives no terminal.
fn harmless(value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(neutral(&text)),
        Json::Array(items) => items.into_iter().map(harmless).collect(),
        Json::Object(map) => Json::Object(map.into_iter().map(|(key, value)| (neutral(&key), harmless(value))).collect()),
        other => other,
    }
}

/// One document of this command group.
fn document(found: &[Diagnostic], content: &Json) -> Json {
    view::json::document(content, found, &Sources::default())
}

/// Every address with a record, sorted.
fn addresses(state: &State) -> BTreeSet<Address> {
    state.records().map(|r| r.address.clone()).collect()
}

fn selector(only: &[String], exclude: &[String]) -> Result<Selector, Diagnostic> {
    Selector::new(only, exclude)
        .map_err(|why| Diagnostic::error(codes::USAGE, why).help("addresses and globs are taken: kore-prod, kore-prod/claude*"))
}

fn unknown(wanted: &str, known: &BTreeSet<Address>) -> Diagnostic {
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    let near = crate::suggest::nearest(wanted, known.iter().map(String::as_str));
    Diagnostic::error(codes::NOT_FOUND, format!("the state has no record of `{}`", neutral(wanted)))
        .help_opt(near.map(|near| format!("did you mean `{near}`?")))
}

/// The addresses that these patterns name, within `--only` and `--exclude`. A pattern that names nothing is an error: a
/// typo must not look like success.
fn chosen(context: &Context<'_>, known: &BTreeSet<Address>, patterns: &[String]) -> Result<BTreeSet<Address>, Diagnostics> {
    let within = selector(&context.globals.only, &context.globals.exclude).map_err(|error| vec![error])?;
    let mut chosen = BTreeSet::new();
    let mut errors = Diagnostics::new();
    for pattern in patterns {
        let named = match selector(std::slice::from_ref(pattern), &[]) {
            Ok(selector) => known.iter().filter(|address| selector.matches(address)).collect::<Vec<_>>(),
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        if named.is_empty() {
            errors.push(unknown(pattern, known));
        }
        chosen.extend(named.into_iter().filter(|address| within.matches(address)).cloned());
    }
    if errors.is_empty() { Ok(chosen) } else { Err(errors) }
}

/// Does the user agree? Not asked where that is not needed, and an error where nobody can be.
async fn approved(context: &Context<'_>, yes: bool, what: &str, question: &str) -> Result<bool, Diagnostics> {
    let out = context.out;
    if yes {
        return Ok(true);
    }
    if !out.may_ask || out.is_machine {
        let error = Diagnostic::error(codes::NOT_APPROVED, format!("{what} needs approval, and nobody can be asked"));
        return Err(vec![error.help("pass --yes; nothing is touched at an API")]);
    }
    Ok(apply::confirmed(out, &format!("{question} Type yes:"), "yes").await)
}
