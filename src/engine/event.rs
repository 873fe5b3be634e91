//! What the engine reports while it works. Views turn events into lines; nothing here prints.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::address::Address;
use crate::diagnostic::Diagnostic;
use crate::plan::model::Action;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A target's list is being read.
    Listing {
        /// The target.
        target: String,
    },
    /// Objects are read one by one.
    Reading {
        /// The target.
        target: String,
        /// How many.
        count: usize,
    },
    /// Everything that was asked for has been read, or could not be.
    Refreshed,
    /// Files were read for the environment.
    EnvFile {
        /// The file.
        file: String,
        /// How many variables it has.
        variables: usize,
    },
    /// A request is sent again after a pause.
    Retry {
        /// The target.
        target: String,
        /// `PATCH /connections/cn-…`
        request: String,
        /// What happened: `429`, `503`, `connection reset`.
        why: String,
        /// The pause.
        wait: Duration,
        /// Did the API ask for this pause?
        asked: bool,
        /// The coming attempt, from 2.
        attempt: u32,
        /// How many there may be.
        of: u32,
    },
    /// A request was answered, or was not: one line of a log.
    Sent {
        /// The target.
        target: String,
        /// `PATCH /connections/cn-…`, as it was sent: who shows it takes known secrets out.
        request: String,
        /// The status; `None` if no answer came.
        status: Option<u16>,
        /// From the first byte out to the last one in.
        elapsed: Duration,
        /// What the server calls it.
        id: Option<String>,
    },
    /// A change begins.
    Started {
        /// Which connection.
        address: Address,
        /// What is done to it.
        action: Action,
        /// The fields that are rotated, for a rotation.
        fields: Vec<String>,
    },
    /// A change takes long.
    Still {
        /// Which connection.
        address: Address,
        /// What is being done to it.
        action: Action,
        /// How long by now.
        elapsed: Duration,
    },
    /// A change ended.
    Ended {
        /// Which connection.
        address: Address,
        /// What was to be done to it.
        action: Action,
        /// How it ended.
        ending: Ending,
        /// How long it took.
        elapsed: Duration,
    },
    /// A signal came: nothing new is started.
    Stopping {
        /// Changes under way.
        in_flight: usize,
    },
}

/// How a change ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// As planned. Warnings tell what the API made of it.
    Done {
        /// The object's id.
        id: Option<String>,
        /// Fields that the API stored otherwise than they were sent.
        warnings: Vec<Diagnostic>,
    },
    /// Not done, and nothing was changed.
    Failed(Diagnostic),
    /// Nobody knows whether it was done.
    Unknown(Diagnostic),
    /// Not begun; the text says why.
    Skipped(String),
}

impl Ending {
    /// Was it done?
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// How an apply ended, change by change.
#[derive(Debug, Default)]
pub struct Outcome {
    /// In the order of the plan.
    pub endings: Vec<(Address, Action, Ending)>,
    /// How long each took that was begun.
    pub took: BTreeMap<Address, Duration>,
    /// May anything have been changed at an API?
    pub touched: bool,
    /// The signal that stopped it: 2 or 15.
    pub signal: Option<i32>,
    /// Trouble that belongs to no single change: the state could not be saved.
    pub diagnostics: Vec<Diagnostic>,
    /// Requests sent.
    pub requests: u64,
    /// Time from the first change to the last.
    pub elapsed: Duration,
}

/// Where events go.
pub trait Report {
    /// Takes one event. Called from the engine's only thread, in order.
    fn event(&self, event: &Event);

    /// Takes a mark of how far a change has come. Nobody is told of these; who runs changes counts by them.
    fn mark(&self, _: &Mark) {}
}

/// How far a change has come.
#[derive(Clone, Debug)]
pub enum Mark {
    /// This operation's intent is about to be recorded.
    Announcing(String),
    /// A request leaves now.
    Sending {
        /// May it change anything at the API?
        is_write: bool,
    },
    /// The write that left last had no effect.
    Refused,
}

/// Drops every event.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Report for Silent {
    fn event(&self, _: &Event) {}
}
