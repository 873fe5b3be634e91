//! A session: what plan and apply share beyond the files, the targets' lanes, the state, the fingerprint key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Globals, Planning, RefreshArg};
use super::gather::Gathered;
use super::{Context, base_url};
use crate::address::Address;
use crate::base64;
use crate::config::project::{Safety, Target};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::engine::lane::{Lane, Patience};
use crate::engine::login::Account;
use crate::engine::refresh::Lanes;
use crate::io::http::{Endpoint, HttpClient};
use crate::io::store::{Location, key_variable, load_key, ulid, waiting_key};
use crate::io::{clock, files, tls};
use crate::plan::model::Refresh;
use crate::plan::planner::Options;
use crate::plan::saved::Choices;
use crate::plan::select::Selector;
use crate::platform::fake::Fake;
use crate::platform::model::{AuthScheme, Definition};
use crate::sandbox::{self, Quirks, Sandbox};
use crate::secret::{Redactor, Secret};
use crate::state::{Fingerprinter, Key, State, StateError};
use crate::view::digest::Frame;

/// The start of a base URL that means: serve this target's API inside the process.
const SANDBOX: &str = "sandbox:";

/// The headers of a scheme without a login.
fn credentials(name: &str, scheme: &AuthScheme, auth: &BTreeMap<String, Secret>, redactor: &Redactor) -> Vec<(String, Secret)> {
    let given = |key: &str| auth.get(key).map_or("", Secret::expose);
    let value = match &scheme.basic {
        Some(basic) => {
            let pair = base64::encode(format!("{}:{}", given(&basic.user), given(&basic.password)).as_bytes());
            redactor.learn(&Secret::new(pair.as_str()));
            format!("Basic {pair}")
        }
        None => format!("{}{}", scheme.prefix, given(name)),
    };
    let also = scheme.also.iter().map(|(header, key)| (header.clone(), Secret::new(given(key))));
    std::iter::once((scheme.header.clone(), Secret::new(value))).chain(also).collect()
}

/// The default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What plan and apply share.
pub struct Session {
    /// The targets' requests.
    pub lanes: Lanes,
    /// The address of each target as it is recorded.
    pub hosts: BTreeMap<String, String>,
    /// What was recorded.
    pub state: State,
    /// Which connection the state has an object under: `(target, id)`.
    pub owners: BTreeMap<(String, String), Address>,
    /// Where the state is.
    pub location: Location,
    /// Operations whose run was over before anything was listed: what the lists do not show of them was never made.
    pub over: BTreeSet<String>,
    /// The lineage that a new state would get.
    pub lineage: String,
    /// Makes fingerprints.
    pub fingerprinter: Fingerprinter,
    /// Choices of this run.
    pub options: Options,
    /// Limits on how much one run may change.
    pub safety: Safety,
    /// Is the key one that other runs have, too?
    pub has_key: bool,
    /// The project's name.
    pub project: String,
    /// Kept alive as long as the session.
    _sandboxes: Vec<Sandbox>,
}

impl Session {
    /// What stands around everything that is reported of this session.
    #[must_use]
    pub fn frame(&self) -> Frame {
        let requests = self.lanes.values().map(Lane::requests).sum();
        Frame { state: self.location.name(), requests, ..Frame::default() }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.location.label())
    }
}

/// How to open a session.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'o> {
    /// The flags.
    pub globals: &'o Globals,
    /// The flags of plan and apply.
    pub planning: &'o Planning,
    /// The environment.
    pub env: &'o BTreeMap<String, String>,
    /// Learns what a login returns.
    pub redactor: &'o Redactor,
    /// May the fingerprint key be made?
    pub key: KeyUse,
    /// Exactly these targets, whether or not anything is declared for them; otherwise those with connections or records.
    pub targets: Option<&'o BTreeSet<String>>,
}

impl<'o> Opening<'o> {
    /// For a command that only looks.
    #[must_use]
    pub fn looking(context: &Context<'o>, globals: &'o Globals, planning: &'o Planning) -> Self {
        Self { globals, planning, env: context.env, redactor: context.redactor, key: KeyUse::Never, targets: None }
    }
}

