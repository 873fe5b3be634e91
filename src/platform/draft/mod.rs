//! The draft of a definition from an OpenAPI 3 document: what can be read off it, and a `TODO` for everything that such a
//! document does not say — what a mask looks like, whether a list is cut, what an update loses.
//!
//! A collection is a path that can be listed, or that takes what is created, and that has a path for one object below it,
//! `/things` and `/things/{id}`.

use serde_json::{Map, Value as Json};

use super::parse::is_auth_key;

/// Schemas may refer to each other in circles; deeper than this nobody writes a field.
const DEPTH: usize = 6;

/// Names under which APIs have a modification stamp, a name for people, a total.
const STAMPS: [&str; 9] = [
    "updatedAt",
    "updated_at",
    "modifiedAt",
    "modified_at",
    "lastModified",
    "last_updated_at",
    "lastUpdatedAt",
    "updated",
    "modified",
];
const NAMES: [&str; 7] = ["name", "displayName", "display_name", "title", "slug", "key", "label"];
const TOTALS: [&str; 6] = ["total", "totalCount", "total_count", "totalItems", "total_items", "count"];
const CURSORS: [&str; 6] = ["nextCursor", "next_cursor", "next", "nextPageToken", "next_page_token", "cursor"];

/// A drafted definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The file.
    pub text: String,
    /// How many kinds it has.
    pub kinds: usize,
    /// How many places somebody must decide.
    pub todos: usize,
    /// Paths that look like objects and cannot be described in this language, with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

/// One collection on its way.
struct Found<'d> {
    path: &'d str,
    one: &'d str,
    parameter: &'d str,
}

/// Drafts a definition called `name`; `only` narrows it to paths that begin so.
///
/// # Errors
/// If the document is no OpenAPI 3 document, or has nothing that looks like objects.
pub fn draft(document: &Json, name: &str, only: Option<&str>) -> Result<Draft, String> {
    let version = document["openapi"].as_str().unwrap_or_default();
    if !version.starts_with("3.") {
        return Err("this is no OpenAPI 3 document: `openapi` does not begin with 3".to_owned());
    }
    let paths = document["paths"].as_object().ok_or("the document has no `paths`")?;
    let mut writer = Writer { document, out: String::new(), todos: 0 };
    let (found, left_out) = collections(paths, only);
    if found.is_empty() {
        return Err("nothing here looks like objects: a path that lists or creates, and one with an id below it".to_owned());
    }
    writer.head(name);
    writer.line(0, "collections:");
    let names = names(&found);
    for (found, name) in found.iter().zip(&names) {
        writer.collection(found, name, paths);
    }
    writer.line(0, "");
    writer.line(0, "kinds:");
    let mut kinds = 0;
    for (found, name) in found.iter().zip(&names) {
        kinds += usize::from(writer.kind(found, name, paths));
    }
    if kinds == 0 {
        return Err("nothing here can be created: no path that lists objects takes a POST or PUT with a JSON body".to_owned());
    }
    Ok(Draft { text: writer.out, kinds, todos: writer.todos, left_out })
}

/// Paths of objects, and those that have more than one parameter.
fn collections<'d>(paths: &'d Map<String, Json>, only: Option<&str>) -> (Vec<Found<'d>>, Vec<(String, &'static str)>) {
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    for (one, item) in paths {
        if only.is_some_and(|only| !one.starts_with(only)) {
            continue;
        }
        let Some((path, last)) = one.trim_end_matches('/').rsplit_once('/') else { continue };
        let Some(parameter) = last.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else { continue };
        let Some((path, above)) = paths.get_key_value(path).or_else(|| paths.get_key_value(format!("{path}/").as_str())) else {
            continue;
        };
        let can = |item: &Json, methods: &[&str]| methods.iter().any(|method| item.get(method).is_some());
        if !can(above, &["get", "post", "put"]) || !can(item, &["get", "patch", "put", "delete"]) {
            continue;
        }
        if path.contains('{') {
            left_out.push((path.clone(), "it lies below another parameter; put that into the target's base_url"));
        } else if !can(above, &["get"]) {
            left_out.push((path.clone(), "it cannot be listed, and nothing could be found again"));
        } else {
            found.push(Found { path, one, parameter });
        }
    }
    (found, left_out)
}

