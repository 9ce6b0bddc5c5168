//! A Postgres of this test's own, to be stopped and frozen.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tachograph_tests::Directory;

/// A running server; gone when it is dropped.
pub(crate) struct Postgres {
    bin: PathBuf,
    directory: Directory,
    port: u16,
}

impl Postgres {
    /// Starts one, or says in one line that there is none on this machine (a failure under `CI=true`).
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = binaries() else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "Postgres must be installed under CI=true");
            std::io::stderr().write_all(b"skipped: no Postgres server is installed on this machine\n").unwrap();
            return None;
        };
        let directory = Directory::default();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let postgres = Self { bin, directory, port };
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(postgres.directory.path()));
        }
        let data = postgres.data();
        let mut init = postgres.command("initdb");
        run(init.arg("--pgdata").arg(data).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        ]));
        postgres.resume_service();
        Some(postgres)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops it, as a crash would.
    pub(crate) fn stop_service(&self) {
        run(self.command("pg_ctl").arg("--pgdata").arg(self.data()).args(["-m", "immediate", "-s", "stop"]));
    }

    /// Starts it again.
    pub(crate) fn resume_service(&self) {
        let sockets = self.directory.path().display();
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={sockets} -c fsync=off",
            self.port
        );
        let mut start = self.command("pg_ctl");
        start.arg("--pgdata").arg(self.data()).arg("--log").arg(self.directory.path().join("log"));
        run(start.args(["-w", "-s", "start", "--options", &options]));
    }

    /// Freezes the server and all its processes, or lets them go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let master: u32 = pid.lines().next().unwrap().trim().parse().unwrap();
        let signal = if frozen { "STOP" } else { "CONT" };
        let mut pids = vec![master];
        pids.extend(children(master));
        for pid in pids {
            // One of them may have ended meanwhile.
            let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Postgres refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.directory.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.freeze(false);
            let mut stop = self.command("pg_ctl");
            let _ = stop.arg("--pgdata").arg(self.data()).args(["-m", "immediate", "-s", "stop"]).status();
        }
    }
}

fn run(command: &mut Command) {
    let done = command.stdout(Stdio::null()).status().unwrap();
    assert!(done.success(), "{command:?}: {done}");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    found.retain(|bin| Path::is_file(&bin.join("initdb")));
    found.sort();
    found.pop()
}

fn children(of: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()) == Some(of)
    };
    let pids = std::fs::read_dir("/proc").unwrap();
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}
