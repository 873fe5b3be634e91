//! `${{ … }}` in values: rendered after parsing, one scalar at a time, strictly, with taint by access.
//!
//! Only this delimiter is ours. `{{prompt}}` is the vendors' own syntax and passes through untouched. Every expression
//! of a scalar is compiled by itself, so that the text around it is never interpreted and a secret that happens to
//! contain `${{` is not rendered again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, Value as Jinja, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};

use crate::address::Address;
use crate::base64;
use crate::path::FieldPath;
use crate::secret::{Redactor, Secret};
use crate::value::Value;

/// A rendered scalar may not be longer than this.
const MAX_TEXT: usize = 1 << 20;

/// An expression may not be longer than this: the template parser recurses, and a chain of thousands of operators would
/// exhaust the stack.
const MAX_EXPRESSION: usize = 2048;

/// What templates can see, apart from other connections. Handed in by the edge as values.
#[derive(Clone)]
pub struct Scope {
    /// The environment, with the variables of `--env-file` already under it.
    pub env: Arc<BTreeMap<String, String>>,
    /// `var.NAME`
    pub vars: Arc<BTreeMap<String, Value>>,
    /// Reads the file of `file("path")` and of `NAME_FILE`; the error completes “cannot read `path`: ”.
    pub read_file: Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>,
    /// Missing variables are placeholders instead of errors: for checks without secrets.
    pub offline: bool,
    /// Learns every value that templates read from the environment or a file.
    pub redactor: Redactor,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope(..)")
    }
}

/// What a template wants of another connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `key` or `target/key`, as written.
    pub connection: String,
    /// A field's path, or `None` for the id.
    pub field: Option<FieldPath>,
}

/// Answers a reference, `None` as long as the value is not known.
pub type Lookup = Arc<dyn Fn(&Reference) -> Option<Value> + Send + Sync>;

/// A rendered scalar.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The value; texts that touched the environment or a file are [`Value::Secret`].
    pub value: Value,
    /// The variables that were read, for messages: `env.NAME`, `file(path)`.
    pub origins: Vec<String>,
    /// The references that were met, known or not.
    pub references: Vec<Reference>,
}

/// Why a scalar cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The kind of trouble.
    pub kind: TemplateErrorKind,
    /// Where in the scalar's text.
    pub range: Range<usize>,
}

/// The kinds of trouble with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// `env.NAME` is not set.
    Unset(String),
    /// `env.NAME` is set and empty.
    Empty(String),
    /// Both `NAME` and `NAME_FILE` are set.
    BothSet(String),
    /// A file cannot be read; path and reason.
    File(String, String),
    /// Anything else, in a few words.
    Other(String),
}

/// Does a text hold a template?
#[must_use]
pub fn has_template(text: &str) -> bool {
    text.contains("${{")
}

/// Renders scalars. One per run: building the environment is the costly part.
pub struct Renderer {
    environment: Environment<'static>,
    trace: Arc<Mutex<Trace>>,
    lookup: Arc<Mutex<Option<Lookup>>>,
    offline: bool,
    redactor: Redactor,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renderer(..)")
    }
}

/// What happened while one expression was evaluated.
#[derive(Default)]
struct Trace {
    tainted: bool,
    cleared: bool,
    origins: Vec<String>,
    references: Vec<Reference>,
    pending: Vec<String>,
    trouble: Option<TemplateErrorKind>,
}

