//! What crosses the line between the server and the handlers: a plain request and a plain reply.
//!
//! Handlers see no HTTP library and no socket, so every rule of a vendor can be tested by calling a function.

use serde_json::{Map, Value};

/// A JSON object, the shape of nearly every body.
pub(super) type Object = Map<String, Value>;

/// What a step of a handler gives: the reply, or the refusal that ends the matter early.
pub(super) type Outcome = Result<Reply, Reply>;

/// One request, with its body read to the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Still percent-encoded, so that an encoded `/` inside a name does not split it.
    pub(super) path: String,
    /// Decoded, in the order of the URL.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The first header of that (lower-case) name, if it is not empty.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// The bearer token, if there is one.
    pub(super) fn bearer(&self) -> Option<&str> {
        bearer_token(self.header("authorization")?)
    }

    /// The first query parameter of that name, if it is not empty.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The decoded path segments below `prefix`; `None` if the path lies elsewhere.
    pub(super) fn below(&self, prefix: &str) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix(prefix)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(rest.split('/').filter(|segment| !segment.is_empty()).map(percent_decode).collect())
    }

    /// The body as a JSON object, or what is wrong with it. The text of the body is never repeated: it holds secrets.
    pub(super) fn object(&self) -> Result<Object, String> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err("the body must be a JSON object".to_owned()),
            Err(error) => Err(format!("the body is not JSON: line {}, column {}", error.line(), error.column())),
        }
    }
}

/// The token in the value of an `Authorization` header. The scheme is matched without regard to case (RFC 9110, 11.1).
pub(super) fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What is wrong with the reply on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Defect {
    /// Nothing.
    #[default]
    None,
    /// The connection is closed where the answer should come.
    Unanswered,
    /// The body ends before its announced length, and the connection with it.
    Truncated,
}

/// One reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) defect: Defect,
}

impl Reply {
    /// A JSON reply.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json; charset=utf-8", &body.to_string())
    }

    /// A reply of any other type.
    pub(super) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.as_bytes().to_vec(),
            defect: Defect::None,
        }
    }

    /// The same with one more header.
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The body as JSON, for tests.
    #[cfg(test)]
    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// A text member of an object, or the empty text.
pub(super) fn text<'o>(object: &'o Object, name: &str) -> &'o str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The pairs of a query string, decoded.
pub(super) fn parse_query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(&name.replace('+', " ")), percent_decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Decodes `%41`; what is no escape stays as it is, and what is no UTF-8 becomes the replacement character.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at] == b'%').then(|| escaped(bytes.get(at + 1..at + 3)?)).flatten() {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The byte that two hexadecimal digits stand for.
fn escaped(digits: &[u8]) -> Option<u8> {
    let mut byte: u8 = 0;
    for digit in digits {
        byte = byte * 16 + u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
    }
    Some(byte)
}

/// A request as tests write it. A body of `null` stands for none.
#[cfg(test)]
pub(super) fn request(method: &str, target: &str, credential: (&str, &str), body: &Value) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = vec![(credential.0.to_owned(), credential.1.to_owned())];
    if !body.is_null() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: parse_query(query),
        headers,
        body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_before_they_are_decoded() {
        for (path, expected) in [
            ("/api/providers", Some(vec![])),
            ("/api/providers/", Some(vec![])),
            ("/api/providers/open%20ai/test", Some(vec!["open ai", "test"])),
            ("/api/providers/a%2Fb", Some(vec!["a/b"])),
            ("/api/providers/100%", Some(vec!["100%"])),
            ("/api/providers/%zz%4", Some(vec!["%zz%4"])),
            ("/api/providersX", None),
            ("/other", None),
        ] {
            let request = Request { path: path.to_owned(), ..Request::default() };
            let expected = expected.map(|segments| segments.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(request.below("/api/providers"), expected, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let pairs = parse_query("provider=Open+AI&&limit=10&flag&x=%C3%A9");
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("provider", "Open AI"), ("limit", "10"), ("flag", ""), ("x", "é")]);
    }

    #[test]
    fn a_bearer_token_needs_its_scheme() {
        for (value, token) in
            [("Bearer abc", Some("abc")), ("bearer  abc ", Some("abc")), ("Bearer ", None), ("abc", None), ("Basic abc", None)]
        {
            assert_eq!(bearer_token(value), token, "{value}");
        }
    }

    #[test]
    fn a_broken_body_is_not_repeated() {
        let request = Request { body: b"{\"API_KEY\": \"sk-canary".to_vec(), ..Request::default() };
        let problem = request.object().unwrap_err();
        assert!(problem.starts_with("the body is not JSON") && !problem.contains("canary"), "{problem}");
    }
}
