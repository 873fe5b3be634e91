use crate::platform::parse::parse;
use crate::source::Sources;

/// One of everything that is checked.
const MINE: &str = r#"platform: p
language: 1
title: P
auth:
  login:
    header: X-Api-Key
    prefix: "Bearer "
    login: { path: /auth/login, fields: { user: user }, token: [token] }
headers: { X-Tenant: "our tenant" }
errors:
  message: [error.message]
  rules: [{ status: 500, message_has: no, class: invalid }]
collections:
  things:
    list: { path: /things, items: things, total: total }
    read: { path: "/things/{id}", item: thing }
    id: id
    natural_key: [sort, meta.name]
kinds:
  thing:
    title: Thing
    collection: things
    constants: { sort: small }
    fields:
      meta: { type: object, required: true, fields: { name: { required: true } } }
      note: {}
    create: { method: POST, path: /things, item: thing }
    update:
      - { method: PATCH, path: "/things/{id}", semantics: merge, covers: [note] }
      - { method: POST, path: /things, semantics: upsert, covers: "*", writes_as: { note: notes.first } }
    delete: { method: DELETE, path: "/things/{id}" }
    test: { method: GET, path: "/things/{id}/test", trust: stored }
"#;

/// `LINE: what | help` of everything that is wrong with a changed definition.
fn wrong(from: &str, to: &str) -> Vec<String> {
    assert!(MINE.contains(from), "{from}");
    let text = MINE.replacen(from, to, 1);
    let mut sources = Sources::default();
    let file = sources.add("my.yaml", text.as_str());
    let Err(found) = parse(file, &text) else { return Vec::new() };
    let told = found.iter().map(|d| {
        let place = d.labels.first().and_then(|l| sources.file_line(l.span)).unwrap_or_default();
        let help = d.help.as_deref().map(|h| format!(" | {h}")).unwrap_or_default();
        format!("{} {place} {}{help}", d.code.id(), d.summary)
    });
    told.collect()
}

#[test]
fn the_definition_that_is_spoiled_here_is_right() {
    assert_eq!(wrong("title: P", "title: Q"), Vec::<String>::new());
}

#[test]
fn a_path_cannot_lead_to_another_host() {
    let places = [
        ("path: /auth/login", "a login", 8),
        ("list: { path: /things", "a list", 15),
        ("read: { path: \"/things/{id}\"", "a read", 16),
        ("create: { method: POST, path: /things", "a create", 27),
        ("- { method: PATCH, path: \"/things/{id}\"", "an update", 29),
        ("- { method: POST, path: /things", "an update", 30),
        ("delete: { method: DELETE, path: \"/things/{id}\"", "a delete", 31),
        ("test: { method: GET, path: \"/things/{id}/test\"", "a test", 32),
    ];
    for (from, what, line) in places {
        for path in ["1:9999/things/{id}", "@host/{id}", "things/{id}", ".host/{id}", "", "//host/{id}", "\\\\host/{id}"] {
            let to = format!("{}path: '{path}'", &from[..from.find("path:").unwrap()]);
            let expected = format!(
                "PB0114 my.yaml:{line} the path of {what} must begin with one `/`: {path:?} | a path such as `/things` is what \
                 follows the target's base URL"
            );
            assert_eq!(wrong(from, &to), [expected], "{from} → {to}");
        }
    }
}

