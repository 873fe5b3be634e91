//! Engine events → lines on standard error.

use super::out::Out;
use crate::engine::event::{Event, Report};
use crate::view;

/// Prints events as lines.
#[derive(Debug)]
pub struct Lines<'o> {
    out: &'o Out,
}

impl<'o> Lines<'o> {
    /// Prints through `out`.
    #[must_use]
    pub fn new(out: &'o Out) -> Self {
        Self { out }
    }
}

impl Report for Lines<'_> {
    fn event(&self, event: &Event) {
        let wanted = match event {
            Event::Listing { .. } | Event::Reading { .. } => self.out.verbose > 0 || self.out.stderr.tty,
            _ => true,
        };
        if wanted && let Some(line) = view::apply::line(event, &self.out.stderr) {
            self.out.note(&line);
        }
    }
}
