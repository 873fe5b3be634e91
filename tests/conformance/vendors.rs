//! What is known of vendors besides their definitions, from the pages that those name: what their servers refuse, keep,
//! leave out of an answer or add to it, how they count pages and what their masks look like. A definition that says
//! otherwise fails its story.

use std::sync::Arc;

use patchbay::platform::fake::object::Stored;
use patchbay::platform::fake::{Answer, Call, Keeper, Vendor};
use serde_json::{Value, json};

use crate::generated::ByHand;

/// What is said by hand of a platform.
pub(crate) fn of(platform: &str) -> ByHand {
    match platform {
        "contextforge" => ByHand {
            vendor: Arc::new(ContextForge),
            values: &[
                ("provider default_temperature", "0.5", "1.5"),
                ("model provider_id", r#""${{ connection(\"base\").id }}""#, r#""${{ connection(\"other\").id }}""#),
            ],
            beside: r"
  base: { target: t, kind: provider, spec: { name: base, provider_type: openai } }
  other: { target: t, kind: provider, spec: { name: other, provider_type: openai } }
",
            ..ByHand::default()
        },
        "grafana" => ByHand { vendor: Arc::new(Grafana), ..ByHand::default() },
        "langfuse" => ByHand { vendor: Arc::new(Langfuse), ..ByHand::default() },
        "litellm" => ByHand { vendor: Arc::new(LiteLlm), ..ByHand::default() },
        "mlflow" => ByHand {
            vendor: Arc::new(Mlflow),
            values: &[
                ("model-definition secret_id", r#""${{ connection(\"base\").id }}""#, r#""${{ connection(\"other\").id }}""#),
                (
                    "endpoint model_configs",
                    r#"[{"model_definition_id": "${{ connection(\"m1\").id }}", "linkage_type": "PRIMARY", "weight": 1.0, "fallback_order": 0}]"#,
                    r#"[{"model_definition_id": "${{ connection(\"m2\").id }}", "linkage_type": "FALLBACK", "weight": 0.5, "fallback_order": 1}]"#,
                ),
            ],
            beside: r#"
  base: { target: t, kind: secret, spec: { secret_name: base, secret_value: { api_key: "${{ env.NEIGHBOUR }}" } } }
  other: { target: t, kind: secret, spec: { secret_name: other, secret_value: { api_key: "${{ env.NEIGHBOUR }}" } } }
  m1: { target: t, kind: model-definition, spec: { name: m1, secret_id: '${{ connection("base").id }}', provider: p, model_name: m } }
  m2: { target: t, kind: model-definition, spec: { name: m2, secret_id: '${{ connection("base").id }}', provider: p, model_name: m } }
"#,
            ..ByHand::default()
        },
        "n8n" => ByHand { vendor: Arc::new(N8n), ..ByHand::default() },
        "openrouter" => ByHand { vendor: Arc::new(OpenRouter), stamps_at_once: false, ..ByHand::default() },
        "opik" => ByHand {
            vendor: Arc::new(Opik),
            // A key or a way to get one.
            either: &[
                ("custom-llm", "api_key"),
                ("custom-llm", "auth_config"),
                ("bedrock", "api_key"),
                ("bedrock", "auth_config"),
            ],
            ..ByHand::default()
        },
        "portkey" => ByHand { vendor: Arc::new(Portkey), stamps_at_once: false, ..ByHand::default() },
        _ => ByHand::default(),
    }
}

fn number(call: &Call, name: &str) -> Option<usize> {
    call.parameter(name)?.parse().ok()
}

/// The first and the last characters of a secret, and something between them.
fn ends(secret: &str, first: usize, between: &str, last: usize) -> String {
    format!("{}{between}{}", &secret[..first], &secret[secret.len() - last..])
}

/// The items of a list, if the answer is one.
fn items<'a>(answer: &'a mut Answer, place: &str) -> impl Iterator<Item = &'a mut Value> {
    answer.body.pointer_mut(place).and_then(Value::as_array_mut).into_iter().flatten()
}

