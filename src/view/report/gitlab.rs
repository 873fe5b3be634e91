//! GitLab's artifacts: the numbers of `artifacts:reports:terraform`, the findings of `artifacts:reports:codequality`.

use serde_json::{Value as Json, json};

use super::{Around, pretty};
use crate::view::digest::{Digest, Finding, Level};

/// GitLab's parser wants these three numbers and caps them.
#[must_use]
pub fn terraform(digest: &Digest) -> String {
    const MOST: usize = 999_999;
    let n = |words: &[&str]| words.iter().map(|word| digest.number(word)).sum::<usize>().min(MOST);
    let numbers = if digest.command == "drift" {
        // To put things back: what is gone is made again, what was changed is changed back.
        json!({ "create": n(&["missing"]), "update": n(&["drifted"]), "delete": 0 })
    } else {
        json!({
            "create": n(&["create", "replace"]),
            "update": n(&["update", "rotate"]),
            "delete": n(&["delete", "replace"]),
        })
    };
    pretty(&numbers)
}

/// One entry for each finding with a place; GitLab takes no others.
#[must_use]
pub fn codequality(digest: &Digest, around: &Around) -> String {
    let entries: Vec<Json> = digest.findings.iter().map(|finding| entry(finding, around)).collect();
    pretty(&Json::Array(entries))
}

fn entry(finding: &Finding, around: &Around) -> Json {
    let (path, line) = match &finding.spot {
        Some(spot) => (around.in_repository(&spot.file), spot.line),
        None => (around.in_repository(crate::config::project::FILE_NAME), 1),
    };
    json!({
        "description": finding.message,
        "check_name": finding.code,
        "fingerprint": fingerprint(finding),
        "severity": match finding.level {
            Level::Error => "major",
            Level::Warning => "minor",
            Level::Note => "info",
        },
        "location": { "path": path, "lines": { "begin": line } },
    })
}

/// The same finding keeps its fingerprint while lines move: it is made of what is found, not of where.
pub(super) fn fingerprint(finding: &Finding) -> String {
    let subject = [
        finding.code.as_str(),
        finding.address.as_deref().unwrap_or_default(),
        finding.path.as_deref().unwrap_or_default(),
        finding.spot.as_ref().map_or("", |spot| spot.file.as_str()),
        finding.message.as_str(),
    ];
    // An address and a path name the matter; without them its words must.
    let parts = if finding.address.is_some() && finding.path.is_some() { &subject[..4] } else { &subject[..] };
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
