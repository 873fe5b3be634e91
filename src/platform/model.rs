//! The model of a platform definition: what one API offers and demands, as data.
//!
//! The types here *are* the definition language, version 1: they are read with serde, and
//! `schemas/platform.schema.json` is generated from them. Every fact about an API lives in a definition; no Rust code
//! asks which platform it works for.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// A whole definition file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "patchbay platform definition")]
pub struct Definition {
    /// The name that targets use, `platform = "…"`.
    pub platform: String,
    /// The version of this definition language: 1.
    pub language: u32,
    /// What people call this API.
    pub title: String,
    /// Where the facts come from: pages, dates.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What a base URL must look like.
    #[serde(default)]
    pub base_url: BaseUrl,
    /// The ways to authenticate, by the key that a target's `auth` uses. A target gives exactly one.
    pub auth: IndexMap<String, AuthScheme>,
    /// Headers sent with every request.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// How failures look.
    #[serde(default)]
    pub errors: Errors,
    /// How hard the API may be driven unless the target says otherwise.
    #[serde(default)]
    pub limits: Limits,
    /// The lists of objects that the API keeps.
    pub collections: IndexMap<String, Collection>,
    /// The shapes of objects that can be declared.
    pub kinds: IndexMap<String, Kind>,
}

/// What a base URL must look like.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseUrl {
    /// The end of the URL's path, such as `/api/public`; only used to help when nothing answers.
    pub ends_in: Option<String>,
}

/// One way to authenticate: a header with a credential, which the target gives or a login returns.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthScheme {
    /// The header that carries the credential.
    pub header: String,
    /// What stands before the credential in that header, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
    /// How the credential is got, if the target does not give it itself.
    pub login: Option<Login>,
}

impl AuthScheme {
    /// The keys that a target's `auth` has for this scheme: those of the login, or the scheme's own name.
    #[must_use]
    pub fn keys<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match &self.login {
            Some(login) => login.fields.keys().map(String::as_str).collect(),
            None => vec![name],
        }
    }
}

/// A request that returns a credential for a while. It is sent before the credential runs out, and once more when it is
/// refused.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The method.
    #[serde(default = "post")]
    pub method: Method,
    /// The path below the base URL; a target may name another, `login_path`.
    pub path: String,
    /// The keys of a target's `auth`, and under which name each goes into the body.
    pub fields: IndexMap<String, String>,
    /// Where the answer has the credential, first match wins.
    pub token: Vec<String>,
    /// Where the answer says for how many seconds it holds, first match wins. A JSON web token says it itself.
    #[serde(default)]
    pub expires_in: Vec<String>,
}

fn post() -> Method {
    Method::Post
}

/// Defaults for driving the API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in flight.
    pub parallelism: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parallelism: 8 }
    }
}

/// How failures look.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Errors {
    /// Where the message stands in an error body, first match wins: `error.message`, `errors[0].msg`.
    pub message: Vec<String>,
    /// Where a machine-readable error code stands.
    pub code: Vec<String>,
    /// A body that is an error whatever the status says.
    pub failed_when: Option<FailedWhen>,
    /// Rules that classify an answer before the general reading of its status does.
    pub rules: Vec<ErrorRule>,
}

/// A field whose value makes an answer an error, `success: false` under 200.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedWhen {
    /// The path in the body.
    pub field: String,
    /// The value that means failure.
    pub is: serde_json::Value,
}

/// One rule: all given conditions must hold.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// The status.
    pub status: Option<u16>,
    /// A text that the message contains, case-insensitive.
    pub message_has: Option<String>,
    /// The error code.
    pub code: Option<String>,
    /// What such an answer means.
    pub class: ErrorClass,
}

/// What a failed answer means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The request is wrong; repeating it is useless.
    Invalid,
    /// The credentials are not accepted.
    Unauthorised,
    /// The credentials may not do this.
    Forbidden,
    /// No such object or address.
    NotFound,
    /// It clashes with something that exists.
    Conflict,
    /// Something else still uses the object.
    InUse,
    /// Too many requests.
    Throttled,
    /// The server failed; the same request may work later.
    Transient,
}

/// A list of objects that the API keeps.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// How all objects are listed.
    pub list: List,
    /// How one object is read in full; without it the list is all there is.
    pub read: Option<Read>,
    /// Where an object's id stands, in lists, reads and answers to a create.
    pub id: String,
    /// The fields that together tell objects apart for people, as paths in the spec.
    pub natural_key: Vec<String>,
    /// Are natural keys compared without regard to case?
    #[serde(default)]
    pub natural_key_ignores_case: bool,
    /// Where the API's own modification stamp stands.
    pub watermark: Option<String>,
}

