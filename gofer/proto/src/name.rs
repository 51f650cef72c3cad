//! Which names may cross the protocol.

use std::ffi::CString;

use abi::Errno;

/// Bytes of a name at the most.
pub const NAME_MAX: usize = 255;
/// Bytes of a path or a link's target at the most, without the NUL.
pub const PATH_MAX: usize = 4095;

/// Components of one `Walk` at the most, so that the answer fits.
pub const WALK_MAX: usize = 256;

/// Checks that `name` is one plain component.
///
/// # Errors
/// ENOENT when empty, ENAMETOOLONG beyond [`NAME_MAX`], EINVAL for `.`, `..` and names with `/` or NUL.
pub fn check_name(name: &[u8]) -> Result<(), Errno> {
    match name {
        b"" => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EINVAL),
        _ if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        _ if name.iter().any(|&b| b == b'/' || b == 0) => Err(Errno::EINVAL),
        _ => Ok(()),
    }
}

/// A checked name as the host takes it.
///
/// # Errors
/// As [`check_name`].
pub fn to_c_string(name: &[u8]) -> Result<CString, Errno> {
    check_name(name)?;
    CString::new(name).map_err(|_| Errno::EINVAL)
}

/// Splits a relative path into its checked components; empty ones are left out.
///
/// # Errors
/// As [`check_name`]; ENAMETOOLONG beyond [`PATH_MAX`].
pub fn components(path: &[u8]) -> Result<Vec<&[u8]>, Errno> {
    if path.len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let parts: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|part| !part.is_empty()).collect();
    parts.iter().try_for_each(|part| check_name(part))?;
    Ok(parts)
}
