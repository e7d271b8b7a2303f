//! The effective configuration as text and as JSON: every value with its origin; secrets are masked.

use super::{
    Config,
    layers::{ValueOrigin, ValueOrigins},
    path::dotted,
};
use serde_json::json;
use std::fmt::Write;
use toml::{Table, Value};

/// Sections, in the order of `config/conductor.toml`.
pub const SECTIONS: [&str; 12] = [
    "server",
    "auth",
    "store",
    "bridge",
    "login_state",
    "policy",
    "platforms",
    "instructions",
    "host_ops",
    "codex",
    "log",
    "node",
];

/// Returns every key with its value, in the order of [`SECTIONS`]; secrets are masked.
pub fn leaves(config: &Config) -> Vec<(String, Value)> {
    let mut table = Table::try_from(config).expect("the sections are tables and have values of TOML's types");
    let mut found = Vec::new();
    for section in SECTIONS {
        if let Some(value) = table.remove(section) {
            collect(&mut vec![section.to_owned()], value, &mut found);
        }
    }
    found
}

fn collect(key: &mut Vec<String>, value: Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                key.push(name);
                collect(key, value, found);
                key.pop();
            }
        }
        leaf => found.push((dotted(key), leaf)),
    }
}

/// Returns one line per value in TOML syntax: `key = value  # origin`.
pub fn text(config: &Config, origins: &ValueOrigins) -> String {
    leaves(config).into_iter().fold(String::new(), |mut text, (key, value)| {
        let origin = origins.of(&key).to_string().replace(char::is_control, " ");
        writeln!(text, "{key} = {value}  # {origin}").expect("a String takes everything");
        text
    })
}

/// Returns the values as a JSON object: key to `{value, origin, source}`.
pub fn json(config: &Config, origins: &ValueOrigins) -> serde_json::Value {
    let entry = |(key, value): (String, Value)| {
        let origin = origins.of(&key);
        let (kind, source) = match origin {
            ValueOrigin::Default => ("default", None),
            ValueOrigin::File(path) => ("file", Some(path.display().to_string())),
            ValueOrigin::Variable(name) => ("environment", Some(name.to_string())),
            ValueOrigin::Option(name) => ("option", Some((*name).to_owned())),
            ValueOrigin::Implied(because) => ("implied", Some((*because).to_owned())),
        };
        (key, json!({ "value": value, "origin": kind, "source": source }))
    };
    leaves(config).into_iter().map(entry).collect::<serde_json::Map<_, _>>().into()
}
