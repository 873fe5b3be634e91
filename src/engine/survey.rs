//! A survey of one API: sends what `plan::survey` asks, and deletes everything that it made, whatever happens meanwhile.
//!
//! It changes and deletes nothing that was there before: an object is its own if its id came from one of its creates and
//! was in no list before that, or if it has the name that nothing else has.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::apply::Stop;
use super::event::Report;
use super::lane::{CallError, CallFailure, Lane};
use super::probe::{self, Verdict};
use super::reader::ReadLane;
use super::write::LAG;
use crate::io::clock;
use crate::plan::survey::{Evidence, Gone, Listed, Pages, Reply, Seen, Subject, Way, create, restore, small_pages, trials};
use crate::platform::exchange::{ApiError, Failure, RequestSpec, json_at};
use crate::platform::model::{Delete, Paging};
use crate::platform::object::{Lister, Object, about};
use crate::secret::Redactor;

/// Stamps have seconds at the coarsest, so two changes this far apart have different ones.
const REST: Duration = Duration::from_millis(1100);

/// What a survey works with.
#[derive(Clone)]
pub struct Run<'r> {
    /// The target's requests.
    pub lane: &'r Lane,
    /// What is asked about.
    pub subject: Subject<'r>,
    /// Knows the secrets.
    pub redactor: &'r Redactor,
    /// Where events go.
    pub report: &'r dyn Report,
    /// Is it to stop?
    pub stop: watch::Receiver<Stop>,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({})", self.lane.target)
    }
}

/// Why a survey ended before its time.
#[derive(Debug)]
pub enum Halt {
    /// A signal came.
    Stopped(i32),
    /// The object could not be made.
    NotMade(CallError),
    /// A request failed in a way that says nothing about the definition.
    Failed(CallError),
    /// The answer to the create has the id of an object that was there before. Nothing more was done with that.
    NotOurs(String),
}

/// How a survey ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was seen.
    pub evidence: Evidence,
    /// Why it ended early.
    pub halt: Option<Halt>,
    /// The ids of what it made and what is there still, each with the failure of its delete, if there was one.
    pub left: Vec<(String, Option<CallError>)>,
}

/// Asks everything, and cleans up.
pub async fn survey(run: Run<'_>) -> Outcome {
    let mut desk = Desk {
        run,
        evidence: Evidence::default(),
        before: BTreeSet::new(),
        made: BTreeSet::new(),
        has_begun: false,
        wrote: None,
    };
    let halt = desk.story().await.err();
    let left = desk.clean_up().await;
    Outcome { evidence: desk.evidence, halt, left }
}

type Step<T> = Result<T, Halt>;

struct Desk<'r> {
    run: Run<'r>,
    evidence: Evidence,
    /// Every id that was there before.
    before: BTreeSet<String>,
    /// The ids of what was made and not deleted.
    made: BTreeSet<String>,
    /// Was anything sent that may have made something?
    has_begun: bool,
    /// When something was written last.
    wrote: Option<Instant>,
}

