//! One change, from intent to record.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::apply::Run;
use super::delete;
use super::event::{Ending, Mark};
use super::explain::{Purpose, explain};
use super::lane::{CallError, Lane};
use super::probe::{self, Candidate, Verdict};
use super::reader::{ReadLane, unexpected};
use crate::config::connections::TestAfter;
use crate::config::desired::Connection;
use crate::config::project::Target;
use crate::diagnostic::{Diagnostic, codes};
use crate::io::clock;
use crate::path::FieldPath;
use crate::plan::confirm::{self, Finding, SPEC, Written, spec_digest};
use crate::plan::diff::{self, Live, Subject};
use crate::plan::model::{Action, Basis, Change};
use crate::plan::planner::{Rules, basis, live_object};
use crate::plan::unit::{Content, units};
use crate::plan::{body, unit};
use crate::platform::exchange::{ApiError, json_at};
use crate::platform::model::Semantics;
use crate::platform::object::Object;
use crate::state::{Entry, Intent, Record, TEST, Tombstone};
use crate::value::Value;

/// How long to wait for a server to show what it has done, look by look.
pub(super) const LAG: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1200)];

/// Runs one change.
pub async fn run(run: &Run<'_>, change: &Change) -> Ending {
    if change.action == Action::Forget {
        return forget(run, change).await;
    }
    if change.action == Action::Delete {
        return delete::run(run, change).await.unwrap_or_else(|ending| *ending);
    }
    let Some(step) = Step::new(run, change) else {
        return Ending::Failed(Diagnostic::error(codes::INTERNAL, format!("`{}` has no rules to be applied by", change.address)));
    };
    let result = match change.action {
        Action::Create => step.create().await,
        Action::Update | Action::Rotate => step.update().await,
        Action::Replace => step.replace().await,
        Action::Adopt | Action::Move => step.take_over().await,
        _ => Ok(Ending::Skipped("nothing to do".to_owned())),
    };
    match result.unwrap_or_else(|ending| *ending) {
        Ending::Done { id: Some(id), warnings } if step.owes_a_test() => step.test(id, warnings).await,
        ending => ending,
    }
}

/// The ending of a change that was left in the middle.
#[must_use]
pub fn abandoned(change: &Change) -> Diagnostic {
    Diagnostic::error(
        codes::OUTCOME_UNKNOWN,
        format!("`{}` was abandoned in flight; nobody knows whether it was done", change.address),
    )
    .help("`patchbay plan` looks again before anything is done twice")
    .about(&change.address)
}

async fn forget(run: &Run<'_>, change: &Change) -> Ending {
    let Some(record) = recorded(run, change) else {
        return Ending::Done { id: None, warnings: Vec::new() };
    };
    let gone = tombstone(run, record, "forget");
    match run.committer.commit(vec![gone]).await {
        Ok(()) => Ending::Done { id: None, warnings: Vec::new() },
        Err(error) => Ending::Failed(error.diagnostic()),
    }
}

/// The record that a change without a declaration speaks of: of several objects of one address, this very one.
pub(super) fn recorded<'r>(run: &Run<'r>, change: &Change) -> Option<&'r Record> {
    let siblings = run.world.state.siblings(&change.address);
    siblings.into_iter().find(|record| change.id.as_ref().is_none_or(|id| *id == record.id))
}

/// Seconds since 1970 after which a request that is sent now is certainly over.
pub(super) fn deadline(lane: &Lane) -> i64 {
    clock::now().as_second() + i64::try_from(lane.timeout().as_secs()).unwrap_or(0) + 5
}

pub(super) fn tombstone(run: &Run<'_>, record: &Record, why: &str) -> Entry {
    Entry::Tombstone(Tombstone {
        address: record.address.clone(),
        id: record.id.clone(),
        rev: run.world.state.rev(&record.address) + 1,
        op: format!("{}-{why}", next_op(run)),
        at: clock::now_text(),
        extra: serde_json::Map::new(),
    })
}

pub(super) fn next_op(run: &Run<'_>) -> String {
    let n = run.shared.next_op.get() + 1;
    run.shared.next_op.set(n);
    format!("{}-{n}", run.run.split('/').next().unwrap_or_default())
}

