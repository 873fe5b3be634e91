//! Flashback's configurations, with errors by status and with errors under 200.

use serde_json::{Value, json};

use crate::profile::{Drift, Line, Profile, Rotation, Served, Shows, Strikes, Theirs, blocked, changed, line, nothing, update};

const DOUBTS: &[&str] = &["key no-evidence", "secret no-evidence"];

fn put(body: Value) -> Vec<Line> {
    vec![line("PUT /ai/llm/{id}", body)]
}

pub(crate) fn llm(quirks: &'static str) -> Profile {
    Profile {
        platform: "flashback",
        kind: "llm",
        quirks,
        spec: r"      name: under-test
      aiType: AWS
      endpoint: https://bedrock.example/v1
      key: ${{ env.KEY }}
      secret: ${{ env.SECRET }}
      workspaceId: ws-1
",
        create: line(
            "POST /ai/llm",
            json!({
                "name": "under-test", "aiType": "AWS", "endpoint": "https://bedrock.example/v1", "key": "(secret)",
                "secret": "(secret)", "workspaceId": "ws-1"
            }),
        ),
        create_is_repeated: false,
        edits: vec![
            blocked("the workspace, which stays", &["workspaceId"], "workspaceId: ws-1", "workspaceId: ws-2"),
            update("the name", &["name"], "name: under-test", "name: renamed", put(json!({ "name": "renamed" }))),
            update("an enum", &["aiType"], "aiType: AWS", "aiType: OTHER", put(json!({ "aiType": "OTHER" }))),
            nothing("two spellings of a URL", "https://bedrock.example/v1", "https://BEDROCK.example/v1/"),
            update(
                "a URL",
                &["endpoint"],
                "https://bedrock.example/v1",
                "https://bedrock.example/v2",
                put(json!({ "endpoint": "https://bedrock.example/v2" })),
            ),
            update(
                "a field that was not there, read under another name",
                &["apiKeyUuid"],
                "      workspaceId: ws-1",
                "      apiKeyUuid: uuid-1\n      workspaceId: ws-1",
                put(json!({ "apiKeyUuid": "uuid-1" })),
            ),
            update(
                "a field that is read under another name",
                &["apiKeyUuid"],
                "uuid-1",
                "uuid-2",
                put(json!({ "apiKeyUuid": "uuid-2" })),
            ),
        ],
        secrets: vec![
            Rotation {
                field: "key",
                variable: "KEY",
                first: "AKIA-FIRST-000000000",
                second: "AKIA-SECOND-00000000",
                prefix: "",
                at: "/key",
                sends: put(json!({ "key": "(secret)" })),
            },
            Rotation {
                field: "secret",
                variable: "SECRET",
                first: "first-secret-000000",
                second: "second-secret-00000",
                prefix: "",
                at: "/secret",
                sends: put(json!({ "secret": "(secret)" })),
            },
        ],
        drifts: vec![
            changed("the name", "/name", "theirs", "name"),
            changed("an enum", "/aiType", "GOOGLE", "aiType"),
            changed("a URL", "/endpoint", "https://theirs.example", "endpoint"),
            changed("a field that is read under another name", "/apiKeyId", "uuid-theirs", "apiKeyUuid"),
            Drift {
                class: "a field that cannot be changed",
                at: "/workspaceId",
                theirs: Theirs::Value("ws-theirs".into()),
                path: "workspaceId",
                shows: Shows::Blocked,
            },
            Drift {
                class: "a secret that its mask gives away",
                at: "/key",
                theirs: Theirs::Secret("sk-theirs-000000000"),
                path: "key",
                shows: Shows::Rotate,
            },
            Drift {
                class: "a secret that never shows",
                at: "/secret",
                theirs: Theirs::Secret("their-secret-000000"),
                path: "secret",
                shows: Shows::Doubt(DOUBTS),
            },
        ],
        doubts: DOUBTS,
        doubts_when_new: DOUBTS,
        never_shown: &[],
        twin: Some(("/id", "twin")),
        delete: Some(line("DELETE /ai/llm/{id}", Value::Null)),
        gone_is_a_failure: quirks == "flashback_errors=ok",
        served: Served::Own,
        strikes: Strikes::All,
    }
}