/// The last step of each path, or several joined where one name would stand twice.
fn names(found: &[Found<'_>]) -> Vec<String> {
    let steps = |path: &str| -> Vec<String> {
        let word =
            |step: &str| step.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        path.split('/').filter(|step| !step.is_empty()).map(word).collect()
    };
    let last = |found: &Found<'_>| steps(found.path).last().cloned().unwrap_or_else(|| "things".to_owned());
    let all: Vec<String> = found.iter().map(last).collect();
    let mut names: Vec<String> = Vec::new();
    for (found, name) in found.iter().zip(&all) {
        let is_alone = all.iter().filter(|other| *other == name).count() == 1;
        let name = if is_alone { name.clone() } else { steps(found.path).join("-") };
        let taken = names.iter().filter(|other| **other == name || other.starts_with(&format!("{name}-"))).count();
        names.push(if names.contains(&name) { format!("{name}-{}", taken + 1) } else { name });
    }
    names
}

/// `connections` → `connection`
fn singular(name: &str) -> String {
    match name {
        name if name.ends_with("ies") => format!("{}y", &name[..name.len() - 3]),
        name if name.ends_with("sses") => name[..name.len() - 2].to_owned(),
        name if name.ends_with('s') && !name.ends_with("ss") => name[..name.len() - 1].to_owned(),
        name => name.to_owned(),
    }
}

struct Writer<'d> {
    document: &'d Json,
    out: String,
    todos: usize,
}

impl<'d> Writer<'d> {
    fn line(&mut self, indent: usize, text: &str) {
        if !text.is_empty() {
            self.out.push_str(&" ".repeat(indent));
            self.out.push_str(text);
        }
        self.out.push('\n');
    }

    fn todo(&mut self, indent: usize, what: &str) {
        self.todos += 1;
        self.line(indent, &format!("# TODO: {what}"));
    }

    fn head(&mut self, name: &str) {
        let info = &self.document["info"];
        let title = one_line(info["title"].as_str().unwrap_or(name));
        let version = one_line(info["version"].as_str().unwrap_or("?"));
        self.line(0, "# yaml-language-server: $schema=platform.schema.json");
        self.line(
            0,
            "# Drafted by `patchbay platform new` from an OpenAPI document, which tells paths and shapes, and not how the API",
        );
        self.line(0, "# behaves. Every TODO is a question to the vendor's pages; `patchbay platform check` asks more.");
        self.line(0, &format!("platform: {name}"));
        self.line(0, "language: 1");
        self.line(0, &format!("title: {}", quoted(&title)));
        self.line(0, "sources:");
        self.line(2, &format!("- {}", quoted(&format!("OpenAPI document of {title}, version {version}"))));
        let ends = self.document["servers"][0]["url"].as_str().map(path_of).unwrap_or_default();
        if !ends.is_empty() {
            self.line(0, &format!("base_url: {{ ends_in: {} }}", quoted(&ends)));
        }
        self.auth();
        self.line(0, "errors:");
        self.todo(2, "where an error has its message");
        self.line(2, "message: [message, error.message, error, detail, \"errors[0].message\"]");
        self.line(0, "");
    }

    fn auth(&mut self) {
        self.line(0, "auth:");
        let schemes = self.document["components"]["securitySchemes"].as_object();
        let mut any = false;
        for (name, scheme) in schemes.into_iter().flatten() {
            let scheme = self.resolved(scheme);
            let kind = (scheme["type"].as_str().unwrap_or_default(), scheme["scheme"].as_str().unwrap_or_default());
            let line = match (kind, scheme["in"].as_str(), scheme["name"].as_str()) {
                (("apiKey", _), Some("header"), Some(header)) => format!("{}: {{ header: {header} }}", key(name)),
                (("http", scheme), ..) if scheme.eq_ignore_ascii_case("bearer") => {
                    format!("{}: {{ header: Authorization, prefix: \"Bearer \" }}", key(name))
                }
                (("http", scheme), ..) if scheme.eq_ignore_ascii_case("basic") => {
                    format!("{}: {{ header: Authorization, basic: {{ user: username, password: password }} }}", key(name))
                }
                _ => continue,
            };
            any = true;
            self.line(2, &line);
        }
        if !any {
            self.todo(2, "how to authenticate; the document does not say it in a way that is understood here");
            self.line(2, "token: { header: Authorization, prefix: \"Bearer \" }");
        }
    }