#[test]
fn a_path_is_nothing_but_a_path() {
    for (path, expected) in [
        (
            "/things?a=b",
            "the path of a list cannot have '?': \"/things?a=b\" | constant parameters of a list go into its `query`",
        ),
        ("/things#a", "the path of a list cannot have '#': \"/things#a\" | constant parameters of a list go into its `query`"),
        ("/the things", "the path of a list cannot have ' ': \"/the things\""),
        ("/a\\t/../b", "the path of a list cannot have '\\t': \"/a\\t/../b\""),
        ("/a\\\\b", "the path of a list cannot have '\\\\': \"/a\\\\b\""),
        ("/a\\u0007", "the path of a list cannot have '\\u{7}': \"/a\\u{7}\""),
        ("/a/../b", "the path of a list cannot have `.` or `..` for a step: \"/a/../b\""),
        ("/a/%2e%2E", "the path of a list cannot have `.` or `..` for a step: \"/a/%2e%2E\""),
        (
            "/orgs/{org}/things",
            "nothing fills in `{org}` in the path of a list | only `{id}`, the object's id, is known; what is the same for all \
             objects of a target goes into its `base_url`",
        ),
        (
            "/things/{id}",
            "the path of a list cannot have `{id}`: there is no id to fill in | what is the same for all objects of a target goes \
             into its `base_url`",
        ),
    ] {
        let found = wrong("list: { path: /things", &format!("list: {{ path: \"{path}\""));
        assert_eq!(found, [format!("PB0114 my.yaml:15 {expected}")], "{path}");
    }
    for path in ["/a/{id", "/a/id}/{id}", "/a/{}/{id}", "/{ID}/{id}", "/{{id}}"] {
        let found = wrong(
            "update:\n      - { method: PATCH, path: \"/things/{id}\"",
            &format!("update:\n      - {{ method: PATCH, path: \"{path}\""),
        );
        assert!(found.len() == 1 && found[0].starts_with("PB0114 my.yaml:29 nothing fills in `"), "{path}: {found:?}");
    }
    for (from, to) in [
        ("create: { method: POST, path: /things", "create: { method: POST, path: \"/things/{id}\""),
        ("path: /auth/login", "path: \"/auth/{id}\""),
    ] {
        assert!(wrong(from, to)[0].contains("cannot have `{id}`"), "{to}");
    }
    assert_eq!(wrong("delete: { method: DELETE, path: \"/things/{id}\"", "delete: { method: DELETE, path: /things").len(), 1);
    assert_eq!(
        wrong("- { method: POST, path: /things", "- { method: POST, path: \"/things/{id}/v1.0/a..b/é%2F\""),
        Vec::<String>::new()
    );
}

#[test]
fn a_list_is_whole_beside_a_read() {
    let list = "list: { path: /things, items: things, total: total }\n    read: { path: \"/things/{id}\", item: thing }\n";
    let whole = |read: &str| format!("list: {{ path: /things, items: things, total: total, items_are_whole: true }}\n{read}");
    assert_eq!(wrong(list, &whole("    read: { path: \"/things/{id}\", item: thing }\n")), Vec::<String>::new());
    let why = "`items_are_whole` compares the list with a read, and there is none";
    let help = "leave it out: without `read` the list is all there is";
    assert_eq!(wrong(list, &whole("")), [format!("PB0114 my.yaml:15 {why} | {help}")]);
}

