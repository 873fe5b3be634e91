//! A project on two platforms, and the morning after: a key to rotate, a field to change that others changed, too, one
//! connection that left the files, and one that the API cannot change.

use patchbay::sandbox::{Platform, Store};
use serde_json::json;

use super::{Project, Server};

const KORE: &str = r#"connections:
  support:
    target: kore
    kind: openai
    spec: { connectionName: "Support GPT-4o", model: gpt-4o, fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" } }
  azure:
    target: kore
    kind: openai
    spec: { connectionName: Azure, model: gpt-4, fields: { API_KEY: "${{ env.AZURE_KEY }}" } }
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
      IOMappings: [textToText]
      status: FINALIZED
"#;

const GATEWAY: &str = r#"connections:
  openai:
    target: gateway
    kind: provider
    spec:
      name: openai
      apiKey: ${{ env.OPENAI_API_KEY }}
      metadata: { displayName: OpenAI }
  mistral:
    target: gateway
    kind: provider
    spec: { name: mistral, apiKey: "${{ env.OPENAI_API_KEY }}" }
    depends_on: [openai]
"#;

const LEGACY: &str = r#"connections:
  legacy:
    target: gateway
    kind: provider
    spec: { name: legacy, apiKey: "${{ env.OPENAI_API_KEY }}" }
"#;

/// The project before anything was applied.
pub fn fresh(server: &Server) -> Project {
    let project = Project::empty();
    project.write(
        "patchbay.toml",
        &format!(
            "[project]\nname = \"acme-llm\"\n\n[targets.kore]\nplatform = \"koreai\"\nbase_url = \"{}\"\nauth = {{ api_key = \"${{{{ env.KORE_API_KEY }}}}\" }}\n\n[targets.gateway]\nplatform = \"gateway\"\nbase_url = \"{}\"\nauth = {{ token = \"${{{{ env.GATEWAY_TOKEN }}}}\" }}\nprune = true\n\n[safety]\nmax_deletes = \"50%\"\n",
            server.base_url("koreai").unwrap(),
            server.base_url("gateway").unwrap()
        ),
    );
    project.write("connections/kore.yaml", KORE);
    project.write("connections/gateway.yaml", GATEWAY);
    project.write("connections/legacy.yaml", LEGACY);
    project
        .with("KORE_API_KEY", "kore-admin-key-1")
        .with("GATEWAY_TOKEN", "gateway-token-0001")
        .with("OPENAI_API_KEY", "sk-openai-first-0000MQAA")
        .with("AZURE_KEY", "az-key-000000000001")
        .with("GROQ_API_KEY", "gsk-0000000000000001")
}

/// Applied, and then everything happened.
pub fn morning_after(server: &Server) -> Project {
    let mut project = fresh(server);
    project.apply();
    drift(server);
    project.set("OPENAI_API_KEY", "sk-openai-other-1111MQZZ");
    project.replace("connections/kore.yaml", "model: llama3-8b-8192", "model: llama3-70b-8192");
    project.replace("connections/kore.yaml", "model: gpt-4,", "model: gpt-4-turbo,");
    std::fs::remove_file(project.path().join("connections/legacy.yaml")).unwrap();
    project
}

/// Somebody at the console switches a feature on, and deletes a provider.
pub fn drift(server: &Server) {
    server.edit(|store: &mut Store| {
        let id = store.find(Platform::Koreai, "Groq LLaMA").unwrap().to_owned();
        assert!(store.update(Platform::Koreai, &id, |object| object["llmFeatures"]["streaming"] = json!(true)));
        store.touch(Platform::Koreai, &id);
    });
}

/// What differs from run to run gets a value that it may have: addresses, fingerprints, ids, times.
pub fn fixed(text: &str, server: &Server) -> String {
    let mut text = text.replace(&server.base_url("koreai").unwrap(), "https://acme.example/api/public");
    text = text.replace(&server.base_url("gateway").unwrap(), "http://127.0.0.1:3100/api");
    let mut from = 0;
    let invented = ["9f2c11", "c30e5d", "77aa01", "41d07b", "0be2d9", "5e8a3c"];
    let mut seen: Vec<String> = Vec::new();
    while let Some(at) = text[from..].find("fp:").map(|n| n + from + 3) {
        let old = text[at..at + 6].to_owned();
        let n = seen.iter().position(|known| *known == old).unwrap_or_else(|| {
            seen.push(old);
            seen.len() - 1
        });
        text.replace_range(at..at + 6, invented[n % invented.len()]);
        from = at + 6;
    }
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if let Some(at) = line.find("cn-") {
            let end = line[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(line.len(), |n| at + n);
            line.replace_range(at..end, "cn-5f0c9d2a");
        }
        if let Some(at) = line.find("modified outside at ") {
            let start = at + "modified outside at ".len();
            let end = start + line[start..].find(')').unwrap();
            line.replace_range(start..end, "2026-11-21T20:41:07Z");
        }
        if let Some(at) = line.find("recorded 20") {
            let start = at + "recorded ".len();
            line.replace_range(start..start + "2026-11-19 16:02 UTC".len(), "2026-11-19 16:02 UTC");
        }
        // `9 requests, 0.0s`, `in 0.0s`
        for mark in ["requests, ", "request, ", " in "] {
            if let Some(at) = line.find(mark).map(|at| at + mark.len())
                && let Some(end) = line[at..].find('s').map(|n| at + n)
                && line[at..end].chars().all(|c| c.is_ascii_digit() || c == '.')
            {
                line.replace_range(at..end, "0.4");
            }
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}
