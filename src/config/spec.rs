//! A declared spec against its kind: rendered, typed, checked. Everything that is wrong is collected with its place.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::node::{Entry, Kind as NodeKind, Node};
use super::reader;
use super::template::{Lookup, Reference, Renderer, has_template};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes};
use crate::path::{FieldPath, Step};
use crate::platform::bounds::{self, Fault};
use crate::platform::mask;
use crate::platform::model::{Field, FieldType, Kind};
use crate::platform::parse::is_secret;
use crate::secret::Secret;
use crate::source::{Sources, Span};
use crate::suggest;
use crate::value::{Map, Value};

/// What to do about a secret that stands in a file as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralSecrets {
    /// An error: in CI.
    Refuse,
    /// A warning: at a desk.
    Warn,
    /// Nothing: the user said so.
    Allow,
}

/// A spec after rendering.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The fields, without the kind's constants.
    pub spec: Map,
    /// What other connections it refers to, with the place.
    pub references: Vec<(Reference, Span)>,
    /// Where a field's value came from, by path: `env.NAME`.
    pub origins: BTreeMap<String, String>,
    /// Literal secrets: places that must never be shown.
    pub hidden: Vec<Span>,
}

/// Renders and checks specs of one run.
pub struct SpecReader<'r> {
    /// Renders the templates.
    pub renderer: &'r Renderer,
    /// The texts, for exact places.
    pub sources: &'r Sources,
    /// Values of other connections, as far as they are known.
    pub lookup: Option<&'r Lookup>,
    /// The policy for literal secrets.
    pub literals: LiteralSecrets,
}

impl SpecReader<'_> {
    /// Renders and checks one spec. `what` names the connection in messages.
    pub fn read(&self, kind: &Kind, node: &Node, what: &str, found: &mut Diagnostics) -> Rendered {
        let mut walk = Walk { reader: self, what, found, out: Rendered::default() };
        let mut spec = walk.object(&kind.fields, None, Some(&kind.constants), node, &FieldPath::root());
        spec.retain(|key, _| !kind.constants.contains_key(key));
        walk.out.spec = spec;
        walk.out
    }
}

struct Walk<'w, 'r> {
    reader: &'w SpecReader<'r>,
    /// The connection, in messages.
    what: &'w str,
    found: &'w mut Diagnostics,
    out: Rendered,
}

impl Walk<'_, '_> {
    /// A map with known keys, or with rules for all others.
    fn object(
        &mut self,
        fields: &IndexMap<String, Field>,
        values: Option<&Field>,
        constants: Option<&IndexMap<String, serde_json::Value>>,
        node: &Node,
        path: &FieldPath,
    ) -> Map {
        let place = if path.steps().is_empty() { self.what.to_owned() } else { format!("`{path}` of {}", self.what) };
        let accepted: Vec<&str> =
            fields.keys().chain(constants.into_iter().flat_map(IndexMap::keys)).map(String::as_str).collect();
        let mut map = Map::new();
        for entry in node.entries() {
            let path = path.key(&entry.key);
            if let Some(constant) = constants.and_then(|c| c.get(&entry.key)) {
                self.constant(entry, constant);
            } else if let Some(field) = fields.get(&entry.key).or(values) {
                let value = self.value(&entry.value, Some(field), Some(&entry.key), &path);
                map.insert(entry.key.clone(), value);
            } else {
                self.found.push(reader::unknown_key(entry, &place, &accepted));
                // Its value may be a secret all the same.
                entry.value.scalars(&mut self.out.hidden);
            }
        }
        for (name, _) in fields.iter().filter(|(name, field)| field.required && reader::lacks(node, name, &accepted)) {
            let at = node.entries().first().map_or(node.span, |e| e.key_span);
            let help = fields[name].description.clone();
            self.found.push(
                reader::missing(at, &place, name)
                    .help_opt(help.map(|d| format!("add a line `{name}: …`: {}", d.trim_end_matches('.')))),
            );
        }
        map
    }

    fn constant(&mut self, entry: &Entry, constant: &serde_json::Value) {
        if entry.value.to_json() != *constant {
            let wanted = constant.as_str().map_or_else(|| constant.to_string(), ToOwned::to_owned);
            self.found.push(
                Diagnostic::error(codes::NOT_ACCEPTED, format!("`{}` must be `{wanted}` in this kind", entry.key))
                    .label(entry.value.span, "the kind says otherwise")
                    .help("leave the line out (the kind implies it), or choose another kind"),
            );
        }
    }

