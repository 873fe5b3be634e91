//! A crowd on one state: many real processes work on one project at once, and some of them are killed at any moment. No
//! object is lost and none is made twice; readers never wait and never see damage; and once the crowd is gone, one
//! apply leaves nothing open and nothing behind.
//!
//! By hand and for longer: `STRESS_ROUNDS=50 STRESS_SEED=7 cargo test --test stress`. What is killed when depends on the
//! machine, so a seed repeats the edits and the plan of attack, not the interleaving.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Project, Server};
use patchbay::io::process;
use patchbay::sandbox::Platform;
use patchbay::state::{Entry, Intent};
use serde_json::json;

const STATE: &str = "patchbay.state";
const APPLY: &[&str] = &["apply", "--yes", "--max-deletes", "100%"];

/// What is wanted: keys of connections, and how often each was edited.
type Wanted = BTreeMap<u64, u64>;

fn file(platform: Platform, wanted: &Wanted) -> String {
    let line = |(key, edition): (&u64, &u64)| match platform {
        Platform::Gateway => format!(
            "  c{key}: {{ target: t, kind: provider, spec: {{ name: n{key}, apiKey: \"${{{{ env.K }}}}\", metadata: {{ displayName: Edition {edition}, baseUrl: \"https://p{edition}.example/v1\" }} }} }}\n"
        ),
        _ => format!(
            "  c{key}: {{ target: t, kind: custom, spec: {{ connectionName: N{key}, model: m{edition}, endpointUrl: \"https://llm.example/v1\", headers: [{{ key: Authorization, value: \"Bearer ${{{{ env.K }}}}\" }}], promptVars: [], customVars: [], payload: {{ text: t{edition} }}, outputPath: out, status: DRAFT }} }}\n"
        ),
    };
    let lines: String = wanted.iter().map(line).collect();
    format!("connections:\n{lines}")
}

fn project(platform: Platform, server: &Server, wanted: &Wanted) -> Project {
    let settings = match platform {
        Platform::Gateway => "prune = true\nauth = { token = \"${{ env.ADMIN }}\" }\n",
        _ => "auth = { api_key = \"${{ env.ADMIN }}\" }\n",
    };
    Project::on(platform.as_str(), server, settings, &file(platform, wanted))
        .with("ADMIN", "admin-key-1")
        .with("K", "sk-stress-000000")
}

fn kore(server: &Server, n: u64) -> Project {
    project(Platform::Koreai, server, &(0..n).map(|key| (key, 0)).collect())
}

/// Pseudo-random numbers: SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Never: it ends by itself.
    Natural,
    /// Once the server has seen so many requests, whoever sent them.
    Request(u64),
    /// Once the state file was seen to change so often: between a write and the next.
    Commit(u64),
    /// Once so many part files were seen beside the state: in the middle of tidying.
    Part(usize),
}

/// What can be seen of a crowd from outside.
struct Watch<'w> {
    project: &'w Project,
    server: &'w Server,
    form: Option<(u64, u64)>,
    commits: u64,
    parts: BTreeSet<OsString>,
}

impl<'w> Watch<'w> {
    fn new(project: &'w Project, server: &'w Server) -> Self {
        Self { project, server, form: None, commits: 0, parts: BTreeSet::new() }
    }

    fn look(&mut self) {
        let form = std::fs::metadata(self.project.path().join(STATE)).ok().map(|m| (m.ino(), m.len()));
        if form != self.form {
            self.form = form;
            self.commits += 1;
        }
        let names = std::fs::read_dir(self.project.path()).unwrap().flatten().map(|entry| entry.file_name());
        self.parts.extend(names.filter(|name| name.as_encoded_bytes().ends_with(b".part")));
    }

    /// A death for a run that starts now.
    fn death(&self, chance: &mut Chance) -> Death {
        match chance.below(6) {
            0 | 1 => Death::Request(self.server.counters().requests + chance.below(30)),
            2 | 3 => Death::Commit(self.commits + 1 + chance.below(25)),
            4 => Death::Part(self.parts.len() + 1),
            _ => Death::Natural,
        }
    }

