//! Connection files (YAML) → declarations: what is written, before anything is rendered.

use super::node::{Kind, Node};
use super::reader;
use crate::address::check_name;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::path::FieldPath;
use crate::source::Span;

/// One declared connection as written; it may stand for several targets.
#[derive(Debug)]
pub struct Declaration {
    /// Its key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The targets with the place of each name.
    pub targets: Vec<(String, Span)>,
    /// The kind and its place.
    pub kind: (String, Span),
    /// The body as written.
    pub spec: Node,
    /// Addresses or keys that must come first, with their places.
    pub depends_on: Vec<(String, Span)>,
    /// Rules for changing it.
    pub lifecycle: Lifecycle,
}

/// Rules for changing a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Never delete it, not even when the block is removed.
    pub prevent_destroy: bool,
    /// Fields that others may change.
    pub ignore_changes: Vec<FieldPath>,
    /// May an unchangeable field be changed by delete and create?
    pub replace: bool,
    /// Run the API's own test after a write?
    pub test: TestAfter,
}

/// When to run the API's own test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestAfter {
    /// Not by itself.
    #[default]
    Never,
    /// After every write.
    After,
}

/// A connection that was renamed.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The old address and its place.
    pub from: (String, Span),
    /// The new address and its place.
    pub to: (String, Span),
}

/// What a file declares.
#[derive(Debug, Default)]
pub struct Declarations {
    /// Connections in the author's order.
    pub connections: Vec<Declaration>,
    /// Renames.
    pub moved: Vec<Moved>,
    /// What nobody has read, and what may be a secret all the same.
    pub hidden: Vec<Span>,
}

const CONNECTION: [&str; 6] = ["target", "targets", "kind", "spec", "depends_on", "lifecycle"];
const LIFECYCLE: [&str; 4] = ["prevent_destroy", "ignore_changes", "replace", "test"];

/// Reads one file's document into `into`.
pub fn read(root: &Node, into: &mut Declarations, found: &mut Diagnostics) {
    let Some(root) = reader::map(root, "a connection file", &["connections", "moved"], found) else { return };
    match root.get("connections").map(|n| (&n.kind, n)) {
        None | Some((Kind::Null, _)) => {}
        Some((Kind::Map(entries), _)) => {
            for entry in entries {
                if let Err(error) = check_name(&entry.key) {
                    entry.value.scalars(&mut into.hidden);
                    found.push(
                        Diagnostic::error(codes::BAD_NAME, format!("`{}` is not a usable connection key: {error}", entry.key))
                            .label(entry.key_span, "this key"),
                    );
                    continue;
                }
                for unknown in entry.value.entries().iter().filter(|e| !CONNECTION.contains(&e.key.as_str())) {
                    unknown.value.scalars(&mut into.hidden);
                }
                match connection(&entry.key, entry.key_span, &entry.value, found) {
                    Some(one) if !one.targets.is_empty() => into.connections.push(one),
                    _ => {
                        if let Some(spec) = entry.value.get("spec") {
                            spec.scalars(&mut into.hidden);
                        }
                    }
                }
            }
        }
        Some((_, node)) => found.push(reader::wrong_type(node, "`connections`", "an object of connections by key")),
    }
    if let Some(node) = root.get("moved") {
        moved(node, &mut into.moved, found);
    }
}

fn connection(key: &str, key_span: Span, node: &Node, found: &mut Diagnostics) -> Option<Declaration> {
    let what = format!("the connection `{key}`");
    let node = reader::map(node, &what, &CONNECTION, found)?;
    let one = reader::string(node, "target", &what, found);
    let many = reader::strings(node, "targets", &what, found);
    let mut targets: Vec<(String, Span)> = Vec::new();
    for (name, span) in one.into_iter().chain(many.unwrap_or_default()) {
        if targets.iter().any(|(known, _)| known == name) {
            found.push(
                Diagnostic::error(codes::DUPLICATE_KEY, format!("{what} names the target `{name}` twice"))
                    .label(span, "second time"),
            );
        } else {
            targets.push((name.to_owned(), span));
        }
    }
    if reader::lacks(node, "target", &CONNECTION) && reader::lacks(node, "targets", &CONNECTION) {
        found.push(
            reader::missing(key_span, &what, "target").help("target: NAME, or targets: [A, B] for one connection on several"),
        );
    }
    let kind = reader::string(node, "kind", &what, found);
    if reader::lacks(node, "kind", &CONNECTION) {
        found.push(reader::missing(key_span, &what, "kind"));
    }
    let spec = node.get("spec");
    match spec.map(|s| &s.kind) {
        Some(Kind::Map(_)) => {}
        Some(_) => found.extend(spec.map(|s| reader::wrong_type(s, &format!("`spec` of {what}"), "an object"))),
        None if reader::lacks(node, "spec", &CONNECTION) => found.push(reader::missing(key_span, &what, "spec")),
        None => {}
    }
    let depends_on = reader::strings(node, "depends_on", &what, found).unwrap_or_default();
    let lifecycle = node.get("lifecycle").map(|n| lifecycle(n, found)).unwrap_or_default();
    let (kind, kind_span) = kind?;
    let spec = spec.filter(|s| matches!(s.kind, Kind::Map(_)))?;
    Some(Declaration {
        key: key.to_owned(),
        key_span,
        targets,
        kind: (kind.to_owned(), kind_span),
        spec: spec.clone(),
        depends_on: depends_on.into_iter().map(|(d, s)| (d.to_owned(), s)).collect(),
        lifecycle,
    })
}

fn lifecycle(node: &Node, found: &mut Diagnostics) -> Lifecycle {
    let Some(node) = reader::map(node, "`lifecycle`", &LIFECYCLE, found) else { return Lifecycle::default() };
    let test = match reader::string(node, "test", "`lifecycle`", found) {
        None | Some(("never", _)) => TestAfter::Never,
        Some(("after", _)) => TestAfter::After,
        Some((word, span)) => {
            found.push(
                Diagnostic::error(codes::NOT_ACCEPTED, format!("`test` cannot be `{word}`"))
                    .label(span, "not an accepted value")
                    .help("accepted: `never`, `after`"),
            );
            TestAfter::Never
        }
    };
    Lifecycle {
        prevent_destroy: reader::boolean(node, "prevent_destroy", "`lifecycle`", found).unwrap_or(false),
        ignore_changes: reader::strings(node, "ignore_changes", "`lifecycle`", found)
            .unwrap_or_default()
            .iter()
            .map(|(path, _)| FieldPath::parse(path))
            .collect(),
        replace: reader::boolean(node, "replace", "`lifecycle`", found).unwrap_or(false),
        test,
    }
}

fn moved(node: &Node, into: &mut Vec<Moved>, found: &mut Diagnostics) {
    let Kind::List(items) = &node.kind else {
        found.push(reader::wrong_type(node, "`moved`", "a list of { from, to }"));
        return;
    };
    for item in items {
        let Some(item) = reader::map(item, "an item of `moved`", &["from", "to"], found) else { continue };
        let mut end = |key: &str| match reader::string(item, key, "an item of `moved`", found) {
            Some((text, span)) => Some((text.to_owned(), span)),
            None => {
                if reader::lacks(item, key, &["from", "to"]) {
                    found.push(reader::missing(item.span, "an item of `moved`", key));
                }
                None
            }
        };
        if let (Some(from), Some(to)) = (end("from"), end("to")) {
            into.push(Moved { from, to });
        }
    }
}