impl Renderer {
    /// A renderer over a scope.
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        let trace = Arc::new(Mutex::new(Trace::default()));
        let lookup: Arc<Mutex<Option<Lookup>>> = Arc::default();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(true);
        environment.set_fuel(Some(20_000));
        for name in ["range", "debug", "dict", "namespace"] {
            environment.remove_global(name);
        }
        environment.add_global("env", Jinja::from_object(EnvObject { scope: scope.clone(), trace: Arc::clone(&trace) }));
        environment.add_global("var", Jinja::from_object(VarObject(Arc::clone(&scope.vars), Arc::clone(&trace))));
        let (file_scope, file_trace) = (scope.clone(), Arc::clone(&trace));
        environment.add_function("file", move |path: String| file(&file_scope, &file_trace, &path));
        let (reference_trace, reference_lookup) = (Arc::clone(&trace), Arc::clone(&lookup));
        environment.add_function("connection", move |name: String| {
            Jinja::from_object(ConnectionObject {
                name,
                trace: Arc::clone(&reference_trace),
                lookup: Arc::clone(&reference_lookup),
            })
        });
        environment.add_filter("b64decode", |text: &str| b64decode(text));
        let cleared = Arc::clone(&trace);
        environment.add_filter("nonsensitive", move |value: Jinja| {
            lock(&cleared).cleared = true;
            value
        });
        Self { environment, trace, lookup, offline: scope.offline, redactor: scope.redactor.clone() }
    }

    /// Renders one scalar. A text that is exactly one expression keeps the expression's type.
    ///
    /// # Errors
    /// The first trouble, with its place in the text.
    pub fn render(&self, text: &str, lookup: Option<&Lookup>) -> Result<Rendered, TemplateError> {
        *lock(&self.lookup) = lookup.cloned();
        let segments = segments(text)?;
        let mut all = Rendered { value: Value::Null, origins: Vec::new(), references: Vec::new() };
        let mut joined = String::new();
        let mut secret = false;
        let mut pending: Vec<String> = Vec::new();
        let single = matches!(segments.as_slice(), [Segment::Expression(_)]);
        for segment in segments {
            let range = match segment {
                Segment::Text(range) => {
                    joined.push_str(&text[range]);
                    continue;
                }
                Segment::Expression(range) => range,
            };
            let value = self.evaluate(&text[range.clone()], &range)?;
            let trace = std::mem::take(&mut *lock(&self.trace));
            all.origins.extend(trace.origins);
            all.references.extend(trace.references);
            let tainted = trace.tainted && !trace.cleared;
            secret |= tainted;
            if !trace.pending.is_empty() {
                pending.extend(trace.pending);
                continue;
            }
            if single {
                all.value = typed(&value, tainted).ok_or_else(|| other("the expression gives no plain value", &range))?;
                return Ok(all);
            }
            let part = match value.kind() {
                ValueKind::String | ValueKind::Number => value.to_string(),
                ValueKind::Bool => value.is_true().to_string(),
                _ => return Err(other("inside a text, an expression must give a text, a number or a boolean", &range)),
            };
            joined.push_str(&part);
            if joined.len() > MAX_TEXT {
                return Err(other("the rendered text is longer than 1 MiB", &range));
            }
        }
        all.value = if !pending.is_empty() {
            Value::Unknown(pending.join(", "))
        } else if secret {
            let secret = Secret::new(joined);
            self.redactor.learn(&secret);
            Value::Secret(secret)
        } else {
            Value::String(joined)
        };
        Ok(all)
    }

    fn evaluate(&self, expression: &str, range: &Range<usize>) -> Result<Jinja, TemplateError> {
        *lock(&self.trace) = Trace::default();
        if expression.len() > MAX_EXPRESSION {
            return Err(other("the expression is longer than 2048 bytes", range));
        }
        let compiled = self.environment.compile_expression(expression).map_err(|e| self.explain(&e, range))?;
        // A default stands in for a variable that is not set, not for a name that means nothing: `OPENAI_API_KEY | default(…)`
        // without its `env.` would always give the default.
        let known = || self.environment.globals().map(|(name, _)| name);
        if let Some(name) = compiled.undeclared_variables(false).into_iter().filter(|name| known().all(|k| k != name)).min() {
            return Err(other(&format!("nothing is called `{name}`{}", meant(&name, known().collect())), range));
        }
        let value = compiled.eval(()).map_err(|e| self.explain(&e, range))?;
        // A default stands in for what is not set. What is set twice, or in a file that cannot be read, is a mistake.
        let mistake = |trouble: &TemplateErrorKind| !matches!(trouble, TemplateErrorKind::Unset(_) | TemplateErrorKind::Empty(_));
        if lock(&self.trace).trouble.as_ref().is_some_and(mistake) {
            return Err(self.explain(&Error::from(ErrorKind::InvalidOperation), range));
        }
        if value.is_undefined() && lock(&self.trace).pending.is_empty() {
            let error = Error::from(ErrorKind::UndefinedError);
            return Err(self.explain(&error, range));
        }
        if value.as_str().is_some_and(|s| s.len() > MAX_TEXT) {
            return Err(other("the rendered text is longer than 1 MiB", range));
        }
        Ok(value)
    }

    /// A template error in our words. Never formatted with `#` or `?`: those forms print values.
    fn explain(&self, error: &Error, outer: &Range<usize>) -> TemplateError {
        let trouble = lock(&self.trace).trouble.take();
        if let Some(kind) = trouble.filter(|_| !matches!(error.kind(), ErrorKind::UnknownFilter | ErrorKind::UnknownFunction)) {
            // A secret may have been used as a name.
            let clean = |text: String| self.redactor.scrub(&text).into_owned();
            let kind = match kind {
                TemplateErrorKind::Unset(name) => TemplateErrorKind::Unset(clean(name)),
                TemplateErrorKind::Empty(name) => TemplateErrorKind::Empty(clean(name)),
                TemplateErrorKind::BothSet(name) => TemplateErrorKind::BothSet(clean(name)),
                TemplateErrorKind::File(path, why) => TemplateErrorKind::File(clean(path), clean(why)),
                TemplateErrorKind::Other(what) => TemplateErrorKind::Other(clean(what)),
            };
            return TemplateError { kind, range: outer.clone() };
        }
        let range = match error.range() {
            Some(inner) if outer.start + inner.end <= outer.end && !inner.is_empty() => {
                outer.start + inner.start..outer.start + inner.end
            }
            _ => outer.clone(),
        };
        let what = match (error.kind(), error.detail()) {
            (ErrorKind::OutOfFuel, _) => "the expression does too much".to_owned(),
            (_, Some(detail)) => self.redactor.scrub(detail).into_owned(),
            (ErrorKind::UndefinedError, None) => "the value is undefined".to_owned(),
            (kind, None) => kind.to_string(),
        };
        TemplateError { kind: TemplateErrorKind::Other(what), range }
    }

    /// Looks for this secret in foreign text from now on.
    pub fn learn(&self, secret: &Secret) {
        self.redactor.learn(secret);
    }

    /// Is this renderer content with placeholders?
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn meant(name: &str, known: Vec<&str>) -> String {
    let is_variable = name.len() > 1 && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let guess = if is_variable { Some(format!("env.{name}")) } else { crate::suggest::nearest(name, known).map(Into::into) };
    guess.map(|guess| format!("; did you mean `{guess}`?")).unwrap_or_default()
}

