//! Ten thousand connections: validate, first plan, apply, no-op plan, against the sandbox on loopback.
//!
//! `cargo bench` runs it with 10,000; `cargo bench -- 1000` with another number. Medians of five, except for what can
//! be done only once. Memory is the program's own peak.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a program of its own that measures and prints"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Project, Server};

fn main() {
    let count: usize = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(10_000);
    let server = Server::start();
    let mut text = String::from("connections:\n");
    for n in 0..count {
        writeln!(text, "  c{n}:\n    target: kore\n    kind: openai\n    spec:\n      connectionName: Connection {n}\n      model: gpt-4o\n      fields:\n        API_KEY: ${{{{ env.K }}}}").unwrap();
    }
    let bytes = text.len();
    let project = Project::kore(&server.url(), &text).with("K", "sk-bench-0000000000");
    println!("{count} connections, {} kB of YAML", bytes / 1000);
    println!("{:34} {:>9} {:>9} {:>9}  requests", "", "wall", "cpu", "memory");

    row(&project, &server, "validate --offline", &["validate", "--offline"], 5);
    row(&project, &server, "validate", &["validate"], 5);
    row(&project, &server, "plan, nothing there", &["plan", "-qq"], 3);
    row(&project, &server, "apply, all new, 32 in flight", &["apply", "--yes", "-qq", "--parallelism", "32"], 1);
    row(&project, &server, "plan, nothing to do", &["plan", "-qq"], 5);
    row(&project, &server, "plan --refresh full, 32 in flight", &["plan", "-qq", "--refresh", "full", "--parallelism", "32"], 3);
    row(&project, &server, "apply, nothing to do", &["apply", "--yes", "-qq"], 3);
    std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
    row(&project, &server, "plan, state lost, 32 in flight", &["plan", "-qq", "--parallelism", "32"], 1);
}

fn row(project: &Project, server: &Server, name: &str, args: &[&str], times: usize) {
    let mut runs: Vec<(Duration, Duration, u64)> = Vec::new();
    let mut requests = 0;
    for _ in 0..times {
        let before = server.counters().requests;
        runs.push(measure(project, args));
        requests = server.counters().requests - before;
    }
    runs.sort();
    let (wall, cpu, memory) = runs[runs.len() / 2];
    println!("{name:34} {:>7}ms {:>7}ms {:>6}MiB  {requests}", wall.as_millis(), cpu.as_millis(), memory / 1024);
}

/// Wall time, processor time and peak memory in KiB of one run, as the shell's `time` would have them.
fn measure(project: &Project, args: &[&str]) -> (Duration, Duration, u64) {
    let template = project.command(args);
    let mut command = Command::new("/usr/bin/env");
    command.arg0("env").args(["python3", "-c", PROBE]).arg(template.get_program()).args(template.get_args());
    command
        .current_dir(project.path())
        .env_clear()
        .envs(template.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("PATH", std::env::var("PATH").unwrap());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    let numbers: Vec<f64> = line.split(' ').filter_map(|n| n.parse().ok()).collect();
    assert!(output.status.success() && numbers.len() == 4, "{args:?}: {line}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(numbers[3] == 0.0, "{args:?} ended with {}", numbers[3]);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in KiB")]
    let memory = numbers[2] as u64;
    (Duration::from_secs_f64(numbers[0]), Duration::from_secs_f64(numbers[1]), memory)
}

/// Runs a command and prints its wall seconds, processor seconds, peak KiB and exit code.
const PROBE: &str = "import resource,subprocess,sys,time
t=time.time();c=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL).returncode;w=time.time()-t
r=resource.getrusage(resource.RUSAGE_CHILDREN);print(w,r.ru_utime+r.ru_stime,r.ru_maxrss,c)";
