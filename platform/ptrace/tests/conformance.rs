//! Every claim of `platform-conformance` on this platform.

fn main() {
    // Before any thread: the template is a fork of this process.
    let platform = ptrace::Ptrace::new().expect("start the ptrace platform");
    platform_conformance::run_all(platform);
}
