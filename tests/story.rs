//! The whole way, once: what a user does with a Kore.ai target from an empty account, told against every read-back that
//! the vendor may turn out to have.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server};
use patchbay::sandbox::Platform;

const CONNECTIONS: &str = r#"connections:
  support-gpt4o:
    target: kore
    kind: openai
    spec:
      connectionName: Support GPT-4o
      model: gpt-4o
      fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
  azure-gpt4:
    target: kore
    kind: azure-openai
    spec:
      connectionName: Azure GPT-4
      model: GPT-4
      fields:
        API_KEY: ${{ env.AZURE_API_KEY }}
        api_version: 2024-08-01-preview
        your_resource_name: acme-eu
        deployment_id: gpt4-eu
  claude:
    target: kore
    kind: anthropic
    spec:
      connectionName: Anthropic Claude
      model: claude-3-5-haiku-20241022
      fields: { API_KEY: "${{ env.ANTHROPIC_API_KEY }}" }
  own-api:
    target: kore
    kind: custom
    spec:
      connectionName: CustomProvider
      model: CustomProvider
      endpointUrl: https://llm.example/v1/messages
      headers:
        - { key: x-api-key, value: "${{ env.LLM_API_KEY }}" }
        - { key: Content-Type, value: application/json }
      promptVars:
        - { name: prompt, displayName: Prompt, status: true, dataType: String, elementType: textBox, defaultValue: hlo, required: true }
      customVars: []
      payload:
        model: m-1
        max_tokens: 1024
        messages: [{ role: user, content: "{{prompt}}" }]
      outputPath: content[0].text
      inputTokensPath: usage.input_tokens
      outputTokensPath: usage.output_tokens
      status: DRAFT
      isEnable: true
  groq:
    target: kore
    kind: custom-existing
    spec:
      connectionName: Groq LLaMA
      model: llama3-8b-8192
      endpointUrl: https://api.groq.example/openai/v1/chat/completions
      headers:
        - { key: Authorization, value: "Bearer ${{ env.GROQ_API_KEY }}" }
      mapProvider: openAIModel
      llmFeatures: { toolCalling: true, streaming: false }
      IOMappings: [textToText, imageToText]
      status: FINALIZED
      idp: none
  old-form:
    target: kore
    kind: custom-legacy
    spec:
      connectionName: My Custom API
      fields: { BASE_URL: https://api.example.com, API_KEY: "${{ env.LEGACY_KEY }}" }
"#;

fn project(server: &Server) -> Project {
    Project::kore(&server.url(), CONNECTIONS)
        .with("OPENAI_API_KEY", "sk-openai-first-000MQAA")
        .with("AZURE_API_KEY", "azure-first-00000000")
        .with("ANTHROPIC_API_KEY", "sk-ant-first-0000")
        .with("LLM_API_KEY", "llm-first-000000")
        .with("GROQ_API_KEY", "gsk_first_0000000")
        .with("LEGACY_KEY", "legacy-first-0000")
}

fn tell(settings: &str) {
    let server = Server::quirky(settings);
    let mut project = project(&server);

    // Create, and the second plan is empty.
    assert_eq!(project.planned().len(), 6, "{settings}");
    project.apply();
    assert_eq!(server.writes().iter().filter(|w| w.starts_with("POST")).count(), 6, "{settings}");
    project.assert_empty_plan();
    assert_eq!(server.lines(), ["GET /api/public/connections?limit=1000"], "{settings}: an unmoved account costs one request");
    let ran = project.run(&["plan", "--refresh", "full", "--detailed-exitcode"]);
    assert_eq!(ran.code, 0, "{settings}: {ran}");

    // A key rotated in the environment: one PATCH that carries only that key.
    project.set("OPENAI_API_KEY", "sk-openai-second-00ZZZZ");
    assert_eq!(project.planned(), ["kore/support-gpt4o rotate"], "{settings}");
    server.clear_requests();
    project.apply();
    let writes = server.writes();
    assert_eq!(writes.len(), 1, "{settings}: {writes:?}");
    assert!(writes[0].starts_with("PATCH /api/public/connections/cn-… {\"fields\":{\"API_KEY\":\"(secret b3:"), "{writes:?}");
    assert!(writes[0].ends_with(")\"}}") && writes[0].matches(':').count() == 3, "{writes:?}");
    project.assert_empty_plan();

    // The model of an OpenAI connection cannot be changed: blocked, with the reason, and nothing else is held up.
    project.replace("connections/all.yaml", "model: gpt-4o", "model: gpt-4o-mini");
    let ran = project.run(&["plan"]);
    assert_eq!(ran.code, 4, "{settings}: {ran}");
    let said = ran.stdout.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("PB0401")
            && said.contains("model gpt-4o → gpt-4o-mini")
            && said.contains("PATCH changes only `fields.API_KEY`"),
        "{ran}"
    );
    assert!(said.contains("has no DELETE") && ran.stderr.contains("1 connection is blocked"), "{ran}");
    assert_eq!(project.planned(), ["kore/support-gpt4o blocked"]);
    assert_eq!(project.run(&["apply", "--yes"]).code, 4);
    project.replace("connections/all.yaml", "model: gpt-4o-mini", "model: gpt-4o");
    project.assert_empty_plan();

    // A custom connection edited: a PATCH with only the changed fields.
    server.clear_requests();
    project.replace("connections/all.yaml", "outputPath: content[0].text", "outputPath: result.text");
    assert_eq!(project.planned(), ["kore/own-api update"], "{settings}");
    project.apply();
    assert_eq!(server.writes(), [r#"PATCH /api/public/connections/cn-… {"outputPath":"result.text"}"#], "{settings}");
    project.assert_empty_plan();

    // The vendor's placeholders travel untouched, in an edit of the payload, too.
    server.clear_requests();
    project.replace("connections/all.yaml", "max_tokens: 1024", "max_tokens: 4096");
    project.apply();
    let writes = server.writes();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].contains("{{prompt}}") && writes[0].contains("4096") && !writes[0].contains("outputPath"), "{writes:?}");
    project.assert_empty_plan();

    // DRAFT is finalised: a PUT with everything.
    server.clear_requests();
    project.replace("connections/all.yaml", "status: DRAFT", "status: FINALIZED");
    project.apply();
    let writes = server.writes();
    assert_eq!(writes.len(), 1, "{settings}: {writes:?}");
    assert!(writes[0].starts_with("PUT "), "{writes:?}");
    for field in [
        "connectionName",
        "model",
        "endpointUrl",
        "headers",
        "promptVars",
        "customVars",
        "payload",
        "outputPath",
        "inputTokensPath",
        "outputTokensPath",
        "status",
        "isEnable",
    ] {
        assert!(writes[0].contains(&format!("\"{field}\":")), "{settings}: {field} is missing in {writes:?}");
    }
    assert!(!writes[0].contains('*'), "no mask is ever written: {writes:?}");
    project.assert_empty_plan();

    // A secret inside the headers list.
    server.clear_requests();
    project.set("GROQ_API_KEY", "gsk_second_000000");
    assert_eq!(project.planned(), ["kore/groq rotate"], "{settings}");
    project.apply();
    let writes = server.writes();
    assert_eq!(writes.len(), 1);
    assert!(
        writes[0].starts_with("PATCH ") && writes[0].contains("Authorization") && !writes[0].contains("mapProvider"),
        "{writes:?}"
    );
    project.assert_empty_plan();

    // A connection leaves the files: an orphan, never a DELETE.
    let text = project.read("connections/all.yaml");
    let (kept, removed) = text.split_once("  old-form:").unwrap();
    project.write("connections/all.yaml", kept);
    server.clear_requests();
    assert_eq!(project.planned(), ["kore/old-form orphan"], "{settings}");
    let ran = project.apply();
    assert!(ran.stdout.contains("orphan"), "{ran}");
    assert!(server.requests().iter().all(|r| r.method == "GET"), "{settings}: nothing is deleted");
    assert_eq!(project.planned(), ["kore/old-form orphan"], "{settings}: reported until it is resolved");
    project.write("connections/all.yaml", &format!("{kept}  old-form:{removed}"));
    project.assert_empty_plan();
}

