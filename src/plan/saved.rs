//! Saved plans: what was approved, so that exactly that is applied. No value of a secret is in it, only fingerprints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Action, Basis, Change, Plan, Side};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::state::digest;
use crate::value::Value;

/// The version of this part of a plan file.
const VERSION: u32 = 1;

/// What a plan file promises.
#[derive(Debug, Deserialize, Serialize)]
pub struct SavedPlan {
    version: u32,
    /// The key that the fingerprints were made with.
    key: String,
    /// The profile that it was made for.
    profile: Option<String>,
    /// The choices that it was made with, and that it is applied with.
    pub choices: Choices,
    changes: Vec<SavedChange>,
}

/// The flags that shape a plan, as they were given.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the flags'")]
pub struct Choices {
    pub refresh: String,
    pub rewrite_secrets: bool,
    pub accept_target_change: bool,
    pub only: Vec<String>,
    pub exclude: Vec<String>,
    pub max_updates: Option<String>,
    pub max_deletes: Option<String>,
}

/// One approved change.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
struct SavedChange {
    address: String,
    action: String,
    id: Option<String>,
    watermark: Option<String>,
    basis: Option<String>,
    request: Option<String>,
    after: String,
    fingerprints: BTreeMap<String, String>,
}

impl SavedPlan {
    /// What to save of a plan.
    #[must_use]
    pub fn of(plan: &Plan, key: &str, profile: Option<&str>, choices: Choices) -> Self {
        let changes = plan.changes.iter().filter(|c| c.action.is_change()).map(SavedChange::of).collect();
        Self { version: VERSION, key: key.to_owned(), profile: profile.map(ToOwned::to_owned), choices, changes }
    }

    /// Reads it back.
    ///
    /// # Errors
    /// If it is not one, or one of a later version.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Diagnostic> {
        let bad = |why: String| Diagnostic::error(codes::BAD_PLAN, why).help("save one with `patchbay plan --out FILE`");
        let saved: Self =
            serde_json::from_value(json.clone()).map_err(|_| bad("this is not a saved plan of patchbay".to_owned()))?;
        if saved.version == VERSION {
            Ok(saved)
        } else {
            Err(bad(format!("this plan was saved in format {}; this patchbay reads {VERSION}", saved.version)))
        }
    }

    /// Narrows a fresh plan to what was approved.
    ///
    /// # Errors
    /// Every approved change that is not exactly what would be done now.
    pub fn narrow(&self, mut plan: Plan, key: &str, profile: Option<&str>) -> Result<Plan, Diagnostics> {
        if self.profile.as_deref() != profile {
            let named = |p: Option<&str>| p.map_or_else(|| "no profile".to_owned(), |p| format!("profile `{p}`"));
            return Err(vec![
                Diagnostic::error(
                    codes::STALE,
                    format!("the plan was made for {}, not for {}", named(self.profile.as_deref()), named(profile)),
                )
                .help("apply it with the same --profile"),
            ]);
        }
        if self.key != key {
            return Err(vec![
                Diagnostic::error(
                    codes::SECRET_DIFFERS,
                    "the plan's secrets were fingerprinted with another key, so they cannot be compared",
                )
                .help("use the same .patchbay/key or PATCHBAY_STATE_KEY where the plan is made and where it is applied"),
            ]);
        }
        let now: BTreeMap<String, SavedChange> =
            plan.changes.iter().filter(|c| c.action.is_change()).map(|c| (c.address.to_string(), SavedChange::of(c))).collect();
        let mut found: Diagnostics = self.changes.iter().filter_map(|saved| saved.compare(now.get(&saved.address))).collect();
        if found.len() > 1 && found.iter().all(|d| d.code == codes::STALE) {
            let mut notes: Vec<String> = found.iter().take(5).map(|d| d.summary.replace("the plan is stale: ", "")).collect();
            if found.len() > 5 {
                notes.push(format!("and {} more", found.len() - 5));
            }
            let summary = format!(
                "the plan is stale: {} of its {} changes are not what would be done now",
                found.len(),
                self.changes.len()
            );
            let one = Diagnostic::error(codes::STALE, summary).help("nothing was changed; plan again");
            found = vec![notes.into_iter().fold(one, Diagnostic::note)];
        }
        if !found.is_empty() {
            return Err(found);
        }
        let approved: BTreeMap<&str, ()> = self.changes.iter().map(|c| (c.address.as_str(), ())).collect();
        // What is blocked stays in sight: it was in the plan that was approved.
        plan.changes.retain(|c| c.action == Action::Blocked || approved.contains_key(c.address.to_string().as_str()));
        Ok(plan)
    }
}

impl SavedChange {
    fn of(change: &Change) -> Self {
        let Basis { watermark, digest: basis } = change.basis.clone();
        let fingerprints = change.fields.iter().filter_map(|f| match &f.after {
            Side::Secret(Some(fp)) => Some((f.path.to_string(), fp.as_str().to_owned())),
            _ => None,
        });
        Self {
            address: change.address.to_string(),
            action: change.action.word().to_owned(),
            id: change.id.clone(),
            watermark,
            basis,
            request: change.request.as_ref().map(|r| format!("{} {}", r.method.as_str(), r.path)),
            after: digest("after", &change.after.as_ref().map(Value::canonical).unwrap_or_default()),
            fingerprints: fingerprints.collect(),
        }
    }

    fn compare(&self, now: Option<&Self>) -> Option<Diagnostic> {
        let stale = |why: String| {
            Some(
                Diagnostic::error(codes::STALE, format!("the plan is stale: {why}"))
                    .note(format!("planned: {} `{}`", self.action, self.address))
                    .help("nothing was changed; plan again"),
            )
        };
        let Some(now) = now else { return stale(format!("there is nothing to do for `{}` any more", self.address)) };
        if now == self {
            return None;
        }
        let other: Vec<&String> = self
            .fingerprints
            .iter()
            .filter(|(path, fp)| now.fingerprints.get(*path).is_some_and(|n| n != *fp))
            .map(|(p, _)| p)
            .collect();
        if !other.is_empty() {
            let fields = other.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(", ");
            return Some(
                Diagnostic::error(
                    codes::SECRET_DIFFERS,
                    format!("the secret {fields} of `{}` is not the one that was planned", self.address),
                )
                .help("give this run the variables that the plan was made with, or plan again"),
            );
        }
        if (&self.watermark, &self.basis) != (&now.watermark, &now.basis) || self.id != now.id {
            return stale(format!("`{}` was changed at the API since", self.address));
        }
        if self.action != now.action {
            return stale(format!("`{}` would now be a {}", self.address, now.action));
        }
        stale(format!("the files want something else of `{}` now", self.address))
    }
}
