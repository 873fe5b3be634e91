//! What holds for every text, not only for the ones that somebody thought of.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::node::Node;
use super::super::template::Renderer;
use super::super::yaml;
use super::{Case, OPENAI, scope, show, with};
use crate::source::Sources;

/// The same secret wherever a template may stand, rightly and wrongly.
const EVERYWHERE: &str = r#"connections:
  a:
    target: kore
    kind: custom
    depends_on: [nothing]
    spec:
      connectionName: ${{ env.KEY }}
      model: ${{ env.KEY | int }}
      endpointUrl: ${{ env.KEY.x.y }}
      headers:
        - { key: Accept, value: "${{ env.KEY + 1 }}" }
        - { key: Authorization, value: "Bearer ${{ env.KEY }}" }
        - { key: X-A, value: "${{ env.KEY | b64decode }}" }
        - { key: X-B, value: "${{ env.KEY() }}" }
        - { key: X-C, value: "${{ connection('b').id }}${{ env.KEY }}" }
      payload: ${{ env.KEY }}
      promptVars: ["${{ env.KEY }}", "${{ env.KEY | nope }}"]
      status: ${{ env.KEY }}
      isEnable: ${{ env.KEY }}
      unheard: ${{ env.KEY }}
"#;

/// What YAML files are made of, and what they are broken with.
const TOKENS: &[&str] = &[
    "connections:",
    "moved:",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    "\n      ",
    " ",
    "a:",
    "target: kore",
    "kind: openai",
    "spec:",
    "fields:",
    "API_KEY: ",
    "${{ env.KEY }}",
    "${{ ",
    " }}",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "&x ",
    "*x",
    "<<: ",
    "'",
    "\"",
    "|",
    ">",
    "#",
    "é",
    "\t",
    "!t ",
    "~",
    "1",
    "---",
];

fn settings() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|n| Json::Number(n.into())),
        "[a-zé~<: #'{}$-]{0,8}".prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map("[a-d]{1,2}", inner, 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn node(json: &Json) -> Node {
    let text = json.to_string();
    let file = Sources::default().add("a.yaml", text.as_str());
    yaml::parse(file, &text).unwrap().unwrap()
}

/// Is everything that `over` says in `merged` too?
fn says(merged: &Json, over: &Json) -> bool {
    match (merged, over) {
        (Json::Object(merged), Json::Object(over)) => {
            over.iter().all(|(key, value)| merged.get(key).is_some_and(|mine| says(mine, value)))
        }
        _ => merged == over,
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn a_text_without_a_template_is_left_alone(text in "[a-c${} \n]{0,24}") {
        prop_assume!(!text.contains("${{"));
        let rendered = Renderer::new(&scope(&[], false)).render(&text, None).unwrap();
        prop_assert_eq!(rendered.value.as_str(), Some(text.as_str()));
        prop_assert!(rendered.origins.is_empty() && rendered.references.is_empty());
    }

    #[test]
    fn a_value_is_put_in_as_it_is(before in "[a-c${} ]{0,8}", value in "[!-~]{1,12}", after in "[a-c${} ]{0,8}") {
        prop_assume!(!before.contains("${{") && !after.contains("${{"));
        let renderer = Renderer::new(&scope(&[("V", &value)], false));
        let rendered = renderer.render(&format!("{before}${{{{ env.V }}}}{after}"), None).unwrap();
        prop_assert_eq!(show(Some(&rendered.value)), format!("secret {before}{value}{after}"));
    }

    #[test]
    fn a_secret_of_the_environment_is_never_said(tail in "[!-~]{10,24}") {
        let secret = format!("zq9{tail}");
        let env = [("KORE_KEY", secret.as_str()), ("KEY", secret.as_str())];
        let outcome = Case { files: &[("a.yaml", EVERYWHERE)], env: &env, ..Case::default() }.run();
        let lines = outcome.lines();
        prop_assert!(outcome.found.len() >= 8, "{}", lines);
        prop_assert!(!lines.contains("zq9"), "{}", lines);
        let text = format!("{:?} {:?} {:?}", outcome.found, outcome.desired, outcome.project);
        prop_assert!(!text.contains("zq9"), "a secret in a Debug text");
    }

    #[test]
    fn a_literal_secret_is_stars_and_nothing_else_is(secret in "[!-~]{12,24}") {
        prop_assume!(!secret.contains("${{"));
        let quoted = format!("'{}'", secret.replace('\'', "''"));
        let text = with(OPENAI, "${{ env.KEY }}", &quoted);
        let outcome = Case { files: &[("a.yaml", &text)], ..Case::default() }.run();
        prop_assert_eq!(outcome.value("fields.API_KEY"), format!("secret {secret}"));
        prop_assert_eq!(outcome.shown(), with(&text, &quoted, &"*".repeat(quoted.len())));
        prop_assert!(!outcome.lines().contains(&secret));
    }

    #[test]
    fn whatever_the_text_every_label_lies_in_it(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..32)) {
        let text = tokens.concat();
        let outcome = Case { files: &[("a.yaml", &text)], ..Case::default() }.run();
        for label in outcome.found.iter().flat_map(|d| &d.labels) {
            let length = outcome.sources.file(label.span.file).map_or(0, |file| file.text.len());
            prop_assert!(label.span.start <= label.span.end && label.span.end as usize <= length, "{:?} in {:?}", label, text);
            prop_assert!(outcome.sources.place(label.span).is_some(), "{:?} in {:?}", label, text);
        }
        prop_assert_eq!(outcome.shown().len(), text.len());
    }

    #[test]
    fn json_is_yaml(json in any_json()) {
        prop_assert_eq!(node(&json).to_json(), json);
    }

    #[test]
    fn a_profile_wins_and_loses_nothing(base in any_json(), over in any_json()) {
        let mut merged = node(&base);
        merged.merge(&node(&over));
        let once = merged.to_json();
        prop_assert!(says(&once, &over), "{} over {} is {}", over, base, once);
        if let (Json::Object(base), Json::Object(over)) = (&base, &over) {
            prop_assert!(base.iter().all(|(key, value)| over.contains_key(key) || once.get(key) == Some(value)));
        }
        merged.merge(&node(&over));
        prop_assert_eq!(merged.to_json(), once);
    }
}
