//! The operator's own price files over the built-in ones.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::{Catalog, Index, LoadError, VERSION_DIGITS};
use crate::book::{self, Compiled, Fault, Provider};

pub(super) fn load(base: &str, mut providers: Vec<Provider>, paths: &[PathBuf]) -> Result<Catalog, LoadError> {
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let mut digest = Sha256::new_with_prefix(base);
    let mut is_overlaid = false;
    let all: Vec<PathBuf> = paths.iter().flat_map(|path| files(path, &mut faults)).collect();
    for read in read_all(&all) {
        match read {
            Read::Unreadable(fault) => faults.push(fault),
            Read::Text(text, compiled) => {
                is_overlaid = true;
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(&text);
                match compiled {
                    Ok(compiled) => {
                        warnings.extend(compiled.warnings);
                        lay_over(&mut providers, compiled.provider);
                    }
                    Err(found) => faults.extend(found),
                }
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

/// A file as it was found.
enum Read {
    Unreadable(Fault),
    Text(String, Result<Compiled, Vec<Fault>>),
}

fn read(file: &Path) -> Read {
    let name = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let compiled = book::compile(&name, &text);
            Read::Text(text, compiled)
        }
        Err(error) => Read::Unreadable(Fault { file: name, line: None, message: format!("cannot be read: {error}") }),
    }
}

/// Fewer files are read one after the other.
const WORTH_THREADS: usize = 8;
const MOST_THREADS: usize = 8;

/// Reads files, in their order; many of them on several threads. Reading TOML is nearly all of what loading a book takes.
fn read_all(files: &[PathBuf]) -> Vec<Read> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    if threads == 1 || files.len() < WORTH_THREADS {
        return files.iter().map(|file| read(file)).collect();
    }
    // Files differ in size by a hundred times, so each thread takes the next one that is left.
    let next = AtomicUsize::new(0);
    let take = || {
        let places = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < files.len()));
        places.map(|at| (at, read(&files[at]))).collect::<Vec<_>>()
    };
    let mut found: Vec<(usize, Read)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut found = take();
        for other in others {
            // Reading does not panic; were it to, the file would be read again below.
            found.extend(other.join().unwrap_or_default());
        }
        found
    });
    found.sort_unstable_by_key(|(at, _)| *at);
    if found.len() < files.len() {
        return files.iter().map(|file| read(file)).collect();
    }
    found.into_iter().map(|(_, read)| read).collect()
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
    let regions: BTreeSet<Box<str>> = under.regions.iter().chain(&over.regions).cloned().collect();
    under.regions = regions.into_iter().collect();
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
