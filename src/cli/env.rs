//! `patchbay env`: which variables the files read, where, and whether they are set. Values are never printed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::gather::{Gathered, gather, search};
use super::{Context, exit};
use crate::config::node::Node;
use crate::config::project::FILE_NAME;
use crate::config::uses::{self, Found};
use crate::config::{toml, yaml};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::io::{env, files};
use crate::platform::exchange::neutral;
use crate::source::Sources;
use crate::view;
use crate::view::env::Row;

/// So many places of one variable are shown.
const PLACES: usize = 3;

/// `env`
#[derive(Debug, clap::Args)]
pub struct EnvArgs {
    /// Print a .env.example to fill in
    #[arg(long)]
    pub template: bool,
}

/// One place where a variable is read.
struct Place {
    file: String,
    line: usize,
    has_default: bool,
    /// Why this place does not count now.
    inactive: Option<String>,
}

impl Place {
    fn text(&self) -> String {
        let place = format!("{}:{}", neutral(&self.file), self.line);
        match &self.inactive {
            Some(why) => format!("{place} ({why})"),
            None => place,
        }
    }
}

/// What is known about a variable, apart from its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// It has a value.
    Set,
    /// It is set, to nothing.
    Empty,
    /// It is not there.
    NotSet,
    /// Both it and `NAME_FILE` are there.
    BothSet,
    /// `NAME_FILE` names a file that cannot be read.
    Unreadable,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Empty => "EMPTY",
            Self::NotSet => "NOT SET",
            Self::BothSet => "SET TWICE",
            Self::Unreadable => "UNREADABLE",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Empty => "empty",
            Self::NotSet => "not_set",
            Self::BothSet => "set_twice",
            Self::Unreadable => "unreadable",
        }
    }
}

struct Variable {
    name: String,
    status: Status,
    /// Where the value comes from: `environment`, `NAME_FILE`, an environment file.
    source: Option<String>,
    places: Vec<Place>,
}

impl Variable {
    /// Is it read by this run, and does every place that reads it have a default?
    fn has_default(&self) -> bool {
        self.is_read() && self.places.iter().filter(|p| p.inactive.is_none()).all(|p| p.has_default)
    }

    fn is_read(&self) -> bool {
        self.places.iter().any(|p| p.inactive.is_none())
    }

    /// Would plan and apply stop because of it?
    fn is_missing(&self) -> bool {
        match self.status {
            Status::Set => false,
            Status::Empty | Status::NotSet => self.is_read() && !self.has_default(),
            Status::BothSet | Status::Unreadable => self.is_read(),
        }
    }

    fn origin(&self) -> String {
        match (&self.source, self.status) {
            (Some(source), _) => source.clone(),
            (None, _) if !self.is_read() => "not read".to_owned(),
            (None, _) if self.has_default() => "default".to_owned(),
            (None, _) => "-".to_owned(),
        }
    }

    fn where_text(&self) -> String {
        let mut places: Vec<String> = Vec::new();
        for place in self.places.iter().map(Place::text) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let more = places.len().saturating_sub(PLACES);
        places.truncate(PLACES);
        let shown = places.join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    }
}

/// Runs the command.
pub fn run(context: &Context<'_>, args: &EnvArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, true, &mut sources);
    let variables = gathered.and_then(|gathered| variables(context, &gathered));
    let Some(variables) = variables else {
        // The same files were read by `gather`, which has said what is wrong with them.
        out.failed(&found, &sources);
        return exit::ERROR;
    };
    // What is wrong with the files otherwise is for `validate` to say.
    found.retain(|d| !d.is_error());
    let template = args.template.then(|| template(&variables));
    match template {
        Some(template) if out.is_machine => {
            out.json(&view::json::document(&json!({ "template": template }), &found, &sources));
        }
        Some(template) => out.text(&template),
        None if out.is_machine => {
            let list: Vec<Json> = variables.iter().map(document).collect();
            out.json(&view::json::document(&json!({ "variables": list }), &found, &sources));
        }
        None => show(context, &variables),
    }
    exit::OK
}

