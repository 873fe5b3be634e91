//! How often something is tried again, and how long is waited in between.
//!
//! There are two reasons to try again. *Another writer was faster*: then it got something done, so this may happen many
//! times and each time soon. *There was no clear answer*: then waiting may help, and after a few times it will not.

use std::time::Duration;

use super::super::ROUNDS;
use super::bucket::Trouble;
use super::failed;
use crate::io::clock;
use crate::state::StateError;

/// How patient a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// So many unclear answers in one piece of work are too many.
    failures: u32,
    /// The first wait; each one is up to twice as long as the one before.
    first: Duration,
    /// No wait is longer.
    most: Duration,
}

impl Patience {
    /// About twenty seconds of waiting in all, beside the time that the requests take.
    pub(super) const STANDARD: Self = Self { failures: 10, first: Duration::from_millis(100), most: Duration::from_secs(5) };

    /// Less than a second: somebody looks at the screen, and nothing was written that would have to be saved.
    pub(super) const BRIEF: Self = Self { failures: 4, ..Self::STANDARD };

    /// For tests: as often, at once.
    #[cfg(test)]
    pub(super) const NONE: Self = Self { failures: 12, first: Duration::ZERO, most: Duration::ZERO };

    /// A piece of work begins.
    pub(super) fn begin(self, place: &str) -> Attempts {
        Attempts { patience: self, place: place.to_owned(), failures: 0, losses: 0 }
    }

    /// Once more, and no second time: for what comes after a piece of work for which patience did not help.
    pub(super) fn weary(self) -> Self {
        Self { failures: 2, ..self }
    }

    /// Waits before another try. Writers that meet must not meet again, so chance decides half of it.
    async fn pause(self, repetition: u32) {
        let most = self.first.saturating_mul(2_u32.saturating_pow(repetition)).min(self.most);
        let wait = most.mul_f64(0.5 + clock::chance() / 2.0);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// One piece of work that may need several tries.
#[derive(Debug)]
pub(super) struct Attempts {
    patience: Patience,
    place: String,
    failures: u32,
    losses: usize,
}

impl Attempts {
    /// There was no answer that says what to do. Returns when it is time to try again.
    pub(super) async fn failed(&mut self, verb: &'static str, trouble: Trouble) -> Result<(), StateError> {
        self.failures += 1;
        if !matches!(trouble, Trouble::Unclear(_)) || self.failures >= self.patience.failures {
            return Err(trouble.into_error(verb, &self.place));
        }
        self.patience.pause(self.failures - 1).await;
        Ok(())
    }

    /// Another writer was faster. Returns when it is time to try again.
    pub(super) async fn lost(&mut self, verb: &'static str) -> Result<(), StateError> {
        self.losses += 1;
        if self.losses >= ROUNDS {
            return Err(failed(verb, &self.place, format!("other writers were faster {ROUNDS} times")));
        }
        // The first losses are the price of company. Only a crowd needs to be spread out.
        if self.losses > 2 {
            self.patience.pause(u32::try_from(self.losses - 3).unwrap_or(u32::MAX).min(4)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unclear_answers_run_out_and_final_ones_at_once() {
        let unclear = || Trouble::Unclear("connection reset".to_owned());
        let mut attempts = Patience::NONE.begin("s3://b/p");
        for _ in 1..Patience::NONE.failures {
            assert_eq!(attempts.failed("write", unclear()).await, Ok(()));
        }
        let error = attempts.failed("write", unclear()).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot write `s3://b/p`: connection reset");
        let denied = Trouble::Final { cause: "403".to_owned(), help: Some("log in".to_owned()) };
        assert!(Patience::NONE.begin("s3://b/p").failed("write", denied).await.is_err());
    }

    #[tokio::test]
    async fn losing_is_possible_often_and_not_for_ever() {
        let mut attempts = Patience::NONE.begin("s3://b/p");
        for _ in 1..ROUNDS {
            assert_eq!(attempts.lost("write").await, Ok(()));
        }
        assert!(attempts.lost("write").await.unwrap_err().to_string().contains("other writers were faster"));
    }
}
