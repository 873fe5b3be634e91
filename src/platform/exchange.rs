//! Requests and answers as values, and the reading of failures.

use std::fmt;

use super::model::{Definition, ErrorClass, Method};
use crate::path::FieldPath;
use crate::value::Value;

/// A request below a target's base URL. Credentials are added by the sender.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestSpec {
    /// The method.
    pub method: Method,
    /// The path below the base URL, already percent-encoded where ids were put in.
    pub path: String,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// The JSON body.
    pub body: Option<Value>,
    /// May it be sent again when nobody knows whether it arrived?
    pub idempotent: bool,
}

impl RequestSpec {
    /// A read.
    #[must_use]
    pub fn get(path: String, query: Vec<(String, String)>) -> Self {
        Self { method: Method::Get, path, query, body: None, idempotent: true }
    }

    /// `GET /connections?limit=1000`: method, path and query, for logs and messages. Holds nothing secret.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.method.as_str(), self.path);
        for (n, (name, value)) in self.query.iter().enumerate() {
            line.push(if n == 0 { '?' } else { '&' });
            line.push_str(name);
            line.push('=');
            line.push_str(value);
        }
        line
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseSpec {
    /// The status.
    pub status: u16,
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// The target of a redirect.
    pub location: Option<String>,
    /// How long the API asked to wait.
    pub retry_after: Option<std::time::Duration>,
    /// By what the server's operators find the request in their logs.
    pub request_id: Option<String>,
    /// The server's own time.
    pub date: Option<jiff::Timestamp>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for ResponseSpec {
    /// Without the body: it may echo a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseSpec({}, {} bytes)", self.status, self.body.len())
    }
}

/// A failed answer, read with the definition's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What it means.
    pub class: Failure,
    /// The status.
    pub status: u16,
    /// What the API said, neutralised: one line, no control characters, at most 300 characters.
    pub message: Option<String>,
    /// The API's own error code.
    pub code: Option<String>,
}

impl ApiError {
    /// An answer that lacks what the definition promises.
    #[must_use]
    pub fn unexpected(what: String) -> Self {
        Self { class: Failure::Unexpected(what), status: 200, message: None, code: None }
    }
}

/// What went wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The API said so.
    Api(ErrorClass),
    /// A 2xx answer that is no JSON; the text says how it starts.
    NotJson(String),
    /// A redirect, and to where. Never followed: the credentials would travel along.
    Redirect(String),
    /// JSON that lacks what the definition promises; the text says what.
    Unexpected(String),
}

/// Reads an answer: the JSON of a success, or what the failure means. An empty success is `null`.
///
/// What the API says in a failure is told in its own words, so it goes through `scrub` first: it may echo what was sent.
///
/// # Errors
/// Every answer that is no success under the definition's rules.
pub fn read(
    definition: &Definition,
    answer: &ResponseSpec,
    scrub: &dyn Fn(&str) -> String,
) -> Result<serde_json::Value, ApiError> {
    let parsed: Option<serde_json::Value> = if answer.body.iter().all(u8::is_ascii_whitespace) {
        Some(serde_json::Value::Null)
    } else {
        serde_json::from_slice(&answer.body).ok()
    };
    let found = |paths: &[String]| {
        let body = parsed.as_ref()?;
        paths.iter().find_map(|path| {
            let text = match json_at(body, path)? {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Number(number) => number.to_string(),
                _ => return None,
            };
            (!text.is_empty()).then(|| harmless(&text, scrub))
        })
    };
    let message = found(&definition.errors.message);
    let code = found(&definition.errors.code);
    let error = |class: Failure, message: Option<String>| ApiError { class, status: answer.status, message, code: code.clone() };

    if let Some(class) = by_rules(definition, answer.status, message.as_deref(), code.as_deref()) {
        return Err(error(Failure::Api(class), message.or_else(|| text_of(answer, scrub))));
    }
    match answer.status {
        200..=299 => {}
        300..=399 => {
            let to = answer.location.clone().map_or_else(|| "no address given".to_owned(), |l| harmless(&l, scrub));
            return Err(error(Failure::Redirect(to), message));
        }
        status => {
            let class = match status {
                401 => ErrorClass::Unauthorised,
                403 => ErrorClass::Forbidden,
                404 | 410 => ErrorClass::NotFound,
                409 => ErrorClass::Conflict,
                429 => ErrorClass::Throttled,
                408 | 425 | 500..=599 => ErrorClass::Transient,
                _ => ErrorClass::Invalid,
            };
            return Err(error(Failure::Api(class), message.or_else(|| text_of(answer, scrub))));
        }
    }
    let Some(body) = parsed else {
        // Scrubbed before it is cut: half a secret is a secret.
        let text = harmless(&String::from_utf8_lossy(&answer.body[..answer.body.len().min(64 << 10)]), scrub);
        let start: String = text.chars().take(80).collect();
        let kind = answer.content_type.as_deref().map(neutral).unwrap_or_else(|| "no content type".into());
        return Err(error(Failure::NotJson(format!("{kind}, starts with {start:?}")), None));
    };
    if let Some(rule) = &definition.errors.failed_when
        && json_at(&body, &rule.field) == Some(&rule.is)
    {
        return Err(error(Failure::Api(ErrorClass::Invalid), message));
    }
    Ok(body)
}

