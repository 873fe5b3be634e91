//! Failed requests in words: one shape for all of them, what, the request line, what the API said, what to do.

use super::lane::{CallError, CallFailure, Lane};
use crate::config::project::Target;
use crate::diagnostic::{Code, Diagnostic, codes};
use crate::io::http::SendErrorKind;
use crate::io::tls::Trouble;
use crate::platform::exchange::{ApiError, Failure};
use crate::platform::model::ErrorClass;
use crate::secret::Redactor;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'p> {
    /// The list of a target.
    List,
    /// The read of one connection.
    Read(&'p str),
    /// A change of one connection.
    Write(&'p str),
    /// The API's own test of one connection.
    Test(&'p str),
}

/// Explains a failed request.
#[must_use]
pub fn explain(lane: &Lane, target: &Target, error: &CallError, purpose: Purpose<'_>, redactor: &Redactor) -> Diagnostic {
    let diagnostic = match &error.cause {
        CallFailure::Api(api) => answered(lane, target, error, api, purpose),
        CallFailure::Send(send) => unanswered(lane, target, error, send.kind, &send.detail, purpose),
    };
    let place = match diagnostic.code {
        _ if error.is_login && matches!(error.cause, CallFailure::Api(_)) => target.auth_span.or(Some(target.span)),
        codes::UNAUTHORISED | codes::FORBIDDEN => target.auth_span.or(Some(target.span)),
        _ => target.base_url_span.or(Some(target.span)),
    };
    let at_target = purpose == Purpose::List
        || error.is_login
        || matches!(error.cause, CallFailure::Send(_))
        || matches!(diagnostic.code, codes::UNAUTHORISED | codes::FORBIDDEN);
    let mut diagnostic =
        if at_target { diagnostic.label_opt(place, format!("the target `{}`", lane.target)) } else { diagnostic };
    diagnostic.notes.insert(0, method_and_url(lane, &error.request));
    if let CallFailure::Api(api) = &error.cause
        && let Some(message) = &api.message
    {
        let code = api.code.as_ref().map(|c| format!(" ({c})")).unwrap_or_default();
        // The API may echo what was sent, credentials among it.
        diagnostic.notes.insert(1, redactor.scrub(&format!("the API said: {message:?}{code}")).into_owned());
    }
    if error.attempts > 1 {
        diagnostic.notes.push(format!("tried {} times in {:.1}s", error.attempts, error.elapsed.as_secs_f64()));
    }
    diagnostic.summary = redactor.scrub(&diagnostic.summary).into_owned();
    diagnostic
}

fn method_and_url(lane: &Lane, request: &str) -> String {
    match request.split_once(' ') {
        Some((method, path)) => format!("{method} {}{path}", lane.base_url()),
        None => request.to_owned(),
    }
}

fn subject(lane: &Lane, purpose: Purpose<'_>) -> String {
    match purpose {
        Purpose::List => lane.target.clone(),
        Purpose::Read(address) | Purpose::Write(address) | Purpose::Test(address) => address.to_owned(),
    }
}

fn answered(lane: &Lane, target: &Target, error: &CallError, api: &ApiError, purpose: Purpose<'_>) -> Diagnostic {
    let name = &lane.target;
    let subject = subject(lane, purpose);
    let status = api.status;
    if error.is_login
        && let Some(refusal) = login(lane, target, error, api)
    {
        return refusal;
    }
    match &api.class {
        Failure::Api(ErrorClass::Unauthorised) => {
            Diagnostic::error(codes::UNAUTHORISED, format!("`{name}` rejected the credentials ({status})"))
                .help("check the credentials of this target, and that they belong to this host")
        }
        Failure::Api(ErrorClass::Forbidden) => {
            Diagnostic::error(codes::FORBIDDEN, format!("`{name}`: the credentials may not do this ({status})"))
                .help("reading and writing may need different scopes; ask for the one that this request needs")
        }
        Failure::Api(ErrorClass::NotFound) if purpose == Purpose::List => {
            let help = other_end(lane, target).unwrap_or_else(|| "check base_url".to_owned());
            Diagnostic::error(codes::HTTP_NOT_FOUND, format!("nothing answers at this address of `{name}` ({status})")).help(help)
        }
        Failure::Api(ErrorClass::NotFound) if matches!(purpose, Purpose::Test(_)) => {
            Diagnostic::error(codes::HTTP_NOT_FOUND, format!("`{subject}`, or the API's test of it, was not found ({status})"))
                .help("`patchbay plan` says whether the object is there; if it is, this deployment has no test at this address")
        }
        // What is being made cannot be gone.
        Failure::Api(ErrorClass::NotFound) if matches!(purpose, Purpose::Write(_)) && error.request.starts_with("POST ") => {
            Diagnostic::error(
                codes::HTTP_NOT_FOUND,
                format!("the API refused `{subject}`: something that it refers to is not there ({status})"),
            )
            .help("check the ids in it, and that base_url is the right one")
        }
        Failure::Api(ErrorClass::NotFound) => Diagnostic::error(codes::HTTP_NOT_FOUND, format!("`{subject}` is gone ({status})"))
            .help("it was deleted outside patchbay; plan again, and the next apply creates it"),
        Failure::Api(ErrorClass::InUse) => {
            Diagnostic::error(codes::CONFLICT, format!("the API refused `{subject}`: something else uses it ({status})"))
                .help("delete or change what uses it first, then run the command again")
        }
        Failure::Api(ErrorClass::Conflict) => Diagnostic::error(
            codes::CONFLICT,
            format!("the API refused `{subject}`: it clashes with something that exists ({status})"),
        )
        .help("plan again to see what is there now"),
        Failure::Api(ErrorClass::Invalid) => Diagnostic::error(codes::INVALID, format!("the API refused `{subject}` ({status})"))
            .help("fix what the API complains about and run apply again; nothing was changed by this request"),
        Failure::Api(ErrorClass::Throttled) => {
            Diagnostic::error(codes::THROTTLED, format!("`{name}` asks to slow down ({status})"))
                .help("try --parallelism 1, or later; what was done is saved")
        }
        Failure::Api(ErrorClass::Transient) if matches!(purpose, Purpose::Test(_)) => Diagnostic::error(
            codes::SERVER_ERROR,
            format!("the test of `{subject}` could not be made: `{name}` failed ({status})"),
        )
        .help("this says nothing about the connection; try again later"),
        Failure::Api(ErrorClass::Transient) => Diagnostic::error(codes::SERVER_ERROR, format!("`{name}` failed ({status})"))
            .help(if error.may_have_happened {
                "`patchbay plan` later shows whether the change arrived"
            } else {
                "nothing to fix here; try again later"
            }),
        Failure::NotJson(what) => {
            Diagnostic::error(codes::NOT_JSON, format!("`{name}` did not answer with JSON ({status}, {what})"))
                .help("base_url probably points at a web console, or a proxy wants a login")
        }
        Failure::Redirect(to) => Diagnostic::error(
            codes::REDIRECTED,
            format!("`{name}` redirected to {to} ({status}); the credentials were not sent there"),
        )
        .help("if that is the right address, put it into base_url"),
        Failure::Unexpected(what) => {
            Diagnostic::error(codes::UNEXPECTED_ANSWER, format!("the answer of `{name}` is not what its definition says: {what}"))
                .help("is base_url the address of this API? If the API changed, its definition must follow")
        }
    }
}

/// What a base URL of this platform ends in, if this one does not.
fn other_end(lane: &Lane, target: &Target) -> Option<String> {
    let end = lane.definition.base_url.ends_in.as_deref()?;
    (!target.base_url.ends_with(end) && !target.base_url.starts_with("sandbox:")).then(|| format!("base_url should end in {end}"))
}

/// A login that was not let through: that it was asked for at the wrong place is likelier than with other requests,
/// because a definition can only name the usual one.
fn login(lane: &Lane, target: &Target, error: &CallError, api: &ApiError) -> Option<Diagnostic> {
    let name = &lane.target;
    let status = api.status;
    let path = error.request.split_once(' ').map_or("", |(_, path)| path);
    let place = match (&target.login_path, other_end(lane, target)) {
        (_, Some(end)) => end,
        (Some(_), None) => format!("check `login_path` and `base_url` of [targets.{name}]"),
        (None, None) => format!(
            "the platform's definition knows {path} as the usual place, and no more; if this deployment logs in elsewhere, set `login_path` in [targets.{name}]"
        ),
    };
    Some(match &api.class {
        Failure::Api(ErrorClass::NotFound) => {
            Diagnostic::error(codes::HTTP_NOT_FOUND, format!("`{name}` has no login at {path} ({status})")).help(place)
        }
        Failure::Api(ErrorClass::Forbidden) => {
            Diagnostic::error(codes::FORBIDDEN, format!("`{name}` does not let this account in ({status})"))
                .help("check the credentials of this target, and that they belong to this host")
        }
        Failure::Api(ErrorClass::Invalid | ErrorClass::Conflict | ErrorClass::InUse) => {
            Diagnostic::error(codes::INVALID, format!("`{name}` did not take the login at {path} ({status})")).help(place)
        }
        Failure::NotJson(what) => {
            Diagnostic::error(codes::NOT_JSON, format!("the login of `{name}` was not answered with JSON ({status}, {what})"))
                .help(place)
        }
        Failure::Unexpected(what) => {
            Diagnostic::error(codes::UNEXPECTED_ANSWER, format!("`{name}` gave no token: {what}")).help(place)
        }
        _ => return None,
    })
}

fn unanswered(
    lane: &Lane,
    target: &Target,
    error: &CallError,
    kind: SendErrorKind,
    detail: &str,
    purpose: Purpose<'_>,
) -> Diagnostic {
    let host = url::Url::parse(lane.base_url())
        .ok()
        .and_then(|u| u.host_str().map(ToOwned::to_owned))
        .unwrap_or_else(|| lane.base_url().to_owned());
    let unknown = matches!(purpose, Purpose::Write(_)) && error.may_have_happened;
    let (code, summary, help): (Code, String, String) = match kind {
        SendErrorKind::Connect => (
            codes::CANNOT_CONNECT,
            format!("cannot reach {}: {detail}", lane.base_url()),
            "is it running, and is base_url right?".into(),
        ),
        SendErrorKind::Tls(trouble) => {
            (codes::TLS, format!("no trusted TLS connection to {host}: {detail}"), tls(trouble, target.ca_file.as_deref()))
        }
        SendErrorKind::Timeout => (
            codes::TIMEOUT,
            format!("no answer from `{}` within {}s", lane.target, lane.timeout().as_secs_f64()),
            "raise `timeout` of the target if the API is slow".into(),
        ),
        SendErrorKind::Broken => {
            (codes::CUT_SHORT, format!("the connection to `{}` broke: {detail}", lane.target), "try again".into())
        }
        SendErrorKind::CutShort => (
            codes::CUT_SHORT,
            format!("the answer of `{}` broke off: {detail}", lane.target),
            "try again; a proxy may cut long answers".into(),
        ),
        SendErrorKind::Unsendable => (
            codes::CANNOT_CONNECT,
            format!("the request to `{}` cannot be made: {detail}", lane.target),
            "check base_url and the credentials".into(),
        ),
    };
    let diagnostic = Diagnostic::error(code, summary).help(help);
    if unknown { diagnostic.note("it may have arrived all the same") } else { diagnostic }
}

/// The way out of a TLS connection that failed.
fn tls(trouble: Trouble, ca_file: Option<&str>) -> String {
    let help = match (trouble, ca_file) {
        (Trouble::Authority, _) => {
            "let this authority sign a certificate for the server, and name the authority in ca_file; a certificate that signs itself works there, too, if it was made with `-addext basicConstraints=critical,CA:FALSE`"
        }
        (Trouble::Issuer, None) => "for a private authority, set ca_file; patchbay has no switch to skip verification",
        (Trouble::Issuer, Some(path)) => {
            return format!(
                "put the certificate of the authority that signed it into `{path}`; the server itself must send those in between"
            );
        }
        (Trouble::Expired, _) => {
            "the server needs a new certificate; if that day has not come yet, this machine's clock is wrong"
        }
        (Trouble::NotYet, _) => "look at this machine's clock; if it is right, the server needs another certificate",
        (Trouble::OtherName, _) => "use a name in base_url that the certificate has, or give the server one for this name",
        (Trouble::Certificate, _) => "the server needs another certificate; patchbay has no switch to skip verification",
        (Trouble::Ours, _) => "patchbay shows no certificate of its own; reach the API where it does without",
        (Trouble::NoTls, _) => "if it is, base_url begins with http://; to another machine that needs allow_http = true",
        (Trouble::Other, _) => "is base_url the API's own address, with nothing in between that speaks TLS instead?",
    };
    help.to_owned()
}
