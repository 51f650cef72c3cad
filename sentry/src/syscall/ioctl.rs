//! `ioctl` (`man 2 ioctl`): what every file knows; the rest is the file's own.

use abi::uapi::ioctl::{
    FIGETBSZ, FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS,
};

use super::Args;
use crate::task::Current;
use crate::vfs::{FileDescription, FileType, Metadata, OpenFlags};
use crate::{Errno, SysResult};

/// `man 2 ioctl`
pub fn ioctl(current: &mut Current, args: Args) -> SysResult {
    let (fd, command, argument) = (args.i32(0), args.u32(1), args.u64(2));
    let description = current.fd(fd)?;
    match command {
        FIOCLEX => current.task.files()?.set_close_on_exec(fd, true).map(|()| 0),
        FIONCLEX => current.task.files()?.set_close_on_exec(fd, false).map(|()| 0),
        FIONBIO => set_flag(current, &description, OpenFlags::NONBLOCK, argument),
        FIOASYNC => set_flag(current, &description, OpenFlags::ASYNC, argument),
        _ => match description.file.ioctl(current, command, argument) {
            Err(Errno::ENOTTY) => of_named_file(current, &description, command, argument),
            done => done,
        },
    }
}

fn set_flag(current: &mut Current, description: &FileDescription, flag: OpenFlags, argument: u64) -> SysResult {
    let on = current.read_object::<i32>(argument)? != 0;
    let mut flags = description.flags();
    flags.set(flag, on);
    description.file.set_flags(flags)?;
    description.set_status_flags(flags);
    Ok(0)
}

/// Commands of regular files and directories that need nothing of their file system.
fn of_named_file(current: &mut Current, description: &FileDescription, command: u32, argument: u64) -> SysResult {
    let metadata = metadata(description)?;
    if !matches!(metadata.file_type, FileType::Regular | FileType::Directory) {
        return Err(Errno::ENOTTY);
    }
    match command {
        FIGETBSZ => current.return_object(argument, &(metadata.block_size as i32))?,
        FIONREAD if metadata.file_type == FileType::Regular => {
            let left = metadata.size.saturating_sub(*description.position.lock());
            current.return_object(argument, &(left.min(i32::MAX as u64) as i32))?;
        }
        FIOQSIZE => current.return_object(argument, &(metadata.size as i64))?,
        FS_IOC_GETFLAGS => current.return_object(argument, &0_u32)?,
        FS_IOC_SETFLAGS => {
            // No file system here keeps such attributes: only "none" can be set.
            if current.read_object::<u32>(argument)? != 0 {
                return Err(Errno::EOPNOTSUPP);
            }
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn metadata(description: &FileDescription) -> Result<Metadata, Errno> {
    match &description.location {
        Some(location) => location.inode().metadata(),
        None => description.file.metadata(),
    }
}
