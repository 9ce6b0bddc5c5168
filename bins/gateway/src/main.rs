//! The `gateway` program: arguments, logs, signals, exit codes. What it does is in the crates it composes.

mod desk;
mod export;
mod front;
mod keeping;
mod limits;
mod quote;
mod rules;
mod run;
mod vault;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tachograph_gateway::commands::{
    self, CommandError, KeysCommand, Period, PricingCommand, ProviderKeysCommand, ReconcileCommand, ReportCommand,
    RepriceCommand, WhatIfCommand,
};
use tachograph_gateway::config::{Sources, load};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Every LLM call of an application passes through; exactly one record of each is kept.
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
    /// Run the gateway, the logger, the store and the console (the default)
    Serve,
    /// Validate the configuration and print what is in force, secrets hidden
    Check,
    /// Make, list and revoke API keys
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// Price usage: JSON lines in on standard input, JSON lines out
    Price,
    /// Check the price book, or compare two
    Pricing {
        #[command(subcommand)]
        command: Pricing,
    },
    /// Price recorded traffic anew, as prices are known now, and tell what differs
    Reprice {
        #[command(flatten)]
        period: Span,
        /// Change the store too, with an audit entry; without it nothing is changed
        #[arg(long)]
        apply: bool,
        /// Who does it, for the audit entry
        #[arg(long, env = "USER", default_value = "unknown", value_name = "NAME")]
        by: String,
    },
    /// Tell what recorded traffic cost, as true now or as known at some moment
    Report {
        #[command(flatten)]
        period: Span,
        /// One line for each value of these fields, with commas between
        #[arg(long, default_value = "provider,model", value_name = "FIELDS")]
        by: String,
        /// Only these rows: words as in the console's search, such as "model:gpt-4o* prop.team=search"
        #[arg(long, value_name = "WORDS")]
        only: Option<String>,
        /// As it was known at this day or moment: rows received before it, at what they were said to cost then
        #[arg(long, value_name = "WHEN")]
        known_at: Option<String>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what recorded traffic would have cost on another model
    WhatIf {
        /// The model whose prices to take, with or without its provider before a slash
        #[arg(long)]
        model: String,
        /// Its provider
        #[arg(long)]
        provider: Option<String>,
        /// Only the traffic of this model
        #[arg(long, value_name = "MODEL")]
        only: Option<String>,
        #[command(flatten)]
        period: Span,
    },
    /// Compare a provider's bill with what was recorded, per day, model and dimension
    Reconcile {
        /// Whose bill: openai or anthropic (the cost export), or aws-bedrock (the cost and usage report)
        #[arg(long)]
        provider: String,
        /// The export, a CSV file
        file: PathBuf,
    },
    /// Fill the store with believable days of traffic through the real path, the last with the cause of a risen bill
    Demo {
        /// How many calls
        #[arg(long, default_value_t = 1000)]
        requests: usize,
        /// Over how many days up to now they are spread
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=400))]
        days: u16,
        /// The same seed makes the same days
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Write recorded calls to a file, newest first
    Export {
        #[command(flatten)]
        rows: export::Rows,
        #[command(flatten)]
        period: Span,
    },
    /// Bring the store's schema up to date
    Migrate,
    /// Compare rollups, from which the console adds up, with the rows they stand for, and name what differs. Each
    /// difference is a line of JSON, the last line tells how much was compared; exit 70 if anything differs
    VerifyRollups {
        #[command(flatten)]
        period: Span,
    },
}

#[derive(Subcommand)]
enum Keys {
    /// Make a key and print it, this once
    Create {
        /// A name for people
        #[arg(long, default_value = "unnamed")]
        name: String,
    },
    /// List keys, revoked ones too
    List,
    /// Refuse a key from now on
    Revoke {
        /// Its id, as listed
        id: String,
    },
    /// Keep, list and forget providers' keys, encrypted in the store; they serve where the configuration has none
    Provider {
        #[command(subcommand)]
        command: ProviderKeys,
    },
}

