//! `patchbay.toml`: what it says, profiles, state paths, and its mistakes.

use super::super::project::Threshold;
use super::{Case, ENV, OPENAI, Outcome, TOML, assert_lines, check, one, show, with};
use crate::value::Value;

/// One change of the project file a row, with all its diagnostics.
#[track_caller]
fn table(rows: &[(&str, &str, &[&str])]) {
    assert_lines(&check(TOML, &[], ENV), &[], "the file before any change");
    for &(from, to, expected) in rows {
        assert_lines(&check(&with(TOML, from, to), &[], ENV), expected, to);
    }
}

fn run(toml: &str, profile: Option<&str>) -> Outcome {
    Case { toml, profile, ..Case::default() }.run()
}

#[test]
fn what_is_not_said_has_a_default() {
    let project = run(TOML, None).project.unwrap();
    assert_eq!(project.name, "acme");
    assert_eq!(project.connections, ["connections/**/*.yaml"]);
    assert_eq!(project.state_path, "patchbay.state");
    assert_eq!(project.targets.keys().collect::<Vec<_>>(), ["kore", "kore-dev", "own"]);
    let kore = &project.targets["kore"];
    assert_eq!((kore.platform.as_str(), kore.base_url.as_str()), ("koreai", "https://acme.example/api/public"));
    assert_eq!(kore.auth["api_key"].expose(), "kore-secret-1");
    assert_eq!((kore.prune, kore.adopt, kore.allow_http), (false, true, false));
    assert_eq!((kore.parallelism, kore.timeout, kore.list_limit, &kore.ca_file), (None, None, None, &None));
    assert_eq!((project.safety.max_deletes, project.safety.max_updates), (None, None));
    assert_eq!(run("", None).project.unwrap().name, "patchbay");
}

#[test]
fn what_is_said_is_read() {
    let toml = r#"[project]
name = "all"
connections = "one/*.yaml"
[vars]
region = "eu"
[targets.t]
platform = "own"
base_url = "https://${{ var.region }}.example/api//"
auth = { token = "literal" }
parallelism = 3
timeout = 20
list_limit = 50
prune = true
adopt = false
ca_file = "ca.pem"
allow_http = true
[state]
path = "state/all.jsonl"
[safety]
max_deletes = 5
max_updates = "30%"
[platforms.mine]
definition = "platforms/mine.yaml"
"#;
    let outcome = run(toml, None);
    assert_eq!(outcome.lines(), "");
    let project = outcome.project.unwrap();
    assert_eq!((project.name.as_str(), project.state_path.as_str()), ("all", "state/all.jsonl"));
    assert_eq!(project.connections, ["one/*.yaml"]);
    assert_eq!(project.safety.max_deletes, Some(Threshold::Count(5)));
    assert_eq!(project.safety.max_updates, Some(Threshold::Percent(30)));
    let (path, span) = &project.platforms["mine"];
    assert_eq!((path.as_str(), outcome.sources.text(*span)), ("platforms/mine.yaml", "\"platforms/mine.yaml\""));
    let target = &project.targets["t"];
    assert_eq!(target.base_url, "https://eu.example/api");
    assert_eq!(target.auth["token"].expose(), "literal");
    assert_eq!((target.parallelism, target.timeout, target.list_limit), (Some(3), Some(20), Some(50)));
    assert_eq!((target.prune, target.adopt, target.allow_http), (true, false, true));
    assert_eq!(target.ca_file.as_deref(), Some("ca.pem"));
    assert_eq!(outcome.sources.text(target.span), "t");
    assert_eq!(outcome.sources.text(target.platform_span), "\"own\"");
    assert_eq!(target.base_url_span.map(|s| outcome.sources.text(s)), Some("\"https://${{ var.region }}.example/api//\""));
    assert_eq!(target.auth_span.map(|s| outcome.sources.text(s)), Some("{ token = \"literal\" }"));
}

