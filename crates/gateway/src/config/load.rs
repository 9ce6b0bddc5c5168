//! From files and variables to one tree.

use std::path::{Path, PathBuf};

use http::Uri;
use serde_json::{Map, Value};

use super::{Config, Fault, Faults, Secret};

const PREFIX: &str = "TACHOGRAPH__";
/// Where a file is looked for if none is named.
const DEFAULT_FILES: [&str; 3] = ["tachograph.yaml", "tachograph.yml", "tachograph.toml"];
/// A tree this wrong is not worth reading further.
const MOST_FAULTS: usize = 100;

/// The process's environment variables, or a test's.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a configuration comes from.
pub struct Sources<'a> {
    /// The file that was named, by `--config` or `TACHOGRAPH_CONFIG`; absent, `./tachograph.yaml` if it is there.
    pub file: Option<PathBuf>,
    /// Looks up one environment variable.
    pub environment: Environment<'a>,
    /// The names of all environment variables.
    pub variables: Vec<String>,
}

impl Sources<'_> {
    /// The file and the environment of this process.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Sources<'static> {
        let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
        let file = file.or_else(|| std::env::var_os("TACHOGRAPH_CONFIG").map(PathBuf::from));
        Sources { file, environment: &|name| std::env::var(name).ok(), variables }
    }

    /// The files that would be read, the first of them that is there.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.file.as_ref().map_or_else(|| DEFAULT_FILES.iter().map(PathBuf::from).collect(), |file| vec![file.clone()])
    }
}

/// Reads the configuration.
///
/// # Errors
/// With every fault that was found, each with its path.
pub fn load(sources: &Sources<'_>) -> Result<Config, Faults> {
    let mut faults = Vec::new();
    let mut tree = read_file(sources.file.as_deref(), &mut faults);
    overlay_environment(&mut tree, sources);
    expand_variables(&mut tree, "", sources.environment, &mut faults);
    let mut config = typed(tree, &mut faults);
    if let Some(key) = (sources.environment)("TACHOGRAPH_API_KEY").filter(|key| !key.is_empty()) {
        config.api_key = Some(Secret::from(key.as_str()));
    }
    if config.store.url.expose() == "sqlite:"
        && let Some(url) = (sources.environment)("DATABASE_URL").filter(|url| !url.is_empty())
    {
        config.store.url = Secret::from(url.as_str());
    }
    check(&config, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(Faults(faults)) }
}

fn read_file(named: Option<&Path>, faults: &mut Vec<Fault>) -> Value {
    let found = || DEFAULT_FILES.iter().map(PathBuf::from).find(|path| path.exists());
    let Some(path) = named.map(Path::to_path_buf).or_else(found) else { return Value::Object(Map::new()) };
    let parsed = std::fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|text| parse(&path, &text));
    match parsed {
        Ok(Value::Null) => Value::Object(Map::new()),
        Ok(tree @ Value::Object(_)) => tree,
        Ok(_) => {
            faults.push(Fault {
                path: path.display().to_string(),
                message: "not a mapping of keys to values".to_owned(),
            });
            Value::Object(Map::new())
        }
        Err(message) => {
            faults.push(Fault { path: path.display().to_string(), message });
            Value::Object(Map::new())
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<Value, String> {
    if path.extension().is_some_and(|ending| ending == "toml") {
        return toml::from_str(text).map_err(|error| error.to_string());
    }
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// `TACHOGRAPH__STORE__URL=…` sets `store.url`. A value that is a JSON list, object, string, boolean or null is taken as
/// such, everything else as text.
fn overlay_environment(tree: &mut Value, sources: &Sources<'_>) {
    for name in &sources.variables {
        let (Some(path), Some(text)) = (name.strip_prefix(PREFIX), (sources.environment)(name)) else { continue };
        let structured = matches!(text.as_bytes().first(), Some(b'[' | b'{' | b'"' | b't' | b'f' | b'n'));
        let value = structured.then(|| serde_json::from_str(&text).ok()).flatten().unwrap_or(Value::String(text));
        let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        set(tree, &path, value);
    }
}

fn set(tree: &mut Value, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *tree = value;
        return;
    };
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    if let Value::Object(fields) = tree {
        set(fields.entry(first.clone()).or_insert(Value::Null), rest, value);
    }
}

/// Replaces `${NAME}` in every text by that variable.
fn expand_variables(node: &mut Value, path: &str, environment: Environment<'_>, faults: &mut Vec<Fault>) {
    match node {
        Value::String(text) if text.contains("${") => match expand(text, environment) {
            Ok(expanded) => *text = expanded,
            Err(message) => faults.push(Fault { path: path.to_owned(), message }),
        },
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                expand_variables(item, &format!("{path}[{at}]"), environment, faults);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                expand_variables(field, &path, environment, faults);
            }
        }
        _ => {}
    }
}

