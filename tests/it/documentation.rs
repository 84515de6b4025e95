//! The documentation and the help say what the program does: every command in them
//! runs as it is written, and flags, defaults and exit codes are those of the program.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use regex::Regex;

const PROGRAM: &str = env!("CARGO_BIN_EXE_syncbench");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Makes the commands short, see the file.
const SHORT: &str = include_str!("../documentation/short.sh");

fn syncbench(args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_remove("SYNCBENCH_DATASETS");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Returns the paths of all pages.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    pages.extend(["ARCHITECTURE.md", "CONTRIBUTING.md"].map(str::to_owned));
    for folder in ["docs", "docs/findings"] {
        for entry in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages
}

/// Returns the fenced blocks of a page with their languages, and the rest of it.
fn blocks(page: &str) -> (Vec<(String, String)>, String) {
    let fence = Regex::new(r"(?m)^```(.*)\n((?s:.*?))^```$").unwrap();
    let blocks = fence
        .captures_iter(page)
        .map(|block| (block[1].to_owned(), block[2].to_owned()));
    (blocks.collect(), fence.replace_all(page, "").into_owned())
}

/// Returns the texts between backticks, which may be broken into lines.
fn spans(prose: &str) -> Vec<String> {
    let span = Regex::new("`([^`]+)`").unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    span.captures_iter(prose)
        .map(|span| words(&span[1]))
        .collect()
}

/// Returns the commands of a page: its blocks, and what it names in the text.
fn commands(page: &str) -> Vec<String> {
    let (blocks, prose) = blocks(page);
    let mut commands = Vec::new();
    for (language, block) in blocks {
        let is_command = |line: &str| line.starts_with("syncbench ") || line.starts_with("cargo ");
        match language.as_str() {
            "sh" => commands.push(block),
            _ => assert!(!block.lines().any(is_command), "not marked as sh: {block}"),
        }
    }
    let named = spans(&prose).into_iter().filter_map(|span| {
        let words: Vec<&str> = span.split(' ').collect();
        match words[..] {
            // The command itself, and not how to use it.
            ["syncbench", _] => Some(format!("{span} --help")),
            ["syncbench" | "cargo" | "bash", _, ..] => Some(span),
            _ => None,
        }
    });
    commands.extend(named);
    let fill_in = |command: String| command.replace("<name>", "yrs").replace("<crate>", "loro");
    commands.into_iter().map(fill_in).collect()
}

/// Returns the names of all commands, as words.
fn command_names() -> Vec<Vec<String>> {
    let subcommand = Regex::new(r"(?m)^  ([a-z]+)  ").unwrap();
    let mut names = vec![Vec::new()];
    let mut at = 0;
    while at < names.len() {
        let help = help(&names[at]);
        let listed = help.split("\nOptions:").next().unwrap();
        let (_, listed) = listed.split_once("Commands:\n").unwrap_or_default();
        for found in subcommand.captures_iter(listed) {
            let is_help = &found[1] == "help";
            let name = [&names[at][..], &[found[1].to_owned()]].concat();
            names.extend((!is_help).then_some(name));
        }
        at += 1;
    }
    names
}

fn help(command: &[String]) -> String {
    let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
    args.push("--help");
    text(&syncbench(&args).stdout)
}

/// Returns the examples at the end of a help text.
fn examples(help: &str) -> Vec<String> {
    let example = Regex::new(r"(?m)^(?:Example:|  )\s*((?:[A-Z_]+=\S+ )?syncbench .*)$").unwrap();
    let found = example.captures_iter(help);
    found.map(|example| example[1].to_owned()).collect()
}

/// A trace of two keystrokes.
const TRACE: &str = r#"{"startContent": "", "endContent": "ab",
    "txns": [{"patches": [[0, 0, "a"]]}, {"patches": [[1, 0, "b"]]}]}"#;

/// Folders that a reader has.
const FOLDERS: [&str; 4] = [
    "traces",
    ".zfunc",
    ".config/fish/completions",
    ".local/share/bash-completion/completions",
];

