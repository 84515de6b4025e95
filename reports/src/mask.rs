//! Masking what may be secret in text for people and records.

/// The text that is shown in place of a secret.
pub const MASK: &str = "***";

/// Returns `text` with the secrets of every URL in it masked, as [`mask_url`]
/// does it. A URL ends at white space or a quotation mark.
pub fn mask_urls(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(scheme_end) = rest.find("://") {
        let (before, url) = rest.split_at(scheme_end + "://".len());
        let ends = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        masked += before;
        masked += &mask_after_scheme(url);
        rest = after;
    }
    masked + rest
}

/// Returns `url` with its credentials, the values of its query and its fragment
/// masked. A value that is a placeholder, such as `{room}`, is no secret.
pub fn mask_url(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", mask_after_scheme(rest)),
        None => mask_after_scheme(url),
    }
}

fn mask_after_scheme(url: &str) -> String {
    let (credentials, url) = url.split_at(credentials_end(url));
    let credentials = match credentials.is_empty() {
        true => String::new(),
        false => format!("{MASK}@"),
    };
    let (place, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let (query, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let query: Vec<String> = query.split('&').map(mask_parameter).collect();
    let fragment = match fragment.is_empty() {
        true => String::new(),
        false => format!("#{MASK}"),
    };
    format!("{credentials}{place}{}{fragment}", query.join("&"))
}

/// The length of the credentials at the start of a URL without its scheme, with
/// their `@`.
fn credentials_end(url: &str) -> usize {
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let end = match authority.rfind('@') {
        // What looks like a port may begin a password that should have been
        // percent-encoded.
        None if !port.bytes().all(|byte| byte.is_ascii_digit()) => url.rfind('@'),
        end => end,
    };
    end.map_or(0, |at| at + 1)
}

/// Masks the value of one parameter of a query, or the whole of one without a
/// name. The first of a query begins with its `?`.
fn mask_parameter(parameter: &str) -> String {
    let (mark, parameter) = match parameter.strip_prefix('?') {
        Some(parameter) => ("?", parameter),
        None => ("", parameter),
    };
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) => (format!("{name}="), value),
        None => (String::new(), parameter),
    };
    match value.is_empty() || is_placeholder(value) {
        true => format!("{mark}{name}{value}"),
        false => format!("{mark}{name}{MASK}"),
    }
}

fn is_placeholder(value: &str) -> bool {
    let word = value
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    word.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_queries_and_fragments_are_masked_and_places_are_not() {
        for (url, masked) in [
            ("ws://h:7000/a/{room}", "ws://h:7000/a/{room}"),
            ("wss://me:s3cret@h/a", "wss://***@h/a"),
            ("wss://me:s/3@cret@h/a", "wss://***@h/a"),
            ("me:s3cret@h:7000", "***@h:7000"),
            ("ws://[::1]:7000/a", "ws://[::1]:7000/a"),
            (
                "ws://h?t=s3cret&doc={room}&s3cret",
                "ws://h?t=***&doc={room}&***",
            ),
            ("ws://h/a?t=#s3cret", "ws://h/a?t=#***"),
            ("ws://h/a?t={client}-s3cret", "ws://h/a?t=***"),
        ] {
            assert_eq!(mask_url(url), masked);
            assert_eq!(mask_url(masked), masked, "masking again changes nothing");
        }
    }

    #[test]
    fn urls_are_found_in_other_text() {
        assert_eq!(
            mask_urls("url=\"ws://a:b@h\", then 'http://h/x?t=1' and x=1?"),
            "url=\"ws://***@h\", then 'http://h/x?t=***' and x=1?"
        );
    }
}
