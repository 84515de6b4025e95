//! Reads traces in the editing-traces JSON format, streaming, straight into
//! the tables of [`Body`].

use std::cell::Cell;
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::body::{Body, NO_TIME, PatchRow};
use crate::error::{Fault, Place};
use crate::timestamp;

/// The content of a file before it is checked for consistency.
#[derive(Default)]
pub(crate) struct Parsed {
    pub body: Body,
    /// The value of `kind`, if the file has it.
    pub concurrent: Option<bool>,
    /// The value of `numAgents`, if the file has it.
    pub num_agents: Option<u32>,
    /// The value of `numChildren` of each txn; empty when no txn has it.
    pub num_children: Vec<u32>,
}

/// Reads one JSON document and rejects anything that follows it.
pub(crate) fn parse(input: impl Read) -> Result<Parsed, Fault> {
    let place = Cell::new(Place::default());
    let mut parsed = Parsed::default();
    let mut json = serde_json::Deserializer::from_reader(input);
    let document = Document {
        parsed: &mut parsed,
        place: &place,
    };
    let result = json.deserialize_map(document);
    if result.is_ok() {
        place.set(Place::default());
    }
    match result.and_then(|()| json.end()) {
        Ok(()) => Ok(parsed),
        Err(error) => Err(Fault::Malformed(place.get(), explain(&error))),
    }
}

/// Describes an error of the reader of a file.
pub(crate) fn unreadable(error: impl fmt::Display) -> String {
    format!("cannot be read to its end ({error}); the file is cut short or damaged, get it again")
}

/// The beginning of what serde_json says of nesting beyond its limit, for which it has
/// no other sign.
const TOO_DEEP: &str = "recursion limit exceeded";

fn explain(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        // Errors of our own readers say what to do.
        Category::Io if error.io_error_kind() == Some(std::io::ErrorKind::Other) => {
            error.to_string()
        }
        Category::Io => unreadable(error),
        Category::Eof => {
            format!("ends in the middle ({error}); the file is cut short, get it again")
        }
        Category::Syntax if error.to_string().starts_with(TOO_DEEP) => {
            format!("nested too deep ({error}); remove what is not part of a trace")
        }
        Category::Syntax => format!("not JSON: {error}"),
        Category::Data => error.to_string(),
    }
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    Kind,
    StartContent,
    EndContent,
    NumAgents,
    Txns,
    Parents,
    NumChildren,
    Agent,
    #[serde(alias = "timestamp")]
    Time,
    Patches,
    #[serde(other)]
    Other,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::StartContent => "startContent",
            Self::EndContent => "endContent",
            Self::NumAgents => "numAgents",
            Self::Txns => "txns",
            Self::Parents => "parents",
            Self::NumChildren => "numChildren",
            Self::Agent => "agent",
            Self::Time => "time",
            Self::Patches => "patches",
            Self::Other => "(unknown)",
        }
    }
}

/// The fields seen so far in one object, to refuse a second copy.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn insert<E: serde::de::Error>(&mut self, key: Key) -> Result<(), E> {
        let bit = 1 << key as u16;
        if key != Key::Other && self.0 & bit != 0 {
            return Err(E::duplicate_field(key.name()));
        }
        self.0 |= bit;
        Ok(())
    }

    fn require<E: serde::de::Error>(&self, key: Key) -> Result<(), E> {
        if self.0 & (1 << key as u16) == 0 {
            return Err(E::missing_field(key.name()));
        }
        Ok(())
    }
}

struct Document<'p> {
    parsed: &'p mut Parsed,
    place: &'p Cell<Place>,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trace: an object with `endContent` and `txns`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { parsed, place } = self;
        let mut seen = Seen::default();
        while let Some(key) = map.next_key::<Key>()? {
            place.set(Place::field(key.name()));
            seen.insert(key)?;
            match key {
                Key::Kind => {
                    parsed.concurrent = Some(map.next_value::<Kind>()? == Kind::Concurrent)
                }
                Key::StartContent => map.next_value_seed(Append(&mut parsed.body.start))?,
                Key::EndContent => map.next_value_seed(Append(&mut parsed.body.end))?,
                Key::NumAgents => parsed.num_agents = Some(map.next_value()?),
                Key::Txns => map.next_value_seed(Seq(Txns { parsed, place }))?,
                _ => map.next_value_seed(Skip)?,
            }
            place.set(Place::default());
        }
        seen.require(Key::EndContent)?;
        seen.require(Key::Txns)
    }
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sequential,
    Concurrent,
}

/// Hands a JSON array to a visitor.
struct Seq<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Seq<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<V::Value, D::Error> {
        json.deserialize_seq(self.0)
    }
}

struct Txns<'p> {
    parsed: &'p mut Parsed,
    place: &'p Cell<Place>,
}

