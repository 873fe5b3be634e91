use std::time::Duration;

use super::*;
use crate::diagnostic::codes;
use crate::path::FieldPath;
use crate::plan::model::{Cause, Change};
use crate::plan::model::{Outside, Reason, Side, Unproved, Verdict};
use crate::platform::model::Method;
use crate::value::Value;
use crate::view::samples::{
    self, CANARY, address, change, changed, doubtful, everything, field, new, outline, print, secret, text,
};
use serde_json::json;

fn document(changes: Vec<Change>) -> Json {
    plan_document(&samples::plan(changes), &[], &Sources::default(), "2026-11-21T20:40:00Z")
}

/// The first change of a plan of one.
fn only(change: Change) -> Json {
    document(vec![change])["resource_changes"][0].clone()
}

#[test]
fn one_of_everything() {
    let (plan, sources) = everything();
    let document = plan_document(&plan, &[], &sources, "2026-11-21T20:40:00Z");
    assert_eq!(document["format_version"], "1.0");
    assert_eq!(document["timestamp"], "2026-11-21T20:40:00Z");
    assert_eq!(
        (&document["errored"], &document["refresh"], &document["partial"]),
        (&json!(false), &json!("auto"), &json!(false))
    );
    let changes = document["resource_changes"].as_array().unwrap();
    let actions: Vec<String> = changes
        .iter()
        .map(|c| {
            format!("{} {} {}", c["address"].as_str().unwrap(), c["patchbay"]["action"].as_str().unwrap(), c["change"]["actions"])
        })
        .collect();
    assert_eq!(
        actions,
        [
            r#"kore-prod/claude-haiku create ["create"]"#,
            r#"kore-prod/groq-llama update ["update"]"#,
            r#"kore-prod/support-gpt4o rotate ["update"]"#,
            r#"kore-prod/azure-gpt4 blocked ["no-op"]"#,
            r#"gateway/openai update ["update"]"#,
            r#"gateway/legacy adopt ["no-op"]"#,
            r#"kore-prod/old-bot orphan ["no-op"]"#,
        ]
    );
    assert_eq!(
        document["unverifiable"],
        json!([
            {"address": "kore-prod/a",
             "fields": [{"path": "fields.API_KEY", "verdict": "cannot-verify", "why": "modified-outside", "at": "20:41"}]},
            {"address": "gateway/z", "fields": [{"path": "apiKey", "verdict": "cannot-verify", "why": "no-evidence"}]}
        ])
    );
    assert_eq!(
        document["summary"],
        json!({
            "create": 1, "update": 2, "rotate": 1, "replace": 0, "delete": 0, "adopt": 1, "move": 0, "forget": 0,
            "orphan": 1, "blocked": 1, "unverifiable": 2, "unchanged": 3
        })
    );
    let drift = document["resource_drift"].as_array().unwrap();
    assert_eq!(drift.len(), 1);
    assert_eq!((&drift[0]["address"], &drift[0]["change"]["actions"]), (&json!("kore-prod/groq-llama"), &json!(["update"])));
    assert!(!document.to_string().contains(CANARY));
}

#[test]
fn a_create_in_full() {
    let (plan, sources) = everything();
    let document = plan_document(&plan, &[], &sources, "");
    assert_eq!(
        document["resource_changes"][0],
        json!({
            "address": "kore-prod/claude-haiku",
            "mode": "managed",
            "type": "koreai_anthropic",
            "name": "claude-haiku",
            "target": "kore-prod",
            "change": {
                "actions": ["create"],
                "before": null,
                "after": {"provider": "Anthropic", "fields": {"API_KEY": "(secret fp:41d07b)"}, "leak": "(secret)"},
                "after_unknown": {"boundTo": true},
                "before_sensitive": {},
                "after_sensitive": {"fields": {"API_KEY": true}, "leak": true}
            },
            "patchbay": {
                "action": "create",
                "adopts": false,
                "id": null,
                "causes": [
                    {"path": "provider", "cause": "config"},
                    {"path": "model", "cause": "config"},
                    {"path": "fields.API_KEY", "cause": "config"},
                    {"path": "boundTo", "cause": "config"}
                ],
                "verdicts": [
                    {"path": "provider", "verdict": "new"},
                    {"path": "model", "verdict": "new"},
                    {"path": "fields.API_KEY", "verdict": "new"},
                    {"path": "boundTo", "verdict": "new"}
                ],
                "requests": [{"method": "POST", "path": "/connections", "full": true, "resends": [], "may_lose": []}],
                "reason": null,
                "basis": {"watermark": null, "digest": null},
                "depends_on": [],
                "fingerprints": {"fields.API_KEY": print("41d07b").as_str()},
                "source": {"file": "connections/prod.yaml", "line": 15, "column": 1}
            }
        })
    );
}

