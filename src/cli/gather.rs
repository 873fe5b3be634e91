//! Gathering: project file, connection files, definitions and environment → what the files want. No network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Context, base_url, broken};
use crate::config::connections::{self, Declarations};
use crate::config::desired::{Desired, Inputs, resolve};
use crate::config::node::{Kind, Node};
use crate::config::project::{self, FILE_NAME, Project, Target};
use crate::config::spec::LiteralSecrets;
use crate::config::template::Scope;
use crate::config::{toml, yaml};
use crate::diagnostic::{Diagnostic, Diagnostics, codes, tidy};
use crate::io::{env, files};
use crate::platform::builtin;
use crate::platform::model::Definition;
use crate::platform::parse;
use crate::source::{FileId, Sources, Span};
use crate::suggest;

/// What all commands start from.
#[derive(Debug)]
pub struct Gathered {
    /// The project's folder.
    pub dir: PathBuf,
    /// The project file.
    pub project: Project,
    /// The definition of each target's platform.
    pub definitions: BTreeMap<String, Arc<Definition>>,
    /// What the files want.
    pub desired: Desired,
    /// What templates can see, the project's variables included.
    pub scope: Scope,
    /// How many connection files were read.
    pub files: usize,
}

/// Reads everything. What could be read is returned together with everything that is wrong. `offline` puts placeholders
/// in the place of missing variables.
pub fn gather(context: &Context<'_>, offline: bool, sources: &mut Sources) -> (Option<Gathered>, Diagnostics) {
    let mut found = Diagnostics::new();
    let gathered = all(context, offline, sources, &mut found);
    tidy(&mut found);
    (gathered, found)
}

fn all(context: &Context<'_>, offline: bool, sources: &mut Sources, found: &mut Diagnostics) -> Option<Gathered> {
    let start = context.globals.chdir.clone().unwrap_or_else(|| PathBuf::from("."));
    if !files::is_dir(&start) {
        found.push(
            Diagnostic::error(codes::NO_PROJECT, format!("there is no folder `{}`", start.display())).help("check -C / --chdir"),
        );
        return None;
    }
    let Some(dir) = files::find_up(&start, FILE_NAME) else {
        found.push(
            Diagnostic::error(codes::NO_PROJECT, format!("no {FILE_NAME} here or in any folder above"))
                .help("go to the project's folder, or name it: patchbay -C DIR …"),
        );
        return None;
    };
    let env = environment(context, &start, found);
    if found.iter().any(Diagnostic::is_error) {
        // Without these variables everything that needs them would be wrong, too.
        return None;
    }
    let base = dir.clone();
    let scope = Scope {
        env: Arc::new(env),
        vars: Arc::default(),
        read_file: Arc::new(move |path| files::read_text(&base.join(path)).map_err(|e| e.why)),
        offline,
        redactor: context.redactor.clone(),
    };

    let (file, text) = read(&dir.join(FILE_NAME), FILE_NAME, sources, found)?;
    let root = match toml::parse(file, &text) {
        Ok(root) => root,
        Err(errors) => {
            broken::hide(file, &text, sources);
            found.extend(errors);
            return None;
        }
    };
    hide_literals(&root, false, sources);
    let (project, errors) = project::read(&root, context.globals.profile.as_deref(), &scope, sources);
    found.extend(errors);
    let mut project = project?;
    for (what, span) in &project.literal_credentials {
        sources.hide(*span);
        let error = Diagnostic::error(codes::LITERAL_SECRET, format!("`{what}` is a secret and stands in the file as it is"))
            .label(*span, "whoever reads this file has it")
            .help("take it from the environment: \"${{ env.NAME }}\"\nor pass --allow-literal-secrets");
        match literals(context) {
            LiteralSecrets::Allow => {}
            LiteralSecrets::Refuse => found.push(error),
            LiteralSecrets::Warn => found.push(Diagnostic { severity: crate::diagnostic::Severity::Warning, ..error }),
        }
    }
    let definitions = definitions(&dir, &mut project, sources, found);
    check_targets(&mut project, &definitions, sources, found);
    let scope = Scope { vars: Arc::clone(&project.vars), ..scope };

    let (declarations, count) = declarations(context, &dir, &start, &project, sources, found);
    let inputs = Inputs { project: &project, definitions: &definitions, scope: &scope, literals: literals(context) };
    let (desired, errors) = resolve(&declarations, &inputs, sources);
    found.extend(errors);
    Some(Gathered { dir, project, definitions, desired, scope, files: count })
}

