//! The configuration layer as tables: files in, one line for each diagnostic out.
//!
//! `PB0104 error a.yaml:7:14 summary | label | further label (place) | note | help`, lines of the help joined by ` / `.

mod codes;
mod connections;
mod desired;
mod laws;
mod project;
mod secrets;
mod spec;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::connections::Declarations;
use super::desired::{Connection, Desired, Inputs};
use super::project::Project;
use super::spec::LiteralSecrets;
use super::template::Scope;
use crate::diagnostic::{self, Diagnostic, Diagnostics};
use crate::path::FieldPath;
use crate::platform::model::Definition;
use crate::platform::{builtin, parse};
use crate::secret::Redactor;
use crate::source::{FileId, Sources, Span};
use crate::value::Value;

/// Two targets of the built-in platform, one of [`OWN`].
const TOML: &str = r#"[project]
name = "acme"

[targets.kore]
platform = "koreai"
base_url = "https://acme.example/api/public"
auth = { api_key = "${{ env.KORE_KEY }}" }

[targets.kore-dev]
platform = "koreai"
base_url = "https://dev.acme.example/api/public"
auth = { api_key = "${{ env.KORE_KEY }}" }

[targets.own]
platform = "own"
base_url = "https://own.example"
auth = { token = "${{ env.KORE_KEY }}" }
"#;

/// A definition with the field types that the built-in platform does not use.
const OWN: &str = r"platform: own
language: 1
title: Own
auth: { token: { header: Authorization, prefix: 'Bearer ' } }
collections:
  things:
    list: { path: /things, items: things }
    read: { path: '/things/{id}' }
    id: id
    natural_key: [name]
    natural_key_as: ignore-case
kinds:
  thing:
    title: Thing
    collection: things
    fields:
      name: { required: true }
      upstream: {}
      retries: { type: integer }
      weight: { type: number }
      loud: { type: boolean }
      note: { type: any }
      heat: { type: number, min: 0, max: 2 }
      count: { type: integer, min: 1 }
      tag: { max_length: 4, pattern: '[a-z]+', examples: [a], description: Small letters. }
      pin: { secret: always, max_length: 12, pattern: '[a-z0-9-]+' }
      env: { type: object, values: { max_length: 3 } }
      rows: { type: list, keyed_by: key, item: { key: {}, value: { secret: when-key-matches-auth, max_length: 5 } } }
    create: { method: POST, path: /things }
    delete: { method: DELETE, path: '/things/{id}' }
";

const OPENAI: &str = r"connections:
  a:
    target: kore
    kind: openai
    spec:
      connectionName: A
      model: gpt-4o
      fields:
        API_KEY: ${{ env.KEY }}
";

const CUSTOM: &str = r#"connections:
  gw:
    target: kore
    kind: custom
    spec:
      connectionName: Gateway
      model: llama
      endpointUrl: https://gw.example/v1
      headers:
        - key: Authorization
          value: Bearer ${{ env.KEY }}
        - key: Content-Type
          value: application/json
      payload:
        prompt: "{{prompt}}"
        options: { temperature: 0.5, stop: null }
      status: DRAFT
      isEnable: true
"#;

const THING: &str = r"connections:
  t:
    target: own
    kind: thing
    spec:
      name: One
      retries: 3
";

/// Parsed once: every row of every table needs them.
static DEFINITIONS: LazyLock<BTreeMap<&str, Arc<Definition>>> = LazyLock::new(|| {
    let mut sources = Sources::default();
    let own = sources.add("own.yaml", OWN);
    let koreai = builtin::load("koreai", &mut sources).unwrap().unwrap();
    BTreeMap::from([("koreai", Arc::new(koreai)), ("own", Arc::new(parse::parse(own, OWN).unwrap()))])
});

const ENV: &[(&str, &str)] = &[
    ("KORE_KEY", "kore-secret-1"),
    ("KEY", "sk-live-0123456789"),
    ("FLAG", "true"),
    ("N", "12"),
    ("HALF", "0.5"),
    ("PADDED", " 7\n"),
    ("EMPTY", ""),
    ("MASK", "sk-***************"),
    ("NEWLINE", "sk-live-0123456789\n"),
    ("BOTH", "sk-live-0123456789"),
    ("BOTH_FILE", "key.txt"),
    ("MOUNTED_FILE", "key.txt"),
];

/// What is given to one run.
struct Case<'c> {
    toml: &'c str,
    files: &'c [(&'c str, &'c str)],
    env: &'c [(&'c str, &'c str)],
    profile: Option<&'c str>,
    offline: bool,
    literals: LiteralSecrets,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self { toml: TOML, files: &[], env: ENV, profile: None, offline: false, literals: LiteralSecrets::Refuse }
    }
}

