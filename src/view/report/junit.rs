//! JUnit: a suite for each target, a case for each connection.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Around;
use crate::view::digest::{Digest, Finding, Item, Level, Standing};

/// The suite of what belongs to no connection.
const PROJECT: &str = "project";

/// Renders every connection, and what belongs to none.
#[must_use]
pub fn render(digest: &Digest, around: &Around) -> String {
    let mut suites: BTreeMap<&str, Vec<Case>> = BTreeMap::new();
    for item in &digest.items {
        suites.entry(&item.target).or_default().push(Case::of(item, around));
    }
    let known: Vec<&str> = digest.items.iter().map(|item| item.address.as_str()).collect();
    let strays = digest.findings.iter().filter(|f| {
        f.level == Level::Error
            && f.address.as_deref().is_none_or(|address| known.binary_search(&address).is_err() && !known.contains(&address))
    });
    for finding in strays {
        suites.entry(PROJECT).or_default().push(Case::stray(finding, around));
    }
    let all = || suites.values().flatten();
    let count = |kind: Kind| all().filter(|case| case.kind == kind).count();
    let seconds = digest.elapsed.as_secs_f64();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str(&format!(
        "<testsuites name=\"patchbay {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\" timestamp=\"{}\">\n",
        digest.command,
        all().count(),
        count(Kind::Failure),
        count(Kind::Error),
        count(Kind::Skipped),
        xml(&around.at),
    ));
    for (target, cases) in &suites {
        let count = |kind: Kind| cases.iter().filter(|case| case.kind == kind).count();
        text.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\" timestamp=\"{}\">\n",
            xml(target),
            cases.len(),
            count(Kind::Failure),
            count(Kind::Error),
            count(Kind::Skipped),
            time(cases.iter().map(|case| case.took).sum()),
            xml(&around.at),
        ));
        for case in cases {
            text.push_str(&case.xml);
        }
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>\n"
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failure,
    Error,
    Skipped,
}

struct Case {
    kind: Kind,
    took: Duration,
    xml: String,
}

impl Case {
    fn of(item: &Item, around: &Around) -> Self {
        let place = item.spot.as_ref().map_or_else(String::new, |spot| {
            format!(" file=\"{}\" line=\"{}\"", xml(&around.in_repository(&spot.file)), spot.line)
        });
        let head = format!(
            "    <testcase name=\"{}\" classname=\"{}\"{place} time=\"{}\"",
            xml(&item.key),
            xml(&item.target),
            time(item.took)
        );
        let body = item.detail.join("\n");
        let (kind, child) = match &item.standing {
            Standing::Fine => (Kind::Passed, None),
            Standing::Failed { kind, message } => (Kind::Failure, Some(told("failure", kind, message, &body))),
            Standing::Broken { kind, message } => (Kind::Error, Some(told("error", kind, message, &body))),
            Standing::Skipped(why) => (Kind::Skipped, Some(format!("      <skipped message=\"{}\"/>\n", xml(why)))),
        };
        let xml = match child {
            Some(child) => format!("{head}>\n{child}    </testcase>\n"),
            None => format!("{head}/>\n"),
        };
        Self { kind, took: item.took, xml }
    }

    fn stray(finding: &Finding, around: &Around) -> Self {
        let place = finding.spot.as_ref().map_or_else(String::new, |spot| {
            format!(" file=\"{}\" line=\"{}\"", xml(&around.in_repository(&spot.file)), spot.line)
        });
        let name = format!("{} {}", finding.code, finding.title);
        let child = told("error", &finding.code, &finding.message, &finding.help);
        let xml =
            format!("    <testcase name=\"{}\" classname=\"{PROJECT}\"{place} time=\"0\">\n{child}    </testcase>\n", xml(&name));
        Self { kind: Kind::Error, took: Duration::ZERO, xml }
    }
}

fn told(tag: &str, kind: &str, message: &str, body: &str) -> String {
    format!("      <{tag} type=\"{}\" message=\"{}\">{}</{tag}>\n", xml(kind), xml(message), xml(body))
}

/// Seconds; nothing where nothing was measured.
fn time(took: Duration) -> String {
    if took.is_zero() { "0".to_owned() } else { format!("{:.3}", took.as_secs_f64()) }
}

/// Text and attributes. XML 1.0 has no way to write most control characters, so they are replaced.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
