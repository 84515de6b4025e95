//! The JSON schema of scenario files, generated from [`Scenario`].

use std::borrow::Cow;

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};
use syncbench_reports::schema::AsWritten;

use super::Scenario;

/// The JSON schema of scenario files, draft 2020-12.
pub fn scenario() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let generator = settings
        .with_transform(AsWritten)
        .with_transform(Concise)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Scenario>();
    schema.insert("title".to_owned(), json!("syncbench scenario, version 1"));
    schema.to_value()
}

/// Removes the defaults of tables, which repeat those of their keys.
#[derive(Debug, Clone)]
struct Concise;

impl Transform for Concise {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if schema.get("default").is_some_and(Value::is_object) && schema.get("properties").is_some()
        {
            schema.remove("default");
        }
    }
}

/// The text of a threshold.
pub(super) struct ThresholdText;

impl JsonSchema for ThresholdText {
    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[^<>=!]+(<=|>=|==|!=|<|>)[^<>=!]+$",
        })
    }
}
