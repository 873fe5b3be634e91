//! A live object → the declaration that describes it: which kind it is of, and what its spec would say.
//!
//! No secret and no mask ever gets into a declaration: in their place stand variables. A live text that happens to
//! contain `${{` is written so that it stays that text.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::mask::looks_masked;
use super::model::{Collection, Definition, Field, FieldType, Kind, ReadsAs, SecretRule};
use super::object::Object;
use super::parse::{is_auth_key, is_secret};
use crate::path::{FieldPath, Step};
use crate::value::{Map, Value};

/// The kind that an object is taken for.
#[derive(Clone, Debug)]
pub struct Chosen<'d> {
    /// Its name.
    pub name: &'d str,
    /// Its rules.
    pub kind: &'d Kind,
    /// Why it may be another one.
    pub doubt: Option<String>,
    /// Required fields that the API does not show.
    pub missing: Vec<String>,
}

/// The kind of a live object: of those whose constants it does not contradict, one that is all there, and of several the
/// one that knows most of its fields. `None` if its collection has no such kind.
#[must_use]
pub fn choose_kind<'d>(definition: &'d Definition, collection: &str, object: &Object) -> Option<Chosen<'d>> {
    let mut fits: Vec<Fit<'d>> = definition
        .kinds
        .iter()
        .filter(|(_, kind)| kind.collection == collection)
        .filter_map(|(name, kind)| Fit::of(name, kind, object))
        .collect();
    // Stable: of equals, the first of the definition.
    fits.sort_by_key(|fit| std::cmp::Reverse((fit.is_whole, fit.known, std::cmp::Reverse(fit.missing.len()))));
    let others: Vec<String> =
        fits.iter().skip(1).filter(|fit| fit.is_whole || !fits[0].is_whole).map(|fit| format!("`{}`", fit.name)).collect();
    let best = fits.into_iter().next()?;
    let doubt = match (best.is_whole, others.is_empty()) {
        (true, true) => None,
        (_, false) => Some(format!("it may also be of kind {}", others.join(" or "))),
        (false, true) => Some("the API does not show all that would prove it".to_owned()),
    };
    Some(Chosen { name: best.name, kind: best.kind, doubt, missing: best.missing })
}

struct Fit<'d> {
    name: &'d str,
    kind: &'d Kind,
    /// Is every constant and every required field there?
    is_whole: bool,
    /// How much of the object the kind knows.
    known: usize,
    missing: Vec<String>,
}

impl<'d> Fit<'d> {
    fn of(name: &'d str, kind: &'d Kind, object: &Object) -> Option<Self> {
        let object = object.clone().as_written(kind);
        let body = object.body.as_map()?;
        let mut shown = 0;
        for (key, constant) in &kind.constants {
            match body.get(key).filter(|v| !v.is_null()) {
                Some(live) if live.canonical() == Value::from(constant.clone()).canonical() => shown += 1,
                Some(_) => return None,
                None => {}
            }
        }
        let mut missing = Vec::new();
        required(&kind.fields, Some(body), &FieldPath::root(), &mut missing);
        let fields = kind.fields.keys().filter(|name| body.get(*name).is_some_and(|v| !v.is_null())).count();
        let is_whole = shown == kind.constants.len() && missing.is_empty();
        Some(Self { name, kind, is_whole, known: shown + fields, missing })
    }
}

/// The required fields that could be read and are not there.
fn required(fields: &IndexMap<String, Field>, live: Option<&Map>, path: &FieldPath, missing: &mut Vec<String>) {
    for (name, field) in fields {
        let path = path.key(name);
        let value = live.and_then(|m| m.get(name)).filter(|v| !v.is_null());
        if !field.fields.is_empty() {
            if field.required || value.is_some() {
                required(&field.fields, value.and_then(Value::as_map), &path, missing);
            }
        } else if field.required && field.secret == SecretRule::Never && field.reads_as != ReadsAs::Nothing && value.is_none() {
            missing.push(path.to_string());
        }
    }
}

/// A variable that stands for a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The field whose value it is.
    pub path: String,
    /// Does the API never show anything of it, so that it may not even be there?
    pub unseen: bool,
}

