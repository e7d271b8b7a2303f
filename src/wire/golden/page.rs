//! `docs/protocol.md` as values: sections, field tables, examples; and fields of JSON by their path, such as
//! `results[].ok`.

use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    fs::read_to_string(page).expect("the page of the protocol")
});

/// A row of a field table.
#[derive(Debug)]
pub(super) struct FieldRow {
    /// Path of the field in its message.
    pub(super) path: String,
    /// Accepted alternatives of its name.
    pub(super) aliases: Vec<String>,
    /// Whether the message must have it.
    pub(super) required: bool,
}

/// The section of a message type.
#[derive(Debug)]
pub(super) struct MessageSection {
    /// Message type.
    pub(super) kind: String,
    /// Field table.
    pub(super) rows: Vec<FieldRow>,
    /// Examples, as written.
    pub(super) examples: Vec<Value>,
}

/// Returns the text below a heading, up to the next heading of its level or above.
pub(super) fn below(heading: &str) -> &'static str {
    let at = TEXT.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("the page has no heading {heading:?}"));
    let text = &TEXT[at + heading.len() + 2..];
    let level = heading.split(' ').next().unwrap();
    let ends = (2..=level.len()).filter_map(|level| text.find(&format!("\n{} ", "#".repeat(level))));
    &text[..ends.min().unwrap_or(text.len())]
}

/// Returns the messages below a heading of level two.
pub(super) fn messages(heading: &str) -> Vec<MessageSection> {
    let sections = below(heading).split("\n### `").skip(1);
    let of = |section: &str| {
        let (kind, text) = section.split_once('`').unwrap();
        MessageSection { kind: kind.to_owned(), rows: field_rows(text), examples: examples(text) }
    };
    sections.map(of).collect()
}

fn examples(text: &str) -> Vec<Value> {
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap_or_else(|e| panic!("{e} in the example {block}"))).collect()
}

/// Returns the rows of a table as cells, without its head.
pub(super) fn table(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Returns the parts of a cell that stand in backticks.
pub(super) fn code_spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns the rows of a field table.
pub(super) fn field_rows(text: &str) -> Vec<FieldRow> {
    let of = |cells: Vec<&str>| {
        let mut names = code_spans(cells[0]);
        let required = match cells[1] {
            "yes" => true,
            "no" => false,
            other => panic!("{}: {other:?} is neither yes nor no", cells[0]),
        };
        FieldRow { path: names.remove(0), aliases: names, required }
    };
    table(text).into_iter().map(of).collect()
}

/// Whether the row of `path` also describes `leaf`.
pub(super) fn covers(path: &str, leaf: &str) -> bool {
    leaf.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Returns the paths of all values that hold no further fields, without `type`.
pub(super) fn leaves(frame: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(frame, "", &mut found);
    found.remove("type");
    found
}

fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                collect(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().for_each(|value| collect(value, &format!("{path}[]"), found));
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

/// Returns the objects that have the field at `path`, and its name there.
fn holders<'a, 'p>(frame: &'a mut Value, path: &'p str) -> (Vec<&'a mut Value>, &'p str) {
    let (outer, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut holders = vec![frame];
    for part in outer.split('.').filter(|part| !part.is_empty()) {
        let (field, is_list) = part.strip_suffix("[]").map_or((part, false), |field| (field, true));
        holders = holders
            .into_iter()
            .filter_map(|holder| holder.get_mut(field))
            .flat_map(|value| match is_list {
                true => value.as_array_mut().into_iter().flatten().collect(),
                false => vec![value],
            })
            .collect();
    }
    holders.retain(|holder| holder.get(name).is_some());
    (holders, name)
}

/// Whether a frame has the field at `path`.
pub(super) fn has(frame: &Value, path: &str) -> bool {
    !holders(&mut frame.clone(), path).0.is_empty()
}

/// Returns the frame without the field at `path`, or with it under another name.
pub(super) fn renamed(frame: &Value, path: &str, other: Option<&str>) -> Value {
    let mut frame = frame.clone();
    let (holders, name) = holders(&mut frame, path);
    for holder in holders {
        let fields = holder.as_object_mut().unwrap();
        let value = fields.remove(name).unwrap();
        if let Some(other) = other {
            fields.insert(other.to_owned(), value);
        }
    }
    frame
}