impl Desk<'_> {
    async fn story(&mut self) -> Step<()> {
        self.before = self.list().await?.objects.into_iter().map(|object| object.id).collect();
        let disposable = self.run.subject.disposable;
        let (id, answer) = self.make(create(&self.run.subject)).await?;
        self.evidence.is_made = true;
        self.evidence.answer = answer;
        let Some(first) = self.look_for(&id).await? else { return self.list_item(&id).await };
        let second = self.look(&id).await?;
        self.evidence.reads = std::iter::once(first.clone()).chain(second).collect();
        self.list_item(&id).await?;
        self.pages().await?;
        self.again(&id).await?;
        self.changes(first).await?;
        if let Some(verb) = &self.run.subject.kind.test
            && !disposable.made_up.is_empty()
        {
            self.check()?;
            self.evidence.test = match probe::test(self.run.lane, verb, &id, self.run.redactor, self.run.report).await {
                Ok((verdict, _)) => Some(Ok(matches!(verdict, Verdict::Passed(_)))),
                Err(error) => Some(Err(api(error)?)),
            };
        }
        self.delete(&id).await
    }

    /// Makes an object. Gives its id, and the object in the answer if the id was where the definition says.
    async fn make(&mut self, request: RequestSpec) -> Step<(String, Option<Object>)> {
        let Subject { kind, collection, .. } = self.run.subject;
        self.has_begun = true;
        let (json, location) = match self.send(&request).await? {
            Ok(answer) => answer,
            Err(error) => return Err(Halt::NotMade(error)),
        };
        let answer = Object::from_create(collection, &kind.create, &json, location.as_deref());
        let answer = answer.map(|object| self.run.lane.tame(object).as_written(kind));
        let id = match &answer {
            Some(object) => object.id.clone(),
            None => self.find().await?.ok_or_else(|| {
                let what = format!("it has no `{}`, and the list has no object of the name", collection.id);
                Halt::Failed(super::reader::unexpected(ApiError::unexpected(what), request.line()))
            })?,
        };
        if self.before.contains(&id) {
            return Err(Halt::NotOurs(id));
        }
        self.made.insert(id.clone());
        Ok((id, answer))
    }

    /// The id of what was made, by its name. Some servers list a new object only after a moment.
    async fn find(&self) -> Step<Option<String>> {
        let mut pauses = LAG.into_iter();
        loop {
            let own = self.owned().await?.into_iter().find(|id| !self.made.contains(id));
            match pauses.next().filter(|_| own.is_none()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(own),
            }
        }
    }

    /// The ids of listed objects that have our name and were not there before.
    async fn owned(&self) -> Step<Vec<String>> {
        let Subject { collection, disposable, .. } = self.run.subject;
        let is_own = |object: &Object| {
            !self.before.contains(&object.id) && object.natural_key(collection).is_some_and(|key| disposable.owns(&key))
        };
        Ok(self.list().await?.objects.into_iter().filter(is_own).map(|object| object.id).collect())
    }

    async fn list_item(&mut self, id: &str) -> Step<()> {
        let listing = self.list().await?;
        let count = listing.objects.len();
        let item = listing.objects.into_iter().find(|object| object.id == id);
        let item = item.map(|object| object.as_written(self.run.subject.kind));
        self.evidence.list = Some(Listed { item, count, complete: listing.complete });
        Ok(())
    }

    /// Asks for pages of one object. In an empty account a second object is made for that, where it can be deleted.
    async fn pages(&mut self) -> Step<()> {
        let Subject { kind, collection, disposable, .. } = self.run.subject;
        let count = self.evidence.list.as_ref().map_or(0, |list| list.count);
        if matches!(collection.list.paging, Paging::Cursor { .. }) || (count < 2 && matches!(kind.delete, Delete::None)) {
            return Ok(());
        }
        let mut companion = None;
        if count < 2 {
            let second = disposable.second();
            let request = create(&Subject { disposable: &second, ..self.run.subject });
            match self.make(request).await {
                Ok((id, _)) => companion = Some(id),
                Err(Halt::NotMade(_)) => return Ok(()),
                Err(halt) => return Err(halt),
            }
        }
        let small = small_pages(collection);
        let mut lister = Lister::new(&small, Some(1), 0);
        let mut request = lister.request();
        if matches!(small.list.paging, Paging::None) {
            request.query.push(("limit".to_owned(), "1".to_owned()));
        }
        let mut pages = None;
        if let Ok((json, _)) = self.send(&request).await? {
            let came = json_at(&json, &small.list.items).and_then(serde_json::Value::as_array).map_or(0, Vec::len);
            let mut goes_on = false;
            let is_sound = lister.take(&json).is_ok();
            if is_sound
                && matches!(small.list.paging, Paging::Offset { .. } | Paging::Page { .. })
                && let Ok((json, _)) = self.send(&lister.request()).await?
            {
                goes_on = lister.take(&json).is_ok() && lister.finish().objects.len() > came;
            }
            pages = is_sound.then_some(Pages { came, goes_on });
        }
        self.evidence.pages = pages;
        match companion {
            Some(id) => self.discard(&id).await,
            None => Ok(()),
        }
    }

    /// The same create again.
    async fn again(&mut self, id: &str) -> Step<()> {
        let request = create(&self.run.subject);
        let reply = self.reply(&request).await?;
        let own = self.owned().await?;
        let twins: Vec<String> = own.into_iter().filter(|own| own != id && !self.made.contains(own)).collect();
        self.evidence.again = Some((reply, 1 + twins.len()));
        for twin in twins {
            self.made.insert(twin.clone());
            self.discard(&twin).await?;
        }
        Ok(())
    }

    /// Tries every change; after each the object is brought back.
    async fn changes(&mut self, mut live: Object) -> Step<()> {
        let subject = self.run.subject;
        let mut has_rested = false;
        for trial in trials(&subject, &live) {
            if self.evidence.seen.iter().any(|seen| seen.trial.verb == trial.verb && seen.is_missing()) {
                continue;
            }
            let Some(request) = trial.request(&subject, &live) else { continue };
            let moves = matches!(trial.way, Way::Rotate(_) | Way::Change(_));
            let is_rested = moves && !has_rested;
            if is_rested {
                self.rest().await;
            }
            let reply = self.reply(&request).await?;
            has_rested |= is_rested && reply.is_done();
            let after = self.look(&live.id).await?;
            self.evidence.seen.push(Seen { trial, before: live, reply, after: after.clone(), is_rested });
            let Some(after) = after else { return Ok(()) };
            live = after;
            if let Some(request) = restore(&subject, &live)
                && self.send(&request).await?.is_ok()
                && let Some(restored) = self.look(&live.id).await?
            {
                live = restored;
            }
        }
        Ok(())
    }

    async fn rest(&self) {
        let rested = self.wrote.map_or(REST, |wrote| clock::instant() - wrote);
        tokio::time::sleep(REST.saturating_sub(rested)).await;
    }

    async fn delete(&mut self, id: &str) -> Step<()> {
        let Some(request) = self.delete_request(id) else { return Ok(()) };
        let delete = self.reply(&request).await?;
        let collection = self.run.subject.collection;
        let read = match crate::platform::object::read_request(collection, id) {
            Some(request) => Some(self.reply(&RequestSpec { idempotent: false, ..request }).await?),
            None => None,
        };
        let is_listed = self.list().await?.objects.iter().any(|object| object.id == id);
        let again = self.reply(&request).await?;
        if delete.is_done() && !is_listed {
            self.made.remove(id);
        }
        self.evidence.gone = Some(Gone { delete, read, is_listed, again });
        Ok(())
    }

    /// Deletes what was made along the way; what cannot be deleted now is tried once more at the end.
    async fn discard(&mut self, id: &str) -> Step<()> {
        if let Some(request) = self.delete_request(id)
            && self.send(&request).await?.is_ok()
        {
            self.made.remove(id);
        }
        Ok(())
    }

    fn delete_request(&self, id: &str) -> Option<RequestSpec> {
        match &self.run.subject.kind.delete {
            Delete::None => None,
            Delete::By(verb) => {
                Some(RequestSpec { idempotent: false, ..about(verb.method, &verb.path, &verb.query, &verb.body, id) })
            }
        }
    }

    /// Deletes what is there still. A second signal ends that, too.
    async fn clean_up(&mut self) -> Vec<(String, Option<CallError>)> {
        if !self.has_begun {
            return Vec::new();
        }
        // What a lost answer spoke of, or a rename left under another id.
        if let Some(Ok(own)) = self.unless_now(self.owned()).await {
            self.made.extend(own);
        }
        let mut left = Vec::new();
        let mut said_gone = Vec::new();
        for id in std::mem::take(&mut self.made) {
            let Some(request) = self.delete_request(&id) else {
                left.push((id, None));
                continue;
            };
            let request = RequestSpec { idempotent: true, ..request };
            match self.unless_now(self.run.lane.call(&request, self.run.report)).await {
                Some(Ok(_)) => said_gone.push((id, None)),
                Some(Err(error)) if error.is_not_found() => said_gone.push((id, Some(error))),
                Some(Err(error)) => left.push((id, Some(error))),
                None => left.push((id, None)),
            }
        }
        // The definition is in doubt here, and its delete with it: the list has the last word.
        if !said_gone.is_empty()
            && let Some(Ok(listing)) = self.unless_now(self.list()).await
        {
            let is_there = |(id, _): &(String, _)| listing.objects.iter().any(|object| object.id == *id);
            left.extend(said_gone.into_iter().filter(is_there));
        }
        left
    }

    /// The object, by its own read or out of the list where the API has none.
    async fn look(&self, id: &str) -> Step<Option<Object>> {
        self.check()?;
        let Subject { kind, collection, .. } = self.run.subject;
        let reader = ReadLane::of(self.run.lane);
        let object = match &collection.read {
            Some(_) => {
                let read = self.unless_now(reader.read(collection, id, self.run.report)).await;
                read.ok_or_else(|| self.stopped())?.map_err(Halt::Failed)?
            }
            None => self.list().await?.objects.into_iter().find(|object| object.id == id),
        };
        Ok(object.map(|object| object.as_written(kind)))
    }

    /// A new object: some servers show it only after a moment.
    async fn look_for(&self, id: &str) -> Step<Option<Object>> {
        for pause in LAG {
            if let Some(object) = self.look(id).await? {
                return Ok(Some(object));
            }
            tokio::time::sleep(pause).await;
        }
        self.look(id).await
    }

    async fn list(&self) -> Step<crate::platform::object::Listing> {
        let reader = ReadLane::of(self.run.lane);
        let listing = self.unless_now(reader.list(self.run.subject.collection, self.run.report)).await;
        listing.ok_or_else(|| self.stopped())?.map_err(Halt::Failed)
    }

    /// What became of a request.
    async fn reply(&mut self, request: &RequestSpec) -> Step<Reply> {
        Ok(match self.send(request).await? {
            Ok(_) => Reply::Done,
            Err(error) => Reply::Refused(api(error)?),
        })
    }

    /// Sends a request, unless the survey is to stop.
    async fn send(&mut self, request: &RequestSpec) -> Step<Result<(serde_json::Value, Option<String>), CallError>> {
        self.check()?;
        let answer = self.unless_now(self.run.lane.call_for_location(request, self.run.report)).await;
        self.wrote = Some(clock::instant());
        answer.ok_or_else(|| self.stopped())
    }

    fn check(&self) -> Step<()> {
        match *self.run.stop.borrow() {
            Stop::No => Ok(()),
            Stop::Gently(number) | Stop::Now(number) => Err(Halt::Stopped(number)),
        }
    }

    fn stopped(&self) -> Halt {
        match *self.run.stop.borrow() {
            Stop::Gently(number) | Stop::Now(number) => Halt::Stopped(number),
            Stop::No => Halt::Stopped(2),
        }
    }

    /// What comes of it, unless a second signal abandons everything.
    async fn unless_now<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.run.stop.clone();
        tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|stop| matches!(stop, Stop::Now(_))) => None,
            done = work => Some(done),
        }
    }
}

/// What the API said. A failure without its word says nothing about the definition.
fn api(error: CallError) -> Step<ApiError> {
    match &error.cause {
        CallFailure::Api(api) if !error.is_login && matches!(api.class, Failure::Api(_)) => Ok(api.clone()),
        _ => Err(Halt::Failed(error)),
    }
}
