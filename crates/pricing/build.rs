//! Checks the price files of the repository and packs them into the binary.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the book's modules are shared with the library, which uses all of them"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

#[path = "src/book/mod.rs"]
mod book;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../pricing/providers");
    println!("cargo::rerun-if-changed={}", root.display());
    println!("cargo::rerun-if-changed=src/book");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&root)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    let mut providers = Vec::new();
    let mut faults = String::new();
    let mut warnings = String::new();
    let mut digest = Sha256::new();
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path)?;
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(&name);
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(&text);
        match book::compile(&name, &text) {
            Ok(compiled) => {
                for warning in compiled.warnings {
                    let line = warning.line.unwrap_or_default();
                    writeln!(warnings, "pricing/providers/{}\t{line}\t{}", warning.file, warning.message)?;
                }
                providers.push(compiled.provider);
            }
            Err(found) => found.iter().try_for_each(|fault| writeln!(faults, "pricing/providers/{fault}"))?,
        }
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(Path::new(&out).join("book.bin"), book::encode(&providers))?;
    std::fs::write(Path::new(&out).join("book.warnings"), warnings)?;
    std::fs::write(Path::new(&out).join("book.digest"), hex::encode(digest.finalize()))?;
    Ok(())
}
