//! A running gateway.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request};
use serde_json::Value;

use crate::client::{self, Answer, Open, get};
use crate::{Directory, Upstream, program};

/// The key of a gateway under test.
pub const KEY: &str = "sk-tachograph-00112233445566778899aabbccddeeff0011223344556677";
/// The providers that the upstream plays.
const PROVIDERS: [&str; 25] = [
    "openai",
    "anthropic",
    "groq",
    "together",
    "deepseek",
    "mistral",
    "cerebras",
    "openrouter",
    "perplexity",
    "zai",
    "gemini",
    "cohere",
    "ollama",
    "ollama-native",
    "ollama-cloud",
    "xai",
    "writer",
    "voyage",
    "huggingface",
    "jina",
    "bedrock",
    "vertex",
    "azure",
    "azure-ai",
    "snowflake",
];
/// How long anything may take that should take no time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that is not started yet.
pub struct Setup {
    directory: Arc<Directory>,
    configuration: String,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// With more configuration: top-level YAML.
    #[must_use]
    pub fn config(mut self, yaml: &str) -> Self {
        self.configuration.push_str(yaml);
        self.configuration.push('\n');
        self
    }

    /// With other words in the place of some of the configuration.
    #[must_use]
    pub fn instead_of(mut self, some: &str, other: &str) -> Self {
        assert!(self.configuration.contains(some), "{some} is not in {}", self.configuration);
        self.configuration = self.configuration.replace(some, other);
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where it will run: its configuration is `tachograph.yaml` there, its data in `tachograph-data`.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.clone()
    }

    /// Writes the configuration, for commands other than `serve`.
    pub fn write(&self) {
        std::fs::write(self.directory.path().join("tachograph.yaml"), &self.configuration).unwrap();
    }

    /// Starts it and waits until it serves.
    pub async fn start(self) -> Gateway {
        self.write();
        let log = std::fs::File::create(self.directory.path().join("log")).unwrap();
        let started = Instant::now();
        let mut child = program::command(self.directory.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (said, lines) = sync_channel(256);
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| said.try_send(line)));
        let mut gateway = Gateway {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            directory: self.directory,
            child,
            lines: Mutex::new(lines),
            said: Vec::new(),
            calls: AtomicUsize::new(0),
            started_in: Duration::ZERO,
        };
        let listens = gateway.wait_for("Tachograph listens on http://");
        gateway.address = listens.trim().parse().unwrap();
        gateway.started_in = started.elapsed();
        gateway
    }
}

/// A running gateway; killed when it is dropped.
pub struct Gateway {
    address: SocketAddr,
    directory: Arc<Directory>,
    child: Child,
    // A receiver cannot be shared between threads; a gateway is.
    lines: Mutex<Receiver<String>>,
    said: Vec<String>,
    calls: AtomicUsize,
    started_in: Duration,
}

impl Gateway {
    /// A gateway whose providers are all played by this upstream.
    #[must_use]
    pub fn before(upstream: &Upstream) -> Setup {
        let mut configuration = format!("listen: 127.0.0.1:0\napi_key: {KEY}\nproviders:\n");
        for name in PROVIDERS {
            let url = format!("http://{}/at-{name}", upstream.address());
            writeln!(configuration, "  {name}: {{ base_url: \"{url}\", api_keys: [\"configured-key-of-{name}\"] }}")
                .unwrap();
        }
        Setup { directory: Arc::default(), configuration, environment: Vec::new() }
    }

    /// A gateway with this configuration alone.
    #[must_use]
    pub fn configured(yaml: &str) -> Setup {
        Setup { directory: Arc::default(), configuration: yaml.to_owned(), environment: Vec::new() }
    }

