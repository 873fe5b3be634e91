//! A server that is started once for all tests, and what can be asked of it and of its database.
#![allow(unreachable_pub, missing_docs, reason = "a test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tap::{self, Seen, Tap};

/// How long a server may take to be there.
const PATIENCE: Duration = Duration::from_secs(180);
const KEEPER: &str = include_str!("keeper.py");

/// A server that runs.
pub struct Server {
    port: u16,
    tap: Tap,
    /// Sent with every request of a test.
    headers: String,
    /// What an object's path begins with, in requests of a test and for the program.
    base: &'static str,
    /// The oracle; the server ends with its standard input.
    keeper: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

struct Installed {
    mlflow: Option<Mutex<Server>>,
    contextforge: Option<Mutex<Server>>,
}

/// Both start at the same time, since that is what takes longest.
static INSTALLED: LazyLock<Installed> = LazyLock::new(|| {
    std::thread::scope(|scope| {
        let mlflow = program("PATCHBAY_TEST_MLFLOW").map(|program| scope.spawn(move || start_mlflow(&program)));
        let contextforge = program("PATCHBAY_TEST_CONTEXTFORGE").map(|program| scope.spawn(move || start_contextforge(&program)));
        let started = |start: Option<std::thread::ScopedJoinHandle<'_, Server>>| Some(Mutex::new(start?.join().unwrap()));
        Installed { mlflow: started(mlflow), contextforge: started(contextforge) }
    })
});

fn program(variable: &str) -> Option<PathBuf> {
    let program = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    if program.is_none() {
        // Past what the test harness captures of tests that pass.
        drop(writeln!(std::io::stderr(), "not run: {variable} names no server"));
    }
    program
}

/// The MLflow of this test alone, with nothing in it; none where none is installed.
pub fn mlflow() -> Option<MutexGuard<'static, Server>> {
    let mut server = INSTALLED.mlflow.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
    server.empty_mlflow();
    server.tap.forget();
    Some(server)
}

/// The ContextForge of this test alone, with nothing in it; none where none is installed.
pub fn contextforge() -> Option<MutexGuard<'static, Server>> {
    let mut server = INSTALLED.contextforge.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
    server.empty_contextforge();
    server.tap.forget();
    Some(server)
}

pub const ADMIN: (&str, &str) = ("admin@example.com", "Patch-bay-Admin-2026!");

fn start_mlflow(program: &Path) -> Server {
    let folder = folder();
    let port = port();
    let database = folder.join("mlflow.db");
    let command = [
        &program.display().to_string(),
        "server",
        "--backend-store-uri",
        &format!("sqlite:///{}", database.display()),
        "--default-artifact-root",
        &folder.join("artifacts").display().to_string(),
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--workers",
        "1",
    ];
    let env = [
        ("MLFLOW_CRYPTO_KEK_PASSPHRASE", "patchbay-test-passphrase-0123456789abcdef"),
        ("MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS", "true"),
        ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "true"),
    ];
    Server::start("mlflow", program, &folder, &database, &command, &env, port, "")
}

fn start_contextforge(program: &Path) -> Server {
    let folder = folder();
    let port = port();
    let database = folder.join("forge.db");
    let url = format!("sqlite:///{}", database.display());
    let env = [
        ("DATABASE_URL", url.as_str()),
        ("JWT_SECRET_KEY", "patchbay-test-jwt-secret-0123456789abcdef"),
        ("AUTH_ENCRYPTION_SECRET", "patchbay-test-encryption-secret-0123456789"),
        ("PLATFORM_ADMIN_EMAIL", ADMIN.0),
        ("PLATFORM_ADMIN_PASSWORD", ADMIN.1),
        ("LLMCHAT_ENABLED", "true"),
        ("PLUGINS_ENABLED", "false"),
        ("CACHE_TYPE", "memory"),
        ("RATE_LIMITING_ENABLED", "false"),
        ("SSRF_ALLOW_LOCALHOST", "true"),
        ("SSRF_ALLOW_PRIVATE_NETWORKS", "true"),
        ("SSRF_DNS_FAIL_CLOSED", "false"),
    ];
    let program_text = program.display().to_string();
    let command = [program_text.as_str(), "mcpgateway.main:app", "--host", "127.0.0.1", "--port", &port.to_string()];
    let mut server = Server::start("contextforge", program, &folder, &database, &command, &env, port, "/v1");
    let credentials = json!({"email": ADMIN.0, "password": ADMIN.1});
    let token = server.ask("POST", "/auth/login", &credentials).1["access_token"].as_str().unwrap().to_owned();
    server.headers = format!("Authorization: Bearer {token}\r\n");
    server
}

