//! `patchbay.toml` → [`Project`].

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::node::{Kind, Node};
use super::reader;
use super::template::{Renderer, Scope};
use crate::address::check_name;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::platform::exchange::climbs;
use crate::secret::Secret;
use crate::source::{Sources, Span};
use crate::suggest;
use crate::value::Value;

/// The project's file name.
pub const FILE_NAME: &str = "patchbay.toml";

/// What the project file says, with the profile merged in and templates rendered.
#[derive(Debug)]
pub struct Project {
    /// The project's name, for people.
    pub name: String,
    /// Globs of the connection files, relative to the project folder.
    pub connections: Vec<String>,
    /// Targets by name, in the author's order.
    pub targets: IndexMap<String, Target>,
    /// Every target that is declared, also those that are too wrong to be in `targets`.
    pub declared: Vec<String>,
    /// The errors in a target's own table, by its name. Whoever checks more of a target adds to them.
    pub troubles: BTreeMap<String, Diagnostics>,
    /// Credentials that stand in the file as they are: what they are for, and where.
    pub literal_credentials: Vec<(String, Span)>,
    /// The state file, relative to the project folder.
    pub state_path: String,
    /// The URL of the state instead, and where it stands.
    pub state_url: Option<(String, Span)>,
    /// May the state travel to another machine over plain http?
    pub state_allow_http: bool,
    /// Every profile that is declared. Each has a state of its own.
    pub profiles: Vec<String>,
    /// Limits on how much one run may change.
    pub safety: Safety,
    /// `var.NAME`
    pub vars: Arc<BTreeMap<String, Value>>,
    /// The user's own platform definitions: name → path and where it is written.
    pub platforms: BTreeMap<String, (String, Span)>,
}

/// One deployment of a platform.
#[derive(Debug)]
pub struct Target {
    /// The platform's name.
    pub platform: String,
    /// Where that name stands.
    pub platform_span: Span,
    /// Where the target's name stands.
    pub span: Span,
    /// The base URL, without a slash at the end; or `sandbox:`.
    pub base_url: String,
    /// Where it stands.
    pub base_url_span: Option<Span>,
    /// Credentials by the auth scheme's key words. Empty only for a sandbox.
    pub auth: BTreeMap<String, Secret>,
    /// Where `auth` stands.
    pub auth_span: Option<Span>,
    /// Requests in flight; the definition's default otherwise.
    pub parallelism: Option<usize>,
    /// Seconds until a request is given up.
    pub timeout: Option<usize>,
    /// The page size of a list that has no paging.
    pub list_limit: Option<usize>,
    /// May a connection that left the files be deleted?
    pub prune: bool,
    /// May a live object with our natural key be taken over?
    pub adopt: bool,
    /// A file of certificates to trust beside the system's.
    pub ca_file: Option<String>,
    /// May it be plain http to another machine?
    pub allow_http: bool,
    /// Where to log in, if elsewhere than the definition says.
    pub login_path: Option<String>,
}

/// Guards against changing more than was meant.
#[derive(Clone, Debug, Default)]
pub struct Safety {
    /// `max_deletes`
    pub max_deletes: Option<Threshold>,
    /// `max_updates`
    pub max_updates: Option<Threshold>,
}

/// A number of connections, or a share of a target's tracked ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// At most so many.
    Count(usize),
    /// At most so many percent.
    Percent(u8),
}

impl std::str::FromStr for Threshold {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a number such as 5, or a share such as \"30%\"";
        match text.trim().strip_suffix('%') {
            Some(share) => share.trim().parse().ok().filter(|p| *p <= 100).map(Self::Percent).ok_or(wrong),
            None => text.trim().parse().map(Self::Count).map_err(|_| wrong),
        }
    }
}

pub(crate) const TOP: [&str; 7] = ["project", "targets", "state", "safety", "vars", "profile", "platforms"];
pub(crate) const TARGET: [&str; 11] = [
    "platform",
    "base_url",
    "auth",
    "parallelism",
    "timeout",
    "list_limit",
    "prune",
    "adopt",
    "ca_file",
    "allow_http",
    "login_path",
];

/// Is what an `auth` table has under this key a secret? Who somebody is, is none.
#[must_use]
pub fn is_credential(key: &str) -> bool {
    !["username", "user", "email"].contains(&key)
}

