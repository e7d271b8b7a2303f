//! Environment variables as a layer: `BAA_` and a key with `__` between its parts, and three legacy names.

use super::{LayerMerge, ValueOrigin};
use crate::config::path::{KeyShape, shape};
use toml::{Table, Value};
use url::{Host, Url};

/// Address of the daemon for callers. Related programs read it too, so that it is often inherited by accident.
const LOCAL_API: &str = "BAA_CONDUCTOR_LOCAL_API";
const REMOTE: &str = "the address was inherited from the environment: unset the variable to listen on loopback, or, to \
                      serve other machines, set server.allow_remote = true and name this one in server.allowed_hosts";

/// Applies all variables of the daemon.
pub(super) fn apply(merge: &mut LayerMerge, environment: &[(String, String)]) {
    let named = |wanted: &str| environment.iter().find(|(name, value)| name == wanted && !value.is_empty());
    // The legacy names first: a variable with the full key takes precedence.
    for (name, key) in [("BAA_SHARED_TOKEN", ["auth", "token"]), ("BAA_CODEXD_LOCAL_API_BASE", ["codex", "base_url"])] {
        if let Some((name, value)) = named(name) {
            merge.set_value(&origin(name), &key.map(String::from), Value::from(value.as_str()));
        }
    }
    if let Some((name, value)) = named(LOCAL_API) {
        match listen(value) {
            Ok(listen) => merge.set_value(&origin(name), &["server".into(), "listen".into()], Value::from(listen)),
            Err(reason) => merge.add_error(&origin(name), "server.listen".to_owned(), reason),
        }
    }
    let mut ours: Vec<_> =
        environment.iter().filter(|(name, _)| name.starts_with("BAA_") && name.contains("__")).collect();
    ours.sort();
    for (name, text) in ours {
        let key: Vec<String> = name["BAA_".len()..].split("__").map(str::to_ascii_lowercase).collect();
        match shape(&merge.defaults, &key) {
            Ok(KeyShape::Leaf(default)) => match value(text, default) {
                Ok(value) => merge.set_value(&origin(name), &key, value),
                Err(reason) => merge.add_error(&origin(name), crate::config::path::dotted(&key), reason),
            },
            Ok(KeyShape::Table) => merge.add_error(&origin(name), None, "names a section, not a setting"),
            // Adds an error with the unknown part and a suggestion.
            Err(_) => merge.set_value(&origin(name), &key, Value::from(text.as_str())),
        }
    }
}

/// Returns the text to append to an error of `key` from this origin.
pub(super) fn hint(origin: &ValueOrigin, key: &str) -> String {
    match origin {
        ValueOrigin::Variable(name) if &**name == LOCAL_API && key == "server.listen" => format!(" ({REMOTE})"),
        _ => String::new(),
    }
}

fn origin(name: &str) -> ValueOrigin {
    ValueOrigin::Variable(name.into())
}

/// Parses the text of a variable as a value of the default's type.
fn value(text: &str, default: &Value) -> Result<Value, String> {
    match default {
        Value::Integer(_) => text.trim().parse().map(Value::Integer).map_err(|_| "must be a whole number".to_owned()),
        Value::Boolean(_) => text.trim().parse().map(Value::Boolean).map_err(|_| "must be true or false".to_owned()),
        Value::Array(_) if text.trim_start().starts_with('[') => {
            let parsed = format!("list = {}", text.trim()).parse::<Table>();
            let list = parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("list"));
            list.ok_or_else(|| "must be a list, as in TOML or with commas between".to_owned())
        }
        Value::Array(_) => Ok(text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect::<Vec<_>>()
            .into()),
        _ => Ok(Value::from(text)),
    }
}

/// Returns the listening address in the URL of a legacy variable.
fn listen(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.username().is_empty());
    let url = url.ok_or("must be an http:// address, such as http://127.0.0.1:4317")?;
    let port = url.port_or_known_default().unwrap_or(80);
    match url.host() {
        Some(Host::Domain("localhost")) => Ok(format!("localhost:{port}")),
        Some(Host::Domain(name)) => Err(format!("{name:?} is not an address of this machine ({REMOTE})")),
        Some(host) => Ok(format!("{host}:{port}")),
        None => Err("must name an address, such as http://127.0.0.1:4317".to_owned()),
    }
}
