//! Changes as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::path::{FieldPath, Step};
use crate::plan::model::{Action, Basis, Cause, Change, FieldChange, Outline, Outside, Reason, Side, Unproved, Verdict};
use crate::value::Value;
use crate::view::pages::Pages;
use crate::view::text::{SECRET, shown};

/// One change, in the shape of Terraform's `resource_changes`.
#[derive(Serialize)]
pub(super) struct ResourceChange<'c> {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_address: Option<String>,
    mode: &'static str,
    #[serde(rename = "type")]
    kind: String,
    name: &'c str,
    target: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_reason: Option<&'static str>,
    change: Sides,
    patchbay: Own<'c>,
}

#[derive(Serialize)]
struct Sides {
    actions: &'static [&'static str],
    before: Json,
    after: Json,
    after_unknown: Json,
    before_sensitive: Json,
    after_sensitive: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    importing: Option<Importing>,
}

#[derive(Serialize)]
struct Importing {
    id: String,
}

/// What Terraform has no place for.
#[derive(Serialize)]
struct Own<'c> {
    action: &'static str,
    adopts: bool,
    id: Option<&'c str>,
    causes: Vec<Because>,
    verdicts: Vec<Doubt>,
    requests: Vec<Request<'c>>,
    reason: Option<Why<'c>>,
    basis: RestsOn<'c>,
    depends_on: Vec<String>,
    fingerprints: BTreeMap<String, &'c str>,
    source: Option<Source>,
}

#[derive(Serialize)]
struct Because {
    path: String,
    cause: &'static str,
}

/// What is concluded about a field; `why` and `at` for those that nobody can vouch for or that others changed.
#[derive(Serialize)]
pub(super) struct Doubt {
    path: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

#[derive(Serialize)]
struct Request<'c> {
    method: &'static str,
    path: &'c str,
    full: bool,
    resends: Vec<String>,
    may_lose: Vec<String>,
}

#[derive(Serialize)]
struct Why<'c> {
    text: &'c str,
    help: &'c str,
}

#[derive(Serialize)]
struct RestsOn<'c> {
    watermark: Option<&'c str>,
    digest: Option<&'c str>,
}

#[derive(Serialize)]
struct Source {
    file: String,
    line: usize,
    column: usize,
}

impl<'c> ResourceChange<'c> {
    /// What would be done. `platforms` are the platforms of the targets.
    pub(super) fn planned(change: &'c Change, platforms: &BTreeMap<&str, &str>, pages: &mut Pages<'_>) -> Self {
        let actions: &[&str] = match change.action {
            Action::Create => &["create"],
            Action::Update | Action::Rotate => &["update"],
            Action::Replace => &["delete", "create"],
            Action::Delete => &["delete"],
            Action::Forget => &["forget"],
            Action::Adopt | Action::Move | Action::Blocked | Action::Orphan | Action::Unchanged => &["no-op"],
        };
        Self::new(change, actions, platforms, pages)
    }

    /// What others did: to the reader, an update or a delete that happened.
    pub(super) fn drifted(change: &'c Change, platforms: &BTreeMap<&str, &str>, pages: &mut Pages<'_>) -> Self {
        let mut drifted = Self::new(change, &["update"], platforms, pages);
        if let Some(id) = &change.gone {
            drifted.change = Sides {
                actions: &["delete"],
                after: Json::Null,
                after_unknown: nothing(),
                after_sensitive: nothing(),
                ..drifted.change
            };
            drifted.patchbay.id = Some(id);
        }
        drifted
    }

