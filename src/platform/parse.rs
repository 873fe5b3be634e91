//! Definition text → [`Definition`], with errors that point into the text.

use crate::config::node::Node;
use crate::config::yaml;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::path::FieldPath;
use crate::source::{FileId, Span};
use crate::suggest;

use super::model::{Covers, Definition, Delete, Field, FieldType, Kind, SecretRule, Semantics, Update};

/// The version of the language that this program speaks.
pub const LANGUAGE: u32 = 1;

/// Reads and checks a definition.
///
/// # Errors
/// Syntax and shape stop at the first error; the checks of meaning report everything that they find.
pub fn parse(file: FileId, text: &str) -> Result<Definition, Diagnostics> {
    parse_with_tree(file, text).map(|(definition, _)| definition)
}

/// As [`parse`], with the tree that the definition was read from: for the places of what is found out later.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_tree(file: FileId, text: &str) -> Result<(Definition, Node), Diagnostics> {
    let node = match yaml::parse(file, text) {
        Ok(Some(node)) => node,
        Ok(None) => {
            return Err(vec![
                Diagnostic::error(codes::BAD_DEFINITION, "the platform definition is empty").label(file.span(0, 0), "here"),
            ]);
        }
        Err(error) => return Err(vec![error]),
    };
    let definition: Definition =
        serde_path_to_error::deserialize(node.to_json()).map_err(|error| vec![explain(&node, &error)])?;
    let found = check(&definition, &node);
    if found.is_empty() { Ok((definition, node)) } else { Err(found) }
}

fn explain(root: &Node, error: &serde_path_to_error::Error<serde_json::Error>) -> Diagnostic {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    let unknown = message.strip_prefix("unknown field `").and_then(|m| m.split('`').next());
    let span = locate(root, &path, unknown);
    let code = if unknown.is_some() { codes::UNKNOWN_KEY } else { codes::BAD_DEFINITION };
    let accepted: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let help = unknown.and_then(|word| suggest::help(word, &accepted));
    let what = message.split(" at line ").next().unwrap_or(&message);
    let what = unknown.map_or_else(|| what.to_owned(), |word| format!("unknown key `{word}`"));
    Diagnostic::error(code, format!("in a platform definition: {what}"))
        .label(span, if path == "." { "here".to_owned() } else { format!("at `{path}`") })
        .help_opt(help)
}

/// The span of a serde path such as `kinds.openai.update[0].covers`; of the key itself for an unknown key.
#[must_use]
pub fn locate(root: &Node, path: &str, unknown: Option<&str>) -> Span {
    let mut node = root;
    let mut span = root.span;
    for step in FieldPath::parse(path).steps() {
        let next = match step {
            crate::path::Step::Key(key) => node.entry(key).map(|e| (e.key_span, &e.value)),
            crate::path::Step::Index(at) => match &node.kind {
                crate::config::node::Kind::List(list) => list.get(*at).map(|n| (n.span, n)),
                _ => None,
            },
            crate::path::Step::Item { .. } => None,
        };
        let Some((key_span, next)) = next else { break };
        span = if next.entries().is_empty() { next.span } else { key_span };
        node = next;
    }
    unknown.and_then(|key| node.entry(key)).map_or(span, |e| e.key_span)
}

/// Everything that the shape alone cannot say.
fn check(definition: &Definition, root: &Node) -> Diagnostics {
    let mut found = Diagnostics::new();
    let mut wrong = |path: &str, what: String, help: &str| {
        found.push(
            Diagnostic::error(codes::BAD_DEFINITION, what)
                .label(locate(root, path, None), format!("at `{path}`"))
                .help_opt((!help.is_empty()).then(|| help.to_owned())),
        );
    };
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
    for (name, collection) in &definition.collections {
        if collection.natural_key.is_empty() {
            wrong(
                &format!("collections.{name}.natural_key"),
                format!("the collection `{name}` needs a natural key"),
                "without one, an interrupted create could not be found again",
            );
        }
        if let Some(read) = &collection.read
            && !read.path.contains("{id}")
        {
            wrong(&format!("collections.{name}.read.path"), "the path of a read must contain `{id}`".into(), "");
        }
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
        for key in &collection.natural_key {
            if field_at(kind, &FieldPath::parse(key)).is_none() && !kind.constants.contains_key(key) {
                wrong(&format!("{at}.fields"), format!("the kind `{name}` lacks the natural key's field `{key}`"), "");
            }
        }
        for key in kind.constants.keys() {
            if kind.fields.contains_key(key) {
                wrong(
                    &format!("{at}.constants.{key}"),
                    format!("`{key}` is both a constant and a field of the kind `{name}`"),
                    "",
                );
            }
        }
        check_fields(&kind.fields, &format!("{at}.fields"), &mut wrong);
        if let Some(test) = &kind.test
            && !test.path.contains("{id}")
        {
            wrong(&format!("{at}.test.path"), "the path of a test must contain `{id}`".into(), "");
        }
        if let Delete::By(request) = &kind.delete
            && !request.path.contains("{id}")
        {
            wrong(&format!("{at}.delete.path"), "the path of a delete must contain `{id}`".into(), "");
        }
        for (n, verb) in kind.update.iter().enumerate() {
            check_update(kind, verb, &format!("{at}.update[{n}]"), &mut wrong);
        }
    }
    found
}

