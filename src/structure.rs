//! Structure tests: dependencies between modules, libraries per module, length and header of files, links of the
//! documentation.
//!
//! ```text
//! entry     main  cli  app  simulator
//! edge      http  bridge::socket
//! actors    bridge  policy  relay  records  instructions  runs  events  system
//!                                                     (each other only through what their the root file exports)
//! effects   store  host  codex  state_folder  extension  telemetry  watchdog  heap
//! values    api  wire  platforms  sse  ids  terminal_text  …  and every settings.rs
//! ```
//!
//! A module may use the modules in its own line and below. The sources are read as tokens, so that comments and string
//! literals do not count, but paths inside macros do.

mod documents;
mod files;
mod output;
mod paths;
mod prose;
mod repository;

use files::Source;
use std::{collections::BTreeSet, fmt::Write};

/// Layers of the table above, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Values,
    Effects,
    Actors,
    Edge,
    Entry,
}

/// Layer of each module of the crate.
const LAYERS: &[(Layer, &[&str])] = &[
    (Layer::Entry, &["main", "cli", "app", "simulator"]),
    (Layer::Edge, &["http"]),
    (Layer::Actors, &["bridge", "policy", "records", "relay", "instructions", "runs", "events", "system"]),
    (Layer::Effects, &["store", "host", "codex", "state_folder", "extension", "telemetry", "watchdog", "heap"]),
    (
        Layer::Values,
        &[
            "api",
            "wire",
            "platforms",
            "sse",
            "ids",
            "mode",
            "actor_registry",
            "config",
            "clock",
            "tcp_abort",
            "secret",
            "failpoints",
            "terminal_text",
            "trusted",
        ],
    ),
];

/// Modules that exist only in test builds.
const TEST_MODULES: &[&str] = &["structure", "testing"];

/// Modules that the simulator may use; it is not a part of the daemon.
const SIMULATOR_MAY_USE: &[&str] = &["simulator", "wire", "ids", "clock"];

/// Libraries that only these modules may use.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("actix_service", &["http::workers"]),
    ("actix_web", &["http", "bridge::socket"]),
    ("actix_web_actors", &["bridge::socket"]),
    ("actix_http", &["bridge::socket", "http::workers", "simulator"]),
    ("awc", &["cli", "codex", "simulator"]),
    ("base64", &["host::files"]),
    ("clap", &["cli", "telemetry::settings", "wire::command"]),
    ("close_fds", &["host::exec"]),
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("hmac", &["wire::proof"]),
    ("landlock", &["host::sandbox"]),
    ("libc", &["heap", "host::sandbox"]),
    ("libsqlite3_sys", &["store"]),
    ("prometheus", &["telemetry::metrics"]),
    ("pulldown_cmark", &["instructions::extract"]),
    ("serde_json_canonicalizer", &["instructions::dedupe"]),
    ("seccompiler", &["host::sandbox"]),
    ("sysctl", &["host::socket_owner"]),
    ("shlex", &["instructions::screen"]),
];

/// Maximum length of a file, in lines.
const LINES_MAX: usize = 500;

/// Returns the layer of a path from the crate's root; `None` if it belongs to no layer.
fn layer(path: &[String]) -> Option<Layer> {
    let first = path.first()?;
    match path.get(1).map(String::as_str) {
        Some("settings") => Some(Layer::Values),
        Some("socket") if first == "bridge" => Some(Layer::Edge),
        // A constant of the crate, such as its version.
        _ if first.starts_with(char::is_uppercase) => Some(Layer::Values),
        _ => LAYERS.iter().find(|(_, modules)| modules.contains(&first.as_str())).map(|(layer, _)| *layer),
    }
}