/// What a declaration of an object says.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// The kind.
    pub kind: String,
    /// The fields, in the kind's order. Holds no secret.
    pub spec: Value,
    /// The variables in it, in its order.
    pub variables: Vec<Variable>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// The declaration of a live object. Variables are called `prefix` and the field's name, and none is called as one of
/// those that are `taken`. A text in which `is_known` finds a secret of this run becomes a variable wherever it stands.
#[must_use]
pub fn declare(
    chosen: &Chosen<'_>,
    collection: &Collection,
    object: &Object,
    prefix: &str,
    taken: &mut BTreeSet<String>,
    is_known: &dyn Fn(&str) -> bool,
) -> Declared {
    let object = object.clone().as_written(chosen.kind);
    let volatile = collection.watermark.as_deref().map(FieldPath::parse);
    let mut walk = Walk { prefix, taken, is_known, volatile, variables: Vec::new(), notes: Vec::new() };
    walk.notes.extend(chosen.doubt.clone());
    if !chosen.missing.is_empty() {
        let listed: Vec<String> = chosen.missing.iter().map(|path| format!("`{path}`")).collect();
        walk.notes.push(format!("required, and not shown by the API: {}", listed.join(", ")));
    }
    let spec = walk.object(&chosen.kind.fields, None, object.body.as_map(), &FieldPath::root());
    Declared { kind: chosen.name.to_owned(), spec: Value::Map(spec), variables: walk.variables, notes: walk.notes }
}

struct Walk<'w> {
    prefix: &'w str,
    taken: &'w mut BTreeSet<String>,
    is_known: &'w dyn Fn(&str) -> bool,
    /// A field that changes by itself.
    volatile: Option<FieldPath>,
    variables: Vec<Variable>,
    notes: Vec<String>,
}

