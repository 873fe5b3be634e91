//! SARIF 2.1.0, as GitHub's code scanning reads it: of several locations only the first counts, of the fingerprints only
//! `primaryLocationLineHash`, and no required text may be empty.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Around, gitlab, pretty};
use crate::view::digest::{Digest, Finding, Level};

/// Renders the findings.
#[must_use]
pub fn render(digest: &Digest, around: &Around) -> String {
    let mut rules: BTreeMap<&str, Json> = BTreeMap::new();
    for finding in &digest.findings {
        rules.entry(&finding.code).or_insert_with(|| rule(finding));
    }
    let order: Vec<&str> = rules.keys().copied().collect();
    let results: Vec<Json> = digest.findings.iter().map(|finding| result(finding, &order, around)).collect();
    let mut driver =
        json!({ "name": "patchbay", "version": env!("CARGO_PKG_VERSION"), "semanticVersion": env!("CARGO_PKG_VERSION") });
    if !env!("CARGO_PKG_REPOSITORY").is_empty() {
        driver["informationUri"] = env!("CARGO_PKG_REPOSITORY").into();
    }
    driver["rules"] = Json::Array(rules.into_values().collect());
    pretty(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "automationDetails": { "id": format!("patchbay/{}/{}", digest.command, around.chdir) },
            "invocations": [{
                // Findings are no failure of the tool.
                "executionSuccessful": around.code < 3 || around.code == 4,
                "exitCode": around.code,
                "endTimeUtc": around.at,
            }],
            "results": results,
        }],
    }))
}

fn rule(finding: &Finding) -> Json {
    let is_drift = finding.code == "drift";
    let title = if is_drift { "a connection was changed outside patchbay" } else { or(&finding.title, &finding.code) };
    let help = if is_drift {
        "Put it back with `patchbay apply`, or accept it: change the files.".to_owned()
    } else {
        format!("`patchbay explain {}` says more.", finding.code)
    };
    let mut rule = json!({
        "id": finding.code,
        "shortDescription": { "text": title },
        "fullDescription": { "text": title },
        "help": { "text": help, "markdown": help },
        "defaultConfiguration": { "level": level(finding.level) },
    });
    if let Some(url) = &finding.url {
        rule["helpUri"] = url.as_str().into();
    }
    rule
}

fn result(finding: &Finding, order: &[&str], around: &Around) -> Json {
    // Without a place of its own a finding is about the project.
    let place = finding.spot.as_ref().map_or_else(
        || json!({ "artifactLocation": { "uri": uri(&around.in_repository(crate::config::project::FILE_NAME)) }, "region": { "startLine": 1 } }),
        |spot| {
            json!({
                "artifactLocation": { "uri": uri(&around.in_repository(&spot.file)) },
                "region": {
                    "startLine": spot.line,
                    "startColumn": spot.column,
                    "endLine": spot.end_line,
                    "endColumn": spot.end_column,
                },
            })
        },
    );
    let mut location = json!({ "physicalLocation": place });
    if let Some(address) = &finding.address {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": address, "kind": "resource" }]);
    }
    let help = if finding.help.is_empty() { String::new() } else { format!("\n{}", finding.help) };
    json!({
        "ruleId": finding.code,
        "ruleIndex": order.iter().position(|code| *code == finding.code),
        "level": level(finding.level),
        "message": { "text": format!("{}{help}", or(&finding.message, &finding.code)) },
        "locations": [location],
        "partialFingerprints": { "primaryLocationLineHash": format!("{}:1", gitlab::fingerprint(finding)) },
    })
}

fn or<'t>(text: &'t str, other: &'t str) -> &'t str {
    if text.is_empty() { other } else { text }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// A relative URI: what a path may hold and a URI may not is written in hexadecimal.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
