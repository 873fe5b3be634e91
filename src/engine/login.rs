//! Logging in: a user name and a password for a token, before it runs out and once more when it is refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::base64;
use crate::io::clock;
use crate::platform::exchange::{ApiError, Failure, RequestSpec, json_at};
use crate::platform::model::{AuthScheme, ErrorClass, Login};
use crate::secret::{Redactor, Secret};
use crate::value::{Map, Value};

/// A token is replaced so long before it runs out, or in the last quarter of a shorter life.
const MARGIN: Duration = Duration::from_secs(30);

/// One target's account.
pub struct Account {
    scheme: AuthScheme,
    login: Login,
    path: String,
    credentials: BTreeMap<String, Secret>,
    redactor: Redactor,
    token: RefCell<Option<Token>>,
    made: Cell<u64>,
    /// Why it was not let in. Asking again with the same password would only bring the account closer to being locked.
    refusal: RefCell<Option<ApiError>>,
    /// Only one logs in; the others wait for its token.
    gate: tokio::sync::Mutex<()>,
}

/// A token in use.
#[derive(Clone)]
pub struct Token {
    /// The header's name.
    pub header: String,
    /// The header's whole value.
    pub value: Secret,
    /// Which one of this run: a refusal of an older one says nothing about this.
    number: u64,
    until: Option<Instant>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.path)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.number)
    }
}

impl Account {
    /// An account that has not logged in. `path` is where to log in, if elsewhere than the definition says.
    #[must_use]
    pub fn new(
        scheme: &AuthScheme,
        login: &Login,
        path: Option<&str>,
        credentials: BTreeMap<String, Secret>,
        redactor: Redactor,
    ) -> Self {
        Self {
            scheme: scheme.clone(),
            login: login.clone(),
            path: path.unwrap_or(&login.path).to_owned(),
            credentials,
            redactor,
            token: RefCell::new(None),
            made: Cell::new(0),
            refusal: RefCell::default(),
            gate: tokio::sync::Mutex::new(()),
        }
    }

    /// The token at hand, if it will live for a while.
    #[must_use]
    pub fn current(&self) -> Option<Token> {
        self.token.borrow().clone().filter(|token| token.until.is_none_or(|until| clock::instant() < until))
    }

    /// Why it was not let in, if it was refused for good in this run.
    #[must_use]
    pub fn refusal(&self) -> Option<ApiError> {
        self.refusal.borrow().clone()
    }

    /// Remembers a login that failed, unless it may go well the next time.
    pub fn failed(&self, error: &ApiError) {
        if !matches!(error.class, Failure::Api(ErrorClass::Transient | ErrorClass::Throttled)) {
            *self.refusal.borrow_mut() = Some(error.clone());
        }
    }

    /// Waits until nobody else logs in.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.gate.lock().await
    }

    /// The request that logs in.
    #[must_use]
    pub fn request(&self) -> RequestSpec {
        let mut body = Map::new();
        for (key, field) in &self.login.fields {
            if let Some(secret) = self.credentials.get(key) {
                body.insert(field.clone(), Value::Secret(secret.clone()));
            }
        }
        RequestSpec {
            method: self.login.method,
            path: self.path.clone(),
            query: Vec::new(),
            body: Some(Value::Map(body)),
            idempotent: true,
        }
    }

    /// Takes the token out of the answer; the error names what is missing.
    ///
    /// # Errors
    /// The answer has no token.
    pub fn accept(&self, answer: &Json) -> Result<Token, String> {
        let found = |paths: &[String]| paths.iter().find_map(|path| json_at(answer, path)).cloned();
        let token = found(&self.login.token).and_then(|t| t.as_str().map(ToOwned::to_owned)).filter(|t| !t.is_empty());
        let Some(token) = token else {
            return Err(format!("the answer to the login has no `{}`", self.login.token.join("` or `")));
        };
        let told = found(&self.login.expires_in).and_then(|v| v.as_f64().or_else(|| v.as_str()?.parse().ok()));
        let life = told.filter(|s| s.is_finite() && *s > 0.0).map(|s| Duration::from_secs_f64(s.min(1e9)));
        let life = life.or_else(|| life_of_jwt(&token, clock::now().as_second()));
        self.redactor.learn(&Secret::new(token.as_str()));
        let number = self.made.get() + 1;
        self.made.set(number);
        let token = Token {
            header: self.scheme.header.clone(),
            value: Secret::new(format!("{}{token}", self.scheme.prefix)),
            number,
            until: life.map(|life| clock::instant() + usable(life)),
        };
        *self.token.borrow_mut() = Some(token.clone());
        Ok(token)
    }

    /// This token was refused. Says whether asking again with another one makes sense.
    pub fn refused(&self, token: &Token) {
        let mut current = self.token.borrow_mut();
        if current.as_ref().is_some_and(|c| c.number == token.number) {
            *current = None;
        }
    }
}