#[test]
fn a_rotation_shows_fingerprints_and_marks_both_sides() {
    let (plan, sources) = everything();
    let document = plan_document(&plan, &[], &sources, "");
    let rotate = &document["resource_changes"][2];
    assert_eq!(rotate["action_reason"], "secret_changed");
    assert_eq!(rotate["change"]["before"], json!({"fields": {"API_KEY": "(secret)"}}));
    assert_eq!(rotate["change"]["before_sensitive"], json!({"fields": {"API_KEY": true}}));
    assert_eq!(rotate["change"]["after_sensitive"], json!({"fields": {"API_KEY": true}}));
    assert_eq!(rotate["patchbay"]["fingerprints"], json!({"fields.API_KEY": print("c30e5d").as_str()}));
}

#[test]
fn places_in_lists_are_marked_in_the_shape_of_the_list() {
    let body =
        json!({"headers": [{"key": "X", "value": "1"}, {"key": "Authorization", "value": "(secret fp:aaaaaa)"}], "n": [1, 2]});
    let change = Change {
        after: Some(Value::from(body)),
        sensitive: vec![FieldPath::parse("headers[key=Authorization].value")],
        fields: vec![new("n[1]", Side::Pending("t/a.id".to_owned()))],
        ..change("kore-prod/a", Action::Create)
    };
    let created = only(change);
    let sides = &created["change"];
    assert_eq!(sides["after_sensitive"], json!({"headers": [false, {"value": true}]}));
    assert_eq!(sides["after_unknown"], json!({"n": [false, true]}));
    assert_eq!(sides["after"]["n"], json!([1, null]));
}

#[test]
fn takeovers_and_moves_say_from_where() {
    let taken = only(Change { adopts: true, id: Some("cn-1".to_owned()), ..change("gateway/a", Action::Update) });
    assert_eq!((&taken["change"]["importing"], &taken["patchbay"]["id"]), (&json!({"id": "cn-1"}), &json!("cn-1")));
    let moved = only(Change { moved_from: Some(address("gateway/old")), ..change("gateway/a", Action::Move) });
    assert_eq!((&moved["previous_address"], &moved["change"]["actions"]), (&json!("gateway/old"), &json!(["no-op"])));
}

#[test]
fn reasons_are_hints() {
    let outside = field("k", secret("aaaaaa"), secret("aaaaaa"), Verdict::ChangedOutside(Outside::MaskDiffers), Cause::Drift);
    let update = |causes: &[Cause]| Change {
        fields: causes.iter().map(|cause| changed("m", text("a"), text("b"), *cause)).collect(),
        ..change("kore-prod/a", Action::Update)
    };
    for (change, reason) in [
        (Change { fields: vec![outside], ..change("kore-prod/a", Action::Rotate) }, json!("secret_changed_outside")),
        (update(&[Cause::Config]), json!("config_changed")),
        (update(&[Cause::Drift]), json!("drift")),
        (update(&[Cause::Both]), json!("config_changed_and_drift")),
        (update(&[Cause::Config, Cause::Drift]), json!("config_changed_and_drift")),
        (update(&[Cause::Unknown]), json!("cause_unknown")),
        (change("kore-prod/a", Action::Forget), json!("gone_from_api")),
        (change("kore-prod/a", Action::Orphan), json!("not_in_files")),
        (change("kore-prod/a", Action::Blocked), json!("unsupported_by_api")),
        (change("kore-prod/a", Action::Create), Json::Null),
    ] {
        assert_eq!(only(change)["action_reason"], reason);
    }
}

#[test]
fn types_are_names_that_policies_can_use() {
    let kind = |at: &str, kind: &str| only(Change { kind: kind.to_owned(), ..change(at, Action::Orphan) })["type"].clone();
    assert_eq!(kind("kore-prod/a", "azure-openai"), "koreai_azure_openai");
    assert_eq!(kind("elsewhere/a", "llm"), "unknown_llm");
}

#[test]
fn a_request_and_a_reason_are_told() {
    let mut request = outline(Method::Post, "/providers", true);
    request.resends.push(FieldPath::parse("apiKey"));
    let reason = Reason { text: "the rule".to_owned(), help: "the way out".to_owned() };
    let own =
        only(Change { request: Some(request), reason: Some(reason), ..change("gateway/a", Action::Update) })["patchbay"].clone();
    assert_eq!(
        own["requests"],
        json!([{"method": "POST", "path": "/providers", "full": true, "resends": ["apiKey"], "may_lose": []}])
    );
    assert_eq!(own["reason"], json!({"text": "the rule", "help": "the way out"}));
}

#[test]
fn unchanged_connections_are_only_counted() {
    let sure = change("kore-prod/a", Action::Unchanged);
    let doubted = Change { fields: vec![doubtful("k", Unproved::OtherKey)], ..change("kore-prod/b", Action::Unchanged) };
    let document = document(vec![sure, doubted]);
    assert_eq!(document["resource_changes"], json!([]));
    assert_eq!((&document["summary"]["unchanged"], &document["summary"]["unverifiable"]), (&json!(2), &json!(1)));
}

