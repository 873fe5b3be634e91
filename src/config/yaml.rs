//! YAML text → [`Node`]. YAML 1.2 core scalars, duplicate keys are errors, limits hold.
//!
//! The YAML crate is met here and nowhere else. Its traps, each set in `options`: its default budget stops at 250,000
//! nodes, its alias ratio rule refuses one anchor merged into many connections, its default booleans are YAML 1.1, and
//! its own snippets would print neighbouring lines, which may hold secrets.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

use super::node::{Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, codes};
use crate::source::{FileId, Span};

/// Larger files are refused before parsing. Ten thousand connections are about 5 MB.
pub const MAX_BYTES: usize = 64 << 20;

/// Parses one document. An empty text is `None`.
///
/// # Errors
/// One diagnostic: the YAML crate stops at the first error of a file.
pub fn parse(file: FileId, text: &str) -> Result<Option<Node>, Diagnostic> {
    if text.len() > MAX_BYTES {
        return Err(Diagnostic::error(codes::LIMIT, format!("the file has more than {} MiB", MAX_BYTES >> 20))
            .label(file.span(0, 0), "this file")
            .help("split it into several files"));
    }
    let whole = text;
    let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
    let at = Locator { file, text, base: whole.len() - text.len() };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---") {
        return Ok(None);
    }
    let raw: Raw = serde_saphyr::from_str_with_options(text, options()).map_err(|e| explain(&at, &e))?;
    Ok(Some(raw.locate(&at)))
}

fn options() -> serde_saphyr::options::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: 2_000_000,
            max_events: 6_000_000,
            max_anchors: 10_000,
            max_aliases: 50_000,
            max_merge_keys: 50_000,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 4_000_000,
            max_alias_expansions_per_anchor: 50_000,
        },
    }
}

struct Raw(Spanned<RawKind>);

