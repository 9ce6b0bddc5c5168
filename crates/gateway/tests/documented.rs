//! Every configuration in the documentation loads.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking, in its helpers too")]

use std::path::{Path, PathBuf};

use tachograph_gateway::config::{Config, Sources, load};

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    docs.filter(|path| path.extension().is_some_and(|ending| ending == "md")).chain([root.join("README.md")]).collect()
}

fn configurations(page: &str) -> Vec<&str> {
    page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_documented_configuration_loads() {
    let file = std::env::temp_dir().join(format!("tachograph-documented-{}.yaml", std::process::id()));
    let mut read = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in configurations(&text) {
            std::fs::write(&file, block).unwrap();
            let environment = |name: &str| Some(format!("value-of-{name}"));
            let sources = Sources { file: Some(file.clone()), environment: &environment, variables: Vec::new() };
            let loaded: Result<Config, _> = load(&sources);
            assert!(loaded.is_ok(), "{}: {}\n{block}", page.display(), loaded.err().unwrap());
            read += 1;
        }
    }
    std::fs::remove_file(&file).unwrap();
    assert!(read >= 8, "only {read} configurations were found");
}
