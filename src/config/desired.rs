//! Declarations + definitions + scope → [`Desired`]: what the files want, connection by connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::connections::{Declaration, Declarations, Lifecycle, TestAfter};
use super::node::Node;
use super::project::Project;
use super::spec::{LiteralSecrets, SpecReader};
use super::template::{Lookup, Reference, Renderer, Scope, find_reference};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::platform::model::{Definition, Kind};
use crate::platform::object::natural_key;
use crate::source::{Sources, Span};
use crate::suggest;
use crate::value::Value;

/// One connection on one target, as the files want it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its address.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// The fields, without the kind's constants. References that are not known yet are [`Value::Unknown`].
    pub spec: Value,
    /// The spec as written: for places, and to render it again once references are known.
    pub node: Arc<Node>,
    /// What the spec wants of other connections.
    pub references: Vec<Reference>,
    /// What must come first.
    pub depends_on: Vec<Address>,
    /// Rules for changing it.
    pub lifecycle: Lifecycle,
    /// Where its key stands.
    pub source: Span,
    /// Where a field's value came from, by path.
    pub origins: BTreeMap<String, String>,
}

/// Everything that the files want.
#[derive(Debug, Default)]
pub struct Desired {
    /// The connections, in the author's order.
    pub connections: Vec<Connection>,
    /// Renames, old to new.
    pub moved: Vec<(Address, Address)>,
}

/// What [`resolve`] works on.
#[derive(Debug)]
pub struct Inputs<'i> {
    /// The project file.
    pub project: &'i Project,
    /// The definition of each target's platform, by target.
    pub definitions: &'i BTreeMap<String, Arc<Definition>>,
    /// What templates can see; `vars` are the project's.
    pub scope: &'i Scope,
    /// The policy for literal secrets.
    pub literals: LiteralSecrets,
}

