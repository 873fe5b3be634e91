//! ContextForge: providers and their models, a key that no answer shows and that any PATCH replaces, settings that are
//! replaced whole with encrypted values inside them, names that are one when their slugs are, and deletes that cascade.

use serde_json::{Value, json};

use super::server::{self, ADMIN, Server};
use super::story::Story;

const KEY: &str = "sk-CANARY-forge-0001";
const NEXT: &str = "sk-CANARY-forge-0002";
const NESTED: &str = "CANARY-aws-secret-0001";
const THEIRS: &str = "sk-CANARY-theirs-0003";
const TOKEN: &str = "auth = { token = \"${{ env.FORGE_TOKEN }}\" }";

/// What refers to others stands before them.
const FORGE: &str = r#"connections:
  gpt:
    target: forge
    kind: model
    spec:
      provider_id: ${{ connection("openai").id }}
      model_id: gpt-4o
      model_name: GPT-4o
      supports_function_calling: true
      context_window: 128000
  openai:
    target: forge
    kind: provider
    spec:
      name: OpenAI Main
      provider_type: openai
      api_key: ${{ env.OPENAI_KEY }}
      api_base: https://llm.example/v1
      default_temperature: 0.2
      enabled: true
  bedrock:
    target: forge
    kind: provider
    spec:
      name: Bedrock
      provider_type: bedrock
      config:
        region: eu-central-1
        secret_access_key: ${{ env.AWS_SECRET }}
"#;

fn story(server: &Server, auth: &str) -> Story {
    Story::on(server, "contextforge", "forge", auth, FORGE)
        .with("FORGE_TOKEN", &server.token())
        .with("OPENAI_KEY", KEY)
        .with("AWS_SECRET", NESTED)
}

/// The forge as it stands, and a server that has seen nothing yet.
fn built(server: &mut Server) -> Story {
    let story = story(server, TOKEN);
    story.apply();
    assert_eq!(server.stored(), forge(KEY, NESTED));
    server.seen();
    story
}

fn forge(key: &str, nested: &str) -> Value {
    json!({
        "OpenAI Main": {"api_key": key, "config": {}},
        "Bedrock": {"api_key": null, "config": {"region": "eu-central-1", "secret_access_key": nested}},
    })
}

fn provider(server: &Server, name: &str) -> Value {
    let all = server.does("GET", "/llm/providers?page_size=500", &Value::Null);
    all["providers"].as_array().unwrap().iter().find(|p| p["name"] == name).cloned().unwrap_or_default()
}

fn model(server: &Server, name: &str) -> Value {
    let all = server.does("GET", "/llm/models?page_size=500", &Value::Null);
    all["models"].as_array().unwrap().iter().find(|p| p["model_id"] == name).cloned().unwrap_or_default()
}

/// The path of a provider.
fn at(server: &Server, name: &str) -> String {
    format!("/llm/providers/{}", provider(server, name)["id"].as_str().unwrap())
}

