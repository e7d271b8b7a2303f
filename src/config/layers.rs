//! Merges the layers of a configuration and records the origin of every value.
//!
//! Values are set one at a time, and the whole is deserialized after each, so that an invalid value causes one error and
//! hides no other. The structs of the sections are the schema.

use super::{
    Config, ConfigOptions, ConfigSources, ValidationErrors,
    path::{KeyShape, UnknownKey, dotted, shape},
    section::ValidationError,
};
use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};
use toml::{Table, Value};

mod environment;

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The default.
    Default,
    /// A file.
    File(Arc<Path>),
    /// An environment variable.
    Variable(Arc<str>),
    /// A command-line option.
    Option(&'static str),
    /// Implied by the values of these other keys.
    Implied(&'static str),
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueOrigin::Default => f.write_str("default"),
            ValueOrigin::File(path) => write!(f, "{}", path.display()),
            ValueOrigin::Variable(name) => write!(f, "environment variable {name}"),
            ValueOrigin::Option(name) => write!(f, "option {name}"),
            ValueOrigin::Implied(key) => write!(f, "implied by {key}"),
        }
    }
}

/// An error in a configuration; displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Origin of the value.
    pub origin: ValueOrigin,
    /// Key of the value; `None` if the error concerns the source as a whole.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key or value may contain line ends.
        let line = match &self.key {
            Some(key) => format!("{}: {key}: {}", self.origin, self.reason),
            None => format!("{}: {}", self.origin, self.reason),
        };
        f.write_str(&line.replace(char::is_control, " "))
    }
}

/// The origins of all values that are not defaults, by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueOrigins(BTreeMap<String, ValueOrigin>);

impl ValueOrigins {
    /// Returns the origin of the value of `key`.
    pub fn of(&self, key: &str) -> &ValueOrigin {
        self.0.get(key).unwrap_or(&ValueOrigin::Default)
    }

    /// Returns the origin to report for an error of `key`: its own, otherwise that of the `other` key it conflicts with,
    /// otherwise that of a key below or beside it.
    fn origin_of_error(&self, key: &str, other: Option<&str>) -> &ValueOrigin {
        if let Some(origin) = self.0.get(key).or_else(|| self.0.get(other?)) {
            return origin;
        }
        let mut place = key;
        loop {
            let within =
                |other: &str| other.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if let Some((_, origin)) = self.0.iter().find(|(other, _)| within(other)) {
                return origin;
            }
            match place.rsplit_once('.') {
                Some((parent, _)) => place = parent,
                None => return &ValueOrigin::Default,
            }
        }
    }
}

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// Values.
    pub config: Config,
    /// Origins of the values.
    pub origins: ValueOrigins,
    /// Warnings about the sources.
    pub warnings: Vec<ConfigError>,
}

/// Merges the sources. Returns all errors, not only the first.
pub fn load(sources: &ConfigSources) -> Result<LoadedConfig, Vec<ConfigError>> {
    let mut merge = LayerMerge::new();
    for (path, text) in &sources.files {
        merge.add_file(path, text);
    }
    environment::apply(&mut merge, &sources.environment);
    merge.add_options(&sources.options);
    let LoadedConfig { mut config, origins, .. } = merge.finish(&sources.host_name)?;
    config.files = sources.files.iter().map(|(path, _)| path.clone()).collect();
    Ok(LoadedConfig { config, origins, warnings: sources.warnings.clone() })
}

/// A configuration while its layers are merged.
struct LayerMerge {
    /// The defaults, which are the shape of every key.
    defaults: Table,
    /// The values that were accepted so far.
    table: Table,
    config: Config,
    origins: BTreeMap<String, ValueOrigin>,
    errors: Vec<ConfigError>,
}

impl LayerMerge {
    fn new() -> Self {
        let config = Config::default();
        let defaults = Table::try_from(&config).expect("the sections are tables and have values of TOML's types");
        LayerMerge { table: defaults.clone(), defaults, config, origins: BTreeMap::new(), errors: Vec::new() }
    }

    fn add_error(&mut self, origin: &ValueOrigin, key: impl Into<Option<String>>, reason: impl Into<String>) {
        self.errors.push(ConfigError { origin: origin.clone(), key: key.into(), reason: reason.into() });
    }

    fn add_file(&mut self, path: &Path, text: &str) {
        let origin = ValueOrigin::File(Arc::from(path));
        match text.parse::<Table>() {
            Ok(table) => self.set_table(&origin, &mut Vec::new(), table),
            Err(error) => {
                // Only the message: the full error shows the line, which may contain the token.
                let before = error.span().map(|span| &text[..span.start.min(text.len())]);
                let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
                self.add_error(&origin, None, format!("{}{}", line.unwrap_or_default(), error.message()));
            }
        }
    }

