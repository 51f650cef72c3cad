//! Builds the stub: freestanding, without SSE (the extended state is the guest's), linked at its fixed address, flat.

use abi::table::prefetch;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let stub = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("stub");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    for file in ["blob", "entry", "layout", "prefetch", "serve", "setup", "signal", "sys", "window"] {
        println!("cargo::rerun-if-changed={}", stub.join("src").join(file).with_extension("rs").display());
    }
    let script = stub.join("stub.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    println!("cargo::rerun-if-changed=build.rs");

    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let object = out.join("stub.o");
    let table = out.join("prefetch.bin");
    fs::write(&table, prefetch_table()).unwrap();
    let mut compile = Command::new(&rustc);
    compile.env("PREFETCH_TABLE", &table);
    compile.args(["--edition", "2024", "--crate-name", "stub", "--crate-type", "lib", "-A", "dead_code"]);
    compile.args(["-C", "panic=abort", "-C", "opt-level=3", "-C", "codegen-units=1"]);
    compile.args(["-C", "overflow-checks=off", "-C", "debug-assertions=off", "-C", "relocation-model=pic"]);
    compile.args(["-C", "code-model=small"]);
    // A bare-metal target says it properly; where its `core` is not installed, the host's target with SSE switched off
    // gives the same code (rustc warns about floating-point ABIs, which the stub does not use).
    if has_target(&rustc, "x86_64-unknown-none") {
        compile.args(["--target", "x86_64-unknown-none"]);
    } else {
        compile.args(["--target", "x86_64-unknown-linux-gnu"]);
        compile.args(["-C", "target-feature=-sse,-sse2,-mmx,-avx,+soft-float"]);
    }
    compile.arg(format!("--emit=obj={}", object.display())).arg(stub.join("src/blob.rs"));
    run(&mut compile);

    let mut link = Command::new(env::var("LD").unwrap_or_else(|_| "ld".into()));
    link.args(["-static", "--build-id=none", "-e", "zygote_entry", "-T"]);
    link.arg(&script).arg("-o").arg(out.join("stub.elf")).arg(&object);
    run(&mut link);
    // (`ld --oformat binary` fills the offset table wrongly.)
    let elf = fs::read(out.join("stub.elf")).unwrap();
    fs::write(out.join("stub.bin"), segment(&elf)).unwrap();
}

/// What the stub knows of each call, as plain bytes: action, arguments, size.
fn prefetch_table() -> Vec<u8> {
    let steps = prefetch::TABLE.iter().flatten();
    steps
        .flat_map(|step| {
            let [low, high] = step.size.to_le_bytes();
            [step.action as u8, step.arg() as u8 | (step.count_arg() as u8) << 4, low, high]
        })
        .collect()
}

/// The bytes of the only loadable segment.
fn segment(elf: &[u8]) -> &[u8] {
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let (table, size, count) = (word(32), half(54), half(56));
    let headers: Vec<usize> =
        (0..count).map(|i| table + i * size).filter(|&at| elf[at..at + 4] == [1, 0, 0, 0]).collect();
    assert_eq!(headers.len(), 1, "the stub has one segment");
    let (offset, length) = (word(headers[0] + 8), word(headers[0] + 32));
    &elf[offset..offset + length]
}

fn has_target(rustc: &str, target: &str) -> bool {
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
    output.is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
}
