//! The self-test: does this store keep two writers apart, and show what was written?
//!
//! Some stores ignore conditions. Others honour them for one request after another, and let two that come at once both
//! win, because they look first and write later. Nothing built on such a store is safe, and nothing shows it until two
//! people apply in the same second. So it is tried, with a crowd, before anything is written there.
//!
//! A store that passed is written down in the state itself, with what tells servers apart, so the test costs nothing
//! afterwards, and is made again if the state was copied to another server. Readers do not test: they need no
//! conditional writes, and may not be allowed any.

use futures_util::future::join_all;

use super::bucket::{Bucket, Condition, Object, Put, Trouble, Version};
use super::patience::Attempts;
use crate::io::clock;
use crate::state::StateError;

/// A store that passed an older version of the test is tested again.
const REVISION: u32 = 1;

/// So many races of each kind. The window of a store that looks first and writes later may be narrow.
const ROUNDS: usize = 16;

/// So many of them at a time.
const AT_ONCE: usize = 4;

/// So many writers in one race.
const RACERS: usize = 4;

/// The names of what the test writes begin like this.
const PROBE: &str = "probe-";

/// What is older than this many seconds was left by a test that did not come to its end.
const LEFT_OVER: i64 = 3600;

/// Why a test did not pass.
enum Failure {
    /// The store is not good enough.
    Unfit(String),
    /// It could not be found out.
    Trouble(Trouble),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// How a state says that a server passed.
pub(super) fn mark(server: &str) -> String {
    let hash = blake3::hash(server.as_bytes()).to_hex();
    format!("{REVISION}-{}", &hash[..8])
}

/// Was this written by a self-test that is over?
pub(super) fn is_left_over(name: &str, now: i64) -> bool {
    let made = name.strip_prefix(PROBE).and_then(|rest| rest.split('-').next()?.parse::<i64>().ok());
    made.is_some_and(|made| made < now - LEFT_OVER)
}

/// Tries the store. The nonce keeps two tests at one time apart.
///
/// # Errors
/// [`StateError::Unfit`] if it must not be used, another error if that could not be found out.
pub(super) async fn run(bucket: &dyn Bucket, nonce: &str, mut attempts: Attempts) -> Result<(), StateError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let stem = format!("{PROBE}{}-{nonce}-{tries}", clock::now().as_second());
        match all(bucket, &stem).await {
            Ok(()) => return Ok(()),
            Err(Failure::Unfit(why)) => return Err(StateError::Unfit { place: bucket.label().to_owned(), why }),
            Err(Failure::Trouble(trouble)) => attempts.failed("test", trouble).await?,
        }
    }
}

async fn all(bucket: &dyn Bucket, stem: &str) -> Result<(), Failure> {
    let name = format!("{stem}-0");
    let outcome = alone(bucket, &name, &format!("{stem}-none")).await;
    tidy(bucket, &name).await;
    outcome?;
    let (mut creates, mut replaces) = (0, 0);
    for first in (0..ROUNDS).step_by(AT_ONCE) {
        let names: Vec<String> = (first + 1..=first + AT_ONCE).map(|n| format!("{stem}-{n}")).collect();
        let rounds = join_all(names.iter().map(|name| crowd(bucket, name))).await;
        for name in &names {
            tidy(bucket, name).await;
        }
        for round in rounds {
            let (create, replace) = round?;
            creates += usize::from(create);
            replaces += usize::from(replace);
        }
    }
    // Nobody may win a race once in a while, where a store turns away all that come at once. Not as a rule.
    if creates.min(replaces) < ROUNDS / 2 {
        return Err(Trouble::Unclear("too few of its answers say what became of a write".to_owned()).into());
    }
    Ok(())
}

