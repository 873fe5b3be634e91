//! What the engine reports → lines on standard error, a live region on a terminal, and the event stream.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::Context;
use super::out::Out;
use super::reports::Reports;
use crate::address::Address;
use crate::engine::event::{Event, Report};
use crate::io::clock;
use crate::plan::model::{Action, Plan};
use crate::source::Sources;
use crate::view;
use crate::view::progress::{self, Progress};

/// How often the live region is drawn again.
const FRAME: Duration = Duration::from_millis(100);
/// How often a log says that a change still runs.
const STILL: Duration = Duration::from_secs(10);

/// Shows events as they come.
#[derive(Debug)]
pub struct Listener<'o> {
    out: &'o Out,
    reports: &'o Reports,
    sources: Option<&'o Sources>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Lines of the region that are on the screen by now.
    drawn: usize,
    frame: usize,
    progress: Progress,
    began: Option<Instant>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    address: Address,
    action: Action,
    since: Instant,
    told: Duration,
}

impl<'o> Listener<'o> {
    /// Tells a context's streams.
    #[must_use]
    pub fn new(context: &'o Context<'_>) -> Self {
        Self { out: context.out, reports: context.reports, sources: None, state: RefCell::default() }
    }

    /// With the texts that diagnostics point into.
    #[must_use]
    pub fn with_sources(mut self, sources: &'o Sources) -> Self {
        self.sources = Some(sources);
        self
    }

    /// A plan is about to run.
    pub fn begin(&self, plan: &Plan) {
        let mut state = self.state.borrow_mut();
        state.progress = Progress::new(plan.changes.iter().filter(|c| c.action.is_change()).map(|c| &c.address));
        state.began = Some(clock::instant());
        self.draw(&mut state);
    }

    /// Nothing runs any more.
    pub fn end(&self) {
        let mut state = self.state.borrow_mut();
        self.clear(&mut state);
        state.began = None;
    }

    /// Keeps the region moving, and tells logs what still runs; never ends by itself.
    pub async fn tick(&self) {
        loop {
            tokio::time::sleep(if self.out.has_region { FRAME } else { Duration::from_secs(1) }).await;
            let mut state = self.state.borrow_mut();
            let mut still = Vec::new();
            for running in &mut state.running {
                let elapsed = running.since.elapsed();
                if elapsed >= running.told + STILL {
                    running.told = Duration::from_secs(elapsed.as_secs());
                    let elapsed = running.told;
                    still.push(Event::Still { address: running.address.clone(), action: running.action, elapsed });
                }
            }
            for event in &still {
                self.reports.event(event, self.sources);
                if !self.out.has_region {
                    self.line(event);
                }
            }
            self.draw(&mut state);
        }
    }

    fn line(&self, event: &Event) {
        // A program that reads the stream has it from there.
        if !self.reports.streams()
            && let Some(line) = view::apply::line(event, &self.out.stderr)
        {
            // What is sent and what an API calls it are others' words; all other events have none.
            let is_foreign = matches!(event, Event::Sent { .. });
            self.out.note(&if is_foreign { self.out.scrub(&line) } else { line });
        }
    }

    /// Takes the region from the screen.
    fn clear(&self, state: &mut State) {
        if state.drawn > 0 {
            self.out.error_text(&format!("\r\u{1b}[{}A\u{1b}[J", state.drawn));
            state.drawn = 0;
        }
    }

    /// Draws the region, over the one that is there, in one write: nothing flickers.
    fn draw(&self, state: &mut State) {
        let Some(began) = state.began.filter(|_| self.out.has_region) else { return };
        state.progress.elapsed = began.elapsed();
        let running = state.running.iter().map(|r| (r.address.clone(), r.action, r.since.elapsed()));
        state.progress.running = running.collect();
        state.frame += 1;
        let style = self.out.stderr_now();
        let lines = progress::region(&state.progress, state.frame, self.out.stderr_rows(), &style);
        let up = if state.drawn > 0 { format!("\r\u{1b}[{}A\u{1b}[J", state.drawn) } else { String::new() };
        state.drawn = lines.len();
        self.out.error_text(&format!("{up}{}\n", lines.join("\n")));
    }

    fn note(&self, state: &mut State, event: &Event) {
        match event {
            Event::Started { address, action, .. } => {
                state.running.push(Running {
                    address: address.clone(),
                    action: *action,
                    since: clock::instant(),
                    told: Duration::ZERO,
                });
            }
            Event::Ended { address, .. } => {
                state.running.retain(|running| running.address != *address);
                state.progress.ended += 1;
            }
            Event::Stopping { .. } => state.progress.stopping = true,
            _ => {}
        }
    }
}

impl Drop for Listener<'_> {
    /// Whatever is printed next begins on a clean line.
    fn drop(&mut self) {
        self.end();
    }
}

impl Report for Listener<'_> {
    fn event(&self, event: &Event) {
        if matches!(event, Event::Sent { .. }) && self.out.verbose < 2 {
            return;
        }
        self.reports.event(event, self.sources);
        let mut state = self.state.borrow_mut();
        self.note(&mut state, event);
        if !self.out.has_region {
            let is_reading = matches!(event, Event::Listing { .. } | Event::Reading { .. });
            if !is_reading || self.out.verbose > 0 || self.out.stderr.tty {
                self.line(event);
            }
            return;
        }
        self.clear(&mut state);
        if let Some(line) = progress::waiting(event, &self.out.stderr_now()) {
            // Said while it is waited for, and gone when the answer is there.
            if self.out.verbose > 0 {
                self.line(event);
            } else {
                self.out.error_text(&format!("{line}\n"));
                state.drawn = 1;
            }
        } else if let Some(line) = progress::finished(event, state.progress.column, &self.out.stderr) {
            self.out.note(&line);
        } else if !matches!(event, Event::Started { .. }) {
            self.line(event);
        }
        self.draw(&mut state);
    }
}
