//! What a terminal shows: prompts, the live region, signals, colour. Runs on a pseudo-terminal, whose screen is computed
//! from the bytes that the program wrote.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Project, Ran, Server, stable, story};
use expect_test::expect;
use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Expect as _, Session};

/// A program on a terminal.
struct Terminal {
    session: OsSession,
    bytes: Vec<u8>,
    columns: u16,
}

impl Terminal {
    fn start(project: &Project, columns: u16, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
        command.args(args).current_dir(project.path()).env_clear().envs(project.environment());
        command.env("LANG", "C.UTF-8").env("COLUMNS", columns.to_string());
        if !project.environment().contains_key("TERM") {
            command.env("TERM", "xterm-256color");
        }
        let mut session = Session::spawn(command).unwrap();
        session.get_process_mut().set_window_size(columns, 50).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(30)));
        Self { session, bytes: Vec::new(), columns }
    }

    /// Reads until a text has been printed.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let found = self.session.expect(text).unwrap_or_else(|e| panic!("{text}: {e}\n{}", self.text()));
        self.bytes.extend_from_slice(found.before());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn say(&mut self, text: &str) {
        self.session.write_all(text.as_bytes()).unwrap();
        self.session.flush().unwrap();
    }

    /// Waits for the end; returns the exit code.
    fn end(&mut self) -> i32 {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            match self.session.read(&mut buffer) {
                // A terminal whose program is gone is an error to read from.
                Ok(0) | Err(_) => break,
                Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end: {}", self.text());
        }
        match self.session.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// What is on the screen, without empty lines at its end.
    fn screen(&self) -> String {
        let mut parser = vt100::Parser::new(400, self.columns, 0);
        parser.process(&self.bytes);
        stable(parser.screen().contents().trim_end())
    }
}

fn terminal(project: &Project, columns: u16, args: &[&str]) -> (i32, Terminal) {
    let mut terminal = Terminal::start(project, columns, args);
    let code = terminal.end();
    (code, terminal)
}

#[test]
fn only_yes_is_yes() {
    let server = Server::start();
    let project = story::fresh(&server);
    for answer in ["y\n", "Y\n", "yes please\n", "no\n", "\n", "\u{4}", "\u{3}"] {
        let mut terminal = Terminal::start(&project, 80, &["apply"]);
        terminal.until("Apply 6 changes to kore, gateway? Type yes:");
        terminal.say(answer);
        assert_eq!(terminal.end(), 0, "{answer:?}: {}", terminal.text());
        assert!(terminal.text().contains("Not applied. Nothing was changed."), "{answer:?}: {}", terminal.text());
    }
    assert!(server.writes().is_empty());
    let mut terminal = Terminal::start(&project, 80, &["apply"]);
    terminal.until("Type yes:");
    terminal.say("yes\n");
    assert_eq!(terminal.end(), 0, "{}", terminal.text());
    assert!(terminal.screen().contains("Applied: 6 created."), "{}", terminal.screen());
}

#[test]
fn the_question_names_what_cannot_be_undone() {
    let server = Server::start();
    let project = story::morning_after(&server);
    let mut terminal = Terminal::start(&project, 80, &["apply", "--skip-blocked"]);
    terminal.until("This deletes gateway/legacy. There is no undo. Type yes:");
    terminal.say("y\n");
    assert_eq!(terminal.end(), 0);
    let text = terminal.text();
    assert!(text.contains("Only `yes` goes on.") && text.contains("Not applied. Nothing was changed."), "{text}");
}

#[test]
fn a_probe_says_what_it_makes_before_it_makes_it() {
    let server = Server::start();
    let project = story::fresh(&server);
    for (answer, writes) in [("no\n", false), ("yes\n", true)] {
        let mut terminal = Terminal::start(&project, 80, &["platform", "probe", "gateway/mistral"]);
        terminal.until("like `gateway/mistral`, is made at 127.0.0.1:");
        terminal.until("Nothing else is touched. Type yes:");
        assert!(server.writes().is_empty());
        terminal.say(answer);
        assert_eq!(terminal.end(), 0, "{}", terminal.text());
        assert_eq!(!server.writes().is_empty(), writes);
    }
}

#[test]
fn nobody_is_asked_where_nobody_is() {
    let server = Server::start();
    let project = story::fresh(&server);
    // Not a terminal.
    assert_eq!(project.run(&["apply"]).code, 4);
    // A terminal, and a word against asking.
    let (code, shown) = terminal(&project, 80, &["apply", "--no-input"]);
    assert!(code == 4 && shown.text().contains("PB0504"), "{}", shown.text());
    for variable in ["CI", "PATCHBAY_NO_INPUT"] {
        let project = story::fresh(&server).with(variable, "1");
        let (code, shown) = terminal(&project, 80, &["apply"]);
        assert!(code == 4 && shown.text().contains("PB0504"), "{variable}: {}", shown.text());
    }
    assert!(server.writes().is_empty());
}

