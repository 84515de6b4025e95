//! The command line as records show it: without what may be secret.

use std::iter::once;

use syncbench_reports::mask::{MASK, mask_url, mask_urls};

/// Returns what is shown of a value.
type Mask = fn(&str) -> String;

/// The flags whose values are secret in part, and what is shown of them.
const SECRET: [(&str, Mask); 5] = [
    ("-H", header),
    ("--header", header),
    ("--join-auth", |_| MASK.to_owned()),
    ("--relay", mask_url),
    ("--set", setting),
];

/// Returns the command line so that it can be typed again, without the folder of
/// the executable and without secrets.
pub fn command_line() -> String {
    shown(std::env::args().skip(1))
}

fn shown(args: impl Iterator<Item = String>) -> String {
    let mut previous = String::new();
    let args = args.map(|arg| {
        let shown = quoted(&masked(&previous, &arg));
        previous = arg;
        shown
    });
    let words: Vec<String> = once("syncbench".to_owned()).chain(args).collect();
    words.join(" ")
}

/// Returns `arg` without secrets. Its flag is the argument before it, or part of
/// it.
fn masked(previous: &str, arg: &str) -> String {
    // `-qH` is `-q -H`.
    let ends_in_header = !previous.starts_with("--") && previous.ends_with('H');
    let previous = match previous.starts_with('-') && ends_in_header {
        true => "-H",
        false => previous,
    };
    for (flag, mask) in SECRET {
        if previous == flag {
            return mask(arg);
        }
        if let Some(value) = arg
            .strip_prefix(flag)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return format!("{flag}={}", mask(value));
        }
    }
    if let Some(rest) = arg.strip_prefix("-q") {
        return format!("-q{}", masked("", &format!("-{rest}")).split_off(1));
    }
    match arg.strip_prefix("-H") {
        Some("") | None => mask_urls(arg),
        Some(value) => format!("-H{}", header(value)),
    }
}

/// Shows the name of a header.
fn header(header: &str) -> String {
    match header.split_once(':') {
        Some((name, _)) => format!("{name}: {MASK}"),
        None => MASK.to_owned(),
    }
}

/// Shows the key of a setting, and its value if that is no secret.
fn setting(setting: &str) -> String {
    let Some((key, value)) = setting.split_once('=') else {
        return MASK.to_owned();
    };
    let mut parts = key
        .split('.')
        .map(|part| part.trim().trim_matches(['"', '\'']));
    let is_secret = match (parts.next(), parts.next()) {
        (Some("relay"), None | Some("headers" | "join_auth")) => true,
        (Some("relay"), Some("url")) => return format!("{key}={}", mask_url(value)),
        _ => false,
    };
    match is_secret {
        true => format!("{key}={MASK}"),
        false => mask_urls(setting),
    }
}

/// Quotes `arg` so that a POSIX shell reads it as one word.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(args: &[&str]) -> String {
        shown(args.iter().map(|arg| (*arg).to_owned()))
    }

    #[test]
    fn secrets_are_masked_however_they_are_given() {
        for args in [
            &["-H", "x-key: s3cret"][..],
            &["-H=x-key: s3cret"],
            &["-Hx-key: s3cret"],
            &["-qH", "x-key: s3cret"],
            &["-qHx-key: s3cret"],
            &["--header", "x-key:s3cret"],
            &["--header=x-key: s3cret"],
            &["-H", "s3cret"],
            &["--join-auth", "s3cret"],
            &["--join-auth=s3cret"],
            &["--relay", "ws://a:s3cret@h/?t=s3cret's3cret"],
            &["--relay=ws://h/?s3cret"],
            &["--relay-cmd", "node relay.js --url 'ws://h/?t=s3cret'"],
            &["--set", "relay.url=ws://h?t=s3cret"],
            &["--set=relay.headers={x-key=\"s3cret\"}"],
            &["--set", "relay.headers.x-key=s3cret"],
            &["--set", "relay.\"headers\".x-key=s3cret"],
            &["--set", "relay.join_auth=s3cret"],
            &["--set", "relay={join_auth='s3cret'}"],
        ] {
            let shown = command(args);
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains(MASK), "{shown}");
        }
    }

    #[test]
    fn all_else_is_as_it_was_typed() {
        assert_eq!(
            command(&[
                "run",
                "-H",
                "x-key: 1",
                "--relay",
                "ws://h:1/{room}",
                "--clients",
                "9"
            ]),
            "syncbench run -H 'x-key: ***' --relay 'ws://h:1/{room}' --clients 9"
        );
        assert_eq!(
            command(&["run", "-q", "--set", "workload.rate=5", "-o", "it's here"]),
            r"syncbench run -q --set workload.rate=5 -o 'it'\''s here'"
        );
    }
}