/// What came of it.
struct Outcome {
    sources: Sources,
    /// The project file, then the others in their order.
    files: Vec<FileId>,
    project: Option<Project>,
    desired: Desired,
    found: Diagnostics,
}

impl Case<'_> {
    /// The whole layer, as an edge drives it.
    fn run(&self) -> Outcome {
        let (mut sources, mut found) = (Sources::default(), Diagnostics::new());
        let mut files = vec![sources.add("patchbay.toml", self.toml)];
        for (name, text) in self.files {
            files.push(sources.add(*name, *text));
        }
        let scope = scope(self.env, self.offline);
        let project = match super::toml::parse(files[0], self.toml) {
            Ok(root) => {
                let (project, wrong) = super::project::read(&root, self.profile, &scope, &sources);
                found.extend(wrong);
                project
            }
            Err(wrong) => {
                found.extend(wrong);
                None
            }
        };
        let mut declarations = Declarations::default();
        for (file, (_, text)) in files[1..].iter().zip(self.files) {
            match super::yaml::parse(*file, text) {
                Ok(Some(root)) => super::connections::read(&root, &mut declarations, &mut found),
                Ok(None) => {}
                Err(wrong) => found.push(wrong),
            }
        }
        let mut desired = Desired::default();
        if let Some(project) = &project {
            let definitions = definitions(project);
            let scope = Scope { vars: Arc::clone(&project.vars), ..scope };
            let inputs = Inputs { project, definitions: &definitions, scope: &scope, literals: self.literals };
            let (wanted, wrong) = super::desired::resolve(&declarations, &inputs, &mut sources);
            desired = wanted;
            found.extend(wrong);
        }
        diagnostic::tidy(&mut found);
        Outcome { sources, files, project, desired, found }
    }
}

fn scope(env: &[(&str, &str)], offline: bool) -> Scope {
    Scope {
        env: Arc::new(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()),
        vars: Arc::default(),
        read_file: Arc::new(|path: &str| match path {
            "key.txt" => Ok("sk-from-file\n".to_owned()),
            _ => Err("no such file".to_owned()),
        }),
        offline,
        redactor: Redactor::default(),
    }
}

fn definitions(project: &Project) -> BTreeMap<String, Arc<Definition>> {
    let of = |platform: &str| DEFINITIONS.get(platform).map(Arc::clone);
    project.targets.iter().filter_map(|(name, target)| Some((name.clone(), of(&target.platform)?))).collect()
}

impl Outcome {
    /// Every diagnostic on its line.
    fn lines(&self) -> String {
        self.found.iter().map(|d| line(d, &self.sources)).collect::<Vec<_>>().join("\n")
    }

    /// The connection of this address.
    fn at(&self, address: &str) -> &Connection {
        let one = self.desired.connections.iter().find(|c| c.address.to_string() == address);
        one.unwrap_or_else(|| panic!("no {address}; {}", self.lines()))
    }

    /// The value at a path of the only connection.
    fn value(&self, path: &str) -> String {
        show(self.desired.connections[0].spec.at(&FieldPath::parse(path)))
    }

    /// Every connection with what must come before it.
    fn order(&self) -> Vec<String> {
        let list = |c: &Connection| c.depends_on.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        self.desired.connections.iter().map(|c| format!("{}: {}", c.address, list(c)).trim_end().to_owned()).collect()
    }

    /// The first connection file as views may show it.
    fn shown(&self) -> String {
        self.sources.shown(self.files[1])
    }
}

fn line(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let place = |span: Span| sources.place(span).map(|p| format!("{}:{}:{}", p.file, p.line, p.column)).unwrap_or_default();
    let severity = if diagnostic.is_error() { "error" } else { "warning" };
    let mut text = format!("{} {severity} ", diagnostic.code.id());
    let mut labels = diagnostic.labels.iter();
    match labels.next() {
        Some(first) => text.push_str(&format!("{} {} | {}", place(first.span), diagnostic.summary, first.text)),
        None => text.push_str(&diagnostic.summary),
    }
    for label in labels {
        text.push_str(&format!(" | {} ({})", label.text, place(label.span)));
    }
    for more in diagnostic.notes.iter().chain(&diagnostic.help) {
        text.push_str(&format!(" | {}", more.replace('\n', " / ")));
    }
    text
}

fn show(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::Secret(secret)) => format!("secret {}", secret.expose()),
        Some(Value::Unknown(what)) => format!("unknown {what}"),
        Some(other) => other.canonical(),
    }
}

/// The diagnostics of some files.
fn check(toml: &str, files: &[(&str, &str)], env: &[(&str, &str)]) -> String {
    Case { toml, files, env, ..Case::default() }.run().lines()
}

/// The diagnostics of one connection file.
fn one(yaml: &str) -> String {
    check(TOML, &[("a.yaml", yaml)], ENV)
}

