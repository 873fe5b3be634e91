//! `patchbay graph`: the order of operations, from what the files say. No network.
//!
//! The format is the `--format` of every command, which has two words more here: `mermaid` and `dot`.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum as _;
use serde_json::json;

use super::gather::{Gathered, gather};
use super::{Context, exit, session};
use crate::address::Address;
use crate::config::desired::Connection;
use crate::diagnostic::{Code, Diagnostic, codes, has_errors};
use crate::path::FieldPath;
use crate::plan::order::topological;
use crate::plan::select::Selector;
use crate::platform::exchange::neutral;
use crate::source::Sources;
use crate::state::State;
use crate::value::Value;

/// What is wrong with the value of a secret changes nothing about the order.
const VALUES: [Code; 6] = [
    codes::VARIABLE_UNSET,
    codes::VARIABLE_EMPTY,
    codes::LITERAL_SECRET,
    codes::UNRESOLVED,
    codes::STRAY_WHITESPACE,
    codes::BOTH_SET,
];

/// `graph`
#[derive(Debug, clap::Args)]
pub struct GraphArgs {}

/// One connection in the graph.
#[derive(Debug)]
struct Vertex {
    address: Address,
    /// What the API's users call it, where the file says so in plain text.
    title: Option<String>,
    /// The positions of what must come first.
    after: Vec<usize>,
    /// From 0: one more than the highest level of what must come first.
    level: usize,
}

/// Runs the command.
pub fn run(context: &Context<'_>, _: &GraphArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, true, &mut sources);
    found.retain(|d| !VALUES.contains(&d.code));
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else {
        out.failed(&found, &sources);
        return exit::of_errors(&found).max(exit::ERROR);
    };
    let selector = match Selector::new(&context.globals.only, &context.globals.exclude) {
        Ok(selector) => selector,
        Err(why) => return context.fail(&[Diagnostic::error(codes::USAGE, why)], &sources),
    };
    let errors = session::unmatched(context.globals, &gathered, &State::empty(), &mut found);
    if !errors.is_empty() {
        return context.fail(&errors, &sources);
    }
    let vertices = vertices(&gathered, &selector.choose(&gathered.desired));
    if out.is_machine {
        let list: Vec<serde_json::Value> = vertices
            .iter()
            .map(|v| {
                let after: Vec<String> = v.after.iter().map(|n| vertices[*n].address.to_string()).collect();
                json!({ "address": v.address.to_string(), "level": v.level + 1, "after": after })
            })
            .collect();
        out.json(&crate::view::json::document(&json!({ "connections": list }), &found, &sources));
        return exit::OK;
    }
    let format = context.globals.format.to_possible_value();
    match format.as_ref().map_or("text", clap::builder::PossibleValue::get_name) {
        "mermaid" => out.text(&mermaid(&vertices)),
        "dot" => out.text(&dot(&vertices)),
        _ => {
            if vertices.is_empty() {
                out.note("no connection is declared");
            }
            out.text(&levels(&vertices));
        }
    }
    exit::OK
}

/// The chosen connections in the order in which they are applied.
fn vertices(gathered: &Gathered, chosen: &BTreeSet<Address>) -> Vec<Vertex> {
    let connections: Vec<&Connection> = gathered.desired.connections.iter().filter(|c| chosen.contains(&c.address)).collect();
    let nodes: Vec<(&Address, &[Address])> = connections.iter().map(|c| (&c.address, c.depends_on.as_slice())).collect();
    let mut placed: BTreeMap<&Address, usize> = BTreeMap::new();
    let mut all: Vec<Vertex> = Vec::with_capacity(connections.len());
    for n in topological(&nodes) {
        let connection = connections[n];
        let mut after: Vec<usize> = connection.depends_on.iter().filter_map(|d| placed.get(d).copied()).collect();
        after.sort_unstable();
        after.dedup();
        let level = after.iter().map(|n| all[*n].level + 1).max().unwrap_or(0);
        placed.insert(&connection.address, all.len());
        all.push(Vertex { address: connection.address.clone(), title: title(gathered, connection), after, level });
    }
    all
}

/// The first part of the natural key, if it is no secret and differs from our own key.
fn title(gathered: &Gathered, connection: &Connection) -> Option<String> {
    let definition = gathered.definitions.get(connection.address.target())?;
    let kind = definition.kinds.get(&connection.kind)?;
    let field = definition.collections.get(&kind.collection)?.natural_key.first()?;
    match connection.spec.at(&FieldPath::parse(field))? {
        Value::String(text) if text != connection.address.key() => Some(neutral(text)),
        _ => None,
    }
}

fn levels(vertices: &[Vertex]) -> String {
    let mut by_level: BTreeMap<usize, Vec<&Vertex>> = BTreeMap::new();
    for vertex in vertices {
        by_level.entry(vertex.level).or_default().push(vertex);
    }
    let mut text = String::new();
    for (level, members) in by_level {
        if level > 0 {
            text.push('\n');
        }
        text.push_str(&format!("Level {}\n", level + 1));
        let width = members.iter().map(|v| v.address.to_string().len()).max().unwrap_or(0);
        for vertex in members {
            let address = vertex.address.to_string();
            if vertex.after.is_empty() {
                text.push_str(&format!("  {address}\n"));
            } else {
                let after: Vec<String> = vertex.after.iter().map(|n| vertices[*n].address.to_string()).collect();
                text.push_str(&format!("  {address:width$}  after {}\n", after.join(", ")));
            }
        }
    }
    text
}