    fn new(
        change: &'c Change,
        actions: &'static [&'static str],
        platforms: &BTreeMap<&str, &str>,
        pages: &mut Pages<'_>,
    ) -> Self {
        let platform = platforms.get(change.address.target()).copied().unwrap_or("unknown");
        let sensitive: Vec<&[Step]> = change.sensitive.iter().map(FieldPath::steps).collect();
        let is_pending = |field: &&FieldChange| matches!(field.after, Side::Pending(_));
        let pending: Vec<&[Step]> = change.fields.iter().filter(is_pending).map(|f| f.path.steps()).collect();
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        Self {
            address: change.address.to_string(),
            previous_address: change.moved_from.as_ref().map(ToString::to_string),
            mode: "managed",
            kind: format!("{platform}_{}", change.kind).replace('-', "_"),
            name: change.address.key(),
            target: change.address.target(),
            action_reason: reason(change),
            change: Sides {
                actions,
                before: before.map_or(Json::Null, shown),
                after: after.and_then(|after| known(after, &pending)).unwrap_or_default(),
                after_unknown: after.map_or_else(nothing, |after| marked(after, &pending)),
                before_sensitive: before.map_or_else(nothing, |before| marked_secret(before, &sensitive)),
                after_sensitive: after.map_or_else(nothing, |after| marked_secret(after, &sensitive)),
                importing: change.id.clone().filter(|_| change.adopts).map(|id| Importing { id }),
            },
            patchbay: Own::new(change, pages),
        }
    }
}

impl<'c> Own<'c> {
    fn new(change: &'c Change, pages: &mut Pages<'_>) -> Self {
        let fingerprints = change.fields.iter().filter_map(|field| match &field.after {
            Side::Secret(Some(fingerprint)) => Some((field.path.to_string(), fingerprint.as_str())),
            _ => None,
        });
        let because = |field: &FieldChange| Because { path: field.path.to_string(), cause: field.cause.word() };
        let place = change.source.and_then(|span| pages.place(span));
        Self {
            action: change.action.word(),
            adopts: change.adopts,
            id: change.id.as_deref(),
            causes: change.written().map(because).collect(),
            verdicts: change.fields.iter().map(Doubt::new).collect(),
            requests: change.request.iter().map(Request::new).collect(),
            reason: change.reason.as_ref().map(|Reason { text, help }| Why { text, help }),
            basis: RestsOn::new(&change.basis),
            depends_on: change.depends_on.iter().map(ToString::to_string).collect(),
            fingerprints: fingerprints.collect(),
            source: place.map(|place| Source { file: place.file, line: place.line, column: place.column }),
        }
    }
}

impl Doubt {
    /// What is concluded about this field.
    pub(super) fn new(field: &FieldChange) -> Self {
        let (why, at) = match &field.verdict {
            Verdict::ChangedOutside(Outside::MaskContradicts) => (Some("mask-contradicts"), None),
            Verdict::ChangedOutside(Outside::MaskDiffers) => (Some("mask-differs"), None),
            Verdict::ChangedOutside(Outside::ValueDiffers) => (Some("value-differs"), None),
            Verdict::CannotVerify(Unproved::FirstTime) => (Some("first-time"), None),
            Verdict::CannotVerify(Unproved::NeverWritten) => (Some("never-written"), None),
            Verdict::CannotVerify(Unproved::OtherKey) => (Some("other-key"), None),
            Verdict::CannotVerify(Unproved::ModifiedOutside(at)) => (Some("modified-outside"), Some(at.clone())),
            Verdict::CannotVerify(Unproved::NoEvidence) => (Some("no-evidence"), None),
            Verdict::New | Verdict::Changed | Verdict::ChangedHere | Verdict::Unchanged => (None, None),
        };
        Self { path: field.path.to_string(), verdict: field.verdict.word(), why, at }
    }
}

impl<'c> Request<'c> {
    fn new(outline: &'c Outline) -> Self {
        Self {
            method: outline.method.as_str(),
            path: &outline.path,
            full: outline.full,
            resends: outline.resends.iter().map(ToString::to_string).collect(),
            may_lose: outline.may_lose.iter().map(ToString::to_string).collect(),
        }
    }
}

impl<'c> RestsOn<'c> {
    fn new(basis: &'c Basis) -> Self {
        Self { watermark: basis.watermark.as_deref(), digest: basis.digest.as_deref() }
    }
}

