use serde_json::json;

use super::*;

/// What is sent for a merged object, and what it would lose.
fn sent(rules: &serde_json::Value, wanted: serde_json::Value, live: serde_json::Value) -> (serde_json::Value, Vec<String>) {
    let kind: Kind = serde_json::from_value(json!({
        "title": "T", "collection": "things", "fields": { "config": rules },
        "create": { "method": "POST", "path": "/things" }, "delete": "none"
    }))
    .unwrap();
    let mut loses = Vec::new();
    let at = FieldPath::root().key("config");
    let body = with_unmanaged(&kind, &kind.fields["config"], &wanted.into(), &live.into(), &at, &mut loses);
    (body.expose_json().unwrap(), loses.iter().map(ToString::to_string).collect())
}

#[test]
fn what_nobody_declared_travels_along_or_is_named() {
    let free = json!({ "type": "object", "merge": true });
    let with = |more: serde_json::Value| {
        let mut rules = free.clone();
        rules.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rules
    };
    let secret = json!({ "secret": "always", "reads_as": "mask" });
    let flag = json!({ "secret": "always", "reads_as": "presence" });
    let kept_by = json!({ "kept_by": "*****" });
    let wanted = json!({ "a": 2 });
    for (name, rules, live, expected, lost) in [
        ("readable", free.clone(), json!({ "a": 1, "b": { "c": [1] } }), json!({ "a": 2, "b": { "c": [1] } }), vec![]),
        ("null is nothing", free.clone(), json!({ "b": null }), wanted.clone(), vec![]),
        ("a mask", free.clone(), json!({ "k": "*****" }), wanted.clone(), vec!["config.k"]),
        (
            "masks deep inside",
            free.clone(),
            json!({ "d": { "k": "*****", "n": 1 }, "l": ["x", "sk-...abcd"] }),
            wanted.clone(),
            vec!["config.d.k", "config.l[1]"],
        ),
        ("declared as one", free.clone(), json!({ "a": { "k": "*****" } }), wanted.clone(), vec![]),
        (
            "a secret by rule",
            with(json!({ "fields": { "a": {}, "k": secret } })),
            json!({ "k": "hidden" }),
            wanted.clone(),
            vec!["config.k"],
        ),
        (
            "of a name that the definition does not know",
            with(json!({ "fields": { "a": {} } })),
            json!({ "k": "*****", "n": 1 }),
            wanted.clone(),
            vec!["config.k"],
        ),
        ("any name", with(json!({ "values": secret })), json!({ "k": "hidden" }), wanted.clone(), vec!["config.k"]),
        ("there is none", with(json!({ "values": flag })), json!({ "k": false }), wanted.clone(), vec![]),
        ("there is one", with(json!({ "values": flag })), json!({ "k": true }), wanted.clone(), vec!["config.k"]),
        (
            "kept without it",
            with(json!({ "values": flag, "other_secrets": "kept" })),
            json!({ "k": true }),
            wanted.clone(),
            vec![],
        ),
        (
            "kept by a text",
            with(json!({ "other_secrets": kept_by })),
            json!({ "k": "*****", "d": { "k": "*****", "n": 1 } }),
            json!({ "a": 2, "k": "*****", "d": { "k": "*****", "n": 1 } }),
            vec![],
        ),
        (
            "another text",
            with(json!({ "other_secrets": kept_by })),
            json!({ "k": "sk-...abcd" }),
            wanted.clone(),
            vec!["config.k"],
        ),
        (
            "where another field is read",
            with(json!({ "fields": { "a": {}, "k": { "secret": "always", "reads_as": "mask", "read": "config.masked_k" } } })),
            json!({ "masked_k": "*****" }),
            wanted.clone(),
            vec![],
        ),
        (
            "a merged object in it",
            with(json!({ "fields": { "a": { "type": "object", "merge": true } } })),
            json!({ "a": { "x": 1, "k": "*****" } }),
            wanted.clone(),
            vec![],
        ),
    ] {
        assert_eq!(sent(&rules, wanted.clone(), live), (expected, lost.into_iter().map(ToOwned::to_owned).collect()), "{name}");
    }
    let nested = with(json!({ "fields": { "a": { "type": "object", "merge": true } } }));
    let (body, lost) = sent(&nested, json!({ "a": { "y": 2 } }), json!({ "a": { "x": 1, "k": "*****" } }));
    assert_eq!((body, lost), (json!({ "a": { "y": 2, "x": 1 } }), vec!["config.a.k".to_owned()]));
}
