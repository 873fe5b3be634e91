//! The Providers API of the LLM gateway. By default it is the server as it was seen (apis/gateway.md, right column);
//! the quirk `gateway=documented` gives the one that its page describes (apis/seeds/gateway-providers.txt).
//!
//! An object is stored under its name, with a sealed `apiKey` and stamps in milliseconds; answers show seconds.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::message::{Object, Outcome, Reply, Request};
use super::quirks::{GatewayServer, Quirks};
use super::secrets::{StoredSecret, hex, looks_masked};
use super::store::{Platform, Store, member};

/// Where the API lives.
pub(super) const PREFIX: &str = "/api/providers";

/// What comes when no `limit` is given, or 0: 107 existed, 100 came, and nothing said so but `total`.
const PAGE: usize = 100;

/// What the vendor knows of a provider.
struct Vendor {
    name: &'static str,
    display_name: &'static str,
    base_url: &'static str,
    models: &'static [&'static str],
}

static VENDORS: [Vendor; 2] = [
    Vendor { name: "openai", display_name: "OpenAI", base_url: "https://api.openai.com/v1", models: &["gpt-4o", "gpt-4o-mini"] },
    Vendor {
        name: "anthropic",
        display_name: "Anthropic",
        base_url: "https://api.anthropic.com/v1",
        models: &["claude-sonnet-4", "claude-haiku-3-5"],
    },
];

/// A vendor is recognised by the provider's name.
fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name.eq_ignore_ascii_case(name))
}

/// Answers one request.
pub(super) fn handle(store: &mut Store, quirks: &Quirks, now: &str, request: &Request) -> Reply {
    let mut desk = Desk { store, seen: quirks.gateway == GatewayServer::Seen, now, request };
    let reply = match desk.route() {
        Ok(reply) | Err(reply) => reply,
    };
    if request.method == "GET" { with_etag(reply, request) } else { reply }
}

/// An error as the server was seen to write it: without the code that the page promises.
pub(super) fn failure(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": message }))
}

/// A reply carries an `ETag`, and `If-None-Match` is honoured; `If-Match` is ignored, so it protects nobody.
fn with_etag(reply: Reply, request: &Request) -> Reply {
    if reply.status != 200 {
        return reply;
    }
    let tag = format!("W/\"{}\"", hex(&reply.body, 16));
    let known = request.header("if-none-match").is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
    let reply = if known { Reply { status: 304, ..Reply::default() } } else { reply };
    reply.with_header("etag", tag)
}

/// One request on its way.
struct Desk<'a> {
    store: &'a mut Store,
    /// Is it the server that was seen, or the documented one?
    seen: bool,
    now: &'a str,
    request: &'a Request,
}