    /// Any value. `key` is what it stands under, in a keyed list the item's key.
    fn value(&mut self, node: &Node, field: Option<&Field>, key: Option<&str>, path: &FieldPath) -> Value {
        let secret = field.is_some_and(|f| is_secret(f, key));
        if secret && matches!(node.kind, NodeKind::Map(_) | NodeKind::List(_)) {
            node.scalars(&mut self.out.hidden);
        }
        match &node.kind {
            NodeKind::String(text) if has_template(text) => self.template(node, text, field, secret, path),
            NodeKind::String(text) if secret => {
                self.literal_secret(node, text, path);
                let value = Value::Secret(Secret::new(text.as_str()));
                self.check_bounds(node, &value, field, true, path);
                value
            }
            NodeKind::Map(_) if field.is_some_and(|f| !f.is_free()) => {
                let Some(field) = field else { return Value::Null };
                Value::Map(self.object(&field.fields, field.values.as_deref(), None, node, path))
            }
            NodeKind::Map(entries) => {
                let value = Value::Map(
                    entries.iter().map(|e| (e.key.clone(), self.value(&e.value, None, None, &path.key(&e.key)))).collect(),
                );
                self.check_type(node, &value, field, path);
                value
            }
            NodeKind::List(items) => {
                let keyed = field.and_then(|f| f.keyed_by.as_deref().map(|by| (f, by)));
                let value = match keyed {
                    Some((field, by)) => self.keyed_list(items, field, by, path),
                    None => Value::List(
                        items
                            .iter()
                            .enumerate()
                            .map(|(n, item)| {
                                let value = self.value(item, None, None, &path.join(Step::Index(n)));
                                if let Some(field) = field {
                                    self.check_accepted(item, &value, field, path);
                                }
                                value
                            })
                            .collect(),
                    ),
                };
                self.check_type(node, &value, field, path);
                value
            }
            _ => {
                let value = node.to_value();
                if secret && !value.is_null() {
                    self.out.hidden.push(node.extent());
                }
                self.check_type(node, &value, field, path);
                if let Some(field) = field {
                    self.check_accepted(node, &value, field, path);
                }
                self.check_bounds(node, &value, field, secret, path);
                value
            }
        }
    }

