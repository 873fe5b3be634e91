//! What the protocols ask of a store on the network, and what its answers prove.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::state::StateError;

/// An answer that is on its way.
pub(super) type Pending<'a, T> = BoxFuture<'a, Result<T, Trouble>>;

/// Which content an object has, as its store tells it: by a tag, by a number, or by both. Handed back as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The `ETag`, as it stands in the answer.
    pub(super) etag: Option<String>,
    /// The number that the store gives to contents, where it has one.
    pub(super) number: Option<String>,
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) bytes: Vec<u8>,
    pub(super) version: Version,
}

/// When a write may happen. There is no write without a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// If nothing has the name.
    Absent,
    /// If the object has still this content.
    Is(Version),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It happened. The version of the new content, if the answer says it.
    Done(Option<Version>),
    /// The condition did not hold. This proves nothing about earlier attempts at the same write: the library may have
    /// repeated a request whose first answer got lost, and was then refused because of itself.
    Refused,
}

/// Why there is no answer that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A write may have happened, may happen later, or never. A read may succeed the next time.
    Unclear(String),
    /// Nothing happened, and trying again changes nothing.
    Final { cause: String, help: Option<String> },
    /// It was read, and cannot be used.
    Content(StateError),
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::Content(error)
    }
}

impl Trouble {
    /// The error for people, once nothing is tried any more.
    pub(super) fn into_error(self, verb: &'static str, place: &str) -> StateError {
        match self {
            Self::Unclear(cause) => StateError::Remote { verb, place: place.to_owned(), cause, help: None },
            Self::Final { cause, help } => StateError::Remote { verb, place: place.to_owned(), cause, help },
            Self::Content(error) => error,
        }
    }
}

/// A place on the network that keeps objects under names.
pub(super) trait Bucket: Send + Sync + fmt::Debug {
    /// The address, for messages and as the place of the state. No credentials are in it.
    fn label(&self) -> &str;

    /// Which server keeps it: the self-test is about a server, not about what was copied to it.
    fn server(&self) -> String;

    /// The object of this name; `None` if there is none.
    fn get<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Object>>;

    /// The version of this object, without its content; `None` if there is none.
    fn version<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Version>>;

    /// Writes the object whole, if the condition holds.
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>, condition: Condition) -> Pending<'a, Put>;

    /// Removes the object. One that is not there is removed already.
    fn remove<'a>(&'a self, name: &'a str) -> Pending<'a, ()>;

    /// The names of all objects; `None` where the place has no list.
    fn names(&self) -> Pending<'_, Option<Vec<String>>>;
}
