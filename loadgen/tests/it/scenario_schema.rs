//! The schema file is generated from the types of the scenario, and the built-in
//! scenarios and the documentation follow it.
#![allow(clippy::unwrap_used)] // a test may fail

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use syncbench_loadgen::scenario::{SHIPPED, Scenario};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Every key. Its parts exclude each other, so that it can be deserialised, but
/// not run.
const EVERYTHING: &str = r#"
    analysis = "why"
    duration = "30s"
    seed = 7
    drain_timeout = "3s"
    thresholds = ["propagation.p99 < 100ms"]
    abort = true
    [relay]
    protocol = "loro"
    url = "ws://127.0.0.1:7000/{room}"
    command = "relay --port 7000"
    ready_timeout = "5s"
    settle = "2s"
    history = "shallow"
    room_prefix = "load-"
    headers = { x-user = "{client}" }
    subprotocol = "sync"
    token_env = "TOKEN"
    join_auth = "{client}"
    insecure = true
    [[rooms]]
    count = 10
    size = 2
    [clients]
    count = 20
    rooms = 10
    writers = 5
    late = 3
    replica = "light"
    verify = "versions"
    ramp_up = "1s"
    sources = ["127.0.0.2", "::1"]
    [document]
    typed = 0.5
    form = "shallow"
    file = "notes.loro"
    [workload]
    dataset = "automerge-paper"
    edits = "rich-text"
    rate = 100
    arrivals = "poisson"
    phase = "locked"
    payload = 100
    batch = "50ms"
    mix = { text = 0.4, rich-text = 0.1, list = 0.1, map = 0.1, movable-list = 0.1, tree = 0.1, presence = 0.1 }
    [presence]
    every = "100ms"
    bytes = 80
    [[stages]]
    name = "spike"
    duration = "1m 30s"
    rate = 900.5
    ramp = true
    clients = 20
    [[link]]
    name = "mobile"
    share = 0.5
    delay = "40ms"
    jitter = "20ms"
    kbit = 1000
    fault = [
        { kind = "cut-mid-frame", every = "3s", for = "500ms" },
        { kind = "stall", at = "3s", for = "500ms" },
    ]
    [churn]
    per_second = 0.5
    [[fault]]
    kind = "pause"
    at = "2s"
    for = "1s"
"#;

/// The one that excludes another even for the schema.
const TOKEN_FILE: &str = "relay/token_file";

fn schema() -> Result<Value> {
    Ok(serde_json::from_str(include_str!(
        "../../schema/scenario.v1.json"
    ))?)
}

fn validator() -> Result<Validator> {
    let schema = schema()?;
    jsonschema::meta::validate(&schema).map_err(|error| error.to_string())?;
    Ok(jsonschema::validator_for(&schema).map_err(|error| error.to_string())?)
}

fn json_of(toml: &str) -> Result<Value> {
    Ok(serde_json::to_value(toml::from_str::<toml::Table>(toml)?)?)
}

fn deserialised(json: &Value) -> Result<Scenario> {
    Ok(toml::from_str(&toml::to_string(json)?)?)
}

fn assert_keeps_to_the_schema(name: &str, toml: &str) -> Result {
    let (validator, json) = (validator()?, json_of(toml)?);
    let errors: Vec<String> = validator
        .iter_errors(&json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
    Ok(())
}

/// The schema file holds the schema as it is generated. To regenerate it, run
/// this test with `UPDATE_SCHEMA=1`.
#[cfg(feature = "schema")]
#[test]
fn the_schema_file_is_up_to_date() -> Result {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/scenario.v1.json");
    let generated = syncbench_loadgen::scenario::schema::scenario();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, format!("{generated:#}\n"))?;
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    assert!(
        written == generated,
        "loadgen/schema/scenario.v1.json is not up to date; run this test with UPDATE_SCHEMA=1"
    );
    Ok(())
}

#[test]
fn shipped_scenarios_keep_to_the_schema() -> Result {
    for shipped in SHIPPED {
        assert_keeps_to_the_schema(shipped.name, shipped.toml)?;
    }
    Ok(())
}

#[test]
fn the_examples_of_the_documentation_keep_to_the_schema_and_can_be_run() -> Result {
    let text = include_str!("../../../docs/SCENARIOS.md");
    let examples = text.split("```toml").skip(1);
    let examples: Vec<&str> = examples
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        assert_keeps_to_the_schema(example, example)?;
        Scenario::parse(example)?;
    }
    Ok(())
}