/// One request after another: conditions are honoured, and what was written shows at once.
async fn alone(bucket: &dyn Bucket, name: &str, absent: &str) -> Result<(), Failure> {
    if bucket.get(name).await?.is_some() {
        return unfit("it shows something under a name that nobody has used");
    }
    accepts(bucket, name, "one", Condition::Absent).await?;
    let first = shown(bucket, name, "one").await?;
    match &first {
        Version { etag: None, number: None } => return unfit("it sends no ETag"),
        Version { etag: Some(etag), number: None } if etag.starts_with("W/") => {
            return unfit("its ETag is a weak one, which must not be used as a condition");
        }
        _ => {}
    }
    if bucket.version(name).await?.as_ref() != Some(&first) {
        return unfit("it names one content in two ways");
    }
    if bucket.names().await?.is_some_and(|names| !names.iter().any(|listed| listed == name)) {
        return unfit("it does not list at once what was written");
    }
    let why = "it writes over what is there, although it was told not to (If-None-Match)";
    refuses(bucket, name, "two", Condition::Absent, why).await?;
    if shown(bucket, name, "one").await? != first {
        return unfit("it changes the ETag of what nobody changed");
    }
    accepts(bucket, name, "two", Condition::Is(first.clone())).await?;
    if shown(bucket, name, "two").await? == first {
        return unfit("it keeps the ETag when the content changes");
    }
    let why = "it writes over what is there, although the ETag is a wrong one (If-Match)";
    refuses(bucket, name, "three", Condition::Is(first.clone()), why).await?;
    shown(bucket, name, "two").await?;
    let why = "it writes where nothing is, although something must be there (If-Match)";
    let outcome = refuses(bucket, absent, "four", Condition::Is(first), why).await;
    if outcome.is_err() {
        tidy(bucket, absent).await;
    }
    outcome
}

/// A write whose condition holds.
async fn accepts(bucket: &dyn Bucket, name: &str, text: &str, condition: Condition) -> Result<(), Failure> {
    match bucket.put(name, line(text), condition).await? {
        Put::Done(_) => Ok(()),
        // A request that was repeated on its way is refused because of itself.
        Put::Refused => match shown(bucket, name, text).await {
            Ok(_) => Ok(()),
            Err(Failure::Unfit(_)) => unfit("it refuses a write whose condition holds"),
            Err(failure) => Err(failure),
        },
    }
}

/// A write whose condition does not hold.
async fn refuses(bucket: &dyn Bucket, name: &str, text: &str, condition: Condition, why: &str) -> Result<(), Failure> {
    match bucket.put(name, line(text), condition).await {
        Ok(Put::Done(_)) => unfit(why),
        // What cannot hold may also be answered as a mistake.
        Ok(Put::Refused) | Err(Trouble::Final { .. }) => Ok(()),
        Err(trouble) => Err(trouble.into()),
    }
}

/// The version of an object that must have this content now.
async fn shown(bucket: &dyn Bucket, name: &str, text: &str) -> Result<Version, Failure> {
    match bucket.get(name).await? {
        Some(Object { bytes, version }) if bytes == line(text) => Ok(version),
        _ => unfit("it does not show at once what was written"),
    }
}

/// Many at once: first all make one object, then all replace it. Says of both whether there was a winner.
async fn crowd(bucket: &dyn Bucket, name: &str) -> Result<(bool, bool), Failure> {
    let created = race(bucket, name, "first", &Condition::Absent).await?;
    let Some(Object { version, .. }) = bucket.get(name).await? else { return Ok((false, false)) };
    let replaced = race(bucket, name, "next", &Condition::Is(version)).await?;
    Ok((created, replaced))
}

