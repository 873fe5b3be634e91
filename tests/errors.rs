//! The pages of the codes: each failing example fails with its code, each fixed one passes. What a page says in words is
//! read by people; what it shows is run here, as a user would run it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use patchbay::diagnostic::codes;

const BASE: &str = "[targets.kore]\nplatform = \"koreai\"\nbase_url = \"sandbox:\"\n";
/// What pages call the sandbox that they start.
const PORT: &str = "http://127.0.0.1:4010";

/// A section's files and commands.
#[derive(Debug, Default, Clone)]
struct Section {
    files: Vec<(String, String)>,
    commands: Vec<String>,
}

#[derive(Debug)]
struct Page {
    id: String,
    failing: Option<Section>,
    fixed: Option<Section>,
    test: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    codes::ALL
        .iter()
        .map(|(code, _)| {
            let path = root().join("docs/errors").join(format!("{}.md", code.id()));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            page(&code.id(), &text)
        })
        .collect()
}

fn page(id: &str, text: &str) -> Page {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut heading = String::new();
    let mut test = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("## ") {
            heading = name.to_owned();
            sections.entry(heading.clone()).or_default();
        } else if let Some(name) = line.strip_prefix("Test: ") {
            test = Some(name.to_owned());
        } else if line.starts_with("```") {
            let ticks: String = line.chars().take_while(|c| *c == '`').collect();
            let info: Vec<&str> = line[ticks.len()..].split_whitespace().collect();
            let block: Vec<&str> = lines.by_ref().take_while(|l| l.trim_end() != ticks).collect();
            let section = sections.entry(heading.clone()).or_default();
            match info.as_slice() {
                ["console"] => {
                    let command =
                        |l: &&str| l.strip_prefix("$ ").unwrap_or_else(|| panic!("{id}: `{l}` is no command")).to_owned();
                    section.commands.extend(block.iter().filter(|l| !l.trim().is_empty()).map(command));
                }
                [_, path] => section.files.push(((*path).to_owned(), block.join("\n") + "\n")),
                _ => {}
            }
        }
    }
    let runs = |name: &str| sections.get(name).filter(|section| !section.commands.is_empty()).cloned();
    Page { id: id.to_owned(), failing: runs("Failing"), fixed: runs("Fixed"), test }
}

/// How a command ended.
struct Ended {
    command: String,
    code: i32,
    output: String,
}

struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a section in a folder of its own, in one shell.
fn run(id: &str, before: &Section, section: &Section) -> Vec<Ended> {
    let dir = tempfile::tempdir().unwrap();
    let (work, aside) = (dir.path().join("work"), dir.path().join("aside"));
    for folder in [&work, &aside, &dir.path().join("bin"), &dir.path().join("home")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_patchbay"), dir.path().join("bin/patchbay")).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().join("bin").display());
    let shell = |script: &str| {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).current_dir(&work).env_clear();
        command.env("PATH", &path).env("HOME", dir.path().join("home")).env("LANG", "C.UTF-8").stdin(Stdio::null());
        command
    };
    let base = ("patchbay.toml".to_owned(), BASE.to_owned());
    let files: Vec<&(String, String)> = std::iter::once(&base).chain(&before.files).chain(&section.files).collect();
    let mut servers = Vec::new();
    let mut origin = PORT.to_owned();
    let mut commands = Vec::new();
    for command in &section.commands {
        if command.starts_with("patchbay sandbox") && command.ends_with('&') {
            let line = command.trim_end_matches('&').replace("--port 4010", "--port 0");
            let mut child = shell(&format!("exec {line}")).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut first = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
            servers.push(Background(child));
            origin = first.trim().rsplit(' ').next().unwrap().to_owned();
            assert!(origin.starts_with("http://"), "{id}: {first}");
        } else {
            commands.push(command.clone());
        }
    }
    for (name, text) in files {
        let path = work.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace(PORT, &origin)).unwrap();
    }
    let script: String = commands
        .iter()
        .enumerate()
        .map(|(n, command)| {
            let command = command.replace(PORT, &origin);
            format!("{{ {command}\n}} >'{0}/{n}.out' 2>&1; echo $? >'{0}/{n}.code'\n", aside.display())
        })
        .collect();
    let status = shell(&script).status().unwrap();
    assert!(status.success(), "{id}: the shell: {status}");
    commands
        .into_iter()
        .enumerate()
        .map(|(n, command)| Ended {
            command,
            code: std::fs::read_to_string(aside.join(format!("{n}.code"))).unwrap().trim().parse().unwrap(),
            output: String::from_utf8_lossy(&std::fs::read(aside.join(format!("{n}.out"))).unwrap()).into_owned(),
        })
        .collect()
}

fn check(page: &Page) -> Result<(), String> {
    let Some(failing) = &page.failing else {
        let named = page.test.as_deref().ok_or("neither an example nor a test")?;
        if named == "none" {
            return Ok(());
        }
        let (file, function) = named.split_once("::").ok_or("`Test:` names FILE::FUNCTION")?;
        let text = std::fs::read_to_string(root().join(file)).map_err(|e| format!("{file}: {e}"))?;
        return if text.contains(&format!("fn {function}(")) { Ok(()) } else { Err(format!("no test {named}")) };
    };
    let ended = run(&page.id, &Section::default(), failing);
    let (last, first) = ended.split_last().ok_or("no command")?;
    for ended in first {
        if ended.code != 0 {
            return Err(format!("failing: `{}` exits {}:\n{}", ended.command, ended.code, ended.output));
        }
    }
    if !last.output.contains(&page.id) {
        return Err(format!("failing: `{}` exits {} without the code:\n{}", last.command, last.code, last.output));
    }
    let fixed = page.fixed.as_ref().ok_or("a failing example and none that is fixed")?;
    for ended in run(&page.id, failing, fixed) {
        if ended.code != 0 || ended.output.contains(&page.id) {
            return Err(format!("fixed: `{}` exits {}:\n{}", ended.command, ended.code, ended.output));
        }
    }
    Ok(())
}

#[test]
fn what_the_pages_show_is_true() {
    let pages = pages();
    let queue = std::sync::Mutex::new(pages.iter());
    let wrong = std::sync::Mutex::new(Vec::new());
    // Some wait for time-outs; together they wait once.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let Some(page) = queue.lock().unwrap().next() else { return };
                    if let Err(why) = check(page) {
                        wrong.lock().unwrap().push(format!("{}: {why}", page.id));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn few_codes_go_without_an_example() {
    let without: Vec<String> = pages().into_iter().filter(|page| page.failing.is_none()).map(|page| page.id).collect();
    assert_eq!(without, ["PB0307", "PB0704", "PB0901"]);
}

#[test]
fn explain_tells_the_page_without_a_project() {
    let project = common::Project::empty();
    let ran = project.run(&["explain", "pb0103"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
    assert!(ran.stdout.starts_with("PB0103: not an accepted value\n"), "{ran}");
    assert!(ran.stdout.contains("    $ patchbay validate --offline\n"), "{ran}");
    let (document, code) = project.json(&["explain", "103"]);
    assert_eq!((document["code"].as_str(), code), (Some("PB0103"), 0));
    let ran = project.run(&["explain", "PB0183"]);
    assert_eq!(ran.code, 1, "{ran}");
    let ran = project.run(&["explain", "--list"]);
    assert!(ran.stdout.lines().count() > 60 && ran.stdout.starts_with("exit-codes"), "{ran}");
    assert_eq!(project.run(&["explain"]).code, 64);
}