/// Reads the files again, as trees; `None` if one of them cannot be read.
fn variables(context: &Context<'_>, gathered: &Gathered) -> Option<Vec<Variable>> {
    let globals = context.globals;
    let start = context.path(Path::new("."));
    // Texts of these sources are never shown, only their names and lines.
    let mut sources = Sources::default();
    let mut all: BTreeMap<String, Vec<Place>> = BTreeMap::new();

    let text = files::read_text(&gathered.dir.join(FILE_NAME)).ok()?;
    let file = sources.add(FILE_NAME, text.as_str());
    let root = toml::parse(file, &text).ok()?;
    project(&root, globals.profile.as_deref(), &sources, &mut all);

    let own = globals.files.is_empty();
    let base = if own { gathered.dir.as_path() } else { start.as_path() };
    let patterns = if own { &gathered.project.connections } else { &globals.files };
    for path in connection_files(base, patterns)? {
        let text = files::read_text(&base.join(&path)).ok()?;
        let file = sources.add(path.to_string_lossy().into_owned(), text.as_str());
        if let Some(root) = yaml::parse(file, &text).ok()? {
            let mut found = Vec::new();
            uses::walk(&root, &sources, &mut found);
            for one in found {
                add(&mut all, &sources, &one, None);
            }
        }
    }

    let mut from_files: BTreeMap<String, (String, String)> = BTreeMap::new();
    for path in &globals.env_file {
        let text = files::read_text(&start.join(path)).ok()?;
        for (name, value) in env::parse_file(&text).ok()? {
            from_files.insert(name, (value, path.display().to_string()));
        }
    }
    let look = |name: &str| match context.env.get(name) {
        Some(value) => Some((value.clone(), "environment".to_owned())),
        None => from_files.get(name).cloned(),
    };
    let known = all.into_iter().map(|(name, places)| {
        let (status, source) = status(&name, &gathered.dir, &look);
        Variable { name, status, source, places }
    });
    Some(known.collect())
}

/// What the project file reads, the chosen profile merged in; other profiles are read by other runs.
fn project(root: &Node, profile: Option<&str>, sources: &Sources, all: &mut BTreeMap<String, Vec<Place>>) {
    let profiles: Vec<(&str, &Node)> =
        root.get("profile").map(Node::entries).unwrap_or_default().iter().map(|e| (e.key.as_str(), &e.value)).collect();
    let mut effective = root.clone();
    if let Some((_, over)) = profiles.iter().find(|(name, _)| Some(*name) == profile) {
        effective.merge(over);
    }
    let mut active = Vec::new();
    for entry in effective.entries().iter().filter(|e| e.key != "profile") {
        uses::walk(&entry.value, sources, &mut active);
    }
    let mut written: Vec<(Found, String)> = Vec::new();
    let mut collect = |node: &Node, why: &str| {
        let mut found = Vec::new();
        uses::walk(node, sources, &mut found);
        written.extend(found.into_iter().map(|one| (one, why.to_owned())));
    };
    for entry in root.entries().iter().filter(|e| e.key != "profile") {
        collect(&entry.value, "not with this profile");
    }
    for (name, node) in profiles {
        collect(node, &format!("profile {}", neutral(name)));
    }
    for (one, why) in written {
        let inactive = (!active.contains(&one)).then_some(why);
        add(all, sources, &one, inactive);
    }
}

fn add(all: &mut BTreeMap<String, Vec<Place>>, sources: &Sources, one: &Found, inactive: Option<String>) {
    let Some(place) = sources.place(one.span) else { return };
    let place = Place { file: place.file, line: place.line, has_default: one.read.has_default, inactive };
    all.entry(one.read.name.clone()).or_default().push(place);
}

/// The connection files, if nothing hides any of them.
fn connection_files(base: &Path, patterns: &[String]) -> Option<Vec<PathBuf>> {
    let mut found = Diagnostics::new();
    let mut paths = search(base, patterns, false, &mut found);
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    (!found.iter().any(Diagnostic::is_error)).then_some(paths)
}

/// Whether a variable is set, by the rules that templates follow, and what set it.
fn status(name: &str, dir: &Path, look: &dyn Fn(&str) -> Option<(String, String)>) -> (Status, Option<String>) {
    let file_name = format!("{name}_FILE");
    let file = look(&file_name).map(|(path, _)| path).filter(|path| !path.is_empty());
    match (look(name), file) {
        (Some(_), Some(_)) => (Status::BothSet, Some(format!("also {file_name}"))),
        (Some((value, source)), None) => (if value.is_empty() { Status::Empty } else { Status::Set }, Some(source)),
        (None, Some(path)) => {
            let status = match files::read_text(&dir.join(path)) {
                Ok(text) if text.trim_end_matches(['\r', '\n']).is_empty() => Status::Empty,
                Ok(_) => Status::Set,
                Err(_) => Status::Unreadable,
            };
            (status, Some(file_name))
        }
        (None, None) => (Status::NotSet, None),
    }
}

