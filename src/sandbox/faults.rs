//! Faults: what networks and servers do to requests, on demand.
//!
//! A fault is written on one line:
//!
//! ```text
//! METHOD PATH KIND [skip=N] [times=N]
//! ```
//!
//! `METHOD` is a method or `*`. `PATH` is a pattern in which `*` stands for anything; it is compared with the path below
//! the platform's base URL (`/connections/*`) and with the whole path (`/api/public/connections/*`). `skip` lets that
//! many matching requests through first, `times` ends the fault after so many hits. `KIND` is one of
//!
//! | kind | what happens |
//! |---|---|
//! | `status=503` | that status at once, nothing is processed; with `retry-after=SECONDS` and, last on the line, `body=TEXT` |
//! | `delay=200` | the request is processed, and the answer held back for so many milliseconds |
//! | `reset-before` | the connection is closed, nothing is processed |
//! | `reset-after` | the request is processed, then the connection is closed without an answer |
//! | `truncate` | the request is processed; half of the answer is sent, then the connection is closed |
//! | `not-json` | the request is processed; the answer says it is JSON and is not |
//! | `html=502` | a proxy's error page, nothing is processed |
//! | `redirect=URL` | 307 to that URL, nothing is processed |
//!
//! ```text
//! POST /connections status=503 skip=1 times=2
//! GET /connections/* delay=200
//! POST * reset-after times=1
//! ```
//!
//! Faults are tried in order and the first that is due decides; delays add up and let the next one decide.

use std::fmt;
use std::str::FromStr;

use super::SandboxError;

/// One fault. [`FromStr`] and [`fmt::Display`] are each other's inverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The method it strikes; all if absent.
    pub method: Option<String>,
    /// The pattern of paths it strikes; all if absent.
    pub path: Option<String>,
    /// How many matching requests it lets through first.
    pub skip: u32,
    /// After how many hits it ends; never if absent.
    pub times: Option<u32>,
    /// What it does.
    pub kind: FaultKind,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Answers with a status and processes nothing.
    Status {
        /// The status, 200 to 599.
        code: u16,
        /// The value of a `Retry-After` header, in seconds.
        retry_after: Option<u32>,
        /// The body; without one, an error in the shape that the platform uses.
        body: Option<String>,
    },
    /// Processes the request and holds the answer back, in milliseconds.
    Delay(u64),
    /// Closes the connection and processes nothing.
    ResetBefore,
    /// Processes the request and closes the connection without an answer.
    ResetAfter,
    /// Processes the request and cuts the answer short.
    Truncate,
    /// Answers with an HTML page under that status and processes nothing.
    Html(u16),
    /// Redirects to that URL and processes nothing.
    Redirect(String),
    /// Processes the request and answers with a body that is no JSON.
    NotJson,
}

impl FromStr for Fault {
    type Err = SandboxError;

