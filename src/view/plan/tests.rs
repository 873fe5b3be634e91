use super::*;
use crate::path::FieldPath;
use crate::plan::model::{Outline, Outside, Reason, Side};
use crate::platform::model::Method;
use crate::view::samples::{
    self, CANARY, address, at, change, changed, doubtful, everything, field, head, json, new, outline, secret, sources, text,
};
use serde_json::json;

const EVERYTHING: &str = "\
patchbay plan   2 targets · 10 connections · patchbay.state

changed outside patchbay:
  kore-prod/groq-llama   llmFeatures.streaming

kore-prod   https://acme.example/api/public
  + create   kore-prod/claude-haiku   POST                                  connections/prod.yaml:15
      + provider         Anthropic
      + model            claude-3-5-haiku-20241022
      + fields.API_KEY   (secret fp:41d07b)    from env.ANTHROPIC_API_KEY
      + boundTo          (known after apply)   from kore-prod/base.id

  ~ update   kore-prod/groq-llama   PATCH                                   connections/prod.yaml:31
      ~ model                   llama3-8b-8192 → llama3-70b-8192   config changed
      ~ llmFeatures.streaming   false → true                       drift: changed outside patchbay
        9 unchanged fields hidden

  ↻ rotate   kore-prod/support-gpt4o   PATCH                                 connections/prod.yaml:9
      ↻ fields.API_KEY   (secret fp:9f2c11 → fp:c30e5d)   from env.OPENAI_API_KEY

  ✗ blocked  kore-prod/azure-gpt4                                           connections/prod.yaml:44
      ~ fields.deployment_id   gpt4-eu → gpt4-us   config changed
      │ of an existing Azure OpenAI connection, PATCH changes only `fields.API_KEY`; and the
      │ API has no DELETE, so it cannot be replaced either
      help: declare it under a new key and name, or keep the live value:
            azure-gpt4: lifecycle: { ignore_changes: [fields.deployment_id] }                 PB0401

  ⚠ orphan   kore-prod/old-bot   in the state and in no file, and the API cannot delete it
      help: declare it again, or delete it in the vendor's console: the next apply then forgets it

gateway   http://127.0.0.1:3100/api
  ~ update   gateway/openai   POST (full)                                      connections/gw.yaml:4
      ~ metadata.baseUrl   https://api.openai.example/v1 → https://eu.openai.example/v1   config changed
        re-sent: apiKey   this request carries the whole object

  ← adopt    gateway/legacy   prv-1                                           connections/gw.yaml:20
        apiKey   (secret, first time recorded)
        2 unchanged fields hidden

cannot tell:
  kore-prod/a   fields.API_KEY (secret, cannot verify: modified outside at 20:41)
  gateway/z     apiKey (secret, cannot verify: this API shows neither the value nor a modification time)

Plan: 1 to create, 2 to update, 1 to rotate, 1 to adopt.
      1 blocked, 1 orphan, 2 cannot be verified, 1 unchanged.   14 requests, 1.2s
";

fn rendered(changes: Vec<Change>) -> String {
    render(&samples::plan(changes), &sources().0, &head(), &Style::plain(100))
}

/// The lines of the fields of an update.
fn drawn(fields: Vec<FieldChange>, style: &Style) -> Vec<String> {
    super::fields::lines(&Change { fields, ..change("kore-prod/a", Action::Update) }, style)
}

#[test]
fn one_of_everything() {
    let (plan, sources) = everything();
    assert_eq!(render(&plan, &sources, &head(), &Style::plain(100)), EVERYTHING);
}

