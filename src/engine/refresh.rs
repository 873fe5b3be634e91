//! Refresh: one list per collection, then the reads that the planner asks for.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::event::{Event, Report};
use super::explain::Purpose;
use super::lane::{CallError, Lane};
use super::reader::{ReadLane, Readers};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::dependents;
use crate::plan::observed::{Detail, Observed};
use crate::plan::planner::World;
use crate::plan::reads::needed_reads;
use crate::secret::Redactor;

/// The lanes of a run, by target.
pub type Lanes = BTreeMap<String, Lane>;

/// Reads what a plan needs. What could not be read is missing from the result and explained in the diagnostics.
pub async fn refresh(
    world: &World<'_>,
    readers: &Readers<'_>,
    redactor: &Redactor,
    report: &dyn Report,
) -> (Observed, Diagnostics) {
    let mut found = Diagnostics::new();
    let mut observed = Observed::default();
    let wanted = collections(world);
    let lists = wanted.iter().filter_map(|(target, name)| {
        let lane = *readers.get(target)?;
        let collection = lane.definition().collections.get(name)?;
        report.event(&Event::Listing { target: target.clone() });
        let known = world.state.records().filter(|r| r.address.target() == target).count();
        lane.expect(known);
        Some(async move { (lane, name, collection, lane.list(collection, report).await) })
    });
    for (lane, name, collection, result) in join_all(lists).await {
        match result {
            Ok(listing) => observed.add_list(lane.target(), name, collection, listing),
            Err(error) => found.extend(explained(world, lane, &error, Purpose::List, redactor)),
        }
    }

    let reads = needed_reads(&World { observed: &observed, ..*world });
    let mut by_target: BTreeMap<&str, usize> = BTreeMap::new();
    for (target, ..) in &reads {
        *by_target.entry(target).or_default() += 1;
    }
    for (target, count) in by_target {
        report.event(&Event::Reading { target: target.to_owned(), count });
    }
    let details = join_all(reads.iter().filter_map(|(target, name, id)| {
        let lane = *readers.get(target)?;
        let collection = lane.definition().collections.get(name)?;
        Some(async move { (lane, name, id, lane.read(collection, id, report).await) })
    }))
    .await;
    for (lane, name, id, result) in details {
        let detail = match result {
            Ok(Some(object)) => Detail::Object(object),
            Ok(None) => Detail::Gone,
            Err(error) => {
                found.extend(explained(world, lane, &error, Purpose::Read(&format!("{}: {id}", lane.target())), redactor));
                Detail::Failed
            }
        };
        observed.add_detail(lane.target(), name, id, detail);
    }
    report.event(&Event::Refreshed);
    (observed, found)
}

/// The collections that the chosen connections and the records live in.
fn collections(world: &World<'_>) -> BTreeSet<(String, String)> {
    let mut wanted = BTreeSet::new();
    for connection in world.chosen() {
        if let Some(rules) = world.rules(connection) {
            wanted.insert((connection.address.target().to_owned(), rules.kind.collection.clone()));
        }
    }
    for record in world.state.records().filter(|r| world.options.selector.matches(&r.address)) {
        let target = record.address.target();
        // A record of another host says nothing about this one; the planner refuses it.
        if let Some(kind) = world.definitions.get(target).and_then(|d| d.kinds.get(&record.kind)) {
            wanted.insert((target.to_owned(), kind.collection.clone()));
        }
    }
    wanted.extend(dependents::collections(world));
    wanted
}

fn explained(
    world: &World<'_>,
    lane: ReadLane<'_>,
    error: &CallError,
    purpose: Purpose<'_>,
    redactor: &Redactor,
) -> Option<Diagnostic> {
    let target = world.project.targets.get(lane.target())?;
    Some(lane.explain(target, error, purpose, redactor))
}