/// What a command may do where there is no fingerprint key yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// It must be made: what is written rests on it.
    Must,
    /// It is made if the folder can be written, so that two plans show one fingerprint for one secret.
    May,
    /// It is not: the command writes nothing at all.
    Never,
}

/// Opens a session; warnings are added to `found`. Nothing has been sent to a target yet.
///
/// # Errors
/// Everything that forbids to go on.
pub async fn open(opening: &Opening<'_>, gathered: &Gathered, found: &mut Diagnostics) -> Result<Session, Diagnostics> {
    let globals = opening.globals;
    let options = options(globals, opening.planning).map_err(|d| vec![d])?;
    let safety = safety(gathered, opening.planning).map_err(|d| vec![d])?;
    let location = location(globals, gathered).map_err(|d| vec![d])?;
    if let Some(error) = no_folder(&location) {
        return Err(vec![error]);
    }
    let (state, warnings) = location.read().await.map_err(|e| vec![e.diagnostic()])?;
    found.extend(warnings.iter().map(crate::state::StateWarning::diagnostic));
    let (key, has_key) = key(opening, &gathered.dir).map_err(|e| vec![e.diagnostic()])?;
    found.extend(unfinished_rotation(opening.env, &gathered.dir));
    let lineage = state.lineage().map_or_else(|| new_lineage(&key, gathered), ToOwned::to_owned);
    let fingerprinter = Fingerprinter::new(&key, &lineage);

    let mut session = Session {
        lanes: Lanes::new(),
        hosts: BTreeMap::new(),
        owners: BTreeMap::new(),
        over: BTreeSet::new(),
        state,
        location,
        lineage,
        fingerprinter,
        options,
        safety,
        has_key,
        project: gathered.project.name.clone(),
        _sandboxes: Vec::new(),
    };
    let chosen = session.options.selector.choose(&gathered.desired);
    let mut errors = Diagnostics::new();
    errors.extend(unmatched(globals, gathered, &session.state, found));
    errors.extend(moved_targets(&session, gathered));
    if !errors.is_empty() {
        return Err(errors);
    }
    for (name, target) in &gathered.project.targets {
        let Some(definition) = gathered.definitions.get(name) else { continue };
        let declared = chosen.iter().any(|a| a.target() == name);
        let recorded =
            session.state.records().any(|r| r.address.target() == name && session.options.selector.matches(&r.address));
        let is_wanted = opening.targets.map_or(declared || recorded, |names| names.contains(name));
        if !is_wanted {
            continue;
        }
        match reach(globals, opening.redactor, &gathered.dir, (name.as_str(), target), definition).await {
            Ok(reached) => {
                session.hosts.insert(name.clone(), own_address(target).to_owned());
                session.lanes.insert(name.clone(), reached.lane);
                session._sandboxes.extend(reached.sandbox);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if !session._sandboxes.is_empty() {
        // Starting a sandbox may have waited for another run; what that run recorded counts.
        session.state = session.location.read().await.map_err(|e| vec![e.diagnostic()])?.0;
    }
    let owner = |r: &crate::state::Record| ((r.address.target().to_owned(), r.id.clone()), r.address.clone());
    session.owners = session.state.records().map(owner).collect();
    Ok(session)
}

/// A target that requests can be sent to.
#[derive(Debug)]
pub struct Reached {
    /// Its requests.
    pub lane: Lane,
    /// What answers them, if that is in this process. It ends with this value.
    pub sandbox: Option<Sandbox>,
}

/// Gets ready to send requests to a target, and sends none. `target` is its name and what the project says of it.
///
/// # Errors
/// What forbids to send anything there.
pub async fn reach(
    globals: &Globals,
    redactor: &Redactor,
    dir: &Path,
    (name, target): (&str, &Target),
    definition: &Arc<Definition>,
) -> Result<Reached, Diagnostic> {
    let parallelism = globals.parallelism.or(target.parallelism).unwrap_or(definition.limits.parallelism).clamp(1, 128);
    let configured = target.timeout.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    let (base_url, sandbox) = match target.base_url.strip_prefix(SANDBOX) {
        Some(settings) => {
            let sandbox = start_sandbox(dir, globals, (name, target), settings, definition).await?;
            let url = sandbox.base_url(&definition.platform).ok_or_else(|| {
                Diagnostic::error(
                    codes::NOT_ACCEPTED,
                    format!("the sandbox does not serve the platform `{}`", definition.platform),
                )
                .label_opt(target.base_url_span, "of this target")
            })?;
            (url, Some(sandbox))
        }
        None => (base_url::check(name, target).map_or(Ok(target.base_url.clone()), Err)?, None),
    };
    let extra_roots = match &target.ca_file {
        Some(path) => Some(authorities(dir, path).map_err(|error| error.label(target.span, "its `ca_file`"))?),
        None => None,
    };
    let mut headers: Vec<(String, Secret)> =
        definition.headers.iter().map(|(k, v)| (k.clone(), Secret::new(v.as_str()))).collect();
    let given = |scheme: &&(&String, &AuthScheme)| scheme.1.keys(scheme.0).iter().any(|key| target.auth.contains_key(*key));
    let schemes: Vec<(&String, &AuthScheme)> = definition.auth.iter().collect();
    let mut account = None;
    match schemes.iter().find(given) {
        Some((_, scheme)) if scheme.login.is_some() => {
            let path = target.login_path.as_deref();
            account = scheme.login.as_ref().map(|login| Account::new(scheme, login, path, target.auth.clone(), redactor.clone()));
        }
        Some((name, scheme)) => headers.extend(credentials(name, scheme, &target.auth, redactor)),
        // The sandbox takes anything.
        None if sandbox.is_some() && schemes.iter().all(|(_, scheme)| !scheme.header.is_empty()) => {
            let first = schemes.first().map(|(_, scheme)| *scheme);
            headers.extend(first.map(|s| (s.header.clone(), Secret::new(format!("{}sandbox", s.prefix)))));
            headers.extend(first.iter().flat_map(|s| s.also.keys()).map(|name| (name.clone(), Secret::new("sandbox"))));
        }
        None => {}
    }
    let endpoint = Endpoint {
        base_url,
        headers,
        timeout: globals.timeout.or(configured).unwrap_or(TIMEOUT),
        extra_roots,
        pool: parallelism,
    };
    let lane = Lane::new(
        name,
        Arc::clone(definition),
        HttpClient::new(endpoint),
        parallelism,
        target.list_limit,
        Patience::standard(globals.retries),
    );
    let lane = lane.with_redactor(redactor.clone());
    let lane = match account {
        Some(account) => lane.with_account(account),
        None => lane,
    };
    Ok(Reached { lane, sandbox })
}

/// The certificates of a `ca_file`.
fn authorities(dir: &Path, path: &str) -> Result<Vec<u8>, Diagnostic> {
    let pem = files::read_bytes(&dir.join(path))
        .map_err(|e| Diagnostic::error(codes::UNREADABLE, format!("cannot read `{path}`: {}", e.why)))?;
    let unusable = |why: String| {
        Diagnostic::error(codes::NOT_ACCEPTED, format!("the file `{path}` {why}"))
            .help("ca_file names the certificates of authorities, as PEM: -----BEGIN CERTIFICATE-----")
    };
    tls::check_authorities(&pem).map_err(unusable).map(|()| pem)
}

/// A sandbox per target: two targets are two deployments, and so they stay in the sandbox.
async fn start_sandbox(
    dir: &Path,
    globals: &Globals,
    (name, target): (&str, &Target),
    settings: &str,
    definition: &Arc<Definition>,
) -> Result<Sandbox, Diagnostic> {
    let wrong = |error: &sandbox::SandboxError| {
        Diagnostic::error(codes::NOT_ACCEPTED, format!("the sandbox of `{name}` cannot start: {error}"))
            .label_opt(target.base_url_span, "asked for here")
    };
    let folder = dir.join(".patchbay").join("sandbox");
    files::make_dir(&folder)
        .map_err(|e| Diagnostic::error(codes::UNREADABLE, format!("cannot keep the sandbox's objects: {e}")))?;
    let stem = globals.profile.as_ref().map_or_else(|| name.to_owned(), |profile| format!("{profile}.{name}"));
    let quirks = Quirks::from_query(settings.trim_start_matches('?')).map_err(|e| wrong(&e))?;
    let options = sandbox::Options {
        file: Some(folder.join(format!("{stem}.jsonl"))),
        log: Some(folder.join(format!("{stem}.requests.jsonl"))),
        quirks,
        // What has no handler of its own is made from its definition.
        defined: match sandbox::Platform::named(&definition.platform) {
            Some(_) => Vec::new(),
            None => vec![Fake::new(Arc::clone(definition))],
        },
        ..sandbox::Options::in_memory()
    };
    sandbox::start(options).await.map_err(|e| wrong(&e))
}

/// Patterns that match nothing: a typo in a pipeline must not look like success. The state may know connections that no
/// file declares.
pub fn unmatched(globals: &Globals, gathered: &Gathered, state: &State, found: &mut Diagnostics) -> Diagnostics {
    let declared = gathered.desired.connections.iter().map(|c| &c.address);
    let known: Vec<String> = declared.chain(state.records().map(|r| &r.address)).map(ToString::to_string).collect();
    let targets: Vec<&str> = gathered.project.targets.keys().map(String::as_str).collect();
    without_match(globals, &known, &targets, found)
}

/// The same where these addresses are all that there is.
pub fn without_match(globals: &Globals, known: &[String], targets: &[&str], found: &mut Diagnostics) -> Diagnostics {
    let nothing = |pattern: &String| {
        let selector = Selector::new(std::slice::from_ref(pattern), &[]).ok()?;
        let hit = known.iter().any(|k| k.parse().is_ok_and(|address| selector.matches(&address)));
        (!hit).then(|| {
            let near = crate::suggest::nearest(pattern, known.iter().map(String::as_str).chain(targets.iter().copied()));
            near.map(|near| format!("did you mean `{near}`?"))
        })
    };
    for pattern in &globals.exclude {
        if let Some(help) = nothing(pattern) {
            found
                .push(Diagnostic::warning(codes::NOT_FOUND, format!("no connection matches --exclude {pattern}")).help_opt(help));
        }
    }
    let miss = |pattern: &String| {
        // It may be from `--only`, or what a command takes without a flag.
        Some(Diagnostic::error(codes::NOT_FOUND, format!("no connection matches `{pattern}`")).help_opt(nothing(pattern)?))
    };
    globals.only.iter().filter_map(miss).collect()
}

/// Targets whose address is not the recorded one: found out before anything is sent there, credentials above all.
fn moved_targets(session: &Session, gathered: &Gathered) -> Diagnostics {
    if session.options.accept_target_change {
        return Diagnostics::new();
    }
    let error = |(name, target): (&String, &Target)| {
        let recorded = other_address(&session.state, &session.options.selector, name, target)?;
        Some(moved(name, target, recorded))
    };
    gathered.project.targets.iter().filter_map(error).collect()
}

/// A target's address as it is recorded.
fn own_address(target: &Target) -> &str {
    if target.base_url.starts_with(SANDBOX) { SANDBOX } else { &target.base_url }
}

/// The address that the state has for a target, if it is another one than the target's own.
#[must_use]
pub fn other_address<'s>(state: &'s State, selector: &Selector, name: &str, target: &Target) -> Option<&'s str> {
    let records = state.records().filter(|r| r.address.target() == name && selector.matches(&r.address));
    records.map(|record| record.host.as_str()).find(|recorded| *recorded != own_address(target))
}

/// Says that a target is not where it is recorded.
#[must_use]
pub fn moved(name: &str, target: &Target, recorded: &str) -> Diagnostic {
    Diagnostic::error(codes::TARGET_MOVED, format!("the target `{name}` has another address than in the state"))
        .label_opt(target.base_url_span, "now")
        .note(format!("recorded: {recorded}"))
        .note(format!("now: {}", own_address(target)))
        .help("staging files against a production state? Use a profile, which has its own state; if the deployment really moved, pass --accept-target-change")
}

/// A folder that is not there cannot hold a state: the path is a mistake, and not a first run.
#[must_use]
pub fn no_folder(location: &Location) -> Option<Diagnostic> {
    let Location::File(path) = location else { return None };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !files::is_dir(folder))?;
    let error = Diagnostic::error(codes::STATE_UNREADABLE, format!("the state's folder `{}` does not exist", folder.display()));
    Some(error.help("make it, or name another with --state or [state] path"))
}

