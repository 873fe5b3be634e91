//! Buckets of S3, Azure Blob Storage and Google Cloud Storage, and of everything that speaks like one of them.
//!
//! Credentials and endpoints come from the variables that these stores' own tools read. Which of the two versions of an
//! object a store understands, tag or number, is the library's matter: both are handed back.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, RetryConfig, UpdateVersion};

use super::bucket::{Bucket, Condition, Object, Pending, Put, Trouble, Version};
use crate::platform::exchange::neutral;
use crate::state::StateError;

/// Whose interface a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    Amazon,
    Azure,
    Google,
}

impl Vendor {
    /// How its URLs begin.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Amazon => "s3",
            Self::Azure => "az",
            Self::Google => "gs",
        }
    }

    /// How the variables begin that are about it.
    fn prefix(self) -> &'static str {
        match self {
            Self::Amazon => "AWS_",
            Self::Azure => "AZURE_",
            Self::Google => "GOOGLE_",
        }
    }

    /// Which variables say where it is.
    fn endpoints(self) -> &'static [&'static str] {
        match self {
            Self::Amazon => &["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_REGION", "AWS_DEFAULT_REGION"],
            Self::Azure => &["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT", "AZURITE_BLOB_STORAGE_URL"],
            Self::Google => &["GOOGLE_BASE_URL"],
        }
    }

    /// What to do if it lets nobody in.
    fn help(self) -> &'static str {
        match self {
            Self::Amazon => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is given; AWS_REGION and AWS_ENDPOINT_URL say where"
            }
            Self::Azure => "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or what your way of logging in needs",
            Self::Google => "set GOOGLE_APPLICATION_CREDENTIALS, or run where a service account is given",
        }
    }
}

/// The objects under one prefix of one bucket.
pub(super) struct Cloud {
    vendor: Vendor,
    store: Box<dyn ObjectStore>,
    prefix: String,
    label: String,
    server: String,
}

impl fmt::Debug for Cloud {
    // The library prints its configuration, and that has credentials in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cloud({})", self.label)
    }
}

impl Cloud {
    /// Gets ready. Nothing is sent yet.
    pub(super) fn connect(
        vendor: Vendor,
        bucket: &str,
        prefix: &str,
        label: String,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, StateError> {
        // Fails only if a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let store = match vendor {
            Vendor::Amazon => amazon(bucket, env),
            Vendor::Azure => azure(bucket, env),
            Vendor::Google => google(bucket, env),
        };
        let store = store.map_err(|error| StateError::Remote {
            verb: "open",
            place: label.clone(),
            cause: gist(&error),
            help: Some(vendor.help().to_owned()),
        })?;
        let known = vendor.endpoints().iter().filter_map(|name| env.get(*name)).map(String::as_str);
        let server = std::iter::once(vendor.scheme()).chain(known).collect::<Vec<_>>().join(" ");
        Ok(Self { vendor, store, prefix: prefix.to_owned(), label, server })
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    fn trouble(&self, error: &Error) -> Trouble {
        let cause = gist(error);
        match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                Trouble::Final { cause, help: Some(self.vendor.help().to_owned()) }
            }
            Error::NotFound { .. } => {
                Trouble::Final { cause, help: Some("make the bucket; patchbay makes only what is in it".to_owned()) }
            }
            Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. } => Trouble::Final { cause, help: None },
            _ => Trouble::Unclear(cause),
        }
    }
}

impl Bucket for Cloud {
    fn label(&self) -> &str {
        &self.label
    }

    fn server(&self) -> String {
        self.server.clone()
    }

    fn get<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Object>> {
        async move {
            let found = match self.store.get(&self.path(name)).await {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(self.trouble(&error)),
            };
            let version = version(&found.meta);
            let bytes = found.bytes().await.map_err(|error| self.trouble(&error))?;
            Ok(Some(Object { bytes: bytes.to_vec(), version }))
        }
        .boxed()
    }

    fn version<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Version>> {
        async move {
            match self.store.head(&self.path(name)).await {
                Ok(meta) => Ok(Some(version(&meta))),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(self.trouble(&error)),
            }
        }
        .boxed()
    }

    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>, condition: Condition) -> Pending<'a, Put> {
        async move {
            let mode = match condition {
                Condition::Absent => PutMode::Create,
                Condition::Is(Version { etag, number }) => PutMode::Update(UpdateVersion { e_tag: etag, version: number }),
            };
            match self.store.put_opts(&self.path(name), bytes.into(), mode.into()).await {
                Ok(put) => Ok(Put::Done(Some(Version { etag: put.e_tag, number: put.version }))),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. }) => Ok(Put::Refused),
                Err(error) => Err(self.trouble(&error)),
            }
        }
        .boxed()
    }

    fn remove<'a>(&'a self, name: &'a str) -> Pending<'a, ()> {
        async move {
            match self.store.delete(&self.path(name)).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.trouble(&error)),
            }
        }
        .boxed()
    }

    fn names(&self) -> Pending<'_, Option<Vec<String>>> {
        async move {
            let prefix = Path::from(self.prefix.as_str());
            // With a delimiter, so that a state whose prefix continues ours is not read along.
            let listed = self.store.list_with_delimiter(Some(&prefix)).await.map_err(|error| self.trouble(&error))?;
            Ok(Some(listed.objects.iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect()))
        }
        .boxed()
    }
}

