//! Real programs give byte for byte what they give natively, on each platform.
//!
//! A case is a script in `syscall-tests/programs`. It runs in a fresh directory, natively and in the sandbox; standard output,
//! standard error and exit status must agree. A `NAME.rs` beside it is compiled to `./t` first.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

const PLATFORMS: &[&str] = &["systrap", "ptrace"];
/// Seconds for one run; the slowest native one takes a few.
const LIMIT: &str = "240";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for script in scripts() {
        for platform in PLATFORMS {
            let name = script.file_stem().expect("a script has a name").to_string_lossy().into_owned();
            let script = script.clone();
            trials.push(Trial::test(format!("{name}_on_{platform}_gives_the_native_result"), move || {
                agrees(&script, platform)
            }));
        }
    }
    assert!(!trials.is_empty(), "no scripts found");
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../syscall-tests/programs");
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the programs' folder")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    scripts.sort();
    scripts
}

fn agrees(script: &Path, platform: &str) -> Result<(), Failed> {
    // Programs print where they are, so both runs happen in one place, one after the other.
    let name = format!("{}-{platform}", script.file_stem().expect("a script has a name").to_string_lossy());
    let native = run(script, &name, &["timeout", LIMIT])?;
    let sandbox = env!("CARGO_BIN_EXE_sandbox");
    let limit = format!("--timeout={LIMIT}");
    let inside = run(script, &name, &[sandbox, "run", "--platform", platform, &limit, "--"])?;
    let mut differences = Vec::new();
    if native.status.code() != inside.status.code() {
        differences.push(format!("exit status: native {}, sandbox {}", native.status, inside.status));
    }
    for (what, native, inside) in
        [("stdout", &native.stdout, &inside.stdout), ("stderr", &native.stderr, &inside.stderr)]
    {
        if native != inside {
            let (native, inside) = (String::from_utf8_lossy(native), String::from_utf8_lossy(inside));
            differences.push(format!("{what}: native:\n{native}\n{what}: sandbox:\n{inside}"));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n").into()) }
}

/// Runs the script in a fresh directory.
fn run(script: &Path, name: &str, prefix: &[&str]) -> Result<std::process::Output, Failed> {
    let directory = Scratch::new(name);
    let place = directory.0.join("case");
    std::fs::create_dir(&place)?;
    std::fs::copy(script, place.join("script.sh"))?;
    let source = script.with_extension("rs");
    if source.exists() {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let status =
            Command::new(rustc).args(["-O", "--edition", "2024", "-o"]).arg(place.join("t")).arg(source).status()?;
        if !status.success() {
            return Err("the program does not compile".into());
        }
    }
    let output = Command::new(prefix[0])
        .args(&prefix[1..])
        .args(["bash", "script.sh"])
        .current_dir(&place)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

/// A directory that is removed with all it holds.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("programs-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the run");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