    fn keyed_list(&mut self, items: &[Node], field: &Field, by: &str, path: &FieldPath) -> Value {
        let mut list = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let key = item.get(by).and_then(Node::as_str);
            if let (Some(key), Some(entry)) = (key, item.entry(by)) {
                if seen.contains(&key) {
                    self.found.push(
                        Diagnostic::error(codes::DUPLICATE_KEY, format!("`{path}` has two items with `{by}: {key}`"))
                            .label(entry.value.span, "second time"),
                    );
                }
                seen.push(key);
            }
            if !matches!(item.kind, NodeKind::Map(_)) {
                self.found.push(reader::wrong_type(item, &format!("an item of `{path}`"), "an object"));
                item.scalars(&mut self.out.hidden);
                continue;
            }
            let step = match key {
                Some(key) => Step::Item { by: by.to_owned(), value: key.to_owned() },
                None => Step::Index(n),
            };
            let path = path.join(step);
            let what = format!("an item of `{}`", path.top().unwrap_or(""));
            let accepted: Vec<&str> = field.item.keys().map(String::as_str).collect();
            let mut map = Map::new();
            for entry in item.entries() {
                let Some(rules) = field.item.get(&entry.key) else {
                    self.found.push(reader::unknown_key(entry, &what, &accepted));
                    entry.value.scalars(&mut self.out.hidden);
                    continue;
                };
                let value = self.value(&entry.value, Some(rules), Some(key.unwrap_or("authorization")), &path.key(&entry.key));
                map.insert(entry.key.clone(), value);
            }
            for name in field.item.iter().filter(|(name, f)| f.required && reader::lacks(item, name, &accepted)).map(|(n, _)| n) {
                self.found.push(reader::missing(item.span, &what, name));
            }
            list.push(Value::Map(map));
        }
        Value::List(list)
    }

    fn template(&mut self, node: &Node, text: &str, field: Option<&Field>, secret: bool, path: &FieldPath) -> Value {
        let rendered = match self.reader.renderer.render(text, self.reader.lookup) {
            Ok(rendered) => rendered,
            Err(error) => {
                self.found.push(reader::template_error(node, &error, self.reader.sources));
                return Value::Unknown(String::new());
            }
        };
        self.out.references.extend(rendered.references.into_iter().map(|r| (r, node.span)));
        if let Some(origin) = rendered.origins.first() {
            self.out.origins.insert(path.to_string(), origin.clone());
        }
        let mut value = rendered.value;
        if let (Value::String(_) | Value::Secret(_), Some(field)) = (&value, field)
            && !secret
            && let Some(typed) = value.expose_str().and_then(|text| coerce(text.trim(), field.kind))
        {
            value = typed;
        }
        if secret {
            // A secret field's value is a secret wherever it came from.
            if let Value::String(text) = &value {
                value = Value::Secret(Secret::new(text.as_str()));
            }
        }
        if let Value::Secret(content) = &value {
            self.reader.renderer.learn(content);
            self.check_secret(node, content, path);
        }
        self.check_type(node, &value, field, path);
        if let Some(field) = field {
            self.check_accepted(node, &value, field, path);
        }
        // What comes from elsewhere is not measured for people.
        self.check_bounds(node, &value, field, true, path);
        value
    }

    fn check_type(&mut self, node: &Node, value: &Value, field: Option<&Field>, path: &FieldPath) {
        let Some(field) = field else { return };
        let right = match (field.kind, value) {
            (FieldType::Any, _) | (_, Value::Unknown(_)) => true,
            (FieldType::String, Value::String(_) | Value::Secret(_)) | (FieldType::Boolean, Value::Bool(_)) => true,
            (FieldType::Integer, Value::Number(n)) => n.is_i64() || n.is_u64(),
            (FieldType::Number, Value::Number(_)) | (FieldType::Object, Value::Map(_)) => true,
            (FieldType::List | FieldType::Set, Value::List(_)) => true,
            (_, Value::Null) => !field.required,
            _ => false,
        };
        if right {
            return;
        }
        let mut error = Diagnostic::error(codes::WRONG_TYPE, format!("`{path}` must be {}", field.kind.name()))
            .label(node.span, format!("this is {}", value.type_name()));
        if matches!(field.kind, FieldType::Object | FieldType::List | FieldType::Set) {
            // Something else stands where an object or a list may hold secrets.
            node.scalars(&mut self.out.hidden);
        }
        let is_open = !is_secret(field, path.name()) && !node.as_str().is_some_and(has_template);
        if is_open && field.kind == FieldType::String && matches!(value, Value::Number(_) | Value::Bool(_)) {
            let written = self.reader.sources.text(node.span);
            error = error.help(format!("quote it: \"{written}\""));
        }
        self.found.push(error);
    }

    fn check_accepted(&mut self, node: &Node, value: &Value, field: &Field, path: &FieldPath) {
        if field.accepted.is_empty() {
            return;
        }
        let text = match value {
            Value::Number(_) | Value::Bool(_) => Some(value.canonical()),
            Value::Map(_) => Some("{…}".to_owned()),
            // Null and lists are a matter of the type.
            _ => value.expose_str().map(ToOwned::to_owned),
        };
        if let Some(text) = text.as_deref()
            && (value.expose_str().is_none() || !field.accepted.iter().any(|a| a == text))
        {
            let accepted: Vec<&str> = field.accepted.iter().map(String::as_str).collect();
            // A value from the environment is not echoed.
            let shown = if matches!(value, Value::Secret(_)) { "this value".to_owned() } else { format!("`{text}`") };
            let help = suggest::help(if matches!(value, Value::Secret(_)) { "" } else { text }, &accepted);
            self.found.push(
                Diagnostic::error(codes::NOT_ACCEPTED, format!("`{path}` cannot be {shown}"))
                    .label(node.span, "not an accepted value")
                    .help_opt(help),
            );
        }
    }

    /// How large, how long, of which form. No message has the value in it, nor the length of one that `is_hidden`.
    fn check_bounds(&mut self, node: &Node, value: &Value, field: Option<&Field>, is_hidden: bool, path: &FieldPath) {
        let Some(field) = field else { return };
        for fault in bounds::faults(field, value) {
            let (what, label) = match fault {
                Fault::TooSmall => ("is too small", "too small".to_owned()),
                Fault::TooLarge => ("is too large", "too large".to_owned()),
                Fault::TooLong(_) if is_hidden => ("is too long", "too long".to_owned()),
                Fault::TooLong(count) => ("is too long", format!("{count} characters")),
                Fault::Form => ("has a form that is not accepted", "does not match".to_owned()),
            };
            let description = field.description.as_deref().filter(|_| fault == Fault::Form);
            let help = [Some(bounds::wanted(field)), description.map(ToOwned::to_owned)];
            self.found.push(
                Diagnostic::error(codes::NOT_ACCEPTED, format!("`{path}` {what}"))
                    .label(node.span, label)
                    .help(help.into_iter().flatten().collect::<Vec<_>>().join("\n")),
            );
        }
    }

    fn literal_secret(&mut self, node: &Node, text: &str, path: &FieldPath) {
        self.out.hidden.push(node.extent());
        let secret = Secret::new(text);
        self.reader.renderer.learn(&secret);
        self.check_secret(node, &secret, path);
        let severity = match self.reader.literals {
            LiteralSecrets::Allow => return,
            LiteralSecrets::Refuse => Severity::Error,
            LiteralSecrets::Warn => Severity::Warning,
        };
        let name = path.item_key().or(path.last_key()).unwrap_or("KEY").to_ascii_uppercase();
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        self.found.push(Diagnostic {
            severity,
            ..Diagnostic::error(codes::LITERAL_SECRET, format!("`{path}` is a secret and stands in the file as it is"))
                .label(node.span, "whoever reads this file has it")
                .help(format!("take it from the environment: ${{{{ env.{name} }}}}\nor pass --allow-literal-secrets"))
        });
    }

    /// What no API key looks like, but what a failed substitution leaves behind.
    fn check_secret(&mut self, node: &Node, secret: &Secret, path: &FieldPath) {
        let text = secret.expose();
        // `Bearer op://…`: the secret is what follows the scheme.
        let core = text.trim().split_once(' ').map_or(text.trim(), |(_, rest)| rest.trim());
        let unresolved = ["op://", "vault:", "ENC[", "${", "{{"]
            .iter()
            .find(|start| core.starts_with(**start) || text.trim().starts_with(**start));
        let what = if is_shell_variable(core) {
            Some(("is a shell's variable, not a secret", "patchbay's form is ${{ env.NAME }}"))
        } else if mask::looks_masked(text) {
            Some(("is a mask, not a secret", "APIs show masks in place of secrets; written back, the mask would become the key"))
        } else if unresolved.is_some() {
            Some((
                "is an unresolved reference, not a secret",
                "resolve it first: `op run -- patchbay …`, `sops exec-env FILE 'patchbay …'`",
            ))
        } else if is_placeholder(core) || text.trim().is_empty() {
            Some(("is a placeholder, not a secret", "put the real value into the environment"))
        } else {
            None
        };
        if let Some((what, help)) = what {
            self.found.push(
                Diagnostic::error(codes::UNRESOLVED, format!("the value of `{path}` {what}"))
                    .label(node.span, "the value comes from here")
                    .help(help),
            );
        } else if text.trim() != text || text.contains(['\n', '\r']) {
            self.found.push(
                Diagnostic::error(
                    codes::STRAY_WHITESPACE,
                    format!("the value of `{path}` has stray white space or a line break"),
                )
                .label(node.span, "the value comes from here")
                .help("remove it where it is set, or write `| trim`"),
            );
        }
    }
}

