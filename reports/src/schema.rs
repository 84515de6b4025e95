//! The JSON schema of the record, generated from its types.

use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::record::Record;

/// The JSON schema of [`Record`], draft 2020-12.
pub fn record() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(AsWritten);
    let mut schema = settings.into_generator().into_root_schema_for::<Record>();
    schema.insert("$id".to_owned(), json!("urn:syncbench:record:1"));
    schema.insert("title".to_owned(), json!("syncbench record, version 1"));
    schema.to_value()
}

/// Describes records as they are written: a property without a value is absent,
/// and never null.
#[derive(Debug, Clone)]
pub struct AsWritten;

impl Transform for AsWritten {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        unwrap_lines(schema);
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for property in properties.into_iter().flat_map(|p| p.values_mut()) {
            remove_null(property);
        }
    }
}

/// Removes the line breaks of the source from a description.
fn unwrap_lines(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

fn remove_null(property: &mut Value) {
    let Some(property) = property.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            property.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(variants)) = property.get_mut("anyOf") {
        variants.retain(|variant| variant["type"] != "null");
        if let [Value::Object(only)] = &variants[..] {
            let only = only.clone();
            property.remove("anyOf");
            property.extend(only);
        }
    }
    // `null` is what an absent property reads as, and no value of its own.
    if property.get("default") == Some(&Value::Null) {
        property.remove("default");
    }
}