#[test]
fn mistakes_outside_targets() {
    table(&[
        ("name = \"acme\"", "name = ", &["PB0101 error patchbay.toml:2:[..] not valid TOML: [..] | here"]),
        (
            "name = \"acme\"",
            "name = \"acme\"\nname = \"b\"",
            &["PB0107 error patchbay.toml:3:1 this key stands here twice | second time | rename one of the two, or remove it"],
        ),
        (
            "[project]",
            "[projct]",
            &[
                "PB0102 error patchbay.toml:1:2 unknown key `projct` in patchbay.toml | not a key that patchbay knows here | did you mean `project`? accepted: `project`, `targets`, `state`, `safety`, `vars`, `profile`, `platforms`",
            ],
        ),
        (
            "name = \"acme\"",
            "name = 3",
            &["PB0104 error patchbay.toml:2:8 `name` of [project] must be a string | this is a number"],
        ),
        (
            "name = \"acme\"",
            "connections = 3",
            &["PB0104 error patchbay.toml:2:15 `connections` of [project] must be a list of strings | this is a number"],
        ),
        (
            "name = \"acme\"",
            "connections = [\"a.yaml\", 3]",
            &["PB0104 error patchbay.toml:2:26 an item of `connections` must be a string | this is a number"],
        ),
        (
            "[project]",
            "[safety]\nmax_updates = \"130%\"\nmax_deletes = true\n[project]",
            &[
                "PB0104 error patchbay.toml:2:15 `max_updates` must be a number such as 5, or a share such as \"30%\" | this is a string",
                "PB0104 error patchbay.toml:3:15 `max_deletes` must be a number such as 5, or a share such as \"30%\" | this is a boolean",
            ],
        ),
        (
            "[project]",
            "[safety]\nmax_updates = -1\n[project]",
            &[
                "PB0104 error patchbay.toml:2:15 `max_updates` must be a number such as 5, or a share such as \"30%\" | this is a number",
            ],
        ),
        (
            "[project]",
            "[platforms.mine]\n[project]",
            &["PB0105 error patchbay.toml:1:12 [platforms.mine] needs a `definition` | `definition` is missing here"],
        ),
        (
            "[project]",
            "[platforms.mine]\ndefinition = 3\n[project]",
            &["PB0104 error patchbay.toml:2:14 `definition` of [platforms.mine] must be a string | this is a number"],
        ),
    ]);
    assert_lines(
        &check("targets = 3\n", &[], ENV),
        &["PB0104 error patchbay.toml:1:11 `targets` must be a table | this is a number"],
        "no table of targets",
    );
}

#[test]
fn mistakes_in_targets() {
    let platform = "platform = \"koreai\"";
    let base_url = "base_url = \"https://acme.example/api/public\"";
    let auth = "auth = { api_key = \"${{ env.KORE_KEY }}\" }";
    table(&[
        (
            "[targets.kore]",
            "[targets.\"ko re\"]",
            &[
                "PB0115 error patchbay.toml:4:10 `ko re` is not a usable target name: only letters, digits, `.`, `_` and `-` are allowed | this name",
            ],
        ),
        (
            "platform = \"koreai\"\n",
            "",
            &[
                "PB0105 error patchbay.toml:4:10 the target `kore` needs a `platform` | `platform` is missing here | platform = \"koreai\", or the name of one of your own definitions",
            ],
        ),
        (
            base_url,
            "base_ur = \"x\"",
            &[
                "PB0102 error patchbay.toml:6:1 unknown key `base_ur` in the target `kore` | not a key that patchbay knows here | did you mean `base_url`? accepted: `platform`, `base_url`, `auth`, `parallelism`, `timeout`, `list_limit`, `prune`, `adopt`, `ca_file`, `allow_http`, `login_path`",
            ],
        ),
        (base_url, "base_url = 3", &["PB0104 error patchbay.toml:6:12 `base_url` must be a string | this is a number"]),
        (
            base_url,
            "base_url = \"https://${{ env.NOPE }}/\"",
            &[
                "PB0201 error patchbay.toml:6:25 environment variable `NOPE` is not set | used here, with no default | export NOPE, [..]",
            ],
        ),
        (
            base_url,
            "base_url = \"${{ nope }}\"",
            &["PB0207 error patchbay.toml:6:17 this template cannot be rendered: [..] | here | available: [..]"],
        ),
        (
            auth,
            "auth = \"x\"",
            &[
                "PB0104 error patchbay.toml:7:8 `auth` must be a table such as { api_key = \"${{ env.NAME }}\" } | this is a string",
            ],
        ),
        (auth, "auth = { api_key = 3 }", &["PB0104 error patchbay.toml:7:20 `auth.api_key` must be a string | this is a number"]),
        (
            auth,
            "auth = { api_key = \"${{ env.EMPTY }}\" }",
            &[
                "PB0202 error patchbay.toml:7:25 environment variable `EMPTY` is set and empty | used here, with no default | give EMPTY a value, [..]",
            ],
        ),
        (
            platform,
            "platform = \"koreai\"\nparallelism = 0",
            &[
                "PB0104 error patchbay.toml:6:15 `parallelism` of the target `kore` must be a whole number of at least 1 | this is a number",
            ],
        ),
        (
            platform,
            "platform = \"koreai\"\ntimeout = \"30\"",
            &[
                "PB0104 error patchbay.toml:6:11 `timeout` of the target `kore` must be a whole number of at least 1 | this is a string",
            ],
        ),
        (
            platform,
            "platform = \"koreai\"\nprune = \"yes\"\nca_file = 1",
            &[
                "PB0104 error patchbay.toml:6:9 `prune` of the target `kore` must be true or false | this is a string",
                "PB0104 error patchbay.toml:7:11 `ca_file` of the target `kore` must be a string | this is a number",
            ],
        ),
    ]);
}

