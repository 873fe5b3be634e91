//! Definition text → [`Definition`], with errors that point into the text.

use crate::config::node::Node;
use crate::config::yaml;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::path::FieldPath;
use crate::source::{FileId, Span};
use crate::suggest;

use super::check::check;
use super::model::{Definition, Field, Kind, SecretRule};

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

/// The field rules that hold at a path of keys. `None` where the definition knows nothing, which inside free content
/// is no error.
#[must_use]
pub fn field_at<'k>(kind: &'k Kind, path: &FieldPath) -> Option<&'k Field> {
    let mut found: Option<&Field> = None;
    for step in path.steps() {
        match step {
            crate::path::Step::Key(key) => {
                found = Some(match found {
                    None => kind.fields.get(key)?,
                    Some(upper) if upper.keyed_by.is_some() => upper.item.get(key)?,
                    Some(upper) => upper.rules(key)?,
                });
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

/// Does a field's rule make the value under this key, or under this key of a keyed list's item, a secret?
#[must_use]
pub fn is_secret(field: &Field, key: Option<&str>) -> bool {
    match field.secret {
        SecretRule::Never => false,
        SecretRule::Always => true,
        SecretRule::WhenKeyMatchesAuth => key.is_none_or(is_auth_key),
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
