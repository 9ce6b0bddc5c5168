//! The edges between our packages, as cargo sees them, against the table in ARCHITECTURE.md.
#![allow(clippy::unwrap_used, reason = "the whole crate is a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Folder → floor, from the rows ``| `crates/record` | 0 | …`` of ARCHITECTURE.md's table.
fn floors_on_the_page() -> BTreeMap<String, u8> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let folder = cells.next()?.trim().trim_end_matches('`').to_owned();
        Some((folder, cells.next()?.trim().parse().ok()?))
    };
    page.lines().filter_map(row).collect()
}

/// Folder → the folders of ours it depends on (tests' own needs left aside).
fn edges_in_cargo() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let folder = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_path_buf();
        manifest.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
    };
    let folders: BTreeMap<&str, String> =
        packages.iter().map(|package| (package["name"].as_str().unwrap(), folder(package))).collect();
    let edges = |package: &Value| {
        let needs = package["dependencies"].as_array().unwrap().iter().filter(|need| need["kind"] != "dev");
        needs.filter_map(|need| folders.get(need["name"].as_str().unwrap()).cloned()).collect()
    };
    packages.iter().map(|package| (folder(package), edges(package))).collect()
}

#[test]
fn every_crate_stands_on_the_page_and_depends_on_lower_floors_only() {
    let (floors, edges) = (floors_on_the_page(), edges_in_cargo());
    assert!(floors.len() >= 10, "the table in ARCHITECTURE.md was not found: {floors:?}");
    let mut wrong = Vec::new();
    for (folder, needs) in
        edges.iter().filter(|(folder, _)| folder.starts_with("crates/") || folder.starts_with("bins/"))
    {
        let Some(floor) = floors.get(folder) else {
            wrong.push(format!("{folder} is not in ARCHITECTURE.md's table"));
            continue;
        };
        for need in needs {
            if floors.get(need).is_none_or(|below| below >= floor) {
                wrong.push(format!("{folder} (floor {floor}) depends on {need} (floor {:?})", floors.get(need)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_names_no_crate_that_is_not_there() {
    let edges = edges_in_cargo();
    let missing: Vec<String> = floors_on_the_page().into_keys().filter(|folder| !edges.contains_key(folder)).collect();
    assert!(missing.is_empty(), "in ARCHITECTURE.md's table but not in the workspace: {missing:?}");
}

/// Absences that the page promises.
#[test]
fn the_middle_floors_know_neither_providers_nor_prices() {
    let edges = edges_in_cargo();
    for folder in ["crates/telemetry", "crates/store", "crates/ratelimit"] {
        assert_eq!(edges[folder], ["crates/record"], "{folder}");
    }
    for folder in ["crates/record", "crates/reply"] {
        assert!(edges[folder].is_empty(), "{folder} is floor 0");
    }
}
