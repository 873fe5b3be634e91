//! What the shape of a definition cannot say: does it speak of things that are there, and could its requests be sent?
//!
//! A definition may come from somebody else, and a target's credentials travel with every request that it names. So a path
//! is a path below the base URL and nothing else, and what is deep or long has a limit.

mod bounds;

use indexmap::IndexMap;

use self::bounds::check_bounds;
use super::exchange::{climbs, is_unsafe};
use super::model::{
    AuthScheme, Collection, Covers, Definition, Delete, Errors, Field, FieldType, Kind, Method, OtherSecrets, Paging, Passed,
    Semantics, Update,
};
use super::parse::{LANGUAGE, field_at, locate};
use crate::config::node::Node;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::path::{FieldPath, Step};
use crate::suggest;

/// A path of fields has at most so many steps.
const MAX_STEPS: usize = 64;

/// A path of fields leads to one of the first so many things of a list.
const MAX_POSITIONS: usize = 100;

/// Takes a place in the definition, what is wrong there, and what to do about it.
type Wrong<'w> = &'w mut dyn FnMut(&str, String, &str);

/// Everything that is wrong with a definition.
pub(super) fn check(definition: &Definition, root: &Node) -> Diagnostics {
    let mut found = Diagnostics::new();
    let mut wrong = |path: &str, what: String, help: &str| {
        found.push(
            Diagnostic::error(codes::BAD_DEFINITION, what)
                .label(locate(root, path, None), format!("at `{path}`"))
                .help_opt((!help.is_empty()).then(|| help.to_owned())),
        );
    };
    let mut is_short = true;
    for (at, path) in field_paths(definition) {
        if let Some(what) = too_long(path) {
            is_short = false;
            wrong(&at, what, "");
        }
    }
    if is_short {
        meaning(definition, &mut wrong);
    }
    found
}

fn meaning(definition: &Definition, wrong: Wrong<'_>) {
    if definition.language != LANGUAGE {
        wrong("language", format!("this patchbay speaks definition language {LANGUAGE}, not {}", definition.language), "");
    }
    if definition.auth.is_empty() {
        wrong(
            "auth",
            "a platform needs at least one way to authenticate".into(),
            "auth: { token: { header: Authorization, prefix: \"Bearer \" } }",
        );
    }
    check_words(definition, wrong);
    for (name, scheme) in &definition.auth {
        check_auth(scheme, &format!("auth.{name}"), wrong);
    }
    for (name, value) in &definition.headers {
        let at = format!("headers.{name}");
        check_header_name(name, &at, wrong);
        check_header_value(value, &at, wrong);
    }
    check_errors(&definition.errors, wrong);
    for (name, collection) in &definition.collections {
        check_collection(name, collection, &format!("collections.{name}"), wrong);
    }
    for (name, kind) in &definition.kinds {
        let at = format!("kinds.{name}");
        let Some(collection) = definition.collections.get(&kind.collection) else {
            let known: Vec<&str> = definition.collections.keys().map(String::as_str).collect();
            wrong(
                &format!("{at}.collection"),
                format!("the kind `{name}` names an unknown collection `{}`", kind.collection),
                &suggest::help(&kind.collection, &known).unwrap_or_default(),
            );
            continue;
        };
        check_natural_key(name, kind, collection, &at, wrong);
        for key in kind.constants.keys() {
            if kind.fields.contains_key(key) {
                wrong(
                    &format!("{at}.constants.{key}"),
                    format!("`{key}` is both a constant and a field of the kind `{name}`"),
                    "",
                );
            }
        }
        check_fields(&kind.fields, &format!("{at}.fields"), wrong);
        check_references(definition, &kind.fields, &format!("{at}.fields"), wrong);
        if kind.dependents().is_some() && !definition.kinds.values().any(|other| other.refers_to(name)) {
            wrong(
                &format!("{at}.delete.dependents"),
                format!("nothing refers to a `{name}`"),
                &format!("give the field that holds its id `references: {name}`"),
            );
        }
        check_verbs(kind, &at, wrong);
    }
}

