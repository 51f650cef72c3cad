//! The context of a guest thread that has no program yet: the first one, until its `execve` brings a real one.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context as WakeContext, Poll};

use abi::Errno;

use crate::{Context, Error, Event, Interrupter, MemoryFault, Prot, Regs, Sharing, SpaceHandle};

/// A context with an empty address space, which can be asked for nothing: memory faults, changes fail with ESRCH, running it
/// gives [`Error::Gone`]. It saves the first program of a sandbox a stub that would be thrown away.
#[derive(Default)]
pub struct Vacant {
    regs: Regs,
}

struct Nowhere;

impl Interrupter for Nowhere {
    fn interrupt(&self) {}
}

impl SpaceHandle for Nowhere {
    fn id(&self) -> u64 {
        0
    }
    fn read(&self, _addr: u64, _buf: &mut [u8]) -> Result<(), MemoryFault> {
        FAULT
    }
    fn write(&self, _addr: u64, _data: &[u8]) -> Result<(), MemoryFault> {
        FAULT
    }
    fn host_pid(&self) -> Option<i32> {
        None
    }
    fn kill(&self) {}
}

const FAULT: Result<(), MemoryFault> = Err(MemoryFault { done: 0 });
const NO_SPACE: Result<(), Errno> = Err(Errno::ESRCH);

impl Context for Vacant {
    fn regs(&self) -> &Regs {
        &self.regs
    }
    fn regs_mut(&mut self) -> &mut Regs {
        &mut self.regs
    }
    fn resume(&mut self) {}
    fn poll_event(&mut self, _cx: &mut WakeContext<'_>) -> Poll<Result<Event, Error>> {
        Poll::Ready(Err(Error::Gone))
    }
    fn spin_event(&mut self, _spins: u32) -> Option<Result<Event, Error>> {
        Some(Err(Error::Gone))
    }
    fn is_gone(&self) -> bool {
        false
    }

    fn on_gone(&self, _waker: std::task::Waker) {}

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::new(Nowhere)
    }
    fn read(&mut self, _addr: u64, _buf: &mut [u8]) -> Result<(), MemoryFault> {
        FAULT
    }
    fn write(&mut self, _addr: u64, _data: &[u8]) -> Result<(), MemoryFault> {
        FAULT
    }
    fn compare_exchange(&mut self, _addr: u64, _old: u32, _new: u32) -> Result<u32, MemoryFault> {
        Err(MemoryFault { done: 0 })
    }
    fn map_anonymous(&mut self, _addr: u64, _len: u64, _prot: Prot, _noreserve: bool) -> Result<(), Errno> {
        NO_SPACE
    }
    fn map_file(
        &mut self,
        _addr: u64,
        _len: u64,
        _prot: Prot,
        _sharing: Sharing,
        _fd: BorrowedFd<'_>,
        _offset: u64,
    ) -> Result<(), Errno> {
        NO_SPACE
    }
    fn unmap(&mut self, _addr: u64, _len: u64) -> Result<(), Errno> {
        NO_SPACE
    }
    fn protect(&mut self, _addr: u64, _len: u64, _prot: Prot) -> Result<(), Errno> {
        NO_SPACE
    }
    fn remap(&mut self, _addr: u64, _len: u64, _new_addr: u64, _new_len: u64, _keep_old: bool) -> Result<(), Errno> {
        NO_SPACE
    }
    fn advise(&mut self, _addr: u64, _len: u64, _advice: u32) -> Result<(), Errno> {
        NO_SPACE
    }
    fn resident(&mut self, _addr: u64, _len: u64) -> Result<Vec<u8>, Errno> {
        Err(Errno::ESRCH)
    }
    fn sync(&mut self, _addr: u64, _len: u64, _flags: u32) -> Result<(), Errno> {
        NO_SPACE
    }
    fn clone_thread(&mut self) -> Result<Box<dyn Context>, Errno> {
        Err(Errno::ESRCH)
    }
    fn fork(&mut self) -> Result<Box<dyn Context>, Errno> {
        Err(Errno::ESRCH)
    }
    fn xstate_size(&self) -> usize {
        0
    }
    fn save_xstate(&mut self, _addr: u64) -> Result<(), MemoryFault> {
        FAULT
    }
    fn restore_xstate(&mut self, _addr: u64) -> Result<(), MemoryFault> {
        FAULT
    }
    fn space(&self) -> Arc<dyn SpaceHandle> {
        Arc::new(Nowhere)
    }
}