/// How long a token of this life is used.
fn usable(life: Duration) -> Duration {
    life.saturating_sub(MARGIN.min(life / 4))
}

/// What a JSON web token says about its own end. Nothing else of it is believed, and its signature is the API's matter.
fn life_of_jwt(token: &str, now: i64) -> Option<Duration> {
    let payload = token.split('.').nth(1)?;
    let claims: Json = serde_json::from_slice(&base64::decode(payload)?).ok()?;
    let end = claims.get("exp")?.as_i64()?;
    u64::try_from(end - now).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn account() -> Account {
        let login = Login {
            method: crate::platform::model::Method::Post,
            path: "/auth/login".to_owned(),
            fields: [("username", "user"), ("password", "pass")].map(|(a, b)| (a.to_owned(), b.to_owned())).into_iter().collect(),
            token: vec!["token".to_owned(), "data.accessToken".to_owned()],
            expires_in: vec!["expiresIn".to_owned()],
        };
        let scheme = AuthScheme {
            header: "Authorization".into(),
            prefix: "Bearer ".into(),
            login: Some(login.clone()),
            basic: None,
            also: indexmap::IndexMap::new(),
        };
        let credentials = [("username", "ada"), ("password", "hunter2222")];
        let credentials = credentials.map(|(k, v)| (k.to_owned(), Secret::new(v))).into_iter().collect();
        Account::new(&scheme, &login, None, credentials, Redactor::default())
    }

    #[test]
    fn a_login_sends_what_the_api_calls_it() {
        let request = account().request();
        assert_eq!(request.line(), "POST /auth/login");
        assert_eq!(request.body.unwrap().expose_json(), Some(json!({"user": "ada", "pass": "hunter2222"})));
    }

    #[test]
    fn tokens_are_found_and_kept_until_they_are_refused() {
        let account = account();
        assert!(account.current().is_none());
        let first = account.accept(&json!({"data": {"accessToken": "tok-first-1"}})).unwrap();
        assert_eq!(first.value.expose(), "Bearer tok-first-1");
        let second = account.accept(&json!({"token": "tok-second-2", "expiresIn": 3600})).unwrap();
        account.refused(&first);
        assert_eq!(account.current().unwrap().value, second.value, "an older token's refusal says nothing");
        account.refused(&second);
        assert!(account.current().is_none());
        assert_eq!(account.redactor.scrub("it was tok-second-2"), "it was (redacted)");
    }

    #[test]
    fn a_token_that_is_about_to_end_is_not_used() {
        let account = account();
        account.accept(&json!({"token": "tok-short-1", "expiresIn": 0.000_001})).unwrap();
        assert!(account.current().is_none());
        assert_eq!(usable(Duration::from_secs(3600)), Duration::from_secs(3570));
        assert_eq!(usable(Duration::from_secs(8)), Duration::from_secs(6));
    }

    #[test]
    fn a_web_token_tells_its_own_end() {
        // {"exp":1000}
        let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjEwMDB9.";
        assert_eq!(life_of_jwt(token, 400), Some(Duration::from_secs(600)));
        assert_eq!(life_of_jwt(token, 2000), None);
        assert_eq!(life_of_jwt("opaque", 0), None);
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        for answer in [json!({}), json!({"token": ""}), json!({"token": 3})] {
            assert_eq!(account().accept(&answer).unwrap_err(), "the answer to the login has no `token` or `data.accessToken`");
        }
    }
}
