//! The engines by name: those of this build and those that another build has.

use crate::adapters;
use crate::engine::Engine;
use crate::info::EngineInfo;

/// Returns the engines of this build, in the order in which tables show them.
pub fn engines() -> &'static [&'static dyn Engine] {
    adapters::BUILT
}

/// Returns the engine of this build that is called `name`.
pub fn engine(name: &str) -> Option<&'static dyn Engine> {
    let mut engines = engines().iter().copied();
    engines.find(|engine| engine.name() == name)
}

impl EngineInfo {
    /// Every engine, whether or not this build has it, in the order of
    /// [`engines`].
    pub const ALL: &'static [Self] = adapters::ALL;

    /// Returns the engine that is called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|info| info.name == name)
    }
}