#[test]
fn what_cannot_work_is_an_error() {
    const CONDITION: &str = " | give it a `status`, a part of the message (`message_has`) or a `code`";
    const HEADER: &str = " | letters, digits and hyphens, such as `X-Tenant`";
    const ITEMS: &str = " | `items` is left out, so the answer is the list itself: say where the items stand in it";
    const REQUIRED: &str = " | a connection without it could not be told from others, and would be created again";
    for (from, to, expected, more) in [
        (
            "{ status: 500, message_has: no, class: invalid }",
            "{ class: transient }",
            "12 a rule without a condition makes a failure of every answer",
            CONDITION,
        ),
        ("message_has: no", "message_has: ''", "12 an empty `message_has` is in every message", CONDITION),
        (
            "status: 500, message_has: no",
            "status: 200",
            "12 this rule makes a failure of every success",
            " | say what tells a failure under status 200: `message_has`, `code`, or `failed_when`",
        ),
        ("header: X-Api-Key", "header: X Api Key", "6 \"X Api Key\" is not the name of an HTTP header", HEADER),
        (
            "header: X-Api-Key",
            "header: ''",
            "6 a way with a credential needs the header that carries it",
            " | header: Authorization",
        ),
        ("X-Tenant: \"our", "\"X:Tenant\": \"our", "9 \"X:Tenant\" is not the name of an HTTP header", HEADER),
        ("our tenant", "our\\ntenant", "9 \"our\\ntenant\" has characters that no HTTP header can carry", ""),
        ("Bearer ", "B\\u00e9arer ", "7 \"Béarer \" has characters that no HTTP header can carry", ""),
        (
            "fields: { user: user }",
            "fields: {}",
            "8 a login needs at least one field to send",
            " | fields: { username: username, password: password }",
        ),
        (
            "token: [token]",
            "token: []",
            "8 a login must say where its answer has the credential",
            " | token: [token, data.accessToken]",
        ),
        ("items: things, ", "", "15 an answer that is a list has no total beside it", ITEMS),
        (
            "items: things, total: total",
            "paging: { style: cursor, next: next }",
            "15 an answer that is a list has no cursor beside it",
            ITEMS,
        ),
        ("create: { method: POST", "create: { method: GET", "27 a create cannot be a GET", ""),
        ("- { method: PATCH", "- { method: GET", "29 an update cannot be a GET", ""),
        ("- { method: PATCH", "- { method: DELETE", "29 an update cannot be a DELETE", ""),
        ("delete: { method: DELETE", "delete: { method: GET", "31 a delete cannot be a GET", ""),
        (
            "name: { required: true }",
            "name: {}",
            "25 `meta.name` is a part of the natural key, so it must be `required`, as must be what it is in",
            REQUIRED,
        ),
        (
            "meta: { type: object, required: true",
            "meta: { type: object",
            "25 `meta.name` is a part of the natural key, so it must be `required`, as must be what it is in",
            REQUIRED,
        ),
        (
            "name: { required: true }",
            "name: { required: true, read: title }",
            "25 `meta.name` is a part of the natural key, so it cannot have `read`",
            " | natural keys are taken from where they are written",
        ),
        ("sort: small", "sort: 3", "23 `sort` is a part of the natural key, so its constant must be a text", ""),
    ] {
        assert_eq!(wrong(from, to), [format!("PB0114 my.yaml:{expected}{more}")], "{from} → {to}");
    }
}

#[test]
fn paths_of_fields_have_a_limit() {
    let long = ["a"; 12_000].join(".");
    for (from, name) in [
        ("id: id\n", "id"),
        ("item: thing }\n    update", "create.item"),
        ("token: [token]", "token"),
        ("message: [error.message]", "message"),
        ("items: things", "items"),
        ("total: total", "total"),
        ("note: {}", "read"),
        ("note: notes.first", "writes_as"),
        ("covers: [note]", "covers"),
        ("natural_key: [sort, meta.name]", "natural_key"),
    ] {
        let to = match name {
            "create.item" => format!("id: {long} }}\n    update"),
            "token" | "message" | "covers" | "natural_key" => format!("{name}: [{long}]"),
            "read" => format!("note: {{ read: {long} }}"),
            "writes_as" => format!("note: {long}"),
            "id" => format!("id: {long}\n"),
            other => format!("{other}: {long}"),
        };
        let found = wrong(from, &to);
        assert_eq!(found.len(), 1, "{name}");
        let expected = format!("the path `{}…` has 12000 steps; at most 64 are read", "a.".repeat(20));
        assert!(found[0].ends_with(&expected), "{name}: {}", found[0]);
    }
    let most = ["a"; 64].join(".");
    assert_eq!(wrong("id: id\n", &format!("id: {most}\n")), Vec::<String>::new());
    assert_eq!(wrong("items: things", "items: \"data[99].things\""), Vec::<String>::new());
    let far = wrong("items: things", "items: \"data[4000000000].things\"");
    assert_eq!(far, ["PB0114 my.yaml:15 the path `data[4000000000].things` has the position 4000000000; the last one is 99"]);
}

