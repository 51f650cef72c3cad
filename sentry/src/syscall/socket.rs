//! `socket`, `connect`, `sendmsg`, `recvmsg` and their kin.

use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use abi::signal::{SigInfo, Signal};

use super::Args;
use super::read_write::of_limited_sleep;
use crate::kernel::timer::Deadline;
use crate::kernel::wait_queue::Readiness;
use crate::mm::user::{MAX_RW_COUNT, UserSlice};
use crate::socket::address::{Address, MAX_LEN};
use crate::socket::message::{Credentials, Flags, Received, Rights, ToSend};
use crate::socket::unix::{MAX_RIGHTS, UnixSocket};
use crate::socket::{AF_UNIX, Directions, Kind, Socket, SocketFile, options};
use crate::task::Current;
use crate::task::capability::Capability;
use crate::vfs::{FileDescription, OpenFlags};
use crate::{Errno, SysResult};

const SOCK_NONBLOCK: u32 = 0o4000;
const SOCK_CLOEXEC: u32 = 0o2_000_000;
const SOL_SOCKET: i32 = options::SOL_SOCKET;
const SCM_RIGHTS: i32 = 1;
const SCM_CREDENTIALS: i32 = 2;
/// Most bytes that one receive moves at once; longer reads of a stream come in parts, as they may.
const CHUNK: usize = 256 << 10;
/// Longest control buffer that is looked at (`net.core.optmem_max`).
const MAX_CONTROL: u64 = 128 << 10;
/// Most messages in one `sendmmsg` or `recvmmsg` (`UIO_MAXIOV`).
const MAX_MESSAGES: u32 = 1024;

/// `struct user_msghdr`
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct MessageHeader {
    name: u64,
    name_len: i32,
    pad: u32,
    iov: u64,
    iov_len: u64,
    control: u64,
    control_len: u64,
    flags: u32,
    pad2: u32,
}

/// `struct cmsghdr`
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ControlHeader {
    len: u64,
    level: i32,
    kind: i32,
}

const CONTROL_HEADER: usize = size_of::<ControlHeader>();

/// `man 2 socket`
pub fn socket(current: &mut Current, args: Args) -> SysResult {
    let (kind, flags) = kind_and_flags(args.u32(1))?;
    let socket = make(current, args.i32(0), kind, args.i32(2))?;
    install(current, socket, flags)
}

/// `man 2 socketpair`
pub fn socketpair(current: &mut Current, args: Args) -> SysResult {
    let (kind, flags) = kind_and_flags(args.u32(1))?;
    // Checks family and protocol as `socket` does.
    drop(make(current, args.i32(0), kind, args.i32(2))?);
    let (a, b) = UnixSocket::pair(current, kind);
    let first = install(current, a, flags)? as i32;
    let second = match install(current, b, flags) {
        Ok(fd) => fd as i32,
        Err(errno) => {
            let _ = current.task.files()?.remove(first);
            return Err(errno);
        }
    };
    if let Err(errno) = current.write_object(args.u64(3), &[first, second]) {
        let files = current.task.files()?;
        let closed = (files.remove(first), files.remove(second));
        drop(closed);
        return Err(errno);
    }
    Ok(0)
}

fn kind_and_flags(number: u32) -> Result<(Kind, OpenFlags), Errno> {
    let flags = number & !0xf;
    if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    // SOCK_RAW on a Unix socket has always meant SOCK_DGRAM.
    let number = if number & 0xf == 3 { 2 } else { number & 0xf };
    let kind = Kind::new(number).ok_or(if number > 10 { Errno::EINVAL } else { Errno::ESOCKTNOSUPPORT })?;
    Ok((kind, OpenFlags::from_bits_truncate(flags)))
}

fn make(current: &Current, family: i32, kind: Kind, protocol: i32) -> Result<Arc<UnixSocket>, Errno> {
    if family != i32::from(AF_UNIX) {
        return Err(Errno::EAFNOSUPPORT);
    }
    if protocol != 0 && protocol != i32::from(AF_UNIX) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    Ok(UnixSocket::new(&current.kernel, kind))
}

fn install(current: &Current, socket: Arc<dyn Socket>, flags: OpenFlags) -> SysResult {
    let description = SocketFile::open(current, socket, flags);
    current.install(description, flags.contains(OpenFlags::CLOEXEC)).map(|fd| fd as u64)
}

