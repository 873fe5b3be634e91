//! What the APIs' own tests said, for people and for programs.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value as Json;

use super::json;
use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, cost, count, counts, duration, width};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::platform::model::Trust;
use crate::source::Sources;

/// One run of `patchbay test`.
#[derive(Debug)]
pub struct Report {
    /// Every chosen connection.
    pub connections: Vec<Tested>,
    /// Requests sent.
    pub requests: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// One connection.
#[derive(Debug)]
pub struct Tested {
    /// Which one.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of one test.
#[derive(Debug)]
pub enum Outcome {
    /// The API says that it works.
    Passed {
        /// In its own words.
        message: Option<String>,
        /// How long the API took.
        took: Duration,
        /// What that proves.
        trust: Trust,
    },
    /// The API says that it does not.
    Failed {
        /// In its own words.
        message: Option<String>,
        /// How long the API took.
        took: Duration,
    },
    /// The API has no test for this kind.
    NoTest,
    /// There is no such object yet.
    NotThere,
    /// No verdict came; the diagnostic says why.
    Unknown(Box<Diagnostic>),
}

impl Outcome {
    /// Its stable spelling.
    fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "failed",
            Self::NoTest => "no-test",
            Self::NotThere => "not-there",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl Report {
    fn count(&self, word: &str) -> usize {
        self.connections.iter().filter(|t| t.outcome.word() == word).count()
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count("failed")
    }
}

/// The report for people.
#[must_use]
pub fn render(report: &Report, style: &Style) -> String {
    let addresses = report.connections.iter().map(|t| width(&t.address.to_string())).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut trust = Vec::new();
    for tested in &report.connections {
        let said = |message: &Option<String>| message.as_ref().map(|m| format!("{:?}", clean(m))).unwrap_or_default();
        let (glyph, ink, word, took, text) = match &tested.outcome {
            Outcome::Passed { message, took, trust: proves } => {
                if !trust.contains(&(tested.address.target(), *proves)) {
                    trust.push((tested.address.target(), *proves));
                }
                (Glyph::Done, ink::CREATE, "passed", duration(*took), said(message))
            }
            Outcome::Failed { message, took } => (Glyph::Blocked, ink::REMOVE, "failed", duration(*took), said(message)),
            Outcome::NoTest => {
                (Glyph::Dot, ink::DIM, "no test", String::new(), format!("the API has none for `{}`", tested.kind))
            }
            Outcome::NotThere => (Glyph::Dot, ink::DIM, "not there", String::new(), "it is not created yet".to_owned()),
            Outcome::Unknown(why) => {
                (Glyph::Unknown, ink::UPDATE, "unknown", String::new(), format!("{} {}", why.code.id(), clean(&why.summary)))
            }
        };
        let line = Line::new(style, 2).put(ink, &format!("{} {word}", style.glyph(glyph))).until(15);
        let line = line.put(ink::STRONG, &tested.address.to_string()).until(15 + addresses);
        lines.push(line.put(ink::DIM, &format!("  {took:>5}")).also_below(ink::PLAIN, &text, 15).end());
    }
    for (target, proves) in trust {
        let note = match proves {
            Trust::Call => continue,
            Trust::SometimesCall => "makes a real call for some vendors only, and calls all others a success",
            Trust::Stored => "looks at what is stored and makes no call",
        };
        lines.push(style.paint(ink::DIM, &format!("note: the test of {} {note}", clean(target))));
    }
    let parts = counts(&[
        (report.count("passed"), "passed"),
        (report.count("failed"), "failed"),
        (report.count("unknown"), "unknown"),
        (report.count("not-there"), "not there"),
        (report.count("no-test"), "without a test"),
    ]);
    let verdict = match report.connections.len() {
        0 => "Nothing to test.".to_owned(),
        n => format!("Tested {}: {parts}.", count(n, "connection")),
    };
    lines.push(Line::new(style, 0).put(ink::STRONG, &verdict).also(ink::DIM, &cost(report.requests, report.elapsed)).end());
    format!("{}\n", lines.join("\n"))
}

#[derive(Serialize)]
struct Document<'d> {
    /// Takes the place of what the envelope says: a failed test is no diagnostic.
    errored: bool,
    results: Vec<Row<'d>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Row<'d> {
    address: String,
    kind: &'d str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proves: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Summary {
    passed: usize,
    failed: usize,
    unknown: usize,
    not_there: usize,
    no_test: usize,
}

/// The document of `test --json`: the results beside the diagnostics.
#[must_use]
pub fn document(report: &Report, diagnostics: &[Diagnostic], sources: &Sources) -> Json {
    let results = report
        .connections
        .iter()
        .map(|tested| {
            let (message, took, trust) = match &tested.outcome {
                Outcome::Passed { message, took, trust } => (message.as_deref(), Some(*took), Some(*trust)),
                Outcome::Failed { message, took } => (message.as_deref(), Some(*took), None),
                _ => (None, None, None),
            };
            Row {
                address: tested.address.to_string(),
                kind: &tested.kind,
                result: tested.outcome.word(),
                message,
                proves: trust.map(|trust| match trust {
                    Trust::Call => "call",
                    Trust::SometimesCall => "sometimes-call",
                    Trust::Stored => "stored",
                }),
                elapsed_seconds: took.map(|t| t.as_secs_f64()),
            }
        })
        .collect();
    let summary = Summary {
        passed: report.count("passed"),
        failed: report.failed(),
        unknown: report.count("unknown"),
        not_there: report.count("not-there"),
        no_test: report.count("no-test"),
    };
    let errored = report.failed() > 0 || has_errors(diagnostics);
    json::document(&Document { errored, results, summary }, diagnostics, sources)
}
