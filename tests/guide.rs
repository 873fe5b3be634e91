//! The guide that builds a definition from nothing is run as it stands: its files are written, its commands are called, and
//! what they print is what the page shows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::Project;

const PAGE: &str = include_str!("../docs/guide/your-own-api.md");

/// The fenced blocks of a page: what stands behind the fence, and the text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut all = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix("```") {
            let body: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            all.push((head, body));
        }
    }
    all
}

/// Without what is new in every run: fingerprints and times.
fn steady(text: &str) -> String {
    let mut out = String::new();
    for line in text.trim_end().lines() {
        let mut line = line.trim_end().to_owned();
        if let Some(at) = line.find("fp:") {
            line.replace_range(at + 3..at + 9, "······");
        }
        if let Some((head, tail)) = line.rsplit_once(", ")
            && tail.ends_with('s')
            && tail.starts_with(|c: char| c.is_ascii_digit())
        {
            line = format!("{head}, …");
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[test]
fn your_own_api() {
    let project = Project::empty().with("VENDOR_KEY", "sk-vendor-0123456789");
    let mut commands = 0;
    for (head, body) in blocks(PAGE) {
        match head.split_once(' ') {
            Some(("yaml" | "toml", file)) => project.write(file, &body),
            _ if head == "console" => {
                let (command, expected) = body.split_once('\n').unwrap();
                let args: Vec<&str> = command.strip_prefix("$ patchbay ").unwrap().split(' ').collect();
                let ran = project.run(&args);
                assert_eq!(steady(&ran.stdout), steady(expected), "{command}: {ran}");
                commands += 1;
            }
            // For a checkout, and for an account.
            _ => assert_eq!(head, "sh", "{body}"),
        }
    }
    assert_eq!(commands, 4);
}
