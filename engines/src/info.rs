//! The facts about an engine that a build without it also knows.

/// An engine that a build of this crate can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineInfo {
    /// The name that [`Engine::name`](crate::Engine::name) returns.
    pub name: &'static str,
    /// The library's key among the dependencies of this crate.
    pub dependency: &'static str,
    /// The cargo feature that adds the engine, or `None` if every build has it.
    pub feature: Option<&'static str>,
    /// Other packages of the library that fit each other only at the same
    /// release, although their requirements allow more.
    pub published_together: &'static [&'static str],
}

impl EngineInfo {
    /// Creates an entry whose library is a single package.
    pub(crate) const fn new(
        name: &'static str,
        dependency: &'static str,
        feature: Option<&'static str>,
    ) -> Self {
        Self {
            name,
            dependency,
            feature,
            published_together: &[],
        }
    }
}