#[test]
fn the_documentation_names_every_key() -> Result {
    let text = include_str!("../../../docs/SCENARIOS.md");
    for (table, keys) in described(&schema()?) {
        for key in keys {
            let named = [format!("| `{key}` |"), format!("[{key}]")];
            let named = named.iter().any(|name| text.contains(name.as_str()));
            assert!(named, "{table}/{key}");
        }
    }
    Ok(())
}

#[test]
fn scenarios_and_schema_have_the_same_keys() -> Result {
    let mut everything = json_of(EVERYTHING)?;
    deserialised(&everything)?;
    assert_keeps_to_the_schema("everything", EVERYTHING)?;
    let described = described(&schema()?);
    assert!(described.len() > 10, "{described:?}");
    for (table, keys) in described {
        let place = everything.pointer_mut(&instance(&table)).ok_or(&*table)?;
        let place = place.as_object_mut().ok_or("a table")?;
        // An unknown key makes serde list all that there are.
        place.insert("unheard-of".to_owned(), json!(1));
        let error = deserialised(&everything).map(drop).unwrap_err().to_string();
        assert_eq!(listed(&error), keys, "{table}: {error}");
        let place = everything.pointer_mut(&instance(&table)).ok_or(&*table)?;
        place.as_object_mut().ok_or("a table")?.remove("unheard-of");
    }
    Ok(())
}

#[test]
fn every_word_that_the_schema_allows_is_one_that_scenarios_know() -> Result {
    let (schema, mut everything) = (schema()?, json_of(EVERYTHING)?);
    let mut seen = 0;
    for (table, key, words) in choices(&schema) {
        let path = format!("{}/{key}", instance(&table));
        let before = everything.pointer(&path).cloned().ok_or(&*path)?;
        *everything.pointer_mut(&path).ok_or("a key")? = json!("unheard-of");
        let error = deserialised(&everything).map(drop).unwrap_err().to_string();
        assert_eq!(listed(&error), words, "{path}: {error}");
        *everything.pointer_mut(&path).ok_or("a key")? = before;
        seen += 1;
    }
    assert_eq!(seen, 10);
    Ok(())
}

#[test]
fn typos_are_refused_by_both() -> Result {
    let (validator, everything) = (validator()?, json_of(EVERYTHING)?);
    for (table, keys) in described(&schema()?) {
        for key in keys
            .iter()
            .filter(|key| format!("{table}/{key}") != TOKEN_FILE)
        {
            let mut misspelt = everything.clone();
            let place = misspelt.pointer_mut(&instance(&table)).ok_or(&*table)?;
            let place = place.as_object_mut().ok_or("a table")?;
            // The link's first fault has an `every`, and the second an `at`.
            let Some(value) = place.remove(key) else {
                assert_eq!((&*table, &**key), ("link/-/fault/-", "at"));
                continue;
            };
            place.insert(format!("{key}s"), value);
            assert!(!validator.is_valid(&misspelt), "{table}/{key}");
            assert!(deserialised(&misspelt).is_err(), "{table}/{key}");
        }
    }
    Ok(())
}

#[test]
fn the_defaults_of_the_schema_are_those_of_a_run() -> Result {
    let schema = schema()?;
    let mut written = Map::new();
    for (key, of) in schema["properties"].as_object().into_iter().flatten() {
        let inner = of["properties"].as_object().into_iter().flatten();
        let inner = inner.filter_map(|(key, of)| Some((key.clone(), of.get("default")?.clone())));
        match of.get("default") {
            Some(default) => drop(written.insert(key.clone(), default.clone())),
            // A presence is there or not, and none by default.
            None if key == "presence" => {}
            None => drop(written.insert(key.clone(), Value::Object(inner.collect()))),
        }
    }
    let scenario = Scenario::parse(&toml::to_string(&Value::Object(written))?)?;
    assert_eq!(scenario, Scenario::default());
    Ok(())
}

#[test]
fn values_that_mean_nothing_are_refused() -> Result {
    let validator = validator()?;
    for wrong in [
        "duration = 30",
        "duration = \"soon\"",
        "thresholds = [\"fast\"]",
        "seed = -1",
        "seed = \"one\"",
        "duration = \"0s\"",
        "clients = { count = 1.5 }",
        "clients = { writers = 0 }",
        "workload = { payload = 0 }",
        "document = { typed = 2.0 }",
        "relay = { url = \"http://127.0.0.1\" }",
        "relay = { command = \"relay\" }",
        "relay = { room_prefix = \"a/b\" }",
        "relay = { token_env = \"A\", token_file = \"b\" }",
        "workload = { rate = -1 }",
        "link = [{ share = 0.0 }]",
        "link = [{ fault = [{ kind = \"cut\", for = \"1s\" }] }]",
        "fault = [{ kind = \"pause\", at = \"1s\" }]",
        "presence = { bytes = 80 }",
    ] {
        assert!(!validator.is_valid(&json_of(wrong)?), "{wrong}");
    }
    Ok(())
}