fn show(context: &Context<'_>, variables: &[Variable]) {
    let out = context.out;
    if variables.is_empty() {
        out.note("no file reads a variable");
        return;
    }
    let rows: Vec<Row> = variables
        .iter()
        .map(|v| Row {
            name: v.name.clone(),
            status: v.status.word(),
            is_set: v.status == Status::Set,
            is_missing: v.is_missing(),
            origin: v.origin(),
            places: v.where_text(),
        })
        .collect();
    out.text(&view::env::render(&rows, &out.stdout));
    let missing = variables.iter().filter(|v| v.is_missing()).count();
    match missing {
        0 => {}
        1 => out.note("1 variable is missing: plan and apply will say so"),
        n => out.note(&format!("{n} variables are missing: plan and apply will say so")),
    }
}

fn document(variable: &Variable) -> Json {
    let places: Vec<Json> = variable
        .places
        .iter()
        .map(|p| json!({ "file": p.file, "line": p.line, "has_default": p.has_default, "inactive": p.inactive }))
        .collect();
    json!({
        "name": variable.name,
        "status": variable.status.key(),
        "source": variable.source,
        "has_default": variable.has_default(),
        "missing": variable.is_missing(),
        "places": places,
    })
}

/// The text of a `.env.example`.
fn template(variables: &[Variable]) -> String {
    let mut text = String::from(
        "# The variables that this project reads. Copy this file to .env, fill it in, and pass it with `--env-file .env`;\n# patchbay reads no such file by itself. Instead of NAME, NAME_FILE may name a file that holds the value.\n",
    );
    for variable in variables {
        let mut bytes = variable.name.bytes().enumerate();
        let usable = bytes.all(|(n, b)| b == b'_' || b.is_ascii_alphabetic() || (n > 0 && b.is_ascii_digit()));
        let name = neutral(&variable.name);
        let places = variable.where_text();
        text.push_str(&match (usable && !variable.name.is_empty(), variable.has_default()) {
            (true, false) => format!("\n# {places}\n{name}=\n"),
            (true, true) => format!("\n# {places}; has a default\n# {name}=\n"),
            (false, _) => format!("\n# {places}: `{name}` cannot stand in such a file\n"),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, has_default: bool) -> Place {
        Place { file: "a.yaml".to_owned(), line, has_default, inactive: None }
    }

    fn variable(name: &str, status: Status, places: Vec<Place>) -> Variable {
        Variable { name: name.to_owned(), status, source: None, places }
    }

    #[test]
    fn three_places_are_shown_and_the_rest_is_counted() {
        let places = |n: usize| (1..=n).map(|line| place(line, false)).collect();
        let told = |n| variable("A", Status::Set, places(n)).where_text();
        assert_eq!(told(1), "a.yaml:1");
        assert_eq!(told(3), "a.yaml:1, a.yaml:2, a.yaml:3");
        assert_eq!(told(5), "a.yaml:1, a.yaml:2, a.yaml:3 and 2 more");
        assert_eq!(variable("A", Status::Set, vec![place(1, true), place(1, false)]).where_text(), "a.yaml:1");
    }

    #[test]
    fn a_variable_is_missing_unless_every_place_has_a_default() {
        assert!(variable("A", Status::NotSet, vec![place(1, true), place(2, false)]).is_missing());
        assert!(!variable("A", Status::NotSet, vec![place(1, true)]).is_missing());
        assert!(!variable("A", Status::Empty, vec![place(1, true)]).is_missing());
        assert!(variable("A", Status::BothSet, vec![place(1, true)]).is_missing());
        assert!(!variable("A", Status::Set, vec![place(1, false)]).is_missing());
        let elsewhere = Place { inactive: Some("profile p".to_owned()), ..place(1, false) };
        assert!(!variable("A", Status::NotSet, vec![elsewhere]).is_missing());
    }

    #[test]
    fn templates_are_read_back_by_the_reader_of_environment_files() {
        let text = template(&[
            variable("A", Status::NotSet, vec![place(1, false)]),
            variable("B", Status::NotSet, vec![place(2, true)]),
            variable("A B\nC=1", Status::NotSet, vec![place(3, false)]),
        ]);
        assert_eq!(env::parse_file(&text), Ok(vec![("A".to_owned(), String::new())]), "{text}");
        assert!(text.contains("# a.yaml:1\nA=\n") && text.contains("# a.yaml:2; has a default\n# B=\n"), "{text}");
    }
}
