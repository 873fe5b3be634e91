//! `patchbay doctor`: is everything in place? Each target by its list, the files by what others may do with them, the
//! state by reading it. Nothing is written anywhere.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use futures_util::future::join_all;

use super::args::{Planning, RefreshArg};
use super::gather::{Gathered, gather};
use super::report::Lines;
use super::session::{self, KeyUse, Opening, Session};
use super::{Context, exit};
use crate::config::project::Target;
use crate::diagnostic::{Diagnostic, Diagnostics, codes, has_errors, tidy};
use crate::engine::explain::{Purpose, explain};
use crate::engine::lane::{CallFailure, Lane};
use crate::engine::reader::ReadLane;
use crate::io::{clock, files};
use crate::platform::object::Completeness;
use crate::source::Sources;
use crate::view::doctor::{Check, Health, Section};
use crate::{suggest, view};

/// A clock that is off by more makes tokens end at odd times.
const SKEW: i64 = 30;

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only these targets
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &DoctorArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else { return context.fail(&found, &sources) };
    let known: Vec<&str> = gathered.project.targets.keys().map(String::as_str).collect();
    if let Some(unknown) = args.targets.iter().find(|name| !known.contains(&name.as_str())) {
        let error = Diagnostic::error(codes::UNKNOWN_TARGET, format!("there is no target `{unknown}`"))
            .help_opt(suggest::help(unknown, &known));
        return context.fail(&[error], &sources);
    }
    let chosen: BTreeSet<String> = if args.targets.is_empty() {
        known.iter().map(|name| (*name).to_owned()).collect()
    } else {
        args.targets.iter().cloned().collect()
    };
    // Whether a target's address is the recorded one is looked at here, and is no reason to stop.
    let planning = Planning { accept_target_change: true, ..Planning::reading(RefreshArg::None) };
    let opening = Opening {
        globals: context.globals,
        planning: &planning,
        env: context.env,
        redactor: context.redactor,
        key: KeyUse::Never,
        targets: Some(&chosen),
    };
    let session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return context.fail(&errors, &sources),
    };
    let lines = Lines::new(out);
    let looks = gathered
        .project
        .targets
        .iter()
        .filter_map(|(name, settings)| Some(target(context, &session, session.lanes.get(name)?, settings, &lines)));
    let mut sections = Vec::new();
    for (section, errors) in join_all(looks).await {
        sections.push(section);
        found.extend(errors);
    }
    sections.push(project_files(context, &gathered));
    sections.push(state(&gathered, &session));
    tidy(&mut found);
    if out.is_json {
        out.json(&view::doctor::document(&sections, &found, &sources));
    } else {
        out.text(&view::doctor::render(&sections, &out.stdout));
        out.diagnostics(&found, &sources);
    }
    if view::doctor::is_ill(&sections) || has_errors(&found) { exit::ERROR } else { exit::OK }
}

fn check(what: &str, health: Health, text: impl Into<String>) -> Check {
    Check { what: what.to_owned(), health, text: text.into(), help: None }
}

fn advice(what: &str, health: Health, text: impl Into<String>, help: impl Into<String>) -> Check {
    Check { help: Some(help.into()), ..check(what, health, text) }
}

