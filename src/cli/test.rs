//! `patchbay test`: asks the APIs to test the connections that exist. Nothing that patchbay manages is changed; where a test
//! itself moves an object's stamp, the new one is recorded.

use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;

use super::args::{Planning, RefreshArg};
use super::events::Listener;
use super::gather::gather;
use super::planning::{self, Filling};
use super::session::{self, Opening, Session};
use super::{Context, exit};
use crate::diagnostic::{Diagnostic, has_errors, tidy};
use crate::engine::event::Report;
use crate::engine::explain::{Purpose, explain};
use crate::engine::lane::{CallError, Lane};
use crate::engine::probe::{self, Candidate, Verdict};
use crate::engine::reader::readers;
use crate::engine::refresh::refresh;
use crate::io::store::{self, Committer, Opened};
use crate::io::{clock, process};
use crate::plan::model::Change;
use crate::plan::observed::Observed;
use crate::plan::planner::plan;
use crate::platform::model::Test;
use crate::secret::Redactor;
use crate::source::Sources;
use crate::state::{Entry, Record};
use crate::view;
use crate::view::digest::{Digest, Frame};
use crate::view::test::{Outcome, Report as TestReport, Tested};

/// `test`
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only these connections: an address, a target or a glob
    #[arg(value_name = "ADDR|GLOB", add = super::complete::addresses())]
    pub which: Vec<String>,
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &TestArgs) -> u8 {
    let out = context.out;
    let started = clock::instant();
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else { return context.fail(&found, &sources) };
    let mut globals = context.globals.clone();
    globals.only.extend(args.which.iter().cloned());
    // Ids are all that is wanted, and a list has them.
    let planning = Planning::reading(RefreshArg::None);
    let opening = Opening::looking(context, &globals, &planning);
    let session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return context.fail(&errors, &sources),
    };
    let lines = Listener::new(context);
    let filling = Filling::new(&gathered);
    let references = filling.references(&sources);
    let nothing = Observed::default();
    let world = planning::world(&gathered, &session, &nothing, &references);
    let (observed, errors) = refresh(&world, &readers(&session.lanes), context.redactor, &lines).await;
    found.extend(errors);
    let (plan, complaints) = plan(&planning::world(&gathered, &session, &observed, &references));
    // Of what a plan complains about, only what hides a connection from a test matters here.
    found.extend(complaints.into_iter().filter(|d| d.address.as_ref().is_none_or(|a| plan.change(a).is_none())));

    let chosen: Vec<&Change> =
        plan.changes.iter().filter(|c| c.connection.is_some() && session.options.selector.matches(&c.address)).collect();
    let tests = chosen.iter().map(|change| one(&session, &gathered.project.targets, change, context.redactor, &lines));
    let (connections, stamped): (Vec<Tested>, Vec<Option<Record>>) = join_all(tests).await.into_iter().unzip();
    found.extend(record(&session, stamped.into_iter().flatten().collect()).await.err());
    found.extend(connections.iter().filter_map(|tested| match &tested.outcome {
        Outcome::Unknown(diagnostic) => Some((**diagnostic).clone()),
        _ => None,
    }));
    tidy(&mut found);
    let report =
        TestReport { connections, requests: session.lanes.values().map(Lane::requests).sum(), elapsed: started.elapsed() };
    context.reports.hold(|| {
        let document = view::test::document(&report, &found, &sources);
        let frame = Frame { requests: report.requests, elapsed: report.elapsed, ..session.frame() };
        Digest::of_tests(&report, &found, &sources, frame, document)
    });
    if out.is_machine {
        out.json(&view::test::document(&report, &found, &sources));
    } else {
        out.text(&view::test::render(&report, &out.stdout));
        out.diagnostics(&found, &sources);
    }
    if report.failed() > 0 || has_errors(&found) { exit::ERROR } else { exit::OK }
}

async fn one(
    session: &Session,
    targets: &indexmap::IndexMap<String, crate::config::project::Target>,
    change: &Change,
    redactor: &Redactor,
    report: &dyn Report,
) -> (Tested, Option<Record>) {
    let name = change.address.target();
    let mut stamped = None;
    let outcome = match (session.lanes.get(name), targets.get(name)) {
        (Some(lane), Some(target)) => match lane.definition.kinds.get(&change.kind).and_then(|kind| kind.test.as_ref()) {
            None => Outcome::NoTest,
            Some(_) if change.id.is_none() => Outcome::NotThere,
            Some(verb) => match test(session, lane, verb, change, redactor, report, &mut stamped).await {
                Ok((Verdict::Passed(message), took)) => Outcome::Passed { message, took, trust: verb.trust },
                Ok((Verdict::Failed(message), took)) => Outcome::Failed { message, took },
                Err(error) => {
                    let subject = change.address.to_string();
                    let diagnostic: Diagnostic = explain(lane, target, &error, Purpose::Test(&subject), redactor);
                    Outcome::Unknown(Box::new(diagnostic.about(&change.address)))
                }
            },
        },
        _ => Outcome::NotThere,
    };
    (Tested { address: change.address.clone(), kind: change.kind.clone(), outcome }, stamped)
}

/// One test. Where it moves the object's stamp, `stamped` is the record with the new one.
async fn test(
    session: &Session,
    lane: &Lane,
    verb: &Test,
    change: &Change,
    redactor: &Redactor,
    report: &dyn Report,
    stamped: &mut Option<Record>,
) -> Result<(Verdict, Duration), CallError> {
    let id = change.id.as_deref().unwrap_or_default();
    let kind = lane.definition.kinds.get(&change.kind);
    let record = session.state.record(&change.address).filter(|record| record.id == id);
    let (Some(kind), Some(record), Some(connection)) = (kind, record, change.connection.as_deref()) else {
        return probe::test(lane, verb, id, redactor, report).await;
    };
    let (verdict, stamp) = Candidate { lane, kind, connection, record, redactor, report }.test(verb).await;
    *stamped = stamp.map(|stamp| Record { seen: Some(stamp), rev: record.rev + 1, ..record.clone() });
    verdict
}

/// Records the stamps that tests have left, unless another run has written there meanwhile.
async fn record(session: &Session, mut stamped: Vec<Record>) -> Result<(), Diagnostic> {
    if stamped.is_empty() {
        return Ok(());
    }
    let Opened { journal, state: now, .. } =
        session.location.open(session.lineage.clone(), process::this_run()).await.map_err(|e| e.diagnostic())?;
    session::writable(&now)?;
    stamped.retain(|record| now.rev(&record.address) + 1 == record.rev);
    let (journal, _) = store::begin(journal).await.map_err(|e| e.diagnostic())?;
    let committer = Committer::start(journal).map_err(|e| e.diagnostic())?;
    let entries = stamped.into_iter().map(Entry::Record).collect();
    committer.commit(entries).await.map_err(|e| e.diagnostic())?;
    committer.finish().await.map(drop).map_err(|e| e.diagnostic())
}
