//! Numbers within bounds. The type of a setting's bounds checks what scenarios
//! give, and describes it in the schema.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use syncbench_reports::quantity;

/// The form of a number from `MIN` to `MAX`, for
/// `#[serde(with = "Within::<f64, 0, 1>")]`.
pub(super) type Within<T, const MIN: u64, const MAX: u64> = Range<T, MIN, MAX, false>;

/// The form of a number above `MIN` and up to `MAX`.
pub(super) type Above<T, const MIN: u64, const MAX: u64> = Range<T, MIN, MAX, true>;

/// The form of a number, which may be that of an optional one. The bounds are
/// below 2^53.
pub(super) struct Range<T, const MIN: u64, const MAX: u64, const IS_ABOVE: bool>(PhantomData<T>);

/// A type of numbers that settings have.
pub(super) trait Number {
    /// Whether it has no fractions.
    const IS_WHOLE: bool;

    /// The number that equals `value`, which is one of this type.
    fn from_f64(value: f64) -> Self;
}

impl Number for f64 {
    const IS_WHOLE: bool = false;

    fn from_f64(value: f64) -> Self {
        value
    }
}

impl Number for u32 {
    const IS_WHOLE: bool = true;

    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Number for u64 {
    const IS_WHOLE: bool = true;

    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl<T: Number, const MIN: u64, const MAX: u64, const IS_ABOVE: bool> Range<T, MIN, MAX, IS_ABOVE> {
    const BOUNDS: Bounds = Bounds {
        min: MIN,
        is_min_excluded: IS_ABOVE,
        max: MAX,
        is_whole: T::IS_WHOLE,
    };

    pub(super) fn serialize<S: Serializer>(
        value: &impl Serialize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, V: From<T>>(
        deserializer: D,
    ) -> Result<V, D::Error> {
        let number = deserializer.deserialize_any(Self::BOUNDS)?;
        Ok(T::from_f64(number).into())
    }
}

/// The bounds of a number, which read a value and print what it may be.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    min: u64,
    is_min_excluded: bool,
    max: u64,
    is_whole: bool,
}

impl Bounds {
    fn check<E: Error>(self, value: f64) -> Result<f64, E> {
        let min = self.min as f64;
        // NaN is in no range.
        let is_in_range = (min..=self.max as f64).contains(&value);
        let is_excluded = self.is_min_excluded && value == min;
        let is_fraction = self.is_whole && value.fract() != 0.0;
        match is_in_range && !is_excluded && !is_fraction {
            true => Ok(value),
            false => Err(E::custom(format!("must be {self}, not {value}"))),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self.is_whole {
            true => "a whole number",
            false => "a number",
        };
        let [min, max] = [self.min, self.max].map(quantity::count);
        match self.is_min_excluded {
            true => write!(f, "{number} above {min} and at most {max}"),
            false => write!(f, "{number} from {min} to {max}"),
        }
    }
}

impl Visitor<'_> for Bounds {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        self.check(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        self.check(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        self.check(value)
    }
}

/// The form of a seed: a whole number, or the same in quotes, as TOML has no
/// numbers above 2^63.
pub(super) struct Seed;

impl Seed {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl Visitor<'_> for Seed {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to {}", u64::MAX)
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<u64, E> {
        let max = u64::MAX;
        let number = digits.parse();
        number.map_err(|_| {
            E::custom(format!(
                "must be a whole number from 0 to {max}, not {digits}"
            ))
        })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde_json::json;

    use super::{Bounds, Number, Range, Seed};

    impl Bounds {
        fn schema(self) -> Schema {
            let number = match self.is_whole {
                true => "integer",
                false => "number",
            };
            let minimum = match self.is_min_excluded {
                true => "exclusiveMinimum",
                false => "minimum",
            };
            let mut schema = json_schema!({ "type": number, "maximum": self.max });
            schema.insert(minimum.to_owned(), json!(self.min));
            schema
        }
    }

    impl<T: Number, const MIN: u64, const MAX: u64, const IS_ABOVE: bool> JsonSchema
        for Range<T, MIN, MAX, IS_ABOVE>
    {
        fn schema_name() -> Cow<'static, str> {
            Self::BOUNDS.to_string().into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            Self::BOUNDS.schema()
        }
    }

    impl JsonSchema for Seed {
        fn schema_name() -> Cow<'static, str> {
            "Seed".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": ["integer", "string"],
                "minimum": 0,
                "maximum": u64::MAX,
                "pattern": "^[0-9]+$",
            })
        }
    }
}