impl Walk<'_> {
    fn object(&mut self, fields: &IndexMap<String, Field>, values: Option<&Field>, live: Option<&Map>, path: &FieldPath) -> Map {
        let mut map = Map::new();
        let others = live.into_iter().flatten().filter_map(|(name, _)| Some((name, values?)));
        for (name, field) in fields.iter().chain(others.filter(|(name, _)| !fields.contains_key(*name))) {
            let path = path.key(name);
            if self.volatile.as_ref() == Some(&path) {
                continue;
            }
            if let Some(value) = self.field(field, Some(name), live.and_then(|m| m.get(name)), &path) {
                map.insert(name.clone(), value);
            }
        }
        map
    }

    fn field(&mut self, field: &Field, key: Option<&str>, live: Option<&Value>, path: &FieldPath) -> Option<Value> {
        let live = live.filter(|v| !v.is_null());
        if is_secret(field, key) {
            let shown = live.is_some_and(|v| v.as_str() != Some(""));
            let unseen = !shown && field.reads_as == ReadsAs::Nothing && !field.required;
            return (shown || unseen || field.required).then(|| self.variable(path, unseen));
        }
        if !field.is_free() {
            if live.is_none() && !field.required {
                return None;
            }
            let map = self.object(&field.fields, field.values.as_deref(), live.and_then(Value::as_map), path);
            return (!map.is_empty()).then_some(Value::Map(map));
        }
        let live = live?;
        if let Some(by) = &field.keyed_by {
            let Some(items) = live.as_list() else {
                self.notes.push(format!("`{path}` is shown in another form and was left out"));
                return None;
            };
            let items: Vec<Value> = items.iter().filter_map(|item| self.item(field, by, item, path)).collect();
            return Some(Value::List(items));
        }
        let Some(value) = fitting(field, &written_form(field, live)) else {
            self.notes.push(format!("`{path}` is shown in another form and was left out"));
            return None;
        };
        match value.as_str() {
            Some("") if !field.required => return None,
            Some(text) if !field.accepted.is_empty() && !field.accepted.iter().any(|a| a == text) && !field.required => {
                self.notes.push(format!("the live `{path}` is not a value that can be written, and was left out"));
                return None;
            }
            _ => {}
        }
        Some(self.free(&value, None, path))
    }

    fn item(&mut self, field: &Field, by: &str, item: &Value, path: &FieldPath) -> Option<Value> {
        let live = item.as_map()?;
        let key = live.get(by).and_then(Value::as_str)?;
        let path = path.join(Step::Item { by: by.to_owned(), value: key.to_owned() });
        let mut map = Map::new();
        for (name, rules) in &field.item {
            let value = if name == by {
                Some(Value::String(escaped(key)))
            } else {
                self.field(rules, Some(key), live.get(name), &path.key(name))
            };
            if let Some(value) = value {
                map.insert(name.clone(), value);
            }
        }
        Some(Value::Map(map))
    }

    /// Content that is no secret by its rules, and may hold one all the same. `name` is the key that it stands under.
    fn free(&mut self, value: &Value, name: Option<&str>, path: &FieldPath) -> Value {
        match value {
            Value::String(text) if may_be_secret(text, name) || (self.is_known)(text) => self.variable(path, false),
            Value::String(text) => Value::String(escaped(text)),
            Value::List(items) => {
                Value::List(items.iter().enumerate().map(|(n, item)| self.free(item, name, &path.join(Step::Index(n)))).collect())
            }
            Value::Map(map) => {
                // `{ key: x-api-key, value: … }` names its value by another member.
                let named = ["key", "name"].iter().find_map(|k| map.get(*k)).and_then(Value::as_str);
                let pair = named.filter(|_| map.contains_key("value"));
                let inner = |(key, value): (&String, &Value)| {
                    let name = match pair {
                        Some(named) if key == "value" => Some(named),
                        Some(_) => None,
                        None => Some(key.as_str()),
                    };
                    (key.clone(), self.free(value, name, &path.key(key)))
                };
                Value::Map(map.iter().map(inner).collect())
            }
            other => other.clone(),
        }
    }

    fn variable(&mut self, path: &FieldPath, unseen: bool) -> Value {
        let field = path.item_key().or(path.last_key()).unwrap_or("SECRET");
        let wanted = variable_name(&[self.prefix, field]);
        let mut name = wanted.clone();
        let mut n = 2;
        // `NAME_FILE` is another way to set `NAME`.
        while self.taken.contains(&name)
            || self.taken.contains(&format!("{name}_FILE"))
            || name.strip_suffix("_FILE").is_some_and(|stem| self.taken.contains(stem))
        {
            name = format!("{wanted}_{n}");
            n += 1;
        }
        self.taken.insert(name.clone());
        let text = format!("${{{{ env.{name} }}}}");
        self.variables.push(Variable { name, path: path.to_string(), unseen });
        Value::String(text)
    }
}

/// A live value in the words that the API takes: `ACTIVE` was read, `FINALIZED` must be written.
#[must_use]
pub fn written_form(field: &Field, live: &Value) -> Value {
    if let Some(text) = live.as_str()
        && !field.accepted.is_empty()
        && !field.accepted.iter().any(|a| a == text)
        && let Some((word, _)) = field.equals.iter().find(|(_, others)| others.iter().any(|o| o == text))
    {
        return Value::String(word.clone());
    }
    live.clone()
}

/// The value in the field's own type; some servers give typed values back as texts.
fn fitting(field: &Field, live: &Value) -> Option<Value> {
    match (field.kind, live) {
        (FieldType::Any, _)
        | (FieldType::String, Value::String(_))
        | (FieldType::Boolean, Value::Bool(_))
        | (FieldType::Number, Value::Number(_))
        | (FieldType::Object, Value::Map(_))
        | (FieldType::List | FieldType::Set, Value::List(_)) => Some(live.clone()),
        (FieldType::String, Value::Number(_) | Value::Bool(_)) => Some(Value::String(live.canonical())),
        (FieldType::Boolean, Value::String(text)) => text.parse().ok().map(Value::Bool),
        (FieldType::Integer, Value::Number(_)) => whole(&live.canonical()),
        (FieldType::Integer, Value::String(text)) => whole(text),
        (FieldType::Number, Value::String(text)) => serde_json::from_str(text).ok().map(Value::Number),
        _ => None,
    }
}

fn whole(text: &str) -> Option<Value> {
    text.trim().parse::<i64>().ok().map(|n| Value::Number(n.into()))
}

