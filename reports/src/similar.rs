//! Suggestions for misspelt names.

/// The name that was probably meant: the nearest, if it is near.
pub fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.and_then(|(likeness, known)| (likeness > 0.8).then_some(known))
}