fn options(globals: &Globals, planning: &Planning) -> Result<Options, Diagnostic> {
    let selector = Selector::new(&globals.only, &globals.exclude).map_err(|why| {
        Diagnostic::error(codes::USAGE, why).help("--only and --exclude take addresses and globs: kore-prod, kore-prod/claude*")
    })?;
    let refresh = match planning.refresh {
        RefreshArg::Auto => Refresh::Auto,
        RefreshArg::Full => Refresh::Full,
        RefreshArg::None => Refresh::None,
    };
    Ok(Options {
        refresh,
        rewrite_secrets: planning.rewrite_secrets,
        accept_target_change: planning.accept_target_change,
        selector,
        pinned: BTreeMap::new(),
        adopt_anyway: false,
        destroy: false,
        leave_dependents: false,
    })
}

/// The flags that shape a plan, for a plan file.
#[must_use]
pub fn choices(globals: &Globals, planning: &Planning) -> Choices {
    let refresh = match planning.refresh {
        RefreshArg::Auto => "auto",
        RefreshArg::Full => "full",
        RefreshArg::None => "none",
    };
    Choices {
        refresh: refresh.to_owned(),
        rewrite_secrets: planning.rewrite_secrets,
        accept_target_change: planning.accept_target_change,
        only: globals.only.clone(),
        exclude: globals.exclude.clone(),
        max_updates: planning.max_updates.clone(),
        max_deletes: planning.max_deletes.clone(),
    }
}

