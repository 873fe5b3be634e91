//! The gateway's providers, on the server that was seen and on the documented one.

use serde_json::{Value, json};

use crate::profile::{Drift, Line, Profile, Rotation, Served, Shows, Strikes, Theirs, blocked, changed, line, nothing, update};

const FIRST: &str = "first-secret-000000";
const SECOND: &str = "second-secret-00000";
const THEIRS: &str = "their-secret-000000";

/// The request that creates, and that updates everything.
fn post(name: &str, display_name: &str, base_url: &str) -> Line {
    let metadata = json!({ "displayName": display_name, "baseUrl": base_url });
    line("POST /api/providers", json!({ "name": name, "apiKey": "(secret)", "metadata": metadata }))
}

/// The verb that only one of the servers has; the other one is then asked to take everything.
fn put(has_put: bool, body: Value, otherwise: Line) -> Vec<Line> {
    let put = line("PUT /api/providers/{id}", body);
    if has_put { vec![put] } else { vec![put, otherwise] }
}

fn provider(quirks: &'static str, has_put: bool, twin: Option<(&'static str, &'static str)>) -> Profile {
    // An update spells the name as the server does.
    let stored = if has_put { "house" } else { "House" };
    let (eu, us) = ("https://eu.house.example/v1", "https://us.house.example/v1");
    Profile {
        platform: "gateway",
        kind: "provider",
        quirks,
        spec: r"      name: House
      apiKey: ${{ env.SECRET }}
      metadata: { displayName: Our house, baseUrl: https://eu.house.example/v1 }
",
        create: post("House", "Our house", eu),
        create_is_repeated: true,
        edits: vec![
            blocked("the name, which is the id", &["name"], "name: House", "name: Barn"),
            nothing("two spellings of a name", "name: House", "name: HOUSE"),
            update(
                "a nested field that is read elsewhere",
                &["metadata.displayName"],
                "Our house",
                "Our barn",
                put(has_put, json!({ "displayName": "Our barn" }), post(stored, "Our barn", eu)),
            ),
            nothing("two spellings of a URL", "https://eu.house.example/v1", "https://EU.house.example/v1/"),
            update(
                "a nested URL, which takes the key along",
                &["metadata.baseUrl"],
                "https://eu.house.example/v1",
                "https://us.house.example/v1",
                vec![post(stored, "Our barn", us)],
            ),
        ],
        secrets: vec![Rotation {
            field: "apiKey",
            variable: "SECRET",
            first: FIRST,
            second: SECOND,
            prefix: "",
            at: "/apiKey",
            sends: put(has_put, json!({ "apiKey": "(secret)" }), post(stored, "Our barn", us)),
        }],
        drifts: vec![
            changed("a nested field that is read elsewhere", "/displayName", "Theirs", "metadata.displayName"),
            changed("a nested URL", "/baseUrl", "https://theirs.example", "metadata.baseUrl"),
            Drift {
                class: "a secret that never shows",
                at: "/apiKey",
                theirs: Theirs::Secret(THEIRS),
                path: "apiKey",
                shows: Shows::Doubt(&["apiKey modified-outside"]),
            },
        ],
        doubts: &[],
        doubts_when_new: &[],
        never_shown: &[],
        twin,
        delete: Some(line("DELETE /api/providers/{id}", Value::Null)),
        gone_is_a_failure: false,
        served: Served::Own,
        strikes: Strikes::All,
    }
}

/// It lower-cases every name, so one name is one provider.
pub(crate) fn seen() -> Profile {
    provider("gateway=seen", true, None)
}

/// It tells names apart by their case, and patchbay does not.
pub(crate) fn documented() -> Profile {
    provider("gateway=documented", false, Some(("/name", "HOUSE")))
}
