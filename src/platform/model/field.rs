//! The fields of a kind: their types, what a read gives back of them, how they are compared.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

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
    /// Where a read has it, from the top of the object, if elsewhere than where it is written.
    pub read: Option<String>,
    /// What a read gives back for it.
    pub reads_as: ReadsAs,
    /// The accepted values.
    #[serde(rename = "enum")]
    pub accepted: Vec<String>,
    /// Other words under which the API reads a written value back: `{ FINALIZED: [ACTIVE] }`.
    pub equals: IndexMap<String, Vec<String>>,
    /// How two values are compared.
    pub compare: Compare,
    /// Is an object compared and managed key by key, so that keys that nobody declared are left alone?
    pub merge: bool,
    /// How such an object goes into a partial update.
    pub patch: PatchForm,
    /// The keys of an object. Without them, any content is allowed.
    pub fields: IndexMap<String, Self>,
    /// The key that tells a list's items apart.
    pub keyed_by: Option<String>,
    /// Are those keys compared without regard to case, as the names of HTTP headers are?
    pub keyed_ignores_case: bool,
    /// The fields of a keyed list's items.
    pub item: IndexMap<String, Self>,
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
    /// In a keyed list, if the item's key looks like a credential's: `Authorization`, `x-api-key`, `…token…`.
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
