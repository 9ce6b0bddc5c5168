//! A running logger.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::{Directory, KEY, program};

/// A logger on a port of its own, which it has again when it is started again. Killed when it is dropped.
pub struct Logger {
    directory: Directory,
    port: u16,
    store: PathBuf,
    running: Option<Child>,
}

impl Logger {
    /// What gateways show it.
    pub const SECRET: &str = "a secret between gateways and their logger";

    /// Starts one, with an empty store.
    #[must_use]
    pub fn start() -> Self {
        let directory = Directory::default();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let store = directory.path().join("shared.db");
        let mut logger = Self { directory, port, store, running: None };
        let configuration = format!(
            "listen: 127.0.0.1:{port}\napi_key: {KEY}\nlogger: {{ key: {:?} }}\n{}\n",
            Self::SECRET,
            logger.store_of_gateways()
        );
        std::fs::write(logger.directory.path().join("tachograph.yaml"), configuration).unwrap();
        logger.resume();
        logger
    }

    /// Configuration of a gateway that delivers to it, and whose console shows what it has stored.
    #[must_use]
    pub fn configuration(&self) -> String {
        let url = format!("http://127.0.0.1:{}", self.port);
        format!("logger: {{ url: {url:?}, key: {:?} }}\n{}", Self::SECRET, self.store_of_gateways())
    }

    fn store_of_gateways(&self) -> String {
        format!("store: {{ url: \"sqlite:{}\" }}", self.store.display())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again and waits until it serves.
    pub fn resume(&mut self) {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.directory.path().join("log"));
        let mut command = program::logger_command(self.directory.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.unwrap()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("logger listens on")));
        let log = || std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        assert!(listens.is_some(), "the logger does not start:\n{}", log());
        // What else it says goes nowhere, and must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.running = Some(child);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        std::net::SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.kill();
    }
}