/// Names are printed, and stand in addresses of files; numbers must leave room for at least one.
fn check_words(definition: &Definition, wrong: Wrong<'_>) {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let names = [("platform", definition.platform.as_str())]
        .into_iter()
        .chain(definition.collections.keys().map(|name| ("collections", name.as_str())))
        .chain(definition.kinds.keys().map(|name| ("kinds", name.as_str())));
    for (at, name) in names.filter(|(_, name)| !is_name(name)) {
        wrong(at, format!("{name:?} is not a usable name"), "letters, digits, `-`, `_` and `.`");
    }
    let titles = definition.kinds.iter().map(|(name, kind)| (format!("kinds.{name}.title"), kind.title.as_str()));
    for (at, title) in titles.chain([("title".to_owned(), definition.title.as_str())]) {
        if title.trim().is_empty() || title.chars().any(is_unsafe) {
            wrong(&at, "a title is one line of text".into(), "");
        }
    }
    if definition.kinds.is_empty() {
        wrong("kinds", "a platform without kinds has nothing to declare".into(), "");
    }
    if definition.limits.parallelism == 0 {
        wrong("limits.parallelism", "no request could ever be sent".into(), "parallelism: 8");
    }
    for (name, collection) in &definition.collections {
        let size = match collection.list.paging {
            Paging::LimitOnly { size, .. } | Paging::Offset { size, .. } | Paging::Page { size, .. } => size,
            Paging::None | Paging::Cursor { .. } => 1,
        };
        if size == 0 {
            wrong(&format!("collections.{name}.list.paging.size"), "a page of nothing never ends".into(), "size: 100");
        }
    }
}

fn check_auth(scheme: &AuthScheme, at: &str, wrong: Wrong<'_>) {
    if scheme.header.is_empty() {
        if scheme.login.is_some() || scheme.basic.is_some() || !scheme.prefix.is_empty() || !scheme.also.is_empty() {
            wrong(
                &format!("{at}.header"),
                "a way with a credential needs the header that carries it".into(),
                "header: Authorization",
            );
        }
        return;
    }
    check_header_name(&scheme.header, &format!("{at}.header"), wrong);
    check_header_value(&scheme.prefix, &format!("{at}.prefix"), wrong);
    for header in scheme.also.keys() {
        check_header_name(header, &format!("{at}.also.{header}"), wrong);
    }
    if scheme.basic.is_some() && (scheme.login.is_some() || !scheme.prefix.is_empty()) {
        wrong(&format!("{at}.basic"), "basic authentication has neither a login nor a prefix".into(), "");
    }
    let Some(login) = &scheme.login else { return };
    let at = format!("{at}.login");
    check_path("a login", &login.path, Id::Never, &format!("{at}.path"), wrong);
    if login.fields.is_empty() {
        wrong(
            &format!("{at}.fields"),
            "a login needs at least one field to send".into(),
            "fields: { username: username, password: password }",
        );
    }
    if login.token.is_empty() {
        wrong(
            &format!("{at}.token"),
            "a login must say where its answer has the credential".into(),
            "token: [token, data.accessToken]",
        );
    }
}

fn check_header_name(name: &str, at: &str, wrong: Wrong<'_>) {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(may) {
        wrong(at, format!("{name:?} is not the name of an HTTP header"), "letters, digits and hyphens, such as `X-Tenant`");
    }
}

fn check_header_value(value: &str, at: &str, wrong: Wrong<'_>) {
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        wrong(at, format!("{value:?} has characters that no HTTP header can carry"), "");
    }
}

fn check_errors(errors: &Errors, wrong: Wrong<'_>) {
    for (n, rule) in errors.rules.iter().enumerate() {
        let at = format!("errors.rules[{n}]");
        let help = "give it a `status`, a part of the message (`message_has`) or a `code`";
        if rule.message_has.as_deref() == Some("") {
            wrong(&at, "an empty `message_has` is in every message".into(), help);
        } else if rule.message_has.is_none() && rule.code.is_none() {
            match rule.status {
                None => wrong(&at, "a rule without a condition makes a failure of every answer".into(), help),
                Some(200) => wrong(
                    &at,
                    "this rule makes a failure of every success".into(),
                    "say what tells a failure under status 200: `message_has`, `code`, or `failed_when`",
                ),
                Some(_) => {}
            }
        }
    }
}