    fn is_time(&self, death: Death) -> bool {
        match death {
            Death::Natural => false,
            Death::Request(n) => self.server.counters().requests >= n,
            Death::Commit(n) => self.commits >= n,
            Death::Part(n) => self.parts.len() >= n,
        }
    }
}

/// One process. What it says goes to a file, so that no full pipe holds it up.
struct Runner {
    child: Child,
    said: File,
    death: Death,
}

impl Runner {
    fn start(project: &Project, args: &[&str], death: Death) -> Self {
        let said = tempfile::tempfile().unwrap();
        let child = project.command(args).stdout(Stdio::null()).stderr(said.try_clone().unwrap()).spawn().unwrap();
        Self { child, said, death }
    }

    /// Is it over? It is killed if its time has come.
    fn is_over(&mut self, watch: &Watch<'_>) -> bool {
        if self.child.try_wait().unwrap().is_some() {
            return true;
        }
        if watch.is_time(self.death) {
            self.kill();
            return true;
        }
        false
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        let mut said = String::new();
        self.said.rewind().unwrap();
        self.said.read_to_string(&mut said).unwrap();
        Ended { code, said }
    }
}

/// How a process ended; without a code it was killed.
struct Ended {
    code: Option<i32>,
    said: String,
}

impl Ended {
    /// Whatever others do at the same time, a run that is left alone ends in success, or says that somebody else was
    /// faster, and nothing else.
    #[track_caller]
    fn assert_exact(&self, why: &str) {
        let Some(code) = self.code else { return };
        let words = self.said.split(|c: char| !c.is_ascii_alphanumeric());
        let codes: BTreeSet<&str> = words.filter(|word| word.len() == 6 && word.starts_with("PB0")).collect();
        let is_yielding = codes.iter().all(|code| ["PB0305", "PB0405"].contains(code));
        assert!(
            [0, 1, 3, 4].contains(&code) && is_yielding && (code == 0) == codes.is_empty(),
            "{why}: exit {code}\n{}",
            self.said
        );
    }
}

/// Waits for something that can be seen.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("waited in vain until {what}");
}

/// Runs so many applies, a few at a time, and kills some of them.
fn crowd(chance: &mut Chance, project: &Project, server: &Server, runs: usize, at_once: usize) -> Vec<Ended> {
    let mut watch = Watch::new(project, server);
    let (mut running, mut ended): (Vec<Runner>, Vec<Ended>) = (Vec::new(), Vec::new());
    wait_until("the crowd is gone", || {
        watch.look();
        let mut n = 0;
        while n < running.len() {
            if running[n].is_over(&watch) {
                ended.push(running.swap_remove(n).end());
            } else {
                n += 1;
            }
        }
        while running.len() < at_once && running.len() + ended.len() < runs {
            let parallelism = ["1", "2", "4", "8"][usize::from(chance.below(4).to_le_bytes()[0])];
            let args = [APPLY, &["--parallelism", parallelism]].concat();
            running.push(Runner::start(project, &args, watch.death(chance)));
        }
        running.is_empty()
    });
    ended
}

/// Lowers the flag at the end of a crowd, also if that ends in a panic.
struct While<'w>(&'w AtomicBool);