fn literals(context: &Context<'_>) -> LiteralSecrets {
    if context.globals.allow_literal_secrets {
        LiteralSecrets::Allow
    } else if env::is_ci(context.env) {
        LiteralSecrets::Refuse
    } else {
        LiteralSecrets::Warn
    }
}

/// The environment with the variables of `--env-file` under it.
fn environment(context: &Context<'_>, start: &Path, found: &mut Diagnostics) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for path in &context.globals.env_file {
        let named = path;
        let path = start.join(path);
        match files::read_text(&path).map_err(|e| crate::io::files::FileError { path: named.clone(), ..e }) {
            Ok(text) => match env::parse_file(&text) {
                Ok(variables) => all.extend(variables),
                Err((line, why)) => found.push(
                    Diagnostic::error(codes::SYNTAX, format!("`{}`, line {line}: {why}", path.display()))
                        .help("one NAME=value a line; quotes, comments and `export` are understood"),
                ),
            },
            Err(error) => {
                found.push(Diagnostic::error(codes::UNREADABLE, format!("cannot read {error}")).help("check --env-file"));
            }
        }
    }
    all.extend(context.env.iter().map(|(k, v)| (k.clone(), v.clone())));
    all
}

fn read(path: &Path, name: &str, sources: &mut Sources, found: &mut Diagnostics) -> Option<(FileId, Arc<str>)> {
    match files::read_text(path) {
        Ok(text) => {
            let text: Arc<str> = text.into();
            Some((sources.add(name, Arc::clone(&text)), text))
        }
        Err(error) => {
            found.push(Diagnostic::error(codes::UNREADABLE, format!("cannot read `{name}`: {}", error.why)));
            None
        }
    }
}

/// The files that these patterns name, relative to `base`: files, folders and globs. What is `given` on the command line
/// must be there.
pub(super) fn search(base: &Path, patterns: &[String], given: bool, found: &mut Diagnostics) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut globs = Vec::new();
    for pattern in patterns {
        let path = base.join(pattern);
        if files::is_file(&path) {
            paths.push(PathBuf::from(pattern));
        } else if files::is_dir(&path) {
            globs.push(format!("{}/**/*.{{yaml,yml}}", pattern.trim_end_matches('/')));
        } else if given && !pattern.contains(['*', '?', '[', '{']) {
            found.push(
                Diagnostic::error(codes::UNREADABLE, format!("cannot read `{pattern}`: no such file"))
                    .help("name a file, a folder or a pattern; without one, the project's own files are read"),
            );
        } else {
            globs.push(pattern.clone());
        }
    }
    // A file under the other ending is rarely meant to be left out, and what it declares looks removed.
    let other_ending = |glob: &String| glob.strip_suffix(".yaml").filter(|_| !given).map(|stem| format!("{stem}.yml"));
    let (more, others) = files::glob(base, &globs, &globs.iter().filter_map(other_ending).collect::<Vec<_>>())
        .map_err(|error| found.push(Diagnostic::error(codes::UNREADABLE, format!("cannot look for connection files: {error}"))))
        .unwrap_or_default();
    for path in others.into_iter().filter(|path| !paths.contains(path)) {
        let pattern = globs.join("\", \"");
        found.push(
            Diagnostic::warning(codes::NOT_FOUND, format!("`{}` is not read", path.display()))
                .note(format!("connection files are: {}", globs.join(", ")))
                .help(format!("rename it to end in .yaml, or say connections = [\"{pattern}\", \"**/*.yml\"] under [project]")),
        );
    }
    paths.extend(more);
    if paths.is_empty() {
        found.push(
            Diagnostic::warning(codes::NOT_FOUND, "no connection file was found")
                .note(if patterns.is_empty() {
                    "[project] connections names none".to_owned()
                } else {
                    format!("looked for: {}", patterns.join(", "))
                })
                .help("put one there, or set [project] connections in patchbay.toml"),
        );
    }
    paths
}

