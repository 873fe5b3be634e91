//! Small plans for the tests of this folder, made by hand.

use std::time::Duration;

use super::plan::Head;
use crate::address::Address;
use crate::path::FieldPath;
use crate::plan::model::{
    Action, Basis, Cause, Change, FieldChange, Outline, Plan, PlanTarget, Reason, Refresh, Side, Unproved, Verdict,
};
use crate::platform::model::Method;
use crate::secret::Secret;
use crate::source::{FileId, Sources, Span};
use crate::state::Fingerprint;
use crate::value::{Map, Value};

/// Never to be seen in any output.
pub(super) const CANARY: &str = "sk-canary-0123456789";

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The fingerprint that shows as `fp:<short>`.
pub(super) fn print(short: &str) -> Fingerprint {
    Fingerprint::parse(&format!("k47015493:{short}{}", "0".repeat(18))).unwrap()
}

pub(super) fn text(value: &str) -> Side {
    Side::Value(value.into())
}

pub(super) fn json(value: serde_json::Value) -> Side {
    Side::Value(Value::from(value))
}

pub(super) fn secret(short: &str) -> Side {
    Side::Secret(Some(print(short)))
}

pub(super) fn field(path: &str, before: Side, after: Side, verdict: Verdict, cause: Cause) -> FieldChange {
    FieldChange { path: FieldPath::parse(path), before, after, verdict, cause, origin: None, span: None }
}

pub(super) fn from(origin: &str, field: FieldChange) -> FieldChange {
    FieldChange { origin: Some(origin.to_owned()), ..field }
}

pub(super) fn new(path: &str, after: Side) -> FieldChange {
    field(path, Side::Absent, after, Verdict::New, Cause::Config)
}

pub(super) fn changed(path: &str, before: Side, after: Side, cause: Cause) -> FieldChange {
    field(path, before, after, Verdict::Changed, cause)
}

pub(super) fn doubtful(path: &str, why: Unproved) -> FieldChange {
    field(path, secret("aaaaaa"), secret("aaaaaa"), Verdict::CannotVerify(why), Cause::Unknown)
}

pub(super) fn outline(method: Method, path: &str, full: bool) -> Outline {
    Outline::new(method, path.to_owned(), full)
}

pub(crate) fn change(at: &str, action: Action) -> Change {
    Change {
        address: address(at),
        kind: "openai".to_owned(),
        name: "A Name".to_owned(),
        id: None,
        gone: None,
        action,
        adopts: false,
        moved_from: None,
        fields: Vec::new(),
        unchanged_fields: 0,
        request: None,
        reason: None,
        depends_on: Vec::new(),
        source: None,
        basis: Basis::default(),
        before: None,
        after: None,
        sensitive: Vec::new(),
        connection: None,
    }
}

pub(super) fn target(name: &str, platform: &str, base_url: &str) -> PlanTarget {
    PlanTarget { name: name.to_owned(), platform: platform.to_owned(), base_url: base_url.to_owned() }
}

pub(super) fn plan(changes: Vec<Change>) -> Plan {
    let targets = vec![
        target("kore-prod", "koreai", "https://acme.example/api/public"),
        target("gateway", "gateway", "http://127.0.0.1:3100/api"),
    ];
    Plan { targets, changes, refresh: Refresh::Auto, partial: false }
}

pub(super) fn head() -> Head {
    Head {
        command: "patchbay plan".to_owned(),
        state: "patchbay.state".to_owned(),
        requests: 14,
        elapsed: Duration::from_millis(1240),
        notes: Vec::new(),
    }
}

/// A file of 60 short lines; [`at`] gives the span of one.
pub(super) fn sources() -> (Sources, FileId, FileId) {
    let mut sources = Sources::default();
    let prod = sources.add("connections/prod.yaml", "k:\n".repeat(60));
    let gateway = sources.add("connections/gw.yaml", "k:\n".repeat(60));
    (sources, prod, gateway)
}

/// The span of a line in a file of [`sources`].
pub(super) fn at(file: FileId, line: usize) -> Option<Span> {
    Some(file.span((line - 1) * 3, (line - 1) * 3 + 1))
}

