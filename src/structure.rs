//! What the shape of the sources must keep: who may use whom, how long a file is, what every file says first.
//!
//! ```text
//! entry     main  cli  app  simulator
//! edge      http  bridge::socket
//! actors    bridge  policy  relay  records  instructions  runs  events  system
//!                                                     (each other only through what their mod.rs gives out)
//! effects   store  host  codex  state_folder  extension  telemetry  watchdog  heap
//! values    api  wire  platforms  sse  ids  terminal_text  …  and every settings.rs
//! ```
//!
//! A module uses what stands in its own line or below, never above. The sources are read as tokens, so that comments
//! and texts do not count and paths inside macros do.

mod documents;
mod files;
mod output;
mod paths;
mod repository;

use files::Source;
use std::{collections::BTreeSet, fmt::Write};

/// The lines of the table above, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Values,
    Effects,
    Actors,
    Edge,
    Entry,
}

/// Where every module of the crate stands.
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

/// Modules that only tests have.
const FOR_TESTS: &[&str] = &["structure", "testing"];

/// What the simulator may use of the daemon that it stands outside of.
const OF_THE_SIMULATOR: &[&str] = &["simulator", "wire", "ids", "clock"];

/// Libraries that only these modules name.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("actix_service", &["http::workers"]),
    ("actix_web", &["http", "bridge::socket"]),
    ("actix_web_actors", &["bridge::socket"]),
    ("actix_http", &["bridge::socket", "http::workers", "simulator"]),
    ("awc", &["cli", "codex", "simulator"]),
    ("base64", &["host::files"]),
    ("clap", &["cli", "telemetry::settings"]),
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

/// Longest file, in lines.
const LINES_MAX: usize = 500;

/// The layer of what a path from the crate's root names; nothing for one that belongs to no layer.
fn layer(path: &[String]) -> Option<Layer> {
    let first = path.first()?;
    match path.get(1).map(String::as_str) {
        Some("settings") => Some(Layer::Values),
        Some("socket") if first == "bridge" => Some(Layer::Edge),
        // A constant of the crate itself, such as its version.
        _ if first.starts_with(char::is_uppercase) => Some(Layer::Values),
        _ => LAYERS.iter().find(|(_, modules)| modules.contains(&first.as_str())).map(|(layer, _)| *layer),
    }
}

/// Why `from` must not name `path`.
fn objection(from: &Source, path: &[String]) -> Option<String> {
    let own = &from.module;
    if FOR_TESTS.contains(&path[0].as_str()) {
        return None; // the compiler keeps them out of everything else
    }
    let (Some(here), Some(there)) = (layer(own), layer(path)) else {
        return Some("stands in no layer: add it to LAYERS in src/structure.rs".to_owned());
    };
    if own[0] == "simulator" {
        let fine = OF_THE_SIMULATOR.contains(&path[0].as_str());
        return (!fine).then(|| format!("the simulator stands outside; it may use {}", OF_THE_SIMULATOR.join(", ")));
    }
    if there > here {
        return Some(format!("belongs to the {there:?}, above the {here:?}").to_lowercase());
    }
    // A function may be given out by a mod.rs; what goes on behind it is a module.
    let deep = path.len() > 2 && path[1].starts_with(char::is_lowercase);
    (there == Layer::Actors && own[0] != path[0] && deep)
        .then(|| format!("{} is used through its mod.rs alone", path[0]))
}

fn stands_in(module: &[String], allowed: &str) -> bool {
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
fn no_module_uses_one_that_stands_above_it() {
    let mut objections = BTreeSet::new();
    for source in files::crate_sources().iter().filter(|source| !FOR_TESTS.contains(&source.module[0].as_str())) {
        for path in paths::named(source) {
            if let Some(why) = objection(source, &path) {
                objections.insert(format!("{}: {}: {why}", source.name, path.join("::")));
            }
        }
    }
    assert_none(&Vec::from_iter(objections));
}

#[test]
fn every_library_is_named_only_where_it_belongs() {
    let mut objections = Vec::new();
    for source in files::crate_sources() {
        let names = paths::names(&source);
        for (library, modules) in LIBRARIES {
            if names.contains(*library) && !modules.iter().any(|allowed| stands_in(&source.module, allowed)) {
                objections.push(format!("{}: {library} is named in {} alone", source.name, modules.join(", ")));
            }
        }
    }
    assert_none(&objections);
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let sources = files::crate_sources();
    let named = sources.iter().filter(|source| paths::names(source).contains("unsafe")).map(|source| &source.name);
    assert_eq!(Vec::from_iter(named), ["src/heap.rs"]);
}

#[test]
fn the_table_of_layers_names_the_modules_that_there_are() {
    let there: BTreeSet<_> = files::crate_sources().iter().map(|source| source.module[0].clone()).collect();
    let listed = LAYERS.iter().flat_map(|(_, modules)| *modules).chain(FOR_TESTS).map(|name| (*name).to_owned());
    assert_eq!(there, listed.collect());
}

#[test]
fn no_file_is_too_long_and_every_one_says_what_it_is() {
    let mut objections = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz"] {
        for (name, text) in files::under(folder, &["rs"]) {
            let lines = text.lines().count();
            if lines > LINES_MAX {
                objections.push(format!("{name}: {lines} lines, more than {LINES_MAX}"));
            }
            if !text.starts_with("//! ") {
                objections.push(format!("{name}: must begin with //! and what it is"));
            }
        }
    }
    assert_none(&objections);
}

#[test]
fn nothing_names_a_folder_of_the_machine_that_it_was_written_on() {
    let checkout = env!("CARGO_MANIFEST_DIR").to_owned();
    let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
    let machine: Vec<_> = home.into_iter().chain([checkout]).map(|folder| format!("{folder}/")).collect();
    let mut objections = Vec::new();
    for (name, text) in files::all_texts() {
        for folder in machine.iter().filter(|folder| text.contains(folder.as_str())) {
            objections.push(format!("{name}: names {folder}"));
        }
    }
    assert_none(&objections);
}

#[test]
fn every_link_of_the_documentation_leads_to_a_file_of_this_repository() {
    let objections: Vec<_> = files::all_texts()
        .iter()
        .filter(|(name, _)| name.ends_with(".md"))
        .flat_map(|(name, text)| files::dead_links(name, text))
        .collect();
    assert_none(&objections);
}