#[test]
fn a_login_path_is_a_path() {
    let auth = "auth = { api_key = \"${{ env.KORE_KEY }}\" }";
    let at = |path: &str| with(TOML, auth, &format!("{auth}\nlogin_path = \"{path}\""));
    for (path, why) in [
        ("", "it is empty"),
        ("http://evil.example/session", "this is a URL; the host is base_url's"),
        ("//evil.example/session", "two slashes in a row"),
        ("/session?next=1", "no query and no fragment is wanted here"),
        ("/session#x", "no query and no fragment is wanted here"),
        ("/ses sion", "no path has white space or a backslash in it"),
        ("../session", "it leads out of base_url"),
    ] {
        let line = format!(
            "PB0103 error patchbay.toml:8:14 `login_path` of the target `kore` is not a path | {why} | a path below base_url, such as login_path = \"/session\""
        );
        assert_lines(&check(&at(path), &[], ENV), &[line.as_str()], path);
    }
    for (path, read) in [("/session", "/session"), ("session/new", "/session/new")] {
        let project = run(&at(path), None).project.unwrap();
        assert_eq!(project.targets["kore"].login_path.as_deref(), Some(read));
    }
}

#[test]
fn the_troubles_of_a_target_are_its_own() {
    let project = run(&with(TOML, "https://dev.acme.example", "https://${{ env.NOPE }}"), None).project.unwrap();
    let troubles: Vec<(&str, String)> =
        project.troubles.iter().map(|(name, errors)| (name.as_str(), errors[0].code.id())).collect();
    assert_eq!(troubles, [("kore-dev", "PB0201".to_owned())]);
    assert!(run(TOML, None).project.unwrap().troubles.is_empty());
}

#[test]
fn a_target_that_cannot_be_read_is_not_unknown_besides() {
    let toml = with(TOML, "https://acme.example", "https://${{ env.NOPE }}");
    assert_lines(
        &check(&toml, &[("a.yaml", OPENAI)], ENV),
        &["PB0201 error patchbay.toml:6:25 environment variable `NOPE` is not set | [..]"],
        "one mistake, one report",
    );
}

#[test]
fn a_profile_is_merged_key_by_key() {
    let toml = format!(
        "{TOML}\n[profile.staging.targets.kore]\nbase_url = \"https://staging.example/api/public/\"\nprune = true\n[profile.staging.vars]\nstage = \"s\"\n[vars]\nregion = \"eu\"\n"
    );
    let plain = run(&toml, None).project.unwrap();
    assert_eq!(plain.targets["kore"].base_url, "https://acme.example/api/public");
    assert_eq!((plain.targets["kore"].prune, plain.vars.len()), (false, 1));
    let outcome = run(&toml, Some("staging"));
    assert_eq!(outcome.lines(), "");
    let staging = outcome.project.unwrap();
    let kore = &staging.targets["kore"];
    assert_eq!((kore.base_url.as_str(), kore.prune), ("https://staging.example/api/public", true));
    assert_eq!((kore.platform.as_str(), kore.auth["api_key"].expose()), ("koreai", "kore-secret-1"));
    assert_eq!(staging.targets["kore-dev"].base_url, "https://dev.acme.example/api/public");
    assert_eq!(staging.vars.keys().collect::<Vec<_>>(), ["region", "stage"]);
}