fn version(meta: &ObjectMeta) -> Version {
    Version { etag: meta.e_tag.clone(), number: meta.version.clone() }
}

/// The library's own repetitions are few: what they cannot tell apart, a write that happened and one that did not, is
/// looked into by the protocols.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 1, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() }
}

/// Every variable that is a setting of this store: `AWS_REGION` is `aws_region`. The builders read the process's
/// environment themselves; this one has also what `--env-file` adds.
fn settings<K: FromStr>(vendor: Vendor, env: &BTreeMap<String, String>) -> impl Iterator<Item = (K, &String)> {
    let ours = env.iter().filter(move |(name, _)| name.starts_with(vendor.prefix()));
    ours.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

fn amazon(bucket: &str, env: &BTreeMap<String, String>) -> Result<Box<dyn ObjectStore>, Error> {
    let mut builder = AmazonS3Builder::from_env();
    for (key, value) in settings::<AmazonS3ConfigKey>(Vendor::Amazon, env) {
        builder = builder.with_config(key, value);
    }
    let builder = builder.with_bucket_name(bucket).with_conditional_put(S3ConditionalPut::ETagMatch).with_retry(retry());
    Ok(Box::new(builder.build()?))
}

fn azure(container: &str, env: &BTreeMap<String, String>) -> Result<Box<dyn ObjectStore>, Error> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    for (key, value) in settings::<AzureConfigKey>(Vendor::Azure, env) {
        builder = builder.with_config(key, value);
    }
    Ok(Box::new(builder.with_container_name(container).with_retry(retry()).build()?))
}

fn google(bucket: &str, env: &BTreeMap<String, String>) -> Result<Box<dyn ObjectStore>, Error> {
    let mut builder = GoogleCloudStorageBuilder::from_env();
    for (key, value) in settings::<GoogleConfigKey>(Vendor::Google, env) {
        builder = builder.with_config(key, value);
    }
    Ok(Box::new(builder.with_bucket_name(bucket).with_retry(retry()).build()?))
}

/// What a library's error comes down to. Its text is long, holds the whole answer, and of a refused signature also what
/// was signed; code and message are enough, or else the innermost cause.
fn gist(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    match (between(&text, "<Code>", "</Code>"), between(&text, "<Message>", "</Message>")) {
        (Some(code), Some(message)) => neutral(&format!("{code}: {message}")),
        (Some(code), None) => neutral(code),
        _ => neutral(text.split_once('<').map_or(text.as_str(), |(start, _)| start).trim_end_matches([' ', ':'])),
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    Some(text.split_once(start)?.1.split_once(end)?.0.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn connect(vendor: Vendor, env: &BTreeMap<String, String>) -> Result<Cloud, StateError> {
        Cloud::connect(vendor, "bucket", "team/prod", "x://bucket/team/prod".to_owned(), env)
    }

    #[test]
    fn each_kind_is_made_from_the_environment() {
        let amazon = env(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "sk-canary"), ("AWS_REGION", "eu-west-1")]);
        let azure = env(&[("AZURE_STORAGE_USE_EMULATOR", "true")]);
        let google = env(&[("GOOGLE_SKIP_SIGNATURE", "true")]);
        for (vendor, env) in [(Vendor::Amazon, amazon), (Vendor::Azure, azure), (Vendor::Google, google)] {
            let cloud = connect(vendor, &env).unwrap();
            assert_eq!(cloud.path("base").to_string(), "team/prod/base");
            assert_eq!(format!("{cloud:?}"), "Cloud(x://bucket/team/prod)");
        }
    }

    #[test]
    fn servers_are_told_apart_by_where_they_are() {
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let here = connect(Vendor::Amazon, &env(&[&keys[..], &[("AWS_REGION", "eu-west-1")]].concat())).unwrap();
        let there = connect(Vendor::Amazon, &env(&[&keys[..], &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]].concat())).unwrap();
        assert_eq!((here.server().as_str(), there.server().as_str()), ("s3 eu-west-1", "s3 http://127.0.0.1:1"));
    }

    #[test]
    fn errors_are_short_and_show_nothing_that_was_signed() {
        let body = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code><Message>no match</Message><StringToSign>sk-canary</StringToSign></Error>";
        let error = Error::Generic { store: "S3", source: body.into() };
        assert_eq!(gist(&error), "SignatureDoesNotMatch: no match");
        let error = Error::Generic { store: "S3", source: "Server returned non-2xx status code: 403 Forbidden: <html>".into() };
        assert_eq!(gist(&error), "Server returned non-2xx status code: 403 Forbidden");
    }
}
