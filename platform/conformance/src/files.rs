//! File mappings: private and shared, offsets, beyond the end, and what is not left behind.

use crate::Case;
use crate::guest::{DATA, Guest};
use abi::Errno;
use abi::signal::Signal;
use nix::sys::memfd::{MFdFlags, memfd_create};
use platform::{Event, Platform, Prot, Sharing};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

pub const CASES: &[Case] = &[
    ("a_private_file_mapping_copies_on_write", a_private_file_mapping_copies_on_write),
    ("a_shared_file_mapping_writes_the_file", a_shared_file_mapping_writes_the_file),
    ("a_file_mapping_starts_at_its_offset", a_file_mapping_starts_at_its_offset),
    ("beyond_the_end_of_file_is_a_bus_error", beyond_the_end_of_file_is_a_bus_error),
    ("a_mapping_gets_no_more_rights_than_the_fd", a_mapping_gets_no_more_rights_than_the_fd),
    ("what_cannot_be_mapped_is_refused_and_leaves_nothing", what_cannot_be_mapped_is_refused_and_leaves_nothing),
    ("msync_of_a_shared_mapping", msync_of_a_shared_mapping),
];

const AT: u64 = 0x6000_0000;

fn memfd(content: &[u8]) -> File {
    let file = File::from(memfd_create(c"conformance", MFdFlags::MFD_CLOEXEC).unwrap());
    file.write_all_at(content, 0).unwrap();
    file
}

fn a_private_file_mapping_copies_on_write(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let file = memfd(&[7; 0x2000]);
    guest.context.map_file(AT, 0x2000, Prot::READ_WRITE, Sharing::Private, file.as_fd(), 0).unwrap();
    guest.context.write(AT + 5, &[1]).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, 5).unwrap();
    assert_eq!(byte, [7]);
    file.write_all_at(&[8], 0x1000).unwrap();
    guest.context.read(AT + 0x1000, &mut byte).unwrap();
    assert_eq!(byte, [8], "an untouched page still shows the file");
}

fn a_shared_file_mapping_writes_the_file(platform: &dyn Platform) {
    // mov byte [rdi], 0x55; syscall
    let mut guest = Guest::new(platform, &[0xc6, 0x07, 0x55, 0x0f, 0x05]);
    let mut other = Guest::new(platform, &[0xcc]);
    let mut file = memfd(&[0; 0x1000]);
    for context in [&mut guest.context, &mut other.context] {
        context.map_file(AT, 0x1000, Prot::READ_WRITE, Sharing::Shared, file.as_fd(), 0).unwrap();
    }
    guest.context.regs_mut().rdi = AT + 9;
    assert_eq!(guest.run(), Event::Syscall);
    let mut all = Vec::new();
    file.read_to_end(&mut all).ok();
    let mut byte = [0];
    file.read_at(&mut byte, 9).unwrap();
    assert_eq!(byte, [0x55]);
    other.context.read(AT + 9, &mut byte).unwrap();
    assert_eq!(byte, [0x55]);
    assert_eq!(other.context.compare_exchange(AT + 8, 0x5500, 3), Ok(0x5500));
    assert_eq!(guest.word(AT + 8), 3);
}

fn a_file_mapping_starts_at_its_offset(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let mut content = vec![1; 0x1000];
    content.extend([2; 0x1000]);
    let file = memfd(&content);
    guest.context.map_file(DATA, 0x1000, Prot::READ, Sharing::Private, file.as_fd(), 0x1000).unwrap();
    let mut byte = [0];
    guest.context.read(DATA, &mut byte).unwrap();
    assert_eq!(byte, [2]);
    assert_eq!(
        guest.context.map_file(AT, 0x1000, Prot::READ, Sharing::Private, file.as_fd(), 0x10),
        Err(Errno::EINVAL)
    );
}

fn beyond_the_end_of_file_is_a_bus_error(platform: &dyn Platform) {
    // mov eax, [rdi]
    let mut guest = Guest::new(platform, &[0x8b, 0x07]);
    let file = memfd(&[1; 0x800]);
    guest.context.map_file(AT, 0x3000, Prot::READ_WRITE, Sharing::Shared, file.as_fd(), 0).unwrap();
    assert_eq!(guest.context.read(AT + 0x7ff, &mut [0; 0x1000]).unwrap_err().done, 0x801);
    assert!(guest.context.compare_exchange(AT + 0x1000, 0, 1).is_err());
    guest.context.regs_mut().rdi = AT + 0x2000;
    let Event::Fault(fault) = guest.run() else { panic!("no fault") };
    assert_eq!((fault.signal, fault.code, fault.addr), (Signal::SIGBUS, 2, AT + 0x2000));
}

fn a_mapping_gets_no_more_rights_than_the_fd(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let file = memfd(&[1; 0x1000]);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let read_only = File::open(path).unwrap();
    let refused = guest.context.map_file(AT, 0x1000, Prot::READ_WRITE, Sharing::Shared, read_only.as_fd(), 0);
    assert_eq!(refused, Err(Errno::EACCES));
    guest.context.map_file(AT, 0x1000, Prot::READ, Sharing::Shared, read_only.as_fd(), 0).unwrap();
    assert_eq!(guest.context.protect(AT, 0x1000, Prot::READ_WRITE), Err(Errno::EACCES));
}

fn what_cannot_be_mapped_is_refused_and_leaves_nothing(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let (pipe, _write) = nix::unistd::pipe().unwrap();
    let file = memfd(&[1; 0x1000]);
    for _ in 0..20 {
        assert_eq!(
            guest.context.map_file(AT, 0x1000, Prot::READ, Sharing::Private, pipe.as_fd(), 0),
            Err(Errno::ENODEV)
        );
        guest.context.map_file(AT, 0x1000, Prot::READ, Sharing::Private, file.as_fd(), 0).unwrap();
        assert!(guest.context.map_file(AT, 0, Prot::READ, Sharing::Private, file.as_fd(), 0).is_err());
    }
    if let Some(pid) = guest.context.space().host_pid() {
        let fds: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .map(|dir| dir.flatten().filter_map(|e| std::fs::read_link(e.path()).ok()).collect())
            .unwrap_or_default();
        let leaked =
            fds.iter().filter(|l| l.to_string_lossy().contains("memfd:conformance") || l.starts_with("pipe:")).count();
        assert_eq!(leaked, 0, "{fds:?}");
    }
}

fn msync_of_a_shared_mapping(platform: &dyn Platform) {
    let mut guest = Guest::new(platform, &[0xcc]);
    let file = memfd(&[1; 0x1000]);
    guest.context.map_file(AT, 0x1000, Prot::READ_WRITE, Sharing::Shared, file.as_fd(), 0).unwrap();
    guest.context.sync(AT, 0x1000, 4).unwrap();
    assert_eq!(guest.context.sync(AT + 0x10_0000, 0x1000, 4), Err(Errno::ENOMEM));
    assert_eq!(guest.context.sync(AT, 0x1000, 5), Err(Errno::EINVAL));
}
