//! `syncbench datasets` as a user meets it: output, messages and exit codes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

const TRACE: &str = r#"{"startContent":"","endContent":"hey!","txns":[
    {"time":"2024-01-01T00:00:00Z","patches":[[0,0,"hi"]]},
    {"time":"2024-01-01T00:00:01Z","patches":[[1,1,"ey"],[3,0,"!"]]}]}"#;

/// Runs `syncbench datasets ARGS` with an empty cache in `home` and no mirror.
fn datasets(home: &Path, args: &[&str], proxy: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command
            .env_remove(variable)
            .env_remove(variable.to_lowercase());
    }
    if let Some(proxy) = proxy {
        command.env("HTTPS_PROXY", proxy);
    }
    let command = command.arg("datasets").args(args).current_dir(home);
    let command = command
        .env_remove("SYNCBENCH_DATASETS")
        .env("SYNCBENCH_CACHE", home.join("cache"));
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Starts a proxy that refuses everything and returns the first request.
fn refusing_proxy() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let mut first = String::new();
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap())
                .read_line(&mut line)
                .unwrap();
            stream
                .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
            if first.is_empty() {
                first = line;
            }
        }
        first
    });
    (url, asked)
}

#[test]
fn fetch_goes_through_the_proxy_and_fails_with_one_line_a_file() {
    let home = tempfile::tempdir().unwrap();
    let (proxy, asked) = refusing_proxy();
    let output = datasets(
        home.path(),
        &["fetch", "C1", "A1", "friendsforever"],
        Some(&proxy),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        asked
            .join()
            .unwrap()
            .starts_with("CONNECT raw.githubusercontent.com:443 ")
    );
    let lines: Vec<String> = stderr(&output).lines().map(str::to_owned).collect();
    // C1 is made from friendsforever, which is fetched once.
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("syncbench: cannot fetch `friendsforever` from https://"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("syncbench: cannot fetch `A1` from https://"),
        "{lines:?}"
    );
}

#[test]
fn names_that_are_not_known_are_bad_input() {
    let home = tempfile::tempdir().unwrap();
    for args in [
        ["fetch", "friendsforevr"],
        ["verify", "friendsforevr"],
        ["stats", "friendsforevr"],
    ] {
        let output = datasets(home.path(), &args, None);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains("did you mean friendsforever"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_data_set_that_is_not_here_says_how_to_get_it() {
    let home = tempfile::tempdir().unwrap();
    let output = datasets(home.path(), &["stats", "C1"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("`syncbench datasets fetch friendsforever`"),
        "{}",
        stderr(&output)
    );
    let output = datasets(home.path(), &["verify", "A1"], None);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_mirror_that_does_not_exist_is_bad_input() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    for mirror in [home.path().join("nowhere"), file] {
        for args in [
            &["datasets", "list"][..],
            &["datasets", "verify", "automerge-paper"],
            &["datasets", "fetch", "--all"],
            &["cell", "import", "--dataset", "automerge-paper"],
            &["run", "--duration", "1s"],
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
            command.args(args).current_dir(home.path());
            let output = command.env("SYNCBENCH_DATASETS", &mirror).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}");
            let message = stderr(&output);
            assert!(message.contains("SYNCBENCH_DATASETS"), "{message}");
            assert!(message.contains(mirror.to_str().unwrap()), "{message}");
        }
    }
}

#[test]
fn list_says_what_is_here_and_under_which_licence() {
    let home = tempfile::tempdir().unwrap();
    let output = datasets(home.path(), &["list", "--json"], None);
    assert!(output.status.success());
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = list["datasets"].as_array().unwrap();
    assert_eq!(entries.len(), 16);
    for entry in entries {
        let own =
            entry["entry"]["name"] == "automerge-paper" && syncbench_datasets::has_embedded_trace();
        assert_eq!(
            entry["here"],
            if own {
                "embedded".into()
            } else {
                serde_json::Value::Null
            }
        );
        assert!(!entry["entry"]["licence"].as_str().unwrap().is_empty());
    }
    assert!(stdout(&datasets(home.path(), &["list"], None)).contains("CC BY 4.0"));
}

#[test]
fn a_path_works_where_a_name_does() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mine.json"), TRACE).unwrap();
    let output = datasets(
        home.path(),
        &["convert", "mine.json", "mine.sbtrace", "--json"],
        None,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let output = datasets(
        home.path(),
        &["convert", "mine.sbtrace", "again.json.gz"],
        None,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let output = datasets(
        home.path(),
        &["stats", "again.json.gz", "--json", "-o", "plots"],
        None,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(stats["stats"]["counts"]["patches"], 3);
    assert_eq!(stats["stats"]["pause_ms"]["p50"], 1_000);
    for plot in stats["plots"].as_array().unwrap() {
        let svg = std::fs::read_to_string(home.path().join(plot.as_str().unwrap())).unwrap();
        assert!(svg.starts_with("<svg"), "{plot}");
    }
}

#[test]
fn a_trace_that_is_wrong_is_bad_input_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("bad.json"), TRACE.replace("hey!", "hex!")).unwrap();
    let output = datasets(home.path(), &["convert", "bad.json", "bad.sbtrace"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("bad.json: the edits give another text"),
        "{}",
        stderr(&output)
    );
    assert!(!home.path().join("bad.sbtrace").exists());
    std::fs::write(home.path().join("good.json"), TRACE).unwrap();
    let output = datasets(home.path(), &["convert", "good.json", "good.txt"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains(".json, .json.gz or .sbtrace"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn verify_replays_what_is_here_and_says_what_is_not() {
    let home = tempfile::tempdir().unwrap();
    let output = datasets(home.path(), &["verify"], None);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("not on this machine: `syncbench datasets fetch --all`"),
        "{text}"
    );
    if syncbench_datasets::has_embedded_trace() {
        assert!(text.contains("right: edit by edit"), "{text}");
    }
}

#[test]
fn a_file_with_a_wrong_checksum_is_found() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache/datasets/latch-bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("shallow_snapshot.bin"), b"another file").unwrap();
    let output = datasets(home.path(), &["verify", "latch-shallow"], None);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("WRONG"));
    let message = stderr(&output);
    assert!(
        message.contains("wrong checksum") && message.contains("fetch latch-shallow` replaces it"),
        "{message}"
    );
}
