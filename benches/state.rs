//! What the state costs: creates (an intent and a result each) by group commit on a real disk, with a small and a large
//! state. `cargo bench --bench state`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a program of its own that measures and prints"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use patchbay::address::Address;
use patchbay::io::store::{CommitStats, Committer, LocalStore, RealFs};
use patchbay::state::{Entry, Intent, Record};

const LINEAGE: &str = "01KAHV6Q2M8Z4T0N5R7W9XJ3CD";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, what, path, count] = args.as_slice()
        && what == "fill"
    {
        return fill(Path::new(path), count.parse().unwrap());
    }
    println!("{:34} {:>9} {:>12} {:>8} {:>10} {:>10}", "median of five", "wall", "per create", "syncs", "appended", "state");
    for flight in [1, 8, 64] {
        row(&format!("1,000 creates, {flight} in flight"), 0, 1000, flight);
    }
    for there in [100, 10_000] {
        row(&format!("1,000 creates on {there} records"), there, 1000, 64);
    }
    row("10,000 creates, 64 in flight", 0, 10_000, 64);
}

fn row(name: &str, there: usize, creates: usize, flight: usize) {
    // `cargo bench --bench state -- 'on 100 '` measures that row alone.
    if std::env::args().skip(1).any(|arg| !arg.starts_with('-') && !name.contains(&arg)) {
        return;
    }
    let mut runs = Vec::new();
    for _ in 0..5 {
        // Not in the system's folder for such things: that is often memory, where a sync costs nothing.
        let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| "target".to_owned())).unwrap();
        let path = folder.path().join("s");
        // In a process of its own: what it allocated and freed would otherwise be in the way of what is measured.
        let mut filler = std::process::Command::new(std::env::current_exe().unwrap());
        assert!(filler.arg("fill").arg(&path).arg(there.to_string()).status().unwrap().success());
        let (wall, stats) = run(&path, there, creates, flight);
        runs.push((wall, stats.syncs, stats.bytes, std::fs::metadata(path).unwrap().len()));
    }
    runs.sort_unstable();
    let (wall, syncs, bytes, state) = runs[2];
    println!(
        "{name:34} {:>7}ms {:>9.0} µs {syncs:>8} {:>7} kB {:>7} kB",
        wall.as_millis(),
        wall.as_secs_f64() * 1e6 / f64::from(u32::try_from(creates).unwrap()),
        bytes / 1000,
        state / 1000
    );
}

/// Creates, so many at once; the time until the last of them is durable, without the tidying at the end.
fn run(path: &Path, there: usize, creates: usize, flight: usize) -> (Duration, CommitStats) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut store, ..) = LocalStore::open(path, Arc::new(RealFs), LINEAGE.to_owned(), "B".to_owned()).unwrap();
        store.begin().unwrap();
        let committer = Committer::start(Box::new(store)).unwrap();
        let started = Instant::now();
        stream::iter(there..there + creates)
            .map(|n| {
                let committer = &committer;
                async move {
                    committer.announce(intent(n)).await.unwrap();
                    committer.commit(vec![done(n)]).await.unwrap();
                }
            })
            .buffer_unordered(flight)
            .for_each(|()| async {})
            .await;
        let wall = started.elapsed();
        (wall, committer.finish().await.unwrap().stats)
    })
}

fn fill(path: &Path, count: usize) {
    let (mut store, ..) = LocalStore::open(path, Arc::new(RealFs), LINEAGE.to_owned(), "A".to_owned()).unwrap();
    let records: Vec<Entry> = (0..count).map(|n| Entry::Record(record(n))).collect();
    store.append(&records).unwrap();
    store.finish().unwrap();
}

fn address(n: usize) -> Address {
    format!("kore/connection-{n}").parse().unwrap()
}

fn intent(n: usize) -> Intent {
    Intent {
        op: format!("0192e4b7-{n}"),
        address: address(n),
        verb: "create".to_owned(),
        name: format!("Connection {n}"),
        base: 0,
        run: "B".to_owned(),
        at: "2026-11-22T02:00:00Z".to_owned(),
        until: Some(1_800_000_000),
        late: false,
        fp: BTreeMap::new(),
        extra: serde_json::Map::new(),
    }
}

fn record(n: usize) -> Record {
    Record {
        address: address(n),
        id: format!("cn-6f1c2f0a-0000-4000-8000-{n:012}"),
        rev: 1,
        op: format!("0192e4b7-{n}"),
        kind: "openai".to_owned(),
        name: format!("Connection {n}"),
        host: "https://acme.example/api/public".to_owned(),
        fields: [("connectionName", "1f0d8c52ee4b"), ("model", "b3ac90117d2e")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        stored_as: BTreeMap::new(),
        secrets: BTreeMap::new(),
        seen: Some("2026-11-22T02:00:00.000Z".to_owned()),
        guards: BTreeSet::new(),
        depends_on: BTreeSet::new(),
        at: "2026-11-22T02:00:00Z".to_owned(),
        extra: serde_json::Map::new(),
    }
}

fn done(n: usize) -> Entry {
    let record = record(n);
    Entry::Done { op: record.op.clone(), record: Box::new(record) }
}
