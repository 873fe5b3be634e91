//! Reading maps out of [`Node`]s: every mistake is collected with its place, nothing stops at the first one.

use super::node::{Entry, Kind, Node};
use super::template::{Renderer, TemplateError, TemplateErrorKind};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::source::{Sources, Span};
use crate::suggest;
use crate::value::Value;

/// Checks that a node is a map with only these keys. `what` completes “… must be an object”.
pub fn map<'n>(node: &'n Node, what: &str, accepted: &[&str], found: &mut Diagnostics) -> Option<&'n Node> {
    let Kind::Map(entries) = &node.kind else {
        found.push(wrong_type(node, what, "an object"));
        return None;
    };
    for entry in entries.iter().filter(|e| !accepted.contains(&e.key.as_str())) {
        found.push(unknown_key(entry, what, accepted));
    }
    Some(node)
}

/// The diagnostic for a key that nobody knows.
#[must_use]
pub fn unknown_key(entry: &Entry, what: &str, accepted: &[&str]) -> Diagnostic {
    Diagnostic::error(codes::UNKNOWN_KEY, format!("unknown key `{}` in {what}", entry.key))
        .label(entry.key_span, "not a key that patchbay knows here")
        .help_opt(suggest::help(&entry.key, accepted))
}

/// The diagnostic for a value of another type.
#[must_use]
pub fn wrong_type(node: &Node, what: &str, wanted: &str) -> Diagnostic {
    Diagnostic::error(codes::WRONG_TYPE, format!("{what} must be {wanted}"))
        .label(node.span, format!("this is {}", node.type_name()))
}

/// Does a map lack a key altogether? One that is there and misspelt was reported as unknown: one mistake, one diagnostic.
#[must_use]
pub fn lacks(node: &Node, key: &str, accepted: &[&str]) -> bool {
    let is_meant = |word: &str| !accepted.contains(&word) && suggest::nearest(word, accepted.iter().copied()) == Some(key);
    node.get(key).is_none() && !node.entries().iter().any(|entry| is_meant(&entry.key))
}

/// The diagnostic for a required key that is not there; the label stands at the map that lacks it.
#[must_use]
pub fn missing(at: Span, what: &str, key: &str) -> Diagnostic {
    Diagnostic::error(codes::MISSING_KEY, format!("{what} needs {} `{key}`", article(key)))
        .label(at, format!("`{key}` is missing here"))
}

/// `a` or `an`, as far as letters tell.
fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) { "an" } else { "a" }
}

/// A text without templates.
pub fn string<'n>(node: &'n Node, key: &str, what: &str, found: &mut Diagnostics) -> Option<(&'n str, Span)> {
    let value = node.get(key)?;
    match &value.kind {
        Kind::String(text) => Some((text, value.span)),
        _ => {
            found.push(wrong_type(value, &format!("`{key}` of {what}"), "a string"));
            None
        }
    }
}

/// A boolean.
pub fn boolean(node: &Node, key: &str, what: &str, found: &mut Diagnostics) -> Option<bool> {
    let value = node.get(key)?;
    match value.kind {
        Kind::Bool(b) => Some(b),
        _ => {
            found.push(wrong_type(value, &format!("`{key}` of {what}"), "true or false"));
            None
        }
    }
}

/// A whole number of at least `least`.
pub fn number(node: &Node, key: &str, what: &str, least: usize, found: &mut Diagnostics) -> Option<usize> {
    let value = node.get(key)?;
    let number = match &value.kind {
        Kind::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n >= least),
        _ => None,
    };
    if number.is_none() {
        found.push(wrong_type(value, &format!("`{key}` of {what}"), &format!("a whole number of at least {least}")));
    }
    number
}

/// A list of texts; one text alone counts as a list of one.
pub fn strings<'n>(node: &'n Node, key: &str, what: &str, found: &mut Diagnostics) -> Option<Vec<(&'n str, Span)>> {
    let value = node.get(key)?;
    let items: Vec<&Node> = match &value.kind {
        Kind::List(list) => list.iter().collect(),
        Kind::String(_) => vec![value],
        _ => {
            found.push(wrong_type(value, &format!("`{key}` of {what}"), "a list of strings"));
            return None;
        }
    };
    let mut all = Vec::new();
    for item in items {
        match item.as_str() {
            Some(text) => all.push((text, item.span)),
            None => found.push(wrong_type(item, &format!("an item of `{key}`"), "a string")),
        }
    }
    Some(all)
}

/// Renders a node that must come out as a text, secret or not.
pub fn templated(node: &Node, what: &str, renderer: &Renderer, sources: &Sources, found: &mut Diagnostics) -> Option<Value> {
    let Some(text) = node.as_str() else {
        found.push(wrong_type(node, what, "a string"));
        return None;
    };
    if !super::template::has_template(text) {
        return Some(Value::String(text.to_owned()));
    }
    match renderer.render(text, None) {
        Ok(rendered) => match rendered.value {
            value @ (Value::String(_) | Value::Secret(_) | Value::Unknown(_)) => Some(value),
            _ => {
                found.push(wrong_type(node, what, "a string"));
                None
            }
        },
        Err(error) => {
            found.push(template_error(node, &error, sources));
            None
        }
    }
}

/// A template's trouble as a diagnostic, at the exact expression where the source shows it.
#[must_use]
pub fn template_error(node: &Node, error: &TemplateError, sources: &Sources) -> Diagnostic {
    let span = within(node, error, sources);
    match &error.kind {
        TemplateErrorKind::Unset(name) => Diagnostic::error(codes::VARIABLE_UNSET, format!("environment variable `{name}` is not set"))
            .label(span, "used here, with no default")
            .help(format!(
                "export {name}, or put it in a file and pass `--env-file FILE`\nto check the files without secrets: `patchbay validate --offline`"
            )),
        TemplateErrorKind::Empty(name) => Diagnostic::error(codes::VARIABLE_EMPTY, format!("environment variable `{name}` is set and empty"))
            .label(span, "used here, with no default")
            .help(format!("give {name} a value, or write `${{{{ env.{name} | default(\"…\") }}}}`")),
        TemplateErrorKind::BothSet(name) => Diagnostic::error(codes::BOTH_SET, format!("both `{name}` and `{name}_FILE` are set"))
            .label(span, "it is not clear which one counts")
            .help(format!("unset {name} or {name}_FILE")),
        TemplateErrorKind::File(path, why) => Diagnostic::error(codes::UNREADABLE, format!("cannot read `{path}`: {why}"))
            .label(span, "read here")
            .help("paths are relative to the project folder"),
        TemplateErrorKind::Other(what) => Diagnostic::error(codes::TEMPLATE, format!("this template cannot be rendered: {what}"))
            .label(span, "here")
            .help("available: env.NAME, var.NAME, file(\"path\"), connection(\"key\").id, and filters such as default, trim, b64decode"),
    }
}

fn within(node: &Node, error: &TemplateError, sources: &Sources) -> Span {
    let extent = node.extent();
    let part = node.as_str().and_then(|text| text.get(error.range.clone())).unwrap_or("");
    if part.is_empty() {
        return node.span;
    }
    match sources.text(extent).find(part) {
        Some(at) => {
            let start = extent.start + u32::try_from(at).unwrap_or(0);
            Span { start, end: start + u32::try_from(part.len()).unwrap_or(0), ..extent }
        }
        None => node.span,
    }
}
