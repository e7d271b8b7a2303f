//! Truncates results for storage: long texts are cut, and the values of a command's variables are removed.

use crate::host::redact_variables;
use serde_json::Value;

/// Returns the result with every text cut to `bytes_max` bytes, and without the values of its input's variables. Objects
/// list their cut fields in `cut`.
pub fn truncate_texts(mut result: Value, bytes_max: usize) -> Value {
    if let Some(input) = result.get_mut("input") {
        redact_variables(input);
    }
    truncate_in(&mut result, bytes_max);
    result
}

/// Truncates texts below `value`; returns whether `value` itself is a text that was truncated.
fn truncate_in(value: &mut Value, bytes_max: usize) -> bool {
    match value {
        Value::String(text) if text.len() > bytes_max => {
            text.truncate(text.floor_char_boundary(bytes_max));
            true
        }
        Value::Array(items) => {
            items.iter_mut().filter_map(|item| truncate_in(item, bytes_max).then_some(())).count() > 0
        }
        Value::Object(fields) => {
            let cut: Vec<Value> = fields
                .iter_mut()
                .filter_map(|(name, field)| truncate_in(field, bytes_max).then(|| Value::from(name.as_str())))
                .collect();
            if !cut.is_empty() {
                fields.insert("cut".to_owned(), Value::Array(cut));
            }
            false
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_texts_keep_their_beginning_and_their_object_names_them() {
        let result =
            json!({"ok": true, "result": {"stdout": "abcdef", "stderr": "äöü", "n": 1}, "list": ["abcd", "x"]});
        let expected = json!({
            "ok": true,
            "result": {"stdout": "abc", "stderr": "ä", "n": 1, "cut": ["stderr", "stdout"]},
            "list": ["abc", "x"],
            "cut": ["list"],
        });
        assert_eq!(truncate_texts(result, 3), expected);
    }

    #[test]
    fn of_a_commands_variables_the_names_are_kept() {
        let result = json!({"operation": "exec", "input": {"command": "x", "env": {"B": "hush", "A": ""}}});
        let expected = json!({"operation": "exec", "input": {"command": "x", "env": {"A": null, "B": null}}});
        assert_eq!(truncate_texts(result, 64), expected);
    }

    #[test]
    fn what_is_short_enough_stays_as_it_is() {
        for whole in [json!({"a": ["abc"]}), json!("abc"), json!(null), json!({})] {
            assert_eq!(truncate_texts(whole.clone(), 3), whole);
        }
    }
}