#[test]
fn what_is_waited_for_stands_there_until_it_comes() {
    let server = Server::start();
    server.fault("GET /connections delay=2000 times=1");
    let project = Project::kore(&server.url(), "connections: {}\n");
    project.write("connections/all.yaml", "connections:\n  a: { target: kore, kind: openai, spec: { connectionName: A, model: m, fields: { API_KEY: \"${{ env.K }}\" } } }\n");
    let project = project.with("K", "sk-terminal-000000");
    let mut terminal = Terminal::start(&project, 80, &["plan"]);
    terminal.until("kore: reading the list");
    // The answer takes two seconds, and nothing takes the line away before.
    terminal.session.set_expect_timeout(Some(Duration::from_millis(500)));
    assert!(terminal.session.expect("\u{1b}[J").is_err(), "{}", terminal.text());
    assert_eq!(terminal.end(), 0, "{}", terminal.text());
    assert!(!terminal.screen().contains("reading the list"), "{}", terminal.screen());
}

#[test]
fn what_is_finished_scrolls_and_what_runs_is_drawn_over() {
    let server = Server::start();
    server.fault("POST * delay=250");
    let project = story::fresh(&server).with("NO_COLOR", "1");
    let (code, shown) = terminal(&project, 80, &["apply", "--yes", "--parallelism", "1"]);
    assert_eq!(code, 0, "{}", shown.text());
    // While it ran, somebody saw this.
    let text = shown.text();
    assert!(text.contains("creating") && text.contains("/6   ") && text.contains("Ctrl-C finishes what is running"), "{text}");
    // And this is what stays.
    let screen = shown.screen();
    let end = &screen[screen.find("Plan: ").unwrap()..];
    let mut lines: Vec<&str> = end.lines().collect();
    lines[1..7].sort_unstable();
    expect![[r#"
        Plan: 6 to create.   2 requests, TIME
          ✓ created   gateway/legacy    TIME   legacy
          ✓ created   gateway/mistral   TIME   mistral
          ✓ created   gateway/openai    TIME   openai
          ✓ created   kore/azure        TIME   cn-…
          ✓ created   kore/groq         TIME   cn-…
          ✓ created   kore/support      TIME   cn-…
        Applied: 6 created.   12 requests, TIME
        State saved: patchbay.state
    "#]]
    .assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn there_is_no_region_where_it_would_be_noise() {
    let server = Server::start();
    server.fault("POST * delay=30");
    for (variable, value, args) in [
        ("CI", "true", &["apply", "--yes"][..]),
        ("TERM", "dumb", &["apply", "--yes"]),
        ("PATCHBAY_NO_PROGRESS", "1", &["apply", "--yes"]),
        ("X", "1", &["apply", "--yes", "--no-progress"]),
    ] {
        let project = story::fresh(&server).with(variable, value);
        let (code, shown) = terminal(&project, 80, args);
        assert_eq!(code, 0, "{variable}: {}", shown.text());
        assert!(!shown.text().contains("\u{1b}[J") && shown.text().contains("kore/support: creating"), "{}", shown.text());
        server.edit(|store| *store = patchbay::sandbox::Store::default());
    }
    let project = story::fresh(&server);
    let (_, shown) = terminal(&project, 80, &["apply", "--yes", "-q"]);
    assert!(!shown.text().contains("\u{1b}[J") && !shown.text().contains("creating"), "{}", shown.text());
}

#[test]
fn ctrl_c_once_finishes_and_twice_abandons() {
    let server = Server::start();
    server.fault("POST /connections delay=400");
    let project = story::fresh(&server);
    let mut once = Terminal::start(&project, 80, &["apply", "--yes", "--parallelism", "1", "--only", "kore"]);
    once.until("creating");
    once.say("\u{3}");
    assert_eq!(once.end(), 130, "{}", once.text());
    let screen = once.screen();
    assert!(screen.contains("stopping: no new operations") && screen.contains("Interrupted. "), "{screen}");
    assert!(!screen.contains("running   "), "the region is gone: {screen}");

    server.clear_faults();
    server.fault("POST /connections delay=60000");
    let mut twice = Terminal::start(&project, 80, &["apply", "--yes", "--timeout", "2m", "--only", "kore"]);
    twice.until("creating");
    twice.say("\u{3}");
    twice.until("stopping");
    twice.say("\u{3}");
    assert_eq!(twice.end(), 130, "{}", twice.text());
    assert!(twice.screen().contains("PB0701"), "{}", twice.screen());
}

#[test]
fn a_plan_fits_from_60_to_160_columns() {
    let server = Server::start();
    let project = story::morning_after(&server).with("NO_COLOR", "1");
    for columns in [60, 80, 100, 120, 160] {
        for ascii in [false, true] {
            let project = if ascii {
                story::fresh(&Server::start()).with("PATCHBAY_ASCII", "1").with("NO_COLOR", "1")
            } else {
                story::fresh(&server).with("NO_COLOR", "1")
            };
            let (_, shown) = terminal(&project, columns, &["plan"]);
            let text = shown.screen();
            assert!(!ascii || text.is_ascii(), "{columns}: {text}");
        }
        let (code, shown) = terminal(&project, columns, &["plan"]);
        assert_eq!(code, 4);
        // What the program wrote is what stands there: no line was wrapped by the terminal.
        let written = shown.text();
        let written: Vec<&str> = written.split("\r\n").collect();
        let longest = written.iter().filter(|line| !line.contains('\u{1b}')).map(|line| line.chars().count()).max().unwrap_or(0);
        let is_wide = |line: &&&str| line.chars().count() > usize::from(columns) && !line.contains('\u{1b}');
        // Commands, paths and verdicts are copied and read whole; only they may be wider.
        for line in written.iter().filter(is_wide) {
            let is_whole = ["error: ", "(secret", "`", "lifecycle:"].iter().any(|word| line.contains(word));
            assert!(is_whole, "{columns}: {line}");
        }
        assert!(longest <= 130, "{longest}");
    }
}

/// Does it use colour?
fn is_coloured(text: &str) -> bool {
    text.contains("\u{1b}[3") || text.contains("\u{1b}[9") || text.contains("\u{1b}[1m")
}

#[test]
fn colour_is_decided_once_for_everything() {
    let server = Server::start();
    const PIPE: bool = false;
    const TTY: bool = true;
    let rows: [(bool, &[(&str, &str)], bool); 14] = [
        (PIPE, &[("FORCE_COLOR", "1")], true),
        (PIPE, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
        (PIPE, &[("CLICOLOR_FORCE", "0")], false),
        (PIPE, &[("CLICOLOR_FORCE", "1")], true),
        (PIPE, &[("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")], true),
        (PIPE, &[], false),
        (PIPE, &[("CI", "true")], false),
        (TTY, &[], true),
        (TTY, &[("NO_COLOR", "1")], false),
        (TTY, &[("TERM", "dumb")], false),
        (TTY, &[("NO_COLOR", "")], true),
        (TTY, &[("NO_COLOR", "0")], false),
        (TTY, &[("CLICOLOR", "0")], false),
        (TTY, &[("NO_COLOR", "1"), ("FORCE_COLOR", "1")], false),
    ];
    for (tty, variables, wanted) in rows {
        let mut project = story::fresh(&server);
        project.write("broken.yaml", "connections: [\n");
        for (name, value) in variables {
            project.set(name, value);
        }
        if !variables.iter().any(|(name, _)| *name == "TERM") {
            project.set("TERM", "xterm-256color");
        }
        // clap's help, clap's error, our plan, miette's diagnostic.
        for args in [
            &["plan", "--help"][..],
            &["-h"],
            &["plan", "--nonsense"],
            &["plan"],
            &["validate", "-f", "broken.yaml"],
            &["explain", "PB0103"],
        ] {
            let text = if tty {
                terminal(&project, 100, args).1.text()
            } else {
                let ran = project.run(args);
                ran.stdout + &ran.stderr
            };
            assert_eq!(is_coloured(&text), wanted, "tty: {tty}, {variables:?}, {args:?}:\n{text}");
        }
    }
}

#[test]
fn links_lead_to_pages_and_places_where_a_terminal_knows_links() {
    let server = Server::start();
    let project = story::morning_after(&server).with("TERM", "xterm-kitty");
    let (_, shown) = terminal(&project, 100, &["plan"]);
    let folder = project.path().canonicalize().unwrap();
    let link = format!("\u{1b}]8;;file://{}/connections/kore.yaml\u{1b}\\", folder.display());
    assert!(shown.text().contains(&link), "{:?}", shown.text());
    assert!(shown.screen().contains("connections/kore.yaml:"), "the text is the same");
    let (_, shown) = terminal(&story::morning_after(&Server::start()), 100, &["plan"]);
    assert!(!shown.text().contains("\u{1b}]8;"), "{:?}", shown.text());
}

#[test]
fn a_pipe_that_closes_early_stops_no_apply() {
    let server = Server::start();
    let project = story::fresh(&server);
    // Nobody reads: the pipe is closed before the program writes.
    for args in [&["plan"][..], &["apply", "--yes"], &["plan", "--json"], &["drift"], &["apply", "--yes", "--format", "jsonl"]] {
        let mut child = project.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
    project.assert_empty_plan();
    let mut child = project.command(&["plan", "--json"]).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!((first[0], ran.code, ran.stderr.as_str()), (b'{', 0, ""));
}

#[test]
fn screen_readers_get_sentences() {
    let project =
        Project::kore("sandbox:", "connections:\n  a: { target: kroe, kind: openai, spec: {} }\n").with("NO_GRAPHICS", "1");
    let (code, shown) = terminal(&project, 100, &["validate"]);
    let text = shown.screen();
    assert!(code == 1 && text.contains("Diagnostic severity: error") && !text.contains('╭'), "{text}");
}
