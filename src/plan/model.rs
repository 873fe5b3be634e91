//! A plan as a value: what would be done to every connection, and why. Views draw it, the applier runs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::address::Address;
use crate::config::desired::Connection;
use crate::path::FieldPath;
use crate::platform::model::Method;
use crate::source::Span;
use crate::state::Fingerprint;
use crate::value::Value;

/// A whole plan.
#[derive(Debug, Default)]
pub struct Plan {
    /// The targets that were looked at.
    pub targets: Vec<PlanTarget>,
    /// One change per connection, declared or recorded, in the order in which they would run.
    pub changes: Vec<Change>,
    /// How much of the live state was read.
    pub refresh: Refresh,
    /// Was the plan narrowed with `--only` or `--exclude`?
    pub partial: bool,
}

/// A target, for headings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanTarget {
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Its base URL.
    pub base_url: String,
}

/// How much of the live state a plan reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// Every object in detail.
    Full,
    /// One list; details only where something may have moved.
    #[default]
    Auto,
    /// The list alone; records are trusted.
    None,
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A new object is made.
    Create,
    /// Fields are changed.
    Update,
    /// Only secrets are changed.
    Rotate,
    /// The object is deleted and made anew.
    Replace,
    /// The object is deleted.
    Delete,
    /// A live object with our name is taken into the state; nothing is written to the API.
    Adopt,
    /// The record gets a new address; nothing is written to the API.
    Move,
    /// The API cannot make this change.
    Blocked,
    /// It left the files and stays where it is.
    Orphan,
    /// The record is dropped: the object is gone, and nothing declares it.
    Forget,
    /// Nothing to do.
    Unchanged,
}

impl Action {
    /// Its stable spelling.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Rotate => "rotate",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
            Self::Move => "move",
            Self::Blocked => "blocked",
            Self::Orphan => "orphan",
            Self::Forget => "forget",
            Self::Unchanged => "unchanged",
        }
    }

    /// Does it change something at the API?
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Rotate | Self::Replace | Self::Delete)
    }

    /// Does `apply` have anything to do for it, at the API or in the state?
    #[must_use]
    pub fn is_change(self) -> bool {
        self.writes() || matches!(self, Self::Adopt | Self::Move | Self::Forget)
    }
}

/// One planned step.
#[derive(Debug)]
pub struct Change {
    /// Which connection.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// Its name at the API.
    pub name: String,
    /// The live object's id.
    pub id: Option<String>,
    /// The id of the object that the state has for it and that somebody deleted, where it is made anew.
    pub gone: Option<String>,
    /// What is done.
    pub action: Action,
    /// Is a live object taken over along the way?
    pub adopts: bool,
    /// The record's former address, if it moves.
    pub moved_from: Option<Address>,
    /// The fields worth showing: those that change and those that nobody can vouch for.
    pub fields: Vec<FieldChange>,
    /// How many declared fields are as they should be.
    pub unchanged_fields: usize,
    /// The request that would carry the change.
    pub request: Option<Outline>,
    /// Why nothing can be done, for blocked and orphaned connections.
    pub reason: Option<Reason>,
    /// What must come first.
    pub depends_on: Vec<Address>,
    /// Where it is declared.
    pub source: Option<Span>,
    /// What the plan rests on; re-checked before the write.
    pub basis: Basis,
    /// The live fields that are declared, secrets as words. `None` if there is no live object or it was not read.
    pub before: Option<Value>,
    /// The fields after the change, constants included, secrets as words.
    pub after: Option<Value>,
    /// The paths in `before` and `after` that stand for secrets.
    pub sensitive: Vec<FieldPath>,
    /// The declaration.
    pub connection: Option<Arc<Connection>>,
}

impl Change {
    /// Did others change its object, or delete it?
    #[must_use]
    pub fn has_drifted(&self) -> bool {
        self.gone.is_some() || self.fields.iter().any(|f| matches!(f.cause, Cause::Drift | Cause::Both))
    }

    /// Fields about which nothing can be proved.
    pub fn unverifiable(&self) -> impl Iterator<Item = &FieldChange> {
        self.fields.iter().filter(|f| matches!(f.verdict, Verdict::CannotVerify(_)))
    }

    /// Fields that would be written.
    pub fn written(&self) -> impl Iterator<Item = &FieldChange> {
        self.fields.iter().filter(|f| f.verdict.is_write())
    }
}

/// What a planned write rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The live object's modification stamp.
    pub watermark: Option<String>,
    /// A digest of the live object as it was read, for APIs without a stamp.
    pub digest: Option<String>,
}

/// The request in outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// Does it carry everything, or only what changes?
    pub full: bool,
    /// Secrets that it carries although they do not change.
    pub resends: Vec<FieldPath>,
    /// Fields that it may lose: nobody declared them, and the API does not show whether they are set.
    pub may_lose: Vec<FieldPath>,
}