/// Returns a folder with the files that the documentation takes for granted.
fn readers_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in FOLDERS {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(TRACE.as_bytes()).unwrap();
    write("my-trace.json.gz", &gzip.finish().unwrap());
    write("my-trace.json", TRACE.as_bytes());
    write("a.json", TRACE.as_bytes());
    write("my-scenario.toml", b"duration = \"1s\"");
    let records = record(&folder.path().join("a.json"));
    write("cells/export.jsonl", records);
    write("target/syncbench/export.jsonl", records);
    write("merge.jsonl", records);
    folder
}

/// Returns a record of a cell that was measured on `trace`.
fn record(trace: &Path) -> &'static [u8] {
    static RECORD: OnceLock<Vec<u8>> = OnceLock::new();
    RECORD.get_or_init(|| {
        let row = ["cell", "export", "--variant", "updates/first"];
        let dataset = ["--dataset", trace.to_str().unwrap()];
        syncbench(&[row.as_slice(), &dataset].concat()).stdout
    })
}

/// Runs a command in a folder. Returns what it printed, or how it failed.
fn run(command: &str, folder: &Path) -> Result<String, String> {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &format!("{SHORT}\n{command}")])
        .current_dir(folder)
        .env("ROOT", ROOT)
        .env("SYNCBENCH", PROGRAM)
        .env("HOME", folder)
        .env("SYNCBENCH_CACHE", folder.join("cache"))
        .env("TOKEN", "secret")
        .env_remove("SYNCBENCH_DATASETS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        code => Err(format!(
            "`{}` ended with {code:?}: {}",
            command.trim_end(),
            text(&output.stderr)
        )),
    }
}

/// Returns the empty files in a folder.
fn empty_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.metadata().unwrap() {
            meta if meta.is_dir() => empty_files(&entry.path()),
            meta if meta.len() == 0 => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

/// Runs commands one after the other, as somebody who follows a page would.
fn follow(page: &str, commands: &[String]) -> Vec<String> {
    let folder = readers_folder();
    let results = commands.iter().map(|command| run(command, folder.path()));
    let failures = results.filter_map(|result| result.err());
    let mut failures: Vec<String> = failures.map(|error| format!("{page}: {error}")).collect();
    let empty = empty_files(folder.path()).into_iter();
    failures.extend(empty.map(|file| format!("{page}: {} is empty", file.display())));
    failures
}

fn assert_none(failures: Vec<String>) {
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_command_of_the_documentation_runs_as_it_is_written() {
    let mut count = 0;
    let follow_page = |page: String| {
        let commands = commands(&read(&page));
        count += commands.len();
        follow(&page, &commands)
    };
    assert_none(pages().into_iter().flat_map(follow_page).collect());
    assert!(count > 50, "{count}");
}

#[test]
fn every_example_of_the_help_runs_as_it_is_written() {
    let names = command_names();
    let failures = names.iter().flat_map(|name| {
        let examples = examples(&help(name));
        let has_none = examples.is_empty() && !name.is_empty();
        assert!(!has_none, "{name:?} has no example");
        follow(&name.join(" "), &examples)
    });
    assert_none(failures.collect());
}

#[test]
fn a_command_that_does_not_exist_is_noticed() {
    let folder = readers_folder();
    for command in [
        "syncbench run --relays ws://127.0.0.1:7000",
        "syncbench run no-such-scenario",
        "syncbench run --threshold 'no_metric < 1s'",
        "syncbench run --dataset no-such-trace",
        "syncbench cell import --variant no-such-row",
        "syncbench cell import --engine no-such-engine",
        "syncbench compare --engine loro@1.12.0 --engine loro import --variant no-such-row",
        "syncbench relay --no-such-flag",
        "syncbench datasets fetch no-such-trace",
        "syncbench cell export > no-such-folder/export.jsonl",
        "cargo run --release -p syncbench-engines --example no_such_example",
        "cargo bench --bench no-such-bench",
        "bash no-such-script",
    ] {
        assert!(run(command, folder.path()).is_err(), "{command}");
    }
}

/// Returns the flags that a help text explains.
fn flags(help: &str) -> BTreeSet<String> {
    let flag = Regex::new(r"(?m)^ +(?:(-\w), )?(--[a-z-]+)").unwrap();
    flag.captures_iter(help)
        .flat_map(|flag| [flag.get(1), flag.get(2)])
        .flatten()
        .map(|flag| flag.as_str().to_owned())
        .collect()
}

/// Flags of cargo, Criterion and our scripts, which pages name by themselves.
const FLAGS_OF_OTHERS: [&str; 5] = [
    "--features",
    "--measurement-time",
    "--profile",
    "--release",
    "--sample-size",
];

#[test]
fn every_flag_that_a_page_names_exists() {
    let mut known: BTreeSet<String> = FLAGS_OF_OTHERS.map(str::to_owned).into();
    for name in command_names() {
        known.extend(flags(&help(&name)));
    }
    for page in pages() {
        let (_, prose) = blocks(&read(&page));
        for span in spans(&prose) {
            let first = span.split([' ', '=']).next().unwrap();
            let is_flag = first.len() > 2 && first.starts_with("--");
            let is_known = !is_flag || known.contains(first);
            assert!(is_known, "{page}: {first} does not exist");
        }
    }
}

#[test]
fn every_flag_of_a_load_run_is_documented() {
    let pages = ["README.md", "docs/SCENARIOS.md"].map(read).concat();
    let named: Vec<String> = spans(&blocks(&pages).1);
    for flag in flags(&help(&["run".to_owned()])) {
        let is_long = flag.starts_with("--");
        let is_named = named
            .iter()
            .any(|span| span.split(' ').next() == Some(&flag));
        let is_universal = flag == "--help";
        assert!(
            is_named || is_universal || !is_long,
            "{flag} is not documented"
        );
    }
}

/// Returns the rows of the table with this head, as cells.
fn table(page: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rows) = page.split_once(head).unwrap();
    let rows = rows.trim_start().lines().skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "{head}");
    rows
}