/// Masks, and what looks like a credential by its place or by its form. Better one variable too many than a secret in a
/// file.
fn may_be_secret(text: &str, name: Option<&str>) -> bool {
    let scheme = ["Bearer ", "Basic "].iter().any(|s| text.get(..s.len()).is_some_and(|start| start.eq_ignore_ascii_case(s)));
    let dense = text.len() >= 8 && !text.contains(char::is_whitespace) && !text.contains("{{");
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    looks_masked(text)
        || (scheme && !text.contains("{{"))
        || (dense && text.starts_with("sk-"))
        || (dense && digits && name.is_some_and(is_auth_key))
        || (text.contains("://") && has_credentials(text))
}

fn has_credentials(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(key, value)| is_auth_key(&key) && !value.is_empty()))
}

/// A text that renders to itself.
fn escaped(text: &str) -> String {
    text.replace("${{", "${{ '${{' }}")
}

/// `["kore-prod", "apiKey"]` → `KORE_PROD_API_KEY`.
#[must_use]
pub fn variable_name(parts: &[&str]) -> String {
    let mut name = String::new();
    for part in parts {
        let mut before: Option<char> = None;
        name.push('_');
        for c in part.chars() {
            if c.is_ascii_uppercase() && before.is_some_and(|b| b.is_ascii_lowercase()) {
                name.push('_');
            }
            name.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
            before = Some(c);
        }
    }
    let words: Vec<&str> = name.split('_').filter(|w| !w.is_empty()).collect();
    let name = words.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("VAR_{name}") } else { name }
}