#[test]
fn diagnostics_have_a_place_and_a_snippet() {
    let mut sources = Sources::default();
    let text = "connections:\n  é: { provider: Opne AI }\nkey: hunter22\n";
    let file = sources.add("connections/prod.yaml", text);
    let hidden = text.find("hunter22").unwrap();
    sources.hide(file.span(hidden, hidden + 8));
    let at = text.find("Opne").unwrap();
    let diagnostic = Diagnostic::error(codes::NOT_ACCEPTED, "unknown provider `Opne AI`")
        .label(file.span(at, at + 7), "not a provider")
        .label(file.span(hidden, hidden + 8), "related")
        .note("one")
        .note("two")
        .help("did you mean `Open AI`?")
        .about(&address("kore-prod/a"));
    let warning = Diagnostic::warning(codes::STRAY_WHITESPACE, "odd").label(file.span(hidden, hidden + 8), "here");
    let document = diagnostics_document(&[diagnostic, warning], &sources, false);
    assert_eq!((&document["valid"], &document["error_count"], &document["warning_count"]), (&json!(false), &json!(1), &json!(1)));
    let first = &document["diagnostics"][0];
    assert_eq!((&first["severity"], &first["code"], &first["detail"]), (&json!("error"), &json!("PB0103"), &json!("one\ntwo")));
    assert_eq!((&first["address"], &first["label"]), (&json!("kore-prod/a"), &json!("not a provider")));
    assert_eq!(
        first["range"],
        json!({
            "filename": "connections/prod.yaml",
            "start": {"line": 2, "column": 18, "byte": at},
            "end": {"line": 2, "column": 25, "byte": at + 7}
        })
    );
    assert_eq!(
        first["snippet"],
        json!({
            "context": null, "code": "  é: { provider: Opne AI }", "start_line": 2,
            "highlight_start_offset": at - 13, "highlight_end_offset": at - 6, "values": []
        })
    );
    assert_eq!((&first["related"][0]["message"], &first["related"][0]["range"]["start"]["line"]), (&json!("related"), &json!(3)));
    assert_eq!(document["diagnostics"][1]["snippet"]["code"], "key: ********");
    assert!(!document.to_string().contains("hunter22"));
}

#[test]
fn a_diagnostic_without_a_place_has_none() {
    let diagnostic = Diagnostic::error(codes::TIMEOUT, "no answer");
    let document = diagnostics_document(&[diagnostic], &Sources::default(), false);
    let first = &document["diagnostics"][0];
    assert_eq!((&first["range"], &first["snippet"], &first["related"]), (&Json::Null, &Json::Null, &json!([])));
}

#[test]
fn an_apply_tells_every_ending() {
    let error = Diagnostic::error(codes::INVALID, "kore-prod said no (400)");
    let trouble = Diagnostic::error(codes::STATE_UNREADABLE, "the state cannot be written");
    let warning = Diagnostic::warning(codes::READ_BACK, "the API stored another `model`");
    let endings = [
        ("kore-prod/a", Action::Create, Ending::Done { id: Some("cn-1".to_owned()), warnings: vec![warning] }),
        ("kore-prod/b", Action::Update, Ending::Failed(error)),
        ("kore-prod/c", Action::Create, Ending::Unknown(Diagnostic::error(codes::OUTCOME_UNKNOWN, "it timed out"))),
        ("kore-prod/d", Action::Update, Ending::Skipped("it depends on kore-prod/b".to_owned())),
    ];
    let mut changes: Vec<Change> = endings.iter().map(|(at, action, _)| change(at, *action)).collect();
    changes.push(change("kore-prod/e", Action::Blocked));
    let outcome = Outcome {
        endings: endings.into_iter().map(|(at, action, ending)| (address(at), action, ending)).collect(),
        diagnostics: vec![trouble.clone()],
        requests: 9,
        elapsed: Duration::from_millis(3500),
        ..Outcome::default()
    };
    let document = apply_document(&outcome, &samples::plan(changes), std::slice::from_ref(&trouble), &Sources::default());
    assert_eq!((&document["errored"], &document["complete"], &document["requests"]), (&json!(true), &json!(false), &json!(9)));
    assert_eq!(document["elapsed_seconds"], json!(3.5));
    assert_eq!(
        document["summary"],
        json!({
            "planned": 4, "done": 1, "failed": 1, "unknown": 1, "skipped": 1, "blocked": 1, "orphan": 0,
            "applied": {"create": 1}
        })
    );
    let results = document["results"].as_array().unwrap();
    let words: Vec<&str> = results.iter().filter_map(|r| r["result"].as_str()).collect();
    assert_eq!(words, ["done", "failed", "unknown", "skipped"]);
    assert_eq!((&results[0]["id"], &results[0]["warnings"][0]["code"]), (&json!("cn-1"), &json!("PB0703")));
    assert_eq!(results[1]["diagnostic"]["code"], "PB0605");
    assert_eq!(
        results[3],
        json!({
            "address": "kore-prod/d", "action": "update", "result": "skipped", "reason": "it depends on kore-prod/b"
        })
    );
    // Given both by the caller and by the outcome, it is told once.
    assert_eq!(document["diagnostics"].as_array().map(Vec::len), Some(1));
    assert!(document.get("signal").is_none());
}

#[test]
fn an_empty_apply_is_complete() {
    let document = apply_document(&Outcome::default(), &samples::plan(Vec::new()), &[], &Sources::default());
    assert_eq!((&document["complete"], &document["errored"]), (&json!(true), &json!(false)));
}
