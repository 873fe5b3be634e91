//! The clock and chance: the only place that asks for either.
#![expect(clippy::disallowed_methods, reason = "this is the clock")]

use std::time::Instant;

use jiff::Timestamp;

/// Now, for records and messages. Correctness never rests on it.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Now as it stands in records: RFC 3339, seconds.
#[must_use]
pub fn now_text() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A point of a clock that never goes backwards, for durations.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// A random number; a fixed one where the system has no randomness, which costs jitter and nothing else.
#[must_use]
pub fn random() -> u32 {
    let mut bytes = [0u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => u32::MAX / 2,
    }
}

/// A number between 0 and 1, for jitter.
#[must_use]
pub fn chance() -> f64 {
    f64::from(random()) / f64::from(u32::MAX)
}