/// `man 2 bind`
pub fn bind(current: &mut Current, args: Args) -> SysResult {
    let (_, socket) = current.socket(args.i32(0))?;
    let address = read_address(current, args.u64(1), args.i32(2))?;
    socket.bind(current, &address).map(|()| 0)
}

/// `man 2 listen`
pub fn listen(current: &mut Current, args: Args) -> SysResult {
    let (_, socket) = current.socket(args.i32(0))?;
    socket.listen(current, args.i32(1)).map(|()| 0)
}

/// `man 2 accept`
pub async fn accept(current: &mut Current, args: Args) -> SysResult {
    accept_with(current, args, OpenFlags::empty()).await
}

/// `man 2 accept4`
pub async fn accept4(current: &mut Current, args: Args) -> SysResult {
    if args.u32(3) & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    accept_with(current, args, OpenFlags::from_bits_truncate(args.u32(3))).await
}

async fn accept_with(current: &mut Current, args: Args, flags: OpenFlags) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    let queue = socket.queue().clone();
    let deadline = socket.options().receive_timeout().map(Deadline::after_ns);
    let attempt = |_: &mut Current| socket.accept();
    let accepted = match is_nonblocking(&description, Flags::empty()) {
        true => attempt(current)?,
        false => current
            .block_on(&queue, Readiness::READABLE, deadline, attempt)
            .await
            .map_err(|e| of_limited_sleep(e, deadline))?,
    };
    let peer = accepted.peer_address();
    let fd = install(current, accepted, flags)?;
    if args.u64(1) != 0 {
        let written = peer.and_then(|peer| write_address(current, args.u64(1), args.u64(2), &peer));
        if let Err(errno) = written {
            let closed = current.task.files()?.remove(fd as i32);
            drop(closed);
            return Err(errno);
        }
    }
    Ok(fd)
}

/// `man 2 connect`
pub async fn connect(current: &mut Current, args: Args) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    let address = read_address(current, args.u64(1), args.i32(2))?;
    let result = socket.connect(current, &address);
    if result != Err(Errno::EAGAIN) || is_nonblocking(&description, Flags::empty()) {
        return result.map(|()| 0);
    }
    let queue = socket.connect_queue(current, &address).ok_or(Errno::ECONNREFUSED)?;
    let deadline = socket.options().send_timeout().map(Deadline::after_ns);
    let attempt = |current: &mut Current| socket.connect(current, &address);
    current
        .block_on(&queue, Readiness::all(), deadline, attempt)
        .await
        .map_err(|e| of_limited_sleep(e, deadline))
        .map(|()| 0)
}

/// `man 2 shutdown`
pub fn shutdown(current: &mut Current, args: Args) -> SysResult {
    let (_, socket) = current.socket(args.i32(0))?;
    let directions = match args.i32(1) {
        0 => Directions { read: true, write: false },
        1 => Directions { read: false, write: true },
        2 => Directions { read: true, write: true },
        _ => return Err(Errno::EINVAL),
    };
    socket.shutdown(directions).map(|()| 0)
}

/// `man 2 getsockname`
pub fn getsockname(current: &mut Current, args: Args) -> SysResult {
    let (_, socket) = current.socket(args.i32(0))?;
    write_address(current, args.u64(1), args.u64(2), &socket.local_address()).map(|()| 0)
}

/// `man 2 getpeername`
pub fn getpeername(current: &mut Current, args: Args) -> SysResult {
    let (_, socket) = current.socket(args.i32(0))?;
    write_address(current, args.u64(1), args.u64(2), &socket.peer_address()?).map(|()| 0)
}

/// `man 2 setsockopt`
pub fn setsockopt(current: &mut Current, args: Args) -> SysResult {
    let (_, socket) = current.socket(args.i32(0))?;
    let len = usize::try_from(args.i32(4)).map_err(|_| Errno::EINVAL)?;
    if args.i32(1) != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    if len < size_of::<i32>() {
        return Err(Errno::EINVAL);
    }
    let mut value = vec![0; len.min(MAX_LEN)];
    current.read_bytes(args.u64(3), &mut value)?;
    socket.options().set(args.i32(2), &value).map(|()| 0)
}

