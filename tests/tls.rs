//! TLS: each way in which a certificate can be wrong is said in words, with the way out that fits it.
//!
//! The certificates in `tests/tls/` hold for 127.0.0.1 from 2020 to 2120, except where their names say otherwise. All of
//! them have one key, which is worth nothing. `authority` signed all but itself and `stranger`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use common::{Project, Ran};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const KEY: &str = include_str!("tls/key.pem");
const AUTHORITY: &str = include_str!("tls/authority.pem");
const STRANGER: &str = include_str!("tls/stranger.pem");
const GOOD: &str = include_str!("tls/good.pem");
const EXPIRED: &str = include_str!("tls/expired.pem");
const FUTURE: &str = include_str!("tls/future.pem");
const OTHER: &str = include_str!("tls/other.pem");

/// A server for one connection that shows this certificate and has an empty list.
fn serve(certificate: &str) -> (u16, JoinHandle<()>) {
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), stream);
        let mut request = [0; 4096];
        // Who does not trust the certificate hangs up.
        if tls.read(&mut request).is_ok_and(|read| read > 0) {
            let body = r#"{"connections":[],"total":0}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            tls.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        }
    });
    (port, thread)
}

/// A doctor's look at a target at this port with this `ca_file`.
fn look(port: u16, ca_file: &str) -> Ran {
    let project = Project::kore(&format!("https://127.0.0.1:{port}/api/public"), "connections: {}\n");
    project.write("patchbay.toml", &format!("{}ca_file = \"ca.pem\"\n", project.read("patchbay.toml")));
    project.write("ca.pem", ca_file);
    project.run(&["doctor", "--retries", "0"])
}

#[test]
fn a_certificate_of_a_trusted_authority_is_good() {
    let (port, server) = serve(GOOD);
    let ran = look(port, &format!("{STRANGER}{AUTHORITY}"));
    assert!(ran.code == 0 && ran.stdout.contains("TLS, the certificate is trusted"), "{ran}");
    server.join().unwrap();
}

#[test]
fn each_wrong_certificate_has_its_words_and_its_way_out() {
    for (certificate, ca_file, words, help) in [
        (AUTHORITY, AUTHORITY, "it shows the certificate of an authority as its own", "CA:FALSE"),
        (AUTHORITY, STRANGER, "it shows the certificate of an authority as its own", "CA:FALSE"),
        (GOOD, STRANGER, "its certificate is signed by nobody who is trusted here", "authority that signed it into `ca.pem`"),
        (EXPIRED, AUTHORITY, "its certificate expired on 2021-01-01", "the server needs a new certificate"),
        (FUTURE, AUTHORITY, "its certificate is not valid before 2090-01-01", "look at this machine's clock"),
        (OTHER, AUTHORITY, "its certificate is for a.example and *.b.example, not for 127.0.0.1", "use a name in base_url"),
    ] {
        let (port, server) = serve(certificate);
        let ran = look(port, ca_file);
        assert!(ran.code == 1 && ran.stdout.contains("✗  reachable"), "{words}: {ran}");
        let told = ran.flat();
        for part in ["PB0610", "no trusted TLS connection to 127.0.0.1", words, help] {
            assert!(told.contains(part), "{part:?} is missing: {ran}");
        }
        assert!(!told.contains("Other(") && !told.contains("UNIX"), "{ran}");
        server.join().unwrap();
    }
}

#[test]
fn a_ca_file_without_a_certificate_is_named() {
    let malformed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, words) in [
        ("", "the file `ca.pem` holds no certificate"),
        (KEY, "the file `ca.pem` holds no certificate"),
        (malformed, "the file `ca.pem` holds a certificate that cannot be read"),
    ] {
        // Nothing is sent, so nobody needs to be there.
        let ran = look(9, text);
        assert!(ran.code == 1 && ran.stdout.contains("✗  configuration") && ran.stdout.contains("PB0103"), "{ran}");
        assert!(ran.flat().contains(words) && ran.flat().contains("as PEM"), "{ran}");
    }
}
