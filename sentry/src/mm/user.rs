//! Access to guest memory by the current task. A guest pointer is an *allegation*: nothing about it has been shown.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::Errno;
use crate::task::Current;

/// Longest path, NUL included (`PATH_MAX`).
pub const PATH_MAX: usize = 4096;
/// Most bytes that one read or write transfers (`MAX_RW_COUNT`).
pub const MAX_RW_COUNT: u64 = 0x7fff_f000;
/// Most vectors in one call (`UIO_MAXIOV`).
pub const UIO_MAXIOV: u64 = 1024;

/// An alleged range of guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UserSlice {
    /// First byte.
    pub addr: u64,
    /// Bytes.
    pub len: u64,
}

impl Current {
    /// Copies a structure from guest memory.
    ///
    /// # Errors
    /// EFAULT
    pub fn read_object<T: FromBytes + IntoBytes>(&mut self, addr: u64) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        self.read_bytes(addr, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies a structure to guest memory, now.
    ///
    /// # Errors
    /// EFAULT
    pub fn write_object<T: IntoBytes + Immutable>(&mut self, addr: u64, value: &T) -> Result<(), Errno> {
        self.write_bytes(addr, value.as_bytes())
    }

    /// Copies a structure to guest memory on the way back to the guest: the cheap way for the last thing a call does. A
    /// fault turns the call's result into EFAULT then, so use it only where nothing has to be undone.
    ///
    /// # Errors
    /// EFAULT when it is already known.
    pub fn return_object<T: IntoBytes + Immutable>(&mut self, addr: u64, value: &T) -> Result<(), Errno> {
        self.return_bytes(addr, value.as_bytes())
    }

    /// Fills `buf` from guest memory.
    ///
    /// # Errors
    /// EFAULT
    pub fn read_bytes(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), Errno> {
        if buf.is_empty() {
            return Ok(());
        }
        self.context.read(addr, buf).map_err(|_| Errno::EFAULT)
    }

    /// Copies `data` to guest memory, now.
    ///
    /// # Errors
    /// EFAULT
    pub fn write_bytes(&mut self, addr: u64, data: &[u8]) -> Result<(), Errno> {
        if data.is_empty() {
            return Ok(());
        }
        self.context.write(addr, data).map_err(|_| Errno::EFAULT)
    }

    /// Like [`Current::return_object`] for bytes.
    ///
    /// # Errors
    /// EFAULT when it is already known.
    pub fn return_bytes(&mut self, addr: u64, data: &[u8]) -> Result<(), Errno> {
        if data.is_empty() {
            return Ok(());
        }
        self.context.write_on_resume(addr, data).map_err(|_| Errno::EFAULT)
    }

    /// Copies as much of `slice` as is readable; at least one byte unless it is empty.
    ///
    /// # Errors
    /// EFAULT when not even the first byte is readable.
    pub fn read_slice(&mut self, slice: UserSlice) -> Result<Vec<u8>, Errno> {
        let len = usize::try_from(slice.len.min(MAX_RW_COUNT)).map_err(|_| Errno::EFAULT)?;
        let mut data = vec![0; len];
        match self.context.read(slice.addr, &mut data) {
            Ok(()) => {}
            Err(fault) if fault.done > 0 => data.truncate(fault.done),
            Err(_) if len > 0 => return Err(Errno::EFAULT),
            Err(_) => {}
        }
        Ok(data)
    }

    /// Copies an array of `count` structures.
    ///
    /// # Errors
    /// EFAULT; ENOMEM when the array would exceed 16 MiB.
    pub fn read_array<T: FromBytes + IntoBytes + Clone>(&mut self, addr: u64, count: usize) -> Result<Vec<T>, Errno> {
        if count.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > 16 << 20) {
            return Err(Errno::ENOMEM);
        }
        let mut bytes = vec![0; count * size_of::<T>()];
        self.read_bytes(addr, &mut bytes)?;
        let elements =
            bytes.chunks_exact(size_of::<T>()).map(|chunk| T::read_from_bytes(chunk).map_err(|_| Errno::EFAULT));
        elements.collect()
    }

    /// Copies an array of structures to guest memory, now.
    ///
    /// # Errors
    /// EFAULT
    pub fn write_array<T: IntoBytes + Immutable>(&mut self, addr: u64, values: &[T]) -> Result<(), Errno> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.as_bytes().iter().copied()).collect();
        self.write_bytes(addr, &bytes)
    }

    /// Copies a NUL-terminated string of at most `max` bytes, NUL included; the NUL is not in the result.
    ///
    /// # Errors
    /// EFAULT; ENAMETOOLONG when there is no NUL within `max` bytes.
    pub fn read_cstr(&mut self, addr: u64, max: usize) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        while string.len() < max {
            let at = addr.checked_add(string.len() as u64).ok_or(Errno::EFAULT)?;
            // Never across a page border in one copy: the string may end just before an unmapped page.
            let to_border = (abi::PAGE_SIZE - at % abi::PAGE_SIZE) as usize;
            let step = to_border.min(256).min(max - string.len());
            let start = string.len();
            string.resize(start + step, 0);
            self.read_bytes(at, &mut string[start..])?;
            if let Some(nul) = string[start..].iter().position(|&b| b == 0) {
                string.truncate(start + nul);
                return Ok(string);
            }
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// Copies a path.
    ///
    /// # Errors
    /// EFAULT, ENAMETOOLONG.
    pub fn read_path(&mut self, addr: u64) -> Result<Vec<u8>, Errno> {
        self.read_cstr(addr, PATH_MAX)
    }

    /// Copies and checks an array of vectors. Lengths are cut so that their sum is at most [`MAX_RW_COUNT`].
    ///
    /// # Errors
    /// EINVAL for more than [`UIO_MAXIOV`] or a length that is negative; EFAULT.
    pub fn read_iovecs(&mut self, addr: u64, count: u64) -> Result<Vec<UserSlice>, Errno> {
        // Linux takes the count as `unsigned int`.
        let count = count & 0xffff_ffff;
        if count > UIO_MAXIOV {
            return Err(Errno::EINVAL);
        }
        let vectors: Vec<abi::types::Iovec> = self.read_array(addr, count as usize)?;
        let mut room = MAX_RW_COUNT;
        let mut slices = Vec::with_capacity(vectors.len());
        for vector in vectors {
            if vector.len > i64::MAX as u64 {
                return Err(Errno::EINVAL);
            }
            const END: u64 = 1 << 47;
            if vector.base.checked_add(vector.len).is_none_or(|end| end > END) {
                return Err(Errno::EFAULT);
            }
            let len = vector.len.min(room);
            room -= len;
            slices.push(UserSlice { addr: vector.base, len });
        }
        Ok(slices)
    }
}