fn reason(change: &Change) -> Option<&'static str> {
    let written = || change.written();
    match change.action {
        Action::Create if change.gone.is_some() => Some("deleted_outside"),
        Action::Rotate if written().all(|f| matches!(f.verdict, Verdict::ChangedOutside(_))) => Some("secret_changed_outside"),
        Action::Rotate => Some("secret_changed"),
        Action::Update => {
            let has = |wanted: &[Cause]| written().any(|f| wanted.contains(&f.cause));
            Some(match (has(&[Cause::Config, Cause::Both]), has(&[Cause::Drift, Cause::Both])) {
                (true, true) => "config_changed_and_drift",
                (true, false) => "config_changed",
                (false, true) => "drift",
                (false, false) => "cause_unknown",
            })
        }
        Action::Orphan | Action::Delete => Some("not_in_files"),
        Action::Replace => Some("cannot_update"),
        Action::Forget => Some("gone_from_api"),
        Action::Blocked => Some("unsupported_by_api"),
        Action::Create | Action::Adopt | Action::Move | Action::Unchanged => None,
    }
}

fn nothing() -> Json {
    Json::Object(Map::new())
}

/// A value without the places that are known only after apply.
fn known(value: &Value, pending: &[&[Step]]) -> Option<Json> {
    if matches!(value, Value::Unknown(_)) || pending.iter().any(|path| path.is_empty()) {
        return None;
    }
    if pending.is_empty() && !value.has_unknown() {
        return Some(shown(value));
    }
    Some(match value {
        Value::Map(map) => Json::Object(
            map.iter().filter_map(|(key, value)| Some((key.clone(), known(value, &below_key(pending, key))?))).collect(),
        ),
        Value::List(list) => Json::Array(
            list.iter().enumerate().map(|(n, value)| known(value, &below_item(pending, n, value)).unwrap_or_default()).collect(),
        ),
        other => shown(other),
    })
}

fn marked(value: &Value, paths: &[&[Step]]) -> Json {
    marks(value, paths, &|value| matches!(value, Value::Unknown(_))).unwrap_or_else(nothing)
}

fn marked_secret(value: &Value, paths: &[&[Step]]) -> Json {
    // Live secrets come as words already, also those that nobody declared.
    marks(value, paths, &|value| matches!(value, Value::Secret(_)) || value.as_str() == Some(SECRET)).unwrap_or_else(nothing)
}

/// `true` at the places that are listed or that speak for themselves, in the shape of the value; `None` if there are none.
fn marks(value: &Value, paths: &[&[Step]], is_marked: &dyn Fn(&Value) -> bool) -> Option<Json> {
    if is_marked(value) || paths.iter().any(|path| path.is_empty()) {
        return Some(Json::Bool(true));
    }
    match value {
        Value::Map(map) => {
            let marked: Map<String, Json> = map
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), marks(value, &below_key(paths, key), is_marked)?)))
                .collect();
            (!marked.is_empty()).then_some(Json::Object(marked))
        }
        Value::List(list) => {
            let items = list.iter().enumerate();
            let marked: Vec<Option<Json>> =
                items.map(|(n, value)| marks(value, &below_item(paths, n, value), is_marked)).collect();
            let has_marks = marked.iter().any(Option::is_some);
            has_marks.then(|| Json::Array(marked.into_iter().map(|mark| mark.unwrap_or(Json::Bool(false))).collect()))
        }
        _ => None,
    }
}

/// What is left of the paths below a key.
fn below_key<'p>(paths: &[&'p [Step]], key: &str) -> Vec<&'p [Step]> {
    below(paths, |step| matches!(step, Step::Key(name) if name == key))
}

/// What is left of the paths below an item of a list.
fn below_item<'p>(paths: &[&'p [Step]], n: usize, item: &Value) -> Vec<&'p [Step]> {
    below(paths, |step| match step {
        Step::Index(index) => *index == n,
        Step::Item { by, value } => item.as_map().and_then(|map| map.get(by)).and_then(Value::as_str) == Some(value.as_str()),
        Step::Key(_) => false,
    })
}

fn below<'p>(paths: &[&'p [Step]], is: impl Fn(&Step) -> bool) -> Vec<&'p [Step]> {
    paths.iter().filter_map(|path| path.split_first().filter(|(first, _)| is(first)).map(|(_, rest)| rest)).collect()
}
