//! Guards: what must hold of a whole plan before its first write. Each has its own narrow override.

use super::model::{Action, Plan};
use crate::config::project::{Project, Safety, Threshold};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::state::State;

/// Checks a plan's numbers, target by target.
#[must_use]
pub fn check(plan: &Plan, project: &Project, state: &State, safety: &Safety) -> Diagnostics {
    let mut found = Diagnostics::new();
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

/// Is `count` of `tracked` beyond the limit? A share is rounded up, so that 30 % of three still allows one.
#[must_use]
pub fn exceeds(count: usize, tracked: usize, limit: Threshold) -> bool {
    let allowed = match limit {
        Threshold::Count(most) => most,
        Threshold::Percent(share) => (tracked * usize::from(share)).div_ceil(100),
    };
    count > allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_hold_for_few_and_many() {
        for (count, tracked, limit, expected) in [
            (0, 3, Threshold::Percent(30), false),
            (1, 3, Threshold::Percent(30), false),
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