#[test]
fn fields_are_no_deeper_than_a_file_may_be() {
    // Tests run on a smaller stack than the program does.
    let tried = std::thread::Builder::new().stack_size(8 << 20).spawn(nested_fields);
    tried.unwrap().join().unwrap();
}

fn nested_fields() {
    let depth = 200;
    let deep = ["{ type: object, fields: { x: ".repeat(depth), "{}".to_owned(), " } }".repeat(depth)].concat();
    let found = wrong("note: {}", &format!("note: {deep}"));
    assert!(found.len() == 1 && found[0].contains("beyond what patchbay reads"), "{found:?}");
    // Also if each level is written only once.
    let level = |n: usize| format!("\n      f{n}: &f{n} {{ type: object, fields: {{ x: *f{} }} }}", n - 1);
    let levels: String = (1..depth).map(level).collect();
    let found = wrong("note: {}", &format!("note: {{}}\n      f0: &f0 {{}}{levels}"));
    assert!(found.len() == 1 && found[0].contains("beyond what patchbay reads"), "{found:?}");
}

#[test]
fn names_titles_and_numbers_are_usable() {
    for (from, to, expected) in [
        ("platform: p", "platform: ../p", "PB0114 my.yaml:1 \"../p\" is not a usable name | letters, digits, `-`, `_` and `.`"),
        (
            "  thing:\n    title",
            "  a thing:\n    title",
            "PB0114 my.yaml:19 \"a thing\" is not a usable name | letters, digits, `-`, `_` and `.`",
        ),
        ("title: P", "title: \"a\\e[2Jb\"", "PB0114 my.yaml:3 a title is one line of text"),
        (
            "headers: {",
            "limits: { parallelism: 0 }\nheaders: {",
            "PB0114 my.yaml:9 no request could ever be sent | parallelism: 8",
        ),
        (
            "items: things, total: total }",
            "items: things, total: total, paging: { style: offset, size: 0 } }",
            "PB0114 my.yaml:15 a page of nothing never ends | size: 100",
        ),
    ] {
        let found = wrong(from, to);
        assert!(found.iter().any(|line| line == expected), "{to}: {found:#?}");
    }
}

#[test]
fn values_secrets_and_references_make_sense() {
    let note = |rules: &str| ("      note: {}".to_owned(), format!("      note: {{ {rules} }}"));
    let delete = |word: &str| {
        let from = "    delete: { method: DELETE, path: \"/things/{id}\" }".to_owned();
        (from.clone(), from.replace(" }", &format!(", dependents: {word} }}")))
    };
    for ((from, to), expected) in [
        (note("type: object, values: { secret: always }"), ""),
        (note("type: object, values: { reads_as: presence, read: \"flags.{key}\" }"), ""),
        (note("type: object, merge: true, other_secrets: kept"), ""),
        (note("references: thing"), ""),
        (note("type: list, references: thing"), ""),
        (note("values: { secret: always }"), "26 `note` has rules for its values, so its type must be object"),
        (note("type: object, values: { required: true }"), "26 nobody knows the keys, so none of them can be required"),
        (note("type: object, values: { read: flags }"), "26 `flags` does not say where each value is read | read: flags.{key}"),
        (
            note("type: object, values: { type: object, fields: { a: { read: b } } }"),
            "26 what is in a value of `note` is read where it is written",
        ),
        (
            note("type: object, other_secrets: kept"),
            "26 `note` is compared and sent as one, so there are no others in it | `merge: true` leaves keys alone that nobody declared",
        ),
        (
            note("type: object, merge: true, other_secrets: { kept_by: '' }"),
            "26 an empty text stands for no secret | other_secrets: kept",
        ),
        (
            note("type: object, merge: true, other_secrets: gone"),
            "26 in a platform definition: expected `lost`, `kept` or { kept_by }",
        ),
        (note("references: think"), "26 `note` refers to an unknown kind `think` | did you mean `thing`? accepted: `thing`"),
        (note("type: boolean, references: thing"), "26 `note` cannot hold an id: it is a boolean"),
        (delete("cascade"), "31 nothing refers to a `thing` | give the field that holds its id `references: thing`"),
        (
            ("trust: stored".to_owned(), "trust: stored, passed: { field: s }".to_owned()),
            "32 the words must tell a pass from a failure | passed: { field: status, is: [ok], is_not: [failed] }",
        ),
        (
            ("trust: stored".to_owned(), "trust: stored, passed: [a]".to_owned()),
            "32 in a platform definition: expected a path or { field, is, is_not }",
        ),
    ] {
        let expected: Vec<String> =
            Some(expected).filter(|e| !e.is_empty()).map(|e| format!("PB0114 my.yaml:{e}")).into_iter().collect();
        assert_eq!(wrong(&from, &to), expected, "{to}");
    }
}