/// A connection file.
#[derive(Debug)]
pub struct Found {
    /// As it is called in messages.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The connection files of these paths, or of the project, unread.
pub fn connection_files(
    context: &Context<'_>,
    paths: &[String],
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<Vec<Found>> {
    let start = context.path(Path::new("."));
    let given: Vec<String> = context.globals.files.iter().chain(paths).cloned().collect();
    let (base, patterns) = if given.is_empty() {
        let Some(dir) = files::find_up(&start, FILE_NAME) else {
            found.push(
                Diagnostic::error(codes::NO_PROJECT, format!("no {FILE_NAME} here or in any folder above"))
                    .help("name the files, go to the project's folder, or name it: patchbay -C DIR …"),
            );
            return None;
        };
        let (file, text) = read(&dir.join(FILE_NAME), FILE_NAME, sources, found)?;
        let patterns = toml::parse(file, &text).ok().map(|root| project::patterns(&root));
        (dir, patterns.unwrap_or_else(project::default_patterns))
    } else {
        (start, given.clone())
    };
    let paths = search(&base, &patterns, !given.is_empty(), found);
    // That there is nothing to format is no mistake.
    found.retain(Diagnostic::is_error);
    Some(paths.into_iter().map(|path| Found { name: path.to_string_lossy().into_owned(), path: base.join(path) }).collect())
}

/// The project file as it stands, if it can be parsed; nobody is told why it cannot.
fn unchecked(dir: &Path, sources: &mut Sources) -> Option<Node> {
    let (file, text) = read(&dir.join(FILE_NAME), FILE_NAME, sources, &mut Diagnostics::new())?;
    toml::parse(file, &text).ok()
}

/// The definitions of the project's own platforms, if there is a project here and as far as they can be read.
#[must_use]
pub fn own_platforms(context: &Context<'_>) -> crate::platform::schema::Definitions {
    let mut sources = Sources::default();
    let Some(dir) = files::find_up(&context.path(Path::new(".")), FILE_NAME) else { return BTreeMap::new() };
    let Some(root) = unchecked(&dir, &mut sources) else { return BTreeMap::new() };
    let mut own = BTreeMap::new();
    // Of the many that are built in, those that the project uses.
    for entry in root.get("targets").map(Node::entries).unwrap_or_default() {
        let name = entry.value.get("platform").and_then(Node::as_str).unwrap_or_default();
        if let Some(Ok(definition)) = builtin::load(name, &mut sources) {
            own.insert(name.to_owned(), definition);
        }
    }
    for entry in root.get("platforms").map(Node::entries).unwrap_or_default() {
        let Some(path) = entry.value.get("definition").and_then(Node::as_str) else { continue };
        match own_definition(&dir, path, entry.key_span, &mut sources) {
            Ok(definition) => drop(own.insert(entry.key.clone(), Definition::clone(&definition))),
            Err(_) => {
                context.out.note(&format!("the platform `{}` is left out: `patchbay platform check {path}` says why", entry.key));
            }
        }
    }
    own
}

/// What the project is called: its own name, or its folder's.
#[must_use]
pub fn project_name(dir: &Path) -> String {
    let root = unchecked(dir, &mut Sources::default());
    let name = root.as_ref().and_then(|root| root.get("project")?.get("name")?.as_str());
    let folder = || dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.map_or_else(folder, ToOwned::to_owned)
}

/// What a project declares, as far as that can be said without variables; for shells that complete.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// Targets with their platforms.
    pub targets: Vec<(String, String)>,
    /// Addresses with their kinds.
    pub connections: Vec<(String, String)>,
    /// Profiles.
    pub profiles: Vec<String>,
}

/// Reads what can be read; a project in the middle of an edit has an outline, too.
#[must_use]
pub fn outline(start: &Path) -> Outline {
    let mut sources = Sources::default();
    let mut outline = Outline::default();
    let Some(dir) = files::find_up(start, FILE_NAME) else { return outline };
    let mut found = Diagnostics::new();
    let Some(root) = unchecked(&dir, &mut sources) else { return outline };
    let text_of = |node: &Node, key: &str| node.get(key).and_then(|n| n.as_str()).unwrap_or_default().to_owned();
    for entry in root.get("targets").map(|t| t.entries()).unwrap_or_default() {
        outline.targets.push((entry.key.clone(), text_of(&entry.value, "platform")));
    }
    outline.profiles = root.get("profile").map(|p| p.entries().iter().map(|e| e.key.clone()).collect()).unwrap_or_default();
    for path in search(&dir, &project::patterns(&root), false, &mut found) {
        let Some((file, text)) = read(&dir.join(&path), "", &mut sources, &mut found) else { continue };
        let Ok(Some(root)) = yaml::parse(file, &text) else { continue };
        for entry in root.get("connections").map(|c| c.entries()).unwrap_or_default() {
            let mut targets: Vec<String> =
                entry.value.get("target").and_then(|t| t.as_str()).map(ToOwned::to_owned).into_iter().collect();
            if let Some(Kind::List(list)) = entry.value.get("targets").map(|t| &t.kind) {
                targets.extend(list.iter().filter_map(|t| t.as_str().map(ToOwned::to_owned)));
            }
            let kind = text_of(&entry.value, "kind");
            outline.connections.extend(targets.into_iter().map(|target| (format!("{target}/{}", entry.key), kind.clone())));
        }
    }
    outline.connections.sort();
    outline
}

fn declarations(
    context: &Context<'_>,
    dir: &Path,
    start: &Path,
    project: &Project,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> (Declarations, usize) {
    let mut declarations = Declarations::default();
    let given = &context.globals.files;
    let (base, patterns) = if given.is_empty() { (dir, &project.connections) } else { (start, given) };
    let paths = search(base, patterns, !given.is_empty(), found);
    for path in &paths {
        let name = path.to_string_lossy().into_owned();
        let Some((file, text)) = read(&base.join(path), &name, sources, found) else { continue };
        match yaml::parse(file, &text) {
            Ok(Some(root)) => connections::read(&root, &mut declarations, found),
            Ok(None) => {}
            Err(error) => {
                broken::hide(file, &text, sources);
                found.push(error);
            }
        }
    }
    (declarations, paths.len())
}

/// The definition of each target's platform; the user's own before the built-in ones. That one cannot be used is a trouble
/// of each target that needs it.
fn definitions(
    dir: &Path,
    project: &mut Project,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> BTreeMap<String, Arc<Definition>> {
    let mut loaded: BTreeMap<&str, Result<Arc<Definition>, Diagnostics>> = BTreeMap::new();
    for (name, (path, span)) in &project.platforms {
        loaded.insert(name, own_definition(dir, path, *span, sources));
    }
    let mut by_target = BTreeMap::new();
    for (target, settings) in &project.targets {
        let name = settings.platform.as_str();
        let definition = loaded.entry(name).or_insert_with(|| match builtin::load(name, sources) {
            Some(definition) => definition.map(Arc::new),
            None => Err(vec![unknown_platform(name, settings.platform_span, &project.platforms)]),
        });
        match definition {
            Ok(definition) => {
                by_target.insert(target.clone(), Arc::clone(definition));
            }
            Err(errors) => project.troubles.entry(target.clone()).or_default().extend(errors.iter().cloned()),
        }
    }
    found.extend(loaded.into_values().filter_map(Result::err).flatten());
    by_target
}

fn own_definition(dir: &Path, path: &str, span: Span, sources: &mut Sources) -> Result<Arc<Definition>, Diagnostics> {
    let text: Arc<str> = match files::read_text(&dir.join(path)) {
        Ok(text) => text.into(),
        Err(error) => {
            let error = Diagnostic::error(codes::UNREADABLE, format!("cannot read `{path}`: {}", error.why));
            return Err(vec![error.label(span, "named here")]);
        }
    };
    let file = sources.add(path, Arc::clone(&text));
    parse::parse(file, &text).map(Arc::new)
}

fn unknown_platform(name: &str, span: Span, own: &BTreeMap<String, (String, Span)>) -> Diagnostic {
    let known: Vec<&str> = builtin::every().map(|(n, _)| n).chain(own.keys().map(String::as_str)).collect();
    Diagnostic::error(codes::UNKNOWN_KIND, format!("there is no platform `{name}`"))
        .label(span, "neither built in nor declared under [platforms]")
        .help_opt(suggest::help(name, &known))
}

/// Credentials must be what the platform takes.
fn check_targets(
    project: &mut Project,
    definitions: &BTreeMap<String, Arc<Definition>>,
    sources: &mut Sources,
    found: &mut Diagnostics,
) {
    for (name, target) in &project.targets {
        let before = found.len();
        if let Some(definition) = definitions.get(name) {
            check_auth(name, target, definition, project.troubles.contains_key(name), found);
        }
        if base_url::may_hold_a_credential(target)
            && let Some(span) = target.base_url_span
        {
            sources.hide(span);
        }
        found.extend(base_url::check(name, target));
        let errors: Diagnostics = found.iter().skip(before).filter(|d| d.is_error()).cloned().collect();
        if !errors.is_empty() {
            project.troubles.entry(name.clone()).or_default().extend(errors);
        }
    }
}

/// One way to authenticate, and all of it. Where the target has troubles already, what is missing may be there and only
/// its variable is not.
fn check_auth(name: &str, target: &Target, definition: &Definition, has_troubles: bool, found: &mut Diagnostics) {
    let span = target.auth_span.unwrap_or(target.span);
    let ways: Vec<Vec<&str>> = definition.auth.iter().map(|(name, scheme)| scheme.keys(name)).collect();
    let known: Vec<&str> = ways.iter().flatten().copied().collect();
    let quoted = |keys: &[&str], glue: &str| keys.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(glue);
    let listed = ways.iter().map(|keys| quoted(keys, " and ")).collect::<Vec<_>>().join(", or ");
    for key in target.auth.keys().filter(|key| !known.contains(&key.as_str())) {
        found.push(
            Diagnostic::error(codes::UNKNOWN_KEY, format!("platform `{}` takes no `{key}` in `auth`", target.platform))
                .label(span, "here")
                .help_opt(suggest::help(key, &known)),
        );
    }
    let begun: Vec<&Vec<&str>> = ways.iter().filter(|keys| keys.iter().any(|key| target.auth.contains_key(*key))).collect();
    match begun.as_slice() {
        // A way without a credential.
        [] if target.auth.is_empty() && definition.auth.values().any(|scheme| scheme.header.is_empty()) => {}
        [] if target.auth.is_empty() && target.auth_span.is_none() && !target.base_url.starts_with("sandbox:") => {
            let example = ways.first().and_then(|keys| keys.first()).unwrap_or(&"token");
            found.push(
                Diagnostic::error(codes::MISSING_KEY, format!("the target `{name}` needs an `auth`"))
                    .label(span, "no credentials")
                    .help(format!("auth = {{ {example} = \"${{{{ env.NAME }}}}\" }}")),
            );
        }
        [] => {}
        [keys] => {
            let missing: Vec<&str> = keys.iter().copied().filter(|key| !target.auth.contains_key(*key)).collect();
            if !missing.is_empty() && !has_troubles {
                found.push(
                    Diagnostic::error(codes::MISSING_KEY, format!("`auth` of `{name}` lacks {}", quoted(&missing, " and ")))
                        .label(span, "here")
                        .help(format!("give {listed}")),
                );
            }
        }
        _ => found.push(
            Diagnostic::error(codes::BOTH_SET, format!("`auth` of `{name}` gives more than one way to authenticate"))
                .label(span, "here")
                .help(format!("give one of {listed}")),
        ),
    }
    let can_log_in = definition.auth.values().any(|scheme| scheme.login.is_some());
    if target.login_path.is_some() && !can_log_in {
        found.push(
            Diagnostic::error(
                codes::UNKNOWN_KEY,
                format!("platform `{}` has no login, so `login_path` is for nothing", target.platform),
            )
            .label(target.span, "in this target"),
        );
    }
}

/// Credentials that stand in the project file as they are, in any profile, chosen or not, and wherever else one may have
/// slipped in: an error may point at the line beside them.
fn hide_literals(node: &Node, in_auth: bool, sources: &mut Sources) {
    for entry in node.entries() {
        let in_auth = in_auth || entry.key == "auth";
        match entry.value.as_str() {
            Some(text) if text.contains("${{") => {}
            Some(text)
                if (in_auth || parse::is_auth_key(&entry.key)) && project::is_credential(&entry.key) && !text.is_empty() =>
            {
                sources.hide(entry.value.extent());
            }
            Some(text) if holds_more_than_an_address(text) => sources.hide(entry.value.extent()),
            _ => hide_literals(&entry.value, in_auth, sources),
        }
    }
    if let Kind::List(list) = &node.kind {
        for item in list {
            match item.as_str() {
                Some(text) if in_auth && !text.contains("${{") => sources.hide(item.extent()),
                _ => hide_literals(item, in_auth, sources),
            }
        }
    }
}

/// Has this text the form of a URL with a user, a password or a query? Any of them may be a secret.
pub(super) fn holds_more_than_an_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains(['@', '?']))
}