    fn collection(&mut self, found: &Found<'d>, name: &str, paths: &'d Map<String, Json>) {
        let list = &paths[found.path]["get"];
        let answer = self.answer(list);
        let (items, element) = self.items(&answer);
        self.line(2, &format!("{}:", key(name)));
        let mut parts = vec![format!("path: {}", quoted(found.path))];
        if !items.is_empty() {
            parts.push(format!("items: {}", quoted(&items)));
        }
        if let Some(total) = self.total(&answer).filter(|_| !items.is_empty()) {
            parts.push(format!("total: {}", quoted(&total)));
        }
        match self.paging(list, &paths[found.path]["parameters"], &answer) {
            Some(paging) => {
                self.todo(4, "is this how it pages, and how many come at most?");
                parts.push(format!("paging: {paging}"));
            }
            None => self.todo(4, "does everything come at once, or is the list cut without a word?"),
        }
        self.line(4, &format!("list: {{ {} }}", parts.join(", ")));
        let one = &paths[found.one];
        let read = one.get("get").map(|read| self.answer(read));
        if let Some(read) = &read {
            let item = self.wrapper(read, found.parameter);
            let item = if item.is_empty() { String::new() } else { format!(", item: {}", quoted(&item)) };
            self.line(4, &format!("read: {{ path: {}{item} }}", quoted(&with_id(found))));
        }
        let shape = if element.is_object() { element } else { read.unwrap_or_default() };
        let properties = self.properties(&shape, 0);
        let has = |name: &str| properties.iter().any(|(known, _)| known == name);
        // Where a parameter is called like a field of its own, the field may be the vendor's name for something else.
        let id = ["id", found.parameter, "uuid", "uid", "hash"].into_iter().find(|name| has(name));
        let is_doubtful = id == Some("id") && found.parameter != "id" && has(found.parameter);
        if id.is_none() || is_doubtful {
            self.todo(4, "where the id stands that paths take");
        }
        self.line(4, &format!("id: {}", quoted(id.unwrap_or("id"))));
        let created = self.body(found, paths).map(|body| self.properties(&body, 0)).unwrap_or_default();
        let names = NAMES.into_iter().find(|name| created.iter().any(|(known, _)| known == name));
        if names.is_none_or(|name| !has(name)) {
            self.todo(4, "which fields tell objects apart for people, in a create and in the list");
        }
        self.line(4, &format!("natural_key: [{}]", quoted(names.unwrap_or("name"))));
        match STAMPS.into_iter().find(|name| has(name)) {
            Some(stamp) => self.line(4, &format!("watermark: {stamp}")),
            None => self.todo(4, "is there a modification stamp? watermark: …"),
        }
    }