/// Resolves declarations. Returns what could be resolved together with everything that is wrong; literal secrets are
/// hidden in `sources`.
pub fn resolve(declarations: &Declarations, inputs: &Inputs<'_>, sources: &mut Sources) -> (Desired, Diagnostics) {
    let mut found = Diagnostics::new();
    let renderer = Renderer::new(inputs.scope);
    let Addressed { list, index } = addresses(declarations, inputs, &mut found);
    let mut desired = Desired::default();
    let mut referring: Vec<(Address, Reference, Span)> = Vec::new();
    let mut hidden = declarations.hidden.clone();
    let placed: BTreeSet<Span> = list.iter().map(|(declaration, _)| declaration.key_span).collect();
    for declaration in &declarations.connections {
        if !placed.contains(&declaration.key_span) {
            declaration.spec.scalars(&mut hidden);
        }
    }
    for (declaration, address) in &list {
        let definition = inputs.definitions.get(address.target());
        let Some(kind) = definition.and_then(|d| kind_of(declaration, d, &mut found)) else {
            declaration.spec.scalars(&mut hidden);
            continue;
        };
        for path in declaration.lifecycle.ignore_changes.iter().filter(|p| !p.top().is_some_and(|t| kind.fields.contains_key(t)))
        {
            let known: Vec<&str> = kind.fields.keys().map(String::as_str).collect();
            found.push(
                Diagnostic::error(
                    codes::UNKNOWN_KEY,
                    format!("`ignore_changes` of `{}` names an unknown field `{path}`", declaration.key),
                )
                .label(declaration.key_span, "in this connection")
                .help_opt(suggest::help(path.top().unwrap_or_default(), &known)),
            );
        }
        if declaration.lifecycle.test == TestAfter::After && kind.test.is_none() {
            found.push(
                Diagnostic::warning(
                    codes::NO_TEST,
                    format!(
                        "`{}` asks for a test after each write, and the API has none for the kind `{}`",
                        declaration.key, declaration.kind.0
                    ),
                )
                .label(declaration.key_span, "in this connection")
                .help("remove `test: after`; nothing is tested"),
            );
        }
        let reader = SpecReader { renderer: &renderer, sources, lookup: None, literals: inputs.literals };
        let what = format!("the {} `{}`", kind.title, declaration.key);
        let rendered = reader.read(kind, &declaration.spec, &what, &mut found);
        hidden.extend(rendered.hidden);
        let mut depends_on = Vec::new();
        let wanted = declaration.depends_on.iter().map(|(name, span)| (name, *span));
        referring.extend(rendered.references.iter().map(|(r, span)| (address.clone(), r.clone(), *span)));
        let referred = rendered.references.iter().map(|(r, span)| (&r.connection, *span));
        for (name, span) in wanted.chain(referred) {
            match find_reference(name, address, &index) {
                Ok(other) if !depends_on.contains(&other) => depends_on.push(other),
                Ok(_) => {}
                Err(why) => {
                    let known: Vec<String> = if name.contains('/') {
                        index.keys().map(ToString::to_string).collect()
                    } else {
                        index.keys().map(|a| a.key().to_owned()).collect()
                    };
                    let near = suggest::nearest(name, known.iter().map(String::as_str)).filter(|near| near != name);
                    // A secret may have been used as a name.
                    let why = inputs.scope.redactor.scrub(&why).into_owned();
                    found.push(
                        Diagnostic::error(codes::UNKNOWN_CONNECTION, why)
                            .label(span, "refers to nothing")
                            .help_opt(near.map(|near| format!("did you mean `{near}`?"))),
                    );
                }
            }
        }
        desired.connections.push(Connection {
            address: address.clone(),
            kind: declaration.kind.0.clone(),
            spec: Value::Map(rendered.spec),
            node: Arc::new(declaration.spec.clone()),
            references: rendered.references.iter().map(|(r, _)| r.clone()).collect(),
            depends_on,
            lifecycle: declaration.lifecycle.clone(),
            source: declaration.key_span,
            origins: rendered.origins,
        });
    }
    for span in hidden {
        sources.hide(span);
    }
    check_names(&desired, inputs.definitions, &mut found);
    check_cycles(&desired, &mut found);
    check_fields(&desired, &referring, &index, inputs.definitions, &mut found);
    for moved in &declarations.moved {
        let mut end = |(text, span): &(String, Span)| {
            text.parse::<Address>()
                .map_err(|e| {
                    found.push(
                        Diagnostic::error(codes::BAD_NAME, format!("`{text}` is not an address: {e}"))
                            .label(*span, "target/key is wanted"),
                    );
                })
                .ok()
        };
        if let (Some(from), Some(to)) = (end(&moved.from), end(&moved.to)) {
            desired.moved.push((from, to));
        }
    }
    (desired, found)
}

/// What is needed to fill in references once their values are known.
#[derive(Debug)]
pub struct References<'r> {
    /// Renders the templates, with the scope of the first rendering.
    pub renderer: &'r Renderer,
    /// The texts, for places.
    pub sources: &'r Sources,
    /// Every declared address.
    pub declared: &'r BTreeMap<Address, ()>,
}

impl References<'_> {
    /// The connection with every reference filled in that `known` has a value for. Everything else about the spec was
    /// checked when it was first resolved.
    pub fn fill(
        &self,
        connection: &Connection,
        kind: &Kind,
        known: impl Fn(&Address, &Reference) -> Option<Value>,
    ) -> Connection {
        if connection.references.is_empty() {
            return connection.clone();
        }
        let values: BTreeMap<Reference, Value> = connection
            .references
            .iter()
            .filter_map(|reference| {
                let address = find_reference(&reference.connection, &connection.address, self.declared).ok()?;
                Some((reference.clone(), known(&address, reference)?))
            })
            .collect();
        let lookup: Lookup = Arc::new(move |reference| values.get(reference).cloned());
        let reader =
            SpecReader { renderer: self.renderer, sources: self.sources, lookup: Some(&lookup), literals: LiteralSecrets::Allow };
        let spec = reader.read(kind, &connection.node, "", &mut Diagnostics::new()).spec;
        Connection { spec: Value::Map(spec), ..connection.clone() }
    }
}