fn check_fields(fields: &indexmap::IndexMap<String, Field>, at: &str, wrong: &mut dyn FnMut(&str, String, &str)) {
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
        for word in field.equals.keys() {
            if !field.accepted.is_empty() && !field.accepted.contains(word) {
                wrong(&at, format!("`equals` of `{name}` speaks of `{word}`, which is not in its enum"), "");
            }
        }
        check_fields(&field.fields, &format!("{at}.fields"), wrong);
        check_fields(&field.item, &format!("{at}.item"), wrong);
    }
}

fn check_update(kind: &Kind, verb: &Update, at: &str, wrong: &mut dyn FnMut(&str, String, &str)) {
    if !verb.path.contains("{id}") && verb.semantics != Semantics::Upsert {
        wrong(&format!("{at}.path"), "the path of an update must contain `{id}`".into(), "");
    }
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

/// The field rules that hold at a path of keys. `None` where the definition knows nothing, which inside free content
/// is no error.
#[must_use]
pub fn field_at<'k>(kind: &'k Kind, path: &FieldPath) -> Option<&'k Field> {
    let mut fields = &kind.fields;
    let mut found: Option<&Field> = None;
    for step in path.steps() {
        match step {
            crate::path::Step::Key(key) => {
                let next = fields.get(key)?;
                fields = if next.keyed_by.is_some() { &next.item } else { &next.fields };
                found = Some(next);
            }
            crate::path::Step::Index(_) | crate::path::Step::Item { .. } => {}
        }
    }
    found
}

/// Is this the name of a header or field that holds a credential? For `secret: when-key-matches-auth`.
#[must_use]
pub fn is_auth_key(key: &str) -> bool {
    let key: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["auth", "key", "token", "secret", "password", "cookie", "credential", "signature"].iter().any(|word| key.contains(word))
}

/// Does a field's rule make the value under this item key a secret?
#[must_use]
pub fn is_secret(field: &Field, item_key: Option<&str>) -> bool {
    match field.secret {
        SecretRule::Never => false,
        SecretRule::Always => true,
        SecretRule::WhenKeyMatchesAuth => item_key.is_none_or(is_auth_key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn errors(text: &str) -> Vec<String> {
        let mut sources = Sources::default();
        let file = sources.add("my.yaml", text);
        match parse(file, text) {
            Ok(_) => vec![],
            Err(found) => found
                .iter()
                .map(|d| {
                    let place = d.labels.first().and_then(|l| sources.file_line(l.span)).unwrap_or_default();
                    format!(
                        "{} {place} {}{}",
                        d.code.id(),
                        d.summary,
                        d.help.as_deref().map(|h| format!(" | {h}")).unwrap_or_default()
                    )
                })
                .collect(),
        }
    }

    const SMALL: &str = "platform: p
language: 1
title: P
auth: { token: { header: Authorization, prefix: 'Bearer ' } }
collections:
  things:
    list: { path: /things, items: things }
    read: { path: '/things/{id}' }
    id: id
    natural_key: [name]
kinds:
  thing:
    title: Thing
    collection: things
    fields:
      name: { required: true }
    create: { method: POST, path: /things }
    update:
      - { method: PATCH, path: '/things/{id}', semantics: merge, covers: '*' }
    delete: { method: DELETE, path: '/things/{id}' }
";

    #[test]
    fn a_small_definition_is_accepted() {
        assert_eq!(errors(SMALL), Vec::<String>::new());
    }

    #[test]
    fn every_mistake_names_its_place() {
        for (from, to, expected) in [
            ("language: 1", "language: 2", "PB0114 my.yaml:2 this patchbay speaks definition language 1, not 2"),
            (
                "collection: things",
                "collection: thing",
                "PB0114 my.yaml:14 the kind `thing` names an unknown collection `thing` | did you mean `things`? accepted: `things`",
            ),
            (
                "title: Thing",
                "titel: Thing",
                "PB0102 my.yaml:13 in a platform definition: unknown key `titel` | did you mean `title`? accepted: `title`, `collection`, `constants`, `read_back`, `fields`, `create`, `update`, `delete`, `test`",
            ),
            ("'/things/{id}', semantics", "'/things', semantics", "PB0114 my.yaml:19 the path of an update must contain `{id}`"),
            ("covers: '*'", "covers: [nam]", "PB0114 my.yaml:19 there is no field `nam` in this kind"),
            ("covers: '*'", "covers: all", "PB0114 my.yaml:19 in a platform definition: expected \"*\" or a list of field paths"),
            (
                "natural_key: [name]",
                "natural_key: []",
                "PB0114 my.yaml:10 the collection `things` needs a natural key | without one, an interrupted create could not be found again",
            ),
            (
                "name: { required: true }",
                "name: { required: true, keyed_by: key }",
                "PB0114 my.yaml:16 `name` is keyed, so its type must be list",
            ),
            (
                "method: POST",
                "method: POKE",
                "PB0114 my.yaml:17 in a platform definition: unknown variant `POKE`, expected one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`",
            ),
        ] {
            let text = SMALL.replace(from, to);
            assert_ne!(text, SMALL, "{from}");
            assert_eq!(errors(&text).first().map(String::as_str), Some(expected));
        }
    }

    #[test]
    fn credentials_are_known_by_their_name() {
        for key in ["Authorization", "x-api-key", "X-Auth-Token", "api_key", "Cookie", "client-secret"] {
            assert!(is_auth_key(key), "{key}");
        }
        for key in ["Content-Type", "anthropic-version", "Accept", "X-Tenant"] {
            assert!(!is_auth_key(key), "{key}");
        }
    }
}
