//! Tests of the repository: files in its root, duplicate crates in the lock file, and no skipped tests in continuous
//! integration.

use super::{assert_none, files};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

/// Names of all committed files and folders in the root.
const ROOT: &[&str] = &[
    ".ci",
    ".config",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "config",
    "deny.toml",
    "docs",
    "extension",
    "fuzz",
    "migrations",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "src",
    "tests",
    "web",
];
/// What may lie there too.
const MAY_JOIN: &[&str] = &["packaging"];
/// What git and cargo put there.
const NOT_KEPT: &[&str] = &[".git", "target"];

#[test]
fn every_name_in_the_root_is_known() {
    let is_kept = |name: &String| ![NOT_KEPT, MAY_JOIN].concat().contains(&name.as_str());
    let there: BTreeSet<_> = files::names_in_root().into_iter().filter(is_kept).collect();
    let known = ROOT.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(there, known, "add intended files to ROOT in src/structure/repository.rs");
}

/// Returns the crates with several versions in a lock file, among the dependencies of the root package. Crates that only
/// tests use do not count, as for cargo-deny.
fn duplicates(manifest: &str, lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let lock: toml::Table = lock.parse().unwrap();
    let field = |package: &toml::Value, name: &str| package[name].as_str().unwrap().to_owned();
    let packages: Vec<_> = lock["package"].as_array().unwrap().iter().collect();
    // An entry has the version only if there are several.
    let is = |package: &toml::Value, entry: &str| {
        let name = field(package, "name");
        entry == name || entry == format!("{name} {}", field(package, "version"))
    };
    let needed = |package: &toml::Value| -> Vec<String> {
        let needed = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        needed.map(|entry| entry.as_str().unwrap().to_owned()).collect()
    };
    let normal_dependencies = normal_dependencies(manifest);
    let root = packages.iter().find(|package| package.get("source").is_none()).unwrap();
    let mut rest = needed(root);
    rest.retain(|entry| normal_dependencies.contains(entry.split(' ').next().unwrap()));
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some(entry) = rest.pop() {
        let package = packages.iter().find(|package| is(package, &entry)).unwrap();
        if versions.entry(field(package, "name")).or_default().insert(field(package, "version")) {
            rest.extend(needed(package));
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}

/// Returns the dependencies of a manifest on all systems, without dev-dependencies.
fn normal_dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten().map(|(_, table)| table);
    let root = toml::Value::Table(manifest.clone());
    let named = targets.chain([&root]).flat_map(|table| {
        let lists = ["dependencies", "build-dependencies"].into_iter().filter_map(|list| table.get(list)?.as_table());
        lists.flat_map(|list| list.keys().cloned()).collect::<Vec<_>>()
    });
    named.collect()
}

/// Returns the duplicate crates that `deny.toml` allows: name and version prefix.
fn allowances(deny: &str) -> Vec<(String, String)> {
    let deny: toml::Table = deny.parse().unwrap();
    let skip = deny["bans"]["skip"].as_array().unwrap();
    let parts = skip.iter().map(|skip| {
        let (name, version) = skip["crate"].as_str().and_then(|skip| skip.split_once('@')).expect("name@version");
        (name.to_owned(), version.to_owned())
    });
    parts.collect()
}

/// Returns the differences: duplicates that are not allowed, and allowed ones that do not exist.
fn mismatches(manifest: &str, lock: &str, deny: &str) -> Vec<String> {
    let (duplicates, allowances) = (duplicates(manifest, lock), allowances(deny));
    let is_of = |version: &str, named: &str| version == named || version.starts_with(&format!("{named}."));
    let mut found = Vec::new();
    for (name, versions) in &duplicates {
        let named = |version: &&String| allowances.iter().any(|(skip, part)| skip == name && is_of(version, part));
        let unnamed: Vec<_> = versions.iter().filter(|version| !named(version)).collect();
        if unnamed.len() != 1 {
            found.push(format!(
                "{name}: of {versions:?} all but one must be allowed in deny.toml; not allowed: {unnamed:?}"
            ));
        }
    }
    for (name, part) in &allowances {
        if !duplicates.get(name).is_some_and(|versions| versions.iter().any(|version| is_of(version, part))) {
            found.push(format!("{name}@{part}: deny.toml allows it, but Cargo.lock has no second version of it"));
        }
    }
    found
}

#[test]
fn only_allowed_crates_have_a_second_version_in_the_lock_file() {
    let (manifest, lock) = (include_str!("../../Cargo.toml"), include_str!("../../Cargo.lock"));
    assert_none(&mismatches(manifest, lock, include_str!("../../deny.toml")));
}

#[test]
fn duplicates_that_are_not_allowed_and_unused_allowances_are_found() {
    const MANIFEST: &str =
        "[dependencies]\nx = '1'\n[target.'cfg(unix)'.dependencies]\ny = '1'\n[dev-dependencies]\nz = '1'\n";
    // `x` needs the first version of each, `y` the others, and `z`, a dev-dependency, one more of `b`.
    let lock = |packages: &[(&str, &str)]| {
        let package = |name: &str, version: &str, needs: &[String]| {
            let source = if name == "root" { "" } else { "source = 'registry'\n" };
            format!("[[package]]\nname = '{name}'\nversion = '{version}'\n{source}dependencies = {needs:?}\n")
        };
        let entry = |(name, version): &(&str, &str)| format!("{name} {version}");
        let all: Vec<_> = packages.iter().map(entry).collect();
        let mut text = package("root", "0.1.0", &["x", "y", "z"].map(str::to_owned));
        text += &package("x", "1.0.0", &all[..1]);
        text += &package("y", "1.0.0", &all[1..]);
        text += &package("z", "1.0.0", &["b 9.0.0".to_owned()]);
        text += &package("b", "9.0.0", &[]);
        packages.iter().fold(text, |text, (name, version)| text + &package(name, version, &[]))
    };
    let deny = |allowances: &[&str]| {
        let allowances: Vec<_> =
            allowances.iter().map(|skip| format!("{{ crate = {skip:?}, reason = \"\" }}")).collect();
        format!("[bans]\nskip = [{}]\n", allowances.join(", "))
    };
    let two = lock(&[("a", "0.1.2"), ("a", "0.10.0"), ("b", "1.0.0")]);
    for (allowances, mismatch_count) in [
        (&["a@0.1"][..], 0),
        (&["a@0.10"], 0),
        (&["a@0.1.2"], 0),
        (&[], 1),
        (&["a@0.2"], 2),
        (&["a@0.1", "a@0.10"], 1),
        (&["a@0.1", "b@1"], 1),
        (&["a@0.1", "c@1"], 1),
    ] {
        assert_eq!(mismatches(MANIFEST, &two, &deny(allowances)).len(), mismatch_count, "{allowances:?}");
    }
    let three = lock(&[("a", "1.0.0"), ("a", "2.0.0"), ("a", "3.0.0")]);
    assert_eq!(mismatches(MANIFEST, &three, &deny(&["a@1"])).len(), 1);
}

/// The script that runs all tests.
const RUN: &str = include_str!("../../tests/run");

/// Calls one function of the script, without its steps.
fn call(function: &str, ci: Option<&str>) -> (bool, String) {
    let script = format!(". tests/run; step 'a step' {function}; echo went on");
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).env_remove("CI");
    command.envs(ci.map(|on| ("CI", on)));
    let done = command.output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

#[test]
fn a_skipped_step_fails_continuous_integration() {
    for (ci, passes) in [(None, true), (Some(""), true), (Some("1"), false), (Some("true"), false)] {
        let (passed, output) = call("skip 'no such tool'", ci);
        assert_eq!((passed, output.contains("went on")), (passes, passes), "{ci:?}: {output}");
    }
    assert_eq!(RUN.matches("skipped").count(), 1, "only skip(), which checks CI, reports skipped steps");
    assert!(include_str!("../../.ci/run").trim_end().ends_with("CI=1 bash tests/run"), ".ci/run must run nothing else");
}

#[test]
fn a_skipped_test_fails_continuous_integration() {
    let mut objections = Vec::new();
    for (name, text) in
        ["src", "tests", "benches", "extension"].iter().flat_map(|folder| files::under(folder, &["rs", "js", "mjs"]))
    {
        let says_so = ["src/testing.rs", "tests/it/support.rs"].contains(&name.as_str());
        // In two parts, since this file is searched as well.
        let mut patterns = vec![["#[ign", "ore"].concat()];
        if !says_so {
            patterns.extend([["\"SKIP", "PED"].concat(), ["println!(\"skip", "ped"].concat()]);
        }
        if name.ends_with(".test.js") {
            patterns.extend([".skip(", ".todo(", "skip: true", "todo: true"].map(str::to_owned));
        }
        for pattern in patterns.iter().filter(|pattern| text.contains(pattern.as_str())) {
            objections.push(format!("{name}: {pattern}: use skipped(), which fails if CI is set"));
        }
    }
    assert_none(&objections);
}
