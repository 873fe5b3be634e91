//! TOML text → [`Node`], so that `patchbay.toml` is read, checked and reported like every other file.

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::source::FileId;

/// Parses a whole document; the root is always a map.
///
/// # Errors
/// Every syntax error of the file.
pub fn parse(file: FileId, text: &str) -> Result<Node, Diagnostics> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|e| explain(file, e)).collect());
    }
    let range = table.span();
    let span = file.span(range.start, range.start);
    Ok(Node { span, end: span.end, kind: map(file, table.into_inner()) })
}

fn map(file: FileId, table: DeTable<'_>) -> Kind {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: file.span(key.span().start, key.span().end),
            key: key.into_inner().into_owned(),
            value: node(file, value),
        })
        .collect();
    // The table type sorts by key; diagnostics read better in the author's order.
    entries.sort_by_key(|e| e.key_span);
    Kind::Map(entries)
}

fn node(file: FileId, value: Spanned<DeValue<'_>>) -> Node {
    let range = value.span();
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::String(text.into_owned()),
        DeValue::Boolean(b) => Kind::Bool(b),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(number) => Kind::Number(number.into()),
            Err(_) => Kind::String(n.as_str().to_owned()),
        },
        DeValue::Float(n) => match n.as_str().parse::<f64>().ok().and_then(Number::from_f64) {
            Some(number) => Kind::Number(number),
            None => Kind::String(n.as_str().to_owned()),
        },
        DeValue::Datetime(t) => Kind::String(t.to_string()),
        DeValue::Array(list) => Kind::List(list.into_iter().map(|item| node(file, item)).collect()),
        DeValue::Table(table) => map(file, table),
    };
    let span = file.span(range.start, range.end);
    Node { span, end: span.end, kind }
}

fn explain(file: FileId, error: &toml::de::Error) -> Diagnostic {
    let range = error.span().unwrap_or(0..0);
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    if message.to_lowercase().contains("duplicate") {
        return Diagnostic::error(codes::DUPLICATE_KEY, "this key stands here twice")
            .label(file.span(range.start, range.end), "second time")
            .help("rename one of the two, or remove it");
    }
    Diagnostic::error(codes::SYNTAX, format!("not valid TOML: {message}"))
        .label(file.span(range.start, range.end.max(range.start + 1)), "here")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;
    use serde_json::json;

    #[test]
    fn tables_become_maps_with_spans() {
        let text = "[project]\nname = \"a\"\nn = 0x10\nf = 1.5\nb = true\n[targets.kore]\nlist = [1, \"x\"]\nauth = { api_key = \"k\" }\n";
        let mut sources = Sources::default();
        let file = sources.add("p.toml", text);
        let node = parse(file, text).unwrap();
        assert_eq!(
            node.to_json(),
            json!({"project": {"name": "a", "n": 16, "f": 1.5, "b": true}, "targets": {"kore": {"list": [1, "x"], "auth": {"api_key": "k"}}}})
        );
        let name = node.get("project").and_then(|p| p.get("name")).unwrap();
        assert_eq!(sources.text(name.span), "\"a\"");
        assert_eq!(sources.file_line(name.span).as_deref(), Some("p.toml:2"));
    }

    #[test]
    fn errors_have_places() {
        for (text, code, line) in
            [("a = ", codes::SYNTAX, 1), ("x = 1\na = 'b\n", codes::SYNTAX, 2), ("a = 1\na = 2\n", codes::DUPLICATE_KEY, 2)]
        {
            let mut sources = Sources::default();
            let file = sources.add("p.toml", text);
            let errors = parse(file, text).unwrap_err();
            assert_eq!(errors[0].code, code, "{text}: {errors:?}");
            assert_eq!(sources.place(errors[0].labels[0].span).map(|p| p.line), Some(line), "{text}: {errors:?}");
        }
    }
}