/// `man 2 getsockopt`
pub fn getsockopt(current: &mut Current, args: Args) -> SysResult {
    let (_, socket) = current.socket(args.i32(0))?;
    let len: i32 = current.read_object(args.u64(4))?;
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if args.i32(1) != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let value = socket.options().get(&*socket, args.i32(2))?;
    let given = value.len().min(len);
    current.write_bytes(args.u64(3), &value[..given])?;
    current.write_object(args.u64(4), &(given as i32))?;
    Ok(0)
}

/// `man 2 sendto`
pub async fn sendto(current: &mut Current, args: Args) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    let to = match args.u64(4) {
        0 => None,
        addr => Some(read_address(current, addr, args.i32(5))?),
    };
    let data = current.read_slice(UserSlice { addr: args.u64(1), len: args.u64(2) })?;
    let flags = Flags::from_bits_retain(args.u32(3));
    send(current, &description, &socket, Outgoing { data, to, rights: Vec::new(), credentials: None, flags }).await
}

/// `man 2 sendmsg`
pub async fn sendmsg(current: &mut Current, args: Args) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    let header: MessageHeader = current.read_object(args.u64(1))?;
    send_header(current, &description, &socket, &header, args.u32(2)).await
}

/// `man 2 sendmmsg`
pub async fn sendmmsg(current: &mut Current, args: Args) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    let mut sent = 0;
    for n in 0..args.u32(2).min(MAX_MESSAGES) {
        let at = args.u64(1).checked_add(u64::from(n) * MMSGHDR).ok_or(Errno::EFAULT)?;
        let header = current.read_object::<MessageHeader>(at);
        let result = match header {
            Ok(header) => send_header(current, &description, &socket, &header, args.u32(3)).await,
            Err(errno) => Err(errno),
        };
        match result {
            Ok(len) => current.write_object(at + MSG_LEN, &(len as u32))?,
            Err(errno) if sent == 0 => return Err(errno),
            Err(_) => break,
        }
        sent += 1;
    }
    Ok(sent)
}

/// Size of `struct mmsghdr`, and where its `msg_len` stands.
const MMSGHDR: u64 = 64;
const MSG_LEN: u64 = 56;

/// A message that was copied from guest memory.
struct Outgoing {
    data: Vec<u8>,
    to: Option<Address>,
    rights: Rights,
    credentials: Option<Credentials>,
    flags: Flags,
}

async fn send_header(
    current: &mut Current,
    description: &Arc<FileDescription>,
    socket: &Arc<dyn Socket>,
    header: &MessageHeader,
    flags: u32,
) -> SysResult {
    let to = match header.name {
        0 => None,
        addr if header.name_len != 0 => Some(read_address(current, addr, header.name_len)?),
        _ => None,
    };
    if header.iov_len > crate::mm::user::UIO_MAXIOV {
        return Err(Errno::EMSGSIZE);
    }
    let vectors = current.read_iovecs(header.iov, header.iov_len)?;
    let mut data = Vec::new();
    for vector in vectors {
        data.extend(current.read_slice(vector)?);
    }
    let (rights, credentials) = read_control(current, header)?;
    send(
        current,
        description,
        socket,
        Outgoing { data, to, rights, credentials, flags: Flags::from_bits_retain(flags) },
    )
    .await
}

async fn send(
    current: &mut Current,
    description: &Arc<FileDescription>,
    socket: &Arc<dyn Socket>,
    mut outgoing: Outgoing,
) -> SysResult {
    let nonblocking = is_nonblocking(description, outgoing.flags);
    let queue = socket.send_queue(current, outgoing.to.as_ref());
    let deadline = socket.options().send_timeout().map(Deadline::after_ns);
    let mut sent = 0;
    let result = loop {
        let attempt = |current: &mut Current| {
            let mut message = ToSend {
                data: &outgoing.data[sent..],
                to: outgoing.to.as_ref(),
                rights: std::mem::take(&mut outgoing.rights),
                credentials: outgoing.credentials,
                flags: outgoing.flags,
            };
            let result = socket.send(current, &mut message);
            // Not taken when it would block: for the next attempt.
            outgoing.rights = message.rights;
            result
        };
        let result = match nonblocking {
            true => once(current, attempt),
            false => current
                .block_on(&queue, Readiness::WRITABLE, deadline, attempt)
                .await
                .map_err(|e| of_limited_sleep(e, deadline)),
        };
        match result {
            Ok(len) => sent += len,
            Err(errno) => break Err(errno),
        }
        if sent >= outgoing.data.len() || socket.kind() != Kind::Stream {
            break Ok(());
        }
    };
    match result {
        Err(errno) if sent == 0 => {
            if errno == Errno::EPIPE && socket.kind() == Kind::Stream && !outgoing.flags.contains(Flags::NOSIGNAL) {
                let info = SigInfo::from_sender(
                    Signal::SIGPIPE,
                    SigInfo::SI_USER,
                    current.task.group.pid,
                    current.task.credentials().uid,
                );
                crate::signal::send_to_task(&current.task, info);
            }
            Err(errno)
        }
        _ => Ok(sent as u64),
    }
}