/// Every declaration on each of its targets; unknown targets and repeated addresses are reported.
fn addresses<'d>(declarations: &'d Declarations, inputs: &Inputs<'_>, found: &mut Diagnostics) -> Addressed<'d> {
    let mut first: BTreeMap<Address, Span> = BTreeMap::new();
    let mut all = Vec::new();
    for declaration in &declarations.connections {
        for (target, span) in &declaration.targets {
            if !inputs.project.targets.contains_key(target) {
                // A target that is declared and wrong was reported where it stands.
                if inputs.project.declared.contains(target) {
                    continue;
                }
                let known: Vec<&str> = inputs.project.targets.keys().map(String::as_str).collect();
                let near = suggest::nearest(target, known.iter().copied());
                found.push(
                    Diagnostic::error(codes::UNKNOWN_TARGET, format!("there is no target `{target}`"))
                        .label(*span, "not declared in patchbay.toml")
                        .help(near.map_or_else(
                            || format!("declare it in patchbay.toml: [targets.{target}]"),
                            |near| format!("did you mean `{near}`?"),
                        )),
                );
                continue;
            }
            let address = Address::new(target.as_str(), declaration.key.as_str());
            if let Some(other) = first.insert(address.clone(), declaration.key_span) {
                found.push(
                    Diagnostic::error(codes::DUPLICATE_KEY, format!("the connection `{address}` is declared twice"))
                        .label(declaration.key_span, "second time")
                        .label(other, "first time"),
                );
                continue;
            }
            all.push((declaration, address));
        }
    }
    Addressed { index: first.into_keys().map(|a| (a, ())).collect(), list: all }
}

/// Declarations by target, and the same addresses for look-ups.
struct Addressed<'d> {
    list: Vec<(&'d Declaration, Address)>,
    index: BTreeMap<Address, ()>,
}

fn kind_of<'d>(declaration: &Declaration, definition: &'d Definition, found: &mut Diagnostics) -> Option<&'d Kind> {
    let (name, span) = &declaration.kind;
    let kind = definition.kinds.get(name);
    if kind.is_none() {
        let known: Vec<&str> = definition.kinds.keys().map(String::as_str).collect();
        found.push(
            Diagnostic::error(codes::UNKNOWN_KIND, format!("platform `{}` has no kind `{name}`", definition.platform))
                .label(*span, "not a kind of this target's platform")
                .help_opt(suggest::help(name, &known)),
        );
    }
    kind
}

/// Two connections of one target may not have one natural key: the API could not tell them apart.
fn check_names(desired: &Desired, definitions: &BTreeMap<String, Arc<Definition>>, found: &mut Diagnostics) {
    let mut first: BTreeMap<(&str, &str, Vec<String>), &Connection> = BTreeMap::new();
    for connection in &desired.connections {
        let target = connection.address.target();
        let Some((kind, collection)) = definitions.get(target).and_then(|d| {
            let kind = d.kinds.get(&connection.kind)?;
            Some((kind, d.collections.get(&kind.collection)?))
        }) else {
            continue;
        };
        let Some(name) = natural_key(collection, kind, &connection.spec) else { continue };
        let secret = |path: &String| connection.spec.at(&crate::path::FieldPath::parse(path)).is_some_and(Value::has_secret);
        let shown = if collection.natural_key.iter().any(secret) { "(secret)".to_owned() } else { name.join(" / ") };
        if let Some(other) = first.insert((target, kind.collection.as_str(), name), connection) {
            // What the kind fixes tells nothing apart.
            let field = collection.natural_key.iter().find(|key| !kind.constants.contains_key(key.as_str()));
            let help = match field {
                Some(field) => format!("`{field}` tells the connections of this API apart; give each its own"),
                None => "the API has one such object: declare it once".to_owned(),
            };
            let field = field.map(String::as_str).unwrap_or_default();
            let place = |c: &Connection| {
                super::spec::span_of(&c.node, &crate::path::FieldPath::parse(field)).map_or(c.source, |(_, value)| value)
            };
            found.push(
                Diagnostic::error(
                    codes::SAME_NAME,
                    format!("`{}` and `{}` have one name on target `{target}`: `{shown}`", other.address, connection.address),
                )
                .label(place(connection), "the same name again")
                .label(place(other), "first here")
                .help(help),
            );
        }
    }
}

