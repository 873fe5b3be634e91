//! A lane that can only look. What takes this type and no other cannot change anything: there is no way to a write from
//! here. `drift` and the refresh of every plan are built on it.

use std::collections::BTreeMap;

use super::event::{Event, Mark, Report};
use super::explain::{Purpose, explain};
use super::lane::{CallError, CallFailure, Lane};
use super::refresh::Lanes;
use crate::config::project::Target;
use crate::diagnostic::Diagnostic;
use crate::platform::exchange::ApiError;
use crate::platform::model::{Collection, Definition};
use crate::platform::object::{Lister, Listing, Object, read_answer, read_request};
use crate::secret::Redactor;

/// One target, read only. The lane inside stays private.
#[derive(Clone, Copy, Debug)]
pub struct ReadLane<'l>(&'l Lane);

/// The readers of a run, by target.
pub type Readers<'l> = BTreeMap<String, ReadLane<'l>>;

/// The readers over some lanes.
#[must_use]
pub fn readers(lanes: &Lanes) -> Readers<'_> {
    lanes.iter().map(|(target, lane)| (target.clone(), ReadLane::of(lane))).collect()
}

impl<'l> ReadLane<'l> {
    /// The reader over a lane.
    #[must_use]
    pub fn of(lane: &'l Lane) -> Self {
        Self(lane)
    }

    /// The target's name.
    #[must_use]
    pub fn target(self) -> &'l str {
        &self.0.target
    }

    /// The rules of its platform.
    #[must_use]
    pub fn definition(self) -> &'l Definition {
        &self.0.definition
    }

    /// So many objects are known to be there.
    pub fn expect(self, known: usize) {
        self.0.expect(known);
    }

    /// Lists a collection to its end. Where the API has only a limit, a known larger number is asked for at once.
    ///
    /// # Errors
    /// The request that failed for good.
    pub async fn list(self, collection: &Collection, report: &dyn Report) -> Result<Listing, CallError> {
        let mut lister = Lister::new(collection, self.0.list_limit, self.0.expected());
        loop {
            let request = lister.request();
            let json = self.0.call(&request, &Reading(report)).await?;
            if !lister.take(&json).map_err(|error| unexpected(error, request.line()))? {
                let Listing { objects, complete } = lister.finish();
                return Ok(Listing { objects: objects.into_iter().map(|o| self.0.tame(o)).collect(), complete });
            }
        }
    }

    /// Reads one object; `None` if there is none of this id.
    ///
    /// # Errors
    /// The request that failed for good.
    pub async fn read(self, collection: &Collection, id: &str, report: &dyn Report) -> Result<Option<Object>, CallError> {
        let Some(request) = read_request(collection, id) else { return Ok(None) };
        match self.0.call(&request, &Reading(report)).await {
            Ok(json) => read_answer(collection, id, &json)
                .map(|o| Some(self.0.tame(o)))
                .map_err(|error| unexpected(error, request.line())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A failed request in words.
    #[must_use]
    pub fn explain(self, target: &Target, error: &CallError, purpose: Purpose<'_>, redactor: &Redactor) -> Diagnostic {
        explain(self.0, target, error, purpose, redactor)
    }
}

/// Tells that requests leave, and that none of them writes: some APIs list by POST.
struct Reading<'r>(&'r dyn Report);

impl Report for Reading<'_> {
    fn event(&self, event: &Event) {
        self.0.event(event);
    }

    fn mark(&self, mark: &Mark) {
        if let Mark::Sending { .. } = mark {
            self.0.mark(&Mark::Sending { is_write: false });
        }
    }
}

/// An answer that came and is not what the definition says.
pub(super) fn unexpected(error: ApiError, request: String) -> CallError {
    CallError {
        cause: CallFailure::Api(error),
        request,
        attempts: 1,
        elapsed: std::time::Duration::ZERO,
        may_have_happened: true,
        is_login: false,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Marks(RefCell<Vec<String>>);

    impl Report for Marks {
        fn event(&self, _: &Event) {}

        fn mark(&self, mark: &Mark) {
            self.0.borrow_mut().push(format!("{mark:?}"));
        }
    }

    #[test]
    fn what_reads_by_post_writes_nothing() {
        let marks = Marks::default();
        for mark in [Mark::Sending { is_write: true }, Mark::Refused] {
            Reading(&marks).mark(&mark);
        }
        assert_eq!(*marks.0.borrow(), ["Sending { is_write: false }"]);
    }
}