async fn race(bucket: &dyn Bucket, name: &str, word: &str, condition: &Condition) -> Result<bool, Failure> {
    let text = |racer: usize| format!("{word} {racer}");
    let puts = (0..RACERS).map(|racer| bucket.put(name, line(&text(racer)), condition.clone()));
    let mut winners = Vec::new();
    for (racer, answer) in join_all(puts).await.into_iter().enumerate() {
        match answer {
            Ok(Put::Done(_)) => winners.push(racer),
            Ok(Put::Refused) | Err(Trouble::Unclear(_)) => {}
            Err(trouble) => return Err(trouble.into()),
        }
    }
    match winners.as_slice() {
        [] => Ok(false),
        [winner] => match shown(bucket, name, &text(*winner)).await {
            Ok(_) => Ok(true),
            Err(Failure::Unfit(_)) => unfit("of several writers at once, it shows another one than it told"),
            Err(failure) => Err(failure),
        },
        several => unfit(&format!("of {RACERS} writers at once, it tells {} that they were first", several.len())),
    }
}

/// What cannot be removed stays; it is small, and in nobody's way.
async fn tidy(bucket: &dyn Bucket, name: &str) {
    drop(bucket.remove(name).await);
}

fn line(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

fn unfit<T>(why: &str) -> Result<T, Failure> {
    Err(Failure::Unfit(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Fault, Memory, finish};
    use super::super::patience::Patience;
    use super::*;

    fn tried(fault: Option<Fault>) -> (Memory, Result<(), StateError>) {
        let memory = Memory::new(7);
        memory.set(fault);
        let outcome = finish(run(&memory, "n", Patience::NONE.begin(memory.label())));
        (memory, outcome)
    }

    fn refused(fault: Fault) -> String {
        match tried(Some(fault)) {
            (_, Err(StateError::Unfit { why, .. })) => why,
            (_, other) => panic!("{fault:?}: {other:?}"),
        }
    }

    #[test]
    fn a_good_store_passes_and_nothing_is_left() {
        let (memory, outcome) = tried(None);
        assert_eq!(outcome, Ok(()));
        assert_eq!(memory.all(), Vec::<String>::new());
    }

    #[test]
    fn stores_that_do_not_keep_writers_apart_are_refused() {
        assert!(refused(Fault::LooksFirst).contains("writers at once"), "a lone writer is served well there");
        assert!(refused(Fault::IgnoresAbsent).ends_with("(If-None-Match)"));
        assert!(refused(Fault::IgnoresTags).contains("the ETag is a wrong one"));
    }

    #[test]
    fn stores_that_show_what_was_are_refused() {
        assert_eq!(refused(Fault::ShowsLate), "it does not show at once what was written");
        assert_eq!(refused(Fault::ListsLate), "it does not list at once what was written");
    }

    #[test]
    fn stores_without_usable_tags_are_refused() {
        assert_eq!(refused(Fault::NoTags), "it sends no ETag");
        assert_eq!(refused(Fault::WeakTags), "its ETag is a weak one, which must not be used as a condition");
        assert_eq!(refused(Fault::OneTag), "it keeps the ETag when the content changes");
    }

    #[test]
    fn answers_that_get_lost_do_not_make_a_store_unfit() {
        for seed in 0..20 {
            let memory = Memory::new(seed);
            memory.set(Some(Fault::Answers { of: 200 }));
            let outcome = finish(run(&memory, "n", Patience::NONE.begin(memory.label())));
            assert!(!matches!(outcome, Err(StateError::Unfit { .. })), "seed {seed}: {outcome:?}");
        }
    }

    #[test]
    fn marks_tell_servers_apart() {
        assert_eq!(mark("https://s3.eu-west-1.example"), mark("https://s3.eu-west-1.example"));
        assert_ne!(mark("https://s3.eu-west-1.example"), mark("http://127.0.0.1:8333"));
        assert!(mark("x").starts_with("1-") && mark("x").len() == 10);
    }

    #[test]
    fn only_what_is_old_is_left_over() {
        assert!(is_left_over("probe-1000-ab-1-3", 1000 + LEFT_OVER + 1));
        assert!(!is_left_over("probe-1000-ab-1-3", 1000 + LEFT_OVER));
        assert!(!is_left_over("base", 1 << 40) && !is_left_over("probe-x", 1 << 40));
    }
}