fn by_rules(definition: &Definition, status: u16, message: Option<&str>, code: Option<&str>) -> Option<ErrorClass> {
    let holds = |rule: &&super::model::ErrorRule| {
        rule.status.is_none_or(|s| s == status)
            && rule.code.as_deref().is_none_or(|c| code == Some(c))
            && rule
                .message_has
                .as_deref()
                .is_none_or(|part| message.is_some_and(|m| m.to_lowercase().contains(&part.to_lowercase())))
    };
    definition.errors.rules.iter().find(holds).map(|rule| rule.class)
}

/// A failure without JSON still says something, unless it is a page.
fn text_of(answer: &ResponseSpec, scrub: &dyn Fn(&str) -> String) -> Option<String> {
    let text = std::str::from_utf8(&answer.body).ok()?.trim();
    (!text.is_empty() && !text.starts_with('<')).then(|| harmless(text, scrub))
}

/// The JSON value at a path such as `errors[0].msg`; the empty path is the whole.
#[must_use]
pub fn json_at<'j>(json: &'j serde_json::Value, path: &str) -> Option<&'j serde_json::Value> {
    FieldPath::parse(path).steps().iter().try_fold(json, |value, step| match step {
        crate::path::Step::Key(key) => value.get(key),
        crate::path::Step::Index(index) => value.get(index),
        crate::path::Step::Item { .. } => None,
    })
}

/// Remote text without known secrets, and made harmless for terminals and logs. In this order: what is cut or broken by
/// a control character would not be found any more.
#[must_use]
pub fn harmless(text: &str, scrub: &dyn Fn(&str) -> String) -> String {
    let joined = without_controls(text);
    let scrubbed = scrub(&joined);
    neutral(if scrubbed == joined { text } else { &scrubbed })
}

/// The text without control characters and without the sequences that drive a terminal, `ESC [ 2 J`.
fn without_controls(text: &str) -> String {
    let mut kept = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {}
        } else if !is_unsafe(c) {
            kept.push(c);
        }
    }
    kept
}

