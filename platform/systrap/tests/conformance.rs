//! Everything that a platform must do, on systrap.

fn main() {
    let platform = systrap::Systrap::new(systrap::Config::default()).expect("start systrap");
    platform_conformance::run_all(platform);
}
