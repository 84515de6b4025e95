//! Flags as a scenario file would say them.

use clap::ValueEnum;

use crate::cmd::BadInput;

#[derive(Clone, Copy, ValueEnum)]
pub enum Arrivals {
    /// At equal distances
    Constant,
    /// At random, with independent exponential distances
    Poisson,
    /// As in the data set, sped up or slowed down to the rate
    Trace,
}

impl Arrivals {
    /// As a scenario file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
            Self::Trace => "trace",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Phase {
    /// Evenly over the period: the load is smooth
    Spread,
    /// All at once: the load comes in bursts
    Locked,
}

impl Phase {
    /// As a scenario file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Locked => "locked",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Replica {
    /// A document that imports what it receives
    Full,
    /// The version only: which operations have come
    Light,
}

impl Replica {
    /// As a scenario file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Light => "light",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Protocol {
    /// Raw updates, forwarded to everyone else in the room
    Broadcast,
    /// loro-protocol version 1: joins, acknowledged updates, presence
    Loro,
}

impl Protocol {
    /// As a scenario file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Loro => "loro",
        }
    }
}

/// Settings by the path of their key.
#[derive(Default)]
pub struct Flags(pub toml::Table);

impl Flags {
    pub fn set(&mut self, path: &str, value: Option<impl Into<toml::Value>>) {
        if let Some(value) = value {
            let mut keys: Vec<&str> = path.split('.').collect();
            let last = keys.pop().unwrap_or_default();
            let mut table = &mut self.0;
            for key in keys {
                let inner = table
                    .entry(key)
                    .or_insert_with(|| toml::Table::new().into());
                let toml::Value::Table(inner) = inner else {
                    return;
                };
                table = inner;
            }
            table.insert(last.to_owned(), value.into());
        }
    }

    /// `key=value`, the value in TOML or, where it is none, as text.
    pub fn set_written(&mut self, setting: &str) -> anyhow::Result<()> {
        let Some((path, value)) = setting.split_once('=') else {
            let message = format!("--set {setting}: write key=value, as in churn.per_second=0.5");
            return Err(BadInput::new(message).into());
        };
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
        let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
        let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
        self.set(path.trim(), Some(value));
        Ok(())
    }
}
