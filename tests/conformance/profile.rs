//! What the story needs to know of one kind: its declaration, and what must come of each thing that is done to it.

use std::fmt;

use patchbay::platform::fake::Fake;
use patchbay::sandbox::{Options, Platform, Shelf, Store, StoredSecret};
use serde_json::{Value, json};

use crate::common::Server;

/// A request, `METHOD path` with `{id}` for the id of the object, and its body with `(secret)` for each secret.
pub(crate) type Line = (String, Value);

/// One kind on one server.
pub(crate) struct Profile {
    /// The API.
    pub(crate) platform: &'static str,
    /// The kind.
    pub(crate) kind: &'static str,
    /// How the server behaves, as in `gateway=documented`.
    pub(crate) quirks: &'static str,
    /// The spec that is declared first, indented by six; it has every field class that the kind has.
    pub(crate) spec: &'static str,
    /// The request that creates it.
    pub(crate) create: Line,
    /// Is a create repeated when nobody knows whether it arrived?
    pub(crate) create_is_repeated: bool,
    /// Changes of the files, in the order of the story. Each updating one is the start of the next.
    pub(crate) edits: Vec<Edit>,
    /// The secrets.
    pub(crate) secrets: Vec<Rotation>,
    /// What others do.
    pub(crate) drifts: Vec<Drift>,
    /// What of the object nobody can ever verify, `path why`.
    pub(crate) doubts: &'static [&'static str],
    /// The same where nobody changed the object since it was made: some servers give it no stamp until then.
    pub(crate) doubts_when_new: &'static [&'static str],
    /// What is no secret and never shows, so that nobody can ever tell again once others were at the object.
    pub(crate) never_shown: &'static [&'static str],
    /// What makes a copy of the object another one with the same natural key: the place of the id, and an id. `None`
    /// where one name is one object.
    pub(crate) twin: Option<(&'static str, &'static str)>,
    /// The request that deletes it, if the API has one.
    pub(crate) delete: Option<Line>,
    /// Is the delete of an object that is gone a failure like any other, and not a 404?
    pub(crate) gone_is_a_failure: bool,
    /// What answers.
    pub(crate) served: Served,
    /// By what its writes are struck.
    pub(crate) strikes: Strikes,
}

/// By what the writes of a profile are struck. One profile is enough where kinds share their requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strikes {
    /// Each fault.
    All,
    /// A refusal, and the loss of an answer.
    Few,
    /// None.
    None,
}

/// What answers the requests of a profile.
pub(crate) enum Served {
    /// A handler of the sandbox's own.
    Own,
    /// An API that is made from its definition.
    Defined {
        /// The API.
        fake: Fake,
        /// The list that has the object.
        list: &'static str,
        /// What stands in the target's table for authentication, and after the table.
        settings: String,
        /// What is declared besides, and applied before the story begins.
        beside: String,
        /// A file with the definition, if it is not built in.
        definition: Option<String>,
    },
}

/// One change of the files.
pub(crate) struct Edit {
    /// What it is an example of.
    pub(crate) class: &'static str,
    /// The fields that it proves: `model`, `fields.API_KEY`, `headers.value`.
    pub(crate) fields: &'static [&'static str],
    /// A text that the file has once.
    pub(crate) from: &'static str,
    /// What stands there then.
    pub(crate) to: &'static str,
    /// What comes of it.
    pub(crate) does: Does,
    /// What the server's object has then, by JSON pointers.
    pub(crate) leaves: Vec<(String, Value)>,
}

/// What comes of an edit.
pub(crate) enum Does {
    /// Nothing: the API takes both texts for one value. The edit is taken back.
    Nothing,
    /// An update by these requests.
    Update(Vec<Line>),
    /// Nothing, because the API cannot change the first of the edit's fields. The edit is taken back.
    Blocked,
}

/// A secret from the environment.
pub(crate) struct Rotation {
    /// The field, as the definition names it.
    pub(crate) field: &'static str,
    /// The variable.
    pub(crate) variable: &'static str,
    /// Its first value.
    pub(crate) first: &'static str,
    /// Its second value.
    pub(crate) second: &'static str,
    /// What stands before the value in the field.
    pub(crate) prefix: &'static str,
    /// Where the server keeps it, as a JSON pointer.
    pub(crate) at: &'static str,
    /// The requests that carry the second value.
    pub(crate) sends: Vec<Line>,
}

/// What somebody else does to the object.
pub(crate) struct Drift {
    /// What it is an example of.
    pub(crate) class: &'static str,
    /// The place in the server's object, as a JSON pointer.
    pub(crate) at: &'static str,
    /// What is done there.
    pub(crate) theirs: Theirs,
    /// Where patchbay sees it.
    pub(crate) path: &'static str,
    /// How.
    pub(crate) shows: Shows,
}

/// What somebody else puts there.
pub(crate) enum Theirs {
    /// Another value.
    Value(Value),
    /// One more item of a list.
    Item(Value),
    /// Another secret.
    Secret(&'static str),
    /// Another secret, and what a read shows of it.
    Masked(&'static str, String),
}

/// How a change by others shows.
pub(crate) enum Shows {
    /// As drift, and an update puts it back.
    Update,
    /// As drift of a secret, and a rotation puts it back.
    Rotate,
    /// As drift that the API cannot put back.
    Blocked,
    /// Not as drift; these are the doubts, `path why`. Writing the secrets again puts it back.
    Doubt(&'static [&'static str]),
    /// Not as drift, with these doubts, `path why`; and nothing puts it back.
    Unseen(&'static [&'static str]),
}

