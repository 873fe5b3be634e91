//! From a session to a plan: refresh, plan, and everything that must be said about it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gather::Gathered;
use super::session::Session;
use crate::address::Address;
use crate::config::desired::References;
use crate::config::template::Renderer;
use crate::diagnostic::{Diagnostics, tidy};
use crate::engine::event::Report;
use crate::engine::reader::readers;
use crate::engine::refresh::refresh;
use crate::io::clock;
use crate::plan::guards;
use crate::plan::model::Plan;
use crate::plan::observed::Observed;
use crate::plan::planner::{World, plan};
use crate::secret::Redactor;
use crate::source::Sources;

/// What fills in references during a run.
#[derive(Debug)]
pub struct Filling {
    renderer: Renderer,
    declared: BTreeMap<Address, ()>,
}

impl Filling {
    /// For a project.
    #[must_use]
    pub fn new(gathered: &Gathered) -> Self {
        let declared = gathered.desired.connections.iter().map(|c| (c.address.clone(), ())).collect();
        Self { renderer: Renderer::new(&gathered.scope), declared }
    }

    /// The borrowed form that the planner takes.
    #[must_use]
    pub fn references<'f>(&'f self, sources: &'f Sources) -> References<'f> {
        References { renderer: &self.renderer, sources, declared: &self.declared }
    }
}

/// Everything that a plan is made from, before anything was observed.
#[must_use]
pub fn world<'w>(
    gathered: &'w Gathered,
    session: &'w Session,
    observed: &'w Observed,
    references: &'w References<'w>,
) -> World<'w> {
    World {
        desired: &gathered.desired,
        project: &gathered.project,
        definitions: &gathered.definitions,
        hosts: &session.hosts,
        state: &session.state,
        observed,
        owners: &session.owners,
        fingerprinter: &session.fingerprinter,
        references,
        options: &session.options,
        redactor: &gathered.scope.redactor,
    }
}

/// A plan with what it rests on.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What the APIs showed.
    pub observed: Observed,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
    /// Requests sent.
    pub requests: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Reads the live state and plans.
pub async fn make(
    gathered: &Gathered,
    session: &Session,
    references: &References<'_>,
    redactor: &Redactor,
    report: &dyn Report,
) -> Planned {
    let started = clock::instant();
    let nothing = Observed::default();
    let (observed, mut diagnostics) =
        refresh(&world(gathered, session, &nothing, references), &readers(&session.lanes), redactor, report).await;
    let (plan, found) = plan(&world(gathered, session, &observed, references));
    diagnostics.extend(found);
    // Whoever destroys has said that everything is to go.
    if !session.options.destroy {
        diagnostics.extend(guards::check(&plan, &gathered.project, &session.state, &session.safety));
    }
    tidy(&mut diagnostics);
    let requests = session.lanes.values().map(crate::engine::lane::Lane::requests).sum();
    Planned { plan, observed, diagnostics, requests, elapsed: started.elapsed() }
}