/// Where connections are if nobody says.
#[must_use]
pub fn default_patterns() -> Vec<String> {
    vec!["connections/**/*.yaml".to_owned()]
}

/// Where the project says that connections are, without any check.
#[must_use]
pub fn patterns(root: &Node) -> Vec<String> {
    let named = root.get("project").and_then(|p| p.get("connections")).map(|n| match &n.kind {
        Kind::List(list) => list.iter().filter_map(|item| item.as_str().map(ToOwned::to_owned)).collect(),
        _ => n.as_str().map(ToOwned::to_owned).into_iter().collect::<Vec<_>>(),
    });
    named.filter(|patterns| !patterns.is_empty()).unwrap_or_else(default_patterns)
}

/// Reads the parsed project file. Returns what could be read together with everything that is wrong.
#[must_use]
pub fn read(root: &Node, profile: Option<&str>, scope: &Scope, sources: &Sources) -> (Option<Project>, Diagnostics) {
    let mut found = Diagnostics::new();
    let Some(mut root) = reader::map(root, "patchbay.toml", &TOP, &mut found).cloned() else { return (None, found) };
    if let Some(name) = profile {
        match root.get("profile").and_then(|p| p.get(name)).cloned() {
            Some(over) => {
                if reader::map(&over, "a profile", &TOP[..5], &mut found).is_some() {
                    root.merge(&over);
                }
            }
            None => {
                let known: Vec<&str> =
                    root.get("profile").map(|p| p.entries().iter().map(|e| e.key.as_str()).collect()).unwrap_or_default();
                found.push(
                    Diagnostic::error(codes::NOT_ACCEPTED, format!("there is no profile `{name}`"))
                        .label_opt(root.entry("profile").map(|e| e.key_span), "profiles are declared here")
                        .help(suggest::help(name, &known).unwrap_or_else(|| format!("declare it: [profile.{name}]"))),
                );
            }
        }
    }

    let vars = Arc::new(vars(&root, scope, sources, &mut found));
    let renderer = Renderer::new(&Scope { vars: Arc::clone(&vars), ..scope.clone() });
    let project = root.get("project").and_then(|p| reader::map(p, "[project]", &["name", "connections"], &mut found));
    let name = project.and_then(|p| reader::string(p, "name", "[project]", &mut found)).map_or("patchbay", |(n, _)| n);
    let connections = project
        .and_then(|p| reader::strings(p, "connections", "[project]", &mut found))
        .map_or_else(default_patterns, |l| l.iter().map(|(g, _)| (*g).to_owned()).collect());
    let (state_path, state_url, state_allow_http) = state(&root, profile, &mut found);
    let profiles = root.get("profile").map(|p| p.entries().iter().map(|e| e.key.clone()).collect()).unwrap_or_default();
    let safety = safety(&root, &mut found);

    let mut targets = IndexMap::new();
    let target_table = root.get("targets").and_then(|t| match t.kind {
        Kind::Map(_) => Some(t),
        _ => {
            found.push(reader::wrong_type(t, "`targets`", "a table"));
            None
        }
    });
    let mut declared = Vec::new();
    let mut troubles = BTreeMap::new();
    let mut literal_credentials = Vec::new();
    for entry in target_table.map(Node::entries).unwrap_or_default() {
        declared.push(entry.key.clone());
        let credentials = entry.value.get("auth").map(Node::entries).unwrap_or_default();
        for credential in credentials.iter().filter(|c| is_credential(&c.key)) {
            if let Some(text) = credential.value.as_str().filter(|text| !super::template::has_template(text)) {
                // An API may echo it.
                scope.redactor.learn(&Secret::new(text));
                literal_credentials.push((format!("{}.auth.{}", entry.key, credential.key), credential.value.extent()));
            }
        }
        let before = found.len();
        if let Err(error) = check_name(&entry.key) {
            found.push(
                Diagnostic::error(codes::BAD_NAME, format!("`{}` is not a usable target name: {error}", entry.key))
                    .label(entry.key_span, "this name"),
            );
        } else if let Some(target) = target(&entry.key, entry.key_span, &entry.value, &renderer, sources, &mut found) {
            targets.insert(entry.key.clone(), target);
        }
        let errors: Diagnostics = found.iter().skip(before).filter(|d| d.is_error()).cloned().collect();
        if !errors.is_empty() {
            troubles.insert(entry.key.clone(), errors);
        }
    }
    let mut platforms = BTreeMap::new();
    for entry in root.get("platforms").map(Node::entries).unwrap_or_default() {
        let what = format!("[platforms.{}]", entry.key);
        let Some(table) = reader::map(&entry.value, &what, &["definition"], &mut found) else { continue };
        match reader::string(table, "definition", &what, &mut found) {
            Some((path, span)) => {
                platforms.insert(entry.key.clone(), (path.to_owned(), span));
            }
            None if reader::lacks(table, "definition", &["definition"]) => {
                found.push(reader::missing(entry.key_span, &what, "definition"));
            }
            None => {}
        }
    }
    let project = Project {
        name: name.to_owned(),
        connections,
        targets,
        declared,
        troubles,
        literal_credentials,
        state_path,
        state_url,
        state_allow_http,
        profiles,
        safety,
        vars,
        platforms,
    };
    (Some(project), found)
}

