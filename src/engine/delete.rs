//! One delete, from intent to tombstone.

use std::collections::BTreeMap;

use super::apply::Run;
use super::event::{Ending, Mark};
use super::explain::{Purpose, explain};
use super::lane::Lane;
use super::reader::ReadLane;
use super::write::{Early, LAG, deadline, failed, next_op, recorded, void};
use crate::config::project::Target;
use crate::diagnostic::{Diagnostic, codes};
use crate::io::clock;
use crate::plan::model::Change;
use crate::platform::model::{Delete, Kind};
use crate::platform::object::about;
use crate::state::{Entry, Intent, Record, Tombstone};

/// Deletes what only the record speaks of.
pub(super) async fn run(run: &Run<'_>, change: &Change) -> Early<Ending> {
    let world = &run.world;
    let target = change.address.target();
    let bug = || {
        Box::new(Ending::Failed(Diagnostic::error(
            codes::INTERNAL,
            format!("`{}` has no rules to be deleted by", change.address),
        )))
    };
    let record = recorded(run, change).ok_or_else(bug)?;
    let lane = run.lanes.get(target).ok_or_else(bug)?;
    let settings = world.project.targets.get(target).ok_or_else(bug)?;
    let kind = lane.definition.kinds.get(&record.kind).ok_or_else(bug)?;
    unmoved(run, change, lane, settings, kind, record).await?;
    object(run, lane, settings, kind, record).await?;
    Ok(Ending::Done { id: None, warnings: Vec::new() })
}

/// Is it still what the plan saw? Where the API stamps its objects and reads one, it is asked just before.
async fn unmoved(run: &Run<'_>, change: &Change, lane: &Lane, target: &Target, kind: &Kind, record: &Record) -> Early<()> {
    let collection = lane.definition.collections.get(&kind.collection).filter(|c| c.read.is_some());
    let (Some(planned), Some(collection)) = (&change.basis.watermark, collection) else { return Ok(()) };
    match ReadLane::of(lane).read(collection, &record.id, run.report).await {
        Ok(Some(now)) if now.watermark.as_ref() != Some(planned) => failed(
            Diagnostic::error(codes::STALE, format!("`{}` was changed at the API since the plan", record.address))
                .help("nothing was sent; plan again")
                .about(&record.address),
        ),
        Ok(_) => Ok(()),
        Err(error) => {
            let subject = record.address.to_string();
            failed(explain(lane, target, &error, Purpose::Read(&subject), run.redactor).about(&record.address))
        }
    }
}

/// One delete, from intent to tombstone. An object that is gone already is as good as deleted.
pub(super) async fn object(run: &Run<'_>, lane: &Lane, target: &Target, kind: &Kind, record: &Record) -> Early<()> {
    let Delete::By(verb) = &kind.delete else {
        return failed(Diagnostic::error(codes::UNDELETABLE, format!("the API cannot delete `{}`", record.address)));
    };
    let op = next_op(run);
    let intent = Intent {
        op: op.clone(),
        address: record.address.clone(),
        verb: "delete".to_owned(),
        name: record.name.clone(),
        base: run.world.state.rev(&record.address),
        run: run.run.to_owned(),
        at: clock::now_text(),
        until: Some(deadline(lane)),
        late: false,
        fp: BTreeMap::new(),
        extra: serde_json::Map::new(),
    };
    run.report.mark(&Mark::Announcing(op.clone()));
    match run.committer.announce(intent.clone()).await {
        Ok(claim) => claim.diagnostic(&intent).map_or(Ok(()), failed)?,
        Err(error) => return failed(error.diagnostic()),
    }
    let request = about(verb.method, &verb.path, &verb.query, &verb.body, &record.id);
    if let Err(error) = lane.call(&request, run.report).await
        && !error.is_not_found()
    {
        void(run, &op, "failed").await;
        let subject = record.address.to_string();
        let diagnostic = explain(lane, target, &error, Purpose::Write(&subject), run.redactor).about(&record.address);
        return Err(Box::new(if error.may_have_happened { Ending::Unknown(diagnostic) } else { Ending::Failed(diagnostic) }));
    }
    still_there(run, lane, target, kind, record, &op).await?;
    let gone = Entry::Tombstone(Tombstone {
        address: record.address.clone(),
        id: record.id.clone(),
        rev: run.world.state.rev(&record.address) + 1,
        op,
        at: clock::now_text(),
        extra: serde_json::Map::new(),
    });
    run.committer.commit(vec![gone]).await.map_err(|error| {
        Box::new(Ending::Unknown(
            error.diagnostic().note(format!("`{}` is deleted at the API and still in the state", record.address)),
        ))
    })
}

/// After a delete that was accepted: is the object gone? An API may accept and not delete, and a record that is dropped
/// then would lose the object from sight. Some need a moment.
async fn still_there(run: &Run<'_>, lane: &Lane, target: &Target, kind: &Kind, record: &Record, op: &str) -> Early<()> {
    let Some(collection) = lane.definition.collections.get(&kind.collection) else { return Ok(()) };
    let mut pauses = LAG.into_iter();
    let trouble = loop {
        let seen = if collection.read.is_some() {
            ReadLane::of(lane).read(collection, &record.id, run.report).await.map(|object| object.is_some())
        } else {
            lane.list_after_now(&kind.collection, collection, run.report).await.map(|list| list.object(&record.id).is_some())
        };
        match seen {
            Ok(false) => return Ok(()),
            Ok(true) => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break None,
            },
            Err(error) => break Some(error),
        }
    };
    let address = &record.address;
    void(run, op, "not proved").await;
    Err(Box::new(match trouble {
        Some(error) => {
            let subject = address.to_string();
            let mut diagnostic = explain(lane, target, &error, Purpose::Read(&subject), run.redactor).about(address);
            diagnostic.code = codes::OUTCOME_UNKNOWN;
            Ending::Unknown(diagnostic.note("the delete was accepted, and nobody could look whether it was done"))
        }
        None => Ending::Failed(
            Diagnostic::error(codes::READ_BACK, format!("the API accepted the delete of `{address}` and did not do it"))
                .note("it is still there, and stays in the state")
                .help("if the API deletes later, the next run finds it gone; otherwise delete it in the vendor's console")
                .about(address),
        ),
    }))
}
