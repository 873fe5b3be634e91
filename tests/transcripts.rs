//! What people see, whole: standard output, standard error and exit code of the main screens. `UPDATE_EXPECT=1` renews
//! them; the change is then read like any other.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server};
use expect_test::{Expect, expect};
use patchbay::sandbox::Platform;

const CONNECTIONS: &str = r#"connections:
  support-gpt4o:
    target: kore
    kind: openai
    spec:
      connectionName: Support GPT-4o
      model: gpt-4o
      fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
  groq:
    target: kore
    kind: custom-existing
    spec:
      connectionName: Groq LLaMA
      model: llama3-8b-8192
      endpointUrl: https://api.groq.example/openai/v1/chat/completions
      headers:
        - { key: Authorization, value: "Bearer ${{ env.GROQ_API_KEY }}" }
        - { key: X-Team, value: support }
      mapProvider: openAIModel
      llmFeatures: { toolCalling: true, streaming: false }
      IOMappings: [textToText]
      status: FINALIZED
"#;

fn project(server: &Server) -> Project {
    Project::kore(&server.url(), CONNECTIONS).with("OPENAI_API_KEY", "sk-openai-0000MQAA").with("GROQ_API_KEY", "gsk_0000000000")
}

#[track_caller]
fn check(project: &Project, args: &[&str], expected: &Expect) {
    expected.assert_eq(&project.run(args).transcript());
}

