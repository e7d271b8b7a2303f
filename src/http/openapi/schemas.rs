//! The schemas of the types of `crate::api`, as components of the document.

use crate::{
    api::fields::camel_case,
    bridge::BridgeSettings,
    host,
    http::{
        fields::TIMEOUT_MS_MAX,
        operation::{FieldsSchema, MakeSchema},
    },
    ids::NAME_CHARS_MAX,
};
use schemars::{
    Schema, SchemaGenerator,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::{Map, Value};

/// Where components stand in the document.
const COMPONENTS: &str = "/components/schemas";

/// Replaces placeholders of descriptions by the values in force.
#[derive(Clone, Debug)]
pub(in crate::http) struct DescriptionFiller(Vec<(&'static str, String)>);

impl DescriptionFiller {
    /// With the values of these settings.
    pub(in crate::http) fn new(bridge: &BridgeSettings) -> Self {
        DescriptionFiller(vec![
            ("{NAME_CHARS_MAX}", NAME_CHARS_MAX.to_string()),
            ("{host.OUTPUT_BYTES_DEFAULT}", host::OUTPUT_BYTES_DEFAULT.to_string()),
            ("{host.OUTPUT_BYTES_MAX}", host::OUTPUT_BYTES_MAX.to_string()),
            ("{host.READ_BYTES_DEFAULT}", host::READ_BYTES_DEFAULT.to_string()),
            ("{host.READ_BYTES_MAX}", host::READ_BYTES_MAX.to_string()),
            ("{host.TIMEOUT_MS_DEFAULT}", host::TIMEOUT_MS_DEFAULT.to_string()),
            ("{host.TIMEOUT_MS_MAX}", host::TIMEOUT_MS_MAX.to_string()),
            ("{TIMEOUT_MS_MAX}", TIMEOUT_MS_MAX.to_string()),
            ("{bridge.action_timeout_ms}", bridge.action_timeout_ms.to_string()),
            ("{bridge.cancel_grace_ms}", bridge.cancel_grace_ms.to_string()),
            ("{bridge.request_timeout_ms}", bridge.request_timeout_ms.to_string()),
        ])
    }

    fn filled(&self, text: &str) -> String {
        let text = text.replace('\n', " ");
        self.0.iter().fold(text, |text, (placeholder, value)| text.replace(placeholder, value))
    }
}

/// Collects the schemas that are referred to.
pub(in crate::http) struct SchemaCollector {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
    filler: DescriptionFiller,
    components: Map<String, Value>,
}

impl SchemaCollector {
    pub(in crate::http) fn new(filler: DescriptionFiller) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = COMPONENTS.into();
            settings.meta_schema = None;
        });
        SchemaCollector {
            answers: settings.clone().for_serialize().into_generator(),
            requests: settings.for_deserialize().into_generator(),
            filler,
            components: Map::new(),
        }
    }

    /// A schema as answers are written.
    pub(in crate::http) fn answer(&mut self, make: MakeSchema) -> Value {
        make(&mut self.answers).to_value()
    }

    /// Refers to the schema of a body.
    pub(in crate::http) fn body(&mut self, body: &FieldsSchema) -> Value {
        let reference = (body.reference)(&mut self.requests).to_value();
        let schema = self.body_fields(body);
        if let Some(name) = reference["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            self.components.insert(name.to_owned(), schema);
        }
        reference
    }

    /// The schema of a body, with the other names of each field in its description.
    pub(in crate::http) fn body_fields(&mut self, body: &FieldsSchema) -> Value {
        self.with_names(body, |names| {
            let mut all = Vec::new();
            for spelling in names.iter().flat_map(|name| [(*name).to_owned(), camel_case(name)]) {
                if !all.contains(&spelling) {
                    all.push(spelling);
                }
            }
            all
        })
    }

    /// The schema of parameters, with the other names of each in its description.
    pub(in crate::http) fn parameters(&mut self, parameters: &FieldsSchema) -> Value {
        self.with_names(parameters, |names| names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn with_names(&mut self, of: &FieldsSchema, spellings: impl Fn(&[&str]) -> Vec<String>) -> Value {
        let mut schema = (of.schema)(&mut self.requests);
        self.finish(&mut schema);
        let mut schema = schema.to_value();
        for names in of.fields {
            let property = &mut schema["properties"][names[0]];
            if let [_, others @ ..] = &spellings(names)[..]
                && !others.is_empty()
            {
                let description = property["description"].as_str().unwrap_or_default();
                property["description"] = format!("{description} Also: {}.", others.join(", ")).into();
            }
        }
        schema
    }

    fn finish(&self, schema: &mut Schema) {
        let mut finish = RecursiveTransform(|schema: &mut Schema| {
            schema.remove("default");
            schema.remove("format");
            if let Some(Value::String(text)) = schema.get_mut("description") {
                *text = self.filler.filled(text);
            }
        });
        finish.transform(schema);
    }

    /// Every schema that was referred to, by its name.
    pub(in crate::http) fn components(mut self) -> Map<String, Value> {
        let mut components = self.requests.take_definitions(true);
        for (name, schema) in self.answers.take_definitions(true) {
            // A type that is read and written alike.
            components.entry(name).or_insert(schema);
        }
        for value in components.values_mut() {
            if let Ok(schema) = <&mut Schema>::try_from(value) {
                self.finish(schema);
            }
        }
        components.append(&mut self.components);
        components
    }
}