/// `man 2 recvfrom`
pub async fn recvfrom(current: &mut Current, args: Args) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    let flags = Flags::from_bits_retain(args.u32(3));
    let len = args.u64(2).min(MAX_RW_COUNT) as usize;
    let (data, received) = receive(current, &description, &socket, len, flags).await?;
    current.write_bytes(args.u64(1), &data)?;
    if args.u64(4) != 0 {
        match &received.from {
            Some(from) if socket.kind() == Kind::Datagram && !from.is_unnamed() => {
                write_address(current, args.u64(4), args.u64(5), from)?
            }
            _ if args.u64(5) != 0 => current.write_object(args.u64(5), &0i32)?,
            _ => {}
        }
    }
    Ok(result_len(&received, flags))
}

/// `man 2 recvmsg`
pub async fn recvmsg(current: &mut Current, args: Args) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    receive_header(current, &description, &socket, args.u64(1), args.u32(2)).await
}

/// `man 2 recvmmsg`
pub async fn recvmmsg(current: &mut Current, args: Args) -> SysResult {
    let (description, socket) = current.socket(args.i32(0))?;
    let deadline = match args.u64(4) {
        0 => None,
        addr => {
            let time: abi::types::Timespec = current.read_object(addr)?;
            if !time.is_valid() {
                return Err(Errno::EINVAL);
            }
            Some(Deadline::after_ns(time.to_ns() as u64))
        }
    };
    let mut flags = args.u32(3);
    let mut count = 0;
    for n in 0..args.u32(2).min(MAX_MESSAGES) {
        let at = args.u64(1).checked_add(u64::from(n) * MMSGHDR).ok_or(Errno::EFAULT)?;
        match receive_header(current, &description, &socket, at, flags & !Flags::WAITFORONE.bits()).await {
            Ok(len) => current.write_object(at + MSG_LEN, &(len as u32))?,
            Err(errno) if count == 0 => return Err(errno),
            Err(_) => break,
        }
        count += 1;
        if flags & Flags::WAITFORONE.bits() != 0 {
            flags |= Flags::DONTWAIT.bits();
        }
        // The time-out is looked at between messages only (`man 2 recvmmsg`, BUGS).
        if deadline.is_some_and(Deadline::has_passed) {
            break;
        }
    }
    Ok(count)
}

async fn receive_header(
    current: &mut Current,
    description: &Arc<FileDescription>,
    socket: &Arc<dyn Socket>,
    addr: u64,
    flags: u32,
) -> SysResult {
    let header: MessageHeader = current.read_object(addr)?;
    if header.name != 0 && header.name_len < 0 {
        return Err(Errno::EINVAL);
    }
    if header.iov_len > crate::mm::user::UIO_MAXIOV {
        return Err(Errno::EMSGSIZE);
    }
    let vectors = current.read_iovecs(header.iov, header.iov_len)?;
    let len = vectors.iter().map(|vector| vector.len as usize).sum();
    let flags = Flags::from_bits_retain(flags);
    let (data, mut received) = receive(current, description, socket, len, flags).await?;
    let mut rest = &data[..];
    for vector in vectors {
        let (now, later) = rest.split_at(rest.len().min(vector.len as usize));
        current.write_bytes(vector.addr, now)?;
        rest = later;
    }
    let mut out = header;
    out.name_len = 0;
    if header.name != 0
        && socket.kind() == Kind::Datagram
        && let Some(from) = received.from.as_ref().filter(|from| !from.is_unnamed())
    {
        let bytes = from.encode();
        current.write_bytes(header.name, &bytes[..bytes.len().min(header.name_len as usize)])?;
        out.name_len = bytes.len() as i32;
    }
    out.flags = 0;
    let (control, cut) = write_control(current, socket, &header, &mut received, flags)?;
    out.control_len = control;
    out.flags =
        (received.flags | if cut { Flags::CTRUNC } else { Flags::empty() } | flags & Flags::CMSG_CLOEXEC).bits();
    // Pointers and the count of vectors are left as they are, as in Linux.
    current.write_object(addr + 8, &out.name_len)?;
    current.write_object(addr + 40, &out.control_len)?;
    current.write_object(addr + 48, &out.flags)?;
    Ok(result_len(&received, flags))
}

