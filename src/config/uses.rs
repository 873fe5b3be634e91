//! Which variables a text or a tree reads, told from the templates as they are written. Nothing is rendered, so no
//! variable needs to be set.

use super::node::{Kind, Node};
use super::template;
use crate::source::{Sources, Span};

/// One `env.NAME` in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The variable.
    pub name: String,
    /// Does `| default(…)` follow? Then nothing is wrong if the variable is not set.
    pub has_default: bool,
}

/// One use with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is read.
    pub read: Use,
    /// Where.
    pub span: Span,
}

/// Every variable that the `${{ … }}` of a text read, in the order of the text. What stands in quotes is no variable.
#[must_use]
pub fn variables(text: &str) -> Vec<Use> {
    expressions(text).into_iter().flat_map(|expression| of_tokens(&tokens(expression))).collect()
}

/// Every variable that the values of a tree read. Keys are never rendered, so they are not looked at.
pub fn walk(node: &Node, sources: &Sources, found: &mut Vec<Found>) {
    match &node.kind {
        Kind::String(text) => {
            let extent = node.extent();
            let written = sources.text(extent);
            let mut from = 0;
            for read in variables(text) {
                // The line of the use itself, where the text stands in the file as it is; else the value's first line.
                let at = written.get(from..).and_then(|rest| rest.find(read.name.as_str())).map(|n| n + from);
                let span = match at.filter(|_| !read.name.is_empty()) {
                    Some(at) => {
                        from = at + read.name.len();
                        let start = extent.start.saturating_add(u32::try_from(at).unwrap_or(0));
                        let length = u32::try_from(read.name.len()).unwrap_or(0);
                        Span { start, end: start.saturating_add(length), ..extent }
                    }
                    None => node.span,
                };
                found.push(Found { read, span });
            }
        }
        Kind::List(list) => list.iter().for_each(|item| walk(item, sources, found)),
        Kind::Map(entries) => entries.iter().for_each(|entry| walk(&entry.value, sources, found)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) => {}
    }
}

