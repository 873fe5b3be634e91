//! A spec against its kind: keys, types, accepted values, constants, templates; and where each field is written.

use super::super::spec::span_of;
use super::{CUSTOM, OPENAI, THING, assert_lines, one, read, table, with};
use crate::path::FieldPath;
use crate::source::Sources;
use crate::value::Value;

const AZURE: &str = r"connections:
  z:
    target: kore
    kind: azure-openai
    spec:
      connectionName: Z
      model: gpt-4o
      fields:
        API_KEY: ${{ env.KEY }}
        api_version: 2024-08-01-preview
        your_resource_name: acme
        deployment_id: d1
";

const MAPPED: &str = r"connections:
  m:
    target: kore
    kind: custom-existing
    spec:
      connectionName: Mapped
      model: llama
      endpointUrl: https://gw.example/v1
      mapProvider: openAIModel
      llmFeatures: { streaming: true }
      IOMappings: [textToText]
";

#[test]
fn unknown_and_missing_keys() {
    table(
        OPENAI,
        &[
            (
                "model: gpt-4o",
                "modle: gpt-4o",
                &[
                    "PB0102 error a.yaml:7:7 unknown key `modle` in the OpenAI connection `a` | not a key that patchbay knows here | did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`",
                ],
            ),
            (
                "API_KEY",
                "API_KYE",
                &[
                    "PB0102 error a.yaml:9:9 unknown key `API_KYE` in `fields` of the OpenAI connection `a` | not a key that patchbay knows here | did you mean `API_KEY`? accepted: `API_KEY`",
                ],
            ),
            (
                "\n        API_KEY: ${{ env.KEY }}",
                " {}",
                &[
                    "PB0105 error a.yaml:8:15 [..] needs an `API_KEY` | `API_KEY` is missing here | add a line `API_KEY: …`: OpenAI API key",
                ],
            ),
            (
                "connectionName: A",
                "connectionName: A\n      region: eu",
                &[
                    "PB0102 error a.yaml:7:7 unknown key `region` in the OpenAI connection `a` | not a key that patchbay knows here | accepted: [..]",
                ],
            ),
        ],
    );
    table(
        AZURE,
        &[(
            "        deployment_id: d1\n",
            "",
            &[
                "PB0105 error a.yaml:9:9 [..] needs a `deployment_id` | `deployment_id` is missing here | add a line `deployment_id: …`: Azure deployment id",
            ],
        )],
    );
    table(
        MAPPED,
        &[(
            "streaming: true",
            "straeming: true",
            &[
                "PB0102 error a.yaml:10:22 unknown key `straeming` in `llmFeatures` of the [..] `m` | not a key that patchbay knows here | did you mean `streaming`? accepted: [..]",
            ],
        )],
    );
}

#[test]
fn every_missing_key_is_named() {
    let text = "connections:\n  a: { target: kore, kind: openai, spec: { connectionName: A } }\n";
    assert_lines(
        &one(text),
        &[
            "PB0105 error a.yaml:2:44 the OpenAI connection `a` needs a `model` | [..]",
            "PB0105 error a.yaml:2:44 the OpenAI connection `a` needs a `fields` | [..]",
        ],
        "two keys are missing at one place",
    );
}

#[test]
fn a_missing_nested_key_is_told_from_the_outside_in() {
    let lines = one(&with(AZURE, "        deployment_id: d1\n", ""));
    assert!(!lines.contains("`fields` of `fields`"), "{lines}");
}

