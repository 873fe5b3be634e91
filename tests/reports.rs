//! `--report`: what each format's readers get. Snapshots of the texts, and each held against its readers' own grammar.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server, reported, stable, story};
use expect_test::{Expect, expect};

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
            <!-- patchbay:plan:. -->
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
            patchbay_connections{project="acme-llm",target="gateway",action="delete"} 1
            patchbay_connections{project="acme-llm",target="gateway",action="rotate"} 2
            patchbay_connections{project="acme-llm",target="kore",action="blocked"} 1
            patchbay_connections{project="acme-llm",target="kore",action="rotate"} 1
            patchbay_connections{project="acme-llm",target="kore",action="update"} 1
            # HELP patchbay_last_run_success Did the last run do its work?
            # TYPE patchbay_last_run_success gauge
            patchbay_last_run_success{project="acme-llm",command="plan"} 0
            # HELP patchbay_last_run_exit_code The exit code of the last run.
            # TYPE patchbay_last_run_exit_code gauge
            patchbay_last_run_exit_code{project="acme-llm",command="plan"} 4
            # HELP patchbay_last_run_timestamp_seconds When the last run ended, in seconds since 1970.
            # TYPE patchbay_last_run_timestamp_seconds gauge
            patchbay_last_run_timestamp_seconds{project="acme-llm",command="plan"} 0
            # HELP patchbay_last_run_duration_seconds How long the last run took.
            # TYPE patchbay_last_run_duration_seconds gauge
            patchbay_last_run_duration_seconds{project="acme-llm",command="plan"} 0.
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
            ::error file=connections/kore.yaml,line=20,endLine=20,col=52,endColumn=56,title=drift kore/groq::kore/groq llmFeatures.streaming: false → true%0Ahelp: to put it back: patchbay apply; to accept it: change the files
        "#]],
    );
    let azure = project.read("azure.out").replace(&project.path().canonicalize().unwrap().display().to_string(), "/work");
    project.write("azure.out", &azure);
    check(
        &project,
        "azure.out",
        &expect![[r#"
            ##vso[task.logissue type=error;sourcepath=/work/connections/kore.yaml;linenumber=20;columnnumber=52;code=drift;]kore/groq llmFeatures.streaming: false → true
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
            <!-- patchbay:drift:. -->
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
                "description": "kore/groq llmFeatures.streaming: false → true",
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
            patchbay_connections{project="acme-llm",target="gateway",action="unchanged"} 3
            patchbay_connections{project="acme-llm",target="kore",action="drifted"} 1
            patchbay_connections{project="acme-llm",target="kore",action="unchanged"} 2
            # HELP patchbay_last_run_success Did the last run do its work?
            # TYPE patchbay_last_run_success gauge
            patchbay_last_run_success{project="acme-llm",command="drift"} 1
            # HELP patchbay_last_run_exit_code The exit code of the last run.
            # TYPE patchbay_last_run_exit_code gauge
            patchbay_last_run_exit_code{project="acme-llm",command="drift"} 2
            # HELP patchbay_last_run_timestamp_seconds When the last run ended, in seconds since 1970.
            # TYPE patchbay_last_run_timestamp_seconds gauge
            patchbay_last_run_timestamp_seconds{project="acme-llm",command="drift"} 0
            # HELP patchbay_last_run_duration_seconds How long the last run took.
            # TYPE patchbay_last_run_duration_seconds gauge
            patchbay_last_run_duration_seconds{project="acme-llm",command="drift"} 0.
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
                  <failure type="PB0604" message="the API refused `gateway/legacy`: it clashes with something that exists (409); DELETE http://127.0.0.1:PORT/api/providers/legacy; the API said: &quot;a fault of the sandbox&quot;">│ in no file, and this target has `prune = true`</failure>
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
            <!-- patchbay:apply:. -->
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
            ::error file=connections/all.yaml,line=5,endLine=5,col=32,endColumn=36,title=PB0102 unknown key::kore/a: unknown key `modle` in the OpenAI connection `a`%0Ahelp: did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`
            ::error file=connections/all.yaml,line=5,endLine=5,col=66,endColumn=73,title=PB0201 a variable is not set::kore/a: environment variable `NOPE` is not set%0Ahelp: export NOPE, or put it in a file and pass `--env-file FILE`%0Ato check the files without secrets: `patchbay validate --offline`
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
                  <failure type="PB0102" message="unknown key `modle` in the OpenAI connection `a`">- PB0102 kore/a: unknown key `modle` in the OpenAI connection `a`&#10;- PB0201 kore/a: environment variable `NOPE` is not set</failure>
                </testcase>
              </testsuite>
            </testsuites>
        "#]],
    );
    check(
        &project,
        "markdown.out",
        &expect![[r#"
            <!-- patchbay:validate:. -->
            ### patchbay validate: 2 errors

            - :x: `PB0102` kore/a: unknown key `modle` in the OpenAI connection `a` — `connections/all.yaml:5`<br>help: did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`
            - :x: `PB0201` kore/a: environment variable `NOPE` is not set — `connections/all.yaml:5`<br>help: export NOPE, or put it in a file and pass `--env-file FILE`<br>to check the files without secrets: `patchbay validate --offline`

            | | connection | what |
            |--|--|--|
            | `x` invalid | `kore/a` | PB0102 unknown key `modle` in the OpenAI connection `a` |

            <details open><summary><code>kore/a</code> — invalid</summary>

            ```diff
            - PB0102 kore/a: unknown key `modle` in the OpenAI connection `a`
            - PB0201 kore/a: environment variable `NOPE` is not set
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
                "description": "kore/a: unknown key `modle` in the OpenAI connection `a`",
                "check_name": "PB0102",
                "fingerprint": "3b1ba2c908f8736f2b2d836958af3d4d",
                "severity": "major",
                "location": {
                  "path": "connections/all.yaml",
                  "lines": {
                    "begin": 5
                  }
                }
              },
              {
                "description": "kore/a: environment variable `NOPE` is not set",
                "check_name": "PB0201",
                "fingerprint": "b0e9de2a97da0bd10159c077d568b6bf",
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
    let ran = project.run(&["apply", "--yes", "--report", "junit=patchbay.toml/x.xml"]);
    assert!(ran.code == 1 && ran.flat().contains("the report cannot be written"), "{ran}");
    assert_eq!(server.lines(), Vec::<String>::new(), "nothing was sent");

    // Folders of reports are made.
    assert_eq!(project.run(&["validate", "--report", "junit=out/ci/r.xml"]).code, 0);
    assert!(project.exists("out/ci/r.xml"));

    // For a job's every command: what does not suit one is left out.
    let project = project.with("PATCHBAY_REPORT", "junit=r.xml,html=r.html");
    assert_eq!(project.run(&["validate"]).code, 0);
    assert!(project.exists("r.xml") && !project.exists("r.html"));
    assert_eq!(project.run(&["version"]).code, 0);
    assert_eq!(project.run(&["plan"]).code, 0);
    assert!(project.exists("r.html"));
}

#[test]
fn numbers_of_a_run_that_failed_are_not_written() {
    let server = Server::start();
    let project = Project::kore(&server.url(), "connections: {}\n");
    project.write("tfplan.json", "{\"create\":1,\"update\":0,\"delete\":0}");
    project.write("connections/all.yaml", "connections: [");
    assert_eq!(project.run(&["plan", "--report", "gitlab"]).code, 1);
    assert!(!project.exists("tfplan.json"), "three zeros, or the numbers of an earlier run, would say that all is well");
    project.write("connections/all.yaml", "connections: {}\n");
    assert_eq!(project.run(&["plan", "--report", "gitlab"]).code, 0);
    assert!(project.exists("tfplan.json"));
}

#[test]
fn a_comment_says_the_same_thing_five_times_at_most() {
    let server = Server::start();
    let one = |n: usize| {
        format!(
            "  c{n}: {{ target: kore, kind: openai, spec: {{ connectionName: C{n}, model: m, colour: red, fields: {{ API_KEY: \"${{{{ env.K }}}}\" }} }} }}\n"
        )
    };
    let all: String = (0..8).map(one).collect();
    let project = Project::kore(&server.url(), &format!("connections:\n{all}")).with("K", "sk-reports-000000");
    assert_eq!(project.run(&["validate", "--report", "markdown=c.md"]).code, 1);
    let comment = project.read("c.md");
    assert_eq!(comment.lines().filter(|line| line.starts_with("- :x:")).count(), 5, "{comment}");
    assert!(comment.contains("- … and 3 more of PB0102\n"), "{comment}");
}
