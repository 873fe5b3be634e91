//! What is a secret, which secrets are refused, and that none is ever shown.

use super::{CUSTOM, Case, ENV, LiteralSecrets, OPENAI, TOML, assert_lines, check, one, read, table, with};

/// A literal secret that no message and no shown text may hold.
const LITERAL: &str = "hunter2hunter2";

#[test]
fn a_secret_is_one_by_its_field_its_header_or_its_origin() {
    for (from, to, path, expected) in [
        ("env.KEY", "env.KEY", "headers[key=Authorization].value", "secret Bearer sk-live-0123456789"),
        ("Bearer ${{ env.KEY }}", LITERAL, "headers[key=Authorization].value", "secret hunter2hunter2"),
        ("application/json", "application/json", "headers[key=Content-Type].value", "\"application/json\""),
        ("application/json", "${{ env.N }}", "headers[key=Content-Type].value", "secret 12"),
        ("application/json", "v${{ 1 }}", "headers[key=Content-Type].value", "\"v1\""),
        ("key: Content-Type", "key: x-api-key", "headers[key=x-api-key].value", "secret application/json"),
        ("key: Content-Type", "key: X-Tenant", "headers[key=X-Tenant].value", "\"application/json\""),
        ("application/json", "${{ env.KEY | nonsensitive }}", "headers[key=Content-Type].value", "\"sk-live-0123456789\""),
        (
            "Bearer ${{ env.KEY }}",
            "${{ env.KEY | nonsensitive }}",
            "headers[key=Authorization].value",
            "secret sk-live-0123456789",
        ),
        ("0.5", "\"${{ env.KEY }}\"", "payload.options.temperature", "secret sk-live-0123456789"),
        ("model: llama", "model: ${{ file('key.txt') }}", "model", "secret sk-from-file"),
        ("model: llama", "model: ${{ env.MOUNTED }}", "model", "secret sk-from-file"),
        ("model: llama", "model: ${{ env.NOPE | default('d') }}", "model", "secret d"),
    ] {
        let outcome = read(&with(CUSTOM, from, to));
        assert_eq!((outcome.lines().as_str(), outcome.value(path).as_str()), ("", expected), "{to}");
    }
}

#[test]
fn the_policy_for_literal_secrets_decides_how_bad_one_is() {
    let yaml = with(OPENAI, "${{ env.KEY }}", LITERAL);
    let said = "`fields.API_KEY` is a secret and stands in the file as it is | whoever reads this file has it | take it from the environment: ${{ env.API_KEY }} / or pass --allow-literal-secrets";
    for (literals, expected) in [
        (LiteralSecrets::Refuse, format!("PB0203 error a.yaml:9:18 {said}")),
        (LiteralSecrets::Warn, format!("PB0203 warning a.yaml:9:18 {said}")),
        (LiteralSecrets::Allow, String::new()),
    ] {
        let outcome = Case { files: &[("a.yaml", &yaml)], literals, ..Case::default() }.run();
        assert_eq!(outcome.lines(), expected, "{literals:?}");
        assert_eq!(outcome.value("fields.API_KEY"), "secret hunter2hunter2", "{literals:?}");
        assert_eq!(outcome.shown(), yaml.replace(LITERAL, "**************"), "{literals:?}");
    }
}

#[test]
fn literal_secrets_are_found_in_every_secret_field() {
    table(
        CUSTOM,
        &[
            (
                "Bearer ${{ env.KEY }}",
                "Bearer abcdef",
                &["PB0203 error a.yaml:11:18 `headers[key=Authorization].value` is a secret and stands [..]"],
            ),
            (
                "key: Content-Type",
                "key: x-api-key",
                &["PB0203 error a.yaml:13:18 `headers[key=x-api-key].value` is a secret and stands [..]"],
            ),
            (
                "key: Content-Type",
                "key: X-Auth-Token",
                &["PB0203 error a.yaml:13:18 `headers[key=X-Auth-Token].value` is a secret and stands [..]"],
            ),
            ("key: Content-Type", "key: anthropic-version", &[]),
            (
                "key: Content-Type\n          value: application/json",
                "value: abcdef",
                &[
                    "PB0105 error a.yaml:12:11 an item of `headers` needs a `key` | `key` is missing here",
                    "PB0203 error a.yaml:12:18 `headers[1].value` is a secret and stands [..]",
                ],
            ),
        ],
    );
}