/// A connection that nothing may happen to.
pub(crate) fn neighbour(kind: &str, spec: &str) -> String {
    format!("connections:\n  neighbour:\n    target: t\n    kind: {kind}\n    spec: {spec}\n")
}

/// A body that is not looked at: what comes of it is.
pub(crate) fn any_body() -> Value {
    json!("(any)")
}

/// A request line.
pub(crate) fn line(request: &str, body: Value) -> Line {
    (request.to_owned(), body)
}

/// An edit that updates.
pub(crate) fn update(
    class: &'static str,
    fields: &'static [&'static str],
    from: &'static str,
    to: &'static str,
    sends: Vec<Line>,
) -> Edit {
    Edit { class, fields, from, to, does: Does::Update(sends), leaves: Vec::new() }
}

/// An edit of a field that the API cannot change.
pub(crate) fn blocked(class: &'static str, fields: &'static [&'static str], from: &'static str, to: &'static str) -> Edit {
    Edit { class, fields, from, to, does: Does::Blocked, leaves: Vec::new() }
}

/// An edit that is none to the API.
pub(crate) fn nothing(class: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { class, fields: &[], from, to, does: Does::Nothing, leaves: Vec::new() }
}

/// A readable value that others change and an update puts back.
pub(crate) fn changed(class: &'static str, at: &'static str, theirs: impl Into<Value>, path: &'static str) -> Drift {
    Drift { class, at, theirs: Theirs::Value(theirs.into()), path, shows: Shows::Update }
}

/// A body with one field set.
pub(crate) fn with(mut body: Value, name: &str, value: impl Into<Value>) -> Value {
    body[name] = value.into();
    body
}

impl Profile {
    /// The server.
    pub(crate) fn serve(&self) -> Server {
        match &self.served {
            Served::Own => Server::quirky(self.quirks),
            Served::Defined { fake, .. } => Server::with(Options { defined: vec![fake.clone()], ..Options::in_memory() }),
        }
    }

    /// Is it made from a definition?
    pub(crate) fn is_made(&self) -> bool {
        matches!(self.served, Served::Defined { .. })
    }

    /// Where the server keeps its objects.
    pub(crate) fn shelf(&self, store: &mut Store) -> Shelf {
        match &self.served {
            Served::Own => Platform::named(self.platform).unwrap().into(),
            Served::Defined { list, .. } => store.shelf(&format!("{} {list}", self.platform)),
        }
    }

    /// What the target's table has, and what follows it.
    pub(crate) fn settings(&self) -> &str {
        match (&self.served, self.platform) {
            (Served::Defined { settings, .. }, _) => settings,
            (Served::Own, "koreai") => "auth = { api_key = \"${{ env.CREDENTIAL }}\" }",
            (Served::Own, _) => "auth = { token = \"${{ env.CREDENTIAL }}\" }",
        }
    }

    /// What is declared beside the connection of the story, and that nothing may happen to.
    pub(crate) fn neighbours(&self) -> String {
        let (kind, spec) = match (&self.served, self.platform) {
            (Served::Defined { beside, .. }, _) => return beside.clone(),
            (Served::Own, "koreai") => {
                ("openai", "{ connectionName: Neighbour, model: m, fields: { API_KEY: \"${{ env.NEIGHBOUR }}\" } }")
            }
            (Served::Own, "gateway") => ("provider", "{ name: neighbour, apiKey: \"${{ env.NEIGHBOUR }}\" }"),
            (Served::Own, _) => (
                "llm",
                "{ name: neighbour, aiType: OTHER, endpoint: https://neighbour.example, apiKeyUuid: uuid-9, workspaceId: ws-1 }",
            ),
        };
        neighbour(kind, spec)
    }

    /// The connection of the story.
    pub(crate) fn connection(&self) -> String {
        format!("connections:\n  subject:\n    target: t\n    kind: {}\n    spec:\n{}", self.kind, self.spec)
    }

    /// Everything that must never be printed.
    pub(crate) fn canaries(&self) -> Vec<String> {
        let ours = self.secrets.iter().flat_map(|secret| [secret.first, secret.second]);
        let theirs = self.drifts.iter().filter_map(|drift| match &drift.theirs {
            Theirs::Secret(secret) | Theirs::Masked(secret, _) => Some(*secret),
            Theirs::Value(_) | Theirs::Item(_) => None,
        });
        ours.chain(theirs).map(ToOwned::to_owned).collect()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.platform, self.kind)?;
        if self.quirks.is_empty() { Ok(()) } else { write!(f, " ({})", self.quirks) }
    }
}

impl Theirs {
    /// Does it to an object of the sandbox.
    pub(crate) fn put(&self, object: &mut Value, at: &str) {
        let slot = object.pointer_mut(at).unwrap_or_else(|| panic!("the object has nothing at {at}"));
        match self {
            Self::Value(value) => *slot = value.clone(),
            Self::Item(item) => slot.as_array_mut().unwrap().push(item.clone()),
            Self::Secret(secret) => *slot = StoredSecret::of(secret).to_value(),
            Self::Masked(secret, mask) => *slot = StoredSecret::shown_as(secret, mask).to_value(),
        }
    }
}

/// What the log of the sandbox shows in place of a secret, without its digest.
pub(crate) fn hidden(body: &Value) -> Value {
    match body {
        Value::String(text) if text.starts_with("(secret b3:") => json!("(secret)"),
        Value::Array(items) => items.iter().map(hidden).collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(name, value)| (name.clone(), hidden(value))).collect()),
        other => other.clone(),
    }
}
