//! The API's own test of an object. It changes nothing that patchbay manages, and it may cost the vendor a call.

use std::time::Duration;

use super::event::Report;
use super::lane::{CallError, CallFailure, Lane};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, codes};
use crate::io::clock;
use crate::platform::exchange::{ApiError, Failure, RequestSpec, json_at, neutral};
use crate::platform::model::{ErrorClass, Test};
use crate::platform::object::with_id;
use crate::secret::Redactor;

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
/// No verdict came: the object is gone, the credentials are not accepted, the network failed.
pub async fn test(
    lane: &Lane,
    verb: &Test,
    id: &str,
    redactor: &Redactor,
    report: &dyn Report,
) -> Result<(Verdict, Duration), CallError> {
    let request = RequestSpec {
        method: verb.method,
        path: with_id(&verb.path, id),
        query: Vec::new(),
        body: None,
        // Asking twice is asking again.
        idempotent: true,
    };
    let started = clock::instant();
    let scrubbed = |text: Option<String>| text.map(|text| redactor.scrub(&text).into_owned());
    let verdict = match lane.call(&request, report).await {
        Ok(answer) => {
            let message = verb.message.as_deref().and_then(|path| json_at(&answer, path)?.as_str().map(neutral));
            let passed = verb.passed.as_deref().is_none_or(|path| json_at(&answer, path) == Some(&true.into()));
            if passed { Verdict::Passed(scrubbed(message)) } else { Verdict::Failed(scrubbed(message)) }
        }
        Err(error) => match refusal(&error) {
            Some(api) => Verdict::Failed(scrubbed(api.message.clone())),
            None => return Err(error),
        },
    };
    Ok((verdict, started.elapsed()))
}

/// Some APIs report a failed test as a bad request.
fn refusal(error: &CallError) -> Option<&ApiError> {
    match &error.cause {
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