fn check_collection(name: &str, collection: &Collection, at: &str, wrong: Wrong<'_>) {
    if collection.natural_key.is_empty() {
        wrong(
            &format!("{at}.natural_key"),
            format!("the collection `{name}` needs a natural key"),
            "without one, an interrupted create could not be found again",
        );
    }
    let list = &collection.list;
    check_path("a list", &list.path, Id::Never, &format!("{at}.list.path"), wrong);
    check_method("a list", list.method, &[Method::Put, Method::Patch, Method::Delete], &format!("{at}.list.method"), wrong);
    if list.items.is_empty() {
        let help = "`items` is left out, so the answer is the list itself: say where the items stand in it";
        if list.total.is_some() {
            wrong(&format!("{at}.list.total"), "an answer that is a list has no total beside it".into(), help);
        }
        if matches!(list.paging, Paging::Cursor { .. }) {
            wrong(&format!("{at}.list.paging"), "an answer that is a list has no cursor beside it".into(), help);
        }
    }
    if list.items_are_whole && collection.read.is_none() {
        wrong(
            &format!("{at}.list.items_are_whole"),
            "`items_are_whole` compares the list with a read, and there is none".into(),
            "leave it out: without `read` the list is all there is",
        );
    }
    if let Some(read) = &collection.read {
        check_about("a read", &read.path, &read.query, &read.body, &format!("{at}.read"), wrong);
        check_method("a read", read.method, &[Method::Put, Method::Patch, Method::Delete], &format!("{at}.read.method"), wrong);
    }
}

/// A connection has its whole natural key from the beginning: it is what its object is found by.
fn check_natural_key(name: &str, kind: &Kind, collection: &Collection, at: &str, wrong: Wrong<'_>) {
    for key in &collection.natural_key {
        if let Some(constant) = kind.constants.get(key) {
            if !constant.is_string() {
                wrong(
                    &format!("{at}.constants.{key}"),
                    format!("`{key}` is a part of the natural key, so its constant must be a text"),
                    "",
                );
            }
            continue;
        }
        let path = FieldPath::parse(key);
        let Some(field) = field_at(kind, &path) else {
            wrong(&format!("{at}.fields"), format!("the kind `{name}` lacks the natural key's field `{key}`"), "");
            continue;
        };
        let place = format!("{at}.fields.{}", key.replace('.', ".fields."));
        let mut upper = FieldPath::root();
        let is_required = path.steps().iter().all(|step| {
            upper = upper.join(step.clone());
            field_at(kind, &upper).is_some_and(|field| field.required)
        });
        if !is_required {
            wrong(
                &place,
                format!("`{key}` is a part of the natural key, so it must be `required`, as must be what it is in"),
                "a connection without it could not be told from others, and would be created again",
            );
        }
        if field.read.as_ref().is_some_and(|read| read != key) {
            wrong(
                &place,
                format!("`{key}` is a part of the natural key, so it cannot have `read`"),
                "natural keys are taken from where they are written",
            );
        }
    }
}

fn check_fields(fields: &IndexMap<String, Field>, at: &str, wrong: Wrong<'_>) {
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        if !field.fields.is_empty() && field.kind != FieldType::Object {
            wrong(&at, format!("`{name}` has fields of its own, so its type must be object"), "");
        }
        if field.keyed_by.is_some() && field.kind != FieldType::List {
            wrong(&at, format!("`{name}` is keyed, so its type must be list"), "");
        }
        match &field.keyed_by {
            Some(key) if !field.item.contains_key(key) => {
                wrong(&at, format!("the items of `{name}` have no field `{key}`, which is to tell them apart"), "");
            }
            None if !field.item.is_empty() => wrong(&at, format!("`{name}` has item fields but no `keyed_by`"), ""),
            _ => {}
        }
        check_object(name, field, &at, wrong);
        check_bounds(name, field, &at, wrong);
        for word in field.equals.keys() {
            if !field.accepted.is_empty() && !field.accepted.contains(word) {
                wrong(&at, format!("`equals` of `{name}` speaks of `{word}`, which is not in its enum"), "");
            }
        }
        check_fields(&field.fields, &format!("{at}.fields"), wrong);
        check_fields(&field.item, &format!("{at}.item"), wrong);
    }
}

