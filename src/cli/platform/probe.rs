//! `patchbay platform probe`: is a platform definition right, as far as its API tells? One disposable object is made,
//! looked at, changed in every way, and deleted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::address::Address;
use crate::cli::apply::{confirmed, listen};
use crate::cli::args::{Planning, RefreshArg};
use crate::cli::events::Listener;
use crate::cli::gather::{Gathered, gather};
use crate::cli::planning::Filling;
use crate::cli::session::{self, Opening, Session};
use crate::cli::{Context, complete, exit};
use crate::config::desired::Connection;
use crate::config::node::Node;
use crate::config::project::Target;
use crate::config::{emit, yaml};
use crate::diagnostic::{Diagnostic, Diagnostics, codes, has_errors};
use crate::engine::apply::Stop;
use crate::engine::explain::{Purpose, explain};
use crate::engine::survey::{Halt, Outcome, Run, survey};
use crate::io::{clock, files};
use crate::plan::survey::{Disposable, Finding, Subject, Verdict, findings};
use crate::platform::exchange::neutral;
use crate::platform::model::{Collection, Delete, Kind};
use crate::platform::{builtin, parse};
use crate::source::Sources;
use crate::value::Value;
use crate::view;
use crate::view::survey::Probed;

/// `platform probe`
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// A declared connection: the object is like it, under a name of its own
    #[arg(value_name = "ADDR", add = complete::addresses())]
    pub address: String,
    /// Send the connection's own secrets, for an API that tries them out; otherwise made-up ones
    #[arg(long)]
    pub own_secrets: bool,
    /// Leave the object, where the API cannot delete
    #[arg(long)]
    pub leave: bool,
    /// Write the findings to this file, as YAML; it must not be there
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long, alias = "auto-approve")]
    pub yes: bool,
}

/// Everything that a probe is about.
struct Scene<'s> {
    target: &'s Target,
    connection: &'s Connection,
    name: &'s str,
    kind: &'s Kind,
    collection: &'s Collection,
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &ProbeArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (gathered, mut found) = gather(context, false, &mut sources);
    let Some(gathered) = gathered.filter(|_| !has_errors(&found)) else { return context.fail(&found, &sources) };
    let scene = match scene(context, &gathered, args) {
        Ok(scene) => scene,
        Err(error) => return context.fail(&[error], &sources),
    };
    let address = &scene.connection.address;
    let targets = BTreeSet::from([address.target().to_owned()]);
    let planning = Planning::reading(RefreshArg::None);
    let opening = Opening { targets: Some(&targets), ..Opening::looking(context, context.globals, &planning) };
    let session = match session::open(&opening, &gathered, &mut found).await {
        Ok(session) => session,
        Err(errors) => return context.fail(&errors, &sources),
    };
    let Some(lane) = session.lanes.get(address.target()) else {
        return context.fail(&[Diagnostic::error(codes::INTERNAL, format!("`{address}` has no lane"))], &sources);
    };
    let disposable = match disposable(&gathered, &session, &scene, args, &sources) {
        Ok(disposable) => disposable,
        Err(error) => return context.fail(&[error], &sources),
    };
    for (path, secret) in &disposable.made_up {
        context.redactor.learn(secret);
        disposable.another_secret(path).iter().for_each(|secret| context.redactor.learn(secret));
    }
    out.diagnostics(&found, &sources);
    let host = host(lane.base_url());
    if !args.yes {
        if !out.may_ask || out.is_machine {
            let error = Diagnostic::error(codes::NOT_APPROVED, "a probe makes and changes an object, and nobody can be asked")
                .help("pass --yes, on an account where that does no harm");
            return context.fail(&[error], &sources);
        }
        if !confirmed(out, &question(&scene, &disposable, &host), "yes").await {
            out.note("Nothing was sent but reads.");
            return exit::OK;
        }
    }
    let subject = Subject { name: scene.name, kind: scene.kind, collection: scene.collection, disposable: &disposable };
    let lines = Listener::new(context).with_sources(&sources);
    let (send, stop) = watch::channel(Stop::No);
    let run = Run { lane, subject, redactor: context.redactor, report: &lines, stop: stop.clone() };
    // From here on a signal is a wish and no death: what was made is deleted first.
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let outcome = tokio::select! {
        outcome = survey(run) => outcome,
        () = listen(send, signals) => Outcome::default(),
        () = tell(stop, context) => Outcome::default(),
    };
    drop(lines);

    let answers = findings(&subject, &outcome.evidence);
    let contradictions = contradictions(&gathered, scene.target, &answers, &mut sources);
    found.extend(contradictions);
    found.extend(troubles(&scene, lane, &outcome, &disposable, context));
    let probed = Probed {
        address: address.to_string(),
        platform: lane.definition.platform.clone(),
        kind: scene.name.to_owned(),
        host,
        at: clock::now_text(),
        object: disposable.name.clone(),
        left: outcome.left.iter().map(|(id, _)| neutral(id)).collect(),
        halted: outcome.halt.as_ref().map(|halt| match halt {
            Halt::Stopped(_) => "it was interrupted",
            _ => "a request failed",
        }),
        findings: answers,
    };
    if let Some(path) = &args.write
        && let Err(error) = files::create_new(&context.path(path), &emit::emit(&view::survey::record(&probed)))
    {
        found.push(Diagnostic::error(codes::UNREADABLE, format!("cannot write {error}")));
    }
    if out.is_machine {
        out.json(&view::survey::document(&probed, &found, &sources));
    } else {
        if !probed.findings.is_empty() || !probed.left.is_empty() {
            out.text(&view::survey::render(&probed, &out.stdout));
        }
        out.diagnostics(&found, &sources);
    }
    match &outcome.halt {
        Some(Halt::Stopped(number)) => u8::try_from(128 + number).unwrap_or(130),
        _ if !outcome.left.is_empty() && !matches!(scene.kind.delete, Delete::None) => exit::PARTLY,
        _ => exit::of_errors(&found),
    }
}

