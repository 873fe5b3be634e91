//! The API's own test of an object. It changes nothing that patchbay manages, and it may cost the vendor a call.

use std::time::Duration;

use super::event::Report;
use super::lane::{CallError, CallFailure, Lane};
use super::reader::{ReadLane, unexpected};
use crate::address::Address;
use crate::config::desired::Connection;
use crate::diagnostic::{Diagnostic, codes};
use crate::io::clock;
use crate::plan::diff;
use crate::platform::exchange::{ApiError, Failure, harmless, json_at};
use crate::platform::model::{ErrorClass, Kind, Passed, Test};
use crate::platform::object::{Object, about};
use crate::secret::Redactor;
use crate::state::Record;

/// What a test said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The API says that it works, in its own words if it has any.
    Passed(Option<String>),
    /// The API says that it does not.
    Failed(Option<String>),
}

/// Lets the API test one object. Texts are scrubbed: an upstream error may echo the key that it refused.
///
/// # Errors
/// No verdict came: the object is gone, the credentials are not accepted, the network failed, the answer says nothing.
pub async fn test(
    lane: &Lane,
    verb: &Test,
    id: &str,
    redactor: &Redactor,
    report: &dyn Report,
) -> Result<(Verdict, Duration), CallError> {
    let request = about(verb.method, &verb.path, &verb.query, &verb.body, id);
    let started = clock::instant();
    let scrub = |text: &str| redactor.scrub(text).into_owned();
    let verdict = match lane.call(&request, report).await {
        Ok(answer) => {
            let message =
                verb.message.as_deref().and_then(|path| json_at(&answer, path)?.as_str().map(|text| harmless(text, &scrub)));
            match passed(verb, &answer) {
                Ok(true) => Verdict::Passed(message),
                Ok(false) => Verdict::Failed(message),
                Err(why) => {
                    let error = ApiError { message, ..ApiError::unexpected(why) };
                    return Err(unexpected(error, request.line()));
                }
            }
        }
        Err(error) => match refusal(&error) {
            Some(api) => Verdict::Failed(api.message.clone()),
            None => return Err(error),
        },
    };
    Ok((verdict, started.elapsed()))
}

/// An object with everything that its test needs.
#[derive(Clone, Copy)]
pub struct Candidate<'c> {
    /// Its target.
    pub lane: &'c Lane,
    /// Its kind.
    pub kind: &'c Kind,
    /// How the connection is declared.
    pub connection: &'c Connection,
    /// What is recorded of it.
    pub record: &'c Record,
    /// Knows the secrets.
    pub redactor: &'c Redactor,
    /// Where events go.
    pub report: &'c dyn Report,
}

impl std::fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Candidate({})", self.record.address)
    }
}

impl Candidate<'_> {
    /// Lets the API test it. With the verdict comes the stamp that its record is to have from now on, where the test moves
    /// it: only if nobody else has touched the object between our last write and the look after the test.
    pub async fn test(&self, verb: &Test) -> (Result<(Verdict, Duration), CallError>, Option<String>) {
        let test = test(self.lane, verb, &self.record.id, self.redactor, self.report);
        if !verb.moves_watermark {
            return (test.await, None);
        }
        let before = self.look().await.filter(|object| object.watermark.is_some() && object.watermark == self.record.seen);
        let verdict = test.await;
        let Some(before) = before else { return (verdict, None) };
        let same = |now: &Object| {
            let digest = |object: &Object| diff::live_digest(self.connection, self.kind, object);
            digest(&before) == digest(now)
        };
        let stamp = self.look().await.filter(same).and_then(|now| now.watermark);
        (verdict, stamp)
    }

    async fn look(&self) -> Option<Object> {
        let collection = self.lane.definition.collections.get(&self.kind.collection).filter(|c| c.read.is_some())?;
        ReadLane::of(self.lane)
            .read(collection, &self.record.id, self.report)
            .await
            .ok()
            .flatten()
            .map(|o| o.as_written(self.kind))
    }
}

/// What a successful answer says; an answer that says neither is no verdict, and the error tells what it lacks.
fn passed(verb: &Test, answer: &serde_json::Value) -> Result<bool, String> {
    let Some(rule) = &verb.passed else { return Ok(true) };
    let path = rule.path();
    match (json_at(answer, path).and_then(|value| rule.reads(value)), rule) {
        (Some(passed), _) => Ok(passed),
        _ if answer.is_null() => Err("it is empty, or no JSON".to_owned()),
        (None, Passed::At(_)) => Err(format!("it has no `{path}` that is true or false")),
        (None, Passed::Word(_)) => Err(format!("its `{path}` says neither")),
    }
}

/// Some APIs report a failed test as a bad request.
fn refusal(error: &CallError) -> Option<&ApiError> {
    match &error.cause {
        // A login says nothing about the object.
        _ if error.is_login => None,
        CallFailure::Api(api) if matches!(api.class, Failure::Api(ErrorClass::Invalid | ErrorClass::Conflict)) => Some(api),
        _ => None,
    }
}

/// A failed test in words.
#[must_use]
pub fn failure(address: &Address, message: Option<&str>) -> Diagnostic {
    let error = Diagnostic::error(codes::TEST_FAILED, format!("the API's own test of `{address}` failed"));
    let error = match message {
        Some(message) => error.note(format!("the API said: {message:?}")),
        None => error,
    };
    error.help("check its credentials and its endpoint; `patchbay test` asks again").about(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::model::{Method, Trust};
    use serde_json::json;

    #[test]
    fn only_a_clear_answer_is_a_verdict() {
        let verb = |passed: Option<Passed>| Test {
            query: indexmap::IndexMap::new(),
            body: indexmap::IndexMap::new(),
            method: Method::Post,
            path: "/things/{id}/test".to_owned(),
            passed,
            message: None,
            trust: Trust::Call,
            moves_watermark: false,
        };
        for (answer, verdict) in [
            (json!({"ok": true}), Some(true)),
            (json!({"ok": false}), Some(false)),
            (json!({"ok": "yes"}), None),
            (json!({}), None),
            (json!(null), None),
            (json!([true]), None),
        ] {
            assert_eq!(passed(&verb(Some(Passed::At("ok".to_owned()))), &answer).ok(), verdict, "{answer}");
            assert_eq!(passed(&verb(None), &answer), Ok(true), "{answer}");
        }
        for (rule, verdicts) in [
            (json!({ "field": "s", "is": ["up"], "is_not": ["down"] }), [Some(true), Some(false), None]),
            (json!({ "field": "s", "is": ["up"] }), [Some(true), Some(false), Some(false)]),
            (json!({ "field": "s", "is_not": ["down"] }), [Some(true), Some(false), Some(true)]),
        ] {
            let rule: Passed = serde_json::from_value(rule).unwrap();
            for (word, verdict) in ["up", "down", "unknown"].into_iter().zip(verdicts) {
                assert_eq!(passed(&verb(Some(rule.clone())), &json!({ "s": word })).ok(), verdict, "{rule:?} {word}");
            }
            assert!(passed(&verb(Some(rule)), &json!({ "s": true })).is_err());
        }
    }
}