#[test]
fn a_profile_has_its_own_state() {
    for (toml, profile, expected) in [
        ("", None, "patchbay.state"),
        ("", Some("s"), "patchbay.s.state"),
        ("[state]\npath = \"db\"", None, "db"),
        ("[state]\npath = \"db\"", Some("s"), "db.s"),
        ("[state]\npath = \"state/db.jsonl\"", Some("s"), "state/db.s.jsonl"),
        ("[state]\npath = \"v1.2/db\"", Some("s"), "v1.2/db.s"),
        ("[profile.s.state]\npath = \"own.state\"", Some("s"), "own.state"),
        ("[state]\npath = \"db\"\n[profile.s.state]\npath = \"own.state\"", None, "db"),
    ] {
        let outcome = run(&format!("{toml}\n[profile.s.vars]\nx = 1\n"), profile);
        assert_eq!(outcome.lines(), "", "{toml}");
        let project = outcome.project.unwrap();
        assert_eq!(project.state_path, expected, "{toml} {profile:?}");
        assert_eq!(project.profiles, ["s"]);
    }
}

#[test]
fn a_state_may_be_at_a_url_and_a_profile_has_its_own() {
    for (toml, profile, expected) in [
        ("[state]\nurl = \"s3://b/p\"", None, "s3://b/p"),
        ("[state]\nurl = \"s3://b/p/\"", Some("s"), "s3://b/p-s"),
        ("[state]\nurl = \"https://h/x?t=1\"", Some("s"), "https://h/x-s?t=1"),
        ("[state]\npath = \"db\"\n[profile.s.state]\nurl = \"gs://b/own\"", Some("s"), "gs://b/own"),
    ] {
        let outcome = run(&format!("{toml}\n[profile.s.vars]\nx = 1\n"), profile);
        assert_eq!(outcome.lines(), "", "{toml}");
        assert_eq!(outcome.project.unwrap().state_url.map(|(url, _)| url).as_deref(), Some(expected), "{toml} {profile:?}");
    }
    let both = run("[state]\npath = \"db\"\nurl = \"s3://b/p\"\n", None);
    assert!(both.lines().contains("PB0103") && both.lines().contains("not in both"), "{}", both.lines());
}

#[test]
fn a_profile_without_a_state_path_does_not_share_the_state() {
    let outcome = run("[state]\npath = \"db\"\n[profile.s.state]\n", Some("s"));
    assert_eq!(outcome.project.unwrap().state_path, "db.s");
}

#[test]
fn mistakes_about_profiles() {
    let staging = format!("{TOML}\n[profile.staging.vars]\nx = 1\n");
    assert_lines(
        &run(&staging, Some("stagign")).lines(),
        &[
            "PB0103 error patchbay.toml:19:2 there is no profile `stagign` | profiles are declared here | did you mean `staging`? accepted: `staging`",
        ],
        "a misspelt profile",
    );
    assert_lines(
        &run(TOML, Some("prod")).lines(),
        &["PB0103 error there is no profile `prod` | declare it: [profile.prod]"],
        "none at all",
    );
    let platforms = format!("{TOML}\n[profile.staging.platforms.x]\ndefinition = \"x.yaml\"\n");
    assert_lines(
        &run(&platforms, Some("staging")).lines(),
        &[
            "PB0102 error patchbay.toml:19:18 unknown key `platforms` in a profile | not a key that patchbay knows here | accepted: `project`, `targets`, `state`, `safety`, `vars`",
        ],
        "what no profile changes",
    );
    let number = format!("{TOML}\n[profile]\nstaging = 3\n");
    assert_lines(
        &run(&number, Some("staging")).lines(),
        &["PB0104 error patchbay.toml:20:11 a profile must be an object | this is a number"],
        "no table",
    );
}

