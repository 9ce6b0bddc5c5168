//! Writes `pricing/providers/*.toml` from a folder of merged public price tables (one JSON line a model).
//!
//! ```text
//! cargo run -p tachograph-pricing --example import -- <folder with providers/*.jsonl> pricing/providers
//! ```
//!
//! What a row means and which of its prices are taken is told in `points.rs`, which of two tables is believed in `settle.rs`, the shape of the files in `write.rs`,
//! provider names and aliases in `names.rs`. Files of providers that the folder does not know (`demo`) are left alone.
//! The result depends on the input alone, so a second run over the same folder changes nothing.

mod names;
mod points;
mod row;
mod settle;
mod write;

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use row::Row;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, target] = &arguments[..] else {
        return Err("want two arguments: the source folder and the folder of price files".into());
    };
    let mut providers: Vec<(String, Vec<Row>)> = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(Path::new(source).join("providers"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")) {
        let text = std::fs::read_to_string(path)?;
        let rows: Vec<Row> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        if let Some(first) = rows.first() {
            providers.push((first.provider.clone(), rows));
        }
    }
    let aliases = names::aliases(&providers);
    let versions = row::versions(Path::new(source))?;

    std::fs::create_dir_all(target)?;
    let (mut files, mut models) = (0, 0);
    for (id, rows) in &mut providers {
        rows.iter_mut().for_each(settle::apply);
        rows.sort_by(|a, b| a.model.cmp(&b.model));
        let own_aliases = aliases.get(id).cloned().unwrap_or_default();
        let (text, count) = write::provider(id, rows, &own_aliases, &versions);
        if count > 0 {
            std::fs::write(Path::new(target).join(format!("{id}.toml")), text)?;
            (files, models) = (files + 1, models + count);
        }
    }
    writeln!(std::io::stdout(), "{files} providers, {models} priced models")?;
    Ok(())
}