    /// Writes a kind; `false` if nothing can be created there.
    fn kind(&mut self, found: &Found<'d>, name: &str, paths: &'d Map<String, Json>) -> bool {
        let Some(body) = self.body(found, paths) else { return false };
        let above = &paths[found.path];
        let one = &paths[found.one];
        let method = if above.get("post").is_some() { "post" } else { "put" };
        let name_of_kind = singular(name);
        self.line(2, &format!("{}:", key(&name_of_kind)));
        let title = above[method]["summary"].as_str().map_or_else(|| name_of_kind.replace('-', " "), one_line);
        self.line(4, &format!("title: {}", quoted(&title)));
        self.line(4, &format!("collection: {}", key(name)));
        let read = one.get("get").map(|read| self.answer(read)).unwrap_or_default();
        let item = self.wrapper(&read, found.parameter);
        let read = if item.is_empty() { read } else { self.property(&read, &item) };
        let is_shown = |property: &Json| property["writeOnly"] != Json::Bool(true);
        let shown = self.properties(&read, 0).into_iter().filter(|(_, p)| is_shown(p)).map(|(name, _)| name).collect::<Vec<_>>();
        self.line(4, "fields:");
        self.fields(&body, &shown, read.is_object(), 6, 0);
        let answer = self.answer(&above[method]);
        let item = self.wrapper(&answer, found.parameter);
        let item = if item.is_empty() { String::new() } else { format!(", item: {}", quoted(&item)) };
        self.line(4, &format!("create: {{ method: {}, path: {}{item} }}", method.to_ascii_uppercase(), quoted(found.path)));
        let updates: Vec<&str> = ["patch", "put"].into_iter().filter(|method| one.get(method).is_some()).collect();
        if updates.is_empty() {
            self.line(4, "update: []");
        } else {
            self.line(4, "update:");
            for method in updates {
                let semantics = if method == "patch" { "merge" } else { "replace" };
                if method == "put" {
                    self.todo(6, "does this PUT lose the fields that are not sent (replace), or keep them (merge)?");
                }
                self.line(
                    6,
                    &format!(
                        "- {{ method: {}, path: {}, semantics: {semantics}, covers: \"*\" }}",
                        method.to_ascii_uppercase(),
                        quoted(&with_id(found))
                    ),
                );
            }
        }
        if one.get("delete").is_some() {
            self.line(4, &format!("delete: {{ method: DELETE, path: {} }}", quoted(&with_id(found))));
        } else {
            self.line(4, "delete: none");
        }
        true
    }

    fn fields(&mut self, schema: &Json, shown: &[String], is_read: bool, indent: usize, depth: usize) {
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        for (name, property) in self.properties(schema, depth) {
            if property["readOnly"] == Json::Bool(true) {
                continue;
            }
            let kind = type_of(&property);
            let mut parts = vec![format!("type: {}", if kind == "any" { "any" } else { kind })];
            if required.contains(&name.as_str()) {
                parts.push("required: true".to_owned());
            }
            let words: Vec<String> =
                property["enum"].as_array().into_iter().flatten().filter_map(Json::as_str).map(quoted).collect();
            if !words.is_empty() && kind == "string" {
                parts.push(format!("enum: [{}]", words.join(", ")));
            }
            let is_secret = kind == "string"
                && words.is_empty()
                && (property["writeOnly"] == Json::Bool(true) || property["format"] == "password" || looks_secret(&name));
            if is_secret {
                let comes_back = depth == 0 && shown.contains(&name);
                self.todo(indent, &format!("what a read shows of `{name}`: a mask, the value, or nothing"));
                parts.push("secret: always".to_owned());
                parts.push(format!("reads_as: {}", if comes_back { "mask" } else { "nothing" }));
            } else if depth == 0 && is_read && !shown.contains(&name) {
                self.todo(indent, &format!("a read does not show `{name}`: is it read elsewhere (read: …), or never?"));
                parts.push("reads_as: nothing".to_owned());
            }
            if let Some(description) = property["description"].as_str().map(one_line).filter(|text| !text.is_empty()) {
                parts.push(format!("description: {}", quoted(&description)));
            }
            let below = self.properties(&property, depth + 1);
            if kind == "object" && !below.is_empty() && depth + 1 < DEPTH {
                self.line(indent, &format!("{}:", key(&name)));
                parts.iter().for_each(|part| self.line(indent + 2, part));
                self.line(indent + 2, "fields:");
                self.fields(&property, &[], false, indent + 4, depth + 1);
            } else {
                self.line(indent, &format!("{}: {{ {} }}", key(&name), parts.join(", ")));
            }
        }
    }

