//! Embeds the trace `automerge-paper`. The published package `loro-internal`
//! contains it, and is a dependency of the workspace, so cargo has already downloaded
//! it. If it cannot be found, the build continues without it.

use std::path::{Path, PathBuf};
use std::{env, fs};

use sha2::{Digest, Sha256};

const SHA256: &str = "42c0ff1720c0cad77077e190e36135c9cab9f7bbc266351c0a7fe4981c6a1546";
const FILE: &str = "benches/automerge-paper.json.gz";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_HOME");
    println!("cargo::rustc-check-cfg=cfg(embedded_trace)");
    let Some((path, bytes)) = candidates().find_map(|path| read_if_intact(&path)) else {
        println!(
            "cargo::warning=the package loro-internal was not found below the cargo home: the trace automerge-paper is not embedded, `syncbench datasets fetch automerge-paper` gets it"
        );
        return;
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("automerge-paper.json.gz"), bytes).expect("OUT_DIR can be written");
    println!("cargo::rustc-cfg=embedded_trace");
    println!("cargo::rerun-if-changed={}", path.display());
}

/// Iterates over the paths that the trace has in every version of the package and
/// every registry.
fn candidates() -> impl Iterator<Item = PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let registries = home
        .into_iter()
        .flat_map(|home| folders(&home.join("registry/src")));
    registries
        .flat_map(|registry| folders(&registry))
        .filter(|path| is_package(path))
        .map(|package| package.join(FILE))
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

fn is_package(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("loro-internal-"))
}

fn read_if_intact(path: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let bytes = fs::read(path).ok()?;
    let found: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    (found == SHA256).then(|| (path.to_owned(), bytes))
}