#[test]
fn the_first_plan() {
    let server = Server::start();
    check(
        &project(&server),
        &["plan"],
        &expect![[r#"
        patchbay plan   1 target · 2 connections · patchbay.state

        kore   http://127.0.0.1:PORT/api/public
          + create   kore/support-gpt4o   POST                                        connections/all.yaml:2
              + connectionName   Support GPT-4o
              + model            gpt-4o
              + fields.API_KEY   (secret fp:······)   from env.OPENAI_API_KEY

          + create   kore/groq   POST                                                 connections/all.yaml:9
              + connectionName                     Groq LLaMA
              + model                              llama3-8b-8192
              + endpointUrl                        https://api.groq.example/openai/v1/chat/completions
              + headers[key=Authorization].value   (secret fp:······)   from env.GROQ_API_KEY
              + headers[key=X-Team].value          support
              + mapProvider                        openAIModel
              + llmFeatures.toolCalling            true
              + llmFeatures.streaming              false
              + IOMappings                         ["textToText"]
              + status                             FINALIZED

        Plan: 2 to create.   1 request, TIME
    "#]],
    );
}

#[test]
fn the_first_apply_and_the_second() {
    let server = Server::start();
    let project = project(&server);
    check(
        &project,
        &["apply", "--yes", "--parallelism", "1", "-q"],
        &expect![[r#"
        Applied: 2 created.   4 requests, TIME
        State saved: patchbay.state
    "#]],
    );
    check(
        &project,
        &["plan"],
        &expect![[r#"
        patchbay plan   1 target · 2 connections · patchbay.state
        No changes. 2 connections match the live API.   1 request, TIME
    "#]],
    );
    check(
        &project,
        &["apply", "--yes"],
        &expect![[r#"
        patchbay apply   1 target · 2 connections · patchbay.state
        No changes. 2 connections match the live API.   1 request, TIME
    "#]],
    );
}

#[test]
fn changes_of_every_sort_in_one_plan() {
    let server = Server::start();
    let mut project = project(&server);
    project.apply();
    project.set("OPENAI_API_KEY", "sk-openai-1111ZZZZ");
    project.replace("connections/all.yaml", "value: support", "value: sales");
    server.edit(|store| {
        let id = store.find(Platform::Koreai, "Groq LLaMA").unwrap().to_owned();
        store.update(Platform::Koreai, &id, |o| o["llmFeatures"]["streaming"] = true.into());
        store.touch(Platform::Koreai, &id);
    });
    let text = project.read("connections/all.yaml");
    project.write("connections/all.yaml", &format!("{text}  claude:\n    target: kore\n    kind: anthropic\n    spec:\n      connectionName: Claude\n      model: claude-3-5-haiku\n      fields: {{ API_KEY: \"${{{{ env.OPENAI_API_KEY }}}}\" }}\n"));
    check(
        &project,
        &["plan"],
        &expect![[r#"
            patchbay plan   1 target · 3 connections · patchbay.state

            changed outside patchbay:
              kore/groq   llmFeatures.streaming

            kore   http://127.0.0.1:PORT/api/public
              ↻ rotate   kore/support-gpt4o   PATCH                                       connections/all.yaml:2
                  ↻ fields.API_KEY   (secret fp:······ → fp:······)   from env.OPENAI_API_KEY

              ~ update   kore/groq   PATCH                                                connections/all.yaml:9
                    headers[key=Authorization].value   (secret, cannot verify: modified outside at STAMP
                  ~ headers[key=X-Team].value          support → sales   config changed
                  ~ llmFeatures.streaming              true → false      drift: changed outside patchbay
                    re-sent: headers[key=Authorization].value   this request must carry it
                    8 unchanged fields hidden

              + create   kore/claude   POST                                              connections/all.yaml:23
                  + connectionName   Claude
                  + model            claude-3-5-haiku
                  + fields.API_KEY   (secret fp:······)   from env.OPENAI_API_KEY

            Plan: 1 to create, 1 to update, 1 to rotate.   3 requests, TIME
        "#]],
    );
    check(
        &project,
        &["plan", "-q"],
        &expect![[r#"
        Plan: 1 to create, 1 to update, 1 to rotate.   3 requests, TIME
    "#]],
    );
}

#[test]
fn a_blocked_change() {
    let server = Server::start();
    let project = project(&server);
    project.apply();
    project.replace("connections/all.yaml", "model: gpt-4o", "model: gpt-4o-mini");
    check(
        &project,
        &["plan"],
        &expect![[r#"
        patchbay plan   1 target · 2 connections · patchbay.state

        kore   http://127.0.0.1:PORT/api/public
          ✗ blocked  kore/support-gpt4o                                               connections/all.yaml:2
              ~ model   gpt-4o → gpt-4o-mini   config changed
                2 unchanged fields hidden
              │ of an existing OpenAI connection, PATCH changes only `fields.API_KEY`; and the API has
              │ no DELETE, so it cannot be replaced either
              help: declare it under a new key and name, or keep the live value:
                    support-gpt4o: lifecycle: { ignore_changes: [model] }                             PB0401

        Plan: nothing to apply.
              1 blocked, 1 unchanged.   2 requests, TIME
        ------- stderr -------
        error: 1 connection is blocked; apply will refuse (--skip-blocked applies the rest)
        [exit status: 4]
    "#]],
    );
}

#[test]
fn an_orphan_and_a_lost_state() {
    let server = Server::start();
    let project = project(&server);
    project.apply();
    let text = project.read("connections/all.yaml");
    let (kept, _) = text.split_once("  groq:").unwrap();
    project.write("connections/all.yaml", kept);
    check(
        &project,
        &["plan"],
        &expect![[r#"
        patchbay plan   1 target · 2 connections · patchbay.state

        kore   http://127.0.0.1:PORT/api/public
          ⚠ orphan   kore/groq   in the state and in no file, and the API cannot delete it
              help: declare it again, or delete it in the vendor's console: the next apply then forgets it

        Plan: nothing to apply.
              1 orphan, 1 unchanged.   1 request, TIME
    "#]],
    );
    project.write("connections/all.yaml", &text);
    std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
    check(
        &project,
        &["plan"],
        &expect![[r#"
        patchbay plan   1 target · 2 connections · patchbay.state

        kore   http://127.0.0.1:PORT/api/public
          ← adopt    kore/support-gpt4o   cn-…     connections/all.yaml:2
                fields.API_KEY   (secret, first time recorded)
                2 unchanged fields hidden

          ← adopt    kore/groq   cn-…              connections/all.yaml:9
                headers[key=Authorization].value   (secret, first time recorded)
                10 unchanged fields hidden

        Plan: 2 to adopt.   3 requests, TIME
    "#]],
    );
}

#[test]
fn mistakes_in_the_files() {
    let server = Server::start();
    let project = project(&server);
    project.replace("connections/all.yaml", "mapProvider: openAIModel", "mapProvider: openaiModel");
    project.replace("connections/all.yaml", "model: gpt-4o", "modle: gpt-4o");
    project.replace("connections/all.yaml", "env.GROQ_API_KEY", "env.GROK_API_KEY");
    check(
        &project,
        &["validate"],
        &expect![[r#"
            ------- stderr -------
            PB0102

              × unknown key `modle` in the OpenAI connection `support-gpt4o`
               ╭─[connections/all.yaml:7:7]
             6 │       connectionName: Support GPT-4o
             7 │       modle: ******
               ·       ──┬──
               ·         ╰── not a key that patchbay knows here
             8 │       fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
               ╰────
              help: did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`

            PB0201

              × environment variable `GROK_API_KEY` is not set
                ╭─[connections/all.yaml:17:52]
             16 │       headers:
             17 │         - { key: Authorization, value: "Bearer ${{ env.GROK_API_KEY }}" }
                ·                                                    ────────┬───────
                ·                                                            ╰── used here, with no default
             18 │         - { key: X-Team, value: support }
                ╰────
              help: export GROK_API_KEY, or put it in a file and pass `--env-file FILE`
                    to check the files without secrets: `patchbay validate --offline`

            PB0103

              × `mapProvider` cannot be `openaiModel`
                ╭─[connections/all.yaml:19:20]
             18 │         - { key: X-Team, value: support }
             19 │       mapProvider: openaiModel
                ·                    ─────┬─────
                ·                         ╰── not an accepted value
             20 │       llmFeatures: { toolCalling: true, streaming: false }
                ╰────
              help: did you mean `openAIModel`? accepted: `openAIModel`, `anthropicModel`, `geminiModel`

            error: 3 errors in 1 file
            [exit status: 1]
        "#]],
    );
    check(
        &project,
        &["validate", "--offline"],
        &expect![[r#"
            ------- stderr -------
            PB0102

              × unknown key `modle` in the OpenAI connection `support-gpt4o`
               ╭─[connections/all.yaml:7:7]
             6 │       connectionName: Support GPT-4o
             7 │       modle: ******
               ·       ──┬──
               ·         ╰── not a key that patchbay knows here
             8 │       fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
               ╰────
              help: did you mean `model`? accepted: `connectionName`, `model`, `fields`, `provider`

            PB0103

              × `mapProvider` cannot be `openaiModel`
                ╭─[connections/all.yaml:19:20]
             18 │         - { key: X-Team, value: support }
             19 │       mapProvider: openaiModel
                ·                    ─────┬─────
                ·                         ╰── not an accepted value
             20 │       llmFeatures: { toolCalling: true, streaming: false }
                ╰────
              help: did you mean `openAIModel`? accepted: `openAIModel`, `anthropicModel`, `geminiModel`

            error: 2 errors in 1 file
            [exit status: 1]
        "#]],
    );
}

#[test]
fn an_apply_that_comes_half_way() {
    let server = Server::start();
    server.fault("POST /connections skip=1 status=422 body={\"errors\":[{\"msg\":\"mapProvider is invalid\"}]}");
    check(
        &project(&server),
        &["apply", "--yes", "--parallelism", "1", "-q"],
        &expect![[r#"
            Apply is incomplete: 1 of 2 operations done.   3 requests, TIME
              ✓ done      kore/support-gpt4o
              ✗ failed    kore/groq   PB0605 the API refused `kore/groq` (422)
            What was done is in the state (patchbay.state). Remove the cause and run `patchbay apply` again: it
            does only what is left.
            ------- stderr -------
            PB0605

              × the API refused `kore/groq` (422)
                ╭─[connections/all.yaml:9:3]
              8 │       fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
              9 │   groq:
                ·   ──┬─
                ·     ╰── declared here
             10 │     target: kore
                ╰────
              │ POST http://127.0.0.1:PORT/api/public/connections
              │ the API said: "mapProvider is invalid"
              help: fix what the API complains about and run apply again; nothing was changed by this request
            [exit status: 3]
        "#]],
    );
}

#[test]
fn a_rejected_key() {
    let server = Server::start();
    server.fault("GET /connections status=401 body={\"error\":\"Invalid api key\"}");
    check(
        &project(&server),
        &["plan"],
        &expect![[r#"
        ------- stderr -------
        PB0601

          × `kore` rejected the credentials (401)
           ╭─[patchbay.toml:7:8]
         6 │ base_url = "http://127.0.0.1:PORT/api/public"
         7 │ auth = { api_key = "${{ env.KORE_API_KEY }}" }
           ·        ───────────────────┬───────────────────
           ·                           ╰── the target `kore`
           ╰────
          │ GET http://127.0.0.1:PORT/api/public/connections?limit=1000
          │ the API said: "Invalid api key"
          help: check the credentials of this target, and that they belong to this host
        [exit status: 1]
    "#]],
    );
}

#[test]
fn help_leads_the_way() {
    let project = Project::empty();
    check(
        &project,
        &["-h"],
        &expect![[r#"
            Declare your LLM connections in YAML; see what would change; change exactly that

            Examples:
              patchbay init                  a project that plans against the sandbox
              patchbay plan                  show what would change
              patchbay plan --out plan.json  save it for review; it holds no secret
              patchbay apply plan.json       make exactly that so

            Usage: patchbay [OPTIONS] [COMMAND]

            Start:
              init         Write a project that plans against the sandbox at once
              import       Take live connections into the state; nothing at the API changes
              export       Write live connections as YAML; secrets become placeholders
            Write:
              validate     Check the files, offline: syntax, schema, references, variables
              fmt          Bring connection files into their canonical form; comments stay
            Change:
              plan         Show what would change
              apply        Make it so
              drift        Show what others changed since the last apply; writes nothing
              destroy      Delete everything that patchbay manages on a target
              test         Let the APIs test the connections that exist
            Look:
              show         Show a saved plan, or a connection as declared, recorded and live
              state        Look at the state, revise it by hand, repair its file
              env          Which variables the files need, where, and whether they are set
              graph        The order of operations
              doctor       Check what a run needs: targets, credentials, files, state
              explain      What a code means, with an example that fails and one that works
            Other:
              platform     Check a definition of your own, ask its API about it, draft one
              sandbox      Serve the vendors' APIs on loopback, to try things out
              schema       Print a JSON Schema
              completions  Print the script that completes commands, addresses and targets
              man          Write the manual pages into a folder
              version      Print the version
              help         Explain a command

            Options:
              -C, --chdir <DIR>          Work in this folder: all paths are relative to it
                  --profile <NAME>       Use this profile of patchbay.toml
              -f, --file <PATH>          Read these connection files, folders or globs instead of the project's
                  --only <ADDR|GLOB>     Only these connections and what they depend on: an address, a target or
                                         a glob
                  --exclude <ADDR|GLOB>  Not these connections
                  --json                 Print one JSON document, errors included
                  --format <FORMAT>      What goes to standard output [default: text] [possible values: text,
                                         json, jsonl]
                  --report <FMT[=PATH]>  Write a report: json, jsonl, markdown, github, gitlab, codequality,
                                         azure, sarif, junit, prom, html
                  --color <WHEN>         Colours: auto, always, never [possible values: auto, always, never]
              -q, --quiet...             Print less; twice: nothing but errors
              -v, --verbose...           Print more; twice: every request with its status and time
              -h, --help                 Print help (see more with '--help')
              -V, --version              Print version

            Exit codes: 0 done · 1 error · 2 changes (asked for) · 3 partly applied, unknown
                        4 refused · 64 wrong usage · 70 bug · 130/143 interrupted
                        `patchbay explain exit-codes` says more
        "#]],
    );
    check(
        &project,
        &["diff"],
        &expect![[r#"
            ------- stderr -------
            error: unrecognized subcommand 'diff'

              tip: in patchbay, `diff` is called `plan`

            For more information, try '--help'.
            [exit status: 64]
        "#]],
    );
}
