//! The canonical form of connection files: layout by a YAML formatter that keeps comments, the order of a connection's
//! keys by us. What a file says is never changed: the formatted text is read again and compared.

use pretty_yaml::config::{FormatOptions, LanguageOptions, LayoutOptions, Quotes};

use super::node::{Entry, Node};
use super::yaml;
use crate::diagnostic::{Diagnostic, codes};
use crate::source::Sources;

/// Longer flow maps and lists get a line for each entry.
const WIDTH: usize = 100;

/// The order of a connection's keys: where it goes, what it is, then what holds for it.
const ORDER: [&str; 6] = ["target", "targets", "kind", "spec", "depends_on", "lifecycle"];

/// Formats a text. `name` is what the file is called in diagnostics.
///
/// # Errors
/// If the text is no YAML, or if formatting it would change what it says.
pub fn format(name: &str, text: &str, sources: &mut Sources) -> Result<String, Diagnostic> {
    let file = sources.add(name, text);
    let before = match yaml::parse(file, text) {
        Ok(before) => before,
        // `{ key: ${{ env.X }} }`: the braces of the template end the map. Quoted, it is what was meant.
        Err(error) => {
            let quoted = quote_templates(text);
            let file = sources.add(name, quoted.as_str());
            match yaml::parse(file, &quoted) {
                Ok(_) if quoted != text => return format(name, &quoted, sources),
                _ => return Err(error),
            }
        }
    };
    let Some(before) = before else { return Ok(blank(text)) };
    let ordered = ordered(text, &before);
    let options = FormatOptions {
        layout: LayoutOptions { print_width: WIDTH, indent_width: 2, ..LayoutOptions::default() },
        language: LanguageOptions {
            quotes: Quotes::PreferDouble,
            // Trailing spaces of a literal text are part of it.
            trim_trailing_whitespaces: false,
            ..LanguageOptions::default()
        },
    };
    let failed = |why: &str| {
        Diagnostic::error(codes::INTERNAL, format!("`{name}` cannot be formatted: {why}"))
            .help("the file was left as it is; please report it")
    };
    let formatted = pretty_yaml::format_text(&ordered, &options).map_err(|_| failed("the formatter does not understand it"))?;
    let formatted = tidy(&formatted, &ordered);
    let file = sources.add(name, formatted.as_str());
    match yaml::parse(file, &formatted) {
        Ok(Some(after)) if after.to_json() == before.to_json() => Ok(formatted),
        // The formatter drops empty lines that such a text keeps on purpose.
        _ if ["|+", ">+"].iter().any(|keeps| text.contains(keeps)) => Ok(text.to_owned()),
        _ => Err(failed("the formatted text would say something else")),
    }
}

/// A file without content: its comments, and nothing at its end.
fn blank(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

/// One line end at the end, and none of Windows'.
fn tidy(formatted: &str, before: &str) -> String {
    let text = formatted.replace("\r\n", "\n");
    // A literal text at the end may keep the empty lines after it (`|+`).
    if before.trim_end_matches('\n').contains("|+") || before.contains(">+") {
        text
    } else {
        format!("{}\n", text.trim_end_matches('\n'))
    }
}

/// The text with the keys of each connection in their order. Only block maps can be sorted by lines; others stay.
fn ordered(text: &str, root: &Node) -> String {
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for connection in root.get("connections").map(Node::entries).unwrap_or_default() {
        edits.extend(sorted(text, connection));
    }
    let mut ordered = text.to_owned();
    // From the end, so that what comes before keeps its place.
    for (start, end, new) in edits.into_iter().rev() {
        ordered.replace_range(start..end, &new);
    }
    ordered
}

/// The lines of a connection's keys in their order; `None` if they are in it already, or are no lines of their own.
fn sorted(text: &str, connection: &Entry) -> Option<(usize, usize, String)> {
    let entries = connection.value.entries();
    let rank = |entry: &Entry| ORDER.iter().position(|key| *key == entry.key).unwrap_or(ORDER.len());
    if entries.is_sorted_by_key(rank) {
        return None;
    }
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |end| end + 1);
    let mut starts = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let at = entry.key_span.start as usize;
        let mut start = line_start(at);
        if !text[start..at].trim().is_empty() {
            return None;
        }
        // Comments right above a key belong to it.
        let floor = if n == 0 { connection.key_span.end as usize } else { entries[n - 1].key_span.end as usize };
        while start > 0 {
            let above = line_start(start - 1);
            if above <= floor || !text[above..start].trim_start().starts_with('#') {
                break;
            }
            start = above;
        }
        starts.push(start);
    }
    let end = block_end(text, connection, entries)?;
    let mut chunks: Vec<(usize, &str)> = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let until = starts.get(n + 1).copied().unwrap_or(end);
        chunks.push((rank(entry), text.get(starts[n]..until)?));
    }
    chunks.sort_by_key(|(rank, _)| *rank);
    let closed = |chunk: &str| if chunk.ends_with('\n') { chunk.to_owned() } else { format!("{chunk}\n") };
    Some((*starts.first()?, end, chunks.into_iter().map(|(_, chunk)| closed(chunk)).collect()))
}

