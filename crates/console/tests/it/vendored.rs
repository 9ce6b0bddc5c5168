//! What is vendored is what its manifest says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/vendor")
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

#[test]
fn every_vendored_file_is_the_registry_file_but_for_the_edits_named() {
    let manifest: Value = serde_json::from_slice(&fs::read(folder().join("manifest.json")).unwrap()).unwrap();
    let mut listed = BTreeSet::from([PathBuf::from("manifest.json")]);
    for package in manifest["packages"].as_array().unwrap() {
        let (name, files) = (&package["name"], package["files"].as_array().unwrap());
        assert!(package["version"].is_string() && package["licence"].is_string(), "{name}");
        assert!(files.iter().any(|file| file["source"] == "LICENSE"), "{name} has its licence beside it");
        for file in files {
            let path = file["path"].as_str().unwrap();
            let text = fs::read_to_string(folder().join(path)).unwrap();
            assert_eq!(file["sha256"], sha256(text.as_bytes()), "{path}");
            listed.insert(path.into());
            let Some(edits) = file["edits"].as_array() else { continue };
            let upstream = edits.iter().fold(text, |text, edit| {
                text.replacen(edit["to"].as_str().unwrap(), edit["from"].as_str().unwrap(), 1)
            });
            assert_eq!(file["upstream_sha256"], sha256(upstream.as_bytes()), "{path} without its edits");
        }
    }
    let held: BTreeSet<_> =
        files_under(&folder()).iter().map(|path| path.strip_prefix(folder()).unwrap().to_owned()).collect();
    assert_eq!(held, listed, "what is there is in the manifest, and the other way round");
}
