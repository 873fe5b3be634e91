//! Exit codes: the one place that decides them. Documented in `--help` and pinned by tests.

use crate::diagnostic::{Diagnostic, codes};
use crate::engine::event::{Ending, Outcome};

/// Done, nothing to say.
pub const OK: u8 = 0;
/// An error; nothing was changed.
pub const ERROR: u8 = 1;
/// There are changes, and the user asked to be told so.
pub const CHANGES: u8 = 2;
/// Partly applied, or an outcome is unknown. What was done is in the state.
pub const PARTLY: u8 = 3;
/// Refused: a guard, a stale plan, a blocked connection. Nothing was changed.
pub const REFUSED: u8 = 4;
/// Wrong use of the command line.
pub const USAGE: u8 = 64;
/// A bug.
pub const BUG: u8 = 70;

/// The exit code of a run that ended with these errors, before anything was changed.
#[must_use]
pub fn of_errors(diagnostics: &[Diagnostic]) -> u8 {
    let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|d| d.is_error()).collect();
    if errors.is_empty() {
        OK
    } else if errors.iter().any(|d| d.code == codes::USAGE) {
        USAGE
    } else if errors.iter().all(|d| d.code.is_refusal()) {
        REFUSED
    } else {
        ERROR
    }
}

/// The exit code of an apply.
#[must_use]
pub fn of_outcome(outcome: &Outcome) -> u8 {
    if let Some(signal) = outcome.signal {
        return u8::try_from(128 + signal).unwrap_or(130);
    }
    let mut errors: Vec<Diagnostic> = outcome.diagnostics.clone();
    let mut done = false;
    for (_, _, ending) in &outcome.endings {
        match ending {
            Ending::Done { .. } => done = true,
            Ending::Failed(diagnostic) => errors.push(diagnostic.clone()),
            Ending::Unknown(_) => return PARTLY,
            Ending::Skipped(_) => {}
        }
    }
    // A field that was ignored is a change that was made in part, and so is a write whose test failed.
    let partly = done || outcome.touched || errors.iter().any(|d| [codes::READ_BACK, codes::TEST_FAILED].contains(&d.code));
    match of_errors(&errors) {
        OK => OK,
        _ if partly => PARTLY,
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::Action;

    fn error(code: crate::diagnostic::Code) -> Diagnostic {
        Diagnostic::error(code, "x")
    }

    #[test]
    fn errors_fail_and_refusals_refuse() {
        assert_eq!(of_errors(&[]), OK);
        assert_eq!(of_errors(&[Diagnostic::warning(codes::LITERAL_SECRET, "x")]), OK);
        assert_eq!(of_errors(&[error(codes::UNCHANGEABLE)]), REFUSED);
        assert_eq!(of_errors(&[error(codes::UNCHANGEABLE), error(codes::SYNTAX)]), ERROR);
        assert_eq!(of_errors(&[error(codes::USAGE)]), USAGE);
    }

    #[test]
    fn an_apply_says_how_far_it_came() {
        let address: crate::address::Address = "t/k".parse().unwrap();
        let done = || Ending::Done { id: None, warnings: vec![] };
        for (endings, signal, expected) in [
            (vec![done()], None, OK),
            (vec![], None, OK),
            (vec![done(), Ending::Failed(error(codes::INVALID))], None, PARTLY),
            (vec![Ending::Failed(error(codes::INVALID)), Ending::Skipped(String::new())], None, ERROR),
            (vec![Ending::Failed(error(codes::STALE))], None, REFUSED),
            (vec![Ending::Unknown(error(codes::OUTCOME_UNKNOWN))], None, PARTLY),
            (vec![Ending::Failed(error(codes::READ_BACK))], None, PARTLY),
            (vec![Ending::Failed(error(codes::TEST_FAILED))], None, PARTLY),
            (vec![done()], Some(2), 130),
            (vec![done()], Some(15), 143),
        ] {
            let endings = endings.into_iter().map(|e| (address.clone(), Action::Create, e)).collect();
            assert_eq!(of_outcome(&Outcome { endings, signal, ..Outcome::default() }), expected);
        }
    }
}
