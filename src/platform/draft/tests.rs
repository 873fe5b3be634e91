use super::*;
use crate::platform::parse;
use crate::source::Sources;
use expect_test::expect;
use serde_json::json;

fn document() -> Json {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Acme models", "version": "2.1" },
        "servers": [{ "url": "https://api.acme.example/v2" }],
        "components": {
            "securitySchemes": { "ApiKeyAuth": { "type": "apiKey", "in": "header", "name": "X-Api-Key" } },
            "schemas": {
                "Model": { "allOf": [{ "$ref": "#/components/schemas/NewModel" }, { "type": "object", "properties": { "id": { "type": "string" }, "updatedAt": { "type": "string" } } }] },
                "NewModel": {
                    "type": "object",
                    "required": ["name", "vendor"],
                    "properties": {
                        "name": { "type": "string", "description": "What people\ncall it." },
                        "vendor": { "type": "string", "enum": ["openai", "other"] },
                        "apiKey": { "type": "string", "writeOnly": true },
                        "limits": { "type": "object", "properties": { "rpm": { "type": ["integer", "null"] } } },
                        "tags": { "type": "array", "items": { "type": "string" } }
                    }
                }
            }
        },
        "paths": {
            "/models": {
                "get": {
                    "parameters": [{ "name": "offset", "in": "query" }, { "name": "limit", "in": "query" }],
                    "responses": { "200": { "content": { "application/json": { "schema": { "type": "object", "properties": {
                        "items": { "type": "array", "items": { "$ref": "#/components/schemas/Model" } }, "total": { "type": "integer" } } } } } } }
                },
                "post": {
                    "summary": "Create a model",
                    "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewModel" } } } },
                    "responses": { "201": { "content": { "application/json": { "schema": { "type": "object", "properties": { "model": { "$ref": "#/components/schemas/Model" } } } } } } }
                }
            },
            "/models/{modelId}": {
                "get": { "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Model" } } } } } },
                "put": {}, "delete": {}
            },
            "/teams/{team}/keys": { "get": {}, "post": {} },
            "/teams/{team}/keys/{id}": { "delete": {} }
        }
    })
}

#[test]
fn a_document_becomes_a_definition_with_questions() {
    let draft = draft(&document(), "acme", None).unwrap();
    expect![[r##"
        # yaml-language-server: $schema=platform.schema.json
        # Drafted by `patchbay platform new` from an OpenAPI document, which tells paths and shapes, and not how the API
        # behaves. Every TODO is a question to the vendor's pages; `patchbay platform check` asks more.
        platform: acme
        language: 1
        title: "Acme models"
        sources:
          - "OpenAPI document of Acme models, version 2.1"
        base_url: { ends_in: /v2 }
        auth:
          ApiKeyAuth: { header: X-Api-Key }
        errors:
          # TODO: where an error has its message
          message: [message, error.message, error, detail, "errors[0].message"]

        collections:
          models:
            # TODO: is this how it pages, and how many come at most?
            list: { path: /models, items: items, total: total, paging: { style: offset, size: 100, offset: offset, limit: limit } }
            read: { path: "/models/{id}" }
            id: id
            natural_key: [name]
            watermark: updatedAt

        kinds:
          model:
            title: "Create a model"
            collection: models
            fields:
              name: { type: string, required: true, description: "What people call it." }
              vendor: { type: string, required: true, enum: [openai, other] }
              # TODO: what a read shows of `apiKey`: a mask, the value, or nothing
              apiKey: { type: string, secret: always, reads_as: nothing }
              limits:
                type: object
                fields:
                  rpm: { type: integer }
              tags: { type: list }
            create: { method: POST, path: /models, item: model }
            update:
              # TODO: does this PUT lose the fields that are not sent (replace), or keep them (merge)?
              - { method: PUT, path: "/models/{id}", semantics: replace, covers: "*" }
            delete: { method: DELETE, path: "/models/{id}" }
    "##]]
    .assert_eq(&draft.text);
    assert_eq!((draft.kinds, draft.left_out.len()), (1, 1));
}

#[test]
fn a_draft_is_a_definition() {
    let draft = draft(&document(), "acme", None).unwrap();
    let mut sources = Sources::default();
    let file = sources.add("acme.yaml", draft.text.as_str());
    let definition = parse::parse(file, &draft.text).unwrap_or_else(|errors| panic!("{errors:#?}\n{}", draft.text));
    assert_eq!(definition.kinds.len(), 1);
    assert_eq!(draft.text.matches("# TODO: ").count(), draft.todos);
}

#[test]
fn what_is_no_openapi_document_is_refused() {
    for (document, why) in [
        (json!({}), "no OpenAPI 3"),
        (json!({ "swagger": "2.0", "paths": {} }), "no OpenAPI 3"),
        (json!({ "openapi": "3.0.0" }), "no `paths`"),
        (json!({ "openapi": "3.0.0", "paths": { "/health": { "get": {} } } }), "nothing here looks like objects"),
    ] {
        let error = draft(&document, "x", None).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    assert!(draft(&document(), "x", Some("/teams")).is_err(), "narrowed to what cannot be described");
}

#[test]
fn circles_end() {
    let mut document = document();
    document["components"]["schemas"]["NewModel"]["properties"]["parent"] = json!({ "$ref": "#/components/schemas/NewModel" });
    document["components"]["schemas"]["Loop"] = json!({ "$ref": "#/components/schemas/Loop" });
    document["components"]["schemas"]["NewModel"]["properties"]["loop"] = json!({ "$ref": "#/components/schemas/Loop" });
    assert!(draft(&document, "x", None).is_ok());
}

#[test]
fn names_that_mean_secrets() {
    for name in ["apiKey", "api_key", "secret", "accessToken", "password"] {
        assert!(looks_secret(name), "{name}");
    }
    for name in ["key", "keyId", "tokenCount", "name", "secretName", "authType"] {
        assert!(!looks_secret(name), "{name}");
    }
}
