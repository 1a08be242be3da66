//! One UDP socket: opened, marked, read and written without ever blocking.

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::address::RawAddress;

/// Kernel memory that each direction of a socket should have, as the kernel counts it (with its
/// overhead): some hundred small packets, seconds of one call's audio.
const BUFFER_BYTES: libc::c_int = 208 * 1024;

/// What the system would not give, and why.
#[derive(Debug)]
pub struct SocketRefused {
    local: SocketAddr,
    bound: bool,
    why: io::Error,
}

impl fmt::Display for SocketRefused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.bound { "cannot bind" } else { "no socket for" };
        write!(out, "{what} {}: {}", self.local, describe(&self.why))
    }
}

/// Opens a non-blocking socket on exactly `local`, which marks what it sends with a DSCP.
///
/// No address is shared: a port that another program holds is refused, never stolen.
///
/// Spec: RFC 2474 §3 (the DSCP is the upper six bits of the octet).
pub(crate) fn open(local: SocketAddr, dscp: u8) -> Result<OwnedFd, SocketRefused> {
    let refused = |bound| move |why| SocketRefused { local, bound, why };
    let opened = unbound(local.is_ipv6()).map_err(refused(false))?;
    prepare(opened.as_raw_fd(), local, dscp).map_err(refused(true))?;
    Ok(opened)
}

fn prepare(fd: RawFd, local: SocketAddr, dscp: u8) -> io::Result<()> {
    if dscp != 0 {
        mark(fd, local.is_ipv6(), dscp)?;
    }
    bind(fd, &RawAddress::from(local))
}

/// A non-blocking UDP socket that is still to be bound.
fn unbound(ipv6: bool) -> io::Result<OwnedFd> {
    let family = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes no pointer.
    let fd = checked(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    let opened = unsafe { OwnedFd::from_raw_fd(fd) };
    if ipv6 {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    Ok(opened)
}

/// A socket that is still to be bound and marks what it sends as `first` does.
pub(crate) fn open_like(first: RawFd, ipv6: bool) -> io::Result<OwnedFd> {
    let opened = unbound(ipv6)?;
    let (level, name) = mark_option(ipv6);
    let octet = get(first, level, name)?;
    if octet != 0 {
        set(opened.as_raw_fd(), level, name, octet)?;
    }
    Ok(opened)
}

/// Gives a socket its address.
pub(crate) fn bind(fd: RawFd, local: &RawAddress) -> io::Result<()> {
    // SAFETY: pointer and length describe one initialised address that outlives the call.
    checked(unsafe { libc::bind(fd, local.as_ptr(), local.len()) })?;
    Ok(())
}

/// Has a socket send to one peer and hear nobody else; one that is connected changes its peer.
pub(crate) fn connect(fd: RawFd, peer: SocketAddr) -> io::Result<()> {
    let peer = RawAddress::from(peer);
    // SAFETY: pointer and length describe one initialised address that outlives the call.
    checked(unsafe { libc::connect(fd, peer.as_ptr(), peer.len()) })?;
    Ok(())
}

/// Lets one more socket have the address of this one; both must allow it while the second binds.
pub(crate) fn share(fd: RawFd, allowed: bool) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, allowed.into())
}

/// The address that a socket is bound to.
pub(crate) fn local_address(fd: RawFd) -> io::Result<RawAddress> {
    let mut address = RawAddress::empty();
    let mut len = address.len();
    // SAFETY: the pointer is to a local with room for `len` bytes.
    checked(unsafe { libc::getsockname(fd, address.as_mut_ptr(), &raw mut len) })?;
    address.decode().map(RawAddress::from).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Changes the DSCP of what a socket sends from now on.
pub(crate) fn mark(fd: RawFd, ipv6: bool, dscp: u8) -> io::Result<()> {
    let (level, name) = mark_option(ipv6);
    set(fd, level, name, libc::c_int::from(dscp) << 2)
}

const fn mark_option(ipv6: bool) -> (libc::c_int, libc::c_int) {
    if ipv6 { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) } else { (libc::IPPROTO_IP, libc::IP_TOS) }
}

/// Sizes of socket buffers, found out once: the system's default is mostly enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffers {
    must_be_set: bool,
    /// What a socket really gets, in the kernel's count.
    pub(crate) granted: libc::c_int,
}

impl Buffers {
    /// Looks at what a socket of this system gets by default, and at what it gets when it asks.
    pub(crate) fn probe() -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let fd = checked(unsafe {
            libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
        })?;
        // SAFETY: the descriptor is new and nobody else's.
        let probe = unsafe { OwnedFd::from_raw_fd(fd) };
        let default = Self::of(&probe)?;
        if default >= BUFFER_BYTES {
            return Ok(Self { must_be_set: false, granted: default });
        }
        let asking = Self { must_be_set: true, granted: 0 };
        asking.apply(&probe)?;
        Ok(Self { must_be_set: true, granted: Self::of(&probe)? })
    }

    /// Whether sockets get what the relay wants.
    pub(crate) const fn suffice(self) -> bool {
        self.granted >= BUFFER_BYTES
    }

    /// Sizes the buffers of one socket where the default is too small.
    pub(crate) fn apply(self, socket: &OwnedFd) -> io::Result<()> {
        if self.must_be_set {
            // The kernel doubles what it is asked for.
            let asked = BUFFER_BYTES / 2;
            set(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, asked)?;
            set(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, asked)?;
        }
        Ok(())
    }

    fn of(socket: &OwnedFd) -> io::Result<libc::c_int> {
        get(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF)
    }
}

/// Sends one datagram, or says that the system did not take it.
pub(crate) fn send(fd: RawFd, data: &[u8], destination: &RawAddress) -> io::Result<()> {
    // SAFETY: data and address are borrowed for the whole call, with their lengths.
    let sent = unsafe {
        libc::sendto(
            fd,
            data.as_ptr().cast(),
            data.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            destination.as_ptr(),
            destination.len(),
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How many datagrams the kernel dropped because the socket's queue was full (or their checksum
/// was wrong, which it counts with them), in 32 bits that wrap; 0 where it does not say.
pub(crate) fn queue_drops(fd: RawFd) -> u32 {
    let mut values = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut len = mem::size_of_val(&values) as libc::socklen_t;
    // SAFETY: both pointers are to locals of the sizes that are told.
    let told = checked(unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    });
    told.map_or(0, |_| values[libc::SK_MEMINFO_DROPS as usize])
}

fn get(fd: RawFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both pointers are to locals of the sizes that are told.
    checked(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) })?;
    Ok(value)
}

fn set(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a local of the size that is told.
    checked(unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            (&raw const value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// The result of a system call that says -1 for a failure.
pub(crate) fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The system's sentence for an error, without Rust's number behind it.
#[must_use]
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((sentence, _)) => sentence.to_owned(),
        None => text,
    }
}