/// Is it nothing but `$NAME` or `${NAME}`? Other tools put a value there. The name is not told: it may be a key that
/// looks so.
fn is_shell_variable(text: &str) -> bool {
    let Some(name) = text.strip_prefix('$') else { return false };
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.len() > 2 && name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(fits)
}

/// What documentation shows where a key belongs: `changeme`, `<your-key>`, `YOUR_API_KEY`.
fn is_placeholder(text: &str) -> bool {
    let word: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is_framed = text.len() > 2 && text.starts_with('<') && text.ends_with('>');
    let is_named = word.starts_with("your") && ["key", "token", "secret", "password"].iter().any(|end| word.ends_with(end));
    is_framed || is_named || ["changeme", "todo", "placeholder"].contains(&word.as_str())
}

/// A rendered text as the type that the field asks for: the environment only has texts.
fn coerce(text: &str, kind: FieldType) -> Option<Value> {
    match kind {
        FieldType::Boolean => text.parse().ok().map(Value::Bool),
        FieldType::Integer => text.parse::<i64>().ok().map(|n| Value::Number(n.into())),
        FieldType::Number => match text.parse::<i64>() {
            Ok(n) => Some(Value::Number(n.into())),
            Err(_) => text.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        },
        _ => None,
    }
}

/// Where a field is written: the places of its key and of its value.
#[must_use]
pub fn span_of(spec: &Node, path: &FieldPath) -> Option<(Span, Span)> {
    let mut node = spec;
    let mut spans = None;
    for step in path.steps() {
        let (key, value) = match step {
            Step::Key(key) => node.entry(key).map(|e| (e.key_span, &e.value))?,
            Step::Index(index) => match &node.kind {
                NodeKind::List(list) => list.get(*index).map(|n| (n.span, n))?,
                _ => return None,
            },
            Step::Item { by, value } => match &node.kind {
                NodeKind::List(list) => {
                    list.iter().find(|n| n.get(by).and_then(Node::as_str) == Some(value)).map(|n| (n.span, n))?
                }
                _ => return None,
            },
        };
        spans = Some((key, value.span));
        node = value;
    }
    spans
}