/// Returns why `from` must not use `path`.
fn violation(from: &Source, path: &[String]) -> Option<String> {
    let own = &from.module;
    if TEST_MODULES.contains(&path[0].as_str()) {
        return None; // other builds do not have these modules
    }
    let (Some(here), Some(there)) = (layer(own), layer(path)) else {
        return Some("has no layer: add it to LAYERS in src/structure.rs".to_owned());
    };
    if own[0] == "simulator" {
        let fine = SIMULATOR_MAY_USE.contains(&path[0].as_str());
        return (!fine).then(|| {
            format!("the simulator is not a part of the daemon; it may use only {}", SIMULATOR_MAY_USE.join(", "))
        });
    }
    if there > here {
        return Some(format!("belongs to layer {there:?}, above {here:?}").to_lowercase());
    }
    // A lower-case segment with a further one behind it is a module, not a function that the root file exports.
    let deep = path.len() > 2 && path[1].starts_with(char::is_lowercase);
    (there == Layer::Actors && own[0] != path[0] && deep)
        .then(|| format!("{} may only be used by what its root file exports", path[0]))
}

fn is_in_module(module: &[String], allowed: &str) -> bool {
    allowed.split("::").eq(module.iter().map(String::as_str).take(allowed.split("::").count()))
}

fn assert_none(objections: &[String]) {
    assert!(
        objections.is_empty(),
        "\n{}",
        objections.iter().fold(String::new(), |mut all, one| {
            let _ = writeln!(all, "  {one}");
            all
        })
    );
}

#[test]
fn no_module_uses_one_of_a_higher_layer() {
    let mut objections = BTreeSet::new();
    for source in files::crate_sources().iter().filter(|source| !TEST_MODULES.contains(&source.module[0].as_str())) {
        for path in paths::named(source) {
            if let Some(why) = violation(source, &path) {
                objections.insert(format!("{}: {}: {why}", source.name, path.join("::")));
            }
        }
    }
    assert_none(&Vec::from_iter(objections));
}

#[test]
fn every_library_is_used_only_by_its_modules() {
    let mut objections = Vec::new();
    for source in files::crate_sources() {
        let names = paths::names(&source);
        for (library, modules) in LIBRARIES {
            if names.contains(*library) && !modules.iter().any(|allowed| is_in_module(&source.module, allowed)) {
                objections.push(format!("{}: {library} may only be used in {}", source.name, modules.join(", ")));
            }
        }
    }
    assert_none(&objections);
}

#[test]
fn unsafe_code_is_in_one_file() {
    let sources = files::crate_sources();
    let named = sources.iter().filter(|source| paths::names(source).contains("unsafe")).map(|source| &source.name);
    assert_eq!(Vec::from_iter(named), ["src/heap.rs"]);
}

#[test]
fn the_table_of_layers_has_every_module() {
    let there: BTreeSet<_> = files::crate_sources().iter().map(|source| source.module[0].clone()).collect();
    let listed = LAYERS.iter().flat_map(|(_, modules)| *modules).chain(TEST_MODULES).map(|name| (*name).to_owned());
    assert_eq!(there, listed.collect());
}

#[test]
fn no_file_is_too_long_and_every_one_has_a_description() {
    let mut objections = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz"] {
        for (name, text) in files::under(folder, &["rs"]) {
            let lines = text.lines().count();
            if lines > LINES_MAX {
                objections.push(format!("{name}: {lines} lines, more than {LINES_MAX}"));
            }
            if !text.starts_with("//! ") {
                objections.push(format!("{name}: must begin with //! and a description"));
            }
        }
    }
    assert_none(&objections);
}

#[test]
fn no_file_has_a_path_of_the_machine_it_was_written_on() {
    let checkout = env!("CARGO_MANIFEST_DIR").to_owned();
    let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
    let machine: Vec<_> = home.into_iter().chain([checkout]).map(|folder| format!("{folder}/")).collect();
    let mut objections = Vec::new();
    for (name, text) in files::all_texts() {
        for folder in machine.iter().filter(|folder| text.contains(folder.as_str())) {
            objections.push(format!("{name}: contains {folder}"));
        }
    }
    assert_none(&objections);
}

#[test]
fn every_relative_link_of_the_documentation_exists() {
    let objections: Vec<_> = files::all_texts()
        .iter()
        .filter(|(name, _)| name.ends_with(".md"))
        .flat_map(|(name, text)| files::dead_links(name, text))
        .collect();
    assert_none(&objections);
}