fn result_len(received: &Received, flags: Flags) -> u64 {
    if flags.contains(Flags::TRUNC) { received.full_len as u64 } else { received.len as u64 }
}

/// Receives up to `len` bytes; with `MSG_WAITALL` on a stream, all of them.
async fn receive(
    current: &mut Current,
    description: &Arc<FileDescription>,
    socket: &Arc<dyn Socket>,
    len: usize,
    flags: Flags,
) -> Result<(Vec<u8>, Received), Errno> {
    let nonblocking = is_nonblocking(description, flags);
    let queue = socket.queue().clone();
    let deadline = socket.options().receive_timeout().map(Deadline::after_ns);
    let mut data = vec![0; len.min(CHUNK)];
    let mut all: Option<Received> = None;
    let mut filled = 0;
    loop {
        let attempt = |current: &mut Current| socket.receive(current, &mut data[filled..], flags);
        let result = match nonblocking {
            true => once(current, attempt),
            false => current
                .block_on(&queue, Readiness::READABLE, deadline, attempt)
                .await
                .map_err(|e| of_limited_sleep(e, deadline)),
        };
        let received = match (result, &all) {
            (Ok(received), _) => received,
            (Err(errno), None) => return Err(errno),
            (Err(_), Some(_)) => break,
        };
        filled += received.len;
        let stop = received.len == 0 || !received.rights.is_empty();
        match &mut all {
            None => all = Some(received),
            Some(all) => {
                all.len += received.len;
                all.full_len += received.full_len;
                all.rights.extend(received.rights);
            }
        }
        let wants_more =
            flags.contains(Flags::WAITALL) && !flags.contains(Flags::PEEK) && socket.kind() == Kind::Stream;
        if stop || !wants_more || filled >= data.len() {
            break;
        }
    }
    data.truncate(filled);
    Ok((data, all.unwrap_or_default()))
}

fn is_nonblocking(description: &FileDescription, flags: Flags) -> bool {
    flags.contains(Flags::DONTWAIT) || description.flags().contains(OpenFlags::NONBLOCK)
}

fn read_address(current: &mut Current, addr: u64, len: i32) -> Result<Address, Errno> {
    let len = usize::try_from(len).ok().filter(|&len| len <= MAX_LEN).ok_or(Errno::EINVAL)?;
    let mut bytes = vec![0; len];
    current.read_bytes(addr, &mut bytes)?;
    Address::decode(&bytes)
}

/// Stores as much of an address as there is room for, and its true length.
fn write_address(current: &mut Current, addr: u64, len_addr: u64, address: &Address) -> Result<(), Errno> {
    let room: i32 = current.read_object(len_addr)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let bytes = address.encode();
    current.write_bytes(addr, &bytes[..bytes.len().min(room)])?;
    current.write_object(len_addr, &(bytes.len() as i32))
}