#[test]
fn contextforge_is_built_from_the_ground_up_and_taken_down_from_the_top() {
    let Some(mut server) = server::contextforge() else { return };
    server.does("POST", "/llm/providers", &json!({"name": "Foreign", "provider_type": "openai", "api_key": THEIRS}));
    // With a name and a password: one login a run.
    let login = "auth = { email = \"${{ env.EMAIL }}\", password = \"${{ env.PASSWORD }}\" }";
    let story = story(&server, login).with("EMAIL", ADMIN.0).with("PASSWORD", ADMIN.1);
    story.apply();
    let made = "POST providers 201";
    assert_eq!(server.lines(), ["POST auth/login 200", made, made, "POST models 201"]);
    assert_eq!(model(&server, "gpt-4o")["provider_id"], provider(&server, "OpenAI Main")["id"]);
    let mut all = forge(KEY, NESTED);
    all["Foreign"] = json!({"api_key": THEIRS, "config": {}});
    assert_eq!(server.stored(), all);
    server.seen();
    story.settles();
    let asked = server.seen();
    let is_list = |path: &str| ["/llm/providers", "/llm/models"].iter().any(|list| path.contains(&format!("{list}?")));
    assert!(asked.iter().all(|seen| is_list(&seen.path) || seen.path.contains("/auth/login")), "looking is listing: {asked:#?}");
    for collection in ["providers", "models"] {
        let list = server.does("GET", &format!("/llm/{collection}?page_size=500"), &Value::Null);
        for listed in list[collection].as_array().unwrap() {
            let path = format!("/llm/{collection}/{}", listed["id"].as_str().unwrap());
            assert_eq!(*listed, server.does("GET", &path, &Value::Null), "an item of the list is what a read shows");
        }
    }

    story.drop_connection("gpt");
    story.drop_connection("openai");
    story.refused(&["apply", "--yes"], 4, "PB0501");
    let ran = story.run(&["apply", "--yes", "--max-deletes", "2"]);
    assert_eq!(ran.code, 0, "{ran}");
    let writes: Vec<String> = server.lines().into_iter().filter(|line| !line.contains("login")).collect();
    assert_eq!(writes, ["DELETE models/ID 204", "DELETE providers/ID 204"], "what would cascade is deleted by itself, first");
    story.settles();
    all.as_object_mut().unwrap().remove("OpenAI Main");
    assert_eq!(server.stored(), all);

    story.declare(FORGE);
    story.apply();
    story.refused(&["destroy", "--only", "forge/openai", "--yes"], 4, "PB0507");
    server.seen();
    let ran = story.run(&["destroy", "forge", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    let writes = server.lines();
    let place = |what: &str| writes.iter().rposition(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {writes:?}"));
    assert!(place("DELETE models") < place("DELETE providers"), "{writes:?}");
    assert_eq!(server.stored(), json!({"Foreign": {"api_key": THEIRS, "config": {}}}), "what others made stays");
}

#[test]
fn contextforge_makes_nothing_twice_when_answers_get_lost() {
    let Some(mut server) = server::contextforge() else { return };
    let mut story = story(&server, TOKEN);
    for made in ["POST providers", "POST models"] {
        server.lose(made);
        story.apply();
        let writes = server.lines();
        assert_eq!(writes, ["POST providers 201", "POST providers 201", "POST models 201"]);
        assert_eq!(server.stored(), forge(KEY, NESTED));
        story.settles();
        let ran = story.run(&["destroy", "forge", "--yes"]);
        assert_eq!(ran.code, 0, "{ran}");
        server.seen();
    }
    story.apply();
    story.set("OPENAI_KEY", NEXT);
    server.seen();
    server.lose("PATCH providers");
    story.apply();
    assert_eq!(server.stored(), forge(NEXT, NESTED));
    story.settles();
}

#[test]
fn contextforge_is_asked_nothing_more_with_a_wrong_password() {
    let Some(server) = server::contextforge() else { return };
    // The fifth refusal would lock the user out.
    let login = "auth = { email = \"${{ env.EMAIL }}\", password = \"${{ env.PASSWORD }}\" }";
    let story = story(&server, login).with("EMAIL", ADMIN.0).with("PASSWORD", "not the password");
    story.refused(&["apply", "--yes"], 1, "PB0601");
    let asked = server.seen();
    assert_eq!(asked.iter().map(|seen| seen.line()).collect::<Vec<_>>(), ["POST auth/login 401"], "one refusal is enough");
}

#[test]
fn contextforge_gets_one_of_each_from_two_people_at_once() {
    let Some(mut server) = server::contextforge() else { return };
    // Each has the files and a state of their own.
    let people = [story(&server, TOKEN), story(&server, TOKEN)];
    std::thread::scope(|scope| {
        let runs = people.each_ref().map(|person| scope.spawn(|| person.run(&["apply", "--yes"])));
        for ran in runs.map(|run| run.join().unwrap()) {
            assert!(ran.code == 0 || ran.to_string().contains("PB0604"), "who comes second is told: {ran}");
        }
    });
    let made = |lines: &[String]| lines.iter().filter(|line| line.ends_with(" 201")).count();
    let mut lines = server.lines();
    for person in &people {
        person.apply();
        assert!(person.planned().is_empty());
    }
    lines.extend(server.lines());
    assert_eq!(made(&lines), 3, "{lines:?}");
    assert_eq!(server.stored(), forge(KEY, NESTED));
}

#[test]
fn contextforge_takes_every_change_and_keeps_the_keys() {
    let Some(mut server) = server::contextforge() else { return };
    let story = built(&mut server);
    for (from, to, planned) in [
        ("https://llm.example/v1", "https://eu.llm.example/v1", "forge/openai update"),
        ("default_temperature: 0.2", "default_temperature: 1", "forge/openai update"),
        ("enabled: true", "enabled: false", "forge/openai update"),
        ("enabled: false", "enabled: true\n      default_max_tokens: 4096", "forge/openai update"),
        ("enabled: true", "enabled: true\n      default_model: gpt-4o", "forge/openai update"),
        ("enabled: true", "enabled: true\n      description: For the support desk", "forge/openai update"),
        ("enabled: true", "enabled: true\n      api_version: \"2026-01\"", "forge/openai update"),
        ("provider_type: openai", "provider_type: openai_compatible", "forge/openai update"),
        ("model_id: gpt-4o", "model_id: gpt-4o-2026", "forge/gpt update"),
        ("model_name: GPT-4o", "model_name: Omni\n      model_alias: omni", "forge/gpt update"),
        ("supports_function_calling: true", "supports_function_calling: false", "forge/gpt update"),
        ("context_window: 128000", "context_window: 200000\n      max_output_tokens: 4096", "forge/gpt update"),
        ("context_window", "deprecated: true\n      supports_vision: true\n      context_window", "forge/gpt update"),
        ("supports_vision: true", "supports_vision: true\n      supports_chat: false", "forge/gpt update"),
        ("deprecated: true", "deprecated: true\n      supports_streaming: false", "forge/gpt update"),
        ("deprecated: true", "deprecated: false\n      enabled: false\n      description: Soon gone", "forge/gpt update"),
    ] {
        story.edit(from, to);
        assert_eq!(story.planned(), [planned], "{to}");
        story.apply();
        story.settles();
        let writes = server.writes();
        assert!(writes.len() == 1 && writes[0].status == 200, "{to}: {writes:?}");
        assert!(writes[0].body.get("api_key").is_none(), "{to}: no change but a rotation carries the key");
        assert_eq!(server.stored(), forge(KEY, NESTED), "{to}");
    }
    // A new name is the same object, and the model stays where it is.
    let id = provider(&server, "OpenAI Main")["id"].clone();
    story.edit("name: OpenAI Main", "name: OpenAI EU");
    story.apply();
    story.settles();
    assert_eq!(provider(&server, "OpenAI EU")["id"], id);
    assert_eq!(model(&server, "gpt-4o-2026")["provider_id"], id);
    assert_eq!(server.stored()["OpenAI EU"]["api_key"], KEY);
    // The settings are replaced whole: the nested secret is sent along, or it would be gone.
    story.edit("region: eu-central-1", "region: us-east-1\n        profile: batch");
    assert_eq!(story.planned(), ["forge/bedrock update"]);
    story.apply();
    story.settles();
    let config = json!({"region": "us-east-1", "profile": "batch", "secret_access_key": NESTED});
    assert_eq!(server.stored()["Bedrock"]["config"], config);
}

#[test]
fn contextforge_gets_new_keys_and_no_mask() {
    let Some(mut server) = server::contextforge() else { return };
    let mut story = built(&mut server);
    story.set("OPENAI_KEY", NEXT);
    story.set("AWS_SECRET", "CANARY-aws-secret-0002");
    assert_eq!(story.planned(), ["forge/openai rotate", "forge/bedrock rotate"]);
    story.apply();
    let writes = server.writes();
    assert!(writes.len() == 2 && writes.iter().any(|write| write.body == json!({"api_key": NEXT})), "{writes:?}");
    assert_eq!(server.stored(), forge(NEXT, "CANARY-aws-secret-0002"));
    story.settles();
    // What is shown in place of the nested secret is no secret, neither there nor as the key: the server would store it.
    assert_eq!(provider(&server, "Bedrock")["config"]["secret_access_key"], "*****");
    for variable in ["OPENAI_KEY", "AWS_SECRET"] {
        story.set(variable, "*****");
        story.refused(&["apply", "--yes"], 1, "PB0204");
        story.set(variable, if variable == "OPENAI_KEY" { NEXT } else { "CANARY-aws-secret-0002" });
    }
    assert_eq!((server.lines().len(), server.stored()), (0, forge(NEXT, "CANARY-aws-secret-0002")));
    server.does("PATCH", &at(&server, "OpenAI Main"), &json!({"api_key": "*****"}));
    assert_eq!(server.stored()["OpenAI Main"]["api_key"], "*****");
    // It is in no answer. So it can only be said that somebody was there, and what was declared can be written again.
    story.doubts("forge/openai", "api_key");
    let ran = story.run(&["apply", "--yes", "--rewrite-secrets"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.stored(), forge(NEXT, "CANARY-aws-secret-0002"));
    story.settles();
}

#[test]
fn contextforge_what_others_change_is_seen_and_put_back() {
    let Some(mut server) = server::contextforge() else { return };
    let story = built(&mut server);
    let model_path = format!("/llm/models/{}", model(&server, "gpt-4o")["id"].as_str().unwrap());
    server.does("PATCH", &model_path, &json!({"model_name": "Theirs", "context_window": 1}));
    // Their settings replace ours, the nested secret with them.
    server.does("PATCH", &at(&server, "Bedrock"), &json!({"config": {"region": "us-east-1"}}));
    // A switch of its own, which turns the provider off.
    let switched = server.does("POST", &format!("{}/state", at(&server, "OpenAI Main")), &json!({}));
    assert_eq!(switched["enabled"], false);
    story.drifts(&["forge/gpt model_name", "forge/gpt context_window", "forge/bedrock config", "forge/openai enabled"]);
    assert_eq!(story.planned(), ["forge/openai update", "forge/gpt update", "forge/bedrock update"]);
    story.apply();
    assert_eq!(server.stored(), forge(KEY, NESTED));
    assert_eq!(provider(&server, "OpenAI Main")["enabled"], true);
    assert_eq!(model(&server, "gpt-4o")["model_name"], "GPT-4o");
    // The server's own check of its health moves the stamp and changes nothing; so nothing is written.
    server.seen();
    let health = server.does("POST", &format!("{}/health", at(&server, "OpenAI Main")), &json!({}));
    assert!(health["status"].is_string(), "{health}");
    story.apply();
    assert_eq!((server.lines().len(), server.stored()), (0, forge(KEY, NESTED)));
    story.doubts("forge/openai", "api_key");
    story.run(&["apply", "--yes", "--rewrite-secrets"]);
    story.settles();
    assert_eq!(server.stored(), forge(KEY, NESTED));
    // Asked for by us, the same check is no change by others.
    let ran = story.run(&["test", "forge/openai"]);
    assert!(ran.stdout.contains("Tested 1 connection: "), "{ran}");
    story.settles();
    assert_eq!(server.stored(), forge(KEY, NESTED));
}

#[test]
fn contextforge_what_a_delete_takes_along_is_made_again() {
    let Some(mut server) = server::contextforge() else { return };
    let story = built(&mut server);
    server.does("DELETE", &at(&server, "OpenAI Main"), &Value::Null);
    assert_eq!(model(&server, "gpt-4o"), Value::Null, "the server deletes a provider's models with it");
    assert_eq!(story.run(&["drift"]).code, 2);
    assert_eq!(story.planned(), ["forge/openai create", "forge/gpt create"]);
    story.apply();
    assert_eq!(server.lines(), ["POST providers 201", "POST models 201"]);
    assert_eq!(server.stored(), forge(KEY, NESTED));
    story.settles();
}

#[test]
fn contextforge_what_others_made_is_taken_over() {
    let Some(mut server) = server::contextforge() else { return };
    let story = built(&mut server);
    story.lose_state();
    // Names are one without regard to case; a model is told by its provider and its id.
    story.edit("name: Bedrock", "name: bedrock");
    assert_eq!(story.planned(), ["forge/openai adopt", "forge/gpt adopt", "forge/bedrock update"]);
    let ran = story.run(&["import", "--yes"]);
    assert!(ran.code == 0 && ran.stdout.contains("will adopt"), "{ran}");
    assert_eq!(server.lines(), [""; 0], "to take over is not to write");
    let ran = story.run(&["export"]);
    assert!(ran.code == 0 && ran.stdout.contains("${{ env."), "{ran}");
    story.edit("name: bedrock", "name: Bedrock");
    story.apply();
    assert_eq!(server.lines(), [""; 0]);
    story.doubts("forge/openai", "api_key");
    story.doubts("forge/bedrock", "config.secret_access_key");
    assert_eq!(server.stored(), forge(KEY, NESTED));
    let ran = story.run(&["apply", "--yes", "--rewrite-secrets"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.stored(), forge(KEY, NESTED));
    story.settles();
}

#[test]
fn contextforge_refusals_are_told_and_change_nothing() {
    let Some(mut server) = server::contextforge() else { return };
    let mut story = built(&mut server);
    story.set("OPENAI_KEY", NEXT);
    let twin =
        format!("{FORGE}  twin: {{ target: forge, kind: provider, spec: {{ name: openai-main, provider_type: ollama }} }}\n");
    // What the definition knows is said before anything is sent.
    story.edit("default_temperature: 0.2", "default_temperature: 9");
    story.refused(&["apply", "--yes"], 1, "PB0103");
    story.declare(&twin);
    story.refused(&["apply", "--yes"], 1, "PB0106");
    assert_eq!(server.lines(), [""; 0]);
    story.declare(FORGE);
    story.redefine("contextforge", &["min: 0, max: 2, ", "    natural_key_as: slug\n"]);
    // The server does not say which field it refuses. The rotation in the same request is not made, and not recorded.
    story.edit("default_temperature: 0.2", "default_temperature: 9");
    let ran = story.refused(&["apply", "--yes"], 1, "PB0605");
    assert!(ran.flat().contains("(422)") && ran.flat().contains("nothing was changed by this request"), "{ran}");
    assert_eq!((server.lines(), server.stored()), (vec!["PATCH providers/ID 422".to_owned()], forge(KEY, NESTED)));
    story.declare(FORGE);
    assert_eq!(story.planned(), ["forge/openai rotate"]);
    story.apply();
    assert_eq!(server.stored(), forge(NEXT, NESTED));
    server.seen();
    // Two names of one slug are one name, to a PATCH and to a POST.
    story.edit("name: Bedrock", "name: openai_main");
    story.refused(&["apply", "--yes"], 1, "PB0604");
    assert_eq!(server.lines(), ["PATCH providers/ID 409"]);
    story.declare(&twin);
    story.refused(&["apply", "--yes"], 1, "PB0604");
    assert_eq!(server.lines(), ["POST providers 409"]);
    assert_eq!(server.stored(), forge(NEXT, NESTED));
    // A model stays with its provider: the server would answer 200 and do nothing.
    let path = format!("/llm/models/{}", model(&server, "gpt-4o")["id"].as_str().unwrap());
    let answer = server.does("PATCH", &path, &json!({"provider_id": provider(&server, "Bedrock")["id"]}));
    assert_eq!(answer["provider_id"], provider(&server, "OpenAI Main")["id"]);
    story.declare(&FORGE.replace("connection(\"openai\")", "connection(\"bedrock\")"));
    assert_eq!(story.planned(), ["forge/gpt blocked"]);
    story.refused(&["apply", "--yes"], 4, "PB0401");
    assert_eq!(server.lines(), [""; 0]);
    story.declare(FORGE);
    story.apply();
    story.settles();
}

#[test]
fn contextforge_pages_are_read_to_the_end() {
    let Some(mut server) = server::contextforge() else { return };
    let story = built(&mut server);
    for n in 0..104 {
        server.does("POST", "/llm/providers", &json!({"name": format!("Other {n:03}"), "provider_type": "ollama"}));
    }
    story.settles();
    let pages = |server: &Server| -> Vec<String> {
        let all = server.seen();
        all.into_iter().filter(|seen| seen.path.contains("/llm/providers?")).map(|seen| seen.path).collect()
    };
    let read = pages(&server);
    assert!(read.iter().any(|path| path.contains("page=2")) && !read.iter().any(|path| path.contains("page=3")), "{read:?}");
    // Wherever the server puts them, each is found, and none is made twice.
    story.lose_state();
    let everything: String = (0..104)
        .map(|n| format!("  o{n}: {{ target: forge, kind: provider, spec: {{ name: Other {n:03}, provider_type: ollama }} }}\n"))
        .collect();
    story.declare(&format!("{FORGE}{everything}"));
    let planned = story.planned();
    assert!(planned.len() == 107 && planned.iter().all(|p| p.ends_with(" adopt")), "{planned:?}");
    story.apply();
    assert_eq!(server.lines(), [""; 0]);
    let ran = story.run(&["destroy", "forge", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.stored(), json!({}));
}