    /// A schema without references, one level deep.
    fn resolved(&self, schema: &Json) -> Json {
        let mut schema = schema.clone();
        for _ in 0..DEPTH {
            let Some(path) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/")) else { return schema };
            let step = |value: &'d Json, step: &str| value.get(step.replace("~1", "/").replace("~0", "~"));
            let Some(next) = path.split('/').try_fold(self.document, step) else { return Json::Null };
            schema = next.clone();
        }
        schema
    }

    /// The properties of a schema, of all that it is made of.
    fn properties(&self, schema: &Json, depth: usize) -> Vec<(String, Json)> {
        let schema = self.resolved(schema);
        let mut all: Vec<(String, Json)> = Vec::new();
        if depth > DEPTH {
            return all;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            all.extend(self.properties(part, depth + 1));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let property = self.flat(property);
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = property,
                None => all.push((name.clone(), property)),
            }
        }
        all
    }

    /// A property that may be null, or is one of one, is that one.
    fn flat(&self, property: &Json) -> Json {
        let property = self.resolved(property);
        for several in ["anyOf", "oneOf", "allOf"] {
            let Some(options) = property[several].as_array() else { continue };
            let mut some: Vec<Json> = options.iter().map(|o| self.resolved(o)).filter(|o| o["type"] != "null").collect();
            if let (1, Some(mut only)) = (some.len(), some.pop()) {
                if let (Json::Object(only), Some(text)) = (&mut only, property.get("description")) {
                    only.insert("description".to_owned(), text.clone());
                }
                return only;
            }
        }
        property
    }

    fn property(&self, schema: &Json, name: &str) -> Json {
        self.properties(schema, 0).into_iter().find(|(known, _)| known == name).map(|(_, property)| property).unwrap_or_default()
    }

    /// The schema of what a request answers when it succeeds.
    fn answer(&self, operation: &Json) -> Json {
        let Some(responses) = operation["responses"].as_object() else { return Json::Null };
        let good = responses.iter().find(|(status, _)| status.starts_with('2'));
        let Some((_, response)) = good else { return Json::Null };
        self.content(&self.resolved(response))
    }

    /// The schema of a JSON body.
    fn content(&self, holder: &Json) -> Json {
        let content = holder["content"].as_object();
        let json = content.and_then(|all| all.iter().find(|(kind, _)| kind.contains("json") || *kind == "*/*"));
        json.map(|(_, media)| self.resolved(&media["schema"])).unwrap_or_default()
    }

    /// The body of a create.
    fn body(&self, found: &Found<'_>, paths: &Map<String, Json>) -> Option<Json> {
        let above = &paths[found.path];
        let operation = above.get("post").or_else(|| above.get("put"))?;
        let mut body = self.content(&self.resolved(&operation["requestBody"]));
        // Of several shapes the first: each may want a kind of its own.
        for several in ["oneOf", "anyOf"] {
            if let Some(first) = body[several].as_array().and_then(|options| options.first()) {
                body = self.resolved(first);
            }
        }
        (!self.properties(&body, 0).is_empty()).then_some(body)
    }

    /// Where the items of a list stand, and what one of them is.
    fn items(&self, answer: &Json) -> (String, Json) {
        if type_of(answer) == "list" {
            return (String::new(), self.resolved(&answer["items"]));
        }
        let lists = |schema: &Json| -> Vec<(String, Json)> {
            self.properties(schema, 0).into_iter().filter(|(_, property)| type_of(property) == "list").collect()
        };
        if let Some((name, list)) = lists(answer).into_iter().next() {
            return (name, self.resolved(&list["items"]));
        }
        for (name, inner) in self.properties(answer, 0) {
            if let Some((below, list)) = lists(&inner).into_iter().next() {
                return (format!("{name}.{below}"), self.resolved(&list["items"]));
            }
        }
        ("items".to_owned(), Json::Null)
    }

    fn total(&self, answer: &Json) -> Option<String> {
        let own = self.properties(answer, 0);
        let direct = TOTALS.iter().find(|name| own.iter().any(|(known, _)| known == *name)).map(|name| (*name).to_owned());
        direct.or_else(|| {
            own.iter().find_map(|(name, inner)| {
                let below = self.properties(inner, 1);
                let total = TOTALS.iter().find(|total| below.iter().any(|(known, _)| known == *total))?;
                Some(format!("{name}.{total}"))
            })
        })
    }

    fn paging(&self, list: &Json, shared: &Json, answer: &Json) -> Option<String> {
        let own = list["parameters"].as_array().into_iter().flatten().chain(shared.as_array().into_iter().flatten());
        let names: Vec<String> = own
            .map(|p| self.resolved(p))
            .filter(|p| p["in"] == "query")
            .filter_map(|p| Some(p["name"].as_str()?.to_owned()))
            .collect();
        let named = |wanted: &[&str]| names.iter().find(|name| wanted.contains(&name.as_str()));
        let limit = named(&["limit", "size", "pageSize", "page_size", "per_page", "perPage", "perpage", "count"]);
        let size = |limit: Option<&String>| limit.map_or_else(String::new, |limit| format!(", limit: {limit}"));
        if let Some(cursor) = named(&["cursor", "pageToken", "page_token", "next_token", "starting_after", "after"]) {
            let own = self.properties(answer, 0);
            let next = CURSORS.iter().find(|name| own.iter().any(|(known, _)| known == *name)).unwrap_or(&"nextCursor");
            return Some(format!("{{ style: cursor, cursor: {cursor}, next: {next} }}"));
        }
        if let Some(offset) = named(&["offset", "skip", "start"]) {
            return Some(format!("{{ style: offset, size: 100, offset: {offset}{} }}", size(limit)));
        }
        if let Some(page) = named(&["page", "current_page", "pageNumber", "page_number"]) {
            return Some(format!("{{ style: page, size: 100, page: {page}{}, first: 1 }}", size(limit)));
        }
        limit.map(|limit| format!("{{ style: limit-only, size: 100, limit: {limit} }}"))
    }

    /// The one object that an answer is wrapped into; empty if it is the object itself.
    fn wrapper(&self, answer: &Json, parameter: &str) -> String {
        let own = self.properties(answer, 0);
        if own.iter().any(|(name, _)| name == "id" || name == parameter) {
            return String::new();
        }
        let mut objects = own.iter().filter(|(_, property)| type_of(property) == "object");
        match (objects.next(), objects.next()) {
            (Some((name, _)), None) => name.clone(),
            _ => String::new(),
        }
    }
}