fn other(what: &str, range: &Range<usize>) -> TemplateError {
    TemplateError { kind: TemplateErrorKind::Other(what.to_owned()), range: range.clone() }
}

fn typed(value: &Jinja, tainted: bool) -> Option<Value> {
    Some(match value.kind() {
        ValueKind::String if tainted => Value::Secret(Secret::new(value.as_str()?)),
        ValueKind::String => Value::String(value.as_str()?.to_owned()),
        ValueKind::None => Value::Null,
        ValueKind::Bool | ValueKind::Number | ValueKind::Seq | ValueKind::Map => {
            let value = Value::from(serde_json::to_value(value).ok()?);
            if tainted { taint(value) } else { value }
        }
        _ => return None,
    })
}

fn taint(value: Value) -> Value {
    match value {
        Value::String(text) => Value::Secret(Secret::new(text)),
        Value::List(list) => Value::List(list.into_iter().map(taint).collect()),
        Value::Map(map) => Value::Map(map.into_iter().map(|(k, v)| (k, taint(v))).collect()),
        other => other,
    }
}

enum Segment {
    Text(Range<usize>),
    /// Between the delimiters, without them and the white space around it.
    Expression(Range<usize>),
}

/// Where the expression ends whose inside this text begins with: at the first `}}` outside quotes, which may hold one.
pub(super) fn expression_end(text: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (n, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if text[n..].starts_with("}}") => return Some(n),
            None => {}
        }
    }
    None
}

