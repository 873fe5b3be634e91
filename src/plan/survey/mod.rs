//! A survey: what an API does with one disposable object, against what its definition says. What is asked and what the
//! answers mean is decided here; `engine::survey` sends the requests. No network, no clock, no chance.
//!
//! | file | what it has |
//! |---|---|
//! | `disposable` | the object that is made for it: a declared connection under another name, with secrets that open nothing |
//! | `trial` | the requests that change it, each to answer one question |
//! | `verbs` | what became of those, as findings |
//! | `secret` | what is shown of secrets |
//! | `object` | findings about everything else: create, list, read, stamps, delete |

mod disposable;
mod object;
mod secret;
mod trial;
mod verbs;

pub use self::disposable::{Disposable, throwaway};
pub use self::object::small_pages;
pub use self::secret::{Form, form};
pub use self::trial::{Trial, Way, create, restore, trials};

use crate::platform::exchange::{ApiError, Failure};
use crate::platform::model::{Collection, ErrorClass, Kind};
use crate::platform::object::{Completeness, Object};

/// What a survey is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The kind's name.
    pub name: &'s str,
    /// Its rules.
    pub kind: &'s Kind,
    /// The rules of its collection.
    pub collection: &'s Collection,
    /// What is made.
    pub disposable: &'s Disposable,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It was done.
    Done,
    /// It was refused.
    Refused(ApiError),
}

impl Reply {
    /// Was it done?
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// One trial with the object before and after it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What was tried.
    pub trial: Trial,
    /// The object before.
    pub before: Object,
    /// What the API said.
    pub reply: Reply,
    /// The object after; none if nothing answers under its id any more.
    pub after: Option<Object>,
    /// Was so much time between this change and the one before it that every stamp must differ?
    pub is_rested: bool,
}

impl Seen {
    /// Does this deployment lack the request? The object is there, so what was not found is the request; or what a value
    /// that is tried refers to.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let is_new = matches!(self.trial.way, Way::Change(_) | Way::Force(_));
        let refused = match &self.reply {
            Reply::Refused(error) => error.status == 405 || (error.class == Failure::Api(ErrorClass::NotFound) && !is_new),
            Reply::Done => false,
        };
        refused && self.after.is_some()
    }
}

/// A list that was read after the object was made.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The object in it.
    pub item: Option<Object>,
    /// How many objects it has.
    pub count: usize,
    /// Does it certify that nothing is missing?
    pub complete: Completeness,
}

/// Two requests for pages of one object each, sent while there were at least two objects.
#[derive(Clone, Debug)]
pub struct Pages {
    /// How many came on the first.
    pub came: usize,
    /// Did the second one begin with another object?
    pub goes_on: bool,
}

/// What was done about the delete.
#[derive(Clone, Debug)]
pub struct Gone {
    /// The delete.
    pub delete: Reply,
    /// A read after it; none where the API has no read.
    pub read: Option<Reply>,
    /// Is the object still in the list?
    pub is_listed: bool,
    /// The same delete again.
    pub again: Reply,
}

/// Everything that was seen. What could not be looked at is not there, and nothing is found about it.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Was it made?
    pub is_made: bool,
    /// The object in the answer to the create; none if no id was where the definition says.
    pub answer: Option<Object>,
    /// The object read twice, with nothing in between.
    pub reads: Vec<Object>,
    /// The list.
    pub list: Option<Listed>,
    /// Small pages.
    pub pages: Option<Pages>,
    /// The same create again, and how many objects there are of the name then.
    pub again: Option<(Reply, usize)>,
    /// Changes.
    pub seen: Vec<Seen>,
    /// Did the API's own test pass? Or why it could not be made.
    pub test: Option<Result<bool, ApiError>>,
    /// The delete.
    pub gone: Option<Gone>,
}

/// What the answer means for the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The definition says so.
    Agrees,
    /// The definition says otherwise.
    Contradicts,
    /// The answer does not tell.
    CannotTell,
    /// The definition has no word for it, and somebody may want to know.
    Noted,
}

impl Verdict {
    /// Its stable spelling.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Contradicts => "contradicts",
            Self::CannotTell => "cannot-tell",
            Self::Noted => "noted",
        }
    }
}

/// One question with its answer. Neither holds a value of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, for programs: `unsent`, `secret`, `list`.
    pub topic: &'static str,
    /// What was asked, to go before a colon.
    pub question: String,
    /// What the API does.
    pub answer: String,
    /// What that means.
    pub verdict: Verdict,
    /// The place in the definition: `kinds.thing.update[0].semantics`.
    pub at: String,
    /// What to write there instead.
    pub help: Option<String>,
}

impl Finding {
    fn new(topic: &'static str, question: impl Into<String>, at: String) -> Self {
        Self { topic, question: question.into(), answer: String::new(), verdict: Verdict::CannotTell, at, help: None }
    }

    fn is(self, verdict: Verdict, answer: impl Into<String>) -> Self {
        Self { verdict, answer: answer.into(), ..self }
    }

    fn agrees(self, answer: impl Into<String>) -> Self {
        self.is(Verdict::Agrees, answer)
    }

    fn contradicts(self, answer: impl Into<String>, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self.is(Verdict::Contradicts, answer) }
    }

    fn cannot_tell(self, answer: impl Into<String>) -> Self {
        self.is(Verdict::CannotTell, answer)
    }

    fn noted(self, answer: impl Into<String>) -> Self {
        self.is(Verdict::Noted, answer)
    }
}

/// What the evidence says about the definition, in the order of an object's life.
#[must_use]
pub fn findings(subject: &Subject<'_>, evidence: &Evidence) -> Vec<Finding> {
    let mut all = object::born(subject, evidence);
    all.extend(verbs::findings(subject, &evidence.seen));
    all.extend(object::stamps(subject, evidence));
    all.extend(object::ended(subject, evidence));
    all
}

/// A refusal in words: the status and what the API said.
fn refusal(error: &ApiError) -> String {
    match &error.message {
        Some(message) => format!("{} ({message:?})", error.status),
        None => error.status.to_string(),
    }
}

fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
