//! `gateway pricing`: faults with their places, counts, differences.

use std::path::PathBuf;

use serde_json::{Value, json};
use tachograph_gateway::commands::{CommandError, PricingCommand, pricing};
use tachograph_gateway::config::{Config, PricingConfig};

fn run(overlays: Vec<PathBuf>, command: &PricingCommand) -> Result<String, CommandError> {
    let config = Config { pricing: PricingConfig { overlays, ..PricingConfig::default() }, ..Config::default() };
    let mut out = Vec::new();
    pricing(&config, command, &mut out).map(|()| String::from_utf8(out).unwrap())
}

fn diff(old: &str, new: &str, json: bool) -> PricingCommand {
    PricingCommand::Diff { old: old.to_owned(), new: new.to_owned(), json }
}

/// A file of this text in a folder of the test's own.
fn written(name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("prices.toml"), text).unwrap();
    folder
}

const OLD: &str = "[provider]\nid = \"acme\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"3\"\n";

#[test]
fn the_built_in_book_is_clean() {
    let told = run(Vec::new(), &PricingCommand::Check).unwrap();
    assert!(!told.contains("warning"), "{told}");
    let counts = told.lines().find(|line| line.contains(" providers, ")).unwrap();
    let numbers: Vec<usize> = counts.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] >= 150 && numbers[1] >= 9_000, "{counts}");
}

#[test]
fn overlays_are_checked_with_their_places() {
    let sound = format!("{OLD}cache_read = \"4\"\n");
    let told = run(vec![written("sound", &sound)], &PricingCommand::Check).unwrap();
    assert!(told.contains("prices.toml:4: model \"m\": reading from the cache costs more"), "{told}");

    let error = run(vec![written("faulty", &format!("{OLD}inptu = \"1\"\n"))], &PricingCommand::Check).unwrap_err();
    assert_eq!(error.exit_code(), 64);
    assert!(error.to_string().contains("prices.toml:5: unknown key `inptu`"), "{error}");
    let missing = run(vec!["no/such/folder".into()], &PricingCommand::Check).unwrap_err();
    assert_eq!(missing.exit_code(), 64);
}

#[test]
fn differences_are_told_by_model_and_meter() {
    let old = written("diff-old", OLD);
    let dearer = OLD.replace("\"3\"", "\"3.5\"\n[[model.price.when]]\ntier = \"batch\"\ninput = \"1\"");
    let new = written("diff-new", &format!("{dearer}[[model]]\nid = \"n\"\n[[model.price]]\noutput = \"1\"\n"));
    let (old_path, new_path) = (old.to_str().unwrap(), new.join("prices.toml").to_str().unwrap().to_owned());
    let text = run(Vec::new(), &diff(old_path, &new_path, false)).unwrap();
    assert_eq!(
        text,
        "~ acme/m\n    input: 3 per 1000000 -> 3.5 per 1000000\n    input (tier=batch): 1 per 1000000\n\
         + acme/n\n    output: 1 per 1000000\n1 models added, 0 removed, 1 with other prices\n"
    );
    let written: Value = serde_json::from_str(&run(Vec::new(), &diff(old_path, &new_path, true)).unwrap()).unwrap();
    assert_eq!(
        written["changes"][0]["prices"][0],
        json!({"meter": "input", "condition": "", "old": "3 per 1000000", "new": "3.5 per 1000000"})
    );
    let overlaid = run(vec![old.clone()], &diff("embedded", "effective", false)).unwrap();
    assert!(overlaid.starts_with("+ acme/m\n"), "{overlaid}");
    let error = run(Vec::new(), &diff("embedded", "no/such/file.toml", false)).unwrap_err();
    assert_eq!(error.exit_code(), 64);
}