/// The targets in the order of their first connection, each with the positions of its connections.
fn by_target(vertices: &[Vertex]) -> Vec<(&str, Vec<usize>)> {
    let mut all: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut position: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, vertex) in vertices.iter().enumerate() {
        let target = vertex.address.target();
        let at = *position.entry(target).or_insert_with(|| {
            all.push((target, Vec::new()));
            all.len() - 1
        });
        all[at].1.push(n);
    }
    all
}

fn mermaid(vertices: &[Vertex]) -> String {
    let mut text = String::from("flowchart LR\n");
    for (t, (target, members)) in by_target(vertices).into_iter().enumerate() {
        text.push_str(&format!("    subgraph t{t}[\"{}\"]\n", mermaid_text(target)));
        for n in members {
            let vertex = &vertices[n];
            let mut label = mermaid_text(vertex.address.key());
            if let Some(title) = &vertex.title {
                label.push_str("<br/>");
                label.push_str(&mermaid_text(title));
            }
            text.push_str(&format!("        n{n}[\"{label}\"]\n"));
        }
        text.push_str("    end\n");
    }
    for (n, vertex) in vertices.iter().enumerate() {
        for before in &vertex.after {
            text.push_str(&format!("    n{before} --> n{n}\n"));
        }
    }
    text
}

/// A text inside a quoted mermaid label: what could end the label or be markup becomes a character code.
fn mermaid_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | '_' | '-' | '/' | ':' | '(' | ')') {
            safe.push(c);
        } else {
            safe.push_str(&format!("#{};", u32::from(c)));
        }
    }
    safe
}

fn dot(vertices: &[Vertex]) -> String {
    let mut text = String::from("digraph patchbay {\n    rankdir=LR;\n    node [shape=box];\n");
    for (t, (target, members)) in by_target(vertices).into_iter().enumerate() {
        text.push_str(&format!("    subgraph cluster_{t} {{\n        label=\"{}\";\n", dot_text(target)));
        for n in members {
            let vertex = &vertices[n];
            let mut label = dot_text(vertex.address.key());
            if let Some(title) = &vertex.title {
                label.push_str("\\n");
                label.push_str(&dot_text(title));
            }
            text.push_str(&format!("        n{n} [label=\"{label}\"];\n"));
        }
        text.push_str("    }\n");
    }
    for (n, vertex) in vertices.iter().enumerate() {
        for before in &vertex.after {
            text.push_str(&format!("    n{before} -> n{n};\n"));
        }
    }
    text.push_str("}\n");
    text
}

/// A text inside a quoted DOT string.
fn dot_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                safe.push('\\');
                safe.push(c);
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(address: &str, title: Option<&str>, after: Vec<usize>, level: usize) -> Vertex {
        let (target, key) = address.split_once('/').unwrap();
        Vertex { address: Address::new(target, key), title: title.map(ToOwned::to_owned), after, level }
    }

    fn sample() -> Vec<Vertex> {
        vec![
            vertex("g/openai", None, vec![], 0),
            vertex("g/claude", Some("Say \"hi\""), vec![], 0),
            vertex("k/by-gateway", None, vec![0, 1], 1),
        ]
    }

    #[test]
    fn levels_name_what_comes_first() {
        assert_eq!(levels(&sample()), "Level 1\n  g/openai\n  g/claude\n\nLevel 2\n  k/by-gateway  after g/openai, g/claude\n");
        assert_eq!(levels(&[]), "");
    }

    #[test]
    fn mermaid_and_dot_have_every_vertex_and_edge() {
        assert_eq!(
            mermaid(&sample()),
            "flowchart LR\n    subgraph t0[\"g\"]\n        n0[\"openai\"]\n        n1[\"claude<br/>Say #34;hi#34;\"]\n    end\n    subgraph t1[\"k\"]\n        n2[\"by-gateway\"]\n    end\n    n0 --> n2\n    n1 --> n2\n"
        );
        let text = dot(&sample());
        for part in ["n1 [label=\"claude\\nSay \\\"hi\\\"\"];", "subgraph cluster_1 {", "n0 -> n2;", "n1 -> n2;\n}\n"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn hostile_names_stay_inside_their_label() {
        let hostile = "a\"] --> b[\"c\n<script>#quot;\\ `x` ;%%{";
        let safe = mermaid_text(hostile);
        assert!(!safe.contains(['"', '<', '>', '[', ']', '\n', '`', '%', '{', '\\']), "{safe}");
        let codes: String = safe.replace("#35;", "");
        assert!(!codes.contains("#quot;"), "{safe}");
        assert_eq!(dot_text("a\"b\\c\nd"), "a\\\"b\\\\c d");
    }
}
