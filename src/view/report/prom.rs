//! The textfile collector of Prometheus' node exporter. No timestamps: the collector refuses them.

use std::collections::BTreeMap;

use super::Around;
use crate::view::digest::Digest;

/// Renders the numbers of a run.
#[must_use]
pub fn render(digest: &Digest, around: &Around) -> String {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for item in &digest.items {
        *numbers.entry((&item.target, item.word)).or_default() += 1;
    }
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, rows: Vec<(String, String)>| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for (labels, value) in rows {
            text.push_str(&format!("{name}{{{labels}}} {value}\n"));
        }
    };
    let profile = around.profile.as_deref().map(|name| format!(",profile=\"{}\"", label(name))).unwrap_or_default();
    let project = format!("project=\"{}\"{profile}", label(&around.project));
    let connections = numbers
        .iter()
        .map(|((target, word), n)| (format!("{project},target=\"{}\",action=\"{}\"", label(target), label(word)), n.to_string()))
        .collect();
    metric("patchbay_connections", "Connections by what the last run found or did.", connections);
    let command = || format!("{project},command=\"{}\"", digest.command);
    // Changes and drift are what a run is for; it failed only if it could not tell.
    let success = u8::from(matches!(around.code, 0 | 2));
    metric("patchbay_last_run_success", "Did the last run do its work?", vec![(command(), success.to_string())]);
    metric("patchbay_last_run_exit_code", "The exit code of the last run.", vec![(command(), around.code.to_string())]);
    let at = around.at_seconds.to_string();
    metric("patchbay_last_run_timestamp_seconds", "When the last run ended, in seconds since 1970.", vec![(command(), at)]);
    let took = format!("{:.3}", digest.elapsed.as_secs_f64());
    metric("patchbay_last_run_duration_seconds", "How long the last run took.", vec![(command(), took)]);
    text
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
