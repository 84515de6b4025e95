//! Flags as the settings of a scenario file.

use serde::{Deserialize, Serialize};
use syncbench_loadgen::scenario::{Scenario, suggestion};

use crate::cmd::BadInput;

/// Settings by the path of their key, such as `workload.rate`.
#[derive(Default)]
pub struct Flags(pub toml::Table);

impl Flags {
    /// Sets a key to one of the names that the scenario accepts for it.
    pub fn set_name(
        &mut self,
        flag: &str,
        path: &str,
        value: Option<impl Serialize>,
    ) -> Result<(), BadInput> {
        let name = value.and_then(|value| toml::Value::try_from(value).ok());
        self.set(flag, path, name)
    }

    /// Sets the key at `path` to the value of `flag`, if it has one. A value that
    /// a scenario file could not have is refused, for the same reason.
    pub fn set(
        &mut self,
        flag: &str,
        path: &str,
        value: Option<impl Into<toml::Value>>,
    ) -> Result<(), BadInput> {
        let Some(value) = value else {
            return Ok(());
        };
        let value = value.into();
        let mut alone = toml::Table::new();
        insert(&mut alone, path, value.clone());
        if let Err(error) = Scenario::deserialize(alone) {
            let meant = suggestion(&error);
            return Err(BadInput::new(format!("{flag}: {}{meant}", error.message())));
        }
        insert(&mut self.0, path, value);
        Ok(())
    }

    /// Sets a header as `name: value` says.
    pub fn set_header(&mut self, flag: &str, header: &str) -> Result<(), BadInput> {
        let Some((name, value)) = header.split_once(':') else {
            // Not quoted: it may be a secret.
            let example = "write NAME: VALUE, as in 'x-user: {client}'";
            return Err(BadInput::new(format!("{flag}: {example}")));
        };
        let name = name.trim().to_ascii_lowercase();
        let table = toml::Table::from_iter([(name, toml::Value::from(value.trim()))]);
        self.set(flag, "relay.headers", Some(table))
    }

    /// Sets a table of shares, written as `name=share,name=share`.
    pub fn set_shares(
        &mut self,
        flag: &str,
        path: &str,
        shares: Option<&str>,
    ) -> Result<(), BadInput> {
        let mut table = toml::Table::new();
        for share in shares.into_iter().flat_map(|shares| shares.split(',')) {
            let written = share.split_once('=');
            let read = written.and_then(|(name, share)| Some((name, share.trim().parse().ok()?)));
            let Some((name, share)) = read else {
                let message = format!(
                    "{flag}: `{share}` is not a share; write them as in text=0.5,map=0.2,presence=0.3"
                );
                return Err(BadInput::new(message));
            };
            table.insert(name.trim().to_owned(), toml::Value::Float(share));
        }
        self.set(flag, path, shares.map(|_| table))
    }

    /// Sets a key from `key=value`. A value that is not TOML is taken as text.
    pub fn set_written(&mut self, setting: &str) -> anyhow::Result<()> {
        let Some((path, value)) = setting.split_once('=') else {
            let message = "--set: write key=value, as in churn.per_second=0.5";
            return Err(BadInput::new(message).into());
        };
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
        let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
        let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
        insert(&mut self.0, path.trim(), value);
        Ok(())
    }
}

/// Inserts a value at `path`, into the table that is already there.
fn insert(mut table: &mut toml::Table, path: &str, value: toml::Value) {
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    for key in keys {
        let inner = table
            .entry(key)
            .or_insert_with(|| toml::Table::new().into());
        let toml::Value::Table(inner) = inner else {
            return;
        };
        table = inner;
    }
    match (table.get_mut(last), value) {
        (Some(toml::Value::Table(old)), toml::Value::Table(new)) => old.extend(new),
        (_, value) => {
            table.insert(last.to_owned(), value);
        }
    }
}
