//! One target: a list of each of its collections tells whether it can be reached, whether it takes the credentials and
//! whether its lists are complete. Where a plan would send nothing, nothing is sent here.

use super::{advice, check, failed};
use crate::cli::events::Listener;
use crate::cli::gather::Gathered;
use crate::cli::session::{self, Reached};
use crate::cli::{Context, base_url};
use crate::config::project::Target;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::engine::explain::{Purpose, explain};
use crate::engine::lane::{CallError, CallFailure, Lane};
use crate::engine::reader::ReadLane;
use crate::io::clock;
use crate::plan::select::Selector;
use crate::platform::model::{Collection, Paging};
use crate::platform::object::{Completeness, Listing};
use crate::state::State;
use crate::view::doctor::{Check, Health, Section};

/// A clock that is off by more makes tokens end at odd times.
const SKEW: i64 = 30;

/// What a look at any target needs.
pub(super) struct Visit<'v> {
    pub(super) context: &'v Context<'v>,
    pub(super) gathered: &'v Gathered,
    pub(super) state: &'v State,
    pub(super) lines: &'v Listener<'v>,
    /// May credentials go to an address that is not the recorded one?
    pub(super) accept_change: bool,
    /// Are credentials only placeholders?
    pub(super) is_blind: bool,
}

/// The section of a target, with what is to be told in full.
pub(super) async fn look(visit: &Visit<'_>, name: &str) -> (Section, Diagnostics) {
    let mut checks = Vec::new();
    let found = examine(visit, name, &mut checks).await;
    let settings = visit.gathered.project.targets.get(name);
    let about = settings.map(|settings| about(settings, visit.is_blind)).unwrap_or_default();
    (Section { name: name.to_owned(), about, checks }, found)
}

async fn examine(visit: &Visit<'_>, name: &str, checks: &mut Vec<Check>) -> Diagnostics {
    let (context, gathered) = (visit.context, visit.gathered);
    if let Some(troubles) = gathered.project.troubles.get(name) {
        // They are told in full among the errors of the configuration.
        for trouble in troubles {
            let check = failed("configuration", trouble);
            if checks.iter().all(|known| known.text != check.text) {
                checks.push(check);
            }
        }
        return Diagnostics::new();
    }
    let (Some(settings), Some(definition)) = (gathered.project.targets.get(name), gathered.definitions.get(name)) else {
        return Diagnostics::new();
    };
    if visit.is_blind {
        checks.push(check("credentials", Health::Unknown, "nothing was sent: a file of variables cannot be read"));
        return Diagnostics::new();
    }
    let recorded = session::other_address(visit.state, &Selector::default(), name, settings);
    if let Some(recorded) = recorded.filter(|_| !visit.accept_change) {
        let error = session::moved(name, settings, recorded);
        checks.push(advice(
            "address",
            Health::Bad,
            format!("{} the state has another address: {recorded}; nothing was sent", error.code.id()),
            "if the deployment moved, `patchbay doctor --accept-target-change` looks at the new one",
        ));
        return vec![error];
    }
    let reached = session::reach(context.globals, context.redactor, &gathered.dir, (name, settings), definition).await;
    // A sandbox of this process ends with the look.
    let Reached { lane, sandbox: _sandbox } = match reached {
        Ok(reached) => reached,
        Err(error) => {
            let what = if error.code == codes::PLAIN_HTTP { "encryption" } else { "configuration" };
            checks.push(failed(what, &error));
            return vec![error];
        }
    };
    let found = lists(visit, &lane, settings, checks).await;
    checks.extend(lane.clock_ahead().map(clocks));
    if let Some(recorded) = recorded {
        checks.push(advice(
            "address",
            Health::Odd,
            format!("the state has another address: {recorded}"),
            "if the deployment moved: --accept-target-change at the next plan and apply",
        ));
    }
    checks.push(check("writing", Health::Unknown, "cannot be tested without writing"));
    found
}

