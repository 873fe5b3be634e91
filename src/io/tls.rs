//! TLS: what a handshake that failed means, in words, and whether a file holds certificates. The library's own texts are
//! names of its types.

use std::error::Error;
use std::io;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage, RootCertStore};

use crate::platform::exchange::neutral;

/// What is wrong with a TLS connection, as far as the ways out differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server shows the certificate of an authority as its own.
    Authority,
    /// Nobody who is trusted signed the server's certificate.
    Issuer,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It is for other names.
    OtherName,
    /// It cannot be used for another reason.
    Certificate,
    /// The server wants a certificate from us.
    Ours,
    /// No TLS is spoken there.
    NoTls,
    /// Anything else.
    Other,
}

/// A message names at most so many of a certificate's names.
const NAMES: usize = 4;

/// The TLS error anywhere below. An I/O error hides the error that it wraps from `source`, so it is looked into.
pub(super) fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
        && let Some(found) = find(inner)
    {
        return Some(found);
    }
    find(error.source()?)
}

/// What an error means. The words complete “no trusted TLS connection: ”.
pub(super) fn words(error: &rustls::Error) -> (Trouble, String) {
    use AlertDescription as Alert;
    use rustls::Error as E;
    let (trouble, words) = match error {
        E::InvalidCertificate(error) => return certificate(error),
        E::InvalidMessage(InvalidMessage::InvalidContentType) => (Trouble::NoTls, "it does not speak TLS there: is it http?"),
        E::NoCertificatesPresented => (Trouble::Certificate, "it shows no certificate"),
        E::AlertReceived(Alert::CertificateRequired | Alert::BadCertificate) => {
            (Trouble::Ours, "it wants a certificate of its clients")
        }
        E::AlertReceived(Alert::UnrecognisedName) => (Trouble::OtherName, "it has no certificate for this name"),
        E::AlertReceived(Alert::ProtocolVersion) | E::PeerIncompatible(_) => {
            (Trouble::Other, "it offers nothing that is safe; TLS 1.2 or 1.3 is needed")
        }
        E::AlertReceived(alert) => return (Trouble::Other, format!("it refused: {}", spaced(&format!("{alert:?}")))),
        other => return (Trouble::Other, neutral(&other.to_string())),
    };
    (trouble, words.to_owned())
}

fn certificate(error: &CertificateError) -> (Trouble, String) {
    use CertificateError as C;
    let (trouble, words) = match error {
        C::ExpiredContext { not_after, .. } => {
            return (Trouble::Expired, format!("its certificate expired on {}", day(*not_after)));
        }
        C::Expired => (Trouble::Expired, "its certificate is expired"),
        C::NotValidYetContext { not_before, .. } => {
            return (Trouble::NotYet, format!("its certificate is not valid before {}", day(*not_before)));
        }
        C::NotValidYet => (Trouble::NotYet, "its certificate is not valid yet"),
        C::UnknownIssuer => (Trouble::Issuer, "its certificate is signed by nobody who is trusted here"),
        C::BadSignature => (Trouble::Issuer, "its certificate is not signed with the key of the authority that it names"),
        C::NotValidForNameContext { expected, presented } => {
            return (Trouble::OtherName, format!("its certificate is for {}, not for {}", names(presented), expected.to_str()));
        }
        C::NotValidForName => (Trouble::OtherName, "its certificate is for another name"),
        C::Revoked => (Trouble::Certificate, "its certificate is revoked"),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => (Trouble::Certificate, "its certificate is not for servers"),
        C::BadEncoding => (Trouble::Certificate, "its certificate is malformed"),
        C::UnsupportedSignatureAlgorithmContext { .. } | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            (Trouble::Certificate, "its certificate is signed in a way that is not safe any more")
        }
        // The verifier's own errors have no better form than their names.
        C::Other(other) => match format!("{:?}", other.0).as_str() {
            "CaUsedAsEndEntity" => (Trouble::Authority, "it shows the certificate of an authority as its own"),
            "EndEntityUsedAsCa" => (Trouble::Issuer, "its certificate is signed with one that is no authority's"),
            "EkuError" => (Trouble::Certificate, "its certificate is not for servers"),
            "UnsupportedCertVersion" => (Trouble::Certificate, "its certificate is of an old version"),
            name => return (Trouble::Certificate, format!("its certificate cannot be used: {}", spaced(name))),
        },
        other => return (Trouble::Certificate, format!("its certificate cannot be used: {}", spaced(&format!("{other:?}")))),
    };
    (trouble, words.to_owned())
}