impl Drop for While<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Reads the state all the time while a crowd is at work. Every reading succeeds. Where nothing is deleted, what was once
/// recorded stays recorded, and its revision never falls.
fn watched<T>(project: &Project, is_growing: bool, why: &str, crowd: impl FnOnce() -> T) -> T {
    let goes_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut known: BTreeMap<(String, String), u64> = BTreeMap::new();
            while goes_on.load(Ordering::Relaxed) {
                let (check, code) = project.json(&["state", "check"]);
                assert!(code == 0 && check["damaged"] == false, "{why}: {check:#}");
                let (plan, code) = project.json(&["plan", "--refresh", "none"]);
                assert_eq!(code, 0, "{why}: {plan:#}");
                let (list, code) = project.json(&["state", "list"]);
                assert_eq!(code, 0, "{why}: {list:#}");
                let records = list["records"].as_array().unwrap().iter();
                let now: BTreeMap<(String, String), u64> =
                    records.map(|r| ((r["k"].to_string(), r["id"].to_string()), r["rev"].as_u64().unwrap())).collect();
                for (record, rev) in known.iter().filter(|_| is_growing) {
                    assert!(now.get(record).is_some_and(|now| now >= rev), "{why}: {record:?} was at {rev}, now {now:#?}");
                }
                known = now;
            }
        });
        let at_work = While(&goes_on);
        let result = crowd();
        drop(at_work);
        reader.join().unwrap();
        result
    })
}

/// One apply that nobody disturbs, and then: nothing to do, nothing open, nothing left behind; every live object is
/// recorded, every record is live, and each name is there once.
#[track_caller]
fn assert_settles(platform: Platform, server: &Server, project: &Project, wanted: usize, why: &str) {
    let last = project.run(APPLY);
    assert_eq!(last.code, 0, "{why}: {last}");
    let plan = project.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{why}: {plan}");
    let (check, code) = project.json(&["state", "check"]);
    assert_eq!((code, &check["damaged"], &check["duplicates"]), (0, &json!(false), &json!([])), "{why}: {check:#}");
    assert_eq!(check["open_intents"], json!([]), "no dangling intent, {why}: {check:#}\n{last}");
    let files = project.all_files();
    let left: Vec<_> = files.iter().map(|(path, _)| path).filter(|path| path.extension().is_some_and(|e| e == "part")).collect();
    assert!(left.is_empty(), "{why}: {left:?} are left");

    let objects = server
        .edit(|store| store.list(platform).map(|(id, object)| (platform.natural_key(object), id.to_owned())).collect::<Vec<_>>());
    let names: BTreeSet<&String> = objects.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), objects.len(), "no twin, {why}: {objects:?}");
    assert_eq!(objects.len(), wanted, "{why}: {objects:?}");
    let live: BTreeSet<&str> = objects.iter().map(|(_, id)| id.as_str()).collect();
    let (list, _) = project.json(&["state", "list"]);
    let recorded: BTreeSet<&str> = list["records"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(recorded, live, "no lost object, {why}");
}

/// The status of every request of a method.
fn answers(server: &Server, method: &str) -> Vec<u16> {
    server.requests().iter().filter(|r| r.method == method).map(|r| r.status).collect()
}

/// Names are unique at this API, so a second create shows as a refusal; where they are not, it would be a twin.
#[track_caller]
fn assert_created_once(server: &Server, n: usize, why: &str) {
    assert_eq!(answers(server, "POST"), vec![200; n], "each object is created by exactly one request, {why}");
}

#[test]
fn a_crowd_with_work_of_its_own_lands_all_of_it() {
    const RUNS: u64 = 8;
    const EACH: u64 = 5;
    let server = Server::start();
    server.fault("POST /connections delay=30");
    // Nobody was here before: they also meet at making the key and the state.
    let project = kore(&server, RUNS * EACH);
    let slice = |run: u64| {
        let only = (run * EACH..(run + 1) * EACH).map(|key| format!("--only=t/c{key}"));
        let args = APPLY.iter().chain(&["--parallelism", "1"]).map(|arg| (*arg).to_owned());
        args.chain(only).collect::<Vec<String>>()
    };
    watched(&project, true, "own work", || {
        let start = |run| {
            let args = slice(run);
            Runner::start(&project, &args.iter().map(String::as_str).collect::<Vec<_>>(), Death::Natural)
        };
        let runs: Vec<Runner> = (0..RUNS).map(start).collect();
        for ended in runs.into_iter().map(Runner::end) {
            assert_eq!(ended.code, Some(0), "{}", ended.said);
        }
    });
    let (check, _) = project.json(&["state", "check"]);
    assert_eq!((&check["records"], &check["open_intents"]), (&json!(40), &json!([])), "{check:#}");
    assert_created_once(&server, 40, "own work");
    assert_settles(Platform::Koreai, &server, &project, 40, "own work");
}

