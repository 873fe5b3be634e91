//! The requests of a kind: create, update, delete, test.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// The create request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// Constant query parameters.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Constant members of the body, besides the fields and what the kind implies; none of them is a field.
    #[serde(default)]
    pub body: IndexMap<String, serde_json::Value>,
    /// May the same request be sent twice with the effect of once?
    #[serde(default)]
    pub idempotent: bool,
    /// Where the object stands in the answer.
    #[serde(default)]
    pub item: String,
    /// Where the new id stands in that object, if elsewhere than in other answers.
    pub id: Option<String>,
    /// Is the id the last step of the answer's `Location`?
    #[serde(default)]
    pub id_in_location: bool,
}

/// A request that changes an object.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The method.
    pub method: Method,
    /// The path, with `{id}` unless the query or the body has it.
    pub path: String,
    /// Constant query parameters; `{id}` in a value is the object's id.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Constant members of the body; a text that is `{id}` is the object's id.
    #[serde(default)]
    pub body: IndexMap<String, serde_json::Value>,
    /// What the API does with fields that are not sent.
    pub semantics: Semantics,
    /// The fields it can change.
    pub covers: Covers,
    /// Changes that it cannot make all the same.
    #[serde(default)]
    pub except: Vec<Transition>,
    /// What it does with a field that is null.
    #[serde(default)]
    pub nulls: Nulls,
    /// Fields that it takes under another path than a create does.
    #[serde(default)]
    pub writes_as: IndexMap<String, String>,
    /// Is it missing on some deployments? Then the next verb that covers the change is tried where it is not found.
    #[serde(default)]
    pub may_be_missing: bool,
    /// The fields it must be given.
    #[serde(default)]
    pub requires: Requires,
    /// Where the object stands in the answer.
    #[serde(default)]
    pub item: String,
}

/// What an update does with a field that is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nulls {
    /// It empties the field.
    #[default]
    Clear,
    /// It takes no notice: a field without `emptied_by` cannot be emptied.
    Ignored,
}

/// What the API does with fields that are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Semantics {
    /// It keeps them.
    Merge,
    /// It loses them.
    Replace,
    /// It loses them, and it is the same request that creates the object; its path needs no id.
    Upsert,
}

/// The fields that a verb can change: `"*"` or a list of paths.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Covers {
    /// Every field.
    #[schemars(with = "AllWord")]
    All,
    /// These, and what lies below them.
    Fields(Vec<String>),
}

/// One change of one field.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The field.
    pub field: String,
    /// The value before; any if absent.
    pub from: Option<String>,
    /// The value after; any if absent.
    pub to: Option<String>,
}

/// The fields that a verb must be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Requires {
    /// None but those that change.
    #[default]
    Nothing,
    /// Every required field of the kind.
    All,
}

/// HTTP methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As it stands on the request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How an object is deleted.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Delete {
    /// The API cannot.
    #[schemars(with = "NoneWord")]
    None,
    /// By this request.
    By(DeleteRequest),
}

/// The delete request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// The method.
    pub method: Method,
    /// The path, with `{id}` unless the query or the body has it.
    pub path: String,
    /// Constant query parameters; `{id}` in a value is the object's id.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Constant members of the body; a text that is `{id}` is the object's id.
    #[serde(default)]
    pub body: IndexMap<String, serde_json::Value>,
    /// What becomes of the objects that refer to the deleted one, by a field with `references`.
    pub dependents: Option<Dependents>,
}

/// What becomes of the objects that refer to a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dependents {
    /// They are deleted, too.
    Cascade,
    /// While there are any, nothing is deleted.
    Refuse,
    /// They stay, and refer to nothing.
    Orphan,
}

