//! Mappings as `/proc/PID/maps` shows them.

use std::io::Write;

use platform::Sharing;

use super::{MappedFile, Source, Vma};
use crate::Errno;
use crate::vfs::{Location, Metadata};

impl MappedFile {
    /// The attributes of the file.
    ///
    /// # Errors
    /// EIO when its source is gone.
    pub fn metadata(&self) -> Result<Metadata, Errno> {
        match &self.description.location {
            Some(location) => location.inode().metadata(),
            None => self.description.file.metadata(),
        }
    }
}

impl Vma {
    /// Device and inode number as `/proc/PID/maps` and `map_files` tell them; zeroes for memory without a file.
    pub fn device_and_inode(&self) -> (u64, u64) {
        match &self.source {
            Source::File(file, _) => file.metadata().map_or((0, 0), |metadata| (metadata.dev, metadata.ino)),
            Source::Shared(memory, _) => (1, memory.id),
            _ => (0, 0),
        }
    }

    /// Appends its line of `/proc/PID/maps`; `path` tells the name of a file from the reader's root.
    pub fn write_line(&self, out: &mut Vec<u8>, path: &dyn Fn(&Location) -> Vec<u8>) {
        let start = out.len();
        let (dev, ino) = self.device_and_inode();
        let (major, minor) = ((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00));
        let flag = |on: bool, letter: char| if on { letter } else { '-' };
        let _ = write!(
            out,
            "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
            self.start,
            self.end,
            flag(self.prot.read, 'r'),
            flag(self.prot.write, 'w'),
            flag(self.prot.exec, 'x'),
            if self.sharing == Sharing::Shared { 's' } else { 'p' },
            self.offset(),
            major,
            minor,
            ino
        );
        let name: Vec<u8> = match (&self.source, &self.name) {
            (Source::File(file, _), _) => match &file.description.location {
                Some(location) => path(location),
                None => file.description.file.description().into_bytes(),
            },
            (Source::Shared(memory, _), None) => memory.name.clone(),
            (Source::Shared(_, _), Some(name)) => [b"[anon_shmem:", &name[..], b"]"].concat(),
            (Source::Heap, None) => b"[heap]".to_vec(),
            (Source::Stack, None) => b"[stack]".to_vec(),
            (Source::Fixed(name), _) => name.as_bytes().to_vec(),
            (_, Some(name)) => [b"[anon:", &name[..], b"]"].concat(),
            (Source::Anonymous, None) => Vec::new(),
        };
        if !name.is_empty() {
            // The name begins at column 73, as the kernel's seq_pad does it.
            let column = (out.len() - start).max(73);
            out.resize(start + column, b' ');
            // Only a line feed would break the format.
            for byte in name {
                if byte == b'\n' { out.extend_from_slice(b"\\012") } else { out.push(byte) }
            }
        }
        out.push(b'\n');
    }
}
