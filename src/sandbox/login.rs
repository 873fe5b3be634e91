//! Session tokens of the gateway: what `POST /api/auth/login` gives and what becomes of it.
//!
//! No page of the vendor says where a session token comes from, so this is the usual form and no more: a user name and
//! a password in, a token out. Any pair is accepted, unless the server has a key: then that is the only password. Unless
//! the quirk `gateway_token_uses` asks for it, any token is accepted, too, as everywhere in a sandbox without a key.

use std::collections::BTreeMap;

use serde_json::json;

use super::message::{Reply, Request, text};
use super::quirks::Quirks;

/// Where to log in.
pub(super) const PATH: &str = "/api/auth/login";

/// What the answer promises.
const SECONDS: u32 = 3600;

/// The tokens that were given out, and for how many requests each still holds. They die with the process, as a vendor's
/// do with a restart.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    given: u64,
    left: BTreeMap<String, usize>,
}

impl Sessions {
    /// Answers a login. `key` is the only password that is accepted; any is, without one.
    pub(super) fn open(&mut self, quirks: &Quirks, key: Option<&str>, request: &Request) -> Reply {
        let refused = |status: u16, why: &str| Reply::json(status, &json!({ "error": why }));
        let body = match request.object() {
            Ok(body) => body,
            Err(problem) => return refused(400, &problem),
        };
        let (user, password) = (text(&body, "username"), text(&body, "password"));
        if user.is_empty() || password.is_empty() {
            return refused(400, "username and password are required");
        }
        if password.contains("invalid") || key.is_some_and(|key| password != key) {
            return refused(401, "Invalid username or password");
        }
        self.given += 1;
        let token = format!("sandbox-session-{:06}-{}", self.given, user.len());
        self.left.insert(token.clone(), quirks.gateway_token_uses.unwrap_or(usize::MAX));
        Reply::json(200, &json!({ "token": token, "expiresIn": SECONDS, "user": { "username": user } }))
    }

    /// Takes away the credential of a request whose token is unknown or used up; to the handlers that is the same as
    /// none.
    pub(super) fn admit(&mut self, quirks: &Quirks, request: &mut Request) {
        if quirks.gateway_token_uses.is_none() {
            return;
        }
        let Some(token) = request.bearer().map(str::to_owned) else { return };
        match self.left.get_mut(&token) {
            Some(left) if *left > 0 => *left -= 1,
            _ => request.headers.retain(|(name, _)| name != "authorization"),
        }
    }

    /// Was this token given out here?
    pub(super) fn knows(&self, request: &Request) -> bool {
        request.bearer().is_some_and(|token| self.left.contains_key(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn request(body: &Value, token: Option<&str>) -> Request {
        let headers = token.map(|t| ("authorization".to_owned(), format!("Bearer {t}"))).into_iter().collect();
        Request { method: "POST".to_owned(), headers, body: body.to_string().into_bytes(), ..Request::default() }
    }

    #[test]
    fn a_token_holds_as_long_as_the_quirk_says() {
        let quirks = Quirks { gateway_token_uses: Some(1), ..Quirks::default() };
        let mut sessions = Sessions::default();
        let reply = sessions.open(&quirks, None, &request(&json!({"username": "ada", "password": "p"}), None));
        let token = reply.value()["token"].as_str().unwrap().to_owned();
        for (token, expected) in [(token.as_str(), true), (token.as_str(), false), ("another", false)] {
            let mut request = request(&Value::Null, Some(token));
            sessions.admit(&quirks, &mut request);
            assert_eq!(request.bearer().is_some(), expected, "{token}");
        }
        let mut request = request(&Value::Null, Some("any"));
        sessions.admit(&Quirks::default(), &mut request);
        assert!(request.bearer().is_some());
    }

    #[test]
    fn who_gives_nothing_gets_nothing() {
        let mut sessions = Sessions::default();
        for (body, status) in [
            (json!({}), 400),
            (json!({"username": "ada"}), 400),
            (json!([]), 400),
            (json!({"username": "ada", "password": "invalid"}), 401),
        ] {
            assert_eq!(sessions.open(&Quirks::default(), None, &request(&body, None)).status, status, "{body}");
        }
    }

    #[test]
    fn a_key_is_the_only_password() {
        let mut sessions = Sessions::default();
        for (password, status) in [("the-key", 200), ("another", 401), ("the-key ", 401)] {
            let body = json!({"username": "ada", "password": password});
            assert_eq!(sessions.open(&Quirks::default(), Some("the-key"), &request(&body, None)).status, status, "{password}");
        }
    }
}
