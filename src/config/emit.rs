//! Our own YAML: a value as the text that people would write, and that every YAML reader understands in the same way.
//!
//! A plain scalar is written only where no reader of YAML 1.1 or 1.2 could take it for anything but that text; all else
//! is quoted as JSON is.

use serde_json::{Map, Number, Value};

/// What some reader takes for a boolean, a null or a number.
const WORDS: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"];

/// A whole document.
#[must_use]
pub fn emit(value: &Value) -> String {
    emit_with(value, 0, &|_| None)
}

/// A value at a depth of so many columns, with a comment after those texts that `comment` has one for.
#[must_use]
pub fn emit_with(value: &Value, indent: usize, comment: &dyn Fn(&str) -> Option<String>) -> String {
    let mut writer = Writer { out: String::new(), comment };
    writer.block(value, indent);
    writer.out
}

struct Writer<'w> {
    out: String,
    comment: &'w dyn Fn(&str) -> Option<String>,
}

impl Writer<'_> {
    /// A value that begins a line.
    fn block(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if !map.is_empty() => self.entries(map, indent, true),
            Value::Array(items) if !items.is_empty() => {
                for item in items {
                    self.space(indent);
                    self.out.push('-');
                    match item {
                        Value::Object(map) if !map.is_empty() => {
                            self.out.push(' ');
                            self.entries(map, indent + 2, false);
                        }
                        _ => self.after(item, indent),
                    }
                }
            }
            _ => {
                self.space(indent);
                self.end(value);
            }
        }
    }

    fn entries(&mut self, map: &Map<String, Value>, indent: usize, begins_line: bool) {
        for (n, (key, value)) in map.iter().enumerate() {
            if n > 0 || begins_line {
                self.space(indent);
            }
            self.out.push_str(&self::key(key));
            self.out.push(':');
            self.after(value, indent);
        }
    }

    /// What follows a key or the dash of an item.
    fn after(&mut self, value: &Value, indent: usize) {
        let is_block = match value {
            Value::Object(map) => !map.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        if is_block {
            self.out.push('\n');
            self.block(value, indent + 2);
        } else {
            self.out.push(' ');
            self.end(value);
        }
    }

    /// A scalar to the end of its line.
    fn end(&mut self, value: &Value) {
        self.out.push_str(&scalar(value));
        if let Some(comment) = value.as_str().and_then(self.comment) {
            let line: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            self.out.push_str("  # ");
            self.out.push_str(&line);
        }
        self.out.push('\n');
    }

    fn space(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// A key of a map as it is written.
#[must_use]
pub fn key(text: &str) -> String {
    if is_plain(text) && !text.contains(':') { text.to_owned() } else { quoted(text) }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        Value::Number(n) => number(n),
        Value::String(text) if is_plain(text) || is_variable(text) => text.clone(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// YAML 1.1 knows a float by its point, and by the sign of its exponent.
fn number(number: &Number) -> String {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// Begins with a letter, holds nothing that means anything anywhere in YAML, and is no word that does.
fn is_plain(text: &str) -> bool {
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let mut rest = text.chars().peekable();
    let mut harmless = true;
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        harmless &= match c {
            ' ' => next.is_some(),
            // `a: b` would be a map; `https://x` is a text.
            ':' => next.is_some_and(|n| n.is_ascii_alphanumeric() || n == '/'),
            '_' | '.' | '/' | '@' | '+' | '-' | '(' | ')' | '=' | ';' => true,
            c => c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric()),
        };
    }
    starts && harmless && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// `${{ env.NAME }}`: the form in which people write variables, without quotes.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix("${{ env.").and_then(|rest| rest.strip_suffix(" }}"));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Whatever cannot be seen, breaks lines, or turns the reading direction.
            c if c.is_control() || is_unseen(c) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::yaml;
    use crate::source::Sources;

    /// What has been misread by one reader or another.
    const HOSTILE: &[&str] = &[
        "",
        " ",
        "yes",
        "No",
        "ON",
        "y",
        "~",
        "null",
        "NULL",
        "true",
        "True",
        "0755",
        "0x1f",
        "0o17",
        "1_000",
        "12:30:45",
        "1e3",
        "1.0",
        ".5",
        ".inf",
        ".nan",
        "-.inf",
        "NaN",
        "inf",
        "+1",
        "-",
        "- a",
        "-1",
        "?",
        "? a",
        ":",
        "a:",
        "a: b",
        "a :b",
        "#",
        "a #b",
        "a#b",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "'",
        "\"",
        "%a",
        "@a",
        "`a",
        "[",
        "]",
        "{",
        "}",
        ",",
        "<<",
        "=",
        "---",
        "--- a",
        "...",
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "a\nb",
        "a\n",
        "\na",
        " a",
        "a ",
        "\ta",
        "a\tb",
        "a\r\nb",
        "\u{85}",
        "\u{2028}",
        "\u{feff}a",
        "\u{0}",
        "\u{7f}",
        "\u{9f}",
        "\u{fffe}",
        "é",
        "日本",
        "😀",
        "a😀",
        "${{ env.X }}",
        "${{ env.X }}: b",
        "{{prompt}}",
        "a: ${{ x }}",
        "\\",
        "\\n",
        "https://x.example/a?b=c#d",
        "C:\\x",
        "a\u{202e}b",
        "key with spaces",
        "gpt-4o",
        "a::b",
        "a:/",
    ];

    fn back(value: &Value) -> Value {
        let text = emit(value);
        let file = Sources::default().add("a.yaml", text.as_str());
        match yaml::parse(file, &text) {
            Ok(Some(node)) => node.to_json(),
            other => panic!("{other:?}\n{text}"),
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(HOSTILE).prop_map(ToOwned::to_owned),
            prop::collection::vec(prop::sample::select(HOSTILE), 1..4).prop_map(|parts| parts.concat()),
            "[ -~]{0,24}",
            "\\PC{0,16}",
            any::<String>(),
        ]
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(|f| Number::from_f64(f).map_or(Value::Null, Value::Number)),
            any_text().prop_map(Value::String),
        ];
        leaf.prop_recursive(5, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::btree_map(any_text(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_back(value in any_value()) {
            prop_assert_eq!(back(&value), value);
        }
    }

    #[test]
    fn hostile_texts_stay_texts_as_values_keys_and_items() {
        for text in HOSTILE {
            for value in [json!(text), json!({"k": text}), json!([text]), json!({*text: text}), json!([[text], {*text: [text]}])]
            {
                assert_eq!(back(&value), value, "{text:?}");
            }
        }
    }

    #[test]
    fn it_looks_as_people_write_it() {
        let value = json!({
            "connections": {"a": {"target": "t", "spec": {
                "name": "GPT-4o (prod)", "on": true, "version": "2024-08-01", "n": 1e300, "list": [],
                "headers": [{"key": "Authorization", "value": "${{ env.T_A_AUTHORIZATION }}"}, {"key": "X", "value": "yes"}],
                "deep": [[1, 2], "https://x.example/v1"]
            }}}
        });
        let text = emit_with(&value, 0, &|text| text.starts_with("${{").then(|| "not returned".to_owned()));
        let expected = "\
connections:
  a:
    target: t
    spec:
      name: GPT-4o (prod)
      \"on\": true
      version: \"2024-08-01\"
      \"n\": 1.0e+300
      list: []
      headers:
        - key: Authorization
          value: ${{ env.T_A_AUTHORIZATION }}  # not returned
        - key: X
          value: \"yes\"
      deep:
        -
          - 1
          - 2
        - https://x.example/v1
";
        assert_eq!(text, expected);
    }
}