    /// The same data directory and configuration, to be started again.
    #[must_use]
    pub fn again(&self) -> Setup {
        let configuration = std::fs::read_to_string(self.directory.path().join("tachograph.yaml")).unwrap();
        Setup { directory: self.directory.clone(), configuration, environment: Vec::new() }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it runs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// From its process's start to its first word that it listens.
    #[must_use]
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Waits for a line on standard output that holds this text; gives what stands behind it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let behind = |line: &String| line.split_once(text).map(|(_, rest)| rest.to_owned());
        if let Some(found) = self.said.iter().find_map(behind) {
            return found;
        }
        let until = Instant::now() + PATIENCE;
        let lines = self.lines.get_mut().unwrap();
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            let found = behind(&line);
            self.said.push(line);
            if let Some(found) = found {
                return found;
            }
        }
        panic!("the gateway never said {text:?}; it said {:#?} and logged:\n{}", self.said, self.log());
    }

    /// What it wrote to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Its resident memory in bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How many sockets it has open.
    #[must_use]
    pub fn sockets(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let target = |entry: std::fs::DirEntry| std::fs::read_link(entry.path()).ok();
        open.flatten().filter_map(target).filter(|to| to.to_string_lossy().starts_with("socket:")).count()
    }

    /// Sends a request and waits for its whole answer. Where no key is in it, [`KEY`] is sent as a bearer token.
    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        self.open(request).await.collect().await
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn open(&self, request: Request<Bytes>) -> Open {
        self.try_open(request).await.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Sends a request that may never get an answer.
    ///
    /// # Errors
    /// Where the connection ends before the head.
    pub async fn try_open(&self, mut request: Request<Bytes>) -> Result<Open, hyper::Error> {
        const KEYS: [&str; 5] = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "helicone-auth"];
        if !KEYS.iter().any(|name| request.headers().contains_key(*name)) && !request.uri().to_string().contains(KEY) {
            let value = HeaderValue::from_str(&format!("Bearer {KEY}")).unwrap();
            request.headers_mut().insert("authorization", value);
        }
        self.send_as_is(request).await
    }

    /// Sends a request without adding a key.
    ///
    /// # Errors
    /// Where the connection ends before the head.
    pub async fn send_as_is(&self, request: Request<Bytes>) -> Result<Open, hyper::Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        client::open(self.address, request).await
    }

    /// Asks the console's API; the answer's JSON.
    pub async fn api(&self, path: &str) -> Value {
        let mut request = get(path);
        request.headers_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
        let answer = client::open(self.address, request).await.unwrap().collect().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The row of a call, with its bodies, once it is stored.
    pub async fn row(&self, answer: &Answer) -> Value {
        self.row_of(answer.id()).await
    }

    /// The row of this id, once it is stored.
    pub async fn row_of(&self, id: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut request = get(&format!("/api/requests/{id}"));
            request.headers_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
            let answer = client::open(self.address, request).await.unwrap().collect().await;
            if answer.status == 200 {
                return answer.json();
            }
            assert!(Instant::now() < until, "no row of {id}: {}\n{}", answer.text(), self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All rows, the latest first, once there are as many as calls were made, and no more.
    pub async fn rows(&self) -> Vec<Value> {
        let calls = self.calls.load(Ordering::SeqCst);
        self.rows_when_there_are(calls).await
    }

    /// All rows, the latest first, once there are so many; a moment later there must not be more.
    pub async fn rows_when_there_are(&self, wanted: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        while self.all_rows().await.len() < wanted {
            assert!(Instant::now() < until, "{} rows of {wanted}\n{}", self.all_rows().await.len(), self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let rows = self.all_rows().await;
        assert_eq!(rows.len(), wanted, "more rows than calls: {rows:#?}");
        rows
    }

    async fn all_rows(&self) -> Vec<Value> {
        let (mut rows, mut path) = (Vec::new(), "/api/requests?limit=1000".to_owned());
        loop {
            let page = self.api(&path).await;
            rows.extend(page["rows"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => path = format!("/api/requests?limit=1000&before={next}"),
                None => return rows,
            }
        }
    }

    /// Sends a signal, as `kill` does.
    pub fn signal(&self, name: &str) {
        let sent =
            std::process::Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -s {name}");
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the gateway does not end\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the gateway's log ended so:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}