/// An id is an id of something that there is.
fn check_references(definition: &Definition, fields: &IndexMap<String, Field>, at: &str, wrong: Wrong<'_>) {
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        let values = field.values.as_deref();
        for (at, rules) in [(at.clone(), Some(field)), (format!("{at}.values"), values)] {
            let Some((rules, kind)) = rules.and_then(|rules| Some((rules, rules.references.as_ref()?))) else { continue };
            if !definition.kinds.contains_key(kind) {
                let known: Vec<&str> = definition.kinds.keys().map(String::as_str).collect();
                let help = suggest::help(kind, &known).unwrap_or_default();
                wrong(&format!("{at}.references"), format!("`{name}` refers to an unknown kind `{kind}`"), &help);
            }
            if matches!(rules.kind, FieldType::Boolean | FieldType::Number | FieldType::Object) {
                wrong(&format!("{at}.references"), format!("`{name}` cannot hold an id: it is {}", rules.kind.name()), "");
            }
        }
        check_references(definition, &field.fields, &format!("{at}.fields"), wrong);
        check_references(definition, &field.item, &format!("{at}.item"), wrong);
    }
}

/// What only an object has.
fn check_object(name: &str, field: &Field, at: &str, wrong: Wrong<'_>) {
    if field.emptied_by.is_some() && field.kind != FieldType::String {
        wrong(&format!("{at}.emptied_by"), format!("`{name}` is no text, so no text empties it"), "type: string");
    }
    if field.other_secrets != OtherSecrets::Lost && !field.merge {
        wrong(
            &format!("{at}.other_secrets"),
            format!("`{name}` is compared and sent as one, so there are no others in it"),
            "`merge: true` leaves keys alone that nobody declared",
        );
    }
    if matches!(&field.other_secrets, OtherSecrets::By(text) if text.kept_by.is_empty()) {
        wrong(&format!("{at}.other_secrets"), "an empty text stands for no secret".into(), "other_secrets: kept");
    }
    let Some(values) = &field.values else { return };
    let at = format!("{at}.values");
    if field.kind != FieldType::Object {
        wrong(&at, format!("`{name}` has rules for its values, so its type must be object"), "");
    }
    if values.required {
        wrong(&format!("{at}.required"), "nobody knows the keys, so none of them can be required".into(), "");
    }
    if let Some(read) = &values.read
        && read.strip_suffix(".{key}").is_none_or(|stem| stem.is_empty() || stem.contains('{'))
    {
        wrong(&format!("{at}.read"), format!("`{read}` does not say where each value is read"), "read: flags.{key}");
    }
    let deeper = values.fields.values().chain(values.item.values()).chain(values.values.as_deref());
    if deeper.into_iter().any(|inner| inner.read.is_some()) {
        wrong(&at, format!("what is in a value of `{name}` is read where it is written"), "");
    }
    check_bounds("values", values, &at, wrong);
    check_fields(&values.fields, &format!("{at}.fields"), wrong);
    check_fields(&values.item, &format!("{at}.item"), wrong);
    if values.values.is_some() {
        check_object("values", values, &at, wrong);
    }
}

fn check_verbs(kind: &Kind, at: &str, wrong: Wrong<'_>) {
    check_path("a create", &kind.create.path, Id::Never, &format!("{at}.create.path"), wrong);
    check_constants(kind, &kind.create.body, &format!("{at}.create.body"), wrong);
    check_method("a create", kind.create.method, &[Method::Get, Method::Delete], &format!("{at}.create.method"), wrong);
    for (n, verb) in kind.update.iter().enumerate() {
        check_update(kind, verb, &format!("{at}.update[{n}]"), wrong);
    }
    if let Delete::By(request) = &kind.delete {
        check_about("a delete", &request.path, &request.query, &request.body, &format!("{at}.delete"), wrong);
        check_method("a delete", request.method, &[Method::Get], &format!("{at}.delete.method"), wrong);
    }
    if let Some(test) = &kind.test {
        check_about("a test", &test.path, &test.query, &test.body, &format!("{at}.test"), wrong);
        if let Some(Passed::Word(word)) = &test.passed
            && (word.is.is_empty() && word.is_not.is_empty() || word.is.iter().any(|w| word.is_not.contains(w)))
        {
            let what = "the words must tell a pass from a failure";
            wrong(&format!("{at}.test.passed"), what.into(), "passed: { field: status, is: [ok], is_not: [failed] }");
        }
    }
}

