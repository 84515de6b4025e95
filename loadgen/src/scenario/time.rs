//! Times as scenarios write them: `"500ms"`, `"10s"`, `"1m 30s"`.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// The longest time that a setting may have.
const MAX: Duration = Duration::from_secs(24 * 3600);

/// The form of a time in a scenario, for `#[serde(with = "Time")]`.
pub(super) type Time = TimeText<false>;

/// The form of a time that is not zero.
pub(super) type PositiveTime = TimeText<true>;

/// The form of a time, which may be that of an optional one.
pub(super) struct TimeText<const IS_POSITIVE: bool>;

impl<const IS_POSITIVE: bool> TimeText<IS_POSITIVE> {
    const ALLOWED: &str = match IS_POSITIVE {
        true => "a time above 0s and at most 24h",
        false => "a time of at most 24h",
    };

    pub(super) fn serialize<S: Serializer>(
        value: &(impl Copy + Into<Option<Duration>>),
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match (*value).into() {
            Some(value) => serializer.collect_str(&humantime::format_duration(value)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, V: From<Duration>>(
        deserializer: D,
    ) -> Result<V, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is not a time ({error}); write it as \"10s\" or \"2m\""
            ))
        })?;
        if time > MAX || (IS_POSITIVE && time.is_zero()) {
            let allowed = Self::ALLOWED;
            return Err(D::Error::custom(format!("must be {allowed}, not {text}")));
        }
        Ok(time.into())
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::TimeText;

    impl<const IS_POSITIVE: bool> JsonSchema for TimeText<IS_POSITIVE> {
        fn schema_name() -> Cow<'static, str> {
            Self::ALLOWED.into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let other_than_zero = match IS_POSITIVE {
                true => "(?=.*[1-9])",
                false => "",
            };
            json_schema!({
                "type": "string",
                "pattern": format!("^{other_than_zero}([0-9]+ *(ns|us|ms|s|sec|m|min|h|d) *)+$"),
                "examples": ["500ms", "10s", "1m 30s"],
                "$comment": Self::ALLOWED,
            })
        }
    }
}
