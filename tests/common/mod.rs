//! What the tests of the whole program share: a project in a folder of its own, the program as a process, a sandbox.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "every test binary uses another part of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests touch files and processes")]

pub mod story;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use patchbay::sandbox::{self, Options, Sandbox};
use serde_json::Value;

/// A project in a folder of its own.
pub struct Project {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

/// How a run of the program ended.
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Project {
    /// An empty folder.
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: BTreeMap::new() }
    }

    /// A project with one Kore.ai target `kore` at this base URL and these connections.
    pub fn kore(base_url: &str, connections: &str) -> Self {
        let project = Self::empty();
        project.write(
            "patchbay.toml",
            &format!("[project]\nname = \"test\"\n\n[targets.kore]\nplatform = \"koreai\"\nbase_url = \"{base_url}\"\nauth = {{ api_key = \"${{{{ env.KORE_API_KEY }}}}\" }}\n"),
        );
        project.write("connections/all.yaml", connections);
        project.with("KORE_API_KEY", "kore-admin-key-1")
    }

    /// A project with one target `t` of a platform, these lines in its table, and these connections.
    pub fn on(platform: &str, server: &Server, settings: &str, connections: &str) -> Self {
        let project = Self::empty();
        let url = server.base_url(platform).unwrap();
        project.write(
            "patchbay.toml",
            &format!("[project]\nname = \"test\"\n\n[targets.t]\nplatform = \"{platform}\"\nbase_url = \"{url}\"\n{settings}\n"),
        );
        project.write("connections/all.yaml", connections);
        project
    }

    /// With a variable in the environment of every run.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The variables of every run.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Changes the environment of later runs.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a variable away.
    pub fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file below the folder.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path().join(path).exists()
    }

    /// Replaces a text in a file; it must be there.
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} does not contain {from}");
        self.write(path, &text.replace(from, to));
    }

    /// The program with these arguments, in this folder, with this environment and no other.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
        command.args(args).current_dir(self.path()).env_clear().envs(&self.env).env("LANG", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Runs it with something on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::of(&child.wait_with_output().unwrap())
    }

    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// Runs a command with `--json`; returns its document and exit code.
    pub fn json(&self, args: &[&str]) -> (Value, i32) {
        let ran = self.run(&[args, &["--json"]].concat());
        let document =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}\n{}\n{}", ran.stdout, ran.stderr));
        (document, ran.code)
    }

    /// The planned actions, `address action`, without what is unchanged.
    pub fn planned(&self) -> Vec<String> {
        actions(&self.json(&["plan"]).0)
    }

    /// Plans and asserts that there is nothing to do.
    #[track_caller]
    pub fn assert_empty_plan(&self) {
        let ran = self.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(ran.code, 0, "{ran}");
        assert!(ran.stdout.contains("No changes."), "{ran}");
    }

    /// Applies and asserts success.
    #[track_caller]
    pub fn apply(&self) -> Ran {
        let ran = self.run(&["apply", "--yes"]);
        assert_eq!(ran.code, 0, "{ran}");
        ran
    }

    /// Every file below the folder with its bytes.
    pub fn all_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    all.push((path.clone(), std::fs::read(path).unwrap()));
                }
            }
        }
        all
    }
}

