//! Credentials: any that stands where the definition says, or the one that is accepted.

use serde_json::{Value as Json, json};

use super::object::place;
use super::{Answer, Call, Definition};
use crate::base64;
use crate::platform::model::AuthScheme;

/// What a login gives. It is the same for everybody: nothing is hidden here.
const SESSION: &str = "sandbox-session";

/// How long it is said to hold, in seconds.
const LIFETIME: u32 = 3600;

/// Answers a login, if the call is one.
pub(super) fn login(definition: &Definition, call: &Call, key: Option<&str>) -> Option<Answer> {
    let login = definition
        .auth
        .values()
        .filter_map(|scheme| scheme.login.as_ref())
        .find(|login| login.method.as_str() == call.method && login.path == call.path)?;
    let given: Vec<&str> =
        login.fields.values().filter_map(|name| call.body.get(name)?.as_str().filter(|text| !text.is_empty())).collect();
    if given.len() < login.fields.len() || key.is_some_and(|key| !given.contains(&key)) {
        return Some(Answer::new(401, json!({ "error": "the login is refused" })));
    }
    let mut body = json!({});
    for path in login.token.iter().take(1) {
        place(&mut body, path, SESSION.into());
    }
    for path in login.expires_in.iter().take(1) {
        place(&mut body, path, Json::from(LIFETIME));
    }
    Some(Answer::new(200, body))
}

/// Does a call have a credential that is accepted, in one of the ways of the definition?
pub(super) fn admits(definition: &Definition, call: &Call, key: Option<&str>) -> bool {
    definition.auth.values().any(|scheme| admits_by(scheme, call, key))
}

fn admits_by(scheme: &AuthScheme, call: &Call, key: Option<&str>) -> bool {
    let header = |name: &str| {
        let found = call.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    if !scheme.also.keys().all(|name| header(name).is_some()) {
        return false;
    }
    if scheme.header.is_empty() {
        return key.is_none();
    }
    let Some(credential) = header(&scheme.header).and_then(|value| value.strip_prefix(scheme.prefix.as_str())) else {
        return false;
    };
    let is_key = |key: &str| match &scheme.basic {
        Some(_) => password(credential).as_deref() == Some(key),
        None => credential == key || (scheme.login.is_some() && credential == SESSION),
    };
    !credential.is_empty() && key.is_none_or(is_key)
}

/// The password in `Basic …`.
fn password(credential: &str) -> Option<String> {
    let text = String::from_utf8(base64::decode(credential.strip_prefix("Basic ")?)?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}