#[test]
fn the_defaults_in_the_readme_are_those_of_the_program() {
    let help = help(&["run".to_owned()]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut compared = 0;
    for row in table(&read("README.md"), "| flag | meaning | default |") {
        let flags = spans(&row[1]);
        let defaults: Vec<&str> = row[3].split(", ").collect();
        for (flag, default) in flags.iter().zip(defaults) {
            let (_, explained) = help.split_once(&format!(" {flag} ")).unwrap();
            let explained = explained.split(" --").next().unwrap();
            let Some((_, stated)) = explained.split_once("[default: ") else {
                continue;
            };
            assert_eq!(stated.split(']').next(), Some(default), "{flag}");
            compared += 1;
        }
    }
    assert!(compared >= 9, "{compared}");
}

#[test]
fn every_help_and_the_readme_have_the_same_exit_codes() {
    let code = Regex::new(r"\b\d+\b").unwrap();
    let codes = |text: &str| -> BTreeSet<String> {
        let found = code.find_iter(text);
        found.map(|code| code.as_str().to_owned()).collect()
    };
    let readme = table(&read("README.md"), "| code | meaning |");
    let in_use = readme.iter().filter(|row| !row[2].starts_with("reserved"));
    let documented: BTreeSet<String> = in_use.flat_map(|row| codes(&row[1])).collect();
    for name in command_names() {
        let help = help(&name);
        let (_, stated) = help.split_once("Exit codes: ").unwrap_or_default();
        assert_eq!(codes(stated), documented, "{name:?}");
    }
}

#[test]
fn every_metric_of_a_documented_threshold_exists() {
    let help = help(&["run".to_owned()]);
    let metrics: BTreeSet<&str> = help
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
        .map(|word| word.trim_end_matches('.'))
        .collect();
    for row in table(
        &read("docs/SCENARIOS.md"),
        "| metric | statistics | value |",
    ) {
        for metric in spans(&row[1]) {
            let is_share = metrics.contains(format!("{metric}.rate").as_str());
            assert!(is_share || metrics.contains(metric.as_str()), "{metric}");
        }
    }
}
