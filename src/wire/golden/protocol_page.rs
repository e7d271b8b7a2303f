//! Tests of `docs/protocol.md`: its sections, field tables and examples agree with the golden frames and with the types
//! that read and write them.

use super::{daemon_frames, golden, page, page::MessageSection, read};
use crate::{
    bridge::settings::BridgeSettings,
    wire::{SUPPORTS, inbound::TYPES as INBOUND, outbound::TYPES as OUTBOUND},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const FROM_EXTENSION: &str = "## Extension to daemon";
const FROM_DAEMON: &str = "## Daemon to extension";

fn assert_none(objections: &[String]) {
    assert!(objections.is_empty(), "docs/protocol.md:\n{}", objections.join("\n"));
}

/// Describes fields of a frame without a row, and rows without a field in any of the frames.
fn table_objections(section: &MessageSection, frames: &[Value]) -> Vec<String> {
    let MessageSection { kind, rows, .. } = section;
    let leaves: BTreeSet<_> = frames.iter().flat_map(page::leaves).collect();
    let undescribed = leaves.iter().filter(|leaf| !rows.iter().any(|row| page::covers(&row.path, leaf)));
    let unknown = rows.iter().filter(|row| !frames.iter().any(|frame| page::has(frame, &row.path)));
    let undescribed = undescribed.map(|leaf| format!("{kind}: field {leaf} has no row"));
    undescribed.chain(unknown.map(|row| format!("{kind}: row {} is no field of it", row.path))).collect()
}

#[test]
fn every_message_type_has_one_section() {
    for (heading, types) in [(FROM_EXTENSION, SUPPORTS.inbound), (FROM_DAEMON, SUPPORTS.outbound)] {
        let mut described: Vec<_> = page::messages(heading).into_iter().map(|section| section.kind).collect();
        let mut types = types.to_vec();
        described.sort();
        types.sort_unstable();
        assert_eq!(described, types, "{heading}");
    }
    assert_eq!((SUPPORTS.inbound, SUPPORTS.outbound), (&INBOUND[..], &OUTBOUND[..]));
}

#[test]
fn every_example_of_the_extension_is_accepted_and_has_only_described_fields() {
    let mut objections = Vec::new();
    for section in page::messages(FROM_EXTENSION) {
        let kind = &section.kind;
        assert_eq!(section.examples.len(), 1, "{kind} has one example");
        match read(&section.examples[0]) {
            Ok(view) if view["type"] == **kind => {}
            other => objections.push(format!("{kind}: the example is read as {other:?}")),
        }
        let undescribed = |objection: &String| objection.ends_with("has no row");
        objections.extend(table_objections(&section, &section.examples).into_iter().filter(undescribed));
    }
    assert_none(&objections);
}

#[test]
fn every_example_of_the_daemon_has_the_fields_that_the_daemon_writes() {
    let written: BTreeMap<_, _> = daemon_frames::with_optional_fields(true).into_iter().collect();
    let mut objections = Vec::new();
    for section in page::messages(FROM_DAEMON) {
        let kind = &section.kind;
        assert_eq!(section.examples.len(), 1, "{kind} has one example");
        let (example, written) = (&section.examples[0], &written[kind.as_str()]);
        if example["type"] != **kind {
            objections.push(format!("{kind}: the example is of the type {}", example["type"]));
        }
        for row in section.rows.iter().filter(|row| row.required && !page::has(example, &row.path)) {
            objections.push(format!("{kind}: the example lacks {}", row.path));
        }
        for (name, value) in example.as_object().unwrap() {
            if written.get(name).is_none_or(|known| std::mem::discriminant(known) != std::mem::discriminant(value)) {
                objections.push(format!("{kind}: the daemon writes no {name} like that of the example"));
            }
        }
    }
    assert_none(&objections);
}

#[test]
fn the_tables_of_the_extensions_messages_are_what_the_daemon_reads() {
    let mut objections = Vec::new();
    for section in page::messages(FROM_EXTENSION) {
        let (kind, frame) = (&section.kind, golden("inbound", &section.kind));
        objections.extend(table_objections(&section, std::slice::from_ref(&frame)));
        for row in &section.rows {
            let accepted = read(&page::renamed(&frame, &row.path, None)).is_ok();
            if accepted == row.required {
                objections.push(format!(
                    "{kind}: without {} it is {}",
                    row.path,
                    if accepted { "read" } else { "refused" }
                ));
            }
            for alias in &row.aliases {
                if read(&page::renamed(&frame, &row.path, Some(alias))) != read(&frame) {
                    objections.push(format!("{kind}: {alias} is not read as {}", row.path));
                }
            }
        }
    }
    assert_none(&objections);
}

#[test]
fn the_tables_of_the_daemons_messages_are_what_it_writes() {
    let written = daemon_frames::with_optional_fields(true).into_iter();
    let shortest: BTreeMap<_, _> = daemon_frames::with_optional_fields(false).into_iter().collect();
    let mut frames: BTreeMap<_, _> = written.map(|(kind, frame)| (kind, vec![frame])).collect();
    frames.get_mut("api_request").unwrap().push(daemon_frames::prompt_request());
    let mut objections = Vec::new();
    for section in page::messages(FROM_DAEMON) {
        let kind = section.kind.as_str();
        objections.extend(table_objections(&section, &frames[kind]));
        for row in section.rows.iter().filter(|row| row.required != page::has(&shortest[kind], &row.path)) {
            objections.push(format!("{kind}: {} is marked required: {}", row.path, row.required));
        }
    }
    assert_none(&objections);
}

#[test]
fn the_table_of_shell_tabs_is_what_the_daemon_reads() {
    let frame = golden("inbound", "credentials");
    let (rows, tab) = (page::field_rows(page::below("## Shell tabs")), &frame["shell_runtime"]);
    let section = MessageSection { kind: "shell_runtime".to_owned(), rows, examples: Vec::new() };
    let mut objections = table_objections(&section, std::slice::from_ref(tab));
    let objects = ["desired", "actual", "drift"];
    objections.extend(page::leaves(tab).iter().filter(|leaf| objects.contains(&leaf.as_str())).cloned());
    for row in &section.rows {
        let without = page::renamed(&frame, &format!("shell_runtime.{}", row.path), None);
        if read(&without).is_ok() == row.required {
            objections.push(format!("shell_runtime: {} is marked required: {}", row.path, row.required));
        }
    }
    assert_none(&objections);
}

#[test]
fn the_limits_are_the_defaults_of_the_settings() {
    let defaults = json!({ "bridge": BridgeSettings::default() });
    let rows = page::table(page::below("## Limits"));
    assert!(rows.len() > 10, "the table of limits is where it is looked for");
    for cells in rows {
        let path = page::code_spans(cells[0]).remove(0);
        let default = defaults.pointer(&format!("/{}", path.replace('.', "/")));
        assert_eq!(default.map(Value::to_string).as_deref(), Some(cells[1]), "{path}");
    }
}

#[test]
fn every_close_code_of_the_bridge_is_described() {
    let rows = page::table(page::below("## Close codes"));
    let described = |code: &str, reason: &str| {
        rows.iter().any(|cells| cells[0] == code && page::code_spans(cells[1]).iter().any(|known| known == reason))
    };
    let mut texts = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bridge"), &mut texts);
    let mut objections = Vec::new();
    for text in &texts {
        for call in ["close(", "fail(", "end(", "Close("].iter().flat_map(|call| text.split(call).skip(1)) {
            let Some((code, rest)) = call.split_once(", \"") else { continue };
            let reason = rest.split('"').next().unwrap_or_default();
            let is_code = code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit());
            if is_code && !described(code, reason) {
                objections.push(format!("close code {code} with the reason {reason:?} has no row"));
            }
        }
    }
    assert_none(&objections);
}

fn collect(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            collect(&entry.path(), texts);
        } else {
            texts.push(fs::read_to_string(entry.path()).unwrap());
        }
    }
}