fn vars(root: &Node, scope: &Scope, sources: &Sources, found: &mut Diagnostics) -> BTreeMap<String, Value> {
    let renderer = Renderer::new(scope);
    let mut vars = BTreeMap::new();
    for entry in root.get("vars").map(Node::entries).unwrap_or_default() {
        let value = match entry.value.as_str() {
            Some(_) => reader::templated(&entry.value, &format!("the variable `{}`", entry.key), &renderer, sources, found),
            None => Some(entry.value.to_value()),
        };
        if let Some(value) = value {
            vars.insert(entry.key.clone(), value);
        }
    }
    vars
}

/// Where the state is: its path, its URL if it has one, and whether that may be plain http. A profile has its own state:
/// without a path or URL of its own, the profile's name goes into it.
fn state(root: &Node, profile: Option<&str>, found: &mut Diagnostics) -> (String, Option<(String, Span)>, bool) {
    let table = root.get("state").and_then(|s| reader::map(s, "[state]", &["path", "url", "allow_http"], found));
    let own = |key: &str| profile.is_some_and(|p| own_state(root, p).is_some_and(|state| state.get(key).is_some()));
    // What a profile says takes the place of what the project says, whichever of the two it is.
    let path = table.filter(|_| own("path") || !own("url")).and_then(|t| reader::string(t, "path", "[state]", found));
    let url = table.filter(|_| own("url") || !own("path")).and_then(|t| reader::string(t, "url", "[state]", found));
    if let (Some(_), Some((_, span))) = (path, url) {
        found.push(
            Diagnostic::error(codes::NOT_ACCEPTED, "the state is in a file or at a URL, not in both")
                .label(span, "the URL")
                .help("remove `path` or `url`"),
        );
    }
    let allow_http = table.and_then(|t| reader::boolean(t, "allow_http", "[state]", found)).unwrap_or(false);
    let path = path.map_or("patchbay.state", |(path, _)| path);
    let path = match (profile.filter(|_| !own("path")), path.rsplit_once('.')) {
        (None, _) => path.to_owned(),
        (Some(profile), Some((stem, extension))) if !extension.contains('/') => format!("{stem}.{profile}.{extension}"),
        (Some(profile), _) => format!("{path}.{profile}"),
    };
    let url = url.map(|(url, span)| match profile.filter(|_| !own("url")) {
        None => (url.to_owned(), span),
        Some(profile) => {
            let (address, query) = url.split_at(url.find('?').unwrap_or(url.len()));
            (format!("{}-{profile}{query}", address.trim_end_matches('/')), span)
        }
    });
    (path, url, allow_http)
}

/// What a profile itself says about the state.
fn own_state<'n>(root: &'n Node, profile: &str) -> Option<&'n Node> {
    root.get("profile")?.get(profile)?.get("state")
}