/// The platform and the address, if that is only an address.
fn about(settings: &Target, is_blind: bool) -> String {
    let is_address = match url::Url::parse(&settings.base_url) {
        Ok(url) if url.scheme() == "sandbox" => true,
        Ok(url) => {
            let has_more =
                !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some();
            ["http", "https"].contains(&url.scheme()) && !has_more
        }
        Err(_) => false,
    };
    if is_address && !is_blind { format!("{}   {}", settings.platform, settings.base_url) } else { settings.platform.clone() }
}

/// Lists every collection, until one cannot be listed.
async fn lists(visit: &Visit<'_>, lane: &Lane, settings: &Target, checks: &mut Vec<Check>) -> Diagnostics {
    let started = clock::instant();
    for (n, (name, collection)) in lane.definition.collections.iter().enumerate() {
        match ReadLane::of(lane).list(collection, visit.lines).await {
            Ok(listing) => {
                if n == 0 {
                    checks.push(check("reachable", Health::Good, format!("{} ms", started.elapsed().as_millis())));
                    checks.push(encryption(settings));
                    checks.push(check("credentials", Health::Good, "accepted for reading"));
                }
                checks.push(list(&lane.target, name, collection, &listing));
            }
            Err(error) => {
                let why = explain(lane, settings, &error, Purpose::List, visit.context.redactor);
                let answered = matches!(error.cause, CallFailure::Api(_));
                if n == 0 && answered {
                    let text = format!("answers in {} ms", started.elapsed().as_millis());
                    checks.push(check("reachable", Health::Good, text));
                }
                let what = if n == 0 && !answered { "reachable" } else { part(&error, &why) };
                checks.push(failed(what, &why));
                return vec![why];
            }
        }
    }
    Diagnostics::new()
}

/// What a failed list is a failure of.
fn part(error: &CallError, why: &Diagnostic) -> &'static str {
    match why.code {
        codes::UNAUTHORISED | codes::FORBIDDEN => "credentials",
        _ if error.is_login => "login",
        _ => "list",
    }
}

fn list(target: &str, name: &str, collection: &Collection, listing: &Listing) -> Check {
    let here = listing.objects.len();
    let text = match listing.complete {
        Completeness::Certain => return check("list", Health::Good, format!("{here} in `{name}`, and that is all")),
        Completeness::CutShort { total: Some(total), .. } => format!("{here} of {total} in `{name}` came"),
        Completeness::CutShort { .. } => format!("{here} in `{name}`, and nothing says that this is all"),
    };
    let way_out = match collection.list.paging {
        Paging::LimitOnly { .. } => format!("raise `list_limit` of [targets.{target}], if the API allows more"),
        _ => "if it stays so, the platform's definition does not fit: see `paging` and `total` of its list".to_owned(),
    };
    advice("list", Health::Odd, text, format!("nothing is created or deleted on a partial list; {way_out}"))
}

fn encryption(settings: &Target) -> Check {
    match url::Url::parse(&settings.base_url) {
        Ok(url) if url.scheme() == "https" => check("encryption", Health::Good, "TLS, the certificate is trusted"),
        Ok(url) if url.scheme() == "sandbox" => {
            check("encryption", Health::Good, "none needed: the sandbox is inside this process")
        }
        Ok(url) if base_url::stays_here(&url) => check("encryption", Health::Good, "none needed: it stays on this machine"),
        _ => advice("encryption", Health::Odd, "plain http to another machine", "`allow_http = true` was set for it"),
    }
}

/// Our clock beside the server's.
fn clocks(ahead: i64) -> Check {
    if ahead.abs() <= SKEW {
        return check("clock", Health::Good, "agrees with the server's");
    }
    advice(
        "clock",
        Health::Odd,
        format!("{} s {} the server's", ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" }),
        "session tokens and certificates go by the clock",
    )
}
