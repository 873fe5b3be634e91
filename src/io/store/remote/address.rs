//! From a URL to a store: which kind it is, where in it the state lies, and what must not stand in the URL.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use url::{Host, Url};

use super::bucket::Bucket;
use super::cloud::{Cloud, Vendor};
use super::document::Document;
use super::link::Link;
use super::patience::Patience;
use super::run::Form;
use super::segments::Segments;
use super::web::Web;
use crate::diagnostic::{Diagnostic, codes};
use crate::state::{State, StateError, StateWarning};

/// What can be written for `url`, for messages.
const FORMS: &str = "s3://bucket/prefix, az://container/prefix, gs://bucket/prefix or https://host/path";

/// The address of a state on the network, and the environment that has the credentials for it.
#[derive(Clone)]
pub struct Remote {
    kind: Kind,
    label: String,
    env: Arc<BTreeMap<String, String>>,
}

#[derive(Clone, Debug)]
enum Kind {
    Cloud { vendor: Vendor, bucket: String, prefix: String },
    Web(Url),
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.label)
    }
}

impl Remote {
    /// Reads an address. `env` is where credentials come from; `allow_http` lets them travel unencrypted.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, env: &BTreeMap<String, String>, allow_http: bool) -> Result<Self, Diagnostic> {
        let wrong = |why: String| Diagnostic::error(codes::NOT_ACCEPTED, why).help(format!("a shared state is at {FORMS}"));
        let url = Url::parse(text).map_err(|error| wrong(format!("the state's URL cannot be read: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Diagnostic::error(codes::LITERAL_SECRET, "the state's URL has credentials in it")
                .help("take them out, and set the variables that the store's own tools read, or PATCHBAY_STATE_AUTHORIZATION"));
        }
        let vendor = match url.scheme() {
            "s3" => Some(Vendor::Amazon),
            "az" => Some(Vendor::Azure),
            "gs" => Some(Vendor::Google),
            "http" | "https" => None,
            other => return Err(wrong(format!("the state's URL begins with `{other}:`, which is no store that patchbay knows"))),
        };
        let kind = match vendor {
            Some(vendor) => {
                let bucket = url.host_str().unwrap_or_default().to_owned();
                let prefix = url.path().trim_matches('/').to_owned();
                if bucket.is_empty() || prefix.is_empty() || url.query().is_some() {
                    return Err(wrong("the state's URL needs a bucket and a prefix in it, and nothing else".to_owned()));
                }
                Kind::Cloud { vendor, bucket, prefix }
            }
            None => web(url, allow_http, &wrong)?,
        };
        let label = match &kind {
            Kind::Cloud { vendor, bucket, prefix } => format!("{}://{bucket}/{prefix}", vendor.scheme()),
            // A query may hold a token.
            Kind::Web(url) => text_without_query(url),
        };
        Ok(Self { kind, label, env: Arc::new(env.clone()) })
    }

    /// The address, for messages. There are no credentials in it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Reads the state. Writes nothing, and needs no permission to write.
    ///
    /// # Errors
    /// The store cannot be reached, or what is there is no state or one of a newer major version.
    pub async fn read(&self) -> Result<(State, Vec<StateWarning>), StateError> {
        let mut form = self.form(Patience::BRIEF)?;
        form.load().await?;
        Ok((form.ledger().state().clone(), Vec::new()))
    }

    /// The protocol for this store, with connections of its own.
    pub(super) fn form(&self, patience: Patience) -> Result<Form, StateError> {
        let nonce = getrandom::u64().map_err(|error| super::failed("get randomness for", &self.label, error.to_string()))?;
        let (label, env) = (self.label.clone(), &*self.env);
        let link = |bucket: Arc<dyn Bucket>| Link::new(bucket, patience, format!("{nonce:016x}"));
        Ok(match &self.kind {
            Kind::Cloud { vendor, bucket, prefix } => {
                Form::Segments(Segments::new(link(Arc::new(Cloud::connect(*vendor, bucket, prefix, label, env)?))))
            }
            Kind::Web(url) => Form::Document(Document::new(link(Arc::new(Web::connect(url, label, env)?)))),
        })
    }
}

fn web(url: Url, allow_http: bool, wrong: &dyn Fn(String) -> Diagnostic) -> Result<Kind, Diagnostic> {
    if url.path().ends_with('/') {
        return Err(wrong("the state's URL names no document: its path ends with `/`".to_owned()));
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(host)) => host == "localhost" || host.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !is_loopback && !allow_http {
        return Err(Diagnostic::error(codes::PLAIN_HTTP, "the state would travel unencrypted to another machine")
            .help("use https, or set allow_http = true in [state] if the network is trusted"));
    }
    Ok(Kind::Web(url))
}

fn text_without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Remote, Diagnostic> {
        Remote::parse(text, &BTreeMap::new(), false)
    }

    #[test]
    fn addresses_have_a_bucket_and_a_prefix_or_a_document() {
        for (text, label) in [
            ("s3://team-bucket/states/prod", "s3://team-bucket/states/prod"),
            ("az://container/states/prod/", "az://container/states/prod"),
            ("gs://b/p", "gs://b/p"),
            ("https://host.example/states/prod?token=abc", "https://host.example/states/prod"),
            ("http://127.0.0.1:8080/prod", "http://127.0.0.1:8080/prod"),
            ("http://localhost/prod", "http://localhost/prod"),
        ] {
            assert_eq!(parse(text).map(|remote| remote.label().to_owned()), Ok(label.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (text, code, why) in [
            ("s3://bucket", codes::NOT_ACCEPTED, "needs a bucket and a prefix"),
            ("s3:///prefix", codes::NOT_ACCEPTED, "needs a bucket and a prefix"),
            ("s3://bucket/prefix?x=1", codes::NOT_ACCEPTED, "and nothing else"),
            ("ftp://host/x", codes::NOT_ACCEPTED, "begins with `ftp:`"),
            ("not a url", codes::NOT_ACCEPTED, "cannot be read"),
            ("https://host.example/", codes::NOT_ACCEPTED, "names no document"),
            ("https://user:secret@host.example/x", codes::LITERAL_SECRET, "has credentials in it"),
            ("http://host.example/x", codes::PLAIN_HTTP, "unencrypted"),
        ] {
            let error = parse(text).map(|_| ()).unwrap_err();
            assert_eq!(error.code, code, "{text}");
            assert!(error.summary.contains(why) && error.help.is_some(), "{text}: {error:?}");
            assert!(!error.summary.contains("secret"), "{error:?}");
        }
        assert!(Remote::parse("http://host.example/x", &BTreeMap::new(), true).is_ok());
    }

    #[test]
    fn the_environment_is_not_printed() {
        let env = BTreeMap::from([("AWS_SECRET_ACCESS_KEY".to_owned(), "sk-canary".to_owned())]);
        let remote = Remote::parse("s3://b/p", &env, false).unwrap();
        assert_eq!(format!("{remote:?}"), "Remote(s3://b/p)");
    }
}
