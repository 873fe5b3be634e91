//! `--report`: what each format's readers get. Snapshots of the texts, and each held against its readers' own grammar.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server, stable, story};
use expect_test::{Expect, expect};
use serde_json::Value;

/// The exit code of a command with these reports, each in the file that is called like its format.
#[track_caller]
fn reported(project: &Project, args: &[&str], formats: &[&str]) -> i32 {
    let reports: Vec<String> = formats.iter().map(|format| format!("--report={format}={format}.out")).collect();
    let all: Vec<&str> = args.iter().copied().chain(reports.iter().map(String::as_str)).collect();
    project.run(&all).code
}

#[track_caller]
fn check(project: &Project, file: &str, expected: &Expect) {
    // A folder of chance is the project's name where nothing else is.
    let folder = project.path().file_name().unwrap().to_str().unwrap();
    let text = stable(&project.read(file).replace(folder, "folder"));
    // Spans of time, ULIDs and versions differ from run to run.
    let varies = |line: &str| line.contains("_seconds{") || line.contains("<sub>");
    let text = text.lines().map(|line| {
        let line = if varies(line) { scrubbed(line) } else { line.to_owned() };
        without(&without(&line, "timestamp"), "time")
    });
    expected.assert_eq(&(text.collect::<Vec<_>>().join("\n") + "\n"));
}

/// The value of an attribute is dropped.
fn without(line: &str, attribute: &str) -> String {
    let Some(start) = line.find(&format!(" {attribute}=\"")).map(|at| at + attribute.len() + 3) else { return line.to_owned() };
    let end = start + line[start..].find('"').unwrap();
    format!("{}…{}", &line[..start], &line[end..])
}

/// Digits and capitals in a row → `0`.
fn scrubbed(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        let c = if c.is_ascii_digit() || c.is_ascii_uppercase() { '0' } else { c };
        if !(c == '0' && out.ends_with(['0', '.'])) {
            out.push(c);
        }
    }
    out
}

