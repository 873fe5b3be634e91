//! A target's `base_url`: is it an address that credentials may be sent to?

use url::{Host, Url};

use crate::config::project::Target;
use crate::diagnostic::{Diagnostic, codes};

/// What begins the address of a sandbox.
const SANDBOX: &str = "sandbox:";

/// What is wrong with the base URL of the target `name`, if anything is.
#[must_use]
pub(super) fn check(name: &str, target: &Target) -> Option<Diagnostic> {
    let text = &target.base_url;
    if text.starts_with(SANDBOX) {
        return None;
    }
    let wrong = |summary: String, label: &str| {
        let span = target.base_url_span;
        Diagnostic::error(codes::NOT_ACCEPTED, format!("`base_url` of `{name}` {summary}")).label_opt(span, label)
    };
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(_) if text == SANDBOX.trim_end_matches(':') => {
            return Some(wrong("is not a URL".to_owned(), "here").help("did you mean `sandbox:`?"));
        }
        Err(why) => {
            let help = "base_url = \"https://host/path\", or \"sandbox:\" to try things out";
            return Some(wrong(format!("is not a URL: {why}"), "here").help(help));
        }
    };
    if has_more_than_an_address(&url) {
        let label = "no user, password, query or fragment is wanted here";
        return Some(
            wrong("holds more than an address".to_owned(), label)
                .help("credentials belong into `auth`: the base URL is shown and recorded"),
        );
    }
    match url.scheme() {
        "https" => None,
        "http" if stays_here(&url) || target.allow_http => None,
        "http" => Some(
            Diagnostic::error(codes::PLAIN_HTTP, format!("`{name}` would send its credentials unencrypted to another machine"))
                .label_opt(target.base_url_span, "plain http")
                .help(format!("use https, or set allow_http = true in [targets.{name}] if the network is trusted")),
        ),
        other => Some(wrong(format!("begins with `{other}:`"), "http or https is wanted")),
    }
}

/// Could a credential stand in it?
#[must_use]
pub(super) fn may_hold_a_credential(target: &Target) -> bool {
    Url::parse(&target.base_url).is_ok_and(|url| !target.base_url.starts_with(SANDBOX) && has_more_than_an_address(&url))
}

fn has_more_than_an_address(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some()
}

/// Does what is sent there stay on this machine?
#[must_use]
pub(super) fn stays_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == "localhost" || host.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
