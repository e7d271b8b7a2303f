//! Answers can be read as they are written, and their examples are answers.

use super::*;
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};

/// Reads each example of a type and writes it back.
fn read_examples<T: JsonSchema + Serialize + DeserializeOwned>() {
    let schema = schema_for!(T);
    let examples = schema.get("examples").and_then(|examples| examples.as_array()).expect("the type has an example");
    for example in examples {
        assert!(example.is_object(), "an example that is no JSON");
        let read: T = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), *example);
    }
}

#[test]
fn an_example_is_an_answer() {
    read_examples::<browser_request::BrowserResponse>();
    read_examples::<browser_request::CancelResponse>();
    read_examples::<instructions::BatchList>();
    read_examples::<messages::StoredMessage>();
    read_examples::<pairings::PairingList>();
    read_examples::<policy::ExplainedRequest>();
    read_examples::<policy::PolicyResetResult>();
    read_examples::<session::SessionCode<'_>>();
    read_examples::<system::SystemState<'_>>();
    read_examples::<tasks::Task>();
}
