//! Not there yet.
pub fn run(_: &crate::options::SequenceOptions) -> crate::error::Result<bool> {
    Err(crate::error::Error("not there yet".into()))
}