/// The flags with which a saved plan is applied: those that it was made with; flags of now win where they say something.
#[must_use]
pub fn with_choices(globals: &Globals, planning: &Planning, saved: &Choices) -> (Globals, Planning) {
    let (mut globals, mut planning) = (globals.clone(), planning.clone());
    if globals.only.is_empty() && globals.exclude.is_empty() {
        globals.only.clone_from(&saved.only);
        globals.exclude.clone_from(&saved.exclude);
    }
    planning.refresh = match saved.refresh.as_str() {
        "full" => RefreshArg::Full,
        "none" => RefreshArg::None,
        _ => planning.refresh,
    };
    planning.rewrite_secrets |= saved.rewrite_secrets;
    planning.accept_target_change |= saved.accept_target_change;
    planning.max_updates = planning.max_updates.or_else(|| saved.max_updates.clone());
    planning.max_deletes = planning.max_deletes.or_else(|| saved.max_deletes.clone());
    (globals, planning)
}

fn safety(gathered: &Gathered, planning: &Planning) -> Result<Safety, Diagnostic> {
    let mut safety = gathered.project.safety.clone();
    if let Some(text) = &planning.max_updates {
        let threshold =
            text.parse().map_err(|wanted| Diagnostic::error(codes::USAGE, format!("--max-updates takes {wanted}")))?;
        safety.max_updates = Some(threshold);
    }
    if let Some(text) = &planning.max_deletes {
        let threshold =
            text.parse().map_err(|wanted| Diagnostic::error(codes::USAGE, format!("--max-deletes takes {wanted}")))?;
        safety.max_deletes = Some(threshold);
    }
    Ok(safety)
}