/// What stands between the delimiters. An expression without an end is none.
fn expressions(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("${{") {
        let inner = &rest[open + 3..];
        let Some(end) = template::expression_end(inner) else { break };
        all.push(&inner[..end]);
        rest = &inner[end + 2..];
    }
    all
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    /// A name or a number.
    Word(&'t str),
    /// What stands in quotes, without them.
    Quoted(&'t str),
    /// Anything else but white space.
    Sign(char),
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        if first == '"' || first == '\'' {
            let inside = &rest[length..];
            let mut escaped = false;
            let mut end = inside.len();
            for (n, c) in inside.char_indices() {
                if escaped {
                    escaped = false;
                } else if c == '\\' {
                    escaped = true;
                } else if c == first {
                    end = n;
                    break;
                }
            }
            all.push(Token::Quoted(&inside[..end]));
            length = (length + end + first.len_utf8()).min(rest.len());
        } else if is_word(first) {
            length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            all.push(Token::Word(&rest[..length]));
        } else {
            all.push(Token::Sign(first));
        }
        rest = rest[length..].trim_start();
    }
    all
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn of_tokens(tokens: &[Token<'_>]) -> Vec<Use> {
    let at = |n: usize| tokens.get(n).copied();
    let before = |n: usize, back: usize| n.checked_sub(back).and_then(at);
    let mut all = Vec::new();
    for n in 0..tokens.len() {
        // `connection("x").env` is a field of something else.
        if at(n) != Some(Token::Word("env")) || before(n, 1) == Some(Token::Sign('.')) {
            continue;
        }
        let (name, mut end) = match (at(n + 1), at(n + 2), at(n + 3)) {
            (Some(Token::Sign('.')), Some(Token::Word(name)), _) => (name, n + 3),
            (Some(Token::Sign('[')), Some(Token::Quoted(name)), Some(Token::Sign(']'))) => (name, n + 4),
            _ => continue,
        };
        // `(env.NAME) | default(…)`: past parentheses around the variable alone, not past those of a call.
        let mut open = n;
        while at(end) == Some(Token::Sign(')')) && before(open, 1) == Some(Token::Sign('(')) {
            if matches!(before(open, 2), Some(Token::Word(_) | Token::Sign(')' | ']'))) {
                break;
            }
            open -= 1;
            end += 1;
        }
        // Only directly behind the variable: any other filter in between refuses what is not set.
        let has_default = at(end) == Some(Token::Sign('|')) && matches!(at(end + 1), Some(Token::Word("default" | "d")));
        all.push(Use { name: name.to_owned(), has_default });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NAME` and `NAME?`, the latter with a default.
    fn told(text: &str) -> String {
        let words: Vec<String> =
            variables(text).into_iter().map(|u| format!("{}{}", u.name, if u.has_default { "?" } else { "" })).collect();
        words.join(" ")
    }

    #[test]
    fn variables_are_told_from_the_text() {
        for (text, expected) in [
            ("", ""),
            ("env.KEY", ""),
            ("{{ env.KEY }}", ""),
            ("${{ env.KEY }}", "KEY"),
            ("${{env.KEY}}", "KEY"),
            ("Bearer ${{ env.A }} and ${{ env.B }}", "A B"),
            ("${{ env.A ~ \"-\" ~ env.B }}", "A B"),
            ("${{ env.A | default(\"x\") }}", "A?"),
            ("${{ env.A | d('x') }}", "A?"),
            ("${{ env.A|default('}}') }} ${{ env.B }}", "A? B"),
            ("${{ env.A | default(env.B) }}", "A? B"),
            ("${{ env.A | trim }}", "A"),
            ("${{ env.A | trim | default('x') }}", "A"),
            ("${{ env.A | default('x') | trim }}", "A?"),
            ("${{ env.A ~ env.B | default('x') }}", "A B?"),
            ("${{ (env.A) | default('x') }}", "A?"),
            ("${{ ((env.A)) | default('x') }}", "A?"),
            ("${{ file(env.A) | default('x') }}", "A"),
            ("${{ env[\"A_B\"] }} ${{ env['C'] | default('') }}", "A_B C?"),
            ("${{ env[var.name] }}", ""),
            ("${{ env }}", ""),
            ("${{ 'env.A' }} ${{ \"x \\\" env.B\" }}", ""),
            ("${{ var.env.A }}", ""),
            ("${{ my_env.A }} ${{ envs.B }}", ""),
            ("${{ connection(\"a\").id }}", ""),
            ("${{ env . A }}", "A"),
            ("${{ env.A", ""),
            ("${{ env.A }} ${{ env.B", "A"),
            ("${{ 'env.A }}", ""),
            ("${{ env.Ä }} é ${{ env.B2 }}", "Ä B2"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn a_walk_gives_the_line_of_every_use() {
        let text = "a: ${{ env.A }}\n\"${{ env.KEY }}\": 1\nlist:\n  - x ${{ env.B | default('y') }}\n  - { deep: \"${{ env.C }}\" }\nblock: |\n  one\n  two ${{ env.D }}\n  three ${{ env.A }}\n";
        let mut sources = Sources::default();
        let file = sources.add("f.yaml", text);
        let root = crate::config::yaml::parse(file, text).unwrap().unwrap();
        let mut found = Vec::new();
        walk(&root, &sources, &mut found);
        let names: Vec<(&str, bool)> = found.iter().map(|f| (f.read.name.as_str(), f.read.has_default)).collect();
        assert_eq!(names, [("A", false), ("B", true), ("C", false), ("D", false), ("A", false)]);
        let lines: Vec<String> = found.iter().take(3).filter_map(|f| sources.file_line(f.span)).collect();
        assert_eq!(lines, ["f.yaml:1", "f.yaml:4", "f.yaml:5"]);
        assert!(found.iter().all(|f| f.span.file == file));
    }
}