    fn add_options(&mut self, options: &ConfigOptions) {
        let format = options.log_format.map(|format| Value::try_from(format).expect("a format is a text"));
        for (option, key, value) in [
            ("--listen", ["server", "listen"], options.listen.as_deref().map(Value::from)),
            ("--log", ["log", "filter"], options.log.as_deref().map(Value::from)),
            ("--log-format", ["log", "format"], format),
        ] {
            if let Some(value) = value {
                self.set_value(&ValueOrigin::Option(option), &key.map(String::from), value);
            }
        }
    }

    /// Sets every value of a table at `key`.
    fn set_table(&mut self, origin: &ValueOrigin, key: &mut Vec<String>, table: Table) {
        for (name, value) in table {
            key.push(name);
            match (value, shape(&self.defaults, key)) {
                // Descends as far as the settings have tables. An empty table may have an unknown name.
                (Value::Table(inner), Ok(KeyShape::Table)) if !inner.is_empty() => self.set_table(origin, key, inner),
                (value, _) => self.set_value(origin, key, value),
            }
            key.pop();
        }
    }

    /// Sets one value, or adds an error.
    fn set_value(&mut self, origin: &ValueOrigin, key: &[String], value: Value) {
        let name = dotted(key);
        let expected = match shape(&self.defaults, key) {
            Ok(KeyShape::Leaf(default)) => default.type_str(),
            Ok(KeyShape::Table) => "table",
            Err(unknown) => return self.add_error(origin, name, unknown_key_text(&unknown)),
        };
        // Without the value, which may be a token.
        if value.type_str() != expected {
            return self.add_error(origin, name, format!("must be {}", type_text(expected)));
        }
        let mut table = self.table.clone();
        insert_at(&mut table, key, value);
        match table.clone().try_into::<Config>() {
            Ok(config) => (self.table, self.config) = (table, config),
            Err(error) => return self.add_error(origin, name, plain_serde_text(error.message())),
        }
        self.origins.insert(name, origin.clone());
        self.choose_token(origin, key);
    }

    /// Lets a token of a later source override the token file of an earlier one, and the other way round.
    fn choose_token(&mut self, origin: &ValueOrigin, key: &[String]) {
        let other = match key {
            [section, key] if section == "auth" && key == "token" => "token_file",
            [section, key] if section == "auth" && key == "token_file" => "token",
            _ => return,
        };
        if self.origins.get(&format!("auth.{other}")).is_some_and(|earlier| earlier != origin) {
            insert_at(&mut self.table, &["auth".into(), other.into()], Value::from(""));
            self.config = self.table.clone().try_into().expect("an empty text is no token");
            self.origins.remove(&format!("auth.{other}"));
        }
    }

    fn finish(mut self, host_name: &str) -> Result<LoadedConfig, Vec<ConfigError>> {
        let mut errors = ValidationErrors::default();
        self.config.validate(&mut errors);
        let mut origins = ValueOrigins(self.origins);
        for ValidationError { key, reason, other } in errors.errors() {
            let origin = origins.origin_of_error(key, other.as_deref()).clone();
            let hint = environment::hint(&origin, key);
            self.errors.push(ConfigError { origin, key: Some(key.clone()), reason: format!("{reason}{hint}") });
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let trust_is_default = origins.of("auth.local_trust") == &ValueOrigin::Default;
        if let Some((key, because)) = self.config.apply_implications(host_name, trust_is_default) {
            origins.0.insert(key.to_owned(), ValueOrigin::Implied(because));
        }
        Ok(LoadedConfig { config: self.config, origins, warnings: Vec::new() })
    }
}

/// Inserts a value at `key`, with the tables that it needs.
fn insert_at(table: &mut Table, key: &[String], value: Value) {
    match key {
        [] => {}
        [last] => match (table.get_mut(last), value) {
            // An empty table does not reset the table's values.
            (Some(Value::Table(_)), Value::Table(_)) => {}
            (_, value) => drop(table.insert(last.clone(), value)),
        },
        [first, rest @ ..] => {
            let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            insert_at(inner.as_table_mut().expect("just made one"), rest, value);
        }
    }
}

fn unknown_key_text(unknown: &UnknownKey<'_>) -> String {
    let near = unknown.candidates.iter().map(|known| (strsim::damerau_levenshtein(known, unknown.part), known)).min();
    match near {
        Some((distance, known)) if distance <= 1 + known.len() / 5 => {
            format!("unknown key {:?}; did you mean {known:?}?", unknown.part)
        }
        _ => format!("unknown key {:?}", unknown.part),
    }
}

fn type_text(toml_type: &str) -> &str {
    match toml_type {
        "string" => "a text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        "table" => "a table",
        other => other,
    }
}

/// Returns a message of serde without the names of Rust types.
fn plain_serde_text(message: &str) -> String {
    let message = message.trim().lines().next().unwrap_or_default();
    ["u64", "u32", "usize"].iter().fold(message.to_owned(), |text, rust| {
        text.replace(&format!("expected {rust}"), "expected a whole number of 0 or more")
    })
}