/// The list request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The path below the base URL.
    pub path: String,
    /// Constant query parameters.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Where the items stand in the answer; empty for an answer that is the list.
    #[serde(default)]
    pub items: String,
    /// Where the total number stands: the certificate that a list is complete.
    pub total: Option<String>,
    /// How to get more than one page.
    #[serde(default)]
    pub paging: Paging,
}

/// How a list is paged. A list counts as complete only with a certificate: `total` equals what came, or the API's
/// paging said that nothing follows.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(tag = "style", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Paging {
    /// Everything comes at once.
    #[default]
    None,
    /// There is a `limit`, and no way to ask for what follows.
    LimitOnly {
        /// The parameter.
        #[serde(default = "limit")]
        limit: String,
        /// What to ask for.
        size: usize,
    },
    /// `offset` and `limit`.
    Offset {
        /// The parameter for the number of items.
        #[serde(default = "limit")]
        limit: String,
        /// The parameter for the first item's position.
        #[serde(default = "offset")]
        offset: String,
        /// Items a page; the API may give fewer.
        size: usize,
    },
    /// Numbered pages.
    Page {
        /// The parameter for the page's number.
        #[serde(default = "page")]
        page: String,
        /// The parameter for the number of items.
        #[serde(default = "limit")]
        limit: String,
        /// Items a page.
        size: usize,
        /// The number of the first page.
        #[serde(default = "one")]
        first: usize,
    },
    /// Each answer names the next page.
    Cursor {
        /// The parameter that takes the cursor.
        #[serde(default = "cursor")]
        cursor: String,
        /// Where the next cursor stands in the answer; absent or null at the end.
        next: String,
    },
}

fn limit() -> String {
    "limit".to_owned()
}

fn offset() -> String {
    "offset".to_owned()
}

fn page() -> String {
    "page".to_owned()
}

fn cursor() -> String {
    "cursor".to_owned()
}

fn one() -> usize {
    1
}

/// The request that reads one object.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The path, with `{id}`.
    pub path: String,
    /// Where the object stands in the answer; empty for an answer that is the object.
    #[serde(default)]
    pub item: String,
}

/// A shape of object that can be declared.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// What people call it.
    pub title: String,
    /// The collection it lives in.
    pub collection: String,
    /// Fields with one fixed value, sent on create. If written in a spec they must agree; if read back they must agree
    /// too, or the object is of another kind.
    #[serde(default)]
    pub constants: IndexMap<String, serde_json::Value>,
    /// How much a read gives back.
    #[serde(default)]
    pub read_back: ReadBack,
    /// The fields of a spec.
    pub fields: IndexMap<String, Field>,
    /// How an object is made.
    pub create: Create,
    /// How it is changed: the planner takes the verb that covers the change and needs the fewest secrets.
    #[serde(default)]
    pub update: Vec<Update>,
    /// How it is deleted, or `none`.
    pub delete: Delete,
    /// How the API itself tests whether an object works.
    pub test: Option<Test>,
}

impl Kind {
    /// Is any field read from elsewhere than where it is written?
    #[must_use]
    pub fn reads_elsewhere(&self) -> bool {
        fn any(fields: &IndexMap<String, Field>) -> bool {
            fields.values().any(|f| f.read.is_some() || any(&f.fields))
        }
        any(&self.fields)
    }
}

/// How much a read gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadBack {
    /// Every field that is not write-only: an absent field is an empty one.
    #[default]
    Full,
    /// Nobody knows which: the absence of a top-level field proves nothing.
    Partial,
}

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

/// The create request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// May the same request be sent twice with the effect of once?
    #[serde(default)]
    pub idempotent: bool,
    /// Where the object stands in the answer.
    #[serde(default)]
    pub item: String,
    /// Where the new id stands in that object, if elsewhere than in other answers.
    pub id: Option<String>,
}

/// A request that changes an object.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The method.
    pub method: Method,
    /// The path, with `{id}`.
    pub path: String,
    /// What the API does with fields that are not sent.
    pub semantics: Semantics,
    /// The fields it can change.
    pub covers: Covers,
    /// Changes that it cannot make all the same.
    #[serde(default)]
    pub except: Vec<Transition>,
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
    /// The path, with `{id}`.
    pub path: String,
}

/// The request that lets the API test an object.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The method.
    pub method: Method,
    /// The path, with `{id}`.
    pub path: String,
    /// Where the answer says, with `true`, that the test passed; without it every success is a pass.
    pub passed: Option<String>,
    /// Where the answer has a word for people.
    pub message: Option<String>,
    /// What a pass proves.
    pub trust: Trust,
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