fn expand(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or("a ${ without its }")?;
        expanded.push_str(before);
        expanded.push_str(&environment(name).ok_or_else(|| format!("the environment variable {name} is not set"))?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Reads the tree into its type. A part that does not fit is reported and taken out, so that the rest is read too.
fn typed(mut tree: Value, faults: &mut Vec<Fault>) -> Config {
    while faults.len() < MOST_FAULTS {
        let error = match serde_path_to_error::deserialize::<_, Config>(&tree) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let mut path: Vec<String> = error.path().iter().map(|segment| segment.to_string()).collect();
        let message = error.inner().to_string();
        if let Some(unknown) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
            && path.last().map(String::as_str) != Some(unknown)
        {
            path.push(unknown.to_owned());
        }
        faults.push(Fault { path: path.join("."), message });
        if !remove(&mut tree, &path) {
            break;
        }
    }
    Config::default()
}

fn remove(node: &mut Value, path: &[String]) -> bool {
    match (path, node) {
        ([last], Value::Object(fields)) => fields.remove(last).is_some(),
        ([first, rest @ ..], Value::Object(fields)) => fields.get_mut(first).is_some_and(|field| remove(field, rest)),
        ([first, rest @ ..], Value::Array(items)) => {
            let Some(at) = first.trim_matches(['[', ']']).parse::<usize>().ok().filter(|&at| at < items.len()) else {
                return false;
            };
            if rest.is_empty() {
                items.remove(at);
                return true;
            }
            remove(&mut items[at], rest)
        }
        _ => false,
    }
}

/// What types cannot say.
fn check(config: &Config, faults: &mut Vec<Fault>) {
    let builtin = tachograph_providers::Registry::builtin();
    for (name, provider) in &config.providers {
        let mut fault =
            |key: &str, message: String| faults.push(Fault { path: format!("providers.{name}.{key}"), message });
        let known = builtin.get(name).is_some();
        if !known && provider.dialect.is_none() {
            fault(
                "dialect",
                format!("{name} is not built in, so say which wire format it speaks: openai or anthropic"),
            );
        }
        match &provider.base_url {
            None if !known => fault("base_url", format!("{name} is not built in, so say where it is: https://…")),
            Some(url) if !is_base_url(url) => {
                fault("base_url", format!("{url:?} is no http:// or https:// URL without a query"))
            }
            _ => {}
        }
        if provider.models.iter().any(String::is_empty) {
            fault("models", "an empty model name".to_owned());
        }
    }
    for why in config.logging.redactor([]).err().into_iter().flatten() {
        faults.push(Fault { path: "logging".to_owned(), message: why.to_string() });
    }
    super::cache::check(&config.cache, faults);
    super::guards::check(&config.guards, faults);
    super::limits::check(&config.limits, &config.budgets, faults);
    if config.max_request_body.bytes() == 0 {
        let message = "no request with a body could be taken; the default is 64MiB".to_owned();
        faults.push(Fault { path: "max_request_body".to_owned(), message });
    }
    super::retries::check(config, faults);
}

fn is_base_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && uri.query().is_none()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn load_text(ending: &str, text: &str, variables: &[(&str, &str)]) -> Result<Config, Faults> {
        let variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let file = std::env::temp_dir().join(format!("tachograph-config-{}{ending}", uuid::Uuid::now_v7()));
        std::fs::write(&file, text).unwrap();
        let names = variables.keys().cloned().collect();
        let loaded = load(&Sources {
            file: Some(file.clone()),
            environment: &|name| variables.get(name).cloned(),
            variables: names,
        });
        std::fs::remove_file(file).unwrap();
        loaded
    }

    fn faults(result: Result<Config, Faults>) -> Vec<String> {
        result.err().map(|faults| faults.0.into_iter().map(|fault| fault.path).collect()).unwrap_or_default()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = load_text(".yaml", "# nothing\n", &[]).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(config.listen.port(), 8787);
        assert_eq!(config.store.url.expose(), "sqlite:");
    }

    #[test]
    fn yaml_toml_and_variables_set_the_same_key() {
        let listen =
            |config: Result<Config, Faults>| config.unwrap_or_else(|faults| panic!("{faults}")).listen.to_string();
        assert_eq!(listen(load_text(".yaml", "listen: 127.0.0.1:1", &[])), "127.0.0.1:1");
        assert_eq!(listen(load_text(".toml", "listen = \"127.0.0.1:2\"", &[])), "127.0.0.1:2");
        assert_eq!(
            listen(load_text(".yaml", "listen: 127.0.0.1:1", &[("TACHOGRAPH__LISTEN", "127.0.0.1:3")])),
            "127.0.0.1:3"
        );
        let config = load_text(".yaml", "", &[("TACHOGRAPH__PROVIDERS__OPENAI__API_KEYS", "[\"a\", \"b\"]")]);
        let config = config.unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(config.providers["openai"].api_keys.len(), 2);
    }

    #[test]
    fn variables_inside_texts_are_expanded_or_missed() {
        let text = "providers: { openai: { api_keys: [\"${A}\", \"${B}\"] } }";
        let missing = load_text(".yaml", text, &[("A", "x")]);
        assert_eq!(faults(missing), ["providers.openai.api_keys[1]"]);
    }

    #[test]
    fn all_faults_come_at_once_with_their_paths() {
        let text = "
listen: nowhere
lisen: 127.0.0.1:1
store: { uri: x }
logging: { bodies: some, max_body: 4 parsecs }
providers: { mine: { base_url: 'ftp://x' }, openai: { base_url: 'http://[' } }
";
        let mut found = faults(load_text(".yaml", text, &[]));
        found.sort();
        let expected = [
            "lisen",
            "listen",
            "logging.bodies",
            "logging.max_body",
            "providers.mine.base_url",
            "providers.mine.dialect",
            "providers.openai.base_url",
            "store.uri",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_that_is_named_must_be_there_and_readable() {
        let missing =
            load(&Sources { file: Some("/nowhere/t.yaml".into()), environment: &|_| None, variables: Vec::new() });
        assert_eq!(faults(missing), ["/nowhere/t.yaml"]);
        assert_eq!(faults(load_text(".yaml", "listen: [", &[])).len(), 1);
        assert_eq!(faults(load_text(".toml", "listen = ", &[])).len(), 1);
        assert_eq!(faults(load_text(".yaml", "- a\n- b", &[])).len(), 1);
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "api_key: sk-very-secret\nstore: { url: 'postgres://me:hunter2@host/db' }";
        let config = load_text(".yaml", text, &[]).unwrap_or_else(|faults| panic!("{faults}"));
        let shown = serde_json::to_string(&config).unwrap();
        assert!(!shown.contains("very-secret") && !shown.contains("hunter2"), "{shown}");
    }
}
