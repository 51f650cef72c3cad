//! Not there yet.
pub mod ltp {
    pub fn run(_: &crate::options::LtpOptions) -> crate::error::Result<bool> {
        Err(crate::error::Error("not there yet".into()))
    }
}
pub mod gtest {
    pub fn run(_: &crate::options::GtestOptions) -> crate::error::Result<bool> {
        Err(crate::error::Error("not there yet".into()))
    }
}
pub mod kselftest {
    pub fn run(_: &crate::options::KselftestOptions) -> crate::error::Result<bool> {
        Err(crate::error::Error("not there yet".into()))
    }
}
