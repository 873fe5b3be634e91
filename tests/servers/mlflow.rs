//! MLflow AI Gateway: secret → model definition → endpoint, updates that answer 200 and do nothing, maps that are
//! replaced as a whole, masks that would become the key, and a 500 that waiting does not cure.

use serde_json::{Value, json};

use super::server::{self, Server};
use super::story::Story;

const KEY: &str = "sk-CANARY-house-0001";
const NEXT: &str = "sk-CANARY-house-0002";
const THEIRS: &str = "sk-CANARY-theirs-0003";

/// What refers to others stands before them.
const HOUSE: &str = r#"connections:
  chat:
    target: gw
    kind: endpoint
    spec:
      name: house-chat
      usage_tracking: false
      model_configs:
        - { model_definition_id: '${{ connection("gpt").id }}', linkage_type: PRIMARY, weight: 1 }
        - { model_definition_id: '${{ connection("mini").id }}', linkage_type: FALLBACK, fallback_order: 0 }
      fallback_config: { strategy: SEQUENTIAL, max_attempts: 2 }
  gpt:
    target: gw
    kind: model-definition
    spec: { name: house-gpt, secret_id: '${{ connection("key").id }}', provider: openai, model_name: gpt-4o }
  mini:
    target: gw
    kind: model-definition
    spec: { name: house-mini, secret_id: '${{ connection("key").id }}', provider: openai, model_name: gpt-4o-mini }
  key:
    target: gw
    kind: secret
    spec:
      secret_name: house-key
      provider: openai
      secret_value: { api_key: "${{ env.HOUSE_KEY }}" }
      auth_config: { api_base: https://llm.example/v1 }
"#;

const AWS: &str = r#"connections:
  aws:
    target: gw
    kind: secret
    spec:
      secret_name: aws
      provider: bedrock
      secret_value: { aws_access_key_id: "${{ env.ID }}", aws_secret_access_key: "${{ env.SECRET }}" }
      auth_config: { aws_region_name: eu-west-1 }
"#;

const NEXT_CONNECTION: &str = r#"  next:
    target: gw
    kind: secret
    spec: { secret_name: next-key, secret_value: { api_key: "${{ env.NEXT_KEY }}" } }
"#;

fn story(server: &Server, connections: &str) -> Story {
    Story::on(server, "mlflow", "gw", "", connections).with("HOUSE_KEY", KEY)
}

/// The house as it stands, and a server that has seen nothing yet.
fn built(server: &mut Server) -> Story {
    let story = story(server, HOUSE);
    story.apply();
    assert_eq!(server.stored(), house(KEY));
    server.seen();
    story
}

fn house(key: &str) -> Value {
    json!({"house-key": {"api_key": key}})
}

/// The server's own call, made by somebody else.
#[track_caller]
fn call(server: &Server, method: &str, call: &str, body: &Value) -> Value {
    server.does(method, &format!("/api/3.0/mlflow/gateway/{call}"), body)
}

/// One object as the list has it; null if it has none of that name.
fn live(server: &Server, collection: &str, name: &str) -> Value {
    let answer = call(server, "GET", &format!("{collection}/list"), &Value::Null);
    let all = answer[collection.replace('-', "_")].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|object| object["name"] == name || object["secret_name"] == name).unwrap_or_default()
}

fn secret_id(server: &Server, name: &str) -> Value {
    live(server, "secrets", name)["secret_id"].clone()
}

