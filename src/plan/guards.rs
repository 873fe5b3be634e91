//! Guards: what must hold of a whole plan before its first write. Each has its own narrow override.

use super::model::{Action, Plan};
use crate::config::project::{Project, Safety, Threshold};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::state::State;

/// Checks a plan's numbers, target by target.
#[must_use]
pub fn check(plan: &Plan, project: &Project, state: &State, safety: &Safety) -> Diagnostics {
    let mut found = Diagnostics::new();
    for name in project.targets.keys() {
        deletes(plan, name, state, safety, &mut found);
    }
    let Some(limit) = safety.max_updates else { return found };
    for name in project.targets.keys() {
        let updates = plan
            .changes
            .iter()
            .filter(|c| c.address.target() == name && matches!(c.action, Action::Update | Action::Rotate))
            .count();
        let tracked = state.records().filter(|r| r.address.target() == name).count();
        if exceeds(updates, tracked, limit) {
            found.push(
                Diagnostic::error(
                    codes::TOO_MANY_UPDATES,
                    format!("{updates} of {tracked} connections of `{name}` would be changed, more than `max_updates` allows"),
                )
                .help(format!("if that is meant: --max-updates {updates}, or raise [safety] max_updates")),
            );
        }
    }
    found
}

/// The share of a target's connections that may be deleted in one run unless the user says otherwise.
const MAX_DELETES: Threshold = Threshold::Percent(30);

fn deletes(plan: &Plan, target: &str, state: &State, safety: &Safety, found: &mut Diagnostics) {
    let here = || plan.changes.iter().filter(|c| c.address.target() == target);
    let count = here().filter(|c| matches!(c.action, Action::Delete | Action::Replace)).count();
    if count == 0 {
        return;
    }
    let tracked = state.records().filter(|r| r.address.target() == target).count();
    // Wrong folder, empty glob, failed merge: the usual reasons why everything is gone from the files at once.
    if !plan.partial && here().all(|c| c.connection.is_none()) {
        found.push(
            Diagnostic::error(
                codes::TARGET_EMPTIED,
                format!("every connection of target `{target}` would go away ({count} of {tracked})"),
            )
            .note(format!("no file declares a connection with `target: {target}` any more"))
            .help(format!("is -C or -f right? If that is meant, name them: --only '{target}/*' --max-deletes {count}")),
        );
        return;
    }
    if exceeds(count, tracked, safety.max_deletes.unwrap_or(MAX_DELETES)) {
        found.push(
            Diagnostic::error(
                codes::TOO_MANY_DELETES,
                format!("{count} of {tracked} connections of `{target}` would be deleted"),
            )
            .help(format!("if that is meant: --max-deletes {count}, or raise [safety] max_deletes")),
        );
    }
}

/// Is `count` of `tracked` beyond the limit? A share holds for three connections as for three hundred.
#[must_use]
pub fn exceeds(count: usize, tracked: usize, limit: Threshold) -> bool {
    match limit {
        Threshold::Count(most) => count > most,
        Threshold::Percent(share) => count * 100 > tracked * usize::from(share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_hold_for_few_and_many() {
        for (count, tracked, limit, expected) in [
            (0, 3, Threshold::Percent(30), false),
            (1, 3, Threshold::Percent(30), true),
            (1, 4, Threshold::Percent(30), false),
            (2, 3, Threshold::Percent(30), true),
            (3, 10, Threshold::Percent(30), false),
            (4, 10, Threshold::Percent(30), true),
            (1, 1, Threshold::Percent(0), true),
            (5, 9, Threshold::Count(5), false),
            (6, 9, Threshold::Count(5), true),
        ] {
            assert_eq!(exceeds(count, tracked, limit), expected, "{count} of {tracked}, {limit:?}");
        }
    }
}