#[test]
fn what_cannot_be_a_secret_is_refused_wherever_it_comes_from() {
    let mask = "PB0204 error a.yaml:9:18 the value of `fields.API_KEY` is a mask, not a secret | the value comes from here | APIs show masks[..]";
    let unresolved = "PB0204 error a.yaml:9:18 the value of `fields.API_KEY` is an unresolved reference, not a secret | the value comes from here | resolve it first: [..]";
    let placeholder = "PB0204 error a.yaml:9:18 the value of `fields.API_KEY` is a placeholder, not a secret | the value comes from here | put the real value into the environment";
    let shell = "PB0204 error a.yaml:9:18 the value of `fields.API_KEY` is a shell's variable, not a secret | the value comes from here | patchbay's form is ${{ env.NAME }}";
    let stray = "PB0205 error a.yaml:9:18 the value of `fields.API_KEY` has stray white space or a line break | the value comes from here | remove it where it is set, or write `| trim`";
    for (value, expected) in [
        ("sk-***************", mask),
        ("sk***************MQAA", mask),
        ("sk-...cdef", mask),
        ("••••••••", mask),
        ("op://vault/item/key", unresolved),
        ("vault:secret/kore#key", unresolved),
        ("ENC[AES256_GCM,data:x]", unresolved),
        ("${KORE_KEY}", shell),
        ("$KORE_KEY", shell),
        ("Bearer $KORE_KEY", shell),
        ("${KORE_KEY:-x}", unresolved),
        ("{{ KORE_KEY }}", unresolved),
        (" {{ KORE_KEY }}", unresolved),
        ("changeme", placeholder),
        ("ChangeMe", placeholder),
        ("<your-api-key>", placeholder),
        ("YOUR_API_KEY", placeholder),
        ("   ", placeholder),
        (" sk-live-1", stray),
        ("sk-live-1\t", stray),
        ("sk-live-1\n", stray),
        ("sk-live\n-1", stray),
    ] {
        let env = [("KORE_KEY", "kore-secret-1"), ("KEY", value)];
        assert_lines(&check(TOML, &[("a.yaml", OPENAI)], &env), &[expected], value);
        let literal = with(OPENAI, "${{ env.KEY }}", &serde_json::Value::from(value).to_string());
        assert_lines(&read(&literal).lines(), &[expected], value);
    }
    for value in [
        "sk-live-1",
        "a very long pass phrase... with dots inside",
        "x*y",
        "{json}",
        "changeme-not",
        "$Abc9",
        "<x>y",
        "yours-truly-1",
    ] {
        let env = [("KORE_KEY", "kore-secret-1"), ("KEY", value)];
        assert_eq!(check(TOML, &[("a.yaml", OPENAI)], &env), "", "{value}");
    }
}

#[test]
fn both_complaints_about_one_literal_are_made() {
    assert_lines(
        &one(&with(OPENAI, "${{ env.KEY }}", "changeme")),
        &["PB0204 error a.yaml:9:18 [..]", "PB0203 error a.yaml:9:18 [..]"],
        "a placeholder in the file",
    );
}

#[test]
fn a_header_is_checked_as_a_whole() {
    for (key, expected) in [
        ("sk-***************", "PB0204 error a.yaml:11:18 the value of `headers[key=Authorization].value` is a mask, [..]"),
        ("sk-live-1\n", "PB0205 error a.yaml:11:18 the value of `headers[key=Authorization].value` has stray [..]"),
    ] {
        let env = [("KORE_KEY", "kore-secret-1"), ("KEY", key)];
        assert_lines(&check(TOML, &[("a.yaml", CUSTOM)], &env), &[expected], key);
    }
}

#[test]
fn a_filter_heals_what_was_refused() {
    let outcome = read(&with(OPENAI, "env.KEY", "env.NEWLINE | trim"));
    assert_eq!((outcome.lines().as_str(), outcome.value("fields.API_KEY").as_str()), ("", "secret sk-live-0123456789"));
}

/// The labels of all these texts in which the literal secret can still be read.
fn leaks(texts: &[(&str, String)]) -> Vec<String> {
    let mut all = Vec::new();
    for (what, text) in texts {
        assert!(text.contains(LITERAL), "{what}");
        let outcome = Case { files: &[("a.yaml", text)], env: ENV, ..Case::default() }.run();
        if outcome.lines().contains(LITERAL) {
            all.push(format!("{what}: said"));
        }
        let shown = outcome.shown();
        if shown.contains(LITERAL) {
            all.push(format!("{what}: shown"));
        }
        assert_eq!(shown.len(), text.len(), "{what}");
    }
    all
}