/// Descriptors and credentials in a message's control buffer.
fn read_control(current: &mut Current, header: &MessageHeader) -> Result<(Rights, Option<Credentials>), Errno> {
    let mut rights = Vec::new();
    let mut credentials = None;
    if header.control == 0 || header.control_len == 0 {
        return Ok((rights, credentials));
    }
    if header.control_len > MAX_CONTROL {
        return Err(Errno::ENOBUFS);
    }
    let mut control = vec![0; header.control_len as usize];
    current.read_bytes(header.control, &mut control)?;
    let mut rest = &control[..];
    while let Ok((head, _)) = ControlHeader::read_from_prefix(rest) {
        let len = usize::try_from(head.len)
            .ok()
            .filter(|&len| len >= CONTROL_HEADER && len <= rest.len())
            .ok_or(Errno::EINVAL)?;
        let data = &rest[CONTROL_HEADER..len];
        match (head.level, head.kind) {
            (SOL_SOCKET, SCM_RIGHTS) => {
                for chunk in data.chunks_exact(size_of::<i32>()) {
                    let fd = i32::read_from_bytes(chunk).map_err(|_| Errno::EINVAL)?;
                    rights.push(current.fd_or_path(fd)?);
                }
                if rights.len() > MAX_RIGHTS {
                    return Err(Errno::EINVAL);
                }
            }
            (SOL_SOCKET, SCM_CREDENTIALS) => {
                let [pid, uid, gid] = <[u32; 3]>::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
                let given = Credentials { pid: pid as i32, uid, gid };
                check_credentials(current, &given)?;
                credentials = Some(given);
            }
            (SOL_SOCKET, _) => return Err(Errno::EINVAL),
            _ => {}
        }
        rest = &rest[len.next_multiple_of(8).min(rest.len())..];
    }
    Ok((rights, credentials))
}

/// Whose credentials a process may send (`man 7 unix`).
fn check_credentials(current: &Current, given: &Credentials) -> Result<(), Errno> {
    let own = current.task.credentials();
    let pid = given.pid == current.task.group.pid || own.has(Capability::SYS_ADMIN);
    let uid = [own.uid, own.euid, own.suid].contains(&given.uid) || own.has(Capability::SETUID);
    let gid = [own.gid, own.egid, own.sgid].contains(&given.gid) || own.has(Capability::SETGID);
    if !(pid && uid && gid) {
        return Err(Errno::EPERM);
    }
    if current.kernel.pids.group(given.pid).is_none() { Err(Errno::ESRCH) } else { Ok(()) }
}

/// Writes credentials and installs descriptors; the bytes used, and whether something did not fit.
fn write_control(
    current: &mut Current,
    socket: &Arc<dyn Socket>,
    header: &MessageHeader,
    received: &mut Received,
    flags: Flags,
) -> Result<(u64, bool), Errno> {
    let room = if header.control == 0 { 0 } else { header.control_len.min(MAX_CONTROL) as usize };
    let mut used = 0;
    let mut cut = false;
    if socket.options().passes_credentials() {
        let sender = received.credentials.unwrap_or(Credentials { pid: 0, uid: 65534, gid: 65534 });
        let data = [sender.pid as u32, sender.uid, sender.gid];
        match room.checked_sub(CONTROL_HEADER + 12) {
            Some(_) => used += put_control(current, header.control, SCM_CREDENTIALS, data.as_bytes())?,
            None => cut = true,
        }
    }
    let rights = std::mem::take(&mut received.rights);
    if rights.is_empty() {
        return Ok((used.min(room) as u64, cut));
    }
    let fitting = room.saturating_sub(used + CONTROL_HEADER) / size_of::<i32>();
    cut |= fitting < rights.len();
    let mut numbers: Vec<i32> = Vec::new();
    for description in rights.into_iter().take(fitting) {
        match current.install(description, flags.contains(Flags::CMSG_CLOEXEC)) {
            Ok(fd) => numbers.push(fd),
            Err(_) => {
                cut = true;
                break;
            }
        }
    }
    if !numbers.is_empty() {
        used += put_control(current, header.control + used as u64, SCM_RIGHTS, numbers.as_bytes())?;
    }
    Ok((used.min(room) as u64, cut))
}

fn put_control(current: &mut Current, addr: u64, kind: i32, data: &[u8]) -> Result<usize, Errno> {
    let len = CONTROL_HEADER + data.len();
    let head = ControlHeader { len: len as u64, level: SOL_SOCKET, kind };
    current.write_object(addr, &head)?;
    current.write_bytes(addr + CONTROL_HEADER as u64, data)?;
    Ok(len.next_multiple_of(8))
}

/// Tries once: what a non-blocking call does.
fn once<T>(current: &mut Current, attempt: impl FnOnce(&mut Current) -> Result<T, Errno>) -> Result<T, Errno> {
    attempt(current)
}
