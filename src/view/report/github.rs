//! GitHub Actions: annotations on standard output, and outputs for later steps. The job summary is `markdown`.

use super::Around;
use crate::view::digest::{Digest, Finding, Level};

/// GitHub shows ten annotations of a kind for each step. One is kept for the count of the others.
const SHOWN: usize = 9;

/// Workflow commands, one a line.
#[must_use]
pub fn annotations(digest: &Digest, around: &Around) -> String {
    let mut text = String::new();
    for finding in digest.findings.iter().take(SHOWN) {
        text.push_str(&annotation(finding, around));
    }
    let more = digest.findings.len().saturating_sub(SHOWN);
    if more > 0 {
        text.push_str(&format!("::notice title=patchbay {}::and {more} more, see the job summary\n", digest.command));
    }
    text
}

fn annotation(finding: &Finding, around: &Around) -> String {
    let command = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(spot) = &finding.spot {
        properties.push(format!("file={}", property(&around.in_repository(&spot.file))));
        properties.push(format!("line={}", spot.line));
        properties.push(format!("endLine={}", spot.end_line));
        properties.push(format!("col={}", spot.column));
        // GitHub's end is inclusive.
        properties.push(format!("endColumn={}", spot.end_column.saturating_sub(1).max(spot.column)));
    }
    let title =
        if finding.title.contains(&finding.code) { finding.title.clone() } else { format!("{} {}", finding.code, finding.title) };
    properties.push(format!("title={}", property(&title)));
    let help = if finding.help.is_empty() { String::new() } else { format!("\nhelp: {}", finding.help) };
    format!("::{command} {}::{}\n", properties.join(","), message(&format!("{}{help}", finding.message)))
}

/// Lines for `$GITHUB_OUTPUT`.
#[must_use]
pub fn outputs(digest: &Digest) -> String {
    let n = |word: &str| digest.number(word);
    let drift = n("drifted") + n("missing");
    let changes =
        ["create", "update", "rotate", "replace", "delete", "adopt", "move", "forget"].into_iter().map(n).sum::<usize>();
    let rows = [
        ("command", digest.command.to_owned()),
        ("changes", (changes > 0).to_string()),
        ("create", n("create").to_string()),
        ("update", (n("update") + n("rotate")).to_string()),
        ("delete", n("delete").to_string()),
        ("replace", n("replace").to_string()),
        ("blocked", n("blocked").to_string()),
        ("drift", (drift > 0).to_string()),
    ];
    rows.into_iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