#[derive(Subcommand)]
enum ProviderKeys {
    /// Keep a key, read from standard input or from a variable, so that no list of processes shows it. Amazon's is
    /// access-key:secret[:session-token], Google's the JSON of a service account
    Add {
        /// The provider
        provider: String,
        /// A name for people
        #[arg(long, default_value = "unnamed")]
        name: String,
        /// The environment variable that holds the key
        #[arg(long)]
        key_env: Option<String>,
    },
    /// List the keys by their ends
    List,
    /// Forget a key
    Revoke {
        /// Its id, as listed
        id: String,
    },
}

#[derive(Subcommand)]
enum Pricing {
    /// Validate the built-in book and the configured overlays; tell warnings, old prices and counts
    Check,
    /// Tell which models and prices came, went and changed
    Diff {
        /// The old book: `embedded`, `effective` (with the configured overlays), a price file or a folder of them
        old: String,
        /// The new book, named in the same way
        new: String,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

/// A span of time.
#[derive(clap::Args)]
struct Span {
    /// From this day (2026-11-01, UTC) or moment on; the whole past if absent
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Until just before this day or moment; now if absent
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
}

impl Span {
    fn period(&self) -> Result<Period, CommandError> {
        Period::read(self.from.as_deref(), self.to.as_deref())
    }
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
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is gone too there is nobody left to tell.
            let _ = writeln!(io::stderr(), "gateway: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<(), CommandError> {
    let config = || load(&Sources::of_process(arguments.config.clone())).map_err(CommandError::from);
    // Locked for as long as it is written to: commands that write in other threads must find it free.
    let out = || io::stdout().lock();
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => in_runtime(run::serve(config()?, arguments.config.clone())),
        Command::Check => commands::check(&config()?, &mut out()),
        Command::Price => commands::price(&config()?, io::stdin().lock(), &mut out()),
        Command::Pricing { command } => {
            let command = match command {
                Pricing::Check => PricingCommand::Check,
                Pricing::Diff { old, new, json } => PricingCommand::Diff { old, new, json },
            };
            commands::pricing(&config()?, &command, &mut out())
        }
        Command::Reprice { period, apply, by } => {
            let command = RepriceCommand { period: period.period()?, apply, author: by };
            in_runtime(run::reprice(config()?, command))
        }
        Command::Report { period, by, only, known_at, json } => {
            let known_at = known_at.as_deref().map(commands::moment).transpose()?;
            let command = ReportCommand { period: period.period()?, by, only, known_at, json };
            in_runtime(run::report(config()?, command))
        }
        Command::WhatIf { model, provider, only, period } => {
            let command = WhatIfCommand { period: period.period()?, model, provider, only };
            in_runtime(run::what_if(config()?, command))
        }
        Command::Reconcile { provider, file } => {
            let export = std::fs::read_to_string(&file).map_err(|error| {
                CommandError::Io(io::Error::new(error.kind(), format!("{}: {error}", file.display())))
            })?;
            in_runtime(run::reconcile(config()?, ReconcileCommand { provider, export }))
        }
        Command::Demo { requests, days, seed } => in_runtime(run::demo(config()?, days, requests, seed)),
        Command::Export { rows, period } => in_runtime(export::export(config()?, rows, period.period()?)),
        Command::Migrate => in_runtime(run::migrate(config()?)),
        Command::VerifyRollups { period } => in_runtime(verify::verify_rollups(config()?, period.period()?)),
        Command::Keys { command } => {
            let command = match command {
                Keys::Create { name } => KeysCommand::Create { name },
                Keys::List => KeysCommand::List,
                Keys::Revoke { id } => KeysCommand::Revoke { id },
                Keys::Provider { command } => {
                    let command = match command {
                        ProviderKeys::Add { provider, name, key_env } => {
                            ProviderKeysCommand::Add { provider, name, from: key_env }
                        }
                        ProviderKeys::List => ProviderKeysCommand::List,
                        ProviderKeys::Revoke { id } => ProviderKeysCommand::Revoke { id },
                    };
                    return in_runtime(run::provider_keys(config()?, command));
                }
            };
            in_runtime(run::keys(config()?, command))
        }
    }
}

fn in_runtime(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}