fn check_update(kind: &Kind, verb: &Update, at: &str, wrong: Wrong<'_>) {
    if verb.semantics == Semantics::Upsert {
        check_path("an update", &verb.path, Id::May, &format!("{at}.path"), wrong);
    } else {
        check_about("an update", &verb.path, &verb.query, &verb.body, at, wrong);
    }
    check_constants(kind, &verb.body, &format!("{at}.body"), wrong);
    check_method("an update", verb.method, &[Method::Get, Method::Delete], &format!("{at}.method"), wrong);
    let mut paths: Vec<(&str, String)> = verb.except.iter().map(|t| (t.field.as_str(), format!("{at}.except"))).collect();
    paths.extend(verb.writes_as.keys().map(|path| (path.as_str(), format!("{at}.writes_as"))));
    if let Covers::Fields(fields) = &verb.covers {
        paths.extend(fields.iter().map(|f| (f.as_str(), format!("{at}.covers"))));
    }
    for (path, at) in paths {
        if field_at(kind, &FieldPath::parse(path)).is_none() {
            wrong(&at, format!("there is no field `{path}` in this kind"), "");
        }
    }
}

/// A request about one object says which one: in its path, its query or its body.
fn check_about(
    what: &str,
    path: &str,
    query: &IndexMap<String, String>,
    body: &IndexMap<String, serde_json::Value>,
    at: &str,
    wrong: Wrong<'_>,
) {
    fn says_id(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => text == "{id}",
            serde_json::Value::Array(list) => list.iter().any(says_id),
            serde_json::Value::Object(map) => map.values().any(says_id),
            _ => false,
        }
    }
    let elsewhere = query.values().any(|value| value.contains("{id}")) || body.values().any(says_id);
    check_path(what, path, if elsewhere { Id::May } else { Id::Must }, &format!("{at}.path"), wrong);
}

/// What a verb always says cannot be what a spec says.
fn check_constants(kind: &Kind, body: &IndexMap<String, serde_json::Value>, at: &str, wrong: Wrong<'_>) {
    for name in body.keys().filter(|name| kind.fields.contains_key(*name)) {
        wrong(&format!("{at}.{name}"), format!("`{name}` is a field of the kind, and always says the same here"), "");
    }
}

fn check_method(what: &str, method: Method, never: &[Method], at: &str, wrong: Wrong<'_>) {
    if never.contains(&method) {
        wrong(at, format!("{what} cannot be a {}", method.as_str()), "");
    }
}

/// Does a path have the object's id in it?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    Never,
    May,
    Must,
}

/// A path is appended to the base URL, so it must not be able to change what stands before it.
fn check_path(what: &str, path: &str, id: Id, at: &str, wrong: Wrong<'_>) {
    let outside = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '?' | '#');
    if !path.starts_with('/') || path.starts_with("//") {
        wrong(
            at,
            format!("the path of {what} must begin with one `/`: {path:?}"),
            "a path such as `/things` is what follows the target's base URL",
        );
    } else if let Some(c) = path.chars().find(|c| outside(*c)) {
        let help = match c {
            '?' | '#' => "constant parameters of a list go into its `query`",
            _ => "",
        };
        wrong(at, format!("the path of {what} cannot have {c:?}: {path:?}"), help);
    } else if climbs(path) {
        wrong(at, format!("the path of {what} cannot have `.` or `..` for a step: {path:?}"), "");
    } else if let Some(name) = placeholders(path).into_iter().find(|name| *name != "{id}") {
        wrong(
            at,
            format!("nothing fills in `{name}` in the path of {what}"),
            "only `{id}`, the object's id, is known; what is the same for all objects of a target goes into its `base_url`",
        );
    } else if id == Id::Never && path.contains("{id}") {
        wrong(
            at,
            format!("the path of {what} cannot have `{{id}}`: there is no id to fill in"),
            "what is the same for all objects of a target goes into its `base_url`",
        );
    } else if id == Id::Must && !path.contains("{id}") {
        wrong(at, format!("the path of {what} must contain `{{id}}`"), "");
    }
}

/// Everything in braces, and braces that stand alone.
fn placeholders(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = path;
    while let Some(start) = rest.find(['{', '}']) {
        let tail = &rest[start..];
        let end = if tail.starts_with('}') { 1 } else { tail.find('}').map_or(tail.len(), |at| at + 1) };
        found.push(&tail[..end]);
        rest = &tail[end..];
    }
    found
}