#[test]
fn texts_are_texts() {
    table(
        OPENAI,
        &[
            ("gpt-4o", "4", &[r#"PB0104 error a.yaml:7:14 `model` must be a string | this is a number | quote it: "4""#]),
            ("gpt-4o", "1.10", &[r#"PB0104 error a.yaml:7:14 `model` must be a string | this is a number | quote it: "1.10""#]),
            ("gpt-4o", "true", &[r#"PB0104 error a.yaml:7:14 `model` must be a string | this is a boolean | quote it: "true""#]),
            ("gpt-4o", "null", &["PB0104 error a.yaml:7:14 `model` must be a string | this is null"]),
            ("gpt-4o", "[a]", &["PB0104 error a.yaml:7:14 `model` must be a string | this is a list"]),
            ("gpt-4o", "{ a: b }", &["PB0104 error a.yaml:7:14 `model` must be a string | this is an object"]),
            ("gpt-4o", "no", &[]),
            ("gpt-4o", "2024-08-01", &[]),
            ("gpt-4o", "0755", &[]),
            ("gpt-4o", "'4'", &[]),
            (
                "\n        API_KEY: ${{ env.KEY }}",
                " x",
                &["PB0104 error a.yaml:8:15 `fields` must be an object | this is a string"],
            ),
            (
                "\n        API_KEY: ${{ env.KEY }}",
                " [x]",
                &["PB0104 error a.yaml:8:15 `fields` must be an object | this is a list"],
            ),
            (
                "\n        API_KEY: ${{ env.KEY }}",
                " null",
                &["PB0104 error a.yaml:8:15 `fields` must be an object | this is null"],
            ),
        ],
    );
}

#[test]
fn other_types_are_strict() {
    table(
        CUSTOM,
        &[
            ("isEnable: true", "isEnable: yes", &["PB0104 error a.yaml:18:17 `isEnable` must be a boolean | this is a string"]),
            ("isEnable: true", "isEnable: 1", &["PB0104 error a.yaml:18:17 `isEnable` must be a boolean | this is a number"]),
            ("isEnable: true", "promptVars: {}", &["PB0104 error a.yaml:18:19 `promptVars` must be a list | this is an object"]),
            ("isEnable: true", "promptVars: [1, { a: [null] }]", &[]),
            ("isEnable: true", "outputPath: null", &[]),
        ],
    );
    table(
        THING,
        &[
            ("retries: 3", "retries: 1.5", &["PB0104 error a.yaml:7:16 `retries` must be a whole number | this is a number"]),
            ("retries: 3", "retries: '3'", &["PB0104 error a.yaml:7:16 `retries` must be a whole number | this is a string"]),
            ("retries: 3", "weight: heavy", &["PB0104 error a.yaml:7:15 `weight` must be a number | this is a string"]),
            ("retries: 3", "retries: -3\n      weight: 2\n      note: [1, { a: b }]", &[]),
        ],
    );
    table(
        MAPPED,
        &[(
            "streaming: true",
            "streaming: 'true'",
            &["PB0104 error a.yaml:10:33 `llmFeatures.streaming` must be a boolean | this is a string"],
        )],
    );
}

#[test]
fn numbers_and_texts_have_their_limits() {
    table(
        THING,
        &[
            ("retries: 3", "heat: 0\n      count: 1\n      tag: abcd", &[]),
            ("retries: 3", "heat: 2.0", &[]),
            ("retries: 3", "heat: 2.1", &["PB0103 error a.yaml:7:13 `heat` is too large | too large | a number from 0 to 2"]),
            ("retries: 3", "heat: -1", &["PB0103 error a.yaml:7:13 `heat` is too small | too small | a number from 0 to 2"]),
            ("retries: 3", "heat: hot", &["PB0104 error a.yaml:7:13 `heat` must be a number | this is a string"]),
            ("retries: 3", "heat: null", &[]),
            (
                "retries: 3",
                "count: 0",
                &["PB0103 error a.yaml:7:14 `count` is too small | too small | a whole number, at least 1"],
            ),
            (
                "retries: 3",
                "tag: abcde",
                &[
                    "PB0103 error a.yaml:7:12 `tag` is too long | 5 characters | at most 4 characters; the whole text matches `[a-z]+`",
                ],
            ),
            (
                "retries: 3",
                "tag: ab1",
                &[
                    "PB0103 error a.yaml:7:12 `tag` has a form that is not accepted | does not match | at most 4 characters; the whole text matches `[a-z]+` / Small letters.",
                ],
            ),
            ("retries: 3", "tag: ''", &["PB0103 error a.yaml:7:12 `tag` has a form that is not accepted | [..]"]),
            ("retries: 3", "tag: AB-12", &["PB0103 [..] `tag` is too long | [..]", "PB0103 [..] `tag` has a form [..]"]),
            ("retries: 3", "env: { A: abc, B: null }", &[]),
            (
                "retries: 3",
                "env: { A: abcd }",
                &["PB0103 error a.yaml:7:17 `env.A` is too long | 4 characters | at most 3 characters"],
            ),
            (
                "retries: 3",
                "rows: [{ key: X-Plain, value: abcdef }]",
                &["PB0103 error a.yaml:7:37 `rows[key=X-Plain].value` is too long | 6 characters | at most 5 characters"],
            ),
        ],
    );
}

#[test]
fn limits_hold_for_what_templates_give_and_no_message_has_it() {
    table(
        THING,
        &[
            ("retries: 3", "heat: ${{ env.HALF }}", &[]),
            (
                "retries: 3",
                "heat: ${{ env.N }}",
                &["PB0103 error a.yaml:7:13 `heat` is too large | too large | a number from 0 to 2"],
            ),
            (
                "retries: 3",
                "env: { A: '${{ env.KEY }}' }",
                &["PB0103 error a.yaml:7:17 `env.A` is too long | too long | at most 3 characters"],
            ),
            (
                "retries: 3",
                "pin: ${{ env.KEY }}",
                &[
                    "PB0103 error a.yaml:7:12 `pin` is too long | too long | at most 12 characters; the whole text matches `[a-z0-9-]+`",
                ],
            ),
            ("retries: 3", "tag: ${{ env.KEY }}", &["PB0103 [..] `tag` is too long | too long | [..]", "PB0103 [..]"]),
            (
                "retries: 3",
                "rows: [{ key: Authorization, value: '${{ env.KEY }}' }]",
                &["PB0103 error a.yaml:7:43 `rows[key=Authorization].value` is too long | too long | at most 5 characters"],
            ),
            // It is not known before the other connection is there.
            ("retries: 3", "tag: ${{ connection(\"t2\").id }}\n  t2: { target: own, kind: thing, spec: { name: Two } }", &[]),
        ],
    );
    let literal = with(THING, "retries: 3", "pin: Sesame-Open-9876");
    let lines = read(&literal).lines();
    assert_lines(
        &lines,
        &[
            "PB0103 error a.yaml:7:12 `pin` is too long | too long | [..]",
            "PB0103 error a.yaml:7:12 `pin` has a form [..] | does not match | [..]",
        ],
        "a literal secret",
    );
    assert!(!lines.contains("Sesame"), "{lines}");
}

#[test]
fn only_accepted_values() {
    table(
        CUSTOM,
        &[
            ("status: DRAFT", "status: FINALIZED", &[]),
            (
                "status: DRAFT",
                "status: draft",
                &[
                    "PB0103 error a.yaml:17:15 `status` cannot be `draft` | not an accepted value | did you mean `DRAFT`? accepted: `DRAFT`, `FINALIZED`",
                ],
            ),
            (
                "status: DRAFT",
                "status: ACTIVE",
                &[
                    "PB0103 error a.yaml:17:15 `status` cannot be `ACTIVE` | not an accepted value | accepted: `DRAFT`, `FINALIZED`",
                ],
            ),
            (
                "status: DRAFT",
                "status: ${{ env.KEY }}",
                &[
                    "PB0103 error a.yaml:17:15 `status` cannot be this value | not an accepted value | accepted: `DRAFT`, `FINALIZED`",
                ],
            ),
            ("status: DRAFT", "status: ${{ env.NOPE | default('DRAFT') }}", &[]),
        ],
    );
    table(
        MAPPED,
        &[
            (
                "openAIModel",
                "openaiModel",
                &[
                    "PB0103 error a.yaml:9:20 `mapProvider` cannot be `openaiModel` | not an accepted value | did you mean `openAIModel`? accepted: `openAIModel`, `anthropicModel`, `geminiModel`",
                ],
            ),
            ("[textToText]", "[audioToText, textToText]", &[]),
            (
                "[textToText]",
                "[textToText, txtToImage, zzz]",
                &[
                    "PB0103 error a.yaml:11:32 `IOMappings` cannot be `txtToImage` | not an accepted value | did you mean `textToImage`? accepted: `textToText`, `textToImage`, `imageToText`, `audioToText`",
                    "PB0103 error a.yaml:11:44 `IOMappings` cannot be `zzz` | not an accepted value | accepted: [..]",
                ],
            ),
            ("[textToText]", "textToText", &["PB0104 error a.yaml:11:19 `IOMappings` must be a list | this is a string"]),
        ],
    );
}

#[test]
fn an_item_that_is_no_text_is_not_accepted_either() {
    for item in ["1", "true", "{ a: b }"] {
        let lines = one(&with(MAPPED, "[textToText]", &format!("[textToText, {item}]")));
        assert!(lines.starts_with("PB010") && lines.contains(" error a.yaml:11:32 "), "{item}: {lines}");
    }
}

#[test]
fn the_items_of_a_keyed_list() {
    table(
        CUSTOM,
        &[
            (
                "\n          value: application/json",
                "",
                &["PB0105 error a.yaml:12:11 an item of `headers` needs a `value` | `value` is missing here"],
            ),
            (
                "value: application/json",
                "valeu: application/json",
                &[
                    "PB0102 error a.yaml:13:11 unknown key `valeu` in an item of `headers` | not a key that patchbay knows here | did you mean `value`? accepted: `key`, `value`",
                ],
            ),
            (
                "- key: Content-Type\n          value: application/json",
                "- Content-Type",
                &["PB0104 error a.yaml:12:11 an item of `headers` must be an object | this is a string"],
            ),
            (
                "- key: Content-Type",
                "- key: Content-Type\n          value: text/plain\n        - key: Content-Type",
                &["PB0107 error a.yaml:14:16 `headers` has two items with `key: Content-Type` | second time"],
            ),
            (
                "key: Content-Type",
                "key: 7",
                &[r#"PB0104 error a.yaml:12:16 `headers[1].key` must be a string | this is a number | quote it: "7""#, "[..]"],
            ),
            (
                "value: application/json",
                "value: 7",
                &[
                    r#"PB0104 error a.yaml:13:18 `headers[key=Content-Type].value` must be a string | this is a number | quote it: "7""#,
                ],
            ),
        ],
    );
}

#[test]
fn constants_may_be_written_if_they_agree() {
    let agreeing =
        with(AZURE, "model: gpt-4o", "provider: Azure Open AI\n      modelType: EASY_INTEGRATION\n      model: gpt-4o");
    let outcome = read(&agreeing);
    assert_eq!(outcome.lines(), "");
    let keys: Vec<_> = outcome.at("kore/z").spec.as_map().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["connectionName", "model", "fields"]);
    table(
        &agreeing,
        &[
            (
                "provider: Azure Open AI",
                "provider: Open AI",
                &[
                    "PB0103 error a.yaml:7:17 `provider` must be `Azure Open AI` in this kind | the kind says otherwise | leave the line out (the kind implies it), or choose another kind",
                ],
            ),
            (
                "EASY_INTEGRATION",
                "[EASY_INTEGRATION]",
                &[
                    "PB0103 error a.yaml:8:18 `modelType` must be `EASY_INTEGRATION` in this kind | the kind says otherwise | [..]",
                ],
            ),
        ],
    );
}

#[test]
fn templates_take_the_type_of_their_field() {
    for (written, path, expected) in [
        ("retries: ${{ env.N }}", "retries", "12"),
        ("retries: ${{ env.N | int }}", "retries", "12"),
        ("retries: ${{ env.PADDED }}", "retries", "7"),
        ("weight: ${{ env.N }}", "weight", "12"),
        ("weight: ${{ env.HALF }}", "weight", "0.5"),
        ("loud: ${{ env.FLAG }}", "loud", "true"),
        ("loud: ${{ env.NOPE | default('false') }}", "loud", "false"),
        ("loud: ${{ 1 == 2 }}", "loud", "false"),
        ("upstream: ${{ env.N }}", "upstream", "secret 12"),
        ("upstream: n-${{ 1 + 1 }}", "upstream", "\"n-2\""),
        ("note: ${{ [1, 'x'] }}", "note", "[1,\"x\"]"),
        ("note: ${{ none }}", "note", "null"),
        ("note: ${{ env.N }}", "note", "secret 12"),
    ] {
        let outcome = read(&with(THING, "retries: 3", written));
        assert_eq!((outcome.lines().as_str(), outcome.value(path).as_str()), ("", expected), "{written}");
    }
}

#[test]
fn templates_of_another_type_are_refused() {
    table(
        THING,
        &[
            (
                "retries: 3",
                "retries: ${{ env.FLAG }}",
                &["PB0104 error a.yaml:7:16 `retries` must be a whole number | this is a string"],
            ),
            (
                "retries: 3",
                "retries: ${{ env.HALF }}",
                &["PB0104 error a.yaml:7:16 `retries` must be a whole number | this is a string"],
            ),
            ("retries: 3", "loud: ${{ env.N }}", &["PB0104 error a.yaml:7:13 `loud` must be a boolean | this is a string"]),
            ("retries: 3", "upstream: ${{ [1] }}", &["PB0104 error a.yaml:7:17 `upstream` must be a string | [..]"]),
        ],
    );
}

#[test]
fn broken_templates_point_at_the_expression() {
    table(
        OPENAI,
        &[
            (
                "gpt-4o",
                "gpt-${{ nope }}",
                &["PB0207 error a.yaml:7:22 this template cannot be rendered: [..] | here | available: [..]"],
            ),
            (
                "gpt-4o",
                "\"gpt-${{ nope }}\"",
                &["PB0207 error a.yaml:7:23 this template cannot be rendered: [..] | here | available: [..]"],
            ),
            (
                "gpt-4o",
                "gpt-${{ var.x",
                &["PB0207 error a.yaml:7:18 this template cannot be rendered: `${{` has no `}}` | here | available: [..]"],
            ),
            (
                "gpt-4o",
                "${{ var.x | nope }}",
                &["PB0207 error a.yaml:7:[..] this template cannot be rendered: [..] | here | available: [..]"],
            ),
            (
                "gpt-4o",
                "a-${{ [1] }}",
                &[
                    "PB0207 error a.yaml:7:20 this template cannot be rendered: inside a text, an expression must give a text, a number or a boolean | here | available: [..]",
                ],
            ),
            ("gpt-4o", "${{ 1 }}-${{ env.NOPE }}", &["PB0201 error a.yaml:7:27 environment variable `NOPE` is not set | [..]"]),
            (
                "gpt-4o",
                "|\n        gpt\n        ${{ env.NOPE }}",
                &["PB0201 error a.yaml:9:13 environment variable `NOPE` is not set | [..]"],
            ),
        ],
    );
}

#[test]
fn the_vendors_own_braces_and_nulls_pass_through() {
    let outcome = read(CUSTOM);
    assert_eq!(outcome.lines(), "");
    assert_eq!(outcome.value("payload"), r#"{"options":{"stop":null,"temperature":0.5},"prompt":"{{prompt}}"}"#);
    let outcome = read(&with(CUSTOM, "\"{{prompt}}\"", "\"{{ system }}, ${{ 'x' }}: {{prompt}} ${HOME} {% if %}\""));
    assert_eq!(outcome.value("payload.prompt"), r#""{{ system }}, x: {{prompt}} ${HOME} {% if %}""#);
    let outcome = read(&with(CUSTOM, "isEnable: true", "outputPath: null"));
    assert_eq!((outcome.value("outputPath").as_str(), outcome.value("inputTokensPath").as_str()), ("null", "nothing"));
}

#[test]
fn a_field_is_found_where_it_is_written() {
    let mut sources = Sources::default();
    let file = sources.add("a.yaml", CUSTOM);
    let root = super::super::yaml::parse(file, CUSTOM).unwrap().unwrap();
    let spec = root.get("connections").and_then(|c| c.get("gw")).and_then(|c| c.get("spec")).unwrap();
    let place = |span| sources.place(span).map(|p| format!("{}:{}", p.line, p.column)).unwrap_or_default();
    for (path, expected) in [
        ("model", "7:7 7:14"),
        ("payload.prompt", "15:9 15:17"),
        ("payload.options.temperature", "16:20 16:33"),
        ("headers[0]", "10:11 10:11"),
        ("headers[0].key", "10:11 10:16"),
        ("headers[key=Content-Type]", "12:11 12:11"),
        ("headers[key=Content-Type].value", "13:11 13:18"),
        ("", "nowhere"),
        ("nope", "nowhere"),
        ("model.x", "nowhere"),
        ("headers.key", "nowhere"),
        ("headers[7]", "nowhere"),
        ("headers[key=Accept]", "nowhere"),
        ("payload[0]", "nowhere"),
        ("payload[key=prompt]", "nowhere"),
    ] {
        let found = span_of(spec, &FieldPath::parse(path)).map(|(key, value)| format!("{} {}", place(key), place(value)));
        assert_eq!(found.as_deref().unwrap_or("nowhere"), expected, "{path}");
    }
}

#[test]
fn origins_name_the_source_of_a_value() {
    let text = with(CUSTOM, "application/json", "a/${{ env.N }}");
    let origins = read(&with(&text, "model: llama", "model: ${{ file('key.txt') }}")).at("kore/gw").origins.clone();
    let origins: Vec<String> = origins.into_iter().map(|(path, origin)| format!("{path} {origin}")).collect();
    assert_eq!(
        origins,
        ["headers[key=Authorization].value env.KEY", "headers[key=Content-Type].value env.N", "model file(key.txt)"]
    );
    let origins = read(&with(OPENAI, "gpt-4o", "${{ env.NOPE | default('m') }}")).at("kore/a").origins.clone();
    assert_eq!(origins["model"], "the default of env.NOPE");
}

#[test]
fn a_wanted_value_is_the_one_that_was_written() {
    let outcome = read(THING);
    assert_eq!(outcome.at("own/t").spec, Value::from(serde_json::json!({"name": "One", "retries": 3})));
}