#[test]
fn a_literal_secret_is_never_shown() {
    let openai = |to: &str| with(OPENAI, "${{ env.KEY }}", to);
    let custom = |from: &str, to: &str| with(CUSTOM, from, to);
    let texts = [
        ("a plain text", openai(LITERAL)),
        ("a quoted text", openai(&format!("\"{LITERAL}\""))),
        ("a text of several lines", openai(&format!("|\n          first\n          {LITERAL}"))),
        ("a folded text", openai(&format!(">-\n          first\n          {LITERAL}"))),
        ("a header", custom("Bearer ${{ env.KEY }}", &format!("Bearer {LITERAL}"))),
        ("a header without a key", custom("key: Content-Type\n          value: application/json", &format!("value: {LITERAL}"))),
        ("an unknown key", with(OPENAI, "API_KEY: ${{ env.KEY }}", &format!("API_KYE: {LITERAL}"))),
        ("an unknown key of the spec", with(OPENAI, "model:", &format!("apiKey: {LITERAL}\n      model:"))),
        ("an unknown key of an item", custom("value: application/json", &format!("valeu: {LITERAL}"))),
        ("a broken template beside it", with(&openai(LITERAL), "gpt-4o", "${{ nope }}")),
    ];
    assert_eq!(leaks(&texts), Vec::<String>::new());
}

#[test]
fn a_misplaced_literal_secret_is_not_shown_either() {
    let secret = with(OPENAI, "${{ env.KEY }}", LITERAL);
    let headers = "headers:\n        - key: Authorization\n          value: Bearer ${{ env.KEY }}\n        - key: Content-Type\n          value: application/json";
    let texts = [
        ("under an unknown key of several lines", with(&secret, "fields:", "feilds:")),
        ("in a list of a secret field", with(OPENAI, "${{ env.KEY }}", &format!("[{LITERAL}]"))),
        ("in an object of a secret field", with(OPENAI, "${{ env.KEY }}", &format!("{{ value: {LITERAL} }}"))),
        ("in place of the object around it", with(OPENAI, "\n        API_KEY: ${{ env.KEY }}", &format!(" {LITERAL}"))),
        ("in headers as an object", with(CUSTOM, headers, &format!("headers: {{ Authorization: Bearer {LITERAL} }}"))),
        (
            "in a header as a text",
            with(CUSTOM, "- key: Content-Type\n          value: application/json", &format!("- 'Authorization: {LITERAL}'")),
        ),
        ("outside the spec", with(OPENAI, "    spec:", &format!("    fields: {{ API_KEY: {LITERAL} }}\n    spec:"))),
        ("of an unknown kind", with(&secret, "kind: openai", "kind: opnai")),
        ("on an unknown target", with(&secret, "target: kore", "target: kroe")),
        ("without a target", with(&secret, "    target: kore\n", "")),
        ("under a key that is no name", with(&secret, "  a:", "  a b:")),
    ];
    assert_eq!(leaks(&texts), Vec::<String>::new());
}

#[test]
fn a_secret_of_digits_is_not_repeated_in_the_help() {
    let lines = one(&with(OPENAI, "${{ env.KEY }}", "123456789012"));
    assert!(lines.contains("PB0104 error a.yaml:9:18 `fields.API_KEY` must be a string | this is a number"), "{lines}");
    assert!(!lines.contains("123456789012"), "{lines}");
}

#[test]
fn a_byte_order_mark_shifts_nothing() {
    let text = format!("\u{feff}{}", with(&with(OPENAI, "${{ env.KEY }}", LITERAL), "gpt-4o", "4"));
    let outcome = Case { files: &[("a.yaml", &text)], ..Case::default() }.run();
    assert_lines(
        &outcome.lines(),
        &[
            r#"PB0104 error a.yaml:7:14 `model` must be a string | this is a number | quote it: "4""#,
            "PB0203 error a.yaml:9:18 `fields.API_KEY` is a secret [..]",
        ],
        "columns",
    );
    assert_eq!(outcome.shown(), text.replace(LITERAL, "**************"));
}

#[test]
fn a_secret_used_as_a_name_is_not_said() {
    for template in ["${{ file(env.KEY) }}", "${{ connection(env.KEY).id }}", "${{ env[env.KEY] }}"] {
        let lines = one(&with(OPENAI, "gpt-4o", template));
        assert!(lines.starts_with("PB0") && !lines.contains("sk-live-0123456789"), "{template}: {lines}");
    }
}
