//! Not there yet.
pub fn run(_: &crate::options::CompatOptions) -> crate::error::Result<bool> {
    Err(crate::error::Error("not there yet".into()))
}