impl<'de> Visitor<'de> for Txns<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of txns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        self.place.set(Place::txn(0));
        while seq
            .next_element_seed(Txn {
                parsed: self.parsed,
                place: self.place,
                index,
            })?
            .is_some()
        {
            index += 1;
            self.place.set(Place::txn(index));
        }
        Ok(())
    }
}

struct Txn<'p> {
    parsed: &'p mut Parsed,
    place: &'p Cell<Place>,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for Txn<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Txn<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a txn: an object with `patches`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self {
            parsed,
            place,
            index,
        } = self;
        let mut seen = Seen::default();
        while let Some(key) = map.next_key::<Key>()? {
            place.set(Place::txn_field(index, key.name()));
            seen.insert(key)?;
            match key {
                Key::Parents => map.next_value_seed(Seq(ParentList(parsed.parents_for(index)?)))?,
                Key::NumChildren => {
                    fill(&mut parsed.num_children, index, 0).push(map.next_value()?)
                }
                Key::Agent => fill(&mut parsed.body.agents, index, 0).push(map.next_value()?),
                Key::Time => {
                    fill(&mut parsed.body.times, index, NO_TIME).push(map.next_value::<Moment>()?.0)
                }
                Key::Patches => map.next_value_seed(Seq(Patches(&mut parsed.body)))?,
                _ => map.next_value_seed(Skip)?,
            }
            place.set(Place::txn(index));
        }
        parsed.end_txn(&seen)
    }
}

/// Extends a column to `len` with `missing`, for the txns that lack the field.
fn fill<T: Clone>(column: &mut Vec<T>, len: usize, missing: T) -> &mut Vec<T> {
    column.resize(len, missing);
    column
}

impl Parsed {
    /// Returns the list to which the parents of txn `index` are appended.
    fn parents_for<E: serde::de::Error>(&mut self, index: usize) -> Result<&mut Vec<u32>, E> {
        if self.body.parents.is_none() && index > 0 {
            return Err(E::custom("given here, but not in the txns before"));
        }
        Ok(&mut self.body.parents.get_or_insert_default().list)
    }

    fn end_txn<E: serde::de::Error>(&mut self, seen: &Seen) -> Result<(), E> {
        seen.require(Key::Patches)?;
        let body = &mut self.body;
        if let Some(parents) = &mut body.parents {
            seen.require(Key::Parents)?;
            seen.require(Key::Agent)?;
            parents.ends.push(to_u32(parents.list.len())?);
        }
        body.txn_ends.push(to_u32(body.patches.len())?);
        body.txn_count = to_u32(body.txn_ends.len())?;
        Ok(())
    }
}

fn to_u32<E: serde::de::Error>(count: usize) -> Result<u32, E> {
    u32::try_from(count).map_err(|_| E::custom("more than 4,294,967,295 of them; split the trace"))
}

struct ParentList<'p>(&'p mut Vec<u32>);

impl<'de> Visitor<'de> for ParentList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of txn indices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(parent) = seq.next_element()? {
            self.0.push(parent);
        }
        Ok(())
    }
}

struct Patches<'p>(&'p mut Body);

impl<'de> Visitor<'de> for Patches<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of patches")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Patch(self.0))?.is_some() {}
        Ok(())
    }
}

struct Patch<'p>(&'p mut Body);

impl<'de> DeserializeSeed<'de> for Patch<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Patch<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a patch: [position, deleted, \"inserted\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let missing =
            |at| A::Error::invalid_length(at, &"a patch: [position, deleted, \"inserted\"]");
        let pos = seq.next_element()?.ok_or_else(|| missing(0))?;
        let del = seq.next_element()?.ok_or_else(|| missing(1))?;
        seq.next_element_seed(Append(&mut self.0.text))?
            .ok_or_else(|| missing(2))?;
        let ins_end = to_u32(self.0.text.len())?;
        self.0.patches.push(PatchRow { pos, del, ins_end });
        Ok(())
    }
}

/// Appends a JSON string to a text.
struct Append<'p>(&'p mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        Ok(())
    }
}

/// Milliseconds since 1970, read from an RFC 3339 string.
struct Moment(i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(MomentVisitor)
    }
}

struct MomentVisitor;

impl Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"2021-04-19T06:06:58.513Z\"")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Moment, E> {
        match timestamp::from_number(number) {
            Some(time) => Err(E::custom(format!(
                "{number} counts from 1970; write the time as \"{time}\""
            ))),
            None => Err(E::invalid_type(
                serde::de::Unexpected::Unsigned(number),
                &self,
            )),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Moment, E> {
        if let Ok(number) = text.parse() {
            return self.visit_u64(number);
        }
        let invalid = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
        timestamp::parse(text).map(Moment).ok_or_else(invalid)
    }
}

/// Skips a value of any type. Unlike serde's `IgnoredAny`, it is subject to the
/// recursion limit of serde_json, so nesting cannot exhaust memory.
struct Skip;

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Skip)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Skip)?.is_some() {
            map.next_value_seed(Skip)?;
        }
        Ok(())
    }
}
