//! Every code of this layer, raised by the smallest mistake that raises it.

use std::collections::BTreeSet;

use super::{OPENAI, assert_lines, one, table, with};
use crate::diagnostic::{Code, codes};

/// A code, what to change in [`OPENAI`], and what is said then.
const CODES: &[(Code, &str, &str, &str)] = &[
    (
        codes::SYNTAX,
        "model: gpt-4o",
        "model: a: b",
        "PB0101 error a.yaml:7:15 not valid YAML: [..] | here | look at the line above, too: [..]",
    ),
    (
        codes::UNKNOWN_KEY,
        "model: gpt-4o",
        "model: gpt-4o\n      modle: gpt-4o",
        "PB0102 error a.yaml:8:7 unknown key `modle` in the OpenAI connection `a` | not a key that patchbay knows here | did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`",
    ),
    (
        codes::NOT_ACCEPTED,
        "model: gpt-4o",
        "model: gpt-4o\n      provider: Opne AI",
        "PB0103 error a.yaml:8:17 `provider` must be `Open AI` in this kind | the kind says otherwise | leave the line out (the kind implies it), or choose another kind",
    ),
    (
        codes::WRONG_TYPE,
        "model: gpt-4o",
        "model: 4.10",
        r#"PB0104 error a.yaml:7:14 `model` must be a string | this is a number | quote it: "4.10""#,
    ),
    (
        codes::MISSING_KEY,
        "      model: gpt-4o\n",
        "",
        "PB0105 error a.yaml:6:7 the OpenAI connection `a` needs a `model` | `model` is missing here | add a line `model: …`: Model identifier, for example gpt-4o",
    ),
    (
        codes::SAME_NAME,
        "connections:\n",
        "connections:\n  b: { target: kore, kind: openai, spec: { connectionName: A, model: m, fields: { API_KEY: '${{ env.KEY }}' } } }\n",
        "PB0106 error a.yaml:7:23 `kore/b` and `kore/a` have one name on target `kore`: `A` | the same name again | first here (a.yaml:2:60) | `connectionName` tells the connections of this API apart; give each its own",
    ),
    (
        codes::DUPLICATE_KEY,
        "model: gpt-4o",
        "model: gpt-4o\n      model: gpt-4o",
        "PB0107 error a.yaml:8:7 the key `[..]` stands here twice | second time | rename one of the two, or remove it",
    ),
    (
        codes::UNREADABLE,
        "env.KEY",
        "file('nope.txt')",
        "PB0108 error a.yaml:9:22 cannot read `nope.txt`: no such file | read here | paths are relative to the project folder",
    ),
    (
        codes::UNKNOWN_TARGET,
        "target: kore",
        "target: kroe",
        "PB0110 error a.yaml:3:13 there is no target `kroe` | not declared in patchbay.toml | did you mean `kore`?",
    ),
    (
        codes::UNKNOWN_KIND,
        "kind: openai",
        "kind: opnai",
        "PB0111 error a.yaml:4:11 platform `koreai` has no kind `opnai` | not a kind of this target's platform | did you mean `openai`? accepted: `openai`, `azure-openai`, `anthropic`, `custom`, `custom-existing`, `custom-legacy`",
    ),
    (
        codes::CYCLE,
        "spec:",
        "depends_on: [a]\n    spec:",
        "PB0112 error a.yaml:2:3 connections depend on each other in a circle: kore/a → kore/a | part of the circle | remove one of the references or `depends_on` entries",
    ),
    (
        codes::UNKNOWN_CONNECTION,
        "spec:",
        "depends_on: [base]\n    spec:",
        "PB0113 error a.yaml:5:18 no connection `base` is declared | refers to nothing",
    ),
    (
        codes::BAD_NAME,
        "  a:",
        "  a b:",
        "PB0115 error a.yaml:2:3 `a b` is not a usable connection key: only letters, digits, `.`, `_` and `-` are allowed | this key",
    ),
    (
        codes::VARIABLE_UNSET,
        "env.KEY",
        "env.NOPE",
        "PB0201 error a.yaml:9:22 environment variable `NOPE` is not set | used here, with no default | export NOPE, or put it in a file and pass `--env-file FILE` / to check the files without secrets: `patchbay validate --offline`",
    ),
    (
        codes::VARIABLE_EMPTY,
        "env.KEY",
        "env.EMPTY",
        r#"PB0202 error a.yaml:9:22 environment variable `EMPTY` is set and empty | used here, with no default | give EMPTY a value, or write `${{ env.EMPTY | default("…") }}`"#,
    ),
    (
        codes::LITERAL_SECRET,
        "${{ env.KEY }}",
        "sk-live-0123456789",
        "PB0203 error a.yaml:9:18 `fields.API_KEY` is a secret and stands in the file as it is | whoever reads this file has it | take it from the environment: ${{ env.API_KEY }} / or pass --allow-literal-secrets",
    ),
    (
        codes::UNRESOLVED,
        "env.KEY",
        "env.MASK",
        "PB0204 error a.yaml:9:18 the value of `fields.API_KEY` is a mask, not a secret | the value comes from here | APIs show masks in place of secrets; written back, the mask would become the key",
    ),
    (
        codes::STRAY_WHITESPACE,
        "env.KEY",
        "env.NEWLINE",
        "PB0205 error a.yaml:9:18 the value of `fields.API_KEY` has stray white space or a line break | the value comes from here | remove it where it is set, or write `| trim`",
    ),
    (
        codes::BOTH_SET,
        "env.KEY",
        "env.BOTH",
        "PB0206 error a.yaml:9:22 both `BOTH` and `BOTH_FILE` are set | it is not clear which one counts | unset BOTH or BOTH_FILE",
    ),
    (
        codes::TEMPLATE,
        "env.KEY",
        "nope",
        r#"PB0207 error a.yaml:9:22 this template cannot be rendered: [..] | here | available: env.NAME, var.NAME, file("path"), connection("key").id, and filters such as default, trim, b64decode"#,
    ),
];

#[test]
fn every_code_has_its_place_and_its_words() {
    for (code, from, to, expected) in CODES {
        assert!(expected.starts_with(&code.id()), "{expected}");
        table(OPENAI, &[(*from, *to, &[*expected])]);
    }
}

#[test]
fn no_code_of_this_layer_is_forgotten() {
    let shown: BTreeSet<Code> = CODES.iter().map(|(code, ..)| *code).collect();
    // Too deep: the next test. Definitions are the platform's. Nothing matches: raised by commands alone.
    let elsewhere = [codes::LIMIT, codes::BAD_DEFINITION, codes::NOT_FOUND];
    for (code, title) in codes::ALL {
        let ours = ("PB0101".."PB0300").contains(&code.id().as_str());
        assert!(!ours || shown.contains(code) || elsewhere.contains(code), "{} {title}", code.id());
    }
}

#[test]
fn what_is_too_deep_is_refused() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_lines(
        &one(&with(OPENAI, "gpt-4o", &deep)),
        &[
            "PB0109 error a.yaml:[..] the file is beyond what patchbay reads: [..] | the limit is reached here | at most 64 levels, [..]",
        ],
        "200 levels",
    );
}