#[test]
fn what_values_look_like_makes_sense() {
    for (rules, expected) in [
        ("type: integer, min: 1, max: 1", vec![]),
        ("type: number, min: 0.5, max: 2", vec![]),
        ("max_length: 1", vec![]),
        ("pattern: '[a-z]+ [0-9]'", vec![]),
        ("pattern: 'sk-[0-9]+', examples: [sk-1]", vec![]),
        ("secret: always, max_length: 20", vec![]),
        ("type: object, values: { max_length: 3 }", vec![]),
        ("type: list, keyed_by: key, item: { key: {}, value: { pattern: '[a-z]+ [0-9]' } }", vec![]),
        ("min: 1", vec!["`note` is a string, which has no `min`"]),
        ("type: boolean, max: 1", vec!["`note` is a boolean, which has no `max`"]),
        ("type: integer, max_length: 1", vec!["`note` is a whole number, which has no `max_length`"]),
        ("type: list, pattern: a", vec!["`note` is a list, which has no `pattern`"]),
        ("type: number, examples: ['1']", vec!["`note` is a number, which has no `examples`"]),
        ("enum: [a], max_length: 1", vec!["the enum of `note` says it all, so it has no `max_length`"]),
        ("type: integer, min: 0.5", vec!["`note` is a whole number, so its `min` must be one"]),
        ("type: integer, min: 2, max: 1", vec!["no number is at least 2 and at most 1"]),
        ("type: number, min: 0.2, max: 0.1", vec!["no number is at least 0.2 and at most 0.1"]),
        ("max_length: 0", vec!["`note` could only be empty"]),
        ("max_length: -1", vec!["in a platform definition: invalid value: integer `-1`, expected usize"]),
        ("type: number, min: low", vec!["in a platform definition: invalid type: string \"low\", expected a JSON number"]),
        ("pattern: '[a-z'", vec!["in a platform definition: this is no pattern: unclosed character class"]),
        ("pattern: '(?i)a'", vec!["in a platform definition: a pattern cannot have `(?` without `:`, which editors do not know"]),
        ("pattern: 'sk-[0-9]+'", vec!["nobody can guess a value for `note` | examples: [one, another]"]),
        ("secret: always, pattern: 'note [0-9]'", vec!["nobody can guess a value for `note` | examples: [one, another]"]),
        (
            "compare: url, max_length: 9, pattern: 'http.*'",
            vec!["nobody can guess a value for `note` | examples: [one, another]"],
        ),
        ("pattern: 'sk-[0-9]+', examples: [sk-1, sk-a]", vec!["`note` cannot be \"sk-a\""]),
        ("max_length: 2, examples: [abc]", vec!["`note` cannot be \"abc\""]),
        ("type: object, values: { max: 3 }", vec!["`values` is a string, which has no `max`"]),
        ("type: object, fields: { a: { min: 3 } }", vec!["`a` is a string, which has no `min`"]),
        ("type: list, keyed_by: key, item: { key: {}, value: { min: 3 } }", vec!["`value` is a string, which has no `min`"]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|what| format!("PB0114 my.yaml:26 {what}")).collect();
        assert_eq!(wrong("      note: {}", &format!("      note: {{ {rules} }}")), expected, "{rules}");
    }
}