/// Could this character drive a terminal or turn a line around?
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Does a path have `.` or `..` for a step, also percent-encoded? No URL keeps such a step: it climbs instead.
#[must_use]
pub fn climbs(path: &str) -> bool {
    path.split(['/', '\\']).any(|step| matches!(step.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

/// Remote text made harmless for terminals and logs: one line, no control characters, at most 300 characters.
#[must_use]
pub fn neutral(text: &str) -> String {
    let mut clean = String::new();
    for (n, c) in text.trim().chars().enumerate() {
        if n == 300 {
            clean.push('…');
            break;
        }
        clean.push(match c {
            '\n' | '\r' | '\t' => ' ',
            c if is_unsafe(c) => '\u{fffd}',
            c => c,
        });
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::builtin;
    use crate::source::Sources;

    fn answer(status: u16, body: &str) -> ResponseSpec {
        ResponseSpec {
            status,
            content_type: Some("text/html".into()),
            location: None,
            retry_after: None,
            request_id: None,
            date: None,
            body: body.into(),
        }
    }

    fn koreai() -> Definition {
        builtin::load("koreai", &mut Sources::default()).unwrap().unwrap()
    }

    #[test]
    fn statuses_have_meanings() {
        use ErrorClass as C;
        for (status, class) in [
            (400, C::Invalid),
            (401, C::Unauthorised),
            (403, C::Forbidden),
            (404, C::NotFound),
            (408, C::Transient),
            (409, C::Conflict),
            (410, C::NotFound),
            (422, C::Invalid),
            (425, C::Transient),
            (429, C::Throttled),
            (500, C::Transient),
            (503, C::Transient),
            (418, C::Invalid),
        ] {
            assert_eq!(
                read(&koreai(), &answer(status, "{}"), &str::to_owned).unwrap_err().class,
                Failure::Api(class),
                "{status}"
            );
        }
    }

    #[test]
    fn messages_are_found_in_every_documented_shape() {
        for (body, message) in [
            (r#"{"errors":[{"msg":"bad key","code":4002}]}"#, Some("bad key")),
            (r#"{"error":{"message":"no"}}"#, Some("no")),
            (r#"{"error":"plain"}"#, Some("plain")),
            (r#"{"message":"top"}"#, Some("top")),
            ("upstream connect error", Some("upstream connect error")),
            ("<html>oops</html>", None),
            ("", None),
        ] {
            assert_eq!(read(&koreai(), &answer(400, body), &str::to_owned).unwrap_err().message.as_deref(), message, "{body}");
        }
    }

    #[test]
    fn a_page_under_200_is_not_json_and_a_redirect_is_not_followed() {
        let page = read(&koreai(), &answer(200, "<!doctype html><title>Sign in</title>"), &str::to_owned).unwrap_err();
        assert_eq!(page.class, Failure::NotJson("text/html, starts with \"<!doctype html><title>Sign in</title>\"".into()));
        let mut moved = answer(302, "");
        moved.location = Some("https://login.example/".into());
        assert_eq!(
            read(&koreai(), &moved, &str::to_owned).unwrap_err().class,
            Failure::Redirect("https://login.example/".into())
        );
    }

    #[test]
    fn rules_come_before_the_status_and_failure_may_hide_under_200() {
        let mut definition = koreai();
        definition.errors.rules = vec![super::super::model::ErrorRule {
            status: Some(500),
            message_has: Some("failed to save".into()),
            code: None,
            class: ErrorClass::Invalid,
        }];
        definition.errors.failed_when = Some(super::super::model::FailedWhen { field: "success".into(), is: false.into() });
        let class = |status, body| read(&definition, &answer(status, body), &str::to_owned).map_err(|e| e.class);
        assert_eq!(class(500, r#"{"error":"Failed to save provider"}"#), Err(Failure::Api(ErrorClass::Invalid)));
        assert_eq!(class(500, r#"{"error":"other"}"#), Err(Failure::Api(ErrorClass::Transient)));
        assert_eq!(class(200, r#"{"success":false,"message":"no"}"#), Err(Failure::Api(ErrorClass::Invalid)));
        assert!(class(200, r#"{"success":true}"#).is_ok());
    }

    #[test]
    fn remote_text_cannot_drive_the_terminal() {
        assert_eq!(neutral("a\x1b[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb c\u{fffd}d");
        assert_eq!(neutral(&"x".repeat(400)).chars().count(), 301);
    }

    #[test]
    fn what_is_echoed_is_scrubbed_before_it_is_cut() {
        let secret = format!("tok-{}", "x".repeat(430));
        let scrub = |text: &str| text.replace(&secret, "(redacted)");
        let said = |body: &str| read(&koreai(), &answer(401, body), &scrub).unwrap_err().message.unwrap();
        assert_eq!(said(&format!(r#"{{"error":"bad token: {secret}"}}"#)), "bad token: (redacted)");
        let broken = format!("{}\u{1}{}", &secret[..20], &secret[20..]);
        assert_eq!(said(&serde_json::json!({ "error": broken }).to_string()), "(redacted)");
        let driven = format!("{}\u{1b}[2J{}", &secret[..20], &secret[20..]);
        assert_eq!(said(&serde_json::json!({ "error": driven }).to_string()), "(redacted)");
        assert_eq!(said(&format!("plain {secret}")), "plain (redacted)");
        let page = read(&koreai(), &answer(200, &format!("{}{secret}", "y".repeat(60))), &scrub).unwrap_err();
        assert!(
            matches!(&page.class, Failure::NotJson(text) if text.contains("(redacted)") && !text.contains("tok-")),
            "{page:?}"
        );
    }

    #[test]
    fn steps_of_dots_climb() {
        for path in ["/..", "/a/../b", "/a/.", "/%2E%2e/a", "/a/.%2e", "/a\\..\\b"] {
            assert!(climbs(path), "{path}");
        }
        for path in ["/a", "/a/...", "/a.b/..c", "/v1.0/things/a..b", "/"] {
            assert!(!climbs(path), "{path}");
        }
    }

    #[test]
    fn debug_shows_no_body() {
        assert_eq!(format!("{:?}", answer(200, "sk-secret")), "ResponseSpec(200, 9 bytes)");
    }
}
