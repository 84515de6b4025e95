//! The schema file is generated from the types of the record, and old records
//! follow it.

use std::collections::BTreeSet;
use std::error::Error;

use jsonschema::Validator;
use serde_json::{Value, json};
use syncbench_reports::record::{Kind, MarkedFigure, Record, Status};

use crate::sample;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn schema() -> Result<Value> {
    Ok(serde_json::from_str(include_str!(
        "../../schema/record.v1.json"
    ))?)
}

fn validator() -> Result<Validator> {
    let schema = schema()?;
    jsonschema::meta::validate(&schema).map_err(|error| error.to_string())?;
    Ok(jsonschema::validator_for(&schema).map_err(|error| error.to_string())?)
}

/// The schema file holds the schema as it is generated. To regenerate it, run
/// this test with `UPDATE_SCHEMA=1`.
#[cfg(feature = "schema")]
#[test]
fn the_schema_file_is_up_to_date() -> Result {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/record.v1.json");
    let generated = syncbench_reports::schema::record();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, format!("{generated:#}\n"))?;
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    assert!(
        written == generated,
        "reports/schema/record.v1.json is not up to date; run this test with UPDATE_SCHEMA=1"
    );
    Ok(())
}

#[test]
fn records_follow_the_schema() -> Result {
    let validator = validator()?;
    for (name, record) in sample::all() {
        let json = serde_json::to_value(&record)?;
        let errors: Vec<String> = validator
            .iter_errors(&json)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        assert_eq!(serde_json::from_value::<Record>(json)?, record);
    }
    Ok(())
}

#[test]
fn what_is_not_a_record_breaks_the_schema() -> Result {
    let validator = validator()?;
    let good = serde_json::to_value(sample::healthy())?;
    let breaks = [
        ("/schema", json!("syncbench/record@2")),
        ("/kind", json!("party")),
        ("/run/started_at", json!("yesterday")),
        ("/run/id", json!("a/b")),
        ("/run/machine/cpus", json!(0)),
        ("/run/datasets/0/sha256", json!("ABC")),
        ("/verdict/status", json!("fine")),
        ("/verdict/exit_code", json!(256)),
        ("/convergence/lost", json!(-1)),
        ("/counts/sent", json!(1.5)),
        ("/latency/propagation/unit", json!("ms")),
        ("/latency/propagation/hdr", json!("")),
        ("/latency/import/p99", json!(null)),
        ("/resources/generator/cpu_s", json!("6 s")),
        ("/resources/relay/threads", json!(1.5)),
        ("/resources/relay/switches_involuntary", json!(-1)),
        ("/resources/generator_cpu_by_activity/edit", json!(-0.1)),
        ("/series/interval_s", json!(0)),
        ("/series/columns/sent", json!(["many"])),
        ("/artifacts/0", json!("")),
        ("/counts/schedule", json!(null)),
        ("/resources/relay", json!(null)),
    ];
    for (pointer, value) in breaks {
        let mut broken = good.clone();
        *broken.pointer_mut(pointer).ok_or(pointer)? = value;
        assert!(!validator.is_valid(&broken), "{pointer}");
    }
    Ok(())
}

#[test]
fn a_record_may_hold_more_than_the_schema_knows() -> Result {
    let mut json = serde_json::to_value(sample::healthy())?;
    json["added_later"] = json!(1);
    json["run"]["machine"]["added_later"] = json!([]);
    json["latency"]["added_later"] = json["latency"]["import"].clone();
    assert!(validator()?.is_valid(&json));
    serde_json::from_value::<Record>(json)?;
    Ok(())
}

#[test]
fn a_record_from_before_processes_were_sampled_can_be_read() -> Result {
    let mut json = serde_json::to_value(sample::healthy())?;
    let use_of_then = json!({ "pid": 7, "cpu_s": 0.5, "rss_peak_bytes": 4096 });
    json["resources"]["relay"] = use_of_then.clone();
    assert!(validator()?.is_valid(&json));
    let record: Record = serde_json::from_value(json)?;
    assert_eq!(
        serde_json::to_value(record)?["resources"]["relay"],
        use_of_then
    );
    Ok(())
}

#[test]
fn schema_and_types_have_the_same_fields() -> Result {
    let schema = schema()?;
    let mut record = sample::not_converged();
    // The sample has every optional part, or this test would pass by not looking.
    record.artifacts = vec!["report.html".into()];
    record.cell = Some(sample::cell());
    record.marked.push(MarkedFigure {
        metric: "propagation".to_owned(),
        stat: "p99".to_owned(),
        observed_us: 900.0,
        own_us: 400.0,
    });
    for threshold in &mut record.thresholds {
        threshold.not_judged = true;
    }
    let json = serde_json::to_value(&record)?;
    let mut paths = (BTreeSet::new(), BTreeSet::new());
    fields(&schema, &schema, &json, "", &mut paths);
    let (written, described) = paths;
    assert_eq!(written, described, "left: written, right: in the schema");
    assert!(written.len() > 60, "only {} fields seen", written.len());
    Ok(())
}

/// Collects the path of every field that `value` holds and of every field that
/// its schema describes.
fn fields(
    root: &Value,
    schema: &Value,
    value: &Value,
    path: &str,
    paths: &mut (BTreeSet<String>, BTreeSet<String>),
) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(&Value::Null),
        None => schema,
    };
    if let Some(described) = schema["properties"].as_object() {
        paths
            .1
            .extend(described.keys().map(|key| format!("{path}/{key}")));
    }
    match value {
        // A map of any keys describes its values alone.
        Value::Object(map) if schema["additionalProperties"].is_object() => {
            for value in map.values() {
                fields(
                    root,
                    &schema["additionalProperties"],
                    value,
                    &format!("{path}/*"),
                    paths,
                );
            }
        }
        // The scenario is the command's own.
        Value::Object(_) if path == "/run/scenario" => {}
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}/{key}");
                paths.0.insert(path.clone());
                fields(root, &schema["properties"][key], value, &path, paths);
            }
        }
        Value::Array(items) => {
            for item in items {
                fields(root, &schema["items"], item, &format!("{path}/-"), paths);
            }
        }
        _ => {}
    }
}

#[test]
fn schema_and_types_have_the_same_kinds_and_statuses() -> Result {
    let schema = schema()?;
    let words = |name: &str| -> Result<Vec<Value>> {
        let variants = schema.pointer(&format!("/$defs/{name}/oneOf"));
        let variants = variants.and_then(Value::as_array).ok_or("no enum")?;
        Ok(variants.iter().map(|v| v["const"].clone()).collect())
    };
    for kind in words("Kind")? {
        serde_json::from_value::<Kind>(kind)?;
    }
    for status in words("Status")? {
        serde_json::from_value::<Status>(status)?;
    }
    // An unknown variant makes serde list all that there are.
    let listed = |error: serde_json::Error| error.to_string().matches('`').count() / 2 - 1;
    let kinds = serde_json::from_value::<Kind>(json!("?")).map_err(listed);
    assert_eq!(kinds, Err(words("Kind")?.len()));
    let statuses = serde_json::from_value::<Status>(json!("?")).map_err(listed);
    assert_eq!(statuses, Err(words("Status")?.len()));
    Ok(())
}
