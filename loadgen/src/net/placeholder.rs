//! Placeholders, which stand for the names of a room and a client.

use syncbench_reports::similar::similar;

/// The placeholders that there are, without their braces.
const KNOWN: [&str; 2] = ["room", "client"];

/// The names of one connection, which placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The name of the room.
    pub room: &'a str,
    /// The name of the client.
    pub client: &'a str,
}

/// A word in braces that stands for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown placeholder `{{{word}}}` ({})", suggestion(.word))]
pub struct UnknownPlaceholder {
    /// The word between the braces.
    word: String,
}

fn suggestion(word: &str) -> String {
    match similar(word, KNOWN.into_iter()) {
        Some(known) => format!("did you mean `{{{known}}}`?"),
        None => "the placeholders are `{room}` and `{client}`".to_owned(),
    }
}

/// Checks that every word in braces is a placeholder. Other braces are text.
///
/// # Errors
/// If a word in braces stands for nothing.
pub fn check(text: &str) -> Result<(), UnknownPlaceholder> {
    for part in parts(text) {
        if let Part::Placeholder(word) = part
            && !KNOWN.contains(&word)
        {
            let word = word.to_owned();
            return Err(UnknownPlaceholder { word });
        }
    }
    Ok(())
}

/// Returns `text` with the names in the places of its placeholders.
pub fn fill(text: &str, names: Names<'_>) -> String {
    let filled = parts(text).map(|part| match part {
        Part::Placeholder("room") => names.room,
        Part::Placeholder("client") => names.client,
        Part::Placeholder(other) => other,
        Part::Text(text) => text,
    });
    filled.collect()
}

/// Returns the parts of `text` between its placeholders.
pub fn texts(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(|part| match part {
        Part::Text(text) => Some(text),
        Part::Placeholder(_) => None,
    })
}

enum Part<'a> {
    Text(&'a str),
    /// A word in braces.
    Placeholder(&'a str),
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, after) = first_part(rest)?;
        rest = after;
        Some(part)
    })
}

fn first_part(text: &str) -> Option<(Part<'_>, &str)> {
    if text.is_empty() {
        return None;
    }
    let Some(inner) = text.strip_prefix('{') else {
        let (before, rest) = text.split_at(text.find('{').unwrap_or(text.len()));
        return Some((Part::Text(before), rest));
    };
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    match inner.split_once('}') {
        Some((word, rest)) if is_word(word) => Some((Part::Placeholder(word), rest)),
        _ => Some((Part::Text(&text[..1]), inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> = Names {
        room: "{client}",
        client: "c",
    };

    #[test]
    fn names_take_the_places_of_placeholders_alone() {
        for (text, filled) in [
            ("", ""),
            ("{room}/{client}", "{client}/c"),
            ("{{client}", "{c"),
            (r#"{"a": {}, "b": "{client}"}"#, r#"{"a": {}, "b": "c"}"#),
            ("{client", "{client"),
        ] {
            assert_eq!(fill(text, NAMES), filled, "{text}");
        }
    }

    #[test]
    fn an_unknown_placeholder_is_refused_with_the_one_that_was_meant() {
        for (text, advice) in [
            (
                "/{rom}",
                "unknown placeholder `{rom}` (did you mean `{room}`?)",
            ),
            ("{Client}", "did you mean `{client}`?"),
            ("{x}", "the placeholders are `{room}` and `{client}`"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
        }
        assert_eq!(check(r#"{"json": {}} {room} {"#), Ok(()));
    }
}