/// Where the state is. Credentials for it may come from `--env-file`, too.
///
/// # Errors
/// Its URL is none that can be used.
pub fn location(globals: &Globals, gathered: &Gathered) -> Result<Location, Diagnostic> {
    let (project, env) = (&gathered.project, &gathered.scope.env);
    match (&globals.state, &project.state_url) {
        (Some(path), _) => match path.to_str().filter(|text| Location::is_url(text)) {
            Some(url) => Location::at_url(url, env, project.state_allow_http),
            None => Ok(Location::File(globals.chdir.clone().unwrap_or_default().join(path))),
        },
        (None, Some((url, span))) => {
            Location::at_url(url, env, project.state_allow_http).map_err(|error| error.label(*span, "this URL"))
        }
        (None, None) => Ok(Location::File(gathered.dir.join(&project.state_path))),
    }
}

/// This program knows every promise of the state's format.
///
/// # Errors
/// It does not, and so must not write it.
pub fn writable(state: &State) -> Result<(), Diagnostic> {
    if state.writable() {
        return Ok(());
    }
    let what = "the state was written by a newer patchbay and is not written by this one";
    Err(Diagnostic::error(codes::STATE_NEWER, what).help("use the newer version"))
}

/// A new key waits beside the old one: it is about to be replaced, or that was interrupted.
#[must_use]
pub fn unfinished_rotation(env: &BTreeMap<String, String>, dir: &Path) -> Option<Diagnostic> {
    if key_variable(env).is_some() || matches!(waiting_key(dir), Ok(None)) {
        return None;
    }
    Some(
        Diagnostic::warning(codes::STATE_UNREADABLE, "the fingerprint key was about to be replaced, and was not")
            .note("secrets that are fingerprinted with the new key already cannot be verified until it is")
            .help("run `patchbay state rekey` again: it goes on with the key that waits beside the old one"),
    )
}