/// Splits a scalar into text and expressions.
fn segments(text: &str) -> Result<Vec<Segment>, TemplateError> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("${{").map(|n| at + n) {
        if open > at {
            all.push(Segment::Text(at..open));
        }
        let start = open + 3;
        let Some(end) = expression_end(&text[start..]).map(|n| start + n) else {
            return Err(other("`${{` has no `}}`", &(open..text.len())));
        };
        let inner = &text[start..end];
        let lead = inner.len() - inner.trim_start().len();
        all.push(Segment::Expression(start + lead..start + lead.max(inner.trim_end().len())));
        at = end + 2;
    }
    if at < text.len() {
        all.push(Segment::Text(at..text.len()));
    }
    Ok(all)
}

#[derive(Debug)]
struct EnvObject {
    scope: Scope,
    trace: Arc<Mutex<Trace>>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace(..)")
    }
}

impl Object for EnvObject {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let name = key.as_str()?;
        let mut trace = lock(&self.trace);
        trace.tainted = true;
        trace.origins.push(format!("env.{name}"));
        let env = &self.scope.env;
        let file = env.get(&format!("{name}_FILE")).filter(|path| !path.is_empty());
        let found = match (env.get(name), file) {
            (Some(_), Some(_)) => Err(TemplateErrorKind::BothSet(name.to_owned())),
            (Some(value), None) => Ok(value.clone()),
            (None, Some(path)) => (self.scope.read_file)(path)
                .map(|text| without_last_newline(&text))
                .map_err(|why| TemplateErrorKind::File(path.clone(), why)),
            (None, None) => Err(TemplateErrorKind::Unset(name.to_owned())),
        };
        if found.as_ref().map_or(true, String::is_empty) {
            // Without a default this is an error, and nobody asks where the value is from.
            trace.origins.pop();
            trace.origins.push(format!("the default of env.{name}"));
        }
        match found {
            // Where secrets are kept from a run, as from a workflow of a fork, they are empty texts.
            Ok(value) if value.is_empty() && self.scope.offline => {
                trace.pending.push(format!("env.{name}"));
                Some(Jinja::from("offline"))
            }
            Ok(value) if value.is_empty() => {
                trace.trouble = Some(TemplateErrorKind::Empty(name.to_owned()));
                None
            }
            Ok(value) => {
                self.scope.redactor.learn(&Secret::new(value.as_str()));
                Some(Jinja::from(value))
            }
            Err(TemplateErrorKind::Unset(_) | TemplateErrorKind::File(..)) if self.scope.offline => {
                trace.pending.push(format!("env.{name}"));
                Some(Jinja::from("offline"))
            }
            Err(trouble) => {
                trace.trouble = Some(trouble);
                None
            }
        }
    }
}

#[derive(Debug)]
struct VarObject(Arc<BTreeMap<String, Value>>, Arc<Mutex<Trace>>);