/// Says that nothing came of an intent. If even that cannot be written, the next run finds it out by itself.
pub(super) async fn void(run: &Run<'_>, op: &str, why: &str) {
    if let Err(error) = run.committer.commit(vec![Entry::Void { op: op.to_owned(), why: why.to_owned() }]).await {
        run.shared.trouble.borrow_mut().push(error.diagnostic());
    }
}

/// An early end of a change.
pub(super) type Early<T> = Result<T, Box<Ending>>;

pub(super) fn failed<T>(diagnostic: Diagnostic) -> Early<T> {
    Err(Box::new(Ending::Failed(diagnostic)))
}

/// One change with everything that its request needs.
pub(super) struct Step<'s, 'r> {
    pub(super) run: &'s Run<'r>,
    pub(super) change: &'s Change,
    pub(super) connection: Connection,
    pub(super) rules: Rules<'r>,
    pub(super) target: &'r Target,
    pub(super) lane: &'r Lane,
    op: String,
    subject: String,
    /// Revisions that this very change has added: a replacement deletes before it creates.
    pub(super) added: Cell<u64>,
    /// What this change recorded last.
    recorded: RefCell<Option<Record>>,
}

impl<'s, 'r> Step<'s, 'r> {
    fn new(run: &'s Run<'r>, change: &'s Change) -> Option<Self> {
        let declared = change.connection.as_deref()?;
        let rules = run.world.rules(declared)?;
        let lane = run.lanes.get(change.address.target())?;
        let ids = run.shared.ids.borrow();
        let connection = run.world.references.fill(declared, rules.kind, |address, reference| match &reference.field {
            None => ids.get(address).cloned().map(Value::String).or_else(|| {
                // Outside of a narrowed plan, the record knows.
                let is_planned = run.shared.specs.borrow().contains_key(address);
                run.world.record(address).filter(|_| !is_planned).map(|r| Value::String(r.id.clone()))
            }),
            Some(path) => {
                let specs = run.shared.specs.borrow();
                specs.get(address)?.spec.at(path).filter(|v| !v.has_unknown()).cloned()
            }
        });
        if !connection.references.is_empty() {
            // What refers to this one takes the filled-in form.
            run.shared.specs.borrow_mut().insert(connection.address.clone(), Arc::new(connection.clone()));
        }
        let subject = change.address.to_string();
        Some(Self {
            run,
            change,
            connection,
            rules,
            target: rules.target,
            lane,
            op: next_op(run),
            subject,
            added: Cell::new(0),
            recorded: RefCell::new(None),
        })
    }

    pub(super) fn address(&self) -> &crate::address::Address {
        &self.connection.address
    }