/// The bounds of the schema are those of scenarios: both take the bounds
/// themselves, and refuse what is beyond them.
#[test]
fn every_bound_that_the_schema_names_is_kept() -> Result {
    let (validator, schema) = (validator()?, schema()?);
    let everything = json_of(EVERYTHING)?;
    let mut seen = 0;
    for (path, of) in numbers(&schema) {
        let check = |value: Value, is_allowed: bool| -> Result {
            let mut changed = everything.clone();
            *changed.pointer_mut(&path).ok_or(&*path)? = value;
            assert_eq!(
                validator.is_valid(&changed),
                is_allowed,
                "{path}: {changed}"
            );
            assert_eq!(
                deserialised(&changed).is_ok(),
                is_allowed,
                "{path}: {changed}"
            );
            Ok(())
        };
        let max = of["maximum"].as_f64().ok_or(&*path)?;
        check(json!(max * 2.0), false)?;
        check(json!(-1), false)?;
        match of.get("exclusiveMinimum") {
            Some(min) => check(min.clone(), false)?,
            None => check(of["minimum"].clone(), true)?,
        }
        // TOML has no numbers as large as a seed may be.
        if path != "/seed" {
            check(of["maximum"].clone(), true)?;
        }
        seen += 1;
    }
    assert!(seen >= 16, "{seen}");
    Ok(())
}

/// The numbers that the schema describes, each with its place in [`EVERYTHING`].
fn numbers(schema: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    visit(schema, "", &mut |path, properties| {
        for (key, of) in properties {
            if of.get("maximum").is_some() {
                found.push((format!("{}/{key}", instance(path)), of.clone()));
            }
            // Every number has bounds.
            let is_number = of["type"] == "number" || of["type"] == "integer";
            assert!(!is_number || of.get("maximum").is_some(), "{path}/{key}");
        }
    });
    found
}

/// The tables that the schema describes, by path (`link/-/fault/-`), and the
/// keys of each.
fn described(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables = BTreeMap::new();
    visit(schema, "", &mut |path, properties| {
        tables.insert(path.to_owned(), properties.keys().cloned().collect());
    });
    tables
}

/// The keys that have a choice of words: table, key, words.
fn choices(schema: &Value) -> Vec<(String, String, BTreeSet<String>)> {
    let mut found = Vec::new();
    visit(schema, "", &mut |path, properties| {
        for (key, of) in properties {
            let words = of["oneOf"].as_array().into_iter().flatten();
            let words = words.filter_map(|word| word["const"].as_str());
            let words: BTreeSet<String> = words.map(str::to_owned).collect();
            if !words.is_empty() {
                found.push((path.to_owned(), key.clone(), words));
            }
        }
    });
    found
}

fn visit(schema: &Value, path: &str, visitor: &mut impl FnMut(&str, &Map<String, Value>)) {
    if let Some(properties) = schema["properties"].as_object() {
        visitor(path, properties);
        for (key, inner) in properties {
            visit(inner, &join(path, key), visitor);
        }
    }
    if schema["items"].is_object() {
        visit(&schema["items"], &join(path, "-"), visitor);
    }
}

fn join(path: &str, key: &str) -> String {
    match path.is_empty() {
        true => key.to_owned(),
        false => format!("{path}/{key}"),
    }
}

/// Returns the pointer to the table at `path` in [`EVERYTHING`]: the first of
/// several.
fn instance(path: &str) -> String {
    match path.is_empty() {
        true => String::new(),
        false => format!("/{}", path.replace('-', "0")),
    }
}

/// The names in the end of serde's message: `unknown x ..., expected one of
/// \`a\`, \`b\``.
fn listed(message: &str) -> BTreeSet<String> {
    let line = message.lines().find(|line| line.contains(", expected "));
    let names = line.and_then(|line| line.split(", expected ").nth(1));
    let names = names.unwrap_or_default().split('`');
    names.skip(1).step_by(2).map(str::to_owned).collect()
}