/// What is read of another connection must be declared there: it is never asked of the API.
fn check_fields(
    desired: &Desired,
    referring: &[(Address, Reference, Span)],
    index: &BTreeMap<Address, ()>,
    definitions: &BTreeMap<String, Arc<Definition>>,
    found: &mut Diagnostics,
) {
    let by_address: BTreeMap<&Address, &Connection> = desired.connections.iter().map(|c| (&c.address, c)).collect();
    for (address, reference, span) in referring {
        let Some(path) = &reference.field else { continue };
        // What refers to no connection was reported.
        let Ok(other) = find_reference(&reference.connection, address, index) else { continue };
        let Some(other) = by_address.get(&other) else { continue };
        let kind = definitions.get(other.address.target()).and_then(|d| d.kinds.get(&other.kind));
        let Some(kind) = kind.filter(|_| other.spec.at(path).is_none()) else { continue };
        let top = path.top().unwrap_or_default();
        let diagnostic = if kind.fields.contains_key(top) {
            let summary = format!("`{}` does not declare the field `{path}`, which is read here", other.address);
            Diagnostic::error(codes::UNKNOWN_CONNECTION, summary)
                .label(*span, "nothing to read")
                .help(format!("declare `{path}` there, or write the value here"))
        } else {
            let known: Vec<&str> = kind.fields.keys().map(String::as_str).collect();
            let summary = format!("the {} `{}` has no field `{path}`", kind.title, other.address);
            Diagnostic::error(codes::UNKNOWN_KEY, summary).label(*span, "refers to nothing").help_opt(suggest::help(top, &known))
        };
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
}

/// Dependencies must not turn in a circle.
fn check_cycles(desired: &Desired, found: &mut Diagnostics) {
    let by_address: BTreeMap<&Address, &Connection> = desired.connections.iter().map(|c| (&c.address, c)).collect();
    let mut state: BTreeMap<&Address, bool> = BTreeMap::new();
    for connection in &desired.connections {
        let mut trail: Vec<(&Address, usize)> = vec![(&connection.address, 0)];
        while let Some((address, next)) = trail.last().copied() {
            let dependencies = by_address.get(address).map(|c| c.depends_on.as_slice()).unwrap_or_default();
            if next == 0 && state.contains_key(address) && state[address] {
                trail.pop();
                continue;
            }
            state.insert(address, false);
            if let Some(dependency) = dependencies.get(next) {
                if let Some(last) = trail.last_mut() {
                    last.1 += 1;
                }
                // Only what is being visited stands on the trail; looking there always would be quadratic.
                let visiting = state.get(dependency) == Some(&false);
                if let Some(start) = visiting.then(|| trail.iter().position(|(a, _)| *a == dependency)).flatten() {
                    let mut circle: Vec<String> = trail[start..].iter().map(|(a, _)| a.to_string()).collect();
                    circle.push(dependency.to_string());
                    let at = by_address.get(dependency).map(|c| c.source);
                    found.push(
                        Diagnostic::error(
                            codes::CYCLE,
                            format!("connections depend on each other in a circle: {}", circle.join(" → ")),
                        )
                        .label_opt(at, "part of the circle")
                        .help("remove one of the references or `depends_on` entries"),
                    );
                } else if let Some(key) = by_address.get_key_value(dependency).map(|(k, _)| *k)
                    && !state.get(key).copied().unwrap_or(false)
                {
                    trail.push((key, 0));
                }
            } else {
                state.insert(address, true);
                trail.pop();
            }
        }
    }
}