/// The outcome of one connection file in which literal secrets are welcome.
fn read(yaml: &str) -> Outcome {
    Case { files: &[("a.yaml", yaml)], literals: LiteralSecrets::Allow, ..Case::default() }.run()
}

/// `base` with its first `from` replaced.
#[track_caller]
fn with(base: &str, from: &str, to: &str) -> String {
    assert!(base.contains(from), "`{from}` is not in the text");
    base.replacen(from, to, 1)
}

/// Compares diagnostics line by line; `[..]` stands for any text.
#[track_caller]
fn assert_lines(found: &str, expected: &[&str], about: &str) {
    let lines: Vec<&str> = found.lines().collect();
    let same = lines.len() == expected.len() && lines.iter().zip(expected).all(|(line, wanted)| fits(line, wanted));
    assert!(same, "{about}\n--- found\n{found}\n--- expected\n{}\n", expected.join("\n"));
}

fn fits(line: &str, wanted: &str) -> bool {
    let mut parts = wanted.split("[..]");
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(*part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(*last)
}

/// One change of a connection file a row, with all its diagnostics.
#[track_caller]
fn table(base: &str, rows: &[(&str, &str, &[&str])]) {
    assert_lines(&one(base), &[], "the file before any change");
    for &(from, to, expected) in rows {
        assert_lines(&one(&with(base, from, to)), expected, to);
    }
}

#[test]
fn all_files_are_reported_at_once_in_their_order() {
    let toml = with(TOML, "name =", "nmae =");
    let first = with(OPENAI, "target: kore", "target: prod");
    let second = "connections:\n  b: { kind: [openai\n";
    let third = with(&with(THING, "retries: 3", "retries: many"), "name: One", "name: true");
    let files = [("a.yaml", first.as_str()), ("b.yaml", second), ("c.yaml", third.as_str())];
    assert_lines(
        &check(&toml, &files, ENV),
        &[
            "PB0102 error patchbay.toml:2:1 unknown key `nmae` in [project] | not a key that patchbay knows here | did you mean `name`? accepted: `name`, `connections`",
            "PB0110 error a.yaml:3:13 there is no target `prod` | not declared in patchbay.toml | declare it in patchbay.toml: [targets.prod]",
            "PB0101 error b.yaml:[..] not valid YAML: [..]",
            r#"PB0104 error c.yaml:6:13 `name` must be a string | this is a boolean | quote it: "true""#,
            "PB0104 error c.yaml:7:16 `retries` must be a whole number | this is a string",
        ],
        "three files and the project",
    );
}

#[test]
fn one_mistake_on_two_targets_is_said_once() {
    let yaml = with(&with(OPENAI, "target: kore", "targets: [kore, kore-dev]"), "gpt-4o", "4");
    assert_lines(&one(&yaml), &[r#"PB0104 error a.yaml:7:14 `model` must be a string | this is a number | quote it: "4""#], "");
}

#[test]
fn a_missing_variable_is_one_diagnostic_with_its_places() {
    let connection = |key: &str| {
        format!(
            "  {key}: {{ target: own, kind: thing, spec: {{ name: {key}, upstream: '${{{{ env.NOPE }}}}', note: '${{{{ env.NO }}}}' }} }}\n"
        )
    };
    let file = |keys: &[&str]| format!("connections:\n{}", keys.iter().copied().map(connection).collect::<String>());
    let (first, second) = (file(&["a", "b", "c"]), file(&["d", "e", "f", "g"]));
    let lines = check(TOML, &[("a.yaml", &first), ("b.yaml", &second)], ENV);
    assert_lines(
        &lines,
        &[
            "PB0201 error a.yaml:2:66 environment variable `NOPE` is not set | used here, with no default | used here, with no default (a.yaml:3:66) | used here, with no default (a.yaml:4:66) | used here, with no default (b.yaml:2:66) | used here, with no default (b.yaml:3:66) | and 2 more places | export NOPE[..]",
            "PB0201 error a.yaml:2:[..] environment variable `NO` is not set | used here, with no default [..] | and 2 more places | export NO, [..]",
        ],
        "seven connections",
    );
}

#[test]
fn a_shared_block_is_reported_where_it_is_used() {
    let yaml = "connections:
  a: { target: kore, kind: openai, spec: { connectionName: A, model: m, fields: &keys { API_KEY: '${{ env.NOPE }}' } } }
  b: { target: kore, kind: openai, spec: { connectionName: B, model: m, fields: *keys } }
";
    let lines = one(yaml);
    assert_lines(
        &lines,
        &["PB0201 error a.yaml:2:[..] environment variable `NOPE` is not set | [..] (a.yaml:3:[..]) | [..]"],
        "an alias",
    );
}