#[test]
fn with_everything_read_back() {
    tell("");
}

#[test]
fn with_only_the_top_level_read_back() {
    tell("read_back=top-level");
}

#[test]
fn with_the_written_status_read_back() {
    tell("status_words=written");
}

#[test]
fn with_nested_objects_merged_by_patch() {
    tell("patch_merges_objects=true");
}

#[test]
fn a_feature_is_changed_without_losing_its_neighbours() {
    for settings in ["patch_merges_objects=true", "patch_merges_objects=false"] {
        let server = Server::quirky(settings);
        let project = project(&server);
        project.apply();
        let features = |store: &patchbay::sandbox::Store| {
            let id = store.find(Platform::Koreai, "Groq LLaMA").unwrap();
            store.get(Platform::Koreai, id).unwrap()["llmFeatures"].clone()
        };
        server.edit(|store| {
            let id = store.find(Platform::Koreai, "Groq LLaMA").unwrap().to_owned();
            store.update(Platform::Koreai, &id, |object| object["llmFeatures"]["supportTools"] = true.into());
            store.touch(Platform::Koreai, &id);
        });
        project.replace("connections/all.yaml", "streaming: false", "streaming: true");
        project.apply();
        project.assert_empty_plan();
        let now = server.edit(|store| features(store));
        assert_eq!(
            now,
            serde_json::json!({"toolCalling": true, "streaming": true, "supportTools": true}),
            "{settings}: what nobody declared is left alone"
        );
    }
}