#[test]
fn the_same_in_ascii() {
    let (plan, sources) = everything();
    let text = render(&plan, &sources, &head(), &Style { unicode: false, ..Style::plain(100) });
    assert!(text.is_ascii(), "{text}");
    for part in [
        "patchbay plan   2 targets - 10 connections - patchbay.state\n",
        "      ~ llmFeatures.streaming   false -> true                       drift: changed outside patchbay\n",
        "  * rotate   kore-prod/support-gpt4o   PATCH ",
        "(secret fp:9f2c11 -> fp:c30e5d)",
        "  x blocked  kore-prod/azure-gpt4 ",
        "      | of an existing Azure OpenAI",
        "  ! orphan   kore-prod/old-bot ",
        "  < adopt    gateway/legacy ",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let (plan, sources) = everything();
    let text = render(&plan, &sources, &head(), &Style { color: true, ..Style::plain(100) });
    let mut plain = String::new();
    for (n, part) in text.split("\u{1b}[").enumerate() {
        plain.push_str(if n == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(plain, EVERYTHING);
    for ink in ["\u{1b}[32m+ create", "\u{1b}[33m~ update", "\u{1b}[95m↻ rotate", "\u{1b}[31m✗ blocked", "\u{1b}[36mdrift:"] {
        assert!(text.contains(ink), "{ink:?}");
    }
}

#[test]
fn nothing_to_do_is_two_lines() {
    let mut changes: Vec<Change> = (0..9).map(|n| change(&format!("kore-prod/c{n}"), Action::Unchanged)).collect();
    for n in 0..2 {
        let fields = vec![doubtful("apiKey", Unproved::NoEvidence)];
        changes.push(Change { fields, ..change(&format!("gateway/g{n}"), Action::Unchanged) });
    }
    assert_eq!(
        rendered(changes),
        "patchbay plan   2 targets · 11 connections · patchbay.state\n\
         No changes. 9 connections match the live API; 2 cannot be verified.   14 requests, 1.2s\n"
    );
    assert_eq!(rendered(Vec::new()).lines().last(), Some("No changes. There is no connection.   14 requests, 1.2s"));
    let mut plan = samples::plan(vec![change("kore-prod/a", Action::Unchanged)]);
    (plan.refresh, plan.partial) = (Refresh::None, true);
    let text = render(&plan, &sources().0, &head(), &Style::plain(100));
    assert!(text.contains("No changes. 1 connection matches the state, the live API was not read in detail.   14 req"), "{text}");
    assert!(text.ends_with("This is a partial plan (--only, --exclude): other connections were left out.\n"), "{text}");
}

#[test]
fn what_is_suspicious_is_named_even_if_nothing_is_to_do() {
    let doubted = |n: usize| Change {
        fields: vec![doubtful("k", Unproved::ModifiedOutside("20:41".into()))],
        ..change(&format!("kore-prod/c{n:02}"), Action::Unchanged)
    };
    let text = rendered((0..25).map(doubted).collect());
    assert!(text.contains("cannot tell:\n  kore-prod/c00   k (secret, cannot verify: modified outside at 20:41)\n"), "{text}");
    assert!(text.contains("  kore-prod/c09   k (secret") && !text.contains("c10"), "{text}");
    assert!(text.contains("  and 15 more\n\nNo changes. 25 connections cannot be verified."), "{text}");
}

#[test]
fn many_doubtful_fields_are_counted() {
    let fields = (0..5).map(|n| doubtful(&format!("f{n}"), Unproved::FirstTime)).collect();
    let text = rendered(vec![Change { fields, ..change("kore-prod/a", Action::Unchanged) }]);
    assert!(text.contains("f2 (secret, first time recorded); and 2 more\n"), "{text}");
}

#[test]
fn thousands_that_are_unchanged_do_not_show() {
    let mut changes: Vec<Change> = (0..10_000).map(|n| change(&format!("kore-prod/c{n}"), Action::Unchanged)).collect();
    changes.push(change("gateway/new", Action::Create));
    let text = rendered(changes);
    assert!(text.ends_with("Plan: 1 to create.\n      10000 unchanged.   14 requests, 1.2s\n"), "{text}");
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn blocked_alone_is_nothing_to_apply() {
    let text = rendered(vec![change("kore-prod/a", Action::Blocked), change("kore-prod/b", Action::Blocked)]);
    assert!(text.ends_with("Plan: nothing to apply.\n      2 blocked.   14 requests, 1.2s\n"), "{text}");
}

#[test]
fn moves_and_takeovers_say_from_where() {
    let moved = Change { moved_from: Some(address("kore-prod/old")), ..change("kore-prod/new", Action::Move) };
    let taken = Change {
        adopts: true,
        id: Some("cn-1".to_owned()),
        request: Some(outline(Method::Patch, "/c/cn-1", false)),
        ..change("kore-prod/b", Action::Update)
    };
    let gone = Change {
        reason: Some(Reason { text: "in the state, in no file, and gone from the API".to_owned(), help: String::new() }),
        ..change("elsewhere/c", Action::Forget)
    };
    let text = rendered(vec![moved, taken, gone]);
    assert!(
        text.contains("  → move     kore-prod/new   from kore-prod/old\n  ~ update   kore-prod/b   PATCH   adopts cn-1\n"),
        "{text}"
    );
    assert!(text.contains("\nelsewhere\n  · forget   elsewhere/c   in the state, in no file, and gone from the API\n"), "{text}");
    assert!(text.contains("Plan: 1 to update, 1 to move, 1 to forget.   14 requests"), "{text}");
}

#[test]
fn a_reason_that_finds_no_room_stands_below() {
    let reason = "in the state and in no file; it stays, since this target has `prune = false`";
    let orphan = Change {
        reason: Some(Reason { text: reason.to_owned(), help: "declare it again".to_owned() }),
        ..change("kore-prod/old-bot", Action::Orphan)
    };
    let text = rendered(vec![orphan]);
    assert!(
        text.contains(&format!("  ⚠ orphan   kore-prod/old-bot\n      │ {reason}\n      help: declare it again\n")),
        "{text}"
    );
}

#[test]
fn the_words_for_secrets() {
    let style = Style::plain(100);
    let of = |before: Side, verdict: Verdict| words(&field("k", before, secret("c30e5d"), verdict, Cause::Config), &style);
    for (before, verdict, wanted) in [
        (Side::Absent, Verdict::New, "(secret fp:c30e5d)"),
        (secret("9f2c11"), Verdict::ChangedHere, "(secret fp:9f2c11 → fp:c30e5d)"),
        (Side::Secret(None), Verdict::ChangedHere, "(secret fp:c30e5d)"),
        (secret("c30e5d"), Verdict::ChangedHere, "(secret fp:c30e5d, written again)"),
        (secret("c30e5d"), Verdict::Unchanged, "(secret, unchanged)"),
        (secret("c30e5d"), Verdict::ChangedOutside(Outside::MaskDiffers), "(secret, changed outside: live mask differs)"),
        (secret("c30e5d"), Verdict::ChangedOutside(Outside::MaskContradicts), "(secret, changed outside: live mask differs)"),
        (secret("c30e5d"), Verdict::ChangedOutside(Outside::ValueDiffers), "(secret, changed outside: live value differs)"),
        (Side::Secret(None), Verdict::CannotVerify(Unproved::FirstTime), "(secret, first time recorded)"),
        (
            secret("c30e5d"),
            Verdict::CannotVerify(Unproved::ModifiedOutside("20:41\u{1b}".into())),
            "(secret, cannot verify: modified outside at 20:41\u{fffd})",
        ),
    ] {
        assert_eq!(of(before, verdict).as_deref(), Some(wanted));
    }
    let readable = field("k", Side::Unread, text("x"), Verdict::CannotVerify(Unproved::NeverWritten), Cause::Unknown);
    assert_eq!(words(&readable, &style).as_deref(), Some("(cannot verify: not written by patchbay, or touched by others since)"));
}

#[test]
fn structures_are_compared_line_by_line() {
    let body = |tokens: u32| {
        json(json!({
            "model": "llama3", "max_tokens": tokens, "messages": [{"role": "system", "content": "You are helpful."}],
            "stop": ["a", "b"], "stream": false
        }))
    };
    let lines = drawn(vec![changed("payload", body(1024), body(4096), Cause::Both)], &Style::plain(100));
    assert_eq!(
        lines,
        [
            "      ~ payload   2 of 16 lines   config changed and drift",
            "            {",
            "              \"model\": \"llama3\",",
            "          -   \"max_tokens\": 1024,",
            "          +   \"max_tokens\": 4096,",
            "              \"messages\": [",
            "                {",
            "          … 10 unchanged lines",
        ]
    );
}

#[test]
fn small_structures_fit_on_a_line() {
    let style = Style::plain(100);
    let lines = drawn(vec![changed("headers", json(json!(["a"])), json(json!(["a", "b"])), Cause::Config)], &style);
    assert_eq!(lines, [r#"      ~ headers   ["a"] → ["a","b"]   config changed"#]);
    let lines = drawn(vec![new("llmFeatures", json(json!({"streaming": true})))], &style);
    assert_eq!(lines, [r#"      + llmFeatures   {"streaming":true}"#]);
    let lines = drawn(vec![new("list", json(json!((0..30).collect::<Vec<u32>>())))], &style);
    assert_eq!((lines.len(), lines[0].as_str(), lines[1].as_str()), (33, "      + list   32 lines", "          + ["));
}

#[test]
fn long_texts_are_compared_by_word_and_tall_ones_by_line() {
    let style = Style::plain(100);
    let old = "You are a helpful assistant of the company and you answer politely.";
    let lines = drawn(vec![changed("prompt", text(old), text(&old.replace("helpful", "terse")), Cause::Config)], &style);
    assert_eq!(
        lines,
        [
            "      ~ prompt   config changed",
            "            You are a [-helpful-]{+terse+} assistant of the company and you answer politely.",
        ]
    );
    let lines = drawn(vec![changed("prompt", text("a\nb\n"), text("a\nc\n"), Cause::Config)], &style);
    assert_eq!(lines, ["      ~ prompt   2 of 3 lines   config changed", "            a", "          - b", "          + c"]);
    let lines = drawn(vec![new("prompt", text("first\nsecond"))], &style);
    assert_eq!(lines, ["      + prompt   2 lines", "          + first", "          + second"]);
}

#[test]
fn odd_sides_have_words() {
    let style = Style::plain(100);
    let lines = drawn(
        vec![
            changed("a", Side::Unread, text("x"), Cause::Config),
            changed("b", Side::Absent, text(""), Cause::Drift),
            changed("c", text("old"), Side::Absent, Cause::Config),
            changed("d", json(json!(1)), json(json!("1")), Cause::Unknown),
            changed("e", text("id"), Side::Pending("gateway/openai.id".to_owned()), Cause::Config),
        ],
        &style,
    );
    assert_eq!(
        lines,
        [
            "      ~ a   (not read) → x             config changed",
            "      + b   \"\"                         drift: changed outside patchbay",
            "      - c   old → (absent)             config changed",
            "      ~ d   1 → \"1\"",
            "      ~ e   id → (known after apply)   config changed, from gateway/openai.id",
        ]
    );
}

#[test]
fn a_terminal_cuts_long_values_and_a_file_does_not() {
    let long = "x".repeat(300);
    let fields = || vec![new("a", text(&long)), changed("b", text("short"), json(json!(long.len())), Cause::Config)];
    assert!(drawn(fields(), &Style::plain(100))[0].ends_with(&long));
    let tty = Style { tty: true, ..Style::plain(100) };
    assert_eq!(width(&drawn(fields(), &tty)[0]), 100);
    let full = Style { full: true, ..tty };
    assert!(drawn(fields(), &full)[0].ends_with(&long));
}

#[test]
fn nothing_from_outside_drives_the_terminal() {
    let evil = "x\u{1b}]0;y\u{9b}\u{202e}";
    let mut change = Change {
        id: Some(evil.to_owned()),
        adopts: true,
        fields: vec![
            changed(evil, text(evil), text(&format!("{evil}\n{evil}")), Cause::Drift),
            new(evil, json(json!({ evil: [evil.repeat(40)] }))),
            samples::from(evil, new("k", Side::Pending(evil.to_owned()))),
        ],
        request: Some(Outline { resends: vec![FieldPath::parse(evil)], ..outline(Method::Put, "/", true) }),
        reason: Some(Reason { text: evil.to_owned(), help: evil.to_owned() }),
        ..change("kore-prod/a", Action::Update)
    };
    let mut sources = Sources::default();
    change.source = at(sources.add(evil, "k:\n"), 1);
    let mut plan = samples::plan(vec![change]);
    plan.targets[0].base_url = evil.to_owned();
    let head = Head { state: evil.to_owned(), notes: vec![evil.to_owned()], ..head() };
    let text = render(&plan, &sources, &head, &Style::plain(100));
    assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text:?}");
}

#[test]
fn no_secret_is_shown() {
    let hidden = crate::value::Value::Secret(crate::secret::Secret::new(CANARY));
    let fields = vec![
        changed("a", Side::Value(hidden.clone()), text("x"), Cause::Drift),
        changed("b", text("x"), Side::Value(crate::value::Value::List(vec![hidden])), Cause::Drift),
    ];
    let text = rendered(vec![Change { fields, ..change("kore-prod/a", Action::Update) }]);
    assert!(text.contains("(secret)") && !text.contains(CANARY), "{text}");
}
