//! Flags as the settings of a scenario file.

use serde::Serialize;

use crate::cmd::BadInput;

/// Settings by the path of their key, such as `workload.rate`.
#[derive(Default)]
pub struct Flags(pub toml::Table);

impl Flags {
    /// Sets a key to one of the names that the scenario accepts for it.
    pub fn set_name(&mut self, path: &str, value: Option<impl Serialize>) {
        let name = value.and_then(|value| toml::Value::try_from(value).ok());
        self.set(path, name);
    }

    /// Sets the key at `path`, if there is a value.
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

    /// Sets a table of shares, written as `name=share,name=share`.
    pub fn set_shares(&mut self, path: &str, shares: Option<&str>) -> anyhow::Result<()> {
        let mut table = toml::Table::new();
        for share in shares.into_iter().flat_map(|shares| shares.split(',')) {
            let written = share.split_once('=');
            let read = written.and_then(|(name, share)| Some((name, share.trim().parse().ok()?)));
            let Some((name, share)) = read else {
                let message = format!(
                    "--mix: `{share}` is not a share; write them as in text=0.5,map=0.2,presence=0.3"
                );
                return Err(BadInput::new(message).into());
            };
            table.insert(name.trim().to_owned(), toml::Value::Float(share));
        }
        self.set(path, shares.map(|_| table));
        Ok(())
    }

    /// Sets a key from `key=value`. A value that is not TOML is taken as text.
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
