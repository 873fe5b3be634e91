//! The fields of a kind: their types, what a read gives back of them, how they are compared.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pattern::Pattern;

/// One field of a spec.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// One line for editors and error messages.
    pub description: Option<String>,
    /// Must a spec have it?
    pub required: bool,
    /// Is its value a secret?
    pub secret: SecretRule,
    /// The kind of the object whose id this is.
    pub references: Option<String>,
    /// Where a read has it, from the top of the object, if elsewhere than where it is written; for `values` with `{key}`
    /// as its last step.
    pub read: Option<String>,
    /// What a read gives back for it.
    pub reads_as: ReadsAs,
    /// The accepted values.
    #[serde(rename = "enum")]
    pub accepted: Vec<String>,
    /// The least number that is accepted.
    pub min: Option<serde_json::Number>,
    /// The greatest number that is accepted.
    pub max: Option<serde_json::Number>,
    /// The number of characters that a text has at most.
    pub max_length: Option<usize>,
    /// A regular expression that a whole text must match.
    #[schemars(with = "Option<String>")]
    pub pattern: Option<Pattern>,
    /// Texts that are accepted, where none can be guessed from the rules above: for rehearsals and for people.
    pub examples: Vec<String>,
    /// Other words under which the API reads a written value back: `{ FINALIZED: [ACTIVE] }`.
    pub equals: IndexMap<String, Vec<String>>,
    /// How two values are compared.
    pub compare: Compare,
    /// What empties it, sent in place of null and as good as null in a read: `""`. For updates that ignore null.
    pub emptied_by: Option<String>,
    /// Is an object compared and managed key by key, so that keys that nobody declared are left alone?
    pub merge: bool,
    /// How such an object goes into a partial update.
    pub patch: PatchForm,
    /// What becomes of the secrets in it that nobody declared and nobody can read, when it is sent whole.
    pub other_secrets: OtherSecrets,
    /// The keys of an object. Without them and without `values`, any content is allowed.
    pub fields: IndexMap<String, Self>,
    /// The rules of all keys of an object that `fields` does not name; any key is then allowed.
    pub values: Option<Box<Self>>,
    /// The key that tells a list's items apart.
    pub keyed_by: Option<String>,
    /// Are those keys compared without regard to case, as the names of HTTP headers are?
    pub keyed_ignores_case: bool,
    /// The fields of a keyed list's items.
    pub item: IndexMap<String, Self>,
}

impl Field {
    /// The rules of a key of this object. `None` where the definition knows nothing of it.
    #[must_use]
    pub fn rules(&self, key: &str) -> Option<&Self> {
        self.fields.get(key).or(self.values.as_deref())
    }

    /// Is any content allowed, if it is an object?
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.fields.is_empty() && self.values.is_none()
    }
}

/// The types of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FieldType {
    /// Text.
    #[default]
    String,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// A map.
    Object,
    /// A list; the order counts.
    List,
    /// A list whose order does not count.
    Set,
    /// Anything.
    Any,
}

impl FieldType {
    /// With its article, for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Object => "an object",
            Self::List | Self::Set => "a list",
            Self::Any => "anything",
        }
    }
}

/// Is a field's value a secret?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretRule {
    /// Not unless it comes from the environment or a file.
    #[default]
    Never,
    /// Always.
    Always,
    /// If its key, in a keyed list the item's, looks like a credential's: `Authorization`, `x-api-key`, `…token…`.
    WhenKeyMatchesAuth,
}

/// What a read gives back for a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadsAs {
    /// The value.
    #[default]
    Value,
    /// Some mask of it, of any shape.
    Mask,
    /// Nothing, ever.
    Nothing,
    /// Whether there is one: `true`, or another value that says so; `false`, null or nothing if there is none.
    Presence,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compare {
    /// As JSON: keys in any order, `1` equals `1.0`, null equals absent.
    #[default]
    Json,
    /// Texts without regard to case.
    IgnoreCase,
    /// URLs: scheme and host without regard to case, with or without a slash at the end.
    Url,
}

/// How an object that is managed key by key goes into a partial update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PatchForm {
    /// With every key that is declared or can be read: right whether the API merges or replaces it.
    #[default]
    Whole,
    /// With the changed keys alone.
    Parts,
}

/// What becomes of the secrets in an object that nobody declared, when the object is sent whole: `lost`, `kept`, or
/// `{ kept_by: "*****" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum OtherSecrets {
    /// What is not sent is lost, and a mask that is sent becomes the secret.
    #[default]
    #[schemars(with = "LostWord")]
    Lost,
    /// What is not sent is kept.
    #[schemars(with = "KeptWord")]
    Kept,
    /// This text, sent in place of a secret, keeps what is stored.
    By(KeptBy),
}

/// The text that stands for a stored secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptBy {
    /// The text, which is also what a read shows.
    pub kept_by: String,
}

/// The word for what is lost.
#[derive(JsonSchema, Deserialize)]
enum LostWord {
    #[serde(rename = "lost")]
    Lost,
}

/// The word for what is kept.
#[derive(JsonSchema, Deserialize)]
enum KeptWord {
    #[serde(rename = "kept")]
    Kept,
}

// `untagged` would lose the reason of an error.
impl<'de> Deserialize<'de> for OtherSecrets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(word) if word == "lost" => Ok(Self::Lost),
            serde_json::Value::String(word) if word == "kept" => Ok(Self::Kept),
            other @ serde_json::Value::Object(_) => KeptBy::deserialize(other).map(Self::By).map_err(serde::de::Error::custom),
            _ => Err(serde::de::Error::custom("expected `lost`, `kept` or { kept_by }")),
        }
    }
}