/// `address action` of every planned change.
pub fn actions(document: &Value) -> Vec<String> {
    let changes = document["resource_changes"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    changes.iter().map(|c| format!("{} {}", word(&c["address"]), word(&c["patchbay"]["action"]))).collect()
}

/// The codes of a document's diagnostics.
pub fn codes(document: &Value) -> Vec<String> {
    let found = document["diagnostics"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    found.iter().map(|d| d["code"].as_str().unwrap_or_default().to_owned()).collect()
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Standard error as one line: what was wrapped is whole again.
    pub fn flat(&self) -> String {
        self.stderr.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The whole run in one text; durations, ids and ports are made stable.
    pub fn transcript(&self) -> String {
        let mut text = self.stdout.clone();
        if !self.stderr.is_empty() {
            text.push_str("------- stderr -------\n");
            text.push_str(&self.stderr);
        }
        if self.code != 0 {
            text.push_str(&format!("[exit status: {}]\n", self.code));
        }
        stable(&text)
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Replaces what differs from run to run: durations, fingerprints, ids, ports, white space at line ends.
pub fn stable(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.trim_end().to_owned();
        for (mark, allowed, put) in [
            ("fp:", "0123456789abcdef", "fp:······"),
            ("cn-", "0123456789abcdef-", "cn-…"),
            ("127.0.0.1:", "0123456789", "127.0.0.1:PORT"),
        ] {
            let mut from = 0;
            while let Some(at) = line[from..].find(mark).map(|n| n + from) {
                let end = line[at + mark.len()..].find(|c| !allowed.contains(c)).map_or(line.len(), |n| at + mark.len() + n);
                line.replace_range(at..end, put);
                from = at + put.len();
            }
        }
        let words: Vec<String> = line
            .split(' ')
            .map(|word| match word {
                word if is_duration(word) => "TIME".to_owned(),
                word if is_stamp(word) => "STAMP".to_owned(),
                word => word.to_owned(),
            })
            .collect();
        out.push_str(&words.join(" "));
        out.push('\n');
    }
    out
}

/// `2026-11-22T01:18:03.331Z`
fn is_stamp(word: &str) -> bool {
    let word = word.trim_end_matches([')', ',']);
    word.len() >= 20 && word.starts_with("20") && word.ends_with('Z') && word.as_bytes().get(10) == Some(&b'T')
}

fn is_duration(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ')', ',']);
    let number = word.strip_suffix("ms").or_else(|| word.strip_suffix('s')).unwrap_or("");
    !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// A sandbox that runs beside the test, on a thread of its own.
pub struct Server {
    sandbox: Option<Sandbox>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// As the vendors document themselves.
    pub fn start() -> Self {
        Self::with(Options::in_memory())
    }

    /// With one quirk, `read_back=top-level`.
    pub fn quirky(settings: &str) -> Self {
        Self::with(Options { quirks: sandbox::Quirks::from_query(settings).unwrap(), ..Options::in_memory() })
    }

    pub fn with(options: Options) -> Self {
        let (send, receive) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                send.send(sandbox::start(options).await.unwrap()).unwrap();
                drop(stopped.await);
            });
        });
        Self { sandbox: Some(receive.recv().unwrap()), stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        self.base_url("koreai").unwrap()
    }

    /// The writes that arrived since the last look, `METHOD path body`.
    pub fn writes(&self) -> Vec<String> {
        let writes = self
            .requests()
            .into_iter()
            .filter(|r| r.method != "GET")
            .map(|r| stable(&format!("{} {} {}", r.method, r.path, r.body)).trim_end().to_owned())
            .collect();
        self.clear_requests();
        writes
    }

    /// The requests that arrived since the last look, `METHOD path`.
    pub fn lines(&self) -> Vec<String> {
        let lines =
            self.requests().into_iter().map(|r| stable(&format!("{} {}", r.method, r.path)).trim_end().to_owned()).collect();
        self.clear_requests();
        lines
    }

    pub fn fault(&self, fault: &str) {
        self.add_fault(fault.parse().unwrap());
    }
}

impl std::ops::Deref for Server {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        self.sandbox.as_ref().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.sandbox.take();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

/// The exit code of a command with these reports, each in the file that is called like its format.
#[track_caller]
pub fn reported(project: &Project, args: &[&str], formats: &[&str]) -> i32 {
    let reports: Vec<String> = formats.iter().map(|format| format!("--report={format}={format}.out")).collect();
    let all: Vec<&str> = args.iter().copied().chain(reports.iter().map(String::as_str)).collect();
    project.run(&all).code
}