/// One of everything.
pub(super) fn everything() -> (Plan, Sources) {
    let (sources, prod, gateway) = sources();
    let body = |pairs: &[(&str, Value)]| {
        Value::Map(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Map>())
    };
    let key = |word: &str| body(&[("API_KEY", word.into())]);
    let create = Change {
        kind: "anthropic".to_owned(),
        fields: vec![
            new("provider", text("Anthropic")),
            new("model", text("claude-3-5-haiku-20241022")),
            from("env.ANTHROPIC_API_KEY", new("fields.API_KEY", secret("41d07b"))),
            new("boundTo", Side::Pending("kore-prod/base.id".to_owned())),
        ],
        request: Some(outline(Method::Post, "/connections", true)),
        source: at(prod, 15),
        after: Some(body(&[
            ("provider", "Anthropic".into()),
            ("fields", key("(secret fp:41d07b)")),
            ("boundTo", "(known after apply)".into()),
            ("leak", Value::Secret(Secret::new(CANARY))),
        ])),
        sensitive: vec![FieldPath::parse("fields.API_KEY")],
        ..change("kore-prod/claude-haiku", Action::Create)
    };
    let update = Change {
        id: Some("cn-77".to_owned()),
        fields: vec![
            changed("model", text("llama3-8b-8192"), text("llama3-70b-8192"), Cause::Config),
            changed("llmFeatures.streaming", json(false.into()), json(true.into()), Cause::Drift),
        ],
        unchanged_fields: 9,
        request: Some(outline(Method::Patch, "/connections/cn-77", false)),
        source: at(prod, 31),
        basis: Basis { watermark: Some("2026-11-19T16:02:00Z".to_owned()), digest: None },
        before: Some(body(&[("model", "llama3-8b-8192".into())])),
        after: Some(body(&[("model", "llama3-70b-8192".into())])),
        ..change("kore-prod/groq-llama", Action::Update)
    };
    let rotated = field("fields.API_KEY", secret("9f2c11"), secret("c30e5d"), Verdict::ChangedHere, Cause::Config);
    let rotate = Change {
        id: Some("cn-9".to_owned()),
        fields: vec![from("env.OPENAI_API_KEY", rotated)],
        request: Some(outline(Method::Patch, "/connections/cn-9", false)),
        source: at(prod, 9),
        before: Some(body(&[("fields", key("(secret)"))])),
        after: Some(body(&[("fields", key("(secret fp:c30e5d)"))])),
        sensitive: vec![FieldPath::parse("fields.API_KEY")],
        ..change("kore-prod/support-gpt4o", Action::Rotate)
    };
    let blocked = Change {
        id: Some("cn-44".to_owned()),
        kind: "azure-openai".to_owned(),
        fields: vec![changed("fields.deployment_id", text("gpt4-eu"), text("gpt4-us"), Cause::Config)],
        reason: Some(Reason {
            text: "of an existing Azure OpenAI connection, PATCH changes only `fields.API_KEY`; and the API has no \
                   DELETE, so it cannot be replaced either"
                .to_owned(),
            help: "declare it under a new key and name, or keep the live value:\n\
                   azure-gpt4: lifecycle: { ignore_changes: [fields.deployment_id] }"
                .to_owned(),
        }),
        source: at(prod, 44),
        ..change("kore-prod/azure-gpt4", Action::Blocked)
    };
    let replaced = Change {
        kind: "provider".to_owned(),
        fields: vec![changed(
            "metadata.baseUrl",
            text("https://api.openai.example/v1"),
            text("https://eu.openai.example/v1"),
            Cause::Config,
        )],
        request: Some(Outline { resends: vec![FieldPath::parse("apiKey")], ..outline(Method::Post, "/providers", true) }),
        source: at(gateway, 4),
        ..change("gateway/openai", Action::Update)
    };
    let adopt = Change {
        id: Some("prv-1".to_owned()),
        kind: "provider".to_owned(),
        adopts: true,
        fields: vec![doubtful("apiKey", Unproved::FirstTime)],
        unchanged_fields: 2,
        source: at(gateway, 20),
        ..change("gateway/legacy", Action::Adopt)
    };
    let orphan = Change {
        id: Some("cn-5".to_owned()),
        reason: Some(Reason {
            text: "in the state and in no file, and the API cannot delete it".to_owned(),
            help: "declare it again, or delete it in the vendor's console: the next apply then forgets it".to_owned(),
        }),
        ..change("kore-prod/old-bot", Action::Orphan)
    };
    let modified = Unproved::ModifiedOutside("20:41".to_owned());
    let doubted = Change { fields: vec![doubtful("fields.API_KEY", modified)], ..change("kore-prod/a", Action::Unchanged) };
    let silent = Change { fields: vec![doubtful("apiKey", Unproved::NoEvidence)], ..change("gateway/z", Action::Unchanged) };
    let changes =
        vec![create, update, rotate, blocked, replaced, adopt, doubted, change("kore-prod/b", Action::Unchanged), silent, orphan];
    (plan(changes), sources)
}
