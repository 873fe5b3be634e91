//! Azure Pipelines: logging commands on standard output.

use std::path::Path;

use super::Around;
use crate::view::digest::{Digest, Finding, Level};

/// Logging commands, one a line. `summary` is a markdown file to be shown with the run.
#[must_use]
pub fn commands(digest: &Digest, around: &Around, summary: Option<&Path>) -> String {
    let mut text: String = digest.findings.iter().filter_map(|finding| issue(finding, around)).collect();
    if let Some(path) = summary {
        text.push_str(&format!("##vso[task.uploadsummary]{}\n", path.display()));
    }
    text
}

/// Azure knows errors and warnings only.
fn issue(finding: &Finding, around: &Around) -> Option<String> {
    let kind = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => return None,
    };
    let mut properties = format!("type={kind};");
    if let Some(spot) = &finding.spot {
        let path = around.absolute(&spot.file).display().to_string();
        properties.push_str(&format!("sourcepath={};linenumber={};columnnumber={};", property(&path), spot.line, spot.column));
    }
    properties.push_str(&format!("code={};", property(&finding.code)));
    Some(format!("##vso[task.logissue {properties}]{}\n", message(&finding.message)))
}

fn message(text: &str) -> String {
    text.replace('%', "%AZP25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(';', "%3B").replace(']', "%5D")
}