/// Nobody else's, and gone when the server is: the keeper removes it.
fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("patchbay-server-").tempdir().unwrap().keep()
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    #[allow(clippy::too_many_arguments, reason = "each is another thing, and there are two calls")]
    fn start(
        which: &str,
        program: &Path,
        folder: &Path,
        database: &Path,
        command: &[&str],
        env: &[(&str, &str)],
        port: u16,
        base: &'static str,
    ) -> Self {
        let mut keeper = Command::new(program.with_file_name("python"))
            .args(["-c", KEEPER, which])
            .args([folder, database])
            .args(command)
            .env_clear()
            .envs(env.iter().copied())
            .env("HOME", folder)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(folder)
            // A Ctrl-C at the terminal ends the tests; the keeper has to live on until it has ended the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (questions, answers) = (keeper.stdin.take().unwrap(), BufReader::new(keeper.stdout.take().unwrap()));
        let begun = Instant::now();
        while tap::send(port, "GET", "/health", "", &Value::Null).is_none_or(|(status, _)| status != 200) {
            if keeper.try_wait().unwrap().is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                panic!("{which} does not start; {}:\n{log}", folder.display());
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        Self { port, tap: Tap::to(port), headers: String::new(), base, keeper, questions, answers }
    }

    /// Where the program finds it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.tap.port, self.base)
    }

    /// The token that a target writes.
    pub fn token(&self) -> String {
        self.headers.trim_start_matches("Authorization: Bearer ").trim().to_owned()
    }

    /// A request of a test itself, past the program.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        tap::send(self.port, method, &format!("{}{path}", self.base), &self.headers, body)
            .unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The same, where it must succeed.
    #[track_caller]
    pub fn does(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(method, path, body);
        assert!((200..300).contains(&status), "{method} {path} {body}: {status} {answer}");
        answer
    }

    /// What is really stored, by name, decrypted.
    pub fn stored(&mut self) -> Value {
        let mut line = String::new();
        writeln!(self.questions, "look").unwrap();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}; {:?}", self.keeper.try_wait()))
    }

    /// What the program has asked and written since the last look.
    pub fn seen(&self) -> Vec<Seen> {
        self.tap.seen()
    }

    /// The answer to the program's next request whose line begins so gets lost.
    pub fn lose(&self, line: &str) {
        self.tap.lose(line);
    }

    /// What it has written.
    pub fn writes(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method != "GET").collect()
    }

    /// The same, a line each.
    pub fn lines(&self) -> Vec<String> {
        self.writes().iter().map(Seen::line).collect()
    }

    fn empty_mlflow(&mut self) {
        for (collection, items, id) in [
            ("endpoints", "endpoints", "endpoint_id"),
            ("model-definitions", "model_definitions", "model_definition_id"),
            ("secrets", "secrets", "secret_id"),
        ] {
            let path = format!("/api/3.0/mlflow/gateway/{collection}");
            for object in self.does("GET", &format!("{path}/list"), &Value::Null)[items].as_array().into_iter().flatten() {
                self.does("DELETE", &format!("{path}/delete"), &json!({id: object[id]}));
            }
        }
        assert_eq!(self.stored(), json!({}));
    }

    /// Models go with their providers.
    fn empty_contextforge(&mut self) {
        let all = self.does("GET", "/llm/providers?page_size=500", &Value::Null);
        for provider in all["providers"].as_array().unwrap() {
            self.does("DELETE", &format!("/llm/providers/{}", provider["id"].as_str().unwrap()), &Value::Null);
        }
        assert_eq!(self.stored(), json!({}));
    }
}
