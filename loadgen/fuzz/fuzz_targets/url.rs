//! Any text is the URL of a relay or an error that says why not; neither shows
//! the URL's password.
//!
//! Run it with `cargo fuzz run url corpus/url seeds/url` in `loadgen/fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use syncbench_loadgen::net::target::UrlTemplate;

const PASSWORD: &str = "hunter2-hunter2";

fuzz_target!(|text: &str| {
    let with_password = match text.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://user:{PASSWORD}@{rest}"),
        None => text.to_owned(),
    };
    match with_password.parse::<UrlTemplate>() {
        Ok(template) => {
            assert!(!template.to_string().contains(PASSWORD));
            if let Ok(url) = template.url("room-1", "client-1") {
                assert!(!url.to_string().contains(PASSWORD));
                assert!(!url.host().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().contains(PASSWORD), "{error}"),
    }
});
