//! Times as scenarios write them: `"500ms"`, `"10s"`, `"1m 30s"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// The form of a time in a scenario, for `#[serde(with = "TimeText")]`.
pub(super) struct TimeText;

impl TimeText {
    pub(super) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            let message =
                format!("`{text}` is not a time ({error}); write it as \"10s\" or \"2m\"");
            serde::de::Error::custom(message)
        })
    }
}

/// The form of a time that may be absent.
pub(super) struct OptionalTimeText;

impl OptionalTimeText {
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => TimeText::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        TimeText::deserialize(deserializer).map(Some)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{OptionalTimeText, TimeText};

    impl JsonSchema for TimeText {
        fn schema_name() -> Cow<'static, str> {
            "Time".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "string",
                "pattern": "^([0-9]+ *(ns|us|ms|s|sec|m|min|h|d) *)+$",
                "examples": ["500ms", "10s", "1m 30s"],
            })
        }
    }

    impl JsonSchema for OptionalTimeText {
        fn schema_name() -> Cow<'static, str> {
            TimeText::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            TimeText::json_schema(generator)
        }
    }
}