impl Outline {
    /// A request that neither carries a secret again nor loses anything.
    #[must_use]
    pub fn new(method: Method, path: String, full: bool) -> Self {
        Self { method, path, full, resends: Vec::new(), may_lose: Vec::new() }
    }
}

/// Why nothing can be done, and what the user can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The API's rule.
    pub text: String,
    /// The ways out.
    pub help: String,
}

/// One side of a field's change.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// Not there.
    Absent,
    /// A value that may be shown.
    Value(Value),
    /// A secret, by its fingerprint where there is one.
    Secret(Option<Fingerprint>),
    /// Known after apply; the text says what of.
    Pending(String),
    /// Not read, or never returned by the API.
    Unread,
    /// Read, and not shown: it holds secrets, and nobody knows where all of them stand.
    Hidden,
}

/// One field of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// Which field.
    pub path: FieldPath,
    /// Live.
    pub before: Side,
    /// Wanted.
    pub after: Side,
    /// What is concluded.
    pub verdict: Verdict,
    /// Why it differs.
    pub cause: Cause,
    /// Where the wanted value comes from, `env.NAME`.
    pub origin: Option<String>,
    /// Where it is written.
    pub span: Option<Span>,
}

/// What is concluded about a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The object is new, and so is the field.
    New,
    /// The live value is not the wanted one.
    Changed,
    /// The wanted secret is not the one that was last written.
    ChangedHere,
    /// The live secret is not the one that was last written.
    ChangedOutside(Outside),
    /// Nothing proves or disproves that it is as it should be.
    CannotVerify(Unproved),
    /// It is as it should be, and something proves it.
    Unchanged,
}

impl Verdict {
    /// Is the field to be written?
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::New | Self::Changed | Self::ChangedHere | Self::ChangedOutside(_))
    }

    /// Its stable spelling.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::ChangedHere => "changed-here",
            Self::ChangedOutside(_) => "changed-outside",
            Self::CannotVerify(_) => "cannot-verify",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What shows that a secret was changed outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outside {
    /// The live mask cannot have been made from the wanted value.
    MaskContradicts,
    /// The live mask is not the one that was seen after our write.
    MaskDiffers,
    /// The API returned another value.
    ValueDiffers,
}

/// Why nothing is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// Never written by patchbay: recorded now for the first time.
    FirstTime,
    /// Recorded when the object was taken over, and not written by patchbay since; or others touched the object before a
    /// write of ours that did not carry it.
    NeverWritten,
    /// Fingerprinted with another key.
    OtherKey,
    /// The object was modified after our write, at this stamp, and the API does not show the value.
    ModifiedOutside(String),
    /// The API neither shows the value nor stamps modifications.
    NoEvidence,
}

/// Why a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The files want something else than before.
    Config,
    /// The API has something else than before.
    Drift,
    /// Both.
    Both,
    /// Nobody knows.
    Unknown,
}

impl Cause {
    /// Its stable spelling.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Drift => "drift",
            Self::Both => "both",
            Self::Unknown => "unknown",
        }
    }
}

/// How many connections each action has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the actions'")]
pub struct Summary {
    pub create: usize,
    pub update: usize,
    pub rotate: usize,
    pub replace: usize,
    pub delete: usize,
    pub adopt: usize,
    pub moved: usize,
    pub forget: usize,
    pub orphan: usize,
    pub blocked: usize,
    pub unverifiable: usize,
    pub unchanged: usize,
}

impl Plan {
    /// Counts. `unverifiable` counts connections that are left alone and hold a field that nobody can vouch for; they
    /// count as `unchanged`, too.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for change in &self.changes {
            *match change.action {
                Action::Create => &mut summary.create,
                Action::Update => &mut summary.update,
                Action::Rotate => &mut summary.rotate,
                Action::Replace => &mut summary.replace,
                Action::Delete => &mut summary.delete,
                Action::Adopt => &mut summary.adopt,
                Action::Move => &mut summary.moved,
                Action::Blocked => &mut summary.blocked,
                Action::Orphan => &mut summary.orphan,
                Action::Forget => &mut summary.forget,
                Action::Unchanged => &mut summary.unchanged,
            } += 1;
            if change.action == Action::Unchanged && change.unverifiable().next().is_some() {
                summary.unverifiable += 1;
            }
        }
        summary
    }

    /// Is there nothing to apply?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.changes.iter().any(|c| c.action.is_change())
    }

    /// Every change by its address: for who looks up many.
    #[must_use]
    pub fn by_address(&self) -> BTreeMap<&Address, &Change> {
        self.changes.iter().map(|change| (&change.address, change)).collect()
    }

    /// The change of an address.
    #[must_use]
    pub fn change(&self, address: &Address) -> Option<&Change> {
        self.changes.iter().find(|c| c.address == *address)
    }
}