enum RawKind {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Null)
    }

    fn visit_none<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<RawKind, E> {
        Ok(RawKind::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<RawKind, E> {
        Ok(RawKind::Number(n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<RawKind, E> {
        Ok(RawKind::Number(n.into()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<RawKind, E> {
        // `.inf` and `.nan` have no JSON form; as texts they fail the type check with their own place.
        Ok(Number::from_f64(n).map_or_else(|| RawKind::String(n.to_string()), RawKind::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<RawKind, E> {
        Ok(RawKind::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<RawKind, E> {
        Ok(RawKind::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawKind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(RawKind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawKind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawKind::Map(entries))
    }
}

/// From the crate's locations to spans of the file, whose byte order mark the crate never saw.
struct Locator<'t> {
    file: FileId,
    text: &'t str,
    base: usize,
}

impl Raw {
    fn locate(self, at: &Locator<'_>) -> Node {
        let location = self.0.referenced;
        let span = at.span(location);
        let whole = location.span();
        let end = whole.byte_offset().zip(whole.byte_len()).and_then(|(start, len)| usize::try_from(start + len).ok());
        let end = end.and_then(|end| u32::try_from(end + at.base).ok()).unwrap_or(span.end);
        let kind = match self.0.value {
            RawKind::Null => Kind::Null,
            RawKind::Bool(b) => Kind::Bool(b),
            RawKind::Number(n) => Kind::Number(n),
            RawKind::String(s) => Kind::String(s),
            RawKind::List(list) => Kind::List(list.into_iter().map(|item| item.locate(at)).collect()),
            RawKind::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry { key_span: at.span(key.referenced), key: key.value, value: value.locate(at) })
                    .collect(),
            ),
        };
        Node { span, end, kind }
    }
}

impl Locator<'_> {
    /// The byte span of a location: its first line only, so that a label under a map does not underline half of the
    /// file.
    fn span(&self, location: Location) -> Span {
        let span = location.span();
        let exact = span.byte_offset().zip(span.byte_len());
        let exact = exact.and_then(|(start, len)| Some((usize::try_from(start).ok()?, usize::try_from(len).ok()?)));
        let Some((start, len)) = exact else { return self.by_line(location) };
        let shown = self.text.get(start..(start + len).min(self.text.len())).unwrap_or("");
        let shown = shown.lines().next().unwrap_or("").trim_end();
        self.file.span(self.base + start, self.base + start + shown.len())
    }

    /// Scanner errors know line and column only.
    fn by_line(&self, location: Location) -> Span {
        let line = usize::try_from(location.line()).unwrap_or(1).max(1);
        let column = usize::try_from(location.column()).unwrap_or(1).max(1);
        let start = self.text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
        let within = self
            .text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .map_or(0, |row| row.char_indices().nth(column - 1).map_or(row.len(), |(at, _)| at));
        let at = (start + within).min(self.text.len());
        self.file.span(self.base + at, self.base + at + usize::from(at < self.text.len()))
    }
}

fn explain(at: &Locator<'_>, error: &serde_saphyr::Error) -> Diagnostic {
    let error = error.without_snippet();
    let text = at.text;
    let place = error.location().map_or_else(|| at.file.span(0, 0), |l| at.span(l));
    let start = (place.start as usize).saturating_sub(at.base);
    let full = error.to_string();
    let message = full.split(" at line ").next().unwrap_or(&full).lines().next().unwrap_or("").trim().to_owned();
    let lower = message.to_lowercase();
    let line = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let row = text[line..].lines().next().unwrap_or("");
    if lower.contains("duplicate") {
        let key = text.get(start..(place.end as usize).saturating_sub(at.base)).unwrap_or("");
        let key = key.split(':').next().unwrap_or(key).trim().trim_matches(['"', '\'']);
        return Diagnostic::error(codes::DUPLICATE_KEY, format!("the key `{key}` stands here twice"))
            .label(place, "second time")
            .help("rename one of the two, or remove it");
    }
    if ["budget", "limit", "depth", "recursion", "exceed", "breach"].iter().any(|w| lower.contains(w)) {
        return Diagnostic::error(codes::LIMIT, format!("the file is beyond what patchbay reads: {message}"))
            .label(place, "the limit is reached here")
            .help("at most 64 levels, 2,000,000 nodes and 50,000 aliases a file; split the file");
    }
    if lower.contains("multiple") && lower.contains("documents") {
        return Diagnostic::error(codes::SYNTAX, "the file holds several YAML documents; one is read")
            .label(place, "the second one")
            .help("put everything under one `connections:`, or make a file of each");
    }
    let help = if row.contains("${{") {
        Some("inside `{ … }` or where a value holds `: `, a template must be quoted: \"${{ env.NAME }}\"".to_owned())
    } else if row.trim_start().starts_with('\t') {
        Some("indent with spaces: YAML does not allow tabs".to_owned())
    } else {
        Some("look at the line above, too: an indent, a quote or a bracket; a text with `: `, ` #` or one of `[{*&!%@` at its start needs quotes".to_owned())
    };
    Diagnostic::error(codes::SYNTAX, format!("not valid YAML: {message}")).label(place, "here").help_opt(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;
    use serde_json::json;

    fn read(text: &str) -> (Sources, Result<Option<Node>, Diagnostic>) {
        let mut sources = Sources::default();
        let file = sources.add("t.yaml", text);
        let node = parse(file, text);
        (sources, node)
    }

    fn json(text: &str) -> serde_json::Value {
        read(text).1.unwrap().unwrap().to_json()
    }

    #[test]
    fn scalars_follow_the_yaml_1_2_core_schema() {
        for (text, expected) in [
            ("a: no", json!({"a": "no"})),
            ("a: on", json!({"a": "on"})),
            ("a: y", json!({"a": "y"})),
            ("a: true", json!({"a": true})),
            ("a: 0755", json!({"a": "0755"})),
            ("a: 1_000", json!({"a": "1_000"})),
            ("a: 12", json!({"a": 12})),
            ("a: 1.5", json!({"a": 1.5})),
            ("a: -3", json!({"a": -3})),
            ("a: ~", json!({"a": null})),
            ("a:", json!({"a": null})),
            ("a: 2024-01-01", json!({"a": "2024-01-01"})),
            ("a: 12:30:45", json!({"a": "12:30:45"})),
            ("a: '1'", json!({"a": "1"})),
            ("a: ${{ env.X }}", json!({"a": "${{ env.X }}"})),
            ("a: ${{ env.X | default('y') }}", json!({"a": "${{ env.X | default('y') }}"})),
            ("a: '{{prompt}}'", json!({"a": "{{prompt}}"})),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let text = "d: &d { x: 1, y: 2 }\na: { <<: *d, y: 3 }\nb: *d\n";
        assert_eq!(json(text), json!({"d": {"x": 1, "y": 2}, "a": {"y": 3, "x": 1}, "b": {"x": 1, "y": 2}}));
    }

    #[test]
    fn one_anchor_serves_thousands() {
        let mut text = String::from("d: &d { model: m, fields: { K: v } }\nc:\n");
        for n in 0..3000 {
            text.push_str(&format!("  k{n}: {{ <<: *d, n: {n} }}\n"));
        }
        assert_eq!(json(&text)["c"].as_object().map(serde_json::Map::len), Some(3000));
    }

    #[test]
    fn spans_are_bytes_of_the_value_as_written() {
        let (sources, node) = read("# é\nkey: 'välue'\nmap:\n  a: 1\nlist: [x, y]\n");
        let node = node.unwrap().unwrap();
        assert_eq!(sources.text(node.get("key").unwrap().span), "'välue'");
        assert_eq!(sources.text(node.entry("map").unwrap().key_span), "map");
        assert_eq!(sources.text(node.get("map").unwrap().get("a").unwrap().span), "1");
        assert_eq!(sources.file_line(node.get("list").unwrap().span).as_deref(), Some("t.yaml:5"));
    }

    #[test]
    fn empty_texts_are_no_document() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "\u{feff}"] {
            assert_eq!(read(text).1, Ok(None), "{text:?}");
        }
    }

    #[test]
    fn errors_have_a_code_and_a_place() {
        let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
        for (text, code, place) in [
            ("a: b: c", codes::SYNTAX, Some("t.yaml:1")),
            ("a:\n\tb: 1", codes::SYNTAX, Some("t.yaml:2")),
            ("a: 1\nb: 2\na: 3\n", codes::DUPLICATE_KEY, Some("t.yaml:3")),
            ("a: *nope", codes::SYNTAX, Some("t.yaml:1")),
            ("a: !env X", codes::SYNTAX, Some("t.yaml:1")),
            (deep.as_str(), codes::LIMIT, None),
            (bomb, codes::LIMIT, None),
        ] {
            let (sources, node) = read(text);
            let error = node.unwrap_err();
            assert_eq!(error.code, code, "{text}: {error:?}");
            if let Some(place) = place {
                assert_eq!(sources.file_line(error.labels[0].span).as_deref(), Some(place), "{text}: {error:?}");
            }
        }
    }

    #[test]
    fn an_unquoted_template_in_flow_style_is_recognised() {
        let error = read("a: { k: ${{ env.X }} }").1.unwrap_err();
        assert!(error.help.is_some_and(|h| h.contains("must be quoted")));
    }
}