/// What is wrong with the size of a path of fields. What walks along a path may do so step within step.
fn too_long(path: &str) -> Option<String> {
    let shown = || {
        let start: String = path.chars().take(40).collect();
        if start.len() < path.len() { format!("{start}…") } else { start }
    };
    let path = FieldPath::parse(path);
    let count = path.steps().len();
    let far = path.steps().iter().find_map(|step| match step {
        Step::Index(at) if *at >= MAX_POSITIONS => Some(at),
        _ => None,
    });
    match far {
        _ if count > MAX_STEPS => Some(format!("the path `{}` has {count} steps; at most {MAX_STEPS} are read", shown())),
        Some(at) => Some(format!("the path `{}` has the position {at}; the last one is {}", shown(), MAX_POSITIONS - 1)),
        None => None,
    }
}

/// Every path of fields in a definition, with its place.
fn field_paths(definition: &Definition) -> Vec<(String, &str)> {
    let mut all = numbered("errors.message", &definition.errors.message);
    all.extend(numbered("errors.code", &definition.errors.code));
    all.extend(definition.errors.failed_when.iter().map(|f| ("errors.failed_when.field".to_owned(), f.field.as_str())));
    for (name, scheme) in &definition.auth {
        let Some(login) = &scheme.login else { continue };
        all.extend(numbered(&format!("auth.{name}.login.token"), &login.token));
        all.extend(numbered(&format!("auth.{name}.login.expires_in"), &login.expires_in));
    }
    for (name, collection) in &definition.collections {
        let at = format!("collections.{name}");
        all.extend(numbered(&format!("{at}.natural_key"), &collection.natural_key));
        let next = match &collection.list.paging {
            Paging::Cursor { next, .. } => Some(next),
            _ => None,
        };
        let places = [
            ("list.items", Some(&collection.list.items)),
            ("list.total", collection.list.total.as_ref()),
            ("list.paging.next", next),
            ("read.item", collection.read.as_ref().map(|read| &read.item)),
            ("id", Some(&collection.id)),
            ("watermark", collection.watermark.as_ref()),
        ];
        all.extend(given(&at, places));
    }
    for (name, kind) in &definition.kinds {
        let at = format!("kinds.{name}");
        all.extend(given(&at, [("create.item", Some(&kind.create.item)), ("create.id", kind.create.id.as_ref())]));
        for (n, verb) in kind.update.iter().enumerate() {
            let at = format!("{at}.update[{n}]");
            all.push((format!("{at}.item"), verb.item.as_str()));
            all.extend(verb.except.iter().map(|change| (format!("{at}.except"), change.field.as_str())));
            for (from, to) in &verb.writes_as {
                all.extend([(format!("{at}.writes_as"), from.as_str()), (format!("{at}.writes_as"), to.as_str())]);
            }
            if let Covers::Fields(fields) = &verb.covers {
                all.extend(numbered(&format!("{at}.covers"), fields));
            }
        }
        if let Some(test) = &kind.test {
            all.extend(test.passed.iter().map(|passed| (format!("{at}.test.passed"), passed.path())));
            all.extend(given(&at, [("test.message", test.message.as_ref())]));
        }
        reads(&kind.fields, &format!("{at}.fields"), &mut all);
    }
    all
}

/// As deep as the file, which the YAML reader limits.
fn reads<'d>(fields: &'d IndexMap<String, Field>, at: &str, all: &mut Vec<(String, &'d str)>) {
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        all.extend(field.read.iter().map(|read| (format!("{at}.read"), read.as_str())));
        reads(&field.fields, &format!("{at}.fields"), all);
        reads(&field.item, &format!("{at}.item"), all);
        all.extend(field.values.iter().filter_map(|v| Some((format!("{at}.values.read"), v.read.as_deref()?))));
    }
}

fn numbered<'d>(at: &str, paths: &'d [String]) -> Vec<(String, &'d str)> {
    paths.iter().enumerate().map(|(n, path)| (format!("{at}[{n}]"), path.as_str())).collect()
}

fn given<'d, const N: usize>(at: &str, places: [(&str, Option<&'d String>); N]) -> Vec<(String, &'d str)> {
    places.into_iter().filter_map(|(name, path)| Some((format!("{at}.{name}"), path?.as_str()))).collect()
}

#[cfg(test)]
mod tests;
