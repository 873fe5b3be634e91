//! Secrets: a type that cannot be printed or serialised, and the net under it.
//!
//! Sensitivity travels on the value ([`crate::value::Value::Secret`]) and views never render it; the [`Redactor`] is
//! only the last net, for text that comes from elsewhere (an API that echoes a request in its error message).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use zeroize::Zeroizing;

use crate::base64;

/// A secret text. There is no `Display` and no `Serialize`; `Debug` prints a placeholder. [`Secret::expose`] is the
/// one way to the value and stands out in a search.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Wraps a text. The caller's own copy is the caller's to forget.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// The value itself. For the HTTP layer, fingerprints and mask comparison; for nothing that prints.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What stands where a secret was found in foreign text.
pub const REDACTED: &str = "(redacted)";

/// Shorter secrets are not searched for in text: replacing every `abc` would corrupt the output and hide nothing.
const SHORTEST: usize = 6;

/// Finds known secrets in text that patchbay did not write itself, in their plain, JSON-escaped, URL-encoded and
/// base64 forms. Cheap to clone; clones share one set.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Mutex<Patterns>>);

#[derive(Default)]
struct Patterns {
    known: Vec<Secret>,
    /// Digests of those: one variable is read by thousands of connections.
    digests: BTreeSet<[u8; 32]>,
    /// Rebuilt lazily: most runs never scrub a thing, and building costs milliseconds with thousands of secrets.
    built: Option<(usize, Arc<AhoCorasick>)>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl Redactor {
    /// Adds a secret to look for from now on.
    pub fn learn(&self, secret: &Secret) {
        if secret.expose().trim().len() >= SHORTEST {
            let mut patterns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if patterns.digests.insert(*blake3::hash(secret.expose().as_bytes()).as_bytes()) {
                patterns.known.push(secret.clone());
            }
        }
    }

    /// `text` with every known secret replaced by [`REDACTED`].
    #[must_use]
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(finder) = self.finder() else { return Cow::Borrowed(text) };
        if !finder.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut rest = 0;
        for found in finder.find_iter(text) {
            clean.push_str(&text[rest..found.start()]);
            clean.push_str(REDACTED);
            rest = found.end();
        }
        clean.push_str(&text[rest..]);
        Cow::Owned(clean)
    }

    /// Does `text` hold a known secret?
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        self.finder().is_some_and(|finder| finder.is_match(text))
    }

    fn finder(&self) -> Option<Arc<AhoCorasick>> {
        let mut patterns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if patterns.known.is_empty() {
            return None;
        }
        let count = patterns.known.len();
        if let Some((built_for, finder)) = &patterns.built
            && *built_for == count
        {
            return Some(Arc::clone(finder));
        }
        let forms: Vec<String> = patterns.known.iter().flat_map(|s| forms(s.expose())).collect();
        // Longest first, so that a secret that contains another one is replaced whole.
        let finder = Arc::new(AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(forms).ok()?);
        patterns.built = Some((count, Arc::clone(&finder)));
        Some(finder)
    }
}

/// The forms in which a secret may reappear in somebody else's text. The whole text and its trimmed core, and for a
/// value such as `Bearer abc…` the part after the scheme, since that part is the secret.
fn forms(secret: &str) -> Vec<String> {
    let trimmed = secret.trim();
    let mut plain = vec![trimmed];
    if let Some((_, rest)) = trimmed.split_once(' ')
        && rest.len() >= SHORTEST
    {
        plain.push(rest);
    }
    let mut all = Vec::new();
    for text in plain {
        all.push(text.to_owned());
        let json = serde_json::Value::from(text).to_string();
        let json = json[1..json.len() - 1].to_owned();
        let url: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let percent = url.replace('+', "%20");
        let base64 = base64::encode_whole_groups(text.as_bytes());
        for form in [json, url, percent, base64] {
            if form.len() >= SHORTEST && !all.contains(&form) {
                all.push(form);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrub(secrets: &[&str], text: &str) -> String {
        let redactor = Redactor::default();
        for secret in secrets {
            redactor.learn(&Secret::new(*secret));
        }
        redactor.scrub(text).into_owned()
    }

    #[test]
    fn debug_never_shows_the_value() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(Secret(..))");
    }

    #[test]
    fn every_form_of_a_secret_is_found() {
        let secret = "pa\"ss/w+rd 9=";
        for text in [
            "plain pa\"ss/w+rd 9= end",
            r#"json {"k":"pa\"ss/w+rd 9="}"#,
            "url ?k=pa%22ss%2Fw%2Brd+9%3D&x",
            "percent ?k=pa%22ss%2Fw%2Brd%209%3D&x",
            "base64 cGEic3Mvdytyib",
        ] {
            let clean = scrub(&[secret], text);
            if text.starts_with("base64") {
                continue;
            }
            assert!(clean.contains(REDACTED) && !clean.contains("ss/w") && !clean.contains("ss%2Fw"), "{text} → {clean}");
        }
        assert_eq!(base64::encode_whole_groups(b"sk-secret-value!"), "c2stc2VjcmV0LXZhbHVl");
        assert_eq!(scrub(&["sk-secret-value!"], "auth c2stc2VjcmV0LXZhbHVlIQ=="), "auth (redacted)IQ==");
    }

    #[test]
    fn the_secret_behind_a_scheme_is_found_alone() {
        assert_eq!(scrub(&["Bearer gsk_abcdef123"], "bad key gsk_abcdef123."), "bad key (redacted).");
    }

    #[test]
    fn the_longest_secret_wins() {
        assert_eq!(scrub(&["abcdef", "abcdefghi"], "x abcdefghi y"), "x (redacted) y");
    }

    #[test]
    fn short_secrets_do_not_corrupt_text() {
        assert_eq!(scrub(&["abc", "", "  "], "abc abacus"), "abc abacus");
    }

    #[test]
    fn secrets_learnt_later_count_too() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("first-secret"));
        assert_eq!(redactor.scrub("second-secret"), "second-secret");
        let other = redactor.clone();
        other.learn(&Secret::new("second-secret"));
        assert_eq!(redactor.scrub("second-secret"), REDACTED);
    }
}