/// The fingerprint key. Where there is none and none is made, one is made up: no record's fingerprint compares with it.
fn key(opening: &Opening<'_>, dir: &Path) -> Result<(Key, bool), StateError> {
    let load = |create| load_key(dir, key_variable(opening.env), create);
    let key = match opening.key {
        KeyUse::Must => load(true)?,
        // A folder that cannot be written is no reason not to look.
        KeyUse::May => load(true).or_else(|_| load(false))?,
        KeyUse::Never => load(false)?,
    };
    let has_key = key.is_some();
    let key = key.unwrap_or_else(|| {
        let mut bytes = [0u8; 32];
        for chunk in bytes.chunks_exact_mut(4) {
            chunk.copy_from_slice(&clock::random().to_le_bytes());
        }
        Key::new(bytes)
    });
    Ok((key, has_key))
}

/// The lineage of a state that does not exist yet, drawn from the key: a plan saved before the first apply must have
/// the same fingerprints as that apply.
fn new_lineage(key: &Key, gathered: &Gathered) -> String {
    let place = gathered.project.state_url.as_ref().map_or(&gathered.project.state_path, |(url, _)| url);
    let seed = format!("lineage {} {place}", gathered.project.name);
    let print = Fingerprinter::new(key, &seed);
    let hash = blake3::hash(print.mask(&crate::address::Address::new("lineage", "new"), "", &seed).as_str().as_bytes());
    let mut millis = [0u8; 8];
    millis[2..].copy_from_slice(&hash.as_bytes()[..6]);
    let mut chance = [0u8; 10];
    chance.copy_from_slice(&hash.as_bytes()[6..16]);
    ulid(u64::from_be_bytes(millis), chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_into_the_headers_that_the_scheme_names() {
        let auth = |pairs: &[(&str, &str)]| -> BTreeMap<String, Secret> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value))).collect()
        };
        let scheme = |json: serde_json::Value| serde_json::from_value::<AuthScheme>(json).unwrap();
        let sent = |name: &str, scheme: &AuthScheme, auth: &BTreeMap<String, Secret>| -> Vec<String> {
            let headers = credentials(name, scheme, auth, &Redactor::default());
            headers.iter().map(|(header, value)| format!("{header}: {}", value.expose())).collect()
        };
        let bearer =
            scheme(serde_json::json!({ "header": "Authorization", "prefix": "Bearer ", "also": { "Workspace": "workspace" } }));
        assert_eq!(bearer.keys("token"), ["token", "workspace"]);
        assert_eq!(
            sent("token", &bearer, &auth(&[("token", "t-1"), ("workspace", "w")])),
            ["Authorization: Bearer t-1", "Workspace: w"]
        );
        let basic =
            scheme(serde_json::json!({ "header": "Authorization", "basic": { "user": "public_key", "password": "secret_key" } }));
        assert_eq!(basic.keys("keys"), ["public_key", "secret_key"]);
        assert_eq!(
            sent("keys", &basic, &auth(&[("public_key", "pk"), ("secret_key", "sk:1")])),
            ["Authorization: Basic cGs6c2s6MQ=="]
        );
    }
}
