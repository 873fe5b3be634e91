//! The model of a platform definition: what one API offers and demands, as data.
//!
//! The types here *are* the definition language, version 1: they are read with serde, and
//! `schemas/platform.schema.json` is generated from them. Every fact about an API lives in a definition; no Rust code
//! asks which platform it works for.

mod field;
mod pattern;
mod verb;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::path::FieldPath;

pub use self::field::{Compare, Field, FieldType, KeptBy, OtherSecrets, PatchForm, ReadsAs, SecretRule};
pub use self::pattern::Pattern;
pub use self::verb::{
    Covers, Create, Delete, DeleteRequest, Dependents, Method, Nulls, Passed, PassedWord, Requires, Semantics, Test, Transition,
    Trust, Update,
};

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
    /// The header that carries the credential. Without one nothing is sent, and a target gives no `auth` for this way.
    #[serde(default)]
    pub header: String,
    /// What stands before the credential in that header, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
    /// How the credential is got, if the target does not give it itself.
    pub login: Option<Login>,
    /// HTTP basic authentication: the keys of a target's `auth` for the user and the password.
    pub basic: Option<Basic>,
    /// More headers of this scheme: each with the key of a target's `auth` that it carries, such as a workspace.
    #[serde(default)]
    pub also: IndexMap<String, String>,
}

/// The two keys of HTTP basic authentication.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The key for the user's name.
    pub user: String,
    /// The key for the password.
    pub password: String,
}

impl AuthScheme {
    /// The keys that a target's `auth` has for this scheme: those of the login, or the scheme's own name.
    #[must_use]
    pub fn keys<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let mut keys: Vec<&str> = match (&self.login, &self.basic) {
            (Some(login), _) => login.fields.keys().map(String::as_str).collect(),
            (None, Some(basic)) => vec![&basic.user, &basic.password],
            (None, None) if self.header.is_empty() => Vec::new(),
            (None, None) => vec![name],
        };
        keys.extend(self.also.values().map(String::as_str));
        keys
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

fn get() -> Method {
    Method::Get
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
    /// What two natural keys that mean one object have in common.
    #[serde(default)]
    pub natural_key_as: KeyForm,
    /// Where the API's own modification stamp stands.
    pub watermark: Option<String>,
}

/// What two natural keys that mean one object have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// Every character.
    #[default]
    Exact,
    /// The letters, be they large or small.
    IgnoreCase,
    /// The slug: letters and digits without regard to case; whatever stands between them is one `-`.
    Slug,
}

/// The list request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The method.
    #[serde(default = "get")]
    pub method: Method,
    /// The path below the base URL.
    pub path: String,
    /// The members of the body, for a list that is asked for with one.
    #[serde(default)]
    pub body: IndexMap<String, serde_json::Value>,
    /// Constant query parameters.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Where the items stand in the answer; empty for an answer that is the list.
    #[serde(default)]
    pub items: String,
    /// May an answer without `items`, or with null there, be a list of nothing?
    #[serde(default)]
    pub items_may_be_absent: bool,
    /// Where the total number stands: the certificate that a list is complete.
    pub total: Option<String>,
    /// Does an item show everything that a read of the object would show? Then nothing that is listed is read to look at it.
    #[serde(default)]
    pub items_are_whole: bool,
    /// How to get more than one page.
    #[serde(default)]
    pub paging: Paging,
}

impl Collection {
    /// Is an object that the list shows as good as read, since there is no read or since it would show nothing more?
    #[must_use]
    pub fn is_read_by_list(&self) -> bool {
        self.read.is_none() || self.list.items_are_whole
    }
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
    /// The method.
    #[serde(default = "get")]
    pub method: Method,
    /// The path, with `{id}` unless the query or the body has it.
    pub path: String,
    /// Constant query parameters; `{id}` in a value is the object's id.
    #[serde(default)]
    pub query: IndexMap<String, String>,
    /// Constant members of the body; a text that is `{id}` is the object's id.
    #[serde(default)]
    pub body: IndexMap<String, serde_json::Value>,
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
    /// Can its objects be deleted, and what becomes of those that refer to them?
    #[must_use]
    pub fn dependents(&self) -> Option<Dependents> {
        match &self.delete {
            Delete::By(request) => request.dependents,
            Delete::None => None,
        }
    }

    /// Is a field of this kind read from here, and written elsewhere?
    #[must_use]
    pub fn reads_from(&self, path: &FieldPath) -> bool {
        fn any(fields: &IndexMap<String, Field>, path: &FieldPath) -> bool {
            let is = |f: &Field| f.read.as_deref().is_some_and(|read| FieldPath::parse(read) == *path);
            fields.values().any(|f| is(f) || any(&f.fields, path))
        }
        any(&self.fields, path)
    }

    /// Does a field of this kind hold ids of objects of that one?
    #[must_use]
    pub fn refers_to(&self, other: &str) -> bool {
        fn any(fields: &IndexMap<String, Field>, other: &str) -> bool {
            let is = |f: &Field| f.references.as_deref() == Some(other);
            fields.values().any(|f| is(f) || f.values.as_deref().is_some_and(is) || any(&f.fields, other) || any(&f.item, other))
        }
        any(&self.fields, other)
    }

    /// Is any field read from elsewhere than where it is written?
    #[must_use]
    pub fn reads_elsewhere(&self) -> bool {
        fn any(fields: &IndexMap<String, Field>) -> bool {
            fields.values().any(|f| f.read.is_some() || any(&f.fields) || f.values.as_ref().is_some_and(|v| v.read.is_some()))
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