#[test]
fn variables_keep_type_and_taint() {
    let vars = "[vars]\nregion = \"eu\"\nn = 3\nlist = [1, \"x\"]\nsecret = \"Bearer ${{ env.KEY }}\"\n";
    let outcome = run(vars, None);
    assert_eq!(outcome.lines(), "");
    let vars = outcome.project.unwrap().vars;
    let shown: Vec<String> = vars.values().map(|value| show(Some(value))).collect();
    assert_eq!(shown, ["[1,\"x\"]", "3", "\"eu\"", "secret Bearer sk-live-0123456789"]);
}

#[test]
fn a_spec_sees_the_variables_of_its_project() {
    let toml = format!("{TOML}\n[vars]\nmodel = \"gpt\"\nn = 4\n");
    let yaml = with(OPENAI, "gpt-4o", "${{ var.model }}-${{ var.n }}o");
    let outcome = Case { toml: &toml, files: &[("a.yaml", &yaml)], ..Case::default() }.run();
    assert_eq!((outcome.lines().as_str(), outcome.value("model").as_str()), ("", "\"gpt-4o\""));
    assert_lines(
        &one(&yaml),
        &["PB0207 error a.yaml:7:18 this template cannot be rendered: [..] | here | available: [..]"],
        "no such variable",
    );
}

#[test]
fn a_variable_that_holds_a_secret_makes_one_of_what_uses_it() {
    let toml = format!("{TOML}\n[vars]\ntoken = \"${{{{ env.KEY }}}}\"\n");
    let yaml = with(OPENAI, "gpt-4o", "${{ var.token }}");
    let outcome = Case { toml: &toml, files: &[("a.yaml", &yaml)], ..Case::default() }.run();
    assert_eq!(outcome.value("model"), "secret sk-live-0123456789");
}

#[test]
fn offline_a_variable_from_the_environment_is_a_placeholder_too() {
    let toml = format!("{TOML}\n[vars]\nmodel = \"${{{{ env.NOPE }}}}\"\n");
    let yaml = with(OPENAI, "gpt-4o", "${{ var.model }}");
    let outcome = Case { toml: &toml, files: &[("a.yaml", &yaml)], env: &[], offline: true, ..Case::default() }.run();
    assert_eq!(outcome.lines(), "");
    assert!(outcome.at("kore/a").spec.has_unknown());
}

#[test]
fn offline_needs_no_environment() {
    assert_lines(
        &check(TOML, &[("a.yaml", OPENAI)], &[]),
        &[
            "PB0201 error patchbay.toml:7:25 environment variable `KORE_KEY` is not set | used here, with no default | used here, with no default (patchbay.toml:12:25) | used here, with no default (patchbay.toml:17:23) | export KORE_KEY, [..]",
            "PB0201 error a.yaml:9:22 environment variable `KEY` is not set | used here, with no default | export KEY, [..]",
        ],
        "online, every variable is missed",
    );
    let toml = with(TOML, "https://acme.example/api/public", "${{ env.BASE }}");
    let outcome = Case { toml: &toml, files: &[("a.yaml", OPENAI)], env: &[], offline: true, ..Case::default() }.run();
    assert_eq!(outcome.lines(), "");
    assert_eq!(outcome.value("fields.API_KEY"), "unknown env.KEY");
    assert_eq!(outcome.value("model"), "\"gpt-4o\"");
    let project = outcome.project.unwrap();
    assert_eq!(project.targets["kore"].base_url, "https://offline.invalid");
    assert_eq!(project.targets["kore"].auth["api_key"].expose(), "offline");
}

#[test]
fn offline_uses_what_is_set_and_still_checks_the_rest() {
    let yaml = with(&with(OPENAI, "gpt-4o", "4"), "env.KEY", "env.MASK");
    let outcome = Case { files: &[("a.yaml", &yaml)], offline: true, ..Case::default() }.run();
    assert_lines(
        &outcome.lines(),
        &[
            "PB0104 error a.yaml:7:14 `model` must be a string | this is a number | [..]",
            "PB0204 error a.yaml:9:18 the value of `fields.API_KEY` is a mask, not a secret | [..]",
        ],
        "a type and a mask",
    );
    assert!(matches!(outcome.at("kore/a").spec.as_map().map(|m| &m["model"]), Some(Value::Number(_))));
}
