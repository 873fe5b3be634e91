//! Every report format against the grammar of its readers, whatever names and answers hold.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server, reported, story};
use serde_json::Value;

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