fn safety(root: &Node, found: &mut Diagnostics) -> Safety {
    let Some(table) = root.get("safety").and_then(|s| reader::map(s, "[safety]", &["max_deletes", "max_updates"], found)) else {
        return Safety::default();
    };
    let mut threshold = |key: &str| {
        let node = table.get(key)?;
        let parsed = match &node.kind {
            Kind::Number(n) => n.to_string().parse::<Threshold>(),
            Kind::String(text) => text.parse(),
            _ => Err("a number such as 5, or a share such as \"30%\""),
        };
        parsed.map_err(|wanted| found.push(reader::wrong_type(node, &format!("`{key}`"), wanted))).ok()
    };
    Safety { max_deletes: threshold("max_deletes"), max_updates: threshold("max_updates") }
}

fn target(
    name: &str,
    span: Span,
    node: &Node,
    renderer: &Renderer,
    sources: &Sources,
    found: &mut Diagnostics,
) -> Option<Target> {
    let what = format!("the target `{name}`");
    let table = reader::map(node, &what, &TARGET, found)?;
    let platform = reader::string(table, "platform", &what, found);
    if reader::lacks(table, "platform", &TARGET) {
        found.push(
            reader::missing(span, &what, "platform").help("platform = \"koreai\", or the name of one of your own definitions"),
        );
    }
    let base_url_node = table.get("base_url");
    let base_url = base_url_node.and_then(|n| reader::templated(n, "`base_url`", renderer, sources, found));
    if reader::lacks(table, "base_url", &TARGET) {
        found.push(reader::missing(span, &what, "base_url").help("base_url = \"https://…\", or \"sandbox:\" to try things out"));
    }
    let (mut auth, auth_node) = (BTreeMap::new(), table.get("auth"));
    if let Some(node) = auth_node {
        if matches!(node.kind, Kind::Map(_)) {
            for entry in node.entries() {
                if let Some(value) = reader::templated(&entry.value, &format!("`auth.{}`", entry.key), renderer, sources, found) {
                    let secret = match value {
                        Value::Secret(secret) => secret,
                        other => Secret::new(other.expose_str().unwrap_or("offline")),
                    };
                    auth.insert(entry.key.clone(), secret);
                }
            }
        } else {
            found.push(reader::wrong_type(node, "`auth`", "a table such as { api_key = \"${{ env.NAME }}\" }"));
        }
    }
    let mut number = |key: &str, least| reader::number(table, key, &what, least, found);
    let (parallelism, timeout, list_limit) = (number("parallelism", 1), number("timeout", 1), number("list_limit", 1));
    let mut flag = |key: &str, default| reader::boolean(table, key, &what, found).unwrap_or(default);
    let (prune, adopt, allow_http) = (flag("prune", false), flag("adopt", true), flag("allow_http", false));
    let ca_file = reader::string(table, "ca_file", &what, found).map(|(p, _)| p.to_owned());
    let login_path = reader::string(table, "login_path", &what, found).and_then(|(text, span)| match path_below(text) {
        Ok(path) => Some(path),
        Err(why) => {
            found.push(
                Diagnostic::error(codes::NOT_ACCEPTED, format!("`login_path` of {what} is not a path"))
                    .label(span, why)
                    .help("a path below base_url, such as login_path = \"/session\""),
            );
            None
        }
    });
    let (platform, platform_span) = platform?;
    // A base URL is an address, not a credential: it appears in messages even when it comes from the environment.
    let base_url = base_url?.expose_str().unwrap_or("https://offline.invalid").trim_end_matches('/').to_owned();
    Some(Target {
        platform: platform.to_owned(),
        platform_span,
        span,
        base_url,
        base_url_span: base_url_node.map(|n| n.span),
        auth,
        auth_span: auth_node.map(|n| n.span),
        parallelism,
        timeout,
        list_limit,
        prune,
        adopt,
        ca_file,
        allow_http,
        login_path,
    })
}

/// A path below the base URL, where a password will go. Its first slash may be left out.
fn path_below(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("it is empty")
    } else if text.contains("://") {
        Err("this is a URL; the host is base_url's")
    } else if text.contains("//") {
        Err("two slashes in a row")
    } else if text.contains(['?', '#']) {
        Err("no query and no fragment is wanted here")
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        Err("no path has white space or a backslash in it")
    } else if climbs(text) {
        Err("it leads out of base_url")
    } else {
        Ok(format!("/{}", text.trim_start_matches('/')))
    }
}