    pub(super) fn prior(&self) -> Option<&'r Record> {
        let world = &self.run.world;
        self.change.moved_from.as_ref().and_then(|from| world.state.record(from)).or_else(|| world.record(self.address()))
    }

    pub(super) fn explain(&self, error: &CallError) -> Diagnostic {
        explain(self.lane, self.target, error, Purpose::Write(&self.subject), self.run.redactor)
            .label_opt(self.change.source, "declared here")
            .about(self.address())
    }

    /// Announces the request. From here on, whatever happens, the object can be found again.
    pub(super) async fn announce(&self, verb: &str) -> Early<()> {
        let mut extra = serde_json::Map::new();
        extra.insert(SPEC.to_owned(), spec_digest(&self.connection).into());
        let intent = Intent {
            op: self.op.clone(),
            address: self.address().clone(),
            verb: verb.to_owned(),
            name: self.change.name.clone(),
            base: self.run.world.state.rev(self.address()) + self.added.get(),
            run: self.run.run.to_owned(),
            at: clock::now_text(),
            until: Some(deadline(self.lane)),
            late: false,
            fp: self.fingerprints(),
            extra,
        };
        self.run.report.mark(&Mark::Announcing(self.op.clone()));
        match self.run.committer.announce(intent.clone()).await {
            Ok(claim) => claim.diagnostic(&intent).map_or(Ok(()), failed),
            Err(error) => failed(error.diagnostic()),
        }
    }

    fn fingerprints(&self) -> BTreeMap<String, crate::state::Fingerprint> {
        units(self.rules.kind, &self.connection.spec)
            .into_iter()
            .filter_map(|unit| match unit.content {
                Content::Secret(secret) => {
                    let path = unit.path.to_string();
                    Some((path.clone(), self.run.world.fingerprinter.secret(self.address(), &path, secret.expose())))
                }
                _ => None,
            })
            .collect()
    }

    pub(super) async fn void(&self, why: &str) {
        void(self.run, &self.op, why).await;
    }

    pub(super) fn nothing_pending(&self) -> Early<()> {
        let pending: Vec<String> = units(self.rules.kind, &self.connection.spec)
            .into_iter()
            .filter_map(|unit| match unit.content {
                Content::Pending(what) => Some(format!("`{}` needs {what}", unit.path)),
                _ => None,
            })
            .collect();
        if pending.is_empty() {
            return Ok(());
        }
        failed(
            Diagnostic::error(
                codes::DEPENDENCY_FAILED,
                format!("`{}` refers to something that is still unknown: {}", self.address(), pending.join(", ")),
            )
            .label_opt(self.change.source, "declared here")
            .about(self.address()),
        )
    }

    async fn update(&self) -> Early<Ending> {
        self.nothing_pending()?;
        let Some(id) = &self.change.id else {
            return failed(Diagnostic::error(codes::INTERNAL, format!("`{}` is to be changed and has no id", self.address())));
        };
        let fresh = self.fresh(id).await?;
        if self.is_moved(fresh.as_ref()) {
            return failed(self.stale());
        }
        let live = fresh.as_ref().map_or(Live::Trusted, Live::Read);
        let comparison = diff::compare(&Subject {
            connection: &self.connection,
            kind: self.rules.kind,
            record: self.prior().filter(|_| !self.change.adopts),
            live,
            fingerprinter: self.run.world.fingerprinter,
            rewrite_secrets: self.run.world.options.rewrite_secrets,
        });
        let writes = comparison.writes();
        if writes.is_empty() {
            // It is there already: somebody else made the same change. Only the record is behind.
            return self.commit(id, None, None, fresh.as_ref(), &[], false).await;
        }
        let Ok(choices) = body::choices(self.rules.kind, &self.connection, &writes, fresh.as_ref().map(|o| &o.body)) else {
            return failed(self.stale());
        };
        self.announce("update").await?;
        let (answer, all) = match self.try_each(id, choices).await {
            Ok(answered) => answered,
            Err(error) => {
                let diagnostic = self.explain(&error);
                if !error.may_have_happened {
                    self.void("failed").await;
                    return failed(diagnostic);
                }
                self.doubt(&writes).await;
                return Err(Box::new(Ending::Unknown(diagnostic)));
            }
        };
        let answer = answer.filter(|a| a.id == *id);
        self.settle(id, fresh.as_ref(), answer.as_ref(), &writes, all).await
    }

    /// A change may have been made, or not. What it would have written is recorded as neither the old nor the new value,
    /// so that the next plan writes it again, whichever of the two is wanted then.
    async fn doubt(&self, writes: &[FieldPath]) {
        let Some(prior) = self.prior().filter(|_| !self.change.adopts && self.change.moved_from.is_none()) else {
            return self.void("unknown").await;
        };
        let mut record = prior.clone();
        record.rev = self.run.world.state.rev(self.address()) + 1;
        record.op.clone_from(&self.op);
        record.seen = None;
        record.at = clock::now_text();
        let written = |path: &String| {
            writes.iter().any(|w| FieldPath::parse(path).starts_with(w) || w.starts_with(&FieldPath::parse(path)))
        };
        record.stored_as.retain(|path, _| !written(path));
        for (path, digest) in record.fields.iter_mut().filter(|(path, _)| written(path)) {
            *digest = crate::state::digest(path, "neither the old nor the new");
        }
        for (path, secret) in record.secrets.iter_mut().filter(|(path, _)| written(path)) {
            secret.fp = self.run.world.fingerprinter.mask(self.address(), path, &self.op);
            secret.mask = None;
            secret.mask_at = None;
        }
        let entry = Entry::Done { op: self.op.clone(), record: Box::new(record) };
        if let Err(error) = self.run.committer.commit(vec![entry]).await {
            self.run.shared.trouble.borrow_mut().push(error.diagnostic());
        }
    }

    /// Sends the first of the verbs that this deployment has. Returns the object in the answer, and whether everything
    /// was sent.
    async fn try_each(&self, id: &str, choices: Vec<body::Choice<'_>>) -> Result<(Option<Object>, bool), CallError> {
        let mut last = None;
        for choice in choices {
            let request = body::update_request(choice.verb, choice.body, id);
            match self.lane.call(&request, self.run.report).await {
                Ok(json) => {
                    let item = json_at(&json, &choice.verb.item);
                    let answer = item.and_then(|json| Object::from_json(self.rules.collection, json));
                    return Ok((
                        answer.map(|a| self.lane.tame(a).as_written(self.rules.kind)),
                        choice.verb.semantics != Semantics::Merge,
                    ));
                }
                // The object was read a moment ago, so what is not found is the verb.
                Err(error) if choice.verb.may_be_missing && error.is_missing() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| unexpected(no_id(&self.rules.collection.id), String::new())))
    }

    /// One object now: by its own read, or out of the list where the API has none.
    pub(super) async fn read_one(&self, id: &str) -> Result<Option<Object>, CallError> {
        let object = if self.rules.collection.read.is_some() {
            ReadLane::of(self.lane).read(self.rules.collection, id, self.run.report).await?
        } else {
            let list = self.lane.list_after_now(&self.rules.kind.collection, self.rules.collection, self.run.report).await?;
            if list.object(id).is_none() && !list.is_complete() {
                let why = "the list was cut short, so it does not tell whether the object is there".to_owned();
                return Err(unexpected(ApiError::unexpected(why), String::new()));
            }
            list.object(id).cloned()
        };
        Ok(object.map(|o| o.as_written(self.rules.kind)))
    }

    /// The object as it is now.
    async fn fresh(&self, id: &str) -> Early<Option<Object>> {
        match self.read_one(id).await {
            Ok(Some(object)) => Ok(Some(object)),
            Ok(None) => failed(
                Diagnostic::error(codes::GONE, format!("`{}` is gone: the API has no `{id}` any more", self.address()))
                    .help("it was deleted outside patchbay since the plan; plan again")
                    .about(self.address()),
            ),
            Err(error) => failed(self.explain(&error)),
        }
    }

    /// Is it another one than the plan saw? Where something that it refers to was made anew in this run, that may have
    /// emptied the reference: then we changed it ourselves.
    pub(super) fn is_moved(&self, fresh: Option<&Object>) -> bool {
        let replaced = self.run.shared.replaced.borrow();
        let by_us = self.change.depends_on.iter().any(|address| replaced.contains(address));
        let now = fresh.map(|object| basis(&self.connection, self.rules.kind, object)).unwrap_or_default();
        !by_us && self.change.basis != Basis::default() && now != self.change.basis
    }

    pub(super) fn stale(&self) -> Diagnostic {
        Diagnostic::error(codes::STALE, format!("`{}` was changed at the API since the plan", self.address()))
            .label_opt(self.change.source, "declared here")
            .help("nothing was sent; plan again")
            .about(self.address())
    }

    /// An adoption or a move: only the record is written.
    async fn take_over(&self) -> Early<Ending> {
        let Some(id) = self.change.id.clone() else { return failed(self.stale()) };
        let target = self.address().target();
        let list = self.run.world.observed.list(target, &self.rules.kind.collection);
        let observed = list.and_then(|list| live_object(&self.run.world, self.rules, target, list, &id));
        self.commit(&id, None, None, observed.as_deref(), &[], false).await
    }

    /// After a write: read back, record.
    pub(super) async fn settle(
        &self,
        id: &str,
        before: Option<&Object>,
        answer: Option<&Object>,
        writes: &[FieldPath],
        all: bool,
    ) -> Early<Ending> {
        // The write is done and must be recorded, whatever becomes of these reads; what they cannot prove, the next plan
        // reads. Some servers show a write only after a moment.
        let mut read_back = self.read_one(id).await.unwrap_or_default();
        for pause in LAG {
            let lags = match &read_back {
                None => self.rules.collection.read.is_some() && before.is_none(),
                Some(now) => {
                    let stood_still = before.is_some_and(|b| b.watermark.is_some() && b.watermark == now.watermark);
                    stood_still && !self.shows(now, writes)
                }
            };
            if !lags {
                break;
            }
            tokio::time::sleep(pause).await;
            read_back = self.read_one(id).await.unwrap_or_default();
        }
        self.commit(id, before, answer, read_back.as_ref(), writes, all).await
    }

    /// Does the object show every readable value that was written?
    fn shows(&self, now: &Object, writes: &[FieldPath]) -> bool {
        units(self.rules.kind, &self.connection.spec)
            .iter()
            .filter(|unit| writes.iter().any(|w| unit.path.starts_with(w)))
            .all(|unit| diff::live_value(self.rules.kind, unit, now).is_none_or(|(live, _)| diff::is_same(unit, Some(&live))))
    }

    async fn commit(
        &self,
        id: &str,
        before: Option<&Object>,
        answer: Option<&Object>,
        read_back: Option<&Object>,
        writes: &[FieldPath],
        sent_all: bool,
    ) -> Early<Ending> {
        let world = &self.run.world;
        // Several runs may have died at it, one after the other.
        let is_ours = |i: &&Intent| i.address == *self.address() && i.verb == "create";
        let announced: Vec<&Intent> = world.state.open_intents().filter(is_ours).collect();
        let host = world.hosts.get(self.address().target()).cloned().unwrap_or_default();
        let (mut record, findings) = confirm::record(
            &Written {
                connection: &self.connection,
                kind: self.rules.kind,
                id,
                name: &self.change.name,
                before,
                answer,
                read_back,
                prior: self.prior().filter(|_| !self.change.adopts),
                rev: world.state.rev(self.address()) + self.added.get() + 1,
                announced: &announced,
                writes,
                sent_all,
                host: &host,
                op: &self.op,
                at: &clock::now_text(),
            },
            world.fingerprinter,
        );
        if self.change.action.writes() && self.connection.lifecycle.test == TestAfter::After && self.rules.kind.test.is_some() {
            // Before the test, so that a run that dies in between leaves it to the next one.
            record.extra.insert(TEST.to_owned(), "open".into());
        }
        *self.recorded.borrow_mut() = Some(record.clone());
        let mut entries = vec![if self.change.action.writes() {
            Entry::Done { op: self.op.clone(), record: Box::new(record) }
        } else {
            Entry::Record(record)
        }];
        if let (Some(_), Some(prior)) = (&self.change.moved_from, self.prior()) {
            entries.push(tombstone(self.run, prior, "moved"));
        } else if self.change.action == Action::Create {
            // A create was planned because the recorded object is gone; its record must not stand beside the new one.
            let gone = world.state.siblings(self.address()).into_iter().filter(|record| record.id != id);
            entries.extend(gone.map(|record| tombstone(self.run, record, "gone")));
        }
        let settled = announced.iter().map(|intent| &intent.op);
        let why = "settled: the object was found by its name";
        entries.extend(settled.map(|op| Entry::Void { op: op.clone(), why: why.to_owned() }));
        if let Err(error) = self.run.committer.commit(entries).await {
            let diagnostic =
                error.diagnostic().note(format!("`{}` is done at the API (id `{id}`) and not yet in the state", self.address()));
            return Ok(Ending::Unknown(diagnostic));
        }
        Ok(self.ending(id, findings))
    }

    /// Was it written just now, or by a run that did not get to its test, and does the connection ask for one?
    fn owes_a_test(&self) -> bool {
        let is_open = |record: &Record| record.extra.contains_key(TEST);
        self.connection.lifecycle.test == TestAfter::After && self.recorded.borrow().as_ref().is_some_and(is_open)
    }

    /// After a write that asked for it. The write is recorded already; a failed test ends the change as failed all the
    /// same, so that nothing is built upon a connection that does not work.
    async fn test(&self, id: String, mut warnings: Vec<Diagnostic>) -> Ending {
        let Some(verb) = &self.rules.kind.test else { return Ending::Done { id: Some(id), warnings } };
        let Some(record) = self.recorded.borrow().clone() else { return Ending::Done { id: Some(id), warnings } };
        let candidate = Candidate {
            lane: self.lane,
            kind: self.rules.kind,
            connection: &self.connection,
            record: &record,
            redactor: self.run.redactor,
            report: self.run.report,
        };
        let (verdict, stamp) = candidate.test(verb).await;
        match verdict {
            Ok((Verdict::Passed(_), _)) => self.tested(stamp).await,
            Ok((Verdict::Failed(message), _)) => {
                let error = probe::failure(self.address(), message.as_deref())
                    .label_opt(self.change.source, "declared here, with `test: after`")
                    .note("it was written and is recorded");
                return Ending::Failed(error);
            }
            Err(error) => {
                let mut warning = explain(self.lane, self.target, &error, Purpose::Test(&self.subject), self.run.redactor)
                    .about(self.address());
                warning.severity = crate::diagnostic::Severity::Warning;
                warnings.push(warning.note("it was written and is recorded; the API could not be asked to test it"));
                // No verdict is no debt: what cannot be tested would be owed for ever.
                self.tested(stamp).await;
            }
        }
        Ending::Done { id: Some(id), warnings }
    }

    /// The record, without the mark that a test is owed, and with the stamp that the test left.
    async fn tested(&self, stamp: Option<String>) {
        let Some(mut record) = self.recorded.take() else { return };
        record.extra.shift_remove(TEST);
        record.seen = stamp.or(record.seen);
        record.rev += 1;
        if let Err(error) = self.run.committer.commit(vec![Entry::Record(record)]).await {
            self.run.shared.trouble.borrow_mut().push(error.diagnostic());
        }
    }

    fn ending(&self, id: &str, findings: Vec<Finding>) -> Ending {
        let mut warnings = Vec::new();
        let mut ignored = Vec::new();
        let place = |path: &FieldPath| crate::config::spec::span_of(&self.connection.node, path).map(|(_, value)| value);
        for finding in findings {
            match finding {
                Finding::Ignored(path) => ignored.push(path),
                Finding::Normalised(path, live) => {
                    let shown = unit::guard(self.rules.kind, Some(&self.connection.spec), &wrap(&path, live));
                    let shown =
                        shown.at(&path).filter(|v| !v.has_secret()).map_or_else(|| "another value".to_owned(), Value::canonical);
                    warnings.push(
                        Diagnostic::warning(
                            codes::READ_BACK,
                            format!("the API stored `{path}` of `{}` in another form", self.address()),
                        )
                        .label_opt(place(&path), "sent as it is written here")
                        .note(format!(
                            "it reads back as {}",
                            crate::platform::exchange::neutral(&self.run.redactor.scrub(&shown))
                        ))
                        .about(self.address()),
                    );
                }
                Finding::OtherSecret(path) => warnings.push(
                    Diagnostic::warning(
                        codes::READ_BACK,
                        format!("the live `{path}` of `{}` does not look like the secret that was sent", self.address()),
                    )
                    .label_opt(place(&path), "sent from here")
                    .about(self.address()),
                ),
            }
        }
        if let Some(first) = ignored.first() {
            let listed: Vec<String> = ignored.iter().map(|p| format!("`{p}`")).collect();
            return Ending::Failed(
                Diagnostic::error(
                    codes::READ_BACK,
                    format!("the API accepted the change of `{}` and did not make it: {}", self.address(), listed.join(", ")),
                )
                .label_opt(place(first), "still the old value at the API")
                .help("the API ignores this field silently; change it in the vendor's console, or declare ignore_changes")
                .about(self.address()),
            );
        }
        Ending::Done { id: Some(id.to_owned()), warnings }
    }
}

pub(super) fn no_id(field: &str) -> ApiError {
    ApiError::unexpected(format!("the answer to the create has no `{field}`"))
}

fn wrap(path: &FieldPath, value: Value) -> Value {
    let mut whole = Value::Map(crate::value::Map::new());
    whole.put(path, value);
    whole
}
