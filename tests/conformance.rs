//! What a platform definition must pass: one story that every kind of every platform walks, and that a table drives.
//! Created, changed field by field, rotated, changed and deleted by others, taken over, doubled, removed, and each write
//! struck by each fault: every step ends in an empty plan or in an exact report.
//!
//! A new kind is a new [`Profile`] here; until it has one, and until that one proves each of the kind's fields, the last
//! test fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/flashback.rs"]
mod flashback;
#[path = "conformance/gateway.rs"]
mod gateway;
#[path = "conformance/generated.rs"]
mod generated;
#[path = "conformance/koreai.rs"]
mod koreai;
#[path = "conformance/profile.rs"]
mod profile;
#[path = "conformance/story.rs"]
mod story;
#[path = "conformance/vendors.rs"]
mod vendors;

use std::collections::BTreeSet;

use patchbay::platform::builtin;
use patchbay::platform::model::{Field, Kind, SecretRule};
use patchbay::source::Sources;
use profile::{Profile, Served};

/// One test for each profile, and the list of all of them.
macro_rules! told {
    ($($test:ident: $profile:expr;)*) => {
        fn all() -> Vec<Profile> {
            vec![$($profile),*]
        }

        $(#[test]
        fn $test() {
            let profile = $profile;
            story::tell(&profile);
            faults::strike_each_write(&profile);
        })*
    };
}

told! {
    koreai_openai: koreai::openai();
    koreai_azure_openai: koreai::azure_openai();
    koreai_anthropic: koreai::anthropic();
    koreai_custom: koreai::custom();
    koreai_custom_existing: koreai::custom_existing();
    koreai_custom_legacy: koreai::custom_legacy();
    gateway_as_it_was_seen: gateway::seen();
    gateway_as_it_is_documented: gateway::documented();
    flashback_with_errors_by_status: flashback::llm("");
    flashback_with_errors_under_200: flashback::llm("flashback_errors=ok");
}

/// One test for each platform whose profiles are made from its definition.
macro_rules! told_from_the_definition {
    ($($platform:ident)*) => {
        fn made() -> Vec<Profile> {
            [$(made_for(stringify!($platform))),*].into_iter().flatten().collect()
        }

        $(#[test]
        fn $platform() {
            for profile in made_for(stringify!($platform)) {
                story::tell(&profile);
                faults::strike_each_write(&profile);
            }
        })*
    };
}

told_from_the_definition! {
    contextforge grafana langfuse litellm mlflow n8n openrouter opik portkey
}

#[test]
fn long_lists_are_walked_to_their_end() {
    let made = made();
    let mut lists = BTreeSet::new();
    for profile in &made {
        if let Served::Defined { list, .. } = &profile.served
            && lists.insert((profile.platform, *list))
        {
            story::walk_a_long_list(profile);
        }
    }
}

/// A definition with one mistake does not pass, on a server that knows better: the vendor's ways, and the right definition.
#[test]
fn a_mistake_in_a_definition_fails_its_story() {
    for (platform, kind, from, to) in [
        (
            "contextforge",
            "model",
            "        covers:\n          - model_id\n",
            "        covers:\n          - provider_id\n          - model_id\n",
        ),
        ("grafana", "data-source", "semantics: replace", "semantics: merge"),
        ("langfuse", "llm-connection", "style: page, size: 100 }", "style: page, size: 500 }"),
        ("litellm", "credential", "semantics: replace, covers: [display_name", "semantics: merge, covers: [display_name"),
        ("mlflow", "secret", "covers: [secret_value, auth_config]", "covers: \"*\""),
        ("n8n", "openai", "        body: { isPartialData: true }\n", ""),
        ("openrouter", "byok-key", "read: label", "read: snippet"),
        ("opik", "openai", "body: { ids: [\"{id}\"] }", "body: { id: \"{id}\" }"),
        ("portkey", "openai", "size: 100, first: 0", "size: 100, first: 1"),
    ] {
        let (_, text) = builtin::every().find(|(name, _)| *name == platform).unwrap();
        assert!(text.contains(from), "{platform}: {from}");
        let text = text.replace(from, to);
        let mut sources = Sources::default();
        let file = sources.add("wrong.yaml", text.as_str());
        let wrong = patchbay::platform::parse::parse(file, &text).unwrap_or_else(|e| panic!("{platform}: {e:#?}"));
        let mut all = generated::profiles(&wrong, Some(&text), &vendors::of(platform));
        let at = all.iter().position(|profile| profile.kind == kind).unwrap();
        let mut profile = all.swap_remove(at);
        let right = made_for(platform).swap_remove(at);
        if let (Served::Defined { fake, .. }, Served::Defined { fake: right, .. }) = (&mut profile.served, right.served) {
            *fake = right;
        }
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            story::walk_a_long_list(&profile);
            story::tell(&profile);
        }));
        assert!(told.is_err(), "{platform} {kind}: the story does not see that `{from}` is `{to}`");
    }
}