#[test]
fn a_crowd_with_the_same_work_does_it_once() {
    const N: usize = 12;
    let server = Server::start();
    server.fault("POST /connections delay=30");
    server.fault("PATCH * delay=30");
    let project = kore(&server, 12);
    let at_once = |why: &str| {
        let runs: Vec<Runner> = (0..6).map(|_| Runner::start(&project, APPLY, Death::Natural)).collect();
        runs.into_iter().map(Runner::end).for_each(|ended| ended.assert_exact(why));
    };
    watched(&project, true, "the same creates", || at_once("the same creates"));
    assert_created_once(&server, N, "the same creates");
    assert_settles(Platform::Koreai, &server, &project, N, "the same creates");

    project.write("connections/all.yaml", &file(Platform::Koreai, &(0..12).map(|key| (key, 1)).collect()));
    watched(&project, true, "the same updates", || at_once("the same updates"));
    assert_settles(Platform::Koreai, &server, &project, N, "the same updates");
    assert_eq!(answers(&server, "PATCH"), [200; N], "each object is changed by exactly one request");
}

#[test]
fn kills_at_any_moment_lose_nothing_and_make_nothing_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (rounds, seed) = (number("STRESS_ROUNDS").unwrap_or(3), number("STRESS_SEED").unwrap_or(20_261_122));
    // Each waits for dead runs' last requests; together they wait once.
    std::thread::scope(|scope| {
        let rigs = [(Platform::Koreai, seed), (Platform::Koreai, seed + 1), (Platform::Gateway, seed)];
        for (platform, seed) in rigs {
            scope.spawn(move || chaos(platform, seed, rounds));
        }
    });
}

fn chaos(platform: Platform, seed: u64, rounds: u64) {
    let server = Server::start();
    // Time for others to come between.
    server.fault("POST * delay=15");
    server.fault("GET * delay=3");
    let mut chance = Chance(seed);
    let mut wanted = Wanted::from([(0, 0)]);
    let mut project = project(platform, &server, &wanted);
    let is_growing = platform == Platform::Koreai;
    // Makes the fingerprint key; whoever dies at that leaves its draft.
    project.run(&["plan"]);
    for round in 0..rounds {
        let why = format!("STRESS_SEED={seed}, round {round} on {}", platform.as_str());
        if !is_growing {
            wanted.retain(|_, _| chance.below(8) > 0);
        }
        for edition in wanted.values_mut() {
            *edition += u64::from(chance.below(4) == 0);
        }
        // No key comes back: a new object is a new name.
        let next = round * 10 + 1;
        wanted.extend((next..next + 3 + chance.below(5)).map(|key| (key, 0)));
        if chance.below(3) == 0 {
            project.set("K", &format!("sk-stress-{:06}", chance.below(1_000_000)));
        }
        project.write("connections/all.yaml", &file(platform, &wanted));

        let ended = watched(&project, is_growing, &why, || crowd(&mut chance, &project, &server, 10, 4));
        ended.iter().for_each(|ended| ended.assert_exact(&why));
        assert_settles(platform, &server, &project, wanted.len(), &why);
        if is_growing {
            assert_created_once(&server, wanted.len(), &why);
        }
    }
}