/// The request that lets the API test an object.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The method.
    pub method: Method,
    /// The path, with `{id}` unless the query or the body has it.
    pub path: String,
    /// Constant query parameters; `{id}` in a value is the object's id.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Constant members of the body; a text that is `{id}` is the object's id.
    #[serde(default)]
    pub body: IndexMap<String, serde_json::Value>,
    /// Where the answer says that the test passed: with `true`, or with a word; without it every success is a pass.
    pub passed: Option<Passed>,
    /// Where the answer has a word for people.
    pub message: Option<String>,
    /// What a pass proves.
    pub trust: Trust,
    /// Does the test write its result to the object, so that the object's `watermark` moves? Then the stamp that it leaves
    /// is recorded, and no change by others is read out of it.
    #[serde(default)]
    pub moves_watermark: bool,
}

/// Where an answer says whether a test passed: a path of `true` or `false`, or `{ field, is, is_not }`.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Passed {
    /// The path of `true` or `false`.
    At(String),
    /// A field with words.
    Word(PassedWord),
}

/// The words of a test.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PassedWord {
    /// The path of the word.
    pub field: String,
    /// The words of a pass; every word that `is_not` lacks, if it is left out.
    #[serde(default)]
    pub is: Vec<String>,
    /// The words of a failure; every word that `is` lacks, if it is left out.
    #[serde(default)]
    pub is_not: Vec<String>,
}

impl Passed {
    /// The path of what says it.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::At(path) => path,
            Self::Word(word) => &word.field,
        }
    }

    /// A value that says yes.
    #[must_use]
    pub fn good(&self) -> serde_json::Value {
        match self {
            Self::At(_) => true.into(),
            Self::Word(word) => word.is.first().map_or("passed", String::as_str).into(),
        }
    }

    /// What a value says; `None` if it says neither.
    #[must_use]
    pub fn reads(&self, value: &serde_json::Value) -> Option<bool> {
        let Self::Word(PassedWord { is, is_not, .. }) = self else { return value.as_bool() };
        let word = value.as_str()?;
        let among = |words: &[String]| words.iter().any(|w| w == word);
        match (among(is), among(is_not)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ if is.is_empty() => Some(true),
            _ if is_not.is_empty() => Some(false),
            _ => None,
        }
    }
}

/// What a passed test proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The API made a call with the stored credentials.
    Call,
    /// It makes such a call for some objects, and calls all others a success.
    SometimesCall,
    /// It looks at what is stored and calls nobody.
    Stored,
}

/// The one accepted word for "every field".
#[derive(JsonSchema, Deserialize)]
enum AllWord {
    #[serde(rename = "*")]
    All,
}

/// The one accepted word for "no such request".
#[derive(JsonSchema, Deserialize)]
enum NoneWord {
    #[serde(rename = "none")]
    None,
}

// `untagged` would lose the reason of an error, so the two words are told apart by hand.

impl<'de> Deserialize<'de> for Covers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(word) if word == "*" => Ok(Self::All),
            serde_json::Value::Array(list) => list
                .into_iter()
                .map(|item| match item {
                    serde_json::Value::String(path) => Ok(path),
                    _ => Err(serde::de::Error::custom("expected a list of field paths")),
                })
                .collect::<Result<_, _>>()
                .map(Self::Fields),
            _ => Err(serde::de::Error::custom("expected \"*\" or a list of field paths")),
        }
    }
}

impl<'de> Deserialize<'de> for Delete {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(word) if word == "none" => Ok(Self::None),
            other @ serde_json::Value::Object(_) => {
                DeleteRequest::deserialize(other).map(Self::By).map_err(serde::de::Error::custom)
            }
            _ => Err(serde::de::Error::custom("expected `none` or { method, path }")),
        }
    }
}

impl<'de> Deserialize<'de> for Passed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(path) => Ok(Self::At(path)),
            other @ serde_json::Value::Object(_) => {
                PassedWord::deserialize(other).map(Self::Word).map_err(serde::de::Error::custom)
            }
            _ => Err(serde::de::Error::custom("expected a path or { field, is, is_not }")),
        }
    }
}