/// One target: one list of each collection tells whether it can be reached, whether it takes the credentials and whether
/// its lists are complete.
async fn target(
    context: &Context<'_>,
    session: &Session,
    lane: &Lane,
    settings: &Target,
    lines: &Lines<'_>,
) -> (Section, Diagnostics) {
    let mut checks = Vec::new();
    let mut found = Diagnostics::new();
    let started = clock::instant();
    for (n, (name, collection)) in lane.definition.collections.iter().enumerate() {
        match ReadLane::of(lane).list(collection, lines).await {
            Ok(listing) => {
                if n == 0 {
                    checks.push(check("reachable", Health::Good, format!("{} ms", started.elapsed().as_millis())));
                    checks.push(encryption(settings));
                    checks.push(check("credentials", Health::Good, "accepted for reading"));
                }
                let here = listing.objects.len();
                checks.push(match listing.complete {
                    Completeness::Certain => check("list", Health::Good, format!("{here} in `{name}`, and that is all")),
                    Completeness::CutShort { total: Some(total), .. } => advice(
                        "list",
                        Health::Odd,
                        format!("{here} of {total} in `{name}` came"),
                        "nothing is created or deleted on a partial list; raise `list_limit` of this target",
                    ),
                    _ => advice(
                        "list",
                        Health::Odd,
                        format!("{here} in `{name}`, and nothing says that this is all"),
                        "nothing is created or deleted on a partial list; raise `list_limit` of this target",
                    ),
                });
            }
            Err(error) => {
                if n == 0 {
                    let answered = matches!(error.cause, CallFailure::Api(_));
                    let (health, text) = if answered {
                        (Health::Good, format!("answers in {} ms", started.elapsed().as_millis()))
                    } else {
                        (Health::Bad, "no answer".to_owned())
                    };
                    checks.push(check("reachable", health, text));
                }
                let why = explain(lane, settings, &error, Purpose::List, context.redactor);
                let what = match why.code {
                    codes::UNAUTHORISED | codes::FORBIDDEN => "credentials",
                    _ => "list",
                };
                checks.push(check(what, Health::Bad, format!("{} {}", why.code.id(), why.summary)));
                found.push(why);
                break;
            }
        }
    }
    if let Some(ahead) = lane.clock_ahead() {
        checks.push(if ahead.abs() <= SKEW {
            check("clock", Health::Good, "agrees with the server's")
        } else {
            advice(
                "clock",
                Health::Odd,
                format!("{} s {} the server's", ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" }),
                "session tokens and certificates go by the clock",
            )
        });
    }
    let other =
        session.state.records().find(|r| r.address.target() == lane.target && session.hosts.get(&lane.target) != Some(&r.host));
    if let Some(record) = other {
        checks.push(advice(
            "address",
            Health::Odd,
            format!("the state has another: {}", record.host),
            "if the deployment moved: --accept-target-change at the next plan and apply",
        ));
    }
    checks.push(check("writing", Health::Unknown, "cannot be tested without writing"));
    let about = format!("{}   {}", settings.platform, settings.base_url);
    (Section { name: lane.target.clone(), about, checks }, found)
}

fn encryption(settings: &Target) -> Check {
    if settings.base_url.starts_with("https:") {
        check("encryption", Health::Good, "TLS, the certificate is trusted")
    } else if settings.base_url.starts_with("sandbox:") {
        check("encryption", Health::Good, "none needed: the sandbox is inside this process")
    } else if settings.allow_http {
        advice("encryption", Health::Odd, "plain http to another machine", "`allow_http = true` was set for it")
    } else {
        check("encryption", Health::Good, "none needed: it stays on this machine")
    }
}

/// Files with secrets in them: who else may read them, and would git take them along?
fn project_files(context: &Context<'_>, gathered: &Gathered) -> Section {
    let dir = &gathered.dir;
    let (connections, targets) = (gathered.desired.connections.len(), gathered.project.targets.len());
    let mut checks = vec![check(
        "configuration",
        Health::Good,
        format!("{connections} connections on {targets} targets in {} files, all valid", gathered.files),
    )];
    let start = context.globals.chdir.clone().unwrap_or_default();
    let mut private: Vec<(String, std::path::PathBuf)> =
        context.globals.env_file.iter().map(|file| (file.display().to_string(), start.join(file))).collect();
    for name in [".env", ".patchbay/key"] {
        let path = dir.join(name);
        if files::is_file(&path) && !private.iter().any(|(_, known)| *known == path) {
            private.push((name.to_owned(), path));
        }
    }
    for (name, path) in private {
        checks.extend(secret_file(&name, &path));
    }
    Section { name: "files".to_owned(), about: dir.display().to_string(), checks }
}

fn secret_file(name: &str, path: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    match files::mode(path) {
        None => return vec![check(name, Health::Bad, "not there")],
        Some(mode) if mode & 0o077 != 0 => {
            let text = format!("others may read it ({mode:04o})");
            checks.push(advice(name, Health::Odd, text, format!("chmod 600 {name}")));
        }
        Some(mode) => checks.push(check(name, Health::Good, format!("for its owner only ({mode:04o})"))),
    }
    match files::is_git_ignored(path) {
        Some(true) | None => {}
        Some(false) => {
            checks.push(advice(name, Health::Odd, "git does not ignore it", format!("add it to .gitignore: {name}")));
        }
    }
    checks
}

fn state(gathered: &Gathered, session: &Session) -> Section {
    let name = session.location.label();
    let records = session.state.records().count();
    let mut checks = Vec::new();
    if session.state.lineage().is_some() {
        checks.push(check("records", Health::Good, format!("{records}, every line is whole")));
    } else {
        checks.push(check("records", Health::Good, "there is no state yet; the first apply makes it"));
    }
    let open = session.state.open_intents().count();
    if open > 0 {
        checks.push(advice(
            "operations",
            Health::Odd,
            format!("{open} are open: a run is working, or was interrupted"),
            "the next apply settles what an interrupted run left",
        ));
    }
    let orphans =
        session.state.records().filter(|r| !gathered.desired.connections.iter().any(|c| c.address == r.address)).count();
    if orphans > 0 {
        checks.push(check("orphans", Health::Odd, format!("{orphans} recorded and in no file; `patchbay plan` names them")));
    }
    if session.has_key {
        checks.push(check("fingerprint key", Health::Good, "at hand"));
    } else if session.state.records().any(|r| !r.secrets.is_empty()) {
        checks.push(advice(
            "fingerprint key",
            Health::Odd,
            "not here, so no secret can be verified",
            "bring .patchbay/key along, or set PATCHBAY_STATE_KEY to what it holds",
        ));
    }
    Section { name: "state".to_owned(), about: name, checks }
}