    fn from_str(text: &str) -> Result<Self, SandboxError> {
        parse(text).map_err(|reason| SandboxError::Fault { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Fault, String> {
    // A body may contain anything, so it comes last and takes the rest.
    let (text, body) = match text.split_once(" body=") {
        Some((text, body)) => (text, Some(body.to_owned())),
        None => (text, None),
    };
    let mut words = text.split_whitespace();
    let method = match words.next() {
        None => return Err("a method is missing".to_owned()),
        Some("*") => None,
        Some(word) if word.bytes().all(|byte| byte.is_ascii_alphabetic()) => Some(word.to_ascii_uppercase()),
        Some(word) => return Err(format!("`{word}` is not a method")),
    };
    let path = match words.next() {
        None => return Err("a path is missing".to_owned()),
        Some("*") => None,
        Some(word) if word.starts_with(['/', '*']) => Some(word.to_owned()),
        Some(word) => return Err(format!("`{word}` is not a path: it must start with `/` or `*`")),
    };

    let (mut skip, mut times, mut retry_after, mut kinds) = (0, None, None, Vec::new());
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "skip" => skip = number(word, value)?,
            "times" => times = Some(number(word, value)?),
            "retry-after" => retry_after = Some(number(word, value)?),
            "status" => kinds.push(FaultKind::Status { code: status(word, value)?, retry_after: None, body: None }),
            "delay" => kinds.push(FaultKind::Delay(number(word, value)?)),
            "html" => kinds.push(FaultKind::Html(status(word, value)?)),
            "redirect" if !value.is_empty() => kinds.push(FaultKind::Redirect(value.to_owned())),
            "reset-before" | "reset-after" | "truncate" | "not-json" if name != word => {
                return Err(format!("`{name}` takes no value"));
            }
            "reset-before" => kinds.push(FaultKind::ResetBefore),
            "reset-after" => kinds.push(FaultKind::ResetAfter),
            "truncate" => kinds.push(FaultKind::Truncate),
            "not-json" => kinds.push(FaultKind::NotJson),
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    let mut kinds = kinds.into_iter();
    let mut kind = kinds.next().ok_or("it does not say what happens")?;
    if kinds.next().is_some() {
        return Err("only one thing can happen: write two faults".to_owned());
    }
    match &mut kind {
        FaultKind::Status { retry_after: seconds, body: content, .. } => (*seconds, *content) = (retry_after, body),
        _ if retry_after.is_some() || body.is_some() => return Err("`retry-after` and `body` need a `status`".to_owned()),
        _ => {}
    }
    Ok(Fault { method, path, skip, times, kind })
}

fn number<N: FromStr>(word: &str, value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("`{word}` needs a number"))
}

fn status(word: &str, value: &str) -> Result<u16, String> {
    let status: u16 = number(word, value)?;
    if (200..600).contains(&status) { Ok(status) } else { Err(format!("`{word}` is not a status from 200 to 599")) }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.method.as_deref().unwrap_or("*"), self.path.as_deref().unwrap_or("*"))?;
        match &self.kind {
            FaultKind::Status { code, .. } => write!(f, "status={code}")?,
            FaultKind::Delay(milliseconds) => write!(f, "delay={milliseconds}")?,
            FaultKind::ResetBefore => f.write_str("reset-before")?,
            FaultKind::ResetAfter => f.write_str("reset-after")?,
            FaultKind::Truncate => f.write_str("truncate")?,
            FaultKind::Html(code) => write!(f, "html={code}")?,
            FaultKind::Redirect(url) => write!(f, "redirect={url}")?,
            FaultKind::NotJson => f.write_str("not-json")?,
        }
        if self.skip > 0 {
            write!(f, " skip={}", self.skip)?;
        }
        if let Some(times) = self.times {
            write!(f, " times={times}")?;
        }
        if let FaultKind::Status { retry_after, body, .. } = &self.kind {
            if let Some(seconds) = retry_after {
                write!(f, " retry-after={seconds}")?;
            }
            if let Some(body) = body {
                write!(f, " body={body}")?;
            }
        }
        Ok(())
    }
}

/// A fault with the requests it has met.
#[derive(Debug)]
pub(super) struct Armed {
    fault: Fault,
    met: u32,
}

impl Armed {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, met: 0 }
    }

    /// Does it strike this request? Counts it if it matches.
    fn strikes(&mut self, method: &str, paths: [&str; 2]) -> bool {
        let Fault { method: wanted, path: pattern, skip, times, .. } = &self.fault;
        let matches = wanted.as_deref().is_none_or(|wanted| wanted == method)
            && pattern.as_deref().is_none_or(|pattern| paths.iter().any(|path| glob(pattern, path)));
        if !matches {
            return false;
        }
        self.met = self.met.saturating_add(1);
        self.met > *skip && times.is_none_or(|times| self.met - skip <= times)
    }
}

/// What the faults do to one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Strike {
    /// How long the answer is held back, in milliseconds.
    pub(super) delay: u64,
    /// What else happens; never [`FaultKind::Delay`].
    pub(super) kind: Option<FaultKind>,
}

/// Asks the faults in order. `paths` are the path below the platform's base and the whole path.
pub(super) fn strike(armed: &mut [Armed], method: &str, paths: [&str; 2]) -> Strike {
    let mut strike = Strike::default();
    for fault in armed {
        match &fault.fault.kind {
            FaultKind::Delay(milliseconds) => {
                let milliseconds = *milliseconds;
                if fault.strikes(method, paths) {
                    strike.delay = strike.delay.saturating_add(milliseconds);
                }
            }
            _ if strike.kind.is_some() => {}
            _ => {
                if fault.strikes(method, paths) {
                    strike.kind = Some(fault.fault.kind.clone());
                }
            }
        }
    }
    strike
}