#[test]
fn a_plan_as_a_comment() {
    let server = Server::start();
    let project = story::morning_after(&server);
    assert_eq!(reported(&project, &["plan"], &["markdown", "prom", "gitlab"]), 4);
    check(
        &project,
        "markdown.out",
        &expect![[r#"
        <!-- patchbay:plan:0:. -->
        ### patchbay plan: 1 update, 3 rotate, **1 delete**, 1 blocked

        - :x: `PB0401` the API cannot change `model` of `kore/azure`: differs from the live value<br>of an existing OpenAI connection, PATCH changes only `fields.API_KEY`; and the API has no DELETE, so it cannot be replaced either — `connections/kore.yaml:9`<br>help: declare it under a new key and name, or keep the live value:<br>azure: lifecycle: { ignore\_changes: \[model\] }

        | | connection | what |
        |--|--|--|
        | `-` delete | `gateway/legacy` | in no file, and this target has `prune = true` |
        | `x` blocked | `kore/azure` | model |
        | `*` rotate | `gateway/openai` | apiKey (secret fp:······ → fp:······) |
        | `*` rotate | `gateway/mistral` | apiKey (secret fp:······ → fp:······) |
        | `*` rotate | `kore/support` | fields.API\_KEY (secret fp:······ → fp:······) |
        | `!` update | `kore/groq` | model, llmFeatures.streaming (drift) |

        <details open><summary><code>gateway/legacy</code> — delete</summary>

        ```diff
        │ in no file, and this target has `prune = true`
        ```
        </details>

        <details open><summary><code>kore/azure</code> — blocked</summary>

        ```diff
        ! model   gpt-4 → gpt-4-turbo   config changed
          2 unchanged fields hidden
        │ of an existing OpenAI connection, PATCH changes only `fields.API_KEY`; and the API has
        │ no DELETE, so it cannot be replaced either
        help: declare it under a new key and name, or keep the live value:
              azure: lifecycle: { ignore_changes: [model] }                                     PB0401
        ```
        </details>

        <details><summary><code>gateway/openai</code> — rotate</summary>

        ```diff
        ! apiKey   (secret fp:······ → fp:······)   from env.OPENAI_API_KEY
        ```
        </details>

        <details><summary><code>gateway/mistral</code> — rotate</summary>

        ```diff
        ! apiKey   (secret fp:······ → fp:······)   from env.OPENAI_API_KEY
        ```
        </details>

        <details><summary><code>kore/support</code> — rotate</summary>

        ```diff
        ! fields.API_KEY   (secret fp:······ → fp:······)   from env.OPENAI_API_KEY
        ```
        </details>

        <details><summary><code>kore/groq</code> — update</summary>

        ```diff
        ! model                              llama3-8b-8192 → llama3-70b-8192   config changed
          headers[key=Authorization].value   (secret, cannot verify: modified outside at STAMP
        ! llmFeatures.streaming              true → false                       drift: changed outside patchbay
          7 unchanged fields hidden
        ```
        </details>

        <sub>state `patchbay.state` · patchbay 0.. · 0 requests · 0 · apply with `patchbay apply`</sub>
    "#]],
    );
    check(
        &project,
        "prom.out",
        &expect![[r##"
        # HELP patchbay_connections Connections by what the last run found or did.
        # TYPE patchbay_connections gauge
        patchbay_connections{target="gateway",action="delete"} 1
        patchbay_connections{target="gateway",action="rotate"} 2
        patchbay_connections{target="kore",action="blocked"} 1
        patchbay_connections{target="kore",action="rotate"} 1
        patchbay_connections{target="kore",action="update"} 1
        # HELP patchbay_last_run_success Did the last run do its work?
        # TYPE patchbay_last_run_success gauge
        patchbay_last_run_success{command="plan"} 0
        # HELP patchbay_last_run_exit_code The exit code of the last run.
        # TYPE patchbay_last_run_exit_code gauge
        patchbay_last_run_exit_code{command="plan"} 4
        # HELP patchbay_last_run_timestamp_seconds When the last run ended, in seconds since 1970.
        # TYPE patchbay_last_run_timestamp_seconds gauge
        patchbay_last_run_timestamp_seconds{command="plan"} 0
        # HELP patchbay_last_run_duration_seconds How long the last run took.
        # TYPE patchbay_last_run_duration_seconds gauge
        patchbay_last_run_duration_seconds{command="plan"} 0.
    "##]],
    );
    check(
        &project,
        "gitlab.out",
        &expect![[r#"
        {
          "create": 0,
          "update": 4,
          "delete": 1
        }
    "#]],
    );
}

#[test]
fn drift_in_ci() {
    let server = Server::start();
    let project = story::fresh(&server);
    project.apply();
    story::drift(&server);
    assert_eq!(reported(&project, &["drift"], &["github", "azure", "junit", "markdown", "codequality", "prom"]), 2);
    check(
        &project,
        "github.out",
        &expect![[r#"
        ::error file=connections/kore.yaml,line=20,endLine=20,col=52,endColumn=56,title=drift kore/groq::llmFeatures.streaming: false → true%0Ahelp: to put it back: patchbay apply; to accept it: change the files
    "#]],
    );
    let azure = project.read("azure.out").replace(&project.path().canonicalize().unwrap().display().to_string(), "/work");
    project.write("azure.out", &azure);
    check(
        &project,
        "azure.out",
        &expect![[r#"
        ##vso[task.logissue type=error;sourcepath=/work/connections/kore.yaml;linenumber=20;columnnumber=52;code=drift;]llmFeatures.streaming: false → true
    "#]],
    );
    check(
        &project,
        "junit.out",
        &expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="patchbay drift" tests="6" failures="1" errors="0" skipped="0" time="…" timestamp="…">
          <testsuite name="gateway" tests="3" failures="0" errors="0" skipped="0" time="…" timestamp="…">
            <testcase name="legacy" classname="gateway" file="connections/legacy.yaml" line="2" time="…"/>
            <testcase name="mistral" classname="gateway" file="connections/gateway.yaml" line="9" time="…"/>
            <testcase name="openai" classname="gateway" file="connections/gateway.yaml" line="2" time="…"/>
          </testsuite>
          <testsuite name="kore" tests="3" failures="1" errors="0" skipped="0" time="…" timestamp="…">
            <testcase name="azure" classname="kore" file="connections/kore.yaml" line="6" time="…"/>
            <testcase name="groq" classname="kore" file="connections/kore.yaml" line="10" time="…">
              <failure type="drift" message="llmFeatures.streaming  false → true">! llmFeatures.streaming  false → true</failure>
            </testcase>
            <testcase name="support" classname="kore" file="connections/kore.yaml" line="2" time="…"/>
          </testsuite>
        </testsuites>
    "#]],
    );
    check(
        &project,
        "markdown.out",
        &expect![[r#"
        <!-- patchbay:drift:0:. -->
        ### patchbay drift: 1 drifted

        | | connection | what |
        |--|--|--|
        | `!` drifted | `kore/groq` | llmFeatures.streaming |

        <details><summary><code>kore/groq</code> — drifted</summary>

        ```diff
        ! llmFeatures.streaming  false → true
        ```
        </details>

        <sub>state `patchbay.state` · patchbay 0.. · 0 requests · 0 · put it back with `patchbay apply`</sub>
    "#]],
    );
    check(
        &project,
        "codequality.out",
        &expect![[r#"
        [
          {
            "description": "llmFeatures.streaming: false → true",
            "check_name": "drift",
            "fingerprint": "b31f1568fbab7e41dd1fc5ef66aa782e",
            "severity": "major",
            "location": {
              "path": "connections/kore.yaml",
              "lines": {
                "begin": 20
              }
            }
          }
        ]
    "#]],
    );
    check(
        &project,
        "prom.out",
        &expect![[r##"
        # HELP patchbay_connections Connections by what the last run found or did.
        # TYPE patchbay_connections gauge
        patchbay_connections{target="gateway",action="unchanged"} 3
        patchbay_connections{target="kore",action="drifted"} 1
        patchbay_connections{target="kore",action="unchanged"} 2
        # HELP patchbay_last_run_success Did the last run do its work?
        # TYPE patchbay_last_run_success gauge
        patchbay_last_run_success{command="drift"} 1
        # HELP patchbay_last_run_exit_code The exit code of the last run.
        # TYPE patchbay_last_run_exit_code gauge
        patchbay_last_run_exit_code{command="drift"} 2
        # HELP patchbay_last_run_timestamp_seconds When the last run ended, in seconds since 1970.
        # TYPE patchbay_last_run_timestamp_seconds gauge
        patchbay_last_run_timestamp_seconds{command="drift"} 0
        # HELP patchbay_last_run_duration_seconds How long the last run took.
        # TYPE patchbay_last_run_duration_seconds gauge
        patchbay_last_run_duration_seconds{command="drift"} 0.
    "##]],
    );
}

#[test]
fn an_apply_that_half_fails() {
    let server = Server::start();
    let project = story::morning_after(&server);
    server.fault("DELETE * status=409 times=9");
    assert_eq!(reported(&project, &["apply", "--yes", "--skip-blocked"], &["junit", "markdown", "github"]), 3);
    check(
        &project,
        "junit.out",
        &expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="patchbay apply" tests="5" failures="1" errors="0" skipped="0" time="…" timestamp="…">
          <testsuite name="gateway" tests="3" failures="1" errors="0" skipped="0" time="…" timestamp="…">
            <testcase name="openai" classname="gateway" file="connections/gateway.yaml" line="2" time="…"/>
            <testcase name="mistral" classname="gateway" file="connections/gateway.yaml" line="9" time="…"/>
            <testcase name="legacy" classname="gateway" time="…">
              <failure type="PB0604" message="the API refused `gateway/legacy`: it clashes with something that exists (409)">│ in no file, and this target has `prune = true`</failure>
            </testcase>
          </testsuite>
          <testsuite name="kore" tests="2" failures="0" errors="0" skipped="0" time="…" timestamp="…">
            <testcase name="support" classname="kore" file="connections/kore.yaml" line="2" time="…"/>
            <testcase name="groq" classname="kore" file="connections/kore.yaml" line="10" time="…"/>
          </testsuite>
        </testsuites>
    "#]],
    );
    check(
        &project,
        "markdown.out",
        &expect![[r#"
        <!-- patchbay:apply:0:. -->
        ### patchbay apply: 4 done, **1 failed**, 1 blocked

        - :x: `PB0604` the API refused `gateway/legacy`: it clashes with something that exists (409)<br>DELETE http://127.0.0.1:PORT/api/providers/legacy<br>the API said: "a fault of the sandbox"<br>help: plan again to see what is there now
        - :warning: `PB0401` the API cannot change `model` of `kore/azure`: differs from the live value<br>of an existing OpenAI connection, PATCH changes only `fields.API_KEY`; and the API has no DELETE, so it cannot be replaced either — `connections/kore.yaml:9`<br>help: declare it under a new key and name, or keep the live value:<br>azure: lifecycle: { ignore\_changes: \[model\] }

        | | connection | what |
        |--|--|--|
        | `x` failed | `gateway/legacy` | PB0604 the API refused `gateway/legacy`: it clashes with something that exists (409) |
        | `*` rotate | `gateway/openai` | rotated |
        | `*` rotate | `gateway/mistral` | rotated |
        | `*` rotate | `kore/support` | rotated |
        | `!` update | `kore/groq` | updated |

        <details open><summary><code>gateway/legacy</code> — failed</summary>

        ```diff
        │ in no file, and this target has `prune = true`
        ```
        </details>

        <details><summary><code>gateway/openai</code> — rotate</summary>

        ```diff
        ! apiKey   (secret fp:······ → fp:······)   from env.OPENAI_API_KEY
        ```
        </details>

        <details><summary><code>gateway/mistral</code> — rotate</summary>

        ```diff
        ! apiKey   (secret fp:······ → fp:······)   from env.OPENAI_API_KEY
        ```
        </details>

        <details><summary><code>kore/support</code> — rotate</summary>

        ```diff
        ! fields.API_KEY   (secret fp:······ → fp:······)   from env.OPENAI_API_KEY
        ```
        </details>

        <details><summary><code>kore/groq</code> — update</summary>

        ```diff
        ! model                              llama3-8b-8192 → llama3-70b-8192   config changed
          headers[key=Authorization].value   (secret, cannot verify: modified outside at STAMP
        ! llmFeatures.streaming              true → false                       drift: changed outside patchbay
          7 unchanged fields hidden
        ```
        </details>

        <sub>state `patchbay.state` · patchbay 0.. · 0 requests · 0.s</sub>
    "#]],
    );
    check(
        &project,
        "github.out",
        &expect![[r#"
        ::error title=PB0604 conflict (409)::the API refused `gateway/legacy`: it clashes with something that exists (409)%0ADELETE http://127.0.0.1:PORT/api/providers/legacy%0Athe API said: "a fault of the sandbox"%0Ahelp: plan again to see what is there now
        ::warning file=connections/kore.yaml,line=9,endLine=9,col=43,endColumn=53,title=PB0401 the API cannot change this field::the API cannot change `model` of `kore/azure`: differs from the live value%0Aof an existing OpenAI connection, PATCH changes only `fields.API_KEY`; and the API has no DELETE, so it cannot be replaced either%0Ahelp: declare it under a new key and name, or keep the live value:%0Aazure: lifecycle: { ignore_changes: [model] }
    "#]],
    );
}

#[test]
fn files_that_are_not_valid() {
    let project = Project::kore(
        "sandbox:",
        "connections:\n  a:\n    target: kore\n    kind: openai\n    spec: { connectionName: n, modle: m, fields: { API_KEY: \"${{ env.NOPE }}\" } }\n",
    );
    assert_eq!(reported(&project, &["validate"], &["github", "junit", "markdown", "codequality"]), 1);
    check(
        &project,
        "github.out",
        &expect![[r#"
        ::error file=connections/all.yaml,line=5,endLine=5,col=13,endColumn=26,title=PB0105 a required key is missing::the OpenAI connection `a` needs a `model`: `model` is missing here%0Ahelp: add a line `model: …`: Model identifier, for example gpt-4o
        ::error file=connections/all.yaml,line=5,endLine=5,col=32,endColumn=36,title=PB0102 unknown key::unknown key `modle` in the OpenAI connection `a`: not a key that patchbay knows here%0Ahelp: did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`
        ::error file=connections/all.yaml,line=5,endLine=5,col=66,endColumn=73,title=PB0201 a variable is not set::environment variable `NOPE` is not set: used here, with no default%0Ahelp: export NOPE, or put it in a file and pass `--env-file FILE`%0Ato check the files without secrets: `patchbay validate --offline`
    "#]],
    );
    check(
        &project,
        "junit.out",
        &expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="patchbay validate" tests="1" failures="1" errors="0" skipped="0" time="…" timestamp="…">
          <testsuite name="kore" tests="1" failures="1" errors="0" skipped="0" time="…" timestamp="…">
            <testcase name="a" classname="kore" file="connections/all.yaml" line="2" time="…">
              <failure type="PB0105" message="the OpenAI connection `a` needs a `model`">- PB0105 the OpenAI connection `a` needs a `model`: `model` is missing here&#10;- PB0102 unknown key `modle` in the OpenAI connection `a`: not a key that patchbay knows here&#10;- PB0201 environment variable `NOPE` is not set: used here, with no default</failure>
            </testcase>
          </testsuite>
        </testsuites>
    "#]],
    );
    check(
        &project,
        "markdown.out",
        &expect![[r#"
        <!-- patchbay:validate::. -->
        ### patchbay validate: 3 errors

        - :x: `PB0105` the OpenAI connection `a` needs a `model`: `model` is missing here — `connections/all.yaml:5`<br>help: add a line `model: …`: Model identifier, for example gpt-4o
        - :x: `PB0102` unknown key `modle` in the OpenAI connection `a`: not a key that patchbay knows here — `connections/all.yaml:5`<br>help: did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`
        - :x: `PB0201` environment variable `NOPE` is not set: used here, with no default — `connections/all.yaml:5`<br>help: export NOPE, or put it in a file and pass `--env-file FILE`<br>to check the files without secrets: `patchbay validate --offline`

        | | connection | what |
        |--|--|--|
        | `x` invalid | `kore/a` | PB0105 the OpenAI connection `a` needs a `model` |

        <details open><summary><code>kore/a</code> — invalid</summary>

        ```diff
        - PB0105 the OpenAI connection `a` needs a `model`: `model` is missing here
        - PB0102 unknown key `modle` in the OpenAI connection `a`: not a key that patchbay knows here
        - PB0201 environment variable `NOPE` is not set: used here, with no default
        ```
        </details>

        <sub>patchbay 0.. · 0.s</sub>
    "#]],
    );
    check(
        &project,
        "codequality.out",
        &expect![[r#"
        [
          {
            "description": "the OpenAI connection `a` needs a `model`: `model` is missing here",
            "check_name": "PB0105",
            "fingerprint": "1d625a85b6685728c9eaa55d531c9bd4",
            "severity": "major",
            "location": {
              "path": "connections/all.yaml",
              "lines": {
                "begin": 5
              }
            }
          },
          {
            "description": "unknown key `modle` in the OpenAI connection `a`: not a key that patchbay knows here",
            "check_name": "PB0102",
            "fingerprint": "c56660676326d176f896c1092cac181d",
            "severity": "major",
            "location": {
              "path": "connections/all.yaml",
              "lines": {
                "begin": 5
              }
            }
          },
          {
            "description": "environment variable `NOPE` is not set: used here, with no default",
            "check_name": "PB0201",
            "fingerprint": "343b1fbcdf12df8cec1fe76ca339ecc1",
            "severity": "major",
            "location": {
              "path": "connections/all.yaml",
              "lines": {
                "begin": 5
              }
            }
          }
        ]
    "#]],
    );
}

#[test]
fn github_gets_a_summary_and_outputs_and_paths_from_the_root() {
    let server = Server::start();
    let project = story::morning_after(&server);
    let root = project.path().parent().unwrap().canonicalize().unwrap();
    let project = project
        .with("GITHUB_WORKSPACE", root.to_str().unwrap())
        .with("GITHUB_STEP_SUMMARY", "summary.md")
        .with("GITHUB_OUTPUT", "output.txt")
        .with("GITHUB_SHA", "0123456789abcdef");
    let ran = project.run(&["plan", "--report", "github", "-q"]);
    assert_eq!(ran.code, 4, "{ran}");
    let folder = project.path().file_name().unwrap().to_str().unwrap();
    let line = ran.stdout.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(line.starts_with(&format!("::error file={folder}/connections/kore.yaml,line=")), "{line}");
    let summary = project.read("summary.md");
    assert!(summary.contains("### patchbay plan: ") && summary.contains("commit `0123456`"), "{summary}");
    assert!(
        summary.starts_with("<!-- patchbay:plan:") && summary.lines().next().unwrap().ends_with(&format!(":{folder} -->")),
        "{summary}"
    );
    assert_eq!(
        project.read("output.txt"),
        "command=plan\nchanges=true\ncreate=0\nupdate=4\ndelete=1\nreplace=0\nblocked=1\ndrift=false\n"
    );
}

#[test]
fn azure_gets_a_summary_file() {
    let server = Server::start();
    let project = story::morning_after(&server);
    let dir = project.path().canonicalize().unwrap();
    let project = project.with("AGENT_TEMPDIRECTORY", dir.to_str().unwrap());
    let ran = project.run(&["plan", "--report", "azure", "-q"]);
    let line = ran.stdout.lines().find(|line| line.contains("uploadsummary")).unwrap();
    assert_eq!(line, format!("##vso[task.uploadsummary]{}/patchbay-plan.md", dir.display()));
    assert!(project.read("patchbay-plan.md").contains("### patchbay plan"));
}

/// An element with its attributes and children.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Self>,
}

/// Parses the XML that we write: no declarations, no CDATA, no comments. Panics on anything that is not well-formed.
fn xml(text: &str) -> Element {
    let body = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    let mut open: Vec<Element> = vec![Element { name: String::new(), attributes: Vec::new(), children: Vec::new() }];
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "a stray bracket in text: {}", &rest[..at]);
        let end = at + rest[at..].find('>').unwrap();
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().unwrap();
            assert_eq!(element.name, name);
            open.last_mut().unwrap().children.push(element);
            continue;
        }
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.to_owned(), attributes: Vec::new(), children: Vec::new() };
        while let Some((key, after)) = attributes.trim_start().split_once("=\"") {
            let (value, after) = after.split_once('"').unwrap();
            assert!(!value.contains('<') && !value.chars().any(char::is_control), "{value:?}");
            element.attributes.push((key.to_owned(), value.to_owned()));
            attributes = after;
        }
        assert!(attributes.trim().is_empty(), "{tag}");
        if is_empty {
            open.last_mut().unwrap().children.push(element);
        } else {
            open.push(element);
        }
    }
    let mut root = open.pop().unwrap();
    assert!(open.is_empty() && root.children.len() == 1);
    root.children.remove(0)
}

/// The common denominator of what CI systems read as JUnit.
fn assert_junit(element: &Element) {
    let (needed, allowed, children): (&[&str], &[&str], &[&str]) = match element.name.as_str() {
        "testsuites" => (&["name", "tests", "failures", "errors", "time"], &["skipped", "timestamp"], &["testsuite"]),
        "testsuite" => (&["name", "tests", "failures", "errors"], &["skipped", "time", "timestamp"], &["testcase"]),
        "testcase" => (&["name", "classname"], &["file", "line", "time"], &["failure", "error", "skipped"]),
        "failure" | "error" => (&["type", "message"], &[], &[]),
        "skipped" => (&["message"], &[], &[]),
        other => panic!("<{other}> is no element of JUnit"),
    };
    let names: Vec<&str> = element.attributes.iter().map(|(name, _)| name.as_str()).collect();
    assert!(needed.iter().all(|name| names.contains(name)), "{element:?}");
    assert!(names.iter().all(|name| needed.contains(name) || allowed.contains(name)), "{element:?}");
    let cases = |e: &Element, kind: &str| e.children.iter().filter(|c| c.children.iter().any(|c| c.name == kind)).count();
    if element.name == "testsuite" {
        let number = |name: &str| element.attributes.iter().find(|(n, _)| n == name).unwrap().1.parse::<usize>().unwrap();
        assert_eq!(number("tests"), element.children.len());
        assert_eq!((number("failures"), number("errors")), (cases(element, "failure"), cases(element, "error")));
    }
    for child in &element.children {
        assert!(children.contains(&child.name.as_str()), "<{}> in <{}>", child.name, element.name);
        assert_junit(child);
    }
}

/// `::command key=value,…::message`, and nothing in it that ends it early.
fn assert_github(line: &str) {
    let rest = line.strip_prefix("::").unwrap_or_else(|| panic!("{line}"));
    let (head, message) = rest.split_once("::").unwrap();
    let (command, properties) = head.split_once(' ').unwrap();
    assert!(["error", "warning", "notice"].contains(&command), "{line}");
    for property in properties.split(',') {
        let (name, value) = property.split_once('=').unwrap_or_else(|| panic!("{line}"));
        assert!(["file", "line", "endLine", "col", "endColumn", "title"].contains(&name), "{line}");
        assert!(!value.contains(':') && !value.is_empty(), "{line}");
    }
    for text in [properties, message] {
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let code = &rest[at + 1..at + 3];
            assert!(["25", "0D", "0A", "3A", "2C"].contains(&code), "{line}");
            rest = &rest[at + 3..];
        }
    }
}

/// The text format of Prometheus: comments, and `name{label="value",…} number`; no timestamps, each metric in one block.
fn assert_prometheus(text: &str) {
    let mut seen: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE"].contains(&kind), "{line}");
            if kind == "HELP" {
                assert!(!seen.contains(&name), "{name} twice");
                seen.push(name);
            }
            continue;
        }
        let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("{line}"));
        assert_eq!(seen.last(), Some(&name), "{line}");
        let (labels, value) = rest.rsplit_once("} ").unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let mut rest = labels;
        while !rest.is_empty() {
            let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(key.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            let bytes = after.as_bytes();
            let end = (0..bytes.len()).find(|n| bytes[*n] == b'"' && (*n == 0 || bytes[n - 1] != b'\\')).unwrap();
            rest = after[end + 1..].trim_start_matches(',');
        }
    }
    assert!(text.ends_with('\n'));
}

/// Names and answers that would break a format that does not look out.
fn hostile(server: &Server) -> Project {
    let name = "``` | @team :: ##vso[task.complete]; <script>alert(1)</script> \\\"%0A::error::x ]]> --> **bold**";
    let connections = format!(
        "connections:\n  bad:\n    target: kore\n    kind: custom-existing\n    spec:\n      connectionName: '{name}'\n      model: |\n        ```\n        ::error::from a value\n        ##vso[task.complete]\n        +++ b\n      endpointUrl: https://x.example\n      mapProvider: openAIModel\n      IOMappings: [textToText]\n"
    );
    Project::kore(&server.url(), &connections)
}

#[test]
fn every_format_stands_hostile_text() {
    let server = Server::start();
    let project = hostile(&server);
    server.fault(
        "POST * status=400 body={\"errors\":[{\"msg\":\"no ``` | @team\\n::error::injected %0A <b>&\\u001b[31m\"}]} times=9",
    );
    let formats = ["markdown", "github", "azure", "gitlab", "codequality", "sarif", "junit", "prom", "json", "jsonl", "html"];
    for args in [&["plan"][..], &["apply", "--yes"]] {
        reported(&project, args, &formats);
        let read = |format: &str| project.read(&format!("{format}.out"));
        assert_junit(&xml(&read("junit")));
        read("github").lines().for_each(assert_github);
        assert_prometheus(&read("prom"));
        for line in read("azure").lines() {
            assert!(line.starts_with("##vso[task.logissue ") || line.starts_with("##vso[task.uploadsummary]"), "{line}");
            assert_eq!(line.matches("##vso[").count(), 1, "{line}");
        }
        for format in ["gitlab", "codequality", "sarif", "json"] {
            assert!(serde_json::from_str::<Value>(&read(format)).is_ok(), "{format}");
        }
        let html = read("html");
        assert!(!html.contains("<script>alert(1)"), "{args:?}");
        for format in formats {
            let text = read(format);
            assert!(!text.contains('\u{1b}'), "{format}: {text}");
        }
        // What looks like a command of a CI system begins no line outside of the fences.
        let markdown = read("markdown");
        let mut fence: Option<String> = None;
        for line in markdown.lines() {
            let ticks: String = line.chars().take_while(|c| *c == '`').collect();
            match &fence {
                Some(open) if line == open => fence = None,
                Some(_) => {}
                None if ticks.len() >= 3 => fence = Some(ticks),
                None => assert!(!line.contains("@team") && !line.contains("<script>"), "{line}"),
            }
        }
        assert_eq!(fence, None, "every fence is closed: {markdown}");
    }
}

#[test]
fn a_comment_keeps_its_budget_with_a_thousand_changes() {
    let server = Server::start();
    let one = |n: usize| {
        format!(
            "  c{n:04}:\n    target: kore\n    kind: custom-existing\n    spec: {{ connectionName: Name {n}, model: m, endpointUrl: \"https://x.example/{n}\", mapProvider: openAIModel, IOMappings: [textToText] }}\n"
        )
    };
    let project = Project::kore(&server.url(), &format!("connections:\n{}", (0..1000).map(one).collect::<String>()));
    assert_eq!(reported(&project, &["plan"], &["markdown", "github"]), 0);
    let text = project.read("markdown.out");
    assert!(text.chars().count() <= 60_000, "{}", text.chars().count());
    assert!(text.contains(" more | ") && text.contains("found no room here"), "{}", &text[text.len() - 400..]);
    assert_eq!(text.matches("<details").count(), text.matches("</details>").count());
    assert_eq!(text.matches("```").count() % 2, 0);
    assert!(text.matches("<details").count() > 50, "half of it is for details");
}

#[test]
fn annotations_are_few_and_the_rest_is_counted() {
    let one = |n: usize| format!("  c{n}:\n    target: kore\n    kind: openai\n    spec: {{ modle: x }}\n");
    let project = Project::kore("sandbox:", &format!("connections:\n{}", (0..9).map(one).collect::<String>()));
    let ran = project.run(&["validate", "--report", "github", "-q"]);
    let lines: Vec<&str> = ran.stdout.lines().filter(|l| l.starts_with("::")).collect();
    lines.iter().for_each(|line| assert_github(line));
    assert_eq!(lines.len(), 10, "{ran}");
    assert!(lines[9].starts_with("::notice title=patchbay validate::and "), "{ran}");
}

#[test]
fn what_cannot_be_reported_is_said_before_the_run() {
    let server = Server::start();
    let project = story::fresh(&server);
    for (args, said) in [
        (&["plan", "--report", "pdf=x"][..], "there is no report format `pdf`"),
        (&["plan", "--report", "html"], "the report `html` needs a file"),
        (&["validate", "--report", "html=x"], "has nothing to say in the format `html`"),
        (&["state", "list", "--report", "junit=x"], "has nothing to say in the format `junit`"),
        (&["plan", "--json", "--report", "github"], "standard output carries JSON already"),
    ] {
        let ran = project.run(args);
        let text = format!("{}{}", ran.stdout, ran.flat());
        assert!(ran.code == 64 && text.contains(said), "{args:?}: {ran}");
    }
    let ran = project.run(&["apply", "--yes", "--report", "junit=no/such/folder/x.xml"]);
    assert!(ran.code == 1 && ran.flat().contains("the report cannot be written"), "{ran}");
    assert_eq!(server.lines(), Vec::<String>::new(), "nothing was sent");

    // For a job's every command: what does not suit one is left out.
    let project = project.with("PATCHBAY_REPORT", "junit=r.xml,html=r.html");
    assert_eq!(project.run(&["validate"]).code, 0);
    assert!(project.exists("r.xml") && !project.exists("r.html"));
    assert_eq!(project.run(&["version"]).code, 0);
    assert_eq!(project.run(&["plan"]).code, 0);
    assert!(project.exists("r.html"));
}

#[test]
fn a_run_that_fails_early_is_reported_too() {
    let mut project = story::fresh(&Server::start());
    project.unset("OPENAI_API_KEY");
    for command in [&["plan"][..], &["apply", "--yes"], &["drift"], &["validate"], &["test"]] {
        assert_eq!(reported(&project, command, &["github", "junit"]), 1, "{command:?}");
        let text = project.read("github.out");
        assert!(text.contains("title=PB0201 a variable is not set::"), "{command:?}: {text}");
        assert_junit(&xml(&project.read("junit.out")));
    }
}

#[test]
fn sarif_is_valid_under_its_published_schema() {
    // The package brings the standard's schema; its place, cargo knows.
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == "serde-sarif").unwrap();
    let dir = std::path::Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(dir.join("src/schema.json")).unwrap()).unwrap();
    // One of its own patterns is no regular expression.
    for object in ["run", "toolComponent"] {
        schema["definitions"][object]["properties"]["language"].as_object_mut().unwrap().remove("pattern");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();

    let server = Server::start();
    let project = story::morning_after(&server);
    let broken = Project::kore("sandbox:", "connections:\n  a: { target: kore, kind: openai, spec: { modle: 1 } }\n");
    for (project, args) in
        [(&project, &["plan"][..]), (&project, &["drift"]), (&project, &["validate"]), (&broken, &["validate"])]
    {
        reported(project, args, &["sarif"]);
        let document: Value = serde_json::from_str(&project.read("sarif.out")).unwrap();
        let errors: Vec<String> = validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{args:?}: {errors:#?}");
        // What GitHub asks for beyond the schema.
        let run = &document["runs"][0];
        for rule in run["tool"]["driver"]["rules"].as_array().unwrap() {
            for text in [&rule["shortDescription"]["text"], &rule["fullDescription"]["text"], &rule["help"]["text"]] {
                assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{rule:#}");
            }
        }
        for result in run["results"].as_array().unwrap() {
            let place = &result["locations"][0]["physicalLocation"];
            assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|uri| !uri.starts_with('/')), "{result:#}");
            assert!(
                result["partialFingerprints"]["primaryLocationLineHash"].is_string() && place["region"]["startLine"].is_u64()
            );
        }
    }
    let drift: Value = {
        reported(&project, &["drift"], &["sarif"]);
        serde_json::from_str(&project.read("sarif.out")).unwrap()
    };
    assert_eq!(drift["runs"][0]["results"][0]["ruleId"], "drift");
    // The finding keeps its fingerprint while its line moves.
    let hash = |project: &Project| {
        reported(project, &["drift"], &["sarif"]);
        let document: Value = serde_json::from_str(&project.read("sarif.out")).unwrap();
        document["runs"][0]["results"][0]["partialFingerprints"].clone()
    };
    let before = hash(&project);
    project.replace("connections/kore.yaml", "connections:", "# a line more\n\nconnections:");
    assert_eq!(hash(&project), before);
}