#[test]
fn mlflow_is_built_from_the_ground_up_and_taken_down_from_the_top() {
    let Some(mut server) = server::mlflow() else { return };
    let story = story(&server, HOUSE);
    let foreign = json!({"secret_name": "foreign", "secret_value": {"api_key": THEIRS}});
    call(&server, "POST", "secrets/create", &foreign);
    story.apply();
    let made = "POST model-definitions/create 200";
    assert_eq!(server.lines(), ["POST secrets/create 200", made, made, "POST endpoints/create 200"]);
    let both = json!({"house-key": {"api_key": KEY}, "foreign": {"api_key": THEIRS}});
    assert_eq!(server.stored(), both);
    story.settles();
    let asked = server.seen();
    assert!(asked.iter().all(|seen| seen.method == "GET" && seen.path.ends_with("/list")), "looking is listing: {asked:#?}");
    for (collection, item, id) in [
        ("secrets", "secret", "secret_id"),
        ("model-definitions", "model_definition", "model_definition_id"),
        ("endpoints", "endpoint", "endpoint_id"),
    ] {
        let all = call(&server, "GET", &format!("{collection}/list"), &Value::Null)[collection.replace('-', "_")].clone();
        for listed in all.as_array().unwrap() {
            let path = format!("{collection}/get?{id}={}", listed[id].as_str().unwrap());
            assert_eq!(*listed, call(&server, "GET", &path, &Value::Null)[item], "an item of the list is what a read shows");
        }
    }
    let (key, gpt) = (secret_id(&server, "house-key"), live(&server, "model-definitions", "house-gpt"));
    assert_eq!(gpt["secret_id"], key);
    let chat = live(&server, "endpoints", "house-chat");
    assert!(chat["model_mappings"].as_array().unwrap().iter().any(|m| m["model_definition_id"] == gpt["model_definition_id"]));

    // An empty file is a mistake, not a wish.
    story.declare("connections: {}\n");
    story.refused(&["apply", "--yes"], 4, "PB0502");
    assert_eq!(server.lines(), [""; 0]);
    // All but the key leave the file.
    story.declare(HOUSE);
    ["chat", "mini", "gpt"].iter().for_each(|key| story.drop_connection(key));
    story.refused(&["apply", "--yes"], 4, "PB0501");
    let ran = story.run(&["apply", "--yes", "--max-deletes", "3"]);
    assert_eq!(ran.code, 0, "{ran}");
    let gone = "DELETE model-definitions/delete 200";
    assert_eq!(server.lines(), ["DELETE endpoints/delete 200", gone, gone]);
    story.settles();
    assert_eq!(server.stored(), both);

    story.declare(HOUSE);
    story.apply();
    server.seen();
    // The key alone cannot go: it would orphan what stays.
    story.refused(&["destroy", "--only", "gw/key", "--yes"], 4, "PB0507");
    assert_eq!(server.lines(), [""; 0]);
    let ran = story.run(&["destroy", "gw", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.lines(), ["DELETE endpoints/delete 200", gone, gone, "DELETE secrets/delete 200"]);
    assert_eq!(server.stored(), json!({"foreign": {"api_key": THEIRS}}), "what others made stays");
    assert_eq!(story.planned(), ["gw/key create", "gw/gpt create", "gw/mini create", "gw/chat create"]);
}

#[test]
fn mlflow_makes_nothing_twice_when_answers_get_lost() {
    let Some(mut server) = server::mlflow() else { return };
    let mut story = story(&server, HOUSE);
    // A create may not be sent again; what it made is found by its name.
    for made in ["POST secrets/create", "POST model-definitions/create", "POST endpoints/create"] {
        server.lose(made);
        story.apply();
        let writes = server.lines();
        let count = if made.contains("model-definitions") { 2 } else { 1 };
        assert_eq!(writes.iter().filter(|line| line.starts_with(made)).count(), count, "{writes:?}");
        assert_eq!(server.stored(), house(KEY));
        story.settles();
        let ran = story.run(&["destroy", "gw", "--yes"]);
        assert_eq!(ran.code, 0, "{ran}");
        server.seen();
    }
    story.apply();
    // A rotation may.
    server.seen();
    story.set("HOUSE_KEY", NEXT);
    server.lose("POST secrets/update");
    story.apply();
    assert_eq!(server.stored(), house(NEXT));
    story.settles();
    // And so may a delete, which then finds nothing.
    server.lose("DELETE endpoints/delete");
    let ran = story.run(&["destroy", "gw", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.stored(), json!({}));
}

#[test]
fn mlflow_takes_every_change_and_keeps_the_key() {
    let Some(mut server) = server::mlflow() else { return };
    let story = built(&mut server);
    for (from, to, planned) in [
        ("https://llm.example/v1", "https://eu.llm.example/v1", "gw/key update"),
        ("/v1 }", "/v1, api_version: \"2026-01\" }", "gw/key update"),
        (", api_version: \"2026-01\" }", " }", "gw/key update"),
        ("name: house-gpt", "name: house-gpt-main", "gw/gpt update"),
        ("provider: openai, model_name: gpt-4o }", "provider: azure, model_name: gpt-4o }", "gw/gpt update"),
        ("model_name: gpt-4o-mini", "model_name: gpt-5-mini", "gw/mini update"),
        ("name: house-chat", "name: house-talk", "gw/chat update"),
        ("usage_tracking: false", "usage_tracking: true", "gw/chat update"),
        ("usage_tracking: true", "usage_tracking: false", "gw/chat update"),
        ("max_attempts: 2", "max_attempts: 1", "gw/chat update"),
        ("usage_tracking: false", "usage_tracking: false\n      routing_strategy: REQUEST_BASED_TRAFFIC_SPLIT", "gw/chat update"),
        ("weight: 1 }", "weight: 0.5 }", "gw/chat update"),
        ("fallback_order: 0", "fallback_order: 1", "gw/chat update"),
    ] {
        story.edit(from, to);
        assert_eq!(story.planned(), [planned], "{to}");
        story.apply();
        story.settles();
        let writes = server.writes();
        assert!(writes.len() == 1 && writes[0].status == 200, "{to}: {writes:?}");
        assert!(writes[0].body.get("secret_value").is_none(), "{to}: no change but a rotation carries the key");
        assert_eq!(server.stored(), house(KEY), "{to}");
    }
    // A change of the models alone would have emptied this.
    let chat = live(&server, "endpoints", "house-talk");
    assert_eq!(chat["fallback_config"], json!({"strategy": "SEQUENTIAL", "max_attempts": 1}));
    assert_eq!(live(&server, "secrets", "house-key")["auth_config"], json!({"api_base": "https://eu.llm.example/v1"}));
}

#[test]
fn mlflow_gets_a_new_key_and_nothing_but_the_key() {
    let Some(mut server) = server::mlflow() else { return };
    let mut story = built(&mut server);
    story.set("HOUSE_KEY", NEXT);
    assert_eq!(story.planned(), ["gw/key rotate"]);
    story.apply();
    let writes = server.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(writes[0].body, json!({"secret_id": secret_id(&server, "house-key"), "secret_value": {"api_key": NEXT}}));
    assert_eq!(server.stored(), house(NEXT));
    story.settles();
    // What the API shows in place of the key is no key.
    let mask = live(&server, "secrets", "house-key")["masked_values"]["api_key"].as_str().unwrap().to_owned();
    story.set("HOUSE_KEY", &mask);
    story.refused(&["apply", "--yes"], 1, "PB0204");
    assert_eq!((server.lines().len(), server.stored()), (0, house(NEXT)));
    // The server itself takes it.
    call(
        &server,
        "POST",
        "secrets/update",
        &json!({"secret_id": secret_id(&server, "house-key"), "secret_value": {"api_key": mask}}),
    );
    assert_eq!(server.stored(), house(&mask));
}

#[test]
fn mlflow_replaces_a_map_as_a_whole_and_loses_no_part_of_ours() {
    let Some(mut server) = server::mlflow() else { return };
    let mut story = story(&server, AWS).with("ID", "AKCANARY-0001").with("SECRET", "CANARY-aws-secret-0001");
    story.apply();
    story.settles();
    server.seen();
    story.set("SECRET", "CANARY-aws-secret-0002");
    let ran = story.apply();
    assert!(ran.stdout.contains("re-sent: secret_value.aws_access_key_id"), "the plan says which key travels again: {ran}");
    assert_eq!(server.lines(), ["POST secrets/update 200"]);
    let both = json!({"aws": {"aws_access_key_id": "AKCANARY-0001", "aws_secret_access_key": "CANARY-aws-secret-0002"}});
    assert_eq!(server.stored(), both);
    story.settles();
    // A setting that somebody added is not ours, and goes.
    let id = secret_id(&server, "aws");
    let others = json!({"secret_id": id, "auth_config": {"aws_region_name": "eu-west-1", "aws_role_name": "theirs"}});
    call(&server, "POST", "secrets/update", &others);
    story.drifts(&["gw/aws auth_config"]);
    story.apply();
    assert_eq!(live(&server, "secrets", "aws")["auth_config"], json!({"aws_region_name": "eu-west-1"}));
    assert_eq!(server.stored(), both);
}

#[test]
fn mlflow_what_others_change_is_seen_and_put_back() {
    let Some(mut server) = server::mlflow() else { return };
    let story = built(&mut server);
    let (key, gpt) = (secret_id(&server, "house-key"), live(&server, "model-definitions", "house-gpt"));
    let (gpt, chat) = (gpt["model_definition_id"].clone(), live(&server, "endpoints", "house-chat")["endpoint_id"].clone());
    let mini = live(&server, "model-definitions", "house-mini")["model_definition_id"].clone();
    story.edit("max_attempts: 2", "max_attempts: 1");
    assert_eq!(story.run(&["plan", "--out", "approved.json"]).code, 0);
    call(&server, "POST", "secrets/update", &json!({"secret_id": key, "secret_value": {"api_key": THEIRS}}));
    call(&server, "POST", "model-definitions/update", &json!({"model_definition_id": gpt, "model_name": "gpt-5"}));
    call(&server, "POST", "endpoints/models/detach", &json!({"endpoint_id": chat, "model_definition_id": mini}));
    story.drifts(&["gw/key secret_value.api_key", "gw/gpt model_name", "gw/chat model_configs"]);
    // What was approved before is not what would be done now.
    story.refused(&["apply", "approved.json"], 4, "PB0405");
    assert_eq!((server.lines().len(), server.stored()), (0, house(THEIRS)));
    assert_eq!(story.planned(), ["gw/key rotate", "gw/gpt update", "gw/chat update"]);
    story.apply();
    assert_eq!(server.stored(), house(KEY));
    assert_eq!(live(&server, "model-definitions", "house-gpt")["model_name"], "gpt-4o");
    assert_eq!(live(&server, "endpoints", "house-chat")["model_mappings"].as_array().unwrap().len(), 2);
    story.settles();

    // A key with the same mask is no proof of anything: that is said, and writing it again is a word away.
    let lookalike = format!("sk-{THEIRS}-0001");
    call(&server, "POST", "secrets/update", &json!({"secret_id": key, "secret_value": {"api_key": lookalike}}));
    story.doubts("gw/key", "secret_value.api_key");
    let ran = story.run(&["apply", "--yes", "--rewrite-secrets"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.stored(), house(KEY));
    story.settles();
}

#[test]
fn mlflow_what_others_delete_is_made_again_for_those_who_use_it() {
    let Some(mut server) = server::mlflow() else { return };
    let story = built(&mut server);
    // Deleting a secret takes its id out of what uses it, whose stamps stand still.
    call(&server, "DELETE", "secrets/delete", &json!({"secret_id": secret_id(&server, "house-key")}));
    assert_eq!(live(&server, "model-definitions", "house-gpt").get("secret_id"), None);
    assert_eq!(story.planned(), ["gw/key create", "gw/gpt update", "gw/mini update"]);
    story.apply();
    assert_eq!(server.stored(), house(KEY));
    assert_eq!(live(&server, "model-definitions", "house-gpt")["secret_id"], secret_id(&server, "house-key"));
    story.settles();
    call(&server, "DELETE", "endpoints/delete", &json!({"endpoint_id": live(&server, "endpoints", "house-chat")["endpoint_id"]}));
    assert_eq!(story.run(&["drift"]).code, 2);
    assert_eq!(story.planned(), ["gw/chat create"]);
    story.apply();
    story.settles();
    assert_eq!(server.stored(), house(KEY));
}

#[test]
fn mlflow_what_others_made_is_taken_over() {
    let Some(mut server) = server::mlflow() else { return };
    // Somebody made the same by hand, with the same key.
    let story = built(&mut server);
    story.lose_state();
    assert_eq!(story.planned(), ["gw/key adopt", "gw/gpt adopt", "gw/mini adopt", "gw/chat adopt"]);
    let ran = story.run(&["import", "--yes"]);
    assert!(ran.code == 0 && ran.stdout.contains("Adopted 4."), "{ran}");
    assert_eq!(server.lines(), [""; 0], "to take over is not to write");
    let ran = story.run(&["export"]);
    assert!(ran.code == 0 && ran.stdout.contains("${{ env."), "{ran}");
    story.doubts("gw/key", "secret_value.api_key");
    assert_eq!(server.stored(), house(KEY));

    // With another key: the mask says so, and ours is written.
    story.lose_state();
    let update = json!({"secret_id": secret_id(&server, "house-key"), "secret_value": {"api_key": THEIRS}});
    call(&server, "POST", "secrets/update", &update);
    assert_eq!(story.planned(), ["gw/key rotate", "gw/gpt adopt", "gw/mini adopt", "gw/chat adopt"]);
    story.apply();
    assert_eq!(server.lines(), ["POST secrets/update 200"], "nothing is made twice");
    assert_eq!(server.stored(), house(KEY));
    story.settles();

    // Who may not take over is told whose it is, and nothing happens to it.
    let careful = Story::on(&server, "mlflow", "gw", "adopt = false", HOUSE).with("HOUSE_KEY", NEXT);
    careful.refused(&["apply", "--yes"], 1, "PB0407");
    assert_eq!((server.lines().len(), server.stored()), (0, house(KEY)));
}

#[test]
fn mlflow_renames_only_what_the_server_renames() {
    let Some(mut server) = server::mlflow() else { return };
    let story = built(&mut server);
    // It answers 200 and does nothing.
    let rename = json!({"secret_id": secret_id(&server, "house-key"), "secret_name": "other", "provider": "anthropic"});
    let answer = call(&server, "POST", "secrets/update", &rename);
    assert_eq!((&answer["secret"]["secret_name"], &answer["secret"]["provider"]), (&json!("house-key"), &json!("openai")));
    story.run(&["apply", "--yes", "--rewrite-secrets"]);
    server.seen();
    for (from, to) in [("secret_name: house-key", "secret_name: other"), ("provider: openai\n", "provider: anthropic\n")] {
        story.edit(from, to);
        story.edit("model_name: gpt-4o }", "model_name: gpt-5 }");
        assert_eq!(story.planned(), ["gw/key blocked", "gw/gpt update"]);
        story.refused(&["apply", "--yes"], 4, "PB0401");
        assert_eq!(server.lines(), [""; 0]);
        // What has nothing to do with it goes on.
        let ran = story.run(&["apply", "--yes", "--skip-blocked"]);
        assert!(ran.code == 0 && ran.stdout.contains("Left alone: 1 blocked."), "{ran}");
        assert_eq!(server.lines(), ["POST model-definitions/update 200"]);
        assert_eq!(server.stored(), house(KEY));
        story.declare(HOUSE);
        story.apply();
        server.seen();
    }
    story.settles();
}

#[test]
fn mlflow_refusals_are_told_and_not_repeated() {
    let Some(mut server) = server::mlflow() else { return };
    let story = built(&mut server);
    let key = secret_id(&server, "house-key");
    let theirs = json!({"name": "theirs", "secret_id": key, "provider": "openai", "model_name": "gpt-4o"});
    call(&server, "POST", "model-definitions/create", &theirs);
    let (status, answer) = server.ask("POST", "/api/3.0/mlflow/gateway/model-definitions/create", &theirs);
    assert_eq!((status, &answer["error_code"]), (400, &json!("RESOURCE_ALREADY_EXISTS")));

    // A name that is taken.
    story.edit("name: house-mini", "name: theirs");
    let ran = story.refused(&["apply", "--yes"], 1, "PB0604");
    assert!(
        ran.flat().contains("clashes with something that exists (400)") && ran.flat().contains("RESOURCE_ALREADY_EXISTS"),
        "{ran}"
    );
    assert_eq!(server.lines(), ["POST model-definitions/update 400"]);
    story.declare(HOUSE);
    story.settles();

    // An endpoint whose last model was taken away is in no list, and keeps its name.
    let gpt = live(&server, "model-definitions", "house-gpt")["model_definition_id"].clone();
    let models = json!([{"model_definition_id": gpt, "linkage_type": "PRIMARY"}]);
    let endpoint = |name: &str| json!({"name": name, "usage_tracking": false, "model_configs": models});
    let id = call(&server, "POST", "endpoints/create", &endpoint("hidden"))["endpoint"]["endpoint_id"].clone();
    call(&server, "POST", "endpoints/models/detach", &json!({"endpoint_id": id, "model_definition_id": gpt}));
    assert_eq!(live(&server, "endpoints", "hidden"), Value::Null);
    story.edit("name: house-chat", "name: hidden");
    story.refused(&["apply", "--yes"], 1, "PB0604");
    assert_eq!(server.lines(), ["POST endpoints/update 400"]);
    call(&server, "DELETE", "endpoints/delete", &json!({"endpoint_id": id}));
    story.declare(HOUSE);
    story.settles();

    // Somebody else's endpoint uses a model that leaves the files.
    let foreign = call(&server, "POST", "endpoints/create", &endpoint("foreign"))["endpoint"]["endpoint_id"].clone();
    story.drop_connection("gpt");
    story.edit("        - { model_definition_id: '${{ connection(\"gpt\").id }}', linkage_type: PRIMARY, weight: 1 }\n", "");
    story.edit("linkage_type: FALLBACK, fallback_order: 0", "linkage_type: PRIMARY");
    let ran = story.refused(&["apply", "--yes"], 4, "PB0402");
    assert!(ran.stdout.contains("endpoint \"foreign\""), "{ran}");
    assert_eq!(server.lines(), Vec::<String>::new());
    // Without that knowledge, the server refuses, and is not asked again.
    story.redefine("mlflow", &["      dependents: refuse\n"]);
    let ran = story.refused(&["apply", "--yes"], 3, "PB0604");
    assert!(ran.flat().contains("something else uses it (500)") && ran.flat().contains("INVALID_STATE"), "{ran}");
    assert_eq!(server.lines(), ["POST endpoints/update 200", "DELETE model-definitions/delete 500"], "once");
    assert_eq!(story.planned(), ["gw/gpt delete"]);
    call(&server, "DELETE", "endpoints/delete", &json!({"endpoint_id": foreign}));
    story.apply();
    story.settles();
    assert_eq!(server.stored(), house(KEY));
}

#[test]
fn mlflow_users_have_another_key_before_the_old_one_goes() {
    let Some(mut server) = server::mlflow() else { return };
    let story = built(&mut server).with("NEXT_KEY", NEXT);
    // The key leaves the file while two models still refer to it.
    story.drop_connection("key");
    let ran = story.run(&["plan"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0"), "{ran}");
    assert_eq!(server.lines(), [""; 0]);

    story.declare(&format!("{}{NEXT_CONNECTION}", HOUSE.replace("connection(\"key\")", "connection(\"next\")")));
    story.drop_connection("key");
    story.apply();
    let moved = "POST model-definitions/update 200";
    assert_eq!(server.lines(), ["POST secrets/create 200", moved, moved, "DELETE secrets/delete 200"]);
    assert_eq!(server.stored(), json!({"next-key": {"api_key": NEXT}}));
    assert_eq!(live(&server, "model-definitions", "house-gpt")["secret_id"], secret_id(&server, "next-key"));
    story.settles();
}