#[test]
fn a_run_that_dies_while_another_one_plans_is_not_taken_for_settled() {
    let server = Server::start();
    // The first run announces its create, and sends it for good only after the second run has got its list, which is
    // still on its way then. When that list arrives, the first run is dead and its object is there.
    server.fault("POST /connections status=429 retry-after=1 times=1");
    server.fault("POST /connections delay=60000 skip=1 times=1");
    server.fault("GET /connections delay=3000 skip=1 times=1");
    let project = kore(&server, 1);
    let mut first = Runner::start(&project, APPLY, Death::Natural);
    wait_until("the create is announced", || !answers(&server, "POST").is_empty());
    let second = Runner::start(&project, APPLY, Death::Natural);
    wait_until("the object is made", || server.edit(|store| store.count(Platform::Koreai)) == 1);
    first.kill();
    let ended = second.end();
    assert_eq!(answers(&server, "POST"), [429, 200], "the list is older than the death: it proves nothing\n{}", ended.said);
    ended.assert_exact("a death in between");
    server.clear_faults();
    assert_settles(Platform::Koreai, &server, &project, 1, "a death in between");
}

#[test]
fn a_killed_run_that_nobody_has_buried_is_dead() {
    let server = Server::start();
    server.fault("POST /connections status=429 retry-after=30 times=1");
    let project = kore(&server, 1);
    let mut first = Runner::start(&project, APPLY, Death::Natural);
    wait_until("the create is announced", || !answers(&server, "POST").is_empty());
    first.child.kill().unwrap();
    // Its parent does not ask for it, as the first process of a container often does not.
    let stat = format!("/proc/{}/stat", first.child.id());
    wait_until("it is a zombie", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
    assert_settles(Platform::Koreai, &server, &project, 1, "a zombie");
    first.kill();
}

#[test]
fn nothing_rests_on_the_clock_that_wrote_the_state() {
    std::thread::scope(|scope| {
        scope.spawn(|| go_on_after("2099-01-01T00:00:00Z", "f", 4_070_908_800));
        scope.spawn(|| go_on_after("1970-01-01T00:00:00Z", "0", 1));
    });
}

/// A state whose every time is this one, with an interrupted create and an interrupted update, is gone on with.
/// Operations begin with the time, so theirs begin with this digit.
fn go_on_after(at: &str, digit: &str, until: i64) {
    let server = Server::start();
    let project = kore(&server, 3);
    project.apply();
    let op = |n: usize| format!("{}{n:08x}-1", digit.repeat(12));
    let mut lines: Vec<Entry> = Vec::new();
    for (n, line) in project.read(STATE).lines().enumerate() {
        lines.push(match Entry::decode(line).unwrap() {
            Entry::Record(mut record) => {
                record.op = op(n);
                at.clone_into(&mut record.at);
                Entry::Record(record)
            }
            other => other,
        });
    }
    lines.push(Entry::Journal);
    for (n, verb, base) in [(3, "create", 0), (0, "update", 1)] {
        lines.push(Entry::Intent(Intent {
            op: op(100 + n),
            address: format!("t/c{n}").parse().unwrap(),
            verb: verb.to_owned(),
            name: format!("N{n}"),
            base,
            // Another process has its number by now.
            run: format!("{}9", process::this_run()),
            at: at.to_owned(),
            until: Some(until),
            late: false,
            fp: BTreeMap::new(),
            extra: serde_json::Map::new(),
        }));
    }
    let text: String = lines.iter().map(|entry| entry.encode() + "\n").collect();
    project.write(STATE, &text);
    project.write("connections/all.yaml", &file(Platform::Koreai, &Wanted::from([(0, 1), (1, 0), (2, 0), (3, 0)])));

    let ran = project.run(APPLY);
    assert_eq!(ran.code, 0, "{at}: {ran}");
    // How long ago an intent of tomorrow was written nobody knows, so its request may still be on its way.
    assert_eq!(ran.flat().contains("waiting 5.0s"), digit == "f", "{at}: {ran}");
    let (list, _) = project.json(&["state", "list"]);
    let first = &list["records"][0];
    assert_eq!((&first["k"], &first["rev"]), (&json!("t/c0"), &json!(2)), "{at}: {list:#}");
    assert_created_once(&server, 4, at);
    assert_eq!(answers(&server, "PATCH"), [200], "{at}");
    assert_settles(Platform::Koreai, &server, &project, 4, at);
}