/// Says that a signal was heard; never ends by itself.
async fn tell(mut stop: watch::Receiver<Stop>, context: &Context<'_>) {
    if stop.wait_for(|stop| *stop != Stop::No).await.is_ok() {
        context.out.note("stopping: what was made is deleted first (Ctrl-C again to leave it)");
    }
    std::future::pending::<()>().await;
}

/// What is asked for, if it can be done at all.
fn scene<'s>(context: &Context<'_>, gathered: &'s Gathered, args: &ProbeArgs) -> Result<Scene<'s>, Diagnostic> {
    let known: Vec<String> = gathered.desired.connections.iter().map(|c| c.address.to_string()).collect();
    let connection = gathered.desired.connections.iter().find(|c| c.address.to_string() == args.address);
    let Some(connection) = connection else {
        let near = crate::suggest::nearest(&args.address, known.iter().map(String::as_str));
        let help = near.map_or_else(
            || "name a connection, TARGET/KEY: what is made is like it".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let error = Diagnostic::error(codes::NOT_FOUND, format!("no file declares `{}`", neutral(&args.address)));
        return Err(error.help(help));
    };
    if let Some(path) = args.write.as_ref().filter(|path| files::exists(&context.path(path))) {
        let error = Diagnostic::error(codes::UNREADABLE, format!("`{}` is there already", path.display()));
        return Err(error.help("nothing is overwritten; name another file"));
    }
    let target = connection.address.target();
    let found = gathered.definitions.get(target).and_then(|definition| {
        let kind = definition.kinds.get(&connection.kind)?;
        Some((gathered.project.targets.get(target)?, kind, definition.collections.get(&kind.collection)?))
    });
    let Some((target, kind, collection)) = found else {
        return Err(Diagnostic::error(codes::INTERNAL, format!("`{}` has no rules", connection.address)));
    };
    if matches!(kind.delete, Delete::None) && !args.leave {
        let error = Diagnostic::error(codes::UNDELETABLE, "the API cannot delete what a probe would make");
        return Err(error
            .label(connection.source, format!("the kind `{}` has no delete", connection.kind))
            .help("on an account where one more object does no harm: --leave")
            .about(&connection.address));
    }
    Ok(Scene { target, connection, name: &connection.kind, kind, collection })
}

/// The object that is made. What the connection refers to must be there: nothing else is made for a probe.
fn disposable(
    gathered: &Gathered,
    session: &Session,
    scene: &Scene<'_>,
    args: &ProbeArgs,
    sources: &Sources,
) -> Result<Disposable, Diagnostic> {
    let filling = Filling::new(gathered);
    let declared = |address: &Address| gathered.desired.connections.iter().find(|c| c.address == *address);
    let connection =
        filling.references(sources).fill(scene.connection, scene.kind, |address, reference| match &reference.field {
            None => session.state.record(address).map(|record| Value::String(record.id.clone())),
            Some(path) => declared(address)?.spec.at(path).filter(|value| !value.has_unknown()).cloned(),
        });
    let seed = format!("{:08x}", clock::random());
    Disposable::of(&connection, scene.kind, scene.collection, &seed, args.own_secrets).map_err(|why| {
        let error = Diagnostic::error(codes::NOT_ACCEPTED, format!("nothing can be made like `{}`: {why}", connection.address))
            .label(connection.source, "declared here")
            .about(&connection.address);
        if connection.spec.has_unknown() { error.help("apply what it refers to first") } else { error }
    })
}

fn question(scene: &Scene<'_>, disposable: &Disposable, host: &str) -> String {
    let end = match scene.kind.delete {
        Delete::None => "changed, and stays there: the API cannot delete it",
        Delete::By(_) => "changed and deleted again",
    };
    format!(
        "An object `{}`, like `{}`, is made at {host}, {end}.\nNothing else is touched. Type yes:",
        disposable.name, scene.connection.address
    )
}

/// Host and port of a URL, which has no more that may be shown.
fn host(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str().map(ToOwned::to_owned));
    let port = parsed.and_then(|url| url.port()).map(|port| format!(":{port}")).unwrap_or_default();
    host.map(|host| format!("{host}{port}")).unwrap_or_default()
}

