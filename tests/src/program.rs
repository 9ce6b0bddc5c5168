//! The programs: found or built, and run to its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a command did.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

/// Runs the program to its end, in this directory, with nothing of this process's environment but `PATH`.
#[must_use]
pub fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Finished {
    let mut child = command(directory)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // From a thread: a program that writes while it reads must not wait for us.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writing.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

pub(crate) fn command(directory: &Path) -> Command {
    static GATEWAY: OnceLock<PathBuf> = OnceLock::new();
    command_of(GATEWAY.get_or_init(|| binary("gateway", "TACHOGRAPH_GATEWAY")), directory)
}

pub(crate) fn logger_command(directory: &Path) -> Command {
    static LOGGER: OnceLock<PathBuf> = OnceLock::new();
    command_of(LOGGER.get_or_init(|| binary("logger", "TACHOGRAPH_LOGGER")), directory)
}

fn command_of(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).env_clear().env("HOME", directory);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// What the variable names, or the program as cargo builds it from the sources as they are now: one found beside this test
/// could be older than they.
fn binary(name: &str, variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(given) => {
            std::fs::canonicalize(&given).unwrap_or_else(|error| panic!("{variable}={}: {error}", given.display()))
        }
        None => build(name),
    }
}

fn build(name: &str) -> PathBuf {
    // …/target/<profile>/deps/e2e-0123
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().find(|path| path.ends_with("deps")).and_then(Path::parent).unwrap();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", name, "--bin", name, "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "{name} does not build");
    folder.join(name)
}