fn without(object: &mut Value, names: &[&str]) {
    if let Some(map) = object.as_object_mut() {
        map.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// What an update sends over what was there, object by object.
fn deep(before: &Value, after: &mut Value) {
    if let (Some(before), Some(after)) = (before.as_object(), after.as_object_mut()) {
        for (name, old) in before {
            match after.get_mut(name) {
                Some(new) if old.get("digest").is_none() => deep(old, new),
                Some(_) => {}
                None => drop(after.insert(name.clone(), old.clone())),
            }
        }
    }
}

/// Null until the first change.
fn unstamped_at_first(object: &mut Value, name: &str) {
    if let Some(slot) = object.get_mut(name).filter(|stamp| **stamp == "2030-01-01T00:00:01Z") {
        *slot = Value::Null;
    }
}

struct ContextForge;

impl Vendor for ContextForge {
    fn page(&self, call: &Call) -> Option<(usize, usize)> {
        let size = number(call, "page_size").unwrap_or(50);
        Some(((number(call, "page").unwrap_or(1) - 1) * size, size))
    }

    fn before(&self, call: &mut Call, objects: &mut dyn Keeper) -> Option<Answer> {
        let refused = |detail: &str| Some(Answer::new(422, json!({ "detail": detail })));
        if number(call, "page_size").is_some_and(|size| size > 500) {
            return refused("page_size");
        }
        if let Some(body) = call.body.as_object_mut().filter(|_| call.method == "PATCH") {
            // What is null stays as it is.
            body.retain(|_, value| !value.is_null());
        }
        if call.is("PATCH /llm/models/{id}") {
            // Ignored without a word.
            without(&mut call.body, &["provider_id"]);
        }
        let temperature = call.body["default_temperature"].as_f64();
        if temperature.is_some_and(|degrees| !(0.0..=2.0).contains(&degrees)) {
            return refused("An error occurred, please try again");
        }
        let provider = call.body["provider_id"].as_str().filter(|_| call.is("POST /llm/models"));
        if provider.is_some_and(|id| objects.get("/llm/providers", id).is_none()) {
            return Some(Answer::new(404, json!({ "detail": "Provider not found" })));
        }
        None
    }

    fn after(&self, call: &Call, answer: &mut Answer, objects: &mut dyn Keeper) {
        if call.is("DELETE /llm/providers/{id}") && answer.status == 200 {
            let provider = call.path.rsplit('/').next().unwrap_or_default();
            for (id, model) in objects.all("/llm/models") {
                if model["fields"]["provider_id"] == provider {
                    objects.remove("/llm/models", &id);
                }
            }
        }
    }
}

struct Grafana;

impl Vendor for Grafana {
    fn before(&self, call: &mut Call, _: &mut dyn Keeper) -> Option<Answer> {
        let is_write = call.method == "POST" || call.method == "PUT";
        let missing = ["name", "type", "access"].into_iter().find(|name| is_write && call.body[*name].as_str().is_none());
        missing.map(|name| Answer::new(400, json!({ "message": format!("bad request data: {name}") })))
    }

    /// A secret that is not sent is kept, and so are two more fields.
    fn changed(&self, _: &Call, before: &Stored, after: &mut Stored) {
        let mut secrets = after.fields["secureJsonData"].clone();
        deep(&before.fields["secureJsonData"], &mut secrets);
        after.fields["secureJsonData"] = secrets;
        for name in ["url", "basicAuthUser"] {
            if after.fields[name].as_str().is_none_or(str::is_empty) {
                after.fields[name] = before.fields[name].clone();
            }
        }
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        if call.method == "GET" {
            // The list shows less.
            for item in items(answer, "") {
                without(item, &["secureJsonFields", "basicAuthUser", "withCredentials"]);
            }
            if let Some(object) = answer.body.as_object_mut() {
                object.insert("version".to_owned(), json!(1));
            }
        }
    }
}

struct Langfuse;

impl Vendor for Langfuse {
    fn mask(&self, _: &str, secret: &str) -> String {
        ends(secret, 0, "...", 4)
    }

    fn page(&self, call: &Call) -> Option<(usize, usize)> {
        let size = number(call, "limit").unwrap_or(50);
        Some(((number(call, "page").unwrap_or(1) - 1) * size, size))
    }

    fn before(&self, call: &mut Call, _: &mut dyn Keeper) -> Option<Answer> {
        let refused =
            |what: &str| Some(Answer::new(400, json!({ "message": "Invalid request data", "error": [{ "message": what }] })));
        if number(call, "limit").is_some_and(|size| size > 100) {
            return refused("limit");
        }
        // Every change needs the key again.
        let missing = ["provider", "adapter", "secretKey"].into_iter().find(|name| call.body[*name].as_str().is_none());
        missing.filter(|_| call.method == "PUT").and_then(refused)
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        if call.method == "GET" {
            for item in items(answer, "/data") {
                item["extraHeaderKeys"] = json!(["sample"]);
            }
        }
    }
}

struct LiteLlm;

impl Vendor for LiteLlm {
    fn mask(&self, _: &str, secret: &str) -> String {
        ends(secret, 2, "*****", 2)
    }

    fn page(&self, call: &Call) -> Option<(usize, usize)> {
        let size = number(call, "size").unwrap_or(50);
        call.is("GET /v2/model/info").then(|| ((number(call, "page").unwrap_or(1) - 1) * size, size))
    }

    fn before(&self, call: &mut Call, _: &mut dyn Keeper) -> Option<Answer> {
        if call.is("PATCH /credentials/{id}") {
            // The third is optional to newer servers.
            let all = ["credential_info", "credential_values", "credential_name"];
            let missing = all.into_iter().find(|name| call.body[*name].is_null())?;
            return Some(Answer::new(422, json!({ "detail": [{ "msg": format!("{missing}: Field required") }] })));
        }
        // A change without the id would make another one up.
        let info = call.body.get("model_info").filter(|_| call.is("PATCH /model/{id}/update"))?;
        let loses_id = info["id"].as_str().is_none();
        loses_id.then(|| Answer::new(400, json!({ "error": { "message": "the id would be another one" } })))
    }

    /// A PATCH merges, and removes nothing.
    fn changed(&self, _: &Call, before: &Stored, after: &mut Stored) {
        for name in ["credential_info", "credential_values", "litellm_params"] {
            if after.fields.get(name).is_some() {
                deep(&before.fields[name], &mut after.fields[name]);
            }
        }
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        if answer.status >= 300 {
            return;
        }
        match (call.method.as_str(), call.path.as_str()) {
            ("POST", "/credentials") => answer.body = json!({ "success": true, "message": "Credential created successfully" }),
            ("POST", "/model/new") => answer.body["litellm_params"] = json!({ "model": "encrypted" }),
            // One of the configuration file's.
            ("GET", "/credentials") => {
                if let Some(all) = answer.body["credentials"].as_array_mut() {
                    all.push(json!({ "credential_name": "from-config", "credential_info": {}, "credential_values": {}, "source": "config" }));
                }
            }
            _ => {}
        }
    }
}

struct Mlflow;

const MODELS: &str = "/api/3.0/mlflow/gateway/model-definitions";

impl Vendor for Mlflow {
    fn mask(&self, _: &str, secret: &str) -> String {
        ends(secret, 3, "...", 4)
    }

    fn before(&self, call: &mut Call, objects: &mut dyn Keeper) -> Option<Answer> {
        if call.is(&format!("DELETE {MODELS}/delete")) {
            let id = &call.body["model_definition_id"];
            let uses = |endpoint: &Value| {
                let models = endpoint["fields"]["model_configs"].as_array().cloned().unwrap_or_default();
                models.iter().any(|model| model["model_definition_id"] == *id)
            };
            let in_use = objects.all("/api/3.0/mlflow/gateway/endpoints/list").iter().any(|(_, endpoint)| uses(endpoint));
            let message = "Cannot delete model definition that is currently in use by endpoints";
            return in_use.then(|| Answer::new(500, json!({ "error_code": "INVALID_STATE", "message": message })));
        }
        let secret = call.body["secret_id"].as_str().filter(|_| call.is(&format!("POST {MODELS}/create")));
        let unknown = secret.is_some_and(|id| objects.get("/api/3.0/mlflow/gateway/secrets/list", id).is_none());
        unknown.then(|| Answer::new(404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such secret" })))
    }

    /// Fields that are ignored with a 200, and one that another one empties.
    fn changed(&self, call: &Call, before: &Stored, after: &mut Stored) {
        if before.kind == "secret" {
            for name in ["secret_name", "provider"] {
                after.fields[name] = before.fields[name].clone();
            }
        }
        let empties = call.body.get("model_configs").is_some() && call.body.get("fallback_config").is_none();
        if before.kind == "endpoint" && empties {
            without(&mut after.fields, &["fallback_config"]);
        }
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        // An empty list is left out.
        let is_empty = |body: &Value| body.as_object().is_some_and(|map| map.values().all(|list| *list == json!([])));
        if call.path.ends_with("/list") && is_empty(&answer.body) {
            answer.body = json!({});
        }
        for place in ["/endpoint/model_mappings", "/endpoints/0/model_mappings", "/endpoints/1/model_mappings"] {
            for item in items(answer, place) {
                item["mapping_id"] = json!("m-1");
            }
        }
    }
}

struct N8n;

impl Vendor for N8n {
    fn keys_are_unique(&self) -> bool {
        false
    }

    fn page(&self, call: &Call) -> Option<(usize, usize)> {
        Some((number(call, "cursor").unwrap_or(0), number(call, "limit").unwrap_or(100).min(250)))
    }

    /// Without `isPartialData` all of `data` is replaced.
    fn changed(&self, call: &Call, before: &Stored, after: &mut Stored) {
        if let Some(data) = call.body.get("data") {
            let mut data = data.clone();
            if call.body["isPartialData"] == true {
                deep(&before.fields["data"], &mut data);
            }
            after.fields["data"] = data;
        }
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        for item in items(answer, "/data") {
            without(item, &["isResolvable", "data"]);
        }
        if call.is("PUT /credentials/{id}/transfer") && answer.status == 200 {
            *answer = Answer::new(204, Value::Null);
        }
    }
}

struct OpenRouter;

impl Vendor for OpenRouter {
    fn keys_are_unique(&self) -> bool {
        false
    }

    fn mask(&self, _: &str, secret: &str) -> String {
        ends(secret, 3, "...", 3)
    }

    /// Whatever `limit` says.
    fn page(&self, call: &Call) -> Option<(usize, usize)> {
        Some((number(call, "offset").unwrap_or(0), 100))
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        if let Some(object) = answer.body.get_mut("data") {
            unstamped_at_first(object, "updated_at");
        }
        for item in items(answer, "/data") {
            unstamped_at_first(item, "updated_at");
        }
        // Shown once.
        if call.is("POST /keys") && answer.status == 201 {
            answer.body["key"] = json!("sk-or-v1-0000000000");
        }
    }
}

struct Opik;

impl Vendor for Opik {
    fn mask(&self, field: &str, secret: &str) -> String {
        if field == "value" { "__SECRET__".to_owned() } else { ends(secret, 3, "*******", 3) }
    }

    fn before(&self, call: &mut Call, _: &mut dyn Keeper) -> Option<Answer> {
        let refused = |status: u16, why: &str| Some(Answer::new(status, json!({ "errors": [why] })));
        if call.method == "PATCH" && call.body.get("provider").is_some() {
            return refused(422, "provider cannot be changed");
        }
        if !call.body["api_key"].is_null() && !call.body["auth_config"].is_null() {
            return refused(422, "either api_key or auth_config");
        }
        if let Some(body) = call.body.as_object_mut() {
            body.retain(|_, value| !value.is_null());
        }
        None
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        if call.is("POST /v1/private/llm-provider-key/delete") || (call.method == "PATCH" && answer.status == 200) {
            // Also for ids that do not exist.
            *answer = Answer::new(204, Value::Null);
        }
        if let Some(all) = answer.body["content"].as_array_mut() {
            all.push(json!({ "id": "free", "provider": "opik-free", "read_only": true }));
            let count = all.len();
            answer.body["total"] = count.into();
        }
    }
}

struct Portkey;

impl Vendor for Portkey {
    fn page(&self, call: &Call) -> Option<(usize, usize)> {
        let size = number(call, "page_size").unwrap_or(100);
        Some((number(call, "current_page").unwrap_or(0) * size, size))
    }

    fn after(&self, call: &Call, answer: &mut Answer, _: &mut dyn Keeper) {
        if answer.status >= 300 {
            return;
        }
        match call.method.as_str() {
            "POST" => answer.body = json!({ "id": "a-uuid", "slug": answer.body["slug"] }),
            "PUT" => answer.body = json!({}),
            _ => {}
        }
        if let Some(object) = answer.body.as_object_mut().filter(|object| object.contains_key("slug")) {
            object.insert("id".to_owned(), json!("a-uuid"));
        }
        for item in items(answer, "/data") {
            unstamped_at_first(item, "last_updated_at");
            without(item, &["masked_key", "configurations", "secret_mappings"]);
        }
        unstamped_at_first(&mut answer.body, "last_updated_at");
    }
}