/// Does the text match a pattern in which `*` stands for any text, also one with `/` in it?
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = others.rsplit_once('*').unwrap_or(("", others));
    for piece in middle.split('*') {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_parse_and_print() {
        for text in [
            "POST /connections status=503 skip=1 times=2",
            "GET /connections/* delay=200",
            "POST * reset-after",
            "* /ai/llm/* reset-before times=1",
            "PATCH * truncate",
            "* * not-json",
            "GET /providers html=502",
            "GET * redirect=http://127.0.0.1:1/elsewhere?a=b",
            "PUT * status=429 times=3 retry-after=2",
            "PUT * status=500 body={\"error\": \"Failed to save provider\"}",
            "PUT * status=500 retry-after=1 body= two  spaces ",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn parts_may_come_in_any_order() {
        let fault: Fault = "post /connections times=2 skip=1 retry-after=5 status=503".parse().unwrap();
        let kind = FaultKind::Status { code: 503, retry_after: Some(5), body: None };
        let expected =
            Fault { method: Some("POST".to_owned()), path: Some("/connections".to_owned()), skip: 1, times: Some(2), kind };
        assert_eq!(fault, expected);
    }

    #[test]
    fn what_is_no_fault_says_why() {
        for (text, why) in [
            ("", "a method is missing"),
            ("P0ST * truncate", "`P0ST` is not a method"),
            ("GET", "a path is missing"),
            ("GET connections truncate", "`connections` is not a path: it must start with `/` or `*`"),
            ("GET *", "it does not say what happens"),
            ("GET * truncate not-json", "only one thing can happen: write two faults"),
            ("GET * status=99", "`status=99` is not a status from 200 to 599"),
            ("GET * status=abc", "`status=abc` needs a number"),
            ("GET * delay=-1", "`delay=-1` needs a number"),
            ("GET * redirect=", "`redirect=` is not known"),
            ("GET * truncate=1", "`truncate` takes no value"),
            ("GET * explode", "`explode` is not known"),
            ("GET * truncate retry-after=1", "`retry-after` and `body` need a `status`"),
            ("GET * truncate body=x", "`retry-after` and `body` need a `status`"),
        ] {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("/connections", "/connections", true),
            ("/connections", "/connections/1", false),
            ("/connections/*", "/connections/1", true),
            ("/connections/*", "/connections", false),
            ("*", "/anything/at/all", true),
            ("/providers/*/test", "/providers/openai/test", true),
            ("/providers/*/test", "/providers/openai", false),
            ("*/llm/*/validate", "/ai/llm/1/validate", true),
            ("/a*b*c", "/a-b-b-c", true),
            ("/a*b*c", "/a-c-b", false),
            ("/a*a", "/a", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn skip_and_times_count_matching_requests_only() {
        let mut armed = [Armed::new("POST /connections status=503 skip=1 times=2".parse().unwrap())];
        let mut hit = |method: &str, path: &str| strike(&mut armed, method, [path, path]).kind.is_some();
        assert!(!hit("GET", "/connections"));
        assert!(!hit("POST", "/providers"));
        assert_eq!([(); 5].map(|()| hit("POST", "/connections")), [false, true, true, false, false]);
    }

    #[test]
    fn the_first_that_is_due_decides_and_delays_add_up() {
        let mut armed: Vec<Armed> = ["* * delay=20", "POST * truncate times=1", "* * not-json", "* /x* delay=5"]
            .map(|text| Armed::new(text.parse().unwrap()))
            .into();
        let mut hit = |method| strike(&mut armed, method, ["/x", "/api/x"]);
        assert_eq!(hit("POST"), Strike { delay: 25, kind: Some(FaultKind::Truncate) });
        assert_eq!(hit("POST"), Strike { delay: 25, kind: Some(FaultKind::NotJson) });
        assert_eq!(hit("GET"), Strike { delay: 25, kind: Some(FaultKind::NotJson) });
    }
}
