//! `memfd_create` (`man 2 memfd_create`).

use abi::uapi::general::{MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_HUGETLB, MFD_NOEXEC_SEAL};

use super::Args;
use crate::fs::tmpfs::{create_memfd, seal};
use crate::task::Current;
use crate::{Errno, SysResult};

/// Longest name, NUL included.
const NAME_SIZE: usize = 250;

/// `man 2 memfd_create`
pub fn memfd_create(current: &mut Current, args: Args) -> SysResult {
    let flags = args.u32(1);
    if flags & MFD_HUGETLB != 0 {
        // As on a kernel that is built without huge page files.
        return Err(Errno::ENOSYS);
    }
    if flags & !(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC) != 0
        || flags & (MFD_EXEC | MFD_NOEXEC_SEAL) == MFD_EXEC | MFD_NOEXEC_SEAL
    {
        return Err(Errno::EINVAL);
    }
    let name = match current.read_cstr(args.u64(0), NAME_SIZE) {
        Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL),
        name => name?,
    };
    let (permissions, seals) = match flags {
        flags if flags & MFD_NOEXEC_SEAL != 0 => (0o666, seal::EXEC),
        flags if flags & MFD_ALLOW_SEALING != 0 => (0o777, 0),
        _ => (0o777, seal::SEAL),
    };
    let credentials = current.task.credentials();
    let description = create_memfd(&name, permissions, (credentials.fsuid, credentials.fsgid), seals)?;
    current.install(description, flags & MFD_CLOEXEC != 0).map(|fd| fd as u64)
}
