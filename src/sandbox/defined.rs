//! An API that is served from its definition, below a path with its name.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::Value;

use super::message::{Reply, Request};
use super::secrets::StoredSecret;
use super::store::{Shelf, Store, uuid_shaped};
use crate::platform::fake::{Answer, Call, Fake, Keeper};
use crate::platform::model::{Definition, Field, ReadsAs, SecretRule};

/// One API with its objects.
#[derive(Clone, Debug)]
pub(super) struct Defined {
    fake: Fake,
    base: String,
    secrets: BTreeSet<String>,
}

impl Defined {
    pub(super) fn new(fake: Fake) -> Self {
        let definition = fake.definition();
        let base = format!("/{}{}", definition.platform, definition.base_url.ends_in.as_deref().unwrap_or_default());
        let secrets = names_of_secrets(fake.definition());
        Self { fake, base, secrets }
    }

    /// The names under which a request may have a secret.
    pub(super) fn secrets(&self) -> &BTreeSet<String> {
        &self.secrets
    }

    /// The name that targets use.
    pub(super) fn platform(&self) -> &str {
        &self.fake.definition().platform
    }

    /// What a target's base URL has after the origin.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Is this path one of its own?
    pub(super) fn owns(&self, path: &str) -> bool {
        path.strip_prefix(self.base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub(super) fn handle(&self, store: &mut Store, key: Option<&str>, request: &Request) -> Reply {
        let body = match request.body.is_empty() {
            true => Value::Null,
            false => match serde_json::from_slice(&request.body) {
                Ok(body) => body,
                // The text of the body is not repeated: it may hold secrets.
                Err(_) => return self.failure(400, "the body is not JSON"),
            },
        };
        let call = Call {
            method: request.method.clone(),
            path: request.path.strip_prefix(self.base.as_str()).unwrap_or_default().to_owned(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body,
        };
        let mut shelves = Shelves { platform: self.platform(), store };
        reply(self.fake.answer(&mut shelves, key, call))
    }

    /// An error in the API's shape.
    pub(super) fn failure(&self, status: u16, message: &str) -> Reply {
        reply(self.fake.failed(status, message, None))
    }
}

/// The names of all fields that are secret, or of which nothing is shown, and of what a login takes.
fn names_of_secrets(definition: &Definition) -> BTreeSet<String> {
    fn collect(fields: &IndexMap<String, Field>, names: &mut BTreeSet<String>) {
        for (name, field) in fields {
            if field.secret != SecretRule::Never || field.reads_as != ReadsAs::Value {
                names.insert(name.clone());
            }
            collect(&field.fields, names);
            collect(&field.item, names);
        }
    }
    let logins = definition.auth.values().filter_map(|scheme| scheme.login.as_ref());
    let mut names: BTreeSet<String> = logins.flat_map(|login| login.fields.values().cloned()).collect();
    for kind in definition.kinds.values() {
        collect(&kind.fields, &mut names);
        for (path, other) in kind.update.iter().flat_map(|verb| &verb.writes_as) {
            if path.rsplit('.').next().is_some_and(|name| names.contains(name)) {
                names.extend(other.rsplit('.').next().map(str::to_owned));
            }
        }
    }
    names
}

fn reply(answer: Answer) -> Reply {
    let reply = match &answer.body {
        Value::Null => Reply { status: answer.status, ..Reply::default() },
        body => Reply::json(answer.status, body),
    };
    match answer.location {
        Some(location) => reply.with_header("location", location),
        None => reply,
    }
}

/// The lists of one API in the store.
struct Shelves<'s> {
    platform: &'s str,
    store: &'s mut Store,
}

impl Shelves<'_> {
    fn name(&self, list: &str) -> String {
        format!("{} {list}", self.platform)
    }

    fn shelf(&self, list: &str) -> Option<Shelf> {
        self.store.known_shelf(&self.name(list))
    }
}

impl Keeper for Shelves<'_> {
    fn all(&self, list: &str) -> Vec<(String, Value)> {
        let all = self.shelf(list).into_iter().flat_map(|shelf| self.store.list(shelf));
        all.map(|(id, object)| (id.to_owned(), object.clone())).collect()
    }

    fn get(&self, list: &str, id: &str) -> Option<Value> {
        self.store.get(self.shelf(list)?, id).cloned()
    }

    fn put(&mut self, list: &str, id: &str, object: Value) {
        let shelf = self.store.shelf(&self.name(list));
        self.store.put(shelf, id, object);
    }

    fn remove(&mut self, list: &str, id: &str) {
        if let Some(shelf) = self.shelf(list) {
            self.store.remove(shelf, id);
        }
    }

    fn new_id(&self, list: &str) -> String {
        let number = self.shelf(list).map_or(1, |shelf| self.store.next_number(shelf));
        uuid_shaped(&self.name(list), number)
    }

    fn sealed(&self, secret: &str, mask: &str) -> Value {
        StoredSecret::shown_as(secret, mask).to_value()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::log::loggable;
    use super::super::message::request;
    use super::*;
    use crate::platform::builtin;
    use crate::source::Sources;

    fn defined(platform: &str) -> Defined {
        Defined::new(Fake::new(Arc::new(builtin::load(platform, &mut Sources::default()).unwrap().unwrap())))
    }

    #[test]
    fn an_api_stands_below_its_name() {
        let api = defined("langfuse");
        assert_eq!((api.platform(), api.base()), ("langfuse", "/langfuse/api/public"));
        assert!(api.owns("/langfuse/api/public/llm-connections") && !api.owns("/langfuse/api/publicX"));
        let mut store = Store::in_memory();
        let credential = ("authorization", "Basic cGs6c2s=");
        let mut send = |method: &str, body: &Value| {
            api.handle(&mut store, None, &request(method, "/langfuse/api/public/llm-connections", credential, body))
        };
        let body = json!({"provider": "mine", "adapter": "openai", "secretKey": "sk-0123456789abcdef"});
        assert_eq!(send("PUT", &body).status, 201);
        let list = send("GET", &Value::Null).value();
        assert_eq!(list["data"][0]["displaySecretKey"], "***************cdef");
        assert!(!store.compact().contains("0123456789"), "no secret is kept");
        let other = request("GET", "/langfuse/api/public/llm-connections", ("x-api-key", "k"), &Value::Null);
        assert_eq!(api.handle(&mut store, None, &other).status, 401);
    }

    #[test]
    fn only_the_key_of_the_sandbox_opens_it() {
        let api = defined("langfuse");
        for (credential, status) in [("Basic cGs6c2s=", 200), ("Basic cGs6b3RoZXI=", 401), ("Bearer sk", 401)] {
            let request = request("GET", "/langfuse/api/public/llm-connections", ("authorization", credential), &Value::Null);
            assert_eq!(api.handle(&mut Store::in_memory(), Some("sk"), &request).status, status, "{credential}");
        }
    }

    #[test]
    fn the_log_hides_what_the_definition_calls_secret() {
        let api = defined("litellm");
        let body = json!({"credential_values": {"vertex_credentials": "canary", "api_base": "https://plain.example"}});
        let shown = loggable(body.to_string().as_bytes(), api.secrets()).to_string();
        assert!(!shown.contains("canary") && shown.contains("plain.example"), "{shown}");
    }
}
