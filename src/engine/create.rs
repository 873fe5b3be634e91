//! Objects that are made: new ones, and those that are made anew because nothing else changes them.

use super::delete;
use super::event::{Ending, Mark};
use super::lane::{CallError, CallFailure};
use super::reader::{ReadLane, unexpected};
use super::write::{Early, LAG, Step, failed, no_id, tombstone};
use crate::diagnostic::{Diagnostic, codes};
use crate::plan::body;
use crate::plan::planner::name_taken;
use crate::platform::exchange::Failure;
use crate::platform::object::{Object, natural_key};

impl Step<'_, '_> {
    pub(super) async fn create(&self) -> Early<Ending> {
        self.nothing_pending()?;
        let verb = &self.rules.kind.create;
        let request = body::create_request(self.rules.kind, &self.connection.spec);
        self.announce("create").await?;
        let answer = match self.lane.call_for_location(&request, self.run.report).await {
            Ok((json, location)) => match Object::from_create(self.rules.collection, verb, &json, location.as_deref()) {
                Some(object) => self.lane.tame(object).as_written(self.rules.kind),
                None => self.find_created(&unexpected(no_id(&self.rules.collection.id), request.line())).await?,
            },
            Err(error) if !error.may_have_happened => {
                self.void("refused").await;
                return failed(self.explain(&error));
            }
            Err(error) => self.find_created(&error).await?,
        };
        self.run.shared.ids.borrow_mut().insert(self.address().clone(), answer.id.clone());
        self.settle(&answer.id, None, Some(&answer), &[], true).await
    }

    /// Deletes the object and makes it anew.
    pub(super) async fn replace(&self) -> Early<Ending> {
        self.nothing_pending()?;
        let Some(record) = self.prior() else {
            return failed(Diagnostic::error(
                codes::INTERNAL,
                format!("`{}` is to be replaced and has no record", self.address()),
            ));
        };
        match self.read_one(&record.id).await {
            Ok(Some(fresh)) => {
                if self.is_moved(Some(&fresh)) {
                    return failed(self.stale());
                }
                self.name_is_free(&fresh).await?;
                delete::object(self.run, self.lane, self.target, self.rules.kind, record).await?;
            }
            // What it belonged to took it along when that was replaced: nothing is left to delete.
            Ok(None) => {
                let gone = tombstone(self.run, record, "gone");
                if let Err(error) = self.run.committer.commit(vec![gone]).await {
                    return failed(error.diagnostic());
                }
            }
            Err(error) => return failed(self.explain(&error)),
        }
        self.added.set(1);
        // What referred to it may have lost its reference with it.
        self.run.shared.replaced.borrow_mut().insert(self.address().clone());
        self.create().await.map_err(|ending| match *ending {
            Ending::Failed(why) => {
                let note = "the object whose place it takes is deleted already; the next run creates what is missing";
                Box::new(Ending::Failed(why.note(note)))
            }
            other => Box::new(other),
        })
    }

    /// Before a delete that a create is to follow: under another name, that create may meet an object that is there.
    async fn name_is_free(&self, fresh: &Object) -> Early<()> {
        let collection = self.rules.collection;
        let wanted = natural_key(collection, self.rules.kind, &self.connection.spec);
        if wanted.is_none() || fresh.natural_key(collection) == wanted {
            return Ok(());
        }
        let listed = self.lane.list_after_now(&self.rules.kind.collection, collection, self.run.report).await;
        let list = listed.or_else(|error| failed(self.explain(&error)))?;
        let other = list.objects().iter().find(|o| o.id != fresh.id && o.natural_key(collection) == wanted);
        other.map_or(Ok(()), |other| failed(name_taken(&self.connection, self.rules, &self.change.name, &other.id)))
    }

    /// The answer to a create was lost or unreadable: was it made? The list tells.
    async fn find_created(&self, error: &CallError) -> Early<Object> {
        let answered = !error.is_login && matches!(&error.cause, CallFailure::Api(api) if matches!(api.class, Failure::Api(_)));
        let unknown = |what: String| {
            let mut diagnostic = self.explain(error);
            diagnostic.code = codes::OUTCOME_UNKNOWN;
            diagnostic = diagnostic.note(what).help("`patchbay plan` looks again before anything is created");
            Err(Box::new(Ending::Unknown(diagnostic)))
        };
        let key = natural_key(self.rules.collection, self.rules.kind, &self.connection.spec);
        let mut pauses = LAG.into_iter().filter(|_| !answered);
        let (complete, found) = loop {
            let Ok(listing) = ReadLane::of(self.lane).list(self.rules.collection, self.run.report).await else {
                return unknown(format!("the list could not be read to look for `{}`", self.change.name));
            };
            let complete = listing.complete == crate::platform::object::Completeness::Certain;
            let named = |o: &Object| key.is_some() && o.natural_key(self.rules.collection) == key;
            let found: Vec<Object> = listing.objects.into_iter().filter(named).collect();
            // Some servers list a new object only after a moment.
            match pauses.next().filter(|_| found.is_empty()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break (complete, found),
            }
        };
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            // The plan saw no object of this name in a complete list, so this one came with our request.
            (Some(object), None) => Ok(object.as_written(self.rules.kind)),
            (Some(_), Some(_)) => unknown(format!("several objects are named `{}` now", self.change.name)),
            (None, _) if answered && complete => {
                self.run.report.mark(&Mark::Refused);
                self.void("refused, and not in the list").await;
                failed(self.explain(error))
            }
            (None, _) => unknown(format!("patchbay looked for `{}` and found none; it may still appear", self.change.name)),
        }
    }
}