/// Each contradiction at its place in the definition.
fn contradictions(gathered: &Gathered, target: &Target, answers: &[Finding], sources: &mut Sources) -> Diagnostics {
    if answers.iter().all(|finding| finding.verdict != Verdict::Contradicts) {
        return Diagnostics::new();
    }
    let tree = tree(gathered, &target.platform, sources);
    let wrong = answers.iter().filter(|finding| finding.verdict == Verdict::Contradicts);
    let diagnostic = |finding: &Finding| {
        Diagnostic::error(codes::BAD_DEFINITION, format!("{}: {}", finding.question, finding.answer))
            .label_opt(tree.as_ref().map(|root| parse::locate(root, &finding.at, None)), format!("against `{}`", finding.at))
            .help_opt(finding.help.clone())
    };
    wrong.map(diagnostic).collect()
}

/// The text of a platform's definition, for places in it.
fn tree(gathered: &Gathered, platform: &str, sources: &mut Sources) -> Option<Node> {
    let (name, text): (String, Arc<str>) = match gathered.project.platforms.get(platform) {
        Some((path, _)) => (path.clone(), files::read_text(&gathered.dir.join(Path::new(path))).ok()?.into()),
        None => {
            let (name, text) = builtin::every().find(|(name, _)| *name == platform)?;
            (format!("(built in)/{name}.yaml"), text.into())
        }
    };
    let file = sources.add(name, Arc::clone(&text));
    yaml::parse(file, &text).ok().flatten()
}

/// What went wrong with the probe itself.
fn troubles(
    scene: &Scene<'_>,
    lane: &crate::engine::lane::Lane,
    outcome: &Outcome,
    disposable: &Disposable,
    context: &Context<'_>,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    let address = &scene.connection.address;
    let words = |error| explain(lane, scene.target, error, Purpose::Write(&disposable.name), context.redactor).about(address);
    match &outcome.halt {
        Some(Halt::NotMade(error)) => {
            let advice = if disposable.made_up.is_empty() {
                "nothing was made; the connection itself must be one that the API takes"
            } else {
                "nothing was made; if the API tries secrets out, --own-secrets sends those of the connection"
            };
            found.push(words(error).help(advice));
        }
        Some(Halt::Failed(error)) => found.push(words(error)),
        Some(Halt::NotOurs(id)) => found.push(
            Diagnostic::error(
                codes::ALREADY_EXISTS,
                format!("the answer to the create names an object that was there: `{}`", neutral(id)),
            )
            .note("it was not touched after that")
            .help("look at it in the vendor's console: the create may have changed it")
            .about(address),
        ),
        Some(Halt::Stopped(number)) => {
            let name = if *number == 15 { "SIGTERM" } else { "SIGINT" };
            found.push(Diagnostic::error(codes::INTERRUPTED, format!("the probe was interrupted by {name}")));
        }
        None => {}
    }
    if matches!(scene.kind.delete, Delete::None) {
        return found;
    }
    for (id, error) in &outcome.left {
        let summary = format!("the object `{}` of the probe could not be deleted and is there still", neutral(id));
        let error = match error {
            Some(error) => Diagnostic { summary, ..words(error) },
            None => Diagnostic::error(codes::OUTCOME_UNKNOWN, summary).about(address),
        };
        found.push(error.help("delete it in the vendor's console"));
    }
    found
}
