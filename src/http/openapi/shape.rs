//! The words in which a route's parameters, bodies and answers are written down, and the JSON schemas made from them.

use crate::http::error::Code;
use serde_json::{Map, Value, json};

/// What is said of one route.
pub(super) struct Operation {
    /// The route's name in the table.
    pub(super) id: &'static str,
    /// Parts of its path and parameters of its query.
    pub(super) parameters: &'static [Field],
    /// The fields of its body; empty = it needs none.
    pub(super) body: &'static [Field],
    /// What it answers when all goes well.
    pub(super) answer: Answer,
    /// Codes of its own, beside those that every route may answer.
    pub(super) codes: &'static [Code],
    /// Codes that it answers with another status than their usual one.
    pub(super) with_status: &'static [(u16, Code)],
}

/// What a route answers when all goes well.
pub(super) enum Answer {
    /// The envelope, with data of these fields; and an example of the data, as JSON.
    Data(&'static [Field], &'static str),
    /// The envelope, with whatever another program answered.
    PassedOn(&'static str),
    /// A JSON object without the envelope.
    Bare(&'static str),
    /// The envelope or server-sent events, as the caller asks.
    DataOrEvents(&'static [Field], &'static str),
    /// Something else than JSON, of one of these media types.
    Media(&'static [&'static str]),
    /// A status without a body: a redirect, or the switch to another protocol.
    Empty(u16, &'static str),
}

/// A field or a parameter.
pub(super) struct Field {
    name: &'static str,
    /// `string`, `integer`, `number`, `boolean`, `object`, `array`, `any`, or the values of an enumeration with `|`
    /// between them; `?` at the end: or null.
    kind: &'static str,
    note: &'static str,
    required: bool,
}

/// A field that is always there.
pub(super) const fn has(name: &'static str, kind: &'static str, note: &'static str) -> Field {
    Field { name, kind, note, required: true }
}

/// A field that may be left out.
pub(super) const fn may(name: &'static str, kind: &'static str, note: &'static str) -> Field {
    Field { name, kind, note, required: false }
}

impl Field {
    fn schema(&self) -> Value {
        let (kind, nullable) = match self.kind.strip_suffix('?') {
            Some(kind) => (kind, true),
            None => (self.kind, false),
        };
        let mut schema = match kind {
            "any" => json!({}),
            kind if kind.contains('|') => {
                let mut values: Vec<Value> = kind.split('|').map(Value::from).collect();
                values.extend(nullable.then_some(Value::Null));
                json!({"enum": values})
            }
            kind if nullable => json!({"type": [kind, "null"]}),
            kind => json!({"type": kind}),
        };
        schema["description"] = self.note.into();
        schema
    }

    /// A part of `path`, or else a parameter of the query.
    pub(super) fn parameter(&self, path: &str) -> Value {
        let in_path = path.contains(&format!("{{{}}}", self.name));
        json!({
            "name": self.name,
            "in": if in_path { "path" } else { "query" },
            "required": in_path || self.required,
            "description": self.note,
            "schema": self.schema(),
        })
    }
}

/// The schema of an object with these fields; others may stand beside them.
pub(super) fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), field.schema())).collect();
    let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// The schema of a success with this data.
pub(super) fn success(data: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {"ok": {"const": true}, "request_id": {"type": "string"}, "data": data},
        "required": ["ok", "request_id", "data"],
        "additionalProperties": false,
    })
}

/// An example of a success.
pub(super) fn example(data: &str) -> Value {
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    json!({"ok": true, "request_id": "req_01JZZZZZZZZZZZZZZZZZZZZZZZ", "data": data})
}

/// The schema of a failure with one of these codes. `named`: or with one that begins with a platform's name.
pub(super) fn failure(codes: &[&str], named: bool) -> Value {
    let mut error = json!({"type": "string", "enum": codes});
    if named {
        error = json!({"anyOf": [error, {"type": "string", "pattern": "^.+_(credentials|template)_unavailable$"}]});
    }
    json!({
        "type": "object",
        "properties": {
            "ok": {"const": false},
            "request_id": {"type": "string"},
            "error": error,
            "message": {"type": "string"},
            "details": {"type": "object"},
        },
        "required": ["ok", "request_id", "error", "message"],
        "additionalProperties": false,
    })
}