/// `HandshakeFailure` → `handshake failure`; what a name holds is left out.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// `2026-11-22`
fn day(at: UnixTime) -> String {
    let at = i64::try_from(at.as_secs()).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    at.map_or_else(|| "a day that no calendar has".to_owned(), |at| at.to_string().chars().take(10).collect())
}

/// The names of a certificate, which come as `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inside = name.split_once('(').map_or(name.as_str(), |(_, inside)| inside.trim_end_matches(')'));
        neutral(inside.trim_matches('"'))
    };
    let mut shown: Vec<String> = presented.iter().take(NAMES).map(bare).collect();
    if presented.len() > NAMES {
        shown.push(format!("{} more", presented.len() - NAMES));
    }
    match shown.split_last() {
        None => "no name at all".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// Does this text hold certificates of authorities, as PEM?
///
/// # Errors
/// What is wrong with it; completes “the file ”.
pub fn check_authorities(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for (n, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = certificate.map_err(|_| "is not PEM to its end".to_owned())?;
        roots.add(certificate).map_err(|_| format!("holds a certificate that cannot be read, number {}", n + 1))?;
    }
    if roots.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::OtherError;
    use rustls::pki_types::ServerName;

    fn at(second: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(second))
    }

    /// Stands in for the verifier's errors, which only show their names.
    #[derive(Debug)]
    struct CaUsedAsEndEntity;

    impl std::fmt::Display for CaUsedAsEndEntity {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("another text")
        }
    }

    impl Error for CaUsedAsEndEntity {}

    #[test]
    fn errors_are_words() {
        use CertificateError as C;
        let presented = |names: &[&str]| C::NotValidForNameContext {
            expected: ServerName::try_from("127.0.0.1").unwrap(),
            presented: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let many = ["DnsName(\"a\")", "DnsName(\"*.b\")", "IpAddress(10.0.0.1)", "DnsName(\"d\")", "DnsName(\"e\")"];
        for (error, trouble, text) in [
            (
                C::ExpiredContext { time: at(1_800_000_000), not_after: at(1_609_459_200) },
                Trouble::Expired,
                "its certificate expired on 2021-01-01",
            ),
            (
                C::NotValidYetContext { time: at(0), not_before: at(3_786_912_000) },
                Trouble::NotYet,
                "its certificate is not valid before 2090-01-01",
            ),
            (C::UnknownIssuer, Trouble::Issuer, "its certificate is signed by nobody who is trusted here"),
            (presented(&many[..1]), Trouble::OtherName, "its certificate is for a, not for 127.0.0.1"),
            (presented(&many), Trouble::OtherName, "its certificate is for a, *.b, 10.0.0.1, d and 1 more, not for 127.0.0.1"),
            (presented(&[]), Trouble::OtherName, "its certificate is for no name at all, not for 127.0.0.1"),
            (
                C::Other(OtherError(Arc::new(CaUsedAsEndEntity))),
                Trouble::Authority,
                "it shows the certificate of an authority as its own",
            ),
            (
                C::Other(OtherError(Arc::new(io::Error::from(io::ErrorKind::NotFound)))),
                Trouble::Certificate,
                "its certificate cannot be used: kind",
            ),
            (
                C::ApplicationVerificationFailure,
                Trouble::Certificate,
                "its certificate cannot be used: application verification failure",
            ),
        ] {
            assert_eq!(words(&rustls::Error::InvalidCertificate(error)), (trouble, text.to_owned()));
        }
        for (error, trouble, text) in [
            (
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
                Trouble::NoTls,
                "it does not speak TLS there: is it http?",
            ),
            (rustls::Error::AlertReceived(AlertDescription::HandshakeFailure), Trouble::Other, "it refused: handshake failure"),
            (
                rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
                Trouble::Ours,
                "it wants a certificate of its clients",
            ),
        ] {
            assert_eq!(words(&error), (trouble, text.to_owned()));
        }
    }

    #[test]
    fn an_error_is_found_inside_an_io_error() {
        let hidden = io::Error::other(io::Error::other(rustls::Error::DecryptError));
        assert_eq!(find(&hidden), Some(&rustls::Error::DecryptError));
        assert_eq!(find(&io::Error::other("no")), None);
    }

    #[test]
    fn a_file_without_a_certificate_is_none() {
        let certificate = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        for (text, why) in [
            (String::new(), "holds no certificate"),
            ("ssh-ed25519 AAAA me\n".to_owned(), "holds no certificate"),
            (certificate("AAAA"), "holds a certificate that cannot be read, number 1"),
            (certificate("*"), "is not PEM to its end"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned(), "is not PEM to its end"),
        ] {
            assert_eq!(check_authorities(text.as_bytes()), Err(why.to_owned()), "{text}");
        }
    }
}