/// Where the lines of the last key end: before the next line that is not indented as deep as the keys.
fn block_end(text: &str, connection: &Entry, entries: &[Entry]) -> Option<usize> {
    let last = entries.last()?;
    let key = last.key_span.start as usize;
    let indent = key - text[..key].rfind('\n').map_or(0, |end| end + 1);
    let value_end = (last.value.extent().end as usize).max(last.key_span.end as usize).max(connection.key_span.end as usize);
    let mut end = text[value_end..].find('\n').map_or(text.len(), |n| value_end + n + 1);
    let mut at = end;
    for line in text[end..].split_inclusive('\n') {
        at += line.len();
        if line.trim().is_empty() {
            continue;
        }
        // What is deeper is the value's own, empty lines between included; a comment as deep as the keys follows them
        // only if it follows at once.
        let depth = line.len() - line.trim_start_matches(' ').len();
        let follows = at - line.len() == end;
        if depth < indent || (depth == indent && !follows) {
            break;
        }
        end = at;
    }
    Some(end)
}

/// Puts quotes around templates that stand bare inside of `{ … }` or `[ … ]`.
fn quote_templates(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut depth = 0_usize;
        let mut quote: Option<char> = None;
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let bare = quote.is_none() && depth > 0 && rest.starts_with("${{");
            if bare
                && let Some(end) = rest.find("}}")
                && quoted.ends_with([' ', ',', '[', '{', ':'])
            {
                let template = &rest[..end + 2];
                let mark = if template.contains('"') { '\'' } else { '"' };
                if template.contains(mark) {
                    return text.to_owned();
                }
                quoted.push(mark);
                quoted.push_str(template);
                quoted.push(mark);
                rest = &rest[end + 2..];
                continue;
            }
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                ('{' | '[', None) => depth += 1,
                ('}' | ']', None) => depth = depth.saturating_sub(1),
                ('#', None) if quoted.ends_with([' ', '\n']) || quoted.is_empty() => {
                    quoted.push_str(rest);
                    rest = "";
                    continue;
                }
                _ => {}
            }
            quoted.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn formatted(text: &str) -> String {
        format("a.yaml", text, &mut Sources::default()).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
    }

    #[test]
    fn layout_is_one_and_comments_stay() {
        let text = "# yaml-language-server: $schema=../x.json\n\nconnections:\n    a:   # first\n        kind: openai\n        # where\n        target:   kore\n        # about spec\n        spec:\n            connectionName:    'Support GPT-4o'   # trailing\n\n\n            fields: { API_KEY: \"${{ env.KEY }}\" , B: 'it''s'}\n            headers:\n            - { key: Authorization, value: x }\n            -   key:  X\n                value: y\n            prompt: |\n                line 1   \n                  line 2\n        # last words\n    b: {target: kore, kind: openai, spec: {connectionName: n}}\n# the end\n";
        expect![[r#"
            # yaml-language-server: $schema=../x.json

            connections:
              a: # first
                # where
                target: kore
                kind: openai
                # about spec
                spec:
                  connectionName: "Support GPT-4o" # trailing

                  fields: { API_KEY: "${{ env.KEY }}", B: 'it''s' }
                  headers:
                    - { key: Authorization, value: x }
                    - key: X
                      value: y
                  prompt: |
                    line 1   
                      line 2
                # last words
              b: { target: kore, kind: openai, spec: { connectionName: n } }
            # the end
        "#]]
        .assert_eq(&formatted(text));
    }

    #[test]
    fn keys_are_sorted_with_their_comments_and_values() {
        let text = "connections:\n  a:\n    lifecycle:\n      # why\n      prevent_destroy: true\n    spec:\n      model: m\n    # a kind\n    kind: openai\n    targets: [x, y]\n\n  b:\n    kind: k\n    target: t\n    spec: {}";
        expect![[r"
            connections:
              a:
                targets: [x, y]
                # a kind
                kind: openai
                spec:
                  model: m
                lifecycle:
                  # why
                  prevent_destroy: true

              b:
                target: t
                kind: k
                spec: {}
        "]]
        .assert_eq(&formatted(text));
    }

    #[test]
    fn bare_templates_in_flow_style_are_quoted() {
        let text = "connections:\n  a:\n    target: t\n    kind: k\n    spec: { fields: { A: ${{ env.A }}, B: ${{ env.B | default(\"x\") }} }, l: [${{ env.C }}] } # ${{ no }}\n";
        let wanted = "connections:\n  a:\n    target: t\n    kind: k\n    spec: {\n      fields: { A: \"${{ env.A }}\", B: '${{ env.B | default(\"x\") }}' },\n      l: [\"${{ env.C }}\"],\n    } # ${{ no }}\n";
        assert_eq!(formatted(text), wanted);
    }

    #[test]
    fn what_was_formatted_stays() {
        for text in [
            "",
            "\n\n",
            "# only words\n\n",
            "connections:\n",
            "connections: {}\n",
            "connections:\n  a:\n    target: t\n    kind: k\n    spec: &x { a: 1 }\n  b:\n    target: t\n    kind: k\n    spec:\n      <<: *x\n      b: |+\n        text\n\n\n",
            "moved:\n- {from: a/b, to: a/c}\n",
            "connections:\r\n  a:\r\n    kind: k\r\n    target: t\r\n    spec: {a: 1}\r\n",
            "connections:\n  a:\n    kind: ${{ var.k }}\n    target: t\n    spec: { long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, other: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, third: cccccc }\n",
        ] {
            let once = formatted(text);
            assert_eq!(formatted(&once), once, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_an_error_and_nothing_else() {
        for text in ["a: [", "a: b: c", "a: 1\na: 2\n", "a: {b: ${{ env.X }\n"] {
            assert!(format("a.yaml", text, &mut Sources::default()).is_err(), "{text}");
        }
    }

    mod laws {
        use super::*;
        use proptest::prelude::*;

        fn scalar() -> impl Strategy<Value = String> {
            prop_oneof![
                "[a-z][a-z0-9 ]{0,12}[a-z]",
                Just("'it''s # no comment'".to_owned()),
                Just("\"two\\nlines\"".to_owned()),
                Just("${{ env.A | default('x') }}".to_owned()),
                Just("{ a: 1, b: [x, \"y\"] }".to_owned()),
                Just("[]".to_owned()),
                Just("12".to_owned()),
                Just("".to_owned()),
                Just("|\n          text  \n            deeper\n\n          end".to_owned()),
                Just(">-\n          folded\n          text".to_owned()),
            ]
        }

        fn comment() -> impl Strategy<Value = String> {
            prop_oneof![3 => Just(String::new()), 1 => "[a-z: {]{0,9}".prop_map(|text| format!("# x{text}"))]
        }

        fn line(indent: usize, key: &str, value: &str, above: &str, beside: &str, blanks: usize) -> String {
            let pad = " ".repeat(indent);
            let above = if above.is_empty() { String::new() } else { format!("{pad}{above}\n") };
            let beside = if beside.is_empty() || value.contains('\n') { String::new() } else { format!(" {beside}") };
            format!("{}{above}{pad}{key}: {value}{beside}\n", "\n".repeat(blanks))
        }

        prop_compose! {
            fn file()(connections in prop::collection::vec(
                (prop::collection::vec((prop::sample::select(&["target", "kind", "depends_on", "lifecycle", "other"][..]), scalar(), comment(), comment(), 0..3usize), 0..5),
                 prop::collection::vec((scalar(), comment(), comment()), 0..4), comment(), 0..3usize), 1..4)) -> String {
                let mut text = "connections:\n".to_owned();
                for (n, (keys, fields, note, blanks)) in connections.into_iter().enumerate() {
                    text.push_str(&line(2, &format!("c{n}"), "", &note, "", blanks));
                    let mut seen = Vec::new();
                    for (key, value, above, beside, blanks) in keys {
                        if !seen.contains(&key) {
                            text.push_str(&line(6, key, &value, &above, &beside, blanks));
                            seen.push(key);
                        }
                    }
                    text.push_str("      spec:\n");
                    for (n, (value, above, beside)) in fields.into_iter().enumerate() {
                        text.push_str(&line(8, &format!("f{n}"), &value, &above, &beside, 0));
                    }
                }
                text
            }
        }

        fn comments(text: &str) -> Vec<String> {
            let mut all: Vec<String> =
                text.lines().filter_map(|l| l.split_once("# ")).map(|(_, c)| c.trim().to_owned()).collect();
            all.sort();
            all
        }

        proptest! {
            #[test]
            fn formatting_says_the_same_keeps_comments_and_settles(text in file()) {
                let mut sources = Sources::default();
                let file = sources.add("a.yaml", text.as_str());
                if let Ok(Some(before)) = yaml::parse(file, &text) {
                    let once = formatted(&text);
                    let file = sources.add("a.yaml", once.as_str());
                    let after = yaml::parse(file, &once).unwrap().unwrap();
                    prop_assert_eq!(before.to_json(), after.to_json());
                    prop_assert_eq!(comments(&text), comments(&once));
                    prop_assert_eq!(formatted(&once), once);
                }
            }
        }
    }
}