/// The story of a definition that somebody else wrote: PATCHBAY_DEFINITION names its file.
#[test]
fn a_definition_of_your_own() {
    let Ok(path) = std::env::var("PATCHBAY_DEFINITION") else { return };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut sources = Sources::default();
    let file = sources.add(path, text.as_str());
    let definition = patchbay::platform::parse::parse(file, &text).unwrap_or_else(|e| panic!("{e:#?}"));
    for profile in generated::profiles(&definition, Some(&text), &generated::ByHand::default()) {
        story::tell(&profile);
        faults::strike_each_write(&profile);
        story::walk_a_long_list(&profile);
    }
}

fn made_for(platform: &str) -> Vec<Profile> {
    let definition = builtin::load(platform, &mut Sources::default()).unwrap().unwrap();
    generated::profiles(&definition, None, &vendors::of(platform))
}

#[test]
fn creates_that_nobody_knows_of_are_settled_without_a_twin() {
    faults::strike_creates_into_the_unknown(&[all(), made()].into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn every_kind_has_a_profile_and_every_field_a_proof() {
    let all: Vec<Profile> = all().into_iter().chain(made()).collect();
    for (platform, _) in builtin::every() {
        let definition = builtin::load(platform, &mut Sources::default()).unwrap().unwrap();
        for (name, kind) in &definition.kinds {
            let profiles: Vec<&Profile> = all.iter().filter(|p| p.platform == platform && p.kind == name.as_str()).collect();
            assert!(!profiles.is_empty(), "{platform} {name}: no profile walks the story");
            check_fields(&profiles, kind);
        }
    }
}

/// Each field must be edited, be it in vain, and each secret rotated; and nothing else may be named.
fn check_fields(profiles: &[&Profile], kind: &Kind) {
    let mut known = Vec::new();
    leaves("", &kind.fields, &mut known);
    let edits = profiles.iter().flat_map(|profile| &profile.edits);
    let edited: BTreeSet<&str> = edits.flat_map(|edit| edit.fields.iter().copied()).collect();
    let secrets = profiles.iter().flat_map(|profile| &profile.secrets);
    let rotated: BTreeSet<&str> = secrets.map(|secret| secret.field).collect();
    let (mut plain, mut secret) = (BTreeSet::new(), BTreeSet::new());
    for (path, rule) in &known {
        if *rule != SecretRule::Always {
            plain.insert(path.as_str());
        }
        if *rule != SecretRule::Never {
            secret.insert(path.as_str());
        }
    }
    let place = profiles[0].to_string();
    assert_eq!(edited, plain, "{place}: fields that an edit shows, and fields that the definition has");
    assert_eq!(rotated, secret, "{place}: secrets that are rotated, and secrets that the definition has");
}

/// The fields that have no fields of their own: `model`, `fields.API_KEY`, `headers.value`.
fn leaves<'f>(at: &str, fields: impl IntoIterator<Item = (&'f String, &'f Field)>, all: &mut Vec<(String, SecretRule)>) {
    for (name, field) in fields {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        if field.fields.is_empty() && field.item.is_empty() {
            all.push((path, field.secret));
        } else {
            leaves(&path, field.fields.iter().chain(&field.item), all);
        }
    }
}
