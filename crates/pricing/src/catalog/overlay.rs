//! The operator's own price files over the built-in ones.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Catalog, Index, LoadError, VERSION_DIGITS};
use crate::book::{self, Fault, Provider};

pub(super) fn load(base: &str, mut providers: Vec<Provider>, paths: &[PathBuf]) -> Result<Catalog, LoadError> {
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let mut digest = Sha256::new_with_prefix(base);
    let mut is_overlaid = false;
    for path in paths {
        for file in files(path, &mut faults) {
            let name = file.display().to_string();
            let text = match std::fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) => {
                    faults.push(Fault { file: name, line: None, message: format!("cannot be read: {error}") });
                    continue;
                }
            };
            is_overlaid = true;
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(&text);
            match book::compile(&name, &text) {
                Ok(compiled) => {
                    warnings.extend(compiled.warnings);
                    lay_over(&mut providers, compiled.provider);
                }
                Err(found) => faults.extend(found),
            }
        }
    }
    let whole = |message| Fault { file: "price overlays".to_owned(), line: None, message };
    faults.extend(loose_mappings(&providers).into_iter().map(whole));
    let (index, clashes) = Index::new(providers);
    faults.extend(clashes.into_iter().map(whole));
    if !faults.is_empty() {
        return Err(LoadError { faults });
    }
    let version = if is_overlaid { hex::encode(digest.finalize()) } else { base.to_owned() };
    Ok(Catalog::new(index, &version[..VERSION_DIGITS.min(version.len())], warnings))
}

/// The price files of a path, in the order of their names.
fn files(path: &Path, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let listed = std::fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut files: Vec<PathBuf> = listed.unwrap_or_else(|error: std::io::Error| {
        let file = path.display().to_string();
        faults.push(Fault { file, line: None, message: format!("cannot be read: {error}") });
        Vec::new()
    });
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml") && file.is_file());
    files.sort();
    files
}

/// Puts a provider's models over those of the same name. A name that an overlay gives to a model is taken from the
/// aliases of all others.
fn lay_over(providers: &mut Vec<Provider>, over: Provider) {
    let Some(under) = providers.iter_mut().find(|provider| provider.id == over.id) else {
        providers.push(over);
        return;
    };
    let names = over.models.iter().flat_map(|model| std::iter::once(&model.id).chain(&model.aliases));
    let taken: HashSet<String> = names.map(|name| name.trim().to_ascii_lowercase()).collect();
    under.models.retain(|model| !over.models.iter().any(|new| new.id.eq_ignore_ascii_case(&model.id)));
    for model in &mut under.models {
        let is_free = |alias: &str| !taken.contains(&alias.trim().to_ascii_lowercase());
        if !model.aliases.iter().all(|alias| is_free(alias)) {
            model.aliases = model.aliases.iter().filter(|alias| is_free(alias)).cloned().collect();
        }
    }
    under.models.extend(over.models);
    let new_aliases = over.aliases.iter().filter(|alias| !under.aliases.contains(alias)).cloned();
    under.aliases = under.aliases.iter().cloned().chain(new_aliases.collect::<Vec<_>>()).collect();
    under.mappings.retain(|mapping| !over.mappings.iter().any(|new| new.from == mapping.from));
    under.mappings.extend(over.mappings);
    under.makes = under.makes.iter().cloned().chain(over.makes).collect();
}

/// Mappings to what the book does not list.
fn loose_mappings(providers: &[Provider]) -> Vec<String> {
    let lists = |provider: &Provider, name: &str| {
        provider.models.iter().any(|model| {
            std::iter::once(&model.id).chain(&model.aliases).any(|held| held.trim().eq_ignore_ascii_case(name))
        })
    };
    let mut loose = Vec::new();
    for provider in providers {
        for mapping in &provider.mappings {
            let target = providers
                .iter()
                .find(|target| target.id == mapping.provider || target.aliases.contains(&mapping.provider));
            if !target.is_some_and(|target| lists(target, &mapping.model)) {
                let (from, to, at) = (&mapping.from, &mapping.model, &mapping.provider);
                loose.push(format!("{}: {from:?} is mapped to {to:?}, which {at} does not list", provider.id));
            }
        }
    }
    loose
}