impl Object for VarObject {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let name = key.as_str()?;
        let mut trace = lock(&self.1);
        let Some(value) = self.0.get(name) else {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let near = crate::suggest::nearest(name, known).map(|near| format!("; did you mean `var.{near}`?"));
            let what = format!("no `{name}` is declared under [vars]{}", near.unwrap_or_default());
            trace.trouble = Some(TemplateErrorKind::Other(what));
            return None;
        };
        // A variable that was made from the environment is as delicate as the environment.
        trace.tainted |= value.has_secret();
        match value.expose_json() {
            Some(json) => Some(Jinja::from(minijinja::value::Serde(json))),
            None => {
                trace.pending.push(format!("var.{name}"));
                Some(Jinja::from("pending"))
            }
        }
    }
}

fn file(scope: &Scope, trace: &Arc<Mutex<Trace>>, path: &str) -> Result<Jinja, Error> {
    let mut trace = lock(trace);
    trace.tainted = true;
    trace.origins.push(format!("file({path})"));
    match (scope.read_file)(path) {
        Ok(text) => {
            let text = without_last_newline(&text);
            scope.redactor.learn(&Secret::new(text.as_str()));
            Ok(Jinja::from(text))
        }
        Err(_) if scope.offline => {
            trace.pending.push(format!("file({path})"));
            Ok(Jinja::from("offline"))
        }
        Err(why) => {
            trace.trouble = Some(TemplateErrorKind::File(path.to_owned(), why));
            Err(Error::from(ErrorKind::InvalidOperation))
        }
    }
}

fn without_last_newline(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text).to_owned()
}

struct ConnectionObject {
    name: String,
    trace: Arc<Mutex<Trace>>,
    lookup: Arc<Mutex<Option<Lookup>>>,
}

impl fmt::Debug for ConnectionObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection({})", self.name)
    }
}

impl ConnectionObject {
    fn answer(&self, field: Option<FieldPath>) -> Jinja {
        let reference = Reference { connection: self.name.clone(), field };
        let known = lock(&self.lookup).as_ref().and_then(|lookup| lookup(&reference));
        let mut trace = lock(&self.trace);
        let what = reference.field.as_ref().map_or_else(|| "id".to_owned(), ToString::to_string);
        trace.references.push(reference);
        match known.as_ref().and_then(Value::expose_json) {
            Some(json) => {
                trace.tainted |= known.is_some_and(|v| v.has_secret());
                Jinja::from(minijinja::value::Serde(json))
            }
            None => {
                trace.pending.push(format!("{}.{what}", self.name));
                Jinja::from("pending")
            }
        }
    }
}

impl Object for ConnectionObject {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        (key.as_str() == Some("id")).then(|| self.answer(None))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Jinja]) -> Result<Jinja, Error> {
        match (method, args) {
            ("field", [path]) if path.as_str().is_some() => Ok(self.answer(path.as_str().map(FieldPath::parse))),
            ("field", _) => Err(Error::new(ErrorKind::InvalidOperation, "field takes one path, field(\"model\")")),
            _ => Err(Error::new(ErrorKind::UnknownMethod, "a connection has `.id` and `.field(\"path\")`")),
        }
    }
}

fn b64decode(text: &str) -> Result<String, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, "b64decode: the value is not base64 of a text");
    base64::decode(text).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)
}

/// Which declared connection a reference speaks of: `target/key` as it stands, `key` on the referrer's own target if
/// there is one, else the only connection of that key.
///
/// # Errors
/// Says what is wrong: no such connection, or several.
pub fn find_reference(name: &str, from: &Address, declared: &BTreeMap<Address, ()>) -> Result<Address, String> {
    if let Ok(address) = name.parse::<Address>() {
        return if declared.contains_key(&address) { Ok(address) } else { Err(format!("no connection `{address}` is declared")) };
    }
    let own = Address::new(from.target(), name);
    if declared.contains_key(&own) {
        return Ok(own);
    }
    let mut matching = declared.keys().filter(|a| a.key() == name);
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(one), Some(two)) => Err(format!("`{name}` may mean `{one}` or `{two}`")),
        _ => Err(format!("no connection `{name}` is declared")),
    }
}

#[cfg(test)]
mod tests;
