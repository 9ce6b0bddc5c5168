//! The `logger` program: arguments, logs, exit codes. What it does is in the crates it composes.

mod front;
mod run;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tachograph_gateway::commands::CommandError;
use tachograph_gateway::config::{Sources, load};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes the records of many gateways into one store, and shows them in the console.
///
/// It reads the same configuration as a gateway: `listen`, `data_dir`, `store`, `logging`, `pricing`, `spool` and
/// `logger.key`, the secret that gateways with `logger.url` set to this program show it.
#[derive(Parser)]
#[command(version, about, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file, YAML or TOML [default: ./tachograph.yaml if it is there]
    #[arg(long, global = true, env = "TACHOGRAPH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 64 configuration, 69 a needed service is unreachable, 70 internal, 74 IO.
Every key of the configuration can be set as TACHOGRAPH__SECTION__KEY; logs are chosen by RUST_LOG.";

/// Arguments are configuration: `EX_USAGE` of BSD's `sysexits.h`.
const WRONG_ARGUMENTS: u8 = 64;

#[derive(Subcommand)]
enum Command {
    /// Run the logger, the store and the console (the default)
    Serve,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            // Help and version are no errors, and go to standard output.
            let _ = told.print();
            return if told.use_stderr() { ExitCode::from(WRONG_ARGUMENTS) } else { ExitCode::SUCCESS };
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is gone too there is nobody left to tell.
            let _ = writeln!(io::stderr(), "logger: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn serve(arguments: Arguments) -> Result<(), CommandError> {
    let Command::Serve = arguments.command.unwrap_or(Command::Serve);
    let config = load(&Sources::of_process(arguments.config))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run::serve(config))
}