/// A connection key for a name, none of those that are taken.
#[must_use]
pub fn key_for(name: &str, taken: &mut BTreeSet<String>) -> String {
    let lower: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = lower.split('-').filter(|w| !w.is_empty()).collect();
    let mut slug = words.join("-");
    slug.truncate(64);
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "connection" } else { slug };
    let mut key = slug.to_owned();
    let mut n = 2;
    while !taken.insert(key.clone()) {
        key = format!("{slug}-{n}");
        n += 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::platform::builtin;
    use crate::source::Sources;

    fn exported(platform: &str, body: &Json) -> (String, Json, Vec<String>, Vec<String>) {
        let definition = builtin::load(platform, &mut Sources::default()).unwrap().unwrap();
        let (name, collection) = definition.collections.first().unwrap();
        let object = Object::from_json(collection, body).unwrap();
        let chosen = choose_kind(&definition, name, &object).unwrap();
        let declared = declare(&chosen, collection, &object, "T_K", &mut BTreeSet::new(), &|_| false);
        let variables = declared.variables.into_iter().map(|v| v.name).collect();
        (declared.kind, declared.spec.expose_json().unwrap(), variables, declared.notes)
    }

    #[test]
    fn objects_become_declarations() {
        for (platform, body, kind, spec, variables) in [
            (
                "koreai",
                json!({"connectionId": "cn-1", "provider": "Open AI", "connectionName": "A", "model": "gpt-4o",
                    "fields": {"API_KEY": "sk-***************"}, "status": "ACTIVE", "createdOn": "x", "modifiedOn": "y"}),
                "openai",
                json!({"connectionName": "A", "model": "gpt-4o", "fields": {"API_KEY": "${{ env.T_K_API_KEY }}"}}),
                vec!["T_K_API_KEY"],
            ),
            (
                "koreai",
                json!({"connectionId": "cn-2", "provider": "API", "connectionName": "B", "model": "m",
                    "endpointUrl": "https://x.example", "status": "ACTIVE", "isEnable": "true",
                    "headers": [{"key": "Authorization", "value": "***************"}, {"key": "Accept", "value": "text/plain"}],
                    "payload": {"p": "{{prompt}} ${{ env.HOME }}", "headers": {"x-api-key": "abcdef123456"}}}),
                "custom",
                json!({"connectionName": "B", "model": "m", "endpointUrl": "https://x.example",
                    "headers": [{"key": "Authorization", "value": "${{ env.T_K_AUTHORIZATION }}"},
                        {"key": "Accept", "value": "text/plain"}],
                    "payload": {"p": "{{prompt}} ${{ '${{' }} env.HOME }}", "headers": {"x-api-key": "${{ env.T_K_X_API_KEY }}"}},
                    "status": "FINALIZED", "isEnable": true}),
                vec!["T_K_AUTHORIZATION", "T_K_X_API_KEY"],
            ),
            (
                "koreai",
                json!({"connectionId": "cn-3", "provider": "API", "connectionName": "C",
                    "fields": {"BASE_URL": "https://x.example?key=abc", "API_KEY": "***"}}),
                "custom-legacy",
                json!({"connectionName": "C",
                    "fields": {"BASE_URL": "${{ env.T_K_BASE_URL }}", "API_KEY": "${{ env.T_K_API_KEY }}"}}),
                vec!["T_K_BASE_URL", "T_K_API_KEY"],
            ),
            (
                "gateway",
                json!({"id": "7", "name": "openai", "displayName": "Ours", "baseUrl": "", "updatedAt": "x", "hasCredentials": true}),
                "provider",
                json!({"name": "openai", "apiKey": "${{ env.T_K_API_KEY }}", "metadata": {"displayName": "Ours"}}),
                vec!["T_K_API_KEY"],
            ),
            (
                "flashback",
                json!({"id": "1", "name": "n", "aiType": "AWS", "endpoint": "https://x.example", "key": "***************",
                    "apiKeyId": null, "workspaceId": "w", "orgId": "o"}),
                "llm",
                json!({"name": "n", "aiType": "AWS", "endpoint": "https://x.example", "key": "${{ env.T_K_KEY }}",
                    "secret": "${{ env.T_K_SECRET }}", "workspaceId": "w"}),
                vec!["T_K_KEY", "T_K_SECRET"],
            ),
        ] {
            let (found, got, names, notes) = exported(platform, &body);
            assert_eq!((found.as_str(), &got), (kind, &spec), "{body} {notes:?}");
            assert_eq!(names, variables, "{body}");
        }
    }

    #[test]
    fn several_kinds_that_fit_are_said() {
        let body = json!({"connectionId": "cn-2", "provider": "API", "bodyTab": "providerReferences", "connectionName": "B",
            "model": "m", "endpointUrl": "https://x.example", "headers": [], "mapProvider": "openAIModel"});
        let (kind, _, _, notes) = exported("koreai", &body);
        assert_eq!((kind.as_str(), notes.len()), ("custom-existing", 1), "{notes:?}");
        assert!(notes[0].contains("`custom`"), "{notes:?}");
        let summary =
            json!({"connectionId": "cn-2", "provider": "API", "connectionName": "B", "model": "m", "status": "INACTIVE"});
        let (kind, spec, _, notes) = exported("koreai", &summary);
        assert_eq!((kind.as_str(), &spec["status"]), ("custom", &json!("DRAFT")));
        assert!(notes.iter().any(|n| n.contains("`endpointUrl`")), "{notes:?}");
    }

    #[test]
    fn an_object_of_no_kind_is_none() {
        let definition = builtin::load("koreai", &mut Sources::default()).unwrap().unwrap();
        let (name, collection) = definition.collections.first().unwrap();
        let body = json!({"connectionId": "cn-1", "provider": "Unheard of", "connectionName": "A"});
        let object = Object::from_json(collection, &body).unwrap();
        assert!(choose_kind(&definition, name, &object).is_none());
    }

    #[test]
    fn names_are_usable_and_unique() {
        for (parts, name) in [
            (["kore-prod", "apiKey"], "KORE_PROD_API_KEY"),
            (["t", "x-api-key"], "T_X_API_KEY"),
            (["1st", "API_KEY"], "VAR_1ST_API_KEY"),
            (["t", "é"], "T"),
        ] {
            assert_eq!(variable_name(&parts), name);
        }
        let mut taken = BTreeSet::new();
        for (name, key) in [("Test bot", "test-bot"), ("test  BOT!", "test-bot-2"), ("日本", "connection"), ("", "connection-2")]
        {
            assert_eq!(key_for(name, &mut taken), key, "{name}");
        }
    }
}