fn with_id(found: &Found<'_>) -> String {
    found.one.trim_end_matches('/').replace(&format!("{{{}}}", found.parameter), "{id}")
}

/// The path of a URL, without its end.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = rest.trim_matches('/');
    if path.is_empty() || path.contains('{') { String::new() } else { format!("/{path}") }
}

/// The language's word for a schema's type.
fn type_of(schema: &Json) -> &'static str {
    let named = |kind: &str| match kind {
        "string" => "string",
        "boolean" => "boolean",
        "integer" => "integer",
        "number" => "number",
        "object" => "object",
        "array" => "list",
        _ => "any",
    };
    match &schema["type"] {
        Json::String(kind) => named(kind),
        // OpenAPI 3.1: a type, or null.
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).find(|kind| *kind != "null").map_or("any", named),
        _ if schema["properties"].is_object() || schema["allOf"].is_array() => "object",
        _ if schema["enum"].is_array() => "string",
        _ => "any",
    }
}

/// `apiKey` is a secret; `keyId`, `tokenCount` and `key` alone are not.
fn looks_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    is_auth_key(name)
        && lower != "key"
        && !["id", "name", "count", "limit", "type", "url", "at", "mode"].iter().any(|end| lower.ends_with(end))
}

fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(160).collect();
    if short.len() < text.len() { format!("{}…", short.trim_end()) } else { short }
}

/// A text in double quotes, which YAML reads as JSON does; without them where nobody could take it for something else.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(is_plain)
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_word { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

fn key(name: &str) -> String {
    quoted(name)
}

#[cfg(test)]
mod tests;