impl Desk<'_> {
    fn route(&mut self) -> Outcome {
        if self.request.bearer().is_none() && self.request.header("x-root-key").is_none() {
            return Err(self.failure(401, "Unauthorized", "UNAUTHORIZED"));
        }
        let segments = self.request.below(PREFIX).unwrap_or_default();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (self.request.method.as_str(), segments.as_slice()) {
            ("GET", []) => Ok(self.list()),
            ("POST", []) => self.save(),
            ("GET", [name]) => Ok(self.answer(&self.existing(name)?)),
            // The page does not know this one.
            ("PUT", [name]) if self.seen => self.update(name),
            ("DELETE", [name]) => {
                let provider = self.existing(name)?;
                self.store.remove(Platform::Gateway, member(&provider, "name"));
                Ok(Reply::json(200, &json!({"success": true})))
            }
            ("POST", [name, "test"]) => self.test(name),
            _ => Err(self.failure(404, "Not found", "NOT_FOUND")),
        }
    }

    /// An error, with the code that only the documented server sends.
    fn failure(&self, status: u16, message: &str, code: &str) -> Reply {
        if self.seen { failure(status, message) } else { Reply::json(status, &json!({"error": message, "code": code})) }
    }

    /// The name as it is stored. The server that was seen lower-cases every name that it meets.
    fn spelled(&self, name: &str) -> String {
        if self.seen { name.to_lowercase() } else { name.to_owned() }
    }

    fn existing(&self, name: &str) -> Result<Value, Reply> {
        let provider = self.store.get(Platform::Gateway, &self.spelled(name)).cloned();
        provider.ok_or_else(|| self.failure(404, "Provider not found", "PROVIDER_NOT_FOUND"))
    }

    fn body(&self) -> Result<Object, Reply> {
        self.request.object().map_err(|problem| self.failure(400, &problem, "INVALID_JSON"))
    }

    fn answer(&self, provider: &Value) -> Reply {
        Reply::json(200, &json!({"provider": self.render(provider)}))
    }

    fn list(&self) -> Reply {
        let mut providers: Vec<&Value> = self.store.list(Platform::Gateway).map(|(_, provider)| provider).collect();
        let search = self.request.parameter("search").map(str::to_lowercase);
        if let Some(search) = &search {
            let found = |provider: &Value, name: &str| member(provider, name).to_lowercase().contains(search.as_str());
            providers.retain(|provider| ["name", "displayName", "baseUrl"].iter().any(|name| found(provider, name)));
        }
        // A search switches sorting off.
        let sorting = !self.seen || search.is_none();
        if sorting && let Some(column) = self.request.parameter("sortBy") {
            providers.sort_by(|a, b| compare(a, b, column));
            if self.request.parameter("sortOrder") == Some("desc") {
                providers.reverse();
            }
        }

        let number = |name: &str| self.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let limit = match number("limit") {
            Some(limit) if limit > 0 => limit,
            _ if self.seen => PAGE,
            _ => usize::MAX,
        };
        let page = providers.iter().skip(number("offset").unwrap_or(0)).take(limit);
        let shown: Vec<Value> = page.map(|provider| self.render(provider)).collect();
        Reply::json(200, &json!({"providers": shown, "total": providers.len()}))
    }

    /// Creates or updates; the answer does not say which.
    fn save(&mut self) -> Outcome {
        let body = self.body()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(name), Some(key)) = (text("name"), text("apiKey")) else {
            return Err(self.failure(400, "name and apiKey are required", "MISSING_FIELDS"));
        };
        self.check_key(key)?;
        let name = self.spelled(name);
        let old = self.store.get(Platform::Gateway, &name).cloned();
        let given = |field: &str| body.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str);
        // Metadata that is left out goes back to the vendor's defaults; the page leaves the case open, and its server
        // here keeps what there was. Unknown metadata is dropped without a word by both.
        let kept = |field: &str| if self.seen { None } else { old.as_ref()?.get(field)?.as_str() };
        let known = vendor(&name);
        let display_name = given("displayName")
            .or_else(|| kept("displayName"))
            .unwrap_or(known.map_or(name.as_str(), |known| known.display_name));
        let base_url = given("baseUrl").or_else(|| kept("baseUrl")).unwrap_or(known.map_or("", |known| known.base_url));

        let mut provider = Map::new();
        let number =
            old.as_ref().and_then(|old| old.get("id")?.as_u64()).unwrap_or_else(|| self.store.next_number(Platform::Gateway));
        let created = old.as_ref().map_or(self.now, |old| member(old, "createdAt"));
        provider.insert("id".to_owned(), json!(number));
        provider.insert("name".to_owned(), json!(name));
        provider.insert("displayName".to_owned(), json!(display_name));
        provider.insert("baseUrl".to_owned(), json!(base_url));
        provider.insert("createdAt".to_owned(), json!(created));
        provider.insert("updatedAt".to_owned(), json!(self.now));
        let mut provider = Value::Object(provider);
        set_key(&mut provider, key);
        let reply = self.answer(&provider);
        self.store.put(Platform::Gateway, &name, provider);
        Ok(reply)
    }

    /// The undocumented PUT: it changes the key and the display name, drops the rest without a word, and answers 400
    /// where nothing that it knows is left — or where there is no such provider.
    fn update(&mut self, name: &str) -> Outcome {
        let body = self.body()?;
        let Ok(mut provider) = self.existing(name) else { return Err(failure(400, "Failed to update provider")) };
        let key = body.get("apiKey").and_then(Value::as_str).filter(|key| !key.is_empty());
        let display_name = body.get("displayName").and_then(Value::as_str);
        if key.is_none() && display_name.is_none() {
            return Err(failure(400, "Nothing to update: apiKey or displayName is required"));
        }
        if let Some(key) = key {
            self.check_key(key)?;
            set_key(&mut provider, key);
        }
        if let Some(display_name) = display_name {
            provider["displayName"] = json!(display_name);
        }
        provider["updatedAt"] = json!(self.now);
        let reply = self.answer(&provider);
        let name = member(&provider, "name").to_owned();
        self.store.put(Platform::Gateway, &name, provider);
        Ok(reply)
    }

    /// A badly formed key: 400 says the page, 500 was seen (so a 500 here is no reason to try again).
    fn check_key(&self, key: &str) -> Result<(), Reply> {
        if key.len() >= 8 && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(())
        } else if self.seen {
            Err(failure(500, "Failed to save provider"))
        } else {
            Err(self.failure(400, "Invalid API key format", "INVALID_API_KEY"))
        }
    }

    /// Makes a "real call" for the vendors it knows and calls everything else a success.
    fn test(&self, name: &str) -> Outcome {
        let provider = self.existing(name)?;
        if vendor(member(&provider, "name")).is_some() && provider.get("works") == Some(&json!(false)) {
            return Err(self.failure(400, "Provider connection failed: Invalid API key", "CONNECTION_FAILED"));
        }
        Ok(Reply::json(200, &json!({"success": true, "message": "Provider connection successful"})))
    }

    /// A provider as answers show it: never with its key.
    fn render(&self, provider: &Value) -> Value {
        let mut answer = Map::new();
        let id = provider.get("id").and_then(Value::as_u64).unwrap_or_default();
        // "Documented as an integer and is a string in fact."
        answer.insert("id".to_owned(), if self.seen { json!(id.to_string()) } else { json!(id) });
        for name in ["name", "displayName", "baseUrl"] {
            answer.insert(name.to_owned(), json!(member(provider, name)));
        }
        if self.seen {
            let models: &[&str] = match vendor(member(provider, "name")) {
                Some(vendor) => vendor.models,
                None => &[],
            };
            answer.insert("models".to_owned(), json!(models));
            answer.insert("defaultModel".to_owned(), json!(models.first()));
            // The only sign of the key.
            answer.insert("hasCredentials".to_owned(), json!(provider.get("apiKey").is_some()));
        }
        for name in ["createdAt", "updatedAt"] {
            answer.insert(name.to_owned(), json!(in_seconds(member(provider, name))));
        }
        Value::Object(answer)
    }
}

/// Seals the key and remembers whether a call with it would work: one with `invalid` in it, or a mask, would not.
fn set_key(provider: &mut Value, key: &str) {
    provider["apiKey"] = StoredSecret::of(key).to_value();
    provider["works"] = json!(!key.contains("invalid") && !looks_masked(key));
}

/// `2025-01-01 12:00:00`: two writes within a second cannot be told apart.
fn in_seconds(stamp: &str) -> String {
    stamp.get(..19).unwrap_or(stamp).replace('T', " ")
}

/// By number for `id`, by text for all else.
fn compare(a: &Value, b: &Value, column: &str) -> Ordering {
    let id = |provider: &Value| provider.get("id").and_then(Value::as_u64);
    if column == "id" { id(a).cmp(&id(b)) } else { member(a, column).cmp(member(b, column)) }
}

#[cfg(test)]
mod tests;
