//! How far one change of a run has come. Its requests tell: a change begins with the first that leaves, not while it
//! waits for a place, and it can be given up as long as no write of it may have had an effect.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::event::{Event, Mark, Report};
use crate::io::clock;
use crate::plan::model::{Action, Change};

/// How far one change has come.
#[derive(Debug, Default)]
pub(super) struct Turn {
    began: Cell<Option<Instant>>,
    /// Writes that left and were not refused.
    written: Cell<u32>,
    ended: Cell<Option<Duration>>,
    /// The operation whose intent was handed over to be recorded.
    announced: RefCell<Option<String>>,
}

impl Turn {
    /// Has anything been sent?
    pub(super) fn has_begun(&self) -> bool {
        self.began.get().is_some()
    }

    /// May a write of this change have had an effect?
    pub(super) fn has_written(&self) -> bool {
        self.written.get() > 0
    }

    /// The operation that was announced, once.
    pub(super) fn take_announced(&self) -> Option<String> {
        self.announced.borrow_mut().take()
    }

    /// Time from the first request to the end, or until now.
    pub(super) fn elapsed(&self) -> Duration {
        self.ended.get().or_else(|| Some(self.began.get()?.elapsed())).unwrap_or_default()
    }

    /// The change has ended.
    pub(super) fn end(&self) {
        self.ended.set(Some(self.elapsed()));
    }
}

/// Passes events on, and notes the marks of how far the change is.
pub(super) struct Watched<'w> {
    pub(super) turn: &'w Turn,
    pub(super) change: &'w Change,
    pub(super) report: &'w dyn Report,
}

impl Watched<'_> {
    /// Says that the change begins, once: with its first request, or where there is none, before its end.
    pub(super) fn begin(&self) {
        if self.turn.has_begun() {
            return;
        }
        self.turn.began.set(Some(clock::instant()));
        let change = self.change;
        let is_rotated = change.action == Action::Rotate;
        let fields = if is_rotated { change.written().map(|f| f.path.to_string()).collect() } else { Vec::new() };
        self.report.event(&Event::Started { address: change.address.clone(), action: change.action, fields });
    }
}

impl Report for Watched<'_> {
    fn event(&self, event: &Event) {
        self.report.event(event);
    }

    fn mark(&self, mark: &Mark) {
        let written = &self.turn.written;
        match mark {
            Mark::Announcing(op) => *self.turn.announced.borrow_mut() = Some(op.clone()),
            Mark::Sending { is_write } => {
                self.begin();
                written.set(written.get() + u32::from(*is_write));
            }
            Mark::Refused => written.set(written.get().saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Silent;
    use crate::view::samples::change;

    #[test]
    fn a_change_begins_with_its_first_request_and_has_written_with_its_first_write() {
        let change = change("gateway/a", Action::Update);
        let turn = Turn::default();
        let watched = Watched { turn: &turn, change: &change, report: &Silent };
        watched.mark(&Mark::Announcing("op-1".to_owned()));
        assert!(!turn.has_begun() && !turn.has_written());
        watched.mark(&Mark::Sending { is_write: false });
        assert!(turn.has_begun() && !turn.has_written());
        watched.mark(&Mark::Sending { is_write: true });
        assert!(turn.has_written());
        watched.mark(&Mark::Refused);
        assert!(!turn.has_written());
        assert_eq!((turn.take_announced().as_deref(), turn.take_announced()), (Some("op-1"), None));
    }
}
