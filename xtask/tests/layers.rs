//! The layers of the project hold: who may depend on whom, where `unsafe` may be, how the sentry reaches the host.

use std::path::{Path, PathBuf};

/// Each crate's folder and the crates of the project that it may use (tests aside).
const LAYERS: &[(&str, &[&str])] = &[
    ("sentry/abi", &[]),
    ("platform", &["abi"]),
    ("platform/host", &["abi"]),
    ("platform/systrap/stub", &["abi"]),
    ("platform/systrap", &["abi", "platform", "host", "systrap-stub"]),
    ("platform/ptrace", &["abi", "platform", "host"]),
    ("platform/conformance", &["abi", "platform", "host"]),
    ("gofer/proto", &["abi", "host"]),
    ("gofer", &["abi", "host", "gofer-proto"]),
    ("sentry", &["abi", "platform", "host", "gofer-proto"]),
    ("runsc-cli/runtime", &["abi", "platform", "host", "systrap", "ptrace", "gofer-proto", "gofer", "sentry"]),
    ("runsc-cli", &["runtime"]),
];

const PROJECT: &[&str] = &[
    "abi",
    "platform",
    "host",
    "systrap",
    "systrap-stub",
    "ptrace",
    "platform-conformance",
    "gofer",
    "gofer-proto",
    "sentry",
    "runtime",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// Names under `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[").find_map(|part| part.strip_prefix("dependencies]")).unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', '=', ' ']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn crates_depend_downwards_only() {
    for (folder, allowed) in LAYERS {
        let manifest = read(format!("{folder}/Cargo.toml"));
        for name in dependencies(&manifest) {
            let ours = PROJECT.contains(&name.as_str());
            assert!(!ours || allowed.contains(&name.as_str()), "{folder} must not depend on {name}");
        }
    }
}

#[test]
fn unsafe_is_forbidden_outside_its_homes() {
    for (folder, _) in LAYERS {
        let is_home = matches!(*folder, "platform/host" | "platform/systrap" | "platform/systrap/stub");
        let file = if *folder == "runsc-cli" { "main.rs" } else { "lib.rs" };
        let text = read(format!("{folder}/src/{file}"));
        assert!(is_home || text.contains("#![forbid(unsafe_code)]"), "{folder} does not forbid unsafe code");
    }
}

#[test]
fn the_sentry_reaches_the_host_only_through_its_wrapper() {
    for name in dependencies(&read("sentry/Cargo.toml")) {
        assert!(!matches!(name.as_str(), "libc" | "nix" | "rustix"), "the sentry must not depend on {name}");
    }
    for path in sources(&root().join("sentry/src")) {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for module in ["std::fs", "std::net", "std::process"] {
            let used = product.lines().any(|line| line.contains(module) && !line.trim_start().starts_with("//"));
            assert!(!used, "{} uses {module}", path.display());
        }
    }
}
